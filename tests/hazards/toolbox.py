# SPDX-License-Identifier: MIT
"""What the hazard tests share. A class is one hazard of docs/hazards.md, and takes from here what applies to it:

  AsWithout      the victim ends and says the same with the profiler as without it, at R = 1, at 4096 and at the default
  Exact          the same, and at R = 1 the profile says what the victim counted, on every allocator
  Discriminates  the same victim fails under each shim of tests/broken that has the hazard, and passes under the control:
                 so that the other tests are known to be able to fail

Victims (tests/victims/hz_*), libraries for them and the broken shims are compiled on demand and kept in the build directory.
HEAPPROF_TORTURE=1 makes every test as long as the list asks for; without it each takes seconds.
"""
import functools
import hashlib
import os
import pathlib
import re
import subprocess
import unittest

from harness import paths
from harness.case import ALLOCATORS, Case, cases, timeout

VICTIMS = paths.TESTS / "victims"
BROKEN = paths.TESTS / "broken"
HEADERS = [VICTIMS / "hz_victim.h", VICTIMS / "hz_filter.h", VICTIMS / "shadow.h", BROKEN / "mini_shim.h"]
WARNINGS = ["-Wall", "-Wextra"]
INTERVALS = (1, 4096, None)  # bytes between samples; None: the default
ATTEMPTS = 20  # to see a race: the first one mostly does
TORTURE = os.environ.get("HEAPPROF_TORTURE", "") not in ("", "0")


def amount(usual, torture):
    return torture if TORTURE else usual


def compile(source, *flags, compiler=None):
    """Returns the path of the program, or of the library with -shared, building it if that was not done yet."""
    source = pathlib.Path(source)
    compiler = [compiler] if compiler else paths.CXX if source.suffix == ".cc" else paths.CC
    command = [*compiler, "-O1", "-g", *WARNINGS, "-fno-builtin-malloc", f"-I{VICTIMS}", *flags]
    archives = [paths.BUILD / name for name in ("libheapprof.a",) if f"-l:{name}" in flags]
    newest = max(path.stat().st_mtime_ns for path in [source, *HEADERS, *archives])
    key = hashlib.sha256(repr((command, newest)).encode()).hexdigest()[:12]
    folder = paths.BUILD / "tests/hazards/built"
    folder.mkdir(parents=True, exist_ok=True)
    result = folder / f"{source.stem}.{key}{'.so' if '-shared' in flags else ''}"
    if not result.exists():
        temporary = result.with_suffix(f".{os.getpid()}")  # two tests may build it at a time
        built = subprocess.run([*compiler, str(source), *command[len(compiler):], "-pthread", "-o", str(temporary)],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if built.returncode:
            raise AssertionError(f"{source} does not compile: {built.stdout}")
        try:
            os.link(temporary, result)  # not a rename: the other test may already run what it built
        except FileExistsError:
            pass
        temporary.unlink()
    return str(result)


def program(name, *flags, **options):
    """libraries last on the command line: pass them as flags, ld keeps what it needs with --no-as-needed"""
    return compile(VICTIMS / name, *flags, **options)


def library(name, *flags):
    return compile(VICTIMS / name, "-shared", "-fPIC", "-O2", *flags)


def program_with_library(name, *flags):
    """Linked with hz_library, which is initialised before a preloaded library and torn down after it."""
    return program(name, *flags, "-rdynamic", "-Wl,--no-as-needed", library("hz_library.c"))


def shim(name, *flags):
    """A broken shim, or the control mini_shim.c."""
    source = BROKEN / name
    link = re.search(r"Link: (.*?) \*/", source.read_text())
    # The library goes last, and gcc looks at the order.
    return compile(source, "-shared", "-fPIC", "-fexceptions", *flags, *(["-Wl,--no-as-needed", link[1]] if link else []))


@functools.cache
def static_flags():
    """What a statically linked program is linked with: what heapprof.pc says, of what would be installed from here."""
    skip_unless((paths.BUILD / "libheapprof.a").exists(), "built with --without-linked")
    said = subprocess.run(["pkg-config", "--static", f"--define-variable=libdir={paths.BUILD}", "--libs", "heapprof"],
                          env={**os.environ, "PKG_CONFIG_PATH": str(paths.BUILD)}, capture_output=True, text=True, check=True)
    return said.stdout.split()


class Hazard(Case):
    def command(self):
        """The victim and its arguments."""
        raise NotImplementedError

    def outcome(self, run):
        """What must be the same."""
        return run.status, re.sub(r" pid=\d+$", "", run.out, flags=re.MULTILINE)

    def under(self, name, command, **options):
        """Runs it under a shim of tests/broken, with patience only for the control. Who waits for libunwind's mutex has blocked the
        alarm: hence the killer."""
        patience = 10 if name == "mini_shim.c" else 1
        killed = ["timeout", "--signal=KILL", 25 * patience, "env", f"LD_PRELOAD={self.preload(name)}", *command]
        return self.plain(killed, expect=None, LD_PRELOAD=None, HZ_PATIENCE=patience, **options)

    def preload(self, name):
        return shim(name)

    def fails_under(self, name, command, is_failure):
        """Does one of many runs fail? What is wrong with some shims is a race, which a busy machine, or one with few cores, may not
        show at once; the first failure ends it."""
        return any(is_failure(self.under(name, command)) for _ in range(ATTEMPTS))


class AsWithout(Hazard):
    samples = INTERVALS

    def options(self):
        """For the program, with us and without."""
        return {}

    def test_as_without(self):
        command, options = self.command(), self.options()
        plain = self.plain(command, **options)
        for sample in self.samples:
            run = self.profiled(command, expect=None, sample=sample, **options)
            self.assertEqual(self.outcome(run), self.outcome(plain), f"HEAPPROF_SAMPLE={sample}; {run.err}")


class Discriminates(Hazard):
    broken = ()              # names of shims under which the victim must fail
    control = "mini_shim.c"  # the shim under which it must not; None: there is none that small

    def test_discriminates(self):
        command = self.command()
        plain = self.outcome(self.plain(command))
        if self.control:
            run = self.under(self.control, command)
            self.assertEqual(self.outcome(run), plain, f"under the control; {run.err}")
        for name in self.broken:
            self.assertTrue(self.fails_under(name, command, lambda run: self.outcome(run) != plain), f"{name} went unnoticed")


class Exact(AsWithout, Discriminates):
    """What shows in the counts: at R = 1 the profile is what the victim counted."""

    @cases(*ALLOCATORS)
    @timeout(amount(60, 600))
    def test_exact(self, allocator):
        if self.plain(self.command(), allocator=allocator, expect=None).status != 0:
            raise unittest.SkipTest(f"the victim does not run on {allocator} alone")
        run = self.profiled(self.command(), sample=1, allocator=allocator)
        self.check_exact(run.profile, run.shadows[run.pid])
        self.check_lint(run.profile)


def skip_unless(condition, why):
    if not condition:
        raise unittest.SkipTest(why)
