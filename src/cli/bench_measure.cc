#include "cli/bench_measure.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "base/rng.h"
#include "base/try.h"

namespace puna::cli {
namespace {

using Clock = std::chrono::steady_clock;

/// One sequence that is filled, measured and cut back.
class Run {
  public:
    Run(convert::Evaluator& evaluator, std::int64_t batch_rows, kernels::KvType kv_type,
        const InterruptWatch& interrupts)
        : evaluator_(evaluator),
          batch_rows_(batch_rows),
          kv_type_(kv_type),
          interrupts_(interrupts),
          weights_(count_model(evaluator.model())),
          sequence_(evaluator.cache().add_sequence()) {}
    ~Run() { evaluator_.cache().remove_sequence(sequence_); }
    Run(const Run&) = delete;
    Run& operator=(const Run&) = delete;

    /// Evaluates positions [from, to) in steps of at most `rows`, logits for the last of each step.
    Result<StepCost> evaluate(std::int64_t from, std::int64_t to, std::int64_t rows);
    Result<StepCost> evaluate_prompt(std::int64_t from, std::int64_t to) { return evaluate(from, to, batch_rows_); }
    void cut_back(std::int64_t length) { evaluator_.cache().truncate(sequence_, length); }

  private:
    /// A fixed random token for each position: the text does not matter to the speed, and every run has the same.
    std::int32_t token(std::int64_t position) const {
        constexpr std::uint64_t seed = 1;
        const double draw = base::uniform_draw(seed, static_cast<std::uint64_t>(position));
        return static_cast<std::int32_t>(draw * static_cast<double>(evaluator_.model().dimensions().vocabulary));
    }

    convert::Evaluator& evaluator_;
    std::int64_t batch_rows_;
    kernels::KvType kv_type_;
    const InterruptWatch& interrupts_;
    ModelCost weights_;
    std::int32_t sequence_;
};

Result<StepCost> Run::evaluate(std::int64_t from, std::int64_t to, std::int64_t rows) {
    StepCost total;
    nn::Batch batch;
    PUNA_CHECK(evaluator_.cache().reserve(sequence_, to));
    for (std::int64_t begin = from; begin < to; begin += rows) {
        if (interrupts_.interrupted()) return Error{ErrorCode::cancelled, "interrupted", ""};
        const std::int64_t end = std::min(begin + rows, to);
        // A prompt wants the logits of its last token only, generation those of each (it comes in steps of one).
        const bool logits = end == to || rows == 1;
        batch.clear();
        for (std::int64_t position = begin; position < end; ++position) {
            batch.add(token(position), position, sequence_, logits && position + 1 == end);
        }
        PUNA_CHECK(evaluator_.forward(batch));
        const StepCost cost = step_cost(weights_, evaluator_.model().dimensions(), kv_type_,
                                        {.rows = end - begin, .position = begin, .logit_rows = logits ? 1 : 0});
        total.bytes += cost.bytes;
        total.multiplies += cost.multiplies;
    }
    return total;
}

}  // namespace

std::string BenchTest::name() const {
    const std::string_view prefix = kind == Kind::prompt ? "pp" : "tg";
    return depth == 0 ? fmt::format("{}{}", prefix, tokens) : fmt::format("{}{}@d{}", prefix, tokens, depth);
}

Result<BenchTimes> measure_speed(convert::Evaluator& evaluator, const BenchTest& test, std::int64_t batch_rows,
                                 std::uint32_t repetitions, kernels::KvType kv_type, const InterruptWatch& interrupts) {
    constexpr std::int64_t warm_up_generation = 4;  // tokens
    const bool prompt = test.kind == BenchTest::Kind::prompt;
    const std::int64_t rows = prompt ? batch_rows : 1;
    const std::int64_t end = test.depth + test.tokens;

    Run run(evaluator, batch_rows, kv_type, interrupts);
    PUNA_CHECK(run.evaluate_prompt(0, test.depth));
    const std::int64_t warm_up_end = prompt ? end : test.depth + std::min(test.tokens, warm_up_generation);
    PUNA_CHECK(run.evaluate(test.depth, warm_up_end, rows));
    BenchTimes times;
    for (std::uint32_t i = 0; i < repetitions; ++i) {
        run.cut_back(test.depth);
        const Clock::time_point begin = Clock::now();
        PUNA_TRY(times.cost, run.evaluate(test.depth, end, rows));
        times.seconds.push_back(std::chrono::duration<double>(Clock::now() - begin).count());
    }
    return times;
}

}  // namespace puna::cli
