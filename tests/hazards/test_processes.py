# SPDX-License-Identifier: MIT
"""P1, P4, P5: vfork, daemons, and ways to exit."""
import itertools
import pathlib
import random

from harness.case import cases, timeout
from hazards.toolbox import INTERVALS, AsWithout, Discriminates, Hazard, amount, program, program_with_library


class P1Vfork(AsWithout, Discriminates):
    """P1: vfork children that allocate, free their parent's blocks and _exit: one profile, the parent's, exact. Seen to
    fail (98, the table is gone) under a shim that takes another pid for a fork."""
    broken = ["broken_getpid_fork.c"]

    def command(self):
        return [program("hz_p1_vfork.c")]

    def test_exact(self):
        self.check_run_exact(self.profiled(self.command(), sample=1))

    def test_exact_on_exit_dump_only(self):
        self.check_run_exact(self.profiled(self.command(), sample=1, dump="exit"))


class P4Daemon(AsWithout, Discriminates):
    """P4: a daemon that closes every descriptor, in an empty root, as nobody, hears nothing of us on its sockets. Seen to
    fail under a shim that keeps the number of a descriptor."""
    broken = ["broken_keeps_descriptor.c"]

    def command(self):
        root = pathlib.Path(self.dir) / "root"
        root.mkdir(exist_ok=True)
        return [program("hz_p4_daemon.c"), root]


class P5Exit(Hazard):
    """P5: exit() from a handler that interrupted us, frees after our destructor, exit while threads allocate. Seen to fail
    under shims whose destructor waits (killed by the alarm) or gives memory back (SIGSEGV)."""
    RUNS = amount(50, 1000)

    def runs_of(self, way):
        """Yields the sampling interval and the run."""
        command, chance, samples = [program_with_library("hz_p5_exit.c"), way], random.Random(5), itertools.cycle(INTERVALS)
        for sample in itertools.islice(samples, self.RUNS):
            yield sample, self.profiled([*command, chance.randrange(100, 20000)], sample=sample)

    @cases("signal", "late", "threads")
    @timeout(amount(120, 1800))
    def test_profile_is_whole(self, way):
        for sample, run in self.runs_of(way):
            self.assertEqual(run.out, "late\n" if way == "late" else "")
            self.assertIn(len(run.profiles), {1} if sample == 1 else {0, 1})
            for profile in run.profiles:
                self.check_lint(profile)
            self.clear_profiles()

    @cases(1, -1)
    @timeout(amount(120, 1800))
    def test_two_exits_at_once(self, sign):
        """Seen to fail: in 14 of 50 runs the second exit ended the process while the first one wrote: 9 temporary files were left, and
        state files without a word. Only a dump that takes longer than 100 ms may be cut off, and says so."""
        for turn in range(self.RUNS):
            run = self.profiled([program("hz_p5_two_exits.c"), sign * turn * 40 * 50 // self.RUNS], sample=1)
            self.assertEqual([path.name for path in self.out_dir.iterdir() if path.name.endswith(".tmp")], [])
            if run.err:
                self.assertRegex(run.err, r"\Aheapprof: [^\n]*it stays in \S+, from where heapprof recover writes it\n\Z")
            else:
                self.check_lint(run.profile)
                self.assertEqual(list(self.state_dir.iterdir()), [])
            self.clear_profiles()
            for path in self.state_dir.iterdir():
                path.unlink()

    def test_exits_discriminate(self):
        commands = {way: [program_with_library("hz_p5_exit.c"), way] for way in ("signal", "late", "threads")}
        for way, name in (("signal", "broken_exit_waits.c"), ("late", "broken_torn_down.c"), ("threads", "broken_torn_down.c")):
            self.assertTrue(self.fails_under(name, [*commands[way], 3000], lambda run: run.status != 0), f"{name} went unnoticed")
        for way, microseconds in itertools.product(commands, (500, 3000, 10000)):
            self.assertEqual(self.under("mini_shim.c", [*commands[way], microseconds]).status, 0)
