#!/usr/bin/env python3
"""That traps of g++ do not compile, or are found by gcc_traps.py.

usage: traps_test.py --compiler=PROGRAM        what of traps.cc a g++ refuses
       traps_test.py --lint                    what gcc_traps.py finds in it
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
TRAPS = SOURCE / "tests/worker/traps.cc"
# What g++ says of each part of traps.cc; of the first two, g++ 12 alone.
REFUSED = {
    1: "g++ 12 destroys a temporary aggregate in a co_await expression twice",
    2: "g++ 12 destroys a temporary lambda that captures in a co_await expression twice",
    3: "define LEASEHOLD_GCC12_ORCHESTRATORS",
}


def run(*command):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          check=False)


def check_compiler(compiler):
    version = int(run(compiler, "-dumpversion").stdout.split(".")[0])
    for part in (0, *REFUSED):
        done = run(compiler, "-std=c++20", "-fsyntax-only", f"-DONLY={part}", "-I", SOURCE,
                   TRAPS)
        said = " ".join((done.stderr + done.stdout).replace('"', "").split())
        if part == 0 or (version > 12 and part < 3):
            if done.returncode != 0:
                sys.exit(f"g++ {version}, part {part}:\n{done.stderr}")
        elif done.returncode == 0 or REFUSED[part] not in said:
            sys.exit(f"g++ {version} does not say of part {part}: {REFUSED[part]}\n"
                     f"{done.stderr}")
    print(f"ok  g++ {version} refuses what it must, and nothing else")


def check_lint():
    wanted = {(number, trap[1]) for number, line in enumerate(
        TRAPS.read_text().splitlines(), 1) if (trap := re.search(r"// TRAP: (\w+)$", line))}
    with tempfile.TemporaryDirectory() as build:
        (pathlib.Path(build) / "compile_commands.json").write_text(json.dumps([{
            "directory": build, "file": str(TRAPS),
            "command": f"g++-12 -std=c++20 -I{SOURCE} -c {TRAPS}"}]))
        lint = SOURCE / "client/worker/gcc_traps.py"
        done = run(sys.executable, "-B", lint, "-p", build)
    sys.path.insert(0, str(lint.parent))
    sys.dont_write_bytecode = True
    import gcc_traps  # noqa: E402
    kinds = {words: kind for kind, words in gcc_traps.WORDS.items()}
    found = {(int(line[1]), kinds[line[2]]) for line in re.finditer(
        rf"^{TRAPS}:(\d+):\d+: (.*)$", done.stdout, re.M)}
    if found != wanted or done.returncode != 1:
        sys.exit(f"missed: {sorted(wanted - found)}; found wrongly: "
                 f"{sorted(found - wanted)}\n{done.stdout}{done.stderr}")
    print(f"ok  gcc_traps.py finds {len(found)} traps, and nothing else")


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--compiler")
    parser.add_argument("--lint", action="store_true")
    given = parser.parse_args()
    if given.compiler:
        check_compiler(given.compiler)
    if given.lint:
        check_lint()
    return 0


if __name__ == "__main__":
    sys.exit(main())
