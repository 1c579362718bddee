# SPDX-License-Identifier: MIT
"""What the profiler adds to the resident set. Bytes repeat well enough to be tested; times do not."""
import re

from harness.case import Case, cases

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

    def check_live_samples(self, few, many, sample, most_bytes):
        added = self.added("live", str(many), sample=sample) - self.added("live", str(few), sample=sample)
        self.assertLessEqual(added * 1024 / (many - few), most_bytes)

    @cases((1, 24), (2, 64))  # in exact mode; and in the table of all other intervals, with nearly as many samples
    def test_live_samples(self, sample, most_bytes):
        self.check_live_samples(50_000, 650_000, sample, most_bytes)

    @cases((1, 24), (2, 64))
    def test_live_samples_where_the_index_has_just_grown(self, sample, most_bytes):
        self.check_live_samples(1_000, 32_000, sample, most_bytes)

    def test_threads(self):
        self.assertLess(self.added("threads", "2000", sample=1), 4 * MIB)
