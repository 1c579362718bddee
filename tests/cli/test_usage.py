# SPDX-License-Identifier: MIT
"""What every command has in common: help, and one line about each thing that is wrong with how it was called. Commands,
operands and options are asked of the command itself."""
import functools
import gzip
import os
import re
import shutil
import signal
import socket
import subprocess

from cli.views import ProfileMaker
from harness import paths
from harness.case import Case, cases, timeout
from harness.states import StateCase, need_root


@functools.cache
def table():
    done = subprocess.run([paths.TOOL, "--list-options"], capture_output=True, text=True, check=True)
    return [line.split("\t") for line in done.stdout.splitlines()]


def commands():
    return [row[0] for row in table() if not row[1]] if paths.TOOL.exists() else []


def operands_of(command):
    return next(row[3] for row in table() if row[0] == command and not row[1])


def options_of(command):
    """name -> (letter, argument, help)"""
    return {row[1]: row[2:] for row in table() if row[0] == command and row[1]}


def call(command, what):
    """The command line on which `what` takes the place of every file or process; None if the command takes neither."""
    words = [word for word in re.sub(r"\[|\]|\.\.\.|\|NAME", "", operands_of(command)).split() if word != "--"]
    if not any(name in words for name in ("FILE", "PID", "PID|FILE", "FILE|PID", "OLD", "NEW")):
        return None
    needed = {"push": ["--to=http://127.0.0.1:1"]}.get(command, [])
    return [command, *needed, *("main" if word == "REGEX" else what for word in words)]


def readers_of(kind):
    """Those that take a FILE, or the PID of a process that is profiled."""
    names = {"FILE": ("FILE", "OLD", "NEW"), "PID": ("PID",)}[kind]
    return [name for name in commands() if any(word in names for word in re.split(r"[^A-Z]+", operands_of(name))) and name not in ("attach", "detach")]


class Usage(Case):
    def check_says(self, done, status, *words):
        """One line on standard error, nothing on standard output."""
        self.assertEqual((done.returncode, done.stdout), (status, ""), f"{done.args}: {done.stderr}")
        self.assertRegex(done.stderr, r"\Aheapprof: [^\n]+\n\Z", done.args)
        for word in words:
            self.assertIn(str(word), done.stderr)

    def check_failed(self, done, *words):
        """The same, but a line for each file that was named is fine."""
        self.assertIn(done.returncode, (1, 2), f"{done.args}: {done.stdout}{done.stderr}")
        self.assertEqual(done.stdout, "", done.args)
        lines = done.stderr.splitlines()
        self.assertTrue(lines and all(line.startswith("heapprof: ") for line in lines), f"{done.args}: {done.stderr}")
        self.assertLessEqual(len(lines), list(map(str, done.args)).count(str(words[0])) or 1, done.stderr)
        for word in words:
            self.assertIn(str(word), done.stderr)
        self.assertNotRegex(done.stderr, r"Sanitizer|Assertion|GLib|core dumped")


class EveryCommand(Usage):
    def test_there_are_all(self):
        self.assertEqual(commands(),
                         ["run", "attach", "detach", "ls", "rss", "dump", "recover", "top", "tree", "peek", "symbolize", "merge", "diff", "folded",
                                      "info", "report", "serve", "record", "recording", "push"])

    def test_help(self):
        for command in commands():
            for words in ([command, "--help"], [command, "-h"], ["help", command], ["--help", command]):
                done = self.tool(*words)
                self.assertEqual(done.stderr, "")
                usage = f"Usage: heapprof {command} [OPTION]... {operands_of(command)}\n"
                self.assertEqual(done.stdout[:len(usage)], usage)
                for name, (letter, argument, text) in options_of(command).items():
                    left = f"-{letter}, {name}" if letter else f"    {name}"
                    self.assertRegex(done.stdout,
                                     rf"(?m)^  {re.escape(left)}( {re.escape(argument)})? +{re.escape(text)}$")
                self.assertNotIn("stub", done.stdout)

    def test_options_are_described(self):
        for command in commands():
            for name, (letter, argument, text) in options_of(command).items():
                self.assertRegex(name, r"^--[a-z]+(-[a-z]+)*$")
                self.assertRegex(letter, r"^[a-zA-Z]?$")
                self.assertRegex(text, r"^[^.]*\S[^\n]*[^.\s]$|^[^\s]", f"{command} {name}")
                self.assertLessEqual(len(text), 80, f"{command} {name}")
            letters = [letter for letter, _, _ in options_of(command).values() if letter]
            self.assertEqual(len(letters), len(set(letters)), command)

    def test_options_mean_the_same_everywhere(self):
        """An option that has a letter has no other one elsewhere, and takes the same."""
        letters, arguments = {}, {}
        for command in commands():
            for name, (letter, argument, _) in options_of(command).items():
                arguments.setdefault(name, set()).add(bool(argument))
                if letter:
                    letters.setdefault(name, set()).add(letter)
        self.assertEqual(arguments.pop("--keep"), {False, True})  # recover keeps a file, record so much time
        for found in (letters, arguments):
            self.assertEqual({name: values for name, values in found.items() if len(values) > 1}, {})

    def test_unknown_options(self):
        for command in commands():
            self.check_says(self.tool(command, "--no-such-option", expect=None), 2, "'--no-such-option'",
                            f"heapprof {command} --help")
            self.check_says(self.tool(command, "-?", expect=None), 2, "'-?'", f"heapprof {command} --help")
            self.check_says(self.tool(command, "--help=x", expect=None), 2, "'--help' takes no value")

    def test_options_without_their_value(self):
        for command in commands():
            for name, (letter, argument, _) in options_of(command).items():
                if argument:
                    self.check_says(self.tool(command, name, expect=None), 2, f"'{name}' needs a value")
                    if letter:
                        self.check_says(self.tool(command, f"-{letter}", expect=None), 2, f"'-{letter}' needs a value")
                elif name != "--help":
                    self.check_says(self.tool(command, f"{name}=x", expect=None), 2, f"'{name}' takes no value")

    def test_numbers_that_are_none(self):
        for command in commands():
            for name, (_, argument, _) in options_of(command).items():
                if argument in ("N", "PERCENT"):
                    for number in ("", "x", "-1", "1x", "99999999999999999999999"):
                        done = self.tool(*call(command, "nothing"), f"{name}={number}", expect=None)
                        self.check_says(done, 2, name, number)

    def test_operands_are_needed(self):
        for command in commands():
            if not operands_of(command).startswith("[") and operands_of(command):
                self.check_says(self.tool(command, expect=None), 2, f"heapprof {command} --help")

    def test_operands_are_named(self):
        """Which is too many or missing, and of which command. Seen to fail: "it takes one process or profile"."""
        for command, one in (("top", "profile"), ("tree", "profile"), ("info", "profile"), ("folded", "profile"), ("attach", "process"),
                             ("detach", "process"), ("rss", "process"), ("recording", "recording")):
            self.check_says(self.tool(command, expect=None), 2, f"{command} takes one ", one, "none is given")
            self.check_says(self.tool(command, "a", "b", "c", expect=None), 2, f"{command} takes one ", one, "'b' is one too many")
        self.check_says(self.tool("diff", "a", expect=None), 2, "diff takes two profiles", "there is only 'a'")
        self.check_says(self.tool("diff", "a", "b", "c", expect=None), 2, "'c' is one too many")
        self.check_says(self.tool("--version", "x", expect=None), 2, "'x'")

    def test_options_of_pprof_that_a_command_has_not(self):
        """As they were typed. Seen to fail: there is no option '-n'."""
        for command in ("tree", "peek", "info"):
            self.check_says(self.tool(command, "-nodecount=3", expect=None), 2, f"{command} has no option '-nodecount'")
        self.check_says(self.tool("info", "-focus=x", expect=None), 2, "there is no option '-focus'")
        self.check_says(self.tool("tree", "-ix", expect=None), 2, "there is no option '-x'")

    def test_signs_in_a_plain_locale(self):
        """One rule for all. Seen to fail: all but the tables had UTF-8."""
        victim = StateCase.victim(self, "strings")
        for words in (["run", "-s", "16", "-o", "x.pb.gz", "--fail-if", "peak>1", "--", victim], ["info", "x.pb.gz"], ["top", "x.pb.gz"]):
            done = self.tool(*words, expect=None, LC_ALL="C")
            self.assertIn("+/-", done.stdout + done.stderr, words)
            self.assertTrue(done.stderr.isascii(), done.stderr)
            self.assertTrue(words[0] == "run" or done.stdout.isascii(), done.stdout)

    def test_bootstrap_has_help(self):
        """Seen to fail: unknown command."""
        done = subprocess.run([paths.SOURCE / "bootstrap", "--help"], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertRegex(done.stdout, r"(?m)^\./bootstrap demo +\S")

    def test_overview(self):
        text = self.tool("--help").stdout
        for command in commands():
            self.assertRegex(text, rf"(?m)^  {command} +[A-Z].*[^.]$")
        done = self.tool(expect=2)
        self.assertEqual((done.stdout, done.stderr), ("", text))
        self.assertRegex(self.tool("--version").stdout, r"^heapprof \d+\.\d+\.\d+\n$")

    @cases(("symbolise", "symbolize"), ("inof", "info"), ("Top", "top"), ("recovered", "recover"), ("fold", "folded"),
           ("difff", "diff"))
    def test_misspelt(self, word, meant):
        self.check_says(self.tool(word, expect=None), 2, f"'{word}'; did you mean '{meant}'?")

    def test_unknown_commands(self):
        for word in ("frobnicate", "", "x" * 100000, "\x1b[2J", "--frobnicate", "-x"):
            done = self.tool(word, expect=None)
            self.check_says(done, 2, "heapprof --help")
            self.assertNotIn("\x1b", done.stderr)

    def test_output_that_cannot_be_written(self):
        for words in (["--help"], ["--version"], ["--list-options"], ["top", "--help"]):
            with open("/dev/full", "w") as full:
                done = subprocess.run([paths.TOOL, *words], stdout=full, stderr=subprocess.PIPE, text=True)
            self.assertEqual(done.returncode, 1)  # the reason is lost where what was written last just fitted
            self.assertRegex(done.stderr, r"\Aheapprof: standard output: (No space left on device|not everything could be written)\n\Z")


class BadFiles(StateCase, Usage):
    def setUp(self):
        super().setUp()
        self.bad = self.dir / "bad"
        self.bad.mkdir()

    def make(self, name):
        """A file that is no profile, and what it must be called."""
        path = self.bad / name
        good = ProfileMaker().make(self.dir / "good.pb.gz", {("leaf", "main"): (1, 2, 3, 4)}).read_bytes()
        contents = {"empty": b"", "text": b"not a profile\n", "page.html": b"<!DOCTYPE html>\n<html></html>",
                    "cut.pb.gz": good[:-9],
                    "flipped.pb.gz": good[:-20] + bytes([good[-20] ^ 4]) + good[-19:], "nothing.gz": gzip.compress(b""),
                    "message.pb": b"\x0a\xff\xff\xff\xff\x7f", "more.pb.gz": good + b"more",
                    "cut.heap": b"heap profile:      1:      100 [     1:      100] @ heap_v2/524288\n 1: 10",
                    "half.heapprof": b"HEAPPROF" + bytes(100), "future.heapprof": b"HEAPPROF" + b"\x63" + bytes(8183)}
        if name == "directory":
            path.mkdir()
        elif name == "program":
            shutil.copy(paths.TOOL, path)
        elif name == "endless":
            path.symlink_to("endless")
        elif name == "socket":
            socket.socket(socket.AF_UNIX).bind(str(path))
        elif name == "bomb.pb.gz":
            path.write_bytes(gzip.compress(bytes(300 << 20), 6))
        elif name != "missing":
            path.write_bytes(contents[name])
        return path

    def snapshot(self):
        return sorted((path.name, path.lstat().st_size, path.lstat().st_mtime_ns)
                      for path in (*self.bad.iterdir(), *self.out_dir.iterdir()))

    @cases("missing", "directory", "empty", "text", "page.html", "program", "cut.pb.gz", "flipped.pb.gz", "nothing.gz",
           "message.pb",
           "more.pb.gz", "cut.heap", "half.heapprof", "future.heapprof", "endless", "socket", "bomb.pb.gz")
    @timeout(120)
    def test_every_reader_refuses(self, name):
        path = self.make(name)
        before = self.snapshot()
        words = {"cut.heap": ["line 2"], "page.html": ["HTML"], "program": ["a program"],
                 "missing": ["No such file"],
                 "directory": ["directory"]}.get(name, [])
        readers = readers_of("FILE")
        self.assertGreater(len(readers), 8)
        for command in readers:
            done = self.tool(*call(command, path), expect=None)
            self.check_failed(done, path, *(words if command not in ("recover", "recording", "serve") else []))
            self.assertEqual(self.snapshot(), before, f"{command} has changed something")

    @cases("missing", "directory", "empty", "text", "cut.pb.gz")
    def test_nothing_is_overwritten(self, name):
        path = self.make(name)
        target = self.out_dir / "target"
        target.write_text("precious")
        for command in readers_of("FILE"):
            if "--output" in options_of(command):
                for force in ([], ["--force"] if "--force" in options_of(command) else []):
                    done = self.tool(*call(command, path), "--output", target, *force, expect=None)
                    self.check_failed(done, path)
                    self.assertEqual(target.read_text(), "precious", command)

    def test_permission(self):
        need_root()
        folder = self.public_directory()
        secret = ProfileMaker().make(folder / "secret.pb.gz", {("main",): (1, 2, 3, 4)})
        secret.chmod(0o600)
        for command in readers_of("FILE"):
            self.check_failed(self.tool_as_nobody(folder, *call(command, secret), expect=None), secret, "ermission")

    def test_standard_input(self):
        for command in readers_of("FILE"):
            if command in ("recover", "diff"):
                continue
            done = self.tool(*call(command, "-"), input="not a profile", expect=None)
            self.check_failed(done, "standard input")


class BadProcesses(StateCase, Usage):
    def gone(self):
        """The id of a process that was, and is no more."""
        done = subprocess.Popen(["true"])
        done.wait()
        return done.pid

    @cases("gone", "0", "-1", "4194305", "99999999999999999999", "not profiled")
    def test_every_reader_refuses(self, which):
        self.use_plain_state_directory()
        pid = str({"gone": self.gone(), "not profiled": os.getpid()}.get(which, which))
        readers = readers_of("PID")
        self.assertGreater(len(readers), 6)
        for command in readers:
            words = call(command, pid)
            if pid.startswith("-"):
                words.insert(words.index(pid), "--")
            self.check_failed(self.tool(*words, expect=None), pid)
        self.assertEqual(list(self.out_dir.iterdir()), [])

    def test_what_to_do_with_one_that_is_not_profiled(self):
        """Seen to fail: only to start it with heapprof run."""
        for command in ("top", "dump"):
            self.check_says(self.tool(command, os.getpid(), expect=None), 1, f"heapprof attach {os.getpid()} ", "heapprof run")

    def test_dead(self):
        """What was profiled and killed: everything can be read; only dump and rss want it alive, and say what to do, and serve."""
        pid = self.killed("work")
        for command in ("dump", "rss"):
            self.check_says(self.tool(command, pid, expect=None), 1, pid, "recover")
        self.check_failed(self.tool("serve", pid, expect=None), pid)
        for command in set(readers_of("PID")) - {"dump", "recover", "rss", "serve", "record", "push"}:
            done = self.tool(*call(command, str(pid)), expect=None)
            self.assertEqual(done.returncode, 0, f"{command}: {done.stderr}")
        self.assertTrue(self.state_file(pid).exists())

    def test_of_others(self):
        need_root()
        folder = self.public_directory()
        with self.holder("work") as program:
            self.state_dir.chmod(0o755)
            for command in readers_of("PID"):
                done = self.tool_as_nobody(folder, *call(command, str(program.pid)), expect=None)
                self.check_failed(done, program.pid)
            self.assertEqual(program.process.poll(), None)
            os.kill(program.pid, signal.SIGTERM)
