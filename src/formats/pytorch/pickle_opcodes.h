// The opcodes of pickles, as Python's pickletools names them.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

namespace puna::formats::pytorch {

/// Those that are read.
enum Opcode : std::uint8_t {
    MARK = '(',
    STOP = '.',
    POP = '0',
    POP_MARK = '1',
    DUP = '2',
    INT = 'I',
    BININT = 'J',
    BININT1 = 'K',
    LONG = 'L',
    BININT2 = 'M',
    NONE = 'N',
    BINPERSID = 'Q',
    REDUCE = 'R',
    BINSTRING = 'T',
    SHORT_BINSTRING = 'U',
    BINUNICODE = 'X',
    APPEND = 'a',
    BUILD = 'b',
    GLOBAL = 'c',
    APPENDS = 'e',
    BINGET = 'h',
    LONG_BINGET = 'j',
    BINPUT = 'q',
    LONG_BINPUT = 'r',
    SETITEM = 's',
    TUPLE = 't',
    EMPTY_TUPLE = ')',
    EMPTY_LIST = ']',
    EMPTY_DICT = '}',
    SETITEMS = 'u',
    BINFLOAT = 'G',
    BINBYTES = 'B',
    SHORT_BINBYTES = 'C',
    PROTO = 0x80,
    TUPLE1 = 0x85,
    TUPLE2 = 0x86,
    TUPLE3 = 0x87,
    NEWTRUE = 0x88,
    NEWFALSE = 0x89,
    LONG1 = 0x8A,
    LONG4 = 0x8B,
    SHORT_BINUNICODE = 0x8C,
    BINUNICODE8 = 0x8D,
    BINBYTES8 = 0x8E,
    STACK_GLOBAL = 0x93,
    MEMOIZE = 0x94,
    FRAME = 0x95,
    BYTEARRAY8 = 0x96,
};

struct OpcodeName {
    std::uint8_t opcode;
    std::string_view name;
};

inline constexpr std::array opcode_names = {
    OpcodeName{MARK, "MARK"},
    OpcodeName{STOP, "STOP"},
    OpcodeName{POP, "POP"},
    OpcodeName{POP_MARK, "POP_MARK"},
    OpcodeName{DUP, "DUP"},
    OpcodeName{INT, "INT"},
    OpcodeName{BININT, "BININT"},
    OpcodeName{BININT1, "BININT1"},
    OpcodeName{LONG, "LONG"},
    OpcodeName{BININT2, "BININT2"},
    OpcodeName{NONE, "NONE"},
    OpcodeName{BINPERSID, "BINPERSID"},
    OpcodeName{REDUCE, "REDUCE"},
    OpcodeName{BINSTRING, "BINSTRING"},
    OpcodeName{SHORT_BINSTRING, "SHORT_BINSTRING"},
    OpcodeName{BINUNICODE, "BINUNICODE"},
    OpcodeName{APPEND, "APPEND"},
    OpcodeName{BUILD, "BUILD"},
    OpcodeName{GLOBAL, "GLOBAL"},
    OpcodeName{APPENDS, "APPENDS"},
    OpcodeName{BINGET, "BINGET"},
    OpcodeName{LONG_BINGET, "LONG_BINGET"},
    OpcodeName{BINPUT, "BINPUT"},
    OpcodeName{LONG_BINPUT, "LONG_BINPUT"},
    OpcodeName{SETITEM, "SETITEM"},
    OpcodeName{TUPLE, "TUPLE"},
    OpcodeName{EMPTY_TUPLE, "EMPTY_TUPLE"},
    OpcodeName{EMPTY_LIST, "EMPTY_LIST"},
    OpcodeName{EMPTY_DICT, "EMPTY_DICT"},
    OpcodeName{SETITEMS, "SETITEMS"},
    OpcodeName{BINFLOAT, "BINFLOAT"},
    OpcodeName{BINBYTES, "BINBYTES"},
    OpcodeName{SHORT_BINBYTES, "SHORT_BINBYTES"},
    OpcodeName{PROTO, "PROTO"},
    OpcodeName{TUPLE1, "TUPLE1"},
    OpcodeName{TUPLE2, "TUPLE2"},
    OpcodeName{TUPLE3, "TUPLE3"},
    OpcodeName{NEWTRUE, "NEWTRUE"},
    OpcodeName{NEWFALSE, "NEWFALSE"},
    OpcodeName{LONG1, "LONG1"},
    OpcodeName{LONG4, "LONG4"},
    OpcodeName{SHORT_BINUNICODE, "SHORT_BINUNICODE"},
    OpcodeName{BINUNICODE8, "BINUNICODE8"},
    OpcodeName{BINBYTES8, "BINBYTES8"},
    OpcodeName{STACK_GLOBAL, "STACK_GLOBAL"},
    OpcodeName{MEMOIZE, "MEMOIZE"},
    OpcodeName{FRAME, "FRAME"},
    OpcodeName{BYTEARRAY8, "BYTEARRAY8"},
    // Not read: they make objects of other kinds, or are of protocol 0, in which tensors cannot be written.
    OpcodeName{'F', "FLOAT"},
    OpcodeName{'P', "PERSID"},
    OpcodeName{'S', "STRING"},
    OpcodeName{'V', "UNICODE"},
    OpcodeName{'d', "DICT"},
    OpcodeName{'g', "GET"},
    OpcodeName{'i', "INST"},
    OpcodeName{'l', "LIST"},
    OpcodeName{'o', "OBJ"},
    OpcodeName{'p', "PUT"},
    OpcodeName{0x81, "NEWOBJ"},
    OpcodeName{0x82, "EXT1"},
    OpcodeName{0x83, "EXT2"},
    OpcodeName{0x84, "EXT4"},
    OpcodeName{0x8F, "EMPTY_SET"},
    OpcodeName{0x90, "ADDITEMS"},
    OpcodeName{0x91, "FROZENSET"},
    OpcodeName{0x92, "NEWOBJ_EX"},
    OpcodeName{0x97, "NEXT_BUFFER"},
    OpcodeName{0x98, "READONLY_BUFFER"},
};

/// Empty for a byte that is no opcode.
constexpr std::string_view opcode_name(std::uint8_t opcode) {
    const auto* const found =
        std::find_if(opcode_names.begin(), opcode_names.end(), [&](const OpcodeName& n) { return n.opcode == opcode; });
    return found == opcode_names.end() ? std::string_view() : found->name;
}

}  // namespace puna::formats::pytorch
