// The measurement of `puna bench`: batches of fixed random tokens straight on a model's runner.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/function_ref.h"
#include "cli/bench_cost.h"
#include "cli/bench_limits.h"
#include "cli/interrupt.h"
#include "convert/evaluator.h"
#include "puna/error.h"

namespace puna::cli {

/// `pp` evaluates `tokens` tokens as a prompt, logits for the last; `tg` one after the other, logits for each, in
/// `parallel` sequences that advance together. Each sequence stands behind `depth` tokens of its own, which are
/// evaluated before the clock runs.
struct BenchTest {
    enum class Kind { prompt, generation };
    Kind kind = Kind::prompt;
    std::int64_t tokens = 0;  // of each sequence
    std::int64_t depth = 0;
    std::int64_t parallel = 1;  // 1 for a prompt

    std::string name() const;   ///< "pp512", "tg64@d4096"
    std::string words() const;  ///< with the sequences, if there are several: "tg64@d4096 x 4"
    /// Of the KV cache, for all sequences.
    std::int64_t positions() const;
};

struct BenchTimes {
    std::vector<double> seconds;  ///< one for each repetition
    StepCost cost;                ///< of one repetition, all its steps together
    LimitsAround limits;
};

/// Runs `test` once to warm up (a short run for generation) and then `repetitions` times. The evaluator's cache must
/// hold `test.positions()`, its batches `batch_rows` and one row of each sequence. Errors: cancelled, and those of
/// Evaluator::forward. `look` measures the machine.
Result<BenchTimes> measure_speed(convert::Evaluator& evaluator, const BenchTest& test, std::int64_t batch_rows,
                                 std::uint32_t repetitions, kernels::KvType kv_type, const InterruptWatch& interrupts,
                                 base::FunctionRef<MachineLimits()> look);

}  // namespace puna::cli
