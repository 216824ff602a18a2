#include "convert/chunked_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/try.h"

namespace puna::convert {

ChunkLayout lay_out_chunks(std::int64_t chunk_tokens, std::int64_t batch_rows) {
    const std::int64_t chunks = std::max<std::int64_t>(1, batch_rows / chunk_tokens);
    return {chunks, std::min(chunk_tokens, batch_rows / chunks)};
}

ChunkSlots::ChunkSlots(Evaluator& evaluator, std::int64_t count) : cache_(evaluator.cache()) {
    for (std::int64_t i = 0; i < count; ++i)
        slots_.push_back(cache_.add_sequence());
}

ChunkSlots::~ChunkSlots() {
    for (const std::int32_t slot : slots_)
        cache_.remove_sequence(slot);
}

Result<void> ChunkSlots::reserve(std::int64_t positions) {
    for (const std::int32_t slot : slots_)
        PUNA_CHECK(cache_.reserve(slot, positions));
    return {};
}

nn::Batch ChunkSlots::batch(const ChunkedText& text, std::int64_t first, std::int64_t from, std::int64_t to,
                            const std::function<bool(std::int64_t position)>& wants_logits) const {
    nn::Batch batch;
    for (std::size_t i = 0; i < slots_.size(); ++i) {
        const std::int64_t chunk = first + static_cast<std::int64_t>(i);
        for (std::int64_t position = from; position < to; ++position)
            batch.add(text.token(chunk, position), position, slots_[i], wants_logits(position));
    }
    return batch;
}

Error text_too_short(std::size_t tokens, std::int64_t chunk_tokens) {
    return {ErrorCode::text_too_short,
            fmt::format("the text has {} tokens, and one chunk takes {}", tokens, chunk_tokens),
            "take a longer text, or smaller chunks"};
}

}  // namespace puna::convert
