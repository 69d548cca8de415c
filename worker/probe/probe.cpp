#include "probe/probe.hpp"

#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <filesystem>

#include "posix/capture.hpp"
#include "posix/identity.hpp"
#include "probe/gpu.hpp"

namespace nsa::probe {
namespace {

namespace fs = std::filesystem;

std::string variable(const posix::Environment& environment, const std::string& name) {
    const auto found = environment.find(name);
    return found == environment.end() ? std::string{} : found->second;
}

bool exists(const char* path) {
    std::error_code failed;
    return fs::exists(path, failed);
}

void add_system(Facts& facts) {
    utsname system{};
    if (::uname(&system) == 0) {
        facts["kernel"] = system.release;
        facts["arch"] = system.machine;
    }
    facts["os"] = parse_os_release(posix::read_proc("/etc/os-release"));
    facts["hostname"] = posix::host_name();
    facts["boot_id"] = posix::boot_id();
    const std::string uptime = posix::read_proc("/proc/uptime");
    facts["uptime_s"] = uptime.substr(0, uptime.find_first_of(". "));
    const std::string load = posix::read_proc("/proc/loadavg");
    facts["load_1m"] = load.substr(0, load.find(' '));
    facts["user"] = std::to_string(::geteuid());
    const bool logind_kills = parse_kills_user_processes(posix::read_proc("/etc/systemd/logind.conf"));
    facts["logind_kills_user_processes"] = logind_kills ? "yes" : "no";
}

void add_cpu(Facts& facts) {
    const CpuInfo cpu = parse_cpuinfo(posix::read_proc("/proc/cpuinfo"));
    facts["cpu_model"] = cpu.model;
    facts["cpu_count"] = std::to_string(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN)));
    std::string machine = trim(posix::read_proc("/sys/class/dmi/id/sys_vendor")) + " " +
                          trim(posix::read_proc("/sys/class/dmi/id/product_name"));
    machine = trim(machine);
    std::string kind = cpu.hypervisor ? "virtual machine" : "none seen";
    if (cpu.hypervisor && !machine.empty()) kind += " (" + machine + ")";
    if (exists("/.dockerenv") || exists("/run/.containerenv")) kind = "container, " + kind;
    facts["virtualisation"] = kind;
}

void add_storage(Facts& facts, const std::string& path) {
    facts.merge(parse_meminfo(posix::read_proc("/proc/meminfo")));
    struct statvfs disk {};
    if (::statvfs(path.c_str(), &disk) != 0) return;
    facts["disk_free_bytes"] = std::to_string(disk.f_bavail * disk.f_frsize);
    facts["disk_total_bytes"] = std::to_string(disk.f_blocks * disk.f_frsize);
    facts["inodes_free"] = std::to_string(disk.f_favail);
}

// Output of a command that ended well, else empty: an absent tool is an absent fact.
std::string output_of(const std::vector<std::string>& argv, const ProbeOptions& options) {
    const auto captured = posix::capture(argv, options.environment, options.command_deadline);
    return captured && captured->exit_code == 0 ? captured->output : std::string{};
}

std::vector<fs::path> subfolders(const fs::path& folder, std::string_view prefix) {
    std::vector<fs::path> found;
    std::error_code failed;
    for (fs::directory_iterator it{folder, failed}, end; !failed && it != end; it.increment(failed)) {
        if (it->path().filename().string().starts_with(prefix)) found.push_back(it->path());
    }
    std::sort(found.begin(), found.end());
    return found;
}

// Where the commands of a run find their Python: "/opt/venv" for "/opt/venv/bin" in PATH.
std::vector<fs::path> roots_of_path(const std::string& path) {
    std::vector<fs::path> roots;
    for (std::size_t begin = 0; begin <= path.size();) {
        const std::size_t end = std::min(path.find(':', begin), path.size());
        const fs::path folder = path.substr(begin, end - begin);
        if (folder.is_absolute() && folder.filename() == "bin") roots.push_back(folder.parent_path());
        begin = end + 1;
    }
    return roots;
}

// Reads torch/version.py where Python packages live; importing torch would take seconds and a GPU context.
std::string torch_version(const posix::Environment& environment) {
    std::vector<fs::path> roots = roots_of_path(variable(environment, "PATH"));
    for (const char* name : {"VIRTUAL_ENV", "CONDA_PREFIX"}) {
        if (const std::string root = variable(environment, name); !root.empty()) roots.emplace_back(root);
    }
    if (const std::string home = variable(environment, "HOME"); !home.empty()) {
        roots.emplace_back(home + "/.local");
    }
    roots.insert(roots.end(), {"/opt/conda", "/usr/local", "/usr"});
    for (const auto& root : roots) {
        for (const auto& python : subfolders(root / "lib", "python3")) {
            for (const char* packages : {"site-packages", "dist-packages"}) {
                const fs::path file = python / packages / "torch" / "version.py";
                const std::string version = parse_torch_version(posix::read_proc(file));
                if (!version.empty()) return version;
            }
        }
    }
    return {};
}

void add_toolchains(Facts& facts, const ProbeOptions& options) {
    std::string toolkit = parse_nvcc_version(output_of({"nvcc", "--version"}, options));
    if (toolkit.empty())
        toolkit = parse_nvcc_version(output_of({"/usr/local/cuda/bin/nvcc", "--version"}, options));
    facts["cuda_toolkit"] = toolkit;
    facts["python"] = parse_python_version(output_of({"python3", "--version"}, options));
    facts["torch_version"] = torch_version(options.environment);
}

}  // namespace

Facts probe_host(const ProbeOptions& options) {
    Facts facts = probe_gpus(options.environment, options.gpu_deadline);
    add_system(facts);
    add_cpu(facts);
    add_storage(facts, options.disk);
    add_toolchains(facts, options);
    std::erase_if(facts, [](const auto& fact) { return fact.second.empty(); });
    return facts;
}

std::string to_json(const Facts& facts) {
    boost::json::object object;
    for (const auto& [name, value] : facts)
        object[name] = value;
    return boost::json::serialize(object);
}

Result<Facts> facts_from_json(std::string_view text) {
    boost::system::error_code failed;
    const auto value = boost::json::parse(text, failed);
    if (failed || !value.is_object()) return fail(ErrorCode::kProtocol, "is not a JSON object", "facts");
    Facts facts;
    for (const auto& [name, fact] : value.get_object()) {
        if (!fact.is_string()) return fail(ErrorCode::kProtocol, "is no text", "fact " + std::string{name});
        facts[name] = std::string{fact.get_string()};
    }
    return facts;
}

}  // namespace nsa::probe
