#include "nn/attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace puna::nn {
namespace {

constexpr std::int64_t heads = 6;
constexpr std::int64_t kv_heads = 2;
constexpr std::int64_t dim = 24;

struct Sequence {
    std::vector<float> k, v;  // [length][kv_heads][dim]
};

std::vector<float> random_values(std::size_t count, unsigned seed) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<float> uniform(-1.5F, 1.5F);
    std::vector<float> values(count);
    for (float& v : values)
        v = uniform(random);
    return values;
}

/// Softmax attention as it is defined, in double precision.
std::vector<double> reference(const Sequence& s, const float* q, std::int64_t head, std::int64_t position,
                              double scale) {
    const std::int64_t kv = head / (heads / kv_heads);
    std::vector<double> p;
    double sum = 0;
    for (std::int64_t t = 0; t <= position; ++t) {
        double score = 0;
        for (std::int64_t d = 0; d < dim; ++d)
            score += static_cast<double>(q[d]) * s.k[static_cast<std::size_t>((t * kv_heads + kv) * dim + d)];
        p.push_back(std::exp(score * scale));
        sum += p.back();
    }
    std::vector<double> out(dim, 0.0);
    for (std::int64_t t = 0; t <= position; ++t) {
        for (std::int64_t d = 0; d < dim; ++d) {
            out[static_cast<std::size_t>(d)] +=
                p[static_cast<std::size_t>(t)] / sum * s.v[static_cast<std::size_t>((t * kv_heads + kv) * dim + d)];
        }
    }
    return out;
}

struct Stretch {
    std::int64_t sequence, first, count;
};

class AttentionTest : public testing::Test {
  protected:
    static constexpr std::int64_t length = 1200;

    AttentionTest() {
        for (unsigned s = 0; s < 2; ++s) {
            const std::size_t values = static_cast<std::size_t>(length * kv_heads * dim);
            sequences_.push_back({random_values(values, 10 + s), random_values(values, 20 + s)});
        }
    }

    /// The outputs of a batch made of `runs`, [rows][heads][dim].
    std::vector<float> attend(const std::vector<Stretch>& runs, std::size_t threads, Batch& batch) {
        const kernels::KernelTable& set = kernels::default_kernels();
        auto pool = base::ThreadPool::create(threads).value();
        auto cache = KvCache::create(set, {{kernels::KvType::f32, kv_heads, dim}, 1}, 2 * length + 64).value();
        for (std::int32_t s = 0; s < 2; ++s) {
            EXPECT_EQ(cache->add_sequence(), s);
            EXPECT_TRUE(cache->reserve(s, length).ok());
            for (std::int64_t p = 0; p < length; ++p) {
                const std::int64_t at = p * kv_heads * dim;
                cache->write(s, 0, p, sequences_[static_cast<std::size_t>(s)].k.data() + at,
                             sequences_[static_cast<std::size_t>(s)].v.data() + at);
            }
        }
        batch.clear();
        for (const Stretch& run : runs) {
            for (std::int64_t i = 0; i < run.count; ++i)
                batch.add(0, run.first + i, static_cast<std::int32_t>(run.sequence), false);
        }
        Attention attention(heads, kv_heads, dim);
        const std::size_t scratch_bytes = attention.scratch_bytes();
        const Buffer<std::byte> scratch(scratch_bytes * threads);
        const Buffer<std::byte> partials(attention.partial_bytes());
        const Compute compute{set, kernels::Activations::float32, *pool, scratch.data(), scratch_bytes};
        const auto rows = static_cast<std::size_t>(batch.rows());
        std::vector<float> q;
        for (std::size_t r = 0; r < rows; ++r) {
            const auto row = query(batch, r);
            q.insert(q.end(), row.begin(), row.end());
        }
        std::vector<float> outputs(rows * heads * dim);
        attention.plan(batch, threads);
        attention.run(compute, *cache, 0, 0.2F, q.data(), outputs.data(), partials.data());
        return outputs;
    }

    /// A row's query depends on its sequence and position alone.
    static std::vector<float> query(const Batch& batch, std::size_t row) {
        return random_values(heads * dim,
                             static_cast<unsigned>(1000 + 5000 * batch.sequences[row] + batch.positions[row]));
    }

    std::vector<Sequence> sequences_;
};

TEST_F(AttentionTest, IsSoftmaxAttention) {
    Batch batch;
    const auto outputs = attend({{0, 0, 40}, {1, 500, 40}, {0, 1199, 1}, {1, 31, 1}}, 2, batch);
    for (std::size_t row = 0; row < static_cast<std::size_t>(batch.rows()); ++row) {
        const auto q = query(batch, row);
        for (std::int64_t h = 0; h < heads; ++h) {
            const auto expected = reference(sequences_[static_cast<std::size_t>(batch.sequences[row])],
                                            q.data() + h * dim, h, batch.positions[row], 0.2);
            for (std::size_t d = 0; d < dim; ++d) {
                EXPECT_NEAR(outputs[(row * heads + static_cast<std::size_t>(h)) * dim + d], expected[d], 3e-6)
                    << row << ", " << h;
            }
        }
    }
}

TEST_F(AttentionTest, HowWorkIsCutChangesNoBit) {
    Batch batch;
    const auto whole = attend({{0, 480, 64}, {1, 1190, 10}}, 1, batch);  // tiles that keep segments together
    const auto row = [&](const std::vector<float>& o, std::size_t r) {
        return std::vector<float>(o.begin() + static_cast<std::ptrdiff_t>(r * heads * dim),
                                  o.begin() + static_cast<std::ptrdiff_t>((r + 1) * heads * dim));
    };
    for (const std::size_t threads : {1u, 2u, 3u, 4u}) {
        EXPECT_EQ(attend({{0, 480, 64}, {1, 1190, 10}}, threads, batch), whole);
        for (const std::int64_t i : {0, 31, 32, 63}) {  // alone: segments are split over the threads
            EXPECT_EQ(attend({{0, 480 + i, 1}}, threads, batch), row(whole, static_cast<std::size_t>(i)));
        }
        EXPECT_EQ(attend({{1, 1199, 1}}, threads, batch), row(whole, 73));
        const auto both = attend({{0, 520, 1}, {1, 1199, 1}}, threads, batch);  // of different lengths, together
        EXPECT_EQ(row(both, 0), row(whole, 40));
        EXPECT_EQ(row(both, 1), row(whole, 73));
    }
}

}  // namespace
}  // namespace puna::nn
