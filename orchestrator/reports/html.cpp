// HTML from the Markdown source by md4c, raw HTML switched off, in a page that needs nothing from elsewhere.
#include <md4c-html.h>

#include <array>
#include <stdexcept>

#include "reports/render.hpp"
#include "reports/text.hpp"

namespace nsa::reports {

namespace {

constexpr std::string_view kStyle = R"css(
:root { color-scheme: light; --ink: #1c2430; --soft: #5b6675; --line: #d9dfe7; --band: #f5f7fa; --link: #0b5cad; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2.5rem 1.5rem 5rem; max-width: 76rem; color: var(--ink); background: #fff;
  font: 15px/1.55 system-ui, -apple-system, "Segoe UI", "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 1.2rem; }
h2 { font-size: 1.3rem; margin: 2.6rem 0 .8rem; padding-bottom: .3rem; border-bottom: 2px solid var(--line); }
h3 { font-size: 1.1rem; margin: 2rem 0 .6rem; }
h4 { font-size: 1rem; margin: 1.6rem 0 .4rem; color: #2f3b4c; }
p, ul, ol { margin: .6rem 0; } li { margin: .25rem 0; overflow-wrap: anywhere; }
a { color: var(--link); text-decoration: none; } a:hover { text-decoration: underline; }
.scroll { overflow-x: auto; margin: .8rem 0 1.2rem; }
table { border-collapse: collapse; font-size: .88rem; min-width: 40%; }
th, td { padding: .4rem .7rem; border: 1px solid var(--line); text-align: left; vertical-align: top; }
td { overflow-wrap: break-word; max-width: 36rem; }
th { background: var(--band); font-weight: 600; white-space: nowrap; }
tbody tr:nth-child(even) { background: #fbfcfd; }
th[align=right], td[align=right] { text-align: right; font-variant-numeric: tabular-nums; }
code, pre { font: .86em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
code { background: var(--band); padding: .1em .3em; border-radius: 3px; overflow-wrap: anywhere; }
pre { background: #10161f; color: #e6ebf2; padding: .8rem 1rem; border-radius: 6px; white-space: pre-wrap;
  overflow-wrap: anywhere; }
pre code { background: none; padding: 0; color: inherit; font-size: inherit; }
figure { margin: 1rem 0 .4rem; overflow-x: auto; } figure svg { display: block; max-width: 100%; min-width: 34rem;
  height: auto; border: 1px solid var(--line); border-radius: 6px; }
.word { display: inline-block; padding: .02rem .5rem; border-radius: 1rem; font-size: .82em; font-weight: 700;
  letter-spacing: .02em; white-space: nowrap; }
.good { background: #d9f2e1; color: #0b5f2a; } .bad { background: #fde0de; color: #98170f; }
.part { background: #fdf0cf; color: #7a4d00; } .none { background: #e7ebf0; color: #465160; }
@media print { body { max-width: none; padding: 0; font-size: 11px; } pre { background: var(--band);
  color: var(--ink); } .scroll { overflow: visible; } h2, h3, h4 { break-after: avoid; } tr { break-inside: avoid; } }
)css";

struct Word {
    std::string_view text, style;
};
// What stands alone in bold is a word of ours: running text from workers cannot make bold.
constexpr std::array kWords{Word{"PASS", "good"},
                            Word{"Go", "good"},
                            Word{"FAIL", "bad"},
                            Word{"ERROR", "bad"},
                            Word{"TIMEOUT", "bad"},
                            Word{"XPASS", "bad"},
                            Word{"No-go", "bad"},
                            Word{"no", "bad"},
                            Word{"PARTIAL PASS", "part"},
                            Word{"Conditional go", "part"},
                            Word{"XFAIL", "part"},
                            Word{"INCONCLUSIVE", "part"},
                            Word{"NO_REFERENCE", "part"},
                            Word{"NO VERDICT (infrastructure)", "none"},
                            Word{"NO VERDICT (nothing ran)", "none"},
                            Word{"NO VERDICT (inconclusive)", "none"},
                            Word{"NO VERDICT (cancelled)", "none"},
                            Word{"SKIP", "none"},
                            Word{"BLOCKED", "none"},
                            Word{"CANCELLED", "none"},
                            Word{"observed", "good"},
                            Word{"inferred", "part"},
                            Word{"hypothesis", "none"}};

void replace_all(std::string& text, std::string_view from, const std::string& to) {
    for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
        text.replace(at, from.size(), to);
}

void append(const MD_CHAR* piece, MD_SIZE size, void* out) {
    static_cast<std::string*>(out)->append(piece, size);
}

// Images of our Markdown become the drawings themselves. Text of others makes no image: it is escaped.
void inline_figures(std::string& body, const std::vector<Figure>& figures) {
    for (const Figure& figure : figures) {
        const std::size_t begin = body.find("<p><img src=\"" + figure.path + "\"");
        const std::size_t end = begin == std::string::npos ? begin : body.find("</p>", begin);
        if (end == std::string::npos) continue;
        std::string svg = figure.svg;
        replace_all(svg, " xmlns=\"http://www.w3.org/2000/svg\"", "");  // a page knows the element
        body.replace(begin, end + 4 - begin, "<figure>" + svg + "</figure>");
    }
}

}  // namespace

std::string render_html(const std::string& markdown, const std::string& title,
                        const std::vector<Figure>& figures) {
    std::string body;
    constexpr unsigned kFlags = MD_FLAG_TABLES | MD_FLAG_NOHTML | MD_FLAG_NOINDENTEDCODEBLOCKS;
    if (md_html(markdown.data(), static_cast<MD_SIZE>(markdown.size()), append, &body, kFlags, 0) != 0)
        throw std::runtime_error("md4c could not render a report");  // out of memory only
    for (const Word& word : kWords) {
        const std::string bold = "<strong>" + std::string(word.text) + "</strong>";
        replace_all(
            body, bold,
            "<strong class=\"word " + std::string(word.style) + "\">" + std::string(word.text) + "</strong>");
    }
    inline_figures(body, figures);
    replace_all(body, "<table>", "<div class=\"scroll\"><table>");
    replace_all(body, "</table>", "</table></div>");
    return "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
           "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
           "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
           "'unsafe-inline'\">\n"
           "<title>" +
           escape_html(title) + "</title>\n<style>" + std::string(kStyle) + "</style>\n</head>\n<body>\n" +
           body + "</body>\n</html>\n";
}

}  // namespace nsa::reports
