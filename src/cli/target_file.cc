#include "cli/target_file.h"

#include <fmt/format.h>

#include <filesystem>
#include <system_error>

#include "cli/units.h"
#include "formats/printable.h"

namespace puna::cli {
namespace {

std::filesystem::path folder_of(const std::string& path) {
    std::error_code ignored;
    std::filesystem::path place =
        std::filesystem::weakly_canonical(path, ignored);  // a link's file is what is replaced
    if (place.empty()) place = path;
    return place.has_parent_path() ? place.parent_path() : ".";
}

}  // namespace

Result<void> check_target(const std::string& path, bool replace) {
    std::error_code ignored;
    if (path == "-") {
        return Error{ErrorCode::invalid_argument, "files are not written to standard output",
                     "name a file; one whose name is a dash is ./-"};
    }
    if (std::filesystem::is_directory(path, ignored)) {
        return Error{ErrorCode::invalid_argument, fmt::format("{} is a folder", formats::printable_path(path)),
                     "name a file in it"};
    }
    if (replace || !std::filesystem::exists(path, ignored)) return {};
    return Error{ErrorCode::invalid_argument, fmt::format("{} exists already", formats::printable_path(path)),
                 "choose another name, or give --force to replace it"};
}

Result<void> check_room(const std::string& path, std::uint64_t needed) {
    std::error_code failed;
    const std::filesystem::space_info space = std::filesystem::space(folder_of(path), failed);
    if (failed || space.available >= needed) return {};  // where nothing can be told, writing will
    return Error{ErrorCode::io_error,
                 fmt::format("{}: the file takes {}, and {} are free on its disk", formats::printable_path(path),
                             bytes_words(needed), bytes_words(space.available)),
                 "make room, or ask for less"};
}

}  // namespace puna::cli
