// A model made ready to evaluate batches by hand: runner, KV cache and a buffer for logits, without an engine.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "kernels/kernel_table.h"
#include "models/model.h"
#include "nn/batch.h"
#include "nn/kv_cache.h"
#include "nn/linear.h"
#include "puna/error.h"

namespace puna::convert {

struct EvaluatorOptions {
    const kernels::KernelTable* kernels = nullptr;
    kernels::Activations activations = kernels::Activations::int16;
    kernels::KvType kv_type = kernels::KvType::f16;
    base::ThreadPool* pool = nullptr;  // must outlive the evaluator
    std::int64_t batch_rows = 512;
    std::int64_t capacity_positions = 512;   // of all sequences together; each takes whole KV blocks
    nn::LinearObserver* observer = nullptr;  // must outlive the evaluator; null: nobody looks
};

/// For one thread at a time.
class Evaluator {
  public:
    /// Errors: out_of_memory, invalid_argument.
    static Result<std::unique_ptr<Evaluator>> create(std::shared_ptr<const models::Model> model,
                                                     const EvaluatorOptions& options);

    const models::Model& model() const { return *model_; }
    nn::KvCache& cache() { return *cache_; }
    /// Evaluates a batch of at most `batch_rows` rows. The logits, [rows that want them][vocabulary], live until the
    /// next call. Errors: those of Runner::forward.
    Result<std::span<const float>> forward(const nn::Batch& batch);

  private:
    Evaluator() = default;
    std::shared_ptr<const models::Model> model_;
    std::unique_ptr<models::Model::Runner> runner_;
    std::unique_ptr<nn::KvCache> cache_;
    std::vector<float> logits_;
};

/// `positions` in whole KV blocks.
std::int64_t whole_blocks(std::int64_t positions);

}  // namespace puna::convert
