#include "puna/model.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <utility>

#include "api/guarded.h"
#include "api/model_impl.h"
#include "api/model_info.h"
#include "base/cpu.h"
#include "base/try.h"
#include "engine/context_plan.h"
#include "formats/place_weights.h"
#include "kernels/kernel_table.h"
#include "nn/kv_cache.h"

namespace puna {
namespace {

Result<void> check_id(const text::Tokenizer& tokenizer, TokenId id) {
    if (id >= 0 && static_cast<std::size_t>(id) < tokenizer.size()) return {};
    return Error{ErrorCode::invalid_argument,
                 fmt::format("{} is no token id: the vocabulary has ids 0 to {}", id,
                             static_cast<std::int64_t>(tokenizer.size()) - 1),
                 "ids come from the tokenizer of the same model"};
}

/// The set that an engine would take. Sizes do not depend on which it is, so a set that cannot be had does not matter.
const kernels::KernelTable* usual_kernels() {
    const auto selected = kernels::select_kernels("auto");
    return selected.ok() ? *selected : kernels::all_kernel_sets().back().table;
}

}  // namespace

Result<Model> Model::load(const std::string& path, const LoadOptions& options) {
    return api::guarded([&]() -> Result<Model> {
        PUNA_TRY(std::shared_ptr<const formats::ModelFile> file,
                 formats::read_model_file(
                     path, {options.norm_epsilon, options.rope_base, options.kv_heads, options.context}));
        PUNA_TRY(auto prefault, formats::place_weights(*file, options.memory));
        auto tokenizer = text::Tokenizer::create(std::shared_ptr<const text::Vocabulary>(file, &file->vocabulary));
        auto chat = tokenizer.ok() ? text::ChatEncoder::create(*tokenizer) : tokenizer.error();
        auto model = models::create_model(file);
        if (options.memory.locked) PUNA_CHECK(formats::lock_weights(model.ok() ? (*model)->file() : *file));
        ModelInfo info = api::describe(*file, tokenizer, model);
        return Model(std::make_shared<const Impl>(Impl{std::move(file), std::move(tokenizer), std::move(chat),
                                                       std::move(model), std::move(info), std::move(prefault)}));
    });
}

const ModelInfo& Model::info() const {
    return impl_->info;
}

std::uint64_t Model::kv_bytes(std::uint64_t context_tokens, std::string_view kv_type) const {
    const auto type = kernels::select_kv_type(kv_type);
    if (!impl_->model.ok() || !type.ok()) return 0;
    const nn::KvCache::Shape shape = (*impl_->model)->kv_shape(*type);
    if (!nn::KvCache::check(shape).ok()) return 0;
    const std::uint64_t block = nn::KvCache::bytes_for(*usual_kernels(), shape, kernels::kv_block_positions);
    return engine::kv_bytes(context_tokens, block);
}

std::uint64_t Model::workspace_bytes(std::uint32_t batch_size) const {
    return impl_->model.ok() ? (*impl_->model)->workspace_bytes(batch_size, base::usable_cores()) : 0;
}

std::uint64_t Model::peak_bytes(std::uint64_t context_tokens, std::string_view kv_type,
                                std::uint32_t batch_size) const {
    const std::uint64_t kv = kv_bytes(context_tokens, kv_type);
    if (kv == 0 && context_tokens > 0) return 0;
    const ModelInfo& info = impl_->info;
    const std::uint64_t row = 12 * std::uint64_t{info.feed_forward_length} + 32 * std::uint64_t{info.embedding_length};
    return info.file_bytes + info.assembled_bytes + kv + (std::uint64_t{32} << 20) + batch_size * row;
}

Result<std::vector<TokenId>> Model::encode(std::string_view text, EncodeOptions options) const {
    return api::guarded([&]() -> Result<std::vector<TokenId>> {
        if (!impl_->tokenizer.ok()) return impl_->tokenizer.error();
        return (*impl_->tokenizer)->encode(text, {options.add_bos, options.parse_special});
    });
}

Result<std::vector<TokenId>> Model::encode_chat(std::span<const ChatMessage> messages, ChatOptions options) const {
    return api::guarded([&]() -> Result<std::vector<TokenId>> {
        if (!impl_->chat.ok()) return impl_->chat.error();
        const std::time_t seconds = std::time(nullptr);
        std::tm now{};
        localtime_r(&seconds, &now);
        return impl_->chat->encode(messages, options, now);
    });
}

Result<std::string> Model::decode(std::span<const TokenId> ids, DecodeOptions options) const {
    return api::guarded([&]() -> Result<std::string> {
        if (!impl_->tokenizer.ok()) return impl_->tokenizer.error();
        const text::Tokenizer& tokenizer = **impl_->tokenizer;
        text::IncrementalDecoder decoder(tokenizer, options.special, {});
        std::string text;
        for (const TokenId id : ids) {
            PUNA_CHECK(check_id(tokenizer, id));
            text += decoder.push(id);
        }
        return text + decoder.finish();
    });
}

Result<std::string> Model::piece(TokenId id) const {
    return api::guarded([&]() -> Result<std::string> {
        if (!impl_->tokenizer.ok()) return impl_->tokenizer.error();
        PUNA_CHECK(check_id(**impl_->tokenizer, id));
        return (*impl_->tokenizer)->vocabulary().tokens[static_cast<std::size_t>(id)];
    });
}

}  // namespace puna
