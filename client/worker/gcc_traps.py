#!/usr/bin/env python3
"""Finds what g++ compiles wrongly around co_await, and does not say.

usage: gcc_traps.py -p BUILD [--gcc=VERSION] [FILE...]

BUILD has a compile_commands.json (CMAKE_EXPORT_COMPILE_COMMANDS). Without a FILE, all of
its files that await something are looked at. Prints a line for each trap; exit code 1 if
there is one. A comment NOLINTNEXTLINE(gcc-traps) above a line says that it is meant. Needs clang-query-14, of Debian's package clang-tools-14 (or another one
that CLANG_QUERY names), and no more than the commands of a build with g++. --gcc is the
oldest g++ that compiles the code, by default 12: newer ones destroy temporaries once.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys

QUERY = """
set output diag
set bind-root false
set traversal IgnoreUnlessSpelledInSource
let await anyOf(coawaitExpr(), hasDescendant(coawaitExpr()))
match binaryOperator(hasAnyOperatorName("&&", "||"), hasRHS(await),\
 unless(hasParent(ifStmt())), unless(hasParent(varDecl())),\
 unless(hasParent(binaryOperator(hasOperatorName("="))))).bind("behind")
match conditionalOperator(anyOf(hasTrueExpression(await), hasFalseExpression(await)),\
 unless(hasParent(varDecl()))).bind("chosen")
set traversal AsIs
match cxxBindTemporaryExpr(has(initListExpr()), hasAncestor(coawaitExpr()))\
.bind("aggregate")
match cxxBindTemporaryExpr(has(lambdaExpr()), hasAncestor(coawaitExpr())).bind("lambda")
"""
WORDS = {
    "behind": "g++ awaits what stands behind && or || here in any case: give the result "
              "a name first",
    "chosen": "g++ awaits both sides of ? : here: give the result a name first",
    "aggregate": "g++ 12 destroys this temporary aggregate twice: give it a name",
    "lambda": "g++ 12 destroys this temporary lambda twice: give it a name",
}
# Those of which newer ones are free.
ONLY_12 = {"aggregate", "lambda"}


def awaits(path):
    try:
        return "co_await" in pathlib.Path(path).read_text(errors="replace")
    except OSError:
        return False


def files_of(build):
    commands = json.loads((build / "compile_commands.json").read_text())
    return sorted({os.path.normpath(os.path.join(command["directory"], command["file"]))
                   for command in commands})


def look(build, file):
    """{(file, line, column, trap)}; a file that cannot be read by Clang ends all."""
    program = os.environ.get("CLANG_QUERY", "clang-query-14")
    # What other compilers' options mean is not looked at.
    done = subprocess.run(
        [program, "-p", str(build), "--extra-arg=-Wno-everything", "-f", "/dev/stdin",
         str(file)], input=QUERY, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    if done.returncode != 0 or re.search(r": (fatal )?error: ", said):
        sys.exit(f"gcc_traps: {file}: {program} says\n{said[:2000]}")
    return {(found[1], int(found[2]), int(found[3]), found[4]) for found in re.finditer(
        r'^(\S.*):(\d+):(\d+): note: "(\w+)" binds here$', said, re.M)}


def meant(file, line):
    lines = pathlib.Path(file).read_text(errors="replace").splitlines()
    return line >= 2 and "NOLINTNEXTLINE(gcc-traps)" in lines[line - 2]


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("-p", dest="build", type=pathlib.Path, required=True)
    parser.add_argument("--gcc", type=int, default=12)
    parser.add_argument("files", nargs="*")
    given = parser.parse_args()
    # A header that awaits is seen in the files that include it.
    files = given.files or [file for file in files_of(given.build) if awaits(file)]
    found = set()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for traps in pool.map(lambda file: look(given.build, file), files):
            found |= traps
    found = {trap for trap in found if not meant(trap[0], trap[1])
             and (given.gcc <= 12 or trap[3] not in ONLY_12)}
    for file, line, column, trap in sorted(found):
        print(f"{file}:{line}:{column}: {WORDS[trap]}")
    print(f"gcc_traps: {len(files)} files, {len(found)} traps", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
