#include "base/cgroup.h"

#include <gtest/gtest.h>

#include "base/temporary_folder.h"

namespace puna::base {
namespace {

constexpr const char* kV2Mount =
    "24 23 0:22 / /proc rw,nosuid - proc proc rw\n"
    "31 23 0:28 / /sys/fs/cgroup rw,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
constexpr const char* kV1Mounts =
    "33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct\n"
    "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n";

void expect_no_limits(const CgroupLimits& limits) {
    EXPECT_EQ(limits.cores, std::nullopt);
    EXPECT_EQ(limits.memory_limit, std::nullopt);
    EXPECT_EQ(limits.memory_available, std::nullopt);
}

TEST(CgroupLimits, NoneWhereNothingIsSaid) {
    const TemporaryFolder folder;
    expect_no_limits(cgroup_limits(folder.path()));
    folder.write("proc/self/cgroup", "0::/user.slice\n");
    folder.write("proc/self/mountinfo", kV2Mount);
    expect_no_limits(cgroup_limits(folder.path()));
    folder.write("sys/fs/cgroup/user.slice/cpu.max", "max 100000\n");
    folder.write("sys/fs/cgroup/user.slice/memory.max", "max\n");
    expect_no_limits(cgroup_limits(folder.path()));
}

TEST(CgroupLimits, NonsenseIsNoLimit) {
    const TemporaryFolder folder;
    folder.write("proc/self/cgroup", "\n:\n0\n0::/job\nxyz");
    folder.write("proc/self/mountinfo", std::string("\n - - -\n1 2 3 -\n") + kV2Mount);
    for (const char* text : {"", "\n", "1", "x y", "100000 0", "-1 100000", "1 2 3", "99999999999999999999 1"}) {
        folder.write("sys/fs/cgroup/job/cpu.max", text);
        EXPECT_EQ(cgroup_limits(folder.path()).cores, std::nullopt) << text;
    }
    for (const char* text : {"", "lots", "-5", "99999999999999999999"}) {
        folder.write("sys/fs/cgroup/job/memory.max", text);
        EXPECT_EQ(cgroup_limits(folder.path()).memory_limit, std::nullopt) << text;
    }
}

TEST(CgroupLimits, V2TakesTheTightestUpTheHierarchy) {
    const TemporaryFolder folder;
    folder.write("proc/self/cgroup", "0::/pod/box\n");
    folder.write("proc/self/mountinfo", kV2Mount);
    const std::string top = "sys/fs/cgroup/";
    folder.write(top + "pod/box/cpu.max", "800000 100000\n");
    folder.write(top + "pod/cpu.max", "150000 100000\n");
    folder.write(top + "pod/other/cpu.max", "1000 100000\n");  // not ours
    EXPECT_EQ(cgroup_limits(folder.path()).cores, 2u);         // 1.5, rounded up
    folder.write(top + "pod/box/cpu.max", "5000 100000\n");
    EXPECT_EQ(cgroup_limits(folder.path()).cores, 1u);

    folder.write(top + "pod/box/memory.max", "max\n");
    folder.write(top + "pod/memory.max", "4000\n");
    folder.write(top + "pod/memory.current", "3000\n");
    folder.write(top + "pod/memory.stat", "anon 1000\nfile 2000\ninactive_file 500\nactive_file 1500\nfile_mapped 9\n");
    auto limits = cgroup_limits(folder.path());
    EXPECT_EQ(limits.memory_limit, 4000u);
    EXPECT_EQ(limits.memory_available, 3000u);  // the page cache is not in the way

    folder.write(top + "pod/box/memory.high", "2500\n");
    folder.write(top + "pod/box/memory.current", "2600\n");
    limits = cgroup_limits(folder.path());
    EXPECT_EQ(limits.memory_limit, 2500u);
    EXPECT_EQ(limits.memory_available, 0u);
}

TEST(CgroupLimits, V1) {
    const TemporaryFolder folder;
    folder.write("proc/self/cgroup", "9:name=systemd:/\n4:memory:/job\n2:cpu,cpuacct:/job/step\n0::/\n");
    folder.write("proc/self/mountinfo", kV1Mounts);
    const std::string cpu = "sys/fs/cgroup/cpu,cpuacct/";
    const std::string memory = "sys/fs/cgroup/memory/";
    folder.write(cpu + "job/step/cpu.cfs_quota_us", "-1\n");
    folder.write(cpu + "job/step/cpu.cfs_period_us", "100000\n");
    folder.write(cpu + "job/cpu.cfs_quota_us", "400000\n");
    folder.write(cpu + "job/cpu.cfs_period_us", "100000\n");
    folder.write(memory + "memory.limit_in_bytes", "9223372036854771712\n");
    folder.write(memory + "job/memory.limit_in_bytes", "10000\n");
    folder.write(memory + "job/memory.usage_in_bytes", "7000\n");
    folder.write(memory + "job/memory.stat", "inactive_file 1\ntotal_inactive_file 2000\ntotal_active_file 1000\n");
    const auto limits = cgroup_limits(folder.path());
    EXPECT_EQ(limits.cores, 4u);
    EXPECT_EQ(limits.memory_limit, 10000u);
    EXPECT_EQ(limits.memory_available, 6000u);
}

TEST(CgroupLimits, AContainerSeesItsOwnGroupAtTheMountPoint) {
    const TemporaryFolder folder;
    folder.write("sys/fs/cgroup/cpu.max", "300000 100000\n");
    folder.write("sys/fs/cgroup/inner/cpu.max", "200000 100000\n");
    const std::string mount = " /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
    const auto cores = [&](const std::string& group, const std::string& mounted) {
        folder.write("proc/self/cgroup", "0::" + group + "\n");
        folder.write("proc/self/mountinfo", "31 23 0:28 " + mounted + mount);
        return cgroup_limits(folder.path()).cores;
    };
    EXPECT_EQ(cores("/", "/"), 3u);                      // a namespace of its own
    EXPECT_EQ(cores("/docker/abc", "/docker/abc"), 3u);  // the host's names
    EXPECT_EQ(cores("/docker/abc/inner", "/docker/abc"), 2u);
    EXPECT_EQ(cores("/docker/abcdef", "/docker/abc"), 3u);  // another group with a like name
    EXPECT_EQ(cores("/elsewhere/inner", "/docker/abc"), 3u);
    EXPECT_EQ(cores("/../sibling", "/"), 3u);  // outside of the namespace
}

}  // namespace
}  // namespace puna::base
