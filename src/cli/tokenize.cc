// puna tokenize: the ids of a text as `puna run` would make them, and the way back.
#include <fmt/format.h>

#include <limits>

#include "base/try.h"
#include "cli/commands.h"
#include "cli/compute_flags.h"
#include "cli/exit_code.h"
#include "cli/prompt_source.h"
#include "puna/model.h"

namespace puna::cli {
namespace {

class TokenizeCommand : public Command {
  public:
    void declare(Flags& flags) override;
    Result<int> execute(Output& output) override;

  private:
    Result<int> encode(const Model& model, Output& output) const;
    Result<int> decode(const Model& model, Output& output) const;

    std::optional<std::string> model_;
    PromptSource source_;
    std::optional<std::string> decode_;
    bool parse_special_ = false;
    bool no_bos_ = false;
    bool special_ = false;
    bool json_ = false;
};

void TokenizeCommand::declare(Flags& flags) {
    flags.section("Input");
    declare_model(flags, model_);
    source_.declare(flags);
    flags.flag("--parse-special", parse_special_, "Read <|...|> and the like in the text as control tokens.");
    flags.flag("--no-bos", no_bos_, "Do not put the begin token first.");
    flags.text("--decode", "ID,ID,...", decode_, "The other way: print the text of these token ids.");
    flags.section("Output");
    flags.flag("--special", special_, "With --decode: print control tokens too.");
    flags.flag("--json", json_, "Print JSON: {\"ids\", \"pieces\"}; with --decode {\"ids\", \"text\"}.");
    flags.example("puna tokenize -m model.gguf -p \"Hello world\"", "a line for each token: its id and its piece");
    flags.example("puna tokenize -m model.gguf --decode 19556,905", "the text of two tokens");
}

Result<std::vector<TokenId>> parse_ids(std::string_view text) {
    std::vector<TokenId> ids;
    if (text.empty()) return ids;
    for (const std::string_view piece : split_list(text)) {
        PUNA_TRY(const std::uint64_t id,
                 parse_integer("a token id of --decode", piece, {0, std::numeric_limits<TokenId>::max()}));
        ids.push_back(static_cast<TokenId>(id));
    }
    return ids;
}

Result<int> TokenizeCommand::encode(const Model& model, Output& output) const {
    PUNA_TRY(const std::string text, source_.read());
    const EncodeOptions options = {.add_bos = !no_bos_, .parse_special = parse_special_};
    PUNA_TRY(const std::vector<TokenId> ids, model.encode(text, options));
    Json pieces = Json::array();
    std::string lines;
    for (const TokenId id : ids) {
        PUNA_TRY(const std::string piece, model.piece(id));
        if (json_) {
            pieces.push_back(piece);
        } else {
            lines += fmt::format("{:>8}  {}\n", id, json_line(piece));
        }
    }
    if (json_) lines = json_line(Json{{"ids", ids}, {"pieces", pieces}}) + "\n";
    PUNA_CHECK(output.write(lines));
    return exit_ok;
}

Result<int> TokenizeCommand::decode(const Model& model, Output& output) const {
    PUNA_TRY(const std::vector<TokenId> ids, parse_ids(*decode_));
    PUNA_TRY(const std::string text, model.decode(ids, {.special = special_}));
    if (json_) {
        PUNA_CHECK(output.write_line(json_line(Json{{"ids", ids}, {"text", text}})));
        return exit_ok;
    }
    PUNA_CHECK(output.write(text));
    if (output.is_terminal() && !text.ends_with('\n')) PUNA_CHECK(output.write("\n"));
    return exit_ok;
}

Result<int> TokenizeCommand::execute(Output& output) {
    PUNA_TRY(const std::string path, required_model(model_));
    if (decode_ && (source_.prompt || source_.file)) {
        return Error{ErrorCode::invalid_argument, "--decode takes ids in place of a text",
                     "leave -p and -f away, or --decode"};
    }
    PUNA_TRY(const Model model, Model::load(path));
    return decode_ ? decode(model, output) : encode(model, output);
}

}  // namespace

std::unique_ptr<Command> make_tokenize_command() {
    return std::make_unique<TokenizeCommand>();
}

}  // namespace puna::cli
