// The formats before GGUF: containers, vocabularies, types by version, the structures of families, several files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "formats/ggml_image.h"
#include "formats/reading.h"

namespace puna::formats {
namespace {

using quant::TensorType;
using testing::HasSubstr;
using testing::Not;
using text::TokenKind;

class GgmlTest : public testing::Test {
  protected:
    std::shared_ptr<const ModelFile> read(const GgmlImage& image, const std::string& name = "model.bin") {
        return must(read_model_file(folder_.write(name, image.bytes)));
    }
    Error error_of(const std::string& path) {
        const auto result = read_model_file(path);
        return result.ok() ? Error{} : result.error();
    }
    support::TempFolder folder_;
};

TEST_F(GgmlTest, AFileWithoutVersion) {
    const auto model = read(small_ggml());
    EXPECT_EQ(model->format, "GGML without version");
    EXPECT_EQ(model->dialect, Dialect::ggml);
    EXPECT_EQ(model->architecture, "llama");
    for (const auto& [key, value] : {std::pair{"n_vocab", 3U},
                                     {"n_embd", 32U},
                                     {"n_mult", 8U},
                                     {"n_head", 4U},
                                     {"n_layer", 1U},
                                     {"n_rot", 8U},
                                     {"ftype", 2U}})
        EXPECT_EQ(must(model->metadata.unsigned_integer(key)), value) << key;
    ASSERT_EQ(model->tensors.size(), 2U);
    EXPECT_EQ(model->tensors[0].name, "norm.weight");
    EXPECT_EQ(model->tensors[0].shape, (std::vector<std::uint64_t>{32}));
    EXPECT_EQ(model->tensors[1].shape, (std::vector<std::uint64_t>{2, 32}));
    EXPECT_EQ(model->tensors[1].type, TensorType::Q4_0_GGJT1);
    EXPECT_EQ(model->tensors[1].bytes(), 40U);
    EXPECT_EQ(model->tensors[1].parts[0].data[0], std::byte{0x11});
}

TEST_F(GgmlTest, GgjtAlignsItsDataAndChangedItsBlocksTwice) {
    for (const auto& [version, bytes, type] : {std::tuple{1U, 20U, TensorType::Q4_0_GGJT1},
                                               {2U, 20U, TensorType::Q4_0_GGJT2},
                                               {3U, 18U, TensorType::Q4_0}}) {
        const auto model = read(small_ggjt(version, bytes));
        EXPECT_EQ(model->format, "GGJT v" + std::to_string(version));
        EXPECT_EQ(model->tensors[1].type, type);
        for (const FoundTensor& tensor : model->tensors)
            EXPECT_EQ((tensor.parts[0].data.data() - model->mappings[0]->bytes().data()) % 32, 0);
        EXPECT_EQ(model->vocabulary.scores, (std::vector<float>{0.0F, -1.5F, -2.0F}));
    }
}

/// The other containers say it in the thousands of their file type, as some programs wrote it.
TEST_F(GgmlTest, BlocksByTheFileType) {
    EXPECT_EQ(read(small_ggml(1002))->tensors[1].type, TensorType::Q4_0_GGJT2);
    GgmlImage today;
    today.put(ggmf_magic).put(1U).ints({3, 32, 8, 4, 1, 8, 2002});
    today.word("a", 0.0F).word("b", 0.0F).word("c", 0.0F);
    today.record("tok_embeddings.weight", 2, {32, 2}).fill(36);
    const auto model = read(today);
    EXPECT_EQ(model->format, "GGMF v1");
    EXPECT_EQ(model->tensors[0].type, TensorType::Q4_0);
}

TEST_F(GgmlTest, EveryTypeByVersion) {
    const std::pair<std::int32_t, TensorType> ggjt3[] = {
        {0, TensorType::F32},   {1, TensorType::F16},   {2, TensorType::Q4_0},  {3, TensorType::Q4_1},
        {6, TensorType::Q5_0},  {7, TensorType::Q5_1},  {8, TensorType::Q8_0},  {10, TensorType::Q2_K},
        {11, TensorType::Q3_K}, {12, TensorType::Q4_K}, {13, TensorType::Q5_K}, {14, TensorType::Q6_K}};
    const std::pair<std::int32_t, TensorType> ggjt2[] = {
        {0, TensorType::F32},  {1, TensorType::F16},  {2, TensorType::Q4_0_GGJT2}, {3, TensorType::Q4_1_GGJT2},
        {6, TensorType::Q5_0}, {7, TensorType::Q5_1}, {8, TensorType::Q8_0_GGJT2}};
    const std::pair<std::int32_t, TensorType> ggjt1[] = {{2, TensorType::Q4_0_GGJT1},
                                                         {3, TensorType::Q4_1_GGJT1},
                                                         {6, TensorType::Q5_0_GGJT1},
                                                         {7, TensorType::Q5_1_GGJT1},
                                                         {8, TensorType::Q8_0_GGJT2}};
    const auto check = [&](std::uint32_t version, std::span<const std::pair<std::int32_t, TensorType>> types) {
        for (const auto& [id, type] : types) {
            const quant::TypeInfo& info = quant::type_info(type);
            GgmlImage image;
            image.put(ggjt_magic).put(version).ints({1, 256, 8, 4, 1, 8, 2}).word("a", 0.0F);
            image.record("tok_embeddings.weight", id, {256, 1}).align();
            image.fill(256 / info.block_elements * info.block_bytes);
            EXPECT_EQ(read(image)->tensors[0].type, type) << version << ' ' << info.name;
        }
    };
    check(1, ggjt1);
    check(2, ggjt2);
    check(3, ggjt3);
}

/// Words as the converters of 2023 wrote them.
GgmlImage with_words(const std::vector<std::string>& words, bool scores) {
    GgmlImage image;
    image.put(scores ? ggmf_magic : ggml_magic);
    if (scores) image.put(1U);
    image.ints({static_cast<std::int32_t>(words.size()), 1, 8, 1, 1, 8, 0});
    for (std::size_t i = 0; i < words.size(); ++i) {
        image.word(words[i]);
        if (scores) image.put(-static_cast<float>(i) / 2.0F);
    }
    return image.record("tok_embeddings.weight", 0, {1, 1}).fill(4);
}

std::vector<std::string> usual_words() {
    std::vector<std::string> words = {" \xE2\x81\x87 ", "", ""};
    for (int byte = 0; byte < 256; ++byte)
        words.emplace_back(1, static_cast<char>(byte));
    for (const char* piece : {" ", "a", " a", "  ", " the"})
        words.emplace_back(piece);
    return words;
}

TEST_F(GgmlTest, WordsBecomeASentencePieceVocabulary) {
    for (const bool scores : {false, true}) {
        const auto model = read(with_words(usual_words(), scores));
        const text::Vocabulary& v = model->vocabulary;
        EXPECT_EQ(v.family, text::TokenizerFamily::sentencepiece_bpe);
        ASSERT_EQ(v.tokens.size(), 264U);
        EXPECT_EQ(v.tokens[0], "<unk>");
        EXPECT_EQ(v.tokens[1], "<s>");
        EXPECT_EQ(v.tokens[2], "</s>");
        EXPECT_EQ(v.tokens[3], "<0x00>");
        EXPECT_EQ(v.tokens[258], "<0xFF>");
        EXPECT_EQ(v.tokens[259], "\xE2\x96\x81");
        EXPECT_EQ(v.tokens[261],
                  "\xE2\x96\x81"
                  "a");
        EXPECT_EQ(v.tokens[262], "\xE2\x96\x81\xE2\x96\x81");
        EXPECT_EQ(v.kinds[0], TokenKind::unknown);
        EXPECT_EQ(v.kinds[1], TokenKind::control);
        EXPECT_EQ(v.kinds[3 + 'a'], TokenKind::byte);
        EXPECT_EQ(v.kinds[260], TokenKind::normal);
        EXPECT_EQ(v.unk, 0);
        EXPECT_EQ(v.bos, 1);
        EXPECT_EQ(v.eos, 2);
        EXPECT_TRUE(v.add_bos);
        EXPECT_TRUE(v.add_space_prefix);
        EXPECT_EQ(v.scores[258], scores ? -129.0F : 0.0F);
        EXPECT_EQ(v.scores[259], scores ? -129.5F : 0.0F);
        EXPECT_EQ(v.scores[263], scores ? -131.5F : -4.0F);
    }
}

/// The first converter wrote U+FFFD where a byte is no character. And added tokens may have no text, or one twice.
TEST_F(GgmlTest, WordsThatTextCannotBecomeAreControlTokens) {
    std::vector<std::string> words = usual_words();
    for (std::size_t byte = 0x80; byte < 256; ++byte)
        words[3 + byte] = "\xEF\xBF\xBD";
    words.emplace_back("");
    words.emplace_back("a");
    const auto model = read(with_words(words, true));
    EXPECT_EQ(model->vocabulary.tokens[3 + 0x80], "<0x80>");
    EXPECT_EQ(model->vocabulary.kinds[3 + 0x80], TokenKind::byte);
    EXPECT_EQ(model->vocabulary.kinds[264], TokenKind::control);
    EXPECT_EQ(model->vocabulary.kinds[265], TokenKind::control);
}

struct Family {
    const char* name;
    std::vector<std::int32_t> header;
    std::vector<const char*> tensors;
    const char* key;  // of the header
    std::uint64_t value;
};

class GgmlFamilyTest : public GgmlTest, public testing::WithParamInterface<Family> {};

constexpr std::int32_t alibi_8 = 0x41000000;  // 8.0F

TEST_P(GgmlFamilyTest, IsToldByItsStructure) {
    for (const std::uint32_t magic : {ggml_magic, ggjt_magic}) {
        GgmlImage image;
        image.put(magic);
        if (magic == ggjt_magic) image.put(3U);
        image.ints(GetParam().header);
        for (const char* word : {"!", "\"", "the", "llama", "<|end|>"}) {
            image.word(word);
            if (magic == ggjt_magic) image.put(0.0F);
        }
        for (const char* tensor : GetParam().tensors) {
            image.record(tensor, 1, {16, 2});
            if (magic == ggjt_magic) image.align();
            image.fill(64);
        }
        const auto model = read(image);
        EXPECT_EQ(model->architecture, GetParam().name);
        EXPECT_EQ(must(model->metadata.unsigned_integer(GetParam().key)), GetParam().value);
        EXPECT_EQ(model->vocabulary.tokens.size(), 5U);
        EXPECT_EQ(model->tensors.size(), GetParam().tensors.size());
        const bool sentencepiece = std::string_view(GetParam().name) == "llama";
        EXPECT_EQ(model->vocabulary.why_not.has_value(), !sentencepiece);
    }
}

INSTANTIATE_TEST_SUITE_P(
    All, GgmlFamilyTest,
    testing::Values(Family{"llama", {5, 16, 8, 4, 2, 4, 1}, {"tok_embeddings.weight", "norm.weight"}, "n_mult", 8},
                    Family{"gpt2", {5, 1024, 16, 4, 2, 1, 5}, {"model/ln_f/g", "model/wte"}, "n_ctx", 1024},
                    Family{"gptj", {5, 2048, 16, 4, 2, 4, 1, 5}, {"transformer.wte.weight"}, "n_rot", 4},
                    Family{"gptneox", {5, 2048, 16, 4, 2, 4, 1, 1}, {"gpt_neox.embed_in.weight"}, "n_layer", 2},
                    Family{"bloom", {5, 16, 8, 4, 2, 1}, {"tok_embeddings.weight", "norm.weight"}, "n_mult", 8},
                    Family{"mpt", {16, 2048, 4, 2, 5, alibi_8, 0, 1}, {"transformer.wte.weight"}, "n_vocab", 5},
                    Family{"falcon", {5, 16, 4, 1, 2, 1}, {"transformer.word_embeddings.weight"}, "n_head_kv", 1}),
    [](const auto& param) { return param.param.name; });

/// Part `index` of a model of width 32 in two parts: half of the columns of the embedding.
GgmlImage part(float value, std::int32_t n_layer = 1) {
    GgmlImage image;
    image.put(ggmf_magic).put(1U).ints({3, 32, 8, 4, n_layer, 8, 0});
    image.word("a", 0.0F).word("b", 0.0F).word("c", 0.0F);
    image.record("tok_embeddings.weight", 0, {16, 3});
    for (int i = 0; i < 48; ++i)
        image.put(value);
    image.record("norm.weight", 0, {32}).fill(128);
    return image;
}

TEST_F(GgmlTest, SeveralFilesAreOneModelWhicheverIsNamed) {
    folder_.write("model.bin", part(1).bytes);
    folder_.write("model.bin.1", part(2).bytes);
    for (const char* name : {"model.bin", "model.bin.1"}) {
        const auto model = must(read_model_file(folder_.path(name)));
        EXPECT_EQ(model->format, "GGMF v1, 2 files");
        EXPECT_EQ(model->mappings.size(), 2U);
        EXPECT_EQ(model->file_bytes, 2 * part(1).bytes.size());
        const FoundTensor& embedding = *model->find_tensor("tok_embeddings.weight");
        EXPECT_TRUE(embedding.unmerged);
        ASSERT_EQ(embedding.parts.size(), 2U);
        EXPECT_EQ(embedding.shape, (std::vector<std::uint64_t>{3, 16}));
        EXPECT_EQ(embedding.elements(), 96U);
        float second = 0;
        std::memcpy(&second, embedding.parts[1].data.data(), sizeof second);
        EXPECT_EQ(second, 2.0F);
    }
}

TEST_F(GgmlTest, PartsThatAreMissingOrOfAnotherModelAreNamed) {
    const std::string path = folder_.write("model.bin", part(1).bytes);
    EXPECT_EQ(error_of(path).code, ErrorCode::file_not_found);
    EXPECT_THAT(error_of(path).message, HasSubstr("model.bin.1 is missing: the model is in 2 parts"));
    folder_.write("model.bin.1", part(2, 2).bytes);
    EXPECT_EQ(error_of(path).code, ErrorCode::file_malformed);
    EXPECT_THAT(error_of(path).message, HasSubstr("model.bin.1: header, n_layer is not that of the first part"));
    folder_.write("model.bin.1", small_ggml().bytes);
    EXPECT_THAT(error_of(path).message, HasSubstr("magic is not that of the first part"));
    GgmlImage other = part(2);
    other.record("more.weight", 0, {1}).fill(4);
    folder_.write("model.bin.1", other.bytes);
    EXPECT_THAT(error_of(path).message, HasSubstr("holds 3 tensors, and the first part 2"));
}

TEST_F(GgmlTest, AFirstPartThatIsMissingIsNamedToo) {
    const std::string second = folder_.write("model.bin.1", part(2).bytes);
    EXPECT_EQ(error_of(second).code, ErrorCode::file_not_found);
    EXPECT_THAT(error_of(second).message,
                HasSubstr("model.bin is missing: the model is in 2 parts, and this is part 1"));
    EXPECT_THAT(error_of(second).message, Not(HasSubstr("model.bin.1.1")));
    // A first part may end in a number of its own: one of two parts is no part 3.
    const std::string first = folder_.write("model.2", part(1).bytes);
    EXPECT_THAT(error_of(first).message,
                HasSubstr("model.2.1 is missing: the model is in 2 parts, and this is part 2"));
    folder_.write("model.1", part(1).bytes);
    const auto model = must(read_model_file((folder_.write("model.1.1", part(2).bytes), folder_.path("model.1"))));
    EXPECT_EQ(model->mappings.size(), 2U);
}

TEST_F(GgmlTest, ValuesThatTheFileLeavesOutCanBeGiven) {
    const std::string path = folder_.write("model.bin", small_ggml().bytes);
    const auto model = must(read_model_file(path, {.norm_epsilon = 1e-5, .kv_heads = 2, .context = 4096}));
    EXPECT_EQ(must(model->metadata.number("norm_eps")), 1e-5);
    EXPECT_EQ(must(model->metadata.unsigned_integer("n_head_kv")), 2U);
    EXPECT_EQ(must(model->metadata.unsigned_integer("n_ctx")), 4096U);
    EXPECT_EQ(model->metadata.find("rope_freq_base"), nullptr);
    EXPECT_NE(model->find_tensor("norm.weight"), nullptr);
    const auto result = read_model_file(folder_.write("model.gguf", good_builder().build().bytes), {.rope_base = 5e5});
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code, ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace puna::formats
