// The end of what a peer wrote on its stderr, bounded: the reason when it died at once.
#pragma once

#include <string>
#include <string_view>

namespace nsa::engines {

class LastWords {
  public:
    static constexpr std::size_t kLimit = 4096;

    void append(std::string_view bytes) {
        text_.append(bytes);
        if (text_.size() > kLimit) text_.erase(0, text_.size() - kLimit);
    }
    // Without trailing newlines; control characters of a hostile peer as '?', so that it may be printed.
    std::string text() const {
        std::string clean = text_;
        while (!clean.empty() && (clean.back() == '\n' || clean.back() == '\r'))
            clean.pop_back();
        for (char& c : clean) {
            const auto code = static_cast<unsigned char>(c);
            if ((code < 0x20 && c != '\n' && c != '\t') || code == 0x7f) c = '?';
        }
        return clean;
    }

  private:
    std::string text_;
};

}  // namespace nsa::engines
