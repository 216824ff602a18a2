#include "base/thread_pool.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <numeric>
#include <thread>
#include <vector>

namespace puna::base {
namespace {

std::unique_ptr<ThreadPool> must_create(std::size_t threads) {
    auto pool = ThreadPool::create(threads);
    if (!pool.ok()) ADD_FAILURE() << pool.error().message;
    return std::move(pool).value();
}

class ThreadPoolOf : public testing::TestWithParam<std::size_t> {};

TEST_P(ThreadPoolOf, RunsEachIndexOnceAndWaitsForAll) {
    const auto pool = must_create(GetParam());
    ASSERT_EQ(pool->size(), GetParam());
    for (const std::size_t count : {0, 1, 2, 3, 7, 64, 1000}) {
        // Plain memory: a lost or doubled index shows in the sum, a missing wait as a data race under TSan.
        std::vector<int> runs(count, 0);
        std::vector<int> by_worker(pool->size(), 0);
        pool->run(count, [&](std::size_t index, std::size_t worker) {
            ++runs.at(index);
            ++by_worker.at(worker);
        });
        EXPECT_EQ(std::count(runs.begin(), runs.end(), 1), static_cast<std::ptrdiff_t>(count));
        std::size_t total = 0;
        for (const int n : by_worker)
            total += static_cast<std::size_t>(n);
        EXPECT_EQ(total, count);
    }
}

TEST_P(ThreadPoolOf, SharesAreEachIndexOnce) {
    const auto pool = must_create(GetParam());
    for (const std::size_t count : {0, 1, 2, 3, 31, 64, 1000}) {
        std::vector<int> runs(count, 0);  // plain memory, as above
        pool->run_shares(count, [&](std::size_t begin, std::size_t end, std::size_t worker) {
            ASSERT_LT(begin, end);
            ASSERT_LT(worker, pool->size());
            for (std::size_t index = begin; index < end; ++index)
                ++runs.at(index);
        });
        EXPECT_EQ(std::count(runs.begin(), runs.end(), 1), static_cast<std::ptrdiff_t>(count));
    }
}

TEST_P(ThreadPoolOf, AllOfTheFirstStageIsSeenByEveryTask) {
    const auto pool = must_create(GetParam());
    for (const std::size_t first : {0, 1, 2, 5, 40}) {
        for (const std::size_t count : {0, 1, 3, 50}) {
            // Plain memory, as above: a task that comes too early misses a one, or races.
            std::vector<std::uint64_t> ones(first, 0);
            std::vector<std::uint64_t> sums(count, 0);
            const auto set_one = [&](std::size_t index, std::size_t worker) {
                ASSERT_LT(worker, pool->size());
                ++ones.at(index);
            };
            const auto sum = [&] { return std::accumulate(ones.begin(), ones.end(), std::uint64_t{0}); };
            pool->run(count, [&](std::size_t index, std::size_t) { sums.at(index) += sum(); }, {first, set_one});
            EXPECT_EQ(sums, std::vector<std::uint64_t>(count, first));
            const auto add_sum = [&](std::size_t begin, std::size_t end, std::size_t) {
                for (std::size_t index = begin; index < end; ++index)
                    sums.at(index) += sum();
            };
            pool->run_shares(count, add_sum, {first, set_one});
            EXPECT_EQ(sums, std::vector<std::uint64_t>(count, 3 * first));
            EXPECT_EQ(ones, std::vector<std::uint64_t>(first, 2));
        }
    }
}

TEST_P(ThreadPoolOf, ThreadsThatHaveNothingToDoInALongFirstStageSleepAndWakeAgain) {
    const auto pool = must_create(GetParam());
    std::vector<int> rows(2, 0);
    std::atomic<int> sum{0};
    const auto slow = [&](std::size_t index, std::size_t) {
        std::this_thread::sleep_for(std::chrono::milliseconds(5));  // longer than they spin
        rows[index] = 1;
    };
    pool->run(20, [&](std::size_t, std::size_t) { sum += rows[0] + rows[1]; }, {rows.size(), slow});
    EXPECT_EQ(sum, 40);
}

TEST_P(ThreadPoolOf, AWorkerTakesItsOwnShareInOrder) {
    const auto pool = must_create(GetParam());
    constexpr std::size_t count = 997;
    std::vector<std::vector<std::size_t>> own(
        pool->size());  // where the parts of its own share began that a worker ran
    pool->run_shares(count, [&](std::size_t begin, std::size_t end, std::size_t worker) {
        const auto bound = [&](std::size_t share) { return count * share / own.size(); };
        if (begin >= bound(worker) && end <= bound(worker + 1)) own[worker].push_back(begin);
    });
    for (const auto& parts : own)
        EXPECT_TRUE(std::is_sorted(parts.begin(), parts.end()));
}

TEST_P(ThreadPoolOf, ManyShortCallsInARow) {
    const auto pool = must_create(GetParam());
    std::vector<std::uint64_t> values(8, 0);
    constexpr std::uint64_t kRounds = 3000;
    for (std::uint64_t round = 1; round <= kRounds; ++round) {
        // Each call has its own task and count on this stack: a worker that comes late must not touch them.
        const std::size_t count = 1 + round % values.size();
        pool->run(count, [&values, round](std::size_t index, std::size_t) { values[index] += round; });
    }
    std::vector<std::uint64_t> expected(values.size(), 0);
    for (std::uint64_t round = 1; round <= kRounds; ++round) {
        for (std::size_t i = 0; i < 1 + round % values.size(); ++i)
            expected[i] += round;
    }
    EXPECT_EQ(values, expected);
}

TEST_P(ThreadPoolOf, EachCallSeesWhatTheLastWrote) {
    const auto pool = must_create(GetParam());
    std::vector<std::uint64_t> from(257, 1);
    std::vector<std::uint64_t> to(257, 0);
    for (int round = 0; round < 20; ++round) {  // prefix sums modulo 2^64, one after another
        pool->run(from.size(), [&](std::size_t index, std::size_t) {
            std::uint64_t sum = 0;
            for (std::size_t i = 0; i <= index; ++i)
                sum += from[i];
            to[index] = sum;
        });
        std::swap(from, to);
    }
    std::vector<std::uint64_t> expected(257, 1);
    for (int round = 0; round < 20; ++round) {
        for (std::size_t i = 1; i < expected.size(); ++i)
            expected[i] += expected[i - 1];
    }
    EXPECT_EQ(from, expected);
}

INSTANTIATE_TEST_SUITE_P(Sizes, ThreadPoolOf, testing::Values(1, 2, 3, 4, 16), testing::PrintToStringParamName());

TEST(ThreadPool, WorksAfterAPause) {
    const auto pool = must_create(3);
    std::atomic<int> total{0};
    for (int round = 0; round < 5; ++round) {
        // Longer than the workers spin, so that they sleep when the next call comes.
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
        pool->run(30, [&](std::size_t, std::size_t) { total.fetch_add(1); });
    }
    EXPECT_EQ(total.load(), 150);
}

TEST(ThreadPool, AllThreadsCanBeAtWorkAtOnce) {
    for (const std::size_t threads : {2, 5}) {
        const auto pool = must_create(threads);
        std::atomic<std::size_t> arrived{0};
        std::vector<int> workers(threads, 0);
        pool->run(threads, [&](std::size_t, std::size_t worker) {
            ++workers[worker];
            arrived.fetch_add(1);
            while (arrived.load() < threads)
                std::this_thread::yield();  // ends only if each has its own thread
        });
        EXPECT_EQ(std::count(workers.begin(), workers.end(), 1), static_cast<std::ptrdiff_t>(threads));
    }
}

TEST(ThreadPool, TheCallerMayChange) {
    const auto pool = must_create(3);
    std::uint64_t total = 0;
    for (int round = 0; round < 20; ++round) {
        std::thread caller([&] {
            std::atomic<std::uint64_t> sum{0};
            pool->run(10, [&](std::size_t index, std::size_t) { sum.fetch_add(index); });
            total += sum.load();
        });
        caller.join();
    }
    EXPECT_EQ(total, 20u * 45u);
}

TEST(ThreadPool, SeveralPoolsAtOnce) {
    std::vector<std::thread> callers;
    std::vector<std::uint64_t> totals(3, 0);
    for (std::uint64_t& total : totals) {
        callers.emplace_back([&total] {
            const auto pool = must_create(3);
            std::atomic<std::uint64_t> sum{0};
            for (int round = 0; round < 300; ++round) {
                pool->run(5, [&](std::size_t index, std::size_t) { sum.fetch_add(index + 1); });
            }
            total = sum.load();
        });
    }
    for (std::thread& caller : callers)
        caller.join();
    for (const std::uint64_t total : totals)
        EXPECT_EQ(total, 300u * 15u);
}

TEST(ThreadPool, ComesAndGoes) {
    for (int round = 0; round < 50; ++round) {
        const auto pool = must_create(4);
        if (round % 2 == 0) continue;  // never used
        std::atomic<int> total{0};
        pool->run(9, [&](std::size_t, std::size_t) { total.fetch_add(1); });
        EXPECT_EQ(total.load(), 9);
    }
}

TEST(ThreadPool, WorkersLeaveSignalsToTheProgram) {
    const auto pool = must_create(2);
    std::atomic<int> arrived{0};
    bool worker_blocks_interrupts = false;
    bool worker_blocks_faults = true;
    pool->run(2, [&](std::size_t, std::size_t worker) {
        sigset_t mask;
        pthread_sigmask(SIG_BLOCK, nullptr, &mask);
        if (worker == 1) {
            worker_blocks_interrupts = sigismember(&mask, SIGINT) == 1;
            worker_blocks_faults = sigismember(&mask, SIGBUS) == 1;
        }
        arrived.fetch_add(1);
        while (arrived.load() < 2)
            std::this_thread::yield();
    });
    EXPECT_TRUE(worker_blocks_interrupts);
    EXPECT_FALSE(worker_blocks_faults);
    sigset_t mask;
    pthread_sigmask(SIG_BLOCK, nullptr, &mask);
    EXPECT_EQ(sigismember(&mask, SIGINT), 0);
}

TEST(ThreadPool, PinnedThreadsKeepACoreEach) {
    const std::vector<std::uint32_t> cores = allowed_cpus();
    const std::size_t threads = std::min<std::size_t>(cores.size(), 4);
    const auto pool = ThreadPool::create(threads, {.pinned = true, .spin_microseconds = {}});
    ASSERT_TRUE(pool.ok()) << pool.error().message;
    {
        const CpuScope core = (*pool)->pin_caller();
        std::vector<std::vector<std::uint32_t>> seen(threads);
        std::atomic<std::size_t> arrived{0};
        (*pool)->run(threads, [&](std::size_t, std::size_t worker) {
            seen[worker] = allowed_cpus();
            ++arrived;
            while (arrived < threads)
                std::this_thread::yield();  // so that no thread takes two
        });
        for (std::size_t i = 0; i < threads; ++i)
            EXPECT_EQ(seen[i], std::vector<std::uint32_t>{cores[i]});
    }
    EXPECT_EQ(allowed_cpus(), cores);
    const auto too_many = ThreadPool::create(cores.size() + 1, {.pinned = true, .spin_microseconds = {}});
    ASSERT_FALSE(too_many.ok());
    EXPECT_EQ(too_many.error().code, ErrorCode::invalid_argument);
}

TEST(ThreadPool, RunsEverythingHoweverLongThreadsSpin) {
    for (const std::uint32_t spin : {0u, 50'000u}) {
        const auto pool = ThreadPool::create(3, {.pinned = false, .spin_microseconds = spin});
        ASSERT_TRUE(pool.ok()) << pool.error().message;
        for (int call = 0; call < 20; ++call) {
            std::vector<std::atomic<int>> times(50);
            (*pool)->run(times.size(), [&](std::size_t index, std::size_t) { ++times[index]; });
            for (const auto& count : times)
                EXPECT_EQ(count, 1);
        }
    }
}

TEST(ThreadPool, AnImpossibleSizeIsAnError) {
    for (const std::size_t threads : {std::size_t{0}, std::size_t{1025}, SIZE_MAX}) {
        const auto pool = ThreadPool::create(threads);
        ASSERT_FALSE(pool.ok());
        EXPECT_EQ(pool.error().code, ErrorCode::invalid_argument);
    }
}

/// Gives threads stacks of `bytes` until it dies.
class StackSize {
  public:
    explicit StackSize(std::size_t bytes) {
        pthread_getattr_default_np(&saved_);
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes, bytes);
        EXPECT_EQ(pthread_setattr_default_np(&attributes), 0);
        pthread_attr_destroy(&attributes);
    }
    ~StackSize() {
        pthread_setattr_default_np(&saved_);
        pthread_attr_destroy(&saved_);
    }

  private:
    pthread_attr_t saved_;
};

TEST(ThreadPool, NoMoreThreadsIsAnError) {
    {
        const StackSize size(std::size_t{1} << 47);  // more than the address space
        const auto pool = ThreadPool::create(4);
        ASSERT_FALSE(pool.ok());
        EXPECT_EQ(pool.error().code, ErrorCode::out_of_memory);
        EXPECT_NE(pool.error().message.find("1 of 4"), std::string::npos) << pool.error().message;
    }
    EXPECT_TRUE(ThreadPool::create(4).ok());
}

}  // namespace
}  // namespace puna::base
