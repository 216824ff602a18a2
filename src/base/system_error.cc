#include "base/system_error.h"

#include <fmt/format.h>

#include <cerrno>
#include <system_error>

namespace puna::base {
namespace {

std::string hint_for(int number) {
    switch (number) {
        case ENOENT:
        case ENOTDIR:
        case ELOOP:
        case ENAMETOOLONG: return "check the path";
        case EROFS: return "choose another folder";
        case EACCES:
        case EPERM: return "check the permissions of the file and of the folders above it";
        case EISDIR: return "name a file, not a folder";
        case ENOSPC:
        case EDQUOT: return "free some space, or choose another folder";
        case EMFILE: return "raise the limit of open files (ulimit -n)";
        case ENOMEM: return "free some memory, or raise the limit of address space (ulimit -v)";
        default: return {};
    }
}

}  // namespace

ErrorCode read_error_code(int number) {
    switch (number) {
        case ENOENT:
        case ENOTDIR: return ErrorCode::file_not_found;
        case ENOMEM: return ErrorCode::out_of_memory;
        default: return ErrorCode::file_unreadable;
    }
}

Error system_error(ErrorCode code, std::string_view action, std::string_view path, int number) {
    return {code, fmt::format("cannot {} \"{}\": {}", action, path, std::generic_category().message(number)),
            hint_for(number)};
}

}  // namespace puna::base
