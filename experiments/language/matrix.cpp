#include "language/matrix.hpp"

#include <algorithm>

#include "language/text.hpp"

namespace nsa::language {

namespace {

constexpr std::string_view kOpen = "${{", kClose = "}}", kPrefix = "matrix.";

std::string_view trimmed(std::string_view text) {
    const std::size_t first = text.find_first_not_of(' ');
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(' ') - first + 1);
}

// One step through a text: literal text up to a placeholder, then the placeholder's inside.
struct Piece {
    std::string_view literal, inside;
    bool has_placeholder = false, closed = true;
};

Piece next_piece(std::string_view& rest) {
    const std::size_t open = rest.find(kOpen);
    Piece piece{rest.substr(0, open), {}, open != std::string_view::npos, true};
    rest.remove_prefix(piece.has_placeholder ? open + kOpen.size() : rest.size());
    if (!piece.has_placeholder) return piece;
    const std::size_t close = rest.find(kClose);
    piece.closed = close != std::string_view::npos;
    piece.inside = trimmed(rest.substr(0, close));
    rest.remove_prefix(piece.closed ? close + kClose.size() : rest.size());
    return piece;
}

std::string replaced(std::string_view text, const MatrixPoint& point) {
    std::string result;
    while (!text.empty()) {
        const Piece piece = next_piece(text);
        result += piece.literal;
        if (piece.has_placeholder)
            result += to_string(point.at(std::string(piece.inside.substr(kPrefix.size()))));
    }
    return result;
}

Scalar replaced(const Scalar& scalar, const MatrixPoint& point) {
    const std::string* text = std::get_if<std::string>(&scalar);
    if (text == nullptr) return scalar;
    std::string_view rest = *text;
    const Piece piece = next_piece(rest);
    if (piece.has_placeholder && piece.literal.empty() && rest.empty()) {
        return point.at(std::string(piece.inside.substr(kPrefix.size())));
    }
    return replaced(std::string_view(*text), point);
}

// Calls visit(text) on every text of a step that may hold placeholders.
template <class Visit>
void visit_texts(const Step& step, Visit visit) {
    visit(step.title);
    for (const std::string& argument : step.run)
        visit(argument);
    for (const auto& [name, value] : step.env)
        visit(value);
    const auto visit_scalar = [&](const Scalar& scalar) {
        if (const std::string* text = std::get_if<std::string>(&scalar)) visit(*text);
    };
    for (const auto& [name, value] : step.params) {
        if (const Scalar* scalar = std::get_if<Scalar>(&value)) {
            visit_scalar(*scalar);
        } else {
            for (const Scalar& item : std::get<std::vector<Scalar>>(value))
                visit_scalar(item);
        }
    }
}

}  // namespace

Result<std::set<std::string>> keys_used_in(std::string_view text, const Matrix& matrix) {
    std::set<std::string> keys;
    while (!text.empty()) {
        const Piece piece = next_piece(text);
        if (!piece.has_placeholder) break;
        if (!piece.closed)
            return fail(ErrorCode::kInvalidSpec, "'${{' without '}}'; expected ${{ matrix.key }}");
        const std::string shown = "'${{ " + printable(piece.inside) + " }}'";
        if (!piece.inside.starts_with(kPrefix)) {
            return fail(ErrorCode::kInvalidSpec, shown + " is unknown; expected ${{ matrix.key }}");
        }
        const std::string key(piece.inside.substr(kPrefix.size()));
        if (!matrix.contains(key)) {
            std::vector<std::string_view> known;
            for (const auto& [name, values] : matrix)
                known.push_back(name);
            const std::string_view near = nearest_word(key, known);
            return fail(ErrorCode::kInvalidSpec,
                        shown + ": the matrix has no key '" + printable(key) + "'; " +
                            (known.empty() ? "there is no matrix" : "expected one of " + join(known)) +
                            (near.empty() ? "" : "; did you mean '" + std::string(near) + "'?"));
        }
        keys.insert(key);
    }
    return keys;
}

Result<std::set<std::string>> keys_used_by(const Step& step, const Matrix& matrix) {
    std::set<std::string> keys;
    std::optional<Error> error;
    visit_texts(step, [&](const std::string& text) {
        if (error) return;
        Result<std::set<std::string>> used = keys_used_in(text, matrix);
        if (used) {
            keys.merge(*used);
        } else {
            error = used.error();
        }
    });
    if (error) return *error;
    return keys;
}

std::size_t count_points(const Matrix& matrix, const std::set<std::string>& keys) {
    std::size_t count = 1;
    for (const std::string& key : keys)
        count = std::min(count * matrix.at(key).size(), kMostCases + 1);
    return count;
}

std::vector<MatrixPoint> points_of(const Matrix& matrix, const std::set<std::string>& keys) {
    std::vector<MatrixPoint> points{MatrixPoint{}};
    for (const std::string& key : keys) {
        std::vector<MatrixPoint> longer;
        for (const MatrixPoint& point : points) {
            for (const Scalar& value : matrix.at(key)) {
                longer.push_back(point);
                longer.back().emplace(key, value);
            }
        }
        points = std::move(longer);
    }
    return points;
}

Step substituted(Step step, const MatrixPoint& point) {
    step.title = replaced(std::string_view(step.title), point);
    for (std::string& argument : step.run)
        argument = replaced(std::string_view(argument), point);
    for (auto& [name, value] : step.env)
        value = replaced(std::string_view(value), point);
    for (auto& [name, value] : step.params) {
        if (Scalar* scalar = std::get_if<Scalar>(&value)) {
            *scalar = replaced(*scalar, point);
        } else {
            for (Scalar& item : std::get<std::vector<Scalar>>(value))
                item = replaced(item, point);
        }
    }
    return step;
}

CaseKey case_key(std::string_view step, const MatrixPoint& point) {
    std::string key(step);
    for (const auto& [name, value] : point) {
        key += key.size() == step.size() ? '[' : ',';
        key += name + "=" + to_string(value);
    }
    if (!point.empty()) key += ']';
    return CaseKey{key};
}

bool is_matrix_value(const Scalar& value) {
    constexpr std::size_t kLongest = 64;
    const std::string text = to_string(value);
    return !text.empty() && text.size() <= kLongest && std::none_of(text.begin(), text.end(), [](char c) {
        return static_cast<unsigned char>(c) < 0x20 || c == 0x7f || c == ',' || c == '=' || c == '[' ||
               c == ']';
    });
}

}  // namespace nsa::language
