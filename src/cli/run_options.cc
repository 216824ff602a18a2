#include "cli/run_options.h"

#include <fmt/format.h>

#include <limits>

#include "base/try.h"

namespace puna::cli {
void RunOptions::declare(Flags& flags) {
    flags.section("Model and prompt");
    declare_model(flags, model);
    source.declare(flags);
    flags.flag("--parse-special", parse_special, "Read <|...|> and the like in the prompt as control tokens.");
    flags.flag("--no-bos", no_bos, "Do not put the begin token first.");
    flags.flag("--dump-prompt-tokens", dump_prompt_tokens, "Print the prompt's token ids and pieces on stderr.");

    flags.section("How much");
    flags.integer("-n,--num-predict", "N", {0, std::numeric_limits<std::int32_t>::max()}, max_tokens,
                  "At most N tokens (default: until an end token, or the context is full).");
    flags.integer("--num-ctx-tokens", "N", {1, std::numeric_limits<std::int32_t>::max()}, context_tokens,
                  "Size of the context (default: the model's, less if memory is short).");
    flags.texts("--stop", "TEXT", stop, "End before this text; may be given several times.");

    sampling.declare(flags);

    constraint_flags.declare(flags, "Constraints: the text matches, or there is an error", "the whole text");

    flags.section("Output");
    flags.flag("--echo", echo, "Print the prompt first.");
    flags.flag("--special", special, "Print control tokens too.");
    flags.flag("--json", json, "Print one JSON object in place of the text.");
    flags.integer("--logprobs", "N", {0, std::numeric_limits<std::int32_t>::max()}, logprobs,
                  "With --json: each token's log-probability, and the N best beside it.");

    compute.declare(flags);
    flags.flag("--float16", float16, "The same as --kv-type f16.");

    session.declare(flags);
    flags.flag(
        "-R,--repl", repl,
        "Read turns, a line each, and go on after each reply; {{PROMPT}} in the file of -f stands for the line.");
    flags.text("--when-full", "POLICY", when_full,
               "With --repl, when the context is full: error (default), or shift: the oldest tokens make room.");
    legacy.declare(flags);

    flags.example("puna run -m model.gguf -p \"The capital of France is\" -n 8 --temp 0", "the most probable words");
    flags.example("puna run -m model.gguf -f template.txt -p \"Ana and the llama\" --seed 7",
                  "a template file that holds {{PROMPT}}");
    flags.example("puna run -m model.gguf -p \"The year of the moon landing: \" --regex \"[0-9]{4}\"",
                  "a number, and the end");
    flags.example("puna run -m model.gguf --repl -f examples/alpaca_prompt.txt",
                  "turns, each put into the file's text");
    flags.example("git log -1 | puna -m model.gguf --stop $'\\n' --json", "text through a pipe, the answer as JSON");
}

Result<void> RunOptions::check() {
    if (when_full != "error" && when_full != "shift")
        return usage_error(fmt::format("--when-full takes error or shift, not '{}'", when_full), "");
    if (!repl && when_full != "error") return usage_error("--when-full is about turns", "add --repl");
    if (repl && (echo || logprobs || session.reuse != "append"))
        return usage_error("--echo, --logprobs and --session-reuse prefix do not go with --repl", "leave them away");
    PUNA_CHECK(session.check());
    if (float16) {
        if (compute.kv_type.value_or("f16") != "f16") {
            return usage_error(fmt::format("--float16 means --kv-type f16, but --kv-type is '{}'", *compute.kv_type),
                               "give one of them");
        }
        compute.kv_type = "f16";
    }
    if (logprobs && !json) return usage_error("--logprobs is part of the JSON output", "add --json");
    for (const std::string& text : stop) {
        if (text.empty()) return usage_error("--stop takes a text, not an empty one", "leave it away");
    }
    PUNA_TRY(constraint, constraint_flags.read(source.reads_standard_input()));
    return sampling.check();
}

Request RunOptions::request(std::string prompt) const {
    Request request;
    request.prompt = std::move(prompt);
    request.encode = {.add_bos = !no_bos, .parse_special = parse_special};
    request.decode = {.special = special};
    request.max_tokens = max_tokens;
    request.sampling = sampling.options();
    request.stop = stop;
    request.logprobs = logprobs;
    request.constraint = constraint;
    return request;
}

}  // namespace puna::cli
