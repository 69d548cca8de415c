#include "nsa_core/config.hpp"

#include <cmath>
#include <utility>

#include "nsa_core/errors.hpp"

namespace nsa::core {
namespace {

class FaultList {
  public:
    void positive(const char* name, std::int64_t value) {
        if (value >= 1) return;
        add(std::string{name} + " is " + std::to_string(value) + "; it must be at least 1");
    }

    /// `part` must divide `whole`; sizes that are not positive have their own fault.
    void divides(const char* part_name, std::int64_t part, const char* whole_name, std::int64_t whole) {
        if (part < 1 || whole < 1 || whole % part == 0) return;
        add(std::string{part_name} + " = " + std::to_string(part) + " does not divide " + whole_name + " = " +
            std::to_string(whole) + "; it must");
    }

    void add(std::string fault) { faults_.push_back(std::move(fault)); }
    [[nodiscard]] std::vector<std::string> take() { return std::move(faults_); }

  private:
    std::vector<std::string> faults_;
};

void check_forced_blocks(const NsaConfig& c, FaultList& list) {
    if (c.n_initial < 0) {
        list.add("n_initial is " + std::to_string(c.n_initial) + "; it must be at least 0");
    }
    // Without the query's own block a token could not attend itself, and the reads of a step would depend on
    // the data.
    if (c.n_local < 1) {
        list.add("n_local is " + std::to_string(c.n_local) +
                 "; it must be at least 1, the query's own block");
    }
    if (c.n_initial + c.n_local > c.n) {
        list.add("n_initial + n_local = " + std::to_string(c.n_initial + c.n_local) +
                 " forced blocks do not fit into n = " + std::to_string(c.n) + " selected blocks");
    }
}

}  // namespace

double NsaConfig::scale() const {
    return 1.0 / std::sqrt(static_cast<double>(dk));
}

std::vector<std::string> faults(const NsaConfig& c) {
    FaultList list;
    const std::pair<const char*, std::int64_t> sizes[] = {{"dim", c.dim},
                                                          {"heads", c.heads},
                                                          {"groups", c.groups},
                                                          {"dk", c.dk},
                                                          {"dv", c.dv},
                                                          {"l", c.l},
                                                          {"d", c.d},
                                                          {"l_sel", c.l_sel},
                                                          {"n", c.n},
                                                          {"w", c.w},
                                                          {"phi_hidden", c.phi_hidden},
                                                          {"gate_hidden", c.gate_hidden}};
    for (const auto& [name, value] : sizes)
        list.positive(name, value);
    list.divides("groups", c.groups, "heads", c.heads);
    list.divides("d", c.d, "l", c.l);
    list.divides("d", c.d, "l_sel", c.l_sel);
    check_forced_blocks(c, list);
    if (c.rope && c.dk % 2 != 0) {
        list.add("rope needs an even dk, and dk = " + std::to_string(c.dk));
    }
    if (!(c.rope_base > 1.0) || !std::isfinite(c.rope_base)) {
        list.add("rope_base is " + std::to_string(c.rope_base) + "; it must be a finite number above 1");
    }
    return list.take();
}

void validate(const NsaConfig& config) {
    std::string message;
    for (const std::string& fault : faults(config))
        message += (message.empty() ? "" : "; ") + fault;
    if (!message.empty()) throw InputError("attention configuration: " + message);
}

}  // namespace nsa::core
