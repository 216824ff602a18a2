// The same bits whatever the prompt's chunking, the thread count, the company in the batch, a reused cache; and on all
// kernel sets (docs/numerics.md).
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "base/rng.h"
#include "support/model_session.h"
#include "support/test_data.h"

namespace puna {
namespace {

using kernels::Activations;
using kernels::KvType;
using support::Logits;
using support::ModelSession;
using support::SessionOptions;

std::vector<std::int32_t> random_tokens(std::uint64_t seed, std::size_t count, std::int64_t vocabulary) {
    std::vector<std::int32_t> tokens(count);
    for (std::size_t i = 0; i < count; ++i) {
        tokens[i] = static_cast<std::int32_t>(base::uniform_draw(seed, i) * static_cast<double>(vocabulary));
    }
    return tokens;
}

void expect_same_bits(const Logits& expected, const Logits& computed) {
    ASSERT_EQ(expected.values.size(), computed.values.size());
    for (std::size_t row = 0; row < expected.rows(); ++row) {
        const auto a = expected.row(row);
        const auto b = computed.row(row);
        ASSERT_EQ(std::memcmp(a.data(), b.data(), a.size_bytes()), 0) << "logits row " << row;
    }
}

/// Evaluates all sequences side by side: each pass takes `shares[s]` rows of sequence s, dealt out in turn.
std::vector<Logits> evaluate_together(ModelSession& session, const std::vector<std::vector<std::int32_t>>& sequences,
                                      const std::vector<std::size_t>& shares, std::size_t stride) {
    const std::size_t count = sequences.size();
    std::vector<std::int32_t> slots(count);
    for (auto& slot : slots)
        slot = session.cache().add_sequence();
    std::vector<Logits> all(count, Logits{session.vocabulary(), {}});
    std::vector<std::size_t> done(count, 0);
    for (;;) {
        nn::Batch batch;
        std::vector<std::size_t> owners;  // of the rows that want logits
        for (std::size_t turn = 0; turn < *std::max_element(shares.begin(), shares.end()); ++turn) {
            for (std::size_t s = 0; s < count; ++s) {
                if (turn >= shares[s] || done[s] == sequences[s].size()) continue;
                const std::size_t position = done[s]++;
                const bool wanted = position % stride == 0 || done[s] == sequences[s].size();
                batch.add(sequences[s][position], static_cast<std::int64_t>(position), slots[s], wanted);
                if (wanted) owners.push_back(s);
            }
        }
        if (batch.rows() == 0) return all;
        const Logits some = session.forward(batch);
        for (std::size_t row = 0; row < owners.size(); ++row) {
            auto& values = all[owners[row]].values;
            values.insert(values.end(), some.row(row).begin(), some.row(row).end());
        }
    }
}

using Numbers = std::tuple<Activations, KvType>;

std::string numbers_name(const Numbers& numbers) {
    std::string name(kernels::law_id(std::get<0>(numbers)));
    name.append("_").append(kernels::kv_type_name(std::get<1>(numbers)));
    std::replace_if(name.begin(), name.end(), [](char c) { return c == '/' || c == '-'; }, '_');
    return name;
}

bool computes(const kernels::KernelTable& set, Activations activations) {
    return set.matmul(quant::TensorType::Q4_0, activations) != nullptr;
}

/// 600 random tokens, past the border between two attention segments, and the logits that they have when evaluated
/// alone, on one thread, 512 at a time.
class Invariance {
  public:
    Invariance(std::shared_ptr<const models::Model> model, const Numbers& numbers, std::size_t stride)
        : model_(std::move(model)), numbers_(numbers), stride_(stride) {
        tokens_ = random_tokens(1, 600, model_->dimensions().vocabulary);
        expected_ = run(1, 512);
    }

    SessionOptions options(std::size_t threads) const {
        const Activations activations = std::get<0>(numbers_);
        const std::string isa = computes(*kernels::select_kernels("auto").value(), activations) ? "auto" : "generic";
        return {.isa = isa, .activations = activations, .kv = std::get<1>(numbers_), .threads = threads};
    }
    /// The first `whole` tokens in one pass (the last of them wants logits anyway), the others `chunk` at a time.
    Logits run(std::size_t threads, std::size_t chunk, std::size_t whole = 0) const {
        ModelSession session(model_, options(threads));
        const auto sequence = session.cache().add_sequence();
        Logits logits = session.evaluate(sequence, std::span(tokens_).first(whole), 512, stride_);
        const Logits rest = session.evaluate(sequence, tokens_, chunk, stride_, whole);
        logits.values.insert(logits.values.end(), rest.values.begin(), rest.values.end());
        return logits;
    }
    void check(std::size_t threads, std::size_t chunk, std::size_t whole = 0) const {
        SCOPED_TRACE("threads " + std::to_string(threads) + ", chunk " + std::to_string(chunk));
        expect_same_bits(expected_, run(threads, chunk, whole));
    }

    void check_company(std::size_t threads) const {
        const auto other = random_tokens(2, 90, model_->dimensions().vocabulary);
        const auto late = random_tokens(3, 41, model_->dimensions().vocabulary);
        ModelSession alone(model_, options(threads));
        const Logits expected_other = alone.evaluate(alone.cache().add_sequence(), other, 512, stride_);
        const Logits expected_late = alone.evaluate(alone.cache().add_sequence(), late, 512, stride_);
        ModelSession session(model_, options(threads));
        const auto together = evaluate_together(session, {other, tokens_, late}, {3, 37, 1}, stride_);
        expect_same_bits(expected_other, together[0]);
        expect_same_bits(expected_, together[1]);
        expect_same_bits(expected_late, together[2]);
    }

    /// Tokens of another text are evaluated and forgotten, from the middle of a block on.
    void check_reused_cache() const {
        constexpr std::size_t kept = 77;
        std::vector<std::int32_t> other(tokens_.begin(), tokens_.begin() + kept);
        const auto rest = random_tokens(4, 100, model_->dimensions().vocabulary);
        other.insert(other.end(), rest.begin(), rest.end());
        ModelSession session(model_, options(2));
        const auto sequence = session.cache().add_sequence();
        session.evaluate(sequence, other, 512);
        session.cache().truncate(sequence, kept);
        const Logits computed = session.evaluate(sequence, tokens_, 512, stride_, kept);
        Logits expected{expected_.vocabulary, {}};  // of the positions from `kept` on
        const std::size_t skipped = (kept + stride_ - 1) / stride_ * expected_.vocabulary;
        expected.values.assign(expected_.values.begin() + static_cast<std::ptrdiff_t>(skipped), expected_.values.end());
        expect_same_bits(expected, computed);
    }

  private:
    std::shared_ptr<const models::Model> model_;
    Numbers numbers_;
    std::size_t stride_;
    std::vector<std::int32_t> tokens_;
    Logits expected_;
};

class TinyInvariance : public testing::TestWithParam<std::tuple<const char*, Activations, KvType>> {
  protected:
    Numbers numbers() const { return {std::get<1>(GetParam()), std::get<2>(GetParam())}; }
    std::shared_ptr<const models::Model> model() const {
        return support::load_model(support::model_data + std::get<0>(GetParam()) + ".gguf");
    }
};

TEST_P(TinyInvariance, ChunksAndThreads) {
    const Invariance invariance(model(), numbers(), 1);
    for (const std::size_t threads : {1u, 2u, 3u, 4u}) {
        for (const std::size_t chunk : {1u, 7u, 64u, 512u})
            invariance.check(threads, chunk);
    }
}

TEST_P(TinyInvariance, OtherSequencesInTheBatch) {
    const Invariance invariance(model(), numbers(), 1);
    for (const std::size_t threads : {1u, 4u})
        invariance.check_company(threads);
}

TEST_P(TinyInvariance, ReusedCache) {
    Invariance(model(), numbers(), 1).check_reused_cache();
}

TEST_P(TinyInvariance, KernelSets) {
    const auto tokens = random_tokens(5, 550, model()->dimensions().vocabulary);
    const auto evaluate = [&](std::string_view isa) {
        ModelSession session(
            model(), {.isa = std::string(isa), .activations = std::get<1>(GetParam()), .kv = std::get<2>(GetParam())});
        return session.evaluate(session.cache().add_sequence(), tokens, 512);
    };
    const Logits expected = evaluate("generic");
    for (const auto& set : kernels::all_kernel_sets()) {
        if (!set.available || !computes(*set.table, std::get<1>(GetParam()))) continue;
        SCOPED_TRACE(std::string(set.table->name));
        expect_same_bits(expected, evaluate(set.table->name));
    }
}

INSTANTIATE_TEST_SUITE_P(Models, TinyInvariance,
                         testing::Combine(testing::Values("tiny_mixed_types", "tiny_mistral"),
                                          testing::ValuesIn(kernels::all_activations),
                                          testing::Values(KvType::f32, KvType::f16)),
                         [](const auto& instance) {
                             return std::string(std::get<0>(instance.param)) + "_" +
                                    numbers_name({std::get<1>(instance.param), std::get<2>(instance.param)});
                         });

class DemoInvariance : public testing::TestWithParam<Numbers> {};

TEST_P(DemoInvariance, ChunksThreadsAndCompany) {
    const Invariance invariance(support::load_model(PUNA_DEMO_MODEL), GetParam(), 50);
    // Token by token from just before a segment's end: the tiny models take the whole way.
    invariance.check(2, 1, 501);
    invariance.check(3, 7);
    invariance.check(4, 64);
    invariance.check(2, 512);
    invariance.check_company(2);
}

INSTANTIATE_TEST_SUITE_P(Numbers, DemoInvariance,
                         testing::Values(Numbers{Activations::int16, KvType::f16},
                                         Numbers{Activations::float32, KvType::f32}),
                         [](const auto& instance) { return numbers_name(instance.param); });

}  // namespace
}  // namespace puna
