// The small files of Hugging Face folders, damaged: each gives a typed error that names the field and its byte.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <random>

#include "formats/huggingface_folder.h"
#include "formats/largest_allocation.h"
#include "formats/sentencepiece/model.h"
#include "text/tokenizer/tokenizer.h"

namespace puna::formats {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;

Error error_of(const HuggingFaceFolder& folder) {
    const auto result = folder.read();
    return result.ok() ? Error{} : result.error();
}

struct BadText {
    const char* name;
    const char* file;
    std::string text;
    const char* says;
};

class BadFile : public testing::TestWithParam<BadText> {};

TEST_P(BadFile, IsNamedWithFieldAndOffset) {
    HuggingFaceFolder folder;
    if (std::string_view(GetParam().file) != "tokenizer.json") folder.copy("gpt-2", "tokenizer.json");
    folder.write(GetParam().file, GetParam().text);
    largest_allocation = 0;
    const auto start = std::chrono::steady_clock::now();
    const Error error = error_of(folder);
    EXPECT_LT(largest_allocation, std::size_t{8} << 20);
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(1));
    EXPECT_EQ(error.code, ErrorCode::file_malformed) << error.message;
    EXPECT_THAT(error.message, HasSubstr(GetParam().says));
    EXPECT_THAT(error.message, HasSubstr(GetParam().file));
    EXPECT_THAT(error.message, ContainsRegex("\\(at byte [0-9]+\\)"));
    EXPECT_NE(error.hint, "");
}

std::string with_model(const char* model) {
    return fmt::format(R"({{"model":{},"pre_tokenizer":{{"type":"ByteLevel","add_prefix_space":false}},)"
                       R"("decoder":{{"type":"ByteLevel"}}}})",
                       model);
}

INSTANTIATE_TEST_SUITE_P(
    All, BadFile,
    testing::Values(
        BadText{"config_empty", "config.json", "", "file is no JSON"},
        BadText{"config_cut", "config.json", R"({"a":)", "file is no JSON"},
        BadText{"config_array", "config.json", "[]", "file is not a JSON object"},
        BadText{"config_number", "config.json", "1", "file"},
        BadText{"config_twice", "config.json", R"({"a":1,"a":1})", "file has the key 'a' twice"},
        BadText{"config_deep", "config.json", R"({"a":)" + std::string(100'000, '[') + std::string(100'000, ']') + "}",
                "file is nested more than 64 deep"},
        BadText{"config_model_type", "config.json", R"({"model_type":1})", "key 'model_type' (at byte 14)"},
        BadText{"template_not_utf8", "chat_template.jinja", "\xFF", "the text is not UTF-8"},
        BadText{"no_model", "tokenizer.json", "{}", "tokenizer has no model"},
        BadText{"no_vocab", "tokenizer.json", with_model(R"({"type":"BPE","merges":[]})"),
                "model has no object 'vocab'"},
        BadText{"no_merges", "tokenizer.json", with_model(R"({"type":"BPE","vocab":{"a":0}})"),
                "model has no array 'merges'"},
        BadText{"empty_vocab", "tokenizer.json", with_model(R"({"type":"BPE","vocab":{},"merges":[]})"),
                "model, vocab is empty"},
        BadText{"id_negative", "tokenizer.json", with_model(R"({"type":"BPE","vocab":{"a":-1},"merges":[]})"),
                "model, token 'a' has the id -1"},
        BadText{"id_2_31", "tokenizer.json", with_model(R"({"type":"BPE","vocab":{"a":2147483648},"merges":[]})"),
                "model, token 'a' has the id 2147483648"},
        BadText{"id_text", "tokenizer.json", with_model(R"({"type":"BPE","vocab":{"a":"0"},"merges":[]})"),
                "model, token 'a' has the id \"0\""},
        BadText{"id_twice", "tokenizer.json", with_model(R"({"type":"BPE","vocab":{"a":0,"b":0},"merges":[]})"),
                "model, token 'b' has the id 0 of another"},
        BadText{"merge_of_one", "tokenizer.json", with_model(R"({"type":"BPE","vocab":{"a":0},"merges":["a"]})"),
                "model, merge 0 is \"a\", not two tokens"},
        BadText{"merge_of_three", "tokenizer.json", with_model(R"({"type":"BPE","vocab":{"a":0},"merges":["a a a"]})"),
                "model, merge 0"},
        BadText{"merge_array_of_one", "tokenizer.json",
                with_model(R"({"type":"BPE","vocab":{"a":0},"merges":[["a"]]})"),
                "model, merge 0 is [\"a\"], not two tokens"},
        BadText{"merge_number", "tokenizer.json", with_model(R"({"type":"BPE","vocab":{"a":0},"merges":[1]})"),
                "model, merge 0 is neither"},
        BadText{"merge_with_space", "tokenizer.json",
                with_model(R"({"type":"BPE","vocab":{"a":0},"merges":[["a b","a"]]})"), "model, merge 0 holds a space"},
        BadText{"added_no_array", "tokenizer.json",
                R"({"added_tokens":{},)" + with_model(R"({"type":"BPE","vocab":{"a":0},"merges":[]})").substr(1),
                "added_tokens is not an array"},
        BadText{"added_no_id", "tokenizer.json",
                R"({"added_tokens":[{"content":"x"}],)" +
                    with_model(R"({"type":"BPE","vocab":{"a":0},"merges":[]})").substr(1),
                "added token 0 has no id"},
        BadText{"added_far", "tokenizer.json",
                R"({"added_tokens":[{"id":1000000,"content":"x"}],)" +
                    with_model(R"({"type":"BPE","vocab":{"a":0},"merges":[]})").substr(1),
                "has the id 1000000, far behind"},
        BadText{"added_taken", "tokenizer.json",
                R"({"added_tokens":[{"id":0,"content":"x"}],)" +
                    with_model(R"({"type":"BPE","vocab":{"a":0},"merges":[]})").substr(1),
                "has the id 0 of 'a'"}),
    [](const auto& param) { return param.param.name; });

std::string nested_objects(std::size_t depth) {
    std::string text;
    for (std::size_t i = 0; i < depth; ++i)
        text += R"({"a":)";
    return text + "1" + std::string(depth, '}');
}

/// Whatever is wrong with the JSON of one of the small files, Meta's among them.
TEST(SmallFiles, AreRefusedWhereTheirJsonIsDamaged) {
    const std::pair<const char*, const char*> files[] = {
        {"config.json", R"({"model_type":"llama"})"},       {"generation_config.json", R"({"eos_token_id":[0]})"},
        {"tokenizer_config.json", R"({"bos_token":null})"}, {"special_tokens_map.json", R"({"eos_token":{}})"},
        {"chat_template.json", R"({"chat_template":"x"})"}, {"added_tokens.json", R"({"<x>":700})"},
        {"tokenizer.json", R"({"added_tokens":[]})"},       {"params.json", R"({"dim":32,"norm_eps":1e-5})"}};
    for (const auto& [name, good] : files) {
        HuggingFaceFolder folder;
        if (name == std::string_view("added_tokens.json")) {
            folder.copy("llama", "tokenizer.model");
        } else {
            folder.copy("gpt-2", "tokenizer.json");
        }
        std::vector<std::string> texts = {R"({"a":1,"a":2})",
                                          R"({"a":{"b":1,"\u0062":2}})",
                                          "[]",
                                          "1",
                                          "{}x",
                                          "\xFF",
                                          R"({"a":)" + std::string(100'000, '[') + std::string(100'000, ']') + "}",
                                          nested_objects(100'000)};
        for (std::size_t size = 0; size < std::string_view(good).size(); ++size)
            texts.emplace_back(good, size);
        for (const std::string& text : texts) {
            folder.write(name, text);
            largest_allocation = 0;
            const auto start = std::chrono::steady_clock::now();
            const Error error = error_of(folder);
            EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(1));
            EXPECT_LT(largest_allocation, std::size_t{8} << 20);
            EXPECT_EQ(error.code, ErrorCode::file_malformed) << name << ": " << text.substr(0, 40);
            EXPECT_THAT(error.message, HasSubstr(name)) << text.substr(0, 40);
            EXPECT_THAT(error.message, ContainsRegex("\\(at byte [0-9]+\\)")) << text.substr(0, 40);
        }
    }
}

// ---- SentencePiece ----

std::string model_bytes() {
    return read_text(data_path("tokenizers/llama/tokenizer.model"));
}

Result<text::Vocabulary> read_bytes(std::string_view bytes) {
    return sentencepiece::read_model(std::as_bytes(std::span(bytes)), "bad.model");
}

struct BadModel {
    const char* name;
    std::string bytes;
    const char* says;
};

class BadSentencePiece : public testing::TestWithParam<BadModel> {};

TEST_P(BadSentencePiece, IsNamedWithFieldAndOffset) {
    largest_allocation = 0;
    const auto result = read_bytes(GetParam().bytes);
    EXPECT_LT(largest_allocation, std::size_t{1} << 20);
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code, ErrorCode::file_malformed);
    EXPECT_THAT(result.error().message, HasSubstr(GetParam().says));
    EXPECT_THAT(result.error().message, ContainsRegex("bad.model: .*\\(at byte [0-9]+\\)"));
}

using namespace std::string_literals;
INSTANTIATE_TEST_SUITE_P(
    All, BadSentencePiece,
    testing::Values(
        BadModel{"empty", "", "model, pieces are missing"}, BadModel{"field_0", "\x02"s, "model, tag names field 0"},
        BadModel{"tag_cut", "\x80"s, "model, tag is cut off"},
        BadModel{"tag_endless", std::string(11, '\x80'), "model, tag has more than 64 bits"},
        BadModel{"varint_of_65_bits", "\x08"s + std::string(9, '\xFF') + "\x02",
                 "model, field 1 has more than 64 bits"},
        BadModel{"group", "\x0B"s, "model, field 1 has the wire type 3"},
        BadModel{"wire_type_7", "\x0F"s, "model, field 1 has the wire type 7"},
        BadModel{"length_beyond", "\x0A\x05\x0A"s, "model, field 1 needs 5 bytes, and 1 are left"},
        BadModel{"length_2_63", "\x0A"s + std::string(9, '\xFF') + "\x01", "needs 18446744073709551615 bytes"},
        BadModel{"piece_no_message", "\x08\x01"s, "model, piece 0 is no message"},
        BadModel{"piece_empty", "\x0A\x00"s, "piece 0, piece is empty"},
        BadModel{"piece_not_utf8", "\x0A\x03\x0A\x01\xFF"s, "piece 0, piece is not UTF-8"},
        BadModel{"piece_no_text", "\x0A\x02\x08\x01"s, "piece 0, piece is no text"},
        BadModel{"piece_cut", "\x0A\x03\x0A\x05z"s, "piece 0, field 1 needs 5 bytes, and 1 are left"},
        BadModel{"score_varint", "\x0A\x05\x0A\x01z\x10\x01"s, "piece 0, score is no 32-bit number"},
        BadModel{"score_nan", "\x0A\x08\x0A\x01z\x15\xFF\xFF\xFF\x7F"s, "piece 0, score is not a finite number"},
        BadModel{"score_cut", "\x0A\x06\x0A\x01z\x15\xFF\xFF"s, "piece 0, field 2 needs 4 bytes, and 2 are left"},
        BadModel{"type_7", "\x0A\x05\x0A\x01z\x18\x07"s, "piece 0, type is 7; types are 1 to 6"},
        BadModel{"type_0", "\x0A\x05\x0A\x01z\x18\x00"s, "piece 0, type is 0"},
        BadModel{"trainer_no_message", "\x0A\x03\x0A\x01z\x10\x01"s, "trainer_spec is no message"},
        BadModel{"bos_beyond", "\x0A\x03\x0A\x01z\x12\x03\xC8\x02\x09"s, "trainer_spec, bos_id is 9, but there are 1"},
        BadModel{"model_type_text", "\x0A\x03\x0A\x01z\x12\x02\x1A\x00"s, "trainer_spec, model_type is no integer"}),
    [](const auto& param) { return param.param.name; });

TEST(SentencePieceKinds, OthersThanBpeAreNamed) {
    // Piece "z"; trainer_spec: model_type, unk_id 0, and no other ids.
    const auto message_of = [](const std::string& model_type, const std::string& normalizer = "") {
        const std::string none = std::string(9, '\xFF') + "\x01";
        const std::string trainer = model_type + "\xC8\x02" + none + "\xD0\x02" + none;
        const auto result = read_bytes("\x0A\x03\x0A\x01z\x12" + std::string(1, static_cast<char>(trainer.size())) +
                                       trainer + normalizer);
        return result.ok() ? (result->why_not ? result->why_not->message : "fine") : result.error().message;
    };
    EXPECT_THAT(message_of("\x18\x01"), HasSubstr("is a unigram model"));
    EXPECT_THAT(message_of(""), HasSubstr("is a unigram model"));
    EXPECT_EQ(message_of("\x18\x02"), "fine");
    EXPECT_THAT(message_of("\x18\x03"), HasSubstr("is a model of words"));
    EXPECT_THAT(message_of("\x18\x63"), HasSubstr("has the model type 99"));
    EXPECT_THAT(message_of("\x18\x02", "\x1A\x08\x0A\x03nfk\x12\x01z"s), HasSubstr("by the rules 'nfk'"));
    EXPECT_THAT(message_of("\x18\x02\xC0\x01\x01"), HasSubstr("writes spaces behind words"));
}

TEST(SentencePieceHostile, TruncationAtEveryByteIsAnErrorOrAShorterModel) {
    const std::string bytes = model_bytes();
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        const auto result = read_bytes(std::string_view(bytes).substr(0, size));
        if (!result.ok()) {
            ASSERT_EQ(result.error().code, ErrorCode::file_malformed) << size;
        }
    }
}

// Whatever bytes change, the answer is a vocabulary or an error.
TEST(SentencePieceHostile, RandomMutationsNeverCrash) {
    std::mt19937_64 random(20'180'819);
    const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
    const std::string good = model_bytes();
    for (int round = 0; round < 2'000; ++round) {
        std::string bytes = good;
        for (std::size_t change = 1 + below(4); change > 0; --change) {
            const std::size_t at = below(bytes.size());
            switch (below(3)) {
                case 0: bytes[at] = static_cast<char>(random()); break;
                case 1: bytes.erase(at, 1 + below(3)); break;
                default: bytes.insert(at, 1 + below(3), static_cast<char>(random())); break;
            }
        }
        auto result = read_bytes(bytes);
        if (result.ok()) (void)text::Tokenizer::create(std::move(result).value());
    }
}

TEST(TokenizerJsonHostile, RandomMutationsNeverCrash) {
    std::mt19937_64 random(20'190'102);
    const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
    constexpr std::string_view pieces[] = {"{", "}", "[", "]", ",", ":", "\"", "-1", "null", "0", "9999999", "\\u0000"};
    for (const char* name : {"llama", "smollm"}) {
        const std::string good = read_text(data_path(std::string("tokenizers/") + name + "/tokenizer.json"));
        HuggingFaceFolder folder;
        for (int round = 0; round < 300; ++round) {
            std::string text = good;
            for (std::size_t change = 1 + below(3); change > 0; --change) {
                const std::size_t at = below(text.size());
                switch (below(3)) {
                    case 0: text[at] = static_cast<char>(text[at] ^ (1 << below(7))); break;
                    case 1: text.erase(at, 1 + below(5)); break;
                    default: text.insert(at, pieces[below(std::size(pieces))]); break;
                }
            }
            const auto result = folder.write("tokenizer.json", text).read();
            if (result.ok()) (void)text::Tokenizer::create((*result)->vocabulary);
        }
    }
}

}  // namespace
}  // namespace puna::formats
