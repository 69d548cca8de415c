// A pull scanner for the XML that test runners write. Not Boost.PropertyTree: that one recurses per element,
// so a hostile file overflows the stack, and a depth check before it would have to be this scanner anyway.
// Knows elements, attributes, the five built-in entities, character references, comments, CDATA and
// processing instructions. Refuses document types and any other declaration: nothing is ever expanded or
// fetched.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace nsa::language {

struct XmlToken {
    enum class Kind { kStart, kEnd, kDone, kFault };
    Kind kind = Kind::kDone;
    std::string_view name;
    std::map<std::string, std::string, std::less<>> attributes;  // kStart; decoded
    std::string fault;                                           // kFault: no token comes after it

    std::string_view attribute(std::string_view key) const;  // "" when absent
};

class XmlScanner {
  public:
    explicit XmlScanner(std::string_view text) : text_(text) {}

    // An empty element gives kStart and then kEnd. Ends match starts, else kFault. Character data is skipped.
    XmlToken next();
    std::size_t line() const;  // of the place reached

  private:
    XmlToken fault(std::string text);
    XmlToken start_element();
    XmlToken end_element();
    bool skip_to(std::string_view end);
    void skip_space();
    std::string_view take_name();
    std::string read_attribute(XmlToken& token);  // empty: read; else the fault

    std::string_view text_;
    std::size_t place_ = 0;
    std::vector<std::string_view> open_;
    bool close_next_ = false;  // the element just started was empty
    bool seen_element_ = false;
    bool over_ = false;
};

}  // namespace nsa::language
