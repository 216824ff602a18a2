#include "formats/recognize.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>

#include "formats/gguf/layout.h"
#include "formats/printable.h"
#include "formats/pytorch/reader.h"

namespace puna::formats {
namespace {

using namespace std::string_view_literals;

/// A format that is known by its first bytes and not read.
struct Signature {
    std::string_view start;
    std::string_view name;
    std::string_view hint;
};

// GGML's magics are 32-bit numbers that spell their name from the high byte down, so in a little-endian file they stand
// reversed.
constexpr std::array legacy_magics = {"lmgg"sv, "fmgg"sv, "tjgg"sv};  // GGML, GGMF, GGJT

// The other way around, as big-endian machines wrote them.
constexpr std::array big_endian_magics = {"ggml"sv, "ggmf"sv, "ggjt"sv, "FUGG"sv};

constexpr std::array signatures = {
    Signature{"algg"sv, "a GGLA file (a LoRA adapter), which holds no model",
              "give the base model's file; adapters are not read by this version"},
    Signature{"version https://git-lfs"sv, "a Git LFS pointer, which stands for the model and is not the model itself",
              "fetch the content with `git lfs pull`"},
    Signature{"<!DOCTYPE"sv, "a web page", "the download brought a page in place of the model; fetch the file itself"},
    Signature{"<!doctype"sv, "a web page", "the download brought a page in place of the model; fetch the file itself"},
    Signature{"<html"sv, "a web page", "the download brought a page in place of the model; fetch the file itself"},
};

std::string_view as_text(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// A safetensors file starts with the size of its JSON header in 64 bits, and the header. A size that cannot be is the
/// reader's to name.
bool begins_like_safetensors(std::span<const std::byte> bytes) {
    constexpr std::size_t size_bytes = 8;
    return bytes.size() > size_bytes && bytes[size_bytes] == std::byte{'{'};
}

/// What formats start with, for files too short to tell.
constexpr std::array magics = {gguf::magic, "lmgg"sv, "fmgg"sv, "tjgg"sv, "PK\x03\x04"sv, "\x80\x02"sv};

Error unsupported(std::string_view path, std::string_view what, std::string_view hint) {
    return {ErrorCode::unsupported_format, fmt::format("{}: this is {}; puna does not read it yet", path, what),
            std::string(hint)};
}

}  // namespace

Result<Format> recognize_format(std::span<const std::byte> bytes, std::string_view path) {
    const std::string file = printable_path(path);
    const std::string_view start = as_text(bytes.first(std::min<std::size_t>(bytes.size(), 64)));
    if (start.starts_with(gguf::magic)) return Format::gguf;
    const auto* const cut_off = std::find_if(magics.begin(), magics.end(), [&](std::string_view magic) {
        return magic.starts_with(start) && start != magic;
    });
    if (cut_off != magics.end()) {
        return Error{ErrorCode::file_malformed,
                     fmt::format("{}: header, magic needs {} bytes, but the file has {} (at byte 0)", file,
                                 cut_off->size(), start.size()),
                     "the file is incomplete; fetch it again"};
    }
    if (std::find(legacy_magics.begin(), legacy_magics.end(), start.substr(0, 4)) != legacy_magics.end()) {
        return Format::ggml;
    }
    // Before the others: sizes are any bytes, and may look like the start of a pickle.
    if (begins_like_safetensors(bytes)) return Format::safetensors;
    for (const Signature& signature : signatures) {
        if (start.starts_with(signature.start)) return unsupported(file, signature.name, signature.hint);
    }
    if (std::find(big_endian_magics.begin(), big_endian_magics.end(), start.substr(0, 4)) != big_endian_magics.end()) {
        return Error{ErrorCode::unsupported_format,
                     fmt::format("{}: header, magic '{}' is stored in big-endian byte order (at byte 0)", file,
                                 start.substr(0, 4)),
                     "puna reads little-endian files; convert the model for little-endian machines"};
    }
    if (path.ends_with(".safetensors")) return Format::safetensors;
    if (pytorch::is_pytorch(bytes)) return Format::pytorch;
    return Error{ErrorCode::unsupported_format,
                 fmt::format("{}: header, magic is '{}', which no format known to puna starts with (at byte 0)", file,
                             printable(start.substr(0, 4))),
                 "puna reads GGUF files and their predecessors, safetensors, PyTorch's files and Hugging Face folders"};
}

}  // namespace puna::formats
