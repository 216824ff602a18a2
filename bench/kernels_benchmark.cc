// Each kernel of each set that this machine has, alone, on one thread, on data that stays in its caches.
//
// Names are KERNEL/SET/..., so that --benchmark_filter picks: --benchmark_filter='matmul/avx2/Q4_K'.
// Whole matrices streamed from memory are `puna bench --types`.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "kernels/kernel_table.h"
#include "nn/compute.h"
#include "quant/tensor_type.h"

namespace puna {
namespace {

using kernels::Activations;
using kernels::KernelTable;

constexpr std::int64_t columns = 2048;
constexpr std::int64_t weight_rows = 256;
constexpr std::int64_t head_dim = 64;

/// Values of a wave: ordinary numbers, the same in every run.
nn::Buffer<float> wave(std::int64_t count, float scale = 1.0F) {
    nn::Buffer<float> values(static_cast<std::size_t>(count));
    for (std::int64_t i = 0; i < count; ++i)
        values.data()[i] = scale * std::sin(0.37F * static_cast<float>(i % 10007));
    return values;
}

nn::Buffer<std::byte> bytes(std::size_t count) {
    nn::Buffer<std::byte> memory(count);
    std::memset(memory.data(), 0, count);
    return memory;
}

double count_of(std::int64_t count) {
    return static_cast<double>(count);
}

/// The rate of `per_iteration` things, under `name`.
void set_rate(benchmark::State& state, const char* name, double per_iteration) {
    state.counters[name] = benchmark::Counter(per_iteration, benchmark::Counter::kIsIterationInvariantRate);
}

// ---- Products ----

/// Activations as a set prepares them, and the memory that they lie in.
struct Prepared {
    nn::Buffer<std::byte> memory;
    kernels::ActivationMatrix matrix;
};
Prepared prepare(const KernelTable& set, Activations kind, std::int64_t rows, const float* values) {
    const std::int64_t group = set.activation_group(kind);
    const std::size_t row_bytes = set.activation_row_bytes(kind, columns);
    Prepared prepared = {bytes(static_cast<std::size_t>((rows + group - 1) / group * group) * row_bytes), {}};
    prepared.matrix = {kind, rows, columns, prepared.memory.data(), row_bytes};
    for (std::int64_t row = 0; row < rows; row += group)
        set.prepare_activations(prepared.matrix, row, std::min(group, rows - row), values + row * columns);
    return prepared;
}

void multiply(benchmark::State& state, const KernelTable& set, const quant::TypeInfo& type, Activations kind) {
    const std::int64_t rows = state.range(0);
    const std::size_t row_bytes = columns / type.block_elements * type.block_bytes;
    const nn::Buffer<float> values = wave(columns * std::max(rows, weight_rows), 0.02F);
    const nn::Buffer<std::byte> weights = bytes(row_bytes * weight_rows);
    if (type.from_float != nullptr) {
        type.from_float(values.data(), weights.data(), columns * weight_rows);
    } else {  // codes without a pattern, scales of ordinary size
        for (std::size_t i = 0; i < row_bytes * weight_rows; ++i)
            weights.data()[i] = static_cast<std::byte>((i * 2654435761U >> 13) & 0x3fU);
    }
    const kernels::WeightMatrix matrix{type.type, weight_rows, columns, weights.data(), row_bytes};
    const Prepared input = prepare(set, kind, rows, values.data());
    const nn::Buffer<std::byte> scratch = bytes(set.matmul_scratch_bytes(columns));
    const nn::Buffer<float> results = wave(rows * weight_rows);
    const kernels::MatmulFn matmul = set.matmul(type.type, kind);
    for (auto _ : state) {
        matmul(matrix, 0, weight_rows, input.matrix, results.data(), weight_rows, scratch.data());
        benchmark::ClobberMemory();
    }
    set_rate(state, "MAC/s", count_of(rows * weight_rows * columns));
    set_rate(state, "weight_bytes/s", count_of(weight_rows) * static_cast<double>(row_bytes));
}

void prepare_rows(benchmark::State& state, const KernelTable& set, Activations kind) {
    constexpr std::int64_t rows = 16;
    const nn::Buffer<float> values = wave(rows * columns);
    const Prepared input = prepare(set, kind, rows, values.data());
    const std::int64_t group = set.activation_group(kind);
    for (auto _ : state) {
        for (std::int64_t row = 0; row < rows; row += group)
            set.prepare_activations(input.matrix, row, group, values.data() + row * columns);
        benchmark::ClobberMemory();
    }
    set_rate(state, "values/s", count_of(rows * columns));
}

// ---- Attention ----

/// `rows` queries that share a KV head, all behind one whole segment.
void attend(benchmark::State& state, const KernelTable& set, kernels::KvType type) {
    constexpr std::int64_t positions = kernels::attention_segment_positions;
    const std::int64_t rows = state.range(0);
    const kernels::KvShape shape{type, 1, head_dim};
    const std::size_t block_bytes = set.kv_block_bytes(shape);
    const nn::Buffer<std::byte> memory = bytes(block_bytes * (positions / kernels::kv_block_positions));
    const nn::Buffer<float> values = wave(head_dim * std::max(positions, rows));
    std::vector<const std::byte*> blocks;
    for (std::int64_t position = 0; position < positions; ++position) {
        const std::int64_t slot = position % kernels::kv_block_positions;
        if (slot == 0) blocks.push_back(memory.data() + blocks.size() * block_bytes);
        std::byte* block = memory.data() + (blocks.size() - 1) * block_bytes;
        const float* value = values.data() + position * head_dim;
        set.kv_write(shape, block, slot, value, value);
    }
    std::vector<const float*> queries;
    for (std::int64_t row = 0; row < rows; ++row)
        queries.push_back(values.data() + row * head_dim);
    const std::vector<std::int64_t> row_positions(static_cast<std::size_t>(rows), positions - 1);
    const nn::Buffer<float> outputs = wave(rows * head_dim);
    const nn::Buffer<float> maxima = wave(rows);
    const nn::Buffer<float> sums = wave(rows);
    const kernels::AttentionTask task{.shape = shape,
                                      .kv_head = 0,
                                      .blocks = blocks.data(),
                                      .segment_begin = 0,
                                      .rows = rows,
                                      .queries = queries.data(),
                                      .row_positions = row_positions.data(),
                                      .scale = 0.125F,
                                      .out = {outputs.data(), maxima.data(), sums.data()}};
    for (auto _ : state) {
        set.attend(task);
        benchmark::ClobberMemory();
    }
    set_rate(state, "MAC/s", count_of(2 * rows * positions * head_dim));
    set_rate(state, "kv_bytes/s", static_cast<double>(block_bytes * blocks.size()));
}

void kv_write(benchmark::State& state, const KernelTable& set, kernels::KvType type) {
    const kernels::KvShape shape{type, 4, head_dim};
    const nn::Buffer<std::byte> block = bytes(set.kv_block_bytes(shape));
    const nn::Buffer<float> values = wave(4 * head_dim);
    std::int64_t slot = 0;
    for (auto _ : state) {
        set.kv_write(shape, block.data(), slot, values.data(), values.data());
        slot = (slot + 1) % kernels::kv_block_positions;
        benchmark::ClobberMemory();
    }
    set_rate(state, "values/s", count_of(2 * 4 * head_dim));
}

// ---- The rest of a layer ----

void rms_norm(benchmark::State& state, const KernelTable& set) {
    const nn::Buffer<float> x = wave(columns);
    const nn::Buffer<float> y = wave(columns);
    for (auto _ : state) {
        set.rms_norm(x.data(), x.data(), 1e-5F, columns, y.data());
        benchmark::ClobberMemory();
    }
    set_rate(state, "values/s", count_of(columns));
}

void silu_multiply(benchmark::State& state, const KernelTable& set) {
    const nn::Buffer<float> start = wave(columns);
    const nn::Buffer<float> gate = wave(columns);
    for (auto _ : state) {
        std::memcpy(gate.data(), start.data(), columns * sizeof(float));  // else it shrinks to denormals
        set.silu_multiply(gate.data(), start.data(), columns);
        benchmark::ClobberMemory();
    }
    set_rate(state, "values/s", count_of(columns));
}

void add(benchmark::State& state, const KernelTable& set) {
    const nn::Buffer<float> x = wave(columns);
    const nn::Buffer<float> y = wave(columns);
    for (auto _ : state) {
        set.add(y.data(), x.data(), columns);
        benchmark::ClobberMemory();
    }
    set_rate(state, "values/s", count_of(columns));
}

void rope(benchmark::State& state, const KernelTable& set, bool interleaved) {
    const nn::Buffer<float> x = wave(columns);
    std::vector<float> cosines;
    std::vector<float> sines;
    for (std::int64_t i = 0; i < head_dim / 2; ++i) {
        cosines.push_back(std::cos(static_cast<float>(i)));
        sines.push_back(std::sin(static_cast<float>(i)));
    }
    for (auto _ : state) {
        set.rope(x.data(), columns / head_dim, head_dim, head_dim, cosines.data(), sines.data(), interleaved);
        benchmark::ClobberMemory();
    }
    set_rate(state, "values/s", count_of(columns));
}

// ---- Their names ----

template <typename Function>
benchmark::internal::Benchmark* enter(const std::string& name, Function function) {
    return benchmark::RegisterBenchmark(name.c_str(), function)->MinTime(0.05);
}

std::vector<Activations> kinds_of(const KernelTable& set) {
    std::vector<Activations> kinds = {Activations::float32, Activations::int16, Activations::int8};
    if (set.bf16 != Activations::float32) kinds.push_back(set.bf16);
    return kinds;
}

void enter_set(const KernelTable& set) {
    for (const Activations kind : kinds_of(set)) {
        const std::string_view kind_name = kernels::activations_name(kind);
        enter(fmt::format("prepare_activations/{}/{}", set.name, kind_name),
              [&set, kind](benchmark::State& state) { prepare_rows(state, set, kind); });
        for (const quant::TypeInfo& type : quant::all_types()) {
            if (!type.computes() || type.decoded_only || set.matmul(type.type, kind) == nullptr) continue;
            enter(fmt::format("matmul/{}/{}/{}", set.name, type.name, kind_name),
                  [&set, &type, kind](auto& state) { multiply(state, set, type, kind); })
                ->Arg(1)
                ->Arg(8)
                ->Arg(64)
                ->ArgName("rows");
        }
    }
    for (const kernels::KvType type : {kernels::KvType::f32, kernels::KvType::f16, kernels::KvType::q8_0}) {
        const std::string_view type_name = kernels::kv_type_name(type);
        enter(fmt::format("attend/{}/{}", set.name, type_name),
              [&set, type](benchmark::State& state) { attend(state, set, type); })
            ->Arg(1)
            ->Arg(8)
            ->Arg(128)
            ->ArgName("rows");
        enter(fmt::format("kv_write/{}/{}", set.name, type_name),
              [&set, type](benchmark::State& state) { kv_write(state, set, type); });
    }
    const auto name = [&set](std::string_view kernel) { return fmt::format("{}/{}", kernel, set.name); };
    enter(name("rms_norm"), [&set](benchmark::State& state) { rms_norm(state, set); });
    enter(name("silu_multiply"), [&set](benchmark::State& state) { silu_multiply(state, set); });
    enter(name("add"), [&set](benchmark::State& state) { add(state, set); });
    for (const bool interleaved : {true, false}) {
        enter(name("rope") + (interleaved ? "/interleaved" : "/halves"),
              [&set, interleaved](benchmark::State& state) { rope(state, set, interleaved); });
    }
}

}  // namespace
}  // namespace puna

int main(int argc, char** argv) {
    for (const puna::kernels::KernelSet& set : puna::kernels::all_kernel_sets()) {
        if (set.available) puna::enter_set(*set.table);
    }
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
