// The formats before GGUF: containers, and what the headers of each family hold (docs/formats/ggml-legacy.md).
//
// Source: ggml's and llama.cpp's own readers of March to August 2023, and the loaders of the `llm` project.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace puna::formats::ggml {

/// Magics are 32-bit numbers that spell their name from the high byte down.
inline constexpr std::uint32_t ggml_magic = 0x67676d6c;
inline constexpr std::uint32_t ggmf_magic = 0x67676d66;
inline constexpr std::uint32_t ggjt_magic = 0x67676a74;

struct Container {
    std::uint32_t magic = ggml_magic;
    std::uint32_t version = 0;  // 0 for GGML, which stores none

    bool has_scores() const { return magic != ggml_magic; }
    bool is_aligned() const { return magic == ggjt_magic; }
    bool operator==(const Container&) const = default;
    /// "GGJT v3".
    std::string name() const;
};

inline constexpr std::uint64_t data_alignment = 32;  // of GGJT's tensors, from the file's start

/// How blocks are laid out: it changed twice. What GGJT's versions 1, 2 and 3 have; in the other containers the
/// thousands of ftype tell.
enum class BlockLayout : std::uint8_t { ggjt1 = 0, ggjt2 = 1, ggjt3 = 2 };
inline constexpr std::uint32_t block_layouts = 3;
inline constexpr std::uint32_t ftype_factor = 1000;

/// The file types that a header can name; `retired` are refused by name.
struct FileType {
    std::uint32_t id;
    std::string_view name;
    bool retired = false;
};
/// Null for an unknown one.
const FileType* find_file_type(std::uint32_t id);

enum class FieldKind : std::uint8_t {
    count,      // > 0
    number,     // any integer
    real,       // f32
    file_type,  // ftype
};
struct HeaderField {
    std::string_view name;  // the key among the metadata
    FieldKind kind = FieldKind::count;
};

/// The header of a family's files, all fields of 32 bits.
struct Layout {
    std::string_view family;
    std::span<const HeaderField> fields;
    bool repeats_vocabulary_size = false;  // n_vocab once more behind them
    std::string_view embedding;            // the name of its first matrix
    bool sentencepiece = false;            // the vocabulary is one of SentencePiece
};
/// LLaMA's is the first.
std::span<const Layout> all_layouts();

inline constexpr std::string_view vocabulary_size_key = "n_vocab";
inline constexpr std::string_view embedding_length_key = "n_embd";
inline constexpr std::string_view file_type_key = "ftype";

// puna's own, far above what real files hold: they bound time and memory for hostile ones.
inline constexpr std::uint32_t max_tokens = std::uint32_t{1} << 20;
inline constexpr std::uint32_t max_token_bytes = 65'535;
inline constexpr std::uint32_t max_name_bytes = 256;
inline constexpr std::uint32_t max_dimensions = 4;
inline constexpr std::uint64_t max_tensors = 65'536;
inline constexpr std::uint64_t max_parts = 64;

}  // namespace puna::formats::ggml
