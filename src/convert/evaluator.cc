#include "convert/evaluator.h"

#include <algorithm>

#include "base/try.h"

namespace puna::convert {

Result<std::unique_ptr<Evaluator>> Evaluator::create(std::shared_ptr<const models::Model> model,
                                                     const EvaluatorOptions& options) {
    std::unique_ptr<Evaluator> evaluator(new Evaluator);
    evaluator->model_ = std::move(model);
    PUNA_TRY(evaluator->cache_, nn::KvCache::create(*options.kernels, evaluator->model_->kv_shape(options.kv_type),
                                                    whole_blocks(options.capacity_positions)));
    PUNA_TRY(evaluator->runner_, evaluator->model_->create_runner({.kernels = options.kernels,
                                                                   .activations = options.activations,
                                                                   .pool = options.pool,
                                                                   .max_batch_rows = options.batch_rows,
                                                                   .observer = options.observer}));
    return evaluator;
}

Result<std::span<const float>> Evaluator::forward(const nn::Batch& batch) {
    const auto wanted = std::count(batch.wants_logits.begin(), batch.wants_logits.end(), std::uint8_t{1});
    logits_.resize(static_cast<std::size_t>(wanted * model_->dimensions().vocabulary));
    PUNA_CHECK(runner_->forward(batch, *cache_, logits_));
    return std::span<const float>(logits_);
}

std::int64_t whole_blocks(std::int64_t positions) {
    constexpr std::int64_t block = kernels::kv_block_positions;
    return (positions + block - 1) / block * block;
}

}  // namespace puna::convert
