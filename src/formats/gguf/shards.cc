#include "formats/gguf/shards.h"

#include <fmt/format.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/try.h"
#include "formats/gguf/layout.h"
#include "formats/printable.h"

namespace puna::formats::gguf {
namespace {

constexpr std::string_view repair = "put all shards of one model, under their own names, into one folder";

/// What a shard's metadata says about the whole.
struct Split {
    std::uint64_t number;                  // of this shard, from 0
    std::uint64_t count;                   // of shards
    std::optional<std::uint64_t> tensors;  // of the whole model
};

Error malformed(const File& file, std::string_view what) {
    return {ErrorCode::file_malformed, fmt::format("{}: {}", printable_path(file.mapping->path()), what),
            std::string(repair)};
}

Result<std::optional<std::uint64_t>> read_integer(const File& file, std::string_view key) {
    auto value = file.metadata.unsigned_integer(key);
    if (!value.ok()) return malformed(file, value.error().message);
    return value;
}

/// Nullopt for a model in one file.
Result<std::optional<Split>> read_split(const File& file) {
    PUNA_TRY(const auto count, read_integer(file, shard_count_key));
    if (count.value_or(0) <= 1) return std::optional<Split>();
    if (*count > max_shards) {
        return malformed(file, fmt::format("{} is {}; at most {} shards are allowed",
                                           file.metadata.describe(shard_count_key), *count, max_shards));
    }
    PUNA_TRY(const auto number, read_integer(file, shard_number_key));
    if (!number) {
        return malformed(file, fmt::format("{} is {}, but there is no key '{}'",
                                           file.metadata.describe(shard_count_key), *count, shard_number_key));
    }
    if (*number >= *count) {
        return malformed(file, fmt::format("{} is {}; {} shards are counted from 0",
                                           file.metadata.describe(shard_number_key), *number, *count));
    }
    PUNA_TRY(const auto tensors, read_integer(file, shard_tensors_key));
    return std::optional<Split>(Split{*number, *count, tensors});
}

/// What stands before the ending in the shard's own path, its folder included.
Result<std::string> name_start(const File& file, const Split& split) {
    const std::string& path = file.mapping->path();
    const std::string ending = shard_name_ending(split.number, split.count);
    if (path.size() > ending.size() && path.ends_with(ending)) return path.substr(0, path.size() - ending.size());
    return malformed(file,
                     fmt::format("{} says shard {} of {}, but the file's name does not end in '{}'",
                                 file.metadata.describe(shard_number_key), split.number + 1, split.count, ending));
}

Result<File> read_shard(const std::string& path, std::uint64_t number, const File& given, const Split& whole) {
    auto mapping = base::FileMapping::open(path);
    if (!mapping.ok()) {
        Error error = std::move(mapping).error();
        if (error.code != ErrorCode::file_not_found) return error;
        error.message = fmt::format(
            "{}: shard {} of {} is missing; {} of '{}' says that there are {}", printable_path(path), number + 1,
            whole.count, given.metadata.describe(shard_count_key), printable_path(given.mapping->path()), whole.count);
        error.hint = repair;
        return error;
    }
    PUNA_TRY(auto shard, read_file(*mapping));
    PUNA_TRY(const auto split, read_split(shard));
    if (!split) return malformed(shard, fmt::format("shard {} has no key '{}'", number + 1, shard_count_key));
    if (split->count != whole.count || split->tensors != whole.tensors) {
        return malformed(shard,
                         fmt::format("{} and '{}' are not those of '{}'", shard.metadata.describe(shard_count_key),
                                     shard_tensors_key, printable_path(given.mapping->path())));
    }
    if (split->number != number) {
        return malformed(shard, fmt::format("{} is {}; by the file's name it should be {}",
                                            shard.metadata.describe(shard_number_key), split->number, number));
    }
    return shard;
}

}  // namespace

std::string shard_name_ending(std::uint64_t number, std::uint64_t count) {
    return fmt::format("-{:05}-of-{:05}.gguf", number + 1, count);
}

Result<std::vector<File>> read_all_shards(const std::shared_ptr<const base::FileMapping>& mapping) {
    PUNA_TRY(auto given, read_file(mapping));
    PUNA_TRY(const auto split, read_split(given));
    std::vector<File> shards;
    if (!split) {
        shards.push_back(std::move(given));
        return shards;
    }
    PUNA_TRY(const std::string start, name_start(given, *split));
    std::uint64_t tensors = 0;
    for (std::uint64_t number = 0; number < split->count; ++number) {
        const bool own = number == split->number;
        if (own) {
            shards.push_back(given);
        } else {
            PUNA_TRY(auto shard, read_shard(start + shard_name_ending(number, split->count), number, given, *split));
            shards.push_back(std::move(shard));
        }
        tensors += shards.back().tensors.size();
    }
    if (split->tensors && *split->tensors != tensors) {
        return malformed(given, fmt::format("{} is {}, but the shards hold {} tensors",
                                            given.metadata.describe(shard_tensors_key), *split->tensors, tensors));
    }
    return shards;
}

}  // namespace puna::formats::gguf
