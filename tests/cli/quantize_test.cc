// puna quantize and puna convert.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "cli/fixture.h"
#include "support/test_data.h"

namespace puna::cli {
namespace {

using support::Process;
using testing::HasSubstr;
using testing::Not;

class Quantize : public CommandLine {
  protected:
    std::string out() const { return folder_.path("out.gguf"); }
    const std::string& plain() {
        if (plain_.empty()) plain_ = folder_.write("plain.gguf", support::tiny_model());
        return plain_;
    }
    static std::string bytes(const std::string& path) {
        std::ifstream file(path, std::ios::binary);
        return {std::istreambuf_iterator<char>(file), {}};
    }
    std::size_t files() const {
        const auto entries = std::filesystem::directory_iterator(std::filesystem::path(out()).parent_path());
        return static_cast<std::size_t>(std::distance(begin(entries), end(entries)));
    }

  private:
    std::string plain_;
};

TEST_F(Quantize, WritesAModelThatRuns) {
    const Json json = json_of({"quantize", plain(), out(), "q8_0"});
    EXPECT_EQ(json["output_bytes"], std::filesystem::file_size(out()));
    EXPECT_EQ(json["input_bytes"], std::filesystem::file_size(plain()));
    EXPECT_EQ(json["types"]["Q8_0"]["tensors"], 15);
    EXPECT_EQ(json["types"]["F32"]["tensors"], 5);
    EXPECT_GT(json["bits_per_weight"], 8.0);
    EXPECT_GE(json["seconds"], 0.0);
    EXPECT_EQ(json["fallbacks"], Json::array());
    EXPECT_EQ(json_of({"show", out()})["types"], json["types"]);
    EXPECT_EQ(json_of({"run", "-m", out(), "-p", "the", "-n", "4", "--temp", "0"})["ids"].size(), 4U);
}

TEST_F(Quantize, TypesThatAreKnownByNameAloneAreRefused) {
    const Json error = error_of({"quantize", plain(), out(), "Q1_0"}, 2);
    EXPECT_EQ(error["message"], "'Q1_0' is no type that puna writes");
    EXPECT_THAT(error["hint"], HasSubstr("Q2_K"));
    const Json single = error_of({"quantize", plain(), out(), "Q8_0", "--tensor-type", "*=Q1_0"}, 2);
    EXPECT_THAT(single["message"], HasSubstr("'Q1_0' is no tensor type that puna writes"));
}

TEST_F(Quantize, TypesOfFewBitsAndNvfp4AreWritten) {
    const std::string wide = folder_.write("wide.gguf", support::tiny_model({.embedding = 256, .feed_forward = 256}));
    for (const char* type :
         {"TQ1_0", "TQ2_0", "NVFP4", "IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S"}) {
        const Json json = json_of(
            {"quantize", wide, out(), "Q8_0", "--pure", "--tensor-type", fmt::format("blk.*={}", type), "--force"});
        EXPECT_EQ(json["types"][type]["tensors"], 14) << type;
        EXPECT_EQ(json_of({"show", out()})["types"], json["types"]);
        EXPECT_EQ(json_of({"run", "-m", out(), "-p", "the", "-n", "4", "--temp", "0"})["ids"].size(), 4U);
    }
}

TEST_F(Quantize, FewBitsWithoutAMatrixAreNoSecret) {
    const std::string wide = folder_.write("wide.gguf", support::tiny_model({.embedding = 256, .feed_forward = 256}));
    for (const char* type : {"IQ2_XS", "IQ1_M", "Q2_K_S"}) {
        const Outcome outcome = run_puna({"quantize", wide, out(), type, "--force"});
        EXPECT_EQ(outcome.exit_code, 0);
        EXPECT_THAT(outcome.err, HasSubstr("under 3 bits a weight")) << type;
        EXPECT_THAT(outcome.err, HasSubstr("'puna imatrix'")) << type;
    }
    for (const char* type : {"IQ3_S", "Q4_0", "TQ2_0"}) {  // the last makes no use of a matrix
        const Outcome outcome = run_puna({"quantize", wide, out(), type, "--force"});
        EXPECT_THAT(outcome.err, Not(HasSubstr("bits a weight, and"))) << type;
    }
}

TEST_F(Quantize, TellsPeopleWhatItDid) {
    const Outcome outcome = run_puna({"quantize", plain(), out(), "Q4_K_M"});
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_EQ(outcome.out, "");
    EXPECT_THAT(outcome.err, HasSubstr("tensors become Q5_0 in place of Q4_K: rows of 64 elements"));
    EXPECT_THAT(outcome.err, HasSubstr("bits per weight"));
}

TEST_F(Quantize, DryRunPrintsThePlanAndWritesNothing) {
    const Outcome outcome = run_puna({"quantize", plain(), out(), "Q4_K_M", "--dry-run"});
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_THAT(outcome.out, HasSubstr("F32 -> Q5_0  in place of Q4_K"));
    EXPECT_THAT(outcome.out, HasSubstr("blk.1.ffn_down.weight"));
    const Json json = json_of({"quantize", plain(), out(), "Q4_K_M", "--dry-run"});
    EXPECT_EQ(json["tensors"].size(), 20U);
    EXPECT_EQ(json["tensors"][0]["name"], "token_embd.weight");
    EXPECT_EQ(json["tensors"][0]["to"], "Q8_0");
    EXPECT_EQ(json["fallbacks"].size(), 4U);
    EXPECT_EQ(files(), 1U);
    const Json done = json_of({"quantize", plain(), out(), "Q4_K_M"});
    EXPECT_EQ(done["output_bytes"], json["output_bytes"]);
}

TEST_F(Quantize, ADryRunSaysWhereExactnessIsJudgedByTheValues) {
    const std::string legacy = support::model_data + "ggml/quantized_ggjt1.bin";
    const Outcome outcome = run_puna({"convert", legacy, out(), "--exact", "--dry-run"});
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_THAT(outcome.out, HasSubstr("if that keeps every value"));
    EXPECT_THAT(outcome.err, HasSubstr("every value, as --exact asks, is seen when the values are read"));
    EXPECT_THAT(run_puna({"convert", legacy, out(), "--dry-run"}).out, Not(HasSubstr("if that keeps")));
    const std::string wide = support::model_data + "huggingface/tiny_f64";
    for (const Json& tensor : json_of({"convert", wide, out(), "--type", "F32", "--exact", "--dry-run"})["tensors"])
        EXPECT_EQ(tensor["judged_by_values"], tensor["from"] == "F64") << tensor["name"];
    EXPECT_EQ(json_of({"convert", wide, out(), "--type", "F32", "--exact"})["types"].size(), 1U);
}

TEST_F(Quantize, SameBytesForAnyNumberOfThreads) {
    run_puna({"quantize", plain(), folder_.path("one.gguf"), "Q5_1", "-t", "1"});
    run_puna({"quantize", plain(), folder_.path("three.gguf"), "Q5_1", "-t", "3"});
    EXPECT_FALSE(bytes(folder_.path("one.gguf")).empty());
    EXPECT_TRUE(bytes(folder_.path("one.gguf")) == bytes(folder_.path("three.gguf")));
}

TEST_F(Quantize, ReplacesOnlyWithForce) {
    folder_.write("out.gguf", std::string_view("mine"));
    EXPECT_EQ(error_of({"quantize", plain(), out(), "Q8_0"}, 2)["code"], "invalid_argument");
    EXPECT_EQ(bytes(out()), "mine");
    EXPECT_THAT(error_of({"convert", plain(), folder_.path(""), "--force"}, 2)["message"], HasSubstr("is a folder"));
    EXPECT_THAT(error_of({"convert", plain(), "-"}, 2)["message"], HasSubstr("standard output"));
    EXPECT_EQ(json_of({"quantize", plain(), out(), "Q8_0", "--force"})["types"]["Q8_0"]["tensors"], 15);
}

TEST_F(Quantize, TakesTypesForSingleTensors) {
    const Json json = json_of({"quantize", plain(), out(), "Q8_0", "--tensor-type", "*.attn_?.weight=bf16",
                               "--tensor-type", "token_embd.weight=F16"});
    EXPECT_EQ(json["types"]["BF16"]["tensors"], 6);
    EXPECT_EQ(json["types"]["F16"]["tensors"], 1);
    for (const char* wrong : {"attn", "=Q8_0", "*=Q4_K_M", "*=", "none.*=Q8_0"}) {
        EXPECT_EQ(error_of({"quantize", plain(), out(), "Q8_0", "--force", "--tensor-type", wrong}, 2)["code"],
                  "invalid_argument")
            << wrong;
    }
}

TEST_F(Quantize, RefusesWhatCannotBe) {
    EXPECT_THAT(error_of({"quantize", plain(), out(), "Q9"}, 2)["hint"], HasSubstr("Q4_K_M"));
    EXPECT_EQ(error_of({"quantize", plain(), out()}, 2)["code"], "invalid_argument");
    EXPECT_EQ(error_of({"quantize", plain()}, 2)["code"], "invalid_argument");
    EXPECT_EQ(error_of({"convert", plain()}, 2)["code"], "invalid_argument");
    EXPECT_EQ(error_of({"convert", plain(), out(), "--pure"}, 2)["code"], "invalid_argument");
    EXPECT_THAT(error_of({"quantize", tiny(), out(), "Q8_0"}, 2)["hint"], HasSubstr("--allow-requantize"));
    EXPECT_EQ(error_of({"quantize", folder_.path("none.gguf"), out(), "Q8_0"}, 3)["code"], "file_not_found");
    EXPECT_EQ(error_of({"quantize", plain(), folder_.path("no/folder/out.gguf"), "Q8_0"}, 1)["code"], "io_error");
    EXPECT_FALSE(std::filesystem::exists(out()));
    EXPECT_EQ(json_of({"quantize", tiny(), out(), "Q8_0", "--allow-requantize"})["types"]["Q8_0"]["tensors"], 15);
}

TEST_F(Quantize, InterruptLeavesNothing) {
    // The slowest type, on one thread: seconds of work.
    Process process(
        puna_command({"quantize", demo(), out(), "Q5_K_M", "--allow-requantize", "--pure", "-t", "1", "--json"}));
    process.wait_for_talk(1);  // the fallbacks are told before the work begins
    process.interrupt();
    EXPECT_EQ(process.finish(), 130);
    EXPECT_EQ(process.out(), "");
    EXPECT_EQ(last_error(process.err())["code"], "cancelled");
    EXPECT_EQ(files(), 0U);
}

TEST_F(Quantize, ConvertKeepsEveryByteOfTheTensors) {
    const Json json = json_of({"convert", demo(), out()});
    EXPECT_EQ(json["output_bytes"], json["input_bytes"]);
    EXPECT_TRUE(bytes(out()) == bytes(demo()));
}

TEST_F(Quantize, ConvertMakesOneFileOfOldOnesAndShards) {
    const std::string old = folder_.write("old.gguf", support::tiny_model());
    const std::string shard = PUNA_TEST_DATA "/formats/data/gguf_py-00002-of-00003.gguf";
    json_of({"convert", shard, out()});
    EXPECT_GT(std::filesystem::file_size(out()), std::filesystem::file_size(shard));
    const Json json = json_of({"convert", old, out(), "--force", "--type", "f16"});
    EXPECT_EQ(json["types"]["F16"]["tensors"], 15);
    json_of({"quantize", old, folder_.path("quantized.gguf"), "F16"});
    EXPECT_TRUE(bytes(out()) == bytes(folder_.path("quantized.gguf")));
}

}  // namespace
}  // namespace puna::cli
