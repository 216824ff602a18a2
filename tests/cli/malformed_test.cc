// Damaged files of every format, as a user meets them: an error with its field and place, exit code 3, and no new file.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>

#include "cli/fixture.h"
#include "formats/ggml_image.h"
#include "formats/pytorch_image.h"
#include "formats/safetensors_image.h"
#include "support/test_data.h"

namespace puna::cli {
namespace {

using testing::ContainsRegex;

std::string damaged_content(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

class Damaged : public CommandLine {
  protected:
    void SetUp() override {
        std::filesystem::create_directory(folder_.path("in"));
        std::filesystem::create_directory(folder_.path("out"));
    }
    /// A copy of a model's folder, in which one file lacks its last `missing` bytes, or is another's `bytes`.
    std::string folder(const std::string& model, const std::string& name, std::size_t missing,
                       const std::string& bytes = "") {
        const std::string in = folder_.path("in/");
        for (const auto& entry : std::filesystem::directory_iterator(in))
            std::filesystem::remove(entry.path());
        for (const auto& entry : std::filesystem::directory_iterator(support::model_data + model))
            std::filesystem::copy_file(entry.path(), in + entry.path().filename().string());
        const std::string old = bytes.empty() ? damaged_content(in + name) : bytes;
        folder_.write("in/" + name, std::string_view(old).substr(0, old.size() - missing));
        return in;
    }
    /// Nothing was made in `out`, not even something temporary.
    void expect_refused(const std::vector<std::string>& command, const std::string& what) {
        const Json error = error_of(command, 3);
        EXPECT_EQ(error["code"], "file_malformed") << what << error;
        EXPECT_THAT(error["message"].get<std::string>(), ContainsRegex("\\(at byte [0-9]+\\)")) << what;
        EXPECT_NE(error["hint"], "") << what;
        EXPECT_TRUE(std::filesystem::is_empty(folder_.path("out"))) << what;
    }
    void expect_model_refused(const std::string& model, const std::string& what) {
        expect_refused({"convert", model, folder_.path("out/o.gguf")}, what);
        expect_refused({"quantize", model, folder_.path("out/o.gguf"), "Q8_0"}, what);
        expect_refused({"run", "-m", model, "-p", "x"}, what);
        expect_refused({"show", model}, what);
    }
    std::string cut(const std::string& path, std::size_t missing) {
        const std::string bytes = damaged_content(support::model_data + path);
        return folder_.write("cut.bin", std::string_view(bytes).substr(0, bytes.size() - missing));
    }
};

TEST_F(Damaged, ModelsOfOneFile) {
    expect_model_refused(cut("tiny_llama1.gguf", 100), "GGUF");
    expect_model_refused(cut("ggml/llama1_f16.bin", 100), "GGML");
    expect_model_refused(cut("huggingface/tiny_llama1/model.safetensors", 100), "safetensors");
    expect_model_refused(cut("pytorch/shards/pytorch_model-00001-of-00002.bin", 100), "PyTorch archive");
    expect_model_refused(cut("pytorch/stream/pytorch_model.bin", 100), "PyTorch stream");
}

TEST_F(Damaged, FilesOfFolders) {
    const std::string deep = R"({"a":)" + std::string(100'000, '[') + std::string(100'000, ']') + "}";
    for (const char* name : {"config.json", "tokenizer_config.json"}) {
        expect_model_refused(folder("huggingface/tiny_llama1", name, 3), name);
        expect_model_refused(folder("huggingface/tiny_llama1", name, 0, deep), name);
        expect_model_refused(folder("huggingface/tiny_llama1", name, 0, R"({"a":1,"a":2})"), name);
    }
    expect_model_refused(folder("huggingface/tiny_llama1", "tokenizer.json", 0, R"({"model":)"), "tokenizer.json");
    expect_model_refused(folder("huggingface/tiny_llama1", "tokenizer.model", 1), "tokenizer.model");
    expect_model_refused(folder("huggingface/tiny_mistral", "model.safetensors.index.json", 3), "the index");
    expect_model_refused(folder("pytorch/shards", "pytorch_model.bin.index.json", 3), "PyTorch's index");
    expect_model_refused(folder("pytorch/meta", "params.json", 3), "params.json");
    expect_model_refused(folder("pytorch/meta", "params.json", 0, deep), "params.json");
    expect_model_refused(folder("pytorch/meta", "consolidated.01.pth", 100), "consolidated.01.pth");
    expect_model_refused(folder("pytorch/meta3", "tokenizer.model", 3), "a list of ranks");
}

TEST_F(Damaged, ImportanceMatricesAndBases) {
    const std::string matrices = std::string(PUNA_TEST_DATA) + "/formats/data/imatrix/llama_imatrix";
    for (const char* ending : {".gguf", ".dat"}) {
        const std::string bytes = damaged_content(matrices + ending);
        const std::string bad = folder_.write("bad", std::string_view(bytes).substr(0, bytes.size() - 40));
        expect_refused({"quantize", tiny(), folder_.path("out/q.gguf"), "Q4_0", "--imatrix", bad, "--allow-requantize"},
                       ending);
        expect_refused({"imatrix", tiny(), "--in-file", bad, "-o", folder_.path("out/i.gguf")}, ending);
    }
    const std::string base = folder_.write("base.kld", std::string_view("_logits_\x05\x00\x00\x00", 12));
    expect_refused({"perplexity", "-m", tiny(), "--kl-from", base}, "a base");
}

}  // namespace
}  // namespace puna::cli
