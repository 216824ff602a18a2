// The way of a request's events from the compute thread to whoever reads them.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>

#include "puna/request.h"

namespace puna::engine {

/// Thread-safe: the engine pushes, one reader takes, anyone cancels. Shared by both sides, so that either may go first.
///
/// The queue has no bound of its own: a request gives at most as many events as its context has tokens, and a reader
/// who dawdles must not hold up the others.
class EventChannel {
  public:
    void push(Event event);
    /// The last event; calls after the first change nothing. Does not allocate.
    void finish(Event last) noexcept;
    /// Waits for an event; nothing after the last.
    std::optional<Event> next();

    void cancel() { cancelled_.store(true, std::memory_order_release); }
    bool cancelled() const { return cancelled_.load(std::memory_order_acquire); }

  private:
    std::atomic<bool> cancelled_ = false;
    std::mutex mutex_;
    std::condition_variable arrived_;
    std::deque<Event> events_;
    std::optional<Event> last_;
    bool finished_ = false;
};

}  // namespace puna::engine
