# SPDX-License-Identifier: MIT
"""P3: LD_PRELOAD is inherited by programs that have no use for us. G3: programs that wait. S1: fakechroot. U1: growth."""
import os
import pathlib
import shutil
import subprocess
import tempfile

from harness.case import ALLOCATORS, Case, cases, timeout
from hazards.toolbox import INTERVALS, VICTIMS, AsWithout, Discriminates, Hazard, library, program, skip_unless

CHAIN = r"""
echo begin
perl -e 'print "perl\n"; system("$ENV{STATIC}") == 0 or die; exec "$ENV{SETUID}", "set" or die'
"$STATIC" second; echo "status $?"
"$SETUID"; echo "status $?"
exec "$STATIC" last
"""


def built(folder, name, *flags):
    source = folder / f"{name}.c"
    source.write_text('#include <stdio.h>\n#include <stdlib.h>\n'
                      'int main(int c, char **v) { char *p = malloc(1000); sprintf(p, "' + name + ' %d %s", c, c > 1 ? v[1] : "");'
                      'puts(p); fflush(stdout); free(p); return c > 1 ? 0 : 3; }\n')
    done = subprocess.run(["gcc", "-O1", *flags, "-o", folder / name, source], capture_output=True, text=True)
    return folder / name if done.returncode == 0 else None


class P3Chain(Case):
    """P3: sh, perl, a static and a setuid program, one after the other: nobody writes a word that it would not without us, and
    only who sampled leaves a profile. Seen to fail by the mutant chatters."""

    def run_chain(self, shell, **options):
        folder = self.dir / "programs"
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)
        static, setuid = built(folder, "static", "-static"), built(folder, "setuid")
        self.assertTrue(static and setuid)
        os.chmod(setuid, 0o4755)
        return self.profiled([shell, "-c", CHAIN], expect=None, STATIC=static, SETUID=setuid, **options)

    @cases("dash", "bash")
    def test_says_the_same(self, shell):
        plain = self.run_chain(shell, preload=False)
        self.assertIn("static 2 last", plain.out)
        for sample in (*INTERVALS, "64G"):
            run = self.run_chain(shell, sample=sample)
            self.assertEqual((run.status, run.out, run.err), (plain.status, plain.out, plain.err))
            if sample == "64G":
                self.assertEqual((run.files, list(self.state_dir.iterdir())), ([], []))
            for path in self.state_dir.iterdir():  # what sampled before it became another program
                path.unlink()
            self.clear_profiles()

    def test_32_bit(self):
        """ld.so says that it cannot preload us into a 32-bit program, in its own words, and goes on: so must the chain."""
        program_32 = built(self.dir, "narrow", "-m32")
        skip_unless(program_32, "gcc makes no 32-bit programs here")
        for sample in INTERVALS:
            run = self.profiled(["sh", "-c", '"$0" a; "$0"; echo "status $?"', program_32], sample=sample)
            self.assertEqual(run.out, "narrow 2 a\nnarrow 1 \nstatus 3\n")
            self.assertTrue(all("libheapprof" in line and "ignored" in line for line in run.err.splitlines()), run.err)


class P2RawFork(Hazard):
    """P2: children of a bare clone, which no fork handler sees. Seen to fail by the mutant forks_unnoticed."""

    @cases(*ALLOCATORS)
    def test_each_is_exact(self, allocator):
        run = self.profiled([program("hz_p2_raw_fork.c")], allocator=allocator, sample=1)
        by_pid = {profile.comment_values()["pid"]: profile for profile in run.profiles}
        self.assertEqual((set(by_pid), len(by_pid)), (set(run.shadows), 4), run.err)
        for pid, profile in by_pid.items():
            self.check_exact(profile, run.shadows[pid])

    @cases(4096, None)
    def test_each_is_valid(self, sample):
        run = self.profiled([program("hz_p2_raw_fork.c")], sample=sample)
        pids = [profile.comment_values()["pid"] for profile in run.profiles]
        self.assertEqual((len(run.shadows), len(pids)), (4, len(set(pids))), run.err)
        self.assertLessEqual(set(pids), set(run.shadows))
        for profile in run.profiles:
            self.check_lint(profile)


class G3Poll(Case):
    """G3: a client in poll, epoll_wait and nanosleep notices nothing of 100 snapshots taken from outside. Seen to fail by the mutant
    dumps_by_signal."""

    @cases(*INTERVALS)
    def test_outside_dumps_interrupt_nothing(self, sample):
        with self.start([program("hz_g3_poll.c")], sample=sample) as waiting:
            waiting.read_until("ready")
            for _ in range(100):
                self.tool("dump", waiting.pid, "-f", "-o", "snapshot.pb.gz", expect=0 if sample == 1 else None)  # 1: nothing was sampled
            run = waiting.end("go\n")
        self.assertEqual((run.status, run.out), (0, "interrupted 0\n"))


class U1Growth(AsWithout):
    """U1: the state file is opened each time it grows, and closed. Seen to fail by the mutant descriptor_left_open."""

    def command(self):
        return [program("hz_u1_growth.c")]


class S1Fakechroot(AsWithout, Discriminates):
    """S1: a preload that replaces half of libc's file functions and allocates in them. Seen to fail (abort) under a shim that needs its
    constructor first."""
    broken = ["broken_needs_constructor.c"]

    def command(self):
        skip_unless(shutil.which("fakechroot"), "fakechroot is not installed")
        return ["fakechroot", "sh", "-c", "ls / >/dev/null && cat /etc/debian_version && find /usr/share/doc/bash -name 'c*' | sort"]


class P3Clock(Hazard):
    """P3: what a program leaves when it executes another one is removed by that one, also if the clock was set forward in between. Seen to
    fail (a state file of nobody stays) by the mutant clock_is_believed."""

    def test_nothing_stays(self):
        self.state_dir = pathlib.Path(tempfile.mkdtemp(prefix="heapprof-test.", dir="/dev/shm"))  # in memory, as usual
        self.addCleanup(shutil.rmtree, self.state_dir, ignore_errors=True)
        run = self.profiled([program("hz_p3_clock.c")], extra_preload=[library("hz_clock.c")])
        self.assertEqual((run.out, len(run.files)), ("ok\n", 1))
        self.assertEqual(list(self.state_dir.iterdir()), [])


class P3Musl(Hazard):
    """P3: a profiled shell starts a program of another libc. Seen to fail (127, a name is missing) by the mutant strong_import."""

    def command(self):
        skip_unless(shutil.which("musl-gcc"), "musl-gcc is not installed")
        library = self.dir / "library.so"
        subprocess.run(["musl-gcc", "-shared", "-fPIC", "-o", library, "-x", "c", "/dev/null"], check=True)
        victim = self.dir / "victim"  # not among the built ones: no warning of another header set
        subprocess.run(["musl-gcc", "-O1", "-g", "-fno-builtin", VICTIMS / "hz_p3_musl.c", "-o", victim], check=True)
        return ["sh", "-c", f"{victim} {library}; echo $?"]

    @timeout(120)
    def test_as_without(self):
        command = self.command()
        plain = self.plain(command)
        self.assertEqual(plain.out, "ok\n0\n")
        for sample in INTERVALS:
            run = self.profiled(command, sample=sample)
            self.assertEqual((run.out, run.err), (plain.out, ""), f"HEAPPROF_SAMPLE={sample}")
        self.assertEqual(len([path for path in self.profile_files() if "victim" in path.name]), 2 * len(INTERVALS))  # with the child's


class U15Musl(Hazard):
    """U15: what musl's loader knows is read without its lock, while a dlopen fails, inside of a constructor, and from code of no object.
    Seen to fail by the mutants code_not_read (musl's own frames end stacks) and own_opening_unseen (so do those of a constructor)."""

    def command(self):
        skip_unless(shutil.which("musl-gcc"), "musl-gcc is not installed")
        options = {"compiler": "musl-gcc"}
        return [program("hz_u15_musl.c", "-fexceptions", **options), program("hz_u15_plugin.c", "-shared", "-fPIC", "-fexceptions", **options),
                program("hz_u15_plugin.c", "-shared", "-fPIC", "-DBROKEN", **options)]

    def test_as_without(self):
        plain = self.plain(self.command())
        self.assertEqual((plain.status, plain.err), (0, ""))
        for sample in INTERVALS:
            run = self.profiled(self.command(), sample=sample)
            self.assertEqual(self.outcome(run), self.outcome(plain), f"HEAPPROF_SAMPLE={sample}; {run.err}")

    def test_exact(self):
        run = self.profiled(self.command(), sample=1)
        by_pid = {int(path.name.split(".")[-4]): profile for path, profile in zip(run.files, run.profiles)}
        profile = by_pid[run.pid]
        self.check_exact(profile, run.shadows[run.pid])
        started = [profile.frames(sample) for sample in profile.samples if "victim_constructor" in profile.frames(sample)]
        self.assertTrue(started)
        for frames in started:
            self.assertTrue({"plugin_allocate", "dlopen", "victim_open", "main"} <= set(frames), frames)
