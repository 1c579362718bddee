# SPDX-License-Identifier: MIT
"""HEAPPROF_DUMP=keep: at exit the state file stays, whole, for who makes the profile from it."""
import os
import resource
import signal

from harness import region_reader
from harness.case import Case, cases


class Keep(Case):
    def states(self):
        return sorted(self.state_dir.iterdir())

    def check_agrees(self, region, profile):
        """What the file says is what the profile says, at an interval of 1."""
        for moment, kind in (("allocated", "alloc"), ("in_use", "inuse")):
            self.assertEqual((region.sum(moment, "objects"), region.sum(moment, "bytes")),
                             (profile.total(f"{kind}_objects"), profile.total(f"{kind}_space")))
        comments = profile.comment_values()
        self.assertEqual((region.created_unix_ns, region.pid, region.exact_units),
                         (comments["created_unix_ns"], comments["pid"], comments["exact_units"]))

    @cases(("return", 5), ("exit", 5), ("_exit", 5), ("quick_exit", 5), ("handler", 15))
    def test_instead_of_the_profile(self, way, status):
        run = self.profiled([self.victim("exits"), way], sample=1, dump="keep", expect=status)
        self.assertEqual((run.files, run.err), ([], ""))
        path, = self.states()
        region = region_reader.load(path)
        self.assertEqual((path.name, region.pid), (f"{run.pid}.heapprof", run.pid))
        self.assertEqual(region.exact_units, region.sum("allocated", "bytes") + region.sum("allocated", "objects"))
        self.assertGreaterEqual(region.exact_units, run.shadows[run.pid]["alloc_space"])
        self.assertGreater(region.ticks_per_second, 10**6)

    @cases(("return", 5), ("exit", 5), ("_exit", 5), ("quick_exit", 5), ("handler", 15))
    def test_how_it_ended(self, way, status):
        """And how it was started, and how much memory it had: for who asks when it is gone."""
        run = self.profiled([self.victim("exits"), way], sample=1, dump="keep", expect=status)
        region = region_reader.load(self.state_dir / f"{run.pid}.heapprof")
        self.assertEqual((region.command, region.end, region.origin), (f"{self.victim('exits')} {way}", 256 + status, (0, 0)))
        self.assertGreater(region.resident, 1 << 20)
        self.assertGreaterEqual(region.resident_most, region.resident)

    def test_killed(self):
        with self.start([self.victim("signals"), "\a", "x" * 2000], sample=1, dump="keep") as program:
            program.read_until("ready")
            program.say("work")
            program.read_until("done")
            os.kill(program.pid, signal.SIGKILL)
            program.end()
        region = region_reader.load(self.state_dir / f"{program.pid}.heapprof")
        start = f"{self.victim('signals')}   "
        self.assertEqual((region.command, region.end), (start + "x" * (1023 - len(start)), 0))

    def test_beside_the_profile(self):
        run = self.profiled([self.victim("exits"), "return"], sample=1, dump="exit,keep", expect=5)
        self.check_run_exact(run)
        path, = self.states()
        self.check_agrees(region_reader.load(path), run.profile)

    def test_beside_the_signal(self):
        with self.start([self.victim("signals")], sample=1, dump="signal,keep") as program:
            program.read_until("ready")
            program.say("work")
            program.read_until("done")
            os.kill(program.pid, signal.SIGUSR2)
            program.wait_for_files(1)
            run = program.end("end\n")
        self.assertEqual((run.status, len(run.files), len(self.states())), (0, 1, 1))

    def test_exact_count_is_complete(self):
        """What was allocated since the last sample is in it too."""
        counts = []
        for sample in (1, 4096, "1M"):
            self.profiled([self.victim("leak")], sample=sample, dump="keep", expect=7)
            path, = self.states()
            counts.append(region_reader.load(path).exact_units)
            path.unlink()
        self.assertEqual(counts, counts[:1] * 3)

    def test_each_process_of_a_fork(self):
        run = self.profiled([self.victim("fork"), "busy"], sample=1, dump="exit,keep")
        regions = {region.pid: region for region in map(region_reader.load, self.states())}
        self.assertEqual(set(regions), set(run.shadows))
        for profile in run.profiles:
            self.check_agrees(regions[profile.comment_values()["pid"]], profile)
        self.assertEqual({region.parent_pid for region in regions.values()}, {0, run.pid})

    def test_only_the_last_image(self):
        run = self.profiled([self.victim("exec")], sample=1, dump="exit,keep")
        path, = self.states()
        self.check_agrees(region_reader.load(path), run.profile)

    def test_without_stacks_nothing_stays(self):
        for dump in ("keep", "exit,keep"):
            run = self.profiled([self.victim("pair"), 1], sample="64G", dump=dump)
            self.assertEqual((run.files, self.states()), ([], []))

    def test_forked_child_without_samples_leaves_nothing(self):
        run = self.profiled([self.victim("fork"), "idle"], sample=1, dump="keep")
        self.assertEqual([path.name for path in self.states()], [f"{run.pid}.heapprof"])

    def test_without_a_file_the_profile_is_written(self):
        run = self.profiled([self.victim("exits")], sample=1, dump="keep", expect=5, state_dir="/proc/none")
        self.check_run_exact(run)

    def test_of_a_file_that_is_not_whole_the_profile_is_written(self):
        """The first 32 KiB are in the file, the rest of 500 stacks would not have been allowed."""
        run = self.profiled([self.victim("scale"), "stacks", 500], sample=1, dump="keep",
                            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (50000, 50000)))
        self.assertGreater(len(run.profile.samples), 500)
        self.assertEqual((self.states(), run.err), ([], ""))

    def test_of_a_file_that_somebody_took_away_the_profile_is_written(self):
        with self.start([self.victim("signals")], sample=1, dump="keep") as program:
            program.read_until("ready")
            program.say("work")
            program.read_until("done")
            for path in self.states():
                path.unlink()
            run = program.end("end\n")
        self.check_run_exact(run)
        self.assertEqual(self.states(), [])
