// Evaluates a text and adds up what a model's weights are multiplied with.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <unordered_map>

#include "convert/chunked_text.h"
#include "convert/evaluator.h"
#include "formats/imatrix.h"
#include "formats/model_file.h"
#include "nn/linear.h"
#include "puna/error.h"

namespace puna::convert {

/// Adds the squares of activations to the entries of a matrix, in the order of the rows, so that sums depend neither on
/// the threads nor on how the text is cut into steps. For one thread at a time.
class ImatrixCollector : public nn::LinearObserver {
  public:
    /// `file`: what the model computes with, under its names in GGUF (models::in_gguf_dialect). `with_head`: the matrix
    /// that makes the logits, too. `file` and `into` must outlive the collector.
    ImatrixCollector(const formats::ModelFile& file, bool with_head, formats::Imatrix& into);
    void observe(const nn::Compute& compute, std::span<const nn::LinearTask> tasks,
                 const kernels::ActivationMatrix& input) override;
    /// Errors: invalid_number (sums that are no finite numbers).
    Result<void> check() const;

  private:
    std::unordered_map<const std::byte*, std::string> names_;  // by where the weights lie
    formats::Imatrix& into_;
};

struct ImatrixOptions {
    std::int64_t batch_rows = 512;  // of one step
    std::int64_t first_chunk = 0;   // those before are done
    std::int64_t chunks = 0;        // of the text, at most; 0: all
    bool with_head = false;         // as the collector has it
};

/// Called after each group of chunks with the chunks of the text that are done, and all of them. An error ends the
/// work.
using ImatrixProgress = std::function<Result<void>(std::int64_t done, std::int64_t all)>;

/// Chunks of the text that will be evaluated, those that are done included. Errors: text_too_short.
Result<std::int64_t> imatrix_chunks(const ChunkedText& text, const ImatrixOptions& options);

/// `evaluator`: with `collector` as its observer. Errors: text_too_short, invalid_number, those of Evaluator::forward
/// and `progress`.
Result<void> collect_imatrix(Evaluator& evaluator, const ImatrixCollector& collector, const ChunkedText& text,
                             const ImatrixOptions& options, const ImatrixProgress& progress);

/// The digest that ImatrixText has of a text: of its token ids as 32-bit little-endian numbers, the begin token of its
/// chunks and their length. Errors: io_error (no SHA-256 on this system).
Result<std::string> imatrix_text_digest(const ChunkedText& text);

}  // namespace puna::convert
