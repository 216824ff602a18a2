// Memory in pages of 2 MiB. Weights that are streamed through ordinary ones cost an address translation each 4 KiB,
// which on a virtual machine takes a third of the read bandwidth.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace puna::base {

inline constexpr std::size_t large_page_bytes = std::size_t{2} << 20;

/// Asks the system for large pages where [begin, begin + bytes) has whole ones. A mapped file gets them
/// when it is read from the disk, on file systems that keep its pages so (XFS, ext4 since Linux 6.16, ...). A refusal
/// costs speed alone.
void prefer_large_pages(void* begin, std::size_t bytes);

/// How many bytes of the mappings that `part` lies in are mapped by large pages now. None where the system does not
/// tell (/proc/self/smaps).
std::optional<std::uint64_t> bytes_in_large_pages(std::span<const std::byte> part);

}  // namespace puna::base
