# SPDX-License-Identifier: MIT
"""Threads that meet at one place in exact mode count apart; whoever reads it finds them together."""
import collections
import os
import signal

from harness import region_reader
from harness.states import StateCase

OWN = 0x10000  # of a stack's flags: one of several records of the same frames

class Meeting(StateCase):
    def samples_of(self, profile):
        """Those of the places, by all that tells samples apart but its values."""
        return collections.Counter((*(location.address for location in sample.locations), *sorted(map(str, sample.labels.items())))
                                   for sample in profile.select(lambda frames: frames[0].startswith("victim_make")))

    def check_once(self, profile):
        samples = self.samples_of(profile)
        self.assertTrue(samples)
        self.assertEqual([sample for sample, count in samples.items() if count > 1], [])

    def samples_apart(self, pid):
        """Of each place in the state file: how many samples have a record of a thread alone, and how many the other one."""
        region, found = region_reader.load(self.state_dir / f"{pid}.heapprof"), {}
        for stack in region.stacks:
            if stack.samples > 1000:
                found.setdefault((*stack.pcs, stack.flags & ~OWN), {})[stack.flags & OWN != 0] = stack.samples
        return region, [(one.get(True, 0), one.get(False, 0)) for one in found.values()]

    def check_apart(self, pid):
        region, places = self.samples_apart(pid)
        self.assertEqual(len(places), 2)
        for own, shared in places:
            self.assertGreater(own, (own + shared) / 4)
        self.assertEqual(region.peaks[0] & ~region_reader.PEAK_IS_OVER, 16 * region.sum("at_peak", "bytes"))
        return region

    def test_exact(self):
        run = self.profiled([self.victim("meeting")], sample=1, dump="exit,keep")
        self.check_run_exact(run)
        self.check_once(run.profile)
        region = self.check_apart(run.pid)
        comments = run.profile.comment_values()
        for moment, kind in (("allocated", "alloc"), ("in_use", "inuse"), ("at_peak", "peak")):
            self.assertEqual((region.sum(moment, "objects"), region.sum(moment, "bytes")),
                             (run.profile.total(f"{kind}_objects"), run.profile.total(f"{kind}_space")))
        self.assertEqual((comments["exact_units"], comments["estimated_units"]), (region.exact_units, region.exact_units))
        self.assertEqual(comments["stacks"], region.stack_count)

    def test_sampled(self):
        """Where samples are rare nobody counts apart."""
        run = self.profiled([self.victim("meeting")], sample=64, seed=1, dump="exit,keep")
        self.check_once(run.profile)
        self.assertEqual([stack for stack in region_reader.load(self.state_dir / f"{run.pid}.heapprof").stacks if stack.flags & OWN], [])

    def test_killed(self):
        with self.start([self.victim("meeting"), "stay"], sample=1) as program:
            shadow = program.read_until("ready")
            before = self.dump(program.pid, "-o", "before.pb.gz")
            os.kill(program.pid, signal.SIGKILL)
            run = program.end()
        run.out = shadow
        after = self.read(self.tool("recover", program.pid).stdout.strip())
        for profile in (before, after):
            self.check_exact(profile, run.shadows[run.pid])
            self.check_once(profile)

    def test_forked(self):
        """A child counts what it inherits, of both threads, and its own threads meet anew."""
        run = self.profiled([self.victim("meeting"), "fork"], sample=1, dump="exit,keep")
        self.assertEqual(len(run.profiles), 2)
        for profile in run.profiles:
            pid = profile.comment_values()["pid"]
            self.check_exact(profile, run.shadows[pid])
            self.check_once(profile)
            self.check_apart(pid)
