#include "engine/scheduler.h"

#include <algorithm>
#include <utility>

#include "engine/session/kv_rows.h"

namespace puna::engine {
namespace {

/// Bounds the logits of a step (64 x 150,000 floats are 38 MB) and the rows that decoding takes from prompts.
constexpr std::int64_t most_running = 64;

/// Fewer tokens than this are taken over only where they are all that a leftover has.
constexpr std::size_t least_reused = 32;

std::int64_t blocks_for(std::int64_t positions) {
    return (positions + kernels::kv_block_positions - 1) / kernels::kv_block_positions;
}

}  // namespace

Scheduler::Scheduler(models::Model::Runner& runner, nn::KvCache& cache, Limits limits)
    : runner_(runner), cache_(cache), limits_(limits), free_blocks_(blocks_for(limits.cache_positions)) {}

Scheduler::~Scheduler() {
    cancel_all();
}

void Scheduler::add(std::unique_ptr<RequestState> request) {
    queued_.push_back(std::move(request));
}

void Scheduler::step() {
    drop_cancelled();
    admit();
    form_batch();
    evaluate();
    remove_finished();
}

void Scheduler::drop_cancelled() {
    for (auto& request : running_) {
        if (request->cancelled()) request->end(FinishReason::cancelled);
    }
    remove_finished();
    for (auto& request : queued_) {
        if (request->cancelled()) request->end(FinishReason::cancelled);
    }
    std::erase_if(queued_, [](const auto& request) { return request->finished(); });
}

void Scheduler::admit() {
    const std::int64_t most = std::min(most_running, limits_.batch_rows);  // each has a row in every step
    while (!queued_.empty() && std::ssize(running_) < most) {
        const RequestState& next = *queued_.front();
        std::optional<std::size_t> leftover = match(next);
        if (!make_room(blocks_of(next), leftover)) return;
        running_.push_back(std::move(queued_.front()));
        queued_.pop_front();
        start(*running_.back(), leftover);
    }
}

std::optional<std::size_t> Scheduler::match(const RequestState& request) const {
    if (!request.may_reuse_prefix()) return std::nullopt;
    std::optional<std::size_t> best;
    std::size_t longest = 0;
    for (std::size_t i = 0; i < leftovers_.size(); ++i) {
        const std::span<const TokenId> tokens = leftovers_[i].tokens;
        const std::size_t common = common_prefix(tokens, request.tokens());
        // Taking over cuts the leftover to what both begin with: a few tokens are not worth that.
        if (common <= longest || (common < least_reused && common < tokens.size())) continue;
        best = i;
        longest = common;
    }
    return best;
}

/// Evicts leftovers, the oldest first, until `blocks` are free; `keep` counts as free, and stays.
bool Scheduler::make_room(std::int64_t blocks, std::optional<std::size_t>& keep) {
    std::int64_t possible = free_blocks_;
    for (const Leftover& leftover : leftovers_)
        possible += blocks_for(std::ssize(leftover.tokens));
    if (blocks > possible) return false;
    const auto kept_blocks = [&] { return keep ? blocks_for(std::ssize(leftovers_[*keep].tokens)) : 0; };
    while (blocks > free_blocks_ + kept_blocks()) {
        const std::size_t oldest = keep == 0U ? 1 : 0;
        evict(oldest);
        if (keep && *keep > oldest) --*keep;
    }
    return true;
}

void Scheduler::start(RequestState& request, std::optional<std::size_t> leftover) {
    free_blocks_ -= blocks_of(request);
    if (leftover) {
        const Leftover taken = std::move(leftovers_[*leftover]);
        leftovers_.erase(leftovers_.begin() + static_cast<std::ptrdiff_t>(*leftover));
        free_blocks_ += blocks_for(std::ssize(taken.tokens));
        // The last token is evaluated again, for its logits.
        const auto common =
            std::min(static_cast<std::int64_t>(common_prefix(taken.tokens, request.tokens())), request.evaluable() - 1);
        cache_.truncate(taken.sequence, common);
        return request.admit(taken.sequence, common);
    }
    const std::int32_t sequence = cache_.add_sequence();
    const std::int64_t restored = request.restored();
    request.admit(sequence, restored);
    if (restored == 0) return;
    if (auto reserved = cache_.reserve(sequence, restored); !reserved.ok()) {
        return request.fail(std::move(reserved).error());
    }
    const SessionData& session = *request.restorable();
    restore_rows(cache_, sequence, *session.kv, session.evaluated, restored);
    request.after_restoring();
}

void Scheduler::evict(std::size_t leftover) {
    cache_.remove_sequence(leftovers_[leftover].sequence);
    free_blocks_ += blocks_for(std::ssize(leftovers_[leftover].tokens));
    leftovers_.erase(leftovers_.begin() + static_cast<std::ptrdiff_t>(leftover));
}

std::int64_t Scheduler::blocks_of(const RequestState& request) const {
    return blocks_for(request.most_positions());
}

void Scheduler::form_batch() {
    batch_.clear();
    parts_.clear();
    // Those that generate first: a long prompt must not make them wait.
    for (const auto& request : running_) {
        if (!request->finished() && request->pending().size() == 1) add_part(*request, 1);
    }
    for (const auto& request : running_) {
        if (!request->finished() && request->pending().size() > 1)
            add_part(*request, limits_.batch_rows - batch_.rows());
    }
}

void Scheduler::add_part(RequestState& request, std::int64_t room) {
    const std::span<const TokenId> pending = request.pending();
    const std::int64_t rows = std::min(std::ssize(pending), room);
    if (rows == 0) return;
    if (auto reserved = cache_.reserve(request.sequence(), request.evaluated() + rows); !reserved.ok()) {
        return request.fail(std::move(reserved).error());
    }
    const bool logits = rows == std::ssize(pending) && request.needs_logits();
    for (std::int64_t i = 0; i < rows; ++i) {
        batch_.add(pending[static_cast<std::size_t>(i)], request.evaluated() + i, request.sequence(),
                   logits && i == rows - 1);
    }
    parts_.push_back({&request, rows, logits});
}

void Scheduler::evaluate() {
    if (parts_.empty()) return;
    const Result<void> done = forward(parts_);
    if (done.ok()) return;
    // A number that is none comes from one request, and is that one's error alone; all else befalls every one.
    if (done.error().code == ErrorCode::invalid_number && parts_.size() > 1) return evaluate_apart();
    for (const Part& part : parts_)
        part.request->fail(done.error());
}

void Scheduler::evaluate_apart() {
    const nn::Batch together = std::exchange(batch_, {});
    std::int64_t row = 0;
    for (const Part& part : parts_) {
        batch_.clear();
        for (const std::int64_t end = row + part.rows; row < end; ++row) {
            const auto i = static_cast<std::size_t>(row);
            batch_.add(together.tokens[i], together.positions[i], together.sequences[i], together.wants_logits[i] != 0);
        }
        // Writing a position's keys and values once more changes nothing: the same tokens give the same bits.
        if (const auto done = forward({&part, 1}); !done.ok()) part.request->fail(done.error());
    }
}

Result<void> Scheduler::forward(std::span<const Part> parts) {
    const auto vocabulary = static_cast<std::size_t>(limits_.vocabulary);
    const auto wanted = static_cast<std::size_t>(std::ranges::count(parts, true, &Part::logits));
    if (logits_.size() < wanted * vocabulary) logits_.resize(wanted * vocabulary);
    const std::span<float> all = std::span(logits_).first(wanted * vocabulary);
    if (auto done = runner_.forward(batch_, cache_, all); !done.ok()) return done;

    std::size_t row = 0;
    for (const Part& part : parts) {
        std::span<const float> logits;  // [vocabulary], or nothing
        if (part.logits) logits = all.subspan(vocabulary * row++, vocabulary);
        part.request->advance(part.rows, logits);
    }
    return {};
}

void Scheduler::deliver_sessions() {
    for (const auto& request : running_) {
        if (request->wants_session()) request->deliver(copy_rows(cache_, request->sequence(), request->evaluated()));
    }
}

void Scheduler::remove_finished() {
    deliver_sessions();
    for (const auto& request : running_) {
        if (request->finished()) leave(*request);
    }
    std::erase_if(running_, [](const auto& request) { return request->finished(); });
}

void Scheduler::leave(const RequestState& request) {
    free_blocks_ += blocks_of(request);
    if (!request.leaves_prefix() || request.evaluated() == 0) return cache_.remove_sequence(request.sequence());
    const auto tokens = request.tokens().first(static_cast<std::size_t>(request.evaluated()));
    cache_.truncate(request.sequence(), request.evaluated());
    leftovers_.push_back({request.sequence(), {tokens.begin(), tokens.end()}});
    free_blocks_ -= blocks_for(request.evaluated());
    if (std::ssize(leftovers_) > most_running) evict(0);
}

void Scheduler::fail_all(const Error& error) {
    for (auto& request : running_)
        request->fail(error);
    remove_finished();
    for (auto& request : queued_)
        request->fail(error);
    queued_.clear();
}

void Scheduler::cancel_all() {
    for (auto& request : running_)
        request->cancel_now();
    remove_finished();
    for (auto& request : queued_)
        request->cancel_now();
    queued_.clear();
}

}  // namespace puna::engine
