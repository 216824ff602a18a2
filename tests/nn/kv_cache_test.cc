#include "nn/kv_cache.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <set>
#include <vector>

namespace puna::nn {
namespace {

const kernels::KernelTable& set() {
    return kernels::default_kernels();
}

KvCache::Shape shape(kernels::KvType type = kernels::KvType::f32) {
    return {{type, 2, 16}, 3};
}

std::vector<float> counted(float first) {
    std::vector<float> values(32);
    for (std::size_t i = 0; i < values.size(); ++i)
        values[i] = first + static_cast<float>(i);
    return values;
}

TEST(KvCache, GivesBackWhatWasWritten) {
    for (const auto type : {kernels::KvType::f32, kernels::KvType::f16}) {
        auto cache = KvCache::create(set(), shape(type), 100).value();
        const auto a = cache->add_sequence();
        const auto b = cache->add_sequence();
        ASSERT_TRUE(cache->reserve(a, 40).ok());
        ASSERT_TRUE(cache->reserve(b, 40).ok());
        for (std::int64_t layer = 0; layer < 3; ++layer) {
            for (std::int64_t p = 0; p < 40; ++p) {
                const auto offset = static_cast<float>(layer * 100 + p);
                cache->write(a, layer, p, counted(offset).data(), counted(offset + 500).data());
                cache->write(b, layer, p, counted(offset + 1000).data(), counted(offset + 1500).data());
            }
        }
        for (std::int64_t layer = 0; layer < 3; ++layer) {
            for (std::int64_t p = 0; p < 40; ++p) {
                std::vector<float> k(32), v(32);
                cache->read(b, layer, p, k.data(), v.data());
                EXPECT_EQ(k, counted(static_cast<float>(layer * 100 + p) + 1000));
                EXPECT_EQ(v, counted(static_cast<float>(layer * 100 + p) + 1500));
            }
        }
    }
}

TEST(KvCache, EightBitsReadAndStoredAgainAreTheSame) {
    auto cache = KvCache::create(set(), {{kernels::KvType::q8_0, 2, 32}, 1}, 64).value();
    const auto sequence = cache->add_sequence();
    ASSERT_TRUE(cache->reserve(sequence, 2).ok());
    std::mt19937 random(5);
    for (int round = 0; round < 2000; ++round) {
        const float size = std::ldexp(1.0F, static_cast<int>(random() % 120) - 80);
        std::vector<float> k(64), v(64), k_back(64), v_back(64), k_again(64), v_again(64);
        for (std::size_t i = 0; i < k.size(); ++i) {
            k[i] = size * (static_cast<float>(random() % 20001) / 10000.0F - 1.0F);
            v[i] = size * (static_cast<float>(random() % 20001) / 10000.0F - 1.0F);
        }
        cache->write(sequence, 0, 0, k.data(), v.data());
        cache->read(sequence, 0, 0, k_back.data(), v_back.data());
        cache->write(sequence, 0, 1, k_back.data(), v_back.data());
        cache->read(sequence, 0, 1, k_again.data(), v_again.data());
        ASSERT_EQ(k_back, k_again);
        ASSERT_EQ(v_back, v_again);
    }
}

TEST(KvCache, EightBitsNeedHeadsOfAMultipleOf32) {
    const auto refused = KvCache::create(set(), shape(kernels::KvType::q8_0), 100);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
}

TEST(KvCache, SequencesTakeAndReturnWholeBlocks) {
    auto cache = KvCache::create(set(), shape(), 128).value();  // four blocks
    const auto a = cache->add_sequence();
    const auto b = cache->add_sequence();
    ASSERT_TRUE(cache->reserve(a, 33).ok());
    EXPECT_EQ(cache->free_positions(), 64);
    ASSERT_TRUE(cache->reserve(b, 64).ok());
    EXPECT_EQ(cache->free_positions(), 0);
    const auto refused = cache->reserve(a, 65);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, ErrorCode::context_overflow);
    cache->truncate(b, 32);
    EXPECT_TRUE(cache->reserve(a, 65).ok());

    std::set<const std::byte*> blocks;
    for (int i = 0; i < 3; ++i)
        blocks.insert(cache->block(a, i, 0));
    blocks.insert(cache->block(b, 0, 0));
    EXPECT_EQ(blocks.size(), 4u);

    cache->remove_sequence(a);
    cache->remove_sequence(b);
    EXPECT_EQ(cache->free_positions(), 128);
    EXPECT_EQ(cache->add_sequence(), b) << "slots are used again";
}

TEST(KvCache, RefusesWhatCannotBe) {
    EXPECT_EQ(KvCache::create(set(), shape(), 0).error().code, ErrorCode::invalid_argument);
    EXPECT_EQ(KvCache::create(set(), shape(), std::int64_t{1} << 60).error().code, ErrorCode::out_of_memory);
}

TEST(KvCache, CountsItsBytes) {
    // 2 heads of 16, K and V, 4 bytes, 32 positions, 3 layers
    EXPECT_EQ(KvCache::bytes_for(set(), shape(), 33), 2u * (2 * 16 * 2 * 4 * 32 * 3));
    EXPECT_EQ(KvCache::bytes_for(set(), shape(kernels::KvType::f16), 32), 1u * (2 * 16 * 2 * 2 * 32 * 3));
}

}  // namespace
}  // namespace puna::nn
