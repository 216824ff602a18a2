// Where a sequence stood when its request ended, in memory and on file.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "puna/error.h"
#include "puna/model.h"

namespace puna {

struct SamplingOptions;
struct SamplerState;

/// What a session says about itself.
struct SessionInfo {
    std::string architecture;  ///< of the model that it belongs to
    std::uint32_t block_count = 0;
    std::uint32_t embedding_length = 0;
    std::uint32_t head_count_kv = 0;
    std::uint32_t head_dimension = 0;
    std::uint32_t vocabulary_tokens = 0;
    std::string kernels;                 ///< that computed it; the bits do not depend on it
    std::string law;                     ///< the numeric law that it was computed by
    std::string kv_type;                 ///< "f16", "f32" or "q8_0"
    std::uint64_t tokens = 0;            ///< prompts and what was generated
    std::uint64_t evaluated = 0;         ///< tokens whose keys and values are here; all, or all but the last few
    bool has_logits = false;             ///< the next token can be drawn without evaluating anything
    std::uint64_t draws = 0;             ///< random numbers used up
    std::uint64_t bytes = 0;             ///< of its file, as this build writes it without compression
    std::uint64_t compressed_bytes = 0;  ///< of the file that it was loaded from, if that is compressed
};

/// How a session's file is written. zstd makes keys and values smaller by about a tenth, and what is read is the same.
enum class SessionCompression : std::uint8_t { none, zstd };

/// All that it takes to go on as if the request had never ended: token ids, their keys and values, logits of the last
/// one, sampling parameters, seed and draws. `Finished` carries one where the request asked for it
/// (`Request::keep_session`), and `Request::session` goes on from one. Immutable and cheap to copy: copies share the
/// keys and values. Thread-safe.
///
/// A session belongs to the model whose engine made it: `Engine::submit` checks. Its file is described in
/// docs/formats/session.md.
class Session {
  public:
    /// Reads and verifies a file. Errors: file_not_found, file_unreadable, file_malformed (which part is damaged),
    /// unsupported_format, out_of_memory.
    static Result<Session> load(const std::string& path);
    /// The tokens of a snapshot of LLaMA-rs, to be evaluated anew: its keys and values lie in one of two layouts, and
    /// it does not say which, nor of which model it is; its sizes must fit `model`. Errors: unsupported_format,
    /// file_malformed, session_mismatch (which size differs), file_not_found, file_unreadable, out_of_memory.
    static Result<std::vector<TokenId>> read_llama_rs(const std::string& path, const Model& model);
    /// Replaces the file at `path` as a whole, or leaves it as it was. The file is its owner's alone. Returns its
    /// bytes. Compression needs memory for what it makes. Errors: io_error, out_of_memory.
    Result<std::uint64_t> save(const std::string& path,
                               SessionCompression compression = SessionCompression::none) const;

    /// Whether `model` is the one that made it: the check that `Engine::submit` makes of models; it reads a little of
    /// each tensor. Errors: session_mismatch (which part differs), file_changed, and the model's own if it does not
    /// run.
    Result<void> check_model(const Model& model) const;

    SessionInfo info() const;
    const std::vector<TokenId>& tokens() const;
    /// The parameters of the request that made it, its seed among them.
    const SamplingOptions& sampling() const;
    /// Where the draws, mirostat and adaptive-p stood.
    const SamplerState& sampler_state() const;
    /// Bytes that a program keeps with the session; the library does not look at them. Empty if there are none.
    const std::string& attachment() const;
    Session with_attachment(std::string attachment) const;

    /// What stands behind it is the engine's own affair.
    struct Impl {
        virtual ~Impl() = default;
    };
    explicit Session(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
    const std::shared_ptr<const Impl>& impl() const { return impl_; }

  private:
    std::shared_ptr<const Impl> impl_;
};

}  // namespace puna
