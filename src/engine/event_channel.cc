#include "engine/event_channel.h"

#include <utility>

namespace puna::engine {

void EventChannel::push(Event event) {
    const std::lock_guard lock(mutex_);
    if (finished_) return;
    events_.push_back(std::move(event));
    arrived_.notify_one();
}

void EventChannel::finish(Event last) noexcept {
    const std::lock_guard lock(mutex_);
    if (finished_) return;
    last_ = std::move(last);
    finished_ = true;
    arrived_.notify_all();
}

std::optional<Event> EventChannel::next() {
    std::unique_lock lock(mutex_);
    arrived_.wait(lock, [&] { return finished_ || !events_.empty(); });
    if (events_.empty()) return std::exchange(last_, std::nullopt);
    Event event = std::move(events_.front());
    events_.pop_front();
    return event;
}

}  // namespace puna::engine
