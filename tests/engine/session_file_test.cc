// Sessions on disk: what is written comes back, nothing damaged passes, and no failure harms what stood there.
#include "engine/session/session_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "engine/session/digest.h"
#include "support/temp_file.h"

namespace puna::engine {
namespace {

using testing::HasSubstr;

constexpr std::int64_t positions = 3;

SessionData make_session(std::uint64_t seed = 7) {
    SessionData session;
    session.origin.model = {"llama", {2, 8, 16, 4, 2, 4, 10}, 11, 12, 13};
    session.origin.law = "int/1";
    session.origin.kernels = "avx2";
    session.origin.kv_type = kernels::KvType::f16;
    session.tokens = {1, 5, 9};
    session.evaluated = positions;
    session.sampling.temperature = 0.7F;
    session.sampling.top_k = 12;
    session.sampling.top_p = 0.5F;
    session.sampling.min_p = 0.125F;
    session.sampling.repeat_penalty = 1.1F;
    session.sampling.repeat_last_n = 33;
    session.sampling.ignore_end = true;
    session.sampling.logit_bias = {{2, -5.0F}, {4, 1.5F}};
    session.sampling.dynatemp_range = 0.25F;
    session.sampling.adaptive_decay = 0.5F;
    session.sampling.mirostat = 2;
    session.sampling.dry_last_n = 77;
    session.sampling.dry_breakers = {"x", "\n\n"};
    session.sampling.samplers = {SamplingStep::temperature, SamplingStep::top_k};
    session.sampling.seed = seed;
    session.sampler_state = {21, 3.5, 0.75, 1.5};
    for (int i = 0; i < 10; ++i)
        session.logits.push_back(0.5F * static_cast<float>(i) - 2);
    KvRows rows;
    for (int layer = 0; layer < 2; ++layer) {
        auto& row = rows.emplace_back(2 * positions * 2 * 4 * 2);  // K and V, positions, KV heads, dim, f16
        for (std::size_t i = 0; i < row.size(); ++i)
            row[i] = static_cast<std::byte>(i * 7 + static_cast<std::size_t>(layer));
    }
    session.kv = std::make_shared<const KvRows>(std::move(rows));
    session.attachment = "what the program keeps";
    return session;
}

std::vector<std::byte> content_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    const auto bytes = std::as_bytes(std::span(text));
    return {bytes.begin(), bytes.end()};
}

class SessionFile : public testing::Test {
  protected:
    std::vector<std::byte> image(const SessionData& session) {
        EXPECT_TRUE(write_session(path, session).ok());
        return content_of(path);
    }
    Error error_of(std::span<const std::byte> bytes) {
        const auto read = read_session(folder.write("wrong", bytes));
        EXPECT_FALSE(read.ok());
        return read.ok() ? Error{} : read.error();
    }

    support::TempFolder folder;
    std::string path = folder.path("session");
};

/// Puts the checksum of header and table right again.
void seal(std::vector<std::byte>& file) {
    std::uint32_t sections = 0;
    std::memcpy(&sections, file.data() + 12, sizeof sections);
    Digest digest;
    digest.add(std::span(file).first(24));
    const std::size_t table = std::min<std::size_t>(32 * std::size_t{sections}, file.size() - 32);
    digest.add(std::span(file).subspan(32, table));
    const std::uint64_t value = digest.value();
    std::memcpy(file.data() + 24, &value, sizeof value);
}

/// The place of field `field` (0: kind and index, 1: offset, 2: bytes, 3: checksum) of the table's entry `entry`.
std::byte* entry_field(std::vector<std::byte>& file, std::size_t entry, std::size_t field) {
    return file.data() + 32 + 32 * entry + 8 * field;
}

void expect_equal(const SessionData& read, const SessionData& session) {
    EXPECT_EQ(read.origin.model, session.origin.model);
    EXPECT_EQ(read.origin.law, session.origin.law);
    EXPECT_EQ(read.origin.kernels, session.origin.kernels);
    EXPECT_EQ(read.origin.kv_type, session.origin.kv_type);
    EXPECT_EQ(read.tokens, session.tokens);
    EXPECT_EQ(read.evaluated, session.evaluated);
    EXPECT_EQ(read.sampler_state.draws, session.sampler_state.draws);
    EXPECT_EQ(read.sampler_state.mirostat_mu, session.sampler_state.mirostat_mu);
    EXPECT_EQ(read.sampler_state.adaptive_sum, 0.75);
    EXPECT_EQ(read.sampler_state.adaptive_weight, 1.5);
    EXPECT_EQ(read.sampling.dynatemp_range, 0.25F);
    EXPECT_EQ(read.sampling.adaptive_decay, 0.5F);
    EXPECT_EQ(read.sampling.mirostat, 2U);
    EXPECT_EQ(read.sampling.dry_last_n, 77U);
    EXPECT_EQ(read.sampling.dry_breakers, session.sampling.dry_breakers);
    EXPECT_EQ(read.sampling.samplers, session.sampling.samplers);
    EXPECT_EQ(read.sampling.seed, session.sampling.seed);
    EXPECT_EQ(read.sampling.temperature, session.sampling.temperature);
    EXPECT_EQ(read.sampling.top_k, session.sampling.top_k);
    EXPECT_EQ(read.sampling.top_p, session.sampling.top_p);
    EXPECT_EQ(read.sampling.min_p, session.sampling.min_p);
    EXPECT_EQ(read.sampling.repeat_penalty, session.sampling.repeat_penalty);
    EXPECT_EQ(read.sampling.repeat_last_n, session.sampling.repeat_last_n);
    EXPECT_EQ(read.sampling.ignore_end, session.sampling.ignore_end);
    EXPECT_EQ(read.sampling.logit_bias, session.sampling.logit_bias);
    EXPECT_EQ(read.logits, session.logits);
    EXPECT_EQ(*read.kv, *session.kv);
    EXPECT_EQ(read.attachment, session.attachment);
}

TEST_F(SessionFile, ComesBackAsItWas) {
    const SessionData session = make_session();
    ASSERT_TRUE(write_session(path, session).ok());
    const auto read = read_session(path);
    ASSERT_TRUE(read.ok()) << read.error().message;
    expect_equal(*read, session);
    EXPECT_EQ(read->compressed_bytes, 0U);
    EXPECT_EQ(session_bytes(session), std::filesystem::file_size(path));
}

TEST_F(SessionFile, IsItsOwnersAlone) {
    const mode_t mask = umask(0);
    ASSERT_TRUE(write_session(path, make_session()).ok());
    umask(mask);
    struct stat status = {};
    ASSERT_EQ(stat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0600U);
}

// The layout is a promise (docs/formats/session.md): these offsets are read without the code that wrote them.
TEST_F(SessionFile, LiesAsDocumented) {
    const std::vector<std::byte> file = image(make_session());
    EXPECT_EQ(std::memcmp(file.data(), "punasess", 8), 0);
    const auto u32 = [&](std::size_t at) {
        std::uint32_t value = 0;
        std::memcpy(&value, file.data() + at, sizeof value);
        return value;
    };
    const auto u64 = [&](std::size_t at) {
        std::uint64_t value = 0;
        std::memcpy(&value, file.data() + at, sizeof value);
        return value;
    };
    EXPECT_EQ(u32(8), 2U);
    ASSERT_EQ(u32(12), 7U);  // origin, state, tokens, logits, two layers, attachment
    EXPECT_EQ(u64(16), file.size());
    const std::array<std::uint32_t, 7> kinds = {1, 2, 3, 4, 5, 5, 6};
    std::uint64_t end = 32 + 7 * 32;
    for (std::size_t i = 0; i < kinds.size(); ++i) {
        EXPECT_EQ(u32(32 + 32 * i), kinds[i]);
        EXPECT_EQ(u64(32 + 32 * i + 8), end);
        end += u64(32 + 32 * i + 16);
    }
    EXPECT_EQ(end, file.size());
    const std::uint64_t tokens = u64(32 + 32 * 2 + 8);
    EXPECT_EQ(file[tokens - 25], std::byte{1});  // the state section ends with the sampler's
    EXPECT_EQ(std::bit_cast<double>(u64(tokens - 24)), 3.5);
    EXPECT_EQ(std::bit_cast<double>(u64(tokens - 16)), 0.75);
    EXPECT_EQ(std::bit_cast<double>(u64(tokens - 8)), 1.5);
    EXPECT_EQ(u32(tokens), 1U);
    EXPECT_EQ(u32(tokens + 4), 5U);
    EXPECT_EQ(u32(tokens + 8), 9U);
}

// XXH3 of the empty input and of short ones, as the reference implementation's self-test lists them (seed 0).
TEST_F(SessionFile, ChecksumsAreXxh3) {
    EXPECT_EQ(digest_of({}), 0x2D06800538D394C2ULL);
}

TEST_F(SessionFile, EveryDamagedByteIsFound) {
    const std::vector<std::byte> good = image(make_session());
    for (std::size_t i = 0; i < good.size(); ++i) {
        for (const std::byte flip : {std::byte{0x01}, std::byte{0x80}}) {
            std::vector<std::byte> bad = good;
            bad[i] ^= flip;
            const auto read = read_session(folder.write("bad", bad));
            ASSERT_FALSE(read.ok()) << "byte " << i;
            EXPECT_TRUE(read.error().code == ErrorCode::file_malformed ||
                        (read.error().code == ErrorCode::unsupported_format && i < 12))
                << "byte " << i << ": " << read.error().message;
        }
    }
}

TEST_F(SessionFile, ADamagedPartIsNamed) {
    std::vector<std::byte> file = image(make_session());
    file[file.size() - 1] ^= std::byte{1};
    EXPECT_THAT(error_of(file).message, HasSubstr("section attachment is damaged"));
    file[file.size() - 1] ^= std::byte{1};
    file[file.size() - 30] ^= std::byte{1};
    EXPECT_THAT(error_of(file).message, HasSubstr("section kv of layer 1 is damaged"));
}

TEST_F(SessionFile, EveryShorterAndLongerFileIsRefused) {
    std::vector<std::byte> file = image(make_session());
    file.push_back(std::byte{0});
    EXPECT_EQ(error_of(file).code, ErrorCode::file_malformed);
    while (!file.empty()) {
        file.pop_back();
        if (file.size() + 1 == session_bytes(make_session()) + 1) continue;  // the whole file
        const auto read = read_session(folder.write("short", file));
        ASSERT_FALSE(read.ok()) << file.size();
    }
}

// What a hostile hand writes has the right checksums. Sizes must not be believed before they are checked.
TEST_F(SessionFile, SizesThatLieAreRefused) {
    const std::vector<std::byte> good = image(make_session());
    for (const std::uint64_t lie :
         {std::uint64_t{0}, std::uint64_t{1} << 20, std::uint64_t{1} << 62, ~std::uint64_t{0}}) {
        for (std::size_t entry = 0; entry < 7; ++entry) {
            for (const std::size_t field : {1U, 2U}) {
                std::vector<std::byte> bad = good;
                std::memcpy(entry_field(bad, entry, field), &lie, sizeof lie);
                seal(bad);
                EXPECT_EQ(error_of(bad).code, ErrorCode::file_malformed);
            }
        }
    }
    std::vector<std::byte> bad = good;
    const std::uint32_t sections = 0xFFFFFFFFU;
    std::memcpy(bad.data() + 12, &sections, sizeof sections);
    seal(bad);
    EXPECT_EQ(error_of(bad).code, ErrorCode::file_malformed);
}

// Numbers within the sections, each changed under good checksums: an error, or a session that is sound in itself.
TEST_F(SessionFile, FieldsThatLieAreRefusedOrHarmless) {
    const std::vector<std::byte> good = image(make_session());
    std::uint64_t first = 0;
    std::memcpy(&first, good.data() + 40, sizeof first);
    std::uint64_t tokens_end = 0;
    std::uint64_t tokens_bytes = 0;
    std::vector<std::byte> copy = good;
    std::memcpy(&tokens_end, entry_field(copy, 2, 1), sizeof tokens_end);
    std::memcpy(&tokens_bytes, entry_field(copy, 2, 2), sizeof tokens_bytes);
    tokens_end += tokens_bytes;
    for (std::uint64_t at = first; at < tokens_end; ++at) {
        for (const std::byte value : {std::byte{0}, std::byte{0x7F}, std::byte{0xFF}}) {
            std::vector<std::byte> bad = good;
            bad[at] = value;
            for (std::size_t entry = 0; entry < 3; ++entry) {
                std::uint64_t offset = 0;
                std::uint64_t bytes = 0;
                std::memcpy(&offset, entry_field(bad, entry, 1), sizeof offset);
                std::memcpy(&bytes, entry_field(bad, entry, 2), sizeof bytes);
                const std::uint64_t digest = digest_of(std::span(bad).subspan(offset, bytes));
                std::memcpy(entry_field(bad, entry, 3), &digest, sizeof digest);
            }
            seal(bad);
            const auto read = read_session(folder.write("lies", bad));
            if (!read.ok()) continue;
            EXPECT_EQ(read->kv->size(), static_cast<std::size_t>(read->origin.model.shape.layers));
            EXPECT_LE(read->evaluated, std::ssize(read->tokens));
            for (const auto& layer : *read->kv) {
                EXPECT_EQ(layer.size(),
                          kv_layer_bytes(read->origin.model.shape, read->origin.kv_type, read->evaluated));
            }
        }
    }
}

// Written by the last build that wrote version 1: `puna run -m tests/models/data/tiny_llama3.gguf -p ab -n 2 --seed 5
// --temp 0.5 --top-k 7 --top-p 0.75 --min-p 0.125 --repeat-penalty 1.25 --repeat-last-n 9 --token-bias 3=-1.5
// --ignore-eos --save-session FILE`.
TEST_F(SessionFile, OfVersion1IsRead) {
    const auto read = read_session(PUNA_TEST_DATA "/engine/data/version_1.session");
    ASSERT_TRUE(read.ok()) << read.error().message;
    EXPECT_EQ(read->tokens.size(), 5U);
    EXPECT_EQ(read->evaluated, 5);
    EXPECT_EQ(read->logits.size(), 288U);
    EXPECT_EQ(read->sampling.seed, 5U);
    EXPECT_EQ(read->sampling.temperature, 0.5F);
    EXPECT_EQ(read->sampling.top_k, 7U);
    EXPECT_EQ(read->sampling.repeat_last_n, 9U);
    EXPECT_EQ(read->sampling.logit_bias, (std::map<TokenId, float>{{3, -1.5F}}));
    EXPECT_EQ(read->sampling.mirostat, 0U);
    EXPECT_EQ(read->sampling.dry_breakers, SamplingOptions().dry_breakers);
    EXPECT_EQ(read->sampler_state.draws, 2U);
    EXPECT_FALSE(read->sampler_state.mirostat_mu);
}

TEST_F(SessionFile, SomethingElseIsNamedAsSuch) {
    EXPECT_EQ(read_session(folder.path("missing")).error().code, ErrorCode::file_not_found);
    const Error other = error_of(std::as_bytes(std::span("GGUF and so on, long enough to be a header of one")));
    EXPECT_EQ(other.code, ErrorCode::unsupported_format);
    EXPECT_THAT(other.message, HasSubstr("no session"));
    std::vector<std::byte> later = image(make_session());
    later[8] = std::byte{4};
    seal(later);
    EXPECT_THAT(error_of(later).message, HasSubstr("version 4"));
}

// ---- Failures while writing ----

/// From now on this process's calls of `number` have the filter's effect. Holds on x86-64 and elsewhere, for `number`
/// is the architecture's own.
void on_syscall(long number, std::uint32_t effect) {
    std::array<sock_filter, 4> program = {
        sock_filter{BPF_LD | BPF_W | BPF_ABS, 0, 0, 0},  // the call's number
        sock_filter{BPF_JMP | BPF_JEQ | BPF_K, 0, 1, static_cast<std::uint32_t>(number)},
        sock_filter{BPF_RET | BPF_K, 0, 0, effect},
        sock_filter{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
    };
    const sock_fprog filter = {static_cast<unsigned short>(program.size()), program.data()};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)
        _exit(99);
}

constexpr int said_io_error = 17;

class SessionFailure : public SessionFile {
  protected:
    void SetUp() override { ASSERT_TRUE(write_session(path, make_session(1)).ok()); }

    /// Writes another session in a child process that something befalls; its wait status.
    template <typename Befall>
    int write_in_child(Befall befall) {
        const pid_t child = fork();
        if (child == 0) {
            befall();
            const auto written = write_session(path, make_session(2));
            _exit(written.ok() ? 0 : written.error().code == ErrorCode::io_error ? said_io_error : 98);
        }
        int status = 0;
        EXPECT_EQ(waitpid(child, &status, 0), child);
        return status;
    }
    std::uint64_t seed_on_disk() {
        const auto read = read_session(path);
        EXPECT_TRUE(read.ok()) << read.error().message;
        return read.ok() ? read->sampling.seed.value_or(0) : 0;
    }
    std::size_t entries() const {
        const std::filesystem::directory_iterator all(std::filesystem::path(path).parent_path());
        return static_cast<std::size_t>(std::distance(begin(all), end(all)));
    }
};

// SIGXFSZ ends the process in the middle of its write, at each byte in turn.
TEST_F(SessionFailure, AKillAtAnyByteLeavesThePreviousSession) {
    const std::uint64_t whole = session_bytes(make_session(2));
    for (std::uint64_t byte = 0; byte < whole; byte += 13) {
        const int status = write_in_child([&] {
            const rlimit no_core = {0, 0};
            setrlimit(RLIMIT_CORE, &no_core);
            std::signal(SIGXFSZ, SIG_DFL);
            const rlimit limit = {byte, byte};
            setrlimit(RLIMIT_FSIZE, &limit);
        });
        ASSERT_TRUE(WIFSIGNALED(status)) << byte;
        EXPECT_EQ(WTERMSIG(status), SIGXFSZ);
        ASSERT_EQ(seed_on_disk(), 1U) << byte;
        EXPECT_EQ(entries(), 2U);  // what this one left; what the last one left is gone
    }
}

TEST_F(SessionFailure, AKillAtAnyCallLeavesThePreviousSessionOrTheNew) {
    for (const long call : {SYS_openat, SYS_write, SYS_fsync, SYS_close, SYS_renameat}) {
        const int status = write_in_child([&] { on_syscall(call, SECCOMP_RET_KILL_PROCESS); });
        ASSERT_TRUE(WIFSIGNALED(status)) << call << ": " << status;
        ASSERT_EQ(seed_on_disk(), 1U) << call;
    }
    EXPECT_EQ(write_in_child([] {}), 0);
    EXPECT_EQ(seed_on_disk(), 2U);
    EXPECT_EQ(entries(), 1U);  // what the killed ones left is gone
}

TEST_F(SessionFailure, AFullDiskIsAnErrorAndLeavesThePreviousSession) {
    const std::uint64_t whole = session_bytes(make_session(2));
    for (std::uint64_t byte = 0; byte < whole; byte += 97) {
        const int status = write_in_child([&] {
            std::signal(SIGXFSZ, SIG_IGN);
            const rlimit limit = {byte, byte};
            setrlimit(RLIMIT_FSIZE, &limit);
        });
        ASSERT_TRUE(WIFEXITED(status)) << byte;
        EXPECT_EQ(WEXITSTATUS(status), said_io_error) << byte;
        ASSERT_EQ(seed_on_disk(), 1U) << byte;
        EXPECT_EQ(entries(), 1U);  // and nothing beside it
    }
}

TEST_F(SessionFailure, EveryCallThatFailsIsAnErrorAndLeavesThePreviousSession) {
    for (const long call : {SYS_openat, SYS_write, SYS_fsync, SYS_renameat}) {
        for (const std::uint32_t number : {ENOSPC, EIO, EDQUOT}) {
            const int status = write_in_child([&] { on_syscall(call, SECCOMP_RET_ERRNO | number); });
            ASSERT_TRUE(WIFEXITED(status)) << call;
            EXPECT_EQ(WEXITSTATUS(status), said_io_error) << call;
            ASSERT_EQ(seed_on_disk(), 1U) << call;
            EXPECT_EQ(entries(), 1U) << call;
        }
    }
}

}  // namespace
}  // namespace puna::engine
