// What a step says about itself: the lines of its results.jsonl, or what a parser made of its output.
//   {"metric":"mae","value":6e-05,"unit":"1","labels":{"S":"512"},"sample":0}
//   {"fact":"route_taken","value":"fa2_dense","labels":{"branch":"sliding"}}
//   {"skip":"no CUDA device is visible"}
#pragma once

#include <boost/json/fwd.hpp>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "language/result.hpp"

namespace nsa::language {

using Labels = std::map<std::string, std::string>;  // sorted: equal label sets compare equal

struct Measurement {
    std::string metric;
    double value = 0;  // may be NaN or infinite: "nan", "inf", "-inf" as JSON strings
    std::string unit;  // "ms", "tok/s", "1" for a pure number
    Labels labels;     // the row it belongs to: {"S":"512"}
    int sample = 0;    // index of a raw sample within its row

    bool operator==(const Measurement&) const = default;
};

struct Fact {
    std::string name;
    std::string value;
    Labels labels;

    bool operator==(const Fact&) const = default;
};

struct Skip {
    std::string reason;

    bool operator==(const Skip&) const = default;
};

using Record = std::variant<Measurement, Fact, Skip>;

boost::json::value to_json(const Record& record);
Result<Record> record_from_json(const boost::json::value& value);

// All lines of a results.jsonl. A bad line is an error that names its number; the good ones before it are
// lost to nobody: `records` holds them.
struct ParsedRecords {
    std::vector<Record> records;
    std::vector<Error> errors;
};
ParsedRecords parse_record_lines(std::string_view text);

}  // namespace nsa::language
