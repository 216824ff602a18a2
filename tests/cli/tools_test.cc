// puna show, tokenize, doctor and perplexity.
#include <gmock/gmock.h>

#include <filesystem>

#include "cli/fixture.h"

namespace puna::cli {
namespace {

using testing::HasSubstr;

class Tools : public CommandLine {};

TEST_F(Tools, ShowHasItsShape) {
    const Json json = json_of({"show", demo(), "--num-ctx-tokens", "1024"});
    EXPECT_EQ(json["architecture"], "llama");
    EXPECT_EQ(json["parameters"], 134515008);
    EXPECT_EQ(json["runnable"], true);
    EXPECT_GT(json["context"], 1024);
    EXPECT_GT(json["types"]["Q4_1"]["tensors"], 0);
    EXPECT_EQ(json["memory"]["file"], std::filesystem::file_size(demo()));
    EXPECT_EQ(json["memory"]["kv"], 30 * 2 * 3 * 64 * 2 * 1024);  // layers, K and V, heads, dimension, bytes, positions
    EXPECT_GT(json["memory"]["workspace"], 0);
    EXPECT_THAT(json["chat_template"], HasSubstr("im_start"));
    std::uint64_t bytes = 0;
    for (const Json& share : json["types"]) {
        bytes += share["bytes"].get<std::uint64_t>();
    }
    EXPECT_LT(bytes, json["memory"]["file"].get<std::uint64_t>());
    EXPECT_GT(bytes, json["memory"]["file"].get<std::uint64_t>() / 2);
}

TEST_F(Tools, ShowCountsMemoryForWhatIsAsked) {
    const Json f16 = json_of({"show", "-m", tiny(), "--num-ctx-tokens", "64"});
    const Json f32 = json_of({"show", "-m", tiny(), "--num-ctx-tokens", "64", "--kv-type", "f32"});
    EXPECT_EQ(f32["memory"]["kv"], 2 * f16["memory"]["kv"].get<std::uint64_t>());
    const Json small = json_of({"show", tiny(), "--batch-size", "1"});
    EXPECT_LT(small["memory"]["workspace"], f16["memory"]["workspace"]);
    EXPECT_TRUE(f16["chat_template"].is_null());
}

TEST_F(Tools, ShowPrintsATableForPeople) {
    const Outcome outcome = run_puna({"show", demo()});
    EXPECT_EQ(outcome.exit_code, 0);
    for (const char* words : {"architecture", "llama", "134.5 M", "Q4_1", "KV cache", "workspace", "chat template"}) {
        EXPECT_THAT(outcome.out, HasSubstr(words));
    }
    EXPECT_EQ(outcome.err, "");
}

TEST_F(Tools, TokenizeMakesTheIdsOfRun) {
    const std::string text = "The capital of France is\nParis \xF0\x9F\x98\x80";
    const Json json = json_of({"tokenize", "-m", demo(), "-p", text});
    EXPECT_EQ(json["ids"], json_of({"run", "-m", demo(), "-p", text, "-n", "1"})["prompt_ids"]);
    EXPECT_EQ(json["ids"].size(), json["pieces"].size());
    EXPECT_EQ(json["pieces"][1],
              "\xC4\xA0"
              "capital");  // as stored: a space is U+0120
    std::string ids;
    for (const Json& id : json["ids"]) {
        if (!ids.empty()) ids += ',';
        ids += id.dump();
    }
    EXPECT_EQ(json_of({"tokenize", "-m", demo(), "--decode", ids})["text"], text);
    EXPECT_EQ(run_puna({"tokenize", "-m", demo(), "--decode", ids}).out, text);
}

TEST_F(Tools, TokenizeTakesTheFlagsOfRun) {
    EXPECT_EQ(json_of({"tokenize", "-m", tiny(), "-p", "the"})["ids"][0], 1);
    EXPECT_EQ(json_of({"tokenize", "-m", tiny(), "-p", "the"})["pieces"][0], "<s>");
    EXPECT_NE(json_of({"tokenize", "-m", tiny(), "-p", "the", "--no-bos"})["ids"][0], 1);
    EXPECT_EQ(json_of({"tokenize", "-m", demo(), "-p", "<|im_start|>", "--parse-special"})["ids"].size(), 1U);
    EXPECT_EQ(json_of({"tokenize", "-m", tiny()}, {.input = "the\n"}),
              json_of({"tokenize", "-m", tiny(), "-p", "the"}));
    EXPECT_EQ(json_of({"tokenize", "-m", tiny(), "--decode", "2", "--special"})["text"], "</s>");
    EXPECT_EQ(json_of({"tokenize", "-m", tiny(), "--decode", "2"})["text"], "");
    EXPECT_EQ(json_of({"tokenize", "-m", tiny(), "--decode", ""})["ids"], Json::array());
}

TEST_F(Tools, TokenizeRefusesIdsThatAreNone) {
    EXPECT_EQ(error_of({"tokenize", "-m", tiny(), "--decode", "300"}, 2)["code"], "invalid_argument");
    EXPECT_EQ(error_of({"tokenize", "-m", tiny(), "--decode", "1,,2"}, 2)["code"], "invalid_argument");
    EXPECT_EQ(error_of({"tokenize", "-m", tiny(), "--decode", "-1"}, 2)["code"], "invalid_argument");
}

TEST_F(Tools, DoctorHasItsShape) {
    const Json json = json_of({"doctor"});
    EXPECT_TRUE(json["features"].is_array());
    EXPECT_THAT(json["isas"], testing::Contains(Json("generic")));
    EXPECT_EQ(json["kernels"], json["isas"][0]);  // the fastest that runs here
    EXPECT_GE(json["cores"], 1);
    EXPECT_GT(json["memory"]["total"], 0);
    EXPECT_GT(json["memory"]["available"], 0);
    EXPECT_GT(json["read_gb_s"], 0.0);
    EXPECT_EQ(json["law"], "int/1");
    EXPECT_EQ(json_of({"doctor"}, {.environment = {"PUNA_ISA=generic"}})["kernels"], "generic");
    EXPECT_THAT(run_puna({"doctor"}).out, HasSubstr("read bandwidth"));
}

TEST_F(Tools, EverySetThatDoctorNamesCanBeForced) {
    const Json doctor = json_of({"doctor"});
    for (const Json& isa : doctor["isas"]) {
        const Json json = json_of({"run", "-m", tiny(), "-p", "the", "-n", "1", "--isa", isa.get<std::string>()});
        EXPECT_EQ(json["kernels"], isa);
    }
}

TEST_F(Tools, PerplexityHasItsShape) {
    const std::string text(100, 'Q');  // 101 tokens, the begin token included, or one more for the space
    const std::string path = folder_.write("text.txt", text);
    const Json json = json_of({"perplexity", "-m", tiny(), "-f", path, "-c", "24"});
    EXPECT_GT(json["perplexity"], 1.0);
    EXPECT_GT(json["standard_error"], 0.0);
    EXPECT_EQ(json["chunks"], 4);
    EXPECT_EQ(json["tokens_scored"], 4 * 11);
    EXPECT_FALSE(json.contains("kl"));

    const Json small = json_of({"perplexity", "-m", tiny(), "-f", path, "-c", "24", "--batch-size", "7", "-t", "2"});
    EXPECT_EQ(small["perplexity"], json["perplexity"]);  // the same bits
    const Outcome many = run_puna({"perplexity", "-m", tiny(), "-f", path, "-c", "24", "-t", "1024"});
    EXPECT_THAT(many.err, HasSubstr("-t 1024: this process has "));
    EXPECT_EQ(many.err.find("-t 1024"), many.err.rfind("-t 1024")) << "told twice";
    EXPECT_EQ(json_of({"perplexity", "-m", tiny(), "-f", path, "-c", "24", "--chunks", "2"})["chunks"], 2);

    const Json kl = json_of({"perplexity", "-m", tiny(), "-f", path, "-c", "24", "--kl-to", "float32"});
    EXPECT_EQ(kl["perplexity"], json["perplexity"]);
    EXPECT_GE(kl["kl"]["mean"], 0.0);
    EXPECT_LT(kl["kl"]["mean"], 1e-4);
    EXPECT_GE(kl["kl"]["p99"], 0.0);
    EXPECT_GT(kl["kl"]["same_top"], 0.9);
    EXPECT_LE(kl["kl"]["same_top"], 1.0);
}

TEST_F(Tools, PerplexitySavesABaseAndComparesWithIt) {
    const std::string plain = folder_.write("plain.gguf", support::tiny_model());
    const std::string text = folder_.write("text.txt", std::string(100, 'Q'));
    const std::string base = folder_.path("base.kld");
    const Json saved = json_of({"perplexity", "-m", plain, "-f", text, "-c", "24", "--kl-save", base});
    EXPECT_FALSE(saved.contains("kl"));
    EXPECT_EQ(std::filesystem::file_size(base), 20 + 4 * 96 + 4 * 11 * (8 + 2 * 300));

    const Json self = json_of({"perplexity", "-m", plain, "--kl-from", base});
    EXPECT_EQ(self["perplexity"], saved["perplexity"]);
    EXPECT_EQ(self["tokens_scored"], saved["tokens_scored"]);
    EXPECT_NEAR(self["kl"]["reference"]["perplexity"].get<double>(), saved["perplexity"].get<double>(), 0.01);
    EXPECT_LT(self["kl"]["mean"], 1e-5);
    EXPECT_EQ(self["kl"]["same_top"], 1.0);
    const Json coarse = json_of({"perplexity", "-m", tiny(), "--kl-from", base, "--chunks", "2"});
    EXPECT_EQ(coarse["chunks"], 2);
    EXPECT_GT(coarse["kl"]["mean"], self["kl"]["mean"]);
    EXPECT_GT(coarse["kl"]["standard_error"], 0.0);
    EXPECT_LE(coarse["kl"]["percentiles"]["50"].get<double>(), coarse["kl"]["percentiles"]["99.9"].get<double>());
    EXPECT_THAT(run_puna({"perplexity", "-m", tiny(), "--kl-from", base}).out, HasSubstr("mean KL"));

    // What is there stays, unless it may go; an interrupted file is no base.
    EXPECT_EQ(error_of({"perplexity", "-m", plain, "-f", text, "-c", "24", "--kl-save", base}, 2)["code"],
              "invalid_argument");
    json_of({"perplexity", "-m", plain, "-f", text, "-c", "24", "--kl-save", base, "--force"});
    std::filesystem::resize_file(base, 1000);
    EXPECT_EQ(error_of({"perplexity", "-m", tiny(), "--kl-from", base}, 3)["code"], "file_malformed");
    EXPECT_EQ(error_of({"perplexity", "-m", tiny(), "--kl-from", folder_.path("none")}, 3)["code"], "file_not_found");
    // The text is in the base.
    EXPECT_EQ(error_of({"perplexity", "-m", tiny(), "--kl-from", base, "-f", text}, 2)["code"], "invalid_argument");
    EXPECT_EQ(error_of({"perplexity", "-m", tiny(), "--kl-from", base, "-c", "24"}, 2)["code"], "invalid_argument");
    EXPECT_EQ(error_of({"perplexity", "-m", tiny(), "--kl-from", base, "--kl-to", "float32"}, 2)["code"],
              "invalid_argument");
}

/// The defaults, f16 KV included, against float32 activations and f32 KV, on each set of vector kernels. Generic's bits
/// are theirs (the same law, which the tests of the kernels compare), and it is slow.
class Fidelity : public Tools {
  protected:
    static void expect_that_defaults_lose_nothing(const std::string& model) {
        const std::string text = "/usr/share/common-licenses/GFDL-1.3";  // every Debian has it
        for (const Json& isa : json_of({"doctor"})["isas"]) {
            if (isa == "generic") continue;
            SCOPED_TRACE(isa);
            const Json json = json_of({"perplexity", "-m", model, "-f", text, "--chunks", "1", "--kl-to", "float32",
                                       "--isa", isa.get<std::string>()});
            EXPECT_EQ(json["tokens_scored"], 255);
            EXPECT_LT(json["kl"]["mean"], 1e-5);
            EXPECT_GT(json["kl"]["same_top"], 0.99);
            const double exact = json["kl"]["reference"]["perplexity"];
            EXPECT_NEAR(json["perplexity"].get<double>() / exact, 1.0, 0.001);
        }
    }
};

TEST_F(Fidelity, DefaultsAreAsGoodAsFloat32) {
    expect_that_defaults_lose_nothing(demo());
}

TEST_F(Fidelity, DefaultsAreAsGoodAsFloat32WithWeightsOf16Bits) {
    const std::string copy = folder_.path("f16.gguf");
    ASSERT_EQ(run_puna({"quantize", demo(), copy, "F16"}).exit_code, 0);
    expect_that_defaults_lose_nothing(copy);
}

TEST_F(Tools, PerplexityTellsPeopleHowFarItIs) {
    const Outcome outcome = run_puna({"perplexity", "-m", tiny(), "-p", std::string(100, 'Q'), "-c", "24"});
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_THAT(outcome.out, testing::StartsWith("perplexity "));
    EXPECT_THAT(outcome.err, HasSubstr("chunk 4 of 4"));
}

}  // namespace
}  // namespace puna::cli
