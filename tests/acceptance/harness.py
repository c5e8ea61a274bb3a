"""What the checks stand on: numbering, processes, waiting.

A module lists its checks in order:

    @check("A3.1 a call names its instance with one header")
    def _():
        with Server() as server:
            answer = server.connect().echo("room-1")
            equal(answer.code, OK)

A check that returns has passed. Every process that is started here has a time
limit, and ends with the test whatever happens.
"""

import atexit
import ctypes
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
GRPCURL = ROOT / "build/tools/bin/grpcurl-1.8.9"
PYTHON = ROOT / "build/tools/python/bin/python"
REQUIREMENTS = pathlib.Path(__file__).resolve().parent / "requirements.txt"
# For the checks of traces; it is there if the rest is.
OPENTELEMETRY = ROOT / "build/tools/opentelemetry"

# For what hangs, not for what is slow: a sanitizer on a busy machine is in time.
PATIENCE_S = 60

# The exit code if none of the checks could be run: ctest says "Skipped".
NOTHING_RUN = 77

# gRPC's codes by number, as grpc-status has them.
CODES = (
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED",
    "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL",
    "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED")

# How `leasehold` ends if a call failed; with any other code than these, with 1.
EXIT_CODES = {"NOT_FOUND": 3, "UNAVAILABLE": 4}

UUID = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


# ---- Checks -----------------------------------------------------------------

class Failed(AssertionError):
    """A promise that is not kept."""


def expect(condition, message):
    if not condition:
        raise Failed(message)


def equal(got, wanted, what="value"):
    expect(got == wanted, f"{what}: wanted {wanted!r}, got {got!r}")


def contains(text, *parts):
    for part in parts:
        expect(part in text, f"wanted {part!r} in {text!r}")


class NotRun(Exception):
    """What would be checked was not chosen: nothing has passed and nothing failed."""


class Check:
    def __init__(self, number, sentence, body):
        self.number, self.sentence, self.body = number, sentence, body


CHECKS = []


def check(numbered_sentence):
    number, sentence = numbered_sentence.split(" ", 1)

    def register(body):
        CHECKS.append(Check(number, sentence, body))
        return body
    return register


def check_numbering():
    """Numbers stand in order, without gap or double: a gap is a lost check."""
    wanted = {}
    for c in CHECKS:
        found = re.fullmatch(r"A(\d+)\.(\d+)", c.number)
        if not found:
            raise SystemExit(f"{c.number!r} is not a number such as A3.12")
        module, place = map(int, found.groups())
        if place != wanted.setdefault(module, 1):
            raise SystemExit(f"{c.number} stands where A{module}.{wanted[module]} "
                             "should")
        wanted[module] += 1


def run_checks(checks):
    """Runs them, a line each: (how many failed, how many were not run)."""
    failed, not_run = [], []
    for c in checks:
        start = time.monotonic()
        try:
            c.body()
        except NotRun as reason:
            not_run.append(c)
            print(f"{c.number} not run  {c.sentence}: {reason}")
        except Exception as error:  # Whatever it is, the others are still run.
            failed.append(c)
            print(f"{c.number} FAILED  {c.sentence}")
            if not isinstance(error, Failed):
                traceback.print_exc(file=sys.stdout)
            else:
                where = traceback.extract_tb(error.__traceback__)
                line = next(f.lineno for f in reversed(where)
                            if f.filename != __file__)
                print(f"    line {line}: {error}")
        else:
            print(f"{c.number} ok  {c.sentence}  ({time.monotonic() - start:.1f} s)")
        sys.stdout.flush()
    print(f"{len(checks) - len(failed) - len(not_run)} of {len(checks)} checks passed"
          + (f", {len(not_run)} not run" if not_run else "")
          + "".join(f", {c.number} FAILED" for c in failed))
    return len(failed), len(not_run)


# ---- Waiting ----------------------------------------------------------------

def wait_until(condition, what, patience_s=None):
    """Polls until `condition()` is true, and gives what it gave.

    `what`: a text, or a function that gives it, asked once it has been waited in vain.
    """
    patience_s = patience_s or PATIENCE_S
    end = time.monotonic() + patience_s
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() >= end:
            raise Failed(f"waited {patience_s} s for {what() if callable(what) else what}")
        time.sleep(0.01)


# ---- Processes --------------------------------------------------------------

programs = None  # Where leasehold-server is.
clients = None  # Where leasehold and lease_storm are.
builtin = True  # Whether servers have their built-in worker.


def use_programs(folder, clients_folder=None, with_builtin=True):
    global programs, clients, builtin
    programs = pathlib.Path(folder).resolve()
    clients = pathlib.Path(clients_folder or folder).resolve()
    builtin = with_builtin


def missing_tools():
    """What must be there but is not, a sentence each."""
    missing = []
    if not GRPCURL.is_file():
        missing.append(f"the tool grpcurl is missing: {GRPCURL.relative_to(ROOT)}")
    installed = PYTHON.parent.parent / "requirements.txt"
    if not PYTHON.is_file():
        missing.append(f"the tool python is missing: {PYTHON.relative_to(ROOT)}")
    elif (not installed.is_file()
          or installed.read_bytes() != REQUIREMENTS.read_bytes()):
        missing.append("the packages of build/tools/python are not those of "
                       f"{REQUIREMENTS.relative_to(ROOT)}")
    for folder, name in ((programs, "leasehold-server"), (clients, "leasehold"),
                         (clients, "lease_storm")):
        if folder and not (folder / name).is_file():
            missing.append(f"the program {name} is missing in {folder}")
    return missing


def environment(extra=None, args=()):
    """The caller's environment without settings of ours, and `extra`.

    Servers that run side by side cannot share the default data directory: one
    whose `args` name none has its store in memory. No check depends on how fast the
    machine is: calls are refused in an overload only where `args` say so.
    """
    extra = {"LEASEHOLD_OVERLOAD_DELAY": "0", **(extra or {})}
    if not any(str(a).startswith("--data") for a in args):
        extra = {"LEASEHOLD_STORE": "memory", **(extra or {})}
    # Nor the default port for HTTP.
    if not any(str(a).startswith("--http-listen") for a in args):
        extra = {"LEASEHOLD_HTTP_LISTEN": "off", **(extra or {})}
    if not builtin:
        extra = {"LEASEHOLD_BUILTIN": "off", **(extra or {})}
    clean = {k: v for k, v in os.environ.items()
             if not k.startswith(("LEASEHOLD_", "OTEL_")) and not k.endswith("_proxy")}
    suppressions = pathlib.Path(__file__).resolve().parent / "lsan.supp"
    return {"LSAN_OPTIONS": f"suppressions={suppressions}:print_suppressions=0",
            **clean, **(extra or {})}


LIBC = ctypes.CDLL(None)


def die_with_parent():
    LIBC.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Result:
    """How a program ended."""

    def __init__(self, args, code, out, err):
        self.args, self.code, self.out, self.err = args, code, out, err

    def __repr__(self):
        return (f"{' '.join(map(str, self.args))}: exit code {self.code}, "
                f"standard output {self.out!r}, standard error {self.err!r}")


def run(*args, env=None, stdin=None, timeout=PATIENCE_S):
    """Runs a program to its end."""
    process = subprocess.Popen(
        [str(a) for a in args], env=environment(env, args), text=True,
        stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=die_with_parent,
        process_group=0)
    try:
        out, err = process.communicate(stdin, timeout=timeout)
    except subprocess.TimeoutExpired:
        # With what it has started, which may have its standard output open.
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        raise Failed(f"did not end in {timeout} s: "
                     f"{Result(args, None, out, err)}") from None
    return Result(args, process.returncode, out, err)


def grpcurl(*args, **kwargs):
    return run(GRPCURL, "-plaintext", "-max-time", PATIENCE_S, *args, **kwargs)


def leasehold(*args, **kwargs):
    return run(clients / "leasehold", *args, **kwargs)


def lease_storm(*args, **kwargs):
    """A load; its findings as {name: number}."""
    result = run(clients / "lease_storm", *args, timeout=4 * PATIENCE_S, **kwargs)
    equal(result.code, 0, f"exit code of {result}")
    return {name: int(value) for name, value in
            re.findall(r"^(\w+)=(\d+)$", result.out, re.M)}


def refused(*flags, env=None, names=()):
    """The server does not start: one line on standard error, exit code 2."""
    result = run(programs / "leasehold-server", *flags, env=env)
    equal(result.code, 2, f"exit code of {result}")
    equal(result.out, "", f"standard output of {result}")
    lines = result.err.splitlines()
    equal(len(lines), 1, f"lines of standard error of {result}")
    contains(lines[0], "leasehold-server: ", *names)
    return lines[0]


class Program:
    """A program that runs until it ends or the check does.

    with Program(GRPCURL, ...) as program: ...
    """

    running = []

    def __init__(self, *args, env=None, stdin=subprocess.DEVNULL,
                 stdout=subprocess.PIPE):
        self.args = [str(a) for a in args]
        self.env = environment(env, self.args)
        self.stdin, self.stdout = stdin, stdout
        self.lines = {"out": [], "err": []}

    def __enter__(self):
        self.process = subprocess.Popen(
            self.args, env=self.env, text=True, errors="replace",
            stdin=self.stdin, stdout=self.stdout, stderr=subprocess.PIPE,
            preexec_fn=die_with_parent)
        Program.running.append(self)
        self.readers = [
            threading.Thread(target=self._read, args=(pipe, self.lines[name]))
            for name, pipe in (("out", self.process.stdout),
                               ("err", self.process.stderr)) if pipe]
        for reader in self.readers:
            reader.start()
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for reader in self.readers:
            reader.join()
        for pipe in (self.process.stdin, self.process.stdout,
                     self.process.stderr):
            if pipe and not pipe.closed:
                pipe.close()
        Program.running.remove(self)

    @staticmethod
    def _read(pipe, lines):
        for line in pipe:
            lines.append(line.rstrip("\n"))

    @property
    def pid(self):
        return self.process.pid

    @property
    def out(self):
        return list(self.lines["out"])

    @property
    def err(self):
        return list(self.lines["err"])

    def await_line(self, stream, text, patience_s=None):
        """The first line with `text` on `out` or `err`, once it is there."""
        def found():
            ended = Program.ended(self)  # Before looking: it may end just then.
            line = next((x for x in list(self.lines[stream]) if text in x), None)
            expect(line or not ended,
                   f"{self.args[0]} ended (exit code {self.process.poll()}) "
                   f"without {text!r} on {stream}: {self.out + self.err}")
            return line
        return wait_until(found, f"{text!r} on {stream}", patience_s)

    def say(self, text):
        """Writes to its standard input, which is a pipe."""
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def send_signal(self, number):
        self.process.send_signal(number)

    def ended(self):
        """Whether it has ended, and all that it said is there."""
        return (self.process.poll() is not None
                and not any(reader.is_alive() for reader in self.readers))

    def wait(self):
        """Its exit code, once it has ended and all that it said is there."""
        wait_until(self.ended, f"{self.args[0]} to end: {self.err[-3:]}")
        return self.process.returncode

    def end(self, number=signal.SIGTERM):
        self.send_signal(number)
        return self.wait()


class Server(Program):
    """A server process on a port of its own.

    with Server("--idle-timeout=50ms") as server: ...
    """

    def __init__(self, *flags, env=None, listen=("127.0.0.1:0",),
                 print_address=True, under=()):
        """`under`: a program that runs it, as `prlimit --nofile=256`."""
        super().__init__(
            *under, programs / "leasehold-server",
            *(f"--listen={address}" for address in listen),
            *(["--print-address"] if print_address else []), *flags, env=env)
        self.await_address = print_address
        self.connections = []

    def __enter__(self):
        super().__enter__()
        try:
            self.await_line("err", "listening")
            if self.await_address:
                self.await_line("out", "address=")
        except Failed:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for connection in self.connections:
            connection.close()
        super().__exit__()

    def addresses(self):
        wanted = len([a for a in self.args if a.startswith("--listen=")])
        wait_until(lambda: sum(x.startswith("address=") for x in self.out)
                   >= wanted, "an address for each listener")
        return [x.removeprefix("address=") for x in self.out
                if x.startswith("address=")]

    @property
    def address(self):
        return self.addresses()[0]

    @property
    def http_address(self):
        """Where it serves HTTP, as `http://127.0.0.1:4002`."""
        line = self.await_line("err", "http_listening")
        return re.search(r"http_listening.*?\b(https?://[^\s\"]+)", line).group(1)

    def connect(self, **options):
        """A raw HTTP/2 connection (raw_http2.py)."""
        from raw_http2 import Connection
        connection = Connection(self.address, **options)
        self.connections.append(connection)
        return connection

    def ended(self):
        # A server that ends asks its clients to confirm; ours do.
        for connection in self.connections:
            connection.receive_for(0.001)
        return super().ended()

    def lives(self):
        """It still answers, and a context is as it should be."""
        expect(self.process.poll() is None,
               f"the server ended: exit code {self.process.poll()}, {self.err}")
        answer = self.connect().echo(text="still there?")
        equal(answer.code, "OK", f"code of {answer}")
        equal(answer.sequence, 1, "sequence of a fresh instance")


def measured_server(*flags):
    """A server whose memory is looked at."""
    # AddressSanitizer keeps what was freed for a while: here, less of it.
    options = f"{os.environ.get('ASAN_OPTIONS', '')}:quarantine_size_mb=2"
    return Server(*flags, env={"ASAN_OPTIONS": options})


def needs_bounds(server):
    """Gives up what is checked where the server has no bounds for floods."""
    server.await_line("err", "worker_connected")  # It has said by then.
    if any("flood_bounds_off" in line for line in server.err):
        raise NotRun("the server is not linked with gRPC's static archive")


@atexit.register
def _kill_all():
    for program in list(Program.running):
        program.process.kill()


def temporary_folder():
    """A folder with a short path, as a Unix socket's may have 107 bytes."""
    return tempfile.TemporaryDirectory(prefix="lh-", dir="/tmp")
