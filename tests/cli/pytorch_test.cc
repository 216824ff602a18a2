// The commands on PyTorch's files, in Hugging Face folders and in Meta's: what they say is what they say of the GGUF
// file of the same values.
#include <gmock/gmock.h>

#include <filesystem>

#include "cli/same_model.h"
#include "formats/pytorch_image.h"
#include "support/test_data.h"

namespace puna::cli {
namespace {

using testing::HasSubstr;

class PyTorch : public SameModel {
  protected:
    const std::string meta = support::model_data + "pytorch/meta";
    const std::string shards = support::model_data + "pytorch/shards";
    const std::string stream = support::model_data + "pytorch/stream";
    const std::string original = support::model_data + "ggml/llama1_f16.gguf";
};

TEST_F(PyTorch, RunsAndTokenizesLikeTheGgufFile) {
    for (const std::string& path :
         {meta, meta + "/consolidated.01.pth", shards, stream, stream + "/pytorch_model.bin"}) {
        EXPECT_EQ(ids_of(path), ids_of(original)) << path;
        EXPECT_EQ(json_of({"tokenize", "-m", path, "-p", "a llama"}),
                  json_of({"tokenize", "-m", original, "-p", "a llama"}));
    }
}

TEST_F(PyTorch, ShowsTheFolders) {
    for (const std::string& path : {meta, shards, stream}) {
        const Json json = json_of({"show", path});
        EXPECT_EQ(json["name"], std::filesystem::path(path).filename().string());
        EXPECT_EQ(json["architecture"], "llama");
        EXPECT_EQ(json["runnable"], true);
        EXPECT_EQ(json["vocabulary"], 288);
        EXPECT_EQ(json["parameters"], json_of({"show", original})["parameters"]);
    }
    EXPECT_EQ(json_of({"show", meta, "--model-context", "512"})["context"], 512);
    EXPECT_EQ(json_of({"show", meta})["memory"]["assembled"], 29696);
    EXPECT_EQ(json_of({"show", shards})["memory"]["assembled"], 0);
}

TEST_F(PyTorch, SaysWhatItTakesForGranted) {
    const Outcome usual = run_puna({"run", "-m", meta, "-p", "x", "-n", "1"});
    EXPECT_THAT(usual.err, HasSubstr("--rope-base 10000, --model-context 2048"));
    EXPECT_EQ(error_of({"run", "-m", meta, "-p", "x", "--norm-epsilon", "1e-5"}, 2)["code"], "invalid_argument");
}

TEST_F(PyTorch, ConvertsVerifiesAndComparesLikeTheOthers) {
    for (const std::string& path : {meta, shards, stream}) {
        const std::string out = folder_.path("out.gguf");
        EXPECT_EQ(json_of({"convert", path, out, "--force"})["types"]["F16"]["tensors"], 16);
        EXPECT_EQ(differing_tensors(out, original), Json::array());
        EXPECT_EQ(differing_tensors(path, original), Json::array());
        EXPECT_EQ(ids_of(out), ids_of(original));
        const Json verified = json_of({"verify", path});
        EXPECT_EQ(verified["ok"], true);
        EXPECT_EQ(verified["files"].size(), path == stream ? 1U : 2U);
        for (const Json& file : verified["files"])
            EXPECT_EQ(file["trailing_bytes"], 0);
    }
    EXPECT_EQ(differing_tensors(meta, shards), Json::array());
}

/// Llama 3's folder: its tokenizer.model is a list of ranks.
TEST_F(PyTorch, Llama3sFolderRunsAndConvertsWithItsOwnTokenizer) {
    const std::string folder = support::model_data + "pytorch/meta3";
    const std::string out = folder_.path("out.gguf");
    const Json shown = json_of({"show", folder});
    EXPECT_EQ(shown["runnable"], true);
    EXPECT_EQ(shown["vocabulary"], 832);
    EXPECT_EQ(shown["context"], 131072);
    EXPECT_EQ(json_of({"convert", folder, out})["types"]["BF16"]["tensors"], 9);
    for (const Json& tensor : differing_tensors(folder, out)) {
        EXPECT_EQ(tensor["distance"]["elements_changed"], 0);  // vectors are F32 in GGUF
    }
    for (const char* text : {"The llamas don't walk 12345 m", "<|eot_id|>\n\n  x"}) {
        const Json json = json_of({"tokenize", "-m", folder, "-p", text});
        EXPECT_EQ(json["ids"].front(), 576);  // <|begin_of_text|>
        EXPECT_EQ(json, json_of({"tokenize", "-m", out, "-p", text}));
    }
    const std::vector<std::string> flags = {"-p", "the river", "-n", "8", "--temp", "0", "--seed", "1"};
    std::vector<std::string> on_folder = {"run", "-m", folder};
    std::vector<std::string> on_file = {"run", "-m", out};
    on_folder.insert(on_folder.end(), flags.begin(), flags.end());
    on_file.insert(on_file.end(), flags.begin(), flags.end());
    EXPECT_EQ(json_of(on_folder)["ids"].size(), 8U);
    EXPECT_EQ(json_of(on_folder)["ids"], json_of(on_file)["ids"]);
}

TEST_F(PyTorch, ADamagedListOfRanksEndsWith3AndLeavesNoFile) {
    std::filesystem::create_directory(folder_.path("m"));
    for (const auto& entry : std::filesystem::directory_iterator(support::model_data + "pytorch/meta3"))
        std::filesystem::copy_file(entry.path(), folder_.path("m/" + entry.path().filename().string()));
    const std::string list = content(folder_.path("m/tokenizer.model"));
    folder_.write("m/tokenizer.model", std::string_view(list).substr(0, list.size() - 3));
    EXPECT_THAT(error_of({"convert", folder_.path("m"), folder_.path("o.gguf")}, 3)["message"].get<std::string>(),
                HasSubstr("tokenizer.model: line 576, rank is '5', not 575"));
    EXPECT_EQ(error_of({"run", "-m", folder_.path("m"), "-p", "x"}, 3)["code"], "file_malformed");
    EXPECT_FALSE(std::filesystem::exists(folder_.path("o.gguf")));
}

/// Tensors have their names in GGUF, whatever they are called in the model's own files.
TEST_F(PyTorch, ImportanceMatricesAreThoseOfTheGgufFile) {
    const std::string text =
        folder_.write("text.txt", std::string_view("the llama walks to the mountains, and the sky"));
    const auto matrix_of = [&](const std::string& path) {
        const std::string out = folder_.path("imatrix.gguf");
        const Outcome made =
            run_puna({"imatrix", path, "-f", text, "-o", out, "-c", "12", "--process-output", "--force"});
        EXPECT_EQ(made.exit_code, 0) << path << made.err;
        return content(out);
    };
    const std::string expected = matrix_of(original);
    EXPECT_THAT(expected, HasSubstr("blk.1.ffn_down.weight.in_sum2"));
    EXPECT_THAT(expected, HasSubstr("output.weight.in_sum2"));
    const std::string legacy = support::model_data + "ggml/llama1_f16.bin";
    for (const std::string& path : {meta, shards, stream, legacy})
        EXPECT_TRUE(matrix_of(path) == expected) << path;
    const std::string folder = support::model_data + "huggingface/tiny_llama1";
    json_of({"convert", folder, folder_.path("m.gguf")});
    EXPECT_TRUE(matrix_of(folder) == matrix_of(folder_.path("m.gguf")));
    // What is taken for granted is said once.
    const std::string err = run_puna({"imatrix", meta, "-f", text, "-o", folder_.path("x"), "-c", "12"}).err;
    EXPECT_NE(err.find("--rope-base"), std::string::npos);
    EXPECT_EQ(err.find("--rope-base"), err.rfind("--rope-base"));
    ASSERT_EQ(run_puna({"quantize", meta, folder_.path("q.gguf"), "Q4_0", "--imatrix", folder_.path("x")}).exit_code,
              0);
}

/// What people did in 2023: Meta's files to GGML, that to four bits, and a talk.
TEST_F(PyTorch, FromMetasFilesToAFileOf2023AndToFourBits) {
    const std::string f16 = folder_.path("ggml-model-f16.bin");
    const std::string q4_0 = folder_.path("ggml-model-q4_0.gguf");
    const Outcome written = run_puna({"convert", meta, f16, "--format", "ggml", "--type", "f16"});
    ASSERT_EQ(written.exit_code, 0) << written.err;
    // To the byte what the script of that format wrote.
    EXPECT_TRUE(content(f16) == content(support::model_data + "ggml/llama1_f16.bin"));
    ASSERT_EQ(run_puna({"quantize", f16, q4_0, "q4_0"}).exit_code, 0);
    EXPECT_EQ(json_of({"run", "-m", q4_0, "-p", "the llama", "-n", "4", "--temp", "0"})["ids"].size(), 4U);
}

/// Numbers that are none are found wherever the tensor lies: in the file, or turned around in memory.
TEST_F(PyTorch, VerifyLooksAtCopiesToo) {
    using namespace formats::pickled;
    formats::ZipImage zip;
    const std::string made = tensor(storage("FloatStorage", "0", 6), 0, {3, 2}, {1, 3});
    std::string data(24, '\0');
    data.replace(4 * 4, 4, std::string("\x00\x00\xc0\x7f", 4));
    zip.add("m/data.pkl", pickle(dict({string("a"), made}))).add("m/data/0", data).finish();
    const Outcome outcome = run_puna({"verify", folder_.write("nan.pth", std::string_view(zip.bytes)), "--json"});
    EXPECT_EQ(outcome.exit_code, 3);
    const Json json = single_line(outcome.out);
    EXPECT_EQ(json["non_finite"][0]["name"], "a");
    EXPECT_EQ(json["non_finite"][0]["first"], 3);  // element 4 of the storage is row 1, column 1
}

TEST_F(PyTorch, WhatIsWrongWithItEndsWith3AndLeavesNoFile) {
    using namespace formats::pickled;
    std::filesystem::create_directory(folder_.path("m"));
    std::filesystem::create_directory(folder_.path("out"));
    folder_.write("m/config.json", std::string_view(R"({"model_type":"llama"})"));
    const std::string evil =
        pickle(call(global("os", "system"), {string(std::string("touch ").append(folder_.path("out/evil")))}));
    const std::pair<std::string, const char*> files[] = {
        {formats::archive_of(evil).bytes, "opcode GLOBAL names 'os.system'"},
        {formats::good_archive().bytes.substr(0, 500), "end of central directory is missing"},
        {formats::StreamImage{.objects = evil}.bytes(), "objects, opcode GLOBAL names 'os.system'"}};
    for (const auto& [bytes, says] : files) {
        folder_.write("m/pytorch_model.bin", std::string_view(bytes));
        for (const std::vector<std::string>& command :
             {std::vector<std::string>{"convert", folder_.path("m"), folder_.path("out/o.gguf")},
              {"run", "-m", folder_.path("m"), "-p", "x"},
              {"show", folder_.path("m")}}) {
            EXPECT_THAT(error_of(command, 3)["message"].get<std::string>(), HasSubstr(says));
        }
    }
    EXPECT_TRUE(std::filesystem::is_empty(folder_.path("out")));
}

}  // namespace
}  // namespace puna::cli
