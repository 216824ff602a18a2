// The vocabularies of Hugging Face folders: the same as those that GGUF files hold, and the ids of the reference
// libraries (tools/make_huggingface_fixtures.py).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "formats/huggingface_folder.h"
#include "text/vocabulary_fixture.h"

namespace puna::formats {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using text::no_token;
using text::TokenId;
using text::Tokenizer;
using text::TokenizerFamily;
using text::TokenKind;
using text::Vocabulary;

std::vector<std::string> corpus() {
    return text::read_fixture("text/data/corpus.json");
}

std::string test_name(const testing::TestParamInfo<std::string>& info) {
    std::string name = info.param;
    std::ranges::replace(name, '-', '_');
    return name;
}

void expect_same_tokens(const Vocabulary& read, const Vocabulary& expected) {
    EXPECT_EQ(read.family, expected.family);
    EXPECT_EQ(read.family_name, expected.family_name);
    EXPECT_EQ(read.pre_tokenizer, expected.pre_tokenizer);
    EXPECT_EQ(read.tokens, expected.tokens);
    EXPECT_EQ(read.kinds, expected.kinds);
    EXPECT_EQ(read.scores, expected.scores);
    EXPECT_EQ(read.merges, expected.merges);
    EXPECT_EQ(read.nfc, expected.nfc);
}

void expect_ids(const Tokenizer& tokenizer, const nlohmann::json& ids, Tokenizer::EncodeOptions options) {
    const auto texts = corpus();
    ASSERT_EQ(ids.size(), texts.size());
    for (std::size_t i = 0; i < texts.size(); ++i)
        EXPECT_EQ(tokenizer.encode(texts[i], options), ids[i].get<std::vector<TokenId>>()) << texts[i].substr(0, 200);
}

class ByteLevelJson : public testing::TestWithParam<std::string> {};

TEST_P(ByteLevelJson, IsTheVocabularyThatGgufWouldHold) {
    HuggingFaceFolder folder;
    const Vocabulary vocabulary = folder.copy(GetParam(), "tokenizer.json").vocabulary();
    const auto fixture = text::read_fixture("text/data/" + GetParam() + ".json");
    expect_same_tokens(vocabulary, text::fixture_vocabulary(fixture));
    EXPECT_FALSE(vocabulary.add_bos);
    const auto tokenizer = text::make_tokenizer(vocabulary);
    ASSERT_NE(tokenizer, nullptr);
    expect_ids(*tokenizer, fixture.at("ids"), {.add_bos = false});
}

INSTANTIATE_TEST_SUITE_P(All, ByteLevelJson, testing::ValuesIn(text::byte_level_names), test_name);

class SentencePieceModel : public testing::TestWithParam<std::string> {};

TEST_P(SentencePieceModel, IsTheVocabularyThatGgufWouldHold) {
    HuggingFaceFolder folder;
    const Vocabulary vocabulary = folder.copy(GetParam(), "tokenizer.model").vocabulary();
    const auto fixture = text::read_fixture("text/data/" + GetParam() + ".json");
    const Vocabulary expected = text::fixture_vocabulary(fixture);
    expect_same_tokens(vocabulary, expected);
    EXPECT_EQ(vocabulary.unk, expected.unk);
    EXPECT_EQ(vocabulary.add_space_prefix, expected.add_space_prefix);
    EXPECT_EQ(vocabulary.remove_extra_whitespaces, expected.remove_extra_whitespaces);
    const auto tokenizer = text::make_tokenizer(vocabulary);
    ASSERT_NE(tokenizer, nullptr);
    expect_ids(*tokenizer, fixture.at("ids"), {.add_bos = false});
}

INSTANTIATE_TEST_SUITE_P(All, SentencePieceModel, testing::ValuesIn(text::sentencepiece_names), test_name);

/// Llama 2's way: either file, or both, are the same tokenizer.
TEST(LlamaTokenizer, EitherFileGivesTheReferencesIds) {
    const auto expected = text::read_fixture("formats/data/tokenizers/llama/expected.json");
    for (const auto& files : std::vector<std::vector<std::string>>{
             {"tokenizer.model"}, {"tokenizer.json"}, {"tokenizer.model", "tokenizer.json"}}) {
        SCOPED_TRACE(files.front() + (files.size() > 1 ? " and tokenizer.json" : ""));
        HuggingFaceFolder folder;
        for (const std::string& file : files)
            folder.copy("llama", file);
        const Vocabulary vocabulary = folder.copy("llama", "tokenizer_config.json").vocabulary();
        EXPECT_EQ(vocabulary.family, TokenizerFamily::sentencepiece_bpe);
        EXPECT_EQ(vocabulary.unk, 0);
        EXPECT_EQ(vocabulary.bos, 1);
        EXPECT_EQ(vocabulary.eos, 2);
        EXPECT_TRUE(vocabulary.add_bos);
        EXPECT_FALSE(vocabulary.add_eos);
        EXPECT_TRUE(vocabulary.add_space_prefix);
        EXPECT_FALSE(vocabulary.remove_extra_whitespaces);
        EXPECT_EQ(vocabulary.kinds[0], TokenKind::unknown);
        EXPECT_EQ(vocabulary.kinds[1], TokenKind::control);
        EXPECT_EQ(vocabulary.kinds[3], TokenKind::byte);
        const auto tokenizer = text::make_tokenizer(vocabulary);
        ASSERT_NE(tokenizer, nullptr);
        expect_ids(*tokenizer, expected.at("sentencepiece"), {});
        expect_ids(*tokenizer, expected.at("tokenizers"), {.parse_special = true});
    }
}

// ---- What lies beside the tokenizer ----

class Beside : public testing::Test {
  protected:
    void SetUp() override { folder_.copy("gpt-2", "tokenizer.json"); }
    TokenId id_of(const std::string& token) { return text::id_of(*text::make_tokenizer(folder_.vocabulary()), token); }
    /// tokenizer.json, to be changed.
    static OrderedJson tokenizer(const std::string& name = "gpt-2") {
        return OrderedJson::parse(read_text(data_path("tokenizers/" + name + "/tokenizer.json")));
    }
    std::string error() const {
        const auto result = folder_.read();
        return result.ok() ? "" : result.error().message;
    }

    HuggingFaceFolder folder_;
};

TEST_F(Beside, SpecialTokensAreNamedByText) {
    folder_.write("tokenizer_config.json", R"({"bos_token":{"content":"<|im_start|>"},"eos_token":"<|im_end|>"})")
        .write("special_tokens_map.json", R"({"pad_token":"<|endoftext|>","eos_token":"<|endoftext|>"})")
        .write("config.json", R"({"bos_token_id":7,"eos_token_id":2,"vocab_size":1205})");
    const Vocabulary vocabulary = folder_.vocabulary();
    EXPECT_EQ(vocabulary.tokens[static_cast<std::size_t>(vocabulary.bos)], "<|im_start|>");
    EXPECT_EQ(vocabulary.tokens[static_cast<std::size_t>(vocabulary.eos)], "<|im_end|>");
    EXPECT_EQ(vocabulary.tokens[static_cast<std::size_t>(vocabulary.pad)], "<|endoftext|>");
    EXPECT_FALSE(vocabulary.add_bos);
}

TEST_F(Beside, ConfigNamesThemWhereTheTokenizerDoesNot) {
    folder_.write("config.json", R"({"bos_token_id":1,"eos_token_id":[2,0],"pad_token_id":-1})");
    const Vocabulary vocabulary = folder_.vocabulary();
    EXPECT_EQ(vocabulary.bos, 1);
    EXPECT_EQ(vocabulary.eos, 2);
    EXPECT_EQ(vocabulary.eot, 0);
    EXPECT_EQ(vocabulary.pad, no_token);
}

TEST_F(Beside, AllEndsOfAGenerationEndIt) {
    folder_.write("tokenizer_config.json", R"({"eos_token":"<|im_end|>"})")
        .write("config.json", R"({"eos_token_id":2})")
        .write("generation_config.json", R"({"eos_token_id":[10,2,20,30,40,10]})");
    const Vocabulary vocabulary = folder_.vocabulary();
    EXPECT_EQ(vocabulary.eos, 2);
    EXPECT_EQ(vocabulary.eot, 10);
    EXPECT_EQ(vocabulary.eom, 20);
    EXPECT_THAT(vocabulary.more_ends, ElementsAre(30, 40));
    const auto made = text::make_tokenizer(vocabulary);
    ASSERT_NE(made, nullptr);
    for (const TokenId id : {2, 10, 20, 30, 40})
        EXPECT_TRUE(made->is_end(id)) << id;
    EXPECT_FALSE(made->is_end(11));
}

TEST_F(Beside, AnEndThatIsNoTokenIsAnError) {
    folder_.write("generation_config.json", R"({"eos_token_id":[2,50000]})");
    EXPECT_THAT(error(), HasSubstr("generation_config.json: key 'eos_token_id' (at byte 16) names token 50000"));
}

// Of ids: neither negative, nor of another kind, nor cut to 32 bits.
TEST_F(Beside, IdsThatNoTokenHasAreErrorsThatNameThem) {
    const std::size_t size = folder_.vocabulary().tokens.size();
    const std::pair<std::string, const char*> wrong[] = {{"-5", "-5"},
                                                         {"\"x\"", "\"x\""},
                                                         {"true", "true"},
                                                         {"[1,\"a\"]", "[1, \"a\"]"},
                                                         {"[1,-2]", "-2"},
                                                         {"{\"a\":1}", "{\"a\": 1}"},
                                                         {"0.5", "0.5"},
                                                         {std::to_string(size), "names token"},
                                                         {"2147483648", "2147483648"},
                                                         {"4294967295", "4294967295"},
                                                         {"4294967296", "4294967296"},
                                                         {"4294967301", "4294967301"}};
    folder_.write("tokenizer_config.json", R"({"bos_token":"<|im_start|>","eos_token":"<|im_end|>"})");
    for (const auto& [value, says] : wrong) {
        folder_.write("config.json", R"({"bos_token_id":)" + value + "}");
        EXPECT_THAT(error(), HasSubstr("config.json: key 'bos_token_id' (at byte 16)")) << value;
        EXPECT_THAT(error(), HasSubstr(says)) << value;
        folder_.write("config.json", R"({"eos_token_id":)" + value + "}");
        EXPECT_THAT(error(), HasSubstr("config.json: key 'eos_token_id' (at byte 16)")) << value;
        folder_.write("config.json", "{}").write("generation_config.json", R"({"eos_token_id":)" + value + "}");
        EXPECT_THAT(error(), HasSubstr("generation_config.json: key 'eos_token_id' (at byte 16)")) << value;
        EXPECT_THAT(error(), HasSubstr(says)) << value;
        folder_.write("generation_config.json", "{}");
    }
    for (const char* none : {"null", "[]"}) {
        folder_.write("config.json", std::string(R"({"bos_token_id":)") + none + R"(,"eos_token_id":)" + none + "}")
            .write("generation_config.json", std::string(R"({"eos_token_id":)") + none + "}");
        EXPECT_EQ(error(), "");
    }
}

TEST_F(Beside, MinusOneIsNoTokenButForTheEnd) {
    folder_.write("config.json", R"({"bos_token_id":-1,"unk_token_id":-1,"pad_token_id":-1})");
    const Vocabulary vocabulary = folder_.vocabulary();
    EXPECT_EQ(vocabulary.bos, no_token);
    EXPECT_EQ(vocabulary.unk, no_token);
    EXPECT_EQ(vocabulary.pad, no_token);
    folder_.write("config.json", R"({"eos_token_id":-1})");
    EXPECT_THAT(error(), HasSubstr("config.json: key 'eos_token_id' (at byte 16) names token -1"));
    folder_.write("config.json", "{}").write("generation_config.json", R"({"eos_token_id":-1})");
    EXPECT_THAT(error(), HasSubstr("generation_config.json: key 'eos_token_id' (at byte 16) names token -1"));
}

TEST_F(Beside, ATokenForPaddingMayHaveNoRow) {
    for (const char* id : {"32000", "-3", "4294967296"}) {
        folder_.write("config.json", std::string(R"({"pad_token_id":)") + id + "}");
        EXPECT_EQ(folder_.vocabulary().pad, no_token) << id;
    }
}

TEST_F(Beside, AVocabularyOfANegativeSizeIsAnError) {
    for (const char* size : {"-1", "-2", "-288", "1.5", "\"288\"", "[1,\"a\"]", "{\"a\":1}"}) {
        folder_.write("config.json", std::string(R"({"vocab_size":)") + size + "}");
        EXPECT_THAT(error(), HasSubstr("config.json: key 'vocab_size' (at byte 14) is ")) << size;
    }
    folder_.write("config.json", R"({"vocab_size":null})");
    EXPECT_EQ(error(), "");
}

TEST_F(Beside, RowsWithoutATokenAreUnusedTokens) {
    const std::size_t size = folder_.vocabulary().tokens.size();
    folder_.write_json("config.json", OrderedJson{{"vocab_size", size + 3}});
    const Vocabulary vocabulary = folder_.vocabulary();
    ASSERT_EQ(vocabulary.tokens.size(), size + 3);
    EXPECT_EQ(vocabulary.kinds.back(), TokenKind::unused);
    EXPECT_NE(text::make_tokenizer(vocabulary), nullptr);
    folder_.write("config.json", R"({"vocab_size":1000000000000})");
    EXPECT_THAT(error(), HasSubstr("key 'vocab_size' (at byte 14) is 1000000000000, but the tokenizer has"));
}

TEST_F(Beside, ABeginTokenIsTheTemplatesOrTheConfigs) {
    OrderedJson json = tokenizer("llama-bpe");
    json["post_processor"] = OrderedJson::parse(
        R"({"type":"Sequence","processors":[{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":false},)"
        R"({"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<|im_start|>","type_id":0}},)"
        R"({"Sequence":{"id":"A","type_id":0}}],"pair":[],"special_tokens":{}}]})");
    folder_.write_json("tokenizer.json", json);
    Vocabulary vocabulary = folder_.vocabulary();
    EXPECT_TRUE(vocabulary.add_bos);
    EXPECT_EQ(vocabulary.tokens[static_cast<std::size_t>(vocabulary.bos)], "<|im_start|>");
    folder_.write("tokenizer_config.json", R"({"add_bos_token":false,"bos_token":"<|im_start|>"})");
    EXPECT_FALSE(folder_.vocabulary().add_bos);
}

TEST_F(Beside, TheChatTemplateHasThreePlaces) {
    EXPECT_EQ(folder_.vocabulary().chat_template, "");
    folder_.write("chat_template.json", R"({"chat_template":"three"})");
    EXPECT_EQ(folder_.vocabulary().chat_template, "three");
    folder_.write("tokenizer_config.json",
                  R"({"chat_template":[{"name":"rag","template":"r"},{"name":"default","template":"two"}]})");
    EXPECT_EQ(folder_.vocabulary().chat_template, "two");
    folder_.write("tokenizer_config.json", R"({"chat_template":"{{ 'two' }}"})");
    EXPECT_EQ(folder_.vocabulary().chat_template, "{{ 'two' }}");
    folder_.write("chat_template.jinja", "{{ one }}\n");
    EXPECT_EQ(folder_.vocabulary().chat_template, "{{ one }}\n");
}

TEST_F(Beside, AFolderWithoutATokenizerHasNoVocabulary) {
    const HuggingFaceFolder empty;
    EXPECT_EQ(empty.vocabulary().family, TokenizerFamily::none);
}

TEST(AddedTokens, WithoutATokenizerJsonAreListedByTextOrId) {
    HuggingFaceFolder folder;
    folder.copy("llama", "tokenizer.model");
    const auto size = static_cast<TokenId>(folder.vocabulary().tokens.size());
    folder.write_json("added_tokens.json", OrderedJson{{"<|a|>", size}, {"<|b|>", size + 1}})
        .write_json("tokenizer_config.json",
                    OrderedJson{{"added_tokens_decoder",
                                 {{std::to_string(size + 1), {{"content", "<|b|>"}, {"special", false}}},
                                  {std::to_string(size + 2), {{"content", "<|c|>"}, {"special", true}}}}}});
    const Vocabulary vocabulary = folder.vocabulary();
    ASSERT_EQ(vocabulary.tokens.size(), static_cast<std::size_t>(size) + 3);
    EXPECT_EQ(vocabulary.kinds[static_cast<std::size_t>(size)], TokenKind::control);
    EXPECT_EQ(vocabulary.kinds[static_cast<std::size_t>(size) + 1], TokenKind::user_defined);
    EXPECT_EQ(vocabulary.tokens[static_cast<std::size_t>(size) + 2], "<|c|>");
    EXPECT_NE(text::make_tokenizer(vocabulary), nullptr);
}

// ---- Structures that are not known ----

struct Unknown {
    const char* name;
    const char* tokenizer;
    const char* place;  // a JSON pointer
    const char* value;
    const char* says;
};

class UnknownStructure : public testing::TestWithParam<Unknown> {};

TEST_P(UnknownStructure, IsPrintedAndTheModelStillShown) {
    const Unknown& p = GetParam();
    OrderedJson json =
        OrderedJson::parse(read_text(data_path(std::string("tokenizers/") + p.tokenizer + "/tokenizer.json")));
    json[OrderedJson::json_pointer(p.place)] = OrderedJson::parse(p.value);
    HuggingFaceFolder folder;
    const Vocabulary vocabulary = folder.write_json("tokenizer.json", json).vocabulary();
    ASSERT_EQ(vocabulary.family, TokenizerFamily::other);
    ASSERT_TRUE(vocabulary.why_not.has_value());
    EXPECT_EQ(vocabulary.why_not->code, ErrorCode::unsupported_tokenizer);
    EXPECT_THAT(vocabulary.why_not->message, HasSubstr(p.says));
    EXPECT_THAT(vocabulary.why_not->message, testing::ContainsRegex("\\(at byte [0-9]+\\)"));
    const auto tokenizer = Tokenizer::create(vocabulary);
    ASSERT_FALSE(tokenizer.ok());
    EXPECT_EQ(tokenizer.error().message, vocabulary.why_not->message);
}

constexpr const char* split_at_spaces =
    R"({"type":"Split","pattern":{"Regex":" +"},"behavior":"Isolated","invert":false})";
INSTANTIATE_TEST_SUITE_P(
    All, UnknownStructure,
    testing::Values(
        Unknown{"model", "gpt-2", "/model/type", R"("WordPiece")",
                "model's type is not one that puna knows: \"WordPiece\""},
        Unknown{"unigram", "llama", "/model/type", R"("Unigram")", "\"Unigram\""},
        Unknown{"prefix", "gpt-2", "/model/continuing_subword_prefix", R"("##")", "continuing_subword_prefix is not"},
        Unknown{"suffix", "gpt-2", "/model/end_of_word_suffix", R"("</w>")", "\"</w>\""},
        Unknown{"whole_tokens_first", "gpt-2", "/model/ignore_merges", "true", "pre_tokenizer is not"},
        Unknown{"normalizers_no_list", "gpt-2", "/normalizer", R"({"type":"Sequence","normalizers":3})",
                R"(normalizer is not one that puna knows: {"type": "Sequence", "normalizers": 3})"},
        Unknown{"normalizers_missing", "gpt-2", "/normalizer", R"({"type":"Sequence"})",
                R"(normalizer is not one that puna knows: {"type": "Sequence"})"},
        Unknown{"normalizer_number", "gpt-2", "/normalizer", "3", "normalizer is not one that puna knows: 3"},
        Unknown{"pre_tokenizers_no_list", "gpt-2", "/pre_tokenizer", R"({"type":"Sequence","pretokenizers":"x"})",
                R"(pre_tokenizer is not one that puna knows: {"type": "Sequence", "pretokenizers": "x"})"},
        Unknown{"post_processors_no_list", "gpt-2", "/post_processor", R"({"type":"Sequence","processors":3})",
                R"(post_processor is not one that puna knows: {"type": "Sequence", "processors": 3})"},
        Unknown{"post_processors_missing", "llama", "/post_processor", R"({"type":"Sequence"})",
                R"(post_processor is not one that puna knows: {"type": "Sequence"})"},
        Unknown{"decoders_no_list", "gpt-2", "/decoder", R"({"type":"Sequence","decoders":3})",
                R"(decoder is not one that puna knows: {"type": "Sequence", "decoders": 3})"},
        Unknown{"no_decoder", "gpt-2", "/decoder", "null", "decoder is not one that puna knows: null"},
        Unknown{"spm_normalizers_no_list", "llama", "/normalizer", R"({"type":"Sequence","normalizers":3})",
                R"(normalizer is not one that puna knows: {"type": "Sequence", "normalizers": 3})"},
        Unknown{"spm_decoders_missing", "llama", "/decoder", R"({"type":"Sequence"})",
                R"(decoder is not one that puna knows: {"type": "Sequence"})"},
        Unknown{"spm_no_decoder", "llama", "/decoder", "null", "decoder is not one that puna knows: null"},
        Unknown{"spm_no_normalizer", "llama", "/normalizer", "null", "pre_tokenizer is not one that puna knows: null"},
        Unknown{"spm_whole_tokens_first", "llama", "/model/ignore_merges", "true",
                "model's ignore_merges is not one that puna knows: true"},
        Unknown{"lower", "gpt-2", "/normalizer", R"({"type":"Lowercase"})", R"({"type": "Lowercase"})"},
        Unknown{"no_pre_tokenizer", "gpt-2", "/pre_tokenizer", "null",
                "pre_tokenizer is not one that puna knows: null"},
        Unknown{"space_first", "gpt-2", "/pre_tokenizer/add_prefix_space", "true", R"("add_prefix_space": true)"},
        Unknown{"regex", "llama-bpe", "/pre_tokenizer/pretokenizers/0/pattern/Regex", R"("[a-z]+")", "[a-z]+"},
        Unknown{"behavior", "llama-bpe", "/pre_tokenizer/pretokenizers/0/behavior", R"("MergedWithNext")",
                "MergedWithNext"},
        Unknown{"inverted", "qwen2", "/pre_tokenizer/pretokenizers/0/invert", "true", R"("invert": true)"},
        Unknown{"another_split", "smollm", "/pre_tokenizer/pretokenizers/0", split_at_spaces, R"("Regex": " +")"},
        Unknown{"decoder", "gpt-2", "/decoder", R"({"type":"WordPiece"})", "decoder is not"},
        Unknown{"post_processor", "gpt-2", "/post_processor", R"({"type":"BertProcessing"})", "post_processor is not"},
        Unknown{"strips", "gpt-2", "/added_tokens/0/lstrip", "true", "added token is not"},
        Unknown{"spm_normalizer", "llama", "/normalizer/normalizers/1/content", R"("_")", "normalizer is not"},
        Unknown{"spm_nfkc", "llama", "/normalizer", R"({"type":"NFKC"})", "NFKC"},
        Unknown{"spm_decoder", "llama", "/decoder/decoders/1/type", R"("CTC")", "decoder is not"},
        Unknown{"spm_split", "llama", "/pre_tokenizer", R"({"type":"Whitespace"})", "Whitespace"},
        Unknown{"spm_merge_missing", "llama", "/model/merges/5", R"(["<unk>","</s>"])",
                "not the merges of a SentencePiece"}),
    [](const auto& param) { return param.param.name; });

TEST(UnknownStructures, APartThatIsMissingIsSaidToBe) {
    const std::tuple<const char*, const char*> parts[] = {
        {"gpt-2", "pre_tokenizer"}, {"gpt-2", "decoder"}, {"llama", "decoder"}};
    for (const auto& [name, part] : parts) {
        OrderedJson json =
            OrderedJson::parse(read_text(data_path(std::string("tokenizers/") + name + "/tokenizer.json")));
        json.erase(part);
        HuggingFaceFolder folder;
        const Vocabulary vocabulary = folder.write_json("tokenizer.json", json).vocabulary();
        ASSERT_TRUE(vocabulary.why_not.has_value());
        EXPECT_THAT(vocabulary.why_not->message,
                    HasSubstr(std::string("tokenizer's ") + part + " is missing (at byte"));
    }
}

TEST_F(Beside, AMergeOfNoTokenIsNamedWithItsFile) {
    OrderedJson json = tokenizer();
    json["model"]["merges"][9] = "qqq qq";
    const auto made = Tokenizer::create(folder_.write_json("tokenizer.json", json).vocabulary());
    ASSERT_FALSE(made.ok());
    EXPECT_THAT(made.error().message, HasSubstr("tokenizer.json: merge 9 needs 'qqq', which is no token"));
    EXPECT_THAT(made.error().hint, HasSubstr("fetch it again"));
}

TEST(LlamaTokenizer, ATokenWithoutTextIsNoTrouble) {
    OrderedJson json = OrderedJson::parse(read_text(data_path("tokenizers/llama/tokenizer.json")));
    json["model"]["vocab"][""] = json["model"]["vocab"].size();
    HuggingFaceFolder folder;
    const Vocabulary vocabulary = folder.write_json("tokenizer.json", json).vocabulary();
    EXPECT_EQ(vocabulary.family, TokenizerFamily::sentencepiece_bpe);
    EXPECT_EQ(vocabulary.tokens.back(), "");
    EXPECT_NE(text::make_tokenizer(vocabulary), nullptr);
}

TEST(Metaspace, IsTheOtherWayToWriteSpaces) {
    OrderedJson json = OrderedJson::parse(read_text(data_path("tokenizers/llama/tokenizer.json")));
    json["normalizer"] = nullptr;
    json["pre_tokenizer"] =
        OrderedJson::parse(R"({"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":false})");
    HuggingFaceFolder folder;
    EXPECT_TRUE(folder.write_json("tokenizer.json", json).vocabulary().add_space_prefix);
    json["pre_tokenizer"]["prepend_scheme"] = "never";
    json["decoder"]["decoders"].erase(3);
    const Vocabulary vocabulary = folder.write_json("tokenizer.json", json).vocabulary();
    EXPECT_EQ(vocabulary.family, TokenizerFamily::sentencepiece_bpe);
    EXPECT_FALSE(vocabulary.add_space_prefix);
    json["pre_tokenizer"]["split"] = true;
    EXPECT_EQ(folder.write_json("tokenizer.json", json).vocabulary().family, TokenizerFamily::other);
}

}  // namespace
}  // namespace puna::formats
