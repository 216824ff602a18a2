#include "engine/engine.h"

#include <utility>

#include "api/guarded.h"
#include "api/model_impl.h"
#include "base/try.h"
#include "puna/engine.h"

namespace puna {

struct Stream::Impl {
    std::shared_ptr<engine::EventChannel> channel;
};

Stream::Stream(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
Stream::Stream(Stream&&) noexcept = default;

Stream& Stream::operator=(Stream&& other) noexcept {
    if (this == &other) return *this;
    cancel();
    impl_ = std::move(other.impl_);
    return *this;
}

Stream::~Stream() {
    cancel();
}

std::optional<Event> Stream::next() {
    return impl_ ? impl_->channel->next() : std::nullopt;
}

void Stream::cancel() {
    if (impl_) impl_->channel->cancel();
}

struct Engine::Impl {
    std::unique_ptr<engine::Engine> engine;
};

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;
Engine::~Engine() = default;

Result<Engine> Engine::create(const Model& model, EngineOptions options) {
    return api::guarded([&]() -> Result<Engine> {
        if (!model.info().runnable) return model.info().why_not;
        const Model::Impl& impl = *model.impl();
        PUNA_TRY(auto engine, engine::Engine::create(*impl.model, *impl.tokenizer, options));
        return Engine(std::make_unique<Impl>(Impl{std::move(engine)}));
    });
}

const EngineInfo& Engine::info() const {
    return impl_->engine->info();
}

Result<Stream> Engine::submit(Request request) {
    return api::guarded([&]() -> Result<Stream> {
        PUNA_TRY(auto channel, impl_->engine->submit(std::move(request)));
        return Stream(std::make_shared<Stream::Impl>(Stream::Impl{std::move(channel)}));
    });
}

Result<void> Engine::check(const Constraint& constraint) const {
    return api::guarded([&] { return impl_->engine->check(constraint); });
}

}  // namespace puna
