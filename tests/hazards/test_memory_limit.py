# SPDX-License-Identifier: MIT
"""P9: memory is refused."""
import itertools
import resource

from harness.case import cases
from hazards.toolbox import INTERVALS, Hazard, program

KIB, MIB = 1 << 10, 1 << 20
STEP = 64 * KIB


def limited(limit):
    return lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


class P9Memory(Hazard):
    """P9: under a limit of address space, from just above what the program and the library need upwards, the program does what it
    does alone, whether or not there was room for our tables; what could not be recorded is counted. Seen to fail by the mutant
    growth_unchecked."""

    def least(self, command, alone):
        """Where the library is loaded, and the program has what it wants, while nothing is recorded: each processor and each libc
        has its own."""
        for limit in itertools.count(2 * MIB, STEP):
            run = self.profiled(command, expect=None, only="another program", preexec_fn=limited(limit))
            if (run.status, run.out) == (alone.status, alone.out) and "cannot be preloaded" not in run.err:
                return limit

    @cases(64 * KIB, MIB, 2 * MIB, 4 * MIB, 6 * MIB, 18 * MIB, 58 * MIB, 154 * MIB)
    def test_as_without(self, more):
        command = [program("hz_u1_growth.c")]
        alone = self.plain(command)
        limit = self.least(command, alone) + more
        for sample in INTERVALS:
            run = self.profiled(command, expect=None, sample=sample, preexec_fn=limited(limit))
            self.assertEqual((run.status, run.out), (alone.status, alone.out), f"HEAPPROF_SAMPLE={sample}; limit {limit}; {run.err}")
            for profile in run.profiles:
                self.check_lint(profile)
            self.clear_profiles()
