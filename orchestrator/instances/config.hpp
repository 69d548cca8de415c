// Registering instances: what a person asks for, checked, and its JSON as the store keeps it.
#pragma once

#include <string>
#include <string_view>

#include "engines/engine.hpp"
#include "language/result.hpp"

namespace nsa::instances {

// kUsage, naming the field, what is wrong and what would be right. Pure: the key file is not opened.
Result<void> validate(const engines::InstanceConfig& config);

// The instance that always exists: this machine, through the local engine.
engines::InstanceConfig local_instance();

// "root@10.0.0.7:22", or "this machine".
std::string address(const engines::InstanceConfig& config);

std::string to_json_text(const engines::InstanceConfig& config);
// kCorrupt: the field that is missing, unknown or of the wrong type. The result is valid.
Result<engines::InstanceConfig> config_from_json_text(std::string_view text);

}  // namespace nsa::instances
