#include "formats/weights_index.h"

#include <fmt/format.h>

#include <map>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "base/try.h"
#include "formats/folder.h"
#include "formats/json.h"
#include "formats/printable.h"

namespace puna::formats {
namespace {

constexpr std::string_view map_key = "weight_map";
constexpr std::string_view index_repair = "put all files of one model, and its own index, into one folder";

/// A name in the index's own folder, and no way out of it.
bool is_plain_name(std::string_view name) {
    return !name.empty() && name != "." && name != ".." && name.find('/') == std::string_view::npos &&
           name.find('\0') == std::string_view::npos && name.size() <= 255;
}

/// What the index says: names of tensors, by file.
struct ShardEntry {
    Json first;  // a mention, for messages
    std::unordered_map<std::string_view, Json> tensors;
};

Result<std::map<std::string, ShardEntry>> read_map(const JsonDocument& document) {
    const auto weight_map = document.root().find(map_key);
    if (!weight_map || !weight_map->is(JsonKind::object)) {
        return document.root().malformed("index", fmt::format("has no object '{}'", map_key));
    }
    std::map<std::string, ShardEntry> shards;
    for (Json file = weight_map->first(); file.exists(); file = file.next()) {
        const std::string field = fmt::format("{}, tensor '{}'", map_key, printable(file.key()));
        if (!file.is(JsonKind::string) || !is_plain_name(file.string())) {
            return file.malformed(field, fmt::format("lies in {}, which names no file beside the index", file.text()));
        }
        const auto [shard, is_new] = shards.try_emplace(std::string(file.string()), ShardEntry{file, {}});
        if (is_new && shards.size() > max_indexed_files) {
            return file.malformed(field,
                                  fmt::format("lies in yet another file; at most {} are allowed", max_indexed_files));
        }
        shard->second.tensors.emplace(file.key(), file);
    }
    if (shards.empty()) return weight_map->malformed(map_key, "is empty");
    return shards;
}

using ReadFile = Result<TensorFile> (*)(const std::shared_ptr<const base::FileMapping>& mapping);

Result<TensorFile> read_shard(const std::string& path, const ShardEntry& entry, ReadFile read) {
    auto mapping = base::FileMapping::open(path);
    if (!mapping.ok()) {
        if (mapping.error().code != ErrorCode::file_not_found) return std::move(mapping).error();
        Error error = entry.first.malformed(map_key, fmt::format("names {}, which is missing", printable_path(path)));
        error.code = ErrorCode::file_not_found;
        error.hint = index_repair;
        return error;
    }
    PUNA_TRY(TensorFile file, read(*mapping));
    for (const FoundTensor& tensor : file.tensors) {
        if (entry.tensors.contains(tensor.name)) continue;
        return Error{
            ErrorCode::file_malformed,
            fmt::format("{}: {} is not listed for this file in the index", printable_path(path), tensor.describe()),
            std::string(index_repair)};
    }
    if (file.tensors.size() == entry.tensors.size()) return file;
    std::unordered_map<std::string_view, Json> missing = entry.tensors;
    for (const FoundTensor& tensor : file.tensors)
        missing.erase(tensor.name);
    Error error = missing.begin()->second.malformed(
        map_key, fmt::format("lists tensor '{}' for {}, which does not hold it", printable(missing.begin()->first),
                             printable_path(path)));
    error.hint = index_repair;
    return error;
}

}  // namespace

Result<std::vector<TensorFile>> read_index(const std::shared_ptr<const base::FileMapping>& index, ReadFile read) {
    PUNA_TRY(const JsonDocument document, JsonDocument::parse(index->bytes(), index->path(), "index"));
    PUNA_CHECK(index->check());
    PUNA_TRY(const auto shards, read_map(document));
    std::vector<TensorFile> files;
    files.reserve(shards.size());
    for (const auto& [name, entry] : shards) {
        PUNA_TRY(TensorFile file, read_shard(folder_of(index->path()) + name, entry, read));
        files.push_back(std::move(file));
    }
    return files;
}

}  // namespace puna::formats
