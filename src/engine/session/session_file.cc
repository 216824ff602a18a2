#include "engine/session/session_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <optional>
#include <string_view>
#include <utility>

#include "base/atomic_file.h"
#include "base/checked.h"
#include "base/file_mapping.h"
#include "base/try.h"
#include "engine/session/compression.h"
#include "engine/session/digest.h"
#include "engine/session/fields.h"
#include "engine/session/llama_rs_snapshot.h"
#include "formats/printable.h"
#include "kernels/kv_storage.h"
#include "quant/tensor_type.h"
#include "sampling/check_options.h"

namespace puna::engine {
namespace {

static_assert(std::endian::native == std::endian::little, "the file is little-endian, and so is what lies in memory");

constexpr std::array<char, 8> magic = {'p', 'u', 'n', 'a', 's', 'e', 's', 's'};
constexpr std::uint32_t oldest_version = 1;      // which has fewer sampling parameters, and no state of theirs
constexpr std::uint32_t plain_version = 2;       // written where nothing is compressed
constexpr std::uint32_t compressed_version = 3;  // the table says how many bytes each section is when decompressed
constexpr std::uint64_t header_bytes = 32;

constexpr std::uint64_t entry_bytes(std::uint32_t version) {
    return version == compressed_version ? 40 : 32;
}

enum class SectionKind : std::uint32_t { origin = 1, state = 2, tokens = 3, logits = 4, kv = 5, attachment = 6 };

struct Section {
    SectionKind kind;
    std::uint32_t index;
    std::span<const std::byte> data;
    std::span<const std::byte> stored = data;  // as it goes to the file; shorter than `data` if it is compressed
};

std::string section_name(std::uint32_t kind, std::uint32_t index) {
    switch (static_cast<SectionKind>(kind)) {
        case SectionKind::origin: return "origin";
        case SectionKind::state: return "state";
        case SectionKind::tokens: return "tokens";
        case SectionKind::logits: return "logits";
        case SectionKind::kv: return fmt::format("kv of layer {}", index);
        case SectionKind::attachment: return "attachment";
    }
    return fmt::format("of kind {}", kind);
}

// ---- Writing ----

void write_origin(FieldWriter& out, const SessionOrigin& origin) {
    out.text(origin.model.architecture);
    const ModelShape& shape = origin.model.shape;
    for (const std::int64_t size : {shape.layers, shape.embedding, shape.feed_forward, shape.heads, shape.kv_heads,
                                    shape.head_dim, shape.vocabulary})
        out.number(size);
    out.number(origin.model.parameters);
    out.number(origin.model.tokenizer);
    out.number(origin.model.tensors);
    out.text(origin.law);
    out.text(origin.kernels);
    out.text(kernels::kv_type_name(origin.kv_type));
}

/// The parameters that came with version 2, numbers alone, in the order of the file.
constexpr std::array later_reals = {
    &SamplingOptions::dynatemp_range,    &SamplingOptions::dynatemp_exponent, &SamplingOptions::typical_p,
    &SamplingOptions::top_n_sigma,       &SamplingOptions::xtc_probability,   &SamplingOptions::xtc_threshold,
    &SamplingOptions::frequency_penalty, &SamplingOptions::presence_penalty,  &SamplingOptions::dry_multiplier,
    &SamplingOptions::dry_base,          &SamplingOptions::mirostat_tau,      &SamplingOptions::mirostat_eta,
    &SamplingOptions::adaptive_target,   &SamplingOptions::adaptive_decay};
constexpr std::array later_counts = {&SamplingOptions::dry_allowed_length, &SamplingOptions::dry_last_n,
                                     &SamplingOptions::mirostat};

void write_later_sampling(FieldWriter& out, const SamplingOptions& sampling) {
    for (const auto real : later_reals)
        out.number(sampling.*real);
    for (const auto count : later_counts)
        out.number(sampling.*count);
    out.number(static_cast<std::uint32_t>(sampling.dry_breakers.size()));
    for (const std::string& breaker : sampling.dry_breakers)
        out.text(breaker);
    out.number(static_cast<std::uint32_t>(sampling.samplers.size()));
    for (const SamplingStep step : sampling.samplers)
        out.number(static_cast<std::uint8_t>(step));
}

void write_state(FieldWriter& out, const SessionData& session) {
    out.number<std::uint64_t>(session.tokens.size());
    out.number(session.evaluated);
    out.number(session.sampler_state.draws);
    const SamplingOptions& sampling = session.sampling;
    out.number(sampling.seed.value_or(0));
    out.number(sampling.temperature);
    out.number(sampling.top_k);
    out.number(sampling.top_p);
    out.number(sampling.min_p);
    out.number(sampling.repeat_penalty);
    out.number(sampling.repeat_last_n);
    out.number(static_cast<std::uint8_t>(sampling.ignore_end));
    out.number(static_cast<std::uint32_t>(sampling.logit_bias.size()));
    for (const auto& [id, bias] : sampling.logit_bias) {
        out.number(id);
        out.number(bias);
    }
    write_later_sampling(out, sampling);
    const SamplerState& state = session.sampler_state;
    out.number(static_cast<std::uint8_t>(state.mirostat_mu.has_value()));
    out.number(state.mirostat_mu.value_or(0));
    out.number(state.adaptive_sum);
    out.number(state.adaptive_weight);
}

/// The sections in order; `fields` keeps what was made for them.
std::vector<Section> sections_of(const SessionData& session, std::array<FieldWriter, 2>& fields) {
    write_origin(fields[0], session.origin);
    write_state(fields[1], session);
    std::vector<Section> sections = {{SectionKind::origin, 0, fields[0].bytes()},
                                     {SectionKind::state, 0, fields[1].bytes()},
                                     {SectionKind::tokens, 0, std::as_bytes(std::span(session.tokens))}};
    if (!session.logits.empty()) sections.push_back({SectionKind::logits, 0, std::as_bytes(std::span(session.logits))});
    for (std::size_t layer = 0; layer < session.kv->size(); ++layer)
        sections.push_back({SectionKind::kv, static_cast<std::uint32_t>(layer), (*session.kv)[layer]});
    if (!session.attachment.empty())
        sections.push_back({SectionKind::attachment, 0, std::as_bytes(std::span(session.attachment))});
    return sections;
}

std::uint64_t file_bytes(const std::vector<Section>& sections, std::uint32_t version) {
    std::uint64_t bytes = header_bytes + entry_bytes(version) * sections.size();
    for (const Section& section : sections)
        bytes += section.stored.size();
    return bytes;
}

// ---- Reading ----

Error malformed(const std::string& path, std::string_view problem) {
    return {ErrorCode::file_malformed, fmt::format("\"{}\": {}", path, problem),
            "the session is damaged: start a new one, or take a copy"};
}

struct Entry {
    std::uint32_t kind;
    std::uint32_t index;
    std::uint64_t offset;
    std::uint64_t stored;  // bytes in the file
    std::uint64_t digest;  // of these
    std::uint64_t bytes;   // of the section; at most most_compression times the bytes in the file
};

template <typename T>
T number_at(std::span<const std::byte> bytes, std::uint64_t offset) {
    T value;
    std::memcpy(&value, bytes.data() + offset, sizeof(T));
    return value;
}

/// The table of sections, which cover the rest of the file without a gap, so that no byte is without its checksum.
Result<std::vector<Entry>> read_table(std::span<const std::byte> file, const std::string& path) {
    if (file.size() < magic.size() || std::memcmp(file.data(), magic.data(), magic.size()) != 0) {
        return Error{ErrorCode::unsupported_format, fmt::format("\"{}\" is no session of puna", path),
                     may_be_llama_rs_snapshot(file)
                         ? "if it is a snapshot of LLaMA-rs, `puna session import` makes a session of it"
                         : "sessions are written by --save-session, --persist-session and /save"};
    }
    if (file.size() < header_bytes) return malformed(path, "the file ends within its header");
    const auto version = number_at<std::uint32_t>(file, 8);
    if (version < oldest_version || version > compressed_version) {
        return Error{ErrorCode::unsupported_format,
                     fmt::format("\"{}\" is a session of version {}, and this build reads versions {} to {}", path,
                                 version, oldest_version, compressed_version),
                     "take the version of puna that wrote it"};
    }
    const auto count = number_at<std::uint32_t>(file, 12);
    const auto whole = number_at<std::uint64_t>(file, 16);
    if (whole != file.size())
        return malformed(path, fmt::format("the file has {} bytes, and its header says {}", file.size(), whole));
    const std::uint64_t entry_size = entry_bytes(version);
    const std::uint64_t table_end = header_bytes + entry_size * count;
    if (table_end > file.size()) return malformed(path, "the file ends within its table of sections");
    Digest digest;
    digest.add(file.first(24));
    digest.add(file.subspan(header_bytes, entry_size * count));
    if (digest.value() != number_at<std::uint64_t>(file, 24))
        return malformed(path, "its header or table of sections is damaged (checksum)");

    std::vector<Entry> entries;
    std::uint64_t end = table_end;
    for (std::uint64_t i = 0; i < count; ++i) {
        const std::uint64_t at = header_bytes + entry_size * i;
        const auto stored = number_at<std::uint64_t>(file, at + 16);
        const Entry entry{number_at<std::uint32_t>(file, at),
                          number_at<std::uint32_t>(file, at + 4),
                          number_at<std::uint64_t>(file, at + 8),
                          stored,
                          number_at<std::uint64_t>(file, at + 24),
                          version == compressed_version ? number_at<std::uint64_t>(file, at + 32) : stored};
        const std::string name = section_name(entry.kind, entry.index);
        if (entry.offset != end || entry.stored > file.size() - end) {
            return malformed(
                path, fmt::format("section {} does not lie where the one before it ends, or not in the file", name));
        }
        if (entry.bytes < entry.stored || entry.bytes / most_compression > entry.stored) {
            return malformed(path, fmt::format("section {} has {} bytes in the file, and says that they become {}",
                                               name, entry.stored, entry.bytes));
        }
        end += entry.stored;
        entries.push_back(entry);
    }
    if (end != file.size()) return malformed(path, "bytes stand behind its last section");
    return entries;
}

class Reader {
  public:
    Reader(std::span<const std::byte> file, const std::string& path) : file_(file), path_(path) {}

    Result<SessionData> read() {
        PUNA_TRY(entries_, read_table(file_, path_));
        PUNA_CHECK(check_kinds());
        PUNA_CHECK(read_origin());
        PUNA_CHECK(read_state());
        PUNA_CHECK(read_tokens());
        PUNA_CHECK(read_logits());
        PUNA_CHECK(read_kv());
        PUNA_CHECK(read_attachment());
        if (number_at<std::uint32_t>(file_, 8) == compressed_version) session_.compressed_bytes = file_.size();
        return std::move(session_);
    }

  private:
    Result<void> check_kinds() const {
        for (std::size_t i = 0; i < entries_.size(); ++i) {
            const Entry& entry = entries_[i];
            const bool known = entry.kind >= static_cast<std::uint32_t>(SectionKind::origin) &&
                               entry.kind <= static_cast<std::uint32_t>(SectionKind::attachment);
            if (!known) {
                return Error{ErrorCode::unsupported_format,
                             fmt::format("\"{}\": it has a section {}, which this build does not know", path_,
                                         section_name(entry.kind, entry.index)),
                             "take the version of puna that wrote it"};
            }
            // Ascending by kind and index, so that each is there once.
            if (i > 0 && std::pair(entries_[i - 1].kind, entries_[i - 1].index) >= std::pair(entry.kind, entry.index))
                return malformed(path_,
                                 fmt::format("section {} is out of order", section_name(entry.kind, entry.index)));
        }
        return {};
    }

    const Entry* find(SectionKind kind, std::uint32_t index = 0) const {
        const auto found = std::ranges::find_if(entries_, [&](const Entry& entry) {
            return entry.kind == static_cast<std::uint32_t>(kind) && entry.index == index;
        });
        return found == entries_.end() ? nullptr : &*found;
    }

    /// Brings a section, which must have the size of `to`, there, and verifies it. Missing: an error.
    Result<void> copy(SectionKind kind, std::uint32_t index, std::span<std::byte> to) const {
        const Entry* const entry = find(kind, index);
        const std::string name = section_name(static_cast<std::uint32_t>(kind), index);
        if (entry == nullptr) return malformed(path_, fmt::format("section {} is missing", name));
        if (entry->bytes != to.size()) {
            return malformed(path_,
                             fmt::format("section {} has {} bytes, and must have {}", name, entry->bytes, to.size()));
        }
        const bool compressed = entry->stored < entry->bytes;
        std::vector<std::byte> frame(compressed ? entry->stored : 0);
        const std::span<std::byte> stored = compressed ? std::span(frame) : to;
        std::ranges::copy(file_.subspan(entry->offset, entry->stored), stored.begin());
        // Of the copy: the file may change meanwhile.
        if (digest_of(stored) != entry->digest)
            return malformed(path_, fmt::format("section {} is damaged (checksum)", name));
        if (compressed && !decompress(frame, to)) {
            return malformed(path_, fmt::format("section {} is no zstd frame of {} bytes", name, entry->bytes));
        }
        return {};
    }
    /// Size from the table, which is bounded by the file's.
    std::uint64_t size_of(SectionKind kind, std::uint32_t index = 0) const {
        const Entry* const entry = find(kind, index);
        return entry == nullptr ? 0 : entry->bytes;
    }
    Result<std::vector<std::byte>> fields(SectionKind kind) const {
        std::vector<std::byte> bytes(size_of(kind));
        PUNA_CHECK(copy(kind, 0, bytes));
        return bytes;
    }

    Result<void> read_origin();
    Result<void> read_state();
    void read_later_sampling(FieldReader& in);
    Result<void> read_tokens();
    Result<void> read_logits();
    Result<void> read_kv();
    Result<void> read_attachment();

    std::span<const std::byte> file_;
    const std::string& path_;
    std::vector<Entry> entries_;
    SessionData session_;
    std::uint64_t token_count_ = 0;
};

Result<void> Reader::read_origin() {
    PUNA_TRY(const std::vector<std::byte> bytes, fields(SectionKind::origin));
    FieldReader in(bytes, "origin");
    SessionOrigin& origin = session_.origin;
    origin.model.architecture = in.text();
    ModelShape& shape = origin.model.shape;
    for (std::int64_t* const size : {&shape.layers, &shape.embedding, &shape.feed_forward, &shape.heads,
                                     &shape.kv_heads, &shape.head_dim, &shape.vocabulary}) {
        *size = in.number<std::int64_t>();
        if (*size < 0) in.fail("a size is negative");
    }
    origin.model.parameters = in.number<std::uint64_t>();
    origin.model.tokenizer = in.number<std::uint64_t>();
    origin.model.tensors = in.number<std::uint64_t>();
    origin.law = in.text();
    origin.kernels = in.text();
    const std::string kv_type = in.text();
    if (const auto type = kernels::select_kv_type(kv_type); type.ok()) {
        origin.kv_type = *type;
    } else {
        in.fail(fmt::format("it names the KV type '{}', which this build does not know", formats::printable(kv_type)));
    }
    return in.done(path_);
}

void Reader::read_later_sampling(FieldReader& in) {
    SamplingOptions& sampling = session_.sampling;
    for (const auto real : later_reals)
        sampling.*real = in.number<float>();
    for (const auto count : later_counts)
        sampling.*count = in.number<std::uint32_t>();
    const auto breakers = in.number<std::uint32_t>();
    sampling.dry_breakers.clear();
    for (std::uint32_t i = 0; i < breakers && in.remaining() > 0; ++i)
        sampling.dry_breakers.push_back(in.text());
    const auto steps = in.number<std::uint32_t>();
    for (std::uint32_t i = 0; i < steps && in.remaining() > 0; ++i) {
        const auto step = in.number<std::uint8_t>();
        if (step >= all_sampling_steps.size()) in.fail(fmt::format("there is no step of sampling of number {}", step));
        sampling.samplers.push_back(static_cast<SamplingStep>(step));
    }
    SamplerState& state = session_.sampler_state;
    const bool has_mu = in.number<std::uint8_t>() != 0;
    const auto mu = in.number<double>();
    if (has_mu) state.mirostat_mu = mu;
    state.adaptive_sum = in.number<double>();
    state.adaptive_weight = in.number<double>();
    if (const auto checked = sampling::check_state(state); !checked.ok()) in.fail("the state of sampling is no number");
}

Result<void> Reader::read_state() {
    PUNA_TRY(const std::vector<std::byte> bytes, fields(SectionKind::state));
    FieldReader in(bytes, "state");
    token_count_ = in.number<std::uint64_t>();
    session_.evaluated = in.number<std::int64_t>();
    session_.sampler_state.draws = in.number<std::uint64_t>();
    SamplingOptions& sampling = session_.sampling;
    sampling.seed = in.number<std::uint64_t>();
    sampling.temperature = in.number<float>();
    sampling.top_k = in.number<std::uint32_t>();
    sampling.top_p = in.number<float>();
    sampling.min_p = in.number<float>();
    sampling.repeat_penalty = in.number<float>();
    sampling.repeat_last_n = in.number<std::uint32_t>();
    sampling.ignore_end = in.number<std::uint8_t>() != 0;
    const auto biases = in.number<std::uint32_t>();
    for (std::uint32_t i = 0; i < biases && in.remaining() > 0; ++i) {
        const auto id = in.number<TokenId>();
        sampling.logit_bias[id] = in.number<float>();
    }
    if (number_at<std::uint32_t>(file_, 8) >= 2) read_later_sampling(in);
    if (session_.evaluated < 0 || static_cast<std::uint64_t>(session_.evaluated) > token_count_)
        in.fail(fmt::format("{} of {} tokens are evaluated", session_.evaluated, token_count_));
    return in.done(path_);
}

Result<void> Reader::read_tokens() {
    const std::uint64_t bytes = size_of(SectionKind::tokens);
    if (base::checked_multiply(token_count_, sizeof(TokenId)) != bytes) {
        return malformed(path_,
                         fmt::format("section tokens has {} bytes, and must hold {} tokens", bytes, token_count_));
    }
    session_.tokens.resize(token_count_);
    PUNA_CHECK(copy(SectionKind::tokens, 0, std::as_writable_bytes(std::span(session_.tokens))));
    const std::int64_t vocabulary = session_.origin.model.shape.vocabulary;
    const auto wrong = std::ranges::find_if(session_.tokens, [&](TokenId id) { return id < 0 || id >= vocabulary; });
    if (wrong != session_.tokens.end()) {
        return malformed(path_, fmt::format("section tokens: {} is no token id, for the vocabulary has {} tokens",
                                            *wrong, vocabulary));
    }
    return {};
}

Result<void> Reader::read_logits() {
    if (find(SectionKind::logits) == nullptr) return {};
    const auto vocabulary = static_cast<std::uint64_t>(session_.origin.model.shape.vocabulary);
    const std::uint64_t bytes = size_of(SectionKind::logits);
    if (base::checked_multiply(vocabulary, sizeof(float)) != bytes ||
        static_cast<std::uint64_t>(session_.evaluated) != token_count_ || token_count_ == 0) {
        return malformed(path_, fmt::format("section logits has {} bytes, and must hold {} logits of the last token",
                                            bytes, vocabulary));
    }
    session_.logits.resize(vocabulary);
    return copy(SectionKind::logits, 0, std::as_writable_bytes(std::span(session_.logits)));
}

Result<void> Reader::read_kv() {
    const ModelShape& shape = session_.origin.model.shape;
    const auto layer_bytes = kv_layer_bytes(shape, session_.origin.kv_type, session_.evaluated);
    const auto layers = static_cast<std::uint64_t>(shape.layers);
    const auto found = static_cast<std::uint64_t>(
        std::ranges::count(entries_, static_cast<std::uint32_t>(SectionKind::kv), &Entry::kind));
    // Before anything is allocated: so many sections there are, and their sizes are bounded by the file's.
    if (!layer_bytes || found != layers) {
        return malformed(
            path_, fmt::format("it has keys and values of {} layers, and the model has {} layers", found, layers));
    }
    KvRows rows;
    for (std::uint32_t layer = 0; layer < found; ++layer) {
        if (size_of(SectionKind::kv, layer) != *layer_bytes) {
            return malformed(path_, fmt::format("section {} has {} bytes, and must have {}",
                                                section_name(static_cast<std::uint32_t>(SectionKind::kv), layer),
                                                size_of(SectionKind::kv, layer), *layer_bytes));
        }
        rows.emplace_back(*layer_bytes);
        PUNA_CHECK(copy(SectionKind::kv, layer, rows.back()));
    }
    session_.kv = std::make_shared<const KvRows>(std::move(rows));
    return {};
}

Result<void> Reader::read_attachment() {
    session_.attachment.resize(size_of(SectionKind::attachment));
    if (session_.attachment.empty()) return {};
    return copy(SectionKind::attachment, 0, std::as_writable_bytes(std::span(session_.attachment)));
}

}  // namespace

std::optional<std::uint64_t> kv_layer_bytes(const ModelShape& shape, kernels::KvType type, std::int64_t positions) {
    if (type == kernels::KvType::q8_0 && shape.head_dim % kernels::kv_scaled_values != 0) return std::nullopt;
    std::optional<std::uint64_t> values = 1;
    for (const std::int64_t factor : {positions, shape.kv_heads, shape.head_dim}) {
        if (factor < 0 || !values) return std::nullopt;
        values = base::checked_multiply(*values, static_cast<std::uint64_t>(factor));
    }
    if (!values || !base::checked_multiply(*values, 2 * sizeof(float))) return std::nullopt;
    return 2 * kernels::kv_bytes(type, *values);  // K and V
}

std::uint64_t session_bytes(const SessionData& session) {
    std::array<FieldWriter, 2> fields;
    return file_bytes(sections_of(session, fields), plain_version);
}

Result<std::uint64_t> write_session(const std::string& path, const SessionData& session,
                                    SessionCompression compression) {
    std::array<FieldWriter, 2> fields;
    std::vector<Section> sections = sections_of(session, fields);
    const bool zstd = compression == SessionCompression::zstd;
    std::vector<std::vector<std::byte>> frames(zstd ? sections.size() : 0);
    for (std::size_t i = 0; i < frames.size(); ++i) {
        PUNA_TRY(frames[i], compress(sections[i].data));
        if (!frames[i].empty()) sections[i].stored = frames[i];
    }
    const std::uint32_t version = zstd ? compressed_version : plain_version;
    const std::uint64_t whole = file_bytes(sections, version);

    FieldWriter start;  // the header but for its checksum
    start.raw(std::as_bytes(std::span(magic)));
    start.number(version);
    start.number(static_cast<std::uint32_t>(sections.size()));
    start.number(whole);
    FieldWriter table;
    std::uint64_t offset = header_bytes + entry_bytes(version) * sections.size();
    for (const Section& section : sections) {
        table.number(static_cast<std::uint32_t>(section.kind));
        table.number(section.index);
        table.number(offset);
        table.number<std::uint64_t>(section.stored.size());
        table.number(digest_of(section.stored));
        if (zstd) table.number<std::uint64_t>(section.data.size());
        offset += section.stored.size();
    }
    Digest digest;
    digest.add(start.bytes());
    digest.add(table.bytes());
    start.number(digest.value());
    start.raw(table.bytes());

    PUNA_TRY(auto file, base::AtomicFile::create(path, base::AtomicFile::Access::owner));
    PUNA_CHECK(file.write(start.bytes()));
    for (const Section& section : sections)
        PUNA_CHECK(file.write(section.stored));
    PUNA_CHECK(file.commit());
    return whole;
}

Result<SessionData> read_session(const std::string& path) {
    PUNA_TRY(const auto mapping, base::FileMapping::open(path));
    return base::unless_changed(*mapping, Reader(mapping->bytes(), formats::printable_path(path)).read());
}

}  // namespace puna::engine
