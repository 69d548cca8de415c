// Packs the files of a fetch into payloads of kFile frames. Blocking reads of local files, in pieces; the
// session decides when the next one is made.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "protocol/messages.hpp"
#include "system/unique_fd.hpp"

namespace nsa::serve {

class FetchPump {
  public:
    FetchPump(UniqueFd run_dir, std::vector<protocol::FetchItem> items)
        : run_dir_{std::move(run_dir)}, items_{std::move(items)} {}

    // The next payload, at most about kDataChunk bytes and never more than `credit`; empty: done, or the
    // credit is too small for a piece with at least one byte (is_done() tells).
    std::string next(std::uint64_t credit);
    bool is_done() const { return next_ == items_.size(); }
    // Not there, no regular files, or shorter than they were when opened.
    std::vector<std::string> take_missing() { return std::move(missing_); }

  private:
    bool open_item();
    bool append_piece(std::string& payload, std::size_t room);
    void leave(bool missing);

    UniqueFd run_dir_;
    std::vector<protocol::FetchItem> items_;
    std::vector<std::string> missing_;
    std::size_t next_ = 0;
    UniqueFd file_;  // of items_[next_], once open
    std::uint64_t file_size_ = 0, offset_ = 0;
    UniqueFd folder_;  // of the last item: files of one folder come one after the other
    std::string folder_path_, bytes_;
};

}  // namespace nsa::serve
