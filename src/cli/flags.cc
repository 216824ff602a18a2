#include "cli/flags.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "base/number.h"
#include "base/try.h"
#include "cli/suggest.h"

namespace puna::cli {
namespace {

constexpr std::size_t help_column = 30;
constexpr std::size_t help_width = 100;

/// "--num-threads" of "-t,--num-threads".
std::string long_name(const std::string& names) {
    return names.substr(names.rfind(',') + 1);
}

std::string range_words(IntegerRange range) {
    if (range.max == std::numeric_limits<std::uint64_t>::max()) {
        return fmt::format("a whole number of at least {}", range.min);
    }
    return fmt::format("a whole number from {} to {}", range.min, range.max);
}

std::string range_words(RealRange range) {
    const std::string_view least = range.min_excluded ? "above" : "of at least";
    if (range.min <= std::numeric_limits<float>::lowest() && range.max >= std::numeric_limits<float>::max())
        return "a finite number";
    if (range.max >= std::numeric_limits<float>::max()) return fmt::format("a number {} {:g}", least, range.min);
    if (range.min_excluded) return fmt::format("a number above {:g}, at most {:g}", range.min, range.max);
    return fmt::format("a number from {:g} to {:g}", range.min, range.max);
}

/// `text` in lines of at most `width` characters, each after `indent` spaces (but the first).
std::string wrapped(std::string_view text, std::size_t indent, std::size_t width) {
    std::string out;
    std::size_t column = indent;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find(' '), text.size());
        const std::string_view word = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (column != indent && column + 1 + word.size() > width) {
            out += '\n';
            out.append(indent, ' ');
            column = indent;
        } else if (column != indent) {
            out += ' ';
            ++column;
        }
        out += word;
        column += word.size();
    }
    return out;
}

}  // namespace

Error usage_error(std::string message, std::string hint) {
    return {ErrorCode::invalid_argument, std::move(message), std::move(hint)};
}

struct Flags::Parser {
    CLI::App app;
    std::vector<std::string> names;  // of all flags, for suggestions
};

Flags::Flags(std::string usage, std::string summary)
    : usage_(std::move(usage)), summary_(std::move(summary)), parser_(std::make_unique<Parser>()) {
    parser_->app.set_help_flag("");
    parser_->app.allow_extras(true);  // unknown flags are answered by check_leftovers
}

Flags::~Flags() = default;

void Flags::section(std::string title) {
    section_ = std::move(title);
}

void Flags::example(std::string line, std::string meaning) {
    examples_.push_back({std::move(line), std::move(meaning)});
}

void Flags::remember(const Result<void>& result) {
    if (!result.ok() && !first_error_) first_error_ = result.error();
}

void Flags::add(const std::string& names, std::string metavar, std::string help, bool repeatable, Sink sink) {
    entries_.push_back({section_, names, std::move(metavar), std::move(help)});
    const auto on_values = [this, names, repeatable, sink = std::move(sink)](const CLI::results_t& values) {
        if (!repeatable && values.size() > 1) {
            remember(usage_error(fmt::format("{} is given {} times", long_name(names), values.size()), "give it once"));
        } else {
            remember(sink(values));
        }
        return true;
    };
    parser_->app.add_option(names, on_values)
        ->type_size(1)
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->allow_extra_args(false);
    for (std::size_t begin = 0; begin < names.size();) {
        const std::size_t end = std::min(names.find(',', begin), names.size());
        parser_->names.push_back(names.substr(begin, end - begin));
        begin = end + 1;
    }
}

void Flags::flag(const std::string& names, bool& target, std::string help) {
    entries_.push_back({section_, names, "", std::move(help)});
    parser_->app.add_flag_function(names, [&target](std::int64_t count) { target = count > 0; });
    parser_->names.push_back(long_name(names));
}

void Flags::text(const std::string& names, std::string metavar, std::optional<std::string>& target, std::string help) {
    add(names, std::move(metavar), std::move(help), false, [&target](const std::vector<std::string>& values) {
        target = values.front();
        return Result<void>();
    });
}

void Flags::text(const std::string& names, std::string metavar, std::string& target, std::string help) {
    add(names, std::move(metavar), std::move(help), false, [&target](const std::vector<std::string>& values) {
        target = values.front();
        return Result<void>();
    });
}

void Flags::texts(const std::string& names, std::string metavar, std::vector<std::string>& target, std::string help) {
    add(names, std::move(metavar), std::move(help), true, [&target](const std::vector<std::string>& values) {
        target = values;
        return Result<void>();
    });
}

void Flags::positional(const std::string& metavar, std::optional<std::string>& target, std::string help) {
    entries_.push_back({"Arguments", metavar, "", std::move(help)});
    parser_->app.add_option(metavar, [&target](const CLI::results_t& values) {
        target = values.front();
        return true;
    });
}

void Flags::integer(const std::string& names, std::string metavar, IntegerRange range,
                    std::function<void(std::uint64_t)> sink, std::string help) {
    add(names, std::move(metavar), std::move(help), false,
        [name = long_name(names), range, sink = std::move(sink)](const std::vector<std::string>& values) {
            Result<std::uint64_t> value = parse_integer(name, values.front(), range);
            if (!value.ok()) return Result<void>(std::move(value).error());
            sink(*value);
            return Result<void>();
        });
}

void Flags::integers(const std::string& names, std::string metavar, IntegerRange range,
                     std::vector<std::uint32_t>& target, std::string help) {
    add(names, std::move(metavar), std::move(help), false,
        [name = long_name(names), range = clamp_to<std::uint32_t>(range),
         &target](const std::vector<std::string>& values) -> Result<void> {
            target.clear();
            for (const std::string_view piece : split_list(values.front())) {
                PUNA_TRY(const std::uint64_t value, parse_integer(name, piece, range));
                target.push_back(static_cast<std::uint32_t>(value));
            }
            return {};
        });
}

void Flags::real(const std::string& names, std::string metavar, RealRange range, std::function<void(double)> sink,
                 std::string help) {
    add(names, std::move(metavar), std::move(help), false,
        [name = long_name(names), range,
         sink = std::move(sink)](const std::vector<std::string>& values) -> Result<void> {
            PUNA_TRY(const double value, parse_real(name, values.front(), range));
            sink(value);
            return {};
        });
}

Result<void> Flags::parse(const std::vector<std::string>& arguments) {
    section("Help");
    flag("-h,--help", help_wanted_, "This text.");
    flag("--version", version_wanted_, "The program's version.");
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());  // as the library wants them
    try {
        parser_->app.parse(std::move(reversed));
    } catch (const CLI::ArgumentMismatch& mismatch) {
        const std::string words = mismatch.what();
        return usage_error(fmt::format("{} needs a value", words.substr(0, words.find(':'))));
    } catch (const CLI::ParseError& error) {
        return usage_error(error.what());
    }
    if (help_wanted_ || version_wanted_) return {};
    PUNA_CHECK(check_leftovers());
    if (first_error_) return *first_error_;
    return {};
}

bool Flags::given(const std::string& long_name) const {
    return parser_->app.count(long_name) > 0;
}

Result<void> Flags::check_leftovers() const {
    for (const std::string& word : parser_->app.remaining()) {
        if (word == "--") continue;
        if (!word.starts_with('-')) {
            return usage_error(fmt::format("'{}' stands where a flag is expected", word),
                               "put quotes around text that holds spaces");
        }
        const std::string name = word.substr(0, word.find('='));
        const std::string meant = nearest(name, parser_->names);
        return usage_error(fmt::format("unknown flag '{}'", name),
                           meant.empty() ? "--help lists the flags" : fmt::format("did you mean {}?", meant));
    }
    return {};
}

std::string Flags::help() const {
    std::string out = fmt::format("Usage: puna {}\n\n{}\n", usage_, wrapped(summary_, 0, help_width));
    std::vector<std::string> sections;  // in order of first use
    for (const Entry& entry : entries_) {
        if (std::find(sections.begin(), sections.end(), entry.section) == sections.end()) {
            sections.push_back(entry.section);
        }
    }
    for (const std::string& title : sections) {
        out += fmt::format("\n{}:\n", title);
        for (const Entry& entry : entries_) {
            if (entry.section != title) continue;
            const std::string indent = entry.names.starts_with("--") ? "      " : "  ";
            std::string names = entry.names;
            if (const std::size_t comma = names.find(','); comma != std::string::npos) names.replace(comma, 1, ", ");
            std::string left = indent + names + (entry.metavar.empty() ? "" : " " + entry.metavar);
            if (left.size() + 2 > help_column) {
                left += "\n" + std::string(help_column, ' ');
            } else {
                left.resize(help_column, ' ');
            }
            out += left + wrapped(entry.help, help_column, help_width) + "\n";
        }
    }
    if (!examples_.empty()) out += "\nExamples:\n";
    for (const Example& example : examples_)
        out += fmt::format("  {}\n      {}\n", example.line, example.meaning);
    return out;
}

Result<std::uint64_t> parse_integer(std::string_view name, std::string_view text, IntegerRange range) {
    const Result<std::uint64_t> value = base::parse_number<std::uint64_t>(text, name, range.min, range.max);
    if (value.ok()) return *value;
    return usage_error(fmt::format("{} takes {}, not '{}'", name, range_words(range), text));
}

Result<double> parse_real(std::string_view name, std::string_view text, RealRange range) {
    const Result<double> value = base::parse_number<double>(text, name, range.min, range.max);
    if (value.ok() && !(range.min_excluded && *value == range.min)) return *value;
    return usage_error(fmt::format("{} takes {}, not '{}'", name, range_words(range), text));
}

std::vector<std::string_view> split_list(std::string_view text) {
    std::vector<std::string_view> pieces;
    while (true) {
        const std::size_t end = std::min(text.find(','), text.size());
        std::string_view piece = text.substr(0, end);
        while (piece.starts_with(' '))
            piece.remove_prefix(1);
        while (piece.ends_with(' '))
            piece.remove_suffix(1);
        pieces.push_back(piece);
        if (end == text.size()) return pieces;
        text.remove_prefix(end + 1);
    }
}

}  // namespace puna::cli
