# SPDX-License-Identifier: MIT
"""Programs with an allocator of their own in the executable: hooks at the entries of its functions. With every allocation recorded, a
profile equals what the victim counted, and the program does what it does without us. Seen to fail by the mutants stays_in_the_way and
counted_inside."""
import itertools
import os
import platform
import re
import subprocess

from harness import paths, tools
from harness.case import Case, cases, in_victim
from harness.pairs import PairCase
from hazards.toolbox import VICTIMS, compile, program, skip_unless

FOLDER = "/usr/lib/x86_64-linux-gnu"
ARCHIVES = {"jemalloc": "libjemalloc.a", "tcmalloc": "libtcmalloc_minimal.a"}
SOURCES = {"small": ["own_allocator.c"], "wrapper": ["own_wrapper.c"], "roundabout": ["own_allocator.c", "-DROUNDABOUT"]}
# mimalloc.o of any version, built with MI_MALLOC_OVERRIDE: Debian has no static one.
MIMALLOC = os.environ.get("TEST_MIMALLOC_OVERRIDE")
KINDS = ["small", "wrapper", "glibc", *ARCHIVES, *(["mimalloc"] if MIMALLOC else [])]
STATUS = {"leak": 7}
WORDS = ["churn", "threads", "threads 1", "aligned", "everything", "everything clean", "strings", "leak", "deep 100"]
# jemalloc has no pvalloc, the wrapper no reallocarray: the victim gets one of libc's, and crashes without us, too.
CRASHES = {("aligned", "jemalloc"), ("everything", "wrapper"), ("everything clean", "wrapper")}
ALL = [pair for pair in itertools.product(WORDS, KINDS) if pair not in CRASHES]
ALL += [("threads", "roundabout"), ("aligned", "roundabout")]


def glibcs_own():
    """malloc.o of libc.a, and what it wants, which no other version may."""
    skip_unless(platform.libc_ver() == ("glibc", "2.36"), "malloc.o of this glibc may want other functions")
    tools.need("objcopy")
    folder = paths.BUILD / "tests/hazards/built"
    folder.mkdir(parents=True, exist_ok=True)
    result = folder / "glibcs_own.o"
    if not result.exists():
        temporary = result.with_suffix(f".{os.getpid()}")
        archive = subprocess.run(["gcc", "-print-file-name=libc.a"], capture_output=True, text=True, check=True).stdout.strip()
        with open(temporary, "wb") as file:
            subprocess.run(["ar", "p", archive, "malloc.o"], stdout=file, check=True)
        subprocess.run(["objcopy", "--redefine-sym=fprintf=own_fprintf", "--redefine-sym=memset=own_memset", temporary], check=True)
        temporary.replace(result)
    return [str(result), compile(VICTIMS / "own_glibc.c", "-fno-builtin", "-c")]


def linked(name, kind, *flags):
    """The victim with the allocator in its executable."""
    if kind == "glibc":
        return program(name, "-fno-builtin", *flags, *glibcs_own())
    if kind in SOURCES:
        source, *how = SOURCES[kind]
        return program(name, "-fno-builtin", *flags, compile(VICTIMS / source, "-fno-builtin", "-c", *how))
    archive = MIMALLOC if kind == "mimalloc" else f"{FOLDER}/{ARCHIVES[kind]}"
    skip_unless(os.path.exists(archive), f"{archive} is not installed")
    return program(name, "-fno-builtin", *flags, archive, "-lstdc++", "-lm", "-ldl")


def counted(frames):
    """By the victim. Before glibc 2.34 dlsym allocates once in each thread, for what may have to be said of an error: where own_wrapper.c
    looks for the next function in the midst of a thread."""
    return in_victim(frames) and "dlsym" not in frames


class OwnAllocator(Case):
    def command(self, words, kind, *flags):
        name, *arguments = words.split()
        return [linked(name if "." in name else f"{name}.c", kind, *flags), *arguments]

    @cases(*ALL)
    def test_totals(self, words, kind):
        run = self.profiled(self.command(words, kind), sample=1, expect=STATUS.get(words, 0))
        self.assertEqual(run.err, "")
        self.check_exact(run.profile, run.shadows[run.pid], counted)
        self.check_lint(run.profile)

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

    @cases(*KINDS, "roundabout")
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
