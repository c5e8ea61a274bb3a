#!/usr/bin/env python3
"""The rules of the house that no compiler checks.

usage: house_test.py ROOT          checks the tree at ROOT
       house_test.py --self-test   plants each violation and sees that it is found

A rule is a generator of (place, message); a message names what to do instead.
"""

import pathlib
import re
import subprocess
import sys
import tempfile

# Room -> rooms that it may include. Rooms that are not named here (tests, and
# service/ itself, which is main.cc) may include everything.
ARROWS = {
    "proto": set(),
    "lease/base": set(),  # What client and server share: see below.
    "lease": set(),
    "service/base": set(),
    "service/instance": {"lease", "service/base"},
    "service/storage": {"lease", "service/base"},
    "service/network": {"lease", "service/base"},
    "service/echo": {"lease", "service/base", "service/instance"},
    "service/tracing": {"lease", "service/base"},
    "service/dispatch": {"lease", "service/base"},
    "service/orchestration": {"lease", "service/base", "service/instance",
                              "service/dispatch", "service/storage",
                              "service/tracing"},
    # From here on with gRPC. Calls know no instance; doors know rooms below, but
    # neither the store nor who shows or configures anything.
    "service/rpc": {"proto", "lease", "service/base", "service/tracing"},
    "service/doors": {"proto", "lease", "service/base", "service/instance",
                      "service/echo", "service/dispatch", "service/orchestration",
                      "service/rpc", "service/tracing"},
    "service/embed": {"lease", "service/base", "service/instance",
                      "service/rpc", "service/doors", "service/tracing"},
    "service/builtin": {"proto", "client/wire", "client/worker", "lease",
                        "service/dispatch", "service/orchestration", "service/rpc",
                        "service/doors"},
    "client": set(),  # Nothing but its rooms.
    "client/wire": set(),
    "client/instances": {"proto", "client/wire"},
    "client/session": {"proto", "client/wire", "client/instances"},
    "client/orchestrations": {"proto", "client/wire"},
    "client/entities": {"proto", "client/wire"},
    "client/admin": {"proto", "client/wire"},
    "client/worker": {"proto", "client/wire"},
    # The test kit is the one client room that runs the server's engine, over the
    # store in memory and through its ports. Programs that call a server do not
    # include it.
    "client/testing": {"proto", "client/wire", "client/worker", "lease",
                       "service/base", "service/instance", "service/storage",
                       "service/orchestration", "service/rpc", "service/doors"},
}
CLIENT_ROOMS = {room for room in ARROWS if room.startswith("client/")
                and room != "client/testing"}
ARROWS["client/cli"] = {"proto"} | CLIENT_ROOMS
ARROWS["client/examples"] = {"proto"} | CLIENT_ROOMS | {"client/testing"}
BELOW_EDGE = {"lease", "service/base", "service/instance", "service/storage",
              "service/echo", "service/dispatch", "service/orchestration",
              "service/tracing"}
ARROWS["service/cluster"] = BELOW_EDGE | {"proto"}
# The door for HTTP has the callers, methods and policy of the other doors,
# and their words: the dashboard shows the messages of leasehold.v1 as JSON.
ARROWS["service/http"] = BELOW_EDGE | {"proto", "service/network", "service/rpc",
                                       "service/doors", "service/security"}
# Who calls, and what he may do: it knows calls, and nothing of what they are for.
ARROWS["service/security"] = {"lease", "service/base", "service/rpc"}
# Numbers for Prometheus: it knows nothing that is counted.
ARROWS["service/metrics"] = {"lease", "service/base"}
ARROWS["service/host"] = BELOW_EDGE | {
    "proto", "service/network", "service/rpc", "service/doors", "service/embed",
    "service/security", "service/http", "service/metrics", "service/cluster"}

# Every room stands on the leaves, but those that are only a wall around others.
for room_above in set(ARROWS) - {"proto", "lease/base", "client"}:
    ARROWS[room_above] = ARROWS[room_above] | {"lease/base"}

# Rooms that know no gRPC: they are what ThreadSanitizer can run.
GRPC_FREE = BELOW_EDGE | {"lease/base"}

TOP_LEVEL = {"proto", "lease", "service", "client", "tests", "CMakeLists.txt",
             "CMakePresets.json", "README.md", "CHANGELOG.md", "LICENSE", "dev"}

# Where real time may pass: against real processes, to measure, or where SQLite
# waits for a lock that a thread of its own holds.
REAL_TIME_TESTS = ("tests/acceptance/", "tests/interop/", "tests/crash/",
                   "tests/soak/", "tests/bench/", "tests/support/power_vfs.cc")

IGNORED = {".git", "build", "leasehold-data", "__pycache__", "node_modules"}

CLOCK = re.compile(
    r"\b(?:system|steady|high_resolution)_clock::now\b|\babsl::(?:Now|GetCurrentTimeNanos)\("
    r"|\b(?:clock_gettime|gettimeofday|gpr_now)\s*\(|\btime\((?:nullptr|NULL|0)\)")
SLEEP = re.compile(
    r"\bsleep_(?:for|until)\b|\babsl::SleepFor\b|\b(?:sleep|usleep|nanosleep|gpr_sleep_until)\s*\(")
ABSL_MUTEX = re.compile(r"\babsl::(?:(?:Reader|Writer)?Mutex(?:Lock)?|CondVar)\b")
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]')
CLASS = re.compile(r"^[ \t]*class\s+(?:[A-Z_]+(?:\([^)]*\))?\s+)*[A-Za-z_]\w*[^;{}()]*\{", re.M)
# What a person reads in one sitting, and in one look.
FILE_LINES_MAX = 600
FUNCTION_LINES_MAX = 70
NO_FUNCTION = re.compile(
    r"(?://|#|\}|[{)]|(?:namespace|class|struct|enum|union|extern|if|for|while|switch|else|do"
    r"|try|using|return|case|default|template|public|private|protected)\b)")
# Words that had two meanings: (rooms, what may not be said there, what to say).
ONE_MEANING = [
    (("service/storage/",), re.compile(r"\b\w*Instance(?:Row|Number)\w*"),
     "what the store keeps of an ID is a run"),
    (("service/instance/", "service/embed/"), re.compile(r"\b(?:\w*[a-z])?Turns?(?:[A-Z]\w*)?\b"),
     "a turn is an orchestrator's; a serial state gives access"),
    (("service/dispatch/",), re.compile(r"\b(?:Take|Hold)\b"),
     "work is ended or set aside"),
]
JSON_DIRECTLY = re.compile(r"\bjson::(?:parse|accept|sax_parse|from_\w+)\b|\.dump\(")
UNFINISHED = re.compile(r"\b(?:TO" r"DO|FIX" r"ME)\b")
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:home|root|work)/\w[\w./-]*")
REGISTRY_HOSTS = re.compile("|".join(re.escape(".".join(parts)) for parts in (
    ("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("npmjs", "com"),
    ("proxy", "golang", "org"), ("sum", "golang", "org"), ("crates", "io"),
    ("maven", "apache", "org"), ("maven", "org"), ("rubygems", "org"),
    ("nuget", "org"), ("docker", "io"), ("deb", "debian", "org"),
    ("ftp", "debian", "org"))))


def git_files(root, *options):
    """What git lists under `root`, or None if that is not a git checkout."""
    if not (root / ".git").exists():
        return None
    try:
        listing = subprocess.run(
            ["git", "-c", f"safe.directory={root}", "ls-files", "-z", *options],
            cwd=root, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return [f for f in listing.decode().split("\0") if f and (root / f).is_file()]


class Tree:
    def __init__(self, root):
        self.root = root
        walked = [
            f.relative_to(root).as_posix() for f in root.rglob("*")
            if f.is_file() and not IGNORED & set(f.relative_to(root).parts)]
        self.tracked = git_files(root)
        if self.tracked is None:
            self.tracked = walked
        # A file that git does not know yet must keep the rules as well.
        self.files = sorted(set(
            git_files(root, "--cached", "--others", "--exclude-standard") or walked))
        self.text = {}
        for f in self.files:
            try:
                self.text[f] = (root / f).read_text(encoding="utf-8")
            except UnicodeDecodeError:
                pass  # A fuzzer's corpus, or a picture.

    def lines(self, suffixes=None, code=False):
        """(file, number, line) of all text files; code=True drops // comments."""
        for f, text in self.text.items():
            if suffixes and not f.endswith(suffixes):
                continue
            for number, line in enumerate(text.split("\n"), 1):
                yield f, number, line.split("//")[0] if code else line


def room_of(path):
    parts = path.split("/")
    if parts[0] == "leasehold" and parts[1] in ("lease", "service", "client"):
        parts = parts[1:]  # As users of the installed package write it.
    if parts[0] in ("leasehold", "durabletask", "opentelemetry"):  # Generated from proto/.
        return "proto"
    if parts[0] in ("service", "client", "lease") and len(parts) > 2:
        return "/".join(parts[:2])
    return parts[0]


def check_arrows(tree):
    rooms = set(ARROWS) | {"service", "tests"}
    for f, number, line in tree.lines((".h", ".cc")):
        found = INCLUDE.match(line)
        if not found:
            continue
        where, path, room = f"{f}:{number}", found.group(1), room_of(f)
        if ".." in path.split("/"):
            yield where, f'includes "{path}"; write the path from the root instead'
        if room not in ARROWS:
            continue
        other = room_of(path)
        allowed = ARROWS[room]
        if other in rooms and other != room and other not in allowed:
            yield where, (
                f"{room} may not include {other} (\"{path}\"); it may include "
                f"{', '.join(sorted(allowed)) or 'no other room'}: move what is "
                "shared there, or hand it in through an interface of this room")
        if room in GRPC_FREE and path.startswith(("grpc", "google/protobuf/")):
            yield where, (
                f'{room} knows no gRPC ("{path}"); take absl::Status and values of '
                "this room, and translate in service/doors")


def check_clocks(tree):
    for f, number, line in tree.lines((".h", ".cc"), code=True):
        if f == "lease/clock.cc" or f.startswith(("client/", *REAL_TIME_TESTS)):
            continue
        found = CLOCK.search(line)
        if found:
            yield f"{f}:{number}", (
                f"reads real time ({found.group(0)}); ask a leasehold::Clock "
                "(lease/clock.h) that the constructor takes; in tests a SimulatedClock")


def check_sleeps(tree):
    for f, number, line in tree.lines((".h", ".cc"), code=True):
        if not f.startswith("tests/") or f.startswith(REAL_TIME_TESTS):
            continue
        found = SLEEP.search(line)
        if found:
            yield f"{f}:{number}", (
                f"sleeps ({found.group(0).rstrip('( ')}); use SimulatedClock::Advance "
                "(tests/support), or wait for the event itself")


def check_unfinished(tree):
    for f, number, line in tree.lines():
        found = UNFINISHED.search(line)
        if found:
            yield f"{f}:{number}", (
                f"leftover {found.group(0)}; do it, or open an issue and say in the "
                "README's limitations what is missing")


def check_mutex(tree):
    for f, number, line in tree.lines((".h", ".cc"), code=True):
        found = ABSL_MUTEX.search(line)
        if found:
            yield f"{f}:{number}", (
                f"{found.group(0)}: ThreadSanitizer does not understand it; use "
                "leasehold::Mutex, MutexLock, CondVar (lease/base/mutex.h)")


def check_top_level(tree):
    for entry in sorted({f.split("/")[0] for f in tree.tracked}):
        if entry not in TOP_LEVEL and not entry.startswith("."):
            yield entry, (
                "does not belong at the top level, which is fixed; move it into one "
                "of proto/ lease/ service/ client/ tests/")


def check_readmes(tree):
    rooms = {room_of(f) for f in tree.files
             if f.endswith((".h", ".cc", ".proto")) and "/" in f}
    rooms |= {room.split("/")[0] for room in rooms}
    for room in sorted(rooms):
        if f"{room}/README.md" not in tree.files:
            yield room, (
                "has no README.md; write half a page: what lives here, what it may "
                "include, where to start reading")


def check_thread_safety(tree):
    for f, text in tree.text.items():
        if not f.endswith(".h") or f.startswith("tests/"):
            continue
        if CLASS.search(text) and "Thread-safety:" not in text.split("#ifndef")[0]:
            yield f, (
                "declares a class, but the comment above its guard has no line "
                "'// Thread-safety: <safe | callers synchronise | one thread>.   "
                "Lifetime: <what must outlive what>.'")


def check_registries(tree):
    for f, number, line in tree.lines():
        found = REGISTRY_HOSTS.search(line)
        if found:
            yield f"{f}:{number}", (
                f"names a package registry ({found.group(0)}); leave the host to the "
                "package manager's own configuration")


def check_machine_paths(tree):
    for f, number, line in tree.lines():
        found = MACHINE_PATH.search(line)
        if found:
            yield f"{f}:{number}", (
                f"names a path of one machine ({found.group(0)}); write it from the "
                "root of the tree")


def check_json(tree):
    for f, number, line in tree.lines((".h", ".cc"), code=True):
        if f in ("lease/base/json.cc", "lease/base/json_members.cc") or f.startswith("tests/"):
            continue
        found = JSON_DIRECTLY.search(line)
        if found:
            yield f"{f}:{number}", (
                f"{found.group(0).rstrip('(')} recurses as deep as the JSON is nested; call "
                "ParseJson or WriteJson (lease/base/json.h), which bound the depth")


def check_file_length(tree):
    for f, text in tree.text.items():
        length = text.count("\n")
        if f.endswith((".h", ".cc", ".py")) and length > FILE_LINES_MAX:
            yield f, (f"a file of {length} lines, at most {FILE_LINES_MAX}: cut it where it "
                      "speaks of a second thing")


def functions(text):
    """(number of the first line, lines) of each function, as clang-format lays them out.

    A constructor's initializers are a table, and do not count."""
    lines = text.split("\n")
    number = 0
    while number < len(lines):
        found = function_at(lines, number)
        if found is None:
            number += 1
        else:
            begin, end = found
            yield number + 1, end - begin + 1
            number = end + 1


def function_at(lines, start):
    """(first, last) line of the function that begins at `start`; None if none does."""
    line = lines[start]
    indent = len(line) - len(line.lstrip())
    if not line.strip() or NO_FUNCTION.match(line.lstrip()):
        return None
    head = ""
    for number in range(start, len(lines)):
        if number > start and not re.match(r"\s|[{)]", lines[number]):
            return None
        head += " " + lines[number].split("//")[0].strip()
        if head.endswith(("{", ";", "}", ",")) and head.count("(") == head.count(")"):
            if head.endswith(",") and "(" in head:  # Between two initializers.
                continue
            break
    if not head.endswith("{") or "(" not in head or re.search(r"\)?[^)]*= ?{$", head):
        return None
    begin = number if re.search(r"\) : ", head) else start
    for end in range(number + 1, len(lines)):
        if lines[end].startswith(" " * indent + "}"):
            return begin, end
    return None


def check_function_length(tree):
    for f, text in tree.text.items():
        for number, length in functions(text) if f.endswith((".h", ".cc")) else ():
            if length > FUNCTION_LINES_MAX:
                yield f"{f}:{number}", (
                    f"a function of {length} lines, at most {FUNCTION_LINES_MAX}: give its "
                    "parts names of their own")


def check_words(tree):
    for f, number, line in tree.lines((".h", ".cc"), code=True):
        for rooms, word, instead in ONE_MEANING:
            found = word.search(line) if f.startswith(rooms) else None
            if found:
                yield f"{f}:{number}", f"{found.group(0)} means something else; {instead}"


RULES = [check_arrows, check_clocks, check_sleeps, check_unfinished, check_mutex,
         check_top_level, check_readmes, check_thread_safety, check_registries,
         check_machine_paths, check_json, check_file_length, check_function_length,
         check_words]


def check(root):
    tree = Tree(root)
    return [(rule, f"{where}: {message}")
            for rule in RULES for where, message in rule(tree)]


# ---- Self-test --------------------------------------------------------------

CLEAN = {
    "README.md": "# A house\n",
    "dev": "#!/bin/sh\n",
    "lease/README.md": "",
    "lease/base/README.md": "",
    "lease/base/view.h": "",
    "lease/lease.h":
        "// A lease.\n//\n// Thread-safety: safe.   Lifetime: none.\n"
        "#ifndef LEASE_H_\n#define LEASE_H_\nclass Lease {};\n#endif\n",
    "lease/clock.cc":
        '#include "lease/lease.h"\nauto now = std::chrono::steady_clock::now();\n',
    "proto/README.md": "",
    "proto/leasehold/v1/echo.proto": "",
    "service/README.md": "",
    "service/main.cc":
        '#include "service/host/host.h"\n#include "client/worker/worker.h"\n'
        "void f() { absl::SetMutexDeadlockDetectionMode(kIgnore); }\n",
    "service/rpc/README.md": "",
    "service/doors/README.md": "",
    "service/embed/README.md": "",
    "service/host/README.md": "",
    "service/host/host.h":
        '#include <grpcpp/grpcpp.h>\n#include "leasehold/v1/echo.pb.h"\n'
        '#include "lease/lease.h"\nenum class State { kOpen };\nclass Forward;\n'
        "template <class T> void f();\n",
    "service/echo/README.md": "",
    "service/storage/README.md": "",
    "service/dispatch/README.md": "",
    "service/orchestration/README.md": "",
    "service/echo/echo.cc":
        '#include "service/instance/context.h"\n// Not absl::Mutex, no absl::Now().\n',
    "client/README.md": "",
    "client/session/README.md": "",
    "client/worker/README.md": "",
    "client/cli/README.md": "",
    "client/testing/README.md": "",
    "client/testing/test_server.cc": '#include "service/orchestration/engine.h"\n',
    "client/session/session.cc":
        '#include "leasehold/v1/echo.pb.h"\n#include "client/wire/channel.h"\n'
        '#include "lease/base/view.h"\nauto now = absl::Now();\n',
    "client/examples/README.md": "",
    "client/examples/cpp/chain.cc": '#include "leasehold/client/worker/worker.h"\n',
    "tests/README.md": "",
    "tests/lease/lease_test.cc": '#include "service/host/host.h"\n',
    "tests/acceptance/wait_test.cc": "void f() { absl::SleepFor(d); }\n",
    "tests/fuzz/corpus/one": b"\xff\xfe",
}

# (rule that must find it, file, content, what the message must name)
PLANTED = [
    (check_arrows, "lease/bad.cc", '#include "service/echo/echo.h"\n',
     "it may include lease/base"),
    (check_arrows, "lease/base/bad.cc", '#include "lease/clock.h"\n',
     "no other room"),
    (check_arrows, "lease/bad.cc", "#include <grpcpp/server.h>\n",
     "translate in service/doors"),
    (check_arrows, "lease/bad.cc", '#include "leasehold/v1/echo.pb.h"\n',
     "lease may not include proto"),
    (check_arrows, "service/echo/bad.cc", '#include "../main.h"\n',
     "path from the root"),
    (check_arrows, "service/echo/bad.h",
     '#include "service/orchestration/engine.h"\n',
     "lease, lease/base, service/base, service/instance"),
    (check_arrows, "service/dispatch/bad.cc",
     '#include "service/orchestration/turn.h"\n',
     "service/dispatch may not include service/orchestration"),
    (check_arrows, "service/host/bad.cc", '#include "client/worker/worker.h"\n',
     "service/host may not include client/worker"),
    (check_arrows, "service/rpc/bad.cc",
     '#include "service/instance/instance_key.h"\n',
     "service/rpc may not include service/instance"),
    (check_arrows, "service/doors/bad.cc", '#include "service/host/console.h"\n',
     "service/doors may not include service/host"),
    (check_arrows, "service/doors/bad.cc", '#include "service/storage/store.h"\n',
     "service/doors may not include service/storage"),
    (check_arrows, "service/embed/bad.cc", '#include "service/host/console.h"\n',
     "service/embed may not include service/host"),
    (check_arrows, "client/session/bad.cc", '#include "lease/clock.h"\n',
     "client/session may not include lease"),
    (check_arrows, "client/session/bad.cc", '#include "tests/support/seed.h"\n',
     "client/session may not include tests"),
    (check_arrows, "client/session/bad.cc", '#include "client/worker/worker.h"\n',
     "client/session may not include client/worker"),
    (check_arrows, "client/session/bad.cc",
     '#include "leasehold/client/worker/worker.h"\n',
     "client/session may not include client/worker"),
    (check_arrows, "client/session/bad.cc", '#include "client/channel.h"\n',
     "client/session may not include client"),
    (check_arrows, "client/worker/bad.cc", '#include "service/orchestration/engine.h"\n',
     "client/worker may not include service/orchestration"),
    (check_arrows, "client/testing/bad.cc", '#include "service/host/host.h"\n',
     "client/testing may not include service/host"),
    (check_arrows, "client/cli/bad.cc",
     '#include "client/testing/test_environment.h"\n',
     "client/cli may not include client/testing"),
    (check_arrows, "client/examples/cpp/bad.cc", '#include "leasehold/lease/clock.h"\n',
     "client/examples may not include lease"),
    (check_clocks, "lease/bad.cc", "auto t = std::chrono::system_clock::now();\n",
     "leasehold::Clock"),
    (check_clocks, "service/main.cc", "auto t = absl::Now();\n", "leasehold::Clock"),
    (check_clocks, "tests/lease/bad_test.cc", "clock_gettime(CLOCK_MONOTONIC, &t);\n",
     "SimulatedClock"),
    (check_sleeps, "tests/lease/bad_test.cc",
     "std::this_thread::sleep_for(std::chrono::seconds(1));\n",
     "SimulatedClock::Advance"),
    (check_sleeps, "tests/instance/bad_test.cc", "absl::SleepFor(d);\n",
     "SimulatedClock::Advance"),
    (check_unfinished, "lease/bad.cc", "// FIX" "ME: later\n", "open an issue"),
    (check_unfinished, "dev", "# TO" "DO later\n", "open an issue"),
    (check_mutex, "service/echo/bad.h", "absl::Mutex mu_;\n", "lease/base/mutex.h"),
    (check_mutex, "client/bad.cc", "absl::MutexLock lock(&mu_);\n", "lease/base/mutex.h"),
    (check_top_level, "docs/guide.md", "", "top level"),
    (check_top_level, "notes.txt", "", "top level"),
    (check_readmes, "service/network/listen.cc", "", "half a page"),
    (check_thread_safety, "lease/bad.h",
     "// A lease.\n#ifndef BAD_H_\nclass ABSL_LOCKABLE Lease final\n"
     "    : public Base {\n};\n", "Thread-safety:"),
    (check_registries, "dev", "wget https://" + "pypi" + ".org/simple\n",
     "package manager's own configuration"),
    (check_json, "client/bad.cc", "auto j = nlohmann::json::parse(text);\n", "ParseJson"),
    (check_json, "client/bad.cc", "return value.dump();\n", "WriteJson"),
    (check_file_length, "lease/bad.cc", "int i;\n" * 601, "601 lines, at most 600"),
    (check_file_length, "tests/bad.py", "i = 1\n" * 601, "601 lines"),
    (check_function_length, "lease/bad.cc", "void f() {\n" + "  g();\n" * 69 + "}\n",
     "a function of 71 lines, at most 70"),
    (check_function_length, "tests/bad_test.cc",
     "TEST(A, B) {\n" + "  g();\n" * 69 + "}\n", "71 lines"),
    (check_function_length, "lease/bad.cc",
     "namespace n {\n\nstruct S {\n  int f() const\n      noexcept {\n" + "    g();\n" * 68
     + "  }\n};\n\n}  // namespace n\n", "71 lines"),
    (check_function_length, "lease/bad.cc",
     "S::S()\n    : a_(1),\n      b_([] { return 2; }) {\n" + "  g();\n" * 69 + "}\n",
     "71 lines"),
    (check_words, "service/storage/bad.cc", "RunRow row; InstanceNumber n;\n", "is a run"),
    (check_words, "service/embed/bad.cc", "SerialQueue q; TurnTimer timer;\n", "gives access"),
    (check_words, "service/dispatch/bad.cc", "void Take(Work& work);\n",
     "ended or set aside"),
    (check_machine_paths, "README.md", "cd /ho" "me/someone/leasehold\n",
     "root of the tree"),
]


def plant(root, files):
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def self_test():
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        plant(root, CLEAN)
        failures += [f"found in a clean tree: {message}" for _, message in check(root)]
    for rule, name, content, named in PLANTED:
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            plant(root, {**CLEAN, name: content})
            found = check(root)
        if len(found) != 1 or found[0][0] is not rule or named not in found[0][1]:
            failures.append(f"{rule.__name__} on {name} ({content!r}) wants one finding "
                            f"that names {named!r}, got {[m for _, m in found]}")
    for rule in RULES:
        if rule not in {planted[0] for planted in PLANTED}:
            failures.append(f"{rule.__name__}: no violation is planted for it")
    print("\n".join(failures) or f"all {len(PLANTED)} planted violations found")
    return 1 if failures else 0


def main(arguments):
    if arguments == ["--self-test"]:
        return self_test()
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    found = [message for _, message in check(pathlib.Path(arguments[0]).resolve())]
    print("\n".join(found) or "the house is in order")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
