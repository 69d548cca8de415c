// What an errno says about the disk.
#pragma once

#include <cerrno>

namespace nsa {

// A write found no room: the disk is full, or the user's share of it.
inline bool is_disk_full(int error) {
    return error == ENOSPC || error == EDQUOT;
}

}  // namespace nsa
