# SPDX-License-Identifier: MIT
"""heapprof attach: who may, where a thread may not be, and processes in other namespaces. Nothing of what is refused is touched."""
import os
import pathlib
import shutil
import subprocess

from cli.test_attach import TRY_AGAIN, AttachCase, has_library
from harness import paths
from harness.case import cases, timeout
from harness.states import NOBODY, NOGROUP, is_allowed, need_root, wait_until
from hazards.toolbox import compile

YAMA = pathlib.Path("/proc/sys/kernel/yama/ptrace_scope")
AS_NOBODY = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOGROUP}", "--clear-groups"]


def children_of(pid):
    return [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


class Public(AttachCase):
    def setUp(self):
        super().setUp()
        self.folder = self.public_directory()
        self.program = shutil.copy(self.victim("running"), self.folder)
        self.state_of_nobody = self.folder / "state"
        self.state_of_nobody.mkdir()
        os.chown(self.state_of_nobody, NOBODY if os.geteuid() == 0 else -1, -1)

    def started(self, *before, way=""):
        program = self.start([*before, self.program, way], preload=False, cwd=self.folder)
        program.read_until("ready")
        return program


class Yama(Public):
    """Where the machine lacks it, a library in front of the command is it."""

    @cases((1, "only by who started it, or root here (kernel.yama.ptrace_scope is 1): sudo heapprof attach does it; it was not touched"),
           (2, "only by root here (kernel.yama.ptrace_scope is 2); it was not touched"),
           (3, "only by nobody here (kernel.yama.ptrace_scope is 3); it was not touched"),
           (0, "may not be traced: Operation not permitted; it was not touched"))
    def test_explained(self, scope, text):
        preloaded = compile(paths.TESTS / "cli/no_tracing.c", "-shared", "-fPIC")
        setting = self.dir / "scope"
        setting.write_text(f"{scope}\n")
        with self.started() as program:
            done = self.attach(program.pid, expect=1, LD_PRELOAD=preloaded, YAMA_SCOPE=setting)
            self.check_one_line(done, f"process {program.pid}", text)
            self.assertFalse(has_library(program.pid))
            self.check_unharmed(program)


class Unprivileged(Public):
    """Of a user who is not root: what it may is what the kernel lets it."""

    def test_own(self):
        need_root()
        with self.started(*AS_NOBODY) as program:
            if YAMA.exists() and YAMA.read_text() != "0\n":
                self.check_one_line(self.as_nobody("attach", program.pid), "kernel.yama.ptrace_scope")
            else:
                self.check_attached_to(program.pid)
            self.check_unharmed(program)

    def as_nobody(self, *arguments):
        return self.tool_as_nobody(self.folder, *arguments, expect=None, HEAPPROF_STATE_DIR=self.state_of_nobody)

    def check_attached_to(self, pid):
        wait_until(lambda: self.as_nobody("attach", "-s", "1K", pid).returncode == 0, "attached")
        self.assertTrue(has_library(pid))
        wait_until(lambda: "victim_make" in self.as_nobody("top", pid).stdout, "it is sampled")
        wait_until(lambda: self.as_nobody("detach", pid).returncode == 0, "detached")

    def test_no_new_privileges(self):
        """Which forbids nothing that is done here."""
        with self.started("setpriv", "--no-new-privs") as program:
            self.attach(program.pid)
            self.detach(program.pid)
            self.check_unharmed(program)


class Namespaces(Public):
    @cases("-pf", "-Ur", "-Urmpf")
    @timeout(120)
    def test_other(self, flags):
        if not is_allowed("unshare", flags, "true"):
            self.skipTest(f"unshare {flags} is not allowed here")
        with self.started("unshare", flags, *(["--kill-child"] if "f" in flags else [])) as program:
            pid = children_of(program.pid)[0] if "f" in flags else program.pid
            self.attach(pid, "-s", "1K")
            wait_until(lambda: "victim_make" in self.tool("top", pid, expect=None).stdout, "it is sampled")
            self.detach(pid)
            self.check_unharmed(program)


class Large(AttachCase):
    """A program that exports 20,000 functions: each name takes what it needs, and the command a few megabytes."""

    MOST_BYTES = 1 << 30  # of address space

    def test_many_symbols(self):
        main, many, program = self.dir / "main.c", self.dir / "many.s", self.dir / "many"
        names = [f"function_{n}_{'x' * 50}" for n in range(20000)]
        many.write_text("".join(f".globl {name}\n.type {name}, @function\n{name}:\n" for name in names)
                        + "ret\n.section .note.GNU-stack\n")
        main.write_text("#include <stdio.h>\nint main(void) { puts(\"ready\"); fflush(stdout); return getchar() < 0; }\n")
        subprocess.run(["gcc", "-O1", "-rdynamic", "-o", program, main, many], check=True)
        with self.start([program], preload=False) as program:
            program.read_until("ready")
            done = wait_until(lambda: self.attached_within(program.pid), "attached")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(program.end("x").status, 0)

    def attached_within(self, pid):
        done = subprocess.run(["prlimit", f"--as={self.MOST_BYTES}", paths.TOOL, "attach", str(pid)], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, env=self.tool_environment())
        return None if any(words in done.stderr for words in TRY_AGAIN) else done
