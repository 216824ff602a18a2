// What a constraint costs: compiling JSON schemas, the index over a vocabulary, and the mask for each token.
//
//     PUNA_BENCH_MODEL=model.gguf build/release/kernel_benchmarks --benchmark_filter=constraint
//
// The vocabulary is that of the model, which must have a byte-level BPE, and joined pairs of its tokens up to 128,000.
// Each schema of tests/api/data/schemas.json (the program runs in the repository's root) is followed by random tokens
// out of its masks, from a fresh constraint on, so that nothing is known before.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/text_file.h"
#include "formats/model_file.h"
#include "text/grammar/json_schema.h"
#include "text/grammar/token_constraint.h"
#include "text/tokenizer/tokenizer.h"

namespace puna {
namespace {

using Clock = std::chrono::steady_clock;
using text::TokenId;

constexpr std::size_t vocabulary_tokens = 128'000;
constexpr int tokens_of_a_text = 200;

/// Null without a model.
const text::Tokenizer* tokenizer() {
    static const std::shared_ptr<const text::Tokenizer> made = []() -> std::shared_ptr<const text::Tokenizer> {
        const auto path = base::environment_variable("PUNA_BENCH_MODEL");
        if (!path) return nullptr;
        const auto file = formats::read_model_file(*path);
        if (!file.ok()) return nullptr;
        text::Vocabulary vocabulary = (*file)->vocabulary;
        std::vector<std::string> normal;
        for (std::size_t id = 0; id < vocabulary.kinds.size(); ++id) {
            if (vocabulary.kinds[id] == text::TokenKind::normal) normal.push_back(vocabulary.tokens[id]);
        }
        std::unordered_set<std::string> known(vocabulary.tokens.begin(), vocabulary.tokens.end());
        std::mt19937 random(1);
        while (!normal.empty() && vocabulary.tokens.size() < vocabulary_tokens) {
            std::string joined = normal[random() % normal.size()] + normal[random() % normal.size()];
            if (joined.size() > 10 || !known.insert(joined).second) continue;
            vocabulary.tokens.push_back(std::move(joined));
            vocabulary.kinds.push_back(text::TokenKind::normal);
            if (!vocabulary.scores.empty()) vocabulary.scores.push_back(0);
        }
        auto tokenizer = text::Tokenizer::create(std::move(vocabulary));
        return tokenizer.ok() ? *tokenizer : nullptr;
    }();
    return made.get();
}

const std::vector<std::string>& schemas() {
    static const std::vector<std::string> read = [] {
        std::vector<std::string> out;
        std::ifstream file("tests/api/data/schemas.json");
        for (const auto& schema : nlohmann::ordered_json::parse(file, nullptr, false))
            out.push_back(schema.dump());
        return out;
    }();
    return read;
}

void index_of_the_vocabulary(benchmark::State& state) {
    if (tokenizer() == nullptr) return state.SkipWithError("PUNA_BENCH_MODEL names no model with a byte-level BPE");
    for (auto _ : state)
        benchmark::DoNotOptimize(text::grammar::TokenIndex(*tokenizer(), tokenizer()->size()));
}

void compile_schema(benchmark::State& state) {
    std::size_t next = 0;
    for (auto _ : state)
        benchmark::DoNotOptimize(text::grammar::compile_json_schema(schemas()[next++ % schemas().size()]));
}

double microseconds_since(Clock::time_point begin) {
    return std::chrono::duration<double, std::micro>(Clock::now() - begin).count();
}

/// What the texts of one schema cost, in microseconds. A token that was chosen is accepted, but for an end token.
struct Walk {
    double compile = 0;
    std::vector<TokenId> text;   // chosen from the masks
    std::vector<double> mask;    // [text]
    std::vector<double> accept;  // [text], and one less if the last is an end token
};

std::string walk(std::size_t number, const std::shared_ptr<const text::grammar::TokenIndex>& index, Walk& out) {
    const auto begin_compile = Clock::now();
    auto grammar = text::grammar::compile_json_schema(schemas()[number]);
    if (!grammar.ok()) return grammar.error().message;
    const auto shared = std::make_shared<const text::grammar::Grammar>(std::move(grammar).value());
    text::grammar::TokenConstraint constraint(shared, index, *tokenizer(), false);
    out.compile = microseconds_since(begin_compile);
    std::mt19937 random(static_cast<unsigned>(number));
    for (int token = 0; token < tokens_of_a_text; ++token) {
        const auto begin = Clock::now();
        const auto allowed = constraint.allowed();
        out.mask.push_back(microseconds_since(begin));
        if (!allowed.ok()) return allowed.error().message;
        std::vector<TokenId> choices;
        for (std::size_t id = 0; id < index->size(); ++id) {
            if ((*allowed)->has(static_cast<TokenId>(id))) choices.push_back(static_cast<TokenId>(id));
        }
        const TokenId chosen = out.text.emplace_back(choices[random() % choices.size()]);
        if (tokenizer()->is_end(chosen)) break;
        const auto begin_accept = Clock::now();
        const auto accepted = constraint.accept(chosen);
        out.accept.push_back(microseconds_since(begin_accept));
        if (!accepted.ok()) return accepted.error().message;
    }
    return {};
}

/// For bench/compare_constraints.py: the vocabulary (bytes in hexadecimal), the schemas, and what became of each.
void write_walks(const std::string& path, const std::vector<Walk>& walks) {
    nlohmann::json out;
    for (std::size_t i = 0; i < tokenizer()->size(); ++i) {
        std::string hexadecimal;
        for (const char c : tokenizer()->token_bytes(static_cast<TokenId>(i), /*special=*/false)) {
            for (const int shift : {4, 0})
                hexadecimal += "0123456789abcdef"[static_cast<unsigned char>(c) >> shift & 15];
        }
        out["tokens"].push_back(hexadecimal);
    }
    out["end"] = tokenizer()->end_tokens();
    for (std::size_t i = 0; i < walks.size(); ++i) {
        out["walks"].push_back({{"schema", schemas()[i]},
                                {"compile", walks[i].compile},
                                {"text", walks[i].text},
                                {"mask", walks[i].mask},
                                {"accept", walks[i].accept}});
    }
    std::ofstream(path) << out;
}

void mask(benchmark::State& state) {
    if (tokenizer() == nullptr) return state.SkipWithError("PUNA_BENCH_MODEL names no model with a byte-level BPE");
    const auto index = std::make_shared<const text::grammar::TokenIndex>(*tokenizer(), tokenizer()->size());
    std::vector<Walk> walks(schemas().size());
    for (auto _ : state) {
        for (std::size_t number = 0; number < walks.size(); ++number) {
            if (const std::string error = walk(number, index, walks[number]); !error.empty())
                return state.SkipWithError(error.c_str());
        }
    }
    std::vector<double> microseconds;
    for (const Walk& each : walks)
        microseconds.insert(microseconds.end(), each.mask.begin(), each.mask.end());
    std::sort(microseconds.begin(), microseconds.end());
    const auto quantile = [&](double share) {
        return microseconds[static_cast<std::size_t>(share * static_cast<double>(microseconds.size() - 1))];
    };
    state.counters["masks"] = static_cast<double>(microseconds.size());
    state.counters["median_us"] = quantile(0.5);
    state.counters["p99_us"] = quantile(0.99);
    state.counters["max_us"] = quantile(1);
    if (const auto path = base::environment_variable("PUNA_BENCH_WALKS")) write_walks(*path, walks);
}

BENCHMARK(index_of_the_vocabulary)->Name("constraint/index")->Unit(benchmark::kMillisecond);
BENCHMARK(compile_schema)->Name("constraint/compile_schema")->Unit(benchmark::kMicrosecond);
BENCHMARK(mask)->Name("constraint/mask")->Unit(benchmark::kMillisecond)->Iterations(1);

}  // namespace
}  // namespace puna
