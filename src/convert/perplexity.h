// How well a model predicts a text.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>

#include "base/thread_pool.h"
#include "convert/divergence.h"
#include "convert/evaluator.h"
#include "formats/kl_base.h"
#include "puna/error.h"
#include "puna/model.h"

namespace puna::convert {

/// The text is cut into chunks of `chunk_tokens` = c that do not overlap; an incomplete last one is dropped. Each chunk
/// is evaluated by itself, its first token replaced by the begin token where the vocabulary adds one. Of its
/// predictions the last c - floor(c/2) - 1 count: the logits at positions floor(c/2) ... c - 2, each against the token
/// that follows, so that every scored token has at least half a chunk before it. (The scheme of llama-perplexity.)
struct PerplexityOptions {
    std::int64_t chunk_tokens = 512;  // >= 3
    std::int64_t batch_rows = 512;    // of one step; several chunks share a step where they fit
    std::int64_t max_chunks = 0;      // 0: all
};

struct PerplexityResult {
    double perplexity = 0;      // exp of the mean negative log-likelihood
    double standard_error = 0;  // of the perplexity: that of the mean, times the perplexity; 0 for a single prediction
    std::int64_t tokens_scored = 0;
    std::int64_t chunks = 0;
    std::optional<Divergence> divergence;
};

/// What a measurement is compared with, one of both or none, and where its own predictions go, if anywhere.
struct PerplexityPeers {
    Evaluator* reference = nullptr;              // evaluates the same chunks
    const formats::KlBase* base = nullptr;       // of the same text, chunks and vocabulary; its check() is the caller's
    formats::KlBaseWriter* recording = nullptr;  // of all chunks that are measured; commit() is the caller's
};

/// Called after each group of chunks with the estimate so far, without the divergence; false ends the measurement with
/// `cancelled`.
using PerplexityProgress = std::function<bool(const PerplexityResult& so_far, std::int64_t all_chunks)>;

/// Positions of KV cache that an evaluator needs for this measurement.
std::int64_t perplexity_positions(const PerplexityOptions& options);

/// How many chunks will be measured of a text of `tokens` tokens. Errors: text_too_short, invalid_argument.
Result<std::int64_t> perplexity_chunks(std::size_t tokens, const PerplexityOptions& options);

/// `tokens`: the whole text, begin token included where the vocabulary adds one; `begin`: what replaces each chunk's
/// first token. The result does not depend on batch_rows. Errors: text_too_short, invalid_argument, cancelled,
/// invalid_number (logits that are no finite numbers), those of Evaluator::forward, KlBase::prediction and
/// KlBaseWriter::write.
Result<PerplexityResult> measure_perplexity(Evaluator& measured, const PerplexityPeers& peers, base::ThreadPool& pool,
                                            std::span<const TokenId> tokens, std::optional<TokenId> begin,
                                            const PerplexityOptions& options, const PerplexityProgress& progress);

}  // namespace puna::convert
