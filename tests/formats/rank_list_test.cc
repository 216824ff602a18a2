// Lists of tokens and ranks in Meta's folders: the ids of tiktoken (tools/make_rank_list_fixtures.py), and lists that
// are damaged.
#include "formats/rank_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <random>

#include "formats/huggingface_folder.h"
#include "formats/largest_allocation.h"
#include "text/vocabulary_fixture.h"

namespace puna::formats {
namespace {

using testing::ContainsRegex;
using testing::Each;
using testing::HasSubstr;
using text::TokenId;
using text::TokenKind;
using text::Vocabulary;

std::string list_of(const std::string& name) {
    return read_text(data_path("rank_lists/" + name + ".model"));
}

/// A folder as Meta has it, without tensors.
class RankListFolder {
  public:
    explicit RankListFolder(const std::string& list, const std::string& parameters = "") {
        folder_.write("params.json", R"({"dim":32)" + parameters + "}").write("tokenizer.model", list);
    }
    Vocabulary vocabulary() const { return folder_.vocabulary(); }
    Result<std::shared_ptr<const ModelFile>> read() const { return folder_.read(); }
    HuggingFaceFolder folder_;
};

class RankLists : public testing::TestWithParam<const char*> {};

TEST_P(RankLists, GiveTheIdsOfTiktoken) {
    const auto expected = text::read_fixture("formats/data/rank_lists/expected.json");
    const std::vector<std::string> corpus = text::read_fixture("text/data/corpus.json");
    const auto tokenizer = text::make_tokenizer(RankListFolder(list_of(GetParam())).vocabulary());
    ASSERT_NE(tokenizer, nullptr);
    const auto& ids = expected.at(GetParam()).at("ids");
    ASSERT_EQ(ids.size(), corpus.size());
    for (std::size_t i = 0; i < corpus.size(); ++i) {
        const std::vector<TokenId> found = tokenizer->encode(corpus[i], {.add_bos = false});
        EXPECT_EQ(found, ids[i].get<std::vector<TokenId>>()) << corpus[i].substr(0, 200);
        EXPECT_EQ(tokenizer->decode_bytes(found, false), corpus[i]);
    }
    const auto& conversations = expected.at("conversations");
    for (std::size_t i = 0; i < conversations.size(); ++i) {
        EXPECT_EQ(tokenizer->encode(conversations[i].get<std::string>(), {.add_bos = false, .parse_special = true}),
                  expected.at(GetParam()).at("special")[i].get<std::vector<TokenId>>());
    }
}

INSTANTIATE_TEST_SUITE_P(All, RankLists, testing::Values("trained", "shuffled"));

TEST(RankListModel, SpecialTokensFollowTheRanks) {
    const Vocabulary vocabulary = RankListFolder(list_of("trained")).vocabulary();
    const std::size_t ranks = 576;
    ASSERT_EQ(vocabulary.tokens.size(), ranks + 256);
    EXPECT_EQ(vocabulary.family, text::TokenizerFamily::byte_level_bpe);
    EXPECT_EQ(vocabulary.pre_tokenizer, "llama-bpe");
    EXPECT_TRUE(vocabulary.add_bos);
    EXPECT_FALSE(vocabulary.add_eos);
    EXPECT_EQ(vocabulary.bos, 576);
    EXPECT_EQ(vocabulary.eos, 577);
    EXPECT_EQ(vocabulary.eot, 585);
    EXPECT_EQ(vocabulary.eom, text::no_token);
    EXPECT_EQ(vocabulary.pad, text::no_token);
    EXPECT_EQ(vocabulary.kinds[ranks - 1], TokenKind::normal);
    EXPECT_EQ(vocabulary.kinds[ranks], TokenKind::control);
    EXPECT_EQ(vocabulary.tokens[ranks + 5], "<|reserved_special_token_3|>");
    EXPECT_EQ(vocabulary.tokens[ranks + 8], "<|reserved_special_token_4|>");
    EXPECT_EQ(vocabulary.tokens[ranks + 10], "<|reserved_special_token_5|>");
    EXPECT_EQ(vocabulary.tokens.back(), "<|reserved_special_token_250|>");
    const auto ids = text::make_tokenizer(vocabulary)->encode("a", {});
    EXPECT_EQ(ids.front(), 576);
}

TEST(RankListModel, ScaledRopeMeansTheNamesOfLlama31) {
    const Vocabulary vocabulary = RankListFolder(list_of("trained"), R"(,"use_scaled_rope":true)").vocabulary();
    const auto special = [&](std::size_t i) { return vocabulary.tokens.at(576 + i); };
    EXPECT_EQ(special(0), "<|begin_of_text|>");
    EXPECT_EQ(special(4), "<|finetune_right_pad_id|>");
    EXPECT_EQ(special(5), "<|reserved_special_token_2|>");
    EXPECT_EQ(special(8), "<|eom_id|>");
    EXPECT_EQ(special(9), "<|eot_id|>");
    EXPECT_EQ(special(10), "<|python_tag|>");
    EXPECT_EQ(special(11), "<|reserved_special_token_3|>");
    EXPECT_EQ(special(255), "<|reserved_special_token_247|>");
    EXPECT_EQ(vocabulary.eot, 585);
    EXPECT_EQ(vocabulary.eom, 584);
    EXPECT_EQ(vocabulary.pad, 580);
}

TEST(RankListModel, MergesOfATokenStandSideBySideInTheOrderOfItsRank) {
    std::string list = list_of("trained").substr(0, list_of("trained").find("256\n") + 4);
    list.erase(list.rfind('\n', list.size() - 2) + 1);                           // the bytes alone
    const std::string four = list + "YWE= 256\nYmE= 257\nYWFh 258\nYWI= 259\n";  // aa, ba, aaa, ab
    const auto vocabulary = must(read_rank_list(std::as_bytes(std::span(four)), "list"));
    EXPECT_THAT(vocabulary.merges, testing::ElementsAre("a a", "b a", "a aa", "aa a", "a b"));
    EXPECT_EQ(vocabulary.tokens[' '], "\xC4\xA0");  // U+0120
    EXPECT_THAT(vocabulary.kinds, Each(TokenKind::normal));
}

TEST(RankListModel, OtherFoldersSayTooLittle) {
    HuggingFaceFolder folder;
    const Vocabulary vocabulary =
        folder.write("config.json", R"({"model_type":"llama"})").write("tokenizer.model", "IQ== 0\n").vocabulary();
    EXPECT_EQ(vocabulary.family, text::TokenizerFamily::other);
    ASSERT_TRUE(vocabulary.why_not.has_value());
    EXPECT_EQ(vocabulary.why_not->code, ErrorCode::unsupported_tokenizer);
    EXPECT_THAT(vocabulary.why_not->hint, HasSubstr("tokenizer.json"));
}

TEST(RankListModel, MustFitTheRowsOfTheModel) {
    EXPECT_TRUE(RankListFolder(list_of("trained"), R"(,"vocab_size":832)").read().ok());
    for (const char* size : {"831", "833", "0"}) {
        const auto result = RankListFolder(list_of("trained"), std::string(R"(,"vocab_size":)") + size).read();
        ASSERT_FALSE(result.ok()) << size;
        EXPECT_EQ(result.error().code, ErrorCode::file_malformed);
        EXPECT_THAT(result.error().message, HasSubstr("the list has 576 tokens, which with 256 special ones are 832"));
    }
}

// ---- Damaged ----

struct BadList {
    const char* name;
    std::string text;
    const char* says;
};

class BadRankList : public testing::TestWithParam<BadList> {};

TEST_P(BadRankList, IsNamedWithLineFieldAndOffset) {
    const RankListFolder folder(GetParam().text);
    largest_allocation = 0;
    const auto start = std::chrono::steady_clock::now();
    const auto result = folder.read();
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(1));
    EXPECT_LT(largest_allocation, std::size_t{1} << 20);
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code, ErrorCode::file_malformed) << result.error().message;
    EXPECT_THAT(result.error().message, HasSubstr(GetParam().says));
    EXPECT_THAT(result.error().message, ContainsRegex("tokenizer.model: .*\\(at byte [0-9]+\\)"));
    EXPECT_NE(result.error().hint, "");
}

std::string all_but_the_last_byte() {
    std::string list = list_of("trained");
    return list.substr(0, list.find("/w== 255"));
}

INSTANTIATE_TEST_SUITE_P(
    All, BadRankList,
    testing::Values(
        BadList{"no_rank", "IQ==\n", "line 1, rank is missing (at byte 0)"},
        BadList{"cut_in_a_token", "IQ== 0\nIg=", "line 2, token is 'Ig=', which is not base64 (at byte 7)"},
        BadList{"cut_before_a_rank", "IQ== 0\nIg== ", "line 2, rank is '', not 1"},
        BadList{"rank_minus_1", "IQ== -1\n", "line 1, rank is '-1', not 0: ranks count the tokens from 0 (at byte 5)"},
        BadList{"rank_2_31", "IQ== 2147483648\n", "line 1, rank is '2147483648', not 0"},
        BadList{"rank_2_64", "IQ== 18446744073709551616\n", "line 1, rank is '18446744073709551616', not 0"},
        BadList{"rank_twice", "IQ== 0\nIg== 0\n", "line 2, rank is '0', not 1"},
        BadList{"rank_left_out", "IQ== 0\r\n\r\nIg== 2\r\n", "line 3, rank is '2', not 1"},
        BadList{"rank_and_more", "IQ== 0 1\n", "line 1, rank is '0 1', not 0"},
        BadList{"token_empty", "IQ== 0\n 1\n", "line 2, token is empty"},
        BadList{"token_no_base64", "I*== 0\n", "line 1, token is 'I*==', which is not base64"},
        BadList{"token_padded_within", "I=Q= 0\n", "is not base64"},
        BadList{"token_all_padding", "IQ== 0\n==== 1\n", "line 2, token is '====', which is not base64"},
        BadList{"token_long", std::string(4000, 'A') + " 0\n", "line 1, token has 3000 bytes; at most 256 are allowed"},
        BadList{"line_of_10_mb", std::string(10'000'001, 'A'), "which is not base64"},
        BadList{"token_twice", all_but_the_last_byte() + "AA== 255\n", "line 256, token is that of line 1 again"},
        BadList{"byte_missing", all_but_the_last_byte(), "the byte 0xFF has no token of its own"},
        BadList{"a_pointer_to_it", "version https://git-lfs\n", "line 1, token is 'version', which is not base64"}),
    [](const auto& param) { return param.param.name; });

TEST(RankListHostile, TruncationAtEveryByteIsAnErrorOrAShorterList) {
    const std::string list = list_of("shuffled");
    for (std::size_t size = 0; size < list.size(); ++size) {
        const auto result = read_rank_list(std::as_bytes(std::span(list)).first(size), "list");
        if (result.ok()) {
            ASSERT_TRUE(list[size] == '\n' || list[size - 1] == '\n') << size;
        } else {
            ASSERT_EQ(result.error().code, ErrorCode::file_malformed) << size;
        }
    }
}

TEST(RankListHostile, RandomMutationsNeverCrash) {
    std::mt19937_64 random(20'240'418);
    const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
    const std::string good = list_of("trained");
    for (int round = 0; round < 2'000; ++round) {
        std::string list = good;
        for (std::size_t change = 1 + below(3); change > 0; --change) {
            const std::size_t at = below(list.size());
            switch (below(3)) {
                case 0: list[at] = static_cast<char>(random()); break;
                case 1: list.erase(at, 1 + below(3)); break;
                default: list.insert(at, 1 + below(3), static_cast<char>(random())); break;
            }
        }
        auto result = read_rank_list(std::as_bytes(std::span(list)), "list");
        if (!result.ok()) continue;
        result->family = text::TokenizerFamily::byte_level_bpe;
        (void)text::Tokenizer::create(std::move(result).value());
    }
}

}  // namespace
}  // namespace puna::formats
