#include "formats/pytorch/tensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "base/checked.h"
#include "base/try.h"
#include "formats/malformed.h"
#include "formats/tensor_file.h"

namespace puna::formats::pytorch {
namespace {

constexpr std::string_view anew = "save the tensors alone, by name, or take the model in safetensors";

Error unsupported(std::string_view path, std::string_view what, std::uint64_t offset) {
    Error error = malformed(path, what, offset, anew);
    error.code = ErrorCode::unsupported_format;
    return error;
}

std::uint64_t element_bytes(const Global& type) {
    return quant::type_info(type.type).block_bytes;  // of types whose blocks are elements
}

std::string name_of(const Global& global) {
    return fmt::format("{}.{}", global.module, global.name);
}

bool is_storage_type(const PickleValue& value) {
    return value.is(PickleKind::global) &&
           (value.global().kind == GlobalKind::storage || value.global().kind == GlobalKind::untyped_storage);
}

/// An integer that is not negative.
std::optional<std::uint64_t> count_of(const PickleValue& value) {
    if (!value.is(PickleKind::integer) || value.integer() < 0) return std::nullopt;
    return static_cast<std::uint64_t>(value.integer());
}

class StorageCollector {
  public:
    StorageCollector(std::string_view path, std::string_view field) : path_(path), field_(field) {}

    Result<Storages> collect(const Pickle& pickle) {
        for (const PickleValue& persistent : pickle.persistent())
            PUNA_CHECK(add(persistent.item(0)));
        return std::move(storages_);
    }

  private:
    Error fail(std::string_view what, const PickleValue& at) const {
        return malformed(path_, fmt::format("{}, {}", field_, what), at.offset());
    }

    /// ('storage', its type, key, device, elements), and in the format before 1.6 the view on another: None.
    Result<void> add(const PickleValue& id) {
        const bool is_storage = id.is(PickleKind::tuple) && id.size() >= 5 && id.item(0).is_text("storage");
        if (!is_storage) {
            return unsupported(path_, fmt::format("{}, persistent id is not that of a storage", field_), id.offset());
        }
        const PickleValue key = id.item(2);
        if (!key.is(PickleKind::text)) return fail(fmt::format("storage has {} for a key", key.describe()), id);
        const std::string what = fmt::format("storage '{}'", printable(key.text()));
        if (!is_storage_type(id.item(1))) {
            return fail(fmt::format("{} has {} for a type", what, id.item(1).describe()), id);
        }
        const auto elements = count_of(id.item(4));
        if (!elements)
            return fail(fmt::format("{} has {} for the number of elements", what, size_words(id.item(4))), id);
        if (id.size() > 6 || (id.size() == 6 && !id.item(5).is(PickleKind::none))) {
            return unsupported(path_, fmt::format("{}, {} is a view of another", field_, what), id.offset());
        }
        Storage storage = {.type = &id.item(1).global(), .elements = *elements, .record_offset = id.offset()};
        const auto bytes = base::checked_multiply(storage.elements, element_bytes(*storage.type));
        if (!bytes) return fail(fmt::format("{} has {} elements, too many", what, storage.elements), id);
        storage.bytes = *bytes;
        const auto [known, is_new] = storages_.try_emplace(key.text(), storage);
        if (!is_new && (known->second.type != storage.type || known->second.elements != storage.elements)) {
            return fail(fmt::format("{} has {} elements of {}, and before {} of {}", what, storage.elements,
                                    name_of(*storage.type), known->second.elements, name_of(*known->second.type)),
                        id);
        }
        return {};
    }

    static std::string size_words(const PickleValue& value) {
        return value.is(PickleKind::integer) ? fmt::format("{}", value.integer()) : value.describe();
    }

    std::string_view path_;
    std::string_view field_;
    Storages storages_;
};

class TensorReader {
  public:
    TensorReader(const Storages& storages, const std::shared_ptr<const base::FileMapping>& mapping,
                 std::string_view field)
        : storages_(storages), mapping_(mapping), path_(mapping->path()), field_(field) {}

    Result<std::vector<FoundTensor>> read(const PickleValue& root) {
        PUNA_TRY(const PickleValue dict, find_dict(root));
        std::vector<FoundTensor> tensors;
        for (std::size_t i = 0; i + 1 < dict.size(); i += 2) {
            const PickleValue key = dict.item(i);
            const PickleValue value = dict.item(i + 1);
            if (is_plain(value)) continue;
            if (!key.is(PickleKind::text) || !is_utf8(key.text())) {
                return fail(fmt::format("tensor has {} for a name", key.describe()), value);
            }
            what_ = fmt::format("tensor '{}'", printable(key.text()));
            if (!value.is(PickleKind::call)) {
                return unsupported(path_, fmt::format("{}, {} is {}, and no tensor", field_, what_, value.describe()),
                                   value.offset());
            }
            if (tensors.size() == max_tensors) {
                return fail(fmt::format("{} is one more than the {} that are allowed", what_, max_tensors), value);
            }
            PUNA_TRY(FoundTensor tensor, read_tensor(value));
            tensor.name = key.text();
            tensors.push_back(std::move(tensor));
        }
        if (tensors.empty()) {
            return unsupported(path_, fmt::format("{} holds no tensors by name", field_), root.offset());
        }
        return tensors;
    }

  private:
    Error fail(std::string_view problem, const PickleValue& at) const {
        return malformed(path_, fmt::format("{}, {}", field_, problem), at.offset());
    }
    Error fail_tensor(std::string_view problem, const PickleValue& at) const {
        return fail(fmt::format("{}, {}", what_, problem), at);
    }

    /// What stands beside tensors in training's checkpoints (an epoch, a loss), and is not taken.
    static bool is_plain(const PickleValue& value) {
        switch (value.kind()) {
            case PickleKind::none:
            case PickleKind::boolean:
            case PickleKind::integer:
            case PickleKind::big_integer:
            case PickleKind::real:
            case PickleKind::text:
            case PickleKind::bytes: return true;
            default: return false;
        }
    }

    Result<PickleValue> find_dict(const PickleValue& root) const {
        if (!root.is(PickleKind::dict)) {
            return unsupported(path_, fmt::format("{} holds {}, not a dict of tensors", field_, root.describe()),
                               root.offset());
        }
        for (std::size_t i = 0; i + 1 < root.size(); i += 2) {
            if (root.item(i + 1).is(PickleKind::call)) return root;
        }
        for (std::size_t i = 0; i + 1 < root.size(); i += 2) {
            const bool named = root.item(i).is_text("state_dict") || root.item(i).is_text("model");
            if (named && root.item(i + 1).is(PickleKind::dict)) return root.item(i + 1);
        }
        return root;
    }

    Result<FoundTensor> read_tensor(PickleValue call) {
        FoundTensor tensor = {.name = {}, .type = {}, .shape = {}, .parts = {}};
        tensor.record_offset = call.offset();
        while (call.global().kind == GlobalKind::rebuild_parameter) {
            if (call.size() != 3 || !call.item(0).is(PickleKind::call)) {
                return fail_tensor(fmt::format("arguments of '{}' are not those of a tensor", name_of(call.global())),
                                   call);
            }
            call = call.item(0);
        }
        PUNA_TRY(const Storage* storage, read_storage(call));
        PUNA_TRY(const Global* type, read_type(call, *storage));
        tensor.type = type->type;
        const auto offset = count_of(call.item(1));
        if (!offset) return fail_tensor(fmt::format("offset is {}", words(call.item(1))), call);
        PUNA_TRY(tensor.shape, read_counts(call.item(2), "size"));
        PUNA_TRY(auto strides, read_counts(call.item(3), "stride"));
        if (strides.size() != tensor.shape.size()) {
            return fail_tensor(
                fmt::format("stride has {} dimensions, and size {}", strides.size(), tensor.shape.size()), call);
        }
        PUNA_TRY(TensorPart part, find_part(call, *storage, tensor, *offset, std::move(strides)));
        tensor.parts.push_back(std::move(part));
        return tensor;
    }

    static std::string words(const PickleValue& value) {
        return value.is(PickleKind::integer) ? fmt::format("{}", value.integer()) : value.describe();
    }

    /// Of a call that makes a tensor, whose number of arguments is right from here on.
    Result<const Storage*> read_storage(const PickleValue& call) const {
        const GlobalKind kind = call.global().kind;
        const auto [least, most] = kind == GlobalKind::rebuild_tensor      ? std::pair<std::size_t, std::size_t>(4, 4)
                                   : kind == GlobalKind::rebuild_tensor_v2 ? std::pair<std::size_t, std::size_t>(6, 7)
                                                                           : std::pair<std::size_t, std::size_t>(7, 8);
        if (call.size() < least || call.size() > most) {
            return fail_tensor(fmt::format("'{}' has {} arguments", name_of(call.global()), call.size()), call);
        }
        // Views may stand for their negative or conjugate, which the last argument says.
        if (kind != GlobalKind::rebuild_tensor && call.size() == most) {
            const PickleValue metadata = call.item(most - 1);
            if (!metadata.is(PickleKind::none) && (!metadata.is(PickleKind::dict) || metadata.size() != 0)) {
                return unsupported(path_, fmt::format("{}, {} has metadata that puna does not know", field_, what_),
                                   call.offset());
            }
        }
        const PickleValue storage = call.item(0);
        if (!storage.is(PickleKind::persistent)) {
            return fail_tensor(fmt::format("storage is {}", storage.describe()), call);
        }
        return &storages_.at(storage.item(0).item(2).text());
    }

    Result<const Global*> read_type(const PickleValue& call, const Storage& storage) const {
        const bool stated = call.global().kind == GlobalKind::rebuild_tensor_v3;
        const bool untyped = storage.type->kind == GlobalKind::untyped_storage;
        if (stated != untyped) {
            return fail_tensor(fmt::format("'{}' of a storage of '{}'", name_of(call.global()), name_of(*storage.type)),
                               call);
        }
        if (!stated) return storage.type;
        const PickleValue dtype = call.item(6);
        if (dtype.is(PickleKind::global) && dtype.global().kind == GlobalKind::dtype) return &dtype.global();
        return fail_tensor(fmt::format("dtype is {}", dtype.describe()), call);
    }

    Result<std::vector<std::uint64_t>> read_counts(const PickleValue& tuple, std::string_view field) const {
        if (!tuple.is(PickleKind::tuple)) return fail_tensor(fmt::format("{} is {}", field, tuple.describe()), tuple);
        if (tuple.size() > max_dimensions) {
            return fail_tensor(
                fmt::format("{} has {} dimensions; at most {} are allowed", field, tuple.size(), max_dimensions),
                tuple);
        }
        std::vector<std::uint64_t> counts;
        for (std::size_t i = 0; i < tuple.size(); ++i) {
            const auto count = count_of(tuple.item(i));
            if (!count) return fail_tensor(fmt::format("{} holds {}", field, words(tuple.item(i))), tuple);
            counts.push_back(*count);
        }
        return counts;
    }

    /// Where the elements lie, and how where they are not in their order.
    Result<TensorPart> find_part(const PickleValue& call, const Storage& storage, const FoundTensor& tensor,
                                 std::uint64_t offset, std::vector<std::uint64_t> strides) {
        const std::uint64_t size = quant::type_info(tensor.type).block_bytes;
        const std::uint64_t there = storage.bytes / size;
        std::optional<std::uint64_t> elements = 1;
        std::optional<std::uint64_t> last = offset;  // the element that lies farthest
        bool in_order = true;
        for (std::size_t i = tensor.shape.size(); i-- > 0;) {
            const std::uint64_t count = tensor.shape[i];
            if (count <= 1) strides[i] = 0;  // nobody takes such a step
            in_order = in_order && (count <= 1 || strides[i] == elements);
            elements = elements ? base::checked_multiply(*elements, count) : std::nullopt;
            const auto reach = base::checked_multiply(count - 1, strides[i]);
            last = last && reach ? base::checked_add(*last, *reach) : std::nullopt;
        }
        // Zero elements need no place, whatever the other dimensions multiply to.
        if (std::find(tensor.shape.begin(), tensor.shape.end(), 0U) != tensor.shape.end())
            return TensorPart{storage.data.first(0), mapping_};
        if (!elements || *elements > std::uint64_t{std::numeric_limits<std::int64_t>::max()} / size) {
            return fail_tensor("size: the number of elements overflows", call);
        }
        if (!last || *last >= there) {
            return fail_tensor(fmt::format("offset, size and stride reach element {}, but the storage has {}",
                                           last ? fmt::format("{}", *last) : std::string("2^64"), there),
                               call);
        }
        if (in_order) return TensorPart{storage.data.subspan(offset * size, *elements * size), mapping_};
        const std::uint64_t bytes = *elements * size;
        // A view that repeats elements could be of any size, and so could many views of one storage.
        if (*elements > there) return refuse_copy("repeats elements", call);
        if (bytes > mapping_->bytes().size() - copied_bytes_)
            return refuse_copy("is one of many views of the same", call);
        copied_bytes_ += bytes;
        const auto view = std::make_shared<const StridedView>(StridedView{tensor.shape, std::move(strides), size});
        return TensorPart{storage.data.subspan(offset * size, (*last - offset + 1) * size), mapping_, nullptr, view};
    }

    Error refuse_copy(std::string_view why, const PickleValue& call) const {
        return unsupported(path_, fmt::format("{}, {} lies in pieces, and {}", field_, what_, why), call.offset());
    }

    const Storages& storages_;
    const std::shared_ptr<const base::FileMapping>& mapping_;
    std::string_view path_;
    std::string_view field_;
    std::string what_;                // the tensor that is read
    std::uint64_t copied_bytes_ = 0;  // that views take once they are copied
};

}  // namespace

Result<Storages> collect_storages(const Pickle& pickle, std::string_view path, std::string_view field) {
    return StorageCollector(path, field).collect(pickle);
}

Result<std::vector<FoundTensor>> read_tensors(const Pickle& pickle, const Storages& storages,
                                              const std::shared_ptr<const base::FileMapping>& mapping,
                                              std::string_view field) {
    return TensorReader(storages, mapping, field).read(pickle.root());
}

}  // namespace puna::formats::pytorch
