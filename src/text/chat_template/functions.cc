#include "text/chat_template/functions.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/try.h"
#include "text/chat_template/access.h"
#include "text/chat_template/python_format.h"
#include "text/chat_template/strftime.h"
#include "text/unicode/utf8.h"

namespace puna::text::jinja {
namespace {

constexpr std::size_t max_range = 100000;  // as Jinja's sandbox has it

using FunctionPointer = Result<Value> (*)(Evaluator&, const Arguments&);

class Function final : public Object {
  public:
    explicit Function(FunctionPointer function) : function_(function) {}
    std::string_view type_name() const override { return "function"; }
    bool callable() const override { return true; }
    Result<Value> call(Evaluator& evaluator, const Arguments& arguments) override {
        return function_(evaluator, arguments);
    }
    Result<std::optional<Value>> attribute(Evaluator&, std::string_view) override { return std::optional<Value>(); }

  private:
    FunctionPointer function_;
};

Result<Value> make_range(Evaluator& evaluator, const Arguments& arguments) {
    PUNA_TRY(const Parameters given, Parameters::bind(evaluator, "range", arguments, {"start", "stop", "step"}, 1));
    PUNA_TRY(std::int64_t start, given.integer(evaluator, 0, 0));
    PUNA_TRY(std::int64_t stop, given.integer(evaluator, 1, 0));
    PUNA_TRY(const std::int64_t step, given.integer(evaluator, 2, 1));
    if (given[1] == nullptr) stop = std::exchange(start, 0);
    if (step == 0) return evaluator.fail("range() arg 3 must not be zero");
    const Integer distance = step > 0 ? Integer{stop} - start : Integer{start} - stop;
    const Integer stride = step > 0 ? Integer{step} : -Integer{step};
    const Integer count = distance > 0 ? (distance - 1) / stride + 1 : 0;
    if (count > static_cast<Integer>(max_range)) {
        return evaluator.fail(
            fmt::format("Range too big. The sandbox blocks ranges larger than MAX_RANGE ({}).", max_range));
    }
    std::vector<Value> items;
    if (evaluator.budget().spend_items(static_cast<std::size_t>(count))) {
        items.reserve(static_cast<std::size_t>(count));
        for (Integer i = 0; i < count; ++i)
            items.emplace_back(Integer{start} + i * step);
    }
    return Value(std::make_shared<const Sequence>(Sequence::Kind::range, std::move(items), Range{start, stop, step}));
}

/// What `dict` and `namespace` are made from: a dictionary or a list of pairs, and named values.
Result<std::vector<Dict::Entry>> entries_of(Evaluator& evaluator, std::string_view function,
                                            const Arguments& arguments) {
    if (arguments.positional.size() > 1) {
        return evaluator.fail(
            fmt::format("{} expected at most 1 argument, got {}", function, arguments.positional.size()));
    }
    std::vector<Dict::Entry> entries;
    if (!arguments.positional.empty()) {
        const Value& source = arguments.positional[0];
        if (const Dict* dict = source.as_dict()) {
            evaluator.budget().spend_items(dict->size());
            entries = dict->entries();
        } else {
            PUNA_TRY(const std::vector<Value> pairs, to_vector(evaluator, source));
            for (const Value& pair : pairs) {
                PUNA_TRY(std::vector<Value> parts, to_vector(evaluator, pair));
                if (parts.size() != 2) return evaluator.fail("dictionary update sequence element has no length of 2");
                entries.emplace_back(std::move(parts[0]), std::move(parts[1]));
            }
        }
    }
    for (const auto& [name, value] : arguments.named)
        entries.emplace_back(Value::trusted(name), value);
    return entries;
}

Result<Value> make_dict(Evaluator& evaluator, const Arguments& arguments) {
    PUNA_TRY(std::vector<Dict::Entry> entries, entries_of(evaluator, "dict", arguments));
    auto dict = std::make_shared<Dict>();
    for (auto& [key, value] : entries) {
        if (!is_hashable(key)) return evaluator.fail(fmt::format("unhashable type: '{}'", key.type_name()));
        if (key.as_text() == nullptr && !evaluator.budget().spend(1 + dict->size()))
            break;  // keys are compared in turn
        dict->set(std::move(key), std::move(value));
    }
    return Value(DictPtr(std::move(dict)));
}

Result<Value> make_namespace(Evaluator& evaluator, const Arguments& arguments) {
    PUNA_TRY(std::vector<Dict::Entry> entries, entries_of(evaluator, "namespace", arguments));
    auto object = std::make_shared<Namespace>();
    evaluator.adopt(object);
    for (auto& [key, value] : entries)
        PUNA_CHECK(object->set(evaluator, key, std::move(value)));
    return Value(ObjectPtr(std::move(object)));
}

Result<Value> raise_exception(Evaluator& evaluator, const Arguments& arguments) {
    PUNA_TRY(const Parameters given, Parameters::bind(evaluator, "raise_exception", arguments, {"message"}, 1));
    const TextPtr message = to_text(evaluator.budget(), *given[0]);
    Error error = evaluator.fail(to_valid_utf8(message->bytes()));
    error.hint = "the model's chat template refuses this conversation";
    return error;
}

Result<Value> strftime_now(Evaluator& evaluator, const Arguments& arguments) {
    PUNA_TRY(const Parameters given, Parameters::bind(evaluator, "strftime_now", arguments, {"format"}, 1));
    const Text* format = given[0]->as_text();
    if (format == nullptr) return evaluator.fail("strftime_now() takes a text");
    const auto written = format_time(format->bytes(), *evaluator.now());
    if (!written)
        return evaluator.fail(
            fmt::format("strftime_now does not know all of the format {}", quoted_for_message(format->bytes())));
    TextBuilder builder(evaluator.budget());
    builder.append(*written, format->weakest_origin());
    return Value(builder.take_shared());
}

}  // namespace

Result<Parameters> Parameters::bind(Evaluator& evaluator, std::string_view function, const Arguments& arguments,
                                    std::initializer_list<std::string_view> names, std::size_t required) {
    Parameters parameters;
    if (arguments.positional.size() > names.size()) {
        return evaluator.fail(fmt::format("{}() takes at most {} argument(s), got {}", function, names.size(),
                                          arguments.positional.size()));
    }
    parameters.values_.assign(arguments.positional.begin(), arguments.positional.end());
    parameters.values_.resize(names.size());
    for (const auto& [name, value] : arguments.named) {
        const auto* found = std::ranges::find(names, name);
        if (found == names.end()) {
            return evaluator.fail(fmt::format("{}() got an unexpected keyword argument '{}'", function, name));
        }
        auto& place = parameters.values_[static_cast<std::size_t>(found - names.begin())];
        if (place) return evaluator.fail(fmt::format("{}() got multiple values for argument '{}'", function, name));
        place = value;
    }
    for (std::size_t i = 0; i < required; ++i) {
        if (!parameters.values_[i]) {
            return evaluator.fail(fmt::format("{}() missing required argument: '{}'", function, names.begin()[i]));
        }
    }
    return parameters;
}

Result<std::int64_t> Parameters::integer(Evaluator& evaluator, std::size_t index, std::int64_t otherwise) const {
    if (!values_[index]) return otherwise;
    const Value& value = *values_[index];
    if (const auto integer = value.as_integer()) {
        return static_cast<std::int64_t>(std::clamp<Integer>(*integer, -(Integer{1} << 62), Integer{1} << 62));
    }
    PUNA_CHECK(evaluator.require_defined(value));
    return evaluator.fail(fmt::format("'{}' object cannot be interpreted as an integer", value.type_name()));
}

Result<Value> Namespace::call(Evaluator& evaluator, const Arguments&) {
    return evaluator.fail("'Namespace' object is not callable");
}

Result<std::optional<Value>> Namespace::attribute(Evaluator&, std::string_view name) {
    const Value* value = attributes_.find(name);
    return value == nullptr ? std::nullopt : std::optional(*value);
}

Result<void> Namespace::set(Evaluator& evaluator, const Value& name, Value value) {
    const Text* text = name.as_text();
    if (text != nullptr && text->bytes().starts_with("_")) {
        return evaluator.fail(
            fmt::format("Chat templates cannot store underscore-prefixed attributes on a namespace, "
                        "but got {}. Please rename the attribute.",
                        quoted_for_message(text->bytes())));
    }
    if (!is_hashable(name)) return evaluator.fail(fmt::format("unhashable type: '{}'", name.type_name()));
    attributes_.set(name, std::move(value));
    return {};
}

std::optional<Value> find_global(std::string_view name, bool has_time) {
    constexpr std::array<std::pair<std::string_view, FunctionPointer>, 5> functions{
        {{"range", make_range},
         {"dict", make_dict},
         {"namespace", make_namespace},
         {"raise_exception", raise_exception},
         {"strftime_now", strftime_now}}};
    const auto* found = std::ranges::find(functions, name, [](const auto& entry) { return entry.first; });
    if (found == functions.end() || (name == "strftime_now" && !has_time)) return std::nullopt;
    return Value(ObjectPtr(std::make_shared<Function>(found->second)));
}

}  // namespace puna::text::jinja
