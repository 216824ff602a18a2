#include "formats/model_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <new>
#include <numeric>
#include <stdexcept>
#include <system_error>
#include <type_traits>
#include <utility>

#include "base/try.h"
#include "formats/ggml/parts.h"
#include "formats/gguf/gguf_vocabulary.h"
#include "formats/gguf/shards.h"
#include "formats/huggingface/folder.h"
#include "formats/meta/checkpoint.h"
#include "formats/printable.h"
#include "formats/recognize.h"
#include "formats/weights.h"

namespace puna::formats {
namespace {

/// For messages: kind and value.
std::string words_of(const MetadataValue& value) {
    switch (value.index()) {
        case 0: return fmt::format("the unsigned integer {}", std::get<std::uint64_t>(value));
        case 1: return fmt::format("the signed integer {}", std::get<std::int64_t>(value));
        case 2: return fmt::format("the floating-point number {}", std::get<double>(value));
        case 3: return fmt::format("the bool {}", std::get<bool>(value));
        case 4: return fmt::format("the string \"{}\"", printable(std::get<std::string>(value)));
        default: return "an array";
    }
}

Error wrong_kind(const Metadata& metadata, std::string_view key, std::string_view value, std::string_view needed) {
    return {ErrorCode::file_malformed, fmt::format("{} is {}; it should be {}", metadata.describe(key), value, needed),
            "the file is damaged, or was written by a faulty tool; convert it anew"};
}

Error wrong_kind(const Metadata& metadata, std::string_view key, std::string_view needed) {
    return wrong_kind(metadata, key, words_of(*metadata.find(key)), needed);
}

/// Null if the key is absent. Errors: file_malformed (something that is no value).
Result<const MetadataValue*> look_up(const Metadata& metadata, std::string_view key, std::string_view needed) {
    const MetadataValue* value = metadata.find(key);
    if (value != nullptr) return value;
    const auto unheld = metadata.unheld.find(key);
    if (unheld != metadata.unheld.end()) return wrong_kind(metadata, key, unheld->second, needed);
    return value;
}

/// A getter for exactly the alternative T.
template <typename T>
Result<std::optional<T>> get_exactly(const Metadata& metadata, std::string_view key, std::string_view needed) {
    PUNA_TRY(const MetadataValue* value, look_up(metadata, key, needed));
    if (value == nullptr) return std::optional<T>();
    const T* exact = std::get_if<T>(value);
    if (exact == nullptr) return wrong_kind(metadata, key, needed);
    return std::optional<T>(*exact);
}

std::optional<double> as_number(const MetadataValue& value) {
    if (const auto* number = std::get_if<std::uint64_t>(&value)) return static_cast<double>(*number);
    if (const auto* number = std::get_if<std::int64_t>(&value)) return static_cast<double>(*number);
    if (const auto* number = std::get_if<double>(&value)) return *number;
    return std::nullopt;
}

/// Nullopt for arrays of bools or strings.
std::optional<std::vector<double>> as_numbers(const MetadataArray& array) {
    return std::visit(
        [](const auto& values) -> std::optional<std::vector<double>> {
            using Element = typename std::decay_t<decltype(values)>::value_type;
            if constexpr (std::is_arithmetic_v<Element> && !std::is_same_v<Element, bool>) {
                return std::vector<double>(values.begin(), values.end());
            } else {
                return std::nullopt;
            }
        },
        array);
}

Result<std::shared_ptr<const ModelFile>> read_gguf_model(const std::string& path,
                                                         const std::shared_ptr<const base::FileMapping>& mapping) {
    PUNA_TRY(auto shards, gguf::read_all_shards(mapping));
    auto model = std::make_shared<ModelFile>();
    model->path = path;
    model->dialect = Dialect::gguf;
    model->format = fmt::format("GGUF v{}", shards.front().version);
    model->metadata = std::move(shards.front().metadata);
    for (gguf::File& shard : shards) {
        std::move(shard.tensors.begin(), shard.tensors.end(), std::back_inserter(model->tensors));
        model->file_bytes += shard.mapping->bytes().size();
        model->mappings.push_back(std::move(shard.mapping));
    }
    if (const FoundTensor* duplicate = nullptr; !model->index_tensors(&duplicate)) {
        return Error{ErrorCode::file_malformed,
                     fmt::format("{}: {}: the name occurs in another shard too",
                                 printable_path(duplicate->parts.front().mapping->path()), duplicate->describe()),
                     "put the shards of one model, and no others, into the folder"};
    }
    const std::string& metadata_path = model->mappings.front()->path();
    model->metadata_path = metadata_path;
    if (const auto name = model->metadata.string("general.name"); name.ok()) model->name = name->value_or("");
    auto architecture = model->metadata.string("general.architecture");
    if (!architecture.ok()) {
        Error error = std::move(architecture).error();
        error.message = fmt::format("{}: {}", printable_path(metadata_path), error.message);
        return error;
    }
    model->architecture = std::move(architecture).value().value_or("");
    PUNA_TRY(model->vocabulary, gguf::take_vocabulary(model->metadata, metadata_path));
    model->vocabulary.origin = printable_path(metadata_path);
    PUNA_CHECK(model->check_mappings());
    return std::shared_ptr<const ModelFile>(std::move(model));
}

Result<std::shared_ptr<const ModelFile>> read_any(const std::string& path) {
    std::error_code ignored;
    std::string file = path;
    if (std::filesystem::is_directory(path, ignored)) {
        if (!file.ends_with('/')) file += '/';
        PUNA_TRY(const std::string name, find_weights(file));
        file += name;
    }
    PUNA_TRY(auto mapping, base::FileMapping::open(file));
    if (is_index_name(file)) return huggingface::read_model(path, mapping);
    PUNA_TRY(const Format format, recognize_format(mapping->bytes(), file));
    switch (format) {
        case Format::safetensors:
        case Format::pytorch:
            if (meta::is_checkpoint(file)) return meta::read_model(path, mapping);
            return huggingface::read_model(path, mapping);
        case Format::ggml: return ggml::read_model(path, mapping);
        case Format::gguf: break;
    }
    return read_gguf_model(path, mapping);
}

Result<std::shared_ptr<const ModelFile>> with_values(const ModelFile& file, const MissingValues& given) {
    auto model = std::make_shared<ModelFile>(file);
    std::string stated;
    const bool is_meta = file.dialect == Dialect::meta;
    const auto set = [&](const char* ggml, const char* meta, const auto& value) {
        const char* key = is_meta ? meta : ggml;
        if (!value) return;
        if (is_meta && model->metadata.find(key) != nullptr) stated = key;
        model->metadata.values[key] = *value;
    };
    const auto widened = [](std::optional<std::uint32_t> value) {
        return value ? std::optional<std::uint64_t>(*value) : std::nullopt;
    };
    set("norm_eps", "norm_eps", given.norm_epsilon);
    set("rope_freq_base", "rope_theta", given.rope_base);
    set("n_head_kv", "n_kv_heads", widened(given.kv_heads));
    set("n_ctx", "max_seq_len", widened(given.context));
    if (stated.empty()) return std::shared_ptr<const ModelFile>(std::move(model));
    return Error{ErrorCode::invalid_argument,
                 fmt::format("{}: {} is stated there, and given too", printable_path(file.metadata_path),
                             file.metadata.describe(stated)),
                 "leave the flag away, or change the file"};
}

}  // namespace

const MetadataValue* Metadata::find(std::string_view key) const {
    const auto found = values.find(key);
    return found == values.end() ? nullptr : &found->second;
}

Result<std::optional<std::uint64_t>> Metadata::unsigned_integer(std::string_view key) const {
    constexpr std::string_view needed = "an unsigned integer";
    PUNA_TRY(const MetadataValue* value, look_up(*this, key, needed));
    if (value == nullptr) return std::optional<std::uint64_t>();
    if (const auto* number = std::get_if<std::uint64_t>(value)) return std::optional(*number);
    const auto* number = std::get_if<std::int64_t>(value);
    if (number == nullptr) return wrong_kind(*this, key, needed);
    if (*number < 0) {
        return Error{ErrorCode::file_malformed,
                     fmt::format("{} is {}; it should not be negative", describe(key), *number),
                     "the file is damaged, or was written by a faulty tool; convert it anew"};
    }
    return std::optional(static_cast<std::uint64_t>(*number));
}

Result<std::optional<double>> Metadata::number(std::string_view key) const {
    constexpr std::string_view needed = "a number";
    PUNA_TRY(const MetadataValue* value, look_up(*this, key, needed));
    if (value == nullptr) return std::optional<double>();
    const auto number = as_number(*value);
    if (!number) return wrong_kind(*this, key, needed);
    return number;
}

Result<std::optional<bool>> Metadata::boolean(std::string_view key) const {
    return get_exactly<bool>(*this, key, "a bool");
}

Result<std::optional<std::string>> Metadata::string(std::string_view key) const {
    return get_exactly<std::string>(*this, key, "a string");
}

Result<std::optional<std::vector<double>>> Metadata::numbers(std::string_view key) const {
    constexpr std::string_view needed = "a number or an array of numbers";
    PUNA_TRY(const MetadataValue* value, look_up(*this, key, needed));
    if (value == nullptr) return std::optional<std::vector<double>>();
    if (const auto number = as_number(*value)) return std::optional(std::vector<double>{*number});
    const auto* array = std::get_if<MetadataArray>(value);
    auto numbers = array != nullptr ? as_numbers(*array) : std::nullopt;
    if (!numbers) return wrong_kind(*this, key, needed);
    return numbers;
}

std::string Metadata::describe(std::string_view key) const {
    const auto offset = offsets.find(key);
    if (offset == offsets.end()) return fmt::format("key '{}'", printable(key));
    return fmt::format("key '{}' (at byte {})", printable(key), offset->second);
}

std::uint64_t FoundTensor::elements() const {
    const std::uint64_t pieces = unmerged ? parts.size() : 1;
    return std::accumulate(shape.begin(), shape.end(), pieces, std::multiplies<>());
}

std::uint64_t FoundTensor::bytes() const {
    std::uint64_t sum = 0;
    for (const TensorPart& part : parts)
        sum += part.bytes();
    return sum;
}

Result<TensorPart> TensorPart::in_order() const {
    if (view == nullptr) return *this;
    try {
        auto copy = std::make_shared<std::vector<std::byte>>(view->bytes());
        const auto release = [&] {
            if (mapping != nullptr) mapping->release_pages(data);
        };
        copy_in_order(*view, data, copy->data(), release);
        release();
        return TensorPart{*copy, nullptr, copy};
    } catch (const std::bad_alloc&) {
    } catch (const std::length_error&) {
    }
    return Error{ErrorCode::out_of_memory,
                 fmt::format("not enough memory for {} bytes of a tensor whose elements do not lie in their order",
                             view->bytes()),
                 "close other programs, or use a machine with more memory"};
}

bool FoundTensor::in_order() const {
    return !arrange && std::all_of(parts.begin(), parts.end(), [](const TensorPart& p) { return p.view == nullptr; });
}

Result<std::vector<TensorPart>> FoundTensor::parts_in_order() const {
    std::vector<TensorPart> ordered;
    ordered.reserve(parts.size());
    for (const TensorPart& part : parts) {
        PUNA_TRY(TensorPart made, part.in_order());
        ordered.push_back(std::move(made));
    }
    if (arrange) return arrange(ordered);
    return ordered;
}

std::string FoundTensor::describe() const {
    return fmt::format("tensor '{}' (at byte {})", printable(name), record_offset);
}

const FoundTensor* ModelFile::find_tensor(std::string_view tensor_name) const {
    const auto found = std::lower_bound(by_name_.begin(), by_name_.end(), tensor_name,
                                        [&](std::uint32_t i, std::string_view n) { return tensors[i].name < n; });
    return found != by_name_.end() && tensors[*found].name == tensor_name ? &tensors[*found] : nullptr;
}

bool ModelFile::index_tensors(const FoundTensor** duplicate) {
    by_name_.resize(tensors.size());
    std::iota(by_name_.begin(), by_name_.end(), 0U);
    std::stable_sort(by_name_.begin(), by_name_.end(),
                     [&](std::uint32_t a, std::uint32_t b) { return tensors[a].name < tensors[b].name; });
    const auto same = std::adjacent_find(by_name_.begin(), by_name_.end(), [&](std::uint32_t a, std::uint32_t b) {
        return tensors[a].name == tensors[b].name;
    });
    if (same == by_name_.end()) return true;
    if (duplicate != nullptr) *duplicate = &tensors[*(same + 1)];
    return false;
}

Result<void> ModelFile::check_mappings() const {
    for (const auto& mapping : mappings)
        PUNA_CHECK(mapping->check());
    return {};
}

bool ModelFile::has_file(const std::string& other) const {
    return std::any_of(mappings.begin(), mappings.end(), [&](const auto& mapping) {
        std::error_code ignored;
        return std::filesystem::equivalent(other, mapping->path(), ignored);
    });
}

Result<std::shared_ptr<const ModelFile>> read_model_file(const std::string& path, const MissingValues& given) {
    try {
        PUNA_TRY(auto model, read_any(path));
        if (given.empty()) return std::shared_ptr<const ModelFile>(std::move(model));
        if (model->dialect == Dialect::ggml || model->dialect == Dialect::meta) return with_values(*model, given);
        return Error{ErrorCode::invalid_argument,
                     fmt::format("{}: a {} file states its own norm epsilon, RoPE base, KV heads and context",
                                 printable_path(path), model->format),
                     "--norm-epsilon, --rope-base, --kv-heads and --model-context are for the formats before GGUF"};
    } catch (const std::bad_alloc&) {
    }
    return Error{ErrorCode::out_of_memory, fmt::format("{}: not enough memory for its metadata", printable_path(path)),
                 "close other programs, or use a machine with more memory"};
}

}  // namespace puna::formats
