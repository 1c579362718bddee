# SPDX-License-Identifier: MIT
"""A program that does at random what programs do that think of nobody else (hostile/hostile.c), with us and without: it ends and says the
same, and leaves the same files and descriptors.

A failure names its seed and the step where the two part; HEAPPROF_TORTURE_SEED repeats it, and `hostile SEED 24 PLUGIN any|jumps STEP`
does that step alone. Which object is met by which signal, and in which order threads go, is the scheduler's: nothing of that is printed.
"""
import dataclasses
import hashlib
import re
import subprocess
import time

from harness import paths
from harness.case import Case, cases, timeout
from hazards import toolbox
from hazards.toolbox import amount
from torture.torment import FOLDER, first_seed

SOURCES = FOLDER / "hostile"
toolbox.HEADERS += sorted(SOURCES.glob("*.h"))
SEEDS, STEPS = amount(8, 200), 24
PATIENCE_SECONDS = 100  # for what takes a fraction of one, and ends itself after 80
OURS = re.compile(r"^heapprof: .*\n", re.MULTILINE)


@dataclasses.dataclass
class End:
    """Of a program, with all it started."""
    status: object  # None: it had to be killed
    out: str
    err: str
    files: dict

    @property
    def told(self):
        return self.status, self.out, self.err, self.files


def files_of(folder):
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
            for path in sorted(folder.rglob("*"))}


def parting(one, other):
    """The step in which the second says something else, and both lines."""
    ours, theirs = one.out.splitlines() + ["(end)"], other.out.splitlines() + ["(end)"]
    for number, (a, b) in enumerate(zip(ours, theirs)):
        if a != b:
            steps = [line for line in ours[:number + 1] if re.match(r"\d+: ", line)]
            return f"step {steps[-1] if steps else 'none'}: {a!r} is {b!r}"
    return f"the output is the same; status {one.status} is {other.status}; standard error {one.err!r} is {other.err!r}; files " \
           f"{one.files} are {other.files}"


class Runner(Case):
    """Runs the program. A seed says which allocator: every second time one that stands handlers that jump away."""

    @staticmethod
    def program():
        return toolbox.compile(SOURCES / "hostile.c", f"-I{SOURCES}", "-D_GNU_SOURCE", "-Wl,-z,now")

    @staticmethod
    def plugin():
        return toolbox.compile(SOURCES / "plugin.c", "-shared", "-fPIC")

    def end_of(self, seed, preload=None, sample=None, **variables):
        """preload: a library, None for none"""
        work = self.dir / f"work.{time.monotonic_ns()}"
        work.mkdir()
        jumps = seed % 2 == 1
        libraries = [preload, toolbox.library("hz_async_allocator.c") if jumps else None]
        environment = self.environment(preload=False, LD_PRELOAD=" ".join(str(library) for library in libraries if library),
                                       state_dir=self.state_dir, out=f"{self.out_dir}/%p.%n.pb.gz", sample=sample,
                                       **variables)
        command = [self.program(), seed, STEPS, self.plugin(), "jumps" if jumps else "any"]
        self.programs_started += 1
        with open(work.with_suffix(".out"), "w+b") as out, open(work.with_suffix(".err"), "w+b") as err:
            process = subprocess.Popen([str(word) for word in command], cwd=work, env=environment, stdin=subprocess.DEVNULL, stdout=out,
                                       stderr=err)
            try:
                status = process.wait(PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                status = None
                process.kill()
                process.wait()
            out.seek(0), err.seek(0)
            texts = [file.read().decode(errors="replace") for file in (out, err)]
        return End(status, texts[0], OURS.sub("", texts[1]), files_of(work))


class Hostile(Runner):
    """With us and without. Seen to fail under the shims of Discriminates; it found first that strict seccomp makes reading the clock a
    fault, and that a descriptor stayed open when a handler jumped out (the mutants clock_is_read, strict_maps and growth_is_left)."""

    def compare(self, seed, sample):
        alone, ours = self.end_of(seed), self.end_of(seed, paths.LIB, sample=sample)
        if ours.told != alone.told:
            again = self.end_of(seed)
            self.assertEqual(again.told, alone.told, f"HEAPPROF_TORTURE_SEED={seed}: it differs without us, too")
            self.fail(f"HEAPPROF_TORTURE_SEED={seed} repeats this: without us {alone.status}, with us {ours.status}; "
                      f"{parting(alone, ours)}")

    def check_profiles(self, seed):
        """What has a final name is whole; what has not is gone."""
        for path in self.out_dir.iterdir():
            self.assertTrue(path.name.endswith(".pb.gz"), f"HEAPPROF_TORTURE_SEED={seed}: {path.name}")
        left = [path.name for path in self.state_dir.iterdir() if not path.name.endswith(".heapprof")]
        self.assertEqual(left, [], f"HEAPPROF_TORTURE_SEED={seed}")
        return len(list(self.out_dir.iterdir()))

    def clear(self):
        self.clear_profiles()
        for path in self.state_dir.iterdir():
            path.unlink()

    @cases("every", "default")
    @timeout(amount(120, 1500))
    def test_as_without(self, interval):
        seed, profiles = first_seed(self), 0
        for number in range(seed, seed + SEEDS):
            self.compare(number, {"every": 1, "default": None}[interval])
            profiles += self.check_profiles(number)
            self.clear()
        self.figure(seeds=SEEDS, profiles=profiles)
        if interval == "every":
            self.assertGreater(profiles, SEEDS / 2, "it was hardly profiled")


class Discriminates(Runner):
    """The program notices what is wrong with shims that other tests were seen to fail under, and nothing of a preload that only forwards.
    (mini_shim.c is no control here: a thread that is cancelled inside it, or that a handler leaves, keeps its lock.)"""
    SEEDS = range(0, 16)

    @cases("broken_big_frame.c", "broken_getattr.c", "broken_getpid_fork.c", "broken_keeps_descriptor.c", "broken_lock_while_unwinding.c",
           "broken_naive_calloc.c", "broken_plain_guard.c", "broken_torn_down.c", "broken_unw_step.c")
    @timeout(120)
    def test_noticed(self, name):
        ends = ((self.end_of(seed), self.end_of(seed, toolbox.shim(name), HZ_PATIENCE=1)) for seed in self.SEEDS)
        noticed = next((parting(*pair) for pair in ends if pair[0].told != pair[1].told), None)
        self.assertIsNotNone(noticed, f"{name} went unnoticed")

    @timeout(120)
    def test_control(self):
        forwards = toolbox.compile(paths.TESTS / "bench/empty_interposer.c", "-shared", "-fPIC", "-O2")
        for seed in self.SEEDS[:amount(6, 16)]:
            alone, controlled = self.end_of(seed), self.end_of(seed, forwards)
            self.assertEqual(controlled.told, alone.told, f"seed {seed}: {parting(alone, controlled)}")
