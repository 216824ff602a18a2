// Files of PyTorch's made by hand: pickles, and the archives and streams around them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace puna::formats {

/// The bytes of `value`, the lowest first.
template <typename T>
std::string raw(T value) {
    return {reinterpret_cast<const char*>(&value), sizeof value};
}

/// Pieces of pickles: each leaves one value on the stack.
namespace pickled {

inline std::string string(std::string_view text) {
    std::string bytes = "X";
    bytes += raw(static_cast<std::uint32_t>(text.size()));
    return bytes.append(text);
}
inline std::string number(std::int64_t value) {
    return std::string("\x8a\x08").append(raw(value));
}
inline std::string global(const std::string& module, const std::string& name) {
    return "c" + module + "\n" + name + "\n";
}
inline std::string tuple(const std::vector<std::string>& items) {
    std::string bytes = "(";
    for (const std::string& item : items)
        bytes += item;
    return bytes + "t";
}
inline std::string numbers(const std::vector<std::int64_t>& values) {
    std::vector<std::string> items;
    for (const std::int64_t value : values)
        items.push_back(number(value));
    return tuple(items);
}
inline std::string call(const std::string& callee, const std::vector<std::string>& arguments) {
    return callee + tuple(arguments) + "R";
}
inline std::string ordered_dict() {
    return call(global("collections", "OrderedDict"), {});
}
inline std::string storage(const std::string& type, std::string_view key, std::int64_t elements) {
    return tuple({string("storage"), global("torch", type), string(key), string("cpu"), number(elements)}) + "Q";
}
inline std::string tensor(const std::string& storage, std::int64_t offset, const std::vector<std::int64_t>& size,
                          const std::vector<std::int64_t>& stride) {
    return call(global("torch._utils", "_rebuild_tensor_v2"),
                {storage, number(offset), numbers(size), numbers(stride), "\x89", ordered_dict()});
}
/// Keys and values alternate.
inline std::string dict(const std::vector<std::string>& items) {
    std::string bytes = "}(";
    for (const std::string& item : items)
        bytes += item;
    return bytes + "u";
}
/// The whole.
inline std::string pickle(const std::string& value) {
    return "\x80\x02" + value + ".";
}

}  // namespace pickled

/// An archive as torch.save lays it out: entries stored, their data at multiples of 64 bytes.
class ZipImage {
  public:
    struct Entry {
        std::size_t local = 0;    // where its local header begins
        std::size_t data = 0;     // its data
        std::size_t central = 0;  // its entry in the directory
    };

    ZipImage& add(const std::string& name, std::string_view data) {
        Entry entry = {.local = bytes.size()};
        const std::size_t before = entry.local + 30 + name.size() + 4;
        const std::string padding((64 - before % 64) % 64, 'Z');
        bytes += "PK\x03\x04" + raw<std::uint16_t>(0) + raw<std::uint16_t>(0) + raw<std::uint16_t>(0) +
                 raw<std::uint32_t>(0) + raw<std::uint32_t>(0);  // version, flags, method, time and date, checksum
        bytes += raw(static_cast<std::uint32_t>(data.size())) + raw(static_cast<std::uint32_t>(data.size()));
        bytes += raw(static_cast<std::uint16_t>(name.size())) + raw(static_cast<std::uint16_t>(padding.size() + 4));
        bytes += name + "FB" + raw(static_cast<std::uint16_t>(padding.size())) + padding;
        entry.data = bytes.size();
        bytes += data;
        entries[name] = entry;
        order_.push_back(name);
        sizes_.push_back(data.size());
        return *this;
    }

    /// Writes the directory and its end.
    ZipImage& finish(std::string_view comment = "") {
        directory = bytes.size();
        for (std::size_t i = 0; i < order_.size(); ++i) {
            const std::string& name = order_[i];
            entries[name].central = bytes.size();
            bytes += "PK\x01\x02" + raw<std::uint16_t>(0) + raw<std::uint16_t>(0) + raw<std::uint16_t>(0) +
                     raw<std::uint16_t>(0) + raw<std::uint32_t>(0) + raw<std::uint32_t>(0);
            bytes += raw(static_cast<std::uint32_t>(sizes_[i])) + raw(static_cast<std::uint32_t>(sizes_[i]));
            bytes += raw(static_cast<std::uint16_t>(name.size())) + raw<std::uint64_t>(0) + raw<std::uint32_t>(0);
            bytes += raw(static_cast<std::uint32_t>(entries[name].local)) + name;
        }
        end = bytes.size();
        const auto count = static_cast<std::uint16_t>(order_.size());
        bytes += "PK\x05\x06" + raw<std::uint32_t>(0) + raw(count) + raw(count);
        bytes += raw(static_cast<std::uint32_t>(end - directory)) + raw(static_cast<std::uint32_t>(directory));
        bytes += raw(static_cast<std::uint16_t>(comment.size())) + std::string(comment);
        return *this;
    }

    template <typename T>
    ZipImage& set(std::size_t offset, T value) {
        std::memcpy(bytes.data() + offset, &value, sizeof value);
        return *this;
    }

    std::string bytes;
    std::map<std::string, Entry> entries;
    std::size_t directory = 0;
    std::size_t end = 0;  // where the end of the directory begins

  private:
    std::vector<std::string> order_;
    std::vector<std::size_t> sizes_;
};

/// Tensor 'a' [2, 3] of F32 in storage 0, and 'b' [2] of I64 in storage 1.
inline std::string good_state() {
    using namespace pickled;
    return dict({string("a"), tensor(storage("FloatStorage", "0", 6), 0, {2, 3}, {3, 1}), string("b"),
                 tensor(storage("LongStorage", "1", 2), 0, {2}, {1})});
}

/// An archive of this pickle, with the storages 0 (24 bytes) and 1 (16 bytes).
inline ZipImage archive_of(const std::string& data_pkl) {
    ZipImage zip;
    zip.add("m/data.pkl", data_pkl).add("m/byteorder", "little");
    zip.add("m/data/0", std::string(24, '\1')).add("m/data/1", std::string(16, '\2')).add("m/version", "3\n");
    return zip.finish();
}
inline ZipImage good_archive() {
    return archive_of(pickled::pickle(good_state()));
}

/// The parts of a file in the format before 1.6.
struct StreamImage {
    std::string magic = pickled::pickle("\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19");
    std::string version = pickled::pickle("M\xe9\x03");
    std::string system = pickled::pickle(pickled::dict({pickled::string("little_endian"), "\x88"}));
    std::string objects = pickled::pickle(good_state());
    std::string keys = pickled::pickle("](" + pickled::string("1") + pickled::string("0") + "e");
    std::string storages =
        raw<std::uint64_t>(2) + std::string(16, '\2') + raw<std::uint64_t>(6) + std::string(24, '\1');

    std::string bytes() const { return magic + version + system + objects + keys + storages; }
};

}  // namespace puna::formats
