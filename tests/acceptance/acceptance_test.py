#!/usr/bin/env python3
"""Checks what is promised, against the real programs. See README.md.

usage: acceptance_test.py --programs=FOLDER [MODULE | NUMBER]...

  acceptance_test.py --programs=build/release/bin            every check
  acceptance_test.py --programs=build/release/bin one_id     those of a module
  acceptance_test.py --programs=build/release/bin A3.2 A7    one, and all of A7
"""

import argparse
import importlib
import os
import sys

import harness

# In the order of their numbers: A1, A2, ...
MODULES = ("settings", "listening", "one_id", "headers", "wire", "lines", "ending",
           "command_line", "load", "readme", "reference", "instances",
           "instance_life", "streams", "instance_commands", "bounds", "languages",
           "machines", "descriptor", "durable_js", "orchestrations",
           "orchestration_management", "turns", "executions", "work", "broken_workers",
           "stores", "orchestration_commands", "orchestration_management_commands",
           "singletons", "orchestration_lists", "builtin_orchestrators", "durable_python", "raw_work", "raw_entities",
           "durable_go", "durable_java", "surprises", "durable_task_details", "flow",
           "network_edge", "exchange", "proxies", "memory", "doors", "entities",
           "entity_details", "hostile_entities", "entity_calls", "entity_locks",
           "encryption", "identity", "tenants", "limits", "client_tokens",
           "overload", "retention", "why", "http_listener", "http_access", "http_dashboard",
           "durable_functions_http", "durable_functions_js", "durable_functions_python",
            "traces", "metrics", "grafana", "metric_limits", "top", "strips",
           "backup", "terminal_screens")


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--programs", required=True)
    parser.add_argument("--clients", help="where leasehold and lease_storm are, if "
                        "not there")
    parser.add_argument("--without-builtin", action="store_true", help="servers have "
                        "no worker of their own: gRPC's client is not instrumented")
    parser.add_argument("chosen", nargs="*")
    arguments = parser.parse_args()
    harness.use_programs(arguments.programs, arguments.clients,
                         not arguments.without_builtin)

    missing = harness.missing_tools()
    if missing:
        print("\n".join(missing) + "\n`./dev test` installs and builds them",
              file=sys.stderr)
        return 1
    if os.path.realpath(sys.prefix) != os.path.realpath(harness.PYTHON.parent.parent):
        os.execv(harness.PYTHON, [str(harness.PYTHON), "-B", *sys.argv])

    sys.path.append(str(harness.ROOT / "tests/interop"))
    for module in MODULES:
        importlib.import_module(module)
    harness.check_numbering()
    checks = [c for c in harness.CHECKS if not arguments.chosen
              or any(c.body.__module__ == a or c.number == a
                     or c.number.startswith(a + ".") for a in arguments.chosen)]
    if not checks:
        print(f"no check is called {' '.join(arguments.chosen)}; the modules are "
              f"{' '.join(MODULES)}", file=sys.stderr)
        return 1
    failed, not_run = harness.run_checks(checks)
    return 1 if failed else harness.NOTHING_RUN if not_run == len(checks) else 0


if __name__ == "__main__":
    sys.exit(main())
