// Parameters of a step against the schema of its kind.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "language/kind.hpp"

namespace nsa::language {

// The value as its type wants it ("512,1024" becomes a list of numbers), or why it cannot be:
// "expected a whole number of 0 or more, found 'x'".
struct ParamReading {
    ParamValue value;
    std::string fault;       // empty: read
    std::string suggestion;  // nearest allowed word
};
ParamReading read_param(const ParamSchema& schema, const ParamValue& given);

const ParamSchema* find_param(std::span<const ParamSchema> schema, std::string_view name);
std::vector<std::string_view> param_names(std::span<const ParamSchema> schema);

// Checked, with the defaults filled in. The first fault is the error.
Result<Params> complete_params(std::span<const ParamSchema> schema, const Params& given);

// As on a command line: a list is joined by commas.
std::string to_string(const ParamValue& value);

// A param that is known to be complete and of this type.
const std::string& text_param(const Params& params, const std::string& name);
std::int64_t int_param(const Params& params, const std::string& name);

}  // namespace nsa::language
