#include "base/numa.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "base/cpu.h"
#include "base/temporary_folder.h"

namespace puna::base {
namespace {

using Numbers = std::vector<std::uint32_t>;

TEST(Numa, NodesAreReadFromTheSystemsFiles) {
    const TemporaryFolder root;
    root.write("sys/devices/system/node/online", "0-1,4\n");
    root.write("sys/devices/system/node/node0/cpulist", "0-3,8\n");
    root.write("sys/devices/system/node/node1/cpulist", "4-7\n");
    root.write("sys/devices/system/node/node4/cpulist", "\n");  // memory alone
    const auto nodes = numa_nodes(root.path());
    ASSERT_EQ(nodes.size(), 3U);
    EXPECT_EQ(nodes[0].id, 0U);
    EXPECT_EQ(nodes[0].cpus, (Numbers{0, 1, 2, 3, 8}));
    EXPECT_EQ(nodes[1].cpus, (Numbers{4, 5, 6, 7}));
    EXPECT_EQ(nodes[2].id, 4U);
    EXPECT_TRUE(nodes[2].cpus.empty());
}

TEST(Numa, WhereNothingIsSaidThereIsNodeZero) {
    const TemporaryFolder root;
    for (const char* online : {"", "x", "7-", "-", "4294967296", "0-99999999"}) {
        root.write("sys/devices/system/node/online", online);
        const auto nodes = numa_nodes(root.path());
        ASSERT_EQ(nodes.size(), 1U) << online;
        EXPECT_EQ(nodes[0].id, 0U);
    }
}

TEST(Numa, PoliciesAreReadAndUnknownNodesAnsweredWithThoseThatThereAre) {
    const std::vector<NumaNode> nodes = {{0, {}}, {2, {}}};
    EXPECT_EQ(parse_numa_policy("", nodes)->kind, NumaPolicy::Kind::system);
    EXPECT_EQ(parse_numa_policy("interleave", nodes)->kind, NumaPolicy::Kind::interleave);
    EXPECT_EQ(parse_numa_policy("node=2", nodes)->node, 2U);
    const auto unknown = parse_numa_policy("node=1", nodes);
    ASSERT_FALSE(unknown.ok());
    EXPECT_EQ(unknown.error().code, ErrorCode::invalid_argument);
    EXPECT_NE(unknown.error().message.find("'1'"), std::string::npos) << unknown.error().message;
    EXPECT_NE(unknown.error().hint.find("nodes 0, 2"), std::string::npos) << unknown.error().hint;
    for (const char* wrong : {"node=", "node=-1", "node=2x", "node", "spread", "interleave "}) {
        EXPECT_FALSE(parse_numa_policy(wrong, nodes).ok()) << wrong;
    }
}

TEST(Numa, AScopeChangesNothingThatLasts) {
    const auto before = allowed_cpus();
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    for (const std::string& policy :
         {std::string(), std::string("interleave"), "node=" + std::to_string(numa_nodes().front().id)}) {
        {
            const auto scope = NumaScope::enter(policy);
            ASSERT_TRUE(scope.ok()) << scope.error().message;
            EXPECT_EQ(scope->acts(), !policy.empty());
            void* memory = mmap(nullptr, 4 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            ASSERT_NE(memory, MAP_FAILED);
            const std::span<std::byte> bytes(static_cast<std::byte*>(memory), 4 * page);
            std::ranges::fill(bytes, std::byte{7});
            scope->move(bytes);
            EXPECT_EQ(std::ranges::count(bytes, std::byte{7}), static_cast<std::ptrdiff_t>(bytes.size()));
            munmap(memory, 4 * page);
        }
        EXPECT_EQ(allowed_cpus(), before);
    }
    EXPECT_FALSE(NumaScope::enter("node=1000").ok());
}

TEST(CpuScope, HoldsAThreadAndLetsItGo) {
    const auto before = allowed_cpus();
    ASSERT_FALSE(before.empty());
    {
        const CpuScope last({&before.back(), 1});
        EXPECT_EQ(allowed_cpus(), Numbers{before.back()});
        std::thread child([&] { EXPECT_EQ(allowed_cpus(), Numbers{before.back()}); });
        child.join();
    }
    EXPECT_EQ(allowed_cpus(), before);
    const Numbers none;
    const CpuScope refused{none};
    EXPECT_EQ(allowed_cpus(), before);
}

}  // namespace
}  // namespace puna::base
