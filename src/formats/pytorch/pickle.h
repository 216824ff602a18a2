// A Python pickle, read as data: what would make an object of any kind but those that tensors need is an error, and
// nothing is ever run.
//
// Source: the opcodes as Python's pickletools describes them, PEP 307 and PEP 3154 (docs/formats/pytorch.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "formats/pytorch/globals.h"
#include "puna/error.h"

namespace puna::formats::pytorch {

class Pickle;

enum class PickleKind : std::uint8_t {
    none,
    boolean,
    integer,
    big_integer,  // of more than 64 bits
    real,
    text,
    bytes,
    tuple,
    list,
    dict,        // keys and values alternate
    global,      // a name of the list of globals
    call,        // a global of those that make tensors, and its arguments
    persistent,  // what stands outside of the pickle: its id
};

/// A value of a Pickle, which must outlive it and stay at its place.
class PickleValue {
  public:
    PickleKind kind() const;
    bool is(PickleKind kind_asked) const { return kind() == kind_asked; }
    /// Bytes from the file's start to the opcode that made it.
    std::uint64_t offset() const;

    bool boolean() const;
    std::int64_t integer() const;
    /// Of text, which may be no UTF-8, and bytes, as they lie in the file. Of a big integer, its bytes: two's
    /// complement, the lowest first.
    std::string_view text() const;
    bool is_text(std::string_view text_asked) const { return is(PickleKind::text) && text() == text_asked; }
    /// Of tuple, list, dict, call (its arguments) and persistent (its id): values one after another. None elsewhere.
    std::size_t size() const;
    PickleValue item(std::size_t index) const;
    /// Of global and call.
    const Global& global() const;

    /// For messages: "a list", "the global 'torch.Size'".
    std::string describe() const;

  private:
    friend class Pickle;
    friend class PickleMachine;
    PickleValue(const Pickle& pickle, std::uint32_t id) : pickle_(&pickle), id_(id) {}

    const Pickle* pickle_;
    std::uint32_t id_;
};

/// Immutable. Values may occur in several places, and lists and dicts even within themselves.
class Pickle {
  public:
    // puna's own, far above what real files hold: they bound time and memory for hostile ones.
    static constexpr std::uint64_t max_steps = std::uint64_t{1} << 21;  // opcodes
    static constexpr std::size_t max_stack = std::size_t{1} << 20;
    static constexpr std::size_t max_items = std::size_t{1} << 21;  // of all containers together
    static constexpr std::size_t max_depth = 64;                    // of containers within containers
    static constexpr std::uint64_t max_text_bytes = std::uint64_t{1} << 24;
    static constexpr std::size_t max_line_bytes = 256;  // of names and of numbers in decimal

    /// `file`: all of the file, which must outlive the pickle; it begins at byte `begin`, and ends before `end`.
    /// `path` and `field`, the pickle's name, are for messages. Errors: file_malformed, unsupported_format (what no
    /// tensor needs: other globals, calls, opcodes).
    static Result<Pickle> read(std::span<const std::byte> file, std::uint64_t begin, std::uint64_t end,
                               std::string_view path, std::string_view field);

    PickleValue root() const { return {*this, root_}; }
    /// The byte behind it.
    std::uint64_t end() const { return end_; }
    /// All persistent values, in the order of the file.
    std::vector<PickleValue> persistent() const;

  private:
    friend class PickleValue;
    friend class PickleMachine;
    struct Node {
        PickleKind kind = PickleKind::none;
        std::uint8_t depth = 0;    // levels of containers below
        bool ordered = false;      // dict: of the kind that may have a state
        std::uint32_t size = 0;    // text, bytes, big integer: bytes; tuple, call, persistent: items
        std::uint64_t offset = 0;  // in the file
        std::uint64_t value = 0;   // integer, boolean: itself; text, bytes, big integer: where in the file;
                                   // tuple, call, persistent: where in items_; list, dict: which of lists_
        const Global* global = nullptr;
    };

    Pickle() = default;
    std::span<const std::uint32_t> items(const Node& node) const;

    std::span<const std::byte> file_;
    std::uint64_t end_ = 0;
    std::uint32_t root_ = 0;
    std::vector<Node> nodes_;
    std::vector<std::uint32_t> items_;               // of what cannot grow
    std::vector<std::vector<std::uint32_t>> lists_;  // of lists and dicts
    std::vector<std::uint32_t> persistent_;
};

}  // namespace puna::formats::pytorch
