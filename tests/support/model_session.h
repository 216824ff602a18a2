// A model with all that a forward pass needs, for tests that look at logits.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "base/thread_pool.h"
#include "formats/model_file.h"
#include "kernels/kernel_table.h"
#include "models/model.h"
#include "nn/batch.h"
#include "nn/kv_cache.h"
#include "puna/error.h"
#include "support/must.h"

namespace puna::support {

inline std::shared_ptr<const models::Model> load_model(const std::string& path) {
    return must(models::create_model(must(formats::read_model_file(path))));
}

/// Logits of some rows, in the order of the rows.
struct Logits {
    std::size_t vocabulary = 0;
    std::vector<float> values;  // [rows][vocabulary]

    std::size_t rows() const { return values.size() / vocabulary; }
    std::span<const float> row(std::size_t index) const {
        return std::span(values).subspan(index * vocabulary, vocabulary);
    }
};

struct SessionOptions {
    std::string isa = "auto";
    kernels::Activations activations = kernels::Activations::float32;
    kernels::KvType kv = kernels::KvType::f32;
    std::size_t threads = 2;
    std::int64_t capacity = 2048;  // positions of all sequences together
    std::int64_t max_batch_rows = 512;
};

/// A model, a thread pool, a runner and a KV cache. For one thread at a time.
class ModelSession {
  public:
    ModelSession(std::shared_ptr<const models::Model> model, const SessionOptions& options)
        : model_(std::move(model)),
          kernels_(must(kernels::select_kernels(options.isa))),
          pool_(must(base::ThreadPool::create(options.threads))),
          cache_(must(nn::KvCache::create(*kernels_, model_->kv_shape(options.kv), options.capacity))),
          runner_(must(model_->create_runner({.kernels = kernels_,
                                              .activations = options.activations,
                                              .pool = pool_.get(),
                                              .max_batch_rows = options.max_batch_rows}))) {}

    nn::KvCache& cache() { return *cache_; }
    std::size_t vocabulary() const { return static_cast<std::size_t>(model_->dimensions().vocabulary); }

    /// One forward pass. Reserves what the batch's rows need.
    Logits forward(const nn::Batch& batch) {
        for (std::size_t row = 0; row < batch.tokens.size(); ++row) {
            must(cache_->reserve(batch.sequences[row], batch.positions[row] + 1));
        }
        const auto wanted = std::count(batch.wants_logits.begin(), batch.wants_logits.end(), 1);
        Logits logits{vocabulary(), std::vector<float>(static_cast<std::size_t>(wanted) * vocabulary())};
        must(runner_->forward(batch, *cache_, logits.values));
        return logits;
    }

    /// Evaluates tokens[from ...] of `sequence`, whose positions before are in the cache, `chunk` tokens at a time, and
    /// returns the logits of the positions that are a multiple of `stride` or the last.
    Logits evaluate(std::int32_t sequence, std::span<const std::int32_t> tokens, std::size_t chunk,
                    std::size_t stride = 1, std::size_t from = 0) {
        Logits all{vocabulary(), {}};
        while (from < tokens.size()) {
            nn::Batch batch;
            const std::size_t end = std::min(from + chunk, tokens.size());
            for (; from < end; ++from) {
                const bool wanted = from % stride == 0 || from + 1 == tokens.size();
                batch.add(tokens[from], static_cast<std::int64_t>(from), sequence, wanted);
            }
            const Logits some = forward(batch);
            all.values.insert(all.values.end(), some.values.begin(), some.values.end());
        }
        return all;
    }

  private:
    std::shared_ptr<const models::Model> model_;
    const kernels::KernelTable* kernels_;
    std::unique_ptr<base::ThreadPool> pool_;
    std::unique_ptr<nn::KvCache> cache_;
    std::unique_ptr<models::Model::Runner> runner_;
};

}  // namespace puna::support
