# SPDX-License-Identifier: MIT
"""Servers under load at the default interval for as long as it takes to see what grows: 20 minutes in the torture suite.

Three of each run side by side: one with us, and two without. Slices of load go to the three in random order. While they do, a
profile of each process is taken from outside every 10 s, and one by signal every minute. Seen to fail by the mutant
stacks_not_found. After a minute with HEAPPROF_TORTURE=1 it also fails when dumps keep their memory (core/arena.c without munmap) and when
every eighth sample takes 20 ms (record_allocation); after 20 s at an interval of 4096, when nodes of the live table are not reused.
"""
import concurrent.futures
import os
import pathlib
import random
import re
import shutil
import statistics
import tempfile
import time

from harness import pprof_reader
from harness.case import cases, timeout
from harness.states import wait_until
from hazards.toolbox import TORTURE, amount, skip_unless
from torture import servers
from torture.real import Real
from torture.torment import first_seed

SECONDS = amount(12, 1200)
SLICE_SECONDS = amount(0.5, 3)
OUTSIDE_EVERY, SIGNAL_EVERY = amount(1, 10), amount(3, 60)
WARM_UP = 0.15               # of the time; what programs do for the first time is not growth
SHARE_MARGIN_KIB = 64        # a path that is taken once in ten minutes is a few stacks, and a page or two of tables
OWN_BYTES_MARGIN = 64 << 10  # the tables double
ANONYMOUS_MARGIN_KIB = amount(4096, 1024)  # what allocators keep differs between servers without us, too, most at the beginning
# A stack deeper than HEAPPROF_DEPTH is cut there, and one that leads into code without unwind information ends there: their samples count
# in full. Nothing that makes a number wrong may be lost.
MAY_BE_COUNTED = "lost.truncated"  # and why


def peaks(values):
    """The highest of the first half, without the warm-up, and of the second."""
    warm, middle = int(len(values) * WARM_UP), int(len(values) * (1 + WARM_UP) / 2)
    return max(values[warm:middle]), max(values[middle:])


class Watched:
    """One process: what it takes as time goes on, and its profiles."""

    def __init__(self, pid, out):
        self.pid, self.out = pid, out
        self.ours_kib, self.anonymous_kib, self.outside = [], [], []

    def look(self):
        smaps = pathlib.Path(f"/proc/{self.pid}/smaps").read_text()
        ours = re.findall(r"^\S+-.* /\S*heapprof\b.*\n(?:[A-Z].*\n)*?Rss: +(\d+) kB", smaps, re.MULTILINE)
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        self.ours_kib.append(sum(map(int, ours)))
        self.anonymous_kib.append(int(re.search(r"^RssAnon:\s+(\d+)", status, re.MULTILINE)[1]))

    def own(self):
        """The profiles that it wrote itself."""
        return sorted(self.out.glob(f"{self.pid}.*.pb.gz"), key=lambda path: int(path.name.split(".")[1]))


class Soak(Real):
    ROLES = ("ours", "alone", "control")
    most_lost = {}

    def start_servers(self, kind):
        for name in kind.needs:
            skip_unless(shutil.which(name), f"{name} is not installed")
        state = pathlib.Path(tempfile.mkdtemp(prefix="heapprof-real.", dir="/dev/shm"))
        self.addCleanup(shutil.rmtree, state, ignore_errors=True)
        state.chmod(0o777)
        ours = self.environment(sample=None, LD_PRELOAD=self.library, state_dir=state, out=f"{self.base}/out/%p.%n.pb.gz",
                                signal=kind.DUMP_SIGNAL)
        self.servers = {role: kind(self.base / role, ours if role == "ours" else self.environment(preload=False)) for role in self.ROLES}
        for server in self.servers.values():
            self.addCleanup(server.kill)
            server.start()
        self.watched = {role: {name: Watched(pid, self.base / "out") for name, pid in server.pids().items()}
                        for role, server in self.servers.items()}

    def load(self, end, seed):
        """Returns role -> 99th percentiles of its slices."""
        chance, slices = random.Random(seed), {role: [] for role in self.ROLES}
        while time.monotonic() < end:
            for role in chance.sample(self.ROLES, len(self.ROLES)):
                slices[role].append(self.servers[role].load(SLICE_SECONDS))
        return slices

    def signal_all(self, ours):
        for watched in ours.values():
            os.kill(watched.pid, self.servers["ours"].dump_signal_number())

    def have_states_made(self, ours):
        """By a first profile: a process that has taken no sample yet has nothing that could be dumped from outside."""
        self.signal_all(ours)
        wait_until(lambda: all(watched.own() for watched in ours.values()), "each has written a profile")

    def watch(self, start, loading):
        """Looks, takes profiles and sends signals until there is no more load. Returns how many signals each got, one after the other."""
        ours = self.watched["ours"]
        self.have_states_made(ours)
        next_outside, next_signal, signals = start, start + 1, 1
        while not loading.done():
            now = time.monotonic()
            for watched in (*ours.values(), *self.watched["alone"].values()):
                watched.look()
            if now >= next_outside:
                next_outside = now + OUTSIDE_EVERY
                for name, watched in ours.items():
                    watched.outside.append(self.base / f"{name}.{len(watched.outside)}.pb.gz")
                    self.tool("dump", "-o", watched.outside[-1], watched.pid)
            if now >= next_signal and all(len(watched.own()) == signals for watched in ours.values()):
                next_signal = now + SIGNAL_EVERY
                signals += 1
                self.signal_all(ours)
            concurrent.futures.wait([loading], timeout=0.5)
        return signals

    @cases("Redis", "Postgres")
    @timeout(amount(60, 1500))
    def test_soak(self, kind):
        self.start_servers(getattr(servers, kind))
        start, seed = time.monotonic(), first_seed(self)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            loading = pool.submit(self.load, start + SECONDS, seed)
            signals = self.watch(start, loading)
        seconds = time.monotonic() - start
        for role, server in self.servers.items():
            self.assertEqual(server.stop(), 0, f"{role}: {server.log()[-2000:]}")
        self.figure(seconds=round(seconds), slices=len(loading.result()["ours"]))
        for name in self.watched["ours"]:
            self.check_flat(name)
            self.check_profiles(name, signals)
        self.check_all_valid()
        self.check_latency(loading.result())

    def check_flat(self, name):
        ours, alone = self.watched["ours"][name], self.watched["alone"][name]
        (first, second), anonymous, of_alone = map(peaks, (ours.ours_kib, ours.anonymous_kib, alone.anonymous_kib))
        self.figure(**{f"{name}_share_kib": f"{first}..{second}", f"{name}_anonymous_kib": f"{anonymous[0]}..{anonymous[1]}",
                       f"{name}_alone_kib": f"{of_alone[0]}..{of_alone[1]}"})
        self.assertGreater(first, 0, "nothing of ours is mapped")
        self.assertLessEqual(second - first, SHARE_MARGIN_KIB, f"{name}: {ours.ours_kib}")
        growth, growth_alone = anonymous[1] - anonymous[0], max(0, of_alone[1] - of_alone[0])
        self.assertLessEqual(growth, growth_alone + ANONYMOUS_MARGIN_KIB, f"{name}: {ours.anonymous_kib}, alone {alone.anonymous_kib}")

    def check_profiles(self, name, signals):
        """Those of one process, in two rows: from outside, and its own."""
        watched = self.watched["ours"][name]
        own = watched.own()
        at_end = len(own) - signals  # there is none where nothing was sampled
        self.assertIn(at_end, (1,) if pprof_reader.load(own[-1]).samples else (0,), f"{name}: {own}")
        for files in (watched.outside, own):
            totals = [self.totals(path) for path in files]
            self.assertEqual([sorted(column) for column in zip(*totals)], [list(column) for column in zip(*totals)], f"{name}: {totals}")
        own_bytes = [pprof_reader.load(path).comment_values()["own_bytes"] for path in watched.outside]
        first, second = peaks(own_bytes)
        self.figure(**{f"{name}_profiles": len(watched.outside) + len(own), f"{name}_own_kib": f"{first >> 10}..{second >> 10}"})
        self.assertLessEqual(second - first, OWN_BYTES_MARGIN, f"{name}: {own_bytes}")

    def totals(self, path):
        """What only grows."""
        profile = pprof_reader.load(path)
        self.check_valid(path, profile)
        return profile.total("alloc_objects"), profile.total("alloc_space")

    def check_valid(self, path, profile):
        self.check_lint(profile)  # no value is negative
        lost = {key: value for key, value in profile.comment_values().items() if key.startswith("lost.") and value}
        self.assertEqual([key for key in lost if not key.startswith(MAY_BE_COUNTED)], [], f"{path}: {lost}")
        self.most_lost = {**self.most_lost, **{key: max(value, self.most_lost.get(key, 0)) for key, value in lost.items()}}

    def check_all_valid(self):
        """Those of children, too, that lived for a slice."""
        files = list((self.base / "out").iterdir())
        self.assertEqual([path.name for path in files if not path.name.endswith(".pb.gz")], [])
        for path in files:
            self.check_valid(path, pprof_reader.load(path))
        self.figure(profiles=len(files), lost=",".join(f"{key}:{value}" for key, value in self.most_lost.items()) or "nothing")

    def check_latency(self, slices):
        """Noise is what slices of the two servers without us differ by: the median with us is to be below the worst twentieth of them."""
        medians = {role: statistics.median(values) for role, values in slices.items()}
        noise = servers.percentile(slices["alone"] + slices["control"], 95)
        self.figure(p99_us="/".join(str(round(medians[role])) for role in self.ROLES), noise_us=round(noise),
                    p99_ratio=f"{medians['ours'] / medians['alone']:.3f}", control_ratio=f"{medians['control'] / medians['alone']:.3f}")
        if TORTURE:  # a dozen slices are not enough to tell
            self.assertLessEqual(medians["ours"], noise, slices)
