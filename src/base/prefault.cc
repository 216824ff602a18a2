#include "base/prefault.h"

#include <algorithm>
#include <cstdint>
#include <stop_token>
#include <system_error>
#include <utility>

#include "base/blocked_signals.h"
#include "base/cpu.h"

namespace puna::base {

Prefault::Prefault(std::vector<std::shared_ptr<const FileMapping>> mappings) {
    std::uint64_t bytes = 0;
    for (const auto& mapping : mappings)
        bytes += mapping->bytes().size();
    if (bytes > available_memory()) return;
    const auto walk = [mappings = std::move(mappings)](const std::stop_token& stop) {
        constexpr std::size_t step = std::size_t{8} << 20;
        for (const auto& mapping : mappings) {
            const std::span<const std::byte> all = mapping->bytes();
            for (std::size_t at = 0; at < all.size(); at += step) {
                if (stop.stop_requested()) return;
                mapping->fetch_pages(all.subspan(at, std::min(step, all.size() - at)));
            }
        }
    };
    const BlockedSignals blocked;
    try {
        thread_ = std::jthread(walk);
    } catch (const std::system_error&) {  // no thread to spare
    }
}

}  // namespace puna::base
