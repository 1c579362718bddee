# SPDX-License-Identifier: MIT
"""Estimates are unbiased and their standard error is right.

A run of the victim `sizes` makes ROUNDS independent estimates of the same truth: one profile per round; what was allocated in
a round is the difference of two profiles, and so is its variance, which adds up. With HEAPPROF_TORTURE=1 200 seeds with 8 rounds
each give 1600 intervals: a coverage of exactly 95 % falls outside of 93 to 97 % by 3.7 standard deviations; elsewhere 960, by 2.8. The
seeds are fixed, so a result repeats.

Two mixes: `wide`, 0 bytes to 64 MiB at the default interval of 512 KiB, where 96 % of the objects are of 64 to 256 bytes; and
`tiny` at an interval of 256 bytes, where most objects have 0 or 1 byte, so that a wrong weight of malloc(0) shows: at 512 KiB an
object of 0 bytes is sampled once in 524,288 and no affordable run could tell. The standard error of the means is below 0.3 %.
"""
import concurrent.futures
import math
import os
import statistics
import subprocess

from harness import pprof_reader
from harness.case import Case, cases, in_victim, slow, timeout

SAMPLE_TYPES = ("alloc_objects", "alloc_space", "inuse_objects", "inuse_space")
TORTURE = os.environ.get("HEAPPROF_TORTURE", "") not in ("", "0")
SEEDS, ROUNDS = (200 if TORTURE else 120), 8
MEAN_TOLERANCE = 0.01
COVERAGE = (0.93, 0.97)
Z95 = 1.959964


class Estimates(Case):
    def one_seed(self, mix, interval, seed):
        """[(estimates, variances)] by sample type, one per round; and the truth."""
        folder = self.dir / f"{mix}.{seed}"
        folder.mkdir()
        done = subprocess.run([self.victim("sizes"), mix, str(ROUNDS), folder], capture_output=True, text=True, check=True,
                              env=self.environment(sample=interval, seed=seed, dump="none"))
        self.assertEqual(done.stderr, "")
        truth = dict(zip(SAMPLE_TYPES, (int(pair.split("=")[1]) for pair in done.stdout.split()[1:5])))
        profiles = [pprof_reader.load(folder / f"{number}.pb.gz") for number in range(ROUNDS)]
        self.check_exact_units(profiles[-1], truth, interval)
        return truth, self.differences(profiles)

    def check_exact_units(self, profile, truth, interval):
        """Exact but for the interval under way, whose mean is one interval."""
        expected = ROUNDS * (truth["alloc_space"] + truth["alloc_objects"])
        self.assertAlmostEqual(profile.comment_values()["exact_units"], expected, delta=20 * interval + 100_000)

    @staticmethod
    def differences(profiles):
        rounds = []
        before = dict.fromkeys(SAMPLE_TYPES, (0, 0))
        for profile in profiles:
            comments = profile.comment_values()
            now = {t: (profile.total(t, in_victim), comments[f"standard_error.{t}"] ** 2) for t in SAMPLE_TYPES}
            rounds.append({t: tuple(a - b for a, b in zip(now[t], before[t])) if t.startswith("alloc") else now[t]
                           for t in SAMPLE_TYPES})
            before = now
        return rounds

    def all_seeds(self, mix, interval):
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            results = list(pool.map(lambda seed: self.one_seed(mix, interval, seed), range(1, SEEDS + 1)))
        truth = results[0][0]
        return truth, [one for _, rounds in results for one in rounds]

    @slow
    @timeout(400)
    @cases(("wide", 524288), ("tiny", 256))
    def test_mean_and_interval(self, mix, interval):
        truth, rounds = self.all_seeds(mix, interval)
        self.assertEqual(len(rounds), SEEDS * ROUNDS)
        report = []
        problems = []
        for sample_type in SAMPLE_TYPES:
            estimates = [one[sample_type][0] for one in rounds]
            bias = statistics.fmean(estimates) / truth[sample_type] - 1
            error_of_mean = statistics.stdev(estimates) / truth[sample_type] / math.sqrt(len(rounds))
            covered = sum(abs(estimate - truth[sample_type]) <= Z95 * math.sqrt(max(variance, 0))
                          for estimate, variance in (one[sample_type] for one in rounds)) / len(rounds)
            report.append(f"{sample_type}: bias {100 * bias:+.3f} % (standard error {100 * error_of_mean:.3f} %), "
                          f"coverage {100 * covered:.2f} %")
            if error_of_mean > 0.003:
                problems.append(f"{sample_type}: too few samples to tell")
            if abs(bias) > MEAN_TOLERANCE:
                problems.append(f"{sample_type}: biased")
            if not COVERAGE[0] <= covered <= COVERAGE[1]:
                problems.append(f"{sample_type}: interval wrong")
        self.assertEqual(problems, [], "\n".join(report))
