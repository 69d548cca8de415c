// Small experiments of the tests.
#pragma once

#include <string>

namespace nsa::test {

// One command step "s" that runs the shell script, with `extra` lines at the top level of the spec.
inline std::string shell_spec(const std::string& script, const std::string& extra = "") {
    std::string indented = "        ";
    for (const char c : script) {
        indented += c;
        if (c == '\n') indented += "        ";
    }
    return "version: 1\nname: test\nsubject: Daemon test\n" + extra +
           "steps:\n"
           "  - id: s\n"
           "    kind: command\n"
           "    run:\n"
           "      - /bin/sh\n"
           "      - -c\n"
           "      - |\n" +
           indented + "\n" + "    artifacts: ['*.txt']\n";
}

}  // namespace nsa::test
