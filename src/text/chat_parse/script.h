// Parsers written as coroutines: a format reads like its grammar, and takes its text in pieces.
#pragma once

#include <coroutine>
#include <utility>

namespace puna::text::chat_parse {

/// A part of a parser that stops wherever it needs the next byte, and says at its end whether it found what it looked
/// for. Scripts await each other, and the primitives of a Reader. What a script refers to must outlive it.
class [[nodiscard]] Script {
  public:
    struct promise_type {
        struct Final {
            bool await_ready() const noexcept { return false; }
            std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> self) const noexcept {
                const std::coroutine_handle<> caller = self.promise().caller;
                return caller ? caller : std::noop_coroutine();
            }
            void await_resume() const noexcept {}
        };
        Script get_return_object() { return Script(std::coroutine_handle<promise_type>::from_promise(*this)); }
        std::suspend_always initial_suspend() const noexcept { return {}; }
        Final final_suspend() const noexcept { return {}; }
        void return_value(bool found) { value = found; }
        void unhandled_exception() { throw; }  // to whoever feeds the parser: memory ran out

        bool value = false;
        std::coroutine_handle<> caller;
    };

    Script() = default;
    Script(Script&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
    Script& operator=(Script&& other) noexcept {
        std::swap(handle_, other.handle_);
        return *this;
    }
    ~Script() {
        if (handle_) handle_.destroy();
    }

    /// Runs to the first byte that is needed.
    void start() { handle_.resume(); }
    bool done() const { return !handle_ || handle_.done(); }

    bool await_ready() const noexcept { return false; }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> caller) noexcept {
        handle_.promise().caller = caller;
        return handle_;
    }
    bool await_resume() const noexcept { return handle_.promise().value; }

  private:
    explicit Script(std::coroutine_handle<promise_type> handle) : handle_(handle) {}
    std::coroutine_handle<promise_type> handle_;
};

/// `PUNA_NEED(in.literal("{"));` ends a script, in vain, unless that is found. (GCC 12 lays the frame of a coroutine
/// out wrong if the condition of an `if` negates or joins what it awaits: awaited values get a name first.)
#define PUNA_NEED(awaited)                                             \
    do {                                                               \
        const bool puna_found = static_cast<bool>(co_await (awaited)); \
        if (!puna_found) co_return false;                              \
    } while (false)

}  // namespace puna::text::chat_parse
