# SPDX-License-Identifier: MIT
"""G1, G2, G4, G5: the dump signal, and handlers of the application."""
import itertools
import signal

from harness.case import cases, timeout
from hazards.toolbox import INTERVALS, AsWithout, Discriminates, Hazard, amount, library, program, program_with_library, shim


class G1Signal(Hazard):
    """G1: an application that uses SIGUSR2 itself keeps it: its handler runs, nothing dies, nothing is dumped. Seen to fail
    under shims that install their handler over others, or wrap signal()."""

    def command_of(self, way):
        return [program_with_library("hz_g1_signal.c"), way]

    @cases("before", "after", "ignored", "blocked", "sigwait")
    def test_application_keeps_it(self, way):
        command = self.command_of(way)
        plain = self.plain(command)
        for sample in INTERVALS:
            run = self.profiled(command, dump="signal", sample=sample)
            self.assertEqual((run.out, run.files), (plain.out, []), f"HEAPPROF_SAMPLE={sample}")

    @cases(*itertools.product(("default", "alternate"), INTERVALS))
    def test_ours_dumps(self, way, sample):
        """alternate is G2: the handler runs on a stack of 2 KiB."""
        self.assertEqual(self.plain(self.command_of(way), expect=None).status, -signal.SIGUSR2)
        run = self.profiled(self.command_of(way), dump="signal", sample=sample)
        self.assertEqual(run.out, f"{way}: 0 handled, not mine, pending 0\n")
        self.assertEqual(len(run.files), 3)
        for profile in run.profiles:
            self.assertTrue(profile.samples or sample != 1)
            if profile.samples:
                self.check_lint(profile)

    def test_another_signal(self):
        """A handler that is not asked for is not installed."""
        for name in ("RTMIN+3", "none"):
            run = self.profiled(self.command_of("default"), signal=name, dump="signal", expect=None)
            self.assertEqual(run.status, -signal.SIGUSR2)

    @cases(("broken_takes_signal.c", "before"), ("broken_takes_signal.c", "ignored"), ("broken_wraps_signal.c", "after"),
           ("broken_big_handler.c", "alternate"))
    def test_signals_discriminate(self, name, way):
        run = self.under(name, self.command_of(way))
        expected = "alternate: 0 handled, not mine, pending 0\n" if way == "alternate" else self.plain(self.command_of(way)).out
        self.assertNotEqual((run.status, run.out), (0, expected))


class G4Storm(Hazard):
    """G4: a signal every 5 ms to 8 busy threads; every file is whole. Seen to fail (deadlock in malloc or stdio) under a
    shim whose handler uses them."""

    def command(self):
        return [program("hz_g4_storm.c"), library("hz_plugin.c"), amount(3, 60)]

    @cases(*INTERVALS)
    @timeout(amount(90, 900))
    def test_storm(self, sample):
        with self.start([*self.command(), "until told"], sample=sample) as program:
            program.wait_for_files(6)
            run = program.end("enough\n")
        self.assertEqual((run.status, run.out), (0, "ok\n"), run.err)
        for profile in run.profiles:
            self.check_lint(profile)

    @timeout(amount(90, 900))
    def test_storm_discriminates(self):
        self.assertTrue(self.fails_under("broken_handler_allocates.c", self.command(), lambda run: run.status != 0))


class G5Jump(AsWithout, Discriminates):
    """G5: handlers that allocate and siglongjmp interrupt us every 50 us; after that sampling is exact again. Seen to fail
    (98, as nothing is counted, or hangs) under a shim with a plain flag for a guard."""
    broken = ["broken_plain_guard.c"]
    control = None  # the control has such a flag

    def command(self):
        return [program("hz_g5_jump.c", "-Wl,-z,now"), amount(3, 60)]

    def allocator(self):
        return library("hz_async_allocator.c")

    def options(self):
        return {"extra_preload": [self.allocator()]}

    def plain(self, command, **options):
        return super().plain(command, **{"LD_PRELOAD": self.allocator(), **options})

    def preload(self, name):
        return f"{shim(name)} {self.allocator()}"

    @timeout(amount(60, 300))
    def test_exact_after(self):
        run = self.profiled(self.command(), sample=1, extra_preload=[self.allocator()])
        self.check_exact(run.profile, run.shadows[run.pid])
