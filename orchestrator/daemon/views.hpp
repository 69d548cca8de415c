// From the store's rows and the daemon's memory to what the API shows. Pure.
#pragma once

#include "api/service.hpp"
#include "daemon/instances.hpp"
#include "store/rows.hpp"

namespace nsa::daemon {

api::RunView run_view(const store::RunRow& row);
api::InstanceView instance_view(const InstanceEntry& entry);
api::ReportView report_view(const store::ReportRow& row, language::Status status);
// kUsage names the field.
Result<engines::InstanceConfig> config_of(const api::InstanceRequest& request);

}  // namespace nsa::daemon
