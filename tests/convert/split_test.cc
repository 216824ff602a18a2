// Models cut into files, and put together again.
#include "convert/split.h"

#include <gmock/gmock.h>

#include <filesystem>

#include "convert/diff.h"
#include "convert/models.h"
#include "formats/gguf/layout.h"
#include "support/tiny_model.h"

namespace puna::convert {
namespace {

using testing::HasSubstr;

class Split : public testing::Test {
  protected:
    std::shared_ptr<const formats::ModelFile> model(const support::GgufBuilder& builder) {
        return on_file(folder_, "in.gguf", builder);
    }
    Result<void> write(const SplitPlan& plan, const char* name = "out", const SplitProgress& progress = {}) {
        return write_shards(plan, folder_.path(name), progress);
    }
    std::size_t files() const {
        const auto entries =
            std::filesystem::directory_iterator(std::filesystem::path(folder_.path("x")).parent_path());
        return static_cast<std::size_t>(std::distance(begin(entries), end(entries)));
    }

    support::TempFolder folder_;
    std::unique_ptr<base::ThreadPool> pool_ = must(base::ThreadPool::create(2));
};

TEST_F(Split, ByTensorsGivesTheModelAgain) {
    const auto source = model(support::tiny_model_builder());
    const SplitPlan plan = must(plan_split(source, {.max_tensors = 7}));
    ASSERT_EQ(plan.shards.size(), 3U);
    EXPECT_EQ(plan.shards[0].count, 7U);
    EXPECT_EQ(plan.shards[2].count, 6U);
    EXPECT_EQ(plan.shards[2].first, 14U);
    ASSERT_TRUE(write(plan).ok());
    for (std::size_t i = 0; i < 3; ++i) {
        EXPECT_EQ(std::filesystem::file_size(plan.path(folder_.path("out"), i)), plan.shards[i].layout.file_bytes);
    }
    const auto again = must(formats::read_model_file(folder_.path("out-00003-of-00003.gguf")));
    EXPECT_TRUE(must(diff_models(*source, *again, true, *pool_, {})).none());
    ASSERT_EQ(again->tensors.size(), source->tensors.size());
    for (std::size_t i = 0; i < again->tensors.size(); ++i)
        EXPECT_EQ(again->tensors[i].name, source->tensors[i].name);
    EXPECT_EQ(again->metadata.stored_types.at("split.count"),
              static_cast<std::uint32_t>(formats::gguf::ValueType::uint16));
    EXPECT_EQ(*must(again->metadata.unsigned_integer("split.tensors.count")), 20U);

    // Cut anew, from shards.
    const SplitPlan other = must(plan_split(again, {.max_tensors = 11}));
    ASSERT_TRUE(write(other, "other").ok());
    const auto third = must(formats::read_model_file(folder_.path("other-00001-of-00002.gguf")));
    EXPECT_TRUE(must(diff_models(*source, *third, true, *pool_, {})).none());
}

TEST_F(Split, BySizeKeepsTheLimitWhereItCan) {
    const auto source = model(support::tiny_model_builder());
    std::uint64_t largest = 0;
    for (const auto& tensor : source->tensors)
        largest = std::max(largest, tensor.bytes());
    for (const std::uint64_t limit : {1ULL, 5'000ULL, 20'000ULL, 60'000ULL, 100'000ULL, 1'000'000'000ULL}) {
        const SplitPlan plan = must(plan_split(source, {.max_bytes = limit}));
        std::size_t tensors = 0;
        for (std::size_t i = 0; i < plan.shards.size(); ++i) {
            const PlannedShard& shard = plan.shards[i];
            EXPECT_TRUE(shard.layout.file_bytes <= limit || shard.count <= 1) << limit << ", file " << i;
            EXPECT_TRUE(shard.count > 0 || i == 0);
            EXPECT_EQ(shard.first, tensors);
            tensors += shard.count;
        }
        EXPECT_EQ(tensors, source->tensors.size());
        // No file could have taken the next one's first tensor, give or take the padding.
        for (std::size_t i = 0; i + 1 < plan.shards.size(); ++i) {
            const auto& next = source->tensors[plan.shards[i + 1].first];
            EXPECT_GT(plan.shards[i].layout.file_bytes + next.bytes() + 256, limit) << limit << ", file " << i;
        }
        ASSERT_TRUE(write(plan, "out").ok()) << limit;
        const auto again = must(formats::read_model_file(plan.path(folder_.path("out"), plan.shards.size() - 1)));
        EXPECT_TRUE(must(diff_models(*source, *again, true, *pool_, {})).none());
    }
    EXPECT_EQ(must(plan_split(source, {.max_bytes = 1'000'000'000})).shards.size(), 1U);
}

TEST_F(Split, MetadataMayFillTheFirstFile) {
    const auto source = model(support::tiny_model_builder({.vocabulary = 5000}));
    const std::uint64_t head = must(plan_split(source, {.max_bytes = 1'000'000'000})).shards[0].layout.head.size();
    const SplitPlan plan = must(plan_split(source, {.max_bytes = head + 2000}));
    EXPECT_EQ(plan.shards[0].count, 0U);
    EXPECT_EQ(plan.shards[1].count, 1U);
    ASSERT_TRUE(write(plan).ok());
    const auto again = must(formats::read_model_file(plan.path(folder_.path("out"), 0)));
    EXPECT_TRUE(must(diff_models(*source, *again, true, *pool_, {})).none());
}

TEST_F(Split, KeepsAnAlignmentOfItsOwn) {
    auto builder = support::tiny_model_builder();
    builder.u32("general.alignment", 256).alignment(256);
    const auto source = model(builder);
    const SplitPlan plan = must(plan_split(source, {.max_bytes = 60'000}));
    ASSERT_GT(plan.shards.size(), 1U);
    ASSERT_TRUE(write(plan).ok());
    const auto again = must(formats::read_model_file(plan.path(folder_.path("out"), 0)));
    EXPECT_TRUE(must(diff_models(*source, *again, true, *pool_, {})).none());
}

TEST_F(Split, RefusesWhatCannotBe) {
    const auto source = model(support::tiny_model_builder());
    EXPECT_EQ(plan_split(source, {}).error().code, ErrorCode::invalid_argument);
    const auto many = on_file(folder_, "many.gguf", support::tiny_model_builder({.layers = 70}));
    EXPECT_THAT(plan_split(many, {.max_tensors = 1}).error().message, HasSubstr("512 are the most"));

    // A file of the source is not replaced by a part of it.
    ASSERT_TRUE(write(must(plan_split(source, {.max_tensors = 10}))).ok());
    const auto shards = must(formats::read_model_file(folder_.path("out-00001-of-00002.gguf")));
    const auto result = write(must(plan_split(shards, {.max_tensors = 12})));
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code, ErrorCode::invalid_argument);
    EXPECT_TRUE(formats::read_model_file(folder_.path("out-00001-of-00002.gguf")).ok());
}

TEST_F(Split, LeavesNothingBehindWhenItFails) {
    const SplitPlan plan = must(plan_split(model(support::tiny_model_builder()), {.max_tensors = 5}));
    const auto stopped = write(plan, "out", [](std::uint64_t done, std::uint64_t all) { return done < all * 3 / 4; });
    ASSERT_FALSE(stopped.ok());
    EXPECT_EQ(stopped.error().code, ErrorCode::cancelled);
    EXPECT_EQ(files(), 1U);  // the source
    EXPECT_EQ(write(plan, "no/folder/out").error().code, ErrorCode::io_error);
}

}  // namespace
}  // namespace puna::convert
