// Carries a plan out: tensors are decoded and encoded in pieces, and written as a stream.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "base/try.h"
#include "convert/exactness.h"
#include "convert/quantize.h"
#include "convert/tensor_values.h"
#include "formats/printable.h"

namespace puna::convert {
namespace {

using quant::TensorType;
using quant::TypeInfo;

// Pieces between two writes.
constexpr std::uint64_t pieces_to_write = 512;

/// The largest magnitude that a type stores without overflow of its numbers or scales.
float largest_storable(TensorType type) {
    switch (type) {
        case TensorType::F32: return std::numeric_limits<float>::max();
        case TensorType::BF16: return 0x1.fep127F;
        case TensorType::MXFP4: return 0x1.8p127F;  // 6 times its largest scale
        case TensorType::NVFP4: return 6 * 448.0F;  // likewise
        default: return 65504.0F;                   // the largest F16, which the scales are
    }
}

/// A tensor on its way from one type to another. Its elements are a run of blocks: rows do not matter, since each is a
/// whole number of blocks in both types.
class Conversion {
  public:
    Conversion(const PlannedTensor& tensor, TensorElements source, base::ThreadPool& pool)
        : tensor_(tensor),
          source_(std::move(source)),
          from_(source_.type()),
          to_(quant::type_info(tensor.type)),
          pool_(pool),
          limit_(largest_storable(tensor.type)),
          elements_(tensor.source->elements()),
          columns_(tensor.source->shape.empty() ? 1 : tensor.source->shape.back()) {
        if (tensor.importance == nullptr) return;
        importance_ = tensor.importance->importance(static_cast<std::size_t>(tensor.source->shape.back()));
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
            if (is_repacked(from_.type, to_.type)) {
                keep_least(bad, repack(first + begin, size, out + bytes_of(to_, begin)));
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
                std::byte* to = out + bytes_of(to_, begin);
                to_.from_float(values, to, size);
                if (!tensor_.judged_by_values) return;
                const std::uint64_t lost = first_lost(first + begin, values, to, size, values + piece_elements);
                if (lost != none) keep_least(bad, first + begin + lost);
                return;
            }
            float* importance = values + piece_elements;
            lay_importance(first + begin, size, importance);
            to_.from_important(values, importance, out + bytes_of(to_, begin), size);
        });
        if (bad != none) return not_storable(bad);
        return {};
    }

    /// Of the scales so far that were rounded.
    double largest_scale_error() const { return largest_scale_error_; }
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

    /// The element whose scale or offset is not kept as it has to be; `none` if all are.
    std::uint64_t repack(std::uint64_t first, std::uint64_t count, std::byte* out) {
        std::uint64_t bad = none;
        source_.for_each_stretch(first, count, [&](std::span<const std::byte> source, std::size_t) {
            const std::uint64_t size = source.size() / from_.block_bytes * from_.block_elements;
            const quant::Repacked repacked = from_.repack(source.data(), out, size);
            if (repacked.first_lost != quant::Repacked::none) bad = std::min(bad, first + repacked.first_lost);
            if (tensor_.judged_by_values && repacked.largest_error > 0) bad = std::min(bad, first);
            keep_greatest(largest_scale_error_, repacked.largest_error);
            out += bytes_of(to_, size);
            first += size;
        });
        return bad;
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

    /// The place of the first element that is not in `written` what it was; `none` if all are. `values`: as decoded,
    /// which is exact but for F64, whose doubles are asked. `scratch`: [size].
    std::uint64_t first_lost(std::uint64_t first, const float* values, const std::byte* written, std::uint64_t size,
                             float* scratch) const {
        to_.to_float(written, scratch, size);
        if (from_.type != TensorType::F64) {
            const float* end = std::mismatch(values, values + size, scratch).first;
            return end == values + size ? none : static_cast<std::uint64_t>(end - values);
        }
        std::uint64_t place = 0;
        std::uint64_t lost = none;
        source_.for_each_stretch(first, size, [&](std::span<const std::byte> source, std::size_t) {
            for (; !source.empty(); source = source.subspan(sizeof(double)), ++place) {
                double value;
                std::memcpy(&value, source.data(), sizeof value);
                if (value != static_cast<double>(scratch[place])) lost = std::min(lost, place);
            }
        });
        return lost;
    }

    static void keep_least(std::atomic<std::uint64_t>& least, std::uint64_t value) {
        std::uint64_t seen = least;
        while (value < seen && !least.compare_exchange_weak(seen, value)) {
        }
    }

    static void keep_greatest(std::atomic<double>& greatest, double value) {
        double seen = greatest;
        while (value > seen && !greatest.compare_exchange_weak(seen, value)) {
        }
    }

    Error scale_not_kept(std::uint64_t element) const {
        const auto where =
            fmt::format("tensor '{}', from element {} on", formats::printable(tensor_.source->name), element);
        if (tensor_.judged_by_values) {
            return {
                ErrorCode::invalid_number,
                fmt::format("{}: a scale does not fit the 16 bits that {} has for it, and --exact asks that it does",
                            where, to_.name),
                "leave --exact away, and scales are rounded; or give --type F32, which keeps every value"};
        }
        return {ErrorCode::invalid_number,
                fmt::format("{}: a scale is infinite in the 16 bits that {} has for it, or was no finite number before",
                            where, to_.name),
                "give --type F32 for the model, or --tensor-type for this tensor"};
    }

    Error not_storable(std::uint64_t element) const {
        if (is_repacked(from_.type, to_.type)) return scale_not_kept(element);
        // The block around it, read once more.
        const std::uint64_t start = element / from_.block_elements * from_.block_elements;
        std::vector<double> values(from_.block_elements);
        source_.read(start, values.size(), values.data());
        const double value = values[element - start];
        const auto refused = [&](std::string_view problem, std::string hint) {
            return Error{ErrorCode::invalid_number,
                         fmt::format("tensor '{}', element {} is {}{}", formats::printable(tensor_.source->name),
                                     element, number_words(value), problem),
                         std::move(hint)};
        };
        if (!std::isfinite(value)) {
            return refused(", which is no finite number", "the weights are damaged; fetch the model again");
        }
        if (!(std::fabs(static_cast<float>(value)) <= limit_)) {
            return refused(fmt::format(", too large for {}", to_.name),
                           std::isinf(static_cast<float>(value))
                               ? "only F64 holds it, and GGUF has that for matrices: give no type"
                               : "choose BF16 or F32 for this tensor");
        }
        return refused(fmt::format(", which {} has to round, and --exact asks that it does not", to_.name),
                       to_.type == TensorType::F32
                           ? "leave --exact away, and values are rounded to nearest"
                           : "leave --exact away, and values are rounded to nearest; or give --type F32");
    }

    /// As many digits as the type has.
    std::string number_words(double value) const {
        return from_.type == TensorType::F64 ? fmt::format("{}", value) : fmt::format("{}", static_cast<float>(value));
    }

    const PlannedTensor& tensor_;
    std::atomic<double> largest_scale_error_ = 0;
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

/// Takes the next bytes of the tensors' data.
using Sink = base::FunctionRef<Result<void>(std::span<const std::byte> data)>;

/// Writes all tensors, and says how far it is.
class ModelWriter {
  public:
    ModelWriter(const QuantizePlan& plan, Sink out, base::ThreadPool& pool, const QuantizeProgress& progress)
        : plan_(plan), out_(out), pool_(pool), progress_(progress), scratch_(pool.size() * 2 * piece_elements) {
        for (const PlannedTensor& tensor : plan.tensors)
            all_ += tensor.source->bytes();
    }

    Result<WriteReport> write_all() {
        PUNA_CHECK(advance(0));
        for (const PlannedTensor& tensor : plan_.tensors)
            PUNA_CHECK(write(tensor));
        PUNA_CHECK(plan_.source->check_mappings());
        return report_;
    }

  private:
    Result<void> write(const PlannedTensor& tensor) {
        PUNA_TRY(TensorElements source, TensorElements::open(*tensor.source));
        Conversion conversion(tensor, std::move(source), pool_);
        constexpr std::uint64_t chunk = piece_elements * pieces_to_write;
        for (std::uint64_t first = 0; first < conversion.elements(); first += chunk) {
            const std::uint64_t count = std::min(chunk, conversion.elements() - first);
            const std::uint64_t bytes = conversion.result_bytes(count);
            if (buffer_.size() < bytes) buffer_.resize(bytes);
            // Zeros in place of a file that was cut short may look like anything: ask before the result is believed.
            const Result<void> converted = conversion.convert(first, count, buffer_.data(), scratch_);
            PUNA_CHECK(plan_.source->check_mappings());
            PUNA_CHECK(converted);
            PUNA_CHECK(out_(std::span(buffer_).first(bytes)));
            conversion.source().release(first, count);
            PUNA_CHECK(advance(conversion.source_bytes(count)));
        }
        if (conversion.largest_scale_error() > 0) ++report_.rounded_tensors;
        report_.largest_scale_error = std::max(report_.largest_scale_error, conversion.largest_scale_error());
        return {};
    }

    Result<void> advance(std::uint64_t bytes) {
        done_ += bytes;
        if (!progress_ || progress_(done_, all_)) return {};
        return Error{ErrorCode::cancelled, "interrupted; nothing was written", ""};
    }

    const QuantizePlan& plan_;
    Sink out_;
    base::ThreadPool& pool_;
    const QuantizeProgress& progress_;
    WriteReport report_;
    std::uint64_t done_ = 0;
    std::uint64_t all_ = 0;
    std::vector<float> scratch_;     // [threads][2][piece_elements]
    std::vector<std::byte> buffer_;  // a chunk of the result
};

/// Into a file of whichever format.
template <typename Writer, typename Layout>
Result<WriteReport> write_file(const QuantizePlan& plan, const Layout& layout, const std::string& path,
                               base::ThreadPool& pool, const QuantizeProgress& progress) {
    PUNA_TRY(Writer out, Writer::create(path, layout));
    const auto sink = [&](std::span<const std::byte> data) { return out.write(data); };
    PUNA_TRY(const WriteReport report, ModelWriter(plan, sink, pool, progress).write_all());
    PUNA_CHECK(out.commit());
    return report;
}

}  // namespace

Result<WriteReport> write_model(const QuantizePlan& plan, const std::string& path, base::ThreadPool& pool,
                                const QuantizeProgress& progress) {
    if (plan.legacy_layout) {
        return write_file<formats::ggml::Writer>(plan, *plan.legacy_layout, path, pool, progress);
    }
    return write_file<formats::gguf::Writer>(plan, plan.layout, path, pool, progress);
}

}  // namespace puna::convert
