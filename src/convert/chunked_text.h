// A text cut into chunks that are evaluated each by itself, several of them side by side where a step has room.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "convert/evaluator.h"
#include "nn/batch.h"
#include "puna/error.h"
#include "puna/model.h"

namespace puna::convert {

/// Chunks of `chunk_tokens` tokens that do not overlap; an incomplete last one is dropped.
struct ChunkedText {
    std::span<const TokenId> tokens;  // the whole text
    std::optional<TokenId> begin;     // what replaces each chunk's first token
    std::int64_t chunk_tokens = 0;

    std::int64_t chunks() const { return static_cast<std::int64_t>(tokens.size()) / chunk_tokens; }
    TokenId token(std::int64_t chunk, std::int64_t position) const {
        if (position == 0 && begin) return *begin;
        return tokens[static_cast<std::size_t>(chunk * chunk_tokens + position)];
    }
};

/// How chunks are laid into steps of at most `batch_rows` rows: `chunks` of them side by side, `span` positions of each
/// a step. A step holds whole chunks, or a part of one.
struct ChunkLayout {
    std::int64_t chunks;
    std::int64_t span;
};
ChunkLayout lay_out_chunks(std::int64_t chunk_tokens, std::int64_t batch_rows);

/// A sequence for each of some chunks in an evaluator's cache, given back at the end.
class ChunkSlots {
  public:
    ChunkSlots(Evaluator& evaluator, std::int64_t count);
    ~ChunkSlots();
    ChunkSlots(const ChunkSlots&) = delete;
    ChunkSlots& operator=(const ChunkSlots&) = delete;

    /// Errors: those of KvCache::reserve.
    Result<void> reserve(std::int64_t positions);
    /// Positions [from, to) of the chunks [first, first + count). `wants_logits(position)`.
    nn::Batch batch(const ChunkedText& text, std::int64_t first, std::int64_t from, std::int64_t to,
                    const std::function<bool(std::int64_t position)>& wants_logits) const;

  private:
    nn::KvCache& cache_;
    std::vector<std::int32_t> slots_;  // [count]
};

/// The error for a text without a whole chunk.
Error text_too_short(std::size_t tokens, std::int64_t chunk_tokens);

}  // namespace puna::convert
