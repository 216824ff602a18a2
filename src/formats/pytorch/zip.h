// A zip archive whose entries are stored as they are: the only kind that PyTorch writes (docs/formats/pytorch.md).
//
// Source: PKWARE's APPNOTE, "ZIP File Format Specification".
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "puna/error.h"

namespace puna::formats::pytorch {

inline constexpr std::size_t max_zip_entries = std::size_t{1} << 20;  // puna's own

struct ZipEntry {
    std::string_view name;  // where it lies in the file
    std::span<const std::byte> data;
    std::uint64_t data_offset = 0;    // bytes from the file's start
    std::uint64_t header_offset = 0;  // of the local header
    std::uint64_t record_offset = 0;  // of the entry in the central directory; for messages
};

/// Checked: the directory and the local headers say the same; entries lie one behind the other before the directory;
/// no name occurs twice. Checksums are not looked at.
class ZipDirectory {
  public:
    /// `file`: all of it, which must outlive the directory. Errors: file_malformed, unsupported_format (compressed or
    /// encrypted entries, archives in several files).
    static Result<ZipDirectory> read(std::span<const std::byte> file, std::string_view path);

    /// In the order of their names.
    std::span<const ZipEntry> entries() const { return entries_; }
    /// Null if there is none.
    const ZipEntry* find(std::string_view name) const;

  private:
    std::vector<ZipEntry> entries_;
};

}  // namespace puna::formats::pytorch
