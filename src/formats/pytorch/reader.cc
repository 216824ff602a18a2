#include "formats/pytorch/reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "base/try.h"
#include "formats/malformed.h"
#include "formats/pytorch/pickle.h"
#include "formats/pytorch/tensors.h"
#include "formats/pytorch/zip.h"

namespace puna::formats::pytorch {
namespace {

using Mapping = std::shared_ptr<const base::FileMapping>;

std::string_view as_text(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Error unsupported(const base::FileMapping& file, std::string_view what, std::uint64_t offset, std::string_view hint) {
    Error error = malformed(file.path(), what, offset, hint);
    error.code = ErrorCode::unsupported_format;
    return error;
}

Error big_endian(const base::FileMapping& file, std::string_view field, std::uint64_t offset) {
    return unsupported(file, fmt::format("{}: the tensors are stored in big-endian byte order", field), offset,
                       "puna reads little-endian files; save the tensors anew on a little-endian machine");
}

// ---- The archive ----

/// The folder in the archive that all lies in: "NAME" of the only "NAME/data.pkl".
Result<std::string> find_folder(const ZipDirectory& directory, const base::FileMapping& file) {
    constexpr std::string_view pickle = "/data.pkl";
    std::vector<const ZipEntry*> found;
    for (const ZipEntry& entry : directory.entries()) {
        const bool is_pickle =
            entry.name.ends_with(pickle) && entry.name.find('/') == entry.name.size() - pickle.size();
        if (is_pickle) found.push_back(&entry);
    }
    if (found.size() != 1) {
        return unsupported(
            file, fmt::format("the zip archive holds {} pickles NAME/data.pkl; PyTorch's hold one", found.size()),
            found.empty() ? 0 : found.back()->record_offset,
            "give a file that torch.save wrote, or the model in safetensors");
    }
    const std::string_view name = found.front()->name;
    return std::string(name.substr(0, name.size() - pickle.size()));
}

Result<void> check_byte_order(const ZipDirectory& directory, const std::string& folder, const base::FileMapping& file) {
    const ZipEntry* entry = directory.find(folder + "/byteorder");
    if (entry == nullptr || as_text(entry->data) == "little") return {};
    const std::string field = fmt::format("entry '{}'", printable(entry->name));
    if (as_text(entry->data) == "big") return big_endian(file, field, entry->data_offset);
    return malformed(file.path(),
                     fmt::format("{} is '{}', which is no byte order", field, printable(as_text(entry->data))),
                     entry->data_offset);
}

Result<void> find_entries(const ZipDirectory& directory, const std::string& folder, const base::FileMapping& file,
                          Storages& storages) {
    for (auto& [key, storage] : storages) {
        const std::string name = fmt::format("{}/data/{}", folder, key);
        const ZipEntry* entry = directory.find(name);
        if (entry == nullptr) {
            return malformed(file.path(), fmt::format("entry '{}' is missing, and tensors lie in it", printable(name)),
                             storage.record_offset);
        }
        if (entry->data.size() != storage.bytes) {
            return malformed(file.path(),
                             fmt::format("entry '{}' has {} bytes, but the {} elements of '{}.{}' in it take {}",
                                         printable(name), entry->data.size(), storage.elements, storage.type->module,
                                         storage.type->name, storage.bytes),
                             entry->record_offset);
        }
        storage.data = entry->data;
    }
    return {};
}

Result<TensorFile> read_archive(const Mapping& mapping) {
    const base::FileMapping& file = *mapping;
    PUNA_TRY(const ZipDirectory directory, ZipDirectory::read(file.bytes(), file.path()));
    PUNA_TRY(const std::string folder, find_folder(directory, file));
    PUNA_CHECK(check_byte_order(directory, folder, file));
    const ZipEntry& entry = *directory.find(folder + "/data.pkl");
    const std::string field = fmt::format("entry '{}'", printable(entry.name));
    const std::uint64_t end = entry.data_offset + entry.data.size();
    PUNA_TRY(const Pickle pickle, Pickle::read(file.bytes(), entry.data_offset, end, file.path(), field));
    if (pickle.end() != end) {
        return malformed(file.path(), fmt::format("{}: {} bytes follow the pickle", field, end - pickle.end()),
                         pickle.end());
    }
    PUNA_TRY(Storages storages, collect_storages(pickle, file.path(), field));
    PUNA_CHECK(find_entries(directory, folder, file, storages));
    TensorFile found = {.mapping = mapping, .format = "PyTorch", .tensors = {}};
    PUNA_TRY(found.tensors, read_tensors(pickle, storages, mapping, field));
    return found;
}

// ---- The stream ----

/// The first pickle: 0x1950a86a20f9469cfc6c, lowest byte first.
constexpr std::string_view stream_magic = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
constexpr std::int64_t stream_version = 1001;

class StreamReader {
  public:
    explicit StreamReader(const Mapping& mapping) : mapping_(mapping), file_(*mapping) {}

    Result<TensorFile> read() {
        PUNA_TRY(const Pickle magic, next("magic number"));
        if (!magic.root().is(PickleKind::big_integer) || magic.root().text() != stream_magic) {
            return unsupported(file_, "the pickle does not begin with PyTorch's magic number", 0,
                               "give a file that torch.save wrote, or the model in safetensors");
        }
        PUNA_TRY(const Pickle version, next("protocol version"));
        if (!version.root().is(PickleKind::integer) || version.root().integer() != stream_version) {
            return unsupported(file_, fmt::format("protocol version is not {}", stream_version),
                               version.root().offset(),
                               "give a file that torch.save wrote, or the model in safetensors");
        }
        PUNA_TRY(const Pickle system, next("system"));
        PUNA_CHECK(check_system(system.root()));
        PUNA_TRY(const Pickle objects, next("objects"));
        PUNA_TRY(Storages storages, collect_storages(objects, file_.path(), "objects"));
        PUNA_TRY(const Pickle keys, next("storage keys"));
        PUNA_CHECK(place(keys.root(), storages));
        TensorFile found = {.mapping = mapping_, .format = "PyTorch before 1.6", .tensors = {}};
        PUNA_TRY(found.tensors, read_tensors(objects, storages, mapping_, "objects"));
        return found;
    }

  private:
    Result<Pickle> next(std::string_view field) {
        auto pickle = Pickle::read(file_.bytes(), at_, file_.bytes().size(), file_.path(), field);
        if (pickle.ok()) at_ = pickle->end();
        return pickle;
    }

    Result<void> check_system(const PickleValue& system) const {
        for (std::size_t i = 0; system.is(PickleKind::dict) && i + 1 < system.size(); i += 2) {
            if (!system.item(i).is_text("little_endian")) continue;
            const PickleValue little = system.item(i + 1);
            if (!little.is(PickleKind::boolean)) break;
            return little.boolean() ? Result<void>() : big_endian(file_, "system, little_endian", little.offset());
        }
        return malformed(file_.path(), "system does not say whether it is little_endian", system.offset());
    }

    /// Behind the list of keys the storages lie in its order: each as the number of its elements, in 64 bits, and as
    /// many elements.
    Result<void> place(const PickleValue& keys, Storages& storages) {
        if (!keys.is(PickleKind::list)) {
            return malformed(file_.path(), fmt::format("storage keys are {}", keys.describe()), keys.offset());
        }
        std::unordered_set<std::string_view> placed;
        for (std::size_t i = 0; i < keys.size(); ++i) {
            const PickleValue key = keys.item(i);
            const auto found = key.is(PickleKind::text) ? storages.find(key.text()) : storages.end();
            if (found == storages.end() || !placed.insert(found->first).second) {
                return malformed(
                    file_.path(),
                    fmt::format("storage keys: {} is no storage of a tensor, or stands there twice", key.describe()),
                    key.offset());
            }
            PUNA_CHECK(place(found->first, found->second));
        }
        for (const auto& [key, storage] : storages) {
            if (placed.contains(key)) continue;
            return malformed(file_.path(), fmt::format("storage keys lack '{}', and tensors lie in it", printable(key)),
                             storage.record_offset);
        }
        if (at_ == file_.bytes().size()) return {};
        return malformed(file_.path(), fmt::format("{} bytes follow the last storage", file_.bytes().size() - at_),
                         at_);
    }

    Result<void> place(std::string_view key, Storage& storage) {
        const auto rest = file_.bytes().subspan(at_);
        std::uint64_t elements = 0;
        if (rest.size() < sizeof elements) {
            return malformed(
                file_.path(),
                fmt::format("storage '{}' needs 8 bytes, but the file ends {} bytes on", printable(key), rest.size()),
                at_);
        }
        std::memcpy(&elements, rest.data(), sizeof elements);
        if (elements != storage.elements) {
            return malformed(file_.path(),
                             fmt::format("storage '{}' has {} elements, but its tensors say {}", printable(key),
                                         elements, storage.elements),
                             at_);
        }
        at_ += sizeof elements;
        if (storage.bytes > rest.size() - sizeof elements) {
            return malformed(file_.path(),
                             fmt::format("storage '{}' needs {} bytes, but the file ends {} bytes on", printable(key),
                                         storage.bytes, rest.size() - sizeof elements),
                             at_);
        }
        storage.data = file_.bytes().subspan(at_, storage.bytes);
        at_ += storage.bytes;
        return {};
    }

    const Mapping& mapping_;
    const base::FileMapping& file_;
    std::uint64_t at_ = 0;
};

bool is_archive(std::span<const std::byte> bytes) {
    return as_text(bytes).starts_with("PK\x03\x04");
}

}  // namespace

bool is_pytorch(std::span<const std::byte> bytes) {
    const bool is_pickle =
        bytes.size() >= 2 && bytes[0] == std::byte{0x80} && bytes[1] >= std::byte{2} && bytes[1] <= std::byte{5};
    return is_pickle || is_archive(bytes);
}

Result<TensorFile> read_file(const Mapping& mapping) {
    return base::unless_changed(*mapping,
                                is_archive(mapping->bytes()) ? read_archive(mapping) : StreamReader(mapping).read());
}

}  // namespace puna::formats::pytorch
