#include "base/atomic_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <vector>

#include "base/file_descriptor.h"
#include "base/large_pages.h"
#include "base/rng.h"
#include "base/system_error.h"
#include "base/try.h"

namespace puna::base {

struct AtomicFile::State {
    std::string path;       // the target as the caller named it, for messages
    std::string name;       // of the target in its folder
    std::string temporary;  // name of the temporary file there; empty once it is gone
    FileDescriptor folder;  // names are relative to it, so that a later chdir does no harm
    bool folder_readable = true;
    FileDescriptor file;
    FileDescriptor lock;          // of the same open file: the lock goes with whichever of the two is closed last
    std::uint64_t written = 0;    // bytes of the file
    std::vector<std::byte> held;  // behind them
    bool failed = false;

    ~State() { discard(); }
    void discard() {
        file.close();
        if (!temporary.empty()) unlinkat(folder.get(), temporary.c_str(), 0);
        temporary.clear();
        lock.close();
    }
    Error error(std::string_view action, int number) const {
        return system_error(ErrorCode::io_error, action, path, number);
    }
    Result<void> put(std::span<const std::byte> bytes) {
        while (!bytes.empty()) {
            const ssize_t count = ::write(file.get(), bytes.data(), bytes.size());
            if (count < 0 && errno == EINTR) continue;
            if (count < 0) {
                failed = true;
                return error("write", errno);
            }
            written += static_cast<std::uint64_t>(count);
            bytes = bytes.subspan(static_cast<std::size_t>(count));
        }
        return {};
    }
    Result<void> put_held() {
        PUNA_CHECK(put(held));
        held.clear();
        return {};
    }
};

namespace {

constexpr int kMaxLinks = 40;       // as many as Linux follows
constexpr int kNameAttempts = 100;  // of 2^53 names

struct Location {
    std::string folder;
    std::string name;
};

Location split_path(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    if (slash == std::string::npos) return {".", path};
    return {slash == 0 ? "/" : path.substr(0, slash), path.substr(slash + 1)};
}

/// The place behind symbolic links: a link stays a link, and what it points to is replaced.
Result<std::string> follow_links(const std::string& path) {
    std::string place = path;
    for (int i = 0; i < kMaxLinks; ++i) {
        std::string target(4096, '\0');  // PATH_MAX
        const ssize_t length = readlink(place.c_str(), target.data(), target.size());
        if (length < 0) return place;  // no link, or nothing there yet
        target.resize(static_cast<std::size_t>(length));
        place = target.starts_with('/') ? target : fmt::format("{}/{}", split_path(place).folder, target);
    }
    return system_error(ErrorCode::io_error, "write", path, ELOOP);
}

constexpr std::string_view kTemporaryStart = ".puna-";
constexpr std::string_view kTemporaryEnd = ".tmp";

std::string temporary_name() {
    return fmt::format("{}{:014x}{}", kTemporaryStart, random_seed(), kTemporaryEnd);
}

bool is_temporary_name(std::string_view name) {
    constexpr std::size_t digits = 14;
    if (name.size() != kTemporaryStart.size() + digits + kTemporaryEnd.size()) return false;
    if (!name.starts_with(kTemporaryStart) || !name.ends_with(kTemporaryEnd)) return false;
    return name.substr(kTemporaryStart.size(), digits).find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

/// A writer holds the lock of its temporary file for as long as it lives; the system lets go of a killed one's.
enum class Lock { taken, held_by_another, not_possible };

Lock take_lock(int file) {
    if (flock(file, LOCK_EX | LOCK_NB) == 0) return Lock::taken;
    return errno == EWOULDBLOCK ? Lock::held_by_another : Lock::not_possible;  // file systems need not have locks
}

/// Removes what killed writers left in the folder. Whoever cannot be told to be dead is left alone, and so is all that
/// is not this user's.
void remove_leftovers(const std::string& path, int folder) {
    std::error_code failure;
    std::filesystem::directory_iterator entry(path, failure);
    for (; !failure && entry != std::filesystem::directory_iterator(); entry.increment(failure)) {
        const std::string name = entry->path().filename().string();
        if (!is_temporary_name(name)) continue;
        const FileDescriptor file(openat(folder, name.c_str(), O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
        struct stat status = {};
        if (!file.valid() || fstat(file.get(), &status) != 0) continue;
        if (!S_ISREG(status.st_mode) || status.st_uid != geteuid()) continue;
        if (take_lock(file.get()) == Lock::taken) unlinkat(folder, name.c_str(), 0);
    }
}

/// Whether the new file is its maker's: another who looked for leftovers may have come between its birth and its lock.
bool hold(int file) {
    struct stat status = {};
    return take_lock(file) != Lock::held_by_another && fstat(file, &status) == 0 && status.st_nlink > 0;
}

}  // namespace

AtomicFile::AtomicFile(std::unique_ptr<State> state) : state_(std::move(state)) {}
AtomicFile::AtomicFile(AtomicFile&&) noexcept = default;
AtomicFile& AtomicFile::operator=(AtomicFile&&) noexcept = default;
AtomicFile::~AtomicFile() = default;

Result<AtomicFile> AtomicFile::create(const std::string& path, Access access) {
    const mode_t mode = access == Access::owner ? 0600 : 0666;
    auto state = std::make_unique<State>();
    state->path = path;
    if (path.empty() || path.find('\0') != std::string::npos) return state->error("write", ENOENT);
    PUNA_TRY(const std::string place, follow_links(path));
    Location location = split_path(place);
    if (location.name.empty() || location.name == "." || location.name == "..") return state->error("write", EISDIR);
    state->name = std::move(location.name);

    state->folder = FileDescriptor(open(location.folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!state->folder.valid() && errno == EACCES) {  // a folder may allow entries to be made, but not to be listed
        state->folder_readable = false;
        state->folder = FileDescriptor(open(location.folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    }
    if (!state->folder.valid()) return state->error("write", errno);

    // Renaming over a device (/dev/null) or a pipe would destroy it.
    struct stat status = {};
    if (fstatat(state->folder.get(), state->name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) {
        if (S_ISDIR(status.st_mode)) return state->error("write", EISDIR);
        if (!S_ISREG(status.st_mode)) {
            return Error{ErrorCode::io_error,
                         fmt::format("cannot replace \"{}\": it is a device, a pipe or a socket", path), "name a file"};
        }
    } else if (errno != ENOENT) {  // a name that is too long, say: now rather than when everything is written
        return state->error("write", errno);
    }

    if (state->folder_readable) remove_leftovers(location.folder, state->folder.get());
    for (int attempt = 0; attempt < kNameAttempts && state->temporary.empty(); ++attempt) {
        std::string name = temporary_name();
        state->file = FileDescriptor(
            openat(state->folder.get(), name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
        if (!state->file.valid()) {
            if (errno != EEXIST) break;
        } else if (hold(state->file.get())) {
            state->temporary = std::move(name);
        }
    }
    if (state->temporary.empty()) return state->error("write", errno);
    state->lock = FileDescriptor(fcntl(state->file.get(), F_DUPFD_CLOEXEC, 0));
    if (!state->lock.valid()) return state->error("write", errno);
    return AtomicFile(std::move(state));
}

Result<void> AtomicFile::write(std::span<const std::byte> bytes) {
    assert(state_ != nullptr && state_->file.valid());
    // What is written a large page at a time, the system keeps in large pages. The first one is not held back: small
    // files fail at once.
    while (!bytes.empty()) {
        const std::uint64_t end = state_->written + state_->held.size();
        const auto room = static_cast<std::size_t>(large_page_bytes - end % large_page_bytes);
        const auto part = bytes.first(std::min(room, bytes.size()));
        bytes = bytes.subspan(part.size());
        if (state_->held.empty() && (part.size() == room || end < large_page_bytes)) {
            PUNA_CHECK(state_->put(part));
            continue;
        }
        state_->held.insert(state_->held.end(), part.begin(), part.end());
        if (part.size() == room) PUNA_CHECK(state_->put_held());
    }
    return {};
}

Result<void> AtomicFile::commit() {
    assert(state_ != nullptr && state_->file.valid());
    const auto give_up = [this](std::string_view action, int number) {
        state_->discard();
        return state_->error(action, number);
    };
    if (state_->failed) return give_up("write", EIO);
    if (Result<void> rest = state_->put_held(); !rest.ok()) {
        state_->discard();
        return rest;
    }
    if (fsync(state_->file.get()) != 0) return give_up("write", errno);
    if (!state_->file.close()) return give_up("write", errno);
    const int folder = state_->folder.get();
    if (renameat(folder, state_->temporary.c_str(), folder, state_->name.c_str()) != 0)
        return give_up("replace", errno);
    state_->temporary.clear();
    state_->lock.close();
    // Some file systems cannot sync a folder and say so by EINVAL; the rename stands.
    if (state_->folder_readable && fsync(folder) != 0 && errno != EINVAL)
        return state_->error("sync the folder of", errno);
    return {};
}

}  // namespace puna::base
