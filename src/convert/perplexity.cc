#include "convert/perplexity.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "base/try.h"

namespace puna::convert {
namespace {

/// What one scored prediction gives.
struct Score {
    double nll = 0;         // -ln p(the token that follows)
    double divergence = 0;  // KL(reference || measured)
    bool same_top = false;
};

/// ln of the sum of exp over a row of logits, and the first of its largest.
struct RowSummary {
    double log_sum;
    std::size_t top;
};

RowSummary summarize(std::span<const float> logits) {
    const auto top = std::max_element(logits.begin(), logits.end());
    double sum = 0;
    for (const float x : logits)
        sum += std::exp(static_cast<double>(x) - *top);
    return {*top + std::log(sum), static_cast<std::size_t>(top - logits.begin())};
}

Score score_row(std::span<const float> logits, TokenId next) {
    return {.nll = summarize(logits).log_sum - logits[static_cast<std::size_t>(next)]};
}

Score score_row(std::span<const float> logits, std::span<const float> reference, TokenId next) {
    const RowSummary p = summarize(reference);
    const RowSummary q = summarize(logits);
    double divergence = 0;
    for (std::size_t i = 0; i < logits.size(); ++i) {
        const double log_p = reference[i] - p.log_sum;
        const double log_q = logits[i] - q.log_sum;
        divergence += std::exp(log_p) * (log_p - log_q);
    }
    return {.nll = q.log_sum - logits[static_cast<std::size_t>(next)],
            .divergence = divergence,
            .same_top = p.top == q.top};
}

/// Sums over predictions, in their order in the text.
class Tally {
  public:
    explicit Tally(bool with_divergence) : with_divergence_(with_divergence) {}

    void add(const Score& score) {
        ++count_;
        sum_ += score.nll;
        sum_of_squares_ += score.nll * score.nll;
        if (!with_divergence_) return;
        divergences_.push_back(score.divergence);
        same_top_ += score.same_top ? 1 : 0;
    }

    /// Without the divergence, which takes a sort.
    PerplexityResult estimate(std::int64_t chunks) const {
        const auto n = static_cast<double>(count_);
        const double mean = sum_ / n;
        const double variance = sum_of_squares_ / n - mean * mean;
        PerplexityResult result;
        result.perplexity = std::exp(mean);
        if (count_ > 1 && variance > 0) result.standard_error = std::sqrt(variance / (n - 1)) * result.perplexity;
        result.tokens_scored = count_;
        result.chunks = chunks;
        return result;
    }

    PerplexityResult result(std::int64_t chunks) const {
        PerplexityResult result = estimate(chunks);
        if (with_divergence_) result.divergence = divergence();
        return result;
    }

  private:
    Divergence divergence() const {
        std::vector<double> sorted = divergences_;
        std::sort(sorted.begin(), sorted.end());
        const double place = 0.99 * static_cast<double>(sorted.size() - 1);
        const auto below = static_cast<std::size_t>(place);
        const std::size_t above = std::min(below + 1, sorted.size() - 1);
        const double fraction = place - static_cast<double>(below);
        double sum = 0;
        for (const double d : divergences_)
            sum += d;
        const auto n = static_cast<double>(count_);
        return {.mean = sum / n,
                .p99 = (1 - fraction) * sorted[below] + fraction * sorted[above],
                .same_top = static_cast<double>(same_top_) / n};
    }

    bool with_divergence_;
    std::int64_t count_ = 0;
    double sum_ = 0;
    double sum_of_squares_ = 0;
    std::vector<double> divergences_;  // [count_]
    std::int64_t same_top_ = 0;
};

/// How chunks are laid into steps: `chunks` of them side by side, `span` positions of each a step.
struct Layout {
    std::int64_t chunks;
    std::int64_t span;
};

Layout layout(const PerplexityOptions& options) {
    const std::int64_t chunks = std::max<std::int64_t>(1, options.batch_rows / options.chunk_tokens);
    return {chunks, std::min(options.chunk_tokens, options.batch_rows / chunks)};
}

/// The measurement at work: chunks [first, first + n) go through both evaluators, step by step.
class Measurement {
  public:
    Measurement(Evaluator& measured, Evaluator* reference, base::ThreadPool& pool, std::span<const TokenId> tokens,
                std::optional<TokenId> begin, const PerplexityOptions& options)
        : measured_(measured),
          reference_(reference),
          pool_(pool),
          tokens_(tokens),
          begin_(begin),
          options_(options),
          tally_(reference != nullptr) {}

    Result<void> score_chunks(std::int64_t first, std::int64_t count);
    const Tally& tally() const { return tally_; }

  private:
    /// A sequence of each chunk in an evaluator's cache, given back at the end.
    class Slots {
      public:
        Slots(nn::KvCache& cache, std::int64_t count) : cache_(cache) {
            for (std::int64_t i = 0; i < count; ++i)
                slots_.push_back(cache.add_sequence());
        }
        ~Slots() {
            for (const std::int32_t slot : slots_)
                cache_.remove_sequence(slot);
        }
        Slots(const Slots&) = delete;
        Slots& operator=(const Slots&) = delete;
        std::int32_t operator[](std::int64_t i) const { return slots_[static_cast<std::size_t>(i)]; }
        Result<void> reserve(std::int64_t positions) {
            for (const std::int32_t slot : slots_)
                PUNA_CHECK(cache_.reserve(slot, positions));
            return {};
        }

      private:
        nn::KvCache& cache_;
        std::vector<std::int32_t> slots_;
    };

    bool is_scored(std::int64_t position) const {
        return position >= options_.chunk_tokens / 2 && position + 1 < options_.chunk_tokens;
    }
    TokenId token(std::int64_t chunk, std::int64_t position) const {
        if (position == 0 && begin_) return *begin_;
        return tokens_[static_cast<std::size_t>(chunk * options_.chunk_tokens + position)];
    }
    nn::Batch batch(std::int64_t first, std::int64_t count, std::int64_t from, std::int64_t to,
                    const Slots& slots) const;
    void score_rows(std::span<const float> logits, std::span<const float> reference);

    Evaluator& measured_;
    Evaluator* reference_;
    base::ThreadPool& pool_;
    std::span<const TokenId> tokens_;
    std::optional<TokenId> begin_;
    PerplexityOptions options_;
    Tally tally_;
    std::vector<TokenId> next_;               // [scored rows of the step]: the token that follows
    std::vector<std::int64_t> chunk_of_;      // [scored rows of the step]: the chunk, counted within the group
    std::vector<Score> step_scores_;          // [scored rows of the step]
    std::vector<std::vector<Score>> scores_;  // [chunk of the group][prediction]
};

nn::Batch Measurement::batch(std::int64_t first, std::int64_t count, std::int64_t from, std::int64_t to,
                             const Slots& slots) const {
    nn::Batch batch;
    for (std::int64_t c = 0; c < count; ++c) {
        for (std::int64_t position = from; position < to; ++position) {
            batch.add(token(first + c, position), position, slots[c], is_scored(position));
        }
    }
    return batch;
}

Result<void> Measurement::score_chunks(std::int64_t first, std::int64_t count) {
    const std::int64_t length = options_.chunk_tokens;
    const std::int64_t span = layout(options_).span;
    Slots slots(measured_.cache(), count);
    PUNA_CHECK(slots.reserve(length));
    std::optional<Slots> reference_slots;
    if (reference_ != nullptr) {
        reference_slots.emplace(reference_->cache(), count);
        PUNA_CHECK(reference_slots->reserve(length));
    }
    scores_.assign(static_cast<std::size_t>(count), {});
    for (std::int64_t from = 0; from < length; from += span) {
        const std::int64_t to = std::min(from + span, length);
        next_.clear();
        chunk_of_.clear();
        for (std::int64_t c = 0; c < count; ++c) {
            for (std::int64_t position = from; position < to; ++position) {
                if (!is_scored(position)) continue;
                next_.push_back(token(first + c, position + 1));
                chunk_of_.push_back(c);
            }
        }
        PUNA_TRY(const std::span<const float> logits, measured_.forward(batch(first, count, from, to, slots)));
        std::span<const float> reference;
        if (reference_ != nullptr) {
            PUNA_TRY(reference, reference_->forward(batch(first, count, from, to, *reference_slots)));
        }
        score_rows(logits, reference);
    }
    for (const std::vector<Score>& chunk : scores_) {
        for (const Score& score : chunk)
            tally_.add(score);
    }
    return {};
}

void Measurement::score_rows(std::span<const float> logits, std::span<const float> reference) {
    const auto vocabulary = static_cast<std::size_t>(measured_.model().dimensions().vocabulary);
    step_scores_.resize(next_.size());
    pool_.run(next_.size(), [&](std::size_t row, std::size_t) {
        const std::span<const float> q = logits.subspan(row * vocabulary, vocabulary);
        step_scores_[row] = reference_ == nullptr
                                ? score_row(q, next_[row])
                                : score_row(q, reference.subspan(row * vocabulary, vocabulary), next_[row]);
    });
    for (std::size_t row = 0; row < next_.size(); ++row) {
        scores_[static_cast<std::size_t>(chunk_of_[row])].push_back(step_scores_[row]);
    }
}

Error too_short(std::size_t tokens, std::int64_t chunk) {
    return {ErrorCode::text_too_short, fmt::format("the text has {} tokens, and one chunk takes {}", tokens, chunk),
            "take a longer text, or smaller chunks"};
}

}  // namespace

std::int64_t perplexity_positions(const PerplexityOptions& options) {
    return layout(options).chunks * whole_blocks(options.chunk_tokens);
}

Result<PerplexityResult> measure_perplexity(Evaluator& measured, Evaluator* reference, base::ThreadPool& pool,
                                            std::span<const TokenId> tokens, std::optional<TokenId> begin,
                                            const PerplexityOptions& options, const PerplexityProgress& progress) {
    if (options.chunk_tokens < 3 || options.batch_rows < 1) {
        return Error{ErrorCode::invalid_argument, fmt::format("a chunk of {} tokens scores none", options.chunk_tokens),
                     "take chunks of at least 3 tokens"};
    }
    std::int64_t chunks = static_cast<std::int64_t>(tokens.size()) / options.chunk_tokens;
    if (chunks == 0) return too_short(tokens.size(), options.chunk_tokens);
    if (options.max_chunks > 0) chunks = std::min(chunks, options.max_chunks);

    Measurement measurement(measured, reference, pool, tokens, begin, options);
    const std::int64_t group = layout(options).chunks;
    for (std::int64_t first = 0; first < chunks; first += group) {
        const std::int64_t count = std::min(group, chunks - first);
        PUNA_CHECK(measurement.score_chunks(first, count));
        if (progress && !progress(measurement.tally().estimate(first + count), chunks)) {
            return Error{ErrorCode::cancelled, fmt::format("interrupted after {} of {} chunks", first + count, chunks),
                         ""};
        }
    }
    return measurement.tally().result(chunks);
}

}  // namespace puna::convert
