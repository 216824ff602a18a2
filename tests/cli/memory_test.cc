// Where weights and threads lie, and how much memory that takes.
#include <gmock/gmock.h>

#include <filesystem>

#include "cli/fixture.h"

namespace puna::cli {
namespace {

using testing::HasSubstr;

class MemoryFlags : public CommandLine {
  protected:
    std::vector<std::string> generate(std::vector<std::string> more) {
        std::vector<std::string> arguments = {"run", "-m", tiny(),   "-p", "ab",
                                              "-n",  "8",  "--temp", "0",  "--ignore-eos"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return arguments;
    }
};

TEST_F(MemoryFlags, NoneOfThemChangesTheText) {
    const Json plain = json_of(generate({}));
    const std::vector<std::vector<std::string>> all = {{"--no-mmap"},
                                                       {"--mlock"},
                                                       {"--pin", "-t", "1"},
                                                       {"--spin", "0"},
                                                       {"--numa", "interleave"},
                                                       {"--no-mmap", "--numa", "node=0"}};
    for (const auto& flags : all)
        EXPECT_EQ(json_of(generate(flags))["ids"], plain["ids"]) << flags.front();
}

TEST_F(MemoryFlags, NoMmapTellsWhatItRead) {
    const Outcome outcome = run_puna(generate({"--no-mmap"}));
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_THAT(outcome.err, HasSubstr("of weights read into memory"));
    EXPECT_THAT(outcome.err, HasSubstr("peak memory of the process"));
}

TEST_F(MemoryFlags, WhatCannotBeIsAnErrorBeforeTheModelIsLoaded) {
    const Json node = error_of({"run", "-m", "none.gguf", "-p", "a", "--numa", "node=777"}, 2);
    EXPECT_THAT(node["message"].get<std::string>(), HasSubstr("777"));
    EXPECT_THAT(node["hint"].get<std::string>(), HasSubstr("node"));
    EXPECT_EQ(error_of({"perplexity", "-m", "none.gguf", "-p", "a", "--numa", "all"}, 2)["code"], "invalid_argument");
    const Json pin = error_of({"chat", "none.gguf", "-p", "a", "--pin", "-t", "1024"}, 2);
    const Json spin = error_of({"run", "-m", "none.gguf", "-p", "a", "--spin", "1000001"}, 2);
    EXPECT_THAT(spin["message"].get<std::string>(), HasSubstr("--spin"));
    EXPECT_THAT(pin["message"].get<std::string>(), HasSubstr("1024 threads cannot be pinned"));
}

// `puna show` names the formula; the file and the keys and values are counted as they are, whatever the context is.
TEST_F(MemoryFlags, ARunStaysWithinWhatShowSays) {
    constexpr std::uint64_t batch = 512;
    constexpr std::uint64_t positions = 576;
    std::string text;
    while (text.size() < 5 * (positions - 40))
        text += "word ";
    support::Process process(puna_command(
        {"run", "-m", demo(), "-p", text, "-n", "4", "--ignore-eos", "--batch-size", std::to_string(batch), "--json"}));
    ASSERT_EQ(process.finish(), 0) << process.err();
    const Json run = single_line(process.out());
    ASSERT_GT(run["prompt_ids"].size(), batch);
    ASSERT_LE(run["prompt_ids"].size() + 4, positions);

    const std::uint64_t file = std::filesystem::file_size(demo());
    const std::uint64_t kv = 30 * 2 * 3 * 64 * sizeof(std::uint16_t) * positions;  // layers, K and V, heads, values
    const std::uint64_t bound = file + kv + (32U << 20) + batch * (12 * 1536 + 32 * 576);
    EXPECT_LE(process.peak_memory(), bound);
    EXPECT_GT(process.peak_memory(), file / 2);  // it was measured
    const Json show =
        json_of({"show", demo(), "--num-ctx-tokens", std::to_string(positions), "--batch-size", std::to_string(batch)});
    EXPECT_EQ(show["memory"]["kv"], kv);
    EXPECT_EQ(show["memory"]["peak"], bound);
    EXPECT_THAT(run_puna({"show", demo()}).out, HasSubstr("32 MiB + 512 x (12 x 1536 + 32 x 576 bytes)"));
}

}  // namespace
}  // namespace puna::cli
