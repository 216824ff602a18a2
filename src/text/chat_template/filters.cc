#include "text/chat_template/filters.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/try.h"
#include "text/chat_template/access.h"
#include "text/chat_template/number_text.h"
#include "text/chat_template/python_format.h"
#include "text/chat_template/text_case.h"

namespace puna::text::jinja {
namespace {

FilterPointer find_filter(std::string_view name) {
    for (const auto filters :
         {text_filters(), number_filters(), list_filters(), order_filters(), selection_filters()}) {
        const auto found = std::ranges::find(filters, name, &Filter::name);
        if (found != filters.end()) return found->function;
    }
    return nullptr;
}

}  // namespace

bool has_filter(std::string_view name) {
    return find_filter(name) != nullptr;
}

Result<Value> Evaluator::apply_filter(std::string_view name, const Value& subject, const Arguments& arguments) {
    const FilterPointer filter = find_filter(name);
    if (filter == nullptr) return fail(fmt::format("No filter named {}.", quoted_for_message(name)));
    if (!budget_.spend(1)) return fail("the template takes too many steps");
    if (const Text* text = subject.as_text()) budget_.spend_text(text->size());
    return filter(*this, subject, arguments);
}

AttributePath::AttributePath(const Value& attribute) {
    const Text* text = attribute.as_text();
    if (text == nullptr) {
        if (!attribute.is_none()) steps_.push_back(attribute);
        return;
    }
    std::string_view rest = text->bytes();
    while (true) {
        const std::string_view step = rest.substr(0, rest.find('.'));
        const bool is_number = !step.empty() && std::ranges::all_of(step, [](char c) { return c >= '0' && c <= '9'; });
        const auto number = is_number ? parse_integer(step, 10) : std::nullopt;
        steps_.push_back(number ? Value(*number) : Value::trusted(std::string(step)));
        if (step.size() == rest.size()) return;
        rest.remove_prefix(step.size() + 1);
    }
}

Result<Value> AttributePath::get(Evaluator& evaluator, const Value& object) const {
    return get_or(evaluator, object, nullptr);
}

Result<Value> AttributePath::get_or(Evaluator& evaluator, const Value& object, const Value* otherwise) const {
    Value value = object;
    for (const Value& step : steps_) {
        PUNA_TRY(value, get_item(evaluator, value, step));
        if (otherwise != nullptr && value.is_undefined()) value = *otherwise;
    }
    return value;
}

Value folded(Evaluator& evaluator, const Value& value) {
    const Text* text = value.as_text();
    return text == nullptr ? value : lower_text(evaluator, *text);
}

}  // namespace puna::text::jinja
