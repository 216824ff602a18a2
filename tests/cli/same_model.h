// What the commands say of one model, to be compared between the formats that it is kept in.
#pragma once

#include <fstream>
#include <iterator>
#include <string>

#include "cli/fixture.h"

namespace puna::cli {

class SameModel : public CommandLine {
  protected:
    static Json ids_of(const std::string& path) {
        return json_of({"run", "-m", path, "-p", "the llama", "-n", "8", "--temp", "0"})["ids"];
    }
    /// Metadata differ: a GGUF file states its type.
    static Json differing_tensors(const std::string& a, const std::string& b) {
        return single_line(run_puna({"diff", a, b, "--json"}).out)["tensors"];
    }
    static std::string content(const std::string& path) {
        std::ifstream in(path, std::ios::binary);
        return {std::istreambuf_iterator<char>(in), {}};
    }
};

}  // namespace puna::cli
