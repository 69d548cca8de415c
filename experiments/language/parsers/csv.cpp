// CSV as of RFC 4180: commas, double quotes, line breaks inside quotes; LF or CRLF.
#include <algorithm>

#include "language/parsers/parts.hpp"
#include "language/text.hpp"

namespace nsa::language {

namespace {

struct CsvRow {
    std::vector<std::string> cells;
    std::size_t line = 1;  // where it starts
};

class CsvReader {
  public:
    explicit CsvReader(std::string_view text) : rest_(text) {}

    // The next row that is not empty. An unterminated quote is a fault, after which nothing more comes.
    std::optional<CsvRow> next() {
        while (!rest_.empty()) {
            CsvRow row{{}, line_};
            while (read_cell(row)) {
            }
            if (!fault_.empty()) return std::nullopt;
            if (row.cells.size() > 1 || !row.cells.front().empty()) return row;
        }
        return std::nullopt;
    }
    const std::string& fault() const { return fault_; }
    std::size_t line() const { return line_; }

  private:
    // True when another cell of this row follows.
    bool read_cell(CsvRow& row) {
        std::string& cell = row.cells.emplace_back();
        if (rest_.starts_with('"') && !read_quoted(cell)) return false;
        const std::size_t end = std::min(rest_.find_first_of(",\n"), rest_.size());
        cell += rest_.substr(0, end);
        rest_.remove_prefix(end);
        if (rest_.starts_with(',')) {
            rest_.remove_prefix(1);
            return true;
        }
        if (cell.ends_with('\r')) cell.pop_back();
        if (!rest_.empty()) rest_.remove_prefix(1);
        ++line_;
        return false;
    }

    bool read_quoted(std::string& cell) {
        rest_.remove_prefix(1);
        while (true) {
            const std::size_t quote = rest_.find('"');
            const std::string_view part = rest_.substr(0, quote);
            cell += part;
            line_ += static_cast<std::size_t>(std::count(part.begin(), part.end(), '\n'));
            if (quote == std::string_view::npos) {
                fault_ = "a quote is never closed";
                rest_ = {};
                return false;
            }
            rest_.remove_prefix(quote + 1);
            if (!rest_.starts_with('"')) return true;
            cell += '"';
            rest_.remove_prefix(1);
        }
    }

    std::string_view rest_;
    std::string fault_;
    std::size_t line_ = 1;
};

// Where the named columns stand; a missing one is an error.
std::optional<std::vector<std::size_t>> find_columns(const std::vector<std::string>& names,
                                                     const CsvRow& header, RecordSink& sink) {
    std::vector<std::size_t> places;
    for (const std::string& name : names) {
        const auto found = std::find(header.cells.begin(), header.cells.end(), name);
        if (found == header.cells.end()) {
            const bool one_column =
                header.cells.size() == 1 && header.cells.front().find(';') != std::string::npos;
            sink.error(header.line, "no column '" + printable(name) + "'; the file has " +
                                        printable(join(header.cells), 200) +
                                        (one_column ? " (columns are separated by commas, not by ';')" : ""));
            return std::nullopt;
        }
        places.push_back(static_cast<std::size_t>(found - header.cells.begin()));
    }
    return places;
}

}  // namespace

ParsedRecords parse_csv(const OutputParser& parser, std::string_view text) {
    RecordSink sink;
    CsvReader reader(text);
    const std::optional<CsvRow> header = reader.next();
    const auto values = header ? find_columns(parser.columns, *header, sink) : std::nullopt;
    const auto labels = values ? find_columns(parser.labels, *header, sink) : std::nullopt;
    while (labels) {
        const std::optional<CsvRow> row = reader.next();
        if (!row) break;
        if (row->cells.size() != header->cells.size()) {
            sink.error(row->line, "the row has " + std::to_string(row->cells.size()) + " cells, the header " +
                                      std::to_string(header->cells.size()));
            continue;
        }
        Labels of_row;
        for (std::size_t i = 0; i < labels->size(); ++i)
            of_row[parser.labels[i]] = row->cells[(*labels)[i]];
        bool room = true;
        for (std::size_t i = 0; i < values->size() && room; ++i) {
            const std::string& column = parser.columns[i];
            const NumberReading number = read_number(row->cells[(*values)[i]]);
            if (!number.value) {
                sink.error(row->line, "column '" + column + "': " + number.fault);
                continue;
            }
            const auto unit = parser.units.find(column);
            room = sink.add(Measurement{column, *number.value, unit == parser.units.end() ? "" : unit->second,
                                        of_row, 0});
        }
        if (!room) break;
    }
    if (!reader.fault().empty()) sink.error(reader.line(), reader.fault());
    return sink.take();
}

}  // namespace nsa::language
