#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <set>
#include <thread>
#include <vector>

#include "api/demo_model.h"
#include "puna/puna.h"
#include "support/temp_file.h"
#include "support/tiny_model.h"

namespace puna {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

/// A model of two layers with random weights, which runs fast where the demo model would take long.
Model tiny() {
    static const support::TempFolder folder;
    static const std::string path = folder.write("tiny.gguf", support::tiny_model());
    return *Model::load(path);
}

Engine engine_for(const Model& model, const EngineOptions& options = {}) {
    auto engine = Engine::create(model, options);
    EXPECT_TRUE(engine.ok()) << engine.error().message;
    return std::move(engine).value();
}

Request request_for(std::string prompt, std::uint32_t max_tokens) {
    Request request;
    request.prompt = std::move(prompt);
    request.max_tokens = max_tokens;
    request.sampling.temperature = 0;
    return request;
}

struct Outcome {
    std::string text;
    std::vector<TokenId> ids;
    std::vector<TokenId> prompt_ids;
    std::vector<double> logprobs;
    std::optional<FinishReason> reason;
    std::optional<Error> error;
    bool operator==(const Outcome& other) const {
        return text == other.text && ids == other.ids && logprobs == other.logprobs && reason == other.reason;
    }
};

Outcome drain(Stream stream) {
    Outcome outcome;
    while (auto event = stream.next()) {
        if (auto* started = std::get_if<Started>(&*event)) outcome.prompt_ids = std::move(started->prompt_ids);
        if (auto* token = std::get_if<Token>(&*event)) {
            outcome.text += token->text;
            outcome.ids.push_back(token->id);
            if (token->logprob) outcome.logprobs.push_back(token->logprob->logprob);
        }
        if (auto* finished = std::get_if<Finished>(&*event)) {
            outcome.text += finished->text;
            outcome.reason = finished->reason;
        }
        if (auto* error = std::get_if<Error>(&*event)) outcome.error = std::move(*error);
    }
    return outcome;
}

Outcome run(Engine& engine, Request request) {
    auto stream = engine.submit(std::move(request));
    EXPECT_TRUE(stream.ok()) << stream.error().message;
    return drain(std::move(stream).value());
}

TEST(Engine, CompletesASentence) {
    Engine engine = engine_for(demo());
    const Outcome outcome = run(engine, request_for("The capital of France is", 8));
    EXPECT_THAT(outcome.text, StartsWith(" Paris"));
    EXPECT_EQ(outcome.reason, FinishReason::length);
    EXPECT_EQ(outcome.ids.size(), 8U);
    EXPECT_EQ(outcome.prompt_ids, *demo().encode("The capital of France is"));
    // The text is what the whole decodes to, less what the prompt does.
    std::vector<TokenId> all = outcome.prompt_ids;
    all.insert(all.end(), outcome.ids.begin(), outcome.ids.end());
    EXPECT_EQ(*demo().decode(all), "The capital of France is" + outcome.text);
}

TEST(Engine, EndsAChatTurnByItself) {
    Engine engine = engine_for(demo());
    Request request =
        request_for("<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n", 64);
    request.encode.parse_special = true;
    const Outcome outcome = run(engine, request);
    EXPECT_EQ(outcome.reason, FinishReason::stop);
    EXPECT_EQ(*demo().piece(outcome.ids.back()), "<|im_end|>");
    EXPECT_EQ(outcome.text.find("<|"), std::string::npos);
}

TEST(Engine, ReportsWhatItSettledOn) {
    EngineOptions options;
    options.threads = 1;
    options.context_tokens = 256;
    options.isa = "generic";
    const Engine engine = engine_for(demo(), options);
    EXPECT_EQ(engine.info().threads, 1U);
    EXPECT_EQ(engine.info().context_tokens, 256U);
    EXPECT_EQ(engine.info().kernels, "generic");
    EXPECT_EQ(engine.info().activations, "int16");
    EXPECT_EQ(engine.info().kv_type, "f16");
    EXPECT_EQ(engine.info().law, "int/1");
}

/// Requests of several lengths and kinds.
std::vector<Request> some_requests() {
    std::vector<Request> requests;
    for (std::uint32_t i = 0; i < 6; ++i) {
        std::string prompt;
        for (std::uint32_t j = 0; j <= i * i; ++j)
            prompt += " word" + std::to_string(j);
        Request request = request_for(prompt, 12 + i);
        request.logprobs = 2;
        if (i % 2 == 1) request.sampling = {};
        request.sampling.seed = i;
        requests.push_back(std::move(request));
    }
    return requests;
}

std::vector<Outcome> one_by_one(Engine& engine) {
    std::vector<Outcome> outcomes;
    for (Request& request : some_requests())
        outcomes.push_back(run(engine, std::move(request)));
    return outcomes;
}

std::vector<Outcome> all_at_once(Engine& engine) {
    std::vector<Stream> streams;
    for (Request& request : some_requests())
        streams.push_back(std::move(engine.submit(std::move(request))).value());
    std::vector<Outcome> outcomes;
    outcomes.reserve(streams.size());
    for (Stream& stream : streams)
        outcomes.push_back(drain(std::move(stream)));
    return outcomes;
}

TEST(Engine, SameBitsWhateverRunsBeside) {
    EngineOptions options;
    options.threads = 1;
    Engine plain = engine_for(tiny(), options);
    const std::vector<Outcome> expected = one_by_one(plain);
    for (const std::uint32_t threads : {1U, 2U, 4U}) {
        for (const std::uint32_t batch_size : {1U, 7U, 64U, 512U}) {
            options.threads = threads;
            options.batch_size = batch_size;
            Engine engine = engine_for(tiny(), options);
            EXPECT_EQ(one_by_one(engine), expected) << threads << " threads, batches of " << batch_size;
            EXPECT_EQ(all_at_once(engine), expected) << threads << " threads, batches of " << batch_size;
        }
    }
}

TEST(Engine, SameBitsForTheDemoModelToo) {
    EngineOptions options;
    options.context_tokens = 1024;
    Engine engine = engine_for(demo(), options);
    const std::vector<Outcome> expected = one_by_one(engine);
    EXPECT_EQ(all_at_once(engine), expected);
    options.batch_size = 16;
    options.threads = 1;
    Engine other = engine_for(demo(), options);
    EXPECT_EQ(all_at_once(other), expected);
}

TEST(Engine, OutlivesItsModel) {
    Engine engine = engine_for(tiny());
    Engine other = engine_for(tiny());
    EXPECT_EQ(run(engine, request_for("a", 5)), run(other, request_for("a", 5)));
}

TEST(Engine, CanBeMoved) {
    Engine first = engine_for(tiny());
    const Outcome expected = run(first, request_for("a", 5));
    auto stream = first.submit(request_for("a", 5));
    Engine second = std::move(first);
    EXPECT_EQ(drain(std::move(*stream)), expected);
    EXPECT_EQ(run(second, request_for("a", 5)), expected);
    second = engine_for(tiny());
    EXPECT_EQ(run(second, request_for("a", 5)), expected);
}

TEST(Engine, StreamsEndWhenItGoes) {
    std::vector<Stream> streams;
    {
        EngineOptions options;
        options.batch_size = 8;
        Engine engine = engine_for(tiny(), options);
        for (int i = 0; i < 4; ++i) {
            Request request = request_for(std::string(200, 'a'), 50);
            request.sampling.ignore_end = true;
            streams.push_back(std::move(engine.submit(std::move(request))).value());
        }
    }
    for (Stream& stream : streams) {
        const Outcome outcome = drain(std::move(stream));
        EXPECT_TRUE(outcome.reason);  // cancelled, unless it was quicker than we
    }
    EXPECT_EQ(drain(std::move(streams.back())).reason, std::nullopt);  // a stream that was moved from has no events
}

TEST(Engine, DroppingAStreamMakesRoomForTheNext) {
    Engine engine = engine_for(tiny());
    const Outcome expected = run(engine, request_for("a", 5));
    for (int i = 0; i < 20; ++i) {
        Request request = request_for("b", 0);
        request.max_tokens.reset();  // takes all of the context
        request.sampling.ignore_end = true;
        auto stream = engine.submit(std::move(request));
        ASSERT_TRUE(stream.ok());
        if (i % 2 == 0) stream->next();
    }
    EXPECT_EQ(run(engine, request_for("a", 5)), expected);
}

TEST(Stream, CancelFromAnotherThread) {
    Engine engine = engine_for(demo());
    Request request = request_for("Once upon a time", 0);
    request.max_tokens.reset();
    request.sampling.ignore_end = true;
    auto stream = engine.submit(std::move(request));
    ASSERT_TRUE(stream.ok());
    std::thread canceller;
    std::optional<FinishReason> reason;
    while (auto event = stream->next()) {
        if (std::holds_alternative<Token>(*event) && !canceller.joinable()) {
            canceller = std::thread([&] { stream->cancel(); });
        }
        if (auto* finished = std::get_if<Finished>(&*event)) reason = finished->reason;
    }
    canceller.join();
    EXPECT_EQ(reason, FinishReason::cancelled);
}

TEST(Engine, RefusesWhatCannotRun) {
    const support::TempFolder folder;
    const auto image = support::tiny_model_builder().string("general.architecture", "mamba").build();
    const auto model = Model::load(folder.write("mamba.gguf", image.bytes));
    ASSERT_TRUE(model.ok());
    const auto engine = Engine::create(*model);
    ASSERT_FALSE(engine.ok());
    EXPECT_EQ(engine.error().code, ErrorCode::unsupported_architecture);
}

TEST(Engine, ChecksOptionsAndRequests) {
    EngineOptions options;
    options.threads = 5000;
    EXPECT_EQ(Engine::create(tiny(), options).error().code, ErrorCode::invalid_argument);
    options = {};
    options.isa = "z80";
    EXPECT_EQ(Engine::create(tiny(), options).error().code, ErrorCode::unsupported_isa);

    Engine engine = engine_for(tiny());
    Request request = request_for("a", 5);
    request.sampling.top_p = 2;
    const auto stream = engine.submit(request);
    ASSERT_FALSE(stream.ok());
    EXPECT_THAT(stream.error().message, HasSubstr("top_p"));
    const Outcome overflow = run(engine, request_for(std::string(5000, 'a'), 5));
    ASSERT_TRUE(overflow.error);
    EXPECT_EQ(overflow.error->code, ErrorCode::context_overflow);
    EXPECT_TRUE(run(engine, request_for("a", 5)).reason);
}

TEST(Engine, AWeightThatIsNoNumberIsAnError) {
    const support::TempFolder folder;
    auto builder = support::tiny_model_builder();
    builder.remove_tensor("output_norm.weight");
    builder.f32_tensor("output_norm.weight", {64}, std::vector<float>(64, std::nanf("")));
    const auto model = Model::load(folder.write("nan.gguf", builder.build().bytes));
    ASSERT_TRUE(model.ok());
    Engine engine = engine_for(*model);
    for (int i = 0; i < 2; ++i) {
        const Outcome outcome = run(engine, request_for("a", 5));
        ASSERT_TRUE(outcome.error);
        EXPECT_EQ(outcome.error->code, ErrorCode::invalid_number);
    }
}

TEST(Engine, AFileThatShrinksUnderItIsAnError) {
    const support::TempFolder folder;
    const std::string path = folder.write("shrinks.gguf", support::tiny_model());
    const auto model = Model::load(path);
    ASSERT_TRUE(model.ok());
    Engine engine = engine_for(*model);
    std::filesystem::resize_file(path, 4096);
    const Outcome outcome = run(engine, request_for("a", 5));
    ASSERT_TRUE(outcome.error);
    EXPECT_EQ(outcome.error->code, ErrorCode::file_changed);
}

}  // namespace
}  // namespace puna
