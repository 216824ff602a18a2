// puna run: what goes in, and what comes out.
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>

#include "base/cpu.h"
#include "cli/fixture.h"

namespace puna::cli {
namespace {

using testing::HasSubstr;

const std::string question = "The capital of France is";

class Run : public CommandLine {};

TEST_F(Run, PrintsTheAnswerOnStdoutAndTheSummaryOnStderr) {
    const Outcome outcome = run_puna({"run", "-m", demo(), "-p", question, "-n", "8", "--temp", "0"});
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_THAT(outcome.out, HasSubstr("Paris"));
    EXPECT_THAT(outcome.out, Not(HasSubstr(question)));
    EXPECT_FALSE(outcome.out.ends_with('\n'));  // stdout is no terminal: the model's text alone
    EXPECT_THAT(outcome.err, HasSubstr("tokens/s"));
    EXPECT_THAT(outcome.err, HasSubstr("first token after"));
}

TEST_F(Run, OneTokenHasNoSpeed) {
    const Outcome outcome = run_puna({"run", "-m", tiny(), "-p", "ab", "-n", "1", "--ignore-eos"});
    EXPECT_THAT(outcome.err, HasSubstr("; generated 1 token; first token after"));
}

TEST_F(Run, IsTheDefaultCommand) {
    const std::vector<std::string> flags = {"-m", demo(), "-p", question, "-n", "8", "--temp", "0"};
    std::vector<std::string> with_name = flags;
    with_name.insert(with_name.begin(), "run");
    EXPECT_EQ(run_puna(flags).out, run_puna(with_name).out);
}

TEST_F(Run, JsonHasItsShape) {
    const Json json = json_of({"run", "-m", demo(), "-p", question, "-n", "6", "--seed", "7", "-t", "1"});
    EXPECT_TRUE(json["text"].is_string());
    EXPECT_EQ(json["ids"].size(), 6U);
    EXPECT_EQ(json["finish_reason"], "length");
    EXPECT_EQ(json["seed"], 7);
    EXPECT_EQ(json["threads"], 1);
    EXPECT_TRUE(json["kernels"].is_string());
    EXPECT_EQ(json["activations"], "int16");
    EXPECT_EQ(json["kv"], "f16");
    EXPECT_EQ(json["law"], "int/1");
    EXPECT_FALSE(json.contains("logprobs"));
    for (const char* name : {"load_ms", "prompt_ms", "predicted_ms", "first_token_ms"}) {
        EXPECT_TRUE(json["timings"][name].is_number()) << name;
    }
    EXPECT_EQ(json["timings"]["prompt_tokens"], json["prompt_ids"].size());
    EXPECT_EQ(json["timings"]["predicted_tokens"], 6);

    const Json again = json_of({"run", "-m", demo(), "-p", question, "-n", "6", "--seed", "7", "-t", "2"});
    EXPECT_EQ(again["ids"], json["ids"]);
    EXPECT_EQ(again["text"], json["text"]);
}

TEST_F(Run, PromptIdsHoldTheBeginTokenUnlessToldNot) {
    const Json with = json_of({"-m", tiny(), "-p", "the", "-n", "1"});
    const Json without = json_of({"-m", tiny(), "-p", "the", "-n", "1", "--no-bos"});
    ASSERT_EQ(with["prompt_ids"].size(), without["prompt_ids"].size() + 1);
    EXPECT_EQ(with["prompt_ids"][0], 1);
}

TEST_F(Run, ReportsTheSeedThatItDrew) {
    const Json json = json_of({"-m", tiny(), "-p", "the", "-n", "8"});
    const Json again =
        json_of({"-m", tiny(), "-p", "the", "-n", "8", "--seed", std::to_string(json["seed"].get<std::uint64_t>())});
    EXPECT_EQ(json["ids"], again["ids"]);
}

TEST_F(Run, LogprobsHaveOneEntryForEachId) {
    const Json json = json_of({"-m", demo(), "-p", question, "-n", "4", "--temp", "0", "--logprobs", "3"});
    ASSERT_EQ(json["logprobs"].size(), json["ids"].size());
    for (std::size_t i = 0; i < json["ids"].size(); ++i) {
        const Json& entry = json["logprobs"][i];
        EXPECT_EQ(entry["id"], json["ids"][i]);
        ASSERT_EQ(entry["top"].size(), 3U);
        EXPECT_EQ(entry["top"][0]["id"], entry["id"]);  // temperature 0 takes the first
        EXPECT_EQ(entry["top"][0]["logprob"], entry["logprob"]);
        for (std::size_t j = 1; j < 3; ++j) {
            EXPECT_LE(entry["top"][j]["logprob"].get<double>(), entry["top"][j - 1]["logprob"].get<double>());
        }
        const double value = entry["logprob"];
        const double unit = std::pow(10.0, std::floor(std::log10(std::abs(value))) - 8);
        EXPECT_NEAR(value / unit, std::round(value / unit), 1e-4);  // 9 significant digits
        EXPECT_LE(value, 0);
    }
}

TEST_F(Run, LogprobsOfNoAlternativesHaveAnEmptyTop) {
    const Json json = json_of({"-m", tiny(), "-p", "the", "-n", "2", "--logprobs", "0"});
    ASSERT_EQ(json["logprobs"].size(), 2U);
    EXPECT_EQ(json["logprobs"][0]["top"], Json::array());
}

TEST_F(Run, StopEndsBeforeTheText) {
    const Json json =
        json_of({"-m", demo(), "-p", question, "-n", "8", "--temp", "0", "--stop", "nowhere", "--stop", "Paris"});
    EXPECT_EQ(json["finish_reason"], "stop");
    EXPECT_EQ(json["text"], " ");
}

TEST_F(Run, TokenBiasIsAddedToTheLogit) {
    const Json json = json_of({"-m", tiny(), "-p", "the", "-n", "3", "--temp", "0", "--token-bias", "70=1e4,71=-1e4"});
    EXPECT_EQ(json["ids"], (Json{70, 70, 70}));
}

TEST_F(Run, IgnoreEosNeverSamplesAnEndToken) {
    const std::vector<std::string> flags = {"-m", tiny(),   "-p", "the",          "-n",
                                            "3",  "--temp", "0",  "--token-bias", "2=1e4"};
    const Json ended = json_of(flags);
    EXPECT_EQ(ended["finish_reason"], "stop");
    EXPECT_EQ(ended["ids"], Json{2});  // the end token is among the ids
    EXPECT_EQ(ended["text"], "");
    std::vector<std::string> ignoring = flags;
    ignoring.emplace_back("--ignore-eos");
    const Json json = json_of(ignoring);
    EXPECT_EQ(json["finish_reason"], "length");
    EXPECT_EQ(json["ids"].size(), 3U);
}

TEST_F(Run, SpecialPrintsControlTokens) {
    const std::vector<std::string> flags = {"-m", tiny(),   "-p", "the",          "-n",
                                            "3",  "--temp", "0",  "--token-bias", "2=1e4"};
    std::vector<std::string> special = flags;
    special.emplace_back("--special");
    EXPECT_EQ(run_puna(flags).out, "");
    EXPECT_EQ(run_puna(special).out, "</s>");
}

TEST_F(Run, ParseSpecialReadsControlTokensInThePrompt) {
    const std::string text = "<|im_start|>user";
    const Json as_text = json_of({"-m", demo(), "-p", text, "-n", "1"});
    const Json as_tokens = json_of({"-m", demo(), "-p", text, "-n", "1", "--parse-special"});
    EXPECT_EQ(as_tokens["prompt_ids"].size(), 2U);
    EXPECT_GT(as_text["prompt_ids"].size(), 2U);
}

TEST_F(Run, EchoPrintsThePromptFirst) {
    const std::vector<std::string> flags = {"-m", demo(), "-p", question, "-n", "4", "--temp", "0"};
    std::vector<std::string> echo = flags;
    echo.emplace_back("--echo");
    EXPECT_EQ(run_puna(echo).out, question + run_puna(flags).out);
}

TEST_F(Run, PromptFileLosesOneNewlineAndTakesThePrompt) {
    const Json expected = json_of({"-m", tiny(), "-p", "A: the?\n", "-n", "1"})["prompt_ids"];
    const std::string plain = folder_.write("plain.txt", std::string_view("A: the?\n\n"));
    EXPECT_EQ(json_of({"-m", tiny(), "-f", plain, "-n", "1"})["prompt_ids"], expected);
    const std::string form = folder_.write("form.txt", std::string_view("A: {{PROMPT}}?\n\n"));
    EXPECT_EQ(json_of({"-m", tiny(), "-f", form, "-p", "the", "-n", "1"})["prompt_ids"], expected);
    EXPECT_EQ(json_of({"-m", tiny(), "-f", form, "-p", "-", "-n", "1"}, {.input = "the\n"})["prompt_ids"], expected);
}

TEST_F(Run, PromptIsNotSearchedForPlaceholdersItself) {
    const std::string form = folder_.write("form.txt", std::string_view("[{{PROMPT}}]"));
    const Json expected = json_of({"-m", tiny(), "-p", "[{{PROMPT}}]", "-n", "1"})["prompt_ids"];
    EXPECT_EQ(json_of({"-m", tiny(), "-f", form, "-p", "{{PROMPT}}", "-n", "1"})["prompt_ids"], expected);
}

TEST_F(Run, StandardInputIsThePrompt) {
    const Json expected = json_of({"-m", tiny(), "-p", "the", "-n", "1"})["prompt_ids"];
    EXPECT_EQ(json_of({"-m", tiny(), "-p", "-", "-n", "1"}, {.input = "the"})["prompt_ids"], expected);
    EXPECT_EQ(json_of({"-m", tiny(), "-n", "1"}, {.input = "the\n"})["prompt_ids"], expected);
}

TEST_F(Run, PromptMayBeginWithADash) {
    const Json json = json_of({"-m", tiny(), "-n", "1", "--no-bos", "-p", "--the"});
    EXPECT_EQ(json["prompt_ids"], json_of({"tokenize", "-m", tiny(), "--no-bos", "-p", "--the"})["ids"]);
}

TEST_F(Run, DumpsPromptTokensOnStderrAndGoesOn) {
    const Outcome outcome = run_puna(
        {"-m", tiny(), "-p", "the", "-n", "2", "--token-bias", "70=1e4", "--temp", "0", "--dump-prompt-tokens"});
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_EQ(outcome.out, "CC");  // token 70 is the byte 0x43
    const Json ids = json_of({"tokenize", "-m", tiny(), "-p", "the"})["ids"];
    std::string line;
    for (const Json& id : ids) {
        if (!line.empty()) line += ", ";
        line += id.dump();
    }
    EXPECT_THAT(outcome.err, HasSubstr(line + "\n"));
    EXPECT_THAT(outcome.err, HasSubstr("\"<s>\": 1"));
}

TEST_F(Run, PutsNoMoreThreadsToWorkThanThereAreCores) {
    const Outcome outcome = run_puna({"run", "-m", tiny(), "-p", "the", "-n", "2", "-t", "1024"});
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_THAT(outcome.err, HasSubstr("-t 1024: this process has "));
    EXPECT_EQ(outcome.err.find("-t 1024"), outcome.err.rfind("-t 1024")) << "told twice";
}

TEST_F(Run, ComputesAsAsked) {
    const Json json = json_of({"-m", tiny(), "-p", "the", "-n", "2", "--activations", "float32", "--kv-type", "f32",
                               "--isa", "generic", "-t", "2"});
    EXPECT_EQ(json["activations"], "float32");
    EXPECT_EQ(json["kv"], "f32");
    EXPECT_EQ(json["kernels"], "generic");
    EXPECT_EQ(json["law"], "f32/1");
    EXPECT_EQ(json["threads"], std::min(2U, base::usable_cores()));
    EXPECT_EQ(json_of({"-m", tiny(), "-p", "the", "-n", "1"}, {.environment = {"PUNA_ISA=generic"}})["kernels"],
              "generic");
    EXPECT_EQ(json_of({"-m", tiny(), "-p", "the", "-n", "1", "--float16"})["kv"], "f16");
    EXPECT_EQ(json_of({"-m", tiny(), "-p", "the", "-n", "1", "--float16", "--kv-type", "f16"})["kv"], "f16");
}

TEST_F(Run, NoTokensAreAnAnswerToo) {
    const Json json = json_of({"-m", tiny(), "-p", "the", "-n", "0"});
    EXPECT_EQ(json["ids"], Json::array());
    EXPECT_EQ(json["finish_reason"], "length");
    EXPECT_EQ(json["text"], "");
}

TEST_F(Run, BytesThatAreNotUtf8DoNotBreakTheJson) {
    const Json json = json_of({"-m", tiny(), "-p", "\xFF\xC3", "-n", "4", "--echo"});
    EXPECT_TRUE(json["prompt"].is_string());
    EXPECT_EQ(json["ids"].size(), 4U);
}

TEST_F(Run, AConstraintIsKept) {
    const Json regex = json_of({"-m", demo(), "-p", "Llamas live in", "--regex", "[A-Z]{2}-[0-9]{2,4}", "--seed", "1"});
    EXPECT_THAT(regex["text"].get<std::string>(), testing::MatchesRegex("[A-Z][A-Z]-[0-9][0-9]+"));
    EXPECT_EQ(regex["finish_reason"], "stop");
    const std::string grammar = folder_.write("answer.gbnf", "root ::= (\"yes\" | \"no\") \"!\"\n");
    const Outcome outcome = run_puna({"-m", tiny(), "-p", "the", "--grammar", grammar, "--temp", "1.5"});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_THAT(outcome.out, testing::AnyOf("yes!", "no!"));
    const std::string schema = folder_.write(
        "schema.json",
        R"({"type":"object","properties":{"n":{"type":"integer","minimum":3,"maximum":4}},"required":["n"]})");
    const Json object =
        Json::parse(json_of({"-m", demo(), "-p", "A number:", "--json-schema", schema})["text"].get<std::string>());
    EXPECT_THAT(object["n"].get<int>(), testing::AnyOf(3, 4));
}

TEST_F(Run, AConstraintThatIsNoneIsAnErrorBeforeTheAnswer) {
    EXPECT_EQ(error_of({"-m", tiny(), "-p", "the", "--regex", "("}, 2)["code"], "invalid_argument");
    EXPECT_EQ(error_of({"-m", tiny(), "-p", "the", "--grammar", folder_.write("bad", "root = x")}, 2)["code"],
              "invalid_argument");
    EXPECT_EQ(error_of({"-m", tiny(), "-p", "the", "--grammar", "/no/such/file"}, 3)["code"], "file_not_found");
    EXPECT_EQ(error_of({"-m", tiny(), "-p", "the", "--grammar", "x", "--regex", "x"}, 2)["code"], "invalid_argument");
    const Json refused =
        error_of({"-m", tiny(), "-p", "the", "--json-schema", folder_.write("not", R"({"not":{}})")}, 2);
    EXPECT_THAT(refused["message"].get<std::string>(), HasSubstr("'not'"));
    EXPECT_EQ(error_of({"-m", tiny(), "-p", "-", "--grammar", "-"}, 2)["code"], "invalid_argument");
}

}  // namespace
}  // namespace puna::cli
