// Which signals reach the threads of the library.
#pragma once

#include <pthread.h>

#include <csignal>

namespace puna::base {

/// While it lives, threads started by this one block every signal that is not a fault of their own: the handlers of the
/// program that uses the library belong on its own threads. SIGPROF stays open for profilers.
class BlockedSignals {
  public:
    BlockedSignals() {
        sigset_t blocked;
        sigfillset(&blocked);
        for (int open : {SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS, SIGPROF})
            sigdelset(&blocked, open);
        pthread_sigmask(SIG_BLOCK, &blocked, &saved_);
    }
    ~BlockedSignals() { pthread_sigmask(SIG_SETMASK, &saved_, nullptr); }
    BlockedSignals(const BlockedSignals&) = delete;
    BlockedSignals& operator=(const BlockedSignals&) = delete;

  private:
    sigset_t saved_;
};

}  // namespace puna::base
