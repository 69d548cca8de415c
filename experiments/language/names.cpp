#include "language/names.hpp"

namespace nsa::language {

std::string_view to_string(Op op) {
    return name_of(op);
}
std::string_view to_string(Level level) {
    return name_of(level);
}
std::string_view to_string(Verdict verdict) {
    return name_of(verdict);
}
std::string_view to_string(Status status) {
    return name_of(status);
}
std::string_view to_string(RunState state) {
    return name_of(state);
}
std::string_view to_string(Reason reason) {
    return name_of(reason);
}
std::string_view to_string(EndKind kind) {
    return name_of(kind);
}
std::string_view to_string(RunEnd end) {
    return name_of(end);
}

namespace {

template <class Enum>
bool assign_named(std::string_view text, Enum& out) {
    const std::optional<Enum> value = value_named<Enum>(text);
    if (value) out = *value;
    return value.has_value();
}

}  // namespace

bool verdict_from_string(std::string_view text, Verdict& out) {
    return assign_named(text, out);
}
bool run_state_from_string(std::string_view text, RunState& out) {
    return assign_named(text, out);
}
bool reason_from_string(std::string_view text, Reason& out) {
    return assign_named(text, out);
}

}  // namespace nsa::language
