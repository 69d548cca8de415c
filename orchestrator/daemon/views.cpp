#include "daemon/views.hpp"

#include "engines/host_key.hpp"
#include "instances/config.hpp"

namespace nsa::daemon {

namespace {

api::CaseView case_view(const store::CaseRow& row) {
    api::CaseView view;
    view.key = row.key;
    view.kind = row.kind;
    view.title = row.title;
    view.state = std::string(store::to_string(row.state));
    view.verdict = row.verdict;
    view.reason = row.reason;
    view.seconds = row.seconds;
    view.stdout_bytes = row.stdout_bytes;
    view.stderr_bytes = row.stderr_bytes;
    return view;
}

}  // namespace

api::RunView run_view(const store::RunRow& row) {
    api::RunView view;
    view.run = row.run;
    view.name = row.name;
    view.subject = row.subject;
    view.state = row.state;
    view.reason = row.reason;
    view.message = row.message;
    view.status = row.status;
    view.instance = row.instance;
    if (row.attempt) view.attempt = row.attempt->attempt;
    view.created_ms = row.created_ms;
    view.started_ms = row.started_ms;
    view.finished_ms = row.finished_ms;
    view.version = row.version;
    view.report_path = row.report_path;
    for (const store::CaseRow& one : row.cases)
        view.cases.push_back(case_view(one));
    return view;
}

api::InstanceView instance_view(const InstanceEntry& entry) {
    api::InstanceView view;
    view.name = entry.config.name;
    view.engine = entry.config.engine == language::EngineKind::kLocal ? "local" : "ssh";
    view.address = instances::address(entry.config);
    if (const Result<engines::HostKey> key = engines::parse_host_key(entry.config.host_key))
        view.host_key_fingerprint = engines::fingerprint(*key);
    view.state = entry.state;
    view.message = entry.message;
    view.facts = entry.facts;
    view.probed_ms = entry.probed_ms;
    return view;
}

api::ReportView report_view(const store::ReportRow& row, language::Status status) {
    api::ReportView view;
    view.run = row.run;
    view.version = row.version;
    view.markdown_path = row.markdown_path;
    view.html_path = row.html_path;
    view.json_path = row.json_path;
    view.status = status;
    return view;
}

Result<engines::InstanceConfig> config_of(const api::InstanceRequest& request) {
    if (request.engine != "ssh" && request.engine != "local") {
        return fail(ErrorCode::kUsage, "the engine is \"" + request.engine + "\"; it must be ssh or local",
                    "instance " + request.name.value);
    }
    engines::InstanceConfig config;
    config.name = request.name;
    config.engine = request.engine == "ssh" ? language::EngineKind::kSsh : language::EngineKind::kLocal;
    config.host = request.host;
    config.user = request.user;
    config.port = request.port;
    config.key_file = request.key_file;
    config.host_key = request.host_key;
    config.nsa_core = request.nsa_core;
    config.worker_home = request.worker_home;
    config.tool_path = request.tool_path;
    return config;
}

}  // namespace nsa::daemon
