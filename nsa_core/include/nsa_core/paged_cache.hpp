// Keys and values of many sequences in pages: what a batched decode step reads and appends to.
//
// Every branch has a pool of pages [pages, G, rows, c]; a page holds page_tokens tokens of every group, and
// page_tokens / d compressed tokens. Page p of one pool belongs with page p of the others, so one table
// serves all three. Rows that hold no token yet are whatever they were: nothing may read them.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "nsa_core/config.hpp"
#include "nsa_core/keys_values.hpp"

namespace nsa::core {

/// Sizes of a paged cache. Its branches are shaped by the configuration.
struct PagedCacheSize {
    std::int64_t batch = 1;
    std::int64_t max_tokens = 0;    // no sequence may grow longer
    std::int64_t page_tokens = 64;  // tokens of a page, a multiple of l'
    std::int64_t pages = 0;         // of the pools

    bool operator==(const PagedCacheSize&) const = default;
};

/// The tokens of one sequence that a prefill made, in order: [G, tokens, c], and the compressed ones.
struct PrefilledSequence {
    KeysValues raw;  // input of the compression; the last l rows are kept
    KeysValues cmp;  // compressed_count(tokens) rows
    KeysValues sel;
    KeysValues win;
};

/// State of a decoded batch whose sequences differ in length. Slot b is idle while its position is negative.
/// Positions and table live on the device, for kernels; pages are handed out by the host. Not thread safe.
class PagedCache {
  public:
    /// Throws InputError when sizes do not fit the configuration. `order` is the order in which pages are
    /// handed out, a permutation of them all; empty: ascending.
    PagedCache(const NsaConfig& config, const PagedCacheSize& size, at::TensorOptions options,
               std::vector<std::int32_t> order = {});

    /// A copy of everything on that device, the same one included.
    [[nodiscard]] PagedCache copy_to(at::Device device) const;

    [[nodiscard]] const NsaConfig& config() const { return config_; }
    [[nodiscard]] const PagedCacheSize& size() const { return size_; }

    // A sequence that the cache does not have is an InputError everywhere below.

    /// Pages for `tokens` tokens of the sequence, those it has included. Throws InputError when none are
    /// left.
    void reserve(std::int64_t sequence, std::int64_t tokens);
    /// Takes the sequence over after its prefill; its next token gets position `tokens`. Reserves its pages.
    /// Throws InputError when rows do not fit the configuration or one another.
    void fill(std::int64_t sequence, const PrefilledSequence& rows);
    /// Gives the pages of the sequence back and makes its slot idle.
    void release(std::int64_t sequence);
    /// The step's token is part of every sequence that is not idle; on the device, without waiting for it. A
    /// sequence of max_tokens stays where it is. Pages for the next token are the caller's to reserve before
    /// its step. Route cuda refuses a step behind max_tokens or without a page: its output is NaN, and
    /// nothing is written to the cache. Route reference throws InputError.
    void advance();

    /// Rows of one sequence in order, copied out of the pages: [G, rows, c].
    [[nodiscard]] KeysValues gather(const KeysValues& pool, std::int64_t sequence, std::int64_t rows) const;
    /// Where row `row` of the sequence lies in a pool: its page, and the row in that page. Throws InputError
    /// when no page was reserved for it.
    struct Place {
        std::int64_t page;
        std::int64_t row;
    };
    [[nodiscard]] Place place_of(const KeysValues& pool, std::int64_t sequence, std::int64_t row) const;

    [[nodiscard]] const at::Tensor& position() const { return position_; }  // [B] int32
    [[nodiscard]] const at::Tensor& page_table() const {
        return page_table_;
    }                                                             // [B, pages of a sequence] int32
    [[nodiscard]] const KeysValues& raw() const { return raw_; }  // [B,G,l,c]: token t is row t mod l
    [[nodiscard]] const KeysValues& cmp() const { return cmp_; }
    [[nodiscard]] const KeysValues& sel() const { return sel_; }
    [[nodiscard]] const KeysValues& win() const { return win_; }

  private:
    [[nodiscard]] std::size_t checked(std::int64_t sequence) const;
    void put(at::Tensor pool, std::int64_t sequence, const at::Tensor& rows);

    NsaConfig config_;
    PagedCacheSize size_;
    std::vector<std::int32_t> free_pages_;             // the next one is the last
    std::vector<std::vector<std::int32_t>> pages_of_;  // by sequence, in order
    at::Tensor position_;
    at::Tensor page_table_;
    KeysValues raw_;
    KeysValues cmp_;
    KeysValues sel_;
    KeysValues win_;
};

}  // namespace nsa::core
