#include "base/large_pages.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cinttypes>
#include <cstdio>
#include <fstream>
#include <string>
#include <string_view>

namespace puna::base {

void prefer_large_pages(void* begin, std::size_t bytes) {
    if (bytes < large_page_bytes) return;
    const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
    const auto address = reinterpret_cast<std::uintptr_t>(begin);
    const std::size_t skipped = (page - address % page) % page;  // the system wants to hear of whole pages
    madvise(static_cast<std::byte*>(begin) + skipped, bytes - skipped, MADV_HUGEPAGE);
}

std::optional<std::uint64_t> bytes_in_large_pages(std::span<const std::byte> part) {
    std::ifstream maps("/proc/self/smaps");
    const auto begin = reinterpret_cast<std::uintptr_t>(part.data());
    const std::uintptr_t end = begin + part.size();
    std::uint64_t kib = 0;
    bool found = false;
    bool inside = false;
    for (std::string line; std::getline(maps, line);) {
        // "7f10a000-7f20a000 r--p ... FILE" begins a mapping, "FilePmdMapped:   2048 kB" is one of its lines.
        std::uintptr_t from = 0;
        std::uintptr_t to = 0;
        std::uint64_t value = 0;
        if (std::sscanf(line.c_str(), "%" SCNxPTR "-%" SCNxPTR " ", &from, &to) == 2) {
            inside = from < end && begin < to;
            found = found || inside;
        } else if (inside && (std::sscanf(line.c_str(), "AnonHugePages: %" SCNu64 " kB", &value) == 1 ||
                              std::sscanf(line.c_str(), "FilePmdMapped: %" SCNu64 " kB", &value) == 1)) {
            kib += value;
        }
    }
    if (!found) return std::nullopt;
    return kib << 10;
}

}  // namespace puna::base
