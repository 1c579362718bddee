# SPDX-License-Identifier: MIT
"""heapprof attach to programs whose executable brings its own allocator: the entries of its functions get hooks while eight threads call
them, and lose them again. Seen to fail by the mutants known_too_late, counted_by_pointer_too, any_code_of_the_program, last_calls_unseen,
breakpoints_go, lands_anywhere, heap_in_the_way,
neighbours_unread, written_later and written_before."""
import os
import pathlib
import re
import subprocess

from cli.test_attach import KILLED, TRY_AGAIN, AttachCase, has_library, made_code, mappings
from harness.case import Run, cases, timeout
from harness.states import wait_until
from hazards.toolbox import VICTIMS, compile, library, program
from preload.test_beside import parts_of, renamed, rust_program
from preload.test_own_allocator import ARCHIVES, FOLDER, SOURCES, linked

KINDS = ["small", "high", "roundabout", "glibc", "jemalloc", "tcmalloc"]
OWN_SOURCES = SOURCES | {"high": ["own_allocator.c", "-DHIGH"]}
PREFIXES = ["je_", "_rjem_", "tc_", "mi_"]
ROUNDS, TRIES = 4, 8
NOT_AS_CODE = "its code is not in memory that is only read and executed"
IN_USE = "begins so that a jump there could only lead to where no memory is free"


def archive(kind):
    return [f"{FOLDER}/{ARCHIVES[kind]}", "-lstdc++", "-lm", "-ldl"]


def with_own(kind):
    """Functions of ours begin at multiples of 16, as those of real allocators do."""
    lazy = ["-Wl,-z,lazy", "-Wl,--no-as-needed", library("attached_lazy.c", "-fno-builtin", "-Wl,-z,lazy")]
    if kind not in OWN_SOURCES:
        return linked("attached_own.c", kind, *lazy)
    source, *how = OWN_SOURCES[kind]
    return program("attached_own.c", "-fno-builtin", *lazy, compile(VICTIMS / source, "-fno-builtin", "-c", "-O2", "-fno-inline", *how))


def with_prefix(prefix):
    parts = parts_of(prefix)
    if prefix == "mi_":
        parts = [renamed(compile(VICTIMS / "own_allocator.c", "-fno-builtin", "-c", "-O2"), prefix),
                 compile(VICTIMS / "beside_mi.c", "-fno-builtin", "-c", "-O2")]
    return program("attached_own.c", "-fno-builtin", f"-DPREFIX={prefix}", *parts)


def wait_for_read(pid):
    wait_until(lambda: pathlib.Path(f"/proc/{pid}/syscall").read_text().split()[0] == "0", "its first thread reads")


class OwnCase(AttachCase):
    def attached(self, victim, *arguments):
        """One that is attached to, and what was said. Where jumps lead to is free in most processes: addresses are random."""
        for _ in range(TRIES):
            running = self.working(victim, *arguments)
            done = self.attach(running.pid, "--sample=1", expect=None)
            if done.returncode == 1 and any(words in done.stderr for words in TRY_AGAIN):
                done = self.attach(running.pid, "--sample=1")
            if IN_USE not in done.stderr and "not at the entries" not in done.stderr:
                break
            running.__exit__()
        self.assertEqual(done.returncode, 0, done.stderr)
        return running, done.stderr

    def working(self, victim, *arguments):
        running = self.start([victim, *arguments], preload=False)
        running.read_until("ready")
        return running

    @staticmethod
    def order(running, order):
        running.say(order)
        return running.read_until("done")

    def check_exact_since(self, running):
        """All that is allocated from "count" to "rest", which comes after the attaching."""
        self.order(running, "count")
        shadows = Run(running.pid, 0, self.order(running, "rest"), "", []).shadows
        profile = self.dump(running.pid)
        self.check_ends(running)
        self.check_exact(profile, shadows[running.pid])
        return profile

    def check_ends(self, running):
        run = running.end("\n")
        self.assertEqual((run.status, run.out, run.err), (0, "whole\n", ""))

    def check_unharmed(self, running):
        self.order(running, "rest")
        self.check_ends(running)


class Exact(OwnCase):
    @cases(*KINDS)
    @timeout(240)
    def test_own(self, kind):
        running, said = self.attached(with_own(kind))
        with running:
            self.assertRegex(said, "hooks at the entries of the program's own allocator")
            self.assertRegex(self.tool("info", running.pid).stdout, r"(?m)^hooks +at the entries of the program's own allocator")
            profile = self.check_exact_since(running)
        self.assertEqual(profile.comment_values()["since"], "attach; what was allocated before is not in use here")

    @cases(*PREFIXES)
    @timeout(240)
    def test_beside(self, prefix):
        running, said = self.attached(with_prefix(prefix))
        with running:
            self.assertRegex(said, rf"hooks in front of /.*libc\.so\.6, at the entries of {prefix}malloc;")
            self.check_exact_since(running)

    @cases("je", "std")
    @timeout(240)
    def test_rust(self, how):
        where = r"hooks in front of /.*libc\.so\.6" + (", at the entries of _rjem_malloc;" if how == "je" else ";")
        running, said = self.attached(rust_program(self.dir / "beside", how), "attached")
        with running:
            self.assertRegex(said, where)
            shadows = Run(running.pid, 0, self.order(running, ""), "", []).shadows
            profile = self.dump(running.pid)
            self.assertEqual(running.end("\n").status, 0)
        self.check_exact(profile, shadows[running.pid])

    @cases("jemalloc", "tcmalloc")
    @timeout(240)
    def test_again(self, kind):
        """Hooks that come for the third time count as those of the first."""
        running, _ = self.attached(with_own(kind))
        with running:
            for _ in range(2):
                self.detach(running.pid)
                self.attach(running.pid)
            self.check_exact_since(running)


class Code(OwnCase):
    """What is changed is what was, afterwards."""

    @cases("small", "jemalloc")
    @timeout(240)
    def test_restored(self, kind):
        victim = with_own(kind)
        name = os.path.basename(victim)
        with self.working(victim) as running:
            parts = [m for m in mappings(running.pid) if "x" in m[2] and os.path.basename(m[3]) == name]
            where, sizes = (parts[0][0], parts[-1][1]), []
            before = self.bytes_of(running.pid, *where)
            for _ in range(ROUNDS):
                self.attach(running.pid, "--sample=1K")
                self.assertNotEqual(self.bytes_of(running.pid, *where), before)
                self.detach(running.pid)
                self.assertEqual(self.bytes_of(running.pid, *where), before)
                sizes.append(made_code(running.pid))
            self.assertEqual(len(set(sizes)), 1, f"grows with each round: {sizes}")
            self.check_unharmed(running)

    @staticmethod
    def bytes_of(pid, start, limit):
        with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
            memory.seek(start)
            return memory.read(limit - start)

    @timeout(240)
    def test_what_others_map_meanwhile(self):
        """Where a changed page came from, another thread's memory may lie before we are done."""
        with self.working(with_own("jemalloc"), "maps") as running:
            for _ in range(ROUNDS):
                self.attach(running.pid)
                self.detach(running.pid)
            self.check_unharmed(running)

    @timeout(240)
    def test_never_writable(self):
        with self.working(with_own("jemalloc")) as running:
            for _ in range(ROUNDS):
                self.attach(running.pid)
                self.assertEqual([m for m in mappings(running.pid) if "w" in m[2] and "x" in m[2]], [])
                self.detach(running.pid)
            self.check_unharmed(running)

    @cases("small", "jemalloc")
    @timeout(240)
    def test_killed_at_any_moment(self, kind):
        """Each time something of it is there, and the next one goes on from there."""
        with self.working(with_own(kind)) as running:
            moment, kills = 1, 0
            while self.attach_until(running, moment) == KILLED:
                moment, kills = moment + 1, kills + 1
            self.assertGreater(kills, 12)
            self.detach(running.pid)
            self.attach(running.pid)
            self.check_unharmed(running)

    def test_written_later(self):
        """A program that makes its code writable while it has hooks can write to it ever after."""
        with self.working(with_own("small")) as running:
            self.attach(running.pid)
            self.order(running, "write")
            done = self.tool("detach", running.pid, expect=1)
            self.check_one_line(done, f"process {running.pid}: ", NOT_AS_CODE)
            self.check_unharmed(running)

    def test_changed_by_others(self):
        """A breakpoint that came since stays, and is found by who has put it there."""
        victim = with_own("small")
        symbols = subprocess.run(["nm", victim], stdout=subprocess.PIPE, text=True, check=True).stdout
        with self.working(victim) as running:
            self.attach(running.pid)
            self.order(running, "rest")
            wait_for_read(running.pid)  # nobody calls it now
            start = min(m[0] for m in mappings(running.pid) if m[3] == victim)
            address = start + int(re.search(r"^(\w+) T free$", symbols, re.MULTILINE)[1], 16)
            with open(f"/proc/{running.pid}/mem", "r+b", buffering=0) as memory:
                own = os.pread(memory.fileno(), 1, address)
                os.pwrite(memory.fileno(), b"\xcc", address)
                done = self.tool("detach", running.pid, expect=1)
                self.check_one_line(done, f"process {running.pid}: ", "somebody else has changed its code")
                self.assertEqual(os.pread(memory.fileno(), 1, address), b"\xcc")
                os.pwrite(memory.fileno(), own, address)
            self.detach(running.pid)
            self.check_ends(running)


class Left(OwnCase):
    """What cannot be done is said, and the process is as it was."""

    def check_left(self, victim, *why, arguments=(), orders=()):
        with self.working(victim, *arguments) as running:
            for order in orders:
                self.order(running, order)
            done = self.until_known("attach", running.pid)
            self.assertEqual(done.returncode, 1)
            self.check_one_line(done, f"process {running.pid}: it brings its own malloc, whose functions get no hooks while it runs: ", *why,
                                "; heapprof run may start it with hooks; it goes on as before\n")
            self.assertEqual([m for m in mappings(running.pid) if "x" in m[2] and not m[3]], [], "nothing of it stays")
            self.check_unharmed(running)

    def test_unaligned(self):
        own = compile(VICTIMS / "own_allocator.c", "-fno-builtin", "-c", "-O2", "-falign-functions=1", "-Os")
        self.check_left(program("attached_own.c", "-fno-builtin", own), "begins where processors read half of it")

    def test_too_close(self):
        """A jump at one function would end in the first bytes of another one, which change."""
        own = compile(VICTIMS / "own_allocator.c", "-fno-builtin", "-c", "-O2", "-fno-inline", "-DCLOSE")
        self.check_left(program("attached_own.c", "-fno-builtin", own), "valloc begins within another function")

    @timeout(240)
    def test_heap_is_all_it_knows(self):
        """Where the jump leads to, a heap would not grow any more."""
        own = compile(VICTIMS / "own_allocator.c", "-fno-builtin", "-c", "-O2", "-fno-inline", "-DHIGH", "-DSBRK")
        self.check_left(program("attached_own.c", "-fno-builtin", own), "malloc begins so that a jump there leads to where the heap grows")

    def test_written_before(self):
        self.check_left(with_own("small"), NOT_AS_CODE, orders=["write"])

    def test_no_room(self):
        """jemalloc's free begins with three bytes, behind which nothing leads to memory that such a program has."""
        fixed = program("attached_own.c", "-fno-builtin", "-no-pie", "-fno-pie", *archive("jemalloc"))
        self.check_left(fixed, f"free {IN_USE}")

    def test_memory_in_use(self):
        """Wherever such a jump could lead to lies something of the program's."""
        self.check_left(with_own("jemalloc"), IN_USE, arguments=["surrounded"])

    def test_within_the_allocator(self):
        """The only thread is in it, with its lock."""
        with self.start([program("hz_t20_own.c", "-fno-builtin", "-O2")], preload=False) as running:
            for where in ("last", "pointed"):
                running.read_until(where)
                wait_for_read(running.pid)
                done = self.tool("attach", running.pid, expect=1)
                self.check_one_line(done, f"process {running.pid}: no", "was in the allocator")
                self.assertFalse(has_library(running.pid))
                self.send(running)
            running.read_until("free")
            self.attach(running.pid, "--sample=1")
            self.send(running)
            self.assertEqual(running.end("").status, 0)

    @staticmethod
    def send(running):
        running.process.stdin.write("x")
        running.process.stdin.flush()
