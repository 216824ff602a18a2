// One step's work: tokens of one or several sequences.
#pragma once

#include <cstdint>
#include <vector>

namespace puna::nn {

/// Arrays run over the batch's rows. Rows of one sequence stand in ascending, consecutive positions; the cache already
/// holds blocks for them.
struct Batch {
    std::vector<std::int32_t> tokens;
    std::vector<std::int64_t> positions;
    std::vector<std::int32_t> sequences;     // slots of the KvCache
    std::vector<std::uint8_t> wants_logits;  // 1: the row's logits are computed

    std::int64_t rows() const { return static_cast<std::int64_t>(tokens.size()); }
    void add(std::int32_t token, std::int64_t position, std::int32_t sequence, bool logits) {
        tokens.push_back(token);
        positions.push_back(position);
        sequences.push_back(sequence);
        wants_logits.push_back(logits ? 1 : 0);
    }
    void clear() {
        tokens.clear();
        positions.clear();
        sequences.clear();
        wants_logits.clear();
    }
};

}  // namespace puna::nn
