// Files of PyTorch's that a hostile hand would make: every one gives a typed error that names the field and its offset,
// soon, and without a large allocation. Nothing in them is ever run.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ostream>
#include <random>

#include "formats/malformed_file.h"
#include "formats/pytorch_image.h"
#include "formats/reading.h"

namespace puna::formats {
namespace {

using namespace pickled;
using ::testing::ContainsRegex;

constexpr std::size_t allowed_allocation = std::size_t{4} << 20;

struct Malformed {
    const char* name;
    std::string bytes;
    std::string says;  // the field, and what is wrong with it
    ErrorCode code = ErrorCode::file_malformed;
};

void PrintTo(const Malformed& malformed, std::ostream* out) {
    *out << malformed.name;
}

std::string repeated(std::string_view piece, std::size_t times) {
    std::string text;
    for (std::size_t i = 0; i < times; ++i)
        text += piece;
    return text;
}

/// An archive of a pickle of this value.
std::string of(const std::string& value) {
    return archive_of(pickle(value)).bytes;
}
/// One of the tensor 'a'.
std::string of_tensor(const std::string& made) {
    return of(dict({string("a"), made}));
}
std::string six(std::int64_t offset, const std::vector<std::int64_t>& size, const std::vector<std::int64_t>& stride) {
    return of_tensor(tensor(storage("FloatStorage", "0", 6), offset, size, stride));
}

/// The good archive with a number replaced: `part` of an entry, `offset` bytes on.
template <typename T>
std::string with(const char* entry, std::size_t ZipImage::Entry::* part, std::size_t offset, T value) {
    ZipImage zip = good_archive();
    return zip.set(zip.entries.at(entry).*part + offset, value).bytes;
}
template <typename T>
std::string with_end(std::size_t offset, T value) {
    ZipImage zip = good_archive();
    return zip.set(zip.end + offset, value).bytes;
}

constexpr auto unsupported = ErrorCode::unsupported_format;

std::vector<Malformed> globals_and_calls() {
    const std::string tensor_of_six = tensor(storage("FloatStorage", "0", 6), 0, {6}, {1});
    return {
        {"global_os_system", of(call(global("os", "system"), {string("id")})),
         "opcode GLOBAL names 'os.system', which no tensor needs", unsupported},
        {"global_eval", of(call(global("builtins", "eval"), {string("1")})), "GLOBAL names 'builtins.eval'",
         unsupported},
        {"global_getattr", of(global("__builtin__", "getattr")), "GLOBAL names '__builtin__.getattr'", unsupported},
        {"global_load_from_bytes", of(call(global("torch.storage", "_load_from_bytes"), {string("x")})),
         "GLOBAL names 'torch.storage._load_from_bytes'", unsupported},
        {"global_namespace", of(global("argparse", "Namespace")), "GLOBAL names 'argparse.Namespace'", unsupported},
        {"global_of_another_module", of(global("torch.nn", "FloatStorage")), "GLOBAL names 'torch.nn.FloatStorage'",
         unsupported},
        {"global_complex", of_tensor(tensor(storage("ComplexFloatStorage", "0", 3), 0, {3}, {1})),
         "GLOBAL names 'torch.ComplexFloatStorage'", unsupported},
        {"global_with_controls", of(global("a\x1b[2J", "b")), "names 'a\\x1B[2J.b'", unsupported},
        {"global_line_too_long", of("c" + std::string(100'000, 'a')), "GLOBAL has a line that does not end"},
        {"stack_global", of("\x8c\x02os\x8c\x06system\x93"), "opcode STACK_GLOBAL names 'os.system'", unsupported},
        {"stack_global_of_numbers", of("K\x01K\x02\x93"), "STACK_GLOBAL takes an integer and an integer for a name"},
        {"reduce_of_a_storage_type", of(call(global("torch", "FloatStorage"), {number(3)})),
         "opcode REDUCE calls the global 'torch.FloatStorage', which makes no tensor", unsupported},
        {"reduce_of_a_dtype", of(call(global("torch", "float32"), {})), "REDUCE calls the global 'torch.float32'",
         unsupported},
        {"reduce_of_text", of(call(string("os.system"), {string("id")})), "REDUCE calls the text 'os.system'",
         unsupported},
        {"reduce_without_a_tuple", of(global("torch._utils", "_rebuild_tensor_v2") + "]R"),
         "REDUCE takes a list for arguments"},
        {"ordered_dict_of_text", of(call(global("collections", "OrderedDict"), {string("x")})),
         "REDUCE makes an OrderedDict of the text 'x'", unsupported},
        {"ordered_dict_of_no_pairs", of(call(global("collections", "OrderedDict"), {"]" + string("x") + "a"})),
         "REDUCE makes an OrderedDict of the text 'x'", unsupported},
        {"build_of_a_dict", of("}}b"), "opcode BUILD sets the state of a dict", unsupported},
        {"build_of_a_tensor", of(tensor_of_six + "}b"), "opcode BUILD sets the state of what 'torch._utils",
         unsupported},
        {"newobj", of(global("collections", "OrderedDict") + ")\x81"), "opcode NEWOBJ", unsupported},
        {"newobj_ex", of(global("collections", "OrderedDict") + ")}\x92"), "opcode NEWOBJ_EX", unsupported},
        {"inst", of("(ios\nsystem\n"), "opcode INST", unsupported},
        {"obj", of("(" + global("collections", "OrderedDict") + "o"), "opcode OBJ", unsupported},
        {"extension", of("\x82\x01"), "opcode EXT1", unsupported},
        {"persistent_line", of("Pos\n"), "opcode PERSID", unsupported},
        {"out_of_band", of("\x97"), "opcode NEXT_BUFFER", unsupported},
        {"set", of("\x8f"), "opcode EMPTY_SET", unsupported},
    };
}

std::vector<Malformed> opcodes() {
    return {
        {"no_opcode", of("\xFF"), "0xFF is no opcode"},
        {"protocol_6", archive_of("\x80\x06}.").bytes, "opcode PROTO has protocol 6", unsupported},
        {"empty_pickle", archive_of("").bytes, "entry 'm/data.pkl' ends without STOP"},
        {"no_stop", archive_of("\x80\x02}").bytes, "entry 'm/data.pkl' ends without STOP"},
        {"bytes_behind", archive_of("\x80\x02}.}").bytes, "1 bytes follow the pickle"},
        {"stop_with_nothing", of(""), "opcode STOP leaves 0 values"},
        {"stop_with_two", of("}}"), "opcode STOP leaves 2 values"},
        {"stop_with_a_mark", of("}("), "opcode STOP leaves 1 values and 1 marks"},
        {"pop_of_nothing", of("0"), "opcode POP finds nothing"},
        {"tuple_without_mark", of("}t"), "opcode TUPLE finds no mark"},
        {"tuple2_of_one", of("}\x86"), "opcode TUPLE2 takes 2 values, but the stack has 1"},
        {"tuple_across_a_mark", of("}(\x85"), "opcode TUPLE1 takes 1 values, but the stack has 0"},
        {"append_to_a_dict", of("}}a"), "opcode APPEND meets a dict, not a list"},
        {"set_item_of_a_list", of("]}}s"), "opcode SETITEM meets a list, not a dict"},
        {"key_without_value", of("}(" + string("a") + "u"), "opcode SETITEMS meets a key without a value"},
        {"memo_missing", of("h\x05"), "opcode BINGET takes value 5 of the memo"},
        {"memo_2_32",
         of("}r\xFF\xFF\xFF\xFF"
            "0j\xFE\xFF\xFF\xFF"),
         "LONG_BINGET takes value 4294967294 of the memo"},
        {"text_length_minus_1", of("X\xFF\xFF\xFF\xFF"), "opcode BINUNICODE has a length of 4294967295 bytes"},
        {"text_length_2_63", of("\x8d" + raw(std::uint64_t{1} << 63)),
         "BINUNICODE8 has a length of 9223372036854775808"},
        {"text_beyond", of("X" + raw(std::uint32_t{1'000'000})), "BINUNICODE needs 1000000 bytes, but the pickle ends"},
        {"bytes_length_minus_1", of("\x8e" + raw(~std::uint64_t{0})), "BINBYTES8 has a length of 18446744073709551615"},
        {"long_length_minus_1", of("\x8b\xFF\xFF\xFF\xFF"), "LONG4 has a length of -1 bytes"},
        {"long_beyond", of("\x8b" + raw(std::int32_t{2'000'000'000})), "LONG4 needs 2000000000 bytes"},
        {"int_no_number", of("I1x\n"), "INT has '1x', which is no integer"},
        {"long_too_large", of("L99999999999999999999L\n"), "LONG has '99999999999999999999', which is no integer"},
        {"frame_2_63", of("\x95" + raw(std::uint64_t{1} << 63)), "FRAME has a length of 9223372036854775808"},
        {"marks_100000_deep", of(std::string(100'000, '(')), "MARK makes containers nested more than 64 deep"},
        {"tuples_100000_deep", of(")" + std::string(100'000, '\x85')), "TUPLE1 makes containers nested more than 64"},
        {"lists_100000_deep", of(std::string(100'000, ']') + std::string(99'999, 'a')),
         "APPEND makes containers nested more than 64"},
        {"dicts_100000_deep", of(repeated("}N", 100'000) + "N" + repeated("s", 100'000)),
         "SETITEM makes containers nested more than 64"},
        {"persistent_100000_deep", of("}" + std::string(100'000, 'Q')), "BINPERSID makes containers nested"},
        {"stack_too_high", of(std::string(1'100'000, 'N')), "NONE makes a stack of more than 1048576"},
        {"too_many_opcodes", of(repeated("N0", 1'100'000)), "has more than 2097152 opcodes"},
        {"60000_arguments", of(global("torch._utils", "_rebuild_tensor") + "(" + std::string(60'000, 'N') + "tR"),
         "REDUCE calls the global 'torch._utils._rebuild_tensor' with 60000 arguments"},
        {"pairs_again_and_again",
         of("NN\x86q" + std::string(1, '\0') + "0](" + repeated(std::string("h\0", 2), 30'000) + "eq\x01" + "0" +
            repeated(global("collections", "OrderedDict") + "h\x01\x85R0", 200) + "N"),
         "REDUCE makes containers of more than 2097152 values"},
    };
}

std::vector<Malformed> tensors() {
    const std::string whole = storage("FloatStorage", "0", 6);
    const auto rebuilt = [&](const char* name, const std::vector<std::string>& arguments) {
        return of_tensor(call(global("torch._utils", name), arguments));
    };
    const std::string n0 = number(0);
    const std::string shape = numbers({6});
    const std::string step = numbers({1});
    const auto persistent = [](const std::vector<std::string>& id) {
        return of_tensor(tensor(tuple(id) + "Q", 0, {1}, {1}));
    };
    const std::string float_type = global("torch", "FloatStorage");
    return {
        {"no_dict", of("]"), "holds a list, not a dict of tensors", unsupported},
        {"one_tensor", of(tensor(whole, 0, {6}, {1})), "holds what 'torch._utils._rebuild_tensor_v2' makes, not a dict",
         unsupported},
        {"no_tensors", of(dict({string("epoch"), number(3)})), "holds no tensors by name", unsupported},
        {"list_among_tensors", of(dict({string("a"), tensor(whole, 0, {6}, {1}), string("b"), "]"})),
         "tensor 'b' is a list, and no tensor", unsupported},
        {"number_for_a_name", of(dict({number(1), tensor(whole, 0, {6}, {1})})), "tensor has an integer for a name"},
        {"name_no_utf8", of(dict({string("\xFF"), tensor(whole, 0, {6}, {1})})), "for a name"},
        {"name_twice", of(dict({string("a"), tensor(whole, 0, {6}, {1}), string("a"), tensor(whole, 0, {6}, {1})})),
         "the name occurs twice"},
        {"offset_minus_1", six(-1, {2}, {1}), "tensor 'a', offset is -1"},
        {"offset_out_of_range", six(6, {1}, {1}), "reach element 6, but the storage has 6"},
        {"offset_2_63", six(INT64_MAX, {2}, {1}), "but the storage has 6"},
        {"size_too_large", six(0, {7}, {1}),
         "tensor 'a', offset, size and stride reach element 6, but the storage has 6"},
        {"size_minus_1", six(0, {-1}, {1}), "tensor 'a', size holds -1"},
        {"size_2_31", six(0, {2147483648}, {1}), "reach element 2147483647"},
        {"size_overflows", six(0, {4294967296, 4294967296}, {4294967296, 1}), "overflows"},
        {"size_no_tuple", rebuilt("_rebuild_tensor", {whole, n0, "]", step}), "tensor 'a', size is a list"},
        {"size_of_text", rebuilt("_rebuild_tensor", {whole, n0, tuple({string("x")}), step}),
         "size holds the text 'x'"},
        {"size_of_17", six(0, std::vector<std::int64_t>(17, 1), std::vector<std::int64_t>(17, 1)),
         "size has 17 dimensions"},
        {"stride_minus_1", six(5, {6}, {-1}), "tensor 'a', stride holds -1"},
        {"stride_out_of_range", six(0, {2, 3}, {4, 1}), "reach element 6, but the storage has 6"},
        {"stride_overflows", six(0, {3}, {INT64_MAX}), "but the storage has 6"},
        {"stride_of_other_rank", six(0, {2, 3}, {1}), "stride has 1 dimensions, and size 2"},
        {"elements_repeated", six(0, {1'000'000'000, 6}, {0, 1}), "lies in pieces, and repeats elements", unsupported},
        {"many_views", of(dict([&] {
             std::vector<std::string> items;
             for (int i = 0; i < 2000; ++i) {
                 items.push_back(string(std::to_string(i)));
                 items.push_back(i == 0 ? tensor(whole, 0, {3, 2}, {1, 3}) + "q\x07" : "h\x07");
             }
             // The same tensor under many names is read as often.
             return items;
         }())),
         "lies in pieces, and is one of many views of the same", unsupported},
        {"arguments_missing", rebuilt("_rebuild_tensor_v2", {whole, n0, shape}), "has 3 arguments"},
        {"arguments_too_many", rebuilt("_rebuild_tensor", {whole, n0, shape, step, n0}), "has 5 arguments"},
        {"metadata",
         rebuilt("_rebuild_tensor_v2", {whole, n0, shape, step, "\x89", ordered_dict(), dict({string("neg"), "\x88"})}),
         "tensor 'a' has metadata", unsupported},
        {"storage_no_storage", rebuilt("_rebuild_tensor", {n0, n0, shape, step}), "storage is an integer"},
        {"v3_of_a_typed_storage",
         rebuilt("_rebuild_tensor_v3", {whole, n0, shape, step, "\x89", ordered_dict(), global("torch", "float32")}),
         "'torch._utils._rebuild_tensor_v3' of a storage of 'torch.FloatStorage'"},
        {"v3_without_a_dtype",
         of_tensor(call(global("torch._utils", "_rebuild_tensor_v3"),
                        {tuple({string("storage"), global("torch.storage", "UntypedStorage"), string("0"),
                                string("cpu"), number(24)}) +
                             "Q",
                         n0, shape, step, "\x89", ordered_dict(), string("float32")})),
         "dtype is the text 'float32'"},
        {"parameter_of_nothing", rebuilt("_rebuild_parameter", {"N", "\x88", ordered_dict()}),
         "arguments of 'torch._utils._rebuild_parameter'"},
        {"persistent_no_storage", persistent({string("module"), string("x"), string("0"), string("cpu"), n0}),
         "persistent id is not that of a storage", unsupported},
        {"persistent_no_tuple", of_tensor(tensor(string("storage") + "Q", 0, {1}, {1})), "persistent id is not",
         unsupported},
        {"persistent_type",
         persistent({string("storage"), string("FloatStorage"), string("0"), string("cpu"), number(6)}),
         "storage '0' has the text 'FloatStorage' for a type"},
        {"persistent_key", persistent({string("storage"), float_type, n0, string("cpu"), number(6)}),
         "storage has an integer for a key"},
        {"persistent_elements_minus_1",
         persistent({string("storage"), float_type, string("0"), string("cpu"), number(-1)}),
         "storage '0' has -1 for the number of elements"},
        {"persistent_elements_2_62",
         persistent({string("storage"), float_type, string("0"), string("cpu"), number(std::int64_t{1} << 62)}),
         "too many"},
        {"persistent_view",
         persistent({string("storage"), float_type, string("0"), string("cpu"), number(6),
                     tuple({string("1"), n0, number(6)})}),
         "storage '0' is a view of another", unsupported},
        {"storage_of_two_types",
         of(dict({string("a"), tensor(whole, 0, {6}, {1}), string("b"),
                  tensor(storage("IntStorage", "0", 6), 0, {6}, {1})})),
         "storage '0' has 6 elements of torch.IntStorage, and before 6 of torch.FloatStorage"},
        {"storage_missing", of_tensor(tensor(storage("FloatStorage", "7", 6), 0, {6}, {1})),
         "entry 'm/data/7' is missing"},
        {"storage_too_small", of_tensor(tensor(storage("FloatStorage", "0", 7), 0, {6}, {1})),
         "entry 'm/data/0' has 24 bytes, but the 7 elements of 'torch.FloatStorage' in it take 28"},
        {"storage_too_large", of_tensor(tensor(storage("FloatStorage", "0", 5), 0, {5}, {1})),
         "entry 'm/data/0' has 24 bytes, but the 5 elements"},
        {"storage_elsewhere", of_tensor(tensor(storage("FloatStorage", "../../x", 6), 0, {6}, {1})),
         "entry 'm/data/../../x' is missing"},
    };
}

std::vector<Malformed> archives() {
    using Entry = ZipImage::Entry;
    const auto with_byte_order = [](const std::string& order) {
        ZipImage zip;
        zip.add("m/data.pkl", pickle(good_state())).add("m/byteorder", order);
        zip.add("m/data/0", std::string(24, '\1')).add("m/data/1", std::string(16, '\2'));
        return zip.finish().bytes;
    };
    const auto named = [](const std::vector<std::string>& names) {
        ZipImage zip;
        for (const std::string& name : names)
            zip.add(name, pickle(good_state()));
        return zip.finish().bytes;
    };
    return {
        {"no_directory", good_archive().bytes.substr(0, 700), "end of central directory is missing"},
        {"other_disk", with_end(4, std::uint16_t{1}), "end of central directory names another disk", unsupported},
        {"counts_differ", with_end(8, std::uint16_t{4}), "end of central directory counts 4 entries here and 5 in all"},
        {"count_too_small",
         [] {
             ZipImage zip = good_archive();
             return zip.set(zip.end + 8, std::uint16_t{4}).set(zip.end + 10, std::uint16_t{4}).bytes;
         }(),
         "central directory ends behind 4 entries"},
        {"count_too_large",
         [] {
             ZipImage zip = good_archive();
             return zip.set(zip.end + 8, std::uint16_t{60'000}).set(zip.end + 10, std::uint16_t{60'000}).bytes;
         }(),
         "end of central directory counts 60000 entries"},
        {"directory_size", with_end(12, std::uint32_t{1}), "end of central directory says that it has 1 bytes"},
        {"directory_offset_minus_1", with_end(16, ~std::uint32_t{0}), "from byte 4294967295 on"},
        {"compressed", with("m/data/0", &Entry::central, 10, std::uint16_t{8}),
         "entry 'm/data/0' is compressed (method 8)", unsupported},
        {"bomb", with("m/data.pkl", &Entry::central, 24, std::uint32_t{4'000'000'000}),
         "entry 'm/data.pkl' is stored as it is, but has"},
        {"encrypted", with("m/data/0", &Entry::central, 8, std::uint16_t{1}), "entry 'm/data/0' is encrypted",
         unsupported},
        {"no_entry", with("m/data/0", &Entry::central, 0, std::uint32_t{0}), "central directory: there is no entry"},
        {"name_beyond", with("m/version", &Entry::central, 28, std::uint16_t{60'000}),
         "an entry ends behind the directory"},
        {"header_beyond", with("m/data/0", &Entry::central, 42, std::uint32_t{4'000'000'000}),
         "entry 'm/data/0': there is no local header at byte 4000000000"},
        {"header_at_data", with("m/data/0", &Entry::central, 42, std::uint32_t{64}),
         "entry 'm/data/0': there is no local header at byte 64"},
        {"entry_beyond_the_file",
         [] {
             ZipImage zip = good_archive();
             const auto at = zip.entries.at("m/data/1");
             for (const std::size_t offset : {at.central + 20, at.central + 24, at.local + 18, at.local + 22})
                 zip.set(offset, std::uint32_t{1'000'000});
             return zip.bytes;
         }(),
         "entry 'm/data/1' has 1000000 bytes, but the central directory begins at"},
        {"entries_overlap",
         [] {
             ZipImage zip = good_archive();
             const auto at = zip.entries.at("m/data/0");
             for (const std::size_t offset : {at.central + 20, at.central + 24, at.local + 18, at.local + 22})
                 zip.set(offset, std::uint32_t{128});
             return zip.bytes;
         }(),
         "within entry 'm/data/0'"},
        {"one_header_twice",
         [] {
             ZipImage zip;
             zip.add("m/data/0", std::string(24, '\1')).add("m/data/1", std::string(16, '\2'));
             zip.add("m/data.pkl", pickle(good_state())).finish();
             return zip.set(zip.entries.at("m/data/1").central + 42, std::uint32_t{0}).bytes;
         }(),
         "entry 'm/data/1', local header, name is not that"},
        {"local_name", with("m/data/0", &Entry::local, 30, 'x'), "entry 'm/data/0', local header, name"},
        {"local_method", with("m/data/0", &Entry::local, 8, std::uint16_t{8}),
         "entry 'm/data/0', local header, method"},
        {"local_flags", with("m/data/0", &Entry::local, 6, std::uint16_t{8}), "entry 'm/data/0', local header, flags"},
        {"local_size", with("m/data/0", &Entry::local, 22, std::uint32_t{8}), "entry 'm/data/0', local header, size"},
        {"local_compressed_size", with("m/data/0", &Entry::local, 18, std::uint32_t{8}),
         "entry 'm/data/0', local header, compressed size"},
        {"local_checksum", with("m/data/0", &Entry::local, 14, std::uint32_t{8}),
         "entry 'm/data/0', local header, checksum"},
        {"local_extra_beyond", with("m/version", &Entry::local, 28, std::uint16_t{60'000}),
         "entry 'm/version' has 2 bytes, but the central directory begins"},
        {"entry_name_twice",
         [] {
             ZipImage zip;
             zip.add("m/data.pkl", pickle(good_state())).add("m/data/0", std::string(24, '\1'));
             zip.add("m/data/1", std::string(16, '\2')).add("m/data/2", "").finish();
             const auto& at = zip.entries.at("m/data/2");
             return zip.set(at.local + 37, '1').set(at.central + 53, '1').bytes;
         }(),
         "entry 'm/data/1': the name occurs twice"},
        {"no_pickle", named({"m/x"}), "the zip archive holds 0 pickles", unsupported},
        {"pickle_in_no_folder", named({"data.pkl"}), "the zip archive holds 0 pickles", unsupported},
        {"two_pickles", named({"m/data.pkl", "n/data.pkl"}), "the zip archive holds 2 pickles", unsupported},
        {"big_endian", with_byte_order("big"), "entry 'm/byteorder': the tensors are stored in big-endian",
         unsupported},
        {"byte_order_unknown", with_byte_order("middle"), "entry 'm/byteorder' is 'middle'"},
    };
}

std::vector<Malformed> wide_archives() {
    /// The good archive with a zip64 record and locator; `change` may damage them: offsets of the record.
    const auto wide = [](std::size_t offset, std::uint64_t value, std::size_t bytes = 8) {
        ZipImage zip = good_archive();
        const std::string end = zip.bytes.substr(zip.end);
        const std::uint64_t size = zip.end - zip.directory;
        zip.bytes.resize(zip.end);
        zip.bytes += "PK\x06\x06" + raw<std::uint64_t>(44) + raw<std::uint32_t>(0) + raw<std::uint64_t>(0) +
                     raw<std::uint64_t>(5) + raw<std::uint64_t>(5) + raw(size) + raw<std::uint64_t>(zip.directory);
        zip.bytes += "PK\x06\x07" + raw<std::uint32_t>(0) + raw<std::uint64_t>(zip.end) + raw<std::uint32_t>(1) + end;
        if (offset > 0) std::memcpy(zip.bytes.data() + zip.end + offset, &value, bytes);
        return zip.bytes;
    };
    return {
        {"locator_elsewhere", wide(64, 8), "zip64 locator points to byte 8, where no such record is"},
        {"locator_beyond", wide(64, ~std::uint64_t{0}), "zip64 locator points to byte 18446744073709551615"},
        {"record_size", wide(4, 45), "zip64 end of central directory has a length of 45 bytes"},
        {"record_disk", wide(16, 1, 4), "names another disk", unsupported},
        {"record_counts_differ", wide(32, 6), "end of central directory and its zip64 record do not say the same"},
        {"record_offset", wide(48, 1), "end of central directory and its zip64 record do not say the same"},
    };
}

std::vector<Malformed> streams() {
    const auto changed = [](std::string StreamImage::* part, const std::string& bytes) {
        StreamImage stream;
        stream.*part = bytes;
        return stream.bytes();
    };
    const auto system = [](const std::string& value) { return pickle(dict({string("little_endian"), value})); };
    const auto keys = [](const std::string& list) { return pickle(list); };
    return {
        {"another_pickle", pickle("}"), "the pickle does not begin with PyTorch's magic number", unsupported},
        {"another_number", changed(&StreamImage::magic, pickle("\x8a\x0a" + std::string(10, '\1'))), "magic number",
         unsupported},
        {"version_1002", changed(&StreamImage::version, pickle("M\xea\x03")), "protocol version is not 1001",
         unsupported},
        {"stream_big_endian", changed(&StreamImage::system, system("\x89")),
         "system, little_endian: the tensors are stored in big-endian", unsupported},
        {"endian_no_bool", changed(&StreamImage::system, system("N")),
         "system does not say whether it is little_endian"},
        {"system_no_dict", changed(&StreamImage::system, pickle("]")), "system does not say"},
        {"stream_global", changed(&StreamImage::objects, pickle(global("os", "system"))),
         "objects, opcode GLOBAL names", unsupported},
        {"keys_no_list", changed(&StreamImage::keys, keys(string("0"))), "storage keys are the text '0'"},
        {"key_missing", changed(&StreamImage::keys, keys("](" + string("1") + "e")), "storage keys lack '0'"},
        {"key_unknown", changed(&StreamImage::keys, keys("](" + string("1") + string("2") + "e")),
         "the text '2' is no storage"},
        {"key_twice", changed(&StreamImage::keys, keys("](" + string("1") + string("1") + "e")),
         "or stands there twice"},
        {"elements_differ",
         changed(&StreamImage::storages, raw<std::uint64_t>(3) + std::string(16, '\2') + raw<std::uint64_t>(6)),
         "storage '1' has 3 elements, but its tensors say 2"},
        {"elements_minus_1", changed(&StreamImage::storages, raw(~std::uint64_t{0}) + std::string(40, '\2')),
         "storage '1' has 18446744073709551615 elements"},
        {"storage_cut", changed(&StreamImage::storages, raw<std::uint64_t>(2) + std::string(15, '\2')),
         "storage '1' needs 16 bytes, but the file ends 15"},
        {"stream_bytes_behind", StreamImage().bytes() + "x", "1 bytes follow the last storage"},
    };
}

std::vector<Malformed> cases() {
    std::vector<Malformed> all;
    for (const auto& part : {globals_and_calls(), opcodes(), tensors(), archives(), wide_archives(), streams()})
        all.insert(all.end(), part.begin(), part.end());
    return all;
}

// The same tensor under ever new names takes few bytes of the file.
std::string many_names(std::size_t count) {
    std::string items;
    for (std::size_t i = 0; i < count; ++i) {
        items += string(std::to_string(i));
        items += i == 0 ? tensor(storage("FloatStorage", "0", 6), 0, {6}, {1}) + "q\x07" : "h\x07";
    }
    return of(dict({items}));
}

class PyTorchMalformedTest : public ::testing::TestWithParam<Malformed> {};

TEST_P(PyTorchMalformedTest, GivesAnErrorWithFieldAndOffset) {
    const support::TempFolder folder;
    const std::string path = folder.write("bad.pth", std::string_view(GetParam().bytes));
    // Millions of opcodes need room for their values, in proportion to the file.
    const std::size_t allowed = std::max(allowed_allocation, 64 * GetParam().bytes.size());
    expect_malformed(path, GetParam().code, GetParam().says, "bad.pth", allowed);
}

INSTANTIATE_TEST_SUITE_P(All, PyTorchMalformedTest, ::testing::ValuesIn(cases()),
                         [](const auto& param) { return param.param.name; });

TEST(PyTorchHostile, MoreTensorsThanAnyModelHasAreRefused) {
    const support::TempFolder folder;
    const std::string bytes = many_names(131'073);
    expect_malformed(folder.write("many.pth", std::string_view(bytes)), ErrorCode::file_malformed,
                     "tensor '131072' is one more than the 131072 that are allowed", "many.pth", 64 * bytes.size());
}

TEST(PyTorchHostile, TruncationAtEveryByteIsAnError) {
    const support::MemoryFile file;
    for (const std::string& bytes : {good_archive().bytes, StreamImage().bytes()}) {
        for (std::size_t size = 0; size < bytes.size(); ++size) {
            const auto result = read_model_file(file.write(std::as_bytes(std::span(bytes).first(size))));
            ASSERT_FALSE(result.ok()) << size;
            ASSERT_EQ(result.error().code, ErrorCode::file_malformed) << size << ' ' << result.error().message;
            ASSERT_THAT(result.error().message, ContainsRegex("\\(at byte [0-9]+\\)")) << size;
        }
    }
}

// Whatever bytes change, the answer is a model or an error.
TEST(PyTorchHostile, RandomMutationsNeverCrash) {
    const support::MemoryFile file;
    std::mt19937_64 random(20'200'728);
    const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
    const std::string good[] = {good_archive().bytes, StreamImage().bytes()};
    const std::string_view pieces[] = {"(",      "t",       "R", "}", "]", "Q", "q\1", "h\1", "\x85",
                                       "\x86",   "N",       "0", "2", ".", "u", "s",   "b",   "\xFF\xFF\xFF\xFF",
                                       "PK\1\2", "\x8a\x08"};
    std::size_t read = 0;
    for (int round = 0; round < 20'000; ++round) {
        std::string bytes = good[round % 2];
        for (std::size_t change = 1 + below(3); change > 0; --change) {
            const std::size_t at = below(bytes.size() - 8);
            const std::string_view piece = pieces[below(std::size(pieces))];
            switch (below(4)) {
                case 0: bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(8))); break;
                case 1: bytes.replace(at, piece.size(), piece); break;
                case 2: bytes.erase(at, 1 + below(3)); break;
                default: bytes.insert(at, piece); break;
            }
        }
        std::shared_ptr<const ModelFile> model;
        ASSERT_NO_FATAL_FAILURE(
            expect_model_or_error(file.write(std::as_bytes(std::span(bytes))), allowed_allocation, model))
            << round;
        if (model != nullptr) ++read;
    }
    EXPECT_GT(read, 20U);  // the mutations are not all fatal
}

}  // namespace
}  // namespace puna::formats
