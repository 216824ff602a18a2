// Decides which tokens of which requests a step evaluates, and runs the step.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/request_state.h"
#include "models/model.h"
#include "nn/batch.h"
#include "nn/kv_cache.h"

namespace puna::engine {

/// Continuous batching: a step holds the next token of every request that generates, and as much of the prompts of the
/// others as the batch has room for. Requests join and leave between steps; they are admitted in the order in which
/// they came, each when the cache has room for all it may come to need, so that an admitted request never waits again.
///
/// What a request leaves in the cache stays there as long as nobody needs the room, and a later one that begins with
/// the same tokens takes it over.
///
/// For one thread at a time (the compute thread).
class Scheduler {
  public:
    struct Limits {
        std::int64_t batch_rows = 512;
        std::int64_t cache_positions = 0;  // of all requests together
        std::int64_t vocabulary = 0;       // of the model: the length of a row of logits
    };
    /// Runner and cache must outlive the scheduler.
    Scheduler(models::Model::Runner& runner, nn::KvCache& cache, Limits limits);
    /// Requests that have not ended are cancelled.
    ~Scheduler();

    void add(std::unique_ptr<RequestState> request);
    bool idle() const { return queued_.empty() && running_.empty(); }
    /// Does one step: drops what was cancelled, admits what fits, evaluates one batch and tells the requests.
    void step();
    /// Ends all requests with `error`.
    void fail_all(const Error& error);
    /// Ends all requests as cancelled.
    void cancel_all();

  private:
    /// The rows of one request in the batch.
    struct Part {
        RequestState* request;
        std::int64_t rows;
        bool logits;
    };
    /// The keys and values that an ended request left.
    struct Leftover {
        std::int32_t sequence;
        std::vector<TokenId> tokens;
    };
    void drop_cancelled();
    void admit();
    void form_batch();
    void add_part(RequestState& request, std::int64_t room);
    void evaluate();
    /// Evaluates parts whose batch failed because of one of them: each alone.
    void evaluate_apart();
    Result<void> forward(std::span<const Part> parts);
    void deliver_sessions();
    void remove_finished();
    void leave(const RequestState& request);
    void evict(std::size_t leftover);
    /// The place in `leftovers_` of the one worth taking over for the request; nullopt if none is.
    std::optional<std::size_t> match(const RequestState& request) const;
    bool make_room(std::int64_t blocks, std::optional<std::size_t>& keep);
    void start(RequestState& request, std::optional<std::size_t> leftover);
    std::int64_t blocks_of(const RequestState& request) const;

    models::Model::Runner& runner_;
    nn::KvCache& cache_;
    Limits limits_;
    std::deque<std::unique_ptr<RequestState>> queued_;
    std::vector<std::unique_ptr<RequestState>> running_;
    std::vector<Leftover> leftovers_;  // the oldest first
    std::int64_t free_blocks_;         // of the cache, less leftovers and what the running requests may come to need

    std::vector<Part> parts_;
    nn::Batch batch_;
    std::vector<float> logits_;  // [parts that want them][vocabulary]
};

}  // namespace puna::engine
