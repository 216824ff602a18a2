#include "base/cgroup.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "base/number.h"
#include "base/text_file.h"

namespace puna::base {
namespace {

std::vector<std::string_view> split(std::string_view text, char separator) {
    std::vector<std::string_view> parts;
    while (true) {
        const std::size_t at = text.find(separator);
        parts.push_back(text.substr(0, at));
        if (at == std::string_view::npos) return parts;
        text.remove_prefix(at + 1);
    }
}

bool contains(const std::vector<std::string_view>& parts, std::string_view wanted) {
    return std::find(parts.begin(), parts.end(), wanted) != parts.end();
}

std::optional<std::int64_t> whole_number(std::string_view text) {
    const auto number = parse_number<std::int64_t>(text, "");
    if (!number.ok()) return std::nullopt;
    return number.value();
}

/// The first line of a small file; empty if there is none.
std::string first_line(const std::string& path) {
    auto text = read_text_file(path);
    if (!text.ok()) return {};
    return text->substr(0, text->find('\n'));
}

void lower(auto& limit, auto value) {
    if (!limit || value < *limit) limit = value;
}

/// Where a hierarchy is mounted, and which of its groups is seen at the mount point.
struct Mount {
    std::string point;
    std::string group;
};

/// The mount of a v1 controller, or of the v2 hierarchy if `controller` is empty. proc(5), /proc/[pid]/mountinfo:
/// `id parent device root point options [tags] - type source super-options`.
std::optional<Mount> find_mount(std::string_view mountinfo, std::string_view controller) {
    for (const std::string_view line : split(mountinfo, '\n')) {
        const auto fields = split(line, ' ');
        const auto dash = std::find(fields.begin(), fields.end(), "-");
        if (fields.size() < 6 || fields.end() - dash < 4) continue;
        const bool matches = controller.empty() ? dash[1] == "cgroup2"
                                                : dash[1] == "cgroup" && contains(split(dash[3], ','), controller);
        if (matches) return Mount{std::string(fields[4]), std::string(fields[3])};
    }
    return std::nullopt;
}

/// The group of this process. cgroups(7), /proc/[pid]/cgroup: `id:controllers:path`, v2 is `0::path`.
std::optional<std::string> find_group(std::string_view cgroup, std::string_view controller) {
    for (const std::string_view line : split(cgroup, '\n')) {
        const std::size_t first = line.find(':');
        if (first == std::string_view::npos) continue;
        const std::size_t second = line.find(':', first + 1);
        if (second == std::string_view::npos) continue;
        const std::string_view controllers = line.substr(first + 1, second - first - 1);
        const bool matches =
            controller.empty() ? line.starts_with("0::") : contains(split(controllers, ','), controller);
        if (matches) return std::string(line.substr(second + 1));
    }
    return std::nullopt;
}

/// The folders from the process's group up to the mount point. In a container the mount often shows only a part of the
/// hierarchy, or /proc names the group as the host sees it: then the mount point is all there is.
std::vector<std::string> group_folders(const Mount& mount, std::string_view group) {
    if (mount.group != "/") {
        const bool below =
            group.starts_with(mount.group) && (group.size() == mount.group.size() || group[mount.group.size()] == '/');
        group = below ? group.substr(mount.group.size()) : "";
    }
    std::vector<std::string> folders;
    while (!group.empty() && group != "/" && group.find("/..") == std::string_view::npos) {
        folders.push_back(mount.point + std::string(group));
        group = group.substr(0, group.rfind('/'));
    }
    folders.push_back(mount.point);
    return folders;
}

void apply_quota(CgroupLimits& limits, std::optional<std::int64_t> quota, std::optional<std::int64_t> period) {
    if (!quota || !period || *quota <= 0 || *period <= 0) return;
    const std::int64_t cores = *quota / *period + (*quota % *period != 0 ? 1 : 0);
    lower(limits.cores, static_cast<std::uint32_t>(std::min<std::int64_t>(cores, INT32_MAX)));
}

/// Bytes of the group's page cache, from memory.stat; `prefix` is "total_" in v1, where it includes groups below.
std::uint64_t page_cache(const std::string& stat_path, std::string_view prefix) {
    const auto text = read_text_file(stat_path);
    if (!text.ok()) return 0;
    std::uint64_t bytes = 0;
    for (const std::string_view line : split(*text, '\n')) {
        const auto words = split(line, ' ');
        if (words.size() != 2 || !words[0].starts_with(prefix)) continue;
        const std::string_view name = words[0].substr(prefix.size());
        if (name != "inactive_file" && name != "active_file") continue;
        bytes += static_cast<std::uint64_t>(std::max<std::int64_t>(whole_number(words[1]).value_or(0), 0));
    }
    return bytes;
}

void apply_memory(CgroupLimits& limits, std::optional<std::int64_t> limit, std::optional<std::int64_t> usage,
                  std::uint64_t cache) {
    if (!limit || *limit < 0) return;
    const auto bytes = static_cast<std::uint64_t>(*limit);
    lower(limits.memory_limit, bytes);
    const auto used = static_cast<std::uint64_t>(std::max<std::int64_t>(usage.value_or(0), 0));
    const std::uint64_t held = used > cache ? used - cache : 0;
    lower(limits.memory_available, bytes > held ? bytes - held : 0);
}

void apply_v2(CgroupLimits& limits, const std::string& folder) {
    const std::string cpu_line = first_line(folder + "/cpu.max");  // "<quota or max> <period>"
    const auto cpu = split(cpu_line, ' ');
    if (cpu.size() == 2) apply_quota(limits, whole_number(cpu[0]), whole_number(cpu[1]));
    const auto usage = whole_number(first_line(folder + "/memory.current"));
    const std::uint64_t cache = page_cache(folder + "/memory.stat", "");
    for (const char* name : {"/memory.max", "/memory.high"}) {  // above `high` the kernel slows the group to a crawl
        apply_memory(limits, whole_number(first_line(folder + name)), usage, cache);
    }
}

void apply_v1_cpu(CgroupLimits& limits, const std::string& folder) {
    apply_quota(limits, whole_number(first_line(folder + "/cpu.cfs_quota_us")),
                whole_number(first_line(folder + "/cpu.cfs_period_us")));
}

void apply_v1_memory(CgroupLimits& limits, const std::string& folder) {
    apply_memory(limits, whole_number(first_line(folder + "/memory.limit_in_bytes")),
                 whole_number(first_line(folder + "/memory.usage_in_bytes")),
                 page_cache(folder + "/memory.stat", "total_"));
}

}  // namespace

CgroupLimits cgroup_limits(const std::string& root) {
    CgroupLimits limits;
    const auto cgroup = read_text_file(root + "/proc/self/cgroup");
    const auto mountinfo = read_text_file(root + "/proc/self/mountinfo");
    if (!cgroup.ok() || !mountinfo.ok()) return limits;
    const auto walk = [&](std::string_view controller, auto apply) {
        const auto mount = find_mount(*mountinfo, controller);
        const auto group = find_group(*cgroup, controller);
        if (!mount || !group) return;
        for (const std::string& folder : group_folders(*mount, *group))
            apply(limits, root + folder);
    };
    walk("", apply_v2);
    walk("cpu", apply_v1_cpu);
    walk("memory", apply_v1_memory);
    return limits;
}

}  // namespace puna::base
