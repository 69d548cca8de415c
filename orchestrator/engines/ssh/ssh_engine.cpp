#include "engine_ssh/ssh_engine.hpp"

#include <fmt/format.h>

#include <boost/asio/this_coro.hpp>
#include <optional>

#include "engine_ssh/channel_stream.hpp"
#include "engine_ssh/connect.hpp"
#include "engine_ssh/deploy.hpp"
#include "engine_ssh/session.hpp"
#include "engines/plain_path.hpp"

namespace nsa::engines {
namespace asio = boost::asio;
namespace {

using std::chrono::milliseconds;

// What a person types to pin the key that the host showed, once it is known to be right.
std::string pin_command(const InstanceConfig& config, const HostKey& shown) {
    std::string command = fmt::format(
        "nsactl instance add {} {}@{}:{} --key {} --replace --accept-fingerprint {}", config.name.value,
        config.user, config.host, config.port, config.key_file, fingerprint(shown));
    if (!config.nsa_core.empty()) command += " --nsa-core " + config.nsa_core;
    if (!config.worker_home.empty()) command += " --worker-home " + config.worker_home;
    if (!config.tool_path.empty()) command += " --path " + config.tool_path;
    return command;
}

Error refused(const InstanceConfig& config, std::string what, const HostKey& shown,
              const std::string& where) {
    return fail(ErrorCode::kHostKeyRefused,
                fmt::format("{}; the host shows {} {}. If that is its key (ask its console: ssh-keygen -lf "
                            "/etc/ssh/ssh_host_ed25519_key.pub), pin it: {}",
                            what, shown.type, fingerprint(shown), pin_command(config, shown)),
                where);
}

// Before authentication: nothing of ours is shown to a host that is not the one that was pinned.
Result<void> compare_with_pin(const InstanceConfig& config, const std::optional<HostKey>& pinned,
                              const HostKey& shown, const std::string& where) {
    if (!pinned) return refused(config, "no host key is pinned for this instance", shown, where);
    if (*pinned == shown) return {};
    return refused(config,
                   "THE HOST KEY HAS CHANGED, or somebody else answers for this host: pinned is " +
                       pinned->type + " " + fingerprint(*pinned),
                   shown, where);
}

Result<void> check(const InstanceConfig& config, const std::string& where) {
    const auto wrong = [&](std::string text) { return fail(ErrorCode::kUsage, std::move(text), where); };
    if (!is_safe_host_or_user(config.host)) return wrong("the host name \"" + config.host + "\" is not one");
    if (!is_safe_host_or_user(config.user)) return wrong("the user name \"" + config.user + "\" is not one");
    if (config.port < 1 || config.port > 65535) return wrong("the port is not within 1..65535");
    if (config.key_file.empty()) return wrong("no key file: public-key authentication is the only one");
    if (!config.worker_home.empty() && !is_plain_path(config.worker_home, PathRoot::kAbsoluteOrHome)) {
        return wrong("the worker home \"" + config.worker_home + "\" is not a plain absolute or ~/ path");
    }
    if (!is_plain_path_list(config.tool_path)) {
        return wrong("the tool path \"" + config.tool_path + "\" is no list of plain absolute folders");
    }
    return {};
}

asio::awaitable<Result<std::shared_ptr<Session>>> connect(std::string host, int port, milliseconds limit,
                                                          std::string where) {
    const asio::any_io_executor executor = co_await asio::this_coro::executor;
    Result<UniqueFd> socket = co_await connect_tcp(host, port, limit, where);
    if (!socket) co_return socket.error();
    auto session = std::make_shared<Session>(executor, where);
    const Result<void> adopted = session->adopt(std::move(*socket), host, port);
    if (!adopted) co_return adopted.error();
    co_return session;
}

class SshEngine : public Engine {
  public:
    SshEngine(asio::any_io_executor executor, SshSettings settings)
        : executor_(std::move(executor)), settings_(std::move(settings)) {}

    asio::awaitable<Result<std::unique_ptr<ByteStream>>> open(InstanceConfig config) override {
        const std::string where =
            fmt::format("instance {} ({}@{}:{})", config.name.value, config.user, config.host, config.port);
        if (const Result<void> ok = check(config, where); !ok) co_return ok.error();
        std::optional<HostKey> pinned;
        if (!config.host_key.empty()) {
            Result<HostKey> key = parse_host_key(config.host_key);
            if (!key) co_return key.error();
            pinned = *std::move(key);
        }
        if (const Result<void> read = read_worker(); !read) co_return read.error();

        Result<std::shared_ptr<Session>> session =
            co_await connect(config.host, config.port, settings_.connect, where);
        if (!session) co_return session.error();
        const Result<void> ready = co_await log_in(**session, config, pinned);
        if (!ready) co_return ready.error();
        const std::string command = remote_command(*worker_, config.worker_home, config.tool_path);
        const Phase start{"the start of a command", settings_.start};
        const Result<void> started = co_await (*session)->execute(command, start);
        if (!started) co_return started.error();
        std::unique_ptr<ByteStream> stream = make_channel_stream(*std::move(session));
        StartLimits limits;
        limits.answer = settings_.start;
        limits.progress = settings_.silence;
        co_return co_await start_worker(std::move(stream), *worker_, limits, where);
    }

  private:
    asio::awaitable<Result<void>> log_in(Session& session, const InstanceConfig& config,
                                         const std::optional<HostKey>& pinned) {
        const std::string preferred = pinned ? pinned->type : "";
        const Phase exchange{"the key exchange", settings_.handshake};
        const Result<HostKey> shown = co_await session.exchange_keys(preferred, exchange);
        if (!shown) co_return shown.error();
        const Result<void> known = compare_with_pin(config, pinned, *shown, session.where());
        if (!known) co_return known.error();
        const Phase authentication{"authentication", settings_.handshake};
        co_return co_await session.authenticate(config.user, config.key_file, authentication);
    }

    // Once, at the first open: what is deployed is the program that this daemon was started with.
    Result<void> read_worker() {
        if (worker_) return {};
        Result<WorkerBinary> worker = read_worker_binary(settings_.worker);
        if (!worker) return worker.error();
        worker_ = *std::move(worker);
        return {};
    }

    asio::any_io_executor executor_;
    SshSettings settings_;
    std::optional<WorkerBinary> worker_;
};

}  // namespace

std::unique_ptr<Engine> make_ssh_engine(asio::any_io_executor executor, SshSettings settings) {
    return std::make_unique<SshEngine>(std::move(executor), std::move(settings));
}

asio::awaitable<Result<HostKey>> scan_host_key(std::string host, int port, milliseconds timeout) {
    const std::string where = host + ":" + std::to_string(port);
    if (!is_safe_host_or_user(host)) co_return fail(ErrorCode::kUsage, "that is not a host name", where);
    const Phase exchange{"the key exchange", timeout};
    const Result<std::shared_ptr<Session>> session = co_await connect(host, port, timeout, where);
    if (!session) co_return session.error();
    const std::string any_type;
    co_return co_await (*session)->exchange_keys(any_type, exchange);
}

}  // namespace nsa::engines
