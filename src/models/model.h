// A model family's interface to the engine, and the registry of families.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "formats/model_file.h"
#include "kernels/kernel_table.h"
#include "nn/batch.h"
#include "nn/kv_cache.h"
#include "nn/linear.h"
#include "puna/error.h"

namespace puna::models {

/// What the engine needs to know of any model.
struct Dimensions {
    std::int64_t layers = 0;
    std::int64_t embedding = 0;     // d, the model's width
    std::int64_t feed_forward = 0;  // ff
    std::int64_t heads = 0;
    std::int64_t kv_heads = 0;
    std::int64_t head_dim = 0;
    std::int64_t vocabulary = 0;
    std::int64_t context = 0;  // positions that the model was made for
};

/// Immutable weights in place in their mapped file. `forward` is for one thread at a time per Runner; see below.
class Model {
  public:
    virtual ~Model() = default;
    const Dimensions& dimensions() const { return dimensions_; }
    /// With every tensor whole and in order, where it lay in pieces in several files or otherwise.
    const formats::ModelFile& file() const { return *file_; }
    std::shared_ptr<const formats::ModelFile> shared_file() const { return file_; }
    /// Of weights that had to be put together in memory; the others are used in place.
    std::uint64_t assembled_bytes() const { return assembled_bytes_; }

    /// Bytes of working memory for batches of `batch_rows` rows.
    virtual std::uint64_t workspace_bytes(std::int64_t batch_rows, std::int64_t threads) const = 0;

    /// What one engine computes with: the choice of kernels and the working memory. For one thread at a time.
    class Runner {
      public:
        virtual ~Runner() = default;
        /// Evaluates the batch and writes its keys and values to the cache. `logits`: [rows that want
        /// them][vocabulary]. Errors: invalid_number (NaN or infinity in activations or logits), file_changed.
        virtual Result<void> forward(const nn::Batch& batch, nn::KvCache& cache, std::span<float> logits) = 0;
    };
    struct RunnerOptions {
        const kernels::KernelTable* kernels = nullptr;
        kernels::Activations activations = kernels::Activations::int16;
        base::ThreadPool* pool = nullptr;  // must outlive the runner
        std::int64_t max_batch_rows = 512;
        nn::LinearObserver* observer = nullptr;  // must outlive the runner; null: nobody looks
    };
    /// The model must outlive the runner. Errors: out_of_memory.
    virtual Result<std::unique_ptr<Runner>> create_runner(const RunnerOptions& options) const = 0;

    nn::KvCache::Shape kv_shape(kernels::KvType type) const;

  protected:
    Dimensions dimensions_;
    std::shared_ptr<const formats::ModelFile> file_;
    std::uint64_t assembled_bytes_ = 0;
};

/// Builds the model that `file` holds: hyper-parameters and tensors are checked against each other before anything is
/// allocated. Errors: unsupported_architecture (lists what there is), unsupported_tensor_type, file_malformed.
Result<std::shared_ptr<const Model>> create_model(std::shared_ptr<const formats::ModelFile> file);
/// Whether values that a file leaves out, and are taken for granted, are printed; create_model prints them.
enum class Defaults { reported, silent };
/// The model as a GGUF file would hold it: names, metadata and the order of rows as GGUF has them, the data in place
/// (ask for a tensor's parts_in_order). A file of that dialect is given back as it is. Errors: those of create_model,
/// and unsupported_tokenizer.
Result<std::shared_ptr<const formats::ModelFile>> in_gguf_dialect(std::shared_ptr<const formats::ModelFile> file,
                                                                  Defaults defaults = Defaults::reported);
/// A model as the formats before GGUF hold it, and what they cannot say of it ("norm epsilon 1e-05"), for people.
struct LegacyForm {
    std::shared_ptr<const formats::ModelFile> file;  // of dialect ggml; ftype is for whoever chooses the types
    std::vector<std::string> unsaid;
};
/// Errors: those of in_gguf_dialect; unsupported_architecture (what such a file cannot hold).
Result<LegacyForm> in_ggml_dialect(std::shared_ptr<const formats::ModelFile> file);
/// Names of the architectures that `create_model` knows.
std::vector<std::string> known_architectures();

}  // namespace puna::models
