# SPDX-License-Identifier: MIT
"""The fast path writes nothing that threads share: tests/victims/read_only.c takes it away while pairs run."""
import signal

from harness.case import Case, cases


class Writes(Case):
    def run_mode(self, mode, sample, expect):
        return self.profiled([self.victim("read_only"), mode], sample=sample, seed=1, dump="signal", expect=expect)

    @cases(("unsampled", "256M", 2), ("live_page", 1, 2000))
    def test_nothing_shared(self, mode, sample, live):
        for _ in range(8):  # where objects lie decides which of them pass the filters, and differs from run to run
            self.assertEqual(self.run_mode(mode, sample, 0).out, f"live samples {live}, closed mappings many\n")

    def test_a_sample_is_noticed(self):
        self.run_mode("sampled", 1, -signal.SIGSEGV)
