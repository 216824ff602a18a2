// Hugging Face folders made for one test.
#pragma once

#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "formats/reading.h"
#include "formats/safetensors_image.h"

namespace puna::formats {

using OrderedJson = nlohmann::ordered_json;

inline std::string data_path(const std::string& name) {
    return std::string(PUNA_TEST_DATA) + "/formats/data/" + name;
}

inline std::string read_text(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw std::runtime_error("cannot read " + path);
    return {std::istreambuf_iterator<char>(file), {}};
}

/// A folder with weights of no tensors, which files can be put into.
class HuggingFaceFolder {
  public:
    HuggingFaceFolder() { folder_.write("model.safetensors", safetensors_image("{}", 0)); }

    HuggingFaceFolder& write(const std::string& name, const std::string& text) {
        folder_.write(name, std::string_view(text));
        return *this;
    }
    HuggingFaceFolder& write_json(const std::string& name, const OrderedJson& json) { return write(name, json.dump()); }
    /// A file of tests/formats/data/tokenizers/<tokenizer>/.
    HuggingFaceFolder& copy(const std::string& tokenizer, const std::string& name) {
        return write(name, read_text(data_path("tokenizers/" + tokenizer + "/" + name)));
    }
    std::string path() const { return folder_.path(""); }
    Result<std::shared_ptr<const ModelFile>> read() const { return read_model_file(path()); }
    text::Vocabulary vocabulary() const { return must(read())->vocabulary; }

  private:
    support::TempFolder folder_;
};

}  // namespace puna::formats
