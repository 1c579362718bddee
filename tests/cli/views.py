# SPDX-License-Identifier: MIT
"""What the tests of the commands that show tables share: profiles of the program of the manual, profiles made by hand, and a
terminal."""
import fcntl
import gzip
import json
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time

from harness import paths
from harness.case import Case
from hazards.toolbox import compile

TYPES = ("alloc_objects", "alloc_space", "inuse_objects", "inuse_space")
Z95 = 1.959963985


# Profiles made by hand.

def varint(number):
    number &= (1 << 64) - 1
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


class ProfileMaker:
    """A profile of stacks of function names, leaf first: make(path, {("leaf", "main"): (1, 2, 3, 4)}).
    labels: stack -> (key, text)"""
    def __init__(self):
        self.strings = {"": 0}

    def text(self, text):
        return self.strings.setdefault(text, len(self.strings))

    def make(self, path, stacks, variances=None, types=TYPES, comments=(), default_type="inuse_space", time_ns=0,
             labels=None, period=0):
        names = list(dict.fromkeys(name for stack in stacks for name in stack))
        number = {name: i + 1 for i, name in enumerate(names)}
        out = b""
        for name in types:
            out += field(1, field(1, self.text(name)) + field(2, self.text("bytes" if name.endswith("space") else "count")))
        for stack, values in stacks.items():
            sample = field(1, b"".join(varint(number[name]) for name in stack)) + field(2, b"".join(map(varint, values)))
            if labels and stack in labels:
                key, value = labels[stack]
                sample += field(3, field(1, self.text(key)) + field(2, self.text(value)))
            if variances:
                sample += field(61001, struct.pack(f"<{len(types)}f", *variances[stack]))
            out += field(2, sample)
        out += field(3, field(1, 1) + field(2, 0x1000) + field(3, 1 << 40) + field(5, self.text("/usr/bin/made")) + field(7, 1))
        for name in names:
            line = field(4, field(1, number[name]))
            out += field(4, field(1, number[name]) + field(2, 1) + field(3, 0x1000 + 16 * number[name]) + line)
            out += field(5, field(1, number[name]) + field(2, self.text(name)) + field(3, self.text(name)))
        comments = [self.text(f"# heapprof {key}: {value}") for key, value in comments]
        default_type = self.text(default_type)
        out += b"".join(field(6, text.encode("utf-8", "surrogateescape")) for text in self.strings)
        out += field(9, time_ns) + field(12, period) + field(13, b"".join(map(varint, comments))) + field(14, default_type)
        path.write_bytes(gzip.compress(out))
        return path


def in_our_order(rows):
    """Names of pprof's rows, name -> (flat, cum, ...): those with nothing of their own, which it leaves by name, go by cum."""
    return sorted(rows, key=lambda name: (rows[name][0] == 0, -rows[name][1] if rows[name][0] == 0 else 0))


# A terminal.

class Terminal:
    """The command on a terminal of its own. Kill it with `with`."""
    def __init__(self, case, *arguments, rows=24, columns=100, **variables):
        self.case, self.text = case, ""
        self.main, side = pty.openpty()
        self.resize(rows, columns)
        self.before = termios.tcgetattr(side)
        environment = case.tool_environment(**{"TERM": "xterm", **variables})
        self.process = subprocess.Popen([str(paths.TOOL), *map(str, arguments)], stdin=side, stdout=side, stderr=side,
                                        env=environment, cwd=case.out_dir, start_new_session=True,
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        self.side = side

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self.main)
        os.close(self.side)

    def resize(self, rows, columns):
        fcntl.ioctl(self.main, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, keys):
        os.write(self.main, keys.encode())

    def read(self):
        if select.select([self.main], [], [], 0.05)[0]:
            try:
                self.text += os.read(self.main, 1 << 16).decode(errors="replace")
            except OSError:  # nobody has it open any more
                pass

    def expect(self, pattern, seconds=30):
        """Waits for what the pattern matches, and forgets everything up to there."""
        end = time.monotonic() + seconds
        while not (match := re.search(pattern, self.text)):
            if time.monotonic() > end:
                self.case.fail(f"{pattern!r} is not on the terminal after {seconds} s; there is {self.text!r}")
            self.read()
        self.text = self.text[match.end():]
        return match

    def screen(self, pattern="", seconds=30):
        """The lines of the next drawing that the pattern matches."""
        end = time.monotonic() + seconds
        while True:
            drawn = self.expect(r"\x1b\[H((?:[^\x1b]|\x1b\[K)*)\x1b\[J", max(end - time.monotonic(), 0.1))[1]
            drawn = drawn.replace("\x1b[K", "").replace("\r", "")
            if re.search(pattern, drawn):
                return drawn.split("\n")

    def wait(self, seconds=30):
        """The exit status, and all that came before the end."""
        end = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < end:
            self.read()
        self.read()
        self.case.assertIsNotNone(self.process.returncode, f"still running after {seconds} s; {self.text!r}")
        return self.process.returncode

    def is_restored(self):
        return termios.tcgetattr(self.side) == self.before


# Tests.

class Views(Case):
    def profile_app(self, name="app", sample=4096, seed=1):
        """Two profiles of one run, with inlined frames and lines."""
        app = compile(paths.TESTS / "cli/app.cc")
        self.profiled([app], sample=sample, seed=seed, out=f"{self.out_dir}/{name}.%n.pb.gz")
        files = [self.out_dir / f"{name}.{number}.pb.gz" for number in (1, 2)]
        self.tool("symbolize", *files)
        return files

    def make(self, name, stacks, **options):
        return ProfileMaker().make(self.out_dir / f"{name}.pb.gz", stacks, **options)

    def json(self, *arguments):
        return json.loads(self.tool(*arguments, "--json").stdout)

    def check_refuses(self, *arguments, status, says):
        """One line on standard error, nothing on standard output."""
        done = self.tool(*arguments, expect=status)
        self.assertEqual(done.stdout, "")
        self.assertRegex(done.stderr, r"\Aheapprof: .*\n\Z")
        self.assertRegex(done.stderr, says)

    def check_bad_sources(self, *before):
        """What every command that takes a profile answers to what is none."""
        (self.out_dir / "empty").touch()
        (self.out_dir / "text").write_text("not a profile\n")
        (self.out_dir / "directory").mkdir()
        for source in ("missing", "empty", "text", "directory"):
            self.check_refuses(*before, source, status=1, says=source)
        self.check_refuses(*before, "4194303", status=1, says="4194303")  # no such process
