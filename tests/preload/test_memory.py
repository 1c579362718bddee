# SPDX-License-Identifier: MIT
"""What the profiler adds to the resident set. Bytes repeat well enough to be tested; times do not."""
import re

from harness.case import Case

MIB = 1024  # in KiB, as the kernel tells


class Memory(Case):
    def resident(self, *arguments, **options):
        run = self.profiled([self.victim("scale"), *arguments], DUMP="none" if options.get("preload", True) else None, **options)
        return int(re.search(r"^resident (\d+)$", run.out, re.M)[1])

    def added(self, *arguments, sample):
        pairs = [(self.resident(*arguments, sample=sample), self.resident(*arguments, preload=False)) for _ in range(3)]
        return min(with_us for with_us, _ in pairs) - min(without for _, without in pairs)

    def test_a_thousand_stacks(self):
        self.assertLessEqual(self.added("stacks", "1000", sample=1), 2 * MIB)

    def test_live_samples(self):
        few, many = 50_000, 650_000
        added = self.added("live", str(many), sample=1) - self.added("live", str(few), sample=1)
        self.assertLessEqual(added * 1024 / (many - few), 64)

    def test_live_samples_where_the_index_has_just_grown(self):
        few, many = 1_000, 32_000
        added = self.added("live", str(many), sample=1) - self.added("live", str(few), sample=1)
        self.assertLessEqual(added * 1024 / (many - few), 64)

    def test_threads(self):
        self.assertLess(self.added("threads", "2000", sample=1), 4 * MIB)
