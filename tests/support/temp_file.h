// Files that vanish with the test.
#pragma once

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <ios>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

namespace puna::support {

/// A new, empty folder under the system's folder for temporary files; removed with all it holds on destruction.
class TempFolder {
  public:
    TempFolder() {
        std::string name = (std::filesystem::temp_directory_path() / "puna-test-XXXXXX").string();
        if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make a temporary folder");
        folder_ = name;
    }
    ~TempFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(folder_, ignored);
    }
    TempFolder(const TempFolder&) = delete;
    TempFolder& operator=(const TempFolder&) = delete;

    std::string path(std::string_view name) const { return (folder_ / name).string(); }

    /// Writes (or replaces) a file and returns its path.
    std::string write(std::string_view name, std::span<const std::byte> bytes) const {
        std::ofstream file(folder_ / name, std::ios::binary | std::ios::trunc);
        file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
        if (!file.flush()) throw std::runtime_error("cannot write a temporary file");
        return path(name);
    }
    std::string write(std::string_view name, std::string_view text) const {
        return write(name, std::as_bytes(std::span(text)));
    }

  private:
    std::filesystem::path folder_;
};

/// A file in memory alone, for tests that read thousands of them.
class MemoryFile {
  public:
    MemoryFile() : descriptor_(memfd_create("puna-test", MFD_CLOEXEC)) {
        if (descriptor_ < 0) throw std::runtime_error("cannot make a file in memory");
    }
    ~MemoryFile() { close(descriptor_); }
    MemoryFile(const MemoryFile&) = delete;
    MemoryFile& operator=(const MemoryFile&) = delete;

    /// Replaces the content, which nobody may have mapped, and returns the file's path.
    std::string write(std::span<const std::byte> bytes) const {
        const auto size = static_cast<ssize_t>(bytes.size());
        if (ftruncate(descriptor_, size) != 0 || pwrite(descriptor_, bytes.data(), bytes.size(), 0) != size) {
            throw std::runtime_error("cannot write a file in memory");
        }
        return "/proc/self/fd/" + std::to_string(descriptor_);
    }

  private:
    int descriptor_;
};

}  // namespace puna::support
