# SPDX-License-Identifier: MIT
"""HEAPPROF_FOLLOW=no: a program that is executed is not profiled, and finds an environment as if we had not been there."""
import os

from harness import paths
from harness.case import Case, cases, path_of_allocator

OTHER, ANOTHER = "/usr/lib/x86_64-linux-gnu/libm.so.6", "libdl.so.2"
COPY = "/somewhere/else/libheapprof.so"  # any file of that name is the profiler


class Follow(Case):
    @cases(("{lib}", ""), ("{lib} {a}", "{a}"), ("{a} {lib}", "{a}"), ("{a}:{lib} {b}", "{a} {b}"), ("{a} {lib}:{b}", "{a}:{b}"),
           ("{lib}:{a} {b}", "{a} {b}"), ("{a} {b}:{lib}", "{a} {b}"), ("{lib}:{lib} {a}", "{a}"))
    def test_environment_byte_for_byte(self, preload, rest):
        words = {"lib": paths.LIB, "a": OTHER, "b": ANOTHER}
        run = self.profiled(["perl", "-e", 'exec "env", "-0"'], sample=1, follow="no", LD_PRELOAD=preload.format(**words))
        expected = self.environment(sample=1, follow="no", LD_PRELOAD=rest.format(**words))
        self.assertEqual(run.err, "")
        self.assertEqual(sorted(run.out.split("\0")), sorted(["", *(f"{name}={value}" for name, value in expected.items())]))

    def test_only_names_that_are_ours(self):
        """Of entries with similar names none is touched. (ld.so says that it cannot open them.)"""
        similar = "/x/notlibheapprof.so /x/libheapprof.so.1 /libheapprof.so/x libheapprof"
        run = self.profiled(["/bin/sh", "-c", "exec env -0"], sample=1, follow="no", LD_PRELOAD=f"{similar} {paths.LIB} {COPY}")
        self.assertIn(f"LD_PRELOAD={similar}", run.out.split("\0"))

    def test_executed_child_is_not_profiled(self):
        script = f"{self.victim('churn')}; {self.victim('leak')}; {self.victim('exits')}; exit 0"
        followed = self.profiled(["/bin/sh", "-c", script], sample=1)
        self.assertEqual({path.name.split(".")[1] for path in followed.files}, {"sh", "churn", "leak", "exits"})
        self.clear_profiles()
        run = self.profiled(["/bin/sh", "-c", script], sample=1, follow="no")
        self.assertEqual({path.name.split(".")[1] for path in run.files}, {"sh"})
        self.assertEqual(len(run.shadows), 3)

    def test_forked_child_is_profiled(self):
        run = self.profiled([self.victim("fork"), "busy"], sample=1, follow="no")
        by_pid = {int(path.name.split(".")[2]): profile for path, profile in zip(run.files, run.profiles)}
        self.assertEqual(set(by_pid), set(run.shadows))
        for pid, profile in by_pid.items():
            self.check_exact(profile, run.shadows[pid])

    def test_allocator_serves_the_child_too(self):
        allocator = path_of_allocator("jemalloc")
        run = self.profiled(["/bin/sh", "-c", "cat /proc/self/maps; exit 0"], allocator="jemalloc", sample=1, follow="no")
        self.assertIn(os.path.realpath(allocator), run.out)
        self.assertNotIn("libheapprof", run.out)

    def test_own_environment_shows_it(self):
        """/proc/PID/environ has zeros where the entry was, no remains."""
        text = self.profiled(["/usr/bin/cat", "/proc/self/environ"], sample=1, follow="no",
                             LD_PRELOAD=f"{paths.LIB} {OTHER}").out
        variables = [entry for entry in text.split("\0") if entry]
        self.assertIn(f"LD_PRELOAD={OTHER}", variables)
        self.assertEqual([entry for entry in variables if "=" not in entry], [])

    def test_a_program_that_is_not_selected_passes_it_on(self):
        """With HEAPPROF_ONLY, the programs on the way to the one that is meant stay out of it."""
        run = self.profiled(["/bin/sh", "-c", f"{self.victim('leak')}; exit 0"], sample=1, follow="no", only="leak")
        pid, = run.shadows
        self.check_exact(run.profile, run.shadows[pid])
