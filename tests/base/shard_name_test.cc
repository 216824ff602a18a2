#include "base/shard_name.h"

#include <gtest/gtest.h>

namespace puna::base {
namespace {

TEST(ShardName, IsWhatStandsBeforeTheEndingAndANumber) {
    const auto shard = parse_shard_name("model-7b-00002-of-00003");
    ASSERT_TRUE(shard);
    EXPECT_EQ(shard->model, "model-7b");
    EXPECT_EQ(shard->number, "00002");
    const auto nameless = parse_shard_name("-00001-of-00003");
    ASSERT_TRUE(nameless);
    EXPECT_EQ(nameless->model, "");
}

TEST(ShardName, OtherNamesAreNone) {
    for (const char* name : {"", "model", "00001-of-00003", "model-0001-of-00003", "model-00001-of-0003",
                             "model-00001_of-00003", "model-0000a-of-00003", "model-00001-of-00003.gguf"}) {
        EXPECT_FALSE(parse_shard_name(name)) << name;
    }
}

}  // namespace
}  // namespace puna::base
