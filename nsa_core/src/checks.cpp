#include "nsa_core/src/checks.hpp"

#include <ATen/ATen.h>

#include <sstream>
#include <string>

#include "nsa_core/errors.hpp"
#include "nsa_core/geometry.hpp"

namespace nsa::core {
namespace {

template <class... Parts>
void require(bool holds, const char* where, const Parts&... parts) {
    if (holds) return;
    std::ostringstream message;
    message << where << ": ";
    (message << ... << parts);
    throw InputError(message.str());
}

}  // namespace

void check_heads(const char* where, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
    require(q.dim() == 4 && k.dim() == 4 && v.dim() == 4, where, "q, k and v must have 4 dimensions, not ",
            q.dim(), ", ", k.dim(), " and ", v.dim());
    const bool shapes_agree = k.size(0) == q.size(0) && v.size(0) == q.size(0) && k.size(1) == v.size(1) &&
                              k.size(2) == v.size(2) && k.size(3) == q.size(3);
    require(shapes_agree, where, "q [B,H,S,dk], k [B,G,N,dk] and v [B,G,N,dv] do not agree: ", q.sizes(),
            ", ", k.sizes(), ", ", v.sizes());
    require(k.size(1) > 0 && q.size(1) % k.size(1) == 0, where, "the number of groups, ", k.size(1),
            ", must divide the number of heads, ", q.size(1));
    require(q.scalar_type() == k.scalar_type() && q.scalar_type() == v.scalar_type(), where,
            "q, k and v must have one dtype, not ", q.scalar_type(), ", ", k.scalar_type(), " and ",
            v.scalar_type());
    require(q.device() == k.device() && q.device() == v.device(), where,
            "q, k and v must be on one device, not ", q.device(), ", ", k.device(), " and ", v.device());
}

void check_rows(const char* where, const KeysValues& rows) {
    const at::Tensor &k = rows.k, &v = rows.v;
    require(k.dim() == 4 && v.dim() == 4 && k.sizes().slice(0, 3) == v.sizes().slice(0, 3), where,
            "keys [B,G,N,dk] and values [B,G,N,dv] do not agree: ", k.sizes(), " and ", v.sizes());
    require(k.scalar_type() == v.scalar_type() && k.device() == v.device(), where,
            "keys and values must be of one dtype and on one device, not ", k.scalar_type(), " on ",
            k.device(), " and ", v.scalar_type(), " on ", v.device());
}

void check_branches(const char* where, const BranchInputs& in) {
    const at::Tensor& q = in.q;
    const auto text = [&](const char* branch) { return std::string{where} + ", " + branch; };
    check_heads(text("compressed").c_str(), q, in.cmp.k, in.cmp.v);
    check_heads(text("selected").c_str(), q, in.sel.k, in.sel.v);
    check_heads(text("sliding").c_str(), q, in.win.k, in.win.v);
    // Kernels take groups and widths of all three from one of them.
    const auto alike = [&](const char* branch, const KeysValues& rows) {
        require(rows.k.size(1) == in.sel.k.size(1) && rows.v.size(3) == in.sel.v.size(3), where,
                "all branches must have the same groups and width of values; the ", branch, " one has ",
                rows.k.size(1), " and ", rows.v.size(3), ", the selected one ", in.sel.k.size(1), " and ",
                in.sel.v.size(3));
    };
    alike("compressed", in.cmp);
    alike("sliding", in.win);
    require(in.gates.sizes() == at::IntArrayRef{q.size(0), q.size(1), q.size(2), 3} &&
                in.gates.scalar_type() == q.scalar_type() && in.gates.device() == q.device(),
            where, "the gates must be [B,H,S,3] of ", q.scalar_type(), " on ", q.device(), " for q ",
            q.sizes(), "; got ", in.gates.sizes(), " of ", in.gates.scalar_type(), " on ", in.gates.device());
}

void check_blocks(const char* where, const at::Tensor& blocks, const at::Tensor& q, const at::Tensor& k,
                  const NsaConfig& config) {
    const bool fits = blocks.dim() == 4 &&
                      blocks.sizes().slice(0, 3) == at::IntArrayRef{q.size(0), k.size(1), q.size(2)} &&
                      blocks.size(3) >= 1 && blocks.size(3) <= config.n &&
                      blocks.scalar_type() == at::kLong && blocks.device() == q.device();
    require(fits, where, "the blocks must be [B,G,S,1 to n] int64 with n = ", config.n, " on ", q.device(),
            " for q ", q.sizes(), " and k ", k.sizes(), "; got ", blocks.sizes(), " of ",
            blocks.scalar_type(), " on ", blocks.device());
}

void check_same_length(const char* where, const at::Tensor& q, const at::Tensor& k) {
    require(q.size(2) > 0 && q.size(2) == k.size(2), where,
            "there must be as many queries as keys, at least one; got ", q.size(2), " and ", k.size(2));
}

void check_compressed_length(const char* where, const at::Tensor& q, const at::Tensor& k_cmp,
                             const NsaConfig& config) {
    const std::int64_t expected = compressed_count(q.size(2), config);
    require(k_cmp.size(2) == expected, where, q.size(2), " queries go with ", expected,
            " compressed tokens (l = ", config.l, ", d = ", config.d, "), not ", k_cmp.size(2));
}

void check_phi(const char* where, const at::Tensor& rows, const PhiWeights& phi, const NsaConfig& c) {
    const std::int64_t width = rows.size(-1);
    const auto expect = [&](const char* name, const at::Tensor& x, at::IntArrayRef sizes) {
        require(x.sizes() == sizes && x.scalar_type() == rows.scalar_type() && x.device() == rows.device(),
                where, "phi's ", name, " must be ", sizes, " of ", rows.scalar_type(), " on ", rows.device(),
                "; got ", x.sizes(), " of ", x.scalar_type(), " on ", x.device());
    };
    expect("position", phi.position, {c.l, width});
    expect("w1", phi.w1, {c.phi_hidden, c.l * width});
    expect("b1", phi.b1, {c.phi_hidden});
    expect("w2", phi.w2, {width, c.phi_hidden});
    expect("b2", phi.b2, {width});
}

void check_input(const char* where, const at::Tensor& x, std::int64_t dims, std::int64_t dim,
                 const at::Tensor& parameter) {
    require(x.dim() == dims && x.size(-1) == dim && x.numel() > 0, where, "the input must have ", dims,
            " dimensions, none empty, the last ", dim, " wide; its shape is ", x.sizes());
    require(x.scalar_type() == parameter.scalar_type() && x.device() == parameter.device(), where,
            "the input is ", x.scalar_type(), " on ", x.device(), ", and the weights are ",
            parameter.scalar_type(), " on ", parameter.device());
}

}  // namespace nsa::core
