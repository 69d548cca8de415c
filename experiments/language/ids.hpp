// Ids are types, so that swapping two does not compile.
#pragma once

#include <compare>
#include <functional>
#include <string>
#include <string_view>

namespace nsa {

template <class Tag>
struct Id {
    std::string value;

    auto operator<=>(const Id&) const = default;
    bool empty() const { return value.empty(); }
};

// A run: one submission of one experiment. "r-" + 13 lowercase base32 characters, minted by the daemon
// (time-ordered), or by the client as idempotency key. Matches [a-z0-9][a-z0-9-]{0,63}: it names folders.
using RunId = Id<struct RunTag>;
// A step after matrix expansion: "step" or "step[k=v,k2=v2]" with sorted keys. Unique in a run.
using CaseKey = Id<struct CaseTag>;
// Matches [a-z0-9][A-Za-z0-9._-]{0,63}: it names folders, rows and arguments.
using InstanceName = Id<struct InstanceTag>;
// Lowercase hex SHA-256.
using Sha256 = Id<struct Sha256Tag>;

// Fencing token: counts from 1 for each run. UNIQUE(run, attempt) everywhere.
struct Attempt {
    int value = 1;
    auto operator<=>(const Attempt&) const = default;
};

bool is_valid_run_id(const RunId& id);
bool is_valid_instance_name(const InstanceName& name);
// What is_valid_instance_name asks, for messages.
inline constexpr std::string_view kInstanceNameRule =
    "up to 64 letters, digits and . _ -, a lower-case letter or digit first";

}  // namespace nsa

template <class Tag>
struct std::hash<nsa::Id<Tag>> {
    std::size_t operator()(const nsa::Id<Tag>& id) const { return std::hash<std::string>{}(id.value); }
};
