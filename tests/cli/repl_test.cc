// puna run --repl: turns of plain text in one session.
#include <gmock/gmock.h>

#include "cli/fixture.h"
#include "support/terminal.h"

namespace puna::cli {
namespace {

using testing::HasSubstr;

class Repl : public CommandLine {
  protected:
    std::vector<std::string> repl(std::vector<std::string> more) {
        std::vector<std::string> arguments = {"run", "-m", tiny(), "--repl", "--ignore-eos", "-n", "6", "--seed", "3"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return arguments;
    }
    static std::vector<Json> replies(const Outcome& outcome) {
        EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
        std::vector<Json> all;
        for (std::size_t begin = 0; begin < outcome.out.size();) {
            const std::size_t end = outcome.out.find('\n', begin);
            all.push_back(Json::parse(outcome.out.substr(begin, end - begin), nullptr, false));
            begin = end + 1;
        }
        return all;
    }
    static Json joined(Json a, const Json& b) {
        for (const Json& id : b)
            a.push_back(id);
        return a;
    }
    Json tokenize(const std::string& text, bool first) {
        std::vector<std::string> arguments = {"tokenize", "-m", tiny(), "-p", text};
        if (!first) arguments.emplace_back("--no-bos");
        return json_of(arguments)["ids"];
    }
};

TEST_F(Repl, TurnsFollowOneAnotherInOneSession) {
    const std::vector<Json> all = replies(run_puna(repl({"--json"}), {.input = "one two\nthree\n\nfour"}));
    ASSERT_EQ(all.size(), 3U);
    Json expected = tokenize("one two", true);
    EXPECT_EQ(all[0]["prompt_ids"], expected);
    expected = joined(joined(expected, all[0]["ids"]), tokenize("three", false));
    EXPECT_EQ(all[1]["prompt_ids"], expected);
    expected = joined(joined(expected, all[1]["ids"]), tokenize("four", false));
    EXPECT_EQ(all[2]["prompt_ids"], expected);
    EXPECT_EQ(all[2]["seed"], 3);
    // What was computed is not computed again: the new tokens, and the reply's last.
    EXPECT_EQ(all[2]["timings"]["prompt_tokens"], tokenize("four", false).size() + 1);
    // The same turns by sessions on file.
    const std::string file = folder_.path("talk");
    const Json first = json_of(
        {"run", "-m", tiny(), "--ignore-eos", "-n", "6", "--seed", "3", "-p", "one two", "--persist-session", file});
    const Json second = json_of({"run", "-m", tiny(), "-n", "6", "-p", "three", "--persist-session", file});
    EXPECT_EQ(first["ids"], all[0]["ids"]);
    EXPECT_EQ(second["ids"], all[1]["ids"]);
}

TEST_F(Repl, ALineIsPutIntoTheFilesText) {
    const std::string file = folder_.write("wrapper", std::string_view("### {{PROMPT}}\n# Response:\n"));
    const std::vector<Json> all = replies(run_puna(repl({"--json", "-f", file}), {.input = "one\n"}));
    ASSERT_EQ(all.size(), 1U);
    EXPECT_EQ(all[0]["prompt_ids"], tokenize("### one\n# Response:", true));
    const std::string plain = folder_.write("plain", std::string_view("no place for it\n"));
    EXPECT_EQ(error_of(repl({"-f", plain}), 2)["code"], "invalid_argument");
}

TEST_F(Repl, IsSavedAndGoneOnWith) {
    const std::vector<Json> whole = replies(run_puna(repl({"--json"}), {.input = "one\ntwo\nthree\n"}));
    const std::string file = folder_.path("talk");
    std::vector<Json> parts = replies(run_puna(repl({"--json", "--persist-session", file}), {.input = "one\ntwo\n"}));
    const std::vector<Json> rest = replies(run_puna(repl({"--json", "--persist-session", file}), {.input = "three\n"}));
    parts.insert(parts.end(), rest.begin(), rest.end());
    ASSERT_EQ(parts.size(), 3U);
    for (std::size_t i = 0; i < 3; ++i)
        EXPECT_EQ(parts[i]["ids"], whole[i]["ids"]) << i;
}

TEST_F(Repl, AFullContextIsToldAndSaved) {
    const std::string file = folder_.path("talk");
    Outcome outcome = run_puna({"run", "-m", tiny(), "--repl", "--ignore-eos", "--num-ctx-tokens", "40", "--seed", "3",
                                "--persist-session", file},
                               {.input = "one\ntwo\n"});
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_THAT(outcome.err, HasSubstr("the context of 40 tokens is full: the reply ends here"));
    EXPECT_THAT(outcome.err, HasSubstr("and the context holds 40"));
    EXPECT_EQ(json_of({"session", "show", file})["tokens"], 41);

    outcome = run_puna(repl({"--num-ctx-tokens", "40", "--when-full", "shift"}),
                       {.input = "one\ntwo\nthree\nfour\nfive\nsix\nseven\n"});
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_THAT(outcome.err, HasSubstr("the context of 40 tokens is full: the"));
    EXPECT_EQ(std::count(outcome.out.begin(), outcome.out.end(), '\n') >= 7, true);
}

TEST_F(Repl, RefusesWhatDoesNotGoWithIt) {
    for (const std::vector<std::string>& flags :
         {std::vector<std::string>{"--echo"}, {"--session-reuse", "prefix"}, {"--when-full", "explode"}}) {
        EXPECT_EQ(error_of(repl(flags), 2)["code"], "invalid_argument") << flags.front();
    }
    EXPECT_EQ(error_of({"run", "-m", tiny(), "-p", "x", "--when-full", "shift"}, 2)["code"], "invalid_argument");
}

TEST_F(Repl, HasAPromptAtATerminal) {
    support::Terminal terminal(puna_command(repl({})), {"TERM=xterm", "LC_ALL=C.UTF-8"});
    ASSERT_TRUE(terminal.wait_for(">> "));
    terminal.type("one\r");
    ASSERT_TRUE(terminal.wait_for(">> "));
    terminal.type("two\\\r");
    ASSERT_TRUE(terminal.wait_for(".. "));
    terminal.type("three\r");
    ASSERT_TRUE(terminal.wait_for(">> "));
    terminal.type("\x03");
    ASSERT_TRUE(terminal.wait_for(">> "));
    terminal.type("\x04");
    EXPECT_EQ(terminal.finish(), 0);
}

}  // namespace
}  // namespace puna::cli
