#include "emulator/prefill/selection_oracle.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace nsa::prefill_test {
namespace {

std::vector<int> running_sums(const std::vector<int>& lengths) {
    std::vector<int> first(lengths.size() + 1, 0);
    std::partial_sum(lengths.begin(), lengths.end(), first.begin() + 1);
    return first;
}

std::vector<int> compressed_lengths(const PrefillShape& shape, const Batch& batch) {
    std::vector<int> lengths;
    for (const int length : batch.lengths)
        lengths.push_back(shape.compressed_of(length));
    return lengths;
}

// Scores of the compressed keys whose tokens are all at or before `token`.
std::vector<double> compressed_scores(const PrefillShape& shape, const Array& q, const Array& k, double scale,
                                      int token, std::size_t row, std::size_t first_key, std::size_t head) {
    const std::size_t group = head / (q.heads / k.heads);
    std::vector<double> scores;
    for (int i = 0; i * shape.d + shape.l <= token + 1; ++i) {
        double dot = 0;
        for (std::size_t x = 0; x < q.width; ++x)
            dot += q.at(row, head)[x] * k.at(first_key + static_cast<std::size_t>(i), group)[x];
        scores.push_back(scale * dot);
    }
    return scores;
}

double log_sum_exp(const std::vector<double>& scores) {
    if (scores.empty()) return -std::numeric_limits<double>::infinity();
    const double largest = *std::ranges::max_element(scores);
    double sum = 0;
    for (const double score : scores)
        sum += std::exp(score - largest);
    return largest + std::log(sum);
}

// Rows [from, to) and heads [head, head + heads) of an array.
Array part(const Array& x, std::size_t head, std::size_t heads) {
    Array out{x.rows, heads, x.width};
    for (std::size_t row = 0; row < x.rows; ++row)
        std::copy_n(x.at(row, head), heads * x.width, out.at(row, 0));
    return out;
}
void put(Array& to, const Array& from, std::size_t head) {
    for (std::size_t row = 0; row < from.rows; ++row)
        std::copy_n(from.at(row, 0), from.heads * from.width, to.at(row, head));
}
std::vector<double> part(const std::vector<double>& x, std::size_t all, std::size_t head, std::size_t heads) {
    std::vector<double> out;
    for (std::size_t row = 0; row < x.size() / all; ++row)
        out.insert(out.end(), x.begin() + static_cast<std::ptrdiff_t>(row * all + head),
                   x.begin() + static_cast<std::ptrdiff_t>(row * all + head + heads));
    return out;
}
void put(std::vector<double>& to, const std::vector<double>& from, std::size_t all, std::size_t head,
         std::size_t heads) {
    for (std::size_t i = 0; i < from.size(); ++i)
        to[i / heads * all + head + i % heads] = from[i];
}

}  // namespace

int Batch::longest() const {
    return *std::ranges::max_element(lengths);
}
std::size_t Batch::tokens() const {
    return static_cast<std::size_t>(running_sums(lengths).back());
}
std::size_t Batch::compressed(const PrefillShape& shape) const {
    return static_cast<std::size_t>(running_sums(compressed_lengths(shape, *this)).back());
}
std::vector<int> Batch::first_tokens() const {
    return running_sums(lengths);
}
std::vector<int> Batch::first_compressed(const PrefillShape& shape) const {
    return running_sums(compressed_lengths(shape, *this));
}
void Batch::for_tokens(const std::function<void(std::size_t, int, std::size_t)>& what) const {
    std::size_t row = 0;
    for (std::size_t sequence = 0; sequence < lengths.size(); ++sequence)
        for (int token = 0; token < lengths[sequence]; ++token)
            what(sequence, token, row++);
}

std::vector<double> compressed_lse(const PrefillShape& shape, const Batch& batch, const Array& q,
                                   const Array& k, double scale) {
    const std::vector<int> first = batch.first_compressed(shape);
    std::vector<double> lse;
    batch.for_tokens([&](std::size_t sequence, int token, std::size_t row) {
        for (std::size_t head = 0; head < q.heads; ++head)
            lse.push_back(log_sum_exp(compressed_scores(shape, q, k, scale, token, row,
                                                        static_cast<std::size_t>(first[sequence]), head)));
    });
    return lse;
}

Importance block_importance(const PrefillShape& shape, const Batch& batch, const Array& q, const Array& k,
                            double scale) {
    const std::vector<int> first = batch.first_compressed(shape);
    Importance importance;
    batch.for_tokens([&](std::size_t sequence, int token, std::size_t row) {
        for (std::size_t group = 0; group < k.heads; ++group) {
            std::vector<double> blocks(static_cast<std::size_t>(token / shape.l_sel) + 1, 0.0);
            for (std::size_t head = group * (q.heads / k.heads); head < (group + 1) * (q.heads / k.heads);
                 ++head) {
                const std::vector<double> scores = compressed_scores(
                    shape, q, k, scale, token, row, static_cast<std::size_t>(first[sequence]), head);
                const double lse = log_sum_exp(scores);
                for (std::size_t j = 0; j < blocks.size(); ++j) {
                    for (std::size_t i = 0; i < scores.size(); ++i) {
                        const int begin = static_cast<int>(i) * shape.d;
                        const int block = static_cast<int>(j) * shape.l_sel;
                        const int overlap =
                            std::min(begin + shape.l, block + shape.l_sel) - std::max(begin, block);
                        if (overlap > 0) blocks[j] += std::exp(scores[i] - lse) * overlap / shape.d;
                    }
                }
            }
            importance.push_back(std::move(blocks));
        }
    });
    return importance;
}

Lists choose(const PrefillShape& shape, const Batch& batch, const Importance& importance) {
    Lists lists;
    batch.for_tokens([&](std::size_t, int token, std::size_t row) {
        const int own = token / shape.l_sel;
        for (std::size_t group = 0; group < static_cast<std::size_t>(shape.groups); ++group) {
            const std::vector<double>& blocks =
                importance[row * static_cast<std::size_t>(shape.groups) + group];
            std::vector<int> order;  // forced ones first, then by importance, then by index
            for (int j = 0; j <= own; ++j)
                order.push_back(j);
            const auto forced = [&](int j) { return j < shape.n_initial || j > own - shape.n_local; };
            std::ranges::stable_sort(order, [&](int a, int b) {
                if (forced(a) != forced(b)) return forced(a);
                return !forced(a) &&
                       blocks[static_cast<std::size_t>(a)] > blocks[static_cast<std::size_t>(b)];
            });
            order.resize(std::min(order.size(), static_cast<std::size_t>(shape.n)));
            std::ranges::sort(order);
            lists.push_back(std::move(order));
        }
    });
    return lists;
}

Results attend_selected(const PrefillShape& shape, const Batch& batch, const Inputs& in, const Lists& lists,
                        const std::function<double(double)>& round) {
    struct Place {
        std::size_t sequence;
        int token;
    };
    std::vector<Place> places;
    batch.for_tokens([&](std::size_t sequence, int token, std::size_t) {
        places.push_back({sequence, token});
    });
    const std::size_t groups = in.k.heads;
    const std::size_t heads = in.q.heads / groups;
    Results all;
    all.out = Array{in.q.rows, in.q.heads, in.v.width};
    all.d_q = Array{in.q.rows, in.q.heads, in.q.width};
    all.d_k = Array{in.k.rows, groups, in.k.width};
    all.d_v = Array{in.v.rows, groups, in.v.width};
    all.lse.resize(in.q.rows * in.q.heads);
    all.delta.resize(in.q.rows * in.q.heads);
    for (std::size_t group = 0; group < groups; ++group) {
        const std::size_t head = group * heads;
        const Inputs mine{part(in.q, head, heads),
                          part(in.k, group, 1),
                          part(in.v, group, 1),
                          part(in.d_out, head, heads),
                          in.gates.empty() ? in.gates : part(in.gates, in.q.heads, head, heads),
                          in.scale};
        const auto visible = [&](std::size_t i, std::size_t j) {
            if (places[i].sequence != places[j].sequence || places[j].token > places[i].token) return false;
            return std::ranges::count(lists[i * groups + group], places[j].token / shape.l_sel) > 0;
        };
        const Results results = attend(mine, visible, round);
        put(all.out, results.out, head);
        put(all.d_q, results.d_q, head);
        put(all.d_k, results.d_k, group);
        put(all.d_v, results.d_v, group);
        put(all.lse, results.lse, in.q.heads, head, heads);
        put(all.delta, results.delta, in.q.heads, head, heads);
    }
    return all;
}

}  // namespace nsa::prefill_test
