#include "nsa_core/train/model_flags.hpp"

namespace nsa::core::train {

void add_model_flags(tools::FlagTable& table, ModelFlags& f) {
    constexpr std::int64_t kMany = 1 << 20;
    table.integer("--dim", f.dim, 1, 65536, "width of the residual stream")
        .integer("--heads", f.heads, 1, 1024, "query heads")
        .integer("--groups", f.groups, 1, 1024, "key/value heads; divides --heads")
        .integer("--dk", f.dk, 2, 1024, "width of a query and of a key; even, for rotary positions")
        .integer("--dv", f.dv, 1, 1024, "width of a value")
        .integer("--seq", f.seq, 1, kMany, "bytes in a sequence")
        .integer("--batch", f.batch, 1, kMany, "sequences in a batch")
        .integer("--layers", f.layers, 1, 1024, "layers of attention and MLP")
        .choice("--gate", f.gate, {{"sigmoid", GateKind::kSigmoid}, {"softmax", GateKind::kSoftmax}},
                "how the gates are made; softmax makes the three sum to 1");
}

void add_run_flags(tools::FlagTable& table, ModelFlags& f) {
    tools::add_dtype_flag(table, f.dtype);
    tools::add_device_flag(table, f.device);
    table.integer("--seed", f.seed, 0, INT64_C(1) << 53, "seed of weights and data")
        .text("--data", f.data, "synthetic|FILE", "a made-up language, or any file, read as bytes");
}

NsaConfig config_of(const ModelFlags& f) {
    NsaConfig config;  // block sizes and window are the paper's
    config.dim = f.dim;
    config.heads = f.heads;
    config.groups = f.groups;
    config.dk = f.dk;
    config.dv = f.dv;
    config.gate = f.gate;
    config.rope = true;  // the model has no other sense of position
    validate(config);
    return config;
}

}  // namespace nsa::core::train
