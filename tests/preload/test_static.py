# SPDX-License-Identifier: MIT
"""Statically linked programs that have the library inside: exact, whole stacks, and as without it."""
import pathlib
import re
import shutil
import signal
import subprocess
import unittest

from harness import paths, pprof_reader, tools
from harness.case import Case, cases, in_victim
from hazards import toolbox

STATUS = {"leak": 7, "exits return": 5}
MUSL = pathlib.Path("/usr/lib/x86_64-linux-musl")
# musl-gcc makes a dynamic program of -static-pie.
MUSL_PIE = ["-static", "-fPIE", "-nostartfiles", "-Wl,-pie,--no-dynamic-linker", *(f"{MUSL}/{part}.o" for part in ("rcrt1", "crti", "crtn"))]
KINDS = {"static": (None, "-static"), "static-pie": (None, "-static-pie"), "musl": ("musl-gcc", "-static"),  # None: the usual compiler
         "musl-pie": ("musl-gcc", *MUSL_PIE)}


def linked(name, kind="static", *more):
    compiler, *how = KINDS[kind]
    if compiler and (paths.EMULATOR or not shutil.which(compiler)):
        raise unittest.SkipTest(f"there is no {compiler} for it")
    return toolbox.program(name, "-O2", "-w", "-fexceptions", *how, *more, *toolbox.static_flags(), compiler=compiler)


class Static(Case):
    def run_victim(self, words, kind="static", *more, **options):
        name, *arguments = words.split()
        return self.profiled([linked(name if "." in name else f"{name}.c", kind, *more), *arguments], expect=STATUS.get(words, 0),
                             LD_PRELOAD=None, **options)

    def check_whole(self, profile):
        """No stack is cut, and none goes through the library, whose functions have names here."""
        named = {name for sample in profile.samples for name in profile.frames(sample)}
        self.assertEqual(named & {"malloc_due", "calloc_due", "realloc_noted", "first__Znwm", "fallback__Znwm", "calloc_by_malloc"}, set())
        self.assertEqual({key: value for key, value in profile.comment_values().items() if key.startswith("lost.") and value}, {})

    @cases("leak", "everything", "strings", "threads 4", "errno_keep", "deep 100", "exits return", "fork idle")
    def test_exact(self, words):
        """Seen to fail: not profiled at all before."""
        run = self.run_victim(words, sample=1)
        self.check_run_exact(run)
        self.check_whole(run.profile)
        self.assertEqual(run.err, "")

    @cases("static-pie leak", "static-pie everything", "static-pie threads 4", "musl leak", "musl everything", "musl strings", "musl threads 4",
           "musl deep 100", "musl errno_keep", "musl exits return", "musl-pie leak", "musl-pie everything", "musl-pie threads 4")
    def test_exact_in_other_kinds(self, words):
        """musl's calloc and others call malloc by its name, which comes to us, too."""
        kind, words = words.split(" ", 1)
        run = self.run_victim(words, kind, sample=1)
        self.check_run_exact(run)
        self.check_whole(run.profile)
        self.assertEqual(run.err, "")

    @cases("new_delete", "names", "throws")
    def test_cxx(self, name):
        """Operators of C++, and exceptions through them. Seen to fail: they are not linked in where nobody names them."""
        run = self.run_victim(f"{name}.cc", sample=1)
        if run.shadows:
            self.check_run_exact(run)
        else:
            self.assertEqual(run.out, self.plain([toolbox.program(f"{name}.cc", "-O2", "-w", "-static")]).out)
        self.check_whole(run.profile)

    @cases("static", "musl")
    def test_parent_and_child(self, kind):
        run = self.run_victim("fork busy", kind, sample=1)
        self.assertEqual(len(run.shadows), 2)
        for path, profile in zip(run.files, run.profiles):
            self.check_exact(profile, run.shadows[int(path.name.split(".")[-4])])
            self.check_whole(profile)

    @cases("static", "static-pie", "musl")
    def test_signal_and_recover(self, kind):
        """A profile on request; the process in the list of those profiled; and a profile from the state file when it was killed."""
        with self.start([linked("signals.c", kind)], sample=1, signal="SIGUSR2", LD_PRELOAD=None) as program:
            program.read_until("ready")
            program.say("work")
            program.read_until("done")
            listed = self.tool("ls").stdout
            self.tool("info", program.pid)
            dumped = self.tool("top", program.pid).stdout
            program.process.send_signal(signal.SIGUSR2)
            written, = program.wait_for_files(1)
            program.process.kill()
            run = program.end()
        self.assertIn(str(program.pid), listed)
        self.assertIn("victim_", dumped)
        self.assertEqual(run.profile.total("alloc_objects", in_victim), 200)
        self.clear_profiles()
        self.tool("recover", run.pid)
        recovered, = self.profile_files()
        self.assertEqual(pprof_reader.load(recovered).total("alloc_objects", in_victim), 200)

    @cases("static", "static-pie", "musl")
    def test_whole_life(self, kind):
        """From the program's first constructor to its last destructor, and what libc allocates for it. Seen to fail with constructors of
        no priority."""
        run = self.run_victim("whole_life", kind, sample=1)
        self.check_run_exact(run)
        self.assertEqual(run.profile.comment_values()["lost.total"], 0)

    @cases("hz_p1_vfork.c", "hz_p2_raw_fork.c", "hz_p5_late_fork.c", "hz_p5_two_exits.c", "hz_s5_destructors.c", "hz_s6_tasks.c", "hz_a4_bad_alloc.cc",
           "hz_p8_seccomp.c prctl cold", "exits.c quick_exit")
    def test_as_without(self, words):
        """What is hazardous to a program, without a loader between: forks, exits, constructors, signals, exceptions, a filter."""
        name, *arguments = words.split()
        compiled = toolbox.program(name, "-O2", "-w", "-static")
        plain = self.plain([compiled, *arguments], expect=None)
        for sample in (1, 4096):
            run = self.profiled([linked(name), *arguments], expect=plain.status, sample=sample, LD_PRELOAD=None)
            self.assertEqual(re.sub("pid=.*", "", run.out), re.sub("pid=.*", "", plain.out), run.err)
            self.assertEqual(run.err, plain.err)

    def built(self, *command, **environment):
        done = subprocess.run(command, env={**tools.environment(), **environment}, cwd=self.dir, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return self.dir / "program"

    def check_counts(self, program, **counts):
        done = self.tool("run", "--sample=1", "--", program)
        self.assertIn("it profiles itself", done.stderr)
        path, = self.profile_files()
        profile = pprof_reader.load(path)
        self.assertEqual(profile.counted(lambda frames: any("victim_" in name for name in frames)), counts)
        self.check_whole_of_victim(profile)

    def check_whole_of_victim(self, profile):
        for sample in profile.samples:
            frames = profile.frames(sample)
            if any("victim_" in name for name in frames):
                self.assertNotIn("truncated", sample.labels, frames)

    def check_kind(self, program, kind):
        """It is what it was built as: without an interpreter, at a fixed address or not."""
        header = subprocess.run(["readelf", "-hlW", program], capture_output=True, text=True, check=True).stdout
        self.assertRegex(header, rf"Type: +{'DYN' if kind == 'static-pie' else 'EXEC'} ")
        self.assertNotIn("INTERP", header)

    @cases("static", "static-pie")
    def test_rust(self, kind):
        """rustc says -Bdynamic and -nodefaultlibs before what it is given."""
        tools.need("rustc")
        flags = " ".join(["-Wl,-Bstatic", *toolbox.static_flags(), "-lc"])
        program = self.built("rustc", "-O", "-g", "-C", "target-feature=+crt-static", "-C", f"link-args={flags}",
                             "-C", f"relocation-model={'pic' if kind == 'static-pie' else 'static'}", "-o", "program",
                             toolbox.VICTIMS / "linked.rs")
        self.check_kind(program, kind)
        self.check_counts(program, alloc_objects=152, alloc_space=151_200, inuse_objects=101, inuse_space=100_800)

    @cases(("static", "gcc"), ("static-pie", "gcc"), ("static", "musl-gcc"))
    def test_go(self, kind, compiler):
        """It leaves without a word to libc, so its profile is made of the state file."""
        tools.need("go")
        tools.need(compiler)
        flags = " ".join([f"-{kind}", *toolbox.static_flags()])
        program = self.built("go", "build", f"-buildmode={'pie' if kind == 'static-pie' else 'exe'}",
                             "-ldflags", f"-linkmode external -extldflags '{flags}'", "-o", "program",
                             toolbox.VICTIMS / "linked.go", CGO_ENABLED="1", CC=compiler)
        self.check_kind(program, kind)
        self.check_counts(program, alloc_objects=400, alloc_space=400_000, inuse_objects=200, inuse_space=200_000)
