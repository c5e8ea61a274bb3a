#!/usr/bin/env python3
"""The client's examples in C++ against the installed package and its server.

usage: client_examples_test.py --build=DIR --examples=DIR [options]

Installs the build into an empty prefix, copies the examples into an empty folder,
builds them there with find_package(Leasehold), and runs each against the installed
leasehold-server.
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from install_test import PATIENCE_S, equal, run

# Arguments after the address, and what is printed.
RUNS = (
    ("ensure_singleton", ("nightly",),
     "Creating singleton instance with ID = nightly\n"),
    ("ensure_singleton", ("nightly",),
     "An instance with ID = nightly exists already\n"),
    ("chain", (), '"Hello, Ada!"\n'),
    ("fan_out", (), "42925\n"),
    ("human_interaction", ("yes",), '"approved"\n'),
    ("human_interaction", ("no",), '"refused"\n'),
    ("human_interaction", ("silence",), '"nobody answered"\n'),
    ("eternal_counter", ("tally",), "2\n"),
    ("bank", (), '"Ann has 70, Bob has 30"\n@account@ann: 70\n'),
    ("shared_counter", ("room-1",), "Apple 1\nApple 2\n"),
)

# Headers of the installed package before the client had rooms.
EARLIER_HEADERS = (
    "backoff", "channel", "channel_hold", "event_loop", "hold", "instance",
    "instance_metadata", "instances_client", "join_reader", "json", "keep_alive",
    "mutex", "orchestration", "orchestration_client", "orchestration_event",
    "orchestration_watch", "server_stream", "session_identity", "session_keep_alive",
    "shared_session", "status", "steady_stream", "stream_life", "timespan",
    "timestamp", "utf8", "watch")


def write_earlier_program(folder):
    """A program that includes what it includes by the paths of an earlier version,
    and one header by its present path as well."""
    folder.mkdir()
    (folder / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.25)\n"
        "project(Earlier LANGUAGES CXX)\n"
        "find_package(Leasehold CONFIG REQUIRED COMPONENTS client worker)\n"
        "add_executable(earlier main.cc)\n"
        "target_link_libraries(earlier PRIVATE Leasehold::client Leasehold::worker)\n")
    includes = [f"client/{header}.h" for header in EARLIER_HEADERS]
    includes += ["client/worker/worker.h", "leasehold/client/session/shared_session.h"]
    (folder / "main.cc").write_text(
        "".join(f'#include "{path}"\n' for path in includes)
        + "int main() {\n"
        "  auto session = leasehold::client::SharedSession::Connect(\n"
        '      {"localhost:1"}, leasehold::client::SharedSessionOptions());\n'
        "  return session.ok() ? 0 : 1;\n"
        "}\n")


def check_hello_worker(program, leasehold, address):
    """The twenty lines of the guide for C++."""
    worker = subprocess.Popen([program, address], stdin=subprocess.PIPE,
                              stdout=subprocess.DEVNULL)
    try:
        said = run(leasehold, f"--address={address}", "orchestration", "start",
                   "Greetings", "--id=hello", "--wait")
        equal("Hello, Tokyo! Hello, Seattle! Hello, London!" in said, True, said)
        worker.communicate(b"\n", timeout=PATIENCE_S)
        equal(worker.returncode, 0, f"exit code of {program}")
        print("ok  hello_worker")
    finally:
        worker.kill()
        worker.wait()


def check_tests(programs, source, leasehold, address):
    """The examples' own tests; also with histories from this server."""
    run(programs / "examples_test")
    print("ok  examples_test")
    state = run(leasehold, f"--address={address}", "--output=json", "orchestration", "list")
    for name, file, suite in (("Greeting", "chain.history", "Chain"),
                              ("Transfer", "bank.history", "Transfer")):
        ids = [s["instance_id"] for s in map(json.loads, state.splitlines())
               if s["name"] == name]
        equal(len(ids), 1, f"orchestrations {name}")
        run(leasehold, f"--address={address}", "orchestration", "history", ids[0],
            f"--export={source / file}")
        run(programs / "examples_test",
            f"--gtest_filter={suite}.StillDoesWhatItDidInProduction")
        print(f"ok  a history exported from the server is replayed: {file}")


def check_examples(programs, source, server):
    process = subprocess.Popen(
        [server, "--store=memory", "--listen=127.0.0.1:0", "--print-address"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env={**{k: v for k, v in os.environ.items() if not k.startswith("LEASEHOLD_")},
             "LEASEHOLD_OVERLOAD_DELAY": "0"})  # However slow the machine is.
    try:
        address = process.stdout.readline().strip().removeprefix("address=")
        for name, arguments, wanted in RUNS:
            said = subprocess.run([programs / name, address, *arguments],
                                  stdout=subprocess.PIPE, text=True,
                                  timeout=PATIENCE_S)
            what = f"{name} {' '.join(arguments)}"
            equal((said.returncode, said.stdout), (0, wanted), what)
            print(f"ok  {what}")
        check_hello_worker(programs / "hello_worker", server.parent / "leasehold",
                           address)
        check_tests(programs, source, server.parent / "leasehold", address)
        process.terminate()
        equal(process.wait(timeout=PATIENCE_S), 0, "exit code of the server")
    finally:
        process.kill()
        process.wait()


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--examples", type=pathlib.Path, required=True)
    parser.add_argument("--compiler", default="")
    parser.add_argument("--launcher", default="")
    parser.add_argument("--sanitize", default="")
    given = parser.parse_args()

    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        prefix, source, build = folder / "prefix", folder / "cpp", folder / "build"
        run("cmake", "--install", given.build, "--prefix", prefix)
        shutil.copytree(given.examples, source)
        options = [f"-DCMAKE_PREFIX_PATH={prefix}", "-DCMAKE_BUILD_TYPE=Debug"]
        if given.compiler:
            options.append(f"-DCMAKE_CXX_COMPILER={given.compiler}")
        if given.launcher:
            options.append(f"-DCMAKE_CXX_COMPILER_LAUNCHER={given.launcher}")
        flags = "-Wall -Wextra -Werror"
        if given.sanitize:
            flags += f" -fsanitize={given.sanitize}"
            if "undefined" in given.sanitize and "clang" in given.compiler:
                flags += " -fno-sanitize=function"  # client/worker/CMakeLists.txt
        options.append(f"-DCMAKE_CXX_FLAGS={flags}")
        run("cmake", "-G", "Ninja", "-S", source, "-B", build, *options)
        run("cmake", "--build", build)
        print("ok  they build against the installed package")

        earlier = folder / "earlier"
        write_earlier_program(earlier)
        run("cmake", "-G", "Ninja", "-S", earlier, "-B", earlier / "build", *options)
        run("cmake", "--build", earlier / "build")
        run(earlier / "build/earlier")
        print("ok  the include paths of an earlier version still work")

        check_examples(build, source, prefix / "bin/leasehold-server")
    return 0


if __name__ == "__main__":
    sys.exit(main())
