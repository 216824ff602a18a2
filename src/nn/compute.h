// What every operation computes with: kernels, threads and scratch memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "kernels/kernel_table.h"
#include "puna/error.h"

namespace puna::nn {

/// Memory aligned to 64 bytes, uninitialized. Empty if the system has none left.
template <typename T>
class Buffer {
  public:
    Buffer() = default;
    explicit Buffer(std::size_t count)
        : data_(static_cast<T*>(::operator new(count * sizeof(T), std::align_val_t{64}, std::nothrow))),
          count_(data_ ? count : 0) {}
    T* data() const { return data_.get(); }
    std::size_t size() const { return count_; }
    explicit operator bool() const { return data_ != nullptr; }

  private:
    struct Free {
        void operator()(T* p) const { ::operator delete(p, std::align_val_t{64}); }
    };
    std::unique_ptr<T, Free> data_;
    std::size_t count_ = 0;
};

class LinearObserver;

/// Borrowed by the operations of one forward pass; for one thread at a time.
struct Compute {
    const kernels::KernelTable& kernels;
    kernels::Activations activations;
    base::ThreadPool& pool;
    std::byte* scratch;                  // [pool.size()][scratch_bytes]
    std::size_t scratch_bytes;           // of one thread, a multiple of 64
    LinearObserver* observer = nullptr;  // of the products (linear.h)

    std::byte* thread_scratch(std::size_t worker) const { return scratch + worker * scratch_bytes; }

    /// Calls `task(first, count, worker)` for claims of a batch's rows, of at most `rows_per_claim()` each: at once for
    /// a single claim, on the pool for more.
    void for_rows(std::int64_t rows,
                  base::FunctionRef<void(std::int64_t first, std::int64_t count, std::size_t worker)> task) const;
    /// Whole groups of activations that are prepared together.
    std::int64_t rows_per_claim() const;
};

}  // namespace puna::nn
