#include "formats/pytorch/pickle.h"

#include <fmt/format.h>

#include <cassert>

#include "formats/printable.h"

namespace puna::formats::pytorch {

std::span<const std::uint32_t> Pickle::items(const Node& node) const {
    switch (node.kind) {
        case PickleKind::tuple:
        case PickleKind::call:
        case PickleKind::persistent: return std::span(items_).subspan(node.value, node.size);
        case PickleKind::list:
        case PickleKind::dict: return lists_[node.value];
        default: return {};
    }
}

std::vector<PickleValue> Pickle::persistent() const {
    std::vector<PickleValue> values;
    values.reserve(persistent_.size());
    for (const std::uint32_t id : persistent_)
        values.push_back({*this, id});
    return values;
}

PickleKind PickleValue::kind() const {
    return pickle_->nodes_[id_].kind;
}

std::uint64_t PickleValue::offset() const {
    return pickle_->nodes_[id_].offset;
}

bool PickleValue::boolean() const {
    assert(is(PickleKind::boolean));
    return pickle_->nodes_[id_].value != 0;
}

std::int64_t PickleValue::integer() const {
    assert(is(PickleKind::integer));
    return static_cast<std::int64_t>(pickle_->nodes_[id_].value);
}

std::string_view PickleValue::text() const {
    assert(is(PickleKind::text) || is(PickleKind::bytes) || is(PickleKind::big_integer));
    const Pickle::Node& node = pickle_->nodes_[id_];
    return {reinterpret_cast<const char*>(pickle_->file_.data() + node.value), node.size};
}

std::size_t PickleValue::size() const {
    return pickle_->items(pickle_->nodes_[id_]).size();
}

PickleValue PickleValue::item(std::size_t index) const {
    return {*pickle_, pickle_->items(pickle_->nodes_[id_])[index]};
}

const Global& PickleValue::global() const {
    assert(is(PickleKind::global) || is(PickleKind::call));
    return *pickle_->nodes_[id_].global;
}

std::string PickleValue::describe() const {
    switch (kind()) {
        case PickleKind::none: return "None";
        case PickleKind::boolean: return "a bool";
        case PickleKind::integer:
        case PickleKind::big_integer: return "an integer";
        case PickleKind::real: return "a float";
        case PickleKind::text: return fmt::format("the text '{}'", printable(text()));
        case PickleKind::bytes: return "bytes";
        case PickleKind::tuple: return "a tuple";
        case PickleKind::list: return "a list";
        case PickleKind::dict: return "a dict";
        case PickleKind::global: return fmt::format("the global '{}.{}'", global().module, global().name);
        case PickleKind::call: return fmt::format("what '{}.{}' makes", global().module, global().name);
        case PickleKind::persistent: return "a storage";
    }
    return "";
}

}  // namespace puna::formats::pytorch
