// A tensor's elements as numbers, whatever type they are stored in.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "formats/model_file.h"
#include "quant/tensor_type.h"

namespace puna::convert {

/// Elements that one task looks at: a multiple of every block, and small enough for a core's cache as numbers.
constexpr std::uint64_t piece_elements = std::uint64_t{1} << 15;

/// Bytes of `elements` elements, which are whole blocks.
constexpr std::uint64_t bytes_of(const quant::TypeInfo& type, std::uint64_t elements) {
    return elements / type.block_elements * type.block_bytes;
}

/// Whether the elements can be read: they are integers, F64, or of a type that this build decodes.
bool has_values(quant::TensorType type);

/// The `count` elements (whole blocks) at `data` as doubles, which is exact but for integers beyond 2^53.
void read_values(quant::TensorType type, const std::byte* data, double* out, std::uint64_t count);

/// A tensor's elements in their order, wherever its parts lie. Of a tensor that does not lie in order it holds a copy,
/// so that only as many of those are in memory as there are of these.
class TensorElements {
  public:
    /// Errors: out_of_memory.
    static Result<TensorElements> open(const formats::FoundTensor& tensor);

    const quant::TypeInfo& type() const { return type_; }
    std::uint64_t count() const { return ends_.empty() ? 0 : ends_.back(); }

    /// Calls `visit(bytes, part)` for each stretch of data that the elements [first, first + count) lie in, in their
    /// order. `first` and `count` are whole blocks, and so are parts.
    template <typename Visit>
    void for_each_stretch(std::uint64_t first, std::uint64_t count, Visit&& visit) const {
        auto part = static_cast<std::size_t>(std::upper_bound(ends_.begin(), ends_.end(), first) - ends_.begin());
        for (; count > 0; ++part) {
            const std::uint64_t begin = part == 0 ? 0 : ends_[part - 1];
            const std::uint64_t size = std::min(count, ends_[part] - first);
            const auto data = parts_[part].data;
            if (size > 0) visit(data.subspan(bytes_of(type_, first - begin), bytes_of(type_, size)), part);
            first += size;
            count -= size;
        }
    }

    /// The elements [first, first + count) as doubles; see `read_values`.
    void read(std::uint64_t first, std::uint64_t count, double* out) const;
    /// Takes the pages behind them out of this process's memory. (Parts may be less than a page, but lie together.)
    void release(std::uint64_t first, std::uint64_t count) const;

  private:
    TensorElements(const quant::TypeInfo& type, std::vector<formats::TensorPart> parts);

    const quant::TypeInfo& type_;
    std::vector<formats::TensorPart> parts_;
    std::vector<std::uint64_t> ends_;  // [parts]: of each the element behind it
};

}  // namespace puna::convert
