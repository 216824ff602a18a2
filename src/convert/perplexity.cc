#include "convert/perplexity.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/try.h"
#include "convert/chunked_text.h"
#include "formats/printable.h"

namespace puna::convert {
namespace {

PerplexityResult estimate(const Tally& tally, std::int64_t chunks) {
    const Estimate perplexity = tally.perplexity();
    PerplexityResult result;
    result.perplexity = perplexity.value;
    result.standard_error = perplexity.error;
    result.tokens_scored = tally.count();
    result.chunks = chunks;
    return result;
}

/// The measurement at work: chunks [first, first + n) go through both evaluators, step by step.
class Measurement {
  public:
    Measurement(Evaluator& measured, const PerplexityPeers& peers, base::ThreadPool& pool,
                std::span<const TokenId> tokens, std::optional<TokenId> begin, const PerplexityOptions& options)
        : measured_(measured),
          peers_(peers),
          pool_(pool),
          text_{tokens, begin, options.chunk_tokens},
          options_(options),
          tally_(peers.reference != nullptr || peers.base != nullptr) {}

    Result<void> score_chunks(std::int64_t first, std::int64_t count);
    const Tally& tally() const { return tally_; }

  private:
    bool is_scored(std::int64_t position) const {
        return position >= options_.chunk_tokens / 2 && position + 1 < options_.chunk_tokens;
    }
    Result<void> score_rows(std::span<const float> logits, std::span<const float> reference);
    Result<void> record_rows(std::span<const float> logits);
    Result<void> find_base_rows();

    Evaluator& measured_;
    PerplexityPeers peers_;
    base::ThreadPool& pool_;
    ChunkedText text_;
    PerplexityOptions options_;
    Tally tally_;

    /// A prediction that counts. A step holds whole chunks, or a part of one, so that these come in the text's order.
    struct Scored {
        std::int64_t chunk;
        std::int64_t position;
    };
    std::vector<Scored> scored_;                      // of the step, one for each row of logits
    std::vector<Score> scores_;                       // [scored_]
    std::vector<formats::BasePrediction> base_rows_;  // [scored_], with a base
    std::vector<std::byte> recorded_;                 // [scored_][row_bytes], with a recording
};

Result<void> Measurement::score_chunks(std::int64_t first, std::int64_t count) {
    const std::int64_t length = options_.chunk_tokens;
    const std::int64_t span = lay_out_chunks(length, options_.batch_rows).span;
    ChunkSlots slots(measured_, count);
    PUNA_CHECK(slots.reserve(length));
    std::optional<ChunkSlots> reference_slots;
    if (peers_.reference != nullptr) {
        reference_slots.emplace(*peers_.reference, count);
        PUNA_CHECK(reference_slots->reserve(length));
    }
    const auto wanted = [this](std::int64_t position) { return is_scored(position); };
    for (std::int64_t from = 0; from < length; from += span) {
        const std::int64_t to = std::min(from + span, length);
        scored_.clear();
        for (std::int64_t c = first; c < first + count; ++c) {
            for (std::int64_t position = from; position < to; ++position) {
                if (is_scored(position)) scored_.push_back({c, position});
            }
        }
        PUNA_TRY(const std::span<const float> logits, measured_.forward(slots.batch(text_, first, from, to, wanted)));
        std::span<const float> reference;
        if (peers_.reference != nullptr) {
            PUNA_TRY(reference, peers_.reference->forward(reference_slots->batch(text_, first, from, to, wanted)));
        }
        PUNA_CHECK(score_rows(logits, reference));
    }
    return {};
}

Result<void> Measurement::score_rows(std::span<const float> logits, std::span<const float> reference) {
    const auto vocabulary = static_cast<std::size_t>(measured_.model().dimensions().vocabulary);
    PUNA_CHECK(find_base_rows());
    scores_.resize(scored_.size());
    pool_.run(scored_.size(), [&](std::size_t row, std::size_t) {
        const std::span<const float> q = logits.subspan(row * vocabulary, vocabulary);
        const TokenId next = text_.token(scored_[row].chunk, scored_[row].position + 1);
        if (peers_.base != nullptr) {
            scores_[row] = score_prediction(q, base_rows_[row], next);
        } else if (peers_.reference != nullptr) {
            scores_[row] = score_prediction(q, reference.subspan(row * vocabulary, vocabulary), next);
        } else {
            scores_[row] = score_prediction(q, next);
        }
    });
    for (std::size_t row = 0; row < scored_.size(); ++row) {
        if (!scores_[row].finite()) {
            return Error{ErrorCode::invalid_number,
                         fmt::format("the prediction at position {} of chunk {} is no finite number",
                                     scored_[row].position, scored_[row].chunk),
                         "are the weights damaged? 'puna verify' looks at them all"};
        }
        tally_.add(scores_[row]);
    }
    return record_rows(logits);
}

Result<void> Measurement::find_base_rows() {
    if (peers_.base == nullptr) return {};
    base_rows_.clear();
    for (const Scored& scored : scored_) {
        PUNA_TRY(const formats::BasePrediction prediction,
                 peers_.base->prediction(scored.chunk, scored.position - options_.chunk_tokens / 2));
        base_rows_.push_back(prediction);
    }
    return {};
}

Result<void> Measurement::record_rows(std::span<const float> logits) {
    if (peers_.recording == nullptr) return {};
    const auto vocabulary = static_cast<std::size_t>(measured_.model().dimensions().vocabulary);
    const std::uint64_t row_bytes =
        formats::KlBaseShape{.vocabulary = static_cast<std::int64_t>(vocabulary)}.row_bytes();
    recorded_.resize(scored_.size() * row_bytes);
    pool_.run(scored_.size(), [&](std::size_t row, std::size_t) {
        formats::encode_base_prediction(logits.subspan(row * vocabulary, vocabulary),
                                        recorded_.data() + row * row_bytes);
    });
    return peers_.recording->write(recorded_);
}

Result<void> check_base(const formats::KlBase& base, std::int64_t vocabulary, std::int64_t chunk_tokens,
                        std::int64_t chunks) {
    const formats::KlBaseShape& shape = base.shape();
    if (shape.vocabulary != vocabulary) {
        return Error{ErrorCode::invalid_argument,
                     fmt::format("{} is of a model with {} tokens in its vocabulary; this one has {}",
                                 formats::printable_path(base.path()), shape.vocabulary, vocabulary),
                     "compare models that share a vocabulary"};
    }
    if (shape.chunk_tokens != chunk_tokens || shape.chunks < chunks) {
        return Error{ErrorCode::invalid_argument,
                     fmt::format("{} holds {} chunks of {} tokens, not {} of {}", formats::printable_path(base.path()),
                                 shape.chunks, shape.chunk_tokens, chunks, chunk_tokens),
                     "measure the base's own chunks"};
    }
    return {};
}

}  // namespace

std::int64_t perplexity_positions(const PerplexityOptions& options) {
    return lay_out_chunks(options.chunk_tokens, options.batch_rows).chunks * whole_blocks(options.chunk_tokens);
}

Result<std::int64_t> perplexity_chunks(std::size_t tokens, const PerplexityOptions& options) {
    if (options.chunk_tokens < 3 || options.batch_rows < 1) {
        return Error{ErrorCode::invalid_argument, fmt::format("a chunk of {} tokens scores none", options.chunk_tokens),
                     "take chunks of at least 3 tokens"};
    }
    const std::int64_t chunks = static_cast<std::int64_t>(tokens) / options.chunk_tokens;
    if (chunks == 0) return text_too_short(tokens, options.chunk_tokens);
    return options.max_chunks > 0 ? std::min(chunks, options.max_chunks) : chunks;
}

Result<PerplexityResult> measure_perplexity(Evaluator& measured, const PerplexityPeers& peers, base::ThreadPool& pool,
                                            std::span<const TokenId> tokens, std::optional<TokenId> begin,
                                            const PerplexityOptions& options, const PerplexityProgress& progress) {
    PUNA_TRY(const std::int64_t chunks, perplexity_chunks(tokens.size(), options));
    if (peers.base != nullptr) {
        PUNA_CHECK(check_base(*peers.base, measured.model().dimensions().vocabulary, options.chunk_tokens, chunks));
    }
    Measurement measurement(measured, peers, pool, tokens, begin, options);
    const std::int64_t group = lay_out_chunks(options.chunk_tokens, options.batch_rows).chunks;
    for (std::int64_t first = 0; first < chunks; first += group) {
        const std::int64_t count = std::min(group, chunks - first);
        PUNA_CHECK(measurement.score_chunks(first, count));
        if (progress && !progress(estimate(measurement.tally(), first + count), chunks)) {
            return Error{ErrorCode::cancelled, fmt::format("interrupted after {} of {} chunks", first + count, chunks),
                         ""};
        }
    }
    PerplexityResult result = estimate(measurement.tally(), chunks);
    result.divergence = measurement.tally().divergence();
    return result;
}

}  // namespace puna::convert
