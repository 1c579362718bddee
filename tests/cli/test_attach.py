# SPDX-License-Identifier: MIT
"""heapprof attach and detach: a process that has been running gets the hooks, and loses them again."""
import ctypes
import os
import pathlib
import re
import signal
import subprocess

from harness import paths
from harness.case import cases, in_victim, timeout
from harness.states import NOBODY, NOGROUP, StateCase, need_root, status_of, wait_until

ROUNDS = 4
PTRACE_SEIZE = 0x4206
KILLED = -signal.SIGKILL
# It gives up where the machine is too busy for it, and has changed nothing: it may be tried again.
TRY_AGAIN = ("none of its threads could be led away", "nothing was changed", "somebody else is attaching")


def mappings(pid):
    """(start, limit, access, file) of each"""
    found = []
    for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
        addresses, access, _, _, _, *path = line.split(None, 5)
        start, limit = (int(number, 16) for number in addresses.split("-"))
        found.append((start, limit, access, path[0] if path else ""))
    return found


def code_of(pid, name):
    """The code of a library as it is in the process."""
    start, limit, _, _ = next(m for m in mappings(pid) if "x" in m[2] and os.path.basename(m[3]).startswith(name))
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        memory.seek(start)
        return memory.read(limit - start)


def made_code(pid):
    """How many mappings there are of code without a file."""
    return sum(1 for _, _, access, path in mappings(pid) if "x" in access and not path)


def has_library(pid):
    return any("libheapprof" in path for _, _, _, path in mappings(pid))


def descriptors(pid):
    """What its open files are called."""
    folder, found = pathlib.Path(f"/proc/{pid}/fd"), []
    for name in os.listdir(folder):
        try:
            found.append(os.readlink(folder / name))
        except FileNotFoundError:  # closed meanwhile
            pass
    return found


class AttachCase(StateCase):
    def running(self, *arguments, **options):
        program = self.start([self.victim("running"), *arguments], preload=False, **options)
        program.read_until("ready")
        return program

    def attach(self, pid, *options, expect=0, **more):
        if expect == 0:
            return self.until_possible("attach", *options, pid, **more)
        return self.tool("attach", *options, pid, expect=expect, **more)

    def detach(self, pid):
        return self.until_possible("detach", pid)

    def until_possible(self, *arguments, **more):
        def tried():
            done = self.tool(*arguments, expect=None, **more)
            return None if done.returncode == 1 and any(words in done.stderr for words in TRY_AGAIN) else done
        done = wait_until(tried, " ".join(map(str, arguments)))
        self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def check_unharmed(self, program):
        run = program.end("end\n")
        self.assertEqual((run.status, run.out, run.err), (0, "0 failures, handled some\n", ""))


class Unharmed(AttachCase):
    """Threads that allocate, fork, open libraries, wait and compute mind nothing of it."""

    @timeout(240)
    def test_in_turn(self):
        with self.running() as program:
            before = code_of(program.pid, "libc.so")
            for _ in range(ROUNDS):
                done = self.attach(program.pid, "--sample=1K")
                self.assertRegex(done.stderr, rf"\Aheapprof: attached to running \({program.pid}\): a sample every 1kB, hooks in /.*libc\.so\.6; ")
                self.assertNotEqual(code_of(program.pid, "libc.so"), before)
                done = self.detach(program.pid)
                self.assertRegex(done.stderr, rf"\Aheapprof: detached from running \({program.pid}\), whose code is as it was; ")
                self.assertEqual(code_of(program.pid, "libc.so"), before)
                self.assertEqual(made_code(program.pid), 1, "the moved instructions")
            self.assertIn("victim_make", self.tool("top", program.pid).stdout)
            self.check_unharmed(program)

    @timeout(240)
    def test_killed_at_any_moment(self):
        """The next one finds whatever the one that was killed has left."""
        with self.running("patient") as program:
            moment, kills = 1, 0
            while self.attach_until(program, moment) == KILLED:
                moment, kills = moment + 4, kills + 1
            self.assertGreater(kills, 6)
            self.detach(program.pid)
            self.check_unharmed(program)

    def attach_until(self, program, moment):
        """The exit status; a thread that was left alone may still be on its way back."""
        def tried():
            done = self.attach(program.pid, expect=None, HEAPPROF_ATTACH_DIE_AT=moment)
            self.assertEqual(program.process.poll(), None)
            return None if any(words in done.stderr for words in TRY_AGAIN) else done
        done = wait_until(tried, "nobody else is attaching")
        self.assertIn(done.returncode, (0, KILLED), done.stderr)
        return done.returncode


def counted(frames):
    """Is it among what victims/holds counts itself? dlopen allocates, too."""
    return frames[0].startswith("victim_") or "victim_code" in frames


class Seen(AttachCase):
    def holder(self, *orders, **options):
        program = self.start([self.victim("holds"), self.victim("libplugin.so")], **options)
        program.read_until("ready")
        self.order(program, *orders)
        return program

    @staticmethod
    def order(program, *orders):
        for order in orders:
            program.say(order)
            program.read_until("done")

    def test_since_attach(self):
        """All that is allocated from then on, and nothing from before."""
        with self.holder("work", preload=False) as program:
            self.attach(program.pid, "--sample=1")
            self.order(program, "work")
            attached = self.dump(program.pid)
            table = self.tool("top", program.pid).stdout
        with self.holder("work", sample=1) as program:
            started = self.dump(program.pid)
        self.assertEqual(attached.counted(counted), started.counted(counted))
        self.assertGreater(started.counted(counted)["alloc_objects"], 100)
        self.assertEqual(attached.comment_values()["since"], "attach; what was allocated before is not in use here")
        self.assertNotIn("since", started.comment_values())
        self.assertIn("\nSince: attach; what was allocated before is not in use here\n", table)

    def test_frees_of_what_was_there(self):
        """They are none of its samples."""
        with self.holder("peak", preload=False) as program:
            self.attach(program.pid, "--sample=1")
            self.order(program, "peak")
            peak = self.dump(program.pid).counted(in_victim)
        self.assertEqual((peak["inuse_objects"], peak["inuse_space"]), (0, 0))
        self.assertGreater(peak["alloc_objects"], 0)

    def test_after_detach(self):
        """What was seen can be read until the process ends, and after that."""
        with self.holder(preload=False) as program:
            self.attach(program.pid, "--sample=1")
            self.order(program, "work")
            self.detach(program.pid)
            before = self.dump(program.pid).counted(in_victim)
            self.order(program, "work")
            self.assertEqual(self.dump(program.pid).counted(in_victim), before)
            self.attach(program.pid)
            self.assertIn("what was freed while it was detached still is", self.dump(program.pid).comment_values()["since"])
        self.assertGreater(before["alloc_objects"], 100)
        self.assertEqual(self.recover(program.pid).counted(in_victim), before)

    def test_started_with_the_library(self):
        """Its sampling goes on and off; its code stays."""
        with self.holder("work", sample=1) as program:
            code = code_of(program.pid, "libc.so")
            self.assertIn("is not sampled any more", self.detach(program.pid).stderr)
            self.order(program, "peak")
            before = self.dump(program.pid).counted(lambda frames: "victim_peak" in frames)
            self.assertIn("it had the library already", self.attach(program.pid).stderr)
            self.order(program, "peak")
            self.assertEqual(code_of(program.pid, "libc.so"), code)
            after = self.dump(program.pid).counted(lambda frames: "victim_peak" in frames)
        self.assertEqual((before["alloc_objects"], after["alloc_objects"]), (0, 100))

    def test_for_a_time(self):
        with self.holder("work", preload=False) as program:
            done = self.attach(program.pid, "--for=0.01s", "-o", "some.pb.gz")
            self.assertEqual(done.stdout, "some.pb.gz\n")
            self.assertIn("detached", self.detach(program.pid).stderr)
        self.assertEqual(self.read("some.pb.gz").comment_values()["program"], "holds")


class Refused(AttachCase):
    """One line, and the process is as it was."""

    def check_refused(self, pid, *words, **options):
        self.check_one_line(self.attach(pid, expect=1, **options), f"process {pid}", *words, "it was not touched")
        if status_of(pid) not in ("", "Z"):
            self.assertFalse(has_library(pid))

    def test_stopped(self):
        with self.running("patient") as program:
            self.stop(program)
            self.check_refused(program.pid, "is stopped", f"kill -CONT {program.pid}")
            os.kill(program.pid, signal.SIGCONT)
            self.check_unharmed(program)

    def test_traced(self):
        with self.running() as program:
            if ctypes.CDLL(None, use_errno=True).ptrace(PTRACE_SEIZE, program.pid, None, None) != 0:
                self.skipTest("tracing is not allowed here")
            self.check_refused(program.pid, f"is traced by process {os.getpid()} already")
            program.process.kill()

    def test_filter(self):
        with self.running("filter") as program:
            self.check_refused(program.pid, "has a filter of system calls (seccomp)")
            self.check_unharmed(program)

    def test_ended(self):
        with subprocess.Popen(["true"]) as process:
            wait_until(lambda: status_of(process.pid) == "Z", "it has ended")
            self.check_refused(process.pid, "has ended")
        self.check_refused(process.pid, "is not running")

    @cases(("-static", "is linked statically"), ("-m32", "is a 32-bit program"), ("musl", "has another C library"))
    def test_program(self, flag, reason):
        source, path = self.dir / "waits.c", self.out_dir / "waits"
        source.write_text("#include <stdio.h>\nint main(void) { puts(\"ready\"); fflush(stdout); return getchar() < 0; }\n")
        compiler = ["musl-gcc"] if flag == "musl" else ["gcc", flag]
        try:
            done = subprocess.run([*compiler, "-o", path, source], capture_output=True)
        except FileNotFoundError:
            done = None
        if done is None or done.returncode != 0:
            self.skipTest(f"{' '.join(compiler)} makes no program here")
        with self.start([path], preload=False) as program:
            program.read_until("ready")
            self.check_refused(program.pid, reason)
            self.assertEqual(program.end("x\n").status, 0)

    def test_secret(self):
        need_root()
        folder = self.public_directory()
        with self.start(["setpriv", f"--reuid={NOBODY}", f"--regid={NOGROUP}", "--clear-groups", self.copy("running", folder), "secret"],
                        preload=False) as program:
            program.read_until("ready")
            self.check_refused(program.pid, "PR_SET_DUMPABLE")
            self.check_unharmed(program)

    def copy(self, name, folder):
        path = folder / name
        path.write_bytes(pathlib.Path(self.victim(name)).read_bytes())
        path.chmod(0o755)
        return path

    def test_others(self):
        need_root()
        folder = self.public_directory()
        with self.running() as program:
            done = self.tool_as_nobody(folder, "attach", program.pid, expect=1)
            self.check_one_line(done, f"process {program.pid} belongs to root", "it was not touched")
            self.check_unharmed(program)

    def test_not_attached(self):
        with self.running() as program:
            self.check_one_line(self.tool("detach", program.pid, expect=1), f"process {program.pid}", "nobody has attached to it")
            self.check_unharmed(program)

    def test_no_such_name(self):
        self.check_one_line(self.attach("no-such-program", expect=1), "'no-such-program' is neither the number of a process nor")

    @cases((), ("1", "2"), ("--for=x", "1"), ("--sample=x", "1"), ("-o", "a.pb.gz", "1"))
    def test_usage(self, *arguments):
        self.assertEqual(self.tool("attach", *arguments, expect=2).stdout, "")


class Places(AttachCase):
    """What the only thread is doing decides; nothing is done to it until it may be led away."""

    def check_not_now(self, pid, why):
        self.check_one_line(self.attach(pid, expect=1), f"process {pid}: none of its threads could be led away", why, "it is as it was")
        self.assertFalse(has_library(pid))

    def test_one_after_the_other(self):
        with self.start([self.victim("hz_t1_places")], preload=False) as program:
            program.read_until("locked")
            self.check_not_now(program.pid, "was in the C library, dl_iterate_phdr")
            self.go_on(program, "apart")
            self.check_not_now(program.pid, "was on a stack that is not its own")
            self.go_on(program, "free")
            done = self.attach(program.pid, expect=1, HEAPPROF_LIBRARY=self.dir)
            self.check_one_line(done, f"process {program.pid} can't open the library: {self.dir}: ", "it is as it was")
            self.attach(program.pid)
            self.assertTrue(has_library(program.pid))
            self.detach(program.pid)
            self.assertEqual(program.end("x").status, 0, "errno, and what lies below its stack, are as they were")

    @staticmethod
    def go_on(program, where):
        program.process.stdin.write("x")
        program.process.stdin.flush()
        program.read_until(where)


class Elsewhere(AttachCase):
    def test_other_files(self):
        """In another mount namespace, where our library is not: it comes through memory."""
        need_root()
        folder = self.public_directory()
        hidden = f"mount -t tmpfs none {paths.LIB.parent} && exec \"$@\""
        if subprocess.run(["unshare", "-m", "sh", "-c", f"mount -t tmpfs none {paths.LIB.parent}"], capture_output=True).returncode != 0:
            self.skipTest("mount namespaces are not allowed here")
        program = folder / "running"
        program.write_bytes(pathlib.Path(self.victim("running")).read_bytes())
        program.chmod(0o755)
        with self.start(["unshare", "-m", "sh", "-c", hidden, "sh", program], preload=False, cwd=folder) as program:
            program.read_until("ready")
            self.attach(program.pid, "--sample=1K")
            self.assertTrue(any("/memfd:libheapprof.so" in path for _, _, _, path in mappings(program.pid)))
            self.assertFalse([name for name in descriptors(program.pid) if "memfd" in name])
            self.detach(program.pid)
            self.attach(program.pid)
            self.detach(program.pid)
            self.check_unharmed(program)
