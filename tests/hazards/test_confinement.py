# SPDX-License-Identifier: MIT
"""P8: a process that lets itself make next to no system calls."""

from harness import pprof_reader
from harness.case import cases
from hazards.toolbox import INTERVALS, AsWithout, Discriminates, program


class P8Seccomp(Discriminates):
    """P8: killed at anything but read, write, exit, mmap, brk and futex; 200,000 allocations behind that filter, half of them
    from places not seen before, and an exit. Seen to fail (SIGSYS) under a shim that makes system calls while it samples."""
    broken = ["broken_unw_step.c"]

    def command(self, way="prctl", start="warm"):
        return [program("hz_p8_seccomp.c"), way, start]

    @cases(("prctl", "warm"), ("prctl", "cold"), ("syscall", "warm"), ("syscall", "cold"))
    def test_as_without(self, way, start):
        plain = self.plain(self.command(way, start))
        for sample in INTERVALS:
            run = self.profiled(self.command(way, start), sample=sample)
            self.assertEqual((run.out, run.err, run.files), (plain.out, "", []), f"HEAPPROF_SAMPLE={sample}")

    def test_leaves_its_profile(self):
        """There is none at exit, and the state file holds everything: every allocation, from places old and new."""
        run = self.profiled(self.command(), sample=1)
        self.assertEqual(len(list(self.state_dir.iterdir())), 1)
        self.tool("recover", run.pid, "-o", "recovered.pb.gz")
        self.assertEqual(list(self.state_dir.iterdir()), [])
        profile = pprof_reader.load(self.out_dir / "recovered.pb.gz")
        self.check_lint(profile)
        known = profile.totals(lambda frames: "known_place" in frames)
        self.assertEqual((known["alloc_objects"], known["inuse_objects"]), (100100, 0))
        self.assertGreaterEqual(profile.totals(lambda frames: True)["alloc_objects"], 200100)

    def test_leaves_nothing_without_samples(self):
        self.profiled(self.command(), sample="64G")
        self.assertEqual(list(self.state_dir.iterdir()), [])


class P8Vfork(AsWithout):
    """P8: a vfork child that confines itself does not confine its parent, which writes its profile at exit. Seen to fail by the mutant
    vfork_confines."""

    def command(self):
        return [program("hz_p8_vfork.c")]

    def test_parent_goes_on(self):
        self.check_run_exact(self.profiled(self.command(), sample=1))
