# SPDX-License-Identifier: MIT
"""heapprof attach at moments that are rare: the thread is in a place of libc that may hold a lock, the command comes too late, a fork
meets the walk through the loader's list."""
import os
import pathlib
import re
import signal
import subprocess

from cli.test_attach import LOOKS, LOOKS_AT_LOADER, TRY_AGAIN, AttachCase, has_library, made_code
from harness import paths
from harness.case import cases, timeout
from harness.states import status_of, wait_until
from hazards.toolbox import compile, library, program

NO_USERFAULTFD = 77
WALKS_MAX = 20
HAS_ENDED = -1
BEHIND_FIRST_CALL = 5  # a moment: the thread has its signals blocked
LAST_OF_STUB = 18  # another: it is at its end
SYS_FUTEX = 202
SET_ID = 33


def fields_of(pid):
    """Of its first thread, behind the name: the state, which is t for one that does not run because it is traced, first."""
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def state_of(pid):
    return fields_of(pid)[0]


def processor_time(pid):
    """In hundredths of a second, or what the kernel counts in."""
    return sum(int(number) for number in fields_of(pid)[11:13])


class Waits(AttachCase):
    """Of libc only those functions may be on the stack that hold no lock (T1)."""

    def waits(self, where):
        program = self.start([self.victim("hz_t1_waits"), where], preload=False)
        program.read_until("waits")
        wait_until(lambda: self.sleeps(program.pid), "its thread waits")
        return program

    @staticmethod
    def sleeps(pid):
        states = [status_of(f"{pid}/task/{thread}") for thread in os.listdir(f"/proc/{pid}/task")]
        return "S" in states and set(states) <= {"S", "Z"}

    @cases("sort", "once", "exit", "fork", "output", "end")
    def test_may_hold(self, where):
        with self.waits(where) as program:
            def refused():
                done = self.attach(program.pid, expect=1, HEAPPROF_ATTACH_LOOKS=LOOKS)
                self.check_one_line(done, f"process {program.pid}: no")
                return "was in the C library" in done.stderr
            wait_until(refused, f"nobody is led away from {where}")
            self.assertFalse(has_library(program.pid))

    def test_reasons_of_several(self):
        """Those of most threads are named, and how many have them."""
        with self.waits("several") as program:
            wait_until(lambda: len(os.listdir(f"/proc/{program.pid}/task")) == 4 and self.sleeps(program.pid), "all wait")
            def refused():
                done = self.attach(program.pid, expect=1, HEAPPROF_ATTACH_LOOKS=LOOKS)
                self.check_one_line(done, f"process {program.pid}: none of its threads could be led away (")
                return "(2 of 4 threads: was in the C library, puts; 1: was in the C library; 1: something else)" in done.stderr
            wait_until(refused, "two of the reasons are named")

    @cases("search", "input", "condition", "semaphore", "join")
    def test_only_waits(self, where):
        with self.waits(where) as program:
            self.attach(program.pid)
            self.detach(program.pid)


def front_and_back():
    back = library("hz_t1_allocator.c", "-DBACK")
    return [library("hz_t1_allocator.c", "-DFRONT", "-Wl,--no-as-needed", back), back]


class Allocators(AttachCase):
    """Its thread is in its allocator, a library, and holds the lock: all that may be part of one is left alone (T1)."""

    ALLOCATORS = {"back": front_and_back,
                  "old table": lambda: [library("hz_t1_allocator.c", "-Wl,--hash-style=sysv")],
                  "resolvers": lambda: [library("hz_t1_allocator.c", "-DINDIRECT")]}

    @cases(*ALLOCATORS)
    @timeout(60)
    def test_holds_lock(self, kind):
        """Seen to hang."""
        with self.start([program("hz_t1_holds.c", "-Wl,--no-as-needed", *self.ALLOCATORS[kind]())], preload=False) as running:
            running.read_until("holds")
            def refused():
                done = self.attach(running.pid, expect=1, HEAPPROF_ATTACH_LOOKS=LOOKS)
                self.check_one_line(done, f"process {running.pid}: no")
                return "was in the allocator" in done.stderr
            wait_until(refused, "its thread is left alone")
            self.assertFalse(has_library(running.pid))
            self.assertEqual(running.end("\n").status, 0)


class Stopped(AttachCase):
    """A thread is stopped by a handler that interrupted malloc, and who would let it go on would be led to dlopen (T1). Seen to hang."""

    def stopped(self, how, where):
        program = self.start([self.victim("hz_t1_stopped"), how, where], preload=False)
        program.read_until("stopped")
        return program

    @cases("suspends", "waits", "runs", "alternate")
    def test_holds_lock(self, how):
        with self.stopped(how, "malloc") as program:
            def refused():
                done = self.attach(program.pid, expect=1, HEAPPROF_ATTACH_LOOKS=LOOKS_AT_LOADER)
                self.check_one_line(done, f"process {program.pid}: no")
                return re.search(r"no good moment \(a thread that waits in a signal handler, \d+, was in the C library, malloc\)", done.stderr)
            wait_until(refused, "nobody is led away while malloc's lock is held")
            self.assertFalse(has_library(program.pid))
            program.say("x")
            program.read_until("goes on")
            self.check_goes_on(program)

    def check_goes_on(self, program):
        self.attach(program.pid)
        self.detach(program.pid)
        self.assertEqual(program.end("x\n").status, 0)

    @cases("suspends", "waits", "runs", "alternate")
    def test_holds_nothing(self, how):
        with self.stopped(how, "harmless") as program:
            self.attach(program.pid)
            self.detach(program.pid)
            program.say("x")
            program.read_until("goes on")
            self.check_goes_on(program)


class HeldCase(AttachCase):
    """The command stands still at a moment."""

    def held(self, pid, moment):
        """The command, and its worker that stands still at that moment, or HAS_ENDED: there is none. One that has given up, as on a busy
        machine, has not come as far, and is started again."""
        def tried():
            command = self.start_attach(pid, HEAPPROF_ATTACH_HOLD_AT=moment)
            self.addCleanup(command.kill)
            worker = wait_until(lambda: self.worker_of(command), f"it stands still at {moment}, or has come to its end")
            if worker == HAS_ENDED:
                command.said = command.communicate()[1]
                return None if any(words in command.said for words in TRY_AGAIN) else (command, worker)
            return command, worker
        return wait_until(tried, f"it comes to {moment}, or to its end")

    def start_attach(self, pid, **moments):
        return subprocess.Popen([paths.TOOL, "attach", str(pid)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE, text=True, env=self.tool_environment(**moments))

    @staticmethod
    def worker_of(command):
        """Its child that traces, once that stands still; HAS_ENDED: the command has; None: neither yet."""
        if command.poll() is not None:
            return HAS_ENDED
        try:
            children = pathlib.Path(f"/proc/{command.pid}/task/{command.pid}/children").read_text().split()
            return next((int(child) for child in children if state_of(child) == "T"), None)
        except (FileNotFoundError, ProcessLookupError):
            return None


class Meanwhile(HeldCase):
    """A thread that computed when it was looked at enters a handler, within malloc, before another one is borrowed (T1)."""

    def test_enters_handler(self):
        with self.start([self.victim("hz_t1_stopped"), "late", "malloc"], preload=False) as program:
            command, worker = self.held_with_signal(program)
            os.kill(worker, signal.SIGCONT)
            program.read_until("stopped")
            _, err = command.communicate()
            self.assertRegex(err, r"no good moment \(a thread that waits in a signal handler, \d+, was in the C library, malloc\)")
            self.check_goes_on(program)

    @timeout(100)
    def test_gets_signal(self):
        """One that interrupts nothing: it comes all the same."""
        with self.start([self.victim("hz_t1_stopped"), "late", "harmless"], preload=False) as program:
            command, worker = self.held_with_signal(program)
            os.kill(worker, signal.SIGCONT)
            program.read_until("stopped")
            self.assertRegex(command.communicate()[1], "attached to|" + "|".join(TRY_AGAIN))
            self.let_go_on(program)

    def test_is_killed(self):
        """The signal, which waits for the command, is not lost."""
        with self.start([self.victim("hz_t1_stopped"), "late", "malloc"], preload=False) as program:
            command, worker = self.held_with_signal(program)
            os.kill(worker, signal.SIGKILL)
            program.read_until("stopped")
            command.communicate()
            self.check_goes_on(program)

    def held_with_signal(self, program):
        program.read_until("computes")
        thread = next(int(name) for name in os.listdir(f"/proc/{program.pid}/task") if int(name) != program.pid)
        command, worker = wait_until(lambda: self.watched(program.pid, thread), "the thread that computes is watched")
        program.say("x")
        wait_until(lambda: state_of(thread) == "t", "its signal waits for the command")
        return command, worker

    def watched(self, pid, thread):
        command = self.start_attach(pid, HEAPPROF_ATTACH_HOLD_AHEAD=1, HEAPPROF_ATTACH_LOOKS=LOOKS_AT_LOADER)
        self.addCleanup(command.kill)
        worker = wait_until(lambda: self.worker_of(command), "it stands still")
        if f"TracerPid:\t{worker}\n" in pathlib.Path(f"/proc/{thread}/status").read_text():
            return command, worker
        os.kill(worker, signal.SIGKILL)  # the machine is too busy
        command.communicate()
        return None

    def check_goes_on(self, program):
        self.assertFalse(has_library(program.pid))
        self.let_go_on(program)

    def let_go_on(self, program):
        program.say("x")
        program.read_until("goes on")
        self.assertEqual(program.end("x\n").status, 0)


class Late(HeldCase):
    """What was begun for us comes to its end without us, and nobody touches the thread any more (T13)."""

    @timeout(240)
    def test_thread_has_gone_on(self):
        """Whoever traces stands still at each moment. Where the thread runs it comes back by itself, and goes on."""
        with self.start([self.victim("hz_t13_late")], preload=False) as program:
            program.read_until("ready")
            moment, runs, worker = 1, 0, None
            while worker != HAS_ENDED:
                command, worker = self.held(program.pid, moment)
                if worker != HAS_ENDED:
                    runs += self.look_if_it_runs(program)
                    os.kill(worker, signal.SIGCONT)
                    command.said = command.communicate()[1]
                self.assertRegex(command.said, "attached to|it had the library already|" + "|".join(TRY_AGAIN))
                self.detach(program.pid)
                moment += 1
            self.assertGreaterEqual(runs, 2)
            self.assertEqual(made_code(program.pid), 0, "what was mapped for it has stayed")
            self.assertEqual(program.end("end").status, 0, "it was not led back in time")

    @staticmethod
    def look_if_it_runs(program):
        """One that has just been told to go as far as to a stop may not have had the processor yet."""
        begin = processor_time(program.pid)
        wait_until(lambda: state_of(program.pid) == "t" or processor_time(program.pid) > begin + 2, "it stands still, or goes on")
        if state_of(program.pid) == "t":
            return False
        program.say("x")
        program.read_until("counts")
        return True

    @timeout(240)
    def test_call_is_not_waited_for(self):
        """Of each system call that the thread is made to do, the command takes the time for over."""
        with self.running("patient") as program:
            for moment in range(1, 24):
                done = self.attach(program.pid, HEAPPROF_ATTACH_LATE_AT=moment)
                self.assertRegex(done.stderr, "attached to|it had the library already")
                self.assertNotIn(status_of(program.pid), ("", "Z"))
                self.detach(program.pid)
            self.check_unharmed(program)


class Ended(HeldCase):
    """The process ends at any moment of the stub, or when all is done."""

    @timeout(100)
    def test_at_each_moment(self):
        """Seen to fail: it was attached to (null), and said that nothing was changed."""
        said = set()
        for moment in range(LAST_OF_STUB, 100):
            with self.start([self.victim("hz_t13_late")], preload=False) as program:
                program.read_until("ready")
                command, worker = self.held(program.pid, moment)
                is_traced = f"TracerPid:\t{worker}\n" in pathlib.Path(f"/proc/{program.pid}/status").read_text()
                program.process.kill()
                if not is_traced:
                    program.process.wait()
                if worker == HAS_ENDED:
                    break
                os.kill(worker, signal.SIGCONT)
                said.add(re.sub(r": a sample .*| \(?\d+\)?", "", command.communicate()[1].splitlines()[0]))
        self.assertIn("heapprof: attached to process", said)
        self.assertIn("heapprof: process: it has ended meanwhile, or does not come to an end with opening the library; "
                      "a thread that is still at that goes on with it", said)
        self.assertNotRegex("\n".join(said), "null|nothing was changed")


class Signals(HeldCase):
    """Another thread waits for a handler of the one that is led away, with a lock in its hands that dlopen wants."""

    @timeout(60)
    @cases("setid", "restart", "interrupt", "pause")
    def test_needs_handler(self, what):
        """The signal comes while the thread stands still for us. Seen to hang for ten seconds, and then for ever."""
        with self.start([self.victim("hz_t26_signals"), what], preload=False) as program:
            program.read_until("ready")
            command, worker = self.held(program.pid, BEHIND_FIRST_CALL)
            self.assertNotEqual(worker, HAS_ENDED)
            blocked = self.blocked(program.pid)
            program.say("")
            program.read_until("waits")
            wait_until(lambda: self.waits_for_lock(program.pid), "it waits for the handler")
            os.kill(worker, signal.SIGCONT)
            _, err = command.communicate()
            self.assertIn("attached to hz_t26_signals", err)
            self.assertEqual(blocked, [1, 0])
            program.read_until("done")
            self.assertEqual(program.end("\n").status, 0)

    @staticmethod
    def blocked(pid):
        """Not the signal by which glibc changes user IDs; it would be let through as others are, but later."""
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        blocked = int(re.search(r"(?m)^SigBlk:\s*(\w+)$", status).group(1), 16)
        return [blocked >> number - 1 & 1 for number in (signal.SIGUSR1, SET_ID)]

    @staticmethod
    def waits_for_lock(pid):
        """Its second thread, which the kernel lists behind the first, whatever their numbers are; the first is led away."""
        second = os.listdir(f"/proc/{pid}/task")[1]
        return pathlib.Path(f"/proc/{pid}/task/{second}/syscall").read_text().startswith(f"{SYS_FUTEX} ")


class States(AttachCase):
    """The only thread that may be led away is in a state that the C library can't be called in (T28)."""

    def computing(self, how):
        program = self.start([self.victim("hz_t28_state"), how], preload=False)
        program.read_until("ready")
        return program

    @timeout(60)
    def test_aligned(self):
        """Seen to end by SIGBUS."""
        with self.computing("aligned") as program:
            self.attach(program.pid)
            self.detach(program.pid)
            self.assertEqual(program.end("\n").status, 0, "its flags are as they were")

    @timeout(60)
    def test_clock_is_refused(self):
        """Reading the processor's clock is a fault. Seen to end by SIGSEGV."""
        with self.computing("clockless") as program:
            self.attach(program.pid, "--sample=1")
            self.assertEqual(program.end("\n").status, 0)

    def check_refused(self, how, why):
        with self.computing(how) as program:
            def refused():
                done = self.attach(program.pid, expect=1, HEAPPROF_ATTACH_LOOKS=LOOKS)
                self.check_one_line(done, f"process {program.pid}: no")
                return why in done.stderr
            wait_until(refused, why)
            self.assertFalse(has_library(program.pid))
            self.assertEqual(program.end("\n").status, 0)

    @timeout(60)
    def test_calls_that_are_signals(self):
        """Seen to end by SIGSYS."""
        release = tuple(int(number) for number in os.uname().release.split(".")[:2])
        if release < (6, 4):
            self.skipTest("the kernel doesn't say so")
        self.check_refused("dispatch", "handles its system calls itself, as Wine's do")

    @timeout(60)
    def test_other_thread_pointer(self):
        """As emulators have it. Seen to end by SIGSEGV."""
        self.check_refused("base", "has a thread pointer that is not of the C library")


class Forks(AttachCase):
    """A fork waits for whoever walks through the loader's list, so that no child has its lock for ever (T17)."""

    @timeout(240)
    def test_meets_walk(self):
        """The walk waits at a page that is missing, and is over when the fork was seen to wait, or to pass."""
        with self.start([self.victim("hz_t17_fork")], preload=False) as program:
            if program.process.stdout.readline() != "ready\n":
                self.assertEqual(program.end("").status, NO_USERFAULTFD)
                self.skipTest("there is no userfaultfd here")
            self.attach(program.pid)
            self.detach(program.pid)
            for number in range(WALKS_MAX):  # on a busy machine a fork may have waited for long enough
                program.say("once")
                program.read_until("missing")
                (self.detach if number % 2 else self.attach)(program.pid)
                if program.process.stdout.readline() == "waited\n":
                    break
            else:
                self.fail("no fork waits")
            self.assertEqual(program.end("end\n").status, 0)


class Tries(AttachCase):
    """Before it touches anything, the command sees by a child of its own whether it may trace at all."""

    def test_child_ends_with_who_is_killed(self):
        """The child has the pipes that the command writes to, whose end is waited for here. Seen to hang, and by the mutant
        child_outlives_command."""
        preloaded = compile(paths.TESTS / "cli/killed_before_kill.c", "-shared", "-fPIC")
        program = self.start([self.victim("running")], preload=False)
        program.read_until("ready")
        done = self.tool("attach", program.pid, expect=None, LD_PRELOAD=preloaded)
        self.assertEqual(done.returncode, -signal.SIGKILL, done.stderr)
        self.assertFalse(has_library(program.pid))
        self.check_unharmed(program)
