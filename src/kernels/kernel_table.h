// The compute that depends on the instruction set: a struct of function pointers, filled once at start.
//
// Every set computes the same bits: the order of floating-point operations for one output element is the law of
// docs/numerics.md, and `generic/` is its definition. Kernels are thread-safe (they touch only what they are handed),
// never fail, and take any sizes; callers cut the work into row ranges for the pool.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "puna/error.h"
#include "quant/tensor_type.h"

namespace puna::kernels {

/// How activations enter a product with weights: each has its numeric law. F32, F16 and BF16 weights take float32 where
/// integers are asked for. `bf16_tiles` is bf16 in the order of AMX, `bf16_lanes` in that of AVX512-BF16.
enum class Activations : std::uint8_t { float32, int16, int8, bf16_tiles, bf16_lanes };
inline constexpr Activations all_activations[] = {Activations::float32, Activations::int16, Activations::int8,
                                                  Activations::bf16_tiles, Activations::bf16_lanes};
/// How keys and values are stored (kv_storage.h). q8_0 needs heads of a multiple of 32.
enum class KvType : std::uint8_t { f32, f16, q8_0 };

std::string_view activations_name(Activations activations);
std::string_view kv_type_name(KvType type);
/// The id of the numeric law that products obey: "f32/1", "int/1", "int8/1", "bf16-amx/1", "bf16-avx512/1".
std::string_view law_id(Activations activations);

/// A row-major matrix [rows][columns] of weights, as it lies in the file (no alignment is assumed).
struct WeightMatrix {
    quant::TensorType type;
    std::int64_t rows;
    std::int64_t columns;  // K; a whole number of the type's blocks
    const std::byte* data;
    std::size_t row_bytes;
};

/// Activations [rows][columns], as `prepare_activations` makes them (float32: the rows themselves). Its memory holds
/// the rows rounded up to whole activation groups.
struct ActivationMatrix {
    Activations kind;
    std::int64_t rows;
    std::int64_t columns;  // K
    std::byte* data;       // rows of row_bytes; what a group's rows hold is the kernel set's affair
    std::size_t row_bytes;
};

/// Weight rows are cut for the pool at multiples of this.
inline constexpr std::int64_t row_tile = 16;

/// The geometry of one layer's KV blocks. A block holds `kv_block_positions` positions of K and V for all KV heads of
/// one layer; its inner layout belongs to the kernel set.
inline constexpr std::int64_t kv_block_positions = 32;
inline constexpr std::int64_t attention_segment_positions = 512;
inline constexpr std::int64_t max_head_dim = 512;  // kernels keep a head on the stack; models check
struct KvShape {
    KvType type;
    std::int64_t kv_heads;
    std::int64_t head_dim;
};

/// The running state of the online softmax, of rows that see one piece of a context after the other.
struct SoftmaxState {
    float* outputs;  // [rows][head_dim]: o, not yet divided by l
    float* maxima;   // [rows]: m
    float* sums;     // [rows]: l
};

/// One piece of attention: a KV head, a segment of at most 512 positions, and query rows that share both (the heads of
/// a group, several tokens of one sequence). Row i attends to positions 0 ... row_positions[i] of its sequence, of
/// which this call covers [segment_begin, min(row_positions[i] + 1, segment_begin + 512)); a row with nothing in there
/// gets o = 0, m = -infinity, l = 0.
struct AttentionTask {
    KvShape shape;
    std::int64_t kv_head;
    const std::byte* const* blocks;  // of this segment: blocks[b] holds positions segment_begin + 32 b ...
    std::int64_t segment_begin;      // a multiple of 512
    std::int64_t rows;
    const float* const* queries;        // [rows] -> [head_dim]
    const std::int64_t* row_positions;  // [rows]
    float scale;                        // of the scores: s = scale * (q . k)
    SoftmaxState out;
};

/// `y[m * y_stride + r] = w[r] . x[m]` for r in [row_begin, row_end), all m. row_begin is a multiple of row_tile.
/// `scratch`: `matmul_scratch_bytes` of w's columns or of more, 64-byte aligned, one per thread.
using MatmulFn = void (*)(const WeightMatrix& w, std::int64_t row_begin, std::int64_t row_end,
                          const ActivationMatrix& x, float* y, std::int64_t y_stride, std::byte* scratch);

struct KernelTable {
    std::string_view name;  // "generic", "avx2", "avx512", "amx"
    Activations defaults;   // what --activations auto means
    Activations bf16;       // this set's law of bf16; float32 where it has none

    /// Enough for all products with matrices of up to `columns`.
    std::size_t (*matmul_scratch_bytes)(std::int64_t columns);
    /// Null for a type that this build does not compute, and for activations that this set does not have.
    MatmulFn (*matmul)(quant::TensorType type, Activations activations);

    /// Rows that are prepared together: 1 or row_tile.
    std::int64_t (*activation_group)(Activations kind);
    /// Bytes of one prepared row of `columns` values (a multiple of 64).
    std::size_t (*activation_row_bytes)(Activations kind, std::int64_t columns);
    /// Prepares rows [first_row, first_row + rows) of `to`, from x: [rows][to.columns]. They are one group:
    /// first_row is a multiple of the activation group, and rows are as many as it has in `to`. False if a value is NaN
    /// or infinite (float32 is copied as it is).
    bool (*prepare_activations)(const ActivationMatrix& to, std::int64_t first_row, std::int64_t rows, const float* x);

    /// y = x / sqrt(mean(x^2) + eps) * weight, each [n].
    void (*rms_norm)(const float* x, const float* weight, float eps, std::int64_t n, float* y);
    /// gate = silu(gate) * up, each [n].
    void (*silu_multiply)(float* gate, const float* up, std::int64_t n);
    /// y += x, each [n].
    void (*add)(float* y, const float* x, std::int64_t n);
    /// Rotates `heads` vectors [head_dim] in place by the angles of one position: `cosines`, `sines` [rotated / 2].
    /// `interleaved`: pairs are read from (2i, 2i + 1), else from (i, i + rotated / 2). Written in the second order
    /// always, so that scores are the same bits whichever layout a file's weights have.
    void (*rope)(float* x, std::int64_t heads, std::int64_t head_dim, std::int64_t rotated, const float* cosines,
                 const float* sines, bool interleaved);

    /// Bytes of one layer's share of a KV block (a multiple of 64).
    std::size_t (*kv_block_bytes)(const KvShape& shape);
    /// Stores / fetches K and V of one position, [kv_heads][head_dim] each; `slot` is the position modulo 32.
    void (*kv_write)(const KvShape& shape, std::byte* block, std::int64_t slot, const float* k, const float* v);
    void (*kv_read)(const KvShape& shape, const std::byte* block, std::int64_t slot, float* k, float* v);
    void (*attend)(const AttentionTask& task);
    /// Folds a segment's state into that of the segments before it. Rows that had nothing in it (l = 0) stay.
    void (*attention_merge)(const SoftmaxState& into, const SoftmaxState& segment, std::int64_t rows,
                            std::int64_t head_dim);
    /// o /= l.
    void (*attention_finish)(float* o, float l, std::int64_t head_dim);
};

/// The sets of this build, fastest first; whether this machine can run each.
struct KernelSet {
    const KernelTable* table;
    bool available;
    std::string_view needs;  // CPU features, for people
};
std::span<const KernelSet> all_kernel_sets();

/// The fastest set that this machine can run.
const KernelTable& default_kernels();

/// `isa`: a set's name, or "auto": what PUNA_ISA names, else the fastest available.
/// Errors: unsupported_isa, which lists what is there.
Result<const KernelTable*> select_kernels(std::string_view isa);

/// `name`: "auto" (what the set's table says), a name, or a law's id, which `generic` runs whatever the hardware.
/// Errors: unsupported_activations, invalid_argument.
Result<Activations> select_activations(std::string_view name, const KernelTable& table);
/// Errors: invalid_argument.
Result<KvType> select_kv_type(std::string_view name);

}  // namespace puna::kernels
