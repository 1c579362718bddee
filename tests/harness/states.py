# SPDX-License-Identifier: MIT
"""Processes that are looked at from outside, and what those leave that are killed."""
import json
import os
import pathlib
import re
import shutil
import signal
import struct
import subprocess
import tempfile
import time
import unittest

from . import paths, pprof_reader
from .case import Case

# Positions in a state file (docs/region-format.md, 3).
MAGIC, VERSION, PID, CREATED, PROGRAM, CREATED_BOOT, COMMAND = 0, 8, 24, 32, 56, 608, 1048
NOBODY, NOGROUP = 65534, 65534


def wait_until(condition, what, seconds=150):
    """No test sleeps and hopes."""
    end = time.monotonic() + seconds
    while not (result := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"after {seconds} s still not: {what}")
        time.sleep(0.01)
    return result


def status_of(pid):
    """The letter of its state; "" if there is no such process."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def is_allowed(*command):
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def need_root():
    if os.geteuid() != 0:
        raise unittest.SkipTest("this needs root")


def need_mount_namespaces():
    if not is_allowed("unshare", "-m", "true"):
        raise unittest.SkipTest("mount namespaces are not allowed here")


def patch(path, offset, data):
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)


class StateCase(Case):
    def holder(self, *orders, sample=1, program=None, **options):
        """A program that has followed the orders (to work) and waits for more. program: victims/holds, or a copy of it"""
        program = self.start([program or self.victim("holds"), self.victim("libplugin.so")], sample=sample, **options)
        program.read_until("ready")
        for order in orders or ("work",):
            program.say(order)
            program.read_until("done")
        return program

    def stop(self, program):
        """SIGSTOP: what its dumps and ours are of is one moment."""
        os.kill(program.pid, signal.SIGSTOP)
        wait_until(lambda: status_of(program.pid) == "T", "the program is stopped")

    def own_copy(self, victim):
        """Under a name that no other process has: who means it by that means nobody else, whatever tests run beside."""
        path = self.dir / f"{victim[:8]}{os.getpid()}"  # a short name of the kernel's has 15 letters
        if not path.exists():
            shutil.copy(self.victim(victim), path)
        return path

    def killed(self, *orders, **options):
        """The pid of a program that was killed when it had followed the orders."""
        with self.holder(*orders, **options) as program:
            pass
        return program.pid

    def state_file(self, pid):
        return self.state_dir / f"{pid}.heapprof"

    def states(self):
        return sorted(path.name for path in self.state_dir.iterdir())

    def listed(self, **options):
        """pid -> what ls --json says of it"""
        return {entry["pid"]: entry for entry in json.loads(self.tool("ls", "--json", **options).stdout)}

    def read(self, path):
        profile = pprof_reader.load(self.out_dir / path)
        self.check_lint(profile)
        return profile

    def dump(self, pid, *options):
        """The profile of one process, by heapprof dump."""
        return self.read(self.tool("dump", pid, *options).stdout.rstrip("\n"))

    def recover(self, what, *options):
        return self.read(self.tool("recover", what, *options).stdout.rstrip("\n"))

    def check_one_line(self, done, *words):
        """One line on standard error that has the words, nothing on standard output."""
        self.assertEqual(done.stdout, "")
        self.assertRegex(done.stderr, r"\Aheapprof: [^\n]*\n\Z")
        for word in words:
            self.assertIn(str(word), done.stderr)

    def alone(self, *arguments, expect=0, with_processes=True, **variables):
        """Runs the command where there are no state files but those in self.state_dir, which must not be below /dev/shm or
        /run, and those of processes that run; with_processes=False: and no processes."""
        command = [str(paths.TOOL), *map(str, arguments)]
        if os.geteuid() == 0:
            need_mount_namespaces()
            private = ("mount -t tmpfs none /dev/shm && { ! test -d /run/user || mount -t tmpfs none /run/user; } && "
                       "exec \"$@\"")
            processes = [] if with_processes else ["-p", "-f", "--mount-proc"]
            command = ["unshare", "-m", *processes, "sh", "-c", private, "sh", *command]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL, cwd=self.out_dir,
                              env=self.tool_environment(XDG_RUNTIME_DIR=None, **variables), timeout=250)
        if expect is not None:
            self.assertEqual(done.returncode, expect, f"{arguments}\n{done.stdout}\n{done.stderr}")
        done.stderr = "".join(line for line in done.stderr.splitlines(keepends=True) if not self.is_of_others(line))
        return done

    def is_of_others(self, line):
        """What is said of the state of a process that is none of ours: it may have another version, or be what a test has spoilt."""
        return re.search(r"/\S*\.heapprof\b", line) and not any(str(path) in line for path in (self.dir, self.state_dir))

    def use_plain_state_directory(self):
        """For alone()."""
        self.state_dir = self.dir / "state"
        self.state_dir.mkdir()

    def public_directory(self):
        """One that everybody can reach, wherever the tests run, with copies of the programs."""
        folder = pathlib.Path(tempfile.mkdtemp(prefix="heapprof-public.", dir="/tmp"))
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o755)
        for path in (paths.TOOL, paths.LIB, self.victim("holds"), self.victim("libplugin.so")):
            shutil.copy(path, folder)
        for program in ("heapprof-serve", "heapprof-record", "heapprof-push"):
            if (paths.BUILD / program).exists():
                shutil.copy(paths.BUILD / program, folder)
        return folder

    def tool_as_nobody(self, folder, *arguments, expect=0, **variables):
        done = subprocess.run([folder / "heapprof", *map(str, arguments)], capture_output=True, text=True, errors="replace",
                              stdin=subprocess.DEVNULL, cwd=folder, user=NOBODY, group=NOGROUP, extra_groups=[],
                              env=self.tool_environment(XDG_RUNTIME_DIR=None, **variables), timeout=250)
        if expect is not None:
            self.assertEqual(done.returncode, expect, f"{arguments}\n{done.stdout}\n{done.stderr}")
        return done


def read_counts(path, threads):
    """What tests/victims/race.c says: (units asked for, units got)"""
    numbers = struct.unpack(f"{2 * threads}Q", pathlib.Path(path).read_bytes()[:16 * threads])
    return sum(numbers[0::2]), sum(numbers[1::2])
