#include "formats/folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "formats/printable.h"

namespace puna::formats {

std::string folder_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    return slash == std::string::npos ? std::string() : path.substr(0, slash + 1);
}

std::string name_of_folder(const std::string& folder) {
    std::error_code ignored;
    const auto full = std::filesystem::weakly_canonical(folder.empty() ? "." : folder, ignored);
    return full.filename().empty() ? full.parent_path().filename().string() : full.filename().string();
}

Result<std::vector<std::string>> list_folder(const std::string& folder) {
    std::error_code failed;
    std::vector<std::string> names;
    std::filesystem::directory_iterator entry(folder.empty() ? "." : folder, failed);
    for (; !failed && entry != std::filesystem::directory_iterator(); entry.increment(failed))
        names.push_back(entry->path().filename().string());
    if (failed) {
        return Error{ErrorCode::file_unreadable,
                     fmt::format("cannot read the folder \"{}\": {}", printable_path(folder), failed.message()), ""};
    }
    std::sort(names.begin(), names.end());
    return names;
}

}  // namespace puna::formats
