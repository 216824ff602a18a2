// The flags of one subcommand: what they are called, what they take, and what the help says about them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "puna/error.h"

namespace puna::cli {

/// What was asked for cannot be: invalid_argument.
Error usage_error(std::string message, std::string hint = {});

struct IntegerRange {
    std::uint64_t min = 0;
    std::uint64_t max = std::numeric_limits<std::uint64_t>::max();
};

struct RealRange {
    double min = 0;
    double max = std::numeric_limits<float>::max();
    bool min_excluded = false;
};

/// Declared first, then parsed once. Names are written "-t,--num-threads"; messages use the long one. Targets must
/// outlive the parsing. A flag that takes one value and is given twice is an error.
class Flags {
  public:
    /// `usage`: what follows the program's name in the first line of the help.
    Flags(std::string usage, std::string summary);
    ~Flags();
    Flags(const Flags&) = delete;
    Flags& operator=(const Flags&) = delete;

    /// Flags that follow stand under this title in the help.
    void section(std::string title);
    /// A command line that the help shows, and what it does.
    void example(std::string line, std::string meaning);

    void flag(const std::string& names, bool& target, std::string help);
    void text(const std::string& names, std::string metavar, std::optional<std::string>& target, std::string help);
    void text(const std::string& names, std::string metavar, std::string& target, std::string help);
    /// May be given several times.
    void texts(const std::string& names, std::string metavar, std::vector<std::string>& target, std::string help);
    /// An argument without a flag.
    void positional(const std::string& metavar, std::optional<std::string>& target, std::string help);

    void integer(const std::string& names, std::string metavar, IntegerRange range,
                 std::function<void(std::uint64_t)> sink, std::string help);
    template <typename T>
    void integer(const std::string& names, std::string metavar, IntegerRange range, T& target, std::string help) {
        integer(
            names, std::move(metavar), clamp_to<T>(range), [&target](std::uint64_t v) { target = static_cast<T>(v); },
            std::move(help));
    }
    template <typename T>
    void integer(const std::string& names, std::string metavar, IntegerRange range, std::optional<T>& target,
                 std::string help) {
        integer(
            names, std::move(metavar), clamp_to<T>(range), [&target](std::uint64_t v) { target = static_cast<T>(v); },
            std::move(help));
    }
    /// Numbers between commas.
    void integers(const std::string& names, std::string metavar, IntegerRange range, std::vector<std::uint32_t>& target,
                  std::string help);
    void real(const std::string& names, std::string metavar, RealRange range, std::function<void(double)> sink,
              std::string help);
    void real(const std::string& names, std::string metavar, RealRange range, float& target, std::string help) {
        real(
            names, std::move(metavar), range, [&target](double v) { target = static_cast<float>(v); }, std::move(help));
    }
    void real(const std::string& names, std::string metavar, RealRange range, std::optional<double>& target,
              std::string help) {
        real(names, std::move(metavar), range, [&target](double v) { target = v; }, std::move(help));
    }

    /// Errors: invalid_argument, with the flag and what it takes, or the flag that was probably meant.
    Result<void> parse(const std::vector<std::string>& arguments);
    /// Whether the command line names the flag, by whichever of its names. `long_name`: one that was declared.
    bool given(const std::string& long_name) const;
    bool help_wanted() const { return help_wanted_; }
    bool version_wanted() const { return version_wanted_; }
    std::string help() const;

  private:
    struct Entry {
        std::string section;
        std::string names;
        std::string metavar;
        std::string help;
    };
    struct Example {
        std::string line;
        std::string meaning;
    };
    struct Parser;  // hides the library that splits the command line
    using Sink = std::function<Result<void>(const std::vector<std::string>&)>;

    template <typename T>
    static IntegerRange clamp_to(IntegerRange range) {
        return {range.min, std::min<std::uint64_t>(range.max, std::numeric_limits<T>::max())};
    }
    void add(const std::string& names, std::string metavar, std::string help, bool repeatable, Sink sink);
    void remember(const Result<void>& result);
    Result<void> check_leftovers() const;

    std::string usage_;
    std::string summary_;
    std::string section_;
    std::vector<Entry> entries_;
    std::vector<Example> examples_;
    std::unique_ptr<Parser> parser_;
    std::optional<Error> first_error_;
    bool help_wanted_ = false;
    bool version_wanted_ = false;
};

/// The whole of `text` as a number in `range`. `name`: whose value it is, for the message. Errors: invalid_argument.
Result<std::uint64_t> parse_integer(std::string_view name, std::string_view text, IntegerRange range);
Result<double> parse_real(std::string_view name, std::string_view text, RealRange range);
/// The pieces between commas; spaces around them are dropped.
std::vector<std::string_view> split_list(std::string_view text);

}  // namespace puna::cli
