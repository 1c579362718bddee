# SPDX-License-Identifier: MIT
"""P9: memory is refused."""
import resource

from harness.case import cases
from hazards.toolbox import INTERVALS, Hazard, program


class P9Memory(Hazard):
    """P9: under a limit of address space, from just above what the program and the library need upwards, the program does what it
    does alone, whether or not there was room for our tables; what could not be recorded is counted. Seen to fail by the mutant
    growth_unchecked."""

    @cases(6, 7, 8, 10, 12, 24, 64, 160)
    def test_as_without(self, mebibytes):
        limit = mebibytes << 20
        command = [program("hz_u1_growth.c")]
        def set_limit():
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        alone = self.plain(command, preexec_fn=set_limit)
        for sample in INTERVALS:
            run = self.profiled(command, expect=None, sample=sample, preexec_fn=set_limit)
            self.assertEqual((run.status, run.out), (alone.status, alone.out), f"HEAPPROF_SAMPLE={sample}; {run.err}")
            for profile in run.profiles:
                self.check_lint(profile)
            self.clear_profiles()
