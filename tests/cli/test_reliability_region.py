# SPDX-License-Identifier: MIT
"""State regions under stress: read while they are written as fast as can be, left by processes killed at any moment, cut
while they are read. HEAPPROF_TORTURE=1 makes each as long as was asked for."""
import os
import random
import threading
import time

from harness import lint, pprof_reader
from harness.case import in_victim, timeout
from harness.states import StateCase, read_counts, wait_until

TORTURE = os.environ.get("HEAPPROF_TORTURE", "") not in ("", "0")
THREADS, SLOTS, SIZE_MAX = 2, 64, 2000  # of victims/race
KINDS = ("alloc_objects", "alloc_space")


class StressCase(StateCase):
    def counts_file(self, name="counts"):
        path = self.dir / name
        path.write_bytes(bytes(4096))
        return path

    def race(self, counts, **options):
        return self.start([self.victim("race"), counts, THREADS], **options)


def units_of(totals):
    return totals["alloc_objects"] + totals["alloc_space"]


class BesideAWriter(StressCase):
    """R = 1, two threads that allocate and free without a pause."""
    SECONDS = 60 if TORTURE else 8

    @timeout(SECONDS + 60)
    def test_snapshots(self):
        """Each is a valid profile whose counts lie between what the program had counted before and after; none goes back."""
        counts, snapshots = self.counts_file(), 0
        latest = dict.fromkeys(KINDS, 0)
        with self.race(counts, sample=1) as program:
            wait_until(lambda: read_counts(counts, THREADS)[1] > 0, "it allocates")
            end = time.monotonic() + self.SECONDS
            while time.monotonic() < end or snapshots < 3:
                got = read_counts(counts, THREADS)[1]
                profile = self.dump(program.pid, "-f", "-o", "now.pb.gz")
                asked = read_counts(counts, THREADS)[0]
                totals = profile.totals(in_victim)
                self.assertGreaterEqual(units_of(totals), got)
                self.assertLessEqual(units_of(totals), asked)
                self.assertEqual(totals, {**totals, **{kind: max(totals[kind], latest[kind]) for kind in KINDS}}, "it went back")
                self.assertGreaterEqual(totals["inuse_objects"], 0)
                self.assertLessEqual(totals["inuse_objects"], 2 * THREADS * (SLOTS + 1))
                self.assertLessEqual(totals["inuse_space"], 2 * THREADS * (SLOTS + 1) * SIZE_MAX)
                latest, snapshots = totals, snapshots + 1
        self.assertGreater(latest["alloc_objects"], 1000 * snapshots)

    @timeout(SECONDS + 60)
    def test_summaries(self):
        """The same of ls, which reads more often."""
        counts, rounds, latest = self.counts_file(), 0, {}
        keys = ("samples", "stacks", "exact_units", "allocated_bytes", "own_bytes", "peak_bytes")
        with self.race(counts, sample=1) as program:
            wait_until(lambda: read_counts(counts, THREADS)[1] > 0, "it allocates")
            end = time.monotonic() + self.SECONDS / 2
            while time.monotonic() < end or rounds < 3:
                entry = self.listed()[program.pid]
                for key in keys:
                    self.assertGreaterEqual(entry[key], latest.get(key, 0), key)
                self.assertGreaterEqual(entry["in_use_bytes"], 0)
                self.assertLessEqual(entry["in_use_bytes"], entry["peak_bytes"])
                self.assertEqual((entry["is_whole"], entry["lost"]["total"]), (True, 0))
                latest, rounds = entry, rounds + 1

    @timeout(SECONDS + 60)
    def test_peaks(self):
        """What is said to have been in use at the peak never exceeds what two threads can hold, nor is it forgotten."""
        counts = self.counts_file()
        with self.race(counts, sample=1) as program:
            wait_until(lambda: read_counts(counts, THREADS)[1] > 5000000, "it allocates")
            for _ in range(20):
                profile = self.dump(program.pid, "--peak", "-f", "-o", "peak.pb.gz")
                peak, total = profile.comment_values()["peak_inuse_space"], profile.total("inuse_space")
                self.assertLessEqual(profile.total("inuse_objects", in_victim), 2 * THREADS * (SLOTS + 1))
                # At most one sample in flight in each thread may be missing or too many.
                self.assertAlmostEqual(total, peak, delta=THREADS * SIZE_MAX)


class Killed(StressCase):
    """kill -9 at any moment: before main, while the region grows, between the two halves of a count. What is recovered says what the
    program had counted itself, in a file that outlived it, within one interval per thread."""
    VICTIMS = 200
    LATEST_SECONDS = 0.05
    # The distance between two samples is exponential: beyond 25 means only once in 7e10.
    DISTANCES = 25

    def kill_some(self, count, unseen_units=0, **options):
        """pid -> (asked, got) of victims that were killed at random moments: each second one after it has allocated so much that something
        of it is left, however long that takes here, the others whatever they have come to."""
        chance, told = random.Random(1), {}
        for number in range(count):
            counts = self.counts_file(f"counts.{number}")
            with self.race(counts, **options) as program:
                if number % 2 == 0:
                    wait_until(lambda: read_counts(counts, THREADS)[1] > unseen_units, "it allocates")
                time.sleep(chance.random() * self.LATEST_SECONDS)
            told[program.pid] = read_counts(counts, THREADS)
        return told

    def recover_all(self, told, unseen_units=0):
        """pid -> profile; those that were killed before their first sample left nothing."""
        left = [pid for pid in told if self.state_file(pid).exists()]
        self.assertGreaterEqual(len(left), len(told) / 2)
        for pid in set(told) - set(left):
            self.assertLessEqual(told[pid][1], unseen_units, "it allocated, and left nothing")
        done = self.tool("recover", *(self.state_file(pid) for pid in left), expect=None, timeout=300)
        complaints = done.stderr.splitlines()
        recovered = {pid: self.out_dir / f"heapprof.race.{pid}.1.pb.gz" for pid in left}
        for pid in [pid for pid in left if not recovered[pid].exists()]:
            # Killed while its file was being made: there is nothing in it, and it is said.
            self.assertLessEqual(told[pid][1], unseen_units)
            self.assertEqual(len([line for line in complaints if str(self.state_file(pid)) in line]), 1, complaints)
            del recovered[pid]
        self.assertEqual({path.name for path in self.profile_files()}, {path.name for path in recovered.values()})
        self.assertEqual({self.state_file(pid) for pid in left if self.state_file(pid).exists()},
                         {self.state_file(pid) for pid in left if pid not in recovered})
        return {pid: pprof_reader.load(path) for pid, path in recovered.items()}

    def check_lint(self, profile, program=None):
        # Killed before the first stack ran through the program itself, there is no main binary to be first.
        problems = [problem for problem in lint.lint(profile, program) if "main binary" not in problem or profile.samples]
        self.assertEqual([problem for problem in problems if profile.mappings or "no mapping" not in problem], [])

    @timeout(400)
    def test_exact(self):
        told = self.kill_some(self.VICTIMS, sample=1)
        profiles = self.recover_all(told)
        counted = 0
        for pid, profile in profiles.items():
            self.check_lint(profile)
            asked, got = told[pid]
            victim, others = profile.totals(in_victim), profile.totals(lambda frames: not in_victim(frames))
            self.assertTrue(got <= units_of(victim) <= asked, (pid, got, units_of(victim), asked))
            # One allocation per thread may have been published and not yet be counted in its stack, or the other way round.
            self.assertAlmostEqual(profile.comment_values()["exact_units"], units_of(victim) + units_of(others),
                                   delta=THREADS * (SIZE_MAX + 1))
            self.assertLessEqual(victim["inuse_objects"], THREADS * (SLOTS + 1))
            counted += got > 0
        self.assertGreater(counted, self.VICTIMS / 4)

    @timeout(400)
    def test_sampled(self):
        interval = 4096
        others = self.units_of_others()
        unseen_units = THREADS * self.DISTANCES * interval
        told = self.kill_some(self.VICTIMS if TORTURE else 60, unseen_units, sample=interval)
        for pid, profile in self.recover_all(told, unseen_units).items():
            self.check_lint(profile)
            asked, got = told[pid]
            exact = profile.comment_values()["exact_units"]
            self.assertLessEqual(exact, asked + others)
            self.assertGreaterEqual(exact, got - unseen_units)

    def units_of_others(self):
        """What the program and its libraries allocate besides what it counts."""
        counts = self.counts_file()
        with self.race(counts, sample=1) as program:
            wait_until(lambda: read_counts(counts, THREADS)[1] > 100000, "it allocates")
        profile = self.recover(program.pid)
        self.clear_profiles()
        return units_of(profile.totals(lambda frames: not in_victim(frames)))

    @timeout(120)
    def test_many_files_at_once(self):
        """--all, by one process."""
        self.use_plain_state_directory()
        told = self.kill_some(8, sample=1)
        states = self.states()
        self.assertGreaterEqual(len(states), 4)
        done = self.alone("recover", "--all", expect=None)
        self.assertEqual(len(done.stdout.split()) + len(done.stderr.splitlines()), len(states), done)
        for name in done.stdout.split():
            self.assertIn(int(name.split(".")[2]), told)
            self.check_lint(pprof_reader.load(self.out_dir / name))


class CutWhileRead(StressCase):
    @timeout(120)
    def test_cut(self):
        """Somebody truncates the file again and again: each time a profile or one line, never a signal."""
        dead = self.killed()
        good = self.state_file(dead).read_bytes() + bytes(1 << 20)
        path, stop, outcomes, chance = self.dir / "cut.heapprof", threading.Event(), set(), random.Random(1)
        path.write_bytes(good)

        def cut():
            with open(path, "r+b") as file:
                while not stop.is_set():
                    file.truncate(chance.choice((0, 100, 4096, 5000, 8192, 20000)))
                    file.seek(0)
                    file.write(good)
                    file.flush()

        cutter = threading.Thread(target=cut)
        cutter.start()
        try:
            for _ in range(200 if TORTURE else 60):
                done = self.tool("recover", "--keep", "-f", "-o", "x.pb.gz", path, expect=None)
                self.assertIn(done.returncode, (0, 1))
                outcomes.add(done.returncode)
                if done.returncode == 1:
                    self.check_one_line(done, path)
                else:
                    pprof_reader.load(self.out_dir / "x.pb.gz")
        finally:
            stop.set()
            cutter.join()
        self.assertTrue(outcomes)
