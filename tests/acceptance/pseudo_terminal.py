"""A program on a terminal of its own, and what the terminal shows.

`Screen` does what a terminal does with the little that `leasehold` writes: letters of
one and two columns, ends of lines, moves to the first row, clearing, colors, the
alternate screen. It knows the widths of letters from Python's Unicode database, so
that a mistake of the program's own table is seen.
"""

import contextlib
import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import unicodedata

import harness
from harness import expect, wait_until

# Escape sequences, and the single characters between them.
TOKENS = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])|(.)", re.S)


def width_of(character):
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


class Screen:
    """As many rows as are written; each is a list of cells, one a column."""

    def __init__(self, columns):
        self.columns = columns
        self.rows = [[]]
        self.row = self.column = 0
        self.color = ""
        self.colors = {}  # By (row, column) of a letter.
        self.wraps = True
        self.wrapped = []  # The rows that did not fit.
        self.alternate = False

    def write(self, text):
        for parameters, command, character in TOKENS.findall(text):
            if command:
                self.do(parameters, command)
            elif character == "\n":
                self.row += 1
                self.column = 0  # As the line discipline has it.
                while len(self.rows) <= self.row:
                    self.rows.append([])
            elif character == "\r":
                self.column = 0
            else:
                self.put(character)
        return self

    def do(self, parameters, command):
        if command == "m":
            self.color = "" if parameters in ("", "0") else parameters
        elif command == "H":
            self.row = self.column = 0
        elif command == "K":
            del self.rows[self.row][self.column:]
        elif command == "J":
            if parameters == "2":
                self.rows, self.row, self.column = [[]], 0, 0
            else:
                del self.rows[self.row][self.column:]
                del self.rows[self.row + 1:]
        elif (parameters, command) in (("?7", "h"), ("?7", "l")):
            self.wraps = command == "h"
        elif (parameters, command) in (("?1049", "h"), ("?1049", "l")):
            self.alternate = command == "h"
        else:
            expect(parameters == "?25", f"an escape sequence: {parameters}{command}")

    def put(self, character):
        width = width_of(character)
        cells = self.rows[self.row]
        if width == 0:
            if cells:
                cells[min(self.column, len(cells)) - 1] += character
            return
        if self.column + width > self.columns:
            self.wrapped.append(self.row)
            if not self.wraps:
                return
        cells.extend(" " * (self.column + width - len(cells)))
        cells[self.column:self.column + width] = [character] + [""] * (width - 1)
        self.colors[self.row, self.column] = self.color
        self.column += width

    def lines(self):
        return ["".join(cells).rstrip() for cells in self.rows]

    def text(self):
        return "\n".join(self.lines())

    def column_of(self, row, text):
        """In which column of the terminal `text` begins, or -1."""
        cells = self.rows[row]
        for column in range(len(cells)):
            if cells[column] and "".join(cells[column:]).startswith(text):
                return column
        return -1


class OnTerminal:
    """`leasehold …` on a terminal of that size.

    with OnTerminal("instances", "watch", columns=80) as shown: ...
    """

    def __init__(self, *args, columns=80, rows=24, env=None):
        self.columns = columns
        self.master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ,
                    struct.pack("HHHH", rows, columns, 0, 0))
        os.set_blocking(self.master, False)
        self.process = subprocess.Popen(
            [str(harness.clients / "leasehold"), *map(str, args)], stdin=self.slave,
            stdout=self.slave, stderr=self.slave, start_new_session=True,
            env={**harness.environment(), "TERM": "xterm", "NO_COLOR": "", **(env or {})})
        self.data = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)

    def written(self):
        """All that it has written so far."""
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self.master, 1 << 16):
                self.data += data
        return self.data.decode(errors="ignore")

    def screen(self):
        """What is there when a picture is complete."""
        text = self.written()
        end = text.rfind("\x1b[J\x1b[?7h")
        return Screen(self.columns).write(text if end < 0 else text[:end + 8])

    def await_screen(self, what, wanted):
        """The screen, once `wanted(screen)` is true of it."""
        def found():
            screen = self.screen()
            expect(self.process.poll() is None, f"it ended: {screen.text()}")
            return screen if wanted(screen) else None
        return wait_until(found, lambda: f"{what}: {self.screen().text()}")

    def type(self, keys):
        os.write(self.master, keys.encode())

    def end(self):
        """Its exit code, once it has ended; all that it has written is read."""
        wait_until(lambda: (self.written(), self.process.poll() is not None)[1], "its end")
        self.written()
        return self.process.returncode


def shown(*args, columns=80, code=0, env=None):
    """The screen that a command leaves, which ends with this exit code."""
    with OnTerminal(*args, columns=columns, rows=200, env=env) as terminal:
        ended = terminal.end()
        screen = Screen(columns).write(terminal.written())
        expect(ended == code, f"exit code {ended} of {args}: {screen.text()}")
        return screen
