# SPDX-License-Identifier: MIT
"""Every profile says what the profiler cost: sampling_ns, cpu_ns, own_bytes. How right that is, tests/bench/overhead.py measures."""
import resource

from harness import pprof_reader, region_reader
from harness.case import cases
from harness.states import StateCase

ACCOUNTING_NS = 100_000_000  # clocks of the kernel that count in ticks


def cpu_ns_of_children():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (usage.ru_utime + usage.ru_stime) * 1e9


class Cost(StateCase):
    def check(self, comments, at_most_ns=None):
        self.assertGreater(comments["own_bytes"], 0)
        self.assertTrue(0 < comments["own_unused_bytes"] < comments["own_bytes"])
        self.assertGreater(comments["sampling_ns"], 0)
        self.assertGreater(2 * comments["cpu_ns"], comments["sampling_ns"])  # which is wall time where the machine is busy
        if at_most_ns is not None:
            self.assertLess(comments["cpu_ns"], at_most_ns + ACCOUNTING_NS)

    @cases(1, 4096)
    def test_at_exit(self, sample):
        before = cpu_ns_of_children()
        run = self.profiled([self.victim("churn")], sample=sample)
        self.check(run.profile.comment_values(), cpu_ns_of_children() - before)

    def test_of_a_process_that_runs(self):
        with self.holder("work") as program:
            self.tool("dump", program.pid, "-o", "first.pb.gz")
            program.say("work")
            program.read_until("done")
            self.tool("dump", program.pid, "-o", "second.pb.gz")
        first, second = (pprof_reader.load(self.out_dir / f"{name}.pb.gz").comment_values() for name in ("first", "second"))
        self.assertLess(first["cpu_ns"], second["cpu_ns"])
        self.assertGreater(min(first["sampling_ns"], second["sampling_ns"]), 0)

    def test_of_a_file_that_was_kept(self):
        """What only the process can tell is in its last words; so are the look-ups of its frees."""
        before = cpu_ns_of_children()
        self.profiled([self.victim("churn")], sample=1, dump="keep")
        path, = self.state_dir.glob("*.heapprof")
        region = region_reader.load(path)
        self.assertGreater(region.look_up_ticks, 0)
        self.assertGreater(region.timed_samples, 0)
        info = self.tool("info", path).stdout
        self.assertRegex(info, r"(?m)^profiler .* in samples, .* each, [\d.]+% of the processor time$")
        self.assertLess(region.cpu_ns, cpu_ns_of_children() - before + ACCOUNTING_NS)

    def test_share(self):
        run = self.profiled([self.victim("churn")], sample=1)
        comments = run.profile.comment_values()
        share = f"{100 * comments['sampling_ns'] / comments['cpu_ns']:.2f}%"
        self.assertIn(f"{share} of the processor time", self.tool("info", run.files[0]).stdout)
