#!/usr/bin/env python3
"""The examples against the installed package.

usage: install_test.py --build=DIR --examples=DIR --grpcurl=FILE [options]

Installs the build into an empty prefix, copies the examples into an empty folder,
builds them there with find_package(Leasehold), runs them, and drives them with
grpcurl through reflection.
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

# For what hangs, not for what is slow.
PATIENCE_S = 60


def run(*command, **options):
    """Runs it to its end; shows what it said only if it fails."""
    # Both programs tell of variables that are not theirs, such as those of the tests.
    options.setdefault("env", {name: value for name, value in os.environ.items()
                               if not name.startswith("LEASEHOLD_")})
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, **options)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}"
                 f"-- exit code {done.returncode}")
    return done.stdout


def equal(got, wanted, what):
    if got != wanted:
        sys.exit(f"{what}: wanted {wanted!r}, got {got!r}")


def wait_until(condition, what):
    end = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"waited {PATIENCE_S} s for {what}")
        time.sleep(0.05)


@contextlib.contextmanager
def server(program, *arguments, said=None):
    """Runs an example on a free port; it must end well when it is told to.

    Appends to `said` what it has written in the end.
    """
    process = subprocess.Popen([program, "127.0.0.1:0", *arguments],
                               stdout=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        port = re.fullmatch(r"port=(\d+)\n", line)
        if not port:
            sys.exit(f"{program} said {line!r} instead of its port")
        yield f"127.0.0.1:{port.group(1)}"
        process.terminate()
        equal(process.wait(timeout=PATIENCE_S), 0, f"exit code of {program}")
        if said is not None:
            said.append(process.stdout.read())
    finally:
        process.kill()
        process.wait()


class Client:
    def __init__(self, grpcurl, address):
        self.grpcurl, self.address = grpcurl, address

    def command(self, method, instance, message, *options):
        return [self.grpcurl, "-plaintext", *options,
                "-H", f"instance-id: {instance}", "-d", json.dumps(message),
                self.address, method]

    def services(self):
        return run(self.grpcurl, "-plaintext", self.address, "list").split()

    def call(self, method, instance, message):
        return json.loads(run(*self.command(method, instance, message)))

    def headers(self, method, instance, message):
        """What -v shows of the response headers."""
        shown = run(*self.command(method, instance, message, "-v"))
        shown = shown.split("Response headers received:")[1]
        return dict(re.findall(r"^(instance-[a-z-]+): (.*)$", shown, re.M))


def check_readme(examples):
    """What the README quotes stands in the programs, word for word."""
    text = (examples / "README.md").read_text()
    source = (examples / "counter/main.cc").read_text()
    quotes = re.findall(r"^```cpp\n(.*?)^```$", text, re.M | re.S)
    equal(len(quotes) >= 1, True, "quotes in the README")
    for quote in quotes:
        if quote not in source:
            sys.exit(f"the README quotes what is not in counter/main.cc:\n{quote}")
    print("ok  the README quotes counter/main.cc")


def check_embed_readme(readme, test):
    """What service/embed says is compiled, apart from where its lines break."""
    source = "".join(test.read_text().split())
    quotes = re.findall(r"^```cpp\n(.*?)^```$", readme.read_text(), re.M | re.S)
    equal(len(quotes) >= 4, True, f"quotes in {readme}")
    for quote in quotes:
        for line in quote.splitlines():
            if "".join(line.split()) not in source:
                sys.exit(f"{readme} quotes what is not in {test}: {line}")
    print("ok  what service/embed shows is compiled")


def check_counterparts(readme, example):
    """Each line that replaces one of WCF's stands in the example, which compiles."""
    sources = " ".join(path.read_text() for path in sorted(example.iterdir()))
    compiled = " ".join(sources.split())
    text = readme.read_text().split("| WCF | Leasehold |")[1].split("\n\n")[0]
    rows = [line for line in text.splitlines() if line.startswith("| ")
            and not line.startswith("| ---")]
    equal(len(rows) >= 15, True, f"rows in {rows}")
    for row in rows:
        cells = row.strip("| ").split(" | ")
        lines = re.findall(r"`([^`]+)`", cells[1])
        equal(len(cells) == 2 and len(lines) >= 1, True, f"a line of code in {row}")
        for line in lines:
            if " ".join(line.split()) not in compiled:
                sys.exit(f"the table says what is not in {example}: {line}")
    print("ok  what replaces WCF's classes and attributes is compiled")


def check_components(prefix, folder, compiler):
    """Only some components need nlohmann_json, and an unknown component is named."""
    for component, wanted in (("client", None), ("server", None),
                              ("worker", "nlohmann_json"),
                              ("testing", "nlohmann_json"),
                              ("security", "nlohmann_json"),
                              ("nonsense", 'no component "nonsense"')):
        source = folder / f"component-{component}"
        source.mkdir()
        (source / "CMakeLists.txt").write_text(
            "cmake_minimum_required(VERSION 3.25)\n"
            "project(component LANGUAGES CXX)\n"
            f"find_package(Leasehold REQUIRED COMPONENTS {component})\n")
        command = ["cmake", "-G", "Ninja", "-S", source, "-B", source / "build",
                   f"-DCMAKE_PREFIX_PATH={prefix}",
                   "-DCMAKE_DISABLE_FIND_PACKAGE_nlohmann_json=ON"]
        if compiler:
            command.append(f"-DCMAKE_CXX_COMPILER={compiler}")
        done = subprocess.run([str(c) for c in command], capture_output=True,
                              text=True)
        said = " ".join((done.stdout + done.stderr).split())
        equal(done.returncode == 0, wanted is None, f"{component}: {said}")
        if wanted is not None:
            equal(wanted in said, True, f"{wanted} in {said}")
    print("ok  each component asks for what it needs, and no more")


def check_counter(program, grpcurl):
    with server(program) as address:
        client = Client(grpcurl, address)
        services = client.services()
        for service in ("counter.v1.Counter", "leasehold.v1.Echo",
                        "leasehold.v1.Instances"):
            equal(service in services, True, f"{service} among {services}")

        def add(instance, amount):
            return client.call("counter.v1.Counter/Add", instance,
                               {"amount": amount})["value"]

        first = client.headers("counter.v1.Counter/Add", "room-1", {"amount": 2})
        equal(first["instance-id"], "room-1", "instance-id")
        equal(first["instance-created"], "true", "instance-created")
        equal(add("room-1", 3), "5", "value over a second channel")
        equal(add("room-2", 1), "1", "value of another instance")
        print("ok  calls of one ID share a Counter")

        echo = client.call("leasehold.v1.Echo/Echo", "room-1", {"text": "Apple"})
        equal(echo["generation"], first["instance-generation"], "Echo's generation")
        equal(echo["sequence"], "1", "Echo's sequence")
        again = client.headers("counter.v1.Counter/Add", "room-1", {"amount": 0})
        equal(again, {"instance-generation": echo["generation"]}, "headers")
        known = client.call("leasehold.v1.Instances/Get", "room-1", {})
        equal(known["generation"], echo["generation"], "generation of the context")
        for name in ("Counter", "Echo"):
            equal(any(name in e for e in known["extensions"]), True,
                  f"{name} among {known['extensions']}")
        listed = client.call("leasehold.v1.Instances/List", "room-1", {})
        # grpcurl writes the name in one way or the other.
        equal(sorted(i.get("instanceId", i.get("instance_id"))
                     for i in listed["instances"]),
              ["room-1", "room-2"], "contexts")
        print("ok  Counter and Echo share one context, with one generation")
    print("ok  the counter ends gracefully")


def check_chat_room(program, grpcurl, folder):
    with contextlib.ExitStack() as ending:
        address = ending.enter_context(server(program))
        client = Client(grpcurl, address)

        def say(text):
            reply = client.call("chat.v1.ChatRoom/Say", "hall",
                                {"name": "Ann", "text": text})
            return reply.get("listeners", 0)

        readers = []
        for i in range(2):
            heard = folder / f"heard-{i}"
            process = subprocess.Popen(
                client.command("chat.v1.ChatRoom/Join", "hall", {}),
                stdout=heard.open("w"), stderr=subprocess.DEVNULL)
            ending.callback(process.kill)
            readers.append((process, heard))
        wait_until(lambda: say("anybody?") == 2, "two listeners")
        say("Hello, hall")
        for _, heard in readers:
            wait_until(lambda: "Hello, hall" in heard.read_text(), "the line")
        print("ok  all in the room hear what is said")

        readers[0][0].kill()
        wait_until(lambda: say("who is left?") == 1, "the killed one to be gone")
        known = client.call("leasehold.v1.Instances/Get", "hall", {})
        equal(known["state"], "BUSY", "state while somebody listens")
        readers[1][0].kill()
        wait_until(lambda: client.call("leasehold.v1.Instances/Get", "hall",
                                       {})["state"] == "IDLE", "the lease to run")
        print("ok  a killed listener is gone; the last one starts the lease")

        # One more, so that the end has somebody to send away.
        process = subprocess.Popen(
            client.command("chat.v1.ChatRoom/Join", "hall", {}),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        ending.callback(process.kill)
        wait_until(lambda: say("again?") == 1, "a listener")
    print("ok  the chat room ends gracefully, with somebody in it")


def check_custom_lifetime(program, grpcurl):
    with server(program) as address:
        said = run(program.parent / "custom_lifetime_client", address)
        equal(said.splitlines(), ["Service returned: Apple, 1 of shared-1",
                                  "Service returned: Apple, 2 of shared-1",
                                  "Service returned: Apple, 3"],
              "what the client says")
        print("ok  two channels of a client meet in one instance")

    # A lease that is soon over.
    said = []
    with server(program, "50", said=said) as address:
        client = Client(grpcurl, address)
        echo = "custom_lifetime.v1.EchoService/Echo"
        equal(client.call(echo, "short", {"text": "Apple"}),
              {"text": "Apple", "count": "1"}, "echo")
        wait_until(lambda: not client.call("leasehold.v1.Instances/List", "short",
                                           {}).get("instances"), "the lease to end")
    equal(said[0].splitlines(),
          [f"lease of short attached for {echo}", "lease of short detached: idle"],
          "what the server says")
    print("ok  the custom lease ends its instance")


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--examples", type=pathlib.Path, required=True)
    parser.add_argument("--grpcurl", type=pathlib.Path, required=True)
    parser.add_argument("--compiler", default="")
    parser.add_argument("--launcher", default="")
    parser.add_argument("--sanitize", default="")
    given = parser.parse_args()
    if not os.access(given.grpcurl, os.X_OK):
        sys.exit(f"there is no {given.grpcurl}; `./dev test` builds it")

    check_readme(given.examples)
    check_embed_readme(given.examples.parent / "embed/README.md",
                       pathlib.Path(__file__).with_name("embed_readme_test.cc"))
    check_counterparts(given.examples.parent / "embed/README.md",
                       given.examples / "custom_lifetime")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        prefix = folder / "prefix"
        run("cmake", "--install", given.build, "--prefix", prefix)
        programs = {}
        for example in ("counter", "chat_room", "custom_lifetime"):
            source, build = folder / example, folder / f"build-{example}"
            shutil.copytree(given.examples / example, source)
            options = [f"-DCMAKE_PREFIX_PATH={prefix}", "-DCMAKE_BUILD_TYPE=Debug"]
            if given.compiler:
                options.append(f"-DCMAKE_CXX_COMPILER={given.compiler}")
            if given.launcher:
                options.append(f"-DCMAKE_CXX_COMPILER_LAUNCHER={given.launcher}")
            flags = "-Wall -Wextra -Werror"
            if given.sanitize:
                flags += f" -fsanitize={given.sanitize}"
            # What an embedder does not use, an embedder need not have.
            options += [f"-DCMAKE_DISABLE_FIND_PACKAGE_{package}=ON"
                        for package in ("CLI11", "nlohmann_json", "mimalloc",
                                        "SQLite3")]
            run("cmake", "-G", "Ninja", "-S", source, "-B", build, *options,
                f"-DCMAKE_CXX_FLAGS={flags}")
            run("cmake", "--build", build)
            programs[example] = build / example
            print(f"ok  {example} builds against the installed package")
        check_components(prefix, folder, given.compiler)
        check_counter(programs["counter"], given.grpcurl)
        check_chat_room(programs["chat_room"], given.grpcurl, folder)
        check_custom_lifetime(programs["custom_lifetime"], given.grpcurl)
    return 0


if __name__ == "__main__":
    sys.exit(main())
