#include "convert/quantize.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <utility>

#include "base/try.h"
#include "convert/tensor_values.h"
#include "formats/gguf/layout.h"
#include "formats/printable.h"
#include "models/model.h"

namespace puna::convert {
namespace {

using formats::FoundTensor;
using quant::TensorType;
using quant::TypeInfo;

// ---- The plan ----

/// Integer tensors (tables, not weights) have nothing to round.
bool holds_integers(TensorType type) {
    return type == TensorType::I8 || type == TensorType::I16 || type == TensorType::I32 || type == TensorType::I64;
}

bool is_quantized(TensorType type) {
    return quant::type_info(type).block_elements > 1;
}

std::string describe(const PlannedTensor& tensor) {
    return fmt::format("tensor '{}' from {} to {}", formats::printable(tensor.source->name),
                       quant::type_info(tensor.source->type).name, quant::type_info(tensor.type).name);
}

Result<void> check_conversion(const PlannedTensor& tensor, const QuantizeOptions& options) {
    if (tensor.type == tensor.source->type) return {};
    if (!quant::type_info(tensor.source->type).computes()) {
        return Error{ErrorCode::unsupported_tensor_type,
                     fmt::format("cannot convert {}: this build does not read the weights", describe(tensor)),
                     "start from the F16, BF16 or F32 model"};
    }
    if (quant::type_info(tensor.type).from_float == nullptr) {
        return Error{ErrorCode::invalid_argument,
                     fmt::format("cannot convert {}: this build does not write the type", describe(tensor)),
                     "choose another type"};
    }
    if (is_quantized(tensor.source->type) && is_quantized(tensor.type) && !options.allow_requantize) {
        return Error{ErrorCode::invalid_argument, fmt::format("{} would be quantized a second time", describe(tensor)),
                     "start from the F16, BF16 or F32 model, or give --allow-requantize and accept what it loses"};
    }
    return {};
}

/// The type that stands for `tensor`'s own in a GGUF file, where nothing else is asked for: all that F8 can say, F16
/// can say too. What other programs compute beside the products is F32 in every GGUF file; `is_gguf`: there it was
/// chosen.
TensorType kept_type(const FoundTensor& tensor, bool is_gguf) {
    if (!is_gguf && tensor.shape.size() < 2 && quant::type_info(tensor.type).computes()) return TensorType::F32;
    return quant::is_gguf_type(tensor.type) ? tensor.type : TensorType::F16;
}

TensorType wanted_type(const FoundTensor& tensor, const QuantizeOptions& options, const ModelTraits& traits,
                       bool is_gguf, std::vector<bool>& overrides_used) {
    if (holds_integers(tensor.type)) return tensor.type;
    const bool widen_all = options.mix != nullptr && options.mix->base == TensorType::F32;
    if (!is_convertible(tensor)) return widen_all ? TensorType::F32 : kept_type(tensor, is_gguf);
    TensorType type = kept_type(tensor, is_gguf);
    if (options.mix != nullptr) {
        type = options.pure ? options.mix->base : type_in_mix(*options.mix, tensor.name, traits);
    }
    for (std::size_t i = 0; i < options.overrides.size(); ++i) {
        if (!matches_glob(options.overrides[i].glob, tensor.name)) continue;
        type = options.overrides[i].type;
        overrides_used[i] = true;
    }
    return type;
}

/// Errors: invalid_argument (an importance matrix of another model).
Result<void> plan_importance(PlannedTensor& tensor, const Imatrix* matrix) {
    const bool converts = tensor.type != tensor.source->type;
    if (matrix == nullptr || !converts || quant::type_info(tensor.type).from_important == nullptr) return {};
    const auto found = matrix->entries.find(tensor.source->name);
    if (found == matrix->entries.end()) {
        tensor.misses_importance = true;
        return {};
    }
    PUNA_CHECK(check_entry(found->second, *tensor.source));
    tensor.importance = &found->second;
    return {};
}

void set_unsigned(formats::Metadata& metadata, const std::string& key, std::uint32_t value) {
    metadata.values[key] = std::uint64_t{value};
    metadata.stored_types[key] = static_cast<std::uint32_t>(formats::gguf::ValueType::uint32);
}

void set_string(formats::Metadata& metadata, const std::string& key, const std::string& value) {
    metadata.values[key] = value;
    metadata.stored_types[key] = static_cast<std::uint32_t>(formats::gguf::ValueType::string);
}

std::uint32_t clamp(std::uint64_t count) {
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(count, std::numeric_limits<std::uint32_t>::max()));
}

/// Of the block layouts, which have not changed since 2023.
constexpr std::uint32_t quantization_version = 2;

/// The mix that is the type of most weights; null if there is none of its name.
const Mix* prevailing_mix(const std::vector<PlannedTensor>& tensors) {
    std::map<TensorType, std::uint64_t> elements;
    for (const PlannedTensor& tensor : tensors)
        elements[tensor.type] += tensor.source->elements();
    const auto most = std::max_element(elements.begin(), elements.end(),
                                       [](const auto& a, const auto& b) { return a.second < b.second; });
    return most == elements.end() ? nullptr : find_mix(quant::type_info(most->first).name);
}

formats::Metadata new_metadata(const formats::Metadata& old, bool is_gguf, const std::vector<PlannedTensor>& tensors,
                               const QuantizeOptions& options) {
    formats::Metadata metadata = old;
    if (options.imatrix != nullptr) {  // the keys of llama-quantize
        set_string(metadata, "quantize.imatrix.file", options.imatrix_name);
        if (!options.imatrix->datasets.empty()) {
            set_string(metadata, "quantize.imatrix.dataset", options.imatrix->datasets.front());
        }
        set_unsigned(metadata, "quantize.imatrix.entries_count", clamp(options.imatrix->entries.size()));
        set_unsigned(metadata, "quantize.imatrix.chunks_count", clamp(options.imatrix->chunks));
    }
    if (options.mix == nullptr) {
        const Mix* mix = is_gguf ? nullptr : prevailing_mix(tensors);
        if (mix != nullptr) set_unsigned(metadata, "general.file_type", mix->file_type);
        return metadata;
    }
    set_unsigned(metadata, "general.file_type", options.mix->file_type);
    if (is_quantized(options.mix->base)) {
        set_unsigned(metadata, "general.quantization_version", quantization_version);
    }
    return metadata;
}

Result<std::vector<PlannedTensor>> plan_tensors(const formats::ModelFile& source, bool is_gguf,
                                                const QuantizeOptions& options) {
    const ModelTraits traits = traits_of(source);
    std::vector<bool> overrides_used(options.overrides.size());
    std::vector<PlannedTensor> tensors;
    tensors.reserve(source.tensors.size());
    for (const FoundTensor& found : source.tensors) {
        PlannedTensor tensor = {.source = &found, .wanted = found.type, .type = found.type, .bytes = 0};
        tensor.wanted = wanted_type(found, options, traits, is_gguf, overrides_used);
        tensor.type = type_for_rows(tensor.wanted, found.shape.empty() ? 1 : found.shape.back());
        PUNA_CHECK(check_conversion(tensor, options));
        PUNA_CHECK(plan_importance(tensor, options.imatrix.get()));
        tensors.push_back(tensor);
    }
    const auto unused = std::find(overrides_used.begin(), overrides_used.end(), false);
    if (unused != overrides_used.end()) {
        const auto& glob = options.overrides[static_cast<std::size_t>(unused - overrides_used.begin())].glob;
        return Error{ErrorCode::invalid_argument,
                     fmt::format("'{}' names no tensor whose type can be chosen", formats::printable(glob)),
                     "it must match a whole name, as in 'blk.*.ffn_down.weight'; --dry-run lists the names"};
    }
    return tensors;
}

// ---- The work ----

// Pieces between two writes.
constexpr std::uint64_t chunk_pieces = 512;

/// The largest magnitude that a type stores without overflow of its numbers or scales.
float largest_storable(TensorType type) {
    switch (type) {
        case TensorType::F32: return std::numeric_limits<float>::max();
        case TensorType::BF16: return 0x1.fep127F;
        case TensorType::MXFP4: return 0x1.8p127F;  // 6 times its largest scale
        default: return 65504.0F;                   // the largest F16, which the scales are
    }
}

/// A tensor on its way from one type to another. Its elements are a run of blocks: rows do not matter, since each is a
/// whole number of blocks in both types.
class Conversion {
  public:
    Conversion(const PlannedTensor& tensor, base::ThreadPool& pool)
        : tensor_(tensor),
          source_(*tensor.source),
          from_(source_.type()),
          to_(quant::type_info(tensor.type)),
          pool_(pool),
          limit_(largest_storable(tensor.type)),
          elements_(tensor.source->elements()),
          columns_(tensor.source->shape.empty() ? 1 : tensor.source->shape.back()) {
        if (tensor.importance == nullptr) return;
        importance_ = tensor.importance->importance();
        matrix_elements_ = elements_ / tensor.importance->matrices();
    }

    std::uint64_t elements() const { return elements_; }
    const TensorElements& source() const { return source_; }

    /// Converts the elements [first, first + count) into `out`. Errors: invalid_number.
    Result<void> convert(std::uint64_t first, std::uint64_t count, std::byte* out, std::vector<float>& scratch) {
        const std::uint64_t pieces = (count + piece_elements - 1) / piece_elements;
        std::atomic<std::uint64_t> bad = none;
        pool_.run(pieces, [&](std::size_t piece, std::size_t worker) {
            const std::uint64_t begin = piece * piece_elements;
            const std::uint64_t size = std::min(piece_elements, count - begin);
            if (from_.type == to_.type) {
                std::byte* to = out + bytes_of(to_, begin);
                source_.for_each_stretch(first + begin, size, [&](std::span<const std::byte> source, std::size_t) {
                    std::memcpy(to, source.data(), source.size());
                    to += source.size();
                });
                return;
            }
            float* values = scratch.data() + worker * 2 * piece_elements;
            decode(first + begin, size, values);
            const std::uint64_t place = first_bad(values, size);
            if (place != none) {
                keep_least(bad, first + begin + place);
                return;
            }
            if (importance_.empty()) {
                to_.from_float(values, out + bytes_of(to_, begin), size);
                return;
            }
            float* importance = values + piece_elements;
            lay_importance(first + begin, size, importance);
            to_.from_important(values, importance, out + bytes_of(to_, begin), size);
        });
        if (bad != none) return not_storable(bad);
        return {};
    }

    std::uint64_t source_bytes(std::uint64_t count) const { return bytes_of(from_, count); }

    std::uint64_t result_bytes(std::uint64_t count) const { return bytes_of(to_, count); }

  private:
    static constexpr std::uint64_t none = std::numeric_limits<std::uint64_t>::max();

    void decode(std::uint64_t first, std::uint64_t count, float* values) const {
        source_.for_each_stretch(first, count, [&](std::span<const std::byte> source, std::size_t) {
            const std::uint64_t size = source.size() / from_.block_bytes * from_.block_elements;
            from_.to_float(source.data(), values, size);
            values += size;
        });
    }

    /// Beside the elements [first, first + count): what the column of each counts.
    void lay_importance(std::uint64_t first, std::uint64_t count, float* out) const {
        for (std::uint64_t done = 0; done < count;) {
            const std::uint64_t element = first + done;
            const std::uint64_t column = element % columns_;
            const std::uint64_t run = std::min(columns_ - column, count - done);
            const std::uint64_t matrix = element / matrix_elements_;
            std::copy_n(importance_.data() + matrix * columns_ + column, run, out + done);
            done += run;
        }
    }

    std::uint64_t first_bad(const float* values, std::uint64_t size) const {
        bool good = true;
        for (std::uint64_t i = 0; i < size; ++i)
            good &= std::fabs(values[i]) <= limit_;  // false for NaN
        if (good) return none;
        return static_cast<std::uint64_t>(
            std::find_if(values, values + size, [&](float v) { return !(std::fabs(v) <= limit_); }) - values);
    }

    static void keep_least(std::atomic<std::uint64_t>& least, std::uint64_t value) {
        std::uint64_t seen = least;
        while (value < seen && !least.compare_exchange_weak(seen, value)) {
        }
    }

    Error not_storable(std::uint64_t element) const {
        // The block around it, decoded once more.
        const std::uint64_t start = element / from_.block_elements * from_.block_elements;
        std::vector<float> values(from_.block_elements);
        decode(start, values.size(), values.data());
        const float value = values[element - start];
        const bool finite = std::isfinite(value);
        return {ErrorCode::invalid_number,
                fmt::format("tensor '{}', element {} is {}{}", formats::printable(tensor_.source->name), element, value,
                            finite ? fmt::format(", too large for {}", to_.name) : ", which is no finite number"),
                finite ? "choose BF16 or F32 for this tensor" : "the weights are damaged; fetch the model again"};
    }

    const PlannedTensor& tensor_;
    TensorElements source_;
    const TypeInfo& from_;
    const TypeInfo& to_;
    base::ThreadPool& pool_;
    float limit_;
    std::uint64_t elements_;
    std::uint64_t columns_;
    std::vector<float> importance_;  // [matrices][columns_]; empty: all count the same
    std::uint64_t matrix_elements_ = 0;
};

/// Writes all tensors, and says how far it is.
class ModelWriter {
  public:
    ModelWriter(const QuantizePlan& plan, formats::gguf::Writer& out, base::ThreadPool& pool,
                const QuantizeProgress& progress)
        : plan_(plan), out_(out), pool_(pool), progress_(progress), scratch_(pool.size() * 2 * piece_elements) {
        for (const PlannedTensor& tensor : plan.tensors)
            all_ += tensor.source->bytes();
    }

    Result<void> write_all() {
        PUNA_CHECK(advance(0));
        for (const PlannedTensor& tensor : plan_.tensors)
            PUNA_CHECK(write(tensor));
        return plan_.source->check_mappings();
    }

  private:
    Result<void> write(const PlannedTensor& tensor) {
        Conversion conversion(tensor, pool_);
        constexpr std::uint64_t chunk = piece_elements * chunk_pieces;
        for (std::uint64_t first = 0; first < conversion.elements(); first += chunk) {
            const std::uint64_t count = std::min(chunk, conversion.elements() - first);
            const std::uint64_t bytes = conversion.result_bytes(count);
            if (buffer_.size() < bytes) buffer_.resize(bytes);
            // Zeros in place of a file that was cut short may look like anything: ask before the result is believed.
            const Result<void> converted = conversion.convert(first, count, buffer_.data(), scratch_);
            PUNA_CHECK(plan_.source->check_mappings());
            PUNA_CHECK(converted);
            PUNA_CHECK(out_.write(std::span(buffer_).first(bytes)));
            conversion.source().release(first, count);
            PUNA_CHECK(advance(conversion.source_bytes(count)));
        }
        return {};
    }

    Result<void> advance(std::uint64_t bytes) {
        done_ += bytes;
        if (!progress_ || progress_(done_, all_)) return {};
        return Error{ErrorCode::cancelled, "interrupted; nothing was written", ""};
    }

    const QuantizePlan& plan_;
    formats::gguf::Writer& out_;
    base::ThreadPool& pool_;
    const QuantizeProgress& progress_;
    std::uint64_t done_ = 0;
    std::uint64_t all_ = 0;
    std::vector<float> scratch_;     // [threads][2][piece_elements]
    std::vector<std::byte> buffer_;  // a chunk of the result
};

}  // namespace

Result<QuantizePlan> plan_quantization(std::shared_ptr<const formats::ModelFile> source,
                                       const QuantizeOptions& options) {
    QuantizePlan plan;
    const bool is_gguf = source->dialect == formats::Dialect::gguf;
    PUNA_TRY(plan.source, models::in_gguf_dialect(std::move(source)));
    plan.imatrix = options.imatrix;
    PUNA_TRY(plan.tensors, plan_tensors(*plan.source, is_gguf, options));
    std::vector<formats::gguf::TensorEntry> entries;
    entries.reserve(plan.tensors.size());
    for (const PlannedTensor& tensor : plan.tensors)
        entries.push_back({tensor.source->name, tensor.type, tensor.source->shape});
    PUNA_TRY(plan.layout,
             formats::gguf::lay_out_file(new_metadata(plan.source->metadata, is_gguf, plan.tensors, options),
                                         plan.source->vocabulary, entries));
    for (std::size_t i = 0; i < plan.tensors.size(); ++i)
        plan.tensors[i].bytes = plan.layout.tensor_bytes[i];
    return plan;
}

Result<void> write_model(const QuantizePlan& plan, const std::string& path, base::ThreadPool& pool,
                         const QuantizeProgress& progress) {
    PUNA_TRY(formats::gguf::Writer out, formats::gguf::Writer::create(path, plan.layout));
    PUNA_CHECK(ModelWriter(plan, out, pool, progress).write_all());
    return out.commit();
}

}  // namespace puna::convert
