// puna verify, puna diff and puna show --tensors.
#include <gmock/gmock.h>

#include <filesystem>
#include <limits>

#include "cli/fixture.h"

namespace puna::cli {
namespace {

using testing::HasSubstr;

class Inspect : public CommandLine {
  protected:
    std::string with_nan() {
        auto builder = support::tiny_model_builder();
        builder.remove_tensor("output_norm.weight");
        std::vector<float> norm(64, 1.0F);
        norm[3] = std::numeric_limits<float>::quiet_NaN();
        builder.f32_tensor("output_norm.weight", {64}, norm);
        return folder_.write("nan.gguf", builder.build().bytes);
    }
};

TEST_F(Inspect, VerifyTellsSizesAndDigest) {
    const Json json = json_of({"verify", tiny()});
    EXPECT_EQ(json["ok"], true);
    EXPECT_EQ(json["format"], "GGUF v3");
    ASSERT_EQ(json["files"].size(), 1U);
    EXPECT_EQ(json["files"][0]["bytes"], std::filesystem::file_size(tiny()));
    EXPECT_EQ(json["files"][0]["sha256"].get<std::string>().size(), 64U);
    EXPECT_EQ(json["non_finite"], Json::array());
    const Outcome outcome = run_puna({"verify", tiny()});
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_THAT(outcome.out, HasSubstr(json["files"][0]["sha256"].get<std::string>()));
    EXPECT_THAT(outcome.out, HasSubstr("all finite"));
}

TEST_F(Inspect, VerifyEndsWithTheCodeOfABadFile) {
    const Outcome outcome = run_puna({"verify", with_nan(), "--json"});
    EXPECT_EQ(outcome.exit_code, 3);
    const Json json = single_line(outcome.out);
    EXPECT_EQ(json["ok"], false);
    EXPECT_EQ(json["non_finite"][0]["name"], "output_norm.weight");
    EXPECT_EQ(json["non_finite"][0]["nan"], 1);
    EXPECT_EQ(json["non_finite"][0]["first"], 3);
    EXPECT_THAT(run_puna({"verify", with_nan()}).out, HasSubstr("1 NaN, 0 infinite, the first is element 3"));

    auto bytes = support::tiny_model();
    bytes.resize(bytes.size() / 2);
    const Json error = error_of({"verify", folder_.write("half.gguf", bytes)}, 3);
    EXPECT_EQ(error["code"], "file_malformed");
    EXPECT_EQ(error_of({"verify", folder_.path("none")}, 3)["code"], "file_not_found");
    EXPECT_EQ(error_of({"verify"}, 2)["code"], "invalid_argument");
}

TEST_F(Inspect, DiffOfAModelAndItselfIsEmpty) {
    const Outcome outcome = run_puna({"diff", tiny(), tiny()});
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_EQ(outcome.out, "");
    EXPECT_EQ(json_of({"diff", tiny(), tiny()})["same"], true);
}

TEST_F(Inspect, DiffTellsWhatAQuantizationDid) {
    const std::string plain = folder_.write("plain.gguf", support::tiny_model());
    ASSERT_EQ(run_puna({"quantize", plain, folder_.path("q8.gguf"), "Q8_0"}).exit_code, 0);
    const Outcome outcome = run_puna({"diff", plain, folder_.path("q8.gguf"), "--json"});
    EXPECT_EQ(outcome.exit_code, 1);
    const Json json = single_line(outcome.out);
    EXPECT_EQ(json["same"], false);
    EXPECT_EQ(json["metadata"].size(), 2U);  // general.file_type, general.quantization_version
    EXPECT_TRUE(json["metadata"][0]["a"].is_null());
    EXPECT_EQ(json["metadata"][0]["b"], "u32 7");
    EXPECT_EQ(json["tensors"].size(), 15U);
    for (const Json& tensor : json["tensors"]) {
        EXPECT_EQ(tensor["a"]["type"], "F32");
        EXPECT_EQ(tensor["b"]["type"], "Q8_0");
        EXPECT_GT(tensor["distance"]["relative_rms"], 1e-4);
        EXPECT_LT(tensor["distance"]["relative_rms"], 1e-2);
    }
    const Outcome text = run_puna({"diff", plain, folder_.path("q8.gguf")});
    EXPECT_THAT(text.out, HasSubstr("+ general.file_type = u32 7\n"));
    EXPECT_THAT(text.out, HasSubstr("! blk.0.attn_q.weight: F32 64 x 64 -> Q8_0 64 x 64, "));
}

TEST_F(Inspect, DiffKnowsTheTensorsOfAnotherDialect) {
    const std::string folder = PUNA_TEST_DATA "/models/data/huggingface/tiny_llama1";
    const std::string file = PUNA_TEST_DATA "/models/data/tiny_llama1.gguf";
    for (const auto& [a, b] : {std::pair(folder, file), std::pair(file, folder)}) {
        const Json json = single_line(run_puna({"diff", a, b, "--json"}).out);
        EXPECT_EQ(json["tensors"], Json::array());  // the same weights, in rows of another order
    }
}

TEST_F(Inspect, VerifyReadsAFolder) {
    const Json json = json_of({"verify", PUNA_TEST_DATA "/models/data/huggingface/tiny_llama1"});
    EXPECT_EQ(json["ok"], true);
    EXPECT_EQ(json["files"].size(), 1U);
    EXPECT_TRUE(json["files"][0]["path"].get<std::string>().ends_with("model.safetensors"));
}

TEST_F(Inspect, DiffDoesNotTakeTroubleForADifference) {
    EXPECT_EQ(run_puna({"diff", tiny(), folder_.path("none.gguf")}).exit_code, 3);
    EXPECT_EQ(run_puna({"diff", tiny()}).exit_code, 2);
}

TEST_F(Inspect, ShowListsTensorsWhenAsked) {
    EXPECT_FALSE(json_of({"show", tiny()}).contains("tensors"));
    const Json json = json_of({"show", tiny(), "--tensors"});
    ASSERT_EQ(json["tensors"].size(), 20U);
    EXPECT_EQ(json["tensors"][0]["name"], "token_embd.weight");
    EXPECT_EQ(json["tensors"][0]["shape"], Json({300, 64}));
    EXPECT_EQ(json["tensors"][0]["type"], "Q4_0");
    EXPECT_EQ(json["tensors"][0]["bytes"], 300 * 64 / 32 * 18);
    EXPECT_THAT(run_puna({"show", tiny(), "--tensors"}).out, HasSubstr("blk.1.ffn_down.weight"));
}

}  // namespace
}  // namespace puna::cli
