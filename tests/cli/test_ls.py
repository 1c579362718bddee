# SPDX-License-Identifier: MIT
"""heapprof ls: who is profiled, who was, and getting rid of what they left."""
import json
import os
import pathlib
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

from harness import paths
from harness.case import cases, timeout
from harness.states import CREATED, CREATED_BOOT, COMMAND, PROGRAM, VERSION, StateCase, need_root, patch, read_counts, wait_until
from hazards.toolbox import compile


LOG_END, FILE_END = 376, 384
REGION_BYTES_MAX = 512 << 20
# Maps the state file that it is told, until it is asked to let go of it.
LETS_GO = """
import mmap, os, signal, sys
with open(sys.argv[1], "r+b") as file:
    state = mmap.mmap(file.fileno(), 4096)
def let_go(*_):
    state.close()
    os.unlink(sys.argv[1])
signal.signal(signal.SIGUSR1, let_go)
print("mapped", flush=True)
sys.stdin.read()
"""


class List(StateCase):
    def row(self, pid, **options):
        """The cells of a process in the table."""
        lines = self.tool("ls", **options).stdout.splitlines()
        self.assertRegex(lines[0], r"^ *PID +STATE +COMMAND +ALLOCATOR +R +SAMPLES +STACKS +IN USE +±95% +LOST +AGE +STATE FILE$")
        return re.split(r" {2,}", next(line for line in lines if line.split()[0] == str(pid)).strip())

    def test_live_and_dead(self):
        start = time.time()
        dead = self.killed()
        with self.holder("work", sample=2048) as program:
            listed = self.listed()
            self.assertEqual((listed[dead]["state"], listed[program.pid]["state"]), ("dead", "live"))
            self.assertEqual(list(listed), sorted(listed, key=lambda pid: (listed[pid]["state"] != "live", pid)))
            self.assertEqual(listed[program.pid]["command"].split()[0], program.arguments[0])
            self.assertEqual((listed[dead]["command"], listed[dead]["program"]), (f"{self.victim('holds')} {self.victim('libplugin.so')}", "holds"))
            self.assertEqual(listed[program.pid]["sampling_interval_bytes"], 2048)
            self.assertEqual(listed[program.pid]["user"], os.getuid())
            for pid in (dead, program.pid):
                self.assertEqual(listed[pid]["state_file"], str(self.state_file(pid)))
                self.assertTrue(start - 1 <= listed[pid]["created_unix_ns"] / 1e9 <= time.time() + 1)
                self.assertIs(listed[pid]["is_whole"], True)

    def test_table(self):
        dead = self.killed()
        entry = self.listed()[dead]
        row = self.row(dead)
        self.assertEqual([row[1], *row[3:5]], ["dead", "glibc", "1B"])
        self.assertIn(row[2], entry["command"])
        self.assertTrue(row[2] == entry["command"] or row[2].startswith("holds "), row)
        self.assertEqual(row[5:7], [str(entry["samples"]), str(entry["stacks"])])
        self.assertEqual((row[8], row[9]), ("exact", "0"))
        self.assertRegex(row[7], r"^[\d.]+kB$")
        self.assertRegex(row[10], r"^[\d.]+ s$|^\dm \d+s$")
        self.assertEqual(row[11], str(self.state_file(dead)))

    @cases("jemalloc", "tcmalloc")
    def test_allocator(self, allocator):
        with self.holder("work", allocator=allocator) as program:
            self.assertIn(allocator, self.listed()[program.pid]["allocator"])
            self.assertEqual(self.row(program.pid)[3], allocator)

    @cases(1, 4096)
    def test_says_what_the_profile_says(self, interval):
        with self.holder("work", sample=interval) as program:
            self.stop(program)
            entry, profile = self.listed()[program.pid], self.dump(program.pid)
            comments = profile.comment_values()
            totals = profile.totals()
            self.assertGreater(entry["samples"], 5)
            self.assertEqual({key for key, value in entry.items() if isinstance(value, float)}, set())
            self.assertAlmostEqual(entry["in_use_bytes"], totals["inuse_space"], delta=len(profile.samples))
            self.assertAlmostEqual(entry["in_use_objects"], totals["inuse_objects"], delta=len(profile.samples))
            self.assertAlmostEqual(entry["allocated_bytes"], totals["alloc_space"], delta=len(profile.samples))
            self.assertAlmostEqual(entry["in_use_bytes_error"], 1.96 * comments["standard_error.inuse_space"], delta=2)
            self.assertEqual(entry["in_use_bytes_error"] == 0, interval == 1)
            for key in ("samples", "stacks", "exact_units", "allocator", "own_bytes", "created_unix_ns"):
                self.assertEqual(entry[key], comments[key])
            self.assertEqual({f"lost.{key}": number for key, number in entry["lost"].items()},
                             {key: value for key, value in comments.items() if key.startswith("lost.")})

    def in_memory(self):
        """A folder in tmpfs."""
        if not os.access("/dev/shm", os.W_OK):
            self.skipTest("there is no /dev/shm")
        folder = pathlib.Path(tempfile.mkdtemp(prefix="heapprof-test.", dir="/dev/shm"))
        self.addCleanup(shutil.rmtree, folder)
        return folder

    def test_holes_stay_holes(self):
        """Reading a hole of tmpfs through a mapping gives it memory for good: 512 MiB for every file of 16 KiB."""
        dead = self.killed()
        sparse = self.in_memory() / "1.heapprof"
        shutil.copy(self.state_file(dead), sparse)
        patch(sparse, LOG_END, struct.pack("<QQ", REGION_BYTES_MAX, REGION_BYTES_MAX))
        os.truncate(sparse, REGION_BYTES_MAX)
        blocks = sparse.stat().st_blocks
        self.assertLess(blocks, 1000)
        self.assertIn(dead, self.listed(HEAPPROF_STATE_DIR=sparse.parent))
        self.tool("recover", "-k", sparse, HEAPPROF_STATE_DIR=sparse.parent)
        self.assertEqual(sparse.stat().st_blocks, blocks)

    def test_file_that_is_opened_meanwhile(self):
        """To open a file that somebody has a lease on sends SIGIO to whoever has it, and that ended us."""
        dead = self.killed()
        done = self.tool("ls", LD_PRELOAD=self.victim("libleasebreaker.so"))
        self.assertIn("a lease was broken", done.stderr)
        self.assertIn(str(dead), done.stdout)

    def test_process_that_lets_go_meanwhile(self):
        """Between the reading of its maps and the opening of its state: nothing is wrong, so nothing is said."""
        state = self.dir / "1.heapprof"
        shutil.copy(self.state_file(self.killed()), state)
        with self.start([sys.executable, "-c", LETS_GO, state], preload=False) as program:
            program.read_until("mapped")
            done = self.tool("ls", LD_PRELOAD=compile(paths.TESTS / "cli/gone_meanwhile.c", "-shared", "-fPIC"), GONE_FILE=state,
                             GONE_PID=program.pid)
            self.assertFalse(state.exists())
            self.assertNotIn(str(state), done.stderr)

    def test_nothing(self):
        self.use_plain_state_directory()
        done = self.alone("ls", with_processes=False)
        self.check_one_line(done, "heapprof run")
        self.assertEqual(json.loads(self.alone("ls", "--json", with_processes=False).stdout), [])

    def test_run_folders(self):
        """heapprof run keeps the states of its program apart, in a folder of its own."""
        self.state_dir = self.state_dir / "run.4711"
        dead = self.killed()
        with self.holder() as program:
            listed = self.listed(HEAPPROF_STATE_DIR=self.state_dir.parent)
            self.assertEqual((listed[dead]["state"], listed[program.pid]["state"]), ("dead", "live"))

    def test_any_state_directory(self):
        """A living process is found wherever its state is."""
        with self.holder() as program:
            listed = self.listed(HEAPPROF_STATE_DIR=self.dir)
            self.assertEqual(listed[program.pid]["state_file"], str(self.state_file(program.pid)))

    def test_forked_child_without_samples(self):
        """It maps its parent's state until it samples: one process is listed, not two; a dead parent's state is still its own."""
        with self.holder() as program:
            program.say("fork")
            child = int(program.process.stdout.readline())
            try:
                listed = self.listed()
                self.assertIn(program.pid, listed)
                self.assertNotIn(child, listed)
                self.check_one_line(self.tool("dump", child, expect=1), child, "forked")
                program.process.kill()
                program.process.wait()
                self.assertEqual(self.listed()[program.pid]["state"], "dead")
                done = self.tool("ls", "--clean", expect=1, HEAPPROF_STATE_DIR=self.state_dir) if os.geteuid() else None
                self.assertTrue(done is None or "in use" in done.stderr)
                done = self.tool("recover", program.pid, expect=1)
                self.assertIn("in use", done.stderr)
                self.read(done.stdout.rstrip("\n"))
                self.assertEqual(self.states(), [f"{program.pid}.heapprof"])
            finally:
                os.kill(child, signal.SIGKILL)

    def test_first_thread_has_ended(self):
        """Its memory is seen through another one."""
        counts = self.dir / "counts"
        counts.write_bytes(bytes(4096))
        with self.start([self.victim("race"), counts, 2, "leave"], sample=1) as program:
            wait_until(lambda: read_counts(counts, 2)[1] > 100000, "it allocates")
            wait_until(lambda: "(zombie)" in open(f"/proc/{program.pid}/status").read(), "its first thread has ended")
            self.assertEqual(self.listed()[program.pid]["state"], "live")
            self.assertGreater(self.dump(program.pid).total("alloc_space"), 100000)

    def test_names_are_input(self):
        dead = self.killed()
        patch(self.state_file(dead), PROGRAM, b"\x1b[31mred\nline\xff\xfe\0")
        patch(self.state_file(dead), COMMAND, b"\x1b[31mred\nline\xff\xfe\0")
        done = self.tool("ls")
        self.assertNotIn("\x1b", done.stdout)
        self.assertIn("red", done.stdout)
        self.assertEqual(self.listed()[dead]["state"], "dead")
        profile = self.recover(dead)
        self.assertIn("red line", profile.comment_values()["program"])
        self.assertTrue(all(re.fullmatch(r"heapprof\.[^/\x00-\x1f]+\.pb\.gz", path.name) for path in self.profile_files()))

    def test_arguments(self):
        self.check_one_line(self.tool("ls", "--all", expect=2), "--all")
        self.check_one_line(self.tool("ls", "17", expect=2), "17")
        self.assertIn("Usage: heapprof ls", self.tool("ls", "--help").stdout)


class Clean(StateCase):
    """Removes what the dead left, and nothing else."""

    def setUp(self):
        super().setUp()
        self.use_plain_state_directory()

    def test_dead_only(self):
        dead = [self.killed(), self.killed()]
        with self.holder() as program:
            done = self.alone("ls", "--clean")
            self.assertEqual(self.states(), [f"{program.pid}.heapprof"])
            removed = done.stderr.splitlines()
            self.assertEqual(len(removed), 2, removed)
            for pid in dead:
                self.assertEqual(len([line for line in removed if str(self.state_file(pid)) in line]), 1)
            pids = [line.split()[0] for line in done.stdout.splitlines()[1:]]
            self.assertEqual(set(pids) & {str(pid) for pid in (*dead, program.pid)}, {str(program.pid)})
            self.assertGreater(self.dump(program.pid).total("alloc_objects"), 100)

    def test_unseen(self):
        """What lives in a pid namespace that we do not see is alive all the same, and nobody takes its state away."""
        with self.holder() as program:
            for arguments, status in ((["ls"], 0), (["ls", "--clean"], 0), (["recover", "--all"], 0),
                                      (["recover", program.pid], 1), (["recover", self.state_file(program.pid)], 1)):
                done = self.alone(*arguments, with_processes=False, expect=status)
                self.assertEqual(done.stdout, "")
                self.assertIn("is in use" if arguments != ["recover", program.pid] else "no process", done.stderr)
            self.assertEqual((self.states(), self.profile_files()), ([f"{program.pid}.heapprof"], []))

    def test_unseen_by_its_own_wish(self):
        """A process that lets nobody read its maps, not even its own user."""
        need_root()
        folder = self.public_directory()
        state = folder / "state"
        state.mkdir()
        os.chown(state, 65534, 65534)
        script = "import ctypes; ctypes.CDLL(None).prctl(4, 0); print('ready', flush=True); input()"
        environment = {**self.environment(sample=1, dump="none"), "LD_PRELOAD": str(folder / "libheapprof.so"),
                       "HEAPPROF_STATE_DIR": str(state)}
        with subprocess.Popen(["/usr/bin/python3", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                              cwd="/", env=environment, user=65534, group=65534, extra_groups=[]) as process:
            self.assertEqual(process.stdout.readline(), "ready\n")
            done = self.tool_as_nobody(folder, "ls", "--clean", HEAPPROF_STATE_DIR=state)
            self.assertIn("is in use", done.stderr)
            self.assertEqual([path.name for path in state.iterdir()], [f"{process.pid}.heapprof"])
            process.kill()
        self.tool_as_nobody(folder, "ls", "--clean", HEAPPROF_STATE_DIR=state)
        self.assertEqual(list(state.iterdir()), [])

    def test_folders(self):
        """Empty folders of `heapprof run`, but not one whose `heapprof run` is still there."""
        (self.state_dir / "run.999999").mkdir()
        (self.state_dir / f"run.{os.getpid()}").mkdir()
        self.state_dir, parent = self.state_dir / "run.999998", self.state_dir
        dead = self.killed()
        patch(self.state_dir / f"{dead}.heapprof", CREATED, struct.pack("<Q", 1))
        done = self.alone("ls", "--clean", HEAPPROF_STATE_DIR=parent, with_processes=True)
        self.assertEqual([path.name for path in parent.iterdir()], [f"run.{os.getpid()}"], done.stderr)
        self.assertIn("run.999999", done.stderr)

    @timeout(20)
    def test_what_is_no_state_stays(self):
        """One line each, and it is left alone."""
        dead, target = self.killed(), self.dir / "target"
        target.write_text("precious")
        good = self.state_file(dead).read_bytes()
        self.state_file(dead).unlink()
        plants = {
            "1.heapprof": lambda path: path.symlink_to(target),
            "2.heapprof": os.mkfifo,
            "3.heapprof": os.mkdir,
            "4.heapprof": lambda path: path.write_bytes(b"garbage" * 5000),
            "5.heapprof": lambda path: path.write_bytes(b""),
            "6.heapprof": lambda path: path.write_bytes(good[:VERSION] + struct.pack("<I", 77) + good[VERSION + 4:]),
            "7.heapprof": lambda path: path.write_bytes(bytes(40000)),
            "8.heapprof": lambda path: path.write_bytes(good[:300]),
            "9.heapprof": lambda path: path.symlink_to("9.heapprof"),
            "10.heapprof": lambda path: path.symlink_to("/dev/zero"),
        }
        for name, plant in plants.items():
            plant(self.state_dir / name)
        for option in ([], ["--clean"]):
            done = self.alone("ls", *option)
            lines = done.stderr.splitlines()
            for name in plants:
                self.assertEqual(len([line for line in lines if f"/{name} " in line]), 1, f"{name}: {lines}")
            self.assertEqual(self.states(), sorted(plants))
        self.assertEqual(target.read_text(), "precious")
        self.assertIn("version 77", next(line for line in lines if "/6.heapprof" in line))
        for number in range(1, 11):
            path = self.state_dir / f"{number}.heapprof"
            self.check_one_line(self.tool("recover", path, expect=1), path)
        self.assertEqual((self.states(), self.profile_files()), (sorted(plants), []))


class Users(StateCase):
    """Another user's state is neither read nor removed; root reads all."""

    def setUp(self):
        super().setUp()
        need_root()
        self.folder = self.public_directory()

    def holder_as_nobody(self):
        state = self.folder / "state"
        state.mkdir()
        state.chmod(0o777)
        environment = {**self.environment(sample=1), "LD_PRELOAD": str(self.folder / "libheapprof.so"),
                       "HEAPPROF_STATE_DIR": str(state), "HEAPPROF_DUMP": "none"}
        process = subprocess.Popen([self.folder / "holds", self.folder / "libplugin.so"], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, text=True, env=environment, user=65534, group=65534, extra_groups=[])
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stdin.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.assertEqual(process.stdout.readline(), "ready\n")
        process.stdin.write("work\n")
        process.stdin.flush()
        self.assertEqual(process.stdout.readline(), "done\n")
        return process, state

    def test_roots_state(self):
        dead = self.killed()
        self.state_dir.chmod(0o777)
        with self.holder() as program:
            listed = json.loads(self.tool_as_nobody(self.folder, "ls", "--json").stdout)
            self.assertEqual([entry for entry in listed if entry["pid"] in (dead, program.pid)], [])
            self.check_one_line(self.tool_as_nobody(self.folder, "dump", program.pid, expect=1), program.pid, "user 0")
            for what in (dead, self.state_file(dead)):
                done = self.tool_as_nobody(self.folder, "recover", what, expect=1)
                self.check_one_line(done, dead)
            self.tool_as_nobody(self.folder, "ls", "--clean", expect=None)
            self.assertEqual(set(self.states()), {f"{dead}.heapprof", f"{program.pid}.heapprof"})

    def test_planted_with_our_name(self):
        """Somebody else's file in a directory that all may write to is not ours, whatever it is called."""
        dead = self.killed()
        shared = self.folder / "shared"
        shared.mkdir()
        shared.chmod(0o1777)
        plant = shared / f"{dead}.heapprof"
        shutil.copy(self.state_file(dead), plant)
        plant.chmod(0o644)
        done = self.tool_as_nobody(self.folder, "ls", "--json", HEAPPROF_STATE_DIR=shared)
        self.assertEqual([entry for entry in json.loads(done.stdout) if entry["pid"] == dead], [])
        self.assertIn("belongs to user 0", done.stderr)
        self.check_one_line(self.tool_as_nobody(self.folder, "recover", plant, expect=1), "user 0")
        self.assertTrue(plant.exists())

    def test_root_reads_all(self):
        process, state = self.holder_as_nobody()
        entry = self.listed()[process.pid]
        self.assertEqual((entry["user"], entry["state"]), (65534, "live"))
        profile = self.dump(process.pid)
        self.assertGreater(profile.total("alloc_objects", lambda frames: "victim_news" in frames), 200)
        process.kill()
        process.wait()
        self.recover(state / f"{process.pid}.heapprof")
        self.assertEqual(list(state.iterdir()), [])

    def test_removed_state(self):
        process, state = self.holder_as_nobody()
        (state / f"{process.pid}.heapprof").unlink()
        self.check_one_line(self.tool_as_nobody(self.folder, "dump", process.pid, expect=1), process.pid, "removed", "root")
        self.assertGreater(self.dump(process.pid).total("alloc_objects"), 200)

    def test_nobody_reads_its_own(self):
        process, state = self.holder_as_nobody()
        listed = json.loads(self.tool_as_nobody(self.folder, "ls", "--json", HEAPPROF_STATE_DIR=state).stdout)
        self.assertEqual([entry["pid"] for entry in listed if entry["state_file"].startswith(str(state))], [process.pid])
        out = self.folder / "out"
        out.mkdir()
        os.chown(out, 65534, 65534)
        self.tool_as_nobody(self.folder, "dump", process.pid, "-o", out / "p.pb.gz")
        self.assertGreater(self.read(out / "p.pb.gz").total("alloc_objects"), 200)
        process.kill()
        process.wait()
        self.tool_as_nobody(self.folder, "recover", process.pid, "-o", out / "q.pb.gz", HEAPPROF_STATE_DIR=state)
        self.assertGreater(self.read(out / "q.pb.gz").total("alloc_objects"), 200)
        self.assertEqual(list(state.iterdir()), [])


class Executed(StateCase):
    """A process that executes another program lets go of its state file. Seen to fail (it was dead, and had ended) before there was a
    state of its own for that, and by the mutant replaced_is_dead."""
    PERL = """$| = 1; my @kept = map { 'x' x 1000 } 1 .. 100; print "ready\\n"; sysread STDIN, my $order, 1; exec { $ARGV[0] } $ARGV[0]; print "failed\\n"; <STDIN>;"""
    SPAWN = """import os, sys
print("ready", flush=True)
sys.stdin.readline()
child = os.posix_spawn("/bin/cat", ["cat", "/dev/null"], os.environ)
print("spawned", os.waitpid(child, 0)[1], flush=True)
sys.stdin.readline()"""

    def executes(self, what, follow):
        program = self.start(["perl", "-e", self.PERL, what], sample=1, follow=follow)
        program.read_until("ready")
        self.assertEqual(self.listed()[program.pid]["state"], "live")
        program.say("")
        return program

    def states_here(self):
        """What is listed, without what others run meanwhile."""
        entries = [(pathlib.Path(entry["state_file"]), entry["state"]) for entry in json.loads(self.tool("ls", "--json").stdout)]
        return {path: state for path, state in entries if path.parent == self.state_dir}

    def echo(self, program, line):
        """Of the new program, cat."""
        program.say(line)
        program.read_until(line)

    def test_not_followed(self):
        with self.executes("/bin/cat", "no") as program:
            self.echo(program, "one")
            entry = self.listed()[program.pid]
            self.assertEqual((entry["state"], entry["program"]), ("replaced", "perl"))
            self.assertRegex(self.tool("ls").stdout, rf"(?m)^ *{program.pid} +replaced +perl ")
            self.check_one_line(self.tool("dump", program.pid, expect=1), program.pid, "runs another program", "heapprof recover")
            self.assertEqual(self.tool("recover", "--all", "--dry-run").stdout, f"{self.state_file(program.pid)}\n")
            profile = self.recover("--all")
            self.assertEqual(profile.comment_values()["program"], "perl")
            self.assertGreater(profile.total("inuse_space"), 100 * 1000)
            self.assertEqual(self.states(), [])
            self.echo(program, "two")
        self.assertEqual(self.states(), [])

    def test_not_followed_and_cleaned(self):
        with self.executes("/bin/cat", "no") as program:
            self.echo(program, "one")
            self.assertIn(f"perl, process {program.pid}, runs another program by now", self.tool("ls", "--clean").stderr)
            self.assertEqual(self.states(), [])

    def test_followed(self):
        with self.executes("/bin/cat", "yes") as program:
            self.echo(program, "one")
            entry = self.listed()[program.pid]
            self.assertEqual((entry["state"], entry["program"]), ("live", "cat"))
            self.assertEqual(self.states(), [self.state_file(program.pid).name])

    @cases("no", "yes")
    def test_that_failed(self, follow):
        with self.executes("/nowhere/missing", follow) as program:
            program.read_until("failed")
            entry = self.listed()[program.pid]
            self.assertEqual((entry["state"], entry["program"]), ("live", "perl"))
            self.assertEqual(self.dump(program.pid).comment_values()["program"], "perl")

    @cases("no", "yes")
    def test_by_a_vfork_child(self, follow):
        with self.start(["/usr/bin/python3", "-c", self.SPAWN], sample=4096, follow=follow) as program:
            program.read_until("ready")
            before = self.state_file(program.pid).stat().st_ino
            program.say("")
            program.read_until("spawned 0")
            self.assertEqual(self.states_here(), {self.state_file(program.pid): "live"})
            self.assertEqual(self.state_file(program.pid).stat().st_ino, before)

    def test_of_a_dead_process_with_the_same_number(self):
        """Whoever has its number now began later."""
        with self.holder("work") as program:
            copy = self.state_dir / f"{program.pid}-1.heapprof"
            shutil.copy(self.state_file(program.pid), copy)
            patch(copy, CREATED_BOOT, struct.pack("<Q", 1))
            self.assertEqual(self.states_here(), {self.state_file(program.pid): "live", copy: "dead"})
