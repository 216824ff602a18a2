// The small files of a Hugging Face folder, each of which may be absent.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "formats/json.h"
#include "formats/model_file.h"
#include "puna/error.h"

namespace puna::formats::huggingface {

/// The files of one folder.
class SideFiles {
  public:
    /// `folder` ends in a slash, or is empty for the current one.
    explicit SideFiles(std::string folder) : folder_(std::move(folder)) {}

    std::string path(std::string_view name) const { return folder_ + std::string(name); }
    bool exists(std::string_view name) const;
    /// Nullopt if there is no such file. Errors: file_malformed, file_unreadable, file_changed, out_of_memory.
    Result<std::optional<JsonDocument>> read_json(std::string_view name) const;
    Result<std::optional<std::string>> read_text(std::string_view name) const;

  private:
    std::string folder_;
};

/// Adds the values of a JSON object to `metadata`, those of objects within it under names joined by dots. Null counts
/// as absent. What metadata cannot hold becomes `unheld`.
void add_values(const Json& object, const std::string& prefix, Metadata& metadata);

}  // namespace puna::formats::huggingface
