// A model whose logits are what a test says, but which keeps its memory where a real one does: in the KV cache.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/engine.h"
#include "models/model.h"
#include "text/tokenizer/tokenizer.h"

namespace puna::engine {

/// The key that it stores for a position is the token's id, so the history that it sees is what the engine put into the
/// blocks that it reserved. Thread-safe as far as its functions are.
class FakeModel : public models::Model {
  public:
    /// Fills `logits` [vocabulary] for what follows `history`.
    using Logits = std::function<void(std::span<const TokenId> history, std::span<float> logits)>;
    /// Runs on the compute thread before each forward pass; an error becomes the pass's.
    using Before = std::function<Result<void>(const nn::Batch&)>;

    FakeModel(std::int64_t vocabulary, std::int64_t context, Logits logits, Before before = {})
        : logits_(std::move(logits)), before_(std::move(before)) {
        dimensions_.layers = 1;
        dimensions_.heads = dimensions_.kv_heads = 1;
        dimensions_.head_dim = head_dim;
        dimensions_.vocabulary = vocabulary;
        dimensions_.context = context;
        file_ = std::make_shared<formats::ModelFile>();
    }

    std::uint64_t workspace_bytes(std::int64_t, std::int64_t) const override { return 0; }

    Result<std::unique_ptr<Runner>> create_runner(const RunnerOptions& options) const override {
        return std::unique_ptr<Runner>(std::make_unique<FakeRunner>(*this, options.max_batch_rows));
    }

  private:
    static constexpr std::int64_t head_dim = 32;

    class FakeRunner : public Runner {
      public:
        FakeRunner(const FakeModel& model, std::int64_t max_rows) : model_(model), max_rows_(max_rows) {}

        Result<void> forward(const nn::Batch& batch, nn::KvCache& cache, std::span<float> logits) override {
            EXPECT_GT(batch.rows(), 0);
            EXPECT_LE(batch.rows(), max_rows_);
            if (model_.before_) {
                if (auto result = model_.before_(batch); !result.ok()) return result;
            }
            const auto vocabulary = static_cast<std::size_t>(model_.dimensions().vocabulary);
            EXPECT_EQ(logits.size(), vocabulary * static_cast<std::size_t>(std::ranges::count(batch.wants_logits, 1)));
            for (std::size_t row = 0; row < batch.tokens.size(); ++row) {
                store(cache, batch.sequences[row], batch.positions[row], batch.tokens[row]);
                if (batch.wants_logits[row] == 0) continue;
                model_.logits_(history(cache, batch.sequences[row], batch.positions[row] + 1),
                               logits.first(vocabulary));
                logits = logits.subspan(vocabulary);
            }
            return {};
        }

      private:
        void store(nn::KvCache& cache, std::int32_t sequence, std::int64_t position, TokenId token) const {
            const std::vector<float> key(head_dim, static_cast<float>(token));
            cache.write(sequence, 0, position, key.data(), key.data());
        }
        std::vector<TokenId> history(const nn::KvCache& cache, std::int32_t sequence, std::int64_t length) const {
            std::vector<float> k(head_dim);
            std::vector<float> v(head_dim);
            std::vector<TokenId> tokens;
            for (std::int64_t position = 0; position < length; ++position) {
                cache.read(sequence, 0, position, k.data(), v.data());
                tokens.push_back(static_cast<TokenId>(k[0]));
            }
            return tokens;
        }

        const FakeModel& model_;
        std::int64_t max_rows_;
    };

    Logits logits_;
    Before before_;
};

/// A SentencePiece vocabulary of single characters: <unk>, <s>, </s>, the 256 bytes, then U+2581 and ASCII letters.
inline std::shared_ptr<const text::Tokenizer> letter_tokenizer() {
    text::Vocabulary vocabulary;
    vocabulary.family = text::TokenizerFamily::sentencepiece_bpe;
    vocabulary.family_name = "llama";
    const auto add = [&](std::string token, text::TokenKind kind) {
        vocabulary.tokens.push_back(std::move(token));
        vocabulary.kinds.push_back(kind);
        vocabulary.scores.push_back(0);
    };
    add("<unk>", text::TokenKind::unknown);
    add("<s>", text::TokenKind::control);
    add("</s>", text::TokenKind::control);
    for (int byte = 0; byte < 256; ++byte) {
        constexpr char digits[] = "0123456789ABCDEF";
        add(std::string("<0x") + digits[byte / 16] + digits[byte % 16] + ">", text::TokenKind::byte);
    }
    add("\xE2\x96\x81", text::TokenKind::normal);
    for (char letter = 'a'; letter <= 'z'; ++letter)
        add(std::string(1, letter), text::TokenKind::normal);
    vocabulary.unk = 0;
    vocabulary.bos = 1;
    vocabulary.eos = 2;
    vocabulary.add_bos = true;
    vocabulary.add_space_prefix = false;
    auto tokenizer = text::Tokenizer::create(std::move(vocabulary));
    EXPECT_TRUE(tokenizer.ok());
    return *tokenizer;
}
inline constexpr std::int64_t letter_vocabulary = 3 + 256 + 1 + 26;
inline constexpr TokenId begin_token = 1;
inline constexpr TokenId end_token = 2;
inline constexpr TokenId byte_token(unsigned char byte) {
    return 3 + byte;
}
inline constexpr TokenId letter_token(char letter) {
    return 3 + 256 + 1 + (letter - 'a');
}

inline std::vector<TokenId> letters(std::string_view text) {
    std::vector<TokenId> ids;
    for (const char letter : text)
        ids.push_back(letter_token(letter));
    return ids;
}

/// Logits in (-4, 4) that depend on every token of the history and its place.
inline void hash_logits(std::span<const TokenId> history, std::span<float> logits) {
    std::uint64_t hash = 14695981039346656037ULL;  // FNV-1a
    for (const TokenId token : history)
        hash = (hash ^ static_cast<std::uint64_t>(token)) * 1099511628211ULL;
    for (std::size_t i = 0; i < logits.size(); ++i) {
        std::uint64_t mixed = (hash + i) * 0x9E3779B97F4A7C15ULL;
        mixed ^= mixed >> 32;
        logits[i] = static_cast<float>(mixed % 8192) / 1024 - 4;
    }
}

/// Logits that make greedy sampling say `tokens` after a prompt of `prompt_tokens`, and the end token after them.
inline FakeModel::Logits says(std::size_t prompt_tokens, std::vector<TokenId> tokens) {
    return [=](std::span<const TokenId> history, std::span<float> logits) {
        std::ranges::fill(logits, 1.0F);
        const std::size_t i = history.size() - prompt_tokens;
        logits[static_cast<std::size_t>(i < tokens.size() ? tokens[i] : end_token)] = 10;
    };
}

/// All that a stream gave.
struct Outcome {
    std::optional<Started> started;
    std::vector<Token> tokens;
    std::optional<Finished> finished;
    std::optional<Error> error;

    std::vector<TokenId> ids() const {
        std::vector<TokenId> all;
        for (const Token& token : tokens)
            all.push_back(token.id);
        return all;
    }
    std::string text() const {
        std::string all;
        for (const Token& token : tokens)
            all += token.text;
        return all + (finished ? finished->text : "");
    }
};

/// Reads `channel` to its end; checks that events come in the order that puna/request.h promises.
inline Outcome drain(EventChannel& channel) {
    Outcome outcome;
    while (auto event = channel.next()) {
        EXPECT_FALSE(outcome.finished || outcome.error) << "an event after the last";
        if (auto* started = std::get_if<Started>(&*event)) {
            EXPECT_FALSE(outcome.started) << "started twice";
            outcome.started = std::move(*started);
        } else if (auto* token = std::get_if<Token>(&*event)) {
            EXPECT_TRUE(outcome.started) << "a token before Started";
            outcome.tokens.push_back(std::move(*token));
        } else if (auto* finished = std::get_if<Finished>(&*event)) {
            EXPECT_TRUE(outcome.started) << "finished before Started";
            outcome.finished = std::move(*finished);
        } else {
            outcome.error = std::move(std::get<Error>(*event));
        }
    }
    EXPECT_TRUE(outcome.finished || outcome.error) << "no last event";
    EXPECT_FALSE(channel.next()) << "an event after the last";
    return outcome;
}

inline std::shared_ptr<EventChannel> submit(Engine& engine, Request request) {
    auto channel = engine.submit(std::move(request));
    EXPECT_TRUE(channel.ok()) << channel.error().message;
    return *channel;
}

/// All that a request that is accepted gives.
inline Outcome run(Engine& engine, Request request) {
    return drain(*submit(engine, std::move(request)));
}

}  // namespace puna::engine
