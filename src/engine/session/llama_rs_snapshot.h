// Snapshots of LLaMA-rs (2023), one zstd stream: n_past (u64), the length of the penalty window (u64), the types of
// keys and of values (u32 each: 0 F16, 1 F32), then, each behind its length (u64): tokens (i32), logits of the last one
// (f32), the bytes of keys, the bytes of values. All little-endian. It says neither of which model it is nor which of
// two layouts its keys and values have: until April 2023 keys were kept before their rotation, and later values were
// transposed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "models/model.h"
#include "puna/error.h"
#include "puna/model.h"

namespace puna::engine {

/// Whether a file may be one: it is a zstd stream.
bool may_be_llama_rs_snapshot(std::span<const std::byte> file);

/// The tokens of a snapshot, after all its sizes were found to fit the model: vocabulary, layers, width, context. Keys
/// and values are looked over, not kept. Nothing larger than the model's context of tokens is allocated, whatever the
/// stream would become. Errors: unsupported_format (no zstd stream), file_malformed, session_mismatch (which size
/// differs), file_not_found, file_unreadable, out_of_memory.
Result<std::vector<TokenId>> read_llama_rs_snapshot(const std::string& path, const models::Dimensions& model);

}  // namespace puna::engine
