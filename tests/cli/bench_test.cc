// puna bench.
#include <gmock/gmock.h>

#include <filesystem>

#include "base/cpu.h"
#include "cli/fixture.h"

namespace puna::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

class Bench : public CommandLine {};

TEST_F(Bench, HasItsShape) {
    const std::string cores = std::to_string(base::usable_cores());
    const Json json = json_of({"bench", "-m", tiny(), "-p", "16", "-n", "4", "-r", "2", "-d", "0,33", "-t", "1,1024"});
    EXPECT_TRUE(json["version"].is_string());
    EXPECT_TRUE(json["machine"]["cpu"].is_string());
    EXPECT_GE(json["machine"]["cores"], 1);
    EXPECT_TRUE(json["machine"]["kernels"].is_string());
    EXPECT_GT(json["limits"]["read_gb_s"]["1"], 0.0);
    EXPECT_GT(json["limits"]["read_gb_s"][cores], 0.0);
    EXPECT_GT(json["limits"]["gmac_s"]["int16"], 0.0);
    EXPECT_GT(json["limits"]["gmac_s_by_threads"]["1"]["int16"], 0.0);
    EXPECT_EQ(json["limits"]["gmac_s_by_threads"][cores], json["limits"]["gmac_s"]);
    for (const char* type : {"float32", "int8", "bf16"}) {
        EXPECT_TRUE(json["limits"]["gmac_s"].contains(type));
    }

    std::vector<std::string> tests;
    for (const Json& row : json["rows"]) {
        tests.push_back(row["test"]);
        EXPECT_EQ(row["model"], "tiny.gguf");
        EXPECT_EQ(row["type"], "Q4_0");
        EXPECT_EQ(row["parallel"], 1);
        EXPECT_EQ(row["activations"], "int16");
        EXPECT_EQ(row["kv"], "f16");
        EXPECT_EQ(row["law"], "int/1");
        EXPECT_EQ(row["batch_size"], 512);
        EXPECT_EQ(row["repetitions"], 2);
        const Json& speed = row["tokens_per_second"];
        EXPECT_GT(speed["min"], 0.0);
        EXPECT_LE(speed["min"].get<double>(), speed["median"].get<double>());
        EXPECT_LE(speed["median"].get<double>(), speed["max"].get<double>());
        EXPECT_NE(row.contains("gb_s"), row.contains("gmac_s"));
        EXPECT_EQ(row.contains("gb_s"), row["bound"] == "read");
        const double limit = std::max(row["limit"]["before"].get<double>(), row["limit"]["after"].get<double>());
        const double rate = row[row["bound"] == "read" ? "gb_s" : "gmac_s"].get<double>();
        EXPECT_GT(row["percent_of_limit"], 0.0);
        EXPECT_NEAR(row["percent_of_limit"].get<double>(), 100 * rate / limit, 1e-6);
        if (row["bound"] == "read") {
            EXPECT_LE(limit, json["limits"]["read_gb_s"][std::to_string(row["threads"].get<int>())].get<double>());
        }
        EXPECT_GT(row["multiply_adds_per_byte"], 1.0);  // 2 / 1.125 for each token of a step, at least
    }
    const std::vector<std::string> one_thread = {"pp16", "tg4", "pp16@d33", "tg4@d33"};
    std::vector<std::string> expected = one_thread;
    if (cores != "1") expected.insert(expected.end(), one_thread.begin(), one_thread.end());
    EXPECT_EQ(tests, expected);
}

TEST_F(Bench, PrintsATableOfAllModels) {
    const std::string other = folder_.write("other.gguf", support::tiny_model());
    const Outcome outcome = run_puna({"bench", "-m", tiny(), "-m", other, "-p", "0", "-n", "2", "-r", "1"});
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_THAT(outcome.out, HasSubstr("limits"));
    EXPECT_THAT(outcome.out, HasSubstr("tiny.gguf"));
    EXPECT_THAT(outcome.out, HasSubstr("other.gguf"));
    EXPECT_THAT(outcome.out, HasSubstr("tg2"));
    EXPECT_THAT(outcome.out, Not(HasSubstr("pp")));
}

TEST_F(Bench, SequencesAdvanceTogether) {
    const Json json = json_of({"bench", "-m", tiny(), "-p", "8", "-n", "4,0", "-r", "1", "-d", "40", "--parallel",
                               "1,3", "--batch-size", "2", "-t", "1"});
    std::vector<std::pair<std::string, int>> tests;
    for (const Json& row : json["rows"])
        tests.emplace_back(row["test"], row["parallel"]);
    const std::vector<std::pair<std::string, int>> expected = {{"pp8@d40", 1}, {"tg4@d40", 1}, {"tg4@d40", 3}};
    EXPECT_EQ(tests, expected);
}

TEST_F(Bench, LimitsAlone) {
    const Json json = json_of({"bench", "--limits", "-t", "1"});
    EXPECT_FALSE(json.contains("rows"));
    EXPECT_GT(json["limits"]["read_gb_s"]["1"], 0.0);
    EXPECT_GT(json["limits"]["gmac_s_by_threads"]["1"]["float32"], 0.0);

    const Json error = error_of({"bench", "--limits", "-m", tiny()}, 2);
    EXPECT_EQ(error["code"], "invalid_argument");
}

TEST_F(Bench, MarkdownHoldsTheSameTables) {
    const std::string odd = folder_.write("a|b.gguf", support::tiny_model());
    const Outcome outcome = run_puna({"bench", "-m", odd, "-p", "0", "-n", "2", "-r", "1", "-t", "1", "--markdown"});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_THAT(outcome.out, HasSubstr("| read GB/s |"));
    EXPECT_THAT(outcome.out, HasSubstr("|---|---|---|---:|"));
    EXPECT_THAT(outcome.out, HasSubstr("\n| a\\|b.gguf | F32 | tg2 | 1 | 1 |"));
    EXPECT_EQ(error_of({"bench", "-m", odd, "--markdown"}, 2)["code"], "invalid_argument");  // with --json
}

TEST_F(Bench, ShapesAreMeasuredLikeFiles) {
    const Json json =
        json_of({"bench", "--shape", "15m:Q4_0", "-m", tiny(), "-p", "4", "-n", "0", "-r", "1", "-t", "1"});
    ASSERT_EQ(json["rows"].size(), 2U);
    EXPECT_EQ(json["rows"][0]["model"], "tiny.gguf");
    EXPECT_EQ(json["rows"][1]["model"], "15m:Q4_0");
    EXPECT_EQ(json["rows"][1]["type"], "Q8_0");  // most of its bytes are the embedding, which is the head too

    const Json error = error_of({"bench", "--shape", "15m:Q9"}, 2);
    EXPECT_THAT(error["hint"], HasSubstr("Q4_K_M"));
}

TEST_F(Bench, WrittenShapesAreModels) {
    const std::string path = folder_.path("random.gguf");
    const Outcome outcome = run_puna({"bench", "--shape", "15m:pure:Q4_0", "--write", path});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(outcome.out, "");
    const Json shown = json_of({"show", path});
    EXPECT_EQ(shown["runnable"], true);
    EXPECT_EQ(shown["types"]["Q4_0"]["tensors"], 1 + 6 * 7);
    EXPECT_EQ(shown["vocabulary"], 32000);
    EXPECT_EQ(json_of({"tokenize", "-m", path, "-p", "!"})["ids"].size(), 3U);  // a begin token, and a space before

    EXPECT_EQ(error_of({"bench", "--shape", "15m:pure:Q4_0", "--write", path}, 2)["code"], "invalid_argument");
    const Json again = json_of({"bench", "--shape", "15m:pure:Q8_0", "--write", path, "--force"});
    EXPECT_EQ(again["path"], path);
    EXPECT_EQ(again["bytes"], std::filesystem::file_size(path));
    EXPECT_EQ(json_of({"show", path})["types"]["Q8_0"]["tensors"], 1 + 6 * 7);
    EXPECT_EQ(error_of({"bench", "-m", tiny(), "--write", path + "2"}, 2)["code"], "invalid_argument");
    EXPECT_EQ(error_of({"bench", "--shape", "15m:Q4_0", "--write", folder_.path("none/x")}, 1)["code"], "io_error");
}

TEST_F(Bench, ProductsByType) {
    const Json json = json_of({"bench", "--types", "Q4_0,f16,Q4_K,Q4_0", "--columns", "96", "--rows", "1,20,1", "-t",
                               "1,1", "--activations", "int8"});
    EXPECT_FALSE(json.contains("rows"));
    ASSERT_EQ(json["products"].size(), 4U);  // blocks of 256 do not divide 96; each type and number counts once
    const std::vector<std::pair<std::string, int>> expected = {{"Q4_0", 1}, {"Q4_0", 20}, {"F16", 1}, {"F16", 20}};
    for (std::size_t i = 0; i < expected.size(); ++i) {
        const Json& row = json["products"][i];
        EXPECT_EQ(row["type"], expected[i].first);
        EXPECT_EQ(row["rows"], expected[i].second);
        EXPECT_EQ(row["columns"], 96);
        EXPECT_EQ(row["activations"], i < 2 ? "int8" : "float32");
        EXPECT_GT(row["percent_of_limit"], 0.0);
        // 18 bytes for 32 weights, or 2 for each.
        const double weight = i < 2 ? 18.0 / 32 : 2.0;
        EXPECT_NEAR(row["gb_s"].get<double>(), row["gmac_s"].get<double>() / expected[i].second * weight,
                    row["gb_s"].get<double>() * 1e-6);
    }
    EXPECT_THAT(error_of({"bench", "--types", "Q4_9"}, 2)["hint"], HasSubstr("Q4_K"));
    EXPECT_THAT(error_of({"bench", "--types", "Q4_0", "--columns", "33", "-t", "1"}, 2)["message"],
                HasSubstr("--columns"));
    // Types that are read alone are measured too.
    const Json read_alone = json_of({"bench", "--types", "IQ2_XS,NVFP4", "--columns", "256", "--rows", "1", "-t", "1"});
    ASSERT_EQ(read_alone["products"].size(), 2U);
    EXPECT_EQ(read_alone["products"][0]["type"], "IQ2_XS");
    EXPECT_EQ(read_alone["products"][1]["type"], "NVFP4");
    EXPECT_EQ(error_of({"bench"}, 2)["code"], "invalid_argument");
}

TEST_F(Bench, AllTypesInAnyLetterCase) {
    const Json json = json_of({"bench", "--types", "Q4_0,ALL", "--columns", "32", "--rows", "1", "-t", "1"});
    std::vector<std::string> types;
    for (const Json& row : json["products"])
        types.push_back(row["type"]);
    EXPECT_THAT(types, testing::IsSupersetOf({"F32", "F16", "BF16", "Q4_0", "Q8_0", "MXFP4"}));
}

TEST_F(Bench, FlagsWithoutAPurposeAreErrors) {
    const std::vector<std::vector<std::string>> cases = {
        {"--limits", "-p", "5"},
        {"--limits", "--columns", "64"},
        {"-m", tiny(), "--rows", "4"},
        {"-m", tiny(), "-n", "0", "--parallel", "1,4"},
        {"-m", tiny(), "--force"},
        {"--types", "Q4_0", "-r", "2"},
        {"--types", "Q4_0", "--mlock"},
        {"--shape", "15m:Q4_0", "--no-mmap"},
        {"--shape", "15m:Q4_0", "--write", folder_.path("x.gguf"), "-n", "4"}};
    for (const std::vector<std::string>& arguments : cases) {
        std::vector<std::string> command = {"bench"};
        command.insert(command.end(), arguments.begin(), arguments.end());
        const Json error = error_of(command, 2);
        EXPECT_EQ(error["code"], "invalid_argument");
        EXPECT_EQ(error["hint"], "leave it out");
    }
}

TEST_F(Bench, WhatCannotBeMeasuredIsToldFirst) {
    // 2^24 tokens in each of 1,024 sequences.
    const Json error =
        error_of({"bench", "-m", tiny(), "-p", "4", "-n", "16777216", "--parallel", "1024", "-t", "1"}, 1);
    EXPECT_EQ(error["code"], "out_of_memory");
    EXPECT_THAT(error["message"], HasSubstr("tg16777216 x 1024"));
    // Names are looked up before the first model is measured.
    EXPECT_EQ(error_of({"bench", "-m", tiny(), "-m", "no such model", "-t", "1"}, 3)["code"], "file_not_found");
}

TEST_F(Bench, RowsBeforeAnErrorAreKept) {
    const std::string broken = folder_.write("broken.gguf", "no model at all");
    const Outcome outcome =
        run_puna({"bench", "-m", tiny(), "-m", broken, "-p", "4", "-n", "0", "-r", "1", "-t", "1", "--json"});
    EXPECT_EQ(outcome.exit_code, 3);
    EXPECT_EQ(single_line(outcome.out)["rows"].size(), 1U);
    EXPECT_EQ(last_error(outcome.err)["code"], "unsupported_format");
}

TEST_F(Bench, TokensBeyondTheContextAreTold) {
    const Outcome outcome = run_puna({"bench", "-m", tiny(), "-p", "0", "-n", "2", "-d", "255", "-r", "1", "-t", "1"});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr("tg2@d255 goes beyond the 256 tokens"));
    EXPECT_THAT(outcome.err, HasSubstr("on 1 thread:"));
}

}  // namespace
}  // namespace puna::cli
