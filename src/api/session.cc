#include "puna/session.h"

#include <utility>

#include "api/guarded.h"
#include "api/model_impl.h"
#include "base/try.h"
#include "engine/session/fingerprint.h"
#include "engine/session/llama_rs_snapshot.h"
#include "engine/session/session_file.h"

namespace puna {

Result<Session> Session::load(const std::string& path) {
    return api::guarded([&]() -> Result<Session> {
        PUNA_TRY(engine::SessionData data, engine::read_session(path));
        return Session(std::make_shared<const engine::SessionData>(std::move(data)));
    });
}

Result<std::vector<TokenId>> Session::read_llama_rs(const std::string& path, const Model& model) {
    return api::guarded([&]() -> Result<std::vector<TokenId>> {
        if (!model.impl()->model.ok()) return model.impl()->model.error();
        return engine::read_llama_rs_snapshot(path, (*model.impl()->model)->dimensions());
    });
}

Result<std::uint64_t> Session::save(const std::string& path, SessionCompression compression) const {
    return api::guarded([&] { return engine::write_session(path, engine::data_of(*this), compression); });
}

Result<void> Session::check_model(const Model& model) const {
    return api::guarded([&]() -> Result<void> {
        if (!model.impl()->model.ok()) return model.impl()->model.error();
        if (!model.impl()->tokenizer.ok()) return model.impl()->tokenizer.error();
        const text::Vocabulary& vocabulary = (*model.impl()->tokenizer)->vocabulary();
        PUNA_TRY(const engine::ModelFingerprint present, engine::fingerprint(**model.impl()->model, vocabulary));
        return engine::require_same(engine::data_of(*this).origin.model, present);
    });
}

SessionInfo Session::info() const {
    const engine::SessionData& data = engine::data_of(*this);
    const engine::ModelShape& shape = data.origin.model.shape;
    SessionInfo info;
    info.architecture = data.origin.model.architecture;
    info.block_count = static_cast<std::uint32_t>(shape.layers);
    info.embedding_length = static_cast<std::uint32_t>(shape.embedding);
    info.head_count_kv = static_cast<std::uint32_t>(shape.kv_heads);
    info.head_dimension = static_cast<std::uint32_t>(shape.head_dim);
    info.vocabulary_tokens = static_cast<std::uint32_t>(shape.vocabulary);
    info.kernels = data.origin.kernels;
    info.law = data.origin.law;
    info.kv_type = kernels::kv_type_name(data.origin.kv_type);
    info.tokens = data.tokens.size();
    info.evaluated = static_cast<std::uint64_t>(data.evaluated);
    info.has_logits = !data.logits.empty();
    info.draws = data.sampler_state.draws;
    info.bytes = engine::session_bytes(data);
    info.compressed_bytes = data.compressed_bytes;
    return info;
}

const std::vector<TokenId>& Session::tokens() const {
    return engine::data_of(*this).tokens;
}

const SamplingOptions& Session::sampling() const {
    return engine::data_of(*this).sampling;
}

const SamplerState& Session::sampler_state() const {
    return engine::data_of(*this).sampler_state;
}

const std::string& Session::attachment() const {
    return engine::data_of(*this).attachment;
}

Session Session::with_attachment(std::string attachment) const {
    engine::SessionData data = engine::data_of(*this);
    data.attachment = std::move(attachment);
    data.compressed_bytes = 0;
    return Session(std::make_shared<const engine::SessionData>(std::move(data)));
}

}  // namespace puna
