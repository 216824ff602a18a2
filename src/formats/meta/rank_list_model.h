// What Llama 3's `tokenizer.model` leaves out (docs/formats/rank-list.md).
#pragma once

#include "formats/huggingface/vocabulary.h"

namespace puna::formats::meta {

/// How Llama 3 cuts text, and the 256 special tokens that its code puts behind the ranks; with `scaled_rope` those of
/// Llama 3.1 and later, which name more of them.
huggingface::RankListModel llama3_rank_list(bool scaled_rope);

}  // namespace puna::formats::meta
