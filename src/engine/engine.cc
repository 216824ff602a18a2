#include "engine/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <new>
#include <system_error>
#include <utility>

#include "base/cpu.h"
#include "base/numa.h"
#include "base/try.h"
#include "engine/context_plan.h"
#include "kernels/kernel_table.h"

namespace puna::engine {
namespace {

constexpr std::uint32_t most_threads = 1024;
constexpr std::uint32_t most_spin_microseconds = 1'000'000;
constexpr std::uint32_t most_batch_rows = 65536;

Result<void> check_options(const EngineOptions& options) {
    if (options.threads > most_threads) {
        return Error{ErrorCode::invalid_argument,
                     fmt::format("threads is {}, and must be from 0 to {}", options.threads, most_threads),
                     "0 takes as many as there are cores for this process"};
    }
    if (options.batch_size < 1 || options.batch_size > most_batch_rows) {
        return Error{ErrorCode::invalid_argument,
                     fmt::format("batch_size is {}, and must be from 1 to {}", options.batch_size, most_batch_rows),
                     "512 is a usual value"};
    }
    if (options.spin_microseconds.value_or(0) > most_spin_microseconds) {
        return Error{ErrorCode::invalid_argument,
                     fmt::format("spin_microseconds is {}, and must be from 0 to {}", *options.spin_microseconds,
                                 most_spin_microseconds),
                     "200 is usual"};
    }
    return {};
}

// Short enough to need no memory itself.
Error out_of_memory() {
    return {ErrorCode::out_of_memory, "out of memory", ""};
}

}  // namespace

Result<std::unique_ptr<Engine>> Engine::create(std::shared_ptr<const models::Model> model,
                                               std::shared_ptr<const text::Tokenizer> tokenizer,
                                               const EngineOptions& options) {
    std::unique_ptr<Engine> engine(new Engine);
    engine->model_ = std::move(model);
    engine->tokenizer_ = std::move(tokenizer);
    PUNA_TRY(const base::NumaScope numa, base::NumaScope::enter(options.numa));  // which all threads inherit
    PUNA_CHECK(engine->set_up(options));
    try {
        engine->thread_ = std::thread([raw = engine.get()] { raw->compute(); });
    } catch (const std::system_error&) {
        return Error{ErrorCode::out_of_memory, "the system gives no more threads",
                     "end other processes, or raise its limit"};
    }
    return engine;
}

Result<void> Engine::set_up(const EngineOptions& options) {
    PUNA_CHECK(check_options(options));
    PUNA_TRY(const kernels::KernelTable* const kernels, kernels::select_kernels(options.isa));
    PUNA_TRY(const kernels::Activations activations, kernels::select_activations(options.activations, *kernels));
    PUNA_TRY(const kernels::KvType kv_type, kernels::select_kv_type(options.kv_type));
    if (options.pin_threads) PUNA_CHECK(base::ThreadPool::check_pinned(options.threads));
    const std::uint32_t threads = std::min(base::working_threads(options.threads), most_threads);

    const models::Dimensions& dimensions = model_->dimensions();
    const nn::KvCache::Shape shape = model_->kv_shape(kv_type);
    // No batch holds more rows than the context has positions.
    const auto rows_within = [&](std::int64_t context) { return std::min<std::int64_t>(options.batch_size, context); };
    const std::int64_t most_rows =
        rows_within(options.context_tokens == 0 ? dimensions.context : options.context_tokens);
    const MemoryNeeds memory{base::available_memory(), model_->file().file_bytes,
                             model_->workspace_bytes(most_rows, threads),
                             nn::KvCache::bytes_for(*kernels, shape, kernels::kv_block_positions)};
    PUNA_TRY(const ContextPlan plan, plan_context(options.context_tokens, dimensions.context, memory));
    const std::int64_t batch_rows = rows_within(plan.tokens);

    PUNA_TRY(pool_, base::ThreadPool::create(threads, {options.pin_threads, options.spin_microseconds}));
    PUNA_TRY(cache_, nn::KvCache::create(*kernels, shape, plan.tokens));
    PUNA_TRY(runner_, model_->create_runner({kernels, activations, pool_.get(), batch_rows}));
    scheduler_ = std::make_unique<Scheduler>(*runner_, *cache_,
                                             Scheduler::Limits{batch_rows, plan.tokens, dimensions.vocabulary});
    limits_ = {plan.tokens, std::min(dimensions.vocabulary, static_cast<std::int64_t>(tokenizer_->size()))};
    constraints_ = std::make_unique<ConstraintCompiler>(*tokenizer_, static_cast<std::size_t>(limits_.vocabulary));
    info_ = {threads,
             static_cast<std::uint32_t>(plan.tokens),
             plan.capped_by_memory,
             std::string(kernels->name),
             std::string(kernels::activations_name(activations)),
             std::string(kernels::kv_type_name(kv_type)),
             std::string(kernels::law_id(activations))};
    return {};
}

Engine::~Engine() {
    if (!thread_.joinable()) return;
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    changed_.notify_one();
    thread_.join();
}

Result<std::shared_ptr<EventChannel>> Engine::submit(Request request) {
    auto channel = std::make_shared<EventChannel>();
    RequestLimits limits = limits_;
    if (request.session || request.keep_session) {
        PUNA_TRY(limits.origin, origin());
    }
    auto state = prepare_request(std::move(request), *tokenizer_, limits, *constraints_, channel);
    if (!state.ok()) {
        if (state.error().code != ErrorCode::context_overflow) return std::move(state).error();
        channel->finish(std::move(state).error());
        return channel;
    }
    {
        const std::lock_guard lock(mutex_);
        incoming_.push_back(std::move(state).value());
    }
    changed_.notify_one();
    return channel;
}

Result<void> Engine::check(const Constraint& constraint) const {
    const auto compiled = constraints_->compile(constraint);
    if (!compiled.ok()) return compiled.error();
    return {};
}

Result<std::shared_ptr<const SessionOrigin>> Engine::origin() {
    const std::lock_guard lock(origin_mutex_);
    if (origin_ == nullptr) {
        PUNA_TRY(ModelFingerprint print, fingerprint(*model_, tokenizer_->vocabulary()));
        origin_ = std::make_shared<SessionOrigin>(
            SessionOrigin{std::move(print), info_.law, info_.kernels, cache_->shape().layer.type});
    }
    return origin_;
}

void Engine::compute() {
    const base::CpuScope core = pool_->pin_caller();
    while (true) {
        try {
            if (!take_over()) return scheduler_->cancel_all();
            scheduler_->step();
        } catch (const std::bad_alloc&) {
            scheduler_->fail_all(out_of_memory());
        }
    }
}

bool Engine::take_over() {
    std::unique_lock lock(mutex_);
    if (scheduler_->idle()) changed_.wait(lock, [&] { return stopping_ || !incoming_.empty(); });
    for (auto& request : incoming_)
        scheduler_->add(std::move(request));
    incoming_.clear();
    return !stopping_;
}

}  // namespace puna::engine
