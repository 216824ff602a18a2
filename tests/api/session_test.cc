// Sessions by the public interface, with a model that really attends: the bits go on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "puna/puna.h"
#include "support/temp_file.h"
#include "support/tiny_model.h"

namespace puna {
namespace {

using testing::HasSubstr;

class SessionApi : public testing::Test {
  protected:
    Model model(const support::TinyModelOptions& options = {}) {
        auto loaded = Model::load(folder_.write("model.gguf", support::tiny_model(options)));
        EXPECT_TRUE(loaded.ok());
        return *loaded;
    }
    static Engine engine_for(const Model& model, const EngineOptions& options) {
        auto engine = Engine::create(model, options);
        EXPECT_TRUE(engine.ok()) << engine.error().message;
        return std::move(engine).value();
    }
    struct Outcome {
        std::vector<TokenId> ids;
        std::vector<double> logprobs;  // of raw logits, to the last bit
        std::optional<Session> session;
        std::optional<Error> error;
    };
    static Outcome run(Engine& engine, Request request) {
        Outcome outcome;
        request.logprobs = 0;
        auto stream = engine.submit(std::move(request));
        if (!stream.ok()) return {{}, {}, {}, stream.error()};
        while (auto event = stream->next()) {
            if (const auto* token = std::get_if<Token>(&*event)) {
                outcome.ids.push_back(token->id);
                outcome.logprobs.push_back(token->logprob->logprob);
            } else if (auto* finished = std::get_if<Finished>(&*event)) {
                outcome.session = std::move(finished->session);
            } else if (const auto* error = std::get_if<Error>(&*event)) {
                outcome.error = *error;
            }
        }
        return outcome;
    }
    static Request request_for(std::string prompt, std::uint32_t max_tokens) {
        Request request;
        request.prompt = std::move(prompt);
        request.max_tokens = max_tokens;
        request.sampling.seed = 11;
        request.sampling.repeat_penalty = 1.2F;
        request.sampling.ignore_end = true;
        return request;
    }
    std::string file() const { return folder_.path("session"); }

    support::TempFolder folder_;
};

TEST_F(SessionApi, TenAndTenMoreAreTwentyToTheBit) {
    const Model tiny = model({.heads = 2, .kv_heads = 1, .matrix_type = quant::find_type("Q4_0")});
    for (const std::string kv_type : {"f16", "f32", "q8_0"}) {
        for (const std::string activations : {"int16", "float32"}) {
            const EngineOptions options = {.threads = 2, .activations = activations, .kv_type = kv_type};
            Engine whole_engine = engine_for(tiny, options);
            const Outcome whole = run(whole_engine, request_for("once upon a time there was", 20));

            Engine first_engine = engine_for(tiny, options);
            Request first = request_for("once upon a time there was", 10);
            first.keep_session = true;
            Outcome together = run(first_engine, first);
            ASSERT_TRUE(together.session);
            ASSERT_TRUE(together.session->save(file()).ok());

            // Other threads, other chunks: the bits do not know.
            EngineOptions others = options;
            others.threads = 1;
            others.batch_size = 3;
            Engine second_engine = engine_for(tiny, others);
            const auto loaded = Session::load(file());
            ASSERT_TRUE(loaded.ok()) << loaded.error().message;
            Request second = request_for("", 10);
            second.session = *loaded;
            second.sampling = loaded->sampling();
            const Outcome rest = run(second_engine, second);
            ASSERT_FALSE(rest.error) << rest.error->message;
            together.ids.insert(together.ids.end(), rest.ids.begin(), rest.ids.end());
            together.logprobs.insert(together.logprobs.end(), rest.logprobs.begin(), rest.logprobs.end());
            EXPECT_EQ(together.ids, whole.ids) << kv_type << " " << activations;
            EXPECT_EQ(together.logprobs, whole.logprobs) << kv_type << " " << activations;
        }
    }
}

TEST_F(SessionApi, WhatWasReusedHasTheSameBits) {
    const Model tiny = model();
    Engine engine = engine_for(tiny, {.threads = 1});
    Request first = request_for("one two three four five six seven", 4);
    first.keep_session = true;
    const Outcome before = run(engine, first);
    Request next = request_for("", 8);
    next.prompt = before.session->tokens();
    const Outcome reused = run(engine, next);
    next.reuse_prefix = false;
    const Outcome fresh = run(engine, next);
    EXPECT_EQ(reused.ids, fresh.ids);
    EXPECT_EQ(reused.logprobs, fresh.logprobs);
}

TEST_F(SessionApi, ASessionOfAnotherModelIsRefused) {
    const Model one = model({.seed = 1});
    Engine engine = engine_for(one, {.threads = 1});
    Request first = request_for("one", 2);
    first.keep_session = true;
    const Session session = *run(engine, first).session;

    const auto refusal = [&](const support::TinyModelOptions& options) {
        Engine other = engine_for(model(options), {.threads = 1});
        Request next = request_for("", 2);
        next.session = session;
        const Outcome outcome = run(other, next);
        EXPECT_TRUE(outcome.error);
        EXPECT_EQ(outcome.error->code, ErrorCode::session_mismatch);
        return outcome.error->message;
    };
    EXPECT_THAT(refusal({.seed = 2}), HasSubstr("its weights"));
    EXPECT_THAT(refusal({.rope_base = 500000.0F, .seed = 1}), HasSubstr("its hyper-parameters"));
    EXPECT_THAT(refusal({.feed_forward = 128, .seed = 1}), HasSubstr("its shapes"));
    EXPECT_THAT(refusal({.matrix_type = quant::find_type("Q8_0"), .seed = 1}), HasSubstr("its weights"));
}

TEST_F(SessionApi, AttachmentsGoWithTheFile) {
    Engine engine = engine_for(model(), {.threads = 1});
    Request first = request_for("one", 2);
    first.keep_session = true;
    const Session session = *run(engine, first).session;
    EXPECT_EQ(session.attachment(), "");
    ASSERT_TRUE(session.with_attachment("{\"kept\": true}").save(file()).ok());
    const auto loaded = Session::load(file());
    ASSERT_TRUE(loaded.ok());
    EXPECT_EQ(loaded->attachment(), "{\"kept\": true}");
    EXPECT_EQ(loaded->tokens(), session.tokens());
}

}  // namespace
}  // namespace puna
