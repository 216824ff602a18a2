// Fork-join over a fixed set of threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "base/cpu.h"
#include "base/function_ref.h"
#include "puna/error.h"

namespace puna::base {

/// How the threads of a pool behave; no choice changes what they compute.
struct ThreadOptions {
    bool pinned = false;  ///< each worker stays on a core of its own among those that the calling thread may use
    /// How long a thread without work spins before it sleeps. None: 200, or 0 with more threads than usable cores.
    std::optional<std::uint32_t> spin_microseconds;
};

/// What a call begins with: `task` for each index in [0, count). All of it is done, and what it wrote is seen, before
/// the first task of the call itself; that takes no fork and join of its own.
struct FirstStage {
    static constexpr auto nothing = [](std::size_t, std::size_t) {};
    std::size_t count = 0;
    FunctionRef<void(std::size_t index, std::size_t worker)> task = nothing;
};

/// `size() - 1` workers and the caller. Workers spin briefly between calls, then sleep, so an idle pool burns no CPU.
/// `run` is for one thread at a time, and never waits for a worker that sleeps: the caller takes the indices itself.
/// What was written before `run` is seen by the tasks, and what they wrote by the caller. Workers block the signals
/// that are meant for the program's own threads.
class ThreadPool {
  public:
    /// In a pinned pool the caller of `run` takes its core by `pin_caller`. Errors: invalid_argument (0 or more than
    /// 1,024 threads; pinned, and more of them than cores), out_of_memory (the system gives no more threads).
    static Result<std::unique_ptr<ThreadPool>> create(std::size_t threads, const ThreadOptions& options = {});
    /// Whether the calling thread's cores suffice for so many pinned threads. Errors: invalid_argument.
    static Result<void> check_pinned(std::size_t threads);
    ~ThreadPool();
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    std::size_t size() const;
    /// In a pinned pool, keeps the calling thread, which is to be the one that calls `run`, on the core that is its
    /// own.
    [[nodiscard]] CpuScope pin_caller() const;

    using Task = FunctionRef<void(std::size_t index, std::size_t worker)>;
    using RangeTask = FunctionRef<void(std::size_t begin, std::size_t end, std::size_t worker)>;

    /// Calls `task(index, worker)` once for each index in [0, count), on any thread and in any order, and returns when
    /// all are done. Threads claim indices as they become free. `worker` is in [0, size()) and names the thread, for
    /// scratch memory. Tasks must not throw and must not call `run`.
    void run(std::size_t count, Task task, const FirstStage& first = {});
    /// The same for indices that are best done in long runs: `task(begin, end, worker)` for ranges that together are
    /// [0, count). Each thread's share of it is one stretch, which it takes in order, in parts of falling size; then it
    /// takes what is left of others.
    void run_shares(std::size_t count, RangeTask task, const FirstStage& first = {});

  private:
    struct State;
    explicit ThreadPool(std::unique_ptr<State> state);
    void run_indices(std::size_t count, Task task);
    std::unique_ptr<State> state_;
};

}  // namespace puna::base
