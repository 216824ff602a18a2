// Every kernel set of this machine against `generic`, bit for bit.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "kernels/kernel_table.h"
#include "quant/half.h"
#include "quant/tensor_type.h"

namespace puna::kernels {
namespace {

using quant::TensorType;
using quant::TypeInfo;

const KernelTable& generic() {
    return *select_kernels("generic").value();
}

std::vector<const KernelTable*> other_sets() {
    std::vector<const KernelTable*> tables;
    for (const KernelSet& set : all_kernel_sets()) {
        if (set.available && set.table->name != "generic") tables.push_back(set.table);
    }
    return tables;
}

std::vector<TypeInfo> computing_types() {
    std::vector<TypeInfo> types;
    for (const TypeInfo& type : quant::all_types()) {
        if (type.computes()) types.push_back(type);
    }
    return types;
}

/// Memory aligned as kernels ask for it.
class Scratch {
  public:
    explicit Scratch(std::size_t bytes) : data_(new(std::align_val_t{64}) std::byte[bytes]) {}
    ~Scratch() { operator delete[](data_, std::align_val_t{64}); }
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    std::byte* data() const { return data_; }

  private:
    std::byte* data_;
};

using Random = std::mt19937;

float uniform(Random& random, float low, float high) {
    return std::uniform_real_distribution<float>(low, high)(random);
}

void put_half(std::byte* at, float value) {
    const std::uint16_t half = quant::f32_to_f16(value);
    std::memcpy(at, &half, 2);
}

/// Blocks of random bits with scales, or plain values, that are finite: of ordinary size, or from the ends of their
/// range.
std::vector<std::byte> random_rows(const TypeInfo& type, std::int64_t rows, std::int64_t columns, Random& random) {
    const std::size_t blocks = static_cast<std::size_t>(rows * columns) / type.block_elements;
    std::vector<std::byte> bytes(blocks * type.block_bytes);
    for (std::byte& b : bytes)
        b = static_cast<std::byte>(random() & 0xffu);
    const auto scale = [&random] {
        const float extremes[] = {65504.0F, -65504.0F, 5.9604645e-8F, 0.0F, -0.0F};
        return random() % 8 == 0 ? extremes[random() % 5] : uniform(random, -0.05F, 0.05F);
    };
    const auto weight = [&random] {  // denormals of float32 and bf16, and of f16
        const float extremes[] = {65504.0F, -65504.0F, 1e-40F, 3e-6F, 0.0F, -0.0F};
        return random() % 16 == 0 ? extremes[random() % 6] : uniform(random, -1.0F, 1.0F);
    };
    for (std::size_t b = 0; b < blocks; ++b) {
        std::byte* block = bytes.data() + b * type.block_bytes;
        switch (type.type) {
            case TensorType::F32: {
                const float value = weight();
                std::memcpy(block, &value, 4);
                break;
            }
            case TensorType::F16: put_half(block, weight()); break;
            case TensorType::BF16: {
                const std::uint16_t value = quant::f32_to_bf16(weight());
                std::memcpy(block, &value, 2);
                break;
            }
            case TensorType::F64: {
                const double value = uniform(random, -1.0F, 1.0F);
                std::memcpy(block, &value, 8);
                break;
            }
            case TensorType::F8_E4M3:
            case TensorType::F8_E5M2: block[0] &= std::byte{0xBF}; break;  // small and finite
            case TensorType::Q2_K: put_half(block + 80, scale()), put_half(block + 82, scale()); break;
            case TensorType::Q3_K: put_half(block + 108, scale()); break;
            case TensorType::Q6_K: put_half(block + 208, scale()); break;
            case TensorType::TQ1_0: put_half(block + 52, scale()); break;
            case TensorType::TQ2_0: put_half(block + 64, scale()); break;
            case TensorType::IQ1_M: {  // a nibble at the upper end of each 16 bits of scales
                std::byte half[2];
                put_half(half, scale());
                for (std::size_t n = 0; n < 4; ++n) {
                    const auto nibble = (half[n / 2] >> (4 * (n % 2))) << 4;
                    block[49 + 2 * n] = (block[49 + 2 * n] & std::byte{0x0f}) | nibble;
                }
                break;
            }
            case TensorType::NVFP4: break;  // any byte is a scale
            case TensorType::MXFP4:
                block[0] = static_cast<std::byte>(random() % 16 == 0 ? random() % 4 : 100 + random() % 40);
                break;
            case TensorType::Q4_1:
            case TensorType::Q5_1:
            case TensorType::Q4_K:
            case TensorType::Q5_K: put_half(block + 2, scale()); [[fallthrough]];
            default: put_half(block, scale());
        }
    }
    return bytes;
}

/// Ordinary values, with blocks of zeros, denormals, huge and lone values among them.
std::vector<float> random_activations(std::int64_t rows, std::int64_t columns, Random& random) {
    std::vector<float> x(static_cast<std::size_t>(rows * columns));
    for (std::size_t i = 0; i < x.size(); ++i) {
        const std::size_t kind = (i / 32) % 11;
        x[i] = uniform(random, -3.0F, 3.0F);
        if (kind == 3) x[i] = 0.0F;
        if (kind == 5) x[i] *= 1e-41F;
        if (kind == 7) x[i] *= 1e30F;
        if (kind == 9 && i % 32 != 17) x[i] = -0.0F;
    }
    return x;
}

struct Problem {
    TypeInfo type;
    std::int64_t rows;
    std::int64_t columns;
    std::int64_t x_rows;
};

/// y: [x_rows][rows] of one set, its row range cut in two. Scratch is for these columns if `scratch_bytes` is 0.
std::vector<float> product(const KernelTable& set, const Problem& p, Activations kind, const std::vector<std::byte>& w,
                           const std::vector<float>& x, std::size_t scratch_bytes = 0) {
    const std::size_t row_bytes = static_cast<std::size_t>(p.columns) / p.type.block_elements * p.type.block_bytes;
    const std::size_t x_bytes = set.activation_row_bytes(kind, p.columns);
    const std::int64_t group = set.activation_group(kind);
    Scratch prepared(x_bytes * static_cast<std::size_t>((p.x_rows + group - 1) / group * group));
    const ActivationMatrix activations{kind, p.x_rows, p.columns, prepared.data(), x_bytes};
    for (std::int64_t m = 0; m < p.x_rows; m += group) {
        EXPECT_TRUE(set.prepare_activations(activations, m, std::min(group, p.x_rows - m), x.data() + m * p.columns));
    }
    if (scratch_bytes == 0) scratch_bytes = set.matmul_scratch_bytes(p.columns);
    constexpr std::size_t guard_bytes = std::size_t{1} << 16;
    Scratch scratch(scratch_bytes + guard_bytes);
    std::fill_n(scratch.data() + scratch_bytes, guard_bytes, std::byte{0xa5});
    std::vector<float> y(static_cast<std::size_t>(p.x_rows * p.rows), -1.0F);
    const WeightMatrix weights{p.type.type, p.rows, p.columns, w.data(), row_bytes};
    const MatmulFn matmul = set.matmul(p.type.type, kind);
    const std::int64_t cut = p.rows / 2 / row_tile * row_tile;
    if (cut > 0) matmul(weights, 0, cut, activations, y.data(), p.rows, scratch.data());
    matmul(weights, cut, p.rows, activations, y.data(), p.rows, scratch.data());
    EXPECT_EQ(std::count(scratch.data() + scratch_bytes, scratch.data() + scratch_bytes + guard_bytes, std::byte{0xa5}),
              static_cast<std::ptrdiff_t>(guard_bytes))
        << set.name << ", " << p.type.name << ": " << p.columns << " columns";
    return y;
}

void expect_same_bits(const std::vector<float>& expected, const std::vector<float>& actual, const std::string& what) {
    ASSERT_EQ(expected.size(), actual.size()) << what;
    for (std::size_t i = 0; i < expected.size(); ++i) {
        if (std::isnan(expected[i]) && std::isnan(actual[i])) continue;
        ASSERT_EQ(std::bit_cast<std::uint32_t>(expected[i]), std::bit_cast<std::uint32_t>(actual[i]))
            << what << ", element " << i << ": " << expected[i] << " and " << actual[i];
    }
}

TEST(KernelSets, ThisMachineHasOneToCompare) {
    EXPECT_FALSE(other_sets().empty());
}

/// The laws under which a type is computed; F32, F16 and BF16 have no integer law, and some types are only decoded.
std::vector<Activations> kinds_for(const TypeInfo& type) {
    if (type.decoded_only) return {Activations::float32};
    if (type.law_width == 0) return {Activations::float32, Activations::bf16_tiles, Activations::bf16_lanes};
    return {std::begin(all_activations), std::end(all_activations)};
}

class MatmulTest : public testing::TestWithParam<TypeInfo> {};

void check(const Problem& p, Activations kind, Random& random) {
    const auto w = random_rows(p.type, p.rows, p.columns, random);
    const auto x = random_activations(p.x_rows, p.columns, random);
    const auto expected = product(generic(), p, kind, w, x);
    for (const KernelTable* set : other_sets()) {
        if (set->matmul(p.type.type, kind) == nullptr) continue;
        expect_same_bits(expected, product(*set, p, kind, w, x),
                         std::string(set->name) + ", " + std::string(p.type.name) + " " + std::to_string(p.rows) +
                             " x " + std::to_string(p.columns) + ", " + std::to_string(p.x_rows) + " rows");
    }
}

TEST_P(MatmulTest, EveryCountOfActivationRows) {
    Random random(1);
    const std::int64_t columns = GetParam().block_elements == 256 ? 512 : 576;
    for (const Activations kind : kinds_for(GetParam())) {
        for (std::int64_t x_rows = 1; x_rows <= 33; ++x_rows)
            check({GetParam(), 35, columns, x_rows}, kind, random);
    }
}

TEST_P(MatmulTest, RandomShapes) {
    Random random(2);
    for (const Activations kind : kinds_for(GetParam())) {
        for (int i = 0; i < 12; ++i) {
            const std::int64_t rows = 1 + static_cast<std::int64_t>(random() % 150);
            const std::int64_t columns =
                GetParam().block_elements *
                (1 + static_cast<std::int64_t>(random() % (GetParam().block_elements == 256 ? 4 : 20)));
            check({GetParam(), rows, columns, 1 + static_cast<std::int64_t>(random() % 9)}, kind, random);
        }
    }
}

/// Longer than what any set keeps of K at a time, and, for floats, a last part that is no multiple of the lanes.
TEST_P(MatmulTest, LongRows) {
    Random random(4);
    const std::int64_t columns = GetParam().block_elements == 1 ? 9001 : 14'336 + GetParam().block_elements;
    for (const Activations kind : kinds_for(GetParam())) {
        for (const std::int64_t x_rows : {1, 5, 9})
            check({GetParam(), 19, columns, x_rows}, kind, random);
    }
}

INSTANTIATE_TEST_SUITE_P(Types, MatmulTest, testing::ValuesIn(computing_types()),
                         [](const auto& instance) { return std::string(instance.param.name); });

/// A thread's scratch is for the widest matrix of a model, and used for all.
TEST(Scratch, WhatServesWideMatricesServesNarrowOnes) {
    for (const KernelSet& set : all_kernel_sets()) {
        if (!set.available) continue;
        std::size_t narrower = 0;
        for (std::int64_t columns = 16; columns <= 40'000; columns += 16) {
            const std::size_t bytes = set.table->matmul_scratch_bytes(columns);
            ASSERT_GE(bytes, narrower) << set.table->name << ", " << columns << " columns";
            narrower = bytes;
        }
    }
}

/// Matrices of a model in the scratch of its widest one, with a guard behind it. Of 768 columns more rows fit into half
/// of a cache of 512 KiB than of 1,536, and they take more; so do 2,048 beside 5,632 with 1 MiB.
TEST(Scratch, IsNotLeft) {
    Random random(8);
    for (const TensorType name : {TensorType::F32, TensorType::F16, TensorType::Q8_0}) {
        const TypeInfo& type = quant::type_info(name);
        for (const Activations kind : kinds_for(type)) {
            for (const auto& [narrow, wide] : {std::pair<std::int64_t, std::int64_t>{768, 1536}, {2048, 5632}}) {
                const Problem p{type, 160, narrow, 9};
                const auto w = random_rows(type, p.rows, p.columns, random);
                const auto x = random_activations(p.x_rows, p.columns, random);
                for (const KernelTable* set : other_sets()) {
                    if (set->matmul(name, kind) == nullptr) continue;
                    product(*set, p, kind, w, x, set->matmul_scratch_bytes(wide));
                }
            }
        }
    }
}

TEST(PrepareActivations, NotANumberIsRefusedBySetsAlike) {
    for (const KernelSet& set : all_kernel_sets()) {
        if (!set.available) continue;
        for (const float bad : {std::nanf(""), INFINITY, -INFINITY}) {
            for (const std::size_t at : {0u, 17u, 31u, 63u}) {
                std::vector<float> x(64, 1.0F);
                x[at] = bad;
                for (const Activations kind : all_activations) {
                    if (kind == Activations::float32) continue;
                    if (set.table->matmul(TensorType::Q4_0, kind) == nullptr) continue;
                    const std::size_t row_bytes = set.table->activation_row_bytes(kind, 64);
                    Scratch row(row_bytes);
                    EXPECT_FALSE(set.table->prepare_activations({kind, 1, 64, row.data(), row_bytes}, 0, 1, x.data()))
                        << set.table->name;
                }
            }
        }
    }
}

TEST(PrepareActivations, TheLargestOfABlockStaysWithinTheLimitAtEveryMagnitude) {
    Random random(11);
    const TypeInfo& type = quant::type_info(TensorType::Q8_0);
    const Problem p{type, 16, 32 * 228, 24};
    const auto w = random_rows(type, p.rows, p.columns, random);
    std::vector<float> x(static_cast<std::size_t>(p.x_rows * p.columns));
    for (std::size_t block = 0; block < x.size() / 32; ++block) {
        const float largest = std::ldexp(uniform(random, 1.0F, 2.0F), static_cast<int>(block % 228) - 100);
        for (std::size_t i = 0; i < 32; ++i)
            x[block * 32 + i] = i % 5 == 0 ? largest : i % 5 == 1 ? -largest : largest * uniform(random, -1.0F, 1.0F);
    }
    for (const Activations kind : {Activations::int16, Activations::int8}) {
        const auto expected = product(generic(), p, kind, w, x);
        for (const KernelTable* set : other_sets())
            expect_same_bits(expected, product(*set, p, kind, w, x), std::string(set->name));
    }
}

TEST(ElementWise, NormSiluRope) {
    Random random(3);
    for (const std::int64_t n : {1, 7, 16, 31, 64, 576, 577}) {
        const auto x = random_activations(1, n, random);
        const auto w = random_activations(1, n, random);
        for (const KernelTable* set : other_sets()) {
            const std::string name(set->name);
            std::vector<float> expected(x.size());
            std::vector<float> actual(x.size());
            generic().rms_norm(x.data(), w.data(), 1e-5F, n, expected.data());
            set->rms_norm(x.data(), w.data(), 1e-5F, n, actual.data());
            expect_same_bits(expected, actual, name + " rms_norm");
            expected = actual = x;
            for (float& v : expected)
                v *= 40;
            actual = expected;
            generic().silu_multiply(expected.data(), w.data(), n);
            set->silu_multiply(actual.data(), w.data(), n);
            expect_same_bits(expected, actual, name + " silu_multiply");
        }
    }
    for (const bool interleaved : {false, true}) {
        const auto x = random_activations(3, 80, random);
        const auto angles = random_activations(2, 32, random);
        for (const KernelTable* set : other_sets()) {
            auto expected = x;
            auto actual = x;
            generic().rope(expected.data(), 3, 80, 64, angles.data(), angles.data() + 32, interleaved);
            set->rope(actual.data(), 3, 80, 64, angles.data(), angles.data() + 32, interleaved);
            expect_same_bits(expected, actual, std::string(set->name) + " rope");
        }
    }
}

struct AttentionResult {
    std::vector<float> outputs, maxima, sums;
};

/// A sequence of `length` positions, attended to by rows at several positions in one segment.
AttentionResult attend(const KernelTable& set, const KvShape& shape, std::int64_t length,
                       const std::vector<std::int64_t>& positions, const std::vector<float>& kv,
                       const std::vector<float>& q, std::int64_t segment_begin) {
    const std::size_t block_bytes = set.kv_block_bytes(shape);
    const std::int64_t blocks = (length + kv_block_positions - 1) / kv_block_positions;
    Scratch memory(block_bytes * static_cast<std::size_t>(blocks));
    std::memset(memory.data(), 0xff, block_bytes * static_cast<std::size_t>(blocks));  // NaN where nothing is written
    const std::int64_t values = shape.kv_heads * shape.head_dim;
    std::vector<const std::byte*> pointers;
    for (std::int64_t b = 0; b < blocks; ++b)
        pointers.push_back(memory.data() + static_cast<std::size_t>(b) * block_bytes);
    for (std::int64_t p = 0; p < length; ++p) {
        const float* k = kv.data() + p * 2 * values;
        std::byte* block = memory.data() + static_cast<std::size_t>(p / kv_block_positions) * block_bytes;
        set.kv_write(shape, block, p % kv_block_positions, k, k + values);
        std::vector<float> k_back(static_cast<std::size_t>(values));
        std::vector<float> v_back(static_cast<std::size_t>(values));
        set.kv_read(shape, block, p % kv_block_positions, k_back.data(), v_back.data());
        if (shape.type == KvType::f32) {
            EXPECT_EQ(std::memcmp(k_back.data(), k, k_back.size() * 4), 0);
            EXPECT_EQ(std::memcmp(v_back.data(), k + values, v_back.size() * 4), 0);
        }
        if (shape.type == KvType::q8_0) {  // half a step of 127, of values up to 2
            for (std::size_t i = 0; i < k_back.size(); ++i) {
                EXPECT_NEAR(k_back[i], k[i], 1.0001 / 127);
                EXPECT_NEAR(v_back[i], k[static_cast<std::size_t>(values) + i], 1.0001 / 127);
            }
        }
    }
    const auto rows = static_cast<std::int64_t>(positions.size());
    std::vector<const float*> queries;
    for (std::int64_t i = 0; i < rows; ++i)
        queries.push_back(q.data() + i * shape.head_dim);
    AttentionResult result{std::vector<float>(static_cast<std::size_t>(rows * shape.head_dim)),
                           std::vector<float>(positions.size()), std::vector<float>(positions.size())};
    set.attend({.shape = shape,
                .kv_head = shape.kv_heads - 1,
                .blocks = pointers.data() + segment_begin / kv_block_positions,
                .segment_begin = segment_begin,
                .rows = rows,
                .queries = queries.data(),
                .row_positions = positions.data(),
                .scale = 0.125F,
                .out = {result.outputs.data(), result.maxima.data(), result.sums.data()}});
    return result;
}

TEST(Attention, AllShapesAndPositions) {
    Random random(4);
    for (const KvType type : {KvType::f32, KvType::f16, KvType::q8_0}) {
        for (const std::int64_t dim : {8, 16, 24, 64, 80, 96, 128}) {
            if (type == KvType::q8_0 && dim % 32 != 0) continue;
            for (const std::int64_t length : {1, 31, 33, 100, 600}) {
                const KvShape shape{type, 2, dim};
                std::vector<std::int64_t> positions;
                for (int i = 0; i < 11; ++i)
                    positions.push_back(i < 5 ? length - 1
                                              : static_cast<std::int64_t>(random() % static_cast<unsigned>(length)));
                std::vector<float> kv(static_cast<std::size_t>(length * 4 * dim));
                for (float& v : kv)
                    v = uniform(random, -2, 2);
                std::vector<float> q(positions.size() * static_cast<std::size_t>(dim));
                for (float& v : q)
                    v = uniform(random, -2, 2);
                for (std::int64_t segment = 0; segment < length; segment += attention_segment_positions) {
                    const auto expected = attend(generic(), shape, length, positions, kv, q, segment);
                    for (const KernelTable* set : other_sets()) {
                        const auto actual = attend(*set, shape, length, positions, kv, q, segment);
                        const std::string what = std::string(set->name) + ", head of " + std::to_string(dim) +
                                                 ", length " + std::to_string(length);
                        expect_same_bits(expected.sums, actual.sums, what + ", sums");
                        expect_same_bits(expected.maxima, actual.maxima, what + ", maxima");
                        expect_same_bits(expected.outputs, actual.outputs, what + ", outputs");
                    }
                }
            }
        }
    }
}

TEST(Attention, MergeAndFinish) {
    Random random(5);
    for (const std::int64_t dim : {24, 80}) {
        for (const std::int64_t rows : {1, 4, 16, 19, 35}) {
            const auto state = [&] {
                AttentionResult made{std::vector<float>(static_cast<std::size_t>(rows * dim)),
                                     std::vector<float>(static_cast<std::size_t>(rows)),
                                     std::vector<float>(static_cast<std::size_t>(rows))};
                for (float& o : made.outputs)
                    o = uniform(random, -2, 2);
                for (float& m : made.maxima) {  // near each other, and so far apart that one counts for nothing
                    const float spread = random() % 4 == 0 ? 200.0F : 3.0F;
                    m = uniform(random, -spread, spread);
                }
                for (float& l : made.sums)
                    l = uniform(random, 1, 512);
                return made;
            };
            const AttentionResult first = state();
            AttentionResult second = state();
            for (std::size_t row = 0; row < second.sums.size(); row += 3) {  // nothing of theirs in the second segment
                second.sums[row] = 0.0F;
                second.maxima[row] = -INFINITY;
                std::fill_n(second.outputs.begin() + static_cast<std::ptrdiff_t>(row) * dim, dim, 0.0F);
            }
            const auto folded = [&](const KernelTable& set) {
                AttentionResult into = first;
                const auto pointers = [](AttentionResult& r) {
                    return SoftmaxState{r.outputs.data(), r.maxima.data(), r.sums.data()};
                };
                set.attention_merge(pointers(into), pointers(second), rows, dim);
                for (std::int64_t row = 0; row < rows; ++row)
                    set.attention_finish(into.outputs.data() + row * dim, into.sums[static_cast<std::size_t>(row)],
                                         dim);
                return into;
            };
            const AttentionResult expected = folded(generic());
            EXPECT_EQ(expected.maxima[0], first.maxima[0]);
            EXPECT_EQ(expected.sums[0], first.sums[0]);
            for (const KernelTable* set : other_sets()) {
                const AttentionResult actual = folded(*set);
                expect_same_bits(expected.outputs, actual.outputs, std::string(set->name) + ", outputs");
                expect_same_bits(expected.maxima, actual.maxima, std::string(set->name) + ", maxima");
                expect_same_bits(expected.sums, actual.sums, std::string(set->name) + ", sums");
            }
        }
    }
}

}  // namespace
}  // namespace puna::kernels
