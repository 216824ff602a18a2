#include "formats/pytorch/zip.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>
#include <string>
#include <utility>

#include "base/checked.h"
#include "base/try.h"
#include "formats/malformed.h"

namespace puna::formats::pytorch {
namespace {

static_assert(std::endian::native == std::endian::little, "fields are copied as they lie in the file");

// Signatures, and the bytes of each record before what has no fixed size.
constexpr std::uint32_t local_signature = 0x04034b50;
constexpr std::uint32_t central_signature = 0x02014b50;
constexpr std::uint32_t end_signature = 0x06054b50;
constexpr std::uint32_t end64_signature = 0x06064b50;
constexpr std::uint32_t locator_signature = 0x07064b50;
constexpr std::uint64_t local_bytes = 30;
constexpr std::uint64_t central_bytes = 46;
constexpr std::uint64_t end_bytes = 22;
constexpr std::uint64_t end64_bytes = 56;
constexpr std::uint64_t locator_bytes = 20;

constexpr std::uint64_t longest_comment = 0xFFFF;
constexpr std::uint16_t elsewhere16 = 0xFFFF;  // in a zip64 record
constexpr std::uint32_t elsewhere32 = 0xFFFFFFFF;
constexpr std::uint16_t zip64_id = 1;  // of an extra field
constexpr std::uint16_t encrypted_flag = 1U << 0;
constexpr std::uint16_t descriptor_flag = 1U << 3;  // sizes and checksum may stand behind the data instead

/// An entry of the central directory, as it says.
struct Record {
    std::uint16_t flags = 0;
    std::uint16_t method = 0;
    std::uint32_t checksum = 0;
    std::uint64_t compressed = 0;
    std::uint64_t size = 0;
    std::uint64_t header_offset = 0;
    std::string_view name;
    std::uint64_t at = 0;
};

class ZipReader {
  public:
    ZipReader(std::span<const std::byte> file, std::string_view path) : file_(file), path_(path) {}

    Result<std::vector<ZipEntry>> read() {
        PUNA_CHECK(find_directory());
        std::vector<ZipEntry> entries;
        std::uint64_t at = directory_;
        for (std::uint64_t i = 0; i < count_; ++i) {
            PUNA_TRY(const Record record, read_record(at));
            PUNA_TRY(const ZipEntry entry, read_entry(record));
            entries.push_back(entry);
        }
        if (at != directory_end_) {
            return fail(fmt::format("central directory ends behind {} entries at byte {}, not at its end, {}", count_,
                                    at, directory_end_),
                        at);
        }
        PUNA_CHECK(check_order(entries));
        std::sort(entries.begin(), entries.end(), [](const ZipEntry& a, const ZipEntry& b) { return a.name < b.name; });
        const auto same = std::adjacent_find(entries.begin(), entries.end(),
                                             [](const ZipEntry& a, const ZipEntry& b) { return a.name == b.name; });
        if (same != entries.end()) {
            return fail(fmt::format("entry '{}': the name occurs twice", printable(same->name)),
                        std::max(same->record_offset, std::next(same)->record_offset));
        }
        return entries;
    }

  private:
    Error fail(std::string_view what, std::uint64_t at) const { return malformed(path_, what, at); }
    Error refuse(std::string_view what, std::uint64_t at, std::string_view hint) const {
        Error error = malformed(path_, what, at, hint);
        error.code = ErrorCode::unsupported_format;
        return error;
    }

    /// The number at `at`, which must be known to lie within the file.
    template <typename T>
    T number(std::uint64_t at) const {
        T value;
        std::memcpy(&value, file_.data() + at, sizeof value);
        return value;
    }
    std::string_view text(std::uint64_t at, std::uint64_t size) const {
        return {reinterpret_cast<const char*>(file_.data() + at), size};
    }

    // ---- The end of the file, which says where the directory is ----

    Result<void> find_directory() {
        const std::uint64_t size = file_.size();
        std::optional<std::uint64_t> end;
        // The record ends with a comment of any length up to the end of the file.
        for (std::uint64_t comment = 0; !end && comment <= longest_comment && comment + end_bytes <= size; ++comment) {
            const std::uint64_t at = size - end_bytes - comment;
            if (number<std::uint32_t>(at) == end_signature && number<std::uint16_t>(at + 20) == comment) end = at;
        }
        if (!end) return fail("end of central directory is missing: the file was cut off", size);
        std::uint64_t disks = std::uint64_t{number<std::uint16_t>(*end + 4)} | number<std::uint16_t>(*end + 6);
        std::uint64_t here = number<std::uint16_t>(*end + 8);
        count_ = number<std::uint16_t>(*end + 10);
        std::uint64_t bytes = number<std::uint32_t>(*end + 12);
        directory_ = number<std::uint32_t>(*end + 16);
        directory_end_ = *end;
        std::uint64_t record = *end;
        const bool wide = *end >= locator_bytes && number<std::uint32_t>(*end - locator_bytes) == locator_signature;
        if (wide) {
            record = number<std::uint64_t>(*end - locator_bytes + 8);
            const std::uint64_t locator = *end - locator_bytes;
            if (locator < end64_bytes || record > locator - end64_bytes ||
                number<std::uint32_t>(record) != end64_signature) {
                return fail(fmt::format("zip64 locator points to byte {}, where no such record is", record), locator);
            }
            // The record's own size counts what stands behind it; nothing may lie between it and the locator.
            const std::uint64_t own = number<std::uint64_t>(record + 4);
            if (own != locator - record - 12) {
                return fail(fmt::format("zip64 end of central directory has a length of {} bytes, not {}", own,
                                        locator - record - 12),
                            record + 4);
            }
            PUNA_CHECK(take_wide(record, disks, here, bytes));
            directory_end_ = record;
        }
        if (disks != 0)
            return refuse("end of central directory names another disk", record, "join the archive's files");
        if (here != count_) {
            return fail(fmt::format("end of central directory counts {} entries here and {} in all", here, count_),
                        record);
        }
        const auto stated_end = base::checked_add(directory_, bytes);
        if (stated_end != directory_end_) {
            return fail(
                fmt::format("end of central directory says that it has {} bytes from byte {} on, but it ends at "
                            "byte {}",
                            bytes, directory_, directory_end_),
                record);
        }
        if (count_ > max_zip_entries || count_ > bytes / central_bytes) {
            return fail(fmt::format("end of central directory counts {} entries in {} bytes (at most {} are allowed)",
                                    count_, bytes, max_zip_entries),
                        record);
        }
        return {};
    }

    /// The numbers of the zip64 record at `record`. Those of the short one are the same, or refer to it.
    Result<void> take_wide(std::uint64_t record, std::uint64_t& disks, std::uint64_t& here, std::uint64_t& bytes) {
        disks = (disks == elsewhere16 ? 0 : disks) | number<std::uint32_t>(record + 16) |
                number<std::uint32_t>(record + 20);
        const auto take = [&](std::uint64_t& narrow, std::uint64_t offset, std::uint64_t elsewhere) {
            const auto wide = number<std::uint64_t>(record + offset);
            const bool agrees = narrow == elsewhere || narrow == wide;
            narrow = wide;
            return agrees;
        };
        const bool agree = take(here, 24, elsewhere16) & take(count_, 32, elsewhere16) & take(bytes, 40, elsewhere32) &
                           take(directory_, 48, elsewhere32);
        if (agree) return {};
        return fail("end of central directory and its zip64 record do not say the same", record);
    }

    // ---- Entries ----

    /// Moves `at` behind it.
    Result<Record> read_record(std::uint64_t& at) const {
        Record record;
        record.at = at;
        if (directory_end_ - at < central_bytes || number<std::uint32_t>(at) != central_signature) {
            return fail("central directory: there is no entry", at);
        }
        record.flags = number<std::uint16_t>(at + 8);
        record.method = number<std::uint16_t>(at + 10);
        record.checksum = number<std::uint32_t>(at + 16);
        record.compressed = number<std::uint32_t>(at + 20);
        record.size = number<std::uint32_t>(at + 24);
        record.header_offset = number<std::uint32_t>(at + 42);
        const std::uint64_t name_bytes = number<std::uint16_t>(at + 28);
        const std::uint64_t extra_bytes = number<std::uint16_t>(at + 30);
        const std::uint64_t all = central_bytes + name_bytes + extra_bytes + number<std::uint16_t>(at + 32);
        if (directory_end_ - at < all) return fail("central directory: an entry ends behind the directory", at);
        record.name = text(at + central_bytes, name_bytes);
        PUNA_CHECK(take_wide(record, at + central_bytes + name_bytes, extra_bytes));
        at += all;
        return record;
    }

    /// Sizes and places of 64 bits, where the short fields refer to them.
    Result<void> take_wide(Record& record, std::uint64_t at, std::uint64_t bytes) const {
        const std::uint64_t end = at + bytes;
        while (end - at >= 4) {
            const auto id = number<std::uint16_t>(at);
            const std::uint64_t size = number<std::uint16_t>(at + 2);
            at += 4;
            if (size > end - at)
                return fail(fmt::format("{}, an extra field ends behind the others", what(record)), at);
            if (id == zip64_id) {
                const std::uint64_t field_end = at + size;
                for (std::uint64_t* field : {&record.size, &record.compressed, &record.header_offset}) {
                    if (*field != elsewhere32) continue;
                    if (field_end - at < sizeof(std::uint64_t)) {
                        return fail(fmt::format("{}, the zip64 field is too short", what(record)), at);
                    }
                    *field = number<std::uint64_t>(at);
                    at += sizeof(std::uint64_t);
                }
                return {};
            }
            at += size;
        }
        return {};
    }

    static std::string what(const Record& record) { return fmt::format("entry '{}'", printable(record.name)); }

    Result<ZipEntry> read_entry(const Record& record) const {
        if ((record.flags & encrypted_flag) != 0) {
            return refuse(fmt::format("{} is encrypted", what(record)), record.at,
                          "take the archive without a password");
        }
        if (record.method != 0) {
            return refuse(fmt::format("{} is compressed (method {}); PyTorch stores entries as they are", what(record),
                                      record.method),
                          record.at, "save the tensors anew with torch.save, or unpack and pack with `zip -0`");
        }
        if (record.compressed != record.size) {
            return fail(fmt::format("{} is stored as it is, but has {} bytes packed and {} unpacked", what(record),
                                    record.compressed, record.size),
                        record.at);
        }
        if (record.name.empty() || record.name.find('\0') != std::string_view::npos) {
            return fail(fmt::format("{} has no proper name", what(record)), record.at);
        }
        const std::uint64_t header = record.header_offset;
        if (header > directory_ || directory_ - header < local_bytes ||
            number<std::uint32_t>(header) != local_signature) {
            return fail(fmt::format("{}: there is no local header at byte {}", what(record), header), record.at);
        }
        const std::uint64_t before =
            local_bytes + number<std::uint16_t>(header + 26) + number<std::uint16_t>(header + 28);
        if (directory_ - header < before || directory_ - header - before < record.size) {
            return fail(fmt::format("{} has {} bytes, but the central directory begins at byte {}", what(record),
                                    record.size, directory_),
                        record.at);
        }
        PUNA_CHECK(check_local(record));
        ZipEntry entry = {.name = record.name, .data = file_.subspan(header + before, record.size)};
        entry.data_offset = header + before;
        entry.header_offset = header;
        entry.record_offset = record.at;
        return entry;
    }

    /// What stands twice must be the same twice.
    Result<void> check_local(const Record& record) const {
        const std::uint64_t header = record.header_offset;
        const auto differs = [&](std::string_view field, std::uint64_t at) {
            return fail(fmt::format("{}, local header, {} is not that of the central directory", what(record), field),
                        at);
        };
        const std::uint64_t name_bytes = number<std::uint16_t>(header + 26);
        const std::uint64_t extra_bytes = number<std::uint16_t>(header + 28);
        if (text(header + local_bytes, name_bytes) != record.name) return differs("name", header + local_bytes);
        const auto flags = number<std::uint16_t>(header + 6);
        if (flags != record.flags) return differs("flags", header + 6);
        if (number<std::uint16_t>(header + 8) != record.method) return differs("method", header + 8);
        Record local = {.compressed = number<std::uint32_t>(header + 18),
                        .size = number<std::uint32_t>(header + 22),
                        .name = record.name};
        PUNA_CHECK(take_wide(local, header + local_bytes + name_bytes, extra_bytes));
        const bool behind = (flags & descriptor_flag) != 0;
        const auto agree = [&](std::uint64_t here, std::uint64_t there) {
            return here == there || (behind && here == 0);
        };
        if (!agree(number<std::uint32_t>(header + 14), record.checksum)) return differs("checksum", header + 14);
        if (!agree(local.compressed, record.compressed)) return differs("compressed size", header + 18);
        if (!agree(local.size, record.size)) return differs("size", header + 22);
        return {};
    }

    /// That no entry begins before the one before it has ended.
    Result<void> check_order(std::vector<ZipEntry>& entries) const {
        std::sort(entries.begin(), entries.end(),
                  [](const ZipEntry& a, const ZipEntry& b) { return a.header_offset < b.header_offset; });
        for (std::size_t i = 1; i < entries.size(); ++i) {
            const ZipEntry& before = entries[i - 1];
            if (entries[i].header_offset >= before.data_offset + before.data.size()) continue;
            return fail(fmt::format("entry '{}' begins at byte {}, within entry '{}'", printable(entries[i].name),
                                    entries[i].header_offset, printable(before.name)),
                        entries[i].record_offset);
        }
        return {};
    }

    std::span<const std::byte> file_;
    std::string_view path_;
    std::uint64_t count_ = 0;
    std::uint64_t directory_ = 0;      // where it begins
    std::uint64_t directory_end_ = 0;  // the byte behind it
};

}  // namespace

Result<ZipDirectory> ZipDirectory::read(std::span<const std::byte> file, std::string_view path) {
    ZipDirectory directory;
    PUNA_TRY(directory.entries_, ZipReader(file, path).read());
    return directory;
}

const ZipEntry* ZipDirectory::find(std::string_view name) const {
    const auto found = std::lower_bound(entries_.begin(), entries_.end(), name,
                                        [](const ZipEntry& entry, std::string_view n) { return entry.name < n; });
    return found != entries_.end() && found->name == name ? &*found : nullptr;
}

}  // namespace puna::formats::pytorch
