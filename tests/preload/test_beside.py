# SPDX-License-Identifier: MIT
"""An allocator in the executable beside libc's, by other names: both have hooks, each keeps its own functions, and with every allocation
recorded a profile equals what the victim counted. Seen to fail by the mutants beside_unseen, beside_unnamed and one_real_for_all."""
import itertools
import json
import os
import pathlib
import re
import subprocess

from harness import paths, tools
from harness.case import Case, cases
from harness.pairs import PairCase
from harness.server import Server
from harness.states import StateCase
from hazards.toolbox import VICTIMS, compile, program, skip_unless

FOLDER = "/usr/lib/x86_64-linux-gnu"
# prefix: (archive, what the victim is told of it, what it needs besides)
FAMILIES = {
    "je_": ("libjemalloc.a", ["-DJEMALLOC"], ["-lm", "-ldl"]),
    "_rjem_": ("libjemalloc.a", ["-DJEMALLOC"], ["-lm", "-ldl"]),
    "tc_": ("libtcmalloc_minimal.a", ["-DTCMALLOC"], ["-lstdc++", "-lm"]),
    "mi_": (None, ["-DMIMALLOC"], []),
}
NAMES = """malloc free calloc realloc memalign aligned_alloc posix_memalign valloc pvalloc malloc_usable_size cfree
    mallocx rallocx xallocx dallocx sdallocx nallocx sallocx mallctl malloc_stats_print mallctlnametomib mallctlbymib""".split()
# The real one, mimalloc.o of any version, in place of a small one of ours that has the same functions.
MIMALLOC = os.environ.get("TEST_MIMALLOC")
HOOKS = r"^hooks +(.*)$"


def renamed(path, prefix):
    """The usual names get the prefix, or, where those with it are there already, one that nobody uses."""
    tools.need("objcopy")
    path, new = pathlib.Path(path), "unused_" if prefix == "tc_" else prefix
    result = paths.BUILD / "tests/hazards/built" / f"{new}{path.name}.o"
    result.parent.mkdir(parents=True, exist_ok=True)
    if not result.exists():
        temporary = result.with_suffix(f".{os.getpid()}")
        subprocess.run(["objcopy", *(f"--redefine-sym={name}={new}{name}" for name in NAMES), path, temporary], check=True)
        temporary.replace(result)
    return str(result)


def parts_of(prefix, *flags):
    archive, definitions, libraries = FAMILIES[prefix]
    if archive is None and MIMALLOC:
        return [*definitions, MIMALLOC]
    if archive is None:
        return [*definitions, renamed(compile(VICTIMS / "own_allocator.c", "-fno-builtin", "-c"), prefix),
                compile(VICTIMS / "beside_mi.c", "-fno-builtin", "-c", *flags)]
    skip_unless(os.path.exists(f"{FOLDER}/{archive}"), f"{archive} is not installed")
    return [*definitions, renamed(f"{FOLDER}/{archive}", prefix), *libraries]


def rust_program(path, how):
    """Linked as cargo does, with names in .symtab alone."""
    tools.need("rustc")
    flags = ["--cfg", "je", *(f"-Clink-arg={part}" for part in parts_of("_rjem_")[1:])] if how == "je" else []
    subprocess.run(["rustc", "-Copt-level=1", "-g", "-o", path, *flags, VICTIMS / "beside.rs"], check=True)
    return path


def linked(prefix, *flags):
    return program("beside.c", "-fno-builtin", f"-DPREFIX={prefix}", *parts_of(prefix), *flags)


class Beside(Case):
    def check_hooks(self, run, expected):
        for path in run.files:
            self.assertEqual(re.findall(HOOKS, self.tool("info", path).stdout, re.MULTILINE), expected)

    def check_all_exact(self, run, processes):
        by_pid = {int(path.name.split(".")[-4]): profile for path, profile in zip(run.files, run.profiles)}
        self.assertEqual((set(by_pid), len(by_pid)), (set(run.shadows), processes))
        for pid, profile in by_pid.items():
            self.check_exact(profile, run.shadows[pid])

    @cases(*itertools.product(FAMILIES, ["all", "threads"]))
    def test_totals(self, prefix, how):
        run = self.profiled([linked(prefix), how], sample=1)
        self.assertEqual(run.err, "")
        self.check_run_exact(run)
        self.check_hooks(run, [f"at the entries of {prefix}malloc"])

    @cases(*FAMILIES)
    def test_fork(self, prefix):
        self.check_all_exact(self.profiled([linked(prefix), "fork"], sample=1), processes=2)

    @cases(*FAMILIES)
    def test_as_without(self, prefix):
        """Also where nothing is sampled, where the interval is what it mostly is, and where its names are stripped."""
        victim = linked(prefix)
        expected = self.plain([victim, "threads"]).out
        for sample, command in ((None, victim), ("64G", victim), (1, linked(prefix, "-s"))):
            actual = self.profiled([command, "threads"], sample=sample)
            self.assertEqual((re.sub("pid=.*", "", actual.out), actual.err), (re.sub("pid=.*", "", expected), ""))

    def test_stripped(self):
        """Nothing tells where its functions are, unless they are exported."""
        self.check_hooks(self.profiled([linked("mi_", "-s"), "all"], sample=1), [])
        self.clear_profiles()
        run = self.profiled([linked("mi_", "-s", "-rdynamic"), "all"], sample=1)
        self.check_run_exact(run)
        self.check_hooks(run, ["at the entries of mi_malloc"])

    def test_unexported(self):
        """The usual names, which only the executable's own code comes to."""
        own = compile(VICTIMS / "own_allocator.c", "-fno-builtin", "-fvisibility=hidden", "-c")
        run = self.profiled([program("churn.c", "-fno-builtin", own)], sample=1)
        self.check_run_exact(run)
        self.check_hooks(run, ["at the entries of a malloc that is not exported"])

    def test_partly_exported(self):
        """The linker exports what libraries call; the rest is the same allocator's, and is not told as another one."""
        skip_unless(os.path.exists(f"{FOLDER}/libjemalloc.a"), "libjemalloc.a is not installed")
        run = self.profiled([program("churn.c", "-fno-builtin", f"{FOLDER}/libjemalloc.a", "-lstdc++", "-lm", "-ldl")], sample=1)
        self.check_run_exact(run)
        self.check_hooks(run, ["at the entries of the program's own allocator"])

    def test_both(self):
        """One of the usual names, which are exported, and one beside it."""
        own = compile(VICTIMS / "own_allocator.c", "-fno-builtin", "-c")
        run = self.profiled([linked("_rjem_", own), "threads"], sample=1)
        self.check_run_exact(run)
        self.check_hooks(run, ["at the entries of the program's own allocator, _rjem_malloc"])

    def test_two(self):
        """Each goes on with its own functions."""
        run = self.profiled([linked("_rjem_", "-DSECOND=mi_", *parts_of("mi_")[1:]), "threads"], sample=1)
        self.check_run_exact(run)
        self.check_hooks(run, ["at the entries of _rjem_malloc, mi_malloc"])

    def test_refused(self):
        """One whose functions cannot be changed stays as it is, and so does its caller."""
        victim = program("beside.c", "-fno-builtin", "-DPREFIX=mi_", *parts_of("mi_", "-DTABLE"))
        run = self.profiled([victim, "all"], sample=1, verbose=1)
        self.assertEqual(run.err.splitlines()[0], "heapprof: not profiling what mi_malloc gives: mi_cfree jumps by a table")
        self.assertEqual(run.profile.totals(lambda frames: "victim_beside" in frames)["alloc_objects"], 0)
        self.assertEqual(run.profile.totals(lambda frames: "victim_libc" in frames)["alloc_objects"], 800)
        self.check_hooks(run, ["not at the entries of mi_malloc"])

    @cases("je", "std")
    def test_rust(self, how):
        victim = rust_program(self.dir / "beside", how)
        for work, processes in (("threads", 1), ("fork", 2)):
            self.clear_profiles()
            run = self.profiled([victim, work], sample=1)
            self.assertEqual(run.err, "")
            self.check_all_exact(run, processes)
            self.check_hooks(run, ["at the entries of _rjem_malloc"] if how == "je" else [])


class Shown(StateCase):
    """What the commands say of it."""

    def test_run(self):
        own = compile(VICTIMS / "own_allocator.c", "-fno-builtin", "-c")
        expected = {"at the entries of the program's own allocator, mi_malloc": linked("mi_", own), "at the entries of mi_malloc": linked("mi_"),
                    "not at the entries of mi_malloc": program("beside.c", "-fno-builtin", "-DPREFIX=mi_", *parts_of("mi_", "-DTABLE"))}
        for hooks, victim in expected.items():
            run = self.tool("run", "--sample=1", "-o", self.out_dir, "--", victim, "all")
            self.assertEqual(re.findall(r"^ +hooks +(.*)$", run.stderr, re.MULTILINE), [hooks])
        run = self.tool("run", "--sample=1", "-o", self.out_dir, "--", self.victim("churn"))
        self.assertNotIn("hooks", run.stderr)

    def test_ls_and_serve(self):
        own = compile(VICTIMS / "own_allocator.c", "-fno-builtin", "-c")
        for victim, allocator, hooks in ((linked("_rjem_"), "glibc + _rjem_malloc", "at the entries of _rjem_malloc"),
                                         (linked("mi_", own), None, "at the entries of the program's own allocator, mi_malloc")):
            with self.start([victim, "wait"], sample=1) as process:
                process.read_until("done")
                listed, = (entry for entry in json.loads(self.tool("ls", "--json").stdout) if entry["pid"] == process.pid)
                self.assertEqual(listed["hooks"], hooks)
                row, = (line for line in self.tool("ls").stdout.splitlines() if line.split()[0] == str(process.pid))
                self.assertIn(f" {allocator or pathlib.Path(victim).name + ' + mi_malloc'} ", row)
                with Server(self, process.pid) as server:
                    for path in ("/", f"/{process.pid}/debug/pprof/"):
                        self.assertIn(f"<small>hooks: {hooks}</small>", server.get(path).text, path)


class Cost(PairCase):
    """Of _rjem_malloc(64) and _rjem_free."""
    HOOKS_MAX = 16

    def test_pair(self):
        definitions = ["-Dmalloc=_rjem_malloc", "-Dfree=_rjem_free"]
        hooked, stripped = (self.per_pair(program("pair.c", "-fno-builtin", *definitions, *parts_of("_rjem_")[1:], *flags),
                                                 sample="64G", seed=1) for flags in ([], ["-s"]))
        self.figure(hooked=hooked, stripped=stripped)
        self.assertLessEqual(hooked, stripped + self.HOOKS_MAX)
        self.assertGreater(hooked, stripped + 4, "the hooks are not called")
