// A report as text: Markdown with its figures, HTML from the same Markdown, and JSON. Pure functions of
// RunFacts, so that rendering again gives the same bytes.
#pragma once

#include <string>
#include <vector>

#include "reports/figures.hpp"
#include "reports/findings.hpp"

namespace nsa::reports {

// "2026-11-23 Test Engineer Report - FA2 Routing v2": the file's name without its ending, and the title.
std::string file_stem(const RunFacts& facts);

// Links the figures as files beside it.
std::string render_markdown(const RunFacts& facts, const Analysis& analysis,
                            const std::vector<Figure>& figures);
// A whole page with its own style and no external resource: figures that the Markdown links stand in it.
std::string render_html(const std::string& markdown, const std::string& title,
                        const std::vector<Figure>& figures);
std::string render_json(const RunFacts& facts, const Analysis& analysis);

struct Rendered {
    std::string stem, markdown, html, json;
    std::vector<Figure> figures;  // files of their own, for the Markdown
};
Rendered render(const RunFacts& facts);

}  // namespace nsa::reports
