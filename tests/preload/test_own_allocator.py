# SPDX-License-Identifier: MIT
"""Programs with an allocator of their own in the executable: hooks at the entries of its functions. With every allocation recorded, a
profile equals what the victim counted, and the program does what it does without us. Seen to fail by the mutants stays_in_the_way and
counted_inside."""
import itertools
import os
import re

from harness.case import Case, cases
from harness.pairs import PairCase
from hazards.toolbox import VICTIMS, compile, program, skip_unless

FOLDER = "/usr/lib/x86_64-linux-gnu"
ARCHIVES = {"jemalloc": "libjemalloc.a", "tcmalloc": "libtcmalloc_minimal.a"}
SOURCES = {"small": "own_allocator.c", "wrapper": "own_wrapper.c"}
KINDS = [*SOURCES, *ARCHIVES]
STATUS = {"leak": 7}
WORDS = ["churn", "threads", "threads 1", "aligned", "everything", "everything clean", "strings", "leak", "deep 100"]
# jemalloc has no pvalloc, the wrapper no reallocarray: the victim gets one of libc's, and crashes without us, too.
CRASHES = {("aligned", "jemalloc"), ("everything", "wrapper"), ("everything clean", "wrapper")}
ALL = [pair for pair in itertools.product(WORDS, KINDS) if pair not in CRASHES]


def linked(name, kind, *flags):
    """The victim with the allocator in its executable."""
    if kind in SOURCES:
        return program(name, "-fno-builtin", *flags, compile(VICTIMS / SOURCES[kind], "-fno-builtin", "-c"))
    archive = f"{FOLDER}/{ARCHIVES[kind]}"
    skip_unless(os.path.exists(archive), f"{archive} is not installed")
    return program(name, "-fno-builtin", *flags, archive, "-lstdc++", "-lm", "-ldl")


class OwnAllocator(Case):
    def command(self, words, kind, *flags):
        name, *arguments = words.split()
        return [linked(name if "." in name else f"{name}.c", kind, *flags), *arguments]

    @cases(*ALL)
    def test_totals(self, words, kind):
        run = self.profiled(self.command(words, kind), sample=1, expect=STATUS.get(words, 0))
        self.assertEqual(run.err, "")
        self.check_run_exact(run)


    @cases(*(pair for pair in itertools.product(["everything", "strings"], KINDS) if pair not in CRASHES))
    def test_output_is_that_without_profiler(self, words, kind):
        command = self.command(words, kind)
        expected = self.plain(command).out
        for sample in (1, None):
            actual = self.profiled(command, sample=sample).out
            self.assertEqual(re.sub("pid=.*", "", actual), re.sub("pid=.*", "", expected))

    @cases(*itertools.product(["never-fail", ""], ["jemalloc", "tcmalloc"]))
    def test_operators(self, words, kind):
        run = self.profiled(self.command(f"new_delete.cc {words}", kind), sample=1)
        self.check_run_exact(run)

    @cases(*KINDS)
    def test_fork(self, kind):
        run = self.profiled(self.command("fork busy", kind), sample=1)
        self.assertEqual(run.err, "")
        by_pid = {int(path.name.split(".")[-4]): profile for path, profile in zip(run.files, run.profiles)}
        self.assertEqual(set(by_pid), set(run.shadows))
        for pid, profile in by_pid.items():
            self.check_exact(profile, run.shadows[pid])


class Cost(PairCase):
    """Of malloc(64) and free on jemalloc: in the executable, and preloaded behind us."""

    def test_against_a_preload(self):
        own = self.per_pair(linked("pair.c", "jemalloc"), sample="64G", seed=1)
        preloaded = self.per_pair(program("pair.c", "-fno-builtin"), allocator="jemalloc", sample="64G", seed=1)
        self.figure(own=own, preloaded=preloaded)
        self.assertLessEqual(own, preloaded + 3)
        self.assertGreater(own, preloaded - 5, "the hooks are not called")
