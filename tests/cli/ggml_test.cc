// The commands on files of the formats before GGUF, and the way from today's files to them and back.
#include <gmock/gmock.h>

#include <filesystem>

#include "cli/same_model.h"
#include "support/test_data.h"

namespace puna::cli {
namespace {

using testing::HasSubstr;

class Ggml : public SameModel {
  protected:
    const std::string model = support::model_data + "ggml/llama1_f16.bin";
    const std::string original = support::model_data + "ggml/llama1_f16.gguf";
};

TEST_F(Ggml, RunsAndTokenizesLikeTheGgufFile) {
    for (const char* name : {"llama1_f16.bin", "llama1_parts.bin", "llama1_parts.bin.1"}) {
        const std::string path = support::model_data + "ggml/" + name;
        EXPECT_EQ(ids_of(path), ids_of(original)) << name;
        EXPECT_EQ(json_of({"tokenize", "-m", path, "-p", "a llama"}),
                  json_of({"tokenize", "-m", original, "-p", "a llama"}));
    }
}

TEST_F(Ggml, ShowsTheFile) {
    const Json json = json_of({"show", model, "--model-context", "512"});
    EXPECT_EQ(json["architecture"], "llama");
    EXPECT_EQ(json["runnable"], true);
    EXPECT_EQ(json["format"], "GGML without version");
    EXPECT_EQ(json["context"], 512);
    EXPECT_EQ(json["parameters"], json_of({"show", original})["parameters"]);
    EXPECT_EQ(json["memory"]["assembled"], 0);
    const Json parts = json_of({"show", support::model_data + "ggml/llama1_parts.bin"});
    EXPECT_EQ(parts["parameters"], json["parameters"]);
    EXPECT_EQ(parts["memory"]["assembled"], 29696);
    const Json first = json_of({"show", support::model_data + "ggml/llama1_parts.bin", "--tensors"})["tensors"][0];
    EXPECT_EQ(first["shape"], Json({288, 16}));
    EXPECT_EQ(first["pieces"], 2);
}

TEST_F(Ggml, SaysWhatItTakesForGranted) {
    const Outcome usual = run_puna({"run", "-m", model, "-p", "x", "-n", "1"});
    EXPECT_THAT(usual.err, HasSubstr("--norm-epsilon 1e-06, --rope-base 10000, --model-context 2048"));
    const Outcome given = run_puna({"run", "-m", model, "-p", "x", "-n", "1", "--norm-epsilon", "1e-5"});
    EXPECT_EQ(given.exit_code, 0);
    EXPECT_EQ(given.err.find("--norm-epsilon"), std::string::npos) << given.err;
    const Outcome early =
        run_puna({"run", "-m", support::model_data + "ggml/quantized_ggjt1.bin", "-p", "x", "-n", "1"});
    EXPECT_THAT(early.err, HasSubstr("`puna convert` makes a faster file"));
}

TEST_F(Ggml, ValuesForAFileThatStatesItsOwnAreAnError) {
    for (const char* flag : {"--norm-epsilon=1e-5", "--rope-base=5e5", "--kv-heads=2", "--model-context=9"}) {
        EXPECT_EQ(error_of({"run", "-m", original, "-p", "x", flag}, 2)["code"], "invalid_argument");
        EXPECT_EQ(error_of({"convert", original, folder_.path("o.gguf"), flag}, 2)["code"], "invalid_argument");
    }
}

TEST_F(Ggml, OtherFamiliesAreShownAndRefused) {
    // GPT-2's header, one word, one matrix.
    std::string bytes = "lmgg";
    const auto put = [&](std::int32_t value) { bytes.append(reinterpret_cast<const char*>(&value), sizeof value); };
    for (const std::int32_t field : {1, 1024, 16, 4, 2, 0, 1})
        put(field);
    put(1);
    bytes += "!";
    for (const std::int32_t field : {2, 9, 0, 16, 1})
        put(field);
    bytes += "model/wte";
    bytes.append(64, '\0');
    const std::string path = folder_.write("gpt2.bin", std::string_view(bytes));
    const Json json = json_of({"show", path});
    EXPECT_EQ(json["architecture"], "gpt2");
    EXPECT_EQ(json["runnable"], false);
    EXPECT_EQ(json["context"], 1024);
    EXPECT_EQ(error_of({"run", "-m", path, "-p", "x"}, 3)["code"], "unsupported_architecture");
    EXPECT_EQ(error_of({"convert", path, folder_.path("o.gguf")}, 3)["code"], "unsupported_architecture");
}

TEST_F(Ggml, ConvertsToAFileThatRunsAlike) {
    for (const char* name : {"llama1_f16.bin", "llama1_parts.bin"}) {
        const std::string out = folder_.path("out.gguf");
        EXPECT_EQ(json_of({"convert", support::model_data + "ggml/" + name, out, "--force"})["types"]["F16"]["tensors"],
                  16);
        EXPECT_EQ(ids_of(out), ids_of(original));
        EXPECT_EQ(differing_tensors(out, support::model_data + "ggml/" + name), Json::array());
    }
    EXPECT_EQ(differing_tensors(model, support::model_data + "ggml/llama1_parts.bin"), Json::array());
    const Json report = json_of({"convert", support::model_data + "ggml/quantized_ggjt1.bin", folder_.path("q.gguf")});
    EXPECT_EQ(report["rounded_scales"]["tensors"], 0);
    EXPECT_EQ(json_of({"verify", model})["ok"], true);
}

TEST_F(Ggml, WritesTheOldestFormats) {
    for (const auto& [format, says] : {std::pair{"ggml", "GGML without version"}, {"ggmf", "GGMF v1"}}) {
        const std::string out = folder_.path(std::string(format) + ".bin");
        json_of({"convert", original, out, "--format", format, "--type", "f16"});
        EXPECT_EQ(json_of({"verify", out})["format"], says);
        EXPECT_EQ(ids_of(out), ids_of(original));
        // The file without version is, to the byte, what the script wrote; the other has a version and scores beside.
        if (format == std::string("ggml")) {
            EXPECT_TRUE(content(out) == content(model));
        } else {
            EXPECT_EQ(content(out).size(), content(model).size() + 4 + 4 * 288);
        }
        EXPECT_EQ(differing_tensors(out, original), Json::array());
        const std::string again = folder_.path("again.bin");
        json_of({"convert", out, again, "--format", format, "--force"});
        EXPECT_TRUE(content(again) == content(out));
    }
}

TEST_F(Ggml, FromAModelOfTodayToAFileOf2023AndToFourBits) {
    const std::string f16 = folder_.path("ggml-model-f16.bin");
    const std::string q4_0 = folder_.path("ggml-model-q4_0.gguf");
    const Outcome written = run_puna(
        {"convert", support::model_data + "huggingface/tiny_llama1", f16, "--format", "ggml", "--type", "f16"});
    EXPECT_EQ(written.exit_code, 0) << written.err;
    EXPECT_EQ(run_puna({"quantize", f16, q4_0, "q4_0"}).exit_code, 0);
    const Json ran = json_of({"run", "-m", q4_0, "-p", "the llama", "-n", "4", "--temp", "0"});
    EXPECT_EQ(ran["ids"].size(), 4U);
}

TEST_F(Ggml, WhatTheOldestFormatsCannotSayIsToldOrRefused) {
    const std::string out = folder_.path("out.bin");
    const std::vector<std::string> write = {"convert", support::model_data + "tiny_linear_rope.gguf", out, "--format",
                                            "ggml"};
    EXPECT_EQ(error_of(write, 3)["code"], "unsupported_architecture");
    EXPECT_FALSE(std::filesystem::exists(out));
    const Outcome told = run_puna({"convert", tiny(), out, "--format", "ggml", "--type", "F32"});
    EXPECT_EQ(told.exit_code, 0) << told.err;
    EXPECT_THAT(told.err, HasSubstr("the context (--model-context 256)"));
    EXPECT_THAT(told.err, HasSubstr("2 KV heads"));
    EXPECT_EQ(error_of({"convert", tiny(), out, "--format", "ggml", "--force"}, 2)["code"], "invalid_argument");
    EXPECT_EQ(error_of({"convert", tiny(), out, "--format", "ggjt"}, 2)["code"], "invalid_argument");
    EXPECT_EQ(error_of({"convert", tiny(), out, "--format", "ggml", "--type", "Q8_0"}, 2)["code"], "invalid_argument");
    EXPECT_EQ(error_of({"convert", demo(), out, "--format", "ggml", "--type", "F16", "--force"}, 3)["code"],
              "unsupported_tokenizer");
}

TEST_F(Ggml, VerifyMissesTensorsThatWereCutOff) {
    const std::string bytes = content(model);
    const std::string cut = bytes.substr(0, bytes.find("layers.1.ffn_norm.weight") - 16);
    const Json error = error_of({"verify", folder_.write("cut.bin", std::string_view(cut))}, 3);
    EXPECT_EQ(error["code"], "file_malformed");
    EXPECT_THAT(error["message"].get<std::string>(), HasSubstr("'layers.1.ffn_norm.weight' is missing"));
}

TEST_F(Ggml, WhatIsWrongWithItEndsWith3AndLeavesNoFile) {
    std::filesystem::create_directory(folder_.path("out"));
    std::string bytes = content(model);
    bytes.replace(4, 4, "\xFF\xFF\xFF\xFF");
    const std::string path = folder_.write("bad.bin", std::string_view(bytes));
    const Json error = error_of({"convert", path, folder_.path("out/o.gguf")}, 3);
    EXPECT_EQ(error["code"], "file_malformed");
    EXPECT_THAT(error["message"].get<std::string>(), HasSubstr("bad.bin: header, n_vocab is -1"));
    EXPECT_TRUE(std::filesystem::is_empty(folder_.path("out")));
}

}  // namespace
}  // namespace puna::cli
