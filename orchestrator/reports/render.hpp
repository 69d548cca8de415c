// A report as text: Markdown, HTML from the same Markdown, and JSON. Pure functions of RunFacts, so that
// rendering again gives the same bytes.
#pragma once

#include <string>

#include "reports/findings.hpp"

namespace nsa::reports {

// "2026-11-23 Test Engineer Report - FA2 Routing v2": the file's name without its ending, and the title.
std::string file_stem(const RunFacts& facts);

std::string render_markdown(const RunFacts& facts, const Analysis& analysis);
// A whole page with its own style and no external resource.
std::string render_html(const std::string& markdown, const std::string& title);
std::string render_json(const RunFacts& facts, const Analysis& analysis);

struct Rendered {
    std::string stem, markdown, html, json;
};
Rendered render(const RunFacts& facts);

}  // namespace nsa::reports
