#!/usr/bin/env python3
"""The same seed gives the same histories in every process, another seed others.

usage: same_seed_test.py SEED_REPORT
"""

import subprocess
import sys


def report(program, seed):
    return subprocess.run([program, str(seed)], check=True, stdout=subprocess.PIPE,
                          text=True, timeout=120).stdout


def main():
    program = sys.argv[1]
    seen = set()
    for seed in range(1, 6):
        first, again = report(program, seed), report(program, seed)
        if first != again:
            sys.exit(f"seed {seed} gave these histories:\n{first}\nand then these:\n{again}")
        if '"Race" was started' not in first:
            sys.exit(f"seed {seed} gave no history:\n{first}")
        seen.add(first)
    if len(seen) < 5:
        sys.exit(f"5 seeds gave only {len(seen)} different histories")
    print("ok  the same seed gives the same histories")
    return 0


if __name__ == "__main__":
    sys.exit(main())
