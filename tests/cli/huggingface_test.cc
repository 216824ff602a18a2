// The commands on a Hugging Face folder: what they say is what they say of the GGUF file that it was made from.
#include <gmock/gmock.h>

#include <filesystem>

#include "cli/fixture.h"
#include "support/test_data.h"

namespace puna::cli {
namespace {

using testing::HasSubstr;

class HuggingFace : public CommandLine {
  protected:
    const std::string model = support::model_data + "huggingface/tiny_llama1";
    const std::string original = support::model_data + "tiny_llama1.gguf";
};

TEST_F(HuggingFace, RunsAndTokenizesLikeTheGgufFile) {
    for (const std::string& path : {model, model + "/", model + "/model.safetensors"}) {
        const std::vector<std::string> run = {"-p", "the llama", "-n", "8", "--temp", "0"};
        std::vector<std::string> here = {"run", "-m", path};
        std::vector<std::string> there = {"run", "-m", original};
        here.insert(here.end(), run.begin(), run.end());
        there.insert(there.end(), run.begin(), run.end());
        const Json found = json_of(here);
        EXPECT_EQ(found["ids"], json_of(there)["ids"]);
        EXPECT_EQ(found["text"], json_of(there)["text"]);
        EXPECT_EQ(json_of({"tokenize", "-m", path, "-p", "a llama"}),
                  json_of({"tokenize", "-m", original, "-p", "a llama"}));
    }
}

TEST_F(HuggingFace, ShowsTheFolder) {
    const Json json = json_of({"show", model});
    EXPECT_EQ(json["name"], "tiny_llama1");
    EXPECT_EQ(json["format"], "safetensors");
    EXPECT_EQ(json["architecture"], "llama");
    EXPECT_EQ(json["runnable"], true);
    EXPECT_EQ(json["vocabulary"], 288);
    EXPECT_EQ(json["parameters"], json_of({"show", original})["parameters"]);
}

TEST_F(HuggingFace, ConvertsToAFileThatRunsAlike) {
    const std::string out = folder_.path("out.gguf");
    EXPECT_EQ(json_of({"convert", model, out})["types"]["F32"]["tensors"], 21);
    std::vector<std::string> run = {"run", "-m", out, "-p", "x", "-n", "8", "--temp", "0"};
    const Json converted = json_of(run);
    run[2] = model;
    EXPECT_EQ(converted["ids"], json_of(run)["ids"]);
    // Rows of ffn_down do not divide into Q8_0's blocks: two of the sixteen matrices become F16.
    EXPECT_EQ(json_of({"convert", model, folder_.path("q8.gguf"), "--type", "q8_0"})["types"]["Q8_0"]["tensors"], 14);
}

TEST_F(HuggingFace, SlowTypesAreToldWithWhatHelps) {
    for (const auto& [name, command] : {std::pair{"tiny_f64", "convert --type F32"}, {"tiny_f8_e5m2", "convert"}}) {
        const std::string slow = folder_.path(name);
        std::filesystem::copy(support::model_data + "huggingface/" + name, slow);
        std::filesystem::copy(model + "/tokenizer.model", slow + "/tokenizer.model");
        const std::vector<std::string> run = {"run", "-m", slow, "-p", "x", "-n", "1"};
        EXPECT_THAT(run_puna(run).err, HasSubstr("slow to compute with; `puna " + std::string(command) + "` makes"));
        std::vector<std::string> convert = {"convert", slow, folder_.path("fast.gguf"), "--force"};
        if (std::string(name) == "tiny_f64") convert.insert(convert.end(), {"--type", "F32"});
        json_of(convert);
        EXPECT_THAT(run_puna({"run", "-m", folder_.path("fast.gguf"), "-p", "x", "-n", "1"}).err,
                    testing::Not(HasSubstr("slow")));
    }
}

TEST_F(HuggingFace, EndsThatGgufCannotNameAreTold) {
    std::filesystem::copy(model, folder_.path("m"));
    const auto convert = [&](std::string_view ends) {
        folder_.write("m/generation_config.json", ends);
        return run_puna({"convert", folder_.path("m"), folder_.path("o.gguf"), "--force"}).err;
    };
    EXPECT_THAT(convert(R"({"eos_token_id":[2,270,271]})"), testing::Not(HasSubstr("cannot say")));
    EXPECT_THAT(convert(R"({"eos_token_id":[2,270,271,272]})"), HasSubstr("cannot say that token 272 too ends"));
    EXPECT_THAT(convert(R"({"eos_token_id":[2,270,271,272,273]})"),
                HasSubstr("cannot say that each of the tokens 272, 273 too ends"));
}

TEST_F(HuggingFace, WhatIsWrongWithItEndsWith3AndLeavesNoFile) {
    std::filesystem::create_directory(folder_.path("m"));
    std::filesystem::create_directory(folder_.path("out"));
    folder_.write("m/config.json", std::string_view(R"({"model_type":"llama"})"));
    EXPECT_EQ(error_of({"show", folder_.path("m")}, 3)["code"], "unsupported_format");
    folder_.write("m/model.safetensors", std::string_view("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F{}"));
    const Json error = error_of({"convert", folder_.path("m"), folder_.path("out/o.gguf")}, 3);
    EXPECT_EQ(error["code"], "file_malformed");
    EXPECT_THAT(error["message"].get<std::string>(),
                HasSubstr("model.safetensors: header size is 9223372036854775807"));
    EXPECT_TRUE(std::filesystem::is_empty(folder_.path("out")));
}

}  // namespace
}  // namespace puna::cli
