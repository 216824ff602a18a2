// What choosing a token costs, with a vocabulary of 150,000: the default chain, and each sampler by itself.
//
//     build/release/kernel_benchmarks --benchmark_filter=sampling
//
// Logits are normally distributed, as a model's roughly are; the penalties look back on tokens out of them.
#include <benchmark/benchmark.h>

#include <cmath>
#include <vector>

#include "base/rng.h"
#include "sampling/log_probabilities.h"
#include "sampling/sampler.h"

namespace puna::sampling {
namespace {

constexpr std::size_t vocabulary = 150'000;
constexpr int tokens_before = 2'000;

/// Box and Muller 1958, deviation 3.
const std::vector<float>& logits() {
    static const std::vector<float> made = [] {
        std::vector<float> values(vocabulary);
        for (std::size_t i = 0; i < vocabulary; ++i) {
            const double radius = std::sqrt(-2 * std::log(1 - base::uniform_draw(1, i)));
            values[i] = static_cast<float>(3 * radius * std::cos(6.283185307179586 * base::uniform_draw(2, i)));
        }
        return values;
    }();
    return made;
}

SamplingOptions nothing() {
    SamplingOptions options;
    options.temperature = 1;
    options.top_k = 0;
    options.top_p = 1;
    return options;
}

template <typename Change>
SamplingOptions only(Change change) {
    SamplingOptions options = nothing();
    change(options);
    return options;
}

void sample(benchmark::State& state, const SamplingOptions& options) {
    Sampler sampler(options, 1, {});
    for (int i = 0; i < tokens_before; ++i)
        sampler.accept(static_cast<TokenId>(base::uniform_draw(3, static_cast<std::uint64_t>(i)) * 500));
    for (auto _ : state)
        benchmark::DoNotOptimize(sampler.sample(logits()));
}

void logprobs(benchmark::State& state) {
    std::vector<TokenLogprob> top;
    for (auto _ : state)
        benchmark::DoNotOptimize(log_probabilities(logits(), 7, 20, top));
}

const auto unit = benchmark::kMicrosecond;
using O = SamplingOptions;
BENCHMARK_CAPTURE(sample, default, O())->Name("sampling/default")->Unit(unit);
BENCHMARK_CAPTURE(sample, greedy, only([](O& o) { o.temperature = 0; }))->Name("sampling/greedy")->Unit(unit);
BENCHMARK_CAPTURE(sample, draw, nothing())->Name("sampling/draw of all")->Unit(unit);
BENCHMARK_CAPTURE(sample, penalties, only([](O& o) { o.temperature = 0, o.repeat_penalty = 1.1F; }))
    ->Name("sampling/penalties")
    ->Unit(unit);
BENCHMARK_CAPTURE(sample, dry, only([](O& o) { o.temperature = 0, o.dry_multiplier = 1; }))
    ->Name("sampling/dry")
    ->Unit(unit);
BENCHMARK_CAPTURE(sample, top_n_sigma, only([](O& o) { o.top_n_sigma = 1; }))->Name("sampling/top-n-sigma")->Unit(unit);
BENCHMARK_CAPTURE(sample, top_k, only([](O& o) { o.top_k = 40; }))->Name("sampling/top-k")->Unit(unit);
BENCHMARK_CAPTURE(sample, typical, only([](O& o) { o.typical_p = 0.95F; }))->Name("sampling/typical")->Unit(unit);
BENCHMARK_CAPTURE(sample, top_p, only([](O& o) { o.top_p = 0.95F; }))->Name("sampling/top-p")->Unit(unit);
BENCHMARK_CAPTURE(sample, min_p, only([](O& o) { o.min_p = 0.1F; }))->Name("sampling/min-p")->Unit(unit);
BENCHMARK_CAPTURE(sample, xtc, only([](O& o) { o.xtc_probability = 1; }))->Name("sampling/xtc")->Unit(unit);
BENCHMARK_CAPTURE(sample, temperature, only([](O& o) { o.temperature = 0.8F; }))
    ->Name("sampling/temperature")
    ->Unit(unit);
BENCHMARK_CAPTURE(sample, dynatemp, only([](O& o) { o.dynatemp_range = 0.5F; }))
    ->Name("sampling/dynamic temperature")
    ->Unit(unit);
BENCHMARK_CAPTURE(sample, mirostat_1, only([](O& o) { o.mirostat = 1; }))->Name("sampling/mirostat 1")->Unit(unit);
BENCHMARK_CAPTURE(sample, mirostat_2, only([](O& o) { o.mirostat = 2; }))->Name("sampling/mirostat 2")->Unit(unit);
BENCHMARK_CAPTURE(sample, adaptive_p, only([](O& o) { o.adaptive_target = 0.5F; }))
    ->Name("sampling/adaptive-p")
    ->Unit(unit);
BENCHMARK(logprobs)->Name("sampling/20 log-probabilities")->Unit(unit);

}  // namespace
}  // namespace puna::sampling
