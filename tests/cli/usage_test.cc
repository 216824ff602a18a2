// Flags and commands that are wrong, and help for those who ask.
#include <gmock/gmock.h>

#include "cli/fixture.h"

namespace puna::cli {
namespace {

using testing::HasSubstr;

class Usage : public CommandLine {
  protected:
    /// Wrong values of `flag` must exit 2 and name the flag and `range`.
    void expect_refused(const std::string& flag, const std::string& value, const std::string& range) {
        const Json error = error_of({"run", "-m", tiny(), "-p", "the", flag, value}, 2);
        EXPECT_EQ(error["code"], "invalid_argument");
        EXPECT_THAT(error["message"], HasSubstr(range)) << flag << " " << value;
        if (flag.starts_with("--")) {
            EXPECT_THAT(error["message"], HasSubstr(flag));
        }
    }
};

TEST_F(Usage, NumbersOutOfRangeAreNamedWithTheirRange) {
    expect_refused("--num-threads", "0", "from 1 to 1024");
    expect_refused("-t", "1025", "--num-threads takes a whole number from 1 to 1024");
    expect_refused("-t", "two", "--num-threads");
    expect_refused("-n", "-1", "--num-predict takes a whole number from 0");
    expect_refused("--batch-size", "0", "from 1 to 65536");
    expect_refused("--num-ctx-tokens", "0", "from 1");
    expect_refused("--top-p", "2", "above 0, at most 1");
    expect_refused("--top-p", "0", "above 0, at most 1");
    expect_refused("--top-p", "nan", "above 0, at most 1");
    expect_refused("--min-p", "1.5", "from 0 to 1");
    expect_refused("--temp", "-0.5", "at least 0");
    expect_refused("--temp", "inf", "at least 0");
    expect_refused("--temp", "0.8x", "at least 0");
    expect_refused("--top-k", "1.5", "whole number");
    expect_refused("--repeat-penalty", "0", "above 0");
    expect_refused("--mirostat", "3", "--mirostat takes a whole number from 0 to 2");
    expect_refused("--mirostat-tau", "-1", "at least 0");
    expect_refused("--typical", "1.5", "above 0, at most 1");
    expect_refused("--top-n-sigma", "nan", "at least 0");
    expect_refused("--xtc-threshold", "0.6", "at most 0.5");
    expect_refused("--presence-penalty", "-101", "from -100 to 100");
    expect_refused("--dry-base", "0.5", "at least 1");
    expect_refused("--adaptive-decay", "1", "from 0 to 0.99");
    expect_refused("--dynatemp-range", "-1", "at least 0");
    expect_refused("--seed", "18446744073709551616", "whole number");
    expect_refused("--seed", "", "whole number");
}

TEST_F(Usage, NamesThatNobodyKnowsAreRefused) {
    EXPECT_EQ(error_of({"-m", tiny(), "-p", "the", "--isa", "abacus"}, 2)["code"], "unsupported_isa");
    EXPECT_EQ(error_of({"-m", tiny(), "-p", "the"}, 2, {.environment = {"PUNA_ISA=abacus"}})["code"],
              "unsupported_isa");
    EXPECT_EQ(error_of({"-m", tiny(), "-p", "the", "--activations", "int3"}, 2)["code"], "invalid_argument");
    EXPECT_EQ(error_of({"-m", tiny(), "-p", "the", "--isa", "generic", "--activations", "bf16"}, 2)["code"],
              "unsupported_activations");
    EXPECT_EQ(error_of({"-m", tiny(), "-p", "the", "--kv-type", "f8"}, 2)["code"], "invalid_argument");
    EXPECT_EQ(error_of({"show", tiny(), "--kv-type", "f8"}, 2)["code"], "invalid_argument");
    EXPECT_THAT(error_of({"-m", tiny(), "-p", "the", "--kv-type", "q8_0"}, 2)["message"],
                HasSubstr("heads of a multiple of 32"));
    EXPECT_THAT(error_of({"show", tiny(), "--kv-type", "q8_0"}, 2)["message"], HasSubstr("heads of a multiple of 32"));
    EXPECT_EQ(error_of({"perplexity", "-m", tiny(), "-p", "the", "--kl-to", "int3"}, 2)["code"], "invalid_argument");
}

TEST_F(Usage, FlagsThatContradictAreRefused) {
    EXPECT_THAT(error_of({"-m", tiny(), "-p", "the", "--float16", "--kv-type", "f32"}, 2)["message"],
                HasSubstr("--float16"));
    EXPECT_EQ(error_of({"-m", tiny(), "-p", "-", "-f", "-"}, 2)["code"], "invalid_argument");
    EXPECT_EQ(error_of({"tokenize", "-m", tiny(), "-p", "the", "--decode", "1"}, 2)["code"], "invalid_argument");
    EXPECT_EQ(error_of({"bench", "-m", tiny(), "-p", "0", "-n", "0"}, 2)["code"], "invalid_argument");
    const Outcome outcome = run_puna({"-m", tiny(), "-p", "the", "--logprobs", "2"});
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_THAT(outcome.err, HasSubstr("--json"));
}

TEST_F(Usage, FileWithoutPlaceholderBesideAPromptIsRefused) {
    const std::string plain = folder_.write("plain.txt", std::string_view("the\n"));
    EXPECT_THAT(error_of({"-m", tiny(), "-f", plain, "-p", "an"}, 2)["message"], HasSubstr("{{PROMPT}}"));
}

TEST_F(Usage, TokenBiasIsChecked) {
    for (const char* value : {"", "5", "5=", "=1", "5=nan", "-1=2", "5=1,5=2", "99999=1"}) {
        EXPECT_EQ(error_of({"-m", tiny(), "-p", "the", "-n", "1", "--token-bias", value}, 2)["code"],
                  "invalid_argument")
            << value;
    }
}

TEST_F(Usage, TheOrderOfTheSamplersIsChecked) {
    for (const char* value : {"", "heat", "top-k,top-k", "top-k,,min-p", "top_k"}) {
        const Json error = error_of({"-m", tiny(), "-p", "the", "-n", "1", "--samplers", value}, 2);
        EXPECT_THAT(error["hint"],
                    HasSubstr("penalties, dry, top-n-sigma, top-k, typical, top-p, min-p, xtc, temperature"))
            << value;
    }
    EXPECT_THAT(error_of({"-m", tiny(), "-p", "the", "-n", "1", "--samplers", "top-k", "--min-p", "0.1"}, 2)["message"],
                HasSubstr("samplers leaves min-p out"));
    EXPECT_THAT(error_of({"-m", tiny(), "-p", "the", "-n", "1", "--mirostat", "2", "--top-p", "0.95"}, 2)["message"],
                HasSubstr("--top-p is given, and mirostat cuts by itself"));
    // The order makes a difference, and negative penalties are taken.
    const std::vector<std::string> flags = {
        "-m", tiny(), "-p", "the", "-n", "40", "--temp", "3", "--top-p", "0.3", "--seed", "1", "--presence-penalty",
        "-1"};
    std::vector<std::string> other = flags;
    other.insert(other.end(), {"--samplers", "penalties,temperature,top-k,top-p"});
    EXPECT_NE(json_of(flags)["ids"], json_of(other)["ids"]);
}

TEST_F(Usage, UnknownFlagsSuggestTheNearest) {
    EXPECT_THAT(error_of({"run", "--tmep", "0.5"}, 2)["hint"], HasSubstr("--temp"));
    EXPECT_THAT(error_of({"--num-predct=5"}, 2)["hint"], HasSubstr("--num-predict"));
    EXPECT_THAT(error_of({"run", "--threads", "2"}, 2)["message"], HasSubstr("--threads"));
    EXPECT_THAT(error_of({"run", "--zebra"}, 2)["hint"], HasSubstr("--help"));
    EXPECT_THAT(error_of({"shwo", "x.gguf"}, 2)["hint"], HasSubstr("show"));
}

TEST_F(Usage, WordsWithoutAFlagAreRefused) {
    const Json error = error_of({"run", "-m", tiny(), "-p", "the", "llama"}, 2);
    EXPECT_THAT(error["message"], HasSubstr("'llama'"));
    EXPECT_THAT(error["hint"], HasSubstr("quotes"));
}

TEST_F(Usage, WhatIsMissingIsNamed) {
    EXPECT_THAT(error_of({"run", "-p", "the"}, 2)["hint"], HasSubstr("-m"));
    EXPECT_THAT(error_of({"run", "-m", tiny()}, 2)["hint"], HasSubstr("-p"));  // stdin is empty
    EXPECT_THAT(error_of({"show"}, 2)["message"], HasSubstr("no model"));
    const Outcome outcome = run_puna({"run", "-m", tiny(), "-n"});
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_THAT(outcome.err, HasSubstr("--num-predict needs a value"));
}

TEST_F(Usage, FlagsGivenTwiceAreRefused) {
    EXPECT_THAT(error_of({"run", "-n", "1", "-n", "2"}, 2)["message"], HasSubstr("--num-predict"));
}

TEST_F(Usage, ErrorsForPeopleGoToStderr) {
    const Outcome outcome = run_puna({"run", "--tmep", "1"});
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_EQ(outcome.out, "");
    EXPECT_EQ(outcome.err, "puna: error: unknown flag '--tmep'\npuna: hint: did you mean --temp?\n");
}

TEST_F(Usage, MessagesHoldNoControlCharacters) {
    const Outcome outcome = run_puna({"run", "--\x1B[31mred"});
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_EQ(outcome.err.find('\x1B'), std::string::npos);
}

TEST_F(Usage, AloneItSaysHowToUseIt) {
    const Outcome outcome = run_puna({});
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_EQ(outcome.out, "");
    EXPECT_THAT(outcome.err, HasSubstr("Usage: puna"));
}

TEST_F(Usage, HelpAndVersionAreAnswers) {
    for (const std::vector<std::string>& arguments : {std::vector<std::string>{"--help"},
                                                      {"-h"},
                                                      {"help"},
                                                      {"help", "bench"},
                                                      {"run", "--help"},
                                                      {"show", "-h"},
                                                      {"tokenize", "--help"},
                                                      {"perplexity", "--help"},
                                                      {"doctor", "--help"}}) {
        const Outcome outcome = run_puna(arguments);
        EXPECT_EQ(outcome.exit_code, 0);
        EXPECT_THAT(outcome.out, HasSubstr("Usage: puna"));
        EXPECT_EQ(outcome.err, "");
    }
    for (const std::vector<std::string>& arguments :
         {std::vector<std::string>{"--version"}, {"run", "--version"}, {"-m", "x", "--version"}}) {
        const Outcome outcome = run_puna(arguments);
        EXPECT_EQ(outcome.exit_code, 0);
        EXPECT_THAT(outcome.out, testing::StartsWith("puna "));
    }
}

TEST_F(Usage, EveryFlagOfRunIsInItsHelp) {
    const std::string help = run_puna({"run", "--help"}).out;
    for (const char* flag : {"-m, --model-path",
                             "-p, --prompt",
                             "-f, --prompt-file",
                             "-t, --num-threads",
                             "-n, --num-predict",
                             "--num-ctx-tokens",
                             "--batch-size",
                             "--repeat-last-n",
                             "--repeat-penalty",
                             "--temp",
                             "--top-k",
                             "--top-p",
                             "--seed",
                             "--float16",
                             "--token-bias",
                             "--ignore-eos",
                             "--dump-prompt-tokens",
                             "--min-p",
                             "--typical",
                             "--top-n-sigma",
                             "--xtc-probability",
                             "--frequency-penalty",
                             "--dry-multiplier",
                             "--dry-breaker",
                             "--mirostat",
                             "--adaptive-target",
                             "--dynatemp-range",
                             "--samplers",
                             "--stop",
                             "--grammar",
                             "--json-schema",
                             "--regex",
                             "--logprobs",
                             "--echo",
                             "--special",
                             "--parse-special",
                             "--no-bos",
                             "--activations",
                             "--kv-type",
                             "--isa",
                             "--version",
                             "--json",
                             "--save-session",
                             "--load-session",
                             "--persist-session",
                             "--repl"}) {
        EXPECT_THAT(help, HasSubstr(flag));
    }
}

}  // namespace
}  // namespace puna::cli
