"""A1: flags, environment, config file, and what is said of wrong ones."""

import pathlib
import re

import harness
from harness import (Server, check, contains, equal, expect, refused, run,
                     temporary_folder)

# Every setting: its default and its unit or form, as --help shows them, and a
# value that it must refuse.
SETTINGS = {
    "listen": ("127.0.0.1:4001 and [::1]:4001", "HOST:PORT|unix:PATH", "nowhere"),
    "insecure": ("off", "", "perhaps"),
    "print-address": ("off", "", "perhaps"),
    "idle-timeout": ("20s", "DURATION", "20"),
    "min-idle-timeout": ("10ms", "DURATION", "-1s"),
    "max-idle-timeout": ("24h", "DURATION", "soon"),
    "instance-header": ("instance-id", "NAME", "Instance ID"),
    "max-contexts": ("1000000", "N", "many"),
    "evict-idle": ("on", "", "perhaps"),
    "detach-timeout": ("5s", "DURATION", "0s"),
    "open-timeout": ("30s", "DURATION", "0s"),
    "console": ("off", "", "perhaps"),
    "log-format": ("text", "text|json", "xml"),
    "drain-timeout": ("30s", "DURATION", "0s"),
    "heartbeat-interval": ("20s", "DURATION", "0s"),
    "queue-threads": ("", "N", "0"),  # The default is the machine's.
    "user-threads": ("4", "N", "257"),
    "overload-delay": ("50ms", "DURATION", "50"),
    "max-connections": ("10000", "N", "0"),
    "max-connections-per-address": ("1000", "N", "some"),
    "proxy-protocol": ("", "ADDRESS/PREFIX,...", "10.0.0.1/8"),
    "unix-socket-mode": ("0600", "MODE", "0900"),
    "max-resets": ("500", "N", "0"),
    "max-resets-per-second": ("200", "N", "-1"),
    "keepalive-time": ("30s", "DURATION", "0s"),
    "keepalive-timeout": ("10s", "DURATION", "10"),
    "compression": ("off", "", "gzip"),
    "max-connection-bytes": ("67108864", "N", "0"),
    "max-total-bytes": ("536870912", "N", "lots"),
    "memory-limit": ("75%", "SIZE|PERCENT", "lots"),
    "data": ("leasehold-data", "DIR", "-x"),
    "store": ("sqlite", "sqlite|memory", "disk"),
    "max-payload": ("16777216", "N", "0"),
    "max-inbox-bytes": ("268435456", "N", "0"),
    "max-deliveries": ("10", "N", "0"),
    "turn-timeout-on-worker": ("1m", "DURATION", "60"),
    "activity-timeout": ("0", "DURATION", "-1s"),
    "unknown-work": ("wait", "wait|fail", "drop"),
    "entity-lock-timeout": ("0", "DURATION", "10"),
    "max-history-events": ("100000", "N", "none"),
    "allow-hub-wipe": ("off", "", "perhaps"),
    "builtin": ("on", "", "perhaps"),
    "http-listen": ("127.0.0.1:4002", "HOST:PORT|unix:PATH|off", "nowhere"),
    "http-public-url": ("", "URL", "lease.example"),
    "http-assets": ("", "DIR", "-x"),
    "http-host": ("", "NAME,...", "lease.example:80"),
    "otlp-endpoint": ("", "URL|off", "localhost:4317"),
}

# Three sets of values, so that one can see where a value came from.
FLAGS = {"idle-timeout": "13s", "min-idle-timeout": "3s", "max-idle-timeout": "3m",
         "instance-header": "flag-id", "max-contexts": "4", "console": "on",
         "log-format": "json", "drain-timeout": "7s"}
FILE = {"idle-timeout": "12s", "min-idle-timeout": "2s", "max-idle-timeout": "2m",
        "instance-header": "file-id", "max-contexts": "3", "console": "off",
        "log-format": "text", "drain-timeout": "6s"}
ENVIRONMENT = {"idle-timeout": "11s", "min-idle-timeout": "1s",
               "max-idle-timeout": "1m", "instance-header": "env-id",
               "max-contexts": "2", "console": "on", "log-format": "json",
               "drain-timeout": "5s"}


def variable(name):
    return "LEASEHOLD_" + name.upper().replace("-", "_")


def as_flags(values):
    return [f"--{name}={value}" for name, value in values.items()]


def as_environment(values):
    return {variable(name): value for name, value in values.items()}


def write(folder, text):
    path = pathlib.Path(folder) / "server.conf"
    path.write_text(text)
    return path


def as_file(folder, values):
    return write(folder, "".join(f'{n} = "{v}"\n' for n, v in values.items()))


def timeout_of(server, *headers):
    """The idle timeout that a new context gets, as the settings are written."""
    answer = server.connect().echo(headers=headers)
    seconds = int(answer.header("instance-idle-timeout-ms")) // 1000
    return f"{seconds}s" if seconds < 60 else f"{seconds // 60}m"


def contexts_of(server):
    """How many contexts may be busy at once."""
    connection = server.connect()
    for count in range(100):
        number = connection.occupy()
        if not connection.in_flight(number):
            equal(connection.finish(number).code, "RESOURCE_EXHAUSTED", "code")
            connection.close()
            return str(count)
    return "no bound"


def effective(*flags, env=None):
    """The settings that a server has with these flags, as seen from outside."""
    seen = {}
    with Server(*flags, env=env) as server:
        seen["max-contexts"] = contexts_of(server)
        server.end()
        seen["console"] = ("on" if any("context created" in line
                                       for line in server.out) else "off")
        draining = server.await_line("err", "draining")
        seen["log-format"] = "json" if draining.startswith("{") else "text"
        seen["drain-timeout"] = re.search(r'timeout"?[=:]"?(\w+)',
                                          draining).group(1)
    with Server(*flags, env=env) as server:
        answer = server.connect().echo()
        seen["instance-header"] = next(name for name, value in answer.headers
                                       if harness.UUID.fullmatch(value))
        seen["idle-timeout"] = str(
            int(answer.header("instance-idle-timeout-ms")) // 1000) + "s"
        seen["min-idle-timeout"] = timeout_of(
            server, ("instance-idle-timeout", "1ms"))
    # Each context takes one of the few places that there may be.
    with Server(*flags, env=env) as server:
        seen["max-idle-timeout"] = timeout_of(
            server, ("instance-idle-timeout", "999h"))
    return seen


@check("A1.1 --help shows every setting with its default and unit")
def _():
    result = run(harness.programs / "leasehold-server", "--help")
    equal(result.code, 0, f"exit code of {result}")
    text = re.sub(r"\s+", " ", result.out)
    options = text[text.index("Options:"):]
    for name, (default, unit, _) in SETTINGS.items():
        part = re.search(rf" --{name}\b.*?(?= --|$)", options)
        expect(part, f"--help has no --{name}")
        contains(part.group(0), default, unit)
    contains(text, "--config FILE", "ns, us, ms, s, m, h")


@check("A1.2 --version prints name and version")
def _():
    result = run(harness.programs / "leasehold-server", "--version")
    equal(result.code, 0, f"exit code of {result}")
    expect(re.fullmatch(r"leasehold-server \d+\.\d+\.\d+\n", result.out),
           f"version: {result.out!r}")


@check("A1.3 each setting works as a flag")
def _():
    equal(effective(*as_flags(FLAGS)), FLAGS, "settings")


@check("A1.4 each setting works as an environment variable")
def _():
    equal(effective(env=as_environment(ENVIRONMENT)), ENVIRONMENT, "settings")


@check("A1.5 each setting works in the config file")
def _():
    with temporary_folder() as folder:
        equal(effective(f"--config={as_file(folder, FILE)}"), FILE, "settings")


@check("A1.6 the environment comes before the config file, setting by setting")
def _():
    some = {name: ENVIRONMENT[name] for name in list(ENVIRONMENT)[::2]}
    with temporary_folder() as folder:
        equal(effective(f"--config={as_file(folder, FILE)}",
                        env=as_environment(some)), {**FILE, **some}, "settings")


@check("A1.7 a flag comes before the environment and the config file")
def _():
    with temporary_folder() as folder:
        equal(effective(f"--config={as_file(folder, FILE)}", *as_flags(FLAGS),
                        env=as_environment(ENVIRONMENT)), FLAGS, "settings")


@check("A1.8 LEASEHOLD_CONFIG names the config file")
def _():
    with temporary_folder() as folder:
        path = as_file(folder, {"idle-timeout": "12s"})
        with Server(env={"LEASEHOLD_CONFIG": str(path)}) as server:
            equal(timeout_of(server), "12s", "idle timeout")


@check("A1.9 listeners and switches come from the file and the environment too")
def _():
    with temporary_folder() as folder:
        path = write(folder, f'listen = ["127.0.0.1:0", "unix:{folder}/a.sock"]\n'
                             "# A comment.\nprint-address = on\n")
        with Server(f"--config={path}", listen=(), print_address=False) as server:
            server.await_line("out", f"address=unix:{folder}/a.sock")
            server.await_line("out", "address=127.0.0.1:")
        with Server(listen=(), print_address=False, env={
                "LEASEHOLD_LISTEN": f"127.0.0.1:0,unix:{folder}/b.sock,0.0.0.0:0",
                "LEASEHOLD_PRINT_ADDRESS": "1",
                "LEASEHOLD_INSECURE": "true"}) as server:
            for address in ("127.0.0.1:", f"unix:{folder}/b.sock", "0.0.0.0:"):
                server.await_line("out", f"address={address}")


@check("A1.10 the numbers of threads can be set")
def _():
    for name in ("queue-threads", "user-threads"):
        with Server(f"--{name}=3") as server:
            equal(server.connect().echo().code, "OK", f"--{name}=3")


@check("A1.11 an empty environment variable counts as unset")
def _():
    with Server(env=as_environment({n: "" for n in FLAGS})) as server:
        equal(timeout_of(server), "20s", "idle timeout")


@check("A1.12 a bad value of any flag ends with exit code 2 and one line")
def _():
    for name, (_, _, bad) in SETTINGS.items():
        refused(f"--{name}={bad}", names=(f"--{name}", f'"{bad}"'))


@check("A1.13 a bad value of any environment variable does, too")
def _():
    for name, (_, _, bad) in SETTINGS.items():
        refused(env={variable(name): bad}, names=(variable(name), f'"{bad}"'))


@check("A1.14 a bad value in the config file does, too: file, setting, value")
def _():
    with temporary_folder() as folder:
        for name, (_, _, bad) in SETTINGS.items():
            path = as_file(folder, {name: bad})
            # What the environment says would count before the file.
            refused(f"--config={path}",
                    env={"LEASEHOLD_STORE": "", "LEASEHOLD_HTTP_LISTEN": "",
                         "LEASEHOLD_OVERLOAD_DELAY": ""},
                    names=(str(path), name, f'"{bad}"'))


@check("A1.15 what is said of a bad value says what is right")
def _():
    refused("--idle-timeout=soon", names=("500ms", "20s"))
    refused("--max-contexts=many", names=("whole number", "1 to"))
    refused("--log-format=xml", names=("text or json",))
    refused("--console=perhaps", names=("on or off",))
    refused("--instance-header=A b", names=("a-z", "0-9"))
    refused("--instance-header=room-bin", names=("-bin",))
    refused("--instance-header=grpc-timeout", names=("already has a meaning",))
    refused("--listen=nowhere", names=("HOST:PORT or unix:PATH",))


@check("A1.16 an unknown flag, a stray word, a flag without value: exit code 2")
def _():
    refused("--idle-time=20s", names=("--idle-time", "--help"))
    refused("-x", names=("-x",))
    refused("serve", names=("serve",))
    refused("--idle-timeout", names=("--idle-timeout",))
    refused("--idle-timeout=1\n2", names=("--idle-timeout",))
    refused("--listen=a\nb", names=("--listen",))
    refused("--no\nflag", names=("flag",))


@check("A1.17 a config file that cannot be read ends with exit code 2 and one line")
def _():
    with temporary_folder() as folder:
        refused(f"--config={folder}/none", names=(f"{folder}/none", "cannot read"))
        refused(f"--config={folder}", names=(folder, "cannot read"))
        refused("--config=/dev/zero", names=("/dev/zero", "larger than 1 MiB"))
        refused(env={"LEASEHOLD_CONFIG": f"{folder}/none"},
                names=(f"{folder}/none", "cannot read"))


@check("A1.18 an unknown setting in the config file is named, and so is a section")
def _():
    with temporary_folder() as folder:
        path = write(folder, 'idle-time = "20s"\n')
        refused(f"--config={path}", names=(str(path), "idle-time", "--help"))
        path = write(folder, '[server]\nidle-timeout = "20s"\n')
        contains(refused(f"--config={path}", names=(str(path),)), '"server')
        expect("++" not in refused(f"--config={path}"),
               "names its parser's mark, not what stands in the file")
        path = write(folder, "not a setting at all\n")
        refused(f"--config={path}", names=(str(path), "not a setting at all"))


@check("A1.19 timeouts that contradict each other end with exit code 2 and one line")
def _():
    refused("--min-idle-timeout=1h", "--max-idle-timeout=1m",
            names=("--min-idle-timeout=1h", "--max-idle-timeout=1m"))
    refused("--idle-timeout=1ms",
            names=("--idle-timeout=1ms", "--min-idle-timeout=10ms"))
    refused("--idle-timeout=48h",
            names=("--idle-timeout=48h", "--max-idle-timeout=24h"))
