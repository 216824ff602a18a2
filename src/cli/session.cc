// puna session: what a session's file holds, whether it is whole, and its end.
#include "puna/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>

#include "base/system_error.h"
#include "base/try.h"
#include "cli/commands.h"
#include "cli/compute_flags.h"
#include "cli/exit_code.h"
#include "cli/ready_model.h"
#include "cli/sampling_parameters.h"
#include "cli/target_file.h"
#include "cli/transcript.h"
#include "cli/units.h"
#include "puna/model.h"
#include "puna/request.h"

namespace puna::cli {
namespace {

/// Null if the file is not compressed.
Json compressed_bytes(const SessionInfo& info) {
    return info.compressed_bytes > 0 ? Json(info.compressed_bytes) : Json();
}

std::string size_words(const SessionInfo& info) {
    if (info.compressed_bytes == 0) return bytes_words(info.bytes);
    return fmt::format("{}, compressed by zstd; {} without", bytes_words(info.compressed_bytes),
                       bytes_words(info.bytes));
}

Json to_json(const Session& session) {
    const SessionInfo info = session.info();
    const SamplingOptions& sampling = session.sampling();
    Json json;
    json["model"] = {{"architecture", info.architecture},         {"block_count", info.block_count},
                     {"embedding_length", info.embedding_length}, {"head_count_kv", info.head_count_kv},
                     {"head_dimension", info.head_dimension},     {"vocabulary", info.vocabulary_tokens}};
    json["law"] = info.law;
    json["kv"] = info.kv_type;
    json["kernels"] = info.kernels;
    json["tokens"] = info.tokens;
    json["evaluated"] = info.evaluated;
    json["logits"] = info.has_logits;
    json["sampling"] = {{"seed", sampling.seed.value_or(0)}, {"draws", info.draws}};
    for (const SamplingParameter& parameter : sampling_parameters())
        json["sampling"][std::string(parameter.key)] = parameter.json(sampling);
    json["sampling"]["dry_breakers"] = sampling.dry_breakers;
    json["sampling"]["samplers"] = Json::array();
    for (const SamplingStep step : sampling.samplers)
        json["sampling"]["samplers"].push_back(sampling_step_name(step));
    const SamplerState& state = session.sampler_state();
    json["sampling"]["mirostat_mu"] = state.mirostat_mu ? Json(*state.mirostat_mu) : Json();
    json["sampling"]["ignore_end"] = sampling.ignore_end;
    json["sampling"]["logit_bias"] = Json::object();
    for (const auto& [id, bias] : sampling.logit_bias)
        json["sampling"]["logit_bias"][std::to_string(id)] = nine_digits(bias);
    json["attachment_bytes"] = session.attachment().size();
    json["bytes"] = info.bytes;
    json["compressed_bytes"] = compressed_bytes(info);
    return json;
}

/// The four that everyone sets, and those that are not at their defaults.
std::string parameters_words(const SamplingOptions& sampling) {
    constexpr std::array<std::string_view, 4> always = {"temp", "top-k", "top-p", "min-p"};
    std::string words;
    for (const SamplingParameter& parameter : sampling_parameters()) {
        const std::string value = parameter.show(sampling);
        if (value == parameter.show({}) && std::ranges::find(always, parameter.name) == always.end()) continue;
        words += fmt::format("; {} {}", parameter.name, value);
    }
    if (!sampling.samplers.empty()) words += fmt::format("; samplers {}", samplers_words(sampling.samplers));
    return words;
}

std::string to_text(const Session& session) {
    const SessionInfo info = session.info();
    const SamplingOptions& sampling = session.sampling();
    std::string text;
    const auto line = [&](std::string_view name, const std::string& value) {
        text += fmt::format("{:<14}{}\n", name, value);
    };
    line("model",
         fmt::format("{}: {} layers, width {}, {} KV heads of {}, {} tokens", info.architecture, info.block_count,
                     info.embedding_length, info.head_count_kv, info.head_dimension, info.vocabulary_tokens));
    line("computed", fmt::format("by the law {}, kernels {}", info.law, info.kernels));
    line("tokens", fmt::format("{}, of which {} evaluated; {} logits", info.tokens, info.evaluated,
                               info.has_logits ? "with" : "without"));
    line("keys, values", info.kv_type);
    line("sampling", fmt::format("seed {}, {} draws{}{}{}", sampling.seed.value_or(0), info.draws,
                                 parameters_words(sampling), sampling.logit_bias.empty() ? "" : "; with a token bias",
                                 sampling.ignore_end ? "; end tokens never" : ""));
    if (!session.attachment().empty()) line("attachment", bytes_words(session.attachment().size()));
    line("size", size_words(info));
    return text;
}

class SessionCommand : public Command {
  public:
    void declare(Flags& flags) override {
        flags.positional(
            "ACTION", action_,
            "show: what it holds. verify: read it whole and check every byte. rm: remove the file. import: "
            "make a session of a snapshot of LLaMA-rs.");
        flags.positional("FILE", file_, "The session, or the snapshot.");
        flags.section("Import");
        flags.text("-o", "FILE", target_, "The session to write.");
        flags.flag("--force", force_, "Replace it if it exists.");
        flags.section("Output");
        flags.text("-m,--model-path", "FILE", model_,
                   "With show: print the session's text too, by this model's tokens. With import: the model that the "
                   "snapshot was made with.");
        flags.flag("--json", json_, "Print one JSON object.");
        flags.example("puna session show talk.session -m model.gguf", "what it holds, and its text");
    }

    Result<int> execute(Output& output) override {
        if (!action_ || !file_) {
            return Error{ErrorCode::invalid_argument, "an action and a file are needed",
                         "puna session show FILE, and verify, rm or import in the place of show"};
        }
        if (*action_ == "show") return show(output);
        if (*action_ == "verify") return verify(output);
        if (*action_ == "rm") return remove(output);
        if (*action_ == "import") return import_snapshot(output);
        return Error{ErrorCode::invalid_argument, fmt::format("'{}' is no action", *action_),
                     "there are show, verify, rm and import"};
    }

  private:
    Result<int> show(Output& output) const {
        PUNA_TRY(const Session session, Session::load(*file_));
        std::optional<std::string> text;
        if (model_) {
            PUNA_TRY(const std::string path, required_model(model_));
            PUNA_TRY(const Model model, Model::load(path));
            PUNA_CHECK(session.check_model(model));
            PUNA_TRY(text, model.decode(session.tokens(), {.special = true}));
        }
        if (json_) {
            Json json = to_json(session);
            if (text) json["text"] = *text;
            PUNA_CHECK(output.write_line(json_line(json)));
            return exit_ok;
        }
        PUNA_CHECK(output.write(to_text(session)));
        if (text) PUNA_CHECK(output.write(fmt::format("\n{}\n", *text)));
        return exit_ok;
    }

    Result<int> verify(Output& output) const {
        PUNA_TRY(const Session session, Session::load(*file_));
        const SessionInfo info = session.info();
        if (json_) {
            const Json json = {{"whole", true}, {"bytes", info.bytes}, {"compressed_bytes", compressed_bytes(info)}};
            PUNA_CHECK(output.write_line(json_line(json)));
        } else {
            PUNA_CHECK(output.write_line(fmt::format("whole: {}; every byte of it checked", size_words(info))));
        }
        return exit_ok;
    }

    Result<int> remove(Output& output) const {
        // Whatever is not a session stays; one that is damaged may go.
        const auto session = Session::load(*file_);
        if (!session.ok() && session.error().code != ErrorCode::file_malformed) return session.error();
        if (std::remove(file_->c_str()) != 0) return base::system_error(ErrorCode::io_error, "remove", *file_, errno);
        if (json_) PUNA_CHECK(output.write_line(json_line(Json{{"removed", *file_}})));
        return exit_ok;
    }

    /// The tokens are evaluated anew, so that the session is like one of our own.
    Result<int> import_snapshot(Output& output) const {
        if (!target_) return Error{ErrorCode::invalid_argument, "no file to write is given", "add -o FILE"};
        PUNA_TRY(const std::string path, required_model(model_));
        PUNA_CHECK(check_target(*target_, force_));
        PUNA_TRY(ReadyModel ready, make_ready(path, {}, {}, {}));
        PUNA_TRY(std::vector<TokenId> tokens, Session::read_llama_rs(*file_, ready.model));
        note(fmt::format(
            "{} tokens; the snapshot does not say of which model it is: its sizes fit this one, and keys and "
            "values are computed anew",
            tokens.size()));
        Request request;
        request.prompt = std::move(tokens);
        request.max_tokens = 0;
        request.keep_session = true;
        PUNA_TRY(Stream stream, ready.engine.submit(std::move(request)));
        PUNA_TRY(const Transcript transcript, follow(stream, {}));
        if (!transcript.finished.session) return Error{ErrorCode::cancelled, "the session was not made", ""};
        PUNA_CHECK(transcript.finished.session->save(*target_));
        const SessionInfo info = transcript.finished.session->info();
        if (json_) {
            PUNA_CHECK(output.write_line(json_line(Json{{"tokens", info.tokens}, {"bytes", info.bytes}})));
        } else {
            note(fmt::format("{}: {} tokens, {}", *target_, info.tokens, bytes_words(info.bytes)));
        }
        return exit_ok;
    }

    std::optional<std::string> action_;
    std::optional<std::string> file_;
    std::optional<std::string> model_;
    std::optional<std::string> target_;
    bool force_ = false;
    bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_session_command() {
    return std::make_unique<SessionCommand>();
}

}  // namespace puna::cli
