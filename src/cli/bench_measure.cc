#include "cli/bench_measure.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <span>

#include "base/rng.h"
#include "base/try.h"

namespace puna::cli {
namespace {

using Clock = std::chrono::steady_clock;

/// Sequences that are filled, measured and cut back.
class Run {
  public:
    Run(convert::Evaluator& evaluator, std::int64_t sequences, std::int64_t batch_rows, kernels::KvType kv_type,
        const InterruptWatch& interrupts)
        : evaluator_(evaluator),
          batch_rows_(batch_rows),
          kv_type_(kv_type),
          interrupts_(interrupts),
          weights_(count_model(evaluator.model())) {
        for (std::int64_t i = 0; i < sequences; ++i)
            sequences_.push_back(evaluator_.cache().add_sequence());
    }
    ~Run() {
        for (const std::int32_t sequence : sequences_)
            evaluator_.cache().remove_sequence(sequence);
    }
    Run(const Run&) = delete;
    Run& operator=(const Run&) = delete;

    /// Evaluates positions [from, to) of one sequence after the other as a prompt, logits for the last.
    Result<StepCost> evaluate_prompts(std::int64_t from, std::int64_t to) {
        StepCost total;
        for (const std::int32_t sequence : sequences_) {
            for (std::int64_t begin = from; begin < to; begin += batch_rows_) {
                const std::int64_t end = std::min(begin + batch_rows_, to);
                PUNA_TRY(const StepCost cost, step({&sequence, 1}, begin, end, end == to));
                total += cost;
            }
        }
        return total;
    }
    /// Evaluates positions [from, to) of all sequences, a token of each in a step, logits for all.
    Result<StepCost> generate(std::int64_t from, std::int64_t to) {
        StepCost total;
        for (std::int64_t position = from; position < to; ++position) {
            PUNA_TRY(const StepCost cost, step(sequences_, position, position + 1, true));
            total += cost;
        }
        return total;
    }
    void cut_back(std::int64_t length) {
        for (const std::int32_t sequence : sequences_)
            evaluator_.cache().truncate(sequence, length);
    }

  private:
    Result<StepCost> step(std::span<const std::int32_t> sequences, std::int64_t begin, std::int64_t end, bool logits);

    /// A fixed random token for each position: the text does not matter to the speed, and every run has the same.
    std::int32_t token(std::int32_t sequence, std::int64_t position) const {
        const double draw =
            base::uniform_draw(static_cast<std::uint64_t>(sequence) + 1, static_cast<std::uint64_t>(position));
        return static_cast<std::int32_t>(draw * static_cast<double>(evaluator_.model().dimensions().vocabulary));
    }

    convert::Evaluator& evaluator_;
    std::int64_t batch_rows_;
    kernels::KvType kv_type_;
    const InterruptWatch& interrupts_;
    ModelCost weights_;
    std::vector<std::int32_t> sequences_;
    nn::Batch batch_;
};

/// One batch: positions [begin, end) of each of `sequences`, with the logits of their last if they are wanted.
Result<StepCost> Run::step(std::span<const std::int32_t> sequences, std::int64_t begin, std::int64_t end, bool logits) {
    if (interrupts_.interrupted()) return Error{ErrorCode::cancelled, "interrupted", ""};
    batch_.clear();
    for (const std::int32_t sequence : sequences) {
        PUNA_CHECK(evaluator_.cache().reserve(sequence, end));
        for (std::int64_t position = begin; position < end; ++position) {
            batch_.add(token(sequence, position), position, sequence, logits && position + 1 == end);
        }
    }
    PUNA_CHECK(evaluator_.forward(batch_));
    return step_cost(weights_, evaluator_.model().dimensions(), kv_type_,
                     {.rows = end - begin,
                      .position = begin,
                      .logit_rows = logits ? 1 : 0,
                      .sequences = static_cast<std::int64_t>(sequences.size())});
}

}  // namespace

std::string BenchTest::name() const {
    const std::string_view prefix = kind == Kind::prompt ? "pp" : "tg";
    return depth == 0 ? fmt::format("{}{}", prefix, tokens) : fmt::format("{}{}@d{}", prefix, tokens, depth);
}

std::string BenchTest::words() const {
    return parallel > 1 ? fmt::format("{} x {}", name(), parallel) : name();
}

std::int64_t BenchTest::positions() const {
    return parallel * convert::whole_blocks(depth + tokens);
}

Result<BenchTimes> measure_speed(convert::Evaluator& evaluator, const BenchTest& test, std::int64_t batch_rows,
                                 std::uint32_t repetitions, kernels::KvType kv_type, const InterruptWatch& interrupts,
                                 base::FunctionRef<MachineLimits()> look) {
    constexpr std::int64_t warm_up_generation = 4;  // tokens
    const bool prompt = test.kind == BenchTest::Kind::prompt;
    Run run(evaluator, test.parallel, batch_rows, kv_type, interrupts);
    const auto measured = [&](std::int64_t tokens) {
        const std::int64_t end = test.depth + tokens;
        return prompt ? run.evaluate_prompts(test.depth, end) : run.generate(test.depth, end);
    };

    PUNA_CHECK(run.evaluate_prompts(0, test.depth));
    BenchTimes times;
    times.limits.before = look();
    PUNA_CHECK(measured(prompt ? test.tokens : std::min(test.tokens, warm_up_generation)));
    for (std::uint32_t i = 0; i < repetitions; ++i) {
        run.cut_back(test.depth);
        const Clock::time_point begin = Clock::now();
        PUNA_TRY(times.cost, measured(test.tokens));
        times.seconds.push_back(std::chrono::duration<double>(Clock::now() - begin).count());
    }
    times.limits.after = look();
    return times;
}

}  // namespace puna::cli
