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

}  // namespace nsa::language
