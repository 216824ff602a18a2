// The measurement of `puna bench`: batches of fixed random tokens straight on a model's runner.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/bench_cost.h"
#include "cli/interrupt.h"
#include "convert/evaluator.h"
#include "puna/error.h"

namespace puna::cli {

/// `pp` evaluates `tokens` tokens as a prompt, logits for the last; `tg` one after the other, logits for each. Both
/// stand behind `depth` tokens that are evaluated before the clock runs.
struct BenchTest {
    enum class Kind { prompt, generation };
    Kind kind = Kind::prompt;
    std::int64_t tokens = 0;
    std::int64_t depth = 0;

    std::string name() const;  ///< "pp512", "tg64@d4096"
};

struct BenchTimes {
    std::vector<double> seconds;  ///< one for each repetition
    StepCost cost;                ///< of one repetition, all its steps together
};

/// Runs `test` once to warm up (a short run for generation) and then `repetitions` times. The cache must hold
/// depth + tokens positions. Errors: cancelled, and those of Evaluator::forward.
Result<BenchTimes> measure_speed(convert::Evaluator& evaluator, const BenchTest& test, std::int64_t batch_rows,
                                 std::uint32_t repetitions, kernels::KvType kv_type, const InterruptWatch& interrupts);

}  // namespace puna::cli
