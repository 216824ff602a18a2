// puna convert: a model file as one GGUF v3 file.
#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/rewrite_model.h"

namespace puna::cli {
namespace {

class ConvertCommand : public Command {
  public:
    void declare(Flags& flags) override {
        work_.declare_files(flags);
        flags.text("--type", "TYPE", type_,
                   fmt::format("Give the tensors this type, as quantize does (default: they keep theirs). One of {}.",
                               mix_names()));
        work_.declare(flags);
        flags.example("puna convert model-00001-of-00004.gguf model.gguf", "a model in four files as one");
        flags.example("puna convert SmolLM2-135M/ smollm2-q8_0.gguf --type Q8_0", "a Hugging Face folder, quantized");
    }

    Result<int> execute(Output& output) override { return work_.run(type_, output); }

  private:
    RewriteModel work_;
    std::optional<std::string> type_;
};

}  // namespace

std::unique_ptr<Command> make_convert_command() {
    return std::make_unique<ConvertCommand>();
}

}  // namespace puna::cli
