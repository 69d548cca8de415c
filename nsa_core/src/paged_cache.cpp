#include "nsa_core/paged_cache.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>
#include <string>

#include "nsa_core/errors.hpp"
#include "nsa_core/geometry.hpp"

namespace nsa::core {
namespace {

constexpr std::int32_t kNoPage = -1;

std::int64_t divide_up(std::int64_t a, std::int64_t b) {
    return (a + b - 1) / b;
}

void check_size(const NsaConfig& config, const PagedCacheSize& size) {
    validate(config);
    if (size.page_tokens <= 0 || size.page_tokens % config.l_sel != 0 || size.page_tokens % config.d != 0) {
        throw InputError("a page of " + std::to_string(size.page_tokens) +
                         " tokens was asked for; it must be a "
                         "multiple of l' = " +
                         std::to_string(config.l_sel) + " and of d = " + std::to_string(config.d));
    }
    if (size.batch <= 0 || size.max_tokens <= 0 || size.pages <= 0) {
        throw InputError("a paged cache needs at least one sequence, one token and one page, got " +
                         std::to_string(size.batch) + ", " + std::to_string(size.max_tokens) + " and " +
                         std::to_string(size.pages));
    }
}

std::vector<std::int32_t> hand_out_order(std::vector<std::int32_t> order, std::int64_t pages) {
    if (order.empty()) {
        order.resize(static_cast<std::size_t>(pages));
        std::iota(order.begin(), order.end(), 0);
    }
    std::vector<std::int32_t> sorted = order;
    std::ranges::sort(sorted);
    bool permutation = std::ssize(sorted) == pages;
    for (std::size_t i = 0; permutation && i < sorted.size(); ++i)
        permutation = sorted[i] == static_cast<std::int32_t>(i);
    if (!permutation) {
        throw InputError("the order of pages must name each of the " + std::to_string(pages) + " pages once");
    }
    std::ranges::reverse(order);  // the last one is taken first
    return order;
}

KeysValues empty_rows(std::int64_t count, std::int64_t groups, std::int64_t rows, const NsaConfig& config,
                      at::TensorOptions options) {
    return {.k = at::empty({count, groups, rows, config.dk}, options),
            .v = at::empty({count, groups, rows, config.dv}, options)};
}

// [G, N, dk] and [G, N, dv].
void check_rows_of(const NsaConfig& c, const char* branch, const KeysValues& rows) {
    const auto fits = [&](const at::Tensor& x, std::int64_t width) {
        return x.dim() == 3 && x.size(0) == c.groups && x.size(2) == width;
    };
    if (fits(rows.k, c.dk) && fits(rows.v, c.dv) && rows.k.size(1) == rows.v.size(1)) return;
    throw InputError(c10::str("a prefill's ", branch, " rows must be [", c.groups, ", tokens, ", c.dk,
                              "] and [", c.groups, ", tokens, ", c.dv, "]; got ", rows.k.sizes(), " and ",
                              rows.v.sizes()));
}

}  // namespace

PagedCache::PagedCache(const NsaConfig& config, const PagedCacheSize& size, at::TensorOptions options,
                       std::vector<std::int32_t> order)
    : config_{config},
      size_{size},
      pages_of_(static_cast<std::size_t>(std::max<std::int64_t>(size.batch, 0))) {
    check_size(config, size);
    free_pages_ = hand_out_order(std::move(order), size.pages);
    const at::TensorOptions index = options.dtype(at::kInt);
    position_ = at::full({size.batch}, -1, index);
    page_table_ = at::full({size.batch, divide_up(size.max_tokens, size.page_tokens)}, kNoPage, index);
    raw_ = empty_rows(size.batch, config.groups, config.l, config, options);
    cmp_ = empty_rows(size.pages, config.groups, size.page_tokens / config.d, config, options);
    sel_ = empty_rows(size.pages, config.groups, size.page_tokens, config, options);
    win_ = empty_rows(size.pages, config.groups, size.page_tokens, config, options);
}

PagedCache PagedCache::copy_to(at::Device device) const {
    PagedCache other = *this;
    const auto move = [&](at::Tensor& tensor) {
        tensor = tensor.to(device, tensor.scalar_type(), /*non_blocking=*/false, /*copy=*/true);
    };
    move(other.position_);
    move(other.page_table_);
    for (KeysValues* rows : {&other.raw_, &other.cmp_, &other.sel_, &other.win_}) {
        move(rows->k);
        move(rows->v);
    }
    return other;
}

std::size_t PagedCache::checked(std::int64_t sequence) const {
    if (sequence >= 0 && sequence < size_.batch) return static_cast<std::size_t>(sequence);
    throw InputError("the cache holds sequences 0 to " + std::to_string(size_.batch - 1) + ", and sequence " +
                     std::to_string(sequence) + " was asked for");
}

void PagedCache::reserve(std::int64_t sequence, std::int64_t tokens) {
    if (tokens > size_.max_tokens) {
        throw InputError("sequence " + std::to_string(sequence) + " would hold " + std::to_string(tokens) +
                         " tokens; the cache was made for at most " + std::to_string(size_.max_tokens));
    }
    auto& pages = pages_of_[checked(sequence)];
    const auto had = std::ssize(pages);
    const std::int64_t wanted = divide_up(tokens, size_.page_tokens);
    if (wanted <= had) return;
    if (wanted - had > std::ssize(free_pages_)) {
        throw InputError("sequence " + std::to_string(sequence) + " needs " + std::to_string(wanted - had) +
                         " more pages, and " + std::to_string(free_pages_.size()) + " are free");
    }
    while (std::ssize(pages) < wanted) {
        pages.push_back(free_pages_.back());
        free_pages_.pop_back();
    }
    const at::Tensor added = at::tensor(
        at::ArrayRef<std::int32_t>{pages}.slice(static_cast<std::size_t>(had)), at::TensorOptions{at::kInt});
    page_table_.select(0, sequence).narrow(0, had, wanted - had).copy_(added);
}

void PagedCache::put(at::Tensor pool, std::int64_t sequence, const at::Tensor& rows) {
    const std::int64_t per_page = pool.size(2);
    const std::int64_t whole = rows.size(1) / per_page;
    const auto& pages = pages_of_.at(static_cast<std::size_t>(sequence));
    if (whole > 0) {
        const at::Tensor index = page_table_.select(0, sequence).narrow(0, 0, whole).to(at::kLong);
        const at::Tensor blocks = rows.narrow(1, 0, whole * per_page).unflatten(1, {whole, per_page});
        (void)pool.index_copy_(0, index, blocks.transpose(0, 1).contiguous());
    }
    const std::int64_t rest = rows.size(1) - whole * per_page;
    if (rest == 0) return;
    const std::int64_t last = pages.at(static_cast<std::size_t>(whole));
    pool.select(0, last).narrow(1, 0, rest).copy_(rows.narrow(1, whole * per_page, rest));
}

void PagedCache::fill(std::int64_t sequence, const PrefilledSequence& rows) {
    check_rows_of(config_, "raw", rows.raw);
    check_rows_of(config_, "compressed", rows.cmp);
    check_rows_of(config_, "selected", rows.sel);
    check_rows_of(config_, "window", rows.win);
    const std::int64_t tokens = rows.sel.k.size(1);
    if (rows.raw.k.size(1) != tokens || rows.win.k.size(1) != tokens ||
        rows.cmp.k.size(1) != compressed_count(tokens, config_)) {
        throw InputError("a prefill of " + std::to_string(tokens) +
                         " tokens has as many raw and window rows and " +
                         std::to_string(compressed_count(tokens, config_)) + " compressed ones; got " +
                         std::to_string(rows.raw.k.size(1)) + ", " + std::to_string(rows.win.k.size(1)) +
                         " and " + std::to_string(rows.cmp.k.size(1)));
    }
    reserve(sequence, tokens);
    const auto put_both = [&](const KeysValues& pool, const KeysValues& branch) {
        put(pool.k, sequence, branch.k);
        put(pool.v, sequence, branch.v);
    };
    put_both(cmp_, rows.cmp);
    put_both(sel_, rows.sel);
    put_both(win_, rows.win);
    const std::int64_t kept = std::min(tokens, config_.l);
    for (std::int64_t t = tokens - kept; t < tokens; ++t) {
        raw_.k.select(0, sequence).select(1, t % config_.l).copy_(rows.raw.k.select(1, t));
        raw_.v.select(0, sequence).select(1, t % config_.l).copy_(rows.raw.v.select(1, t));
    }
    position_.select(0, sequence).fill_(tokens);
}

void PagedCache::release(std::int64_t sequence) {
    auto& pages = pages_of_[checked(sequence)];
    free_pages_.insert(free_pages_.end(), pages.rbegin(), pages.rend());
    pages.clear();
    page_table_.select(0, sequence).fill_(kNoPage);
    position_.select(0, sequence).fill_(-1);
}

void PagedCache::advance() {
    position_.add_(position_.ge(0).logical_and_(position_.lt(size_.max_tokens)).to(at::kInt));
}

KeysValues PagedCache::gather(const KeysValues& pool, std::int64_t sequence, std::int64_t rows) const {
    const std::int64_t pages = divide_up(rows, pool.k.size(2));
    const auto b = static_cast<std::int64_t>(checked(sequence));
    const at::Tensor index = page_table_.select(0, b).narrow(0, 0, pages).to(at::kLong);
    const auto in_order = [&](const at::Tensor& x) {
        return x.index_select(0, index).transpose(0, 1).flatten(1, 2).narrow(1, 0, rows);
    };
    return {.k = in_order(pool.k), .v = in_order(pool.v)};
}

PagedCache::Place PagedCache::place_of(const KeysValues& pool, std::int64_t sequence,
                                       std::int64_t row) const {
    const std::int64_t per_page = pool.k.size(2);
    const auto& pages = pages_of_[checked(sequence)];
    const std::int64_t page = row / per_page;
    if (row < 0 || page >= std::ssize(pages)) {
        throw InputError("row " + std::to_string(row) + " of sequence " + std::to_string(sequence) +
                         " has no page; it has " + std::to_string(pages.size()) + " pages of " +
                         std::to_string(per_page) + " rows");
    }
    return {.page = pages[static_cast<std::size_t>(page)], .row = row % per_page};
}

}  // namespace nsa::core
