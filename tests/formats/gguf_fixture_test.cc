// Files that others wrote: by the Python package `gguf` (tools/make_gguf_fixture.py), and the demo model.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <cstddef>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "formats/reading.h"

namespace puna::formats {
namespace {

using nlohmann::json;

const std::string data_folder = PUNA_TEST_DATA "/formats/data/";

json to_json(const MetadataValue& value) {
    return std::visit(
        [](const auto& v) -> json {
            if constexpr (std::is_same_v<std::decay_t<decltype(v)>, MetadataArray>) {
                return std::visit([](const auto& elements) { return json(elements); }, v);
            } else {
                return json(v);
            }
        },
        value);
}

std::string to_hex(const FoundTensor& tensor) {
    std::string hex;
    for (const TensorPart& part : tensor.parts) {
        for (const std::byte b : part.data)
            hex += fmt::format("{:02x}", static_cast<unsigned>(b));
    }
    return hex;
}

json expected() {
    std::ifstream file(data_folder + "gguf_py.json");
    return json::parse(file);
}

void expect_tensors(const ModelFile& file, const json& tensors) {
    ASSERT_EQ(file.tensors.size(), tensors.size());
    for (std::size_t i = 0; i < tensors.size(); ++i) {
        const FoundTensor& tensor = file.tensors[i];
        EXPECT_EQ(tensor.name, tensors[i]["name"]);
        EXPECT_EQ(json(tensor.shape).size(), tensors[i]["shape"].size());
        EXPECT_EQ(quant::type_info(tensor.type).name, tensors[i]["type"].get<std::string>());
        EXPECT_EQ(to_hex(tensor), tensors[i]["hex"]);
    }
}

TEST(GgufFixtureTest, ReadsWhatThePythonPackageReads) {
    const auto file = must(read_model_file(data_folder + "gguf_py.gguf"));
    const json want = expected();
    EXPECT_EQ(file->metadata.values.size(), want["metadata"].size());
    for (const auto& [key, value] : want["metadata"].items()) {
        const MetadataValue* found = file->metadata.find(key);
        ASSERT_NE(found, nullptr) << key;
        EXPECT_EQ(to_json(*found), value) << key;
    }
    expect_tensors(*file, want["tensors"]);
    EXPECT_THAT(file->find_tensor("cube")->shape, ::testing::ElementsAre(2, 3, 4));
    EXPECT_THAT(file->find_tensor("half")->shape, ::testing::ElementsAre(4, 64));
}

TEST(GgufFixtureTest, ReadsShardsOfThePythonPackage) {
    const auto file = must(read_model_file(data_folder + "gguf_py-00002-of-00003.gguf"));
    EXPECT_EQ(file->mappings.size(), 3U);
    EXPECT_EQ(must(file->metadata.string("general.name")), "fixture");
    expect_tensors(*file, expected()["tensors"]);
}

TEST(GgufFixtureTest, ReadsTheDemoModel) {
    const auto file = must(read_model_file(PUNA_DEMO_MODEL));
    EXPECT_EQ(file->format, "GGUF v3");
    EXPECT_EQ(file->architecture, "llama");
    EXPECT_EQ(must(file->metadata.unsigned_integer("llama.block_count")), 30U);
    EXPECT_EQ(must(file->metadata.unsigned_integer("llama.embedding_length")), 576U);
    EXPECT_EQ(must(file->metadata.number("llama.attention.layer_norm_rms_epsilon")), static_cast<double>(1e-5F));

    EXPECT_EQ(file->tensors.size(), 272U);
    std::map<std::string, int> types;
    std::uint64_t elements = 0;
    for (const FoundTensor& tensor : file->tensors) {
        ++types[std::string(quant::type_info(tensor.type).name)];
        elements += tensor.elements();
    }
    EXPECT_EQ(types, (std::map<std::string, int>{{"F32", 61}, {"Q4_1", 210}, {"Q8_0", 1}}));
    EXPECT_EQ(elements, 134'515'008U);
    const FoundTensor* embedding = file->find_tensor("token_embd.weight");
    ASSERT_NE(embedding, nullptr);
    EXPECT_THAT(embedding->shape, ::testing::ElementsAre(49152, 576));
    EXPECT_EQ(embedding->parts[0].data.data() - file->mappings[0]->bytes().data(), 1'785'664);

    const text::Vocabulary& vocabulary = file->vocabulary;
    EXPECT_EQ(vocabulary.family, text::TokenizerFamily::byte_level_bpe);
    EXPECT_EQ(vocabulary.pre_tokenizer, "smollm");
    EXPECT_EQ(vocabulary.tokens.size(), 49152U);
    EXPECT_EQ(vocabulary.merges.size(), 48900U);
    EXPECT_EQ(vocabulary.merges.front(), "\xC4\xA0 t");
    EXPECT_EQ(vocabulary.tokens[2], "<|im_end|>");
    EXPECT_EQ(vocabulary.kinds[2], text::TokenKind::control);
    EXPECT_EQ(vocabulary.bos, 1);
    EXPECT_EQ(vocabulary.eos, 2);
    EXPECT_FALSE(vocabulary.add_bos);
    EXPECT_FALSE(vocabulary.add_space_prefix);
    EXPECT_THAT(vocabulary.chat_template, ::testing::StartsWith("{% for message in messages %}"));
}

}  // namespace
}  // namespace puna::formats
