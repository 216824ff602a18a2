#include "base/file_mapping.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/cpu.h"
#include "base/large_pages.h"
#include "base/mapping_guard.h"
#include "base/system_error.h"

namespace puna::base {
namespace {

std::size_t page_size() {
    return static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

std::size_t whole_pages(std::size_t size) {
    const std::size_t page = page_size();
    return (size + page - 1) / page * page;
}

Error changed(const std::string& path, const char* how) {
    return {ErrorCode::file_changed, fmt::format("\"{}\" {} while it was in use", path, how),
            "load the file again when it is complete, and replace files by renaming, not by overwriting"};
}

}  // namespace

Result<std::shared_ptr<const FileMapping>> FileMapping::open(const std::string& path) {
    if (path.find('\0') != std::string::npos) return system_error(ErrorCode::file_not_found, "open", path, ENOENT);
    // O_NONBLOCK: a pipe without a writer must answer, not wait.
    FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    if (!file.valid()) return system_error(read_error_code(errno), "open", path, errno);
    struct stat status = {};
    if (fstat(file.get(), &status) != 0) return system_error(read_error_code(errno), "read", path, errno);
    if (S_ISDIR(status.st_mode)) return system_error(ErrorCode::file_unreadable, "read", path, EISDIR);
    if (!S_ISREG(status.st_mode)) {
        return Error{ErrorCode::file_unreadable,
                     fmt::format("cannot map \"{}\": it is a device, a pipe or a socket", path),
                     "copy the data to a file first"};
    }

    std::shared_ptr<FileMapping> mapping(new FileMapping());
    mapping->path_ = path;
    mapping->file_ = std::move(file);
    if (status.st_size == 0) return std::shared_ptr<const FileMapping>(std::move(mapping));  // mmap refuses length 0

    // MAP_PRIVATE: some file systems refuse MAP_SHARED, and for a reader both are the same pages of the page cache and
    // the same SIGBUS behind the end of the file.
    const auto size = static_cast<std::size_t>(status.st_size);
    void* data = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, mapping->file_.get(), 0);
    if (data == MAP_FAILED) return system_error(read_error_code(errno), "map", path, errno);
    prefer_large_pages(data, size);
    const auto slot = guard_range(static_cast<const std::byte*>(data), whole_pages(size));
    if (!slot) {
        munmap(data, size);
        return Error{ErrorCode::out_of_memory,
                     fmt::format("cannot map \"{}\": {} files are mapped already", path, kGuardSlots),
                     "close models that are no longer needed"};
    }
    mapping->data_ = static_cast<const std::byte*>(data);
    mapping->size_ = size;
    mapping->slot_ = *slot;
    mapping->lost_ = &guard_lost(*slot);
    return std::shared_ptr<const FileMapping>(std::move(mapping));
}

FileMapping::~FileMapping() {
    if (data_ == nullptr) return;
    release_guard(slot_);
    munmap(const_cast<std::byte*>(data_), size_);
}

void FileMapping::release_pages(std::span<const std::byte> part) const {
    const std::size_t page = page_size();
    const std::size_t from = whole_pages(static_cast<std::size_t>(part.data() - data_));
    const std::size_t to = (static_cast<std::size_t>(part.data() - data_) + part.size()) / page * page;
    if (in_memory_) return;  // where they are the only copy
    // Nothing was ever written to these pages, so nothing is lost; a refusal costs memory alone.
    if (from < to) madvise(const_cast<std::byte*>(data_) + from, to - from, MADV_DONTNEED);
}

void FileMapping::fetch_pages(std::span<const std::byte> part) const {
    constexpr int populate_read = 22;  // MADV_POPULATE_READ, which the headers of older systems lack
    const std::size_t page = page_size();
    const std::size_t from = static_cast<std::size_t>(part.data() - data_) / page * page;
    const std::size_t to = whole_pages(static_cast<std::size_t>(part.data() - data_) + part.size());
    std::byte* const begin = const_cast<std::byte*>(data_) + from;
    if (part.empty() || madvise(begin, to - from, populate_read) == 0) return;
    madvise(begin, to - from, MADV_WILLNEED);  // before Linux 5.14: into the page cache at least
}

Result<void> FileMapping::read_into_memory(FunctionRef<void(std::uint64_t)> progress) const {
    if (size_ == 0 || in_memory_) return {};
    if (const std::uint64_t available = available_memory(); available != 0 && size_ > available) {
        return Error{ErrorCode::out_of_memory,
                     fmt::format("\"{}\" has {} bytes, and {} bytes of memory are available", path_, size_, available),
                     "use the file in place, mapped"};
    }
    // A large page stays one when it is moved by multiples of its size.
    const std::size_t size = whole_pages(size_);
    const std::size_t reserved = size + large_page_bytes;
    void* const memory = mmap(nullptr, reserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return system_error(ErrorCode::out_of_memory, "find memory for", path_, errno);
    const auto address = [](const void* at) { return reinterpret_cast<std::uintptr_t>(at); };
    auto* const begin = static_cast<std::byte*>(memory) + (address(data_) - address(memory)) % large_page_bytes;
    prefer_large_pages(begin, size);

    const auto give_up = [&](Error error) {
        munmap(memory, reserved);
        return error;
    };
    constexpr std::size_t step = std::size_t{16} << 20;
    for (std::size_t at = 0; at < size_;) {
        const ssize_t got = pread(file_.get(), begin + at, std::min(step, size_ - at), static_cast<off_t>(at));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return give_up(system_error(read_error_code(errno), "read", path_, errno));
        if (got == 0) return give_up(changed(path_, "was cut short"));
        at += static_cast<std::size_t>(got);
        progress(at);
    }
    void* const place = const_cast<std::byte*>(data_);
    mprotect(begin, size, PROT_READ);
    if (mremap(begin, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, place) == MAP_FAILED) {
        Error error = system_error(ErrorCode::out_of_memory, "move into place", path_, errno);
        // The old pages may be gone by then.
        if (mmap(place, size_, PROT_READ, MAP_PRIVATE | MAP_FIXED, file_.get(), 0) == MAP_FAILED)
            error.message += ", and the file cannot be mapped again";
        return give_up(std::move(error));
    }
    in_memory_ = true;
    munmap(memory, static_cast<std::size_t>(begin - static_cast<std::byte*>(memory)));
    munmap(begin + size, reserved - size - static_cast<std::size_t>(begin - static_cast<std::byte*>(memory)));
    return {};
}

Result<void> FileMapping::check() const {
    if (in_memory_) return {};
    if (lost()) return changed(path_, "was cut short or became unreadable");
    struct stat status = {};
    if (fstat(file_.get(), &status) != 0) return changed(path_, "became unreadable");
    if (static_cast<std::size_t>(status.st_size) != size_) return changed(path_, "changed its size");
    return {};
}

}  // namespace puna::base
