// What quantize, convert and merge share: a model file goes in, one GGUF file comes out.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/console.h"
#include "cli/flags.h"
#include "cli/interrupt.h"
#include "cli/legacy_flags.h"
#include "convert/quantize.h"
#include "puna/error.h"

namespace puna::cli {

class RewriteModel {
  public:
    void declare_files(Flags& flags);
    /// Everything else but how the type is named.
    void declare(Flags& flags);
    /// In place of both: the files of one GGUF model go in, and nothing but that changes.
    void declare_merge(Flags& flags);

    /// Plans, and does the work unless only the plan is wanted. `type`: a mix's name; none to keep all types. Returns
    /// the exit code. Errors: invalid_argument, those of read_model_file, plan_quantization and write_model.
    /// `format`: "gguf", or "ggml" or "ggmf" for files of the formats before it.
    Result<int> run(const std::optional<std::string>& type, Output& output, std::string_view format = "gguf");

  private:
    void declare_work(Flags& flags);
    Result<convert::QuantizePlan> plan(std::shared_ptr<const formats::ModelFile> source,
                                       const convert::QuantizeOptions& chosen, std::string_view format) const;
    Result<void> check_format(std::string_view format) const;
    Result<convert::QuantizeOptions> options(const std::optional<std::string>& type) const;
    struct Written {
        convert::WriteReport report;
        double seconds;
    };
    Result<Written> write(const convert::QuantizePlan& plan, const InterruptWatch& interrupts) const;

    std::optional<std::string> input_;
    std::optional<std::string> output_;
    std::vector<std::string> tensor_types_;
    std::optional<std::uint32_t> threads_;
    std::optional<std::string> imatrix_;
    LegacyFlags legacy_;
    bool shards_only_ = false;
    bool pure_ = false;
    bool allow_requantize_ = false;
    bool exact_ = false;
    bool force_ = false;
    bool dry_run_ = false;
    bool json_ = false;
};

/// The names that a TYPE may have, for help and messages.
std::string mix_names();

}  // namespace puna::cli
