#include "text/tokenizer/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <ctime>
#include <limits>
#include <random>

#include "text/unicode/utf8.h"
#include "text/vocabulary_fixture.h"

namespace puna::text {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Options = Tokenizer::EncodeOptions;

constexpr Options text_only{.add_bos = false, .parse_special = false};
constexpr Options with_special{.add_bos = false, .parse_special = true};

/// Vocabularies that can express any bytes.
std::vector<std::string> lossless_names() {
    std::vector<std::string> names = byte_level_names;
    names.insert(names.end(), {"spm-bytes", "spm-unused"});
    return names;
}

std::string random_bytes(std::mt19937& random, std::size_t longest) {
    std::string bytes(random() % (longest + 1), '\0');
    for (char& byte : bytes)
        byte = static_cast<char>(random());
    return bytes;
}

/// `text` with about every sixteenth byte overwritten.
std::string damaged(std::mt19937& random, std::string text) {
    for (std::size_t i = random() % 16; i < text.size(); i += 1 + random() % 32)
        text[i] = static_cast<char>(random());
    return text;
}

TEST(Tokenizer, ComposesTextWhereTheVocabularyWantsIt) {
    const auto composing = make_tokenizer(named_vocabulary("qwen2"));
    Vocabulary vocabulary = named_vocabulary("qwen2");
    vocabulary.nfc = false;
    const auto plain = make_tokenizer(std::move(vocabulary));
    ASSERT_NE(composing, nullptr);
    ASSERT_NE(plain, nullptr);
    const std::string decomposed = "fu\u0308r cafe\u0301, \u1112\u1161\u11ab";
    const std::string composed = "f\u00fcr caf\u00e9, \ud55c";
    EXPECT_EQ(composing->encode(decomposed, text_only), plain->encode(composed, text_only));
    EXPECT_NE(plain->encode(decomposed, text_only), plain->encode(composed, text_only));
    EXPECT_EQ(composing->decode_bytes(composing->encode(decomposed, text_only), false), composed);
    EXPECT_EQ(composing->decode_bytes(composing->encode("e\xFF\u0301\xCC", text_only), false), "e\xFF\u0301\xCC");
    // Tokens are found before, so that a mark behind one stays by itself: '>' and U+0338 would compose.
    const std::string marked = "<tool>\u0338<|im_end|>\u0338a\u0301";
    const TokenId tool = id_of(*plain, "<tool>");
    const TokenId end = id_of(*plain, "<|im_end|>");
    std::vector<TokenId> expected = {tool};
    const auto append = [&](const std::string& text) {
        const auto ids = plain->encode(text, text_only);
        expected.insert(expected.end(), ids.begin(), ids.end());
    };
    append("\u0338");
    expected.push_back(end);
    append("\u0338\u00e1");
    EXPECT_EQ(composing->encode(marked, with_special), expected);
}

TEST(Tokenizer, KeepsAnyBytes) {
    std::mt19937 random(3);
    const std::vector<std::string> corpus = read_fixture("text/data/corpus.json");
    for (const std::string& name : lossless_names()) {
        Vocabulary vocabulary = named_vocabulary(name);
        vocabulary.nfc = false;
        const auto tokenizer = make_tokenizer(std::move(vocabulary));
        ASSERT_NE(tokenizer, nullptr);
        for (int round = 0; round < 1000; ++round) {
            const std::string& whole = corpus[random() % (corpus.size() - 2)];
            const std::string text = round % 2 == 0 ? random_bytes(random, 200) : damaged(random, whole);
            // SentencePiece writes spaces as U+2581, so that this one character becomes a space.
            if (name.starts_with("spm") && text.find("\u2581") != std::string::npos) continue;
            ASSERT_EQ(tokenizer->decode_bytes(tokenizer->encode(text, text_only), false), text) << name;
        }
    }
}

// Processor seconds, so that a busy machine does not matter.
double seconds_to_encode(const Tokenizer& tokenizer, const std::string& text, std::size_t& ids) {
    const std::clock_t begin = std::clock();
    ids = tokenizer.encode(text, with_special).size();
    return static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__OPTIMIZE__)
constexpr std::size_t repeated_bytes = 100000;  // instrumented or unoptimized
#else
constexpr std::size_t repeated_bytes = 1000000;
#endif

TEST(Tokenizer, TakesLinearTimeForRepetitions) {
    const std::vector<std::string> units = {"a",   " ",  "😀",     "\n",    std::string(1, '\0'), "\xFF", "'", "1",
                                            " \n", "中", "<tool>", "<tool", "<|im_end|"};
    for (const std::string& name : all_vocabulary_names()) {
        const auto tokenizer = make_tokenizer(named_vocabulary(name));
        ASSERT_NE(tokenizer, nullptr);
        for (const std::string& unit : units) {
            std::string text;
            while (text.size() < repeated_bytes)
                text += unit;
            std::size_t ids = 0;
            EXPECT_LT(seconds_to_encode(*tokenizer, text, ids), 2.0) << name << " '" << unit << "'";
            // The vocabulary that removes extra spaces leaves nothing of spaces alone.
            EXPECT_EQ(ids == 0, name == "spm-unknown" && unit == " ") << name << " '" << unit << "'";
        }
    }
}

TEST(Tokenizer, SpecialTokensInTextAreTextUnlessAskedFor) {
    for (const std::string& name : byte_level_names) {
        const auto tokenizer = make_tokenizer(named_vocabulary(name));
        ASSERT_NE(tokenizer, nullptr);
        const TokenId end = id_of(*tokenizer, "<|im_end|>");
        const std::string text = "a<|im_end|>b";
        EXPECT_THAT(tokenizer->encode(text, text_only), testing::Not(testing::Contains(end)));
        EXPECT_THAT(tokenizer->encode(text, with_special),
                    ElementsAre(id_of(*tokenizer, "a"), end, id_of(*tokenizer, "b")));
        EXPECT_EQ(tokenizer->decode_bytes(tokenizer->encode(text, with_special), false), "ab");
        EXPECT_EQ(tokenizer->decode_bytes(tokenizer->encode(text, with_special), true), text);
        // User-defined tokens are found always, the longest first.
        EXPECT_THAT(tokenizer->encode("<tool>>", text_only), ElementsAre(id_of(*tokenizer, "<tool>>")));
    }
}

TEST(Tokenizer, SentencePieceSpecialTokens) {
    const auto tokenizer = make_tokenizer(named_vocabulary("spm-bytes"));
    ASSERT_NE(tokenizer, nullptr);
    const TokenId begin = id_of(*tokenizer, "<s>");
    const TokenId user = id_of(*tokenizer, "<|user|>");
    const TokenId tool = id_of(*tokenizer, "<tool>");
    const std::string text = "<s>the<|user|>the <tool>he";
    const std::vector<TokenId> ids = tokenizer->encode(text, with_special);
    // The space prefix comes at the start and after control tokens, not after user-defined ones.
    const TokenId spaced = id_of(*tokenizer, "\u2581the");
    EXPECT_EQ(ids, (std::vector<TokenId>{begin, spaced, user, spaced, id_of(*tokenizer, "\u2581"), tool,
                                         id_of(*tokenizer, "he")}));
    EXPECT_EQ(tokenizer->decode_bytes(ids, true), text);
    EXPECT_EQ(tokenizer->decode_bytes(ids, false), "the the <tool>he");
    for (const TokenId id : tokenizer->encode(text + "<unk></s>", text_only)) {
        EXPECT_FALSE(tokenizer->is_control(id));
        EXPECT_NE(id, tokenizer->vocabulary().unk);
    }
}

TEST(Tokenizer, BeginAndEndTokens) {
    Vocabulary vocabulary = named_vocabulary("gpt-2");
    vocabulary.bos = 1;
    vocabulary.eos = 2;
    vocabulary.add_bos = true;
    auto tokenizer = make_tokenizer(vocabulary);
    ASSERT_NE(tokenizer, nullptr);
    const TokenId a = id_of(*tokenizer, "a");
    EXPECT_THAT(tokenizer->encode("a", {}), ElementsAre(1, a));
    EXPECT_THAT(tokenizer->encode("", {}), ElementsAre(1));
    EXPECT_THAT(tokenizer->encode("a", text_only), ElementsAre(a));
    vocabulary.add_eos = true;
    tokenizer = make_tokenizer(vocabulary);
    EXPECT_THAT(tokenizer->encode("a", {}), ElementsAre(1, a, 2));
}

TEST(Tokenizer, KnowsWhatEndsAGeneration) {
    Vocabulary vocabulary = named_vocabulary("gpt-2");
    vocabulary.eos = 5;
    vocabulary.eot = 7;
    const auto tokenizer = make_tokenizer(vocabulary);
    ASSERT_NE(tokenizer, nullptr);
    // By role, and by name: <|endoftext|> and <|im_end|>.
    EXPECT_THAT(tokenizer->end_tokens(), ElementsAre(0, 2, 5, 7));
    EXPECT_TRUE(tokenizer->is_end(2));
    EXPECT_FALSE(tokenizer->is_end(1));
    EXPECT_FALSE(tokenizer->is_end(3));
}

TEST(Tokenizer, TokenBytes) {
    const auto byte_level = make_tokenizer(named_vocabulary("gpt-2"));
    ASSERT_NE(byte_level, nullptr);
    EXPECT_EQ(byte_level->token_bytes(id_of(*byte_level, "\u0120the"), false), " the");
    EXPECT_EQ(byte_level->token_bytes(id_of(*byte_level, "\u010A"), false), "\n");
    EXPECT_EQ(byte_level->token_bytes(id_of(*byte_level, "ünï"), false), "ünï");  // added: as it is written
    EXPECT_EQ(byte_level->token_bytes(0, false), "");
    EXPECT_EQ(byte_level->token_bytes(0, true), "<|endoftext|>");
    const auto sentencepiece = make_tokenizer(named_vocabulary("spm-bytes"));
    ASSERT_NE(sentencepiece, nullptr);
    EXPECT_EQ(sentencepiece->token_bytes(id_of(*sentencepiece, "\u2581the"), false), " the");
    EXPECT_EQ(sentencepiece->token_bytes(id_of(*sentencepiece, "<0xC3>"), false), "\xC3");
}

TEST(IncrementalDecoder, EqualsDecodingAtOnce) {
    std::mt19937 random(5);
    const std::vector<std::string> corpus = read_fixture("text/data/corpus.json");
    for (const std::string& name : all_vocabulary_names()) {
        const auto tokenizer = make_tokenizer(named_vocabulary(name));
        ASSERT_NE(tokenizer, nullptr);
        for (int round = 0; round < 2000; ++round) {
            const bool special = random() % 2 == 0;
            std::vector<TokenId> ids;
            if (round % 2 == 0) {
                for (std::size_t i = random() % 30; i > 0; --i) {
                    ids.push_back(static_cast<TokenId>(random() % tokenizer->size()));
                }
            } else {
                ids = tokenizer->encode(corpus[random() % (corpus.size() - 2)], with_special);
            }
            const std::size_t cut = random() % (ids.size() + 1);
            const std::vector<TokenId> context(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(cut));
            IncrementalDecoder decoder(*tokenizer, special, context);
            std::string text;
            for (std::size_t i = cut; i < ids.size(); ++i) {
                const std::string piece = decoder.push(ids[i]);
                ASSERT_EQ(to_valid_utf8(piece), piece);
                text += piece;
            }
            text += decoder.finish();
            const std::string context_bytes = tokenizer->decode_bytes(context, special);
            const std::string all_bytes = tokenizer->decode_bytes(ids, special);
            ASSERT_TRUE(all_bytes.starts_with(context_bytes));
            ASSERT_EQ(text, to_valid_utf8(all_bytes.substr(context_bytes.size()))) << name;
            ASSERT_EQ(decoder.finish(), "");
        }
    }
}

TEST(IncrementalDecoder, WaitsForWholeCharacters) {
    const auto tokenizer = make_tokenizer(named_vocabulary("spm-bytes"));
    ASSERT_NE(tokenizer, nullptr);
    IncrementalDecoder decoder(*tokenizer, false, {});
    const auto push = [&](const std::string& token) { return decoder.push(id_of(*tokenizer, token)); };
    EXPECT_EQ(push("\u2581the"), "the");
    EXPECT_EQ(push("<0xF0>"), "");
    EXPECT_EQ(push("<0x9F>"), "");
    EXPECT_EQ(push("<0x98>"), "");
    EXPECT_EQ(push("<0x80>"), "😀");
    EXPECT_EQ(push("<0xE2>"), "");
    EXPECT_EQ(push("\u2581the"), "\uFFFD the");
    EXPECT_EQ(push("<0xE2>"), "");
    EXPECT_EQ(decoder.finish(), "\uFFFD");
}

struct Refusal {
    const char* name;
    const char* fixture;
    void (*spoil)(Vocabulary&);
    ErrorCode code;
    const char* message;
};

const Refusal refusals[] = {
    {"NoVocabulary", "gpt-2", [](Vocabulary& v) { v = {}; }, ErrorCode::unsupported_tokenizer, "no vocabulary"},
    {"UnknownFamily", "gpt-2", [](Vocabulary& v) { v.family = TokenizerFamily::other, v.family_name = "rwkv"; },
     ErrorCode::unsupported_tokenizer, "rwkv"},
    {"UnknownPreTokenizer", "gpt-2", [](Vocabulary& v) { v.pre_tokenizer = "nonesuch"; },
     ErrorCode::unsupported_tokenizer, "nonesuch"},
    {"ScoresOfAnotherLength", "spm-bytes", [](Vocabulary& v) { v.scores.pop_back(); }, ErrorCode::file_malformed,
     "scores"},
    {"NoScores", "spm-bytes", [](Vocabulary& v) { v.scores.clear(); }, ErrorCode::file_malformed, "score"},
    {"ScoreThatIsNoNumber", "spm-bytes", [](Vocabulary& v) { v.scores[300] = std::nanf(""); },
     ErrorCode::file_malformed, "score of token 300"},
    {"KindsOfAnotherLength", "gpt-2", [](Vocabulary& v) { v.kinds.resize(3); }, ErrorCode::file_malformed, "types"},
    {"BeginBeyondTheVocabulary", "gpt-2", [](Vocabulary& v) { v.bos = 1000000; }, ErrorCode::file_malformed, "begin"},
    {"NegativeEnd", "gpt-2", [](Vocabulary& v) { v.eos = -7; }, ErrorCode::file_malformed, "end token is -7"},
    {"TokenTwice", "gpt-2", [](Vocabulary& v) { v.tokens[400] = v.tokens[401]; }, ErrorCode::file_malformed,
     "tokens 400 and 401"},
    {"PieceTwice", "spm-bytes", [](Vocabulary& v) { v.tokens[400] = v.tokens[401]; }, ErrorCode::file_malformed,
     "tokens 400 and 401"},
    {"ByteTwice", "spm-bytes", [](Vocabulary& v) { v.tokens[20] = v.tokens[21]; }, ErrorCode::file_malformed,
     "occurs twice"},
    {"ByteMiswritten", "spm-bytes", [](Vocabulary& v) { v.tokens[20] = "<0xG1>"; }, ErrorCode::file_malformed,
     "<0xHH>"},
    {"NothingForUnknownCharacters", "spm-unknown",
     [](Vocabulary& v) {
         v.unk = no_token;
         for (auto& kind : v.kinds)
             kind = kind == TokenKind::unknown ? TokenKind::normal : kind;
     },
     ErrorCode::file_malformed, "neither"},
    {"MergeOfOneToken", "gpt-2", [](Vocabulary& v) { v.merges[3] = "abc"; }, ErrorCode::file_malformed, "merge 3"},
    {"MergeWithoutRight", "gpt-2", [](Vocabulary& v) { v.merges[3] = "a "; }, ErrorCode::file_malformed, "merge 3"},
    {"EmptyMerge", "gpt-2", [](Vocabulary& v) { v.merges[3].clear(); }, ErrorCode::file_malformed, "merge 3"},
    {"MergeOfNoTokens", "gpt-2", [](Vocabulary& v) { v.merges[3] = "a \u4E2D"; }, ErrorCode::file_malformed,
     "merge 3 needs '\u4E2D'"},
    {"MergeToNoToken", "gpt-2", [](Vocabulary& v) { v.merges[3] = "0 \u0100"; }, ErrorCode::file_malformed,
     "merge 3 needs '0\u0100'"},
};

class TokenizerRefusal : public testing::TestWithParam<Refusal> {};

TEST_P(TokenizerRefusal, SaysWhatIsWrong) {
    Vocabulary vocabulary = named_vocabulary(GetParam().fixture);
    GetParam().spoil(vocabulary);
    const auto tokenizer = Tokenizer::create(std::move(vocabulary));
    ASSERT_FALSE(tokenizer.ok());
    EXPECT_EQ(tokenizer.error().code, GetParam().code);
    EXPECT_THAT(tokenizer.error().message, HasSubstr(GetParam().message));
    EXPECT_FALSE(tokenizer.error().hint.empty());
}
INSTANTIATE_TEST_SUITE_P(All, TokenizerRefusal, testing::ValuesIn(refusals),
                         [](const auto& refusal) { return std::string(refusal.param.name); });

TEST(Tokenizer, UnknownPreTokenizerListsTheKnownOnes) {
    Vocabulary vocabulary = named_vocabulary("gpt-2");
    vocabulary.pre_tokenizer = "nonesuch";
    EXPECT_THAT(Tokenizer::create(vocabulary).error().hint, HasSubstr("smollm"));
}

// Bytes that the vocabulary has no token for are left out, as the reference does; their neighbours then meet.
TEST(Tokenizer, LeavesOutBytesWithoutAToken) {
    Vocabulary vocabulary;
    vocabulary.family = TokenizerFamily::byte_level_bpe;
    vocabulary.tokens = {"a", "b", "ab"};
    vocabulary.merges = {"a b"};
    const auto tokenizer = make_tokenizer(vocabulary);
    ASSERT_NE(tokenizer, nullptr);
    EXPECT_THAT(tokenizer->encode("abcb", {}), ElementsAre(2, 1));
}

TEST(Tokenizer, UnknownCharactersBecomeOneUnknownToken) {
    const auto tokenizer = make_tokenizer(named_vocabulary("spm-unknown"));
    ASSERT_NE(tokenizer, nullptr);
    const TokenId unknown = tokenizer->vocabulary().unk;
    EXPECT_THAT(tokenizer->encode("\u0F40\u0F41\xFF", text_only), ElementsAre(id_of(*tokenizer, "\u2581"), unknown));
    EXPECT_EQ(tokenizer->token_bytes(unknown, false), "");
    EXPECT_EQ(tokenizer->token_bytes(unknown, true), "<unk>");
}

}  // namespace
}  // namespace puna::text
