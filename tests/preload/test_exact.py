# SPDX-License-Identifier: MIT
"""With every allocation recorded, a profile equals what the victim counted, on every allocator."""
import itertools
import re

from harness.case import ALLOCATORS, Case, cases, in_victim
from harness import paths

STATUS = {"leak": 7, "exits return": 5}
# Debian's mimalloc is built as C, and aborts where operator new should throw.
ARGUMENTS = {("new_delete", "mimalloc"): ["never-fail"]}
VICTIMS = ["leak", "churn", "threads", "threads 1", "aligned", "everything", "everything clean", "new_delete", "strings",
           "errno_keep", "deep 100", "exits return"]


class Exact(Case):
    def run_victim(self, words, allocator, **options):
        name, *arguments = words.split()
        arguments += ARGUMENTS.get((words, allocator), [])
        return self.profiled([self.victim(name), *arguments], allocator=allocator, expect=STATUS.get(words, 0), **options)

    @cases(*itertools.product(VICTIMS, ALLOCATORS))
    def test_totals(self, words, allocator):
        if (words, allocator) == ("errno_keep", "mimalloc"):
            self.skipTest("mimalloc changes errno itself")
        run = self.run_victim(words, allocator, sample=1)
        self.check_run_exact(run)
        self.assertEqual(run.err, "")
        if "clean" in words:
            self.assertEqual(run.profile.total("inuse_objects", in_victim), 0)

    @cases(*itertools.product(["aligned", "everything", "strings"], ["glibc", "jemalloc", "tcmalloc"]))
    def test_output_is_that_without_profiler(self, words, allocator):
        """errno of failures, alignment, what realloc(p, 0) returned."""
        expected = self.run_victim(words, allocator, preload=False).out
        for sample in (1, None):
            actual = self.run_victim(words, allocator, sample=sample).out
            self.assertEqual(re.sub("pid=.*", "", actual), re.sub("pid=.*", "", expected))

    def test_jemalloc_api(self):
        run = self.profiled([self.victim("jemalloc_api")], allocator="jemalloc", sample=1)
        self.check_run_exact(run)

    @cases("glibc", "tcmalloc", "mimalloc")
    def test_jemalloc_api_elsewhere(self, allocator):
        run = self.profiled([self.victim("jemalloc_api")], allocator=allocator, sample=1, expect=77)
        self.assertEqual((run.out, run.err), ("no jemalloc\n", ""))

    @cases(*ALLOCATORS)
    def test_many_threads(self, allocator):
        run = self.profiled([self.victim("threads"), 200, 500], allocator=allocator, sample=1)
        self.check_run_exact(run)

    @cases(*ALLOCATORS)
    def test_allocations_before_the_profiler(self, allocator):
        """Another library's constructor was there first: with 8 threads, or with handlers as first allocation."""
        early = paths.VICTIMS / "libearly.so"
        for what in ("threads", "handlers"):
            self.clear_profiles()
            run = self.run_victim("churn", allocator, sample=1, extra_preload=[early], EARLY=what)
            self.check_run_exact(run)

    def test_weights_of_large_objects_are_one(self):
        """At the default interval an object of 64 MiB is sampled for certain, and stands for itself."""
        run = self.profiled([self.victim("leak")], expect=7)
        totals = run.profile.counted(lambda frames: "victim_large" in frames)
        self.assertEqual(totals, {"alloc_objects": 1, "alloc_space": 64 << 20, "inuse_objects": 1, "inuse_space": 64 << 20})

    def test_exact_units(self):
        """Every profile carries the exact bytes plus objects allocated: at an interval of 1, that of all its samples."""
        run = self.profiled([self.victim("churn")], sample=1)
        comments = run.profile.comment_values()
        units = run.profile.total("alloc_space") + run.profile.total("alloc_objects")
        self.assertEqual(comments["exact_units"], units, comments)
        self.assertEqual(comments["estimated_units"], units, comments)
        for sample_type, _ in run.profile.sample_types:
            self.assertEqual(comments[f"standard_error.{sample_type}"], 0)
