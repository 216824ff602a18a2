// Writes a file so that a reader sees the old content or the new, never a part: a temporary file in the same
// folder, fsync, rename, fsync of the folder. Dropped without commit, it leaves nothing behind.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "puna/error.h"

namespace puna::base {

/// A killed process leaves a temporary file, `.puna-*.tmp`; the next one that is created in the folder removes it. A
/// lock (flock) tells a writer that lives: its file stays.
///
/// For one thread at a time. Movable. A symbolic link at the path stays, and the file behind it is replaced.
class AtomicFile {
  public:
    /// Who may read the new file: the owner alone, or whoever the process's umask lets.
    enum class Access { owner, as_usual };

    /// Errors: io_error (the folder does not exist or cannot be written, the target is not a file but a folder or
    /// device).
    static Result<AtomicFile> create(const std::string& path, Access access = Access::owner);
    AtomicFile(AtomicFile&&) noexcept;
    AtomicFile& operator=(AtomicFile&&) noexcept;
    ~AtomicFile();

    /// Errors: io_error (a full disk, ...); the target stays as it was. Of a file of several MiB, up to 2 MiB are held
    /// back for the next call, or `commit`, which then has these errors.
    Result<void> write(std::span<const std::byte> bytes);
    /// Puts the file in place; the object is spent, whatever the outcome. Errors: io_error, and the target stays as it
    /// was (but if the folder's sync fails, the new file stands and a power cut may undo it). After a failed `write` it
    /// always fails.
    Result<void> commit();

  private:
    struct State;
    explicit AtomicFile(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace puna::base
