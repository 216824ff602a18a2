// Folders that models lie in.
#pragma once

#include <string>
#include <vector>

#include "puna/error.h"

namespace puna::formats {

/// Of a file's path, with its last slash; empty for a name alone.
std::string folder_of(const std::string& path);
/// The last name in a folder's path; of ".", that of the folder it stands for.
std::string name_of_folder(const std::string& folder);
/// The names in a folder, in order. Errors: file_unreadable.
Result<std::vector<std::string>> list_folder(const std::string& folder);

}  // namespace puna::formats
