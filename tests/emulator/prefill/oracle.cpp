#include "emulator/prefill/oracle.hpp"

#include <cmath>
#include <limits>

namespace nsa::prefill_test {
namespace {

using Rounding = std::function<double(double)>;

double dot(const double* a, const double* b, std::size_t width) {
    double sum = 0;
    for (std::size_t i = 0; i < width; ++i)
        sum += a[i] * b[i];
    return sum;
}
void add(double* to, double factor, const double* from, std::size_t width) {
    for (std::size_t i = 0; i < width; ++i)
        to[i] += factor * from[i];
}

// One query row: its keys, and their probabilities.
struct Row {
    std::size_t token, head, group;
    std::vector<std::size_t> keys;
    std::vector<double> p;
};

void forward_row(const Inputs& in, Row& row, Results& results, const Rounding& round) {
    double largest = -std::numeric_limits<double>::infinity();
    for (const std::size_t key : row.keys) {
        row.p.push_back(in.scale * dot(in.q.at(row.token, row.head), in.k.at(key, row.group), in.q.width));
        largest = std::max(largest, row.p.back());
    }
    double sum = 0;
    for (double& p : row.p)
        sum += p = std::exp(p - largest);
    results.lse[row.token * in.q.heads + row.head] = largest + std::log(sum);
    double* out = results.out.at(row.token, row.head);
    for (std::size_t i = 0; i < row.keys.size(); ++i) {
        row.p[i] = round(row.p[i] / sum);
        add(out, row.p[i], in.v.at(row.keys[i], row.group), in.v.width);
    }
    for (std::size_t i = 0; i < in.v.width; ++i)
        out[i] = round(out[i]);
}

void backward_row(const Inputs& in, const Row& row, Results& results, const Rounding& round) {
    const std::size_t at = row.token * in.q.heads + row.head;
    const double gate = in.gates.empty() ? 1 : in.gates[at];
    const double* d_out = in.d_out.at(row.token, row.head);
    results.delta[at] = gate * dot(d_out, results.out.at(row.token, row.head), in.v.width);
    for (std::size_t i = 0; i < row.keys.size(); ++i) {
        const std::size_t key = row.keys[i];
        const double dp = gate * dot(d_out, in.v.at(key, row.group), in.v.width);
        const double ds = in.scale * round(row.p[i] * (dp - results.delta[at]));
        add(results.d_q.at(row.token, row.head), ds, in.k.at(key, row.group), in.q.width);
        add(results.d_k.at(key, row.group), ds, in.q.at(row.token, row.head), in.q.width);
        add(results.d_v.at(key, row.group), round(gate * row.p[i]), d_out, in.v.width);
    }
}

}  // namespace

Results attend(const Inputs& in, const std::function<bool(std::size_t, std::size_t)>& visible,
               const Rounding& round) {
    Results results;
    results.out = Array{in.q.rows, in.q.heads, in.v.width};
    results.d_q = Array{in.q.rows, in.q.heads, in.q.width};
    results.d_k = Array{in.k.rows, in.k.heads, in.k.width};
    results.d_v = Array{in.v.rows, in.v.heads, in.v.width};
    results.lse.assign(in.q.rows * in.q.heads, -std::numeric_limits<double>::infinity());
    results.delta.assign(in.q.rows * in.q.heads, 0);
    for (std::size_t token = 0; token < in.q.rows; ++token)
        for (std::size_t head = 0; head < in.q.heads; ++head) {
            Row row{token, head, head / (in.q.heads / in.k.heads), {}, {}};
            for (std::size_t key = 0; key < in.k.rows; ++key)
                if (visible(token, key)) row.keys.push_back(key);
            if (row.keys.empty()) continue;
            forward_row(in, row, results, round);
            backward_row(in, row, results, round);
        }
    for (Array* gradient : {&results.d_q, &results.d_k, &results.d_v})
        for (double& x : gradient->values)
            x = round(x);
    return results;
}

}  // namespace nsa::prefill_test
