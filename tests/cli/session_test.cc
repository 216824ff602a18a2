// puna run with sessions, and puna session.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "cli/fixture.h"
#include "support/llama_rs_snapshot.h"

namespace puna::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

class SessionCommands : public CommandLine {
  protected:
    std::vector<std::string> run(std::vector<std::string> more) {
        std::vector<std::string> arguments = {"run", "-m", tiny(), "--ignore-eos"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return arguments;
    }
    static Json joined(const Json& a, const Json& b) {
        Json all = a;
        for (const Json& id : b)
            all.push_back(id);
        return all;
    }
    std::string file(const std::string& name = "talk") const { return folder_.path(name); }
};

TEST_F(SessionCommands, TenAndTenMoreAreTwenty) {
    const Json whole = json_of(run({"-p", "the", "-n", "20", "--seed", "5", "--repeat-penalty", "1.3"}));
    const Json first =
        json_of(run({"-p", "the", "-n", "10", "--seed", "5", "--repeat-penalty", "1.3", "--save-session", file()}));
    const Json second = json_of(run({"-p", "", "-n", "10", "--load-session", file()}));
    EXPECT_EQ(joined(first["ids"], second["ids"]), whole["ids"]);
    EXPECT_EQ(second["seed"], 5);
    EXPECT_EQ(second["timings"]["prompt_tokens"], 0);
    EXPECT_EQ(second["reused_tokens"], second["prompt_ids"].size());
}

TEST_F(SessionCommands, ACompressedSessionGoesOnAlike) {
    for (const std::string kv : {"f16", "f32"}) {
        const auto with = [&](std::vector<std::string> more) {
            more.insert(more.end(), {"--kv-type", kv});
            return run(more);
        };
        const std::string text = "the cat sat on the mat and the dog on the log";
        const Json whole = json_of(with({"-p", text, "-n", "20", "--seed", "5"}));
        const Json first =
            json_of(with({"-p", text, "-n", "10", "--seed", "5", "--save-session", file(), "--session-zstd"}));
        const Json second = json_of(with({"-p", "", "-n", "10", "--load-session", file()}));
        EXPECT_EQ(joined(first["ids"], second["ids"]), whole["ids"]);
        EXPECT_EQ(second["timings"]["prompt_tokens"], 0);
        const Json shown = json_of({"session", "show", file()});
        EXPECT_EQ(shown["compressed_bytes"], std::filesystem::file_size(file()));
        EXPECT_LT(shown["compressed_bytes"], shown["bytes"]);
        EXPECT_THAT(run_puna({"session", "show", file()}).out, HasSubstr("compressed by zstd"));
        EXPECT_THAT(run_puna({"session", "verify", file()}).out, HasSubstr("compressed by zstd"));
    }
    json_of(run({"-p", "the", "-n", "2", "--save-session", file()}));
    EXPECT_TRUE(json_of({"session", "show", file()})["compressed_bytes"].is_null());
    EXPECT_THAT(error_of(run({"-p", "the", "--session-zstd"}), 2)["message"], HasSubstr("no session is saved"));
}

TEST_F(SessionCommands, TenAndTenMoreAreTwentyWhateverTheSampler) {
    const std::vector<std::vector<std::string>> samplers = {
        {"--mirostat", "1"},
        {"--mirostat", "2", "--mirostat-tau", "4", "--mirostat-eta", "0.3"},
        {"--adaptive-target", "0.2", "--min-p", "0.05"},
        {"--xtc-probability", "0.5", "--samplers", "temperature,xtc", "--temp", "1.5"},
        {"--dry-multiplier", "2", "--dry-allowed-length", "1", "--dry-breaker", "none"},
    };
    for (const std::vector<std::string>& flags : samplers) {
        const auto with = [&](std::vector<std::string> more) {
            more.insert(more.end(), flags.begin(), flags.end());
            return run(more);
        };
        const Json whole = json_of(with({"-p", "the", "-n", "20", "--seed", "5"}));
        const Json first = json_of(with({"-p", "the", "-n", "10", "--seed", "5", "--save-session", file()}));
        const Json second = json_of(run({"-p", "", "-n", "10", "--load-session", file()}));
        EXPECT_EQ(joined(first["ids"], second["ids"]), whole["ids"]) << flags[0];
    }
    // What a flag changes is told, and what a session makes idle is refused.
    json_of(run({"-p", "the", "-n", "2", "--mirostat", "2", "--save-session", file()}));
    const Outcome changed = run_puna(run({"-p", "", "-n", "2", "--load-session", file(), "--mirostat-tau", "3"}));
    EXPECT_THAT(changed.err, HasSubstr("--mirostat-tau 3 takes the place of the session's 5"));
    EXPECT_THAT(error_of(run({"-p", "", "-n", "2", "--load-session", file(), "--top-k", "40"}), 2)["message"],
                HasSubstr("--top-k is given"));
    const Json shown = json_of({"session", "show", file()})["sampling"];
    EXPECT_EQ(shown["mirostat"], 2);
    EXPECT_TRUE(shown["mirostat_mu"].is_number());
}

TEST_F(SessionCommands, TheDemoModelGoesOnInItsWords) {
    const std::vector<std::string> model = {"run", "-m", demo(), "--temp", "0"};
    const auto with = [&](std::vector<std::string> more) {
        more.insert(more.begin(), model.begin(), model.end());
        return more;
    };
    const Json whole = json_of(with({"-p", "The capital of France is", "-n", "20"}));
    const Json first = json_of(with({"-p", "The capital of France is", "-n", "10", "--save-session", file()}));
    const Json second = json_of(with({"-p", "", "-n", "10", "--load-session", file()}));
    EXPECT_EQ(first["text"].get<std::string>() + second["text"].get<std::string>(), whole["text"]);
    EXPECT_EQ(joined(first["ids"], second["ids"]), whole["ids"]);
}

TEST_F(SessionCommands, PersistLoadsWhatIsThereAndSavesInTheEnd) {
    const Json whole = json_of(run({"-p", "the", "-n", "15", "--temp", "0"}));
    Json together = Json::array();
    for (int i = 0; i < 3; ++i) {
        const Json part =
            json_of(run({"-p", i == 0 ? "the" : "", "-n", "5", "--temp", "0", "--persist-session", file()}));
        together = joined(together, part["ids"]);
    }
    EXPECT_EQ(together, whole["ids"]);
    // It goes before --load-session, once its file is there.
    json_of(run({"-p", "other words", "-n", "0", "--save-session", file("other")}));
    const Json both = json_of(run({"-p", "", "-n", "0", "--persist-session", file(), "--load-session", file("other")}));
    EXPECT_EQ(both["prompt_ids"].size(), whole["prompt_ids"].size() + 15);
    const Json fresh =
        json_of(run({"-p", "", "-n", "0", "--persist-session", file("new"), "--load-session", file("other")}));
    EXPECT_EQ(fresh["prompt_ids"], json_of(run({"-p", "other words", "-n", "0"}))["prompt_ids"]);
    EXPECT_TRUE(std::filesystem::exists(file("new")));
}

TEST_F(SessionCommands, NoTokensStoreJustThePrompt) {
    const Outcome outcome = run_puna(run({"-p", "the", "-n", "0", "--save-session", file()}));
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_EQ(outcome.out, "");
    EXPECT_THAT(outcome.err, HasSubstr("session saved"));
    const Json info = json_of({"session", "show", file()});
    EXPECT_EQ(info["tokens"], info["evaluated"]);
    EXPECT_EQ(info["logits"], true);
    EXPECT_EQ(info["sampling"]["draws"], 0);
}

TEST_F(SessionCommands, AFlagThatIsGivenWinsAndIsReported) {
    json_of(run({"-p", "the", "-n", "3", "--seed", "5", "--top-k", "7", "--save-session", file()}));
    const Outcome outcome = run_puna(run({"-p", "", "-n", "1", "--load-session", file(), "--temp", "0.5", "--top-k",
                                          "7", "--save-session", file("next")}));
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_THAT(outcome.err, HasSubstr("--temp 0.5 takes the place of the session's 0.8"));
    EXPECT_THAT(outcome.err, Not(HasSubstr("--top-k")));
    const Json sampling = json_of({"session", "show", file("next")})["sampling"];
    EXPECT_EQ(sampling["temperature"], 0.5);
    EXPECT_EQ(sampling["top_k"], 7);
    EXPECT_EQ(sampling["seed"], 5);
    EXPECT_EQ(sampling["draws"], 4);
}

TEST_F(SessionCommands, APrefixIsReusedAndCounted) {
    json_of(run({"-p", "one two three", "-n", "0", "--save-session", file()}));
    const Json fresh = json_of(run({"-p", "one two four", "-n", "8", "--seed", "3"}));
    const Json reused = json_of(
        run({"-p", "one two four", "-n", "8", "--seed", "3", "--load-session", file(), "--session-reuse", "prefix"}));
    EXPECT_EQ(reused["ids"], fresh["ids"]);
    EXPECT_GT(reused["reused_tokens"], 4);
    EXPECT_LT(reused["reused_tokens"], reused["prompt_ids"].size());
    EXPECT_EQ(error_of(run({"-p", "x", "--load-session", file(), "--session-reuse", "all"}), 2)["code"],
              "invalid_argument");
}

TEST_F(SessionCommands, AnotherModelTypeOrLawIsAnErrorThatSaysWhich) {
    json_of(run({"-p", "the", "-n", "2", "--save-session", file()}));
    Json error = error_of({"run", "-m", demo(), "-p", "", "-n", "1", "--load-session", file()}, 3);
    EXPECT_EQ(error["code"], "session_mismatch");
    EXPECT_THAT(error["message"], HasSubstr("another model"));
    error = error_of(run({"-p", "", "-n", "1", "--load-session", file(), "--kv-type", "f32"}), 3);
    EXPECT_EQ(error["code"], "session_mismatch");
    EXPECT_THAT(error["hint"], HasSubstr("--kv-type f16"));
    const std::vector<std::string> other_law =
        run({"-p", "", "-n", "1", "--load-session", file(), "--activations", "float32"});
    error = error_of(other_law, 3);
    EXPECT_EQ(error["code"], "session_mismatch");
    EXPECT_THAT(error["message"], HasSubstr("int/1"));
    std::vector<std::string> any_law = other_law;
    any_law.emplace_back("--session-any-law");
    const Outcome outcome = run_puna(any_law);
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_THAT(outcome.err, HasSubstr("int/1"));
}

TEST_F(SessionCommands, ADamagedFileIsAnErrorAndStays) {
    json_of(run({"-p", "the", "-n", "2", "--save-session", file()}));
    {
        std::fstream bytes(file(), std::ios::in | std::ios::out | std::ios::binary);
        bytes.seekp(-5, std::ios::end);
        bytes.put('\x55');
    }
    const Json error = error_of(run({"-p", "", "-n", "1", "--persist-session", file()}), 3);
    EXPECT_EQ(error["code"], "file_malformed");
    EXPECT_THAT(error["message"], HasSubstr("kv of layer 1"));
    EXPECT_EQ(error_of({"session", "verify", file()}, 3)["code"], "file_malformed");
}

TEST_F(SessionCommands, AnInterruptedRunIsSaved) {
    support::Process process(puna_command(run({"-p", "the", "-n", "100000", "--num-ctx-tokens", "256", "--temp", "0",
                                               "-t", "1", "--persist-session", file(), "--stop", "never said"})));
    process.wait_for_output(10);
    process.interrupt();
    process.finish();  // interrupted, or its context was full before: saved in both cases
    const Json info = json_of({"session", "show", file()});
    EXPECT_GT(info["tokens"], 2);
}

TEST_F(SessionCommands, AFullContextIsSaved) {
    const Json outcome = json_of(run({"-p", "the", "--num-ctx-tokens", "40", "--temp", "0", "--save-session", file()}));
    EXPECT_EQ(outcome["finish_reason"], "context");
    EXPECT_EQ(json_of({"session", "show", file()})["tokens"], 41);
}

TEST_F(SessionCommands, WhatCannotBeWrittenIsAnError) {
    const Outcome outcome = run_puna(run({"-p", "the", "-n", "2", "--save-session", folder_.path("no/such/folder")}));
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_THAT(outcome.err, HasSubstr("no/such/folder"));
}

TEST_F(SessionCommands, ShowVerifyAndRemove) {
    json_of(run({"-p", "the", "-n", "2", "--save-session", file()}));
    const Outcome shown = run_puna({"session", "show", file(), "-m", tiny()});
    EXPECT_EQ(shown.exit_code, 0);
    EXPECT_THAT(shown.out, HasSubstr("llama"));
    EXPECT_THAT(shown.out, HasSubstr("int/1"));
    const Json verified = json_of({"session", "verify", file()});
    EXPECT_EQ(verified["bytes"], std::filesystem::file_size(file()));
    EXPECT_EQ(run_puna({"session", "rm", file()}).exit_code, 0);
    EXPECT_FALSE(std::filesystem::exists(file()));
    EXPECT_EQ(error_of({"session", "rm", file()}, 3)["code"], "file_not_found");
    EXPECT_EQ(error_of({"session", "rm", tiny()}, 3)["code"], "unsupported_format");  // not ours to remove
    EXPECT_TRUE(std::filesystem::exists(tiny()));
    EXPECT_EQ(error_of({"session", "eat", file()}, 2)["code"], "invalid_argument");
    EXPECT_EQ(error_of({"session", "show"}, 2)["code"], "invalid_argument");
}

TEST_F(SessionCommands, ASnapshotOfLlamaRsBecomesASession) {
    const Json show = json_of({"show", tiny(), "--num-ctx-tokens", "32"});
    support::LlamaRsSnapshot snapshot;
    snapshot.tokens = json_of({"tokenize", "-m", tiny(), "-p", "the end"})["ids"].get<std::vector<std::int32_t>>();
    snapshot.past = snapshot.tokens.size();
    snapshot.logits = show["vocabulary"];
    snapshot.key_bytes = snapshot.value_bytes = show["memory"]["kv"].get<std::uint64_t>() / 2;
    const std::string path = folder_.write("snapshot", support::zstd_compressed(snapshot.plain()));

    const Outcome import = run_puna({"session", "import", path, "-m", tiny(), "-o", file()});
    EXPECT_EQ(import.exit_code, 0) << import.err;
    EXPECT_EQ(import.out, "");
    EXPECT_THAT(import.err, HasSubstr("does not say of which model"));
    const Json rest = json_of(run({"-p", "", "-n", "6", "--temp", "0", "--load-session", file()}));
    EXPECT_EQ(rest["ids"], json_of(run({"-p", "the end", "-n", "6", "--temp", "0"}))["ids"]);

    EXPECT_EQ(error_of({"session", "import", path, "-m", tiny(), "-o", file()}, 2)["code"], "invalid_argument");
    EXPECT_EQ(error_of({"session", "import", path, "-m", tiny()}, 2)["code"], "invalid_argument");
    const Json direct = error_of(run({"-p", "x", "-n", "1", "--load-session", path}), 3);
    EXPECT_THAT(direct["hint"].get<std::string>(), HasSubstr("puna session import"));
    const Json other = error_of({"session", "import", path, "-m", demo(), "-o", folder_.path("other")}, 3);
    EXPECT_EQ(other["code"], "session_mismatch");
    EXPECT_FALSE(std::filesystem::exists(folder_.path("other")));
}

TEST_F(SessionCommands, WhereNothingCanBeWrittenIsAnErrorBeforeAnythingIsComputed) {
    for (const std::string flag : {"--save-session", "--persist-session"}) {
        for (const std::string& path : {file("nowhere/talk"), folder_.path("")}) {
            const Outcome outcome = run_puna(run({"-p", "the", "-n", "4", flag, path}));
            EXPECT_EQ(outcome.exit_code, 1) << path;
            EXPECT_EQ(outcome.out, "") << path;
            EXPECT_THAT(outcome.err, HasSubstr("cannot write"));
        }
    }
}

TEST_F(SessionCommands, TheAnswerIsPrintedThoughTheSessionCannotBeWritten) {
    // Files of up to 512 or 1,024 bytes, as the shell counts, and no signal for what is longer.
    std::vector<std::string> command = {"/bin/sh", "-c", "trap '' XFSZ; ulimit -f 1; exec \"$0\" \"$@\""};
    for (std::string& word : puna_command(run({"-p", "the", "-n", "4", "--json", "--save-session", file()})))
        command.push_back(std::move(word));
    support::Process process(command);
    EXPECT_EQ(process.finish(), 1);
    EXPECT_EQ(single_line(process.out())["ids"].size(), 4U);
    EXPECT_EQ(last_error(process.err())["code"], "io_error");
    EXPECT_FALSE(std::filesystem::exists(file()));
}

TEST_F(SessionCommands, FlagsAboutSessionsNeedOne) {
    EXPECT_THAT(error_of(run({"-p", "the", "--session-any-law"}), 2)["message"], HasSubstr("--session-any-law"));
    EXPECT_THAT(error_of(run({"-p", "the", "--session-reuse", "prefix"}), 2)["message"],
                HasSubstr("--session-reuse prefix"));
    run_puna(run({"-p", "the", "-n", "1", "--save-session", file("a")}));
    run_puna(run({"-p", "the cat", "-n", "1", "--save-session", file("b")}));
    const Outcome both =
        run_puna(run({"-p", "", "-n", "1", "--persist-session", file("a"), "--load-session", file("b")}));
    EXPECT_EQ(both.exit_code, 0);
    EXPECT_THAT(both.err, HasSubstr("--load-session is passed over"));
}

TEST_F(SessionCommands, ShowsTheTextByItsOwnModelAlone) {
    run_puna(run({"-p", "the", "-n", "2", "--save-session", file()}));
    EXPECT_EQ(run_puna({"session", "show", file(), "-m", tiny()}).exit_code, 0);
    EXPECT_EQ(error_of({"session", "show", file(), "-m", demo()}, 3)["code"], "session_mismatch");
}

}  // namespace
}  // namespace puna::cli
