// Runs requests on a model.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "puna/error.h"
#include "puna/model.h"
#include "puna/request.h"

namespace puna {

struct EngineOptions {
    /// 0: as many as there are cores for this process, and no more than those are put to work; at most 1,024.
    std::uint32_t threads = 0;
    std::uint32_t context_tokens = 0;  ///< 0: the model's, capped by memory (the engine reports what it took)
    std::uint32_t batch_size = 512;    ///< tokens of one step, 1 to 65,536
    /// "auto" (int16), "float32", "int16", "int8", "bf16" where the kernel set has it, or the id of a numeric law
    /// ("int/1"), which any set follows; docs/numerics.md.
    std::string activations = "auto";
    std::string kv_type = "f16";  ///< "f16", "f32" or "q8_0"
    std::string isa = "auto";     ///< a kernel set; PUNA_ISA in the environment decides where this is "auto"
    bool pin_threads = false;     ///< each thread stays on a core of its own; needs as many cores as threads
    /// How long a thread without work spins before it sleeps, up to a second. None: 200. Longer keeps threads awake
    /// between steps that come far apart, at the price of CPU time.
    std::optional<std::uint32_t> spin_microseconds;
    std::string numa = {};  ///< where threads and working memory lie; as WeightMemory::numa
};

/// What an engine settled on.
struct EngineInfo {
    std::uint32_t threads = 0;
    std::uint32_t context_tokens = 0;
    bool context_capped_by_memory = false;
    std::string kernels;      ///< "avx2", ...
    std::string activations;  ///< "int16", ...
    std::string kv_type;
    std::string law;  ///< the id of the numeric law: "int/1", "f32/1"
};

/// The events of one request. Movable; dropping it cancels the request. `next` is for one thread at a time, `cancel`
/// for any.
class Stream {
  public:
    /// Waits for the next event; nothing after Finished or Error.
    std::optional<Event> next();
    /// Asks the request to end soon; `next` then still gives a Finished with FinishReason::cancelled.
    void cancel();

    struct Impl;
    explicit Stream(std::shared_ptr<Impl> impl);
    Stream(Stream&&) noexcept;
    Stream& operator=(Stream&&) noexcept;
    ~Stream();

  private:
    std::shared_ptr<Impl> impl_;
};

/// Owns the compute threads and the KV cache. All members are thread-safe. Movable; destruction cancels what runs.
class Engine {
  public:
    /// Errors: invalid_argument, unsupported_isa, unsupported_activations, unsupported_architecture,
    /// unsupported_tensor_type, unsupported_tokenizer, file_malformed, out_of_memory.
    static Result<Engine> create(const Model& model, EngineOptions options = {});

    const EngineInfo& info() const;

    /// Queues a request; what it refers to is copied. Errors: invalid_argument (a parameter out of its range, a token
    /// id out of the vocabulary, a constraint that does not compile), session_mismatch (the request's session is of
    /// another model, KV type or law), file_changed, out_of_memory. All later errors are events: context_overflow,
    /// constraint_failed, invalid_number, file_changed.
    Result<Stream> submit(Request request);
    /// Whether `submit` would take the constraint: to know before there is a prompt. Errors: invalid_argument.
    Result<void> check(const Constraint& constraint) const;

    struct Impl;
    explicit Engine(std::unique_ptr<Impl> impl);
    Engine(Engine&&) noexcept;
    Engine& operator=(Engine&&) noexcept;
    ~Engine();

  private:
    std::unique_ptr<Impl> impl_;
};

}  // namespace puna
