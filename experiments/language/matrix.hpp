// The matrix: `${{ matrix.k }}` in a step, and the points that a step expands to.
#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "language/plan.hpp"
#include "language/spec.hpp"

namespace nsa::language {

inline constexpr std::size_t kMostCases = 4096;

using Matrix = std::map<std::string, std::vector<Scalar>>;
using MatrixPoint = std::map<std::string, Scalar>;

// The matrix keys that a text refers to. An error for `${{` without `}}`, or for anything but matrix.<key> of
// a known key between them.
Result<std::set<std::string>> keys_used_in(std::string_view text, const Matrix& matrix);

// All keys that a step refers to: in params, env, run and title.
Result<std::set<std::string>> keys_used_by(const Step& step, const Matrix& matrix);

// Every combination of the keys' values, the last key varying fastest. One empty point for no keys.
std::vector<MatrixPoint> points_of(const Matrix& matrix, const std::set<std::string>& keys);
// How many that would be, without making them; more than kMostCases is reported as kMostCases + 1.
std::size_t count_points(const Matrix& matrix, const std::set<std::string>& keys);

// The step with every placeholder replaced. A param that is nothing but one placeholder takes the value's
// type.
Step substituted(Step step, const MatrixPoint& point);

// "step" or "step[k=v,k2=v2]", keys sorted.
CaseKey case_key(std::string_view step, const MatrixPoint& point);

// A value that can stand in a case key: not empty, at most 64 bytes, no control character and none of , = [
// ].
bool is_matrix_value(const Scalar& value);

}  // namespace nsa::language
