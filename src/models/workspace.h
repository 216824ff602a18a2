// The working memory of a decoder's forward pass, and the row-wise steps between its products.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "formats/model_file.h"
#include "models/model.h"
#include "nn/attention.h"
#include "nn/compute.h"
#include "nn/linear.h"
#include "nn/rope.h"

namespace puna::models {

/// Buffers for batches of up to `max_batch_rows` rows, M. For one thread at a time (its steps use the pool).
///
/// The steps fuse what reads the same row: a residual is added, the sum normed and the result prepared for the products
/// that follow, in one pass.
class Workspace {
  public:
    static std::uint64_t bytes(const Dimensions& dims, nn::LinearForms forms, const Model::RunnerOptions& options,
                               std::size_t threads);
    Workspace(const Dimensions& dims, nn::LinearForms forms, const Model::RunnerOptions& options);
    /// Errors: out_of_memory.
    Result<void> allocate();

    /// Starts a batch of at most max_batch_rows rows.
    void begin(const nn::Batch& batch);
    /// file_changed if the file was lost under the computation, invalid_number if a value or a logit is not finite.
    Result<void> check(const formats::ModelFile& file, std::span<const float> logits) const;

    // q, k, v and attended share their memory with gate and up, and all of them with delta.
    float* x() const { return at_.x; }                // [M][d], the residual stream
    float* q() const { return at_.q; }                // [M][heads * head_dim]
    float* k() const { return at_.k; }                // [M][kv_heads * head_dim]
    float* v() const { return at_.v; }                // [M][kv_heads * head_dim]
    float* attended() const { return at_.attended; }  // [M][heads * head_dim]
    float* delta() const { return at_.delta; }        // [M][d]
    float* gate() const { return at_.gate; }          // [M][ff]
    float* up() const { return at_.up; }              // [M][ff]
    std::byte* partials() const { return at_.partials; }
    nn::Attention& attention() { return attention_; }
    const nn::LinearInput& input() const { return input_; }
    const nn::Compute& compute() const { return compute_; }

    // Steps for each row. What they return is to be given to the product or the attention that follows, which begins
    // with it; the weights are to live until then.

    /// input = rms_norm(x).
    [[nodiscard]] nn::RowStep norm(const std::vector<float>& weight, float eps);
    /// x += delta; input = rms_norm(x).
    [[nodiscard]] nn::RowStep add_and_norm(const float* delta, const std::vector<float>& weight, float eps);
    /// input = rows, [M][columns].
    [[nodiscard]] nn::RowStep take_input(const float* rows, std::int64_t columns);
    /// gate = silu(gate) * up (Shazeer 2020, "GLU Variants Improve Transformer"); input = gate.
    [[nodiscard]] nn::RowStep swiglu_input(float* gate, const float* up);
    /// Rotates q and k by their rows' positions and writes k and v to the cache.
    [[nodiscard]] nn::RowStep rotate_and_store(const nn::RopeAngles& angles, bool interleaved, const nn::Batch& batch,
                                               nn::KvCache& cache, std::int64_t layer);

    /// The batch's rows that want logits, in order.
    static std::vector<std::int64_t> select_logit_rows(const nn::Batch& batch);
    /// The same as add_and_norm with the given rows alone.
    [[nodiscard]] nn::RowStep add_and_norm_rows(const std::vector<std::int64_t>& rows, const float* delta,
                                                const std::vector<float>& weight, float eps);

  private:
    /// Where each buffer lies. Made over null memory, it only counts bytes.
    struct Places {
        std::size_t bytes = 0;
        float* x = nullptr;
        float* q = nullptr;
        float* k = nullptr;
        float* v = nullptr;
        float* attended = nullptr;
        float* delta = nullptr;
        float* gate = nullptr;
        float* up = nullptr;
        float* cosines = nullptr;  // [M][head_dim / 2]
        float* sines = nullptr;    // [M][head_dim / 2]
        std::byte* input = nullptr;
        std::byte* partials = nullptr;
        std::byte* scratch = nullptr;  // [threads][thread scratch]
    };
    static Places lay_out(const Dimensions& dims, nn::LinearForms forms, const Model::RunnerOptions& options,
                          std::size_t threads, std::byte* memory);
    /// Where a norm finds its rows, and what it does with them.
    struct Norm {
        const std::int64_t* rows;  // [rows of the input], into x; null: those of the batch
        const float* delta;        // [M][d], added first, or null
        const float* weight;       // [d]
        float eps;
    };
    nn::RowStep norm_input(std::int64_t rows, const Norm& norm);
    /// Rows [first, first + count) of the input, one claim; rows: [count][columns].
    void set_input(std::int64_t first, std::int64_t count, const float* rows);

    const Dimensions& dims_;
    nn::LinearForms forms_;
    Model::RunnerOptions options_;
    std::int64_t rows_ = 0;
    nn::Attention attention_;
    nn::Compute compute_;
    nn::LinearInput input_;
    nn::Buffer<std::byte> memory_;
    Places at_;
    std::atomic<bool> not_finite_ = false;
};

}  // namespace puna::models
