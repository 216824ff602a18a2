// What every operation computes with: kernels, threads and scratch memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <type_traits>

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

/// Something to do with each row of a batch, by claims of a few rows, before what follows: `each(first, count,
/// worker)`. The operation that takes it begins with it, on all threads, without a fork and join of its own. `each` is
/// copied.
class RowStep {
  public:
    RowStep() : RowStep(0, [](std::int64_t, std::int64_t, std::size_t) {}) {}
    template <typename Each>
    RowStep(std::int64_t rows, const Each& each)
        : rows_(rows), each_([](const void* copy, std::int64_t first, std::int64_t count, std::size_t worker) {
              (*static_cast<const Each*>(copy))(first, count, worker);
          }) {
        static_assert(std::is_trivially_copyable_v<Each> && sizeof(Each) <= sizeof(copy_));
        ::new (copy_) Each(each);
    }
    std::int64_t rows() const { return rows_; }
    void operator()(std::int64_t first, std::int64_t count, std::size_t worker) const {
        each_(copy_, first, count, worker);
    }

  private:
    std::int64_t rows_;
    void (*each_)(const void* copy, std::int64_t first, std::int64_t count, std::size_t worker);
    alignas(std::max_align_t) std::byte copy_[64];
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

    /// Does `step` by claims of at most `rows_per_claim()` rows.
    void for_rows(const RowStep& step) const;
    /// The same, and then ThreadPool::run and run_shares, in one fork-join.
    void run_after(const RowStep& step, std::size_t count, base::ThreadPool::Task task) const;
    void run_shares_after(const RowStep& step, std::size_t count, base::ThreadPool::RangeTask task) const;
    /// Whole groups of activations that are prepared together.
    std::int64_t rows_per_claim() const;
};

}  // namespace puna::nn
