// Sessions that are compressed on file: the same comes back, and what a file says of its sizes is not believed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zstd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/rng.h"
#include "engine/session/digest.h"
#include "engine/session/session_file.h"
#include "support/temp_file.h"

namespace puna::engine {
namespace {

using testing::HasSubstr;
using Bytes = std::vector<std::byte>;

/// What can be compressed and what cannot: layer 0 repeats, layer 1 is noise. 500 positions, 2 KV heads of 4, f16.
SessionData long_session() {
    SessionData session;
    session.origin.model = {"llama", {2, 8, 16, 4, 2, 4, 50}, 11, 12, 13};
    session.origin.law = "int/1";
    session.origin.kernels = "avx2";
    session.origin.kv_type = kernels::KvType::f16;
    session.evaluated = 500;
    for (std::uint64_t i = 0; i < 500; ++i)
        session.tokens.push_back(static_cast<TokenId>(50 * base::uniform_draw(1, i)));
    session.sampling.seed = 3;
    session.logits.assign(50, 0.25F);
    KvRows rows(2, Bytes(std::size_t{2} * 500 * 2 * 4 * 2));
    for (std::size_t i = 0; i < rows[0].size(); ++i) {
        rows[0][i] = static_cast<std::byte>(i % 64 * (i / 1000));
        rows[1][i] = static_cast<std::byte>(256 * base::uniform_draw(2, i));
    }
    session.kv = std::make_shared<const KvRows>(std::move(rows));
    session.attachment = "{}";
    return session;
}

template <typename T>
T number_at(const Bytes& file, std::size_t at) {
    T value{};
    std::memcpy(&value, file.data() + at, sizeof value);
    return value;
}
void put(Bytes& file, std::size_t at, std::uint64_t value) {
    std::memcpy(file.data() + at, &value, sizeof value);
}

/// Puts the checksum of header and table right again.
void seal_table(Bytes& file) {
    Digest digest;
    digest.add(std::span(file).first(24));
    digest.add(std::span(file).subspan(32, std::size_t{40} * number_at<std::uint32_t>(file, 12)));
    put(file, 24, digest.value());
}

constexpr std::size_t first_kv = 4;  // in the table: origin, state, tokens, logits, then the layers

/// Where field `field` (1: offset, 2: bytes in the file, 3: checksum, 4: bytes) of entry `entry` lies.
std::size_t field_at(std::size_t entry, std::size_t field) {
    return 32 + 40 * entry + 8 * field;
}

/// `file` with `stored` in the place of the section `entry`, under good checksums, said to become `bytes`.
Bytes with_section(const Bytes& file, std::size_t entry, const Bytes& stored, std::uint64_t bytes) {
    const auto offset = number_at<std::uint64_t>(file, field_at(entry, 1));
    const auto before = number_at<std::uint64_t>(file, field_at(entry, 2));
    Bytes out(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(offset));
    out.insert(out.end(), stored.begin(), stored.end());
    out.insert(out.end(), file.begin() + static_cast<std::ptrdiff_t>(offset + before), file.end());
    put(out, 16, out.size());
    put(out, field_at(entry, 2), stored.size());
    put(out, field_at(entry, 3), digest_of(stored));
    put(out, field_at(entry, 4), bytes);
    for (std::size_t later = entry + 1; later < number_at<std::uint32_t>(file, 12); ++later)
        put(out, field_at(later, 1), number_at<std::uint64_t>(file, field_at(later, 1)) + stored.size() - before);
    seal_table(out);
    return out;
}

Bytes frame_of(const Bytes& content) {
    Bytes frame(ZSTD_compressBound(content.size()));
    frame.resize(ZSTD_compress(frame.data(), frame.size(), content.data(), content.size(), 1));
    return frame;
}

class CompressedSession : public testing::Test {
  protected:
    void SetUp() override {
        const auto written = write_session(path, session, SessionCompression::zstd);
        ASSERT_TRUE(written.ok()) << written.error().message;
        std::ifstream in(path, std::ios::binary);
        const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
        const auto bytes = std::as_bytes(std::span(text));
        file.assign(bytes.begin(), bytes.end());
        EXPECT_EQ(*written, file.size());
    }
    std::string error_of(const Bytes& bytes) {
        const auto read = read_session(folder.write("wrong", bytes));
        EXPECT_FALSE(read.ok());
        if (read.ok()) return "";
        EXPECT_EQ(read.error().code, ErrorCode::file_malformed);
        return read.error().message;
    }

    support::TempFolder folder;
    std::string path = folder.path("session");
    SessionData session = long_session();
    Bytes file;
};

TEST_F(CompressedSession, ComesBackAsItWas) {
    const auto read = read_session(path);
    ASSERT_TRUE(read.ok()) << read.error().message;
    EXPECT_EQ(*read->kv, *session.kv);
    EXPECT_EQ(read->tokens, session.tokens);
    EXPECT_EQ(read->logits, session.logits);
    EXPECT_EQ(read->attachment, session.attachment);
    EXPECT_EQ(read->origin.model, session.origin.model);
    EXPECT_EQ(read->sampling.seed, 3U);
    EXPECT_EQ(read->compressed_bytes, file.size());
    // Written again without, it is the file that never was compressed.
    const auto plain = write_session(folder.path("plain"), *read);
    ASSERT_TRUE(plain.ok());
    EXPECT_EQ(*plain, session_bytes(session));
    EXPECT_LT(file.size(), *plain);
}

// The layout is a promise (docs/formats/session.md); zstd itself reads what was written.
TEST_F(CompressedSession, LiesAsDocumented) {
    EXPECT_EQ(number_at<std::uint32_t>(file, 8), 3U);
    ASSERT_EQ(number_at<std::uint32_t>(file, 12), 7U);
    std::uint64_t end = 32 + 7 * 40;
    for (std::size_t entry = 0; entry < 7; ++entry) {
        EXPECT_EQ(number_at<std::uint64_t>(file, field_at(entry, 1)), end);
        end += number_at<std::uint64_t>(file, field_at(entry, 2));
    }
    EXPECT_EQ(end, file.size());
    const auto stored = [&](std::size_t entry) {
        const auto from = file.begin() + number_at<std::int64_t>(file, field_at(entry, 1));
        return Bytes(from, from + number_at<std::int64_t>(file, field_at(entry, 2)));
    };
    const Bytes frame = stored(first_kv);
    const Bytes& layer = (*session.kv)[0];
    ASSERT_LT(frame.size(), layer.size());
    EXPECT_EQ(number_at<std::uint64_t>(file, field_at(first_kv, 3)), digest_of(frame));
    EXPECT_EQ(number_at<std::uint64_t>(file, field_at(first_kv, 4)), layer.size());
    Bytes content(layer.size());
    EXPECT_EQ(ZSTD_decompress(content.data(), content.size(), frame.data(), frame.size()), content.size());
    EXPECT_EQ(content, layer);
    EXPECT_EQ(stored(first_kv + 1), (*session.kv)[1]);  // noise lies there as it is
}

TEST_F(CompressedSession, EveryDamagedByteIsFound) {
    for (std::size_t i = 0; i < file.size(); i += i < 1000 ? 1 : 37) {
        Bytes bad = file;
        bad[i] ^= std::byte{0x10};
        const auto read = read_session(folder.write("wrong", bad));
        ASSERT_FALSE(read.ok()) << "byte " << i;
    }
    Bytes bad = file;
    bad[number_at<std::uint64_t>(file, field_at(first_kv, 1)) + 20] ^= std::byte{1};
    EXPECT_THAT(error_of(bad), HasSubstr("section kv of layer 0 is damaged (checksum)"));
}

// What a hostile hand writes has the right checksums.
TEST_F(CompressedSession, FramesThatLieAreRefused) {
    const Bytes& layer = (*session.kv)[0];
    const Bytes good = frame_of(layer);
    const std::uint64_t size = layer.size();
    ASSERT_TRUE(read_session(folder.write("good", with_section(file, first_kv, good, size))).ok());
    const auto wrong = [&](const Bytes& stored, std::uint64_t bytes) {
        return error_of(with_section(file, first_kv, stored, bytes));
    };
    Bytes cut(good.begin(), good.end() - 5);
    EXPECT_THAT(wrong(cut, size), HasSubstr("kv of layer 0 is no zstd frame of 16000 bytes"));
    Bytes longer = good;
    longer.push_back(std::byte{0});
    EXPECT_THAT(wrong(longer, size), HasSubstr("no zstd frame"));
    Bytes two = frame_of(Bytes(layer.begin(), layer.begin() + 8000));
    const Bytes rest = frame_of(Bytes(layer.begin() + 8000, layer.end()));
    two.insert(two.end(), rest.begin(), rest.end());
    EXPECT_THAT(wrong(two, size), HasSubstr("no zstd frame"));
    EXPECT_THAT(wrong(frame_of(Bytes(layer.begin(), layer.end() - 1)), size), HasSubstr("no zstd frame"));
    Bytes more = layer;
    more.push_back(std::byte{0});
    EXPECT_THAT(wrong(frame_of(more), size), HasSubstr("no zstd frame"));
    // Nor does anything become 256 times as much.
    EXPECT_THAT(wrong(frame_of(Bytes(size)), size), HasSubstr("says that they become"));
    EXPECT_THAT(wrong(Bytes(100, std::byte{7}), size), HasSubstr("no zstd frame"));
    EXPECT_THAT(wrong({}, size), HasSubstr("kv of layer 0"));
    EXPECT_THAT(wrong(good, size + 1), HasSubstr("must have 16000"));
    EXPECT_THAT(wrong(good, good.size()), HasSubstr("must have 16000"));
    EXPECT_THAT(wrong(good, good.size() - 1), HasSubstr("says that they become"));
}

// Allocating what they say would end the test.
TEST_F(CompressedSession, SizesThatLieAreNotBelieved) {
    for (std::size_t entry = 0; entry < 7; ++entry) {
        const auto stored = number_at<std::uint64_t>(file, field_at(entry, 2));
        for (const std::uint64_t lie : {257 * stored, std::uint64_t{1} << 40, ~std::uint64_t{0}}) {
            Bytes bad = file;
            put(bad, field_at(entry, 4), lie);
            seal_table(bad);
            error_of(bad);
        }
    }
}

// Zeros compress a thousandfold: they lie there as they are, rather than being refused when read.
TEST_F(CompressedSession, WhatShrinksTooMuchIsNotCompressed) {
    session.attachment.assign(1'000'000, 'a');
    ASSERT_LT(*write_session(path, session, SessionCompression::zstd), 2'000'000U);
    const auto read = read_session(path);
    ASSERT_TRUE(read.ok()) << read.error().message;
    EXPECT_EQ(read->attachment, session.attachment);
}

}  // namespace
}  // namespace puna::engine
