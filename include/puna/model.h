// A model file, opened and ready to be run by an Engine.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "puna/chat.h"
#include "puna/error.h"

namespace puna {

using TokenId = std::int32_t;

/// How text becomes token ids.
struct EncodeOptions {
    bool add_bos = true;         ///< put the begin token first, where the model wants one
    bool parse_special = false;  ///< read `<|...|>` and the like as control tokens; user text should not be
};

/// How token ids become text.
struct DecodeOptions {
    bool special = false;  ///< also print control tokens
};

/// Where a model's weights lie while it is used. As it stands, they are mapped, and read as they are needed.
struct WeightMemory {
    bool mapped = true;     ///< false: read into memory of their own first, in large pages where the system has them
    bool locked = false;    ///< never paged out; an error where the system does not allow it
    bool prefault = false;  ///< a thread fetches mapped weights from the start, if they fit into the available memory
    std::string numa = {};  ///< "interleave" over all memory nodes, or "node=N"; empty: as the system does it
    /// Bytes read so far, and of all files; on the thread that calls `load`. Only while unmapped weights are read.
    std::function<void(std::uint64_t done, std::uint64_t all)> progress = {};
};

struct LoadOptions {
    // What files of the formats before GGUF, and Meta's, do not say; without it, usual values are taken.
    std::optional<double> norm_epsilon;
    std::optional<double> rope_base;
    std::optional<std::uint32_t> kv_heads;
    std::optional<std::uint32_t> context;  ///< tokens that the model was made for
    WeightMemory memory = {};
};

/// What a model file says about itself.
struct ModelInfo {
    std::string path;
    std::string name;          ///< may be empty
    std::string architecture;  ///< "llama", ...
    std::uint64_t parameters = 0;
    std::uint64_t file_bytes = 0;         ///< of all shards together
    std::uint64_t assembled_bytes = 0;    ///< of weights that had to be put together in memory, beside the file
    std::uint32_t context_tokens = 0;     ///< that the model was made for
    std::uint32_t vocabulary_tokens = 0;  ///< ids run from 0 to this less one
    std::uint32_t embedding_length = 0;
    std::uint32_t feed_forward_length = 0;
    std::uint32_t block_count = 0;
    std::uint32_t head_count = 0;
    std::uint32_t head_count_kv = 0;
    std::string chat_template;  ///< Jinja source; empty if none
    bool runnable = false;      ///< this build can run it
    Error why_not;              ///< set if not runnable
    struct TypeShare {
        std::uint64_t tensors = 0;
        std::uint64_t bytes = 0;
    };
    std::map<std::string, TypeShare> types;  ///< by tensor type name
};

/// An opened model. Cheap to copy: copies share the mapping. All members are thread-safe.
///
/// Weights are memory-mapped and used as they lie; opening costs no conversion pass. The mapping lives as long as the
/// last copy or the last engine that uses it.
class Model {
  public:
    /// Opens `path`; for a sharded file, any shard. A file that puna cannot run still opens, so that it can be looked
    /// at: see `ModelInfo::runnable`. Errors: file_not_found, file_unreadable, file_malformed, unsupported_format,
    /// invalid_argument (options for a file that states its own values; no such NUMA node), out_of_memory.
    static Result<Model> load(const std::string& path, const LoadOptions& options = {});

    const ModelInfo& info() const;

    /// Bytes of KV cache for `context_tokens` positions with `kv_type` ("f16", "f32" or "q8_0"); 0 for a model that
    /// cannot run, or whose heads do not fit the type.
    std::uint64_t kv_bytes(std::uint64_t context_tokens, std::string_view kv_type) const;
    /// Bytes of working memory that an engine needs for batches of `batch_size` tokens.
    std::uint64_t workspace_bytes(std::uint32_t batch_size) const;
    /// Bytes that the process takes at most while `context_tokens` positions are in use: the file, what was assembled,
    /// the KV cache, and beside them 32 MiB + batch_size x (12 feed_forward_length + 32 embedding_length); 0 where
    /// `kv_bytes` is 0. Of large vocabularies (256,000 tokens) and many threads (over 32) a little may come on
    /// top.
    std::uint64_t peak_bytes(std::uint64_t context_tokens, std::string_view kv_type, std::uint32_t batch_size) const;

    /// The ids of `text`. Any bytes are accepted. Errors: unsupported_tokenizer.
    Result<std::vector<TokenId>> encode(std::string_view text, EncodeOptions options = {}) const;
    /// The ids of a conversation, by the model's own chat template; to be used as a prompt as they are. Control tokens
    /// come from the template alone: a message that spells one out is text. Templates that ask for the date get
    /// today's. Errors: unsupported_format (there is no template), file_malformed (one that cannot be read),
    /// invalid_argument (what the template says about the messages; tools that are no JSON array),
    /// unsupported_tokenizer.
    Result<std::vector<TokenId>> encode_chat(std::span<const ChatMessage> messages, ChatOptions options = {}) const;
    /// The text of `ids`, with U+FFFD for bytes that are not UTF-8. Errors: invalid_argument for an id out of range.
    Result<std::string> decode(std::span<const TokenId> ids, DecodeOptions options = {}) const;
    /// Token `id` as the vocabulary stores it. Errors: invalid_argument for an id out of range.
    Result<std::string> piece(TokenId id) const;

    struct Impl;
    explicit Model(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
    const std::shared_ptr<const Impl>& impl() const { return impl_; }

  private:
    std::shared_ptr<const Impl> impl_;
};

}  // namespace puna
