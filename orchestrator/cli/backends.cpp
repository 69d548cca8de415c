#include "cli/backends.hpp"

#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <optional>

#include "api/client.hpp"
#include "api/unix_socket.hpp"
#include "daemon/daemon.hpp"
#include "daemon/prepare_process.hpp"
#include "engine_ssh/ssh_engine.hpp"

namespace nsa::cli {
namespace {

namespace asio = boost::asio;

class SocketBackend final : public Backend {
  public:
    explicit SocketBackend(const std::filesystem::path& socket) : client_(socket), control_(io_, client_) {}
    Control& control() override { return control_; }

  private:
    asio::io_context io_{1};
    api::Client client_;
    Control control_;
};

class InProcessBackend final : public Backend {
  public:
    static Result<std::unique_ptr<Backend>> open(daemon::Config config) {
        auto io = std::make_unique<asio::io_context>(1);
        auto opened = daemon::Daemon::open(*io, std::move(config));
        if (!opened) return opened.error();
        return std::unique_ptr<Backend>(new InProcessBackend(std::move(io), std::move(*opened)));
    }
    ~InProcessBackend() override {
        constexpr std::chrono::seconds kLimit{10};
        control_.reset();
        if (daemon_->shut_down(kLimit)) return;
        // Something still uses them; the process ends now, and the state on disk is complete at any moment.
        (void)daemon_.release();
        (void)io_.release();
    }
    Control& control() override { return *control_; }

  private:
    InProcessBackend(std::unique_ptr<asio::io_context> io, std::unique_ptr<daemon::Daemon> daemon)
        : io_(std::move(io)), daemon_(std::move(daemon)) {
        control_.emplace(*io_, daemon_->service());
    }

    std::unique_ptr<asio::io_context> io_;
    std::unique_ptr<daemon::Daemon> daemon_;
    std::optional<Control> control_;
};

}  // namespace

std::unique_ptr<Backend> connect_to_daemon(const std::filesystem::path& socket) {
    return std::make_unique<SocketBackend>(socket);
}

bool daemon_listens(const std::filesystem::path& socket) {
    const auto connected = api::connect_to(socket);
    if (connected) ::close(*connected);
    return connected || connected.error().code != ErrorCode::kUnreachable;
}

Result<std::unique_ptr<Backend>> become_daemon(const api::StatePaths& paths) {
    daemon::Siblings siblings = daemon::find_siblings(daemon::this_program());
    daemon::Config config;
    config.state_dir = paths.state_dir;
    config.artifacts_dir = paths.artifacts_dir;
    config.worker = std::move(siblings.worker);
    config.nsa_core = std::move(siblings.nsa_core);
    config.nsa_core_source = std::move(siblings.nsa_core_source);
    config.connect_all = false;
    if (config.worker.empty())
        return fail(ErrorCode::kNotFound, "no nsa-worker beside nsactl; build the target nsa-worker",
                    daemon::this_program().string());
    daemon::prepare_process();
    return InProcessBackend::open(std::move(config));
}

Result<std::string> scan_host_key(const std::string& host, int port) {
    constexpr std::chrono::seconds kLimit{15};
    asio::io_context io{1};
    std::optional<Result<engines::HostKey>> found;
    std::exception_ptr thrown;
    const auto store = [&](std::exception_ptr exception, Result<engines::HostKey> key) {
        thrown = std::move(exception);
        found = std::move(key);
    };
    asio::co_spawn(io, engines::scan_host_key(host, port, kLimit), store);
    io.run();
    if (thrown) std::rethrow_exception(thrown);
    if (!*found) return found->error();
    return engines::to_string(**found);
}

}  // namespace nsa::cli
