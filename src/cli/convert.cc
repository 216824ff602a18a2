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
        flags.text("--format", "NAME", format_,
                   "The format to write: gguf (default), or for programs of 2023 ggml or ggmf, in F32 and F16 alone.");
        work_.declare(flags);
        flags.example("puna convert model-00001-of-00004.gguf model.gguf", "a model in four files as one");
        flags.example("puna convert ggml-model-q4_0.bin model.gguf", "a file of the formats before GGUF");
        flags.example("puna convert SmolLM2-135M/ smollm2-q8_0.gguf --type Q8_0", "a Hugging Face folder, quantized");
    }

    Result<int> execute(Output& output) override { return work_.run(type_, output, format_); }

  private:
    RewriteModel work_;
    std::optional<std::string> type_;
    std::string format_ = "gguf";
};

}  // namespace

std::unique_ptr<Command> make_convert_command() {
    return std::make_unique<ConvertCommand>();
}

}  // namespace puna::cli
