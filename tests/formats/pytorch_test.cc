// PyTorch's files, read: those that torch.save wrote (tools/make_pytorch_fixtures.py) hold what torch says.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "formats/huggingface_folder.h"
#include "formats/pytorch_image.h"
#include "formats/reading.h"

namespace puna::formats {
namespace {

using namespace pickled;
using quant::TensorType;
using support::TempFolder;
using ::testing::HasSubstr;

using Shape = std::vector<std::uint64_t>;

std::string hex_of(const FoundTensor& tensor) {
    std::string hex;
    for (const TensorPart& part : must(tensor.parts_in_order())) {
        for (const std::byte byte : part.data)
            hex += fmt::format("{:02x}", std::to_integer<unsigned>(byte));
    }
    return hex;
}

TEST(PyTorch, FilesOfTorchSaveHoldWhatTorchSays) {
    const nlohmann::json expected = nlohmann::json::parse(read_text(data_path("pytorch/expected.json")));
    ASSERT_EQ(expected.size(), 4U);
    for (const auto& [file, tensors] : expected.items()) {
        const auto model = must(read_model_file(data_path("pytorch/" + file)));
        EXPECT_EQ(model->format, file == "views_stream.pth" ? "PyTorch before 1.6" : "PyTorch");
        EXPECT_EQ(model->tensors.size(), tensors.size()) << file;
        for (const auto& [name, content] : tensors.items()) {
            const FoundTensor* tensor = model->find_tensor(name);
            ASSERT_NE(tensor, nullptr) << file << ' ' << name;
            EXPECT_EQ(quant::type_info(tensor->type).name, content[0].get<std::string>()) << file << ' ' << name;
            EXPECT_EQ(tensor->shape, content[1].get<Shape>()) << file << ' ' << name;
            EXPECT_EQ(hex_of(*tensor), content[2].get<std::string>()) << file << ' ' << name;
        }
    }
}

TEST(PyTorch, TensorsInOrderLieInTheFileAndOthersAreViewsOfIt) {
    for (const char* file : {"pytorch/views_2.pth", "pytorch/views_stream.pth"}) {
        const auto model = must(read_model_file(data_path(file)));
        const auto bytes = model->mappings.at(0)->bytes();
        const auto lies_in_file = [&](const char* name) {
            const TensorPart& part = model->find_tensor(name)->parts.at(0);
            return part.mapping != nullptr && part.data.data() >= bytes.data() &&
                   part.data.data() + part.data.size() <= bytes.data() + bytes.size();
        };
        for (const char* name : {"whole", "again", "rows", "element", "scalar", "parameter"})
            EXPECT_TRUE(lies_in_file(name)) << file << ' ' << name;
        for (const char* name : {"transposed", "columns", "every_second", "wider_step", "permuted"}) {
            const FoundTensor& tensor = *model->find_tensor(name);
            EXPECT_TRUE(lies_in_file(name)) << file << ' ' << name;
            EXPECT_FALSE(tensor.in_order()) << file << ' ' << name;
            EXPECT_EQ(tensor.parts[0].memory, nullptr) << file << ' ' << name;
            // A copy lives as long as somebody has it.
            std::weak_ptr<const std::vector<std::byte>> copy;
            {
                const auto parts = must(tensor.parts_in_order());
                EXPECT_EQ(parts.at(0).mapping, nullptr) << file << ' ' << name;
                EXPECT_EQ(parts[0].data.size(), tensor.bytes()) << file << ' ' << name;
                copy = parts[0].memory;
                EXPECT_FALSE(copy.expired()) << file << ' ' << name;
            }
            EXPECT_TRUE(copy.expired()) << file << ' ' << name;
        }
        EXPECT_EQ(model->find_tensor("whole")->parts[0].data.data(), model->find_tensor("again")->parts[0].data.data());
        EXPECT_EQ(model->file_bytes, bytes.size());
    }
}

class PyTorchMade : public ::testing::Test {
  protected:
    Result<std::shared_ptr<const ModelFile>> read(const std::string& bytes) {
        return read_model_file(folder_.write("made.pth", std::string_view(bytes)));
    }
    TempFolder folder_;
};

TEST_F(PyTorchMade, TheSmallestFilesAreRead) {
    for (const std::string& bytes : {good_archive().bytes, StreamImage().bytes()}) {
        const auto model = must(read(bytes));
        ASSERT_EQ(model->tensors.size(), 2U);
        EXPECT_EQ(model->find_tensor("a")->shape, (Shape{2, 3}));
        EXPECT_EQ(model->find_tensor("a")->type, TensorType::F32);
        EXPECT_EQ(hex_of(*model->find_tensor("b")), "02020202020202020202020202020202");
    }
}

TEST_F(PyTorchMade, AnArchiveMayHaveACommentAndNoByteOrder) {
    ZipImage zip;
    zip.add("x/data.pkl", pickle(good_state())).add("x/data/0", std::string(24, '\1'));
    zip.add("x/data/1", std::string(16, '\2')).finish("PK\x05\x06 and more");
    EXPECT_TRUE(read(zip.bytes).ok());
}

/// Pickles of other ages: an OrderedDict of Python 2, a first rebuild, byte strings, booleans of protocol 1.
TEST_F(PyTorchMade, OlderPicklesAreRead) {
    const std::string first = call(global("torch._utils", "_rebuild_tensor"),
                                   {storage("FloatStorage", "0", 6), "K\x01", numbers({2, 2}), numbers({2, 1})});
    const std::string pair =
        "](U\x01"
        "a" +
        first + "e";
    const std::string dict = call(global("collections", "OrderedDict"), {"](" + pair + "e"});
    const auto model = must(read(archive_of(pickle(dict)).bytes));
    EXPECT_EQ(model->find_tensor("a")->shape, (Shape{2, 2}));

    std::string second = good_state();
    for (std::size_t at = second.find('\x89'); at != std::string::npos; at = second.find('\x89', at))
        second.replace(at, 1, "I00\n");
    EXPECT_TRUE(read(archive_of(second + ".").bytes).ok());
}

TEST_F(PyTorchMade, SizesMayBeATorchSizeAndStatesAreLeftAlone) {
    const std::string size = call(global("torch", "Size"), {numbers({3, 2})});
    const std::string made = call(global("torch._utils", "_rebuild_tensor"),
                                  {storage("FloatStorage", "0", 6), number(0), size, numbers({2, 1})});
    const std::string state =
        ordered_dict() + "(" + string("a") + made + "u" + pickled::dict({string("_metadata"), ordered_dict()}) + "b";
    const auto model = must(read(archive_of(pickle(state)).bytes));
    EXPECT_EQ(model->find_tensor("a")->shape, (Shape{3, 2}));
}

TEST_F(PyTorchMade, ASizeOfSafetensorsThatLooksLikeAPickleIsNone) {
    std::string header = "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}";
    header.resize(0x280, ' ');  // 80 02 00 00 ...
    const auto model = must(read(raw<std::uint64_t>(header.size()) + header + "x"));
    EXPECT_EQ(model->format, "safetensors");
}

class PyTorchFolder : public ::testing::Test {
  protected:
    void write(const std::string& name, std::string_view text) const { folder_.write(name, text); }
    Result<std::shared_ptr<const ModelFile>> read(const std::string& name = "") const {
        return read_model_file(folder_.path(name));
    }
    TempFolder folder_;
};

TEST_F(PyTorchFolder, WeightsStandBesideTheirConfig) {
    write("config.json", R"({"model_type":"llama"})");
    write("pytorch_model.bin", good_archive().bytes);
    write("optimizer.bin", "x");
    for (const char* name : {"", "pytorch_model.bin"}) {
        const auto model = must(read(name));
        EXPECT_EQ(model->dialect, Dialect::huggingface) << name;
        EXPECT_EQ(model->architecture, "llama") << name;
        EXPECT_NE(model->find_tensor("a"), nullptr) << name;
    }
    write("model.safetensors", raw<std::uint64_t>(2) + "{}");
    EXPECT_EQ(must(read())->format, "safetensors");
    EXPECT_EQ(must(read("pytorch_model.bin"))->format, "PyTorch");
}

TEST_F(PyTorchFolder, SeveralFilesHaveAnIndex) {
    const auto shard = [](const char* name) {
        return archive_of(pickle(pickled::dict({string(name), tensor(storage("FloatStorage", "0", 6), 0, {6}, {1})})))
            .bytes;
    };
    write("pytorch_model-00001-of-00002.bin", shard("a"));
    write("pytorch_model-00002-of-00002.bin", shard("b"));
    write("pytorch_model.bin.index.json", R"({"weight_map":{"a":"pytorch_model-00001-of-00002.bin",)"
                                          R"("b":"pytorch_model-00002-of-00002.bin"}})");
    for (const char* name : {"", "pytorch_model.bin.index.json", "pytorch_model-00002-of-00002.bin"}) {
        const auto model = must(read(name));
        EXPECT_EQ(model->format, "PyTorch, 2 files") << name;
        EXPECT_EQ(model->tensors.size(), 2U) << name;
    }
    write("pytorch_model-00002-of-00002.bin", shard("c"));
    EXPECT_THAT(read().error().message, HasSubstr("is not listed"));
}

TEST_F(PyTorchFolder, SaysWhatItMissesOrCannotTellApart) {
    write("training_args.bin", "x");
    EXPECT_EQ(read().error().code, ErrorCode::unsupported_format);
    EXPECT_THAT(read().error().hint, HasSubstr("give the file of weights itself"));
    write("b.pth", good_archive().bytes);
    EXPECT_TRUE(read().ok());
    write("c.pth", good_archive().bytes);
    EXPECT_THAT(read().error().message, HasSubstr("2 files *.pth"));
}

// ---- Meta's checkpoints ----

class MetaFolder : public PyTorchFolder {
  protected:
    /// An embedding of [rows][columns], and a vector.
    static std::string part(std::int64_t rows, std::int64_t columns) {
        ZipImage zip;
        zip.add(
            "consolidated/data.pkl",
            pickle(pickled::dict({string("tok_embeddings.weight"),
                                  tensor(storage("HalfStorage", "0", rows * columns), 0, {rows, columns}, {columns, 1}),
                                  string("norm.weight"), tensor(storage("HalfStorage", "1", 4), 0, {4}, {1})})));
        zip.add("consolidated/data/0", std::string(static_cast<std::size_t>(2 * rows * columns), '\1'));
        zip.add("consolidated/data/1", std::string(8, '\1'));
        return zip.finish().bytes;
    }
};

TEST_F(MetaFolder, PartsComeUnmergedUnderTheirNames) {
    write("params.json", R"({"dim":4,"n_layers":1,"n_heads":1,"norm_eps":1e-6,"vocab_size":-1})");
    write("consolidated.00.pth", part(6, 2));
    write("consolidated.01.pth", part(6, 2));
    for (const char* name : {"", "consolidated.00.pth", "consolidated.01.pth"}) {
        const auto model = must(read(name));
        EXPECT_EQ(model->dialect, Dialect::meta);
        EXPECT_EQ(model->format, "PyTorch, 2 files");
        EXPECT_EQ(model->architecture, "llama");
        const FoundTensor& embedding = *model->find_tensor("tok_embeddings.weight");
        EXPECT_TRUE(embedding.unmerged);
        EXPECT_EQ(embedding.parts.size(), 2U);
        EXPECT_EQ(embedding.shape, (Shape{6, 2}));
        EXPECT_EQ(must(model->metadata.unsigned_integer("vocab_size")), 6U);
        EXPECT_EQ(must(model->metadata.unsigned_integer("dim")), 4U);
    }
    std::filesystem::remove(folder_.path("consolidated.01.pth"));
    EXPECT_EQ(read().error().code, ErrorCode::file_not_found);
    EXPECT_THAT(read().error().message, HasSubstr("consolidated.01.pth is missing: the model is in 2 parts"));
}

TEST_F(MetaFolder, AnEmbeddingCutByRowsTellsTheVocabulary) {
    write("params.json", R"({"dim":4,"n_layers":1,"n_heads":1,"norm_eps":1e-5,"vocab_size":-1})");
    write("consolidated.00.pth", part(3, 4));
    write("consolidated.01.pth", part(3, 4));
    EXPECT_EQ(must(must(read())->metadata.unsigned_integer("vocab_size")), 6U);
    write("params.json", R"({"dim":4,"n_layers":1,"n_heads":1,"norm_eps":1e-5,"vocab_size":12})");
    EXPECT_THAT(read().error().message, HasSubstr("consolidated.02.pth is missing: the model is in 4 parts"));
    write("params.json", R"({"dim":4,"n_layers":1,"n_heads":1,"norm_eps":1e-5,"vocab_size":3})");
    EXPECT_EQ(read().error().code, ErrorCode::file_malformed);
    EXPECT_THAT(read().error().message, HasSubstr("the model is in 1 parts"));
}

TEST_F(MetaFolder, TheTokenizerMayLieAbove) {
    std::filesystem::create_directory(folder_.path("7B"));
    write("7B/params.json", R"({"dim":4,"n_layers":1,"n_heads":1,"norm_eps":1e-6,"vocab_size":-1})");
    write("7B/consolidated.00.pth", part(700, 4));
    EXPECT_TRUE(must(read("7B"))->vocabulary.tokens.empty());
    write("tokenizer.model", read_text(data_path("tokenizers/llama/tokenizer.model")));
    EXPECT_EQ(must(read("7B"))->vocabulary.tokens.size(), 700U);
    EXPECT_EQ(must(read("7B"))->vocabulary.family, text::TokenizerFamily::sentencepiece_bpe);
}

TEST_F(MetaFolder, OneFileBesideItsParametersMayHaveAnyName) {
    write("params.json", R"({"dim":4,"n_layers":1,"n_heads":1,"norm_eps":1e-6})");
    write("llama.pth", part(6, 4));
    EXPECT_EQ(must(read())->dialect, Dialect::meta);
    EXPECT_FALSE(must(read())->find_tensor("norm.weight")->unmerged);
    write("config.json", R"({"model_type":"llama"})");
    EXPECT_EQ(must(read())->dialect, Dialect::huggingface);
}

TEST_F(MetaFolder, WhatMayChangeTheComputationIsNotLeftOutInSilence) {
    write("consolidated.00.pth", part(6, 4));
    for (const auto& [json, says] : {std::pair{R"({"dim":4,"moe":{"num_experts":8}})", "key 'moe'"},
                                     {R"({"dim":4,"quantization_args":{}})", "key 'quantization_args'"},
                                     {R"({"dim":4,"use_qk_norm":true})", "key 'use_qk_norm'"}}) {
        write("params.json", json);
        EXPECT_EQ(read().error().code, ErrorCode::unsupported_architecture) << json;
        EXPECT_THAT(read().error().message, HasSubstr(says));
    }
}

TEST_F(MetaFolder, PartsOfOtherShapesAreRefused) {
    write("params.json", R"({"dim":4,"n_layers":1,"n_heads":1,"norm_eps":1e-6,"vocab_size":-1})");
    write("consolidated.00.pth", part(6, 2));
    write("consolidated.01.pth", part(5, 2));
    EXPECT_EQ(read().error().code, ErrorCode::file_malformed);
    EXPECT_THAT(read().error().message, HasSubstr("'tok_embeddings.weight'"));
    EXPECT_THAT(read().error().message, HasSubstr("is not as in the first part"));
}

TEST_F(MetaFolder, ValuesThatItLeavesOutMayBeGiven) {
    write("params.json", R"({"dim":4,"n_layers":1,"n_heads":1,"norm_eps":1e-6})");
    write("consolidated.00.pth", part(6, 4));
    const auto model = must(read_model_file(folder_.path(""), {.rope_base = 500000.0, .context = 77}));
    EXPECT_EQ(must(model->metadata.unsigned_integer("max_seq_len")), 77U);
    EXPECT_EQ(must(model->metadata.number("rope_theta")), 500000.0);
    const auto twice = read_model_file(folder_.path(""), {.norm_epsilon = 1e-5});
    ASSERT_FALSE(twice.ok());
    EXPECT_EQ(twice.error().code, ErrorCode::invalid_argument);
    EXPECT_THAT(twice.error().message, HasSubstr("'norm_eps'"));
}

}  // namespace
}  // namespace puna::formats
