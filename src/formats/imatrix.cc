#include "formats/imatrix.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <span>
#include <string_view>
#include <utility>

#include "base/file_mapping.h"
#include "base/try.h"
#include "formats/gguf/writer.h"
#include "formats/imatrix_dat.h"
#include "formats/printable.h"

namespace puna::formats {
namespace {

constexpr std::string_view squares_suffix = ".in_sum2";
constexpr std::string_view rows_suffix = ".counts";
constexpr float least_importance = 1e-3F;

Error malformed_imatrix(const ModelFile& file, std::string_view what) {
    return {ErrorCode::file_malformed, fmt::format("{}: {}", printable_path(file.path), what),
            "make the importance matrix anew"};
}

/// The numbers of a tensor, each finite and not negative.
Result<std::vector<double>> read_numbers(const ModelFile& file, const FoundTensor& tensor) {
    if (tensor.type != quant::TensorType::F32) {
        return malformed_imatrix(
            file, fmt::format("{} is {}; it must be F32", tensor.describe(), quant::type_info(tensor.type).name));
    }
    std::vector<float> floats(tensor.elements());
    std::memcpy(floats.data(), tensor.parts.front().data.data(), floats.size() * sizeof(float));
    std::vector<double> values(floats.begin(), floats.end());
    const auto bad = std::find_if(values.begin(), values.end(), [](double v) { return !std::isfinite(v) || v < 0; });
    if (bad == values.end()) return values;
    return malformed_imatrix(file, fmt::format("{}, element {} is {}; it must be a sum of squares, or a count",
                                               tensor.describe(), bad - values.begin(), *bad));
}

Result<ImatrixEntry> read_entry(const ModelFile& file, const FoundTensor& squares) {
    const std::string name = squares.name.substr(0, squares.name.size() - squares_suffix.size());
    const FoundTensor* const rows = file.find_tensor(name + std::string(rows_suffix));
    if (rows == nullptr) {
        return malformed_imatrix(
            file, fmt::format("{} has no '{}{}' beside it", squares.describe(), printable(name), rows_suffix));
    }
    ImatrixEntry entry;
    PUNA_TRY(entry.squares, read_numbers(file, squares));
    PUNA_TRY(entry.rows, read_numbers(file, *rows));
    if (entry.squares.size() % entry.rows.size() != 0) {
        return malformed_imatrix(file, fmt::format("{} has {} elements, which do not divide into {} matrices",
                                                   squares.describe(), entry.squares.size(), entry.rows.size()));
    }
    return entry;
}

/// The elements of an array of T; empty if the key is absent.
template <typename T>
Result<std::vector<T>> read_array(const ModelFile& file, std::string_view key) {
    const MetadataValue* value = file.metadata.find(key);
    if (value == nullptr) return std::vector<T>();
    const auto* array = std::get_if<MetadataArray>(value);
    const auto* elements = array != nullptr ? std::get_if<std::vector<T>>(array) : nullptr;
    if (elements == nullptr) {
        return malformed_imatrix(file, fmt::format("{} is no array of the right kind", file.metadata.describe(key)));
    }
    return *elements;
}

constexpr std::string_view datasets_key = "imatrix.datasets";
constexpr std::string_view chunks_key = "imatrix.chunk_count";
constexpr std::string_view chunk_tokens_key = "imatrix.chunk_size";
// puna's own: of each dataset that it evaluated, the digest, the name and the chunks that are in the sums.
constexpr std::string_view text_digests_key = "puna.imatrix.text_sha256";
constexpr std::string_view text_names_key = "puna.imatrix.text_names";
constexpr std::string_view text_chunks_key = "puna.imatrix.text_chunks";

Result<void> read_texts(const ModelFile& file, Imatrix& matrix) {
    PUNA_TRY(const auto digests, read_array<std::string>(file, text_digests_key));
    PUNA_TRY(const auto names, read_array<std::string>(file, text_names_key));
    PUNA_TRY(const auto chunks, read_array<std::uint64_t>(file, text_chunks_key));
    if (digests.size() != names.size() || digests.size() != chunks.size()) {
        return malformed_imatrix(
            file, fmt::format("{} and its like have different lengths", file.metadata.describe(text_digests_key)));
    }
    for (std::size_t i = 0; i < digests.size(); ++i)
        matrix.texts.push_back({digests[i], names[i], chunks[i]});
    return {};
}

template <typename T>
void set_value(Metadata& metadata, std::string_view key, T value) {
    metadata.values[std::string(key)] = std::move(value);
}

Metadata metadata_of(const Imatrix& matrix) {
    Metadata metadata;
    set_value(metadata, "general.type", std::string("imatrix"));
    set_value(metadata, datasets_key, MetadataArray(matrix.datasets));
    set_value(metadata, chunks_key, matrix.chunks);
    set_value(metadata, chunk_tokens_key, matrix.chunk_tokens);
    if (matrix.texts.empty()) return metadata;
    std::vector<std::string> digests;
    std::vector<std::string> names;
    std::vector<std::uint64_t> chunks;
    for (const ImatrixText& text : matrix.texts) {
        digests.push_back(text.sha256);
        names.push_back(text.name);
        chunks.push_back(text.chunks);
    }
    set_value(metadata, text_digests_key, MetadataArray(std::move(digests)));
    set_value(metadata, text_names_key, MetadataArray(std::move(names)));
    set_value(metadata, text_chunks_key, MetadataArray(std::move(chunks)));
    return metadata;
}

Result<void> write_floats(gguf::Writer& out, const std::vector<double>& values) {
    std::vector<float> floats;
    floats.reserve(values.size());
    for (const double value : values)
        floats.push_back(static_cast<float>(std::min(value, double{std::numeric_limits<float>::max()})));
    return out.write(std::as_bytes(std::span(floats)));
}

}  // namespace

std::vector<float> ImatrixEntry::importance(std::size_t width) const {
    std::vector<float> out(squares.size(), 1.0F);
    for (std::size_t matrix = 0; matrix < squares.size() / width; ++matrix) {
        const std::span<const double> sums = std::span(squares).subspan(matrix * width, width);
        double all = 0;
        for (const double sum : sums)
            all += sum;
        if (!(all > 0) || !(rows[std::min(matrix, rows.size() - 1)] > 0)) continue;
        const double mean = all / static_cast<double>(width);
        for (std::size_t i = 0; i < width; ++i)
            out[matrix * width + i] = std::max(least_importance, static_cast<float>(sums[i] / mean));
    }
    return out;
}

Result<Imatrix> read_imatrix(const std::string& path) {
    {
        PUNA_TRY(const auto mapping, base::FileMapping::open(path));
        if (is_imatrix_dat(mapping->bytes())) {
            auto matrix = read_imatrix_dat(mapping->bytes(), mapping->path());
            PUNA_CHECK(mapping->check());
            return matrix;
        }
    }
    PUNA_TRY(const std::shared_ptr<const ModelFile> file, read_model_file(path));
    PUNA_TRY(const auto kind, file->metadata.string("general.type"));
    Imatrix matrix;
    for (const FoundTensor& tensor : file->tensors) {
        if (!tensor.name.ends_with(squares_suffix)) continue;
        const std::string name = tensor.name.substr(0, tensor.name.size() - squares_suffix.size());
        PUNA_TRY(matrix.entries[name], read_entry(*file, tensor));
    }
    if (kind.value_or("imatrix") != "imatrix" || matrix.entries.empty()) {
        return Error{ErrorCode::unsupported_format,
                     fmt::format("{} is {}, and holds no importance matrix", printable_path(path), file->format),
                     "'puna imatrix' makes one"};
    }
    PUNA_TRY(matrix.datasets, read_array<std::string>(*file, datasets_key));
    PUNA_TRY(const auto chunks, file->metadata.unsigned_integer(chunks_key));
    PUNA_TRY(const auto chunk_tokens, file->metadata.unsigned_integer(chunk_tokens_key));
    matrix.chunks = chunks.value_or(0);
    matrix.chunk_tokens = chunk_tokens.value_or(0);
    PUNA_CHECK(read_texts(*file, matrix));
    PUNA_CHECK(file->check_mappings());
    return matrix;
}

Result<void> write_imatrix(const Imatrix& matrix, const std::string& path) {
    std::vector<gguf::TensorEntry> tensors;
    for (const auto& [name, entry] : matrix.entries) {
        tensors.push_back({name + std::string(squares_suffix), quant::TensorType::F32, {entry.columns()}});
        tensors.push_back({name + std::string(rows_suffix), quant::TensorType::F32, {1}});
        if (entry.matrices() == 1) continue;
        for (gguf::TensorEntry* tensor : {&tensors.back(), &tensors[tensors.size() - 2]})
            tensor->shape.insert(tensor->shape.begin(), entry.matrices());
    }
    PUNA_TRY(gguf::FileLayout layout, gguf::lay_out_file(metadata_of(matrix), {}, tensors));
    PUNA_TRY(gguf::Writer out, gguf::Writer::create(path, std::move(layout)));
    for (const auto& [name, entry] : matrix.entries) {
        PUNA_CHECK(write_floats(out, entry.squares));
        PUNA_CHECK(write_floats(out, entry.rows));
    }
    return out.commit();
}

Result<void> add_imatrix(Imatrix& sum, const Imatrix& other) {
    for (const auto& [name, entry] : other.entries) {
        ImatrixEntry& into = sum.entries[name];
        if (into.rows.empty()) {
            into = entry;
            continue;
        }
        if (into.squares.size() != entry.squares.size() || into.rows.size() != entry.rows.size()) {
            return Error{
                ErrorCode::invalid_argument,
                fmt::format("the importance matrices are of different models: '{}' has {} columns of {} "
                            "matrices in one, {} of {} in another",
                            printable(name), into.columns(), into.matrices(), entry.columns(), entry.matrices()),
                "add up matrices of one model"};
        }
        for (std::size_t i = 0; i < entry.squares.size(); ++i)
            into.squares[i] += entry.squares[i];
        for (std::size_t i = 0; i < entry.rows.size(); ++i)
            into.rows[i] += entry.rows[i];
    }
    sum.datasets.insert(sum.datasets.end(), other.datasets.begin(), other.datasets.end());
    for (const ImatrixText& text : other.texts) {
        const auto same = std::find_if(sum.texts.begin(), sum.texts.end(),
                                       [&](const ImatrixText& known) { return known.sha256 == text.sha256; });
        if (same == sum.texts.end()) {
            sum.texts.push_back(text);
        } else {
            same->chunks = std::max(same->chunks, text.chunks);
        }
    }
    sum.chunks += other.chunks;
    if (sum.chunk_tokens == 0) sum.chunk_tokens = other.chunk_tokens;
    return {};
}

Result<void> check_entry(const ImatrixEntry& entry, const FoundTensor& tensor) {
    const std::uint64_t columns = tensor.shape.empty() ? 1 : tensor.shape.back();
    const std::uint64_t rows = tensor.shape.size() < 2 ? 1 : tensor.shape[tensor.shape.size() - 2];
    const bool fits = entry.columns() == columns || (entry.matrices() == 1 && entry.squares.size() % columns == 0);
    if (fits && entry.squares.size() * rows == tensor.elements()) return {};
    return Error{ErrorCode::invalid_argument,
                 fmt::format("the importance matrix is of another model: it has {} columns of {} matrices for '{}', "
                             "which has {} of {}",
                             entry.columns(), entry.matrices(), printable(tensor.name), columns,
                             tensor.elements() / (columns * rows)),
                 "make one for this model, with 'puna imatrix'"};
}

}  // namespace puna::formats
