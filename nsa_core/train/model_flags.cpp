#include "nsa_core/train/model_flags.hpp"

#include "nsa_core/routes/cuda_decode.hpp"

namespace nsa::core::train {

void add_model_flags(tools::FlagTable& table, ModelFlags& f) {
    constexpr std::int64_t kMany = 1 << 20;
    table.integer("--dim", f.dim, 1, 65536, "width of the residual stream");
    tools::add_head_flags(table, f);
    table.integer("--seq", f.seq, 1, kMany, "bytes in a sequence")
        .integer("--batch", f.batch, 1, kMany, "sequences in a batch")
        .integer("--layers", f.layers, 1, 1024, "layers of attention and MLP")
        .choice("--gate", f.gate, {{"sigmoid", GateKind::kSigmoid}, {"softmax", GateKind::kSoftmax}},
                "how the gates are made; softmax makes the three sum to 1");
    tools::add_compressor_flags(table, f.compression);
}

void add_run_flags(tools::FlagTable& table, ModelFlags& f) {
    tools::add_dtype_flag(table, f.dtype);
    tools::add_device_flag(table, f.device);
    table.integer("--seed", f.seed, 0, INT64_C(1) << 53, "seed of weights and data")
        .text("--data", f.data, "synthetic|FILE", "a made-up language, or any file, read as bytes")
        .choice("--route", f.route, tools::sequence_routes(),
                "implementation; auto: as the environment flags say");
}

NsaConfig config_of(const ModelFlags& f) {
    NsaConfig config = tools::config_of(f, f.dim);
    config.gate = f.gate;
    config.compressor = f.compression.compressor;
    config.phi_hidden = f.compression.phi_hidden;
    config.rope = true;  // the model has no other sense of position
    validate(config);
    return config;
}

tools::SequenceRequest request_of(const ModelFlags& f, const NsaConfig& config, tools::DeviceKind device) {
    return {.config = config,
            .dtype = f.dtype,
            .seq = f.seq,
            .cuda = device == tools::DeviceKind::kCuda,
            .sm = tools::sm_of(device),
            .kernels = kernels_built(),
            .batch = f.batch};
}

}  // namespace nsa::core::train
