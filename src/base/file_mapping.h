// A file mapped into memory, read-only, that survives the file's truncation.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "base/file_descriptor.h"
#include "base/function_ref.h"
#include "puna/error.h"

namespace puna::base {

/// What it holds is immutable; thread-safe. If the file shrinks while it is mapped, a fault in the lost part does not
/// end the process: a SIGBUS handler (installed with the first mapping) puts zero pages from the fault to the mapping's
/// end, marks the mapping lost and returns. Faults that belong to no mapping of ours go to the handler that was there
/// before. Whoever computes on mapped data asks `check()` before handing the result on: a file that shrinks within its
/// last page reads zeros there without any fault, so `lost()` alone does not tell. A file that is rewritten at the same
/// length goes unnoticed; one that is replaced by rename is no concern, since the mapping keeps the old one. System
/// calls that read the bytes (write, send) meet no handler and answer EFAULT.
class FileMapping {
  public:
    /// An empty file gives no bytes. Errors: file_not_found, file_unreadable (a folder, no permission, a device),
    /// out_of_memory (no address space, or more than 4,096 mappings at a time).
    static Result<std::shared_ptr<const FileMapping>> open(const std::string& path);
    ~FileMapping();
    FileMapping(const FileMapping&) = delete;
    FileMapping& operator=(const FileMapping&) = delete;

    std::span<const std::byte> bytes() const { return {data_, size_}; }
    const std::string& path() const { return path_; }
    /// Whether a fault was met. Cheap.
    bool lost() const { return lost_ != nullptr && lost_->load(std::memory_order_acquire); }
    /// Takes the pages that lie wholly inside `part` of bytes() out of this process's memory, for work that reads a
    /// file once; whoever reads them again gets them from the system again.
    void release_pages(std::span<const std::byte> part) const;
    /// Brings the pages of `part` of bytes() into memory, and returns when they are there.
    void fetch_pages(std::span<const std::byte> part) const;
    /// Reads the whole file into memory of its own, in large pages where the system has them, and puts that in the
    /// place of the mapped pages: bytes() stays where it is, others may read it meanwhile, and what happens to the file
    /// afterwards is no concern. `progress`: called with the bytes read so far. Errors: file_unreadable, file_changed
    /// (it became shorter), out_of_memory; then all is as it was.
    Result<void> read_into_memory(FunctionRef<void(std::uint64_t)> progress) const;
    /// Errors: file_changed once the mapping is lost, or while the file's size is not what it was. One system call.
    Result<void> check() const;

  private:
    FileMapping() = default;
    std::string path_;
    const std::byte* data_ = nullptr;
    std::size_t size_ = 0;
    FileDescriptor file_;                      // stays open: the path may come to name another file
    std::size_t slot_ = 0;                     // in the fault handler's table
    const std::atomic<bool>* lost_ = nullptr;  // in that slot; null for an empty file
    mutable std::atomic<bool> in_memory_ = false;
};

/// What was read from the mapping, or the error of `check()` if there is one: a file that shrank meanwhile read as
/// zeros, and that is what to report.
template <typename T>
Result<T> unless_changed(const FileMapping& mapping, Result<T> read) {
    if (auto unchanged = mapping.check(); !unchanged.ok()) return std::move(unchanged).error();
    return read;
}

}  // namespace puna::base
