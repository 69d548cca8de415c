#include "probe/gpu.hpp"

#include "posix/capture.hpp"

namespace nsa::probe {
namespace {

Result<posix::Captured> query(const std::vector<GpuField>& fields, const posix::Environment& environment,
                              std::chrono::milliseconds deadline) {
    std::string columns;
    for (const auto& field : fields)
        columns += (columns.empty() ? "" : ",") + std::string{field.query};
    return posix::capture({"nvidia-smi", "--query-gpu=" + columns, "--format=csv,noheader,nounits"},
                          environment, deadline);
}

std::string reason_of(const posix::Captured& answer) {
    return "nvidia-smi ended with " + std::to_string(answer.exit_code) + ": " +
           trim(answer.output.substr(0, 300));
}

}  // namespace

Facts probe_gpus(const posix::Environment& environment, std::chrono::milliseconds deadline) {
    const auto until = std::chrono::steady_clock::now() + deadline;
    auto answer = query(kGpuFields, environment, deadline);
    if (!answer)
        return no_gpus(answer.error().code == ErrorCode::kNotFound ? "there is no nvidia-smi in PATH"
                                                                   : answer.error().describe());
    if (answer->exit_code == 0) return parse_gpus(answer->output, kGpuFields);
    // An old driver refuses the whole query for one field that it does not know.
    const std::string first_reason = reason_of(*answer);
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    answer = query(kOldGpuFields, environment, left);
    if (!answer || answer->exit_code != 0) return no_gpus(first_reason);
    return parse_gpus(answer->output, kOldGpuFields);
}

}  // namespace nsa::probe
