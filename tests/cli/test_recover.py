# SPDX-License-Identifier: MIT
"""heapprof recover: the profile of a process that was killed."""
import json
import os
import pathlib
import pty
import shutil
import signal
import struct
import subprocess

from harness import paths, pprof_reader, tools
from harness.case import cases, timeout
from harness.states import CREATED_BOOT, PID, PROGRAM, StateCase, patch, wait_until
from hazards.toolbox import compile

WORK_OBJECTS = 315  # of the order "work" of victims/holds


def counted(frames):
    return frames[0].startswith("victim_") or "victim_code" in frames


FIRST_SEGMENT, STACK_BYTES, STACK_FIXED_BYTES = 32 << 10, 304, 288


def hash_of_word(word):
    """docs/region-format.md, 4: of a constant part of one word"""
    value = ((0xcbf29ce484222325 ^ 1 ^ word) * 0x9fb21c651e98df25) % 2**64
    return value ^ value >> 29


def write_many_stacks(path, size):
    """A state file full of stacks of one frame; returns how many there are."""
    header = bytearray(4096)
    struct.pack_into("<8sIIQIIQQI", header, 0, b"HEAPPROF", 2, 4096, FIRST_SEGMENT, 4242, 0, 10**18, 1, 128)
    struct.pack_into("<QQ", header, 376, size, size)
    record = bytearray(STACK_BYTES)
    struct.pack_into("<QQQddQ", record, 32, 1, 1 << 16, 100 << 4, 0, 0, 1)
    position, segment, count = 4096, FIRST_SEGMENT, 0
    with open(path, "wb") as file:
        file.write(header)
        while position + STACK_BYTES <= size:
            if position + STACK_BYTES > segment:  # no record crosses the end of one
                file.write(bytes(segment - position))
                position, segment = segment, segment * 2
                continue
            pc = 0x400000 + count * 4096
            struct.pack_into("<IIIIQ", record, 0, 0x48500001, STACK_BYTES, STACK_FIXED_BYTES, 1, hash_of_word(pc))
            struct.pack_into("<Q", record, STACK_FIXED_BYTES, pc)
            file.write(record)
            position, count = position + STACK_BYTES, count + 1
        file.truncate(size)
    return count


class Recover(StateCase):
    def check_recovered(self, profile):
        self.assertEqual(profile.total("alloc_objects", counted), WORK_OBJECTS)
        self.assertEqual(profile.comment_values()["reason"], "recover")

    def test_nobody_could_say_that_it_was_not_written(self):
        """ls closes its standard error before it ends, so no line appears: the state stays, is listed, and becomes the profile."""
        run = self.profiled(["/bin/ls", "/"], sample=1, out=f"{self.dir}/missing/%p.pb.gz")
        self.assertEqual((run.err, self.profile_files()), ("", []))
        state, = self.states()
        pid = int(state.partition(".")[0])
        self.assertEqual(self.listed()[pid]["program"], "ls")
        self.assertGreater(self.recover(pid).total("alloc_space"), 0)

    @cases(signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT)
    def test_killed(self, number):
        with self.holder(preload=True) as program:
            os.kill(program.pid, number)
            program.process.wait()
        done = self.tool("recover", program.pid)
        self.assertEqual((done.stdout, done.stderr), (f"heapprof.holds.{program.pid}.1.pb.gz\n", ""))
        self.check_recovered(self.read(done.stdout.strip()))
        self.assertEqual(self.states(), [])
        self.check_one_line(self.tool("recover", program.pid, expect=1), program.pid)

    def test_same_as_while_it_lived(self):
        with self.holder("work", "peak", sample=512) as program:
            alive, peak = self.dump(program.pid), self.dump(program.pid, "--peak")
        dead, dead_peak = self.recover(program.pid, "--keep"), self.recover(program.pid, "--keep", "--peak")
        for one, other in ((alive, dead), (peak, dead_peak)):
            self.assertEqual(one.totals(), other.totals())
            self.assertEqual([sample.values for sample in one.samples], [sample.values for sample in other.samples])
        self.assertNotEqual(dead.totals(), dead_peak.totals())
        self.assertEqual(self.states(), [f"{program.pid}.heapprof"])

    def test_lines(self):
        profile = self.recover(self.killed())
        places = {(os.path.basename(function.filename), function.name)
                  for location in profile.locations for function in location.functions}
        self.assertTrue({("holds.cc", "victim_news"), ("libplugin.c", "victim_plugin_allocate")} <= places, places)

    @cases(*tools.PPROFS)
    def test_in_pprof(self, which):
        path = self.out_dir / self.tool("recover", self.killed()).stdout.strip()
        expected = pprof_reader.load(path).totals(lambda frames: "victim_news" in frames)
        self.assertEqual(tools.pprof_top(which, path, "alloc_space")["victim_news"][1], expected["alloc_space"])

    def test_file(self):
        """A state file by its name, also one that lies where nobody looks."""
        dead = self.killed()
        elsewhere = self.dir / "saved.state"
        shutil.move(self.state_file(dead), elsewhere)
        self.check_one_line(self.tool("recover", dead, expect=1), dead)
        self.check_recovered(self.recover(elsewhere))
        self.assertFalse(elsewhere.exists())

    def test_on_a_kernel_without_openat2(self):
        """As before 5.6. Seen to fail: the state stayed."""
        dead = self.killed()
        done = subprocess.run([compile(paths.TESTS / "cli/old_kernel.c"), paths.TOOL, "recover", str(dead)], cwd=self.out_dir,
                              env=self.tool_environment(), capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.check_recovered(self.read(done.stdout.strip()))
        self.assertEqual(self.states(), [])

    def test_several(self):
        dead = [self.killed(), self.killed()]
        done = self.tool("recover", dead[0], "none.heapprof", self.state_file(dead[1]), expect=1)
        self.assertEqual(done.stdout.split(), [f"heapprof.holds.{pid}.1.pb.gz" for pid in dead])
        self.assertRegex(done.stderr, r"\Aheapprof: [^\n]*none.heapprof[^\n]*\n\Z")
        self.assertEqual(self.states(), [])

    def test_dry_run(self):
        dead = self.killed()
        path = self.state_file(dead)
        for operands in (["--all"], [dead]):
            self.assertEqual(self.tool("recover", "--dry-run", *operands).stdout, f"{path}\n")
        self.assertEqual((self.states(), self.profile_files()), ([path.name], []))

    def test_all_means_the_directory_that_is_named(self):
        dead = self.killed()
        usual, named = self.dir / "runtime/heapprof", self.dir / "named"
        named.mkdir()
        shutil.copytree(self.state_dir, usual)
        environment = {"HEAPPROF_STATE_DIR": named, "XDG_RUNTIME_DIR": usual.parent}
        done = self.tool("recover", "--all", **environment)
        self.assertEqual((done.stdout, os.listdir(usual)), ("", [f"{dead}.heapprof"]))
        self.assertNotIn(str(usual), self.tool("ls", "--json", **environment).stdout)

    def test_names_on_a_terminal(self):
        """A terminal acts on U+202E and on U+009B; what is no terminal gets the name as it is."""
        dead = self.killed()
        name = "a\u202eb\u009b31m"
        self.assertEqual(self.tool("recover", "-k", "-o", name, dead).stdout, f"{name}\n")
        ours, theirs = pty.openpty()
        with open(ours, "rb", buffering=0) as terminal:
            subprocess.run([paths.TOOL, "recover", "-k", "-f", "-o", name, str(dead)], stdout=theirs, cwd=self.out_dir, check=True,
                           env=self.tool_environment())
            os.close(theirs)
            line = terminal.read(4096).decode()
        self.assertEqual(line.rstrip(), "a\\xe2\\x80\\xaeb\\xc2\\x9b31m")

    def test_names_in_json(self):
        dead = self.killed()
        patch(self.state_file(dead), PROGRAM, "a\u202e\u009b".encode().ljust(64, b"\0"))
        for done in (self.tool("ls", "--json"), self.tool("info", "--json", self.state_file(dead))):
            self.assertTrue(done.stdout.isascii())
            self.assertIn("a\\u202e\\u009b", done.stdout.lower())

    def recover_made(self, made, expect=0):
        """Recovers it, and keeps it. Returns what was used, and what was said."""
        errors = self.dir / "errors"
        with open(errors, "w") as file:
            recover = subprocess.Popen([paths.TOOL, "recover", "-f", "-o", "made.pb.gz", made], cwd=self.out_dir,
                                       env=self.tool_environment(), stdout=subprocess.DEVNULL, stderr=file)
            _, status, usage = os.wait4(recover.pid, 0)
            recover.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(recover.returncode, expect, errors.read_text())
        return usage, errors.read_text()

    @timeout(120)
    def test_as_many_stacks_as_a_file_holds(self):
        """An eighth of the largest file: 64 MiB of stacks of one frame each take 73 MiB of memory. Seen to fail with 148."""
        made = self.dir / "many.heapprof"
        stacks = write_many_stacks(made, 64 << 20)
        usage, _ = self.recover_made(made)
        self.assertLess(usage.ru_maxrss, 110 << 10)
        self.assertEqual(json.loads(self.tool("info", "--json", "made.pb.gz").stdout)["stacks"], stacks)

    @timeout(120)
    def test_as_many_addresses_as_a_file_holds(self):
        """16 million in 128 MiB: more than a profile that can be read. That is seen before all are in memory: 310 MiB, and 4 s of
        processor time. Seen to fail with 795 MiB."""
        made = self.dir / "deep.heapprof"
        subprocess.run([self.victim("state_file"), made, "128", "512"], check=True, stdout=subprocess.DEVNULL)
        usage, errors = self.recover_made(made, expect=1)
        self.assertLess(usage.ru_maxrss, 450 << 10)
        self.assertLess(usage.ru_utime + usage.ru_stime, 30)
        self.assertIn(f"{made} would have more than 256 MiB, which is more than can be read again; the state stays in {made}", errors)
        self.assertTrue(made.exists())
        self.assertEqual(os.listdir(self.out_dir), [])

    @timeout(120)
    def test_what_is_written_can_be_read(self):
        """Also of as much code as no program has: 1 million addresses, each in one stack."""
        made = self.dir / "deep.heapprof"
        done = subprocess.run([self.victim("state_file"), made, "8", "512"], check=True, capture_output=True, text=True)
        self.recover_made(made)
        self.assertFalse(made.exists())
        info = json.loads(self.tool("info", "--json", "made.pb.gz").stdout)
        self.assertEqual(info["stacks"], int(done.stdout))

    def test_run_folder_goes_with_its_last_file(self):
        self.state_dir, parent = self.state_dir / "run.999999", self.state_dir
        dead = [self.killed(), self.killed()]
        self.tool("recover", dead[0], HEAPPROF_STATE_DIR=parent)
        self.assertEqual(self.states(), [f"{dead[1]}.heapprof"])
        self.tool("recover", dead[1], HEAPPROF_STATE_DIR=parent)
        self.assertEqual(list(parent.iterdir()), [])

    def test_all(self):
        self.use_plain_state_directory()
        dead = [self.killed(), self.killed()]
        with self.holder() as program:
            done = self.alone("recover", "--all")
            self.assertEqual(done.stdout.split(), [f"heapprof.holds.{pid}.1.pb.gz" for pid in sorted(dead)])
            self.assertEqual(self.states(), [f"{program.pid}.heapprof"])
        for path in self.profile_files():
            self.check_recovered(pprof_reader.load(path))
        self.tool("recover", program.pid)
        done = self.alone("recover", "--all")
        self.check_one_line(done, "no process")

    def test_without_operands(self):
        """What could be recovered is listed."""
        self.use_plain_state_directory()
        self.check_one_line(self.alone("recover"), "no process")
        dead = self.killed()
        with self.holder() as program:
            done = self.alone("recover")
        line, = done.stdout.splitlines()[1:]
        self.assertEqual(line.split()[:2], [str(dead), "dead"])
        self.assertIn("holds ", line)
        self.assertIn("recover --all", done.stderr)
        self.assertEqual((self.states(), self.profile_files()), (sorted(f"{p}.heapprof" for p in (dead, program.pid)), []))

    def test_reused_pid(self):
        """The process of that pid is another one now: the state is that of the dead one."""
        dead = self.killed()
        with self.start(["sleep", "60"], preload=False) as other:
            patch(self.state_file(dead), PID, other.pid.to_bytes(4, "little"))
            patch(self.state_file(dead), CREATED_BOOT, (1).to_bytes(8, "little"))  # numbers are not used again within a hundredth of a second
            self.state_file(dead).rename(self.state_file(other.pid))
            self.assertEqual(self.listed()[other.pid]["state"], "dead")
            self.check_recovered(self.recover(other.pid))
        self.assertEqual(self.states(), [])

    def test_latest_of_a_pid(self):
        """Two dead processes had the same pid: the later one first."""
        first, second = self.killed(), self.killed("work", "work")
        patch(self.state_file(first), PID, second.to_bytes(4, "little"))
        self.assertEqual(self.recover(second).total("alloc_objects", counted), 2 * WORK_OBJECTS)
        self.assertEqual(self.recover(second).total("alloc_objects", counted), WORK_OBJECTS)
        self.assertEqual(len(self.profile_files()), 2)

    def test_killed_before_its_exec_was_over(self):
        """The state of the program before exec stays when the one after it is not profiled."""
        with self.start(["/bin/sh", "-c", "x=$(echo y); unset LD_PRELOAD; echo ready; exec sleep 60"], sample=1) as program:
            program.read_until("ready")
            wait_until(lambda: os.path.basename(os.readlink(f"/proc/{program.pid}/exe")) == "sleep", "exec")
            self.assertEqual(self.listed()[program.pid]["state"], "replaced")
            profile = self.recover(program.pid)
        self.assertIn(profile.comment_values()["program"], ("sh", "dash"))


class Refusals(StateCase):
    def test_living(self):
        with self.holder() as program:
            for operand in (program.pid, self.state_file(program.pid)):
                self.check_one_line(self.tool("recover", operand, expect=1), f"heapprof dump {program.pid}")
            self.assertEqual(self.states(), [f"{program.pid}.heapprof"])
            self.assertEqual(self.profile_files(), [])

    def test_arguments(self):
        self.check_one_line(self.tool("recover", "--all", "17", expect=2), "17")
        self.check_one_line(self.tool("recover", "-o", "x", expect=2), "--output")
        self.check_one_line(self.tool("recover", "-o", "x", "1", "2", expect=2), "--output")
        self.check_one_line(self.tool("recover", "-o", "x", "--all", expect=2), "--output")
        self.check_one_line(self.tool("recover", "--keep=x", "1", expect=2), "--keep")
        self.check_one_line(self.tool("recover", 999999999, expect=1), 999999999)
        self.check_one_line(self.tool("recover", "none", expect=1), "none", "neither the name of a process")
        self.check_one_line(self.tool("recover", self.dir, expect=1), self.dir, "directory")
        self.check_one_line(self.tool("recover", "/dev/null", expect=1), "/dev/null")
        self.check_one_line(self.tool("recover", "", expect=1))

    @cases("state", "state/run.1")
    def test_swapped_directory(self, swapped):
        """Whoever may change a directory on the way puts a link there: the file behind it stays. Seen to fail where links were followed."""
        dead = self.killed()
        folder = self.dir / "state/run.1"
        folder.mkdir(parents=True)
        path = pathlib.Path(shutil.move(self.state_file(dead), folder))
        done = self.tool("recover", path, expect=1, LD_PRELOAD=compile(paths.TESTS / "cli/swaps.c", "-shared", "-fPIC"),
                         SWAPPED=self.dir / swapped)
        self.assertEqual(done.stderr, f"heapprof: cannot remove {path}: Too many levels of symbolic links\n")
        self.assertTrue((self.dir / swapped).is_symlink())
        self.assertTrue(path.exists())

    def check_kept(self, dead):
        self.assertEqual(self.states(), [f"{dead}.heapprof"])

    def test_taken_name(self):
        dead = self.killed()
        (self.out_dir / "x").write_text("precious")
        self.check_one_line(self.tool("recover", dead, "-o", "x", expect=1), "x", self.state_file(dead))
        self.assertEqual((self.out_dir / "x").read_text(), "precious")
        self.check_kept(dead)
        self.assertEqual(self.tool("recover", dead, "-f", "-o", "x").stdout, "x\n")
        self.assertEqual(self.read("x").total("alloc_objects", counted), WORK_OBJECTS)
        self.assertEqual(self.states(), [])

    @cases("/dev/full", "none/x", ".")
    def test_cannot_be_written(self, where):
        dead = self.killed()
        self.check_one_line(self.tool("recover", dead, "-f", "-o", where, expect=1), where, self.state_file(dead))
        self.check_kept(dead)

    def test_directory_without_permission(self):
        dead = self.killed()
        folder = self.dir / "full"
        folder.mkdir()
        # For root, permissions are no hindrance; a limit on the size of files is.
        done = subprocess.run(["sh", "-c", f"ulimit -f 1; trap '' XFSZ; exec {paths.TOOL} recover {dead}"], cwd=folder, text=True,
                              capture_output=True, env=self.tool_environment())
        self.assertEqual(done.returncode, 1, done)
        self.check_one_line(done, self.state_file(dead))
        self.assertEqual(list(folder.iterdir()), [])
        self.check_kept(dead)

    def test_standard_output(self):
        """Who knows whether the reader keeps it: the state stays."""
        dead = self.killed()
        done = subprocess.run([paths.TOOL, "recover", str(dead), "-o", "-"], capture_output=True, cwd=self.out_dir,
                              env=self.tool_environment())
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        profile = pprof_reader.Profile(pprof_reader.gunzip_one_member(done.stdout))
        self.assertEqual(profile.total("alloc_objects", counted), WORK_OBJECTS)
        self.check_kept(dead)
