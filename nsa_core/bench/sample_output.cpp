#include "nsa_core/bench/sample_output.hpp"

namespace nsa::core::bench {

void write_samples(tools::Output& output, const tools::Labels& labels, const TimeSeries& series,
                   const std::vector<tools::GpuState>& states) {
    const auto metric = [&](const std::string& name, std::size_t index, double value, const char* unit) {
        output.results.write(tools::Metric{.name = name,
                                           .value = value,
                                           .unit = unit,
                                           .labels = labels,
                                           .sample = static_cast<std::int64_t>(index)});
    };
    for (const auto& [name, samples] : series) {
        for (std::size_t i = 0; i < samples.size(); ++i)
            metric(name, i, samples[i], "ms");
    }
    for (std::size_t i = 0; i < states.size(); ++i) {
        metric("sm_clock", i, states[i].sm_clock_mhz, "MHz");
        metric("memory_clock", i, states[i].memory_clock_mhz, "MHz");
        metric("gpu_power", i, states[i].power_w, "W");
        metric("gpu_temperature", i, states[i].temperature_c, "C");
        metric("throttle_reasons", i, static_cast<double>(states[i].throttle_reasons), "bits");
    }
}

void write_validity(tools::Output& output, const tools::Labels& labels, const RowValidity& row) {
    for (const auto& [metric, verdict] :
         {std::pair{"invalid", Validity::kInvalid}, std::pair{"degraded", Validity::kDegraded}}) {
        output.results.write(tools::Metric{
            .name = metric, .value = row.validity == verdict ? 1.0 : 0.0, .unit = "1", .labels = labels});
    }
    const auto fact = [&](const char* fact_name, std::string value) {
        output.results.write(tools::Fact{.name = fact_name, .value = std::move(value), .labels = labels});
    };
    fact("validity", std::string{name(row.validity)});
    fact("validity_reason", row.reason());
}

}  // namespace nsa::core::bench
