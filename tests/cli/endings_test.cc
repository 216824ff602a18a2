// How a run can end, and what the shell, stdout and stderr then hold.
#include <gmock/gmock.h>

#include "cli/fixture.h"

namespace puna::cli {
namespace {

using support::Process;
using testing::HasSubstr;

class Endings : public CommandLine {
  protected:
    /// Goes on until someone stops it: the demo model's context holds thousands of tokens.
    std::vector<std::string> endless() {
        return puna_command({"run", "-m", demo(), "-p", "Once upon a time", "--ignore-eos", "--dump-prompt-tokens"});
    }
};

TEST_F(Endings, PromptThatDoesNotFitIsAnErrorWithNothingOnStdout) {
    const std::string prompt(300, 'Q');  // one token a byte, and the context holds 256
    EXPECT_EQ(error_of({"-m", tiny(), "-p", prompt}, 1)["code"], "context_overflow");
    EXPECT_EQ(error_of({"-m", tiny(), "-p", "QQQQQQQQ", "--num-ctx-tokens", "4"}, 1)["code"], "context_overflow");
    const Outcome outcome = run_puna({"-m", tiny(), "-p", prompt, "--echo"});
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_EQ(outcome.out, "");
    EXPECT_THAT(outcome.err, HasSubstr("error"));
}

TEST_F(Endings, FullContextPrintsWhatCame) {
    const Outcome outcome = run_puna({"-m", tiny(), "-p", "the", "--ignore-eos", "--json", "--num-ctx-tokens", "40"});
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_THAT(outcome.err, HasSubstr("the context of 40 tokens is full"));
    const Json json = single_line(outcome.out);
    EXPECT_EQ(json["finish_reason"], "context");
    // The last token is sampled from the context's last position, and is not evaluated itself.
    EXPECT_EQ(json["prompt_ids"].size() + json["ids"].size(), 41U);
}

TEST_F(Endings, FirstInterruptPrintsTheJsonAndExits130) {
    std::vector<std::string> command = endless();
    command.emplace_back("--json");
    Process process(command);
    process.wait_for_talk(1);  // the prompt's tokens: generation begins
    process.interrupt();
    EXPECT_EQ(process.finish(), 130);
    const Json json = single_line(process.out());
    EXPECT_EQ(json["finish_reason"], "cancelled");
    EXPECT_TRUE(json["text"].is_string());
}

TEST_F(Endings, InterruptKeepsTheTextThatCame) {
    Process process(endless());
    process.wait_for_output(20);
    process.interrupt();
    EXPECT_EQ(process.finish(), 130);
    EXPECT_GE(process.out().size(), 20U);
    EXPECT_THAT(process.err(), Not(HasSubstr("error")));
}

TEST_F(Endings, InterruptedMeasurementsAreCancelled) {
    const std::string text = folder_.write("text.txt", std::string(100000, 'Q'));
    Process process(puna_command({"perplexity", "-m", demo(), "-f", text, "-c", "64", "--batch-size", "64", "--json"}));
    process.wait_for_talk(1);
    process.interrupt();
    EXPECT_EQ(process.finish(), 130);
    EXPECT_EQ(process.out(), "");
    EXPECT_EQ(last_error(process.err())["code"], "cancelled");
}

TEST_F(Endings, InterruptedBenchPrintsTheRowsThatItHas) {
    Process process(puna_command({"bench", "-m", demo(), "-p", "16", "-n", "8000", "-r", "1", "--json"}));
    process.wait_for_talk(1);  // the prompt's speed
    process.interrupt();
    EXPECT_EQ(process.finish(), 130);
    const Json json = single_line(process.out());
    ASSERT_GE(json["rows"].size(), 1U);
    EXPECT_EQ(json["rows"][0]["test"], "pp16");
    EXPECT_EQ(last_error(process.err())["code"], "cancelled");
}

// A file that is opened would take the number of a stream that is closed, and be read or written in its place.
TEST_F(Endings, ClosedStreamsAreErrorsAndNoFilesTakeTheirPlace) {
    const auto closed = [&](const std::string& stream, std::vector<std::string> arguments) {
        std::vector<std::string> command = {"/bin/sh", "-c", "exec \"$0\" \"$@\" " + stream + "&-"};
        for (std::string& word : puna_command(std::move(arguments)))
            command.push_back(std::move(word));
        Process process(command);
        const int code = process.finish();
        return Outcome{code, process.out(), process.err()};
    };
    const Outcome no_input = closed("<", {"chat", demo(), "-n", "1"});
    EXPECT_EQ(no_input.exit_code, 3);
    EXPECT_EQ(no_input.out, "");
    EXPECT_THAT(no_input.err, HasSubstr("standard input"));
    const std::string session = folder_.path("closed.session");
    const Outcome no_output =
        closed(">", {"run", "-m", tiny(), "-p", "the", "-n", "1", "--echo", "--save-session", session});
    EXPECT_EQ(no_output.exit_code, 1);
    EXPECT_THAT(no_output.err, HasSubstr("standard output"));
    EXPECT_EQ(closed("2>", {"run", "-m", tiny(), "-p", "the", "-n", "1", "--save-session", session}).exit_code, 0);
    EXPECT_EQ(run_puna({"session", "verify", session}).exit_code, 0);
}

TEST_F(Endings, ClosedPipeExits0InSilence) {
    std::vector<std::string> command = endless();
    command.pop_back();  // without the dump
    Process process(command);
    process.wait_for_output(20);
    process.close_output();
    EXPECT_EQ(process.finish(), 0);
    EXPECT_EQ(process.err(), "");
}

TEST_F(Endings, ClosedPipeIsSilentInTheOtherCommandsToo) {
    for (const std::vector<std::string>& arguments : {std::vector<std::string>{"show", tiny()},
                                                      {"--help"},
                                                      {"tokenize", "-m", tiny(), "-p", "the"},
                                                      {"run", "-m", tiny(), "-p", "the", "-n", "2", "--json"}}) {
        Process process(puna_command(arguments));
        process.close_output();
        EXPECT_EQ(process.finish(), 0);
        EXPECT_EQ(process.err(), "");
    }
}

TEST_F(Endings, FullDiskIsAnError) {
    Process process({"/bin/sh", "-c", "exec " + puna_command({})[0] + " show --json " + tiny() + " > /dev/full"});
    EXPECT_EQ(process.finish(), 1);
    EXPECT_EQ(last_error(process.err())["code"], "io_error");
}

TEST_F(Endings, FilesThatAreNotWhatTheyShouldBeExit3) {
    EXPECT_EQ(error_of({"run", "-m", folder_.path("none.gguf"), "-p", "the"}, 3)["code"], "file_not_found");
    EXPECT_EQ(error_of({"show", folder_.path("none.gguf")}, 3)["code"], "file_not_found");
    EXPECT_EQ(error_of({"run", "-m", folder_.path(""), "-p", "the"}, 3)["code"], "unsupported_format");
    EXPECT_EQ(error_of({"run", "-m", tiny(), "-f", folder_.path("none.txt")}, 3)["code"], "file_not_found");
    EXPECT_EQ(error_of({"run", "-m", tiny(), "-f", folder_.path("")}, 3)["code"], "file_unreadable");
    const std::string text = folder_.write("text.gguf", std::string_view("this is no model, but a text"));
    EXPECT_EQ(error_of({"run", "-m", text, "-p", "the"}, 3)["code"], "unsupported_format");
    std::vector<std::byte> bytes = support::tiny_model();
    bytes.resize(bytes.size() / 2);
    const std::string half = folder_.write("half.gguf", bytes);
    for (const char* command : {"run", "show", "tokenize", "perplexity", "bench"}) {
        const std::string prompt = std::string(command) == "bench" ? "8" : "the";
        std::vector<std::string> arguments = {command, "-m", half};
        if (std::string(command) != "show") arguments.insert(arguments.end(), {"-p", prompt});
        EXPECT_EQ(error_of(arguments, 3)["code"], "file_malformed") << command;
    }
}

TEST_F(Endings, ArchitectureThatDoesNotRunCanBeShown) {
    const std::string path = folder_.write(
        "other.gguf", support::tiny_model_builder().string("general.architecture", "zebra").build().bytes);
    const Json json = json_of({"show", path});
    EXPECT_EQ(json["architecture"], "zebra");
    EXPECT_EQ(json["runnable"], false);
    EXPECT_TRUE(json["memory"]["kv"].is_null());
    EXPECT_EQ(run_puna({"show", path}).exit_code, 0);
    EXPECT_EQ(error_of({"run", "-m", path, "-p", "the"}, 3)["code"], "unsupported_architecture");
}

TEST_F(Endings, TextUnderOneChunkIsTooShort) {
    EXPECT_EQ(error_of({"perplexity", "-m", tiny(), "-p", "the"}, 1)["code"], "text_too_short");
}

}  // namespace
}  // namespace puna::cli
