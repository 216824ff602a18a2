// The best rate of the very instruction with which a kernel set multiplies: a set that is forced may have a lesser one
// than the machine.
#pragma once

#include <cstdint>
#include <map>
#include <string_view>

#include "base/thread_pool.h"
#include "kernels/kernel_table.h"
#include "kernels/peaks.h"

namespace puna::kernels {

struct Instruction {
    std::string_view name;
    PeakLoop loop = nullptr;
    int passes = 1;  // products of the instruction for one of the kernel: 2 where 16 bits are taken as two bytes
};
/// What `set` multiplies `rows` rows of activations with. The loop is null where that is not known.
Instruction instruction_of(const KernelTable& set, Activations activations, std::int64_t rows);

/// Measures each loop once. For one thread at a time; the pool must outlive it.
class InstructionPeaks {
  public:
    explicit InstructionPeaks(base::ThreadPool& pool) : pool_(pool) {}
    /// Billions of a kernel's multiply-adds a second on all threads of the pool; 0 for an unknown instruction.
    double gmac_s(const Instruction& instruction);

  private:
    base::ThreadPool& pool_;
    std::map<PeakLoop, double> measured_;
};

}  // namespace puna::kernels
