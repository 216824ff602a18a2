#include "base/thread_pool.h"

#include <fmt/format.h>
#include <pthread.h>

#include <atomic>
#include <cassert>
#include <chrono>
#include <cstdint>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

#include "base/blocked_signals.h"
#include "base/cpu.h"
#include "base/try.h"

namespace puna::base {
namespace {

constexpr std::size_t kMaxThreads = 1024;
constexpr std::size_t kCacheLine = 64;  // bytes

// How long a thread spins before it sleeps. Longer than the serial work between two calls while a model runs, so that
// its threads are awake; too short to be seen in an idle process. With more threads than cores a spinning thread keeps
// a core from one that has work.
constexpr std::chrono::microseconds kSpin{200};
constexpr std::chrono::microseconds kSpinOversubscribed{0};

// A share is taken by half of it, half of the rest and so on; the last two parts are alike. Long parts read on from one
// to the next, as prefetching wants, and short ones at the end even out threads of different speed.
constexpr std::size_t kParts = 6;

/// Where a part of a share begins in [0, count); `part` = kParts: where the share ends.
std::size_t part_begin(std::size_t count, std::size_t shares, std::size_t share, std::size_t part) {
    constexpr std::size_t unit = std::size_t{1} << (kParts - 1);  // a share
    const std::size_t done = part == kParts ? unit : unit - (unit >> part);
    return count * (unit * share + done) / (unit * shares);
}

// Tells the core that it spins: it takes less from its neighbours, and leaves the loop without a mispredicted load.
void relax() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("isb" ::: "memory");
#endif
}

// True once `ready()` is; false if `limit` passed first. The clock is asked only after about a microsecond.
template <typename Condition>
bool spin_until(Condition ready, std::chrono::nanoseconds limit) {
    const auto burst = [&ready] {
        for (int i = 0; i < 32; ++i) {
            if (ready()) return true;
            relax();
        }
        return false;
    };
    if (burst()) return true;
    const auto deadline = std::chrono::steady_clock::now() + limit;
    do {
        if (burst()) return true;
    } while (std::chrono::steady_clock::now() < deadline);
    return false;
}

/// Returns once `ready()` is true: spins for `limit`, then sleeps on `counter`, which tells of what makes it so.
template <typename Condition>
void wait_until(Condition ready, const std::atomic<std::uint32_t>& counter, std::chrono::nanoseconds limit) {
    while (true) {
        const std::uint32_t seen = counter.load(std::memory_order_acquire);
        if (spin_until(ready, limit)) return;
        counter.wait(seen, std::memory_order_acquire);
    }
}

}  // namespace

// A call publishes `task` and `count`, then `remaining`; whoever decrements `remaining` from a positive value owns one
// index. A run ends when as many indices are done as were published, so:
// - `task` and `count` are read only by a thread that owns an index which is not done yet, and written only when there
//   is none: a thread that comes late finds `remaining` at zero or below and touches nothing, or owns an index of the
//   next call and sees that call's task.
// - nobody waits for a thread that sleeps: the caller does the work itself.
struct ThreadPool::State {
    // One cache line, for it changes hands as a whole at each claim.
    alignas(kCacheLine) std::atomic<std::int64_t> remaining{0};  // indices that nobody owns; negative: late claims
    std::atomic<std::uint32_t> epoch{0};                         // counts the calls; idle workers watch it
    std::atomic<bool> stopping{false};
    std::size_t count = 0;
    const Task* task = nullptr;

    // Another, which workers write and the caller watches.
    alignas(kCacheLine) std::atomic<std::size_t> done{0};  // indices of this call done by workers
    std::atomic<std::uint32_t> reports{0};                 // counts the changes of `done`; 32 bits, to sleep on

    alignas(kCacheLine) std::atomic<std::uint32_t> first_done{0};  // indices of this call's first stage that are done

    struct alignas(kCacheLine) Share {
        std::atomic<std::size_t> taken{0};  // parts of it; more than it has: claims that found none
    };
    std::vector<Share> shares;  // [size()]

    alignas(kCacheLine) std::chrono::nanoseconds spin{0};
    std::vector<std::uint32_t> cores;  // [size()] of a pinned pool, the caller's first; else empty
    std::vector<std::thread> workers;

    std::size_t work(std::size_t worker);
    void serve(std::size_t worker);
    void join_workers(std::size_t expected);
    void finish_first(std::size_t expected);
    void await_first(std::size_t expected) const;
    void stop();
};

/// Claims and runs indices until none is left; returns how many it ran.
std::size_t ThreadPool::State::work(std::size_t worker) {
    std::size_t ran = 0;
    while (remaining.load(std::memory_order_relaxed) > 0) {
        const std::int64_t left = remaining.fetch_sub(1, std::memory_order_acq_rel);
        if (left <= 0) break;
        (*task)(count - static_cast<std::size_t>(left), worker);
        ++ran;
    }
    return ran;
}

/// The life of a worker.
void ThreadPool::State::serve(std::size_t worker) {
    std::uint32_t seen = 0;
    while (true) {
        const auto called = [&] { return epoch.load(std::memory_order_acquire) != seen; };
        if (!spin_until(called, spin)) epoch.wait(seen, std::memory_order_acquire);
        seen = epoch.load(std::memory_order_acquire);
        if (stopping.load(std::memory_order_relaxed)) return;
        if (const std::size_t ran = work(worker); ran > 0) {
            done.fetch_add(ran, std::memory_order_release);
            reports.fetch_add(1, std::memory_order_seq_cst);
            reports.notify_one();
        }
    }
}

/// Returns once workers have done `expected` indices of this call.
void ThreadPool::State::join_workers(std::size_t expected) {
    wait_until([&] { return done.load(std::memory_order_acquire) == expected; }, reports, spin);
}

/// Says that one of the `expected` indices of the first stage is done.
void ThreadPool::State::finish_first(std::size_t expected) {
    if (first_done.fetch_add(1, std::memory_order_seq_cst) + 1 == expected) first_done.notify_all();
}

/// Returns once all of the first stage is done. Nobody waits in vain: indices are claimed in order, so that whoever
/// owns a later one knows all of the first stage to be with threads that are awake.
void ThreadPool::State::await_first(std::size_t expected) const {
    wait_until([&] { return first_done.load(std::memory_order_acquire) == expected; }, first_done, spin);
}

void ThreadPool::State::stop() {
    stopping.store(true, std::memory_order_relaxed);
    epoch.fetch_add(1, std::memory_order_seq_cst);
    epoch.notify_all();
    for (std::thread& worker : workers)
        worker.join();
}

ThreadPool::ThreadPool(std::unique_ptr<State> state) : state_(std::move(state)) {}

ThreadPool::~ThreadPool() {
    state_->stop();
}

Result<void> ThreadPool::check_pinned(std::size_t threads) {
    const std::size_t cores = allowed_cpus().size();
    if (threads <= cores) return {};
    return Error{ErrorCode::invalid_argument, fmt::format("{} threads cannot be pinned to {} cores", threads, cores),
                 "use fewer threads, or do not pin them"};
}

Result<std::unique_ptr<ThreadPool>> ThreadPool::create(std::size_t threads, const ThreadOptions& options) {
    if (threads == 0 || threads > kMaxThreads) {
        return Error{ErrorCode::invalid_argument, fmt::format("{} threads cannot be used", threads),
                     fmt::format("choose 1 to {} threads", kMaxThreads)};
    }
    auto state = std::make_unique<State>();
    if (options.pinned) {
        PUNA_CHECK(check_pinned(threads));
        state->cores = allowed_cpus();
        state->cores.resize(threads);
    }
    state->spin = threads > usable_cores() ? kSpinOversubscribed : kSpin;
    if (options.spin_microseconds) state->spin = std::chrono::microseconds(*options.spin_microseconds);
    state->workers.reserve(threads - 1);
    state->shares = std::vector<State::Share>(threads);
    const BlockedSignals blocked;
    try {
        for (std::size_t worker = 1; worker < threads; ++worker) {
            state->workers.emplace_back([&pool = *state, worker] {
                const CpuScope pinned_to = pool.cores.empty() ? CpuScope() : CpuScope({&pool.cores[worker], 1});
                pool.serve(worker);
            });
            pthread_setname_np(state->workers.back().native_handle(), "puna-worker");
        }
    } catch (const std::exception& failure) {  // std::system_error, std::bad_alloc
        const std::size_t started = state->workers.size() + 1;
        state->stop();
        return Error{ErrorCode::out_of_memory,
                     fmt::format("the system gives {} of {} threads: {}", started, threads, failure.what()),
                     "use fewer threads, or raise the limit of processes (ulimit -u)"};
    }
    return std::unique_ptr<ThreadPool>(new ThreadPool(std::move(state)));
}

std::size_t ThreadPool::size() const {
    return state_->workers.size() + 1;
}

CpuScope ThreadPool::pin_caller() const {
    return state_->cores.empty() ? CpuScope() : CpuScope({state_->cores.data(), 1});
}

void ThreadPool::run_indices(std::size_t count, Task task) {
    State& state = *state_;
    if (count <= 1 || state.workers.empty()) {
        for (std::size_t index = 0; index < count; ++index)
            task(index, 0);
        return;
    }
    assert(count <= static_cast<std::size_t>(INT64_MAX));
    state.task = &task;
    state.count = count;
    state.done.store(0, std::memory_order_relaxed);
    state.remaining.store(static_cast<std::int64_t>(count), std::memory_order_release);
    state.epoch.fetch_add(1, std::memory_order_seq_cst);
    state.epoch.notify_all();
    const std::size_t ran = state.work(0);
    state.join_workers(count - ran);
}

void ThreadPool::run(std::size_t count, Task task, const FirstStage& first) {
    if (first.count <= 1) {  // the caller does it before it calls anyone: nobody has to see it done
        if (first.count == 1) first.task(0, 0);
        return run_indices(count, task);
    }
    assert(first.count <= UINT32_MAX);
    state_->first_done.store(0, std::memory_order_relaxed);
    run_indices(first.count + count, [&](std::size_t index, std::size_t worker) {
        if (index < first.count) {
            first.task(index, worker);
            state_->finish_first(first.count);
        } else {
            state_->await_first(first.count);
            task(index - first.count, worker);
        }
    });
}

void ThreadPool::run_shares(std::size_t count, RangeTask task, const FirstStage& first) {
    std::vector<State::Share>& shares = state_->shares;
    for (State::Share& share : shares)
        share.taken.store(0, std::memory_order_relaxed);
    const auto take_parts = [&](std::size_t share, std::size_t worker) {
        while (shares[share].taken.load(std::memory_order_relaxed) < kParts) {
            const std::size_t part = shares[share].taken.fetch_add(1, std::memory_order_relaxed);
            if (part >= kParts) return;
            const std::size_t begin = part_begin(count, shares.size(), share, part);
            const std::size_t end = part_begin(count, shares.size(), share, part + 1);
            if (begin < end) task(begin, end, worker);
        }
    };
    // An index is a thread's turn: it ends when no part is left. Who sleeps through it leaves its share to others.
    const auto take_turn = [&](std::size_t, std::size_t worker) {
        for (std::size_t i = 0; i < shares.size(); ++i)
            take_parts((worker + i) % shares.size(), worker);
    };
    run(count == 0 ? 0 : shares.size(), take_turn, first);
}

}  // namespace puna::base
