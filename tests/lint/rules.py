#!/usr/bin/env python3
"""House rules that the compiler does not check: who may include what, calls that are banned, sizes.

Prints each finding as path:line: text and exits 1; exits 0 when there is none. Run from anywhere.
"""
import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
CODE = {".hpp", ".cpp", ".cuh", ".cu"}
MAX_LINES = 400

# header prefix -> folders that may include it; everybody else goes through that box.
OWNERS = {
    "yaml-cpp/": ["experiments/language/yaml"],
    "SQLiteCpp/": ["orchestrator/store", "tests/unit/store"],
    "sqlite3.h": ["orchestrator/store", "tests/unit/store", "tests/faults", "tests/integration/daemon/store_test.cpp", "tests/unit/daemon/failed_store_test.cpp"],  # the lab's oracle trusts no product code
    "libssh/": ["orchestrator/engines/ssh"],
    "boost/beast": ["orchestrator/api"],
    "md4c": ["orchestrator/reports"],
    "spdlog/": ["orchestrator/daemon"],
    "CLI/": ["orchestrator/cli", "orchestrator/daemon", "worker", "tests/bench", "tests/faults"],
    "re2/": ["experiments/language/parsers"],
    "openssl/": ["experiments/language", "orchestrator/instances"],
    "torch/": ["nsa_core", "tests/unit/nsa_core", "tests/gpu"],
    "ATen/": ["nsa_core", "tests/unit/nsa_core", "tests/gpu"],
    "c10/": ["nsa_core", "tests/unit/nsa_core", "tests/gpu"],
    "cuda": ["nsa_core", "tests/unit/nsa_core", "tests/gpu", "tests/emulator"],
    "boost/context": ["tests/emulator"],
}
# pattern -> why. Remote text and user text never meet a shell, a backtracking regex or a g++ 12 coroutine bug.
BANNED = {
    r"\bstd::regex\b": "std::regex backtracks; use RE2 in language/parsers",
    r"\bexec[lv]pe?\s*\(": "no PATH search: spawn a resolved path",
    r"\bssh_scp_|\bsftp_new\b": "no SCP or SFTP: files travel in frames",
    r"co_await\s+[\w:.>-]+\(\s*\{": "g++ 12 double-frees brace-built arguments of an awaited call: name it first",
    r"co_await\s+[\w:.>-]+\([^;]*\w\{\.": "g++ 12 double-frees brace-built arguments of an awaited call: name it first",
    r"\?[^;]*:\s*co_await|\?\s*co_await[^;]*:": "g++ 12 destroys a value twice when one arm of ?: awaits: use if",
    r"\b(if|while)\s*\((?:[^()]|\([^()]*\))*\bco_await": "g++ 12 took the wrong frame where a condition awaits: name the value first",
    r'#include\s+"\.\./': "relative include: name the box",
    r"\b(TODO|FIXME|XXX)\b": "unfinished",
    r"\bGTEST_SKIP(?!.*needs the right to )|\bDISABLED_": "a test that does not run is not a test",
}
BANNED_IN_PRODUCTS = {
    r"\b(popen|system)\s*\(": "no shell: spawn an argv",
}


def findings():
    roots = ["experiments", "orchestrator", "worker", "nsa_core", "tests"]
    for path in sorted(p for r in roots for p in (ROOT / r).rglob("*") if p.suffix in CODE):
        name = path.relative_to(ROOT).as_posix()
        lines = path.read_text(encoding="utf-8").splitlines()
        if len(lines) > MAX_LINES:
            yield name, len(lines), f"{len(lines)} lines; split by idea (at most {MAX_LINES})"
        if path.suffix == ".hpp" and "#pragma once" not in lines:
            yield name, 1, "no #pragma once"
        for number, line in enumerate(lines, 1):
            included = re.match(r"\s*#include\s+<([^>]+)", line)  # project headers stand in quotes
            if included:
                for prefix, owners in OWNERS.items():
                    if included[1].startswith(prefix) and not any(
                        name == o or name.startswith(o + "/") for o in owners
                    ):
                        yield name, number, f"{included[1]} may be included only below {', '.join(owners)}"
            code = line.split("//")[0] if "TODO" not in line else line
            banned = BANNED if name.startswith("tests/") else BANNED | BANNED_IN_PRODUCTS
            for pattern, why in banned.items():
                if re.search(pattern, code):
                    yield name, number, why
            if "sleep_for" in code and name.startswith("tests/unit"):
                yield name, number, "a unit test advances time, it does not sleep"


def preset_findings():
    presets = json.loads((ROOT / "CMakePresets.json").read_text(encoding="utf-8"))
    configured = [p["name"] for p in presets["configurePresets"] if not p.get("hidden")]
    for kind in ("buildPresets", "testPresets"):
        known = [p["name"] for p in presets[kind]]
        for name in configured:
            if name not in known:
                yield "CMakePresets.json", 1, f"preset {name} is not among {kind}"


def main():
    found = [*findings(), *preset_findings()]
    for name, number, text in found:
        print(f"{name}:{number}: {text}")
    print(f"rules: {len(found)} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
