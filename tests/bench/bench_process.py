"""The processes that are measured, and what Linux says of them."""

import contextlib
import json
import os
import pathlib
import re
import resource
import subprocess
import tempfile
import time

PATIENCE_S = 120

programs = None  # Where they are.
against = None  # Where those of another build are, if there is one to compare with.


def program(name):
    return programs / name


class Server:
    """A server that says `address=` once it serves; ended with SIGTERM or killed."""

    def __init__(self, *command):
        # Not a pipe: one that nobody reads makes a server wait.
        self.said = tempfile.TemporaryFile("w+")
        begin = time.monotonic()
        self.process = subprocess.Popen(
            [str(part) for part in command], text=True, stdout=subprocess.PIPE,
            stderr=self.said,
            # Nothing is refused on a slow machine, but where the command says so.
            env={**os.environ, "LEASEHOLD_OVERLOAD_DELAY": "0"})
        line = self.process.stdout.readline()
        self.start_s = time.monotonic() - begin
        if not line.startswith("address="):
            raise SystemExit(f"bench: {command[0]} does not serve: {self.end()}")
        self.address = line.removeprefix("address=").strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    @property
    def pid(self):
        return self.process.pid

    def cpu_s(self):
        """Seconds of CPU that its threads have had, to the nanosecond."""
        total = 0
        for task in pathlib.Path(f"/proc/{self.pid}/task").iterdir():
            with contextlib.suppress(FileNotFoundError):
                total += int((task / "schedstat").read_text().split()[0])
        return total / 1e9

    def context_switches(self):
        """How often its threads have waited, or were made to."""
        total = 0
        for task in pathlib.Path(f"/proc/{self.pid}/task").iterdir():
            with contextlib.suppress(FileNotFoundError):
                total += sum(map(int, re.findall(
                    r"voluntary_ctxt_switches:\s+(\d+)", (task / "status").read_text())))
        return total

    def memory_bytes(self):
        """Resident memory that is its own: no file's."""
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"RssAnon:\s+(\d+) kB", status)[1]) * 1024

    def end(self):
        """Ends it; its standard error."""
        self.process.terminate()
        self.process.wait(PATIENCE_S)
        self.process.stdout.close()
        with self.said:
            self.said.seek(0)
            return self.said.read()

    def kill(self):
        """At once, if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()
            self.said.close()


def run(*command):
    """What a program prints."""
    done = subprocess.run([str(part) for part in command], capture_output=True,
                          text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"bench: {command[0]}: {done.stderr}")
    return done.stdout


def run_json(*command):
    """What a program prints: a value for each line of JSON."""
    return [json.loads(line) for line in run(*command).splitlines()]


def children_cpu_s():
    """Seconds of CPU that processes which have ended took."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
