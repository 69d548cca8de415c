// The one exception type that means "the caller's input is wrong": a flag, a configuration, a shape.
#pragma once

#include <stdexcept>

namespace nsa::core {

/// Bad input, with a message that says what, where, and what would be right. Programs turn it into a usage
/// error; everything else that is thrown is a fault of the program or of the machine.
class InputError : public std::invalid_argument {
  public:
    using std::invalid_argument::invalid_argument;
};

}  // namespace nsa::core
