// The verbs about hosts, and version.
#include <fmt/format.h>

#include <istream>
#include <ostream>

#include "api/json.hpp"
#include "cli/address.hpp"
#include "cli/commands.hpp"
#include "cli/run_text.hpp"
#include "engines/host_key.hpp"
#include "language/verdict.hpp"

namespace nsa::cli {
namespace {

namespace exit_code = language::exit_code;
using engines::HostKey;

// The command with which an unattended caller says what a person at a terminal would.
std::string repeat_with(const InstanceAddArgs& args, const std::string& fingerprint) {
    std::string line = "nsactl instance add " + shell_quoted(args.name) + " " + shell_quoted(args.address);
    const auto option = [&line](std::string_view name, const std::string& value) {
        if (!value.empty()) line += fmt::format(" {} {}", name, shell_quoted(value));
    };
    option("--key", args.key_file);
    option("--accept-fingerprint", fingerprint);
    option("--nsa-core", args.nsa_core);
    option("--worker-home", args.worker_home);
    option("--path", args.tool_path);
    return line + (args.replace ? " --replace" : "");
}

bool consents(const Console& console, const InstanceAddArgs& args, const std::string& fingerprint) {
    console.err << harmless(args.address) << " shows the host key\n  "
                << console.err_paint(fingerprint, Colour::kBold)
                << "\nCompare it with what the host's console or provider says. Is it the same? [y/N] ";
    console.err.flush();
    std::string answer;
    std::getline(console.in, answer);
    return answer == "y" || answer == "Y" || answer == "yes";
}

// The key to pin: given, or shown by the host and accepted by fingerprint or by a person.
Result<std::string> host_key_of(const Console& console, const InstanceAddArgs& args, const Address& address,
                                const ScanHostKey& scan) {
    const std::string where = "instance " + args.name;
    if (!args.host_key.empty()) return args.host_key;
    const auto shown = scan(address.host, address.port);
    if (!shown) return shown.error();
    const auto key = engines::parse_host_key(*shown);
    if (!key) return key.error();
    const std::string fingerprint = engines::fingerprint(*key);
    if (!args.accept_fingerprint.empty()) {
        if (args.accept_fingerprint == fingerprint) return *shown;
        return fail(
            ErrorCode::kRefused,
            "the host shows " + fingerprint + ", not " + args.accept_fingerprint + "; nothing was registered",
            where);
    }
    if (!console.facts.in_is_tty || !console.facts.err_is_tty)
        return fail(ErrorCode::kRefused,
                    "its host key " + fingerprint +
                        " is not known, and there is no terminal to ask on. If it is the right one, repeat "
                        "with:\n  " +
                        repeat_with(args, fingerprint),
                    where);
    if (consents(console, args, fingerprint)) return *shown;
    return fail(ErrorCode::kRefused, "the host key was not accepted; nothing was registered", where);
}

Result<api::InstanceRequest> request_of(const Console& console, const InstanceAddArgs& args,
                                        const ScanHostKey& scan) {
    api::InstanceRequest request;
    request.name = InstanceName{args.name};
    request.nsa_core = args.nsa_core;
    request.worker_home = args.worker_home;
    request.tool_path = args.tool_path;
    request.replace = args.replace;
    if (args.address == "local") {
        const bool ssh_only =
            !args.key_file.empty() || !args.host_key.empty() || !args.accept_fingerprint.empty();
        if (ssh_only)
            return fail(ErrorCode::kUsage,
                        "a local instance has no --key, --host-key or --accept-fingerprint",
                        "instance " + args.name);
        request.engine = "local";
        return request;
    }
    const auto address = parse_address(args.address);
    if (!address) return address.error();
    if (args.key_file.empty())
        return fail(ErrorCode::kUsage, "give the private key to log in with: --key FILE",
                    "instance " + args.name);
    std::error_code problem;
    const std::filesystem::path key_file = std::filesystem::absolute(args.key_file);
    if (!std::filesystem::is_regular_file(key_file, problem))
        return fail(ErrorCode::kUsage, "no such file: " + key_file.string(), "--key");
    const auto host_key = host_key_of(console, args, *address, scan);
    if (!host_key) return host_key.error();
    request.engine = "ssh";
    request.user = address->user;
    request.host = address->host;
    request.port = address->port;
    request.key_file = key_file.string();
    request.host_key = *host_key;
    return request;
}

// Unreachable hosts may be registered; the exit code tells that one cannot be used now.
int show_instance(const Console& console, const api::InstanceView& view, Output output) {
    if (output == Output::kJson) {
        print_json(console, api::to_json_text(view));
    } else {
        console.out << instance_page(view, console.now_ms(), console.out_paint);
    }
    return view.state == "unreachable" || view.state == "refused" ? exit_code::kInfrastructure : 0;
}

}  // namespace

int instance_add(Control& control, const Console& console, const InstanceAddArgs& args,
                 const ScanHostKey& scan, Output output) {
    const auto request = request_of(console, args, scan);
    if (!request) return console.complain(request.error());
    const auto view = control.add_instance(*request);
    if (!view) return console.complain(view.error());
    return show_instance(console, *view, output);
}

int instance_probe(Control& control, const Console& console, const InstanceProbeArgs& args, Output output) {
    const auto view = control.probe_instance(InstanceName{args.name});
    if (!view) return console.complain(view.error());
    return show_instance(console, *view, output);
}

int instance_list(Control& control, const Console& console, Output output) {
    const auto instances = control.list_instances();
    if (!instances) return console.complain(instances.error());
    if (output == Output::kJson) {
        print_json(console, api::to_json_text(*instances));
    } else {
        console.out << instances_table(*instances, console.now_ms(), console.out_paint);
    }
    return 0;
}

int version(Control& control, const Console& console, const VersionArgs& args, Output output) {
    constexpr std::chrono::milliseconds kPause{50};
    const std::int64_t end = console.steady_ms() + args.wait_ms;
    auto daemon = control.version();
    while (!daemon && daemon.error().code == ErrorCode::kUnreachable && console.steady_ms() < end &&
           control.interrupts() == 0) {
        control.pause(kPause);
        daemon = control.version();
    }
    if (control.interrupts() > 0) return exit_code::kInterrupted;
    if (output == Output::kJson && daemon) {
        print_json(console, api::to_json_text(*daemon));
        return 0;
    }
    console.out << "nsactl " NSA_VERSION "\n";
    if (daemon) {
        console.out << "nsad   " << daemon->version
                    << (daemon->commit.empty() ? "" : " (" + daemon->commit + ")") << ", pid " << daemon->pid
                    << ", state in " << daemon->state_dir << "\n";
        return 0;
    }
    // Without --wait the question is about this program as much as about the daemon.
    if (args.wait_ms > 0) return console.complain(daemon.error());
    console.note("nsad   " + daemon.error().text);
    return 0;
}

}  // namespace nsa::cli
