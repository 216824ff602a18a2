// Fork-join over a fixed set of threads.
#pragma once

#include <cstddef>
#include <memory>
#include <type_traits>

#include "puna/error.h"

namespace puna::base {

/// A call without ownership or allocation: the callee must outlive the call.
template <typename Signature>
class FunctionRef;
template <typename R, typename... Args>
class FunctionRef<R(Args...)> {
  public:
    template <typename F>
        requires(!std::is_same_v<std::remove_cvref_t<F>, FunctionRef>)
    FunctionRef(F&& f)
        : object_(const_cast<void*>(static_cast<const void*>(&f))), call_([](void* object, Args... args) -> R {
              return (*static_cast<std::remove_reference_t<F>*>(object))(static_cast<Args&&>(args)...);
          }) {}
    R operator()(Args... args) const { return call_(object_, static_cast<Args&&>(args)...); }

  private:
    void* object_;
    R (*call_)(void*, Args...);
};

/// `size() - 1` workers and the caller. Workers spin briefly between calls, then sleep, so an idle pool burns no CPU.
/// `run` is for one thread at a time, and never waits for a worker that sleeps: the caller takes the indices itself.
/// What was written before `run` is seen by the tasks, and what they wrote by the caller. Workers block the signals
/// that are meant for the program's own threads.
class ThreadPool {
  public:
    /// Errors: invalid_argument (0 or more than 1,024 threads), out_of_memory (the system gives no more threads).
    static Result<std::unique_ptr<ThreadPool>> create(std::size_t threads);
    ~ThreadPool();
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    std::size_t size() const;

    /// Calls `task(index, worker)` once for each index in [0, count), on any thread and in any order, and returns when
    /// all are done. Threads claim indices as they become free. `worker` is in [0, size()) and names the thread, for
    /// scratch memory. Tasks must not throw and must not call `run`.
    void run(std::size_t count, FunctionRef<void(std::size_t index, std::size_t worker)> task);

  private:
    struct State;
    explicit ThreadPool(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace puna::base
