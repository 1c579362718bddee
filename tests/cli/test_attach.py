# SPDX-License-Identifier: MIT
"""heapprof attach and detach: a process that has been running gets the hooks, and loses them again."""
import ctypes
import json
import os
import pathlib
import re
import signal
import subprocess

from harness import paths
from harness.case import cases, in_victim, timeout
from harness.states import NOBODY, NOGROUP, StateCase, need_root, status_of, wait_until
from hazards.toolbox import library, program

ROUNDS = 4
LOOKS = 110  # at each thread; among the first 100 is one that would take a call which begins anew
LOOKS_AT_LOADER = 8
PTRACE_SEIZE = 0x4206
CANNOT = 77
KILLED = -signal.SIGKILL
# It gives up where the machine is too busy for it, and has changed nothing: it may be tried again.
TRY_AGAIN = ("none of its threads could be led away", "no good moment", "did not come to an end", "somebody else is attaching")


def mappings(pid):
    """(start, limit, access, file) of each"""
    found = []
    for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
        addresses, access, _, _, _, *path = line.split(None, 5)
        start, limit = (int(number, 16) for number in addresses.split("-"))
        found.append((start, limit, access, path[0] if path else ""))
    return found


def code_of(pid, name):
    """The code of a library as it is in the process; some of its pages may be of no file."""
    parts = [m for m in mappings(pid) if "x" in m[2] and os.path.basename(m[3]).startswith(name)]
    start, limit = parts[0][0], parts[-1][1]
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        memory.seek(start)
        return memory.read(limit - start)


def made_code(pid):
    """How many mappings there are of code without a file."""
    return sum(1 for _, _, access, path in mappings(pid) if "x" in access and not path)


def has_library(pid):
    return any("libheapprof" in path for _, _, _, path in mappings(pid))


def descriptors(pid):
    """What its open files are called."""
    folder, found = pathlib.Path(f"/proc/{pid}/fd"), []
    for name in os.listdir(folder):
        try:
            found.append(os.readlink(folder / name))
        except FileNotFoundError:  # closed meanwhile
            pass
    return found


class AttachCase(StateCase):
    def running(self, *arguments, **options):
        program = self.start([self.victim("running"), *arguments], preload=False, **options)
        program.read_until("ready")
        return program

    def attach(self, pid, *options, expect=0, **more):
        if expect == 0:
            return self.until_possible("attach", *options, pid, **more)
        return self.tool("attach", *options, pid, expect=expect, **more)

    def detach(self, pid):
        return self.until_possible("detach", pid)

    def until_possible(self, *arguments, **more):
        done = self.until_known(*arguments, **more)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def until_known(self, *arguments, **more):
        """Whether it is possible, on a busy machine, too."""
        def tried():
            done = self.tool(*arguments, expect=None, **more)
            return None if done.returncode == 1 and any(words in done.stderr for words in TRY_AGAIN) else done
        return wait_until(tried, " ".join(map(str, arguments)))

    def attach_until(self, program, moment):
        """The exit status; a thread that was left alone may still be on its way back."""
        def tried():
            done = self.attach(program.pid, expect=None, HEAPPROF_ATTACH_DIE_AT=moment)
            self.assertEqual(program.process.poll(), None)
            return None if any(words in done.stderr for words in TRY_AGAIN) else done
        done = wait_until(tried, "nobody else is attaching")
        self.assertIn(done.returncode, (0, KILLED), done.stderr)
        return done.returncode

    def check_unharmed(self, program):
        run = program.end("end\n")
        self.assertEqual((run.status, run.out, run.err), (0, "0 failures, handled some\n", ""))


class Unharmed(AttachCase):
    """Threads that allocate, fork, open libraries, wait and compute mind nothing of it."""

    @timeout(240)
    def test_in_turn(self):
        with self.running() as program:
            before, made = code_of(program.pid, "libc.so"), set()
            for number in range(ROUNDS):
                done = self.attach(program.pid, "--sample=1K")
                self.assertRegex(done.stderr, rf"\Aheapprof: attached to running \({program.pid}\): a sample every 1kB, hooks in front of /.*libc\.so\.6; ")
                self.assertEqual(code_of(program.pid, "libc.so"), before)
                if number == ROUNDS - 1:
                    wait_until(lambda: "victim_make" in self.tool("top", program.pid).stdout, "what it makes is seen")
                done = self.detach(program.pid)
                self.assertRegex(done.stderr, rf"\Aheapprof: detached from running \({program.pid}\); ")
                made.add(made_code(program.pid))
            self.assertEqual(made, {0}, "no code is changed or made")
            self.check_unharmed(program)

    @timeout(240)
    def test_killed_at_any_moment(self):
        """The next one finds whatever the one that was killed has left."""
        with self.running("patient") as program:
            moment, kills = 1, 0
            while self.attach_until(program, moment) == KILLED:
                moment, kills = moment + 1, kills + 1
            self.assertGreater(kills, 12)
            self.detach(program.pid)
            self.check_unharmed(program)


def counted(frames):
    """Is it among what victims/holds counts itself? dlopen allocates, too."""
    return frames[0].startswith("victim_") or "victim_code" in frames


class Seen(AttachCase):
    SINCE = "attach; what was allocated before is not in use here"

    def holder(self, *orders, **options):
        program = self.start([self.victim("holds"), self.victim("libplugin.so")], **options)
        program.read_until("ready")
        self.order(program, *orders)
        return program

    @staticmethod
    def order(program, *orders):
        for order in orders:
            program.say(order)
            program.read_until("done")

    def test_since_attach(self):
        """All that is allocated from then on, and nothing from before."""
        with self.holder("work", preload=False) as program:
            self.attach(program.pid, "--sample=1")
            self.order(program, "work")
            attached = self.dump(program.pid)
            table = self.tool("top", program.pid).stdout
        with self.holder("work", sample=1) as program:
            started = self.dump(program.pid)
        self.assertEqual(attached.counted(counted), started.counted(counted))
        self.assertGreater(started.counted(counted)["alloc_objects"], 100)
        self.assertEqual(attached.comment_values()["since"], self.SINCE)
        self.assertNotIn("since", started.comment_values())
        self.assertIn(f"\nSince: {self.SINCE}\n", table)

    def test_plugin_of_before(self):
        """It may go as one that is opened later, and its unwind tables are not read meanwhile."""
        command = [program("hz_t29_plugin.c"), library("hz_t29_plugin.c", "-DPLUGIN")]
        with self.start(command, preload=False) as attached, self.start(command, sample=1) as preloaded:
            attached.read_until("ready")
            preloaded.read_until("ready")
            self.attach(attached.pid, "--sample=1")
            stacks = []
            for process in (preloaded, attached):
                process.say("")
                process.read_until("ready")
                profile = self.dump(process.pid)
                stacks.append([profile.frames(sample) for sample in profile.samples if "keep_last" in profile.frames(sample)])
        self.assertEqual(stacks, [[["keep_last"]]] * 2)

    def test_resident_memory_of_before(self):
        """Nobody knows which of it is the allocator's, or free. Seen to fail: it was free there, and not through malloc."""
        with self.start([self.victim("resident"), "small", "large"], preload=False) as program:
            program.read_until("ready")
            self.attach(program.pid, "--sample=1")
            shown = [self.tool(command, program.pid).stdout for command in ("rss", "info")]
            told = json.loads(self.tool("rss", "--json", program.pid).stdout)
        since = self.SINCE
        self.assertEqual(told["since"], since)
        self.assertGreater(told["parts"]["direct_bytes"], 24_000_000)
        self.assertIn(f"\nSince: {since}\n", shown[0])
        for text in shown:
            for sign, what in (("#", "asked for since attach, and in use"), ("-", "asked for before attach, or free: not known"),
                               ("o", "mapped directly, or asked for before attach: not known")):
                self.assertRegex(text, rf"(?m)^ +\S+ +\S+%  {re.escape(sign)} {what}$")
            self.assertNotIn("not through malloc", text)
            self.assertNotIn("free in the allocator", text)

    def test_frees_of_what_was_there(self):
        """They are none of its samples."""
        with self.holder("peak", preload=False) as program:
            self.attach(program.pid, "--sample=1")
            self.order(program, "peak")
            peak = self.dump(program.pid).counted(in_victim)
        self.assertEqual((peak["inuse_objects"], peak["inuse_space"]), (0, 0))
        self.assertGreater(peak["alloc_objects"], 0)

    def test_after_detach(self):
        """What was seen can be read until the process ends, and after that."""
        with self.holder(preload=False) as program:
            self.attach(program.pid, "--sample=1")
            self.order(program, "work")
            self.detach(program.pid)
            before = self.dump(program.pid).counted(in_victim)
            self.order(program, "work")
            self.assertEqual(self.dump(program.pid).counted(in_victim), before)
            self.assertIn("; what it allocated before the first time and while it was detached is not known\n", self.attach(program.pid).stderr)
            self.assertIn("what was freed while it was detached still is", self.dump(program.pid).comment_values()["since"])
        self.assertGreater(before["alloc_objects"], 100)
        self.assertEqual(self.recover(program.pid).counted(in_victim), before)

    def test_exact_but_for_frees(self):
        """What was freed while nobody was attached is not known, at an interval of 1 either."""
        with self.holder(preload=False) as program:
            self.attach(program.pid, "--sample=1")
            self.order(program, "work")
            self.assertIn("\nValues are exact\n", self.tool("top", program.pid).stdout)
            self.detach(program.pid)
            self.attach(program.pid)
            for command in ("top", "tree"):
                self.assertIn("\nValues are exact, but that what was freed while it was detached counts as in use\n",
                              self.tool(command, program.pid).stdout)
            self.assertIn("\nValues are exact\n", self.tool("top", "--sample-index=alloc_space", program.pid).stdout)

    def test_started_with_the_library(self):
        """Its sampling goes on and off; its code stays."""
        with self.holder("work", sample=1) as program:
            code = code_of(program.pid, "libc.so")
            self.assertIn("is not sampled any more", self.detach(program.pid).stderr)
            self.order(program, "peak")
            before = self.dump(program.pid).counted(lambda frames: "victim_peak" in frames)
            said = self.attach(program.pid, "--sample=1M").stderr
            self.assertIn("it had the library already", said)
            self.assertIn("keeps what it began with: a sample every 1B, not --sample=1M\n", said)
            self.order(program, "peak")
            self.assertEqual(code_of(program.pid, "libc.so"), code)
            after = self.dump(program.pid).counted(lambda frames: "victim_peak" in frames)
        self.assertEqual((before["alloc_objects"], after["alloc_objects"]), (0, 100))

    def test_keeps_what_it_began_with(self):
        """What else is asked for later has no effect, and that is said."""
        keeps = "keeps what it began with: a sample every 1B, not --sample=1K; at most 64 frames of a stack, not --depth=3; seed 7, not --seed=8"
        began, others = ("--sample=1", "--depth=64", "--seed=7"), ("--sample=1K", "--depth=3", "--seed=8")
        with self.holder(preload=False) as program:
            self.assertNotIn("keeps", self.attach(program.pid, *began).stderr)
            self.assertTrue(self.attach(program.pid, *others).stderr.endswith(f"\nheapprof: holds ({program.pid}) {keeps}\n"))
            self.assertNotIn("keeps", self.attach(program.pid, *began).stderr)
            self.detach(program.pid)
            said = self.attach(program.pid, "--depth=3").stderr
            self.assertIn("attached to holds", said)
            self.assertTrue(said.endswith(") keeps what it began with: at most 64 frames of a stack, not --depth=3\n"))

    def test_names_of_a_shared_allocator(self):
        """What a library gives by names of its own is not seen, and that is said."""
        library, program = self.dir / "libnames.so", self.dir / "names"
        source = "#include <unistd.h>\nvoid *mi_malloc(unsigned long);\n" \
                 "int main(void) { char byte; return mi_malloc(1) == 0 || write(1, \"ready\\n\", 6) != 6 || read(0, &byte, 1) != 1; }"
        for text, *flags in (["static char memory[64]; void *mi_malloc(unsigned long n) { return memory + n; }", "-shared", "-fPIC", "-o", library],
                             [source, "-o", program, library, f"-Wl,-rpath,{self.dir}"]):
            subprocess.run(["gcc", "-x", "c", "-", "-x", "none", *flags], input=text, text=True, check=True)
        with self.start([program], preload=False) as running:
            running.read_until("ready")
            said = self.attach(running.pid).stderr
            self.assertEqual(running.end("x").status, 0)
        self.assertTrue(said.endswith(f"heapprof: names ({running.pid}) calls mi_malloc of a shared library: "
                                      "what that gives is not seen, only what malloc gives\n"), said)

    def test_for_a_time(self):
        with self.holder("work", preload=False) as program:
            done = self.attach(program.pid, "--for=0.01s", "-o", "some.pb.gz")
            self.assertEqual(done.stdout, "some.pb.gz\n")
            self.check_one_line(self.detach(program.pid), f"holds ({program.pid}) had been detached from already; nothing was done")
        self.assertEqual(self.read("some.pb.gz").comment_values()["program"], "holds")


    def attached_for(self, program, *options):
        """A command that waits, once it has attached."""
        def tried():
            errors = self.dir / "errors"
            with open(errors, "wb") as err:
                command = subprocess.Popen([paths.TOOL, "attach", "--for=1h", *options, str(program.pid)], cwd=self.out_dir, stderr=err,
                                           stdout=subprocess.PIPE, text=True, env=self.tool_environment())
            wait_until(lambda: command.poll() is not None or "attached to" in errors.read_text(), "it is attached")
            if command.poll() is None:
                self.addCleanup(command.kill)
                return command, errors
            self.assertTrue(any(words in errors.read_text() for words in TRY_AGAIN), errors.read_text())
            command.communicate()
            return None
        return wait_until(tried, "it is attached")

    def test_for_a_time_but_killed(self):
        """What it had then. Seen to fail: an hour was waited, and then the process was said not to have been touched."""
        with self.holder(preload=False) as program:
            command, errors = self.attached_for(program, "--sample=1", "-o", "some.pb.gz")
            self.order(program, "work")
            program.process.kill()
            out = command.communicate(timeout=100)[0]
        self.assertEqual((command.returncode, out), (0, "some.pb.gz\n"), errors.read_text())
        self.assertEqual(errors.read_text().splitlines()[1:], [f"heapprof: holds ({program.pid}) has ended before it was detached from"])
        self.assertGreater(self.read("some.pb.gz").counted(counted)["alloc_objects"], 100)

    def test_for_a_time_but_ended(self):
        with self.holder(preload=False) as program:
            command, errors = self.attached_for(program, "-o", "some.pb.gz")
            program.end("end\n")
            out = command.communicate(timeout=100)[0]
        self.assertEqual((command.returncode, out), (1, ""), errors.read_text())
        self.assertEqual(errors.read_text().splitlines()[1:],
                         [f"heapprof: holds ({program.pid}) has ended, and took along what was sampled: there is no profile"])


class Named(AttachCase):
    """As under a preload: by what it was called. redis-server of Debian is a link to redis-check-rdb."""

    def setUp(self):
        super().setUp()
        self.file = self.dir / f"file.{self.dir.name}"  # other tests may run at the same time

    def run_file(self, *command, link="some-link"):
        """By a link to it, behind the words of a command."""
        self.file.write_bytes(pathlib.Path(self.victim("bears")).read_bytes())
        self.file.chmod(0o755)
        path = self.dir / link
        path.symlink_to(self.file)
        program = self.start([*command, path, "wait"], preload=False)
        program.read_until("ready")
        return program

    @cases("link", "a-link-that-is-longer-than-the-kernel-keeps")
    def test_by_link(self, name):
        name = f"{name}.{self.dir.name}"
        with self.run_file(link=name) as program:
            self.assertIn(f"attached to {name} ({program.pid}): ", self.attach(name).stderr)
            self.assertEqual(self.dump(program.pid).comment_values()["program"], name)
            self.assertIn(f"detached from {name} ({program.pid}); ", self.detach(program.pid).stderr)
            self.assertEqual(program.end("x").status, 0)

    def test_by_file(self):
        with self.run_file() as program:
            self.assertIn(f"attached to some-link ({program.pid}): ", self.attach(self.file.name).stderr)
            self.detach(self.file.name)
            self.assertEqual(program.end("x").status, 0)

    @cases("some-link *:6379", "some-link: waits at /a/socket", "zygote")
    def test_title(self, title):
        """Some write there what they do."""
        name = "some-link" if title.startswith("some-link") else self.file.name
        with self.run_file("bash", "-c", 'exec -a "$0" "$@"', title) as program:
            self.assertIn(f"attached to {name} ({program.pid}): ", self.attach(program.pid).stderr)
            self.detach(program.pid)
            self.assertEqual(program.end("x").status, 0)


class Refused(AttachCase):
    """One line, and the process is as it was."""

    def check_refused(self, pid, *words, **options):
        self.check_one_line(self.attach(pid, expect=1, **options), f"process {pid}", *words, "it was not touched")
        if status_of(pid) not in ("", "Z"):
            self.assertFalse(has_library(pid))

    def test_stopped(self):
        with self.running("patient") as program:
            self.stop(program)
            self.check_refused(program.pid, "is stopped", f"kill -CONT {program.pid}")
            os.kill(program.pid, signal.SIGCONT)
            self.check_unharmed(program)

    def test_traced(self):
        with self.running() as program:
            if ctypes.CDLL(None, use_errno=True).ptrace(PTRACE_SEIZE, program.pid, None, None) != 0:
                self.skipTest("tracing is not allowed here")
            self.check_refused(program.pid, f"is traced by process {os.getpid()} already")
            program.process.kill()

    def test_filter(self):
        with self.running("filter") as program:
            self.check_refused(program.pid, "has a filter of system calls (seccomp)")
            self.check_unharmed(program)

    def test_ended(self):
        with subprocess.Popen(["true"]) as process:
            wait_until(lambda: status_of(process.pid) == "Z", "it has ended")
            self.check_refused(process.pid, "has ended")
        self.check_refused(process.pid, "is not running")

    def test_first_thread_has_ended(self):
        with self.start([self.victim("bears"), "leave"], preload=False) as program:
            program.read_until("ready")
            wait_until(lambda: status_of(program.pid) == "Z", "its first thread has ended")
            self.check_refused(program.pid, "goes on without its first thread")
            program.process.kill()

    @cases(("-static", "is linked statically"), ("-m32", "is a 32-bit program"), ("musl", "has another C library"))
    def test_program(self, flag, reason):
        source, path = self.dir / "waits.c", self.out_dir / "waits"
        source.write_text("#include <stdio.h>\nint main(void) { puts(\"ready\"); fflush(stdout); return getchar() < 0; }\n")
        compiler = ["musl-gcc"] if flag == "musl" else ["gcc", flag]
        try:
            done = subprocess.run([*compiler, "-o", path, source], capture_output=True)
        except FileNotFoundError:
            done = None
        if done is None or done.returncode != 0:
            self.skipTest(f"{' '.join(compiler)} makes no program here")
        with self.start([path], preload=False) as program:
            program.read_until("ready")
            self.check_refused(program.pid, reason)
            self.assertEqual(program.end("x\n").status, 0)

    def test_sanitizer(self):
        """Its library is opened before it is known. Seen to fail: nothing was said of how the process goes on."""
        source, path = self.dir / "waits.c", self.out_dir / "waits"
        source.write_text("#include <stdio.h>\nint main(void) { puts(\"ready\"); fflush(stdout); return getchar() < 0; }\n")
        if subprocess.run(["gcc", "-fsanitize=address", "-o", path, source], capture_output=True).returncode != 0:
            self.skipTest("there are no sanitizers here")
        with self.start([path], preload=False) as program:
            program.read_until("ready")
            done = wait_until(lambda: self.refused(program.pid), "it is refused")
            self.check_one_line(done, f"process {program.pid}: ", "sanitizer", "; it goes on as before\n")
            self.assertEqual(program.end("x\n").status, 0)

    def refused(self, pid):
        done = self.attach(pid, expect=1)
        return None if any(words in done.stderr for words in TRY_AGAIN) else done

    def test_secret(self):
        need_root()
        folder = self.public_directory()
        with self.start(["setpriv", f"--reuid={NOBODY}", f"--regid={NOGROUP}", "--clear-groups", self.copy("running", folder), "secret"],
                        preload=False) as program:
            program.read_until("ready")
            self.check_refused(program.pid, "PR_SET_DUMPABLE")
            self.check_unharmed(program)

    def copy(self, name, folder):
        path = folder / name
        path.write_bytes(pathlib.Path(self.victim(name)).read_bytes())
        path.chmod(0o755)
        return path

    def test_others(self):
        need_root()
        folder = self.public_directory()
        with self.running() as program:
            done = self.tool_as_nobody(folder, "attach", program.pid, expect=1)
            self.check_one_line(done, f"process {program.pid} belongs to root", "it was not touched")
            self.check_unharmed(program)

    def test_not_attached(self):
        with self.running() as program:
            self.check_one_line(self.tool("detach", program.pid, expect=1), f"process {program.pid}", "nobody has attached to it")
            self.check_unharmed(program)

    def test_no_such_name(self):
        self.check_one_line(self.attach("no-such-program", expect=1), "'no-such-program' is neither the number of a process nor")

    @cases((), ("1", "2"), ("--for=x", "1"), ("--sample=x", "1"), ("-o", "a.pb.gz", "1"))
    def test_usage(self, *arguments):
        self.assertEqual(self.tool("attach", *arguments, expect=2).stdout, "")


class Places(AttachCase):
    """What the only thread is doing decides; nothing is done to it until it may be led away."""

    def check_not_now(self, pid, *why):
        def tried():
            done = self.attach(pid, expect=1, HEAPPROF_ATTACH_LOOKS=LOOKS)
            self.check_one_line(done, f"process {pid}: no")
            return all(words in done.stderr for words in why)
        wait_until(tried, f"refused, as it {why}")
        self.assertFalse(has_library(pid))

    def test_one_after_the_other(self):
        with self.start([self.victim("hz_t1_places")], preload=False) as program:
            program.read_until("locked")
            self.check_not_now(program.pid, "was in the ")
            self.go_on(program, "apart")
            self.check_not_now(program.pid, "was on a stack that is not its own")
            self.go_on(program, "free")
            done = self.attach(program.pid, expect=1, HEAPPROF_LIBRARY=self.dir)
            self.check_one_line(done, f"process {program.pid} can't open the library: {self.dir}: ", "it is as it was")
            self.attach(program.pid)
            self.assertTrue(has_library(program.pid))
            self.detach(program.pid)
            self.assertEqual(program.end("x").status, 0, "errno, and what lies below its stack, are as they were")

    @staticmethod
    def go_on(program, where):
        program.process.stdin.write("x")
        program.process.stdin.flush()
        program.read_until(where)


class Bears(AttachCase):
    """Where it could do harm nothing is done to a process; where it could not, none of what it does is changed."""

    def bears(self, what, *arguments, **options):
        program = self.start([self.victim("bears"), what, *arguments], preload=False, **options)
        program.read_until("ready")
        return program

    def check_left(self, program, *why, looks=LOOKS):
        before = code_of(program.pid, "libc.so")
        def tried():
            done = self.attach(program.pid, expect=1, HEAPPROF_ATTACH_LOOKS=looks)
            self.check_one_line(done, f"process {program.pid}: ")
            return all(words in done.stderr for words in why)
        wait_until(tried, f"refused, as it {why}")
        self.assertEqual(code_of(program.pid, "libc.so"), before)
        self.assertEqual(program.end("xx").status, 0)

    @staticmethod
    def wait_in(program, state, call=None):
        def is_in():
            now = pathlib.Path(f"/proc/{program.pid}/syscall").read_text().split()[0]
            return status_of(program.pid) == state and (call is None or now == str(call))
        wait_until(is_in, f"it is in state {state}, call {call}")

    def test_stack_in_array(self):
        with self.bears("array", "alone") as program:
            self.check_left(program, "was in a handler of a signal")

    def test_walk(self):
        """A callback holds a lock of the loader, and may wait for the thread that would be led to it."""
        with self.bears("walk") as program:
            self.check_left(program, "was in the dynamic linker", looks=LOOKS_AT_LOADER)

    def test_constructor(self):
        with self.bears("load", self.victim("libslow.so")) as program:
            self.check_left(program, "was in the dynamic linker", looks=LOOKS_AT_LOADER)

    def test_vfork(self):
        with self.bears("vfork", "alone") as program:
            self.wait_in(program, "D")
            self.check_left(program, "waits where nothing can stop it")

    def test_write(self):
        """It would come back with a part."""
        with self.bears("write", "alone") as program:
            self.wait_in(program, "S", 1)
            self.check_left(program, "waits in a transfer")

    def test_submit(self):
        """It would come back before what was asked for is done. Seen to end with 1."""
        with self.start([self.victim("bears"), "submit", "alone"], preload=False) as program:
            if program.process.stdout.readline() != "ready\n":
                self.assertEqual(program.end("").status, CANNOT)
                self.skipTest("there is no io_uring here")
            self.wait_in(program, "S", 426)
            self.check_left(program, "waits in a transfer")

    def test_receive(self):
        """It would be interrupted; it begins anew."""
        with self.bears("receive", "alone") as program:
            self.wait_in(program, "S", 45)
            self.attach(program.pid)
            self.detach(program.pid)
            self.assertEqual(program.end("x").status, 0)

    def test_handlers_run_on_their_stack(self):
        with self.bears("tick", "alone") as program:
            for _ in range(3):
                self.attach(program.pid)
                self.detach(program.pid)
            self.assertEqual(program.end("x").status, 0)

    @cases(("addresses", "ulimit -v"), ("data", "ulimit -d"))
    def test_limit_of_memory(self, limit, option):
        """It counts on what it may still have. Seen to end with 1: the library had taken some of it."""
        with self.bears(limit, "alone") as program:
            self.check_one_line(self.attach(program.pid, expect=1), f"process {program.pid} may have only ", f"({option})", "it was not touched")
            self.assertEqual(program.end("x").status, 0)

    def test_limit_of_locked_memory(self):
        """Seen to end by SIGSEGV, the second time: its stack got no more."""
        with self.start([self.victim("bears"), "locked", "alone"], preload=False) as program:
            if program.process.stdout.readline() != "ready\n":
                self.assertEqual(program.end("").status, CANNOT)
                self.skipTest("no memory can be locked here")
            for _ in range(2):
                self.check_one_line(self.attach(program.pid, expect=1), f"process {program.pid} may have only ", "(ulimit -l)", "it was not touched")
            self.assertEqual(program.end("x").status, 0)

    def test_limit_that_leaves_enough(self):
        with self.bears("amply", "alone") as program:
            self.attach(program.pid)
            self.detach(program.pid)
            self.assertEqual(program.end("x").status, 0)

    def test_library_mapped_as_data(self):
        with self.bears("map") as program:
            self.attach(program.pid)
            self.assertEqual(program.end("x").status, 0)

    def test_library_that_was_not_opened(self):
        """glibc leaves it mapped when memory ends before all of it is. Seen to end by SIGSEGV: it was called."""
        with self.bears("segments", paths.LIB) as program:
            for _ in range(2):
                self.attach(program.pid)
                self.detach(program.pid)
            self.assertEqual(program.end("x").status, 0)

    def test_data_that_the_program_protects(self):
        with self.bears("protect", "alone") as program:
            self.attach(program.pid)
            self.detach(program.pid)
            self.assertEqual(program.end("x").status, 0)

    def test_program_that_was_removed(self):
        program = self.dir / "bears"
        program.write_bytes(pathlib.Path(self.victim("bears")).read_bytes())
        program.chmod(0o755)
        with self.start([program, "wait"], preload=False) as running:
            running.read_until("ready")
            program.unlink()
            self.attach(running.pid)
            self.assertEqual(running.end("x").status, 0)


class Elsewhere(AttachCase):
    def test_other_files(self):
        """In another mount namespace, where our library is not: it comes through memory."""
        need_root()
        folder = self.public_directory()
        hidden = f"mount -t tmpfs none {paths.LIB.parent} && exec \"$@\""
        if subprocess.run(["unshare", "-m", "sh", "-c", f"mount -t tmpfs none {paths.LIB.parent}"], capture_output=True).returncode != 0:
            self.skipTest("mount namespaces are not allowed here")
        program = folder / "running"
        program.write_bytes(pathlib.Path(self.victim("running")).read_bytes())
        program.chmod(0o755)
        with self.start(["unshare", "-m", "sh", "-c", hidden, "sh", program], preload=False, cwd=folder) as program:
            program.read_until("ready")
            self.attach(program.pid, "--sample=1K")
            self.assertTrue(any("/memfd:libheapprof.so" in path for _, _, _, path in mappings(program.pid)))
            self.assertFalse([name for name in descriptors(program.pid) if "memfd" in name])
            self.detach(program.pid)
            self.attach(program.pid)
            self.detach(program.pid)
            self.check_unharmed(program)
