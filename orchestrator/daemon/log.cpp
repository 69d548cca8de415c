#include "daemon/log.hpp"

#include <spdlog/sinks/rotating_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace nsa::daemon {

Result<Log> Log::open(const std::filesystem::path& file, bool to_stderr) {
    constexpr std::size_t kLargest = 16U << 20;
    constexpr std::size_t kKept = 4;
    try {
        std::vector<spdlog::sink_ptr> sinks;
        sinks.push_back(
            std::make_shared<spdlog::sinks::rotating_file_sink_mt>(file.string(), kLargest, kKept));
        if (to_stderr) sinks.push_back(std::make_shared<spdlog::sinks::stderr_sink_mt>());
        auto logger = std::make_shared<spdlog::logger>("nsad", sinks.begin(), sinks.end());
        logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l %v");
        logger->flush_on(spdlog::level::info);
        return Log(std::move(logger));
    } catch (const spdlog::spdlog_ex& error) {
        return fail(ErrorCode::kInternal, error.what(), file.string());
    }
}

void Log::info(const std::string& text) const {
    logger_->info(text);
}
void Log::warn(const std::string& text) const {
    logger_->warn(text);
}
void Log::error(const std::string& text) const {
    logger_->error(text);
}

}  // namespace nsa::daemon
