#include "base/mapping_guard.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <mutex>

namespace puna::base {
namespace {

// The handler reads the table while other threads change it and may take no lock, so each slot is a seqlock: an even
// version is a slot at rest, an odd one is being changed. A thread that faults in a range keeps that range's slot at
// rest, hence a slot in motion is never the one looked for and can be passed over.
struct Slot {
    std::atomic<std::uint64_t> version{0};
    std::atomic<std::uintptr_t> begin{0};
    std::atomic<std::uintptr_t> end{0};  // begin == end: free
    std::atomic<bool> lost{false};
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free && std::atomic<std::uintptr_t>::is_always_lock_free &&
              std::atomic<bool>::is_always_lock_free);

std::array<Slot, kGuardSlots> slots;
std::mutex slots_mutex;  // for writers

// What the handler needs to know, complete before it is installed.
struct Setup {
    std::uintptr_t page_size = 0;
    struct sigaction previous = {};
};
Setup setup_storage;
std::atomic<const Setup*> installed{nullptr};

void set_range(Slot& slot, std::uintptr_t begin, std::uintptr_t end) {
    const std::uint64_t version = slot.version.load(std::memory_order_relaxed);
    slot.version.store(version + 1, std::memory_order_relaxed);
    slot.begin.store(begin, std::memory_order_release);
    slot.end.store(end, std::memory_order_release);
    slot.version.store(version + 2, std::memory_order_release);
}

struct Found {
    Slot* slot = nullptr;
    std::uintptr_t end = 0;
};

Found find_slot(std::uintptr_t address) {
    for (Slot& slot : slots) {
        const std::uint64_t version = slot.version.load(std::memory_order_acquire);
        const std::uintptr_t begin = slot.begin.load(std::memory_order_acquire);
        const std::uintptr_t end = slot.end.load(std::memory_order_acquire);
        if (address < begin || address >= end) continue;
        if (version % 2 == 0 && slot.version.load(std::memory_order_relaxed) == version) return {&slot, end};
    }
    return {};
}

// The bare system call, since mmap(2) as the C library exports it may be wrapped by tools that are not safe here.
bool map_zeros(std::uintptr_t begin, std::uintptr_t end) {
    const long mapped = syscall(SYS_mmap, begin, end - begin, PROT_READ,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    return mapped == static_cast<long>(begin);
}

// True if the fault was in a guarded range, and reading may go on.
bool repair(const siginfo_t& info, std::uintptr_t page_size) {
    if (info.si_code <= 0) return false;  // sent by a process: there is no address
    const auto address = reinterpret_cast<std::uintptr_t>(info.si_addr);
    const Found found = find_slot(address);
    if (found.slot == nullptr) return false;
    // Before the zeros, so that a thread which reads them finds the mark.
    found.slot->lost.store(true, std::memory_order_seq_cst);
    return map_zeros(address - address % page_size, found.end);
}

void restore_default(int signal_number) {
    struct sigaction action = {};
    action.sa_handler = SIG_DFL;
    sigaction(signal_number, &action, nullptr);
}

void die_by_default(int signal_number) {
    restore_default(signal_number);
    raise(signal_number);  // blocked here; delivered when the handler returns
}

// What would have happened without us.
void call_previous(const struct sigaction& previous, int signal_number, siginfo_t* info, void* context) {
    if ((previous.sa_flags & SA_RESETHAND) != 0) restore_default(signal_number);
    if ((previous.sa_flags & SA_SIGINFO) != 0) {
        previous.sa_sigaction(signal_number, info, context);
    } else if (previous.sa_handler == SIG_IGN) {
        // A real fault cannot be ignored: the kernel ends the process then, and returning would fault for ever.
        if (info->si_code > 0) die_by_default(signal_number);
    } else if (previous.sa_handler == SIG_DFL) {
        die_by_default(signal_number);
    } else {
        previous.sa_handler(signal_number);
    }
}

void on_sigbus(int signal_number, siginfo_t* info, void* context) {
    const int saved_errno = errno;
    const Setup& setup = *installed.load(std::memory_order_acquire);
    if (!repair(*info, setup.page_size)) call_previous(setup.previous, signal_number, info, context);
    errno = saved_errno;
}

void install_handler() {
    setup_storage.page_size = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
    sigaction(SIGBUS, nullptr, &setup_storage.previous);
    installed.store(&setup_storage, std::memory_order_release);
    struct sigaction action = {};
    action.sa_sigaction = on_sigbus;
    action.sa_mask = setup_storage.previous.sa_mask;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | (setup_storage.previous.sa_flags & (SA_RESTART | SA_NODEFER));
    sigaction(SIGBUS, &action, nullptr);
}

}  // namespace

std::optional<std::size_t> guard_range(const std::byte* begin, std::size_t size) {
    const std::lock_guard lock(slots_mutex);
    if (installed.load(std::memory_order_relaxed) == nullptr) install_handler();
    const auto first = reinterpret_cast<std::uintptr_t>(begin);
    for (std::size_t i = 0; i < slots.size(); ++i) {
        Slot& slot = slots[i];
        if (slot.begin.load(std::memory_order_relaxed) != slot.end.load(std::memory_order_relaxed)) continue;
        slot.lost.store(false, std::memory_order_relaxed);
        set_range(slot, first, first + size);
        return i;
    }
    return std::nullopt;
}

void release_guard(std::size_t slot) {
    const std::lock_guard lock(slots_mutex);
    set_range(slots[slot], 0, 0);
}

const std::atomic<bool>& guard_lost(std::size_t slot) {
    return slots[slot].lost;
}

}  // namespace puna::base
