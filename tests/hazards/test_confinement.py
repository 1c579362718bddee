# SPDX-License-Identifier: MIT
"""P8: a process that lets itself make next to no system calls."""

from harness import pprof_reader
from harness.case import cases
from hazards.toolbox import INTERVALS, VICTIMS, AsWithout, Discriminates, Hazard, compile, program, program_with_library


class P8Seccomp(Discriminates):
    """P8: killed at anything but read, write, exit, mmap, brk and futex; 200,000 allocations behind that filter, half of them
    from places not seen before, and an exit. Seen to fail (SIGSYS) under a shim that makes system calls while it samples."""
    broken = ["broken_unw_step.c"]

    def command(self, way="prctl", start="warm"):
        return [program("hz_p8_seccomp.c"), way, start]

    @cases(("prctl", "warm"), ("prctl", "cold"), ("syscall", "warm"), ("syscall", "cold"), ("syscall-prctl", "cold"))
    def test_as_without(self, way, start):
        plain = self.plain(self.command(way, start))
        for sample in INTERVALS:
            run = self.profiled(self.command(way, start), sample=sample)
            self.assertEqual((run.out, run.err, run.files), (plain.out, "", []), f"HEAPPROF_SAMPLE={sample}")

    @cases("warm", "cold")
    def test_own_allocator(self, start):
        """With hooks at the entries of the program's own functions."""
        own = compile(VICTIMS / "own_allocator.c", "-fno-builtin", "-c")
        command = [program("hz_p8_seccomp.c", "-fno-builtin", own), "prctl", start]
        plain = self.plain(command)
        for sample in INTERVALS:
            run = self.profiled(command, sample=sample)
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


class P8Early(Hazard):
    """P8: a library's constructor confines the process before ours has run, and before anything was allocated: the filter is there,
    and we make no call that it does not allow. Seen to fail by the mutant early_filter_refused (the program goes on without its
    filter)."""

    @cases("prctl", "syscall", "syscall-prctl")
    def test_as_without(self, way):
        command = [program_with_library("hz_p8_early.c"), way]
        plain = self.plain(command)
        self.assertEqual(plain.out, "confined\n")
        for sample in INTERVALS:
            run = self.profiled(command, sample=sample)
            self.assertEqual((run.out, run.err, run.files), (plain.out, "", []), f"HEAPPROF_SAMPLE={sample}")
        self.assertEqual(list(self.state_dir.iterdir()), [])


class P8Questions(AsWithout):
    """P8: to ask whether there are filters confines nothing: the profile is exact, its stacks are whole. Seen to fail by the mutant
    refusal_confines."""

    def command(self):
        return [program("hz_p8_questions.c")]

    def test_profile(self):
        run = self.profiled(self.command(), sample=1)
        self.check_run_exact(run)
        later = [frames for frames in map(run.profile.frames, run.profile.samples) if "victim_keep_elsewhere" in frames]
        self.assertEqual([(frames.count("victim_keep_elsewhere"), "main" in frames) for frames in later], [(21, True)])


class P8Stacks(AsWithout):
    """P8: where nothing may be asked, nothing counts as readable. Seen to fail (SIGSEGV) by the mutant refused_is_readable."""

    def command(self):
        return [program("hz_p8_stacks.c")]


class P8Clock(AsWithout):
    """P8: strict seccomp and prctl(PR_SET_TSC) make reading the processor's clock a fault, and strict seccomp lets not even mmap pass.
    Seen to fail by the mutants clock_is_read (SIGSEGV) and strict_maps (SIGKILL)."""

    def command(self, way="tsc"):
        return [program("hz_p8_clock.c", "-fno-omit-frame-pointer"), way]

    @cases("tsc", "tsc-syscall", "strict", "strict-syscall")
    def test_each_way(self, way):
        for sample in INTERVALS:
            run = self.profiled(self.command(way), sample=sample)
            self.assertEqual((run.out, run.err), ("done\n", ""), f"HEAPPROF_SAMPLE={sample}")

    def test_profile(self):
        """It is written at the end as ever: only times are missing."""
        profile = self.profiled(self.command("tsc"), sample=1).profile
        self.check_lint(profile)
        self.assertGreaterEqual(profile.totals(lambda frames: "new_place" in frames)["alloc_objects"], 5000)
