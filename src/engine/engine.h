// The engine: a model, a KV cache, and the one thread that computes on them for many requests.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/thread_pool.h"
#include "engine/constraint_compiler.h"
#include "engine/event_channel.h"
#include "engine/prepare_request.h"
#include "engine/scheduler.h"
#include "models/model.h"
#include "nn/kv_cache.h"
#include "puna/engine.h"
#include "text/tokenizer/tokenizer.h"

namespace puna::engine {

/// All members are thread-safe. Destruction cancels what runs and waits for the step under way.
///
/// Callers' threads check and tokenize; the compute thread takes requests over between two steps. It alone touches the
/// scheduler, the runner, the cache and the pool, so that none of them needs a lock.
class Engine {
  public:
    /// Keeps model and tokenizer alive. Errors: invalid_argument, unsupported_isa, unsupported_activations,
    /// out_of_memory.
    static Result<std::unique_ptr<Engine>> create(std::shared_ptr<const models::Model> model,
                                                  std::shared_ptr<const text::Tokenizer> tokenizer,
                                                  const EngineOptions& options);
    ~Engine();
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;

    const EngineInfo& info() const { return info_; }

    /// Errors: invalid_argument, session_mismatch, file_changed. A prompt that does not fit is an event of the channel,
    /// as all later errors are.
    Result<std::shared_ptr<EventChannel>> submit(Request request);
    /// Whether the constraint compiles. Errors: invalid_argument.
    Result<void> check(const Constraint& constraint) const;

  private:
    Engine() = default;
    Result<void> set_up(const EngineOptions& options);
    /// What sessions of this engine come from. Looks at the weights on the first call.
    Result<std::shared_ptr<const SessionOrigin>> origin();
    void compute();
    /// Hands new requests to the scheduler, waiting for one if there is nothing to do. False: it is time to stop.
    bool take_over();

    std::shared_ptr<const models::Model> model_;
    std::shared_ptr<const text::Tokenizer> tokenizer_;
    EngineInfo info_;
    RequestLimits limits_;
    std::unique_ptr<ConstraintCompiler> constraints_;

    // In order of dependence: the pool outlives the runner, and both the scheduler.
    std::unique_ptr<base::ThreadPool> pool_;
    std::unique_ptr<nn::KvCache> cache_;
    std::unique_ptr<models::Model::Runner> runner_;
    std::unique_ptr<Scheduler> scheduler_;

    std::mutex origin_mutex_;  // guards the one below
    std::shared_ptr<const SessionOrigin> origin_;
    std::mutex mutex_;  // guards the two below
    std::vector<std::unique_ptr<RequestState>> incoming_;
    bool stopping_ = false;
    std::condition_variable changed_;
    std::thread thread_;
};

}  // namespace puna::engine
