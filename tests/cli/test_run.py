# SPDX-License-Identifier: MIT
"""heapprof run: as if it were not there, but for the profiles."""
import ctypes
import os
import pathlib
import pty
import re
import shutil
import signal
import subprocess
import sys
import time

from harness import paths, pprof_reader
from harness.case import Case, Run, cases
from harness.states import status_of
from harness.tools import pprof_top
from hazards.toolbox import program as hazard_program

# Says of itself what a program inherits.
INHERITED = r"""
import os, re
status = open("/proc/self/status").read()
print(re.findall(r"^Sig(?:Blk|Ign):.*$", status, re.M), sorted(os.listdir("/proc/self/fd")),
      os.getpgrp() == int(os.environ["GROUP"]), os.umask(0), os.getcwd(), os.nice(0))
"""

# Counts the signals that it gets, until it is told to say so.
COUNTS = r"""
import collections, os, signal, sys
counts = collections.Counter()
def handle(number, frame):
    counts[number] += 1
watched = [int(word) for word in sys.argv[1].split(",")]
for number in watched:
    signal.signal(number, handle)
print("ready", os.getpid(), flush=True)
while sys.stdin.readline().strip() != "end":
    print(sorted(counts.items()), flush=True)
"""

# Writes whom it gets a signal from, and its value.
QUEUED = r"""
import signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGRTMIN])
print("ready", flush=True)
info = signal.sigwaitinfo([signal.SIGRTMIN])
print(info.si_code, flush=True)
"""

STUCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *meet(const char *name)
{
  const char *order = getenv("MEET");
  if (order != NULL && strncmp(order, name, strlen(name)) == 0) {
    if (strstr(order, "=abort") != NULL)
      abort();
    close(creat(getenv("MET"), 0600));
    for (;;)
      pause();
  }
  return dlsym(RTLD_NEXT, name);
}

void *dwfl_begin(const void *callbacks)
{
  return ((void *(*)(const void *))meet("dwfl_begin"))(callbacks);
}

void *dwfl_module_getdwarf(void *module, void *bias)
{
  return ((void *(*)(void *, void *))meet("dwfl_module_getdwarf"))(module, bias);
}
"""


def python(code, *arguments):
    return [sys.executable, "-c", code, *map(str, arguments)]


class RunCase(Case):
    def popen(self, *arguments, variables={}, **options):
        """heapprof run, to be spoken to."""
        process = subprocess.Popen([str(paths.TOOL), "run", *map(str, arguments)], cwd=options.pop("cwd", self.out_dir),
                                   env=self.tool_environment(**variables), text=True, errors="replace",
                                   **{"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options})
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe:
                self.addCleanup(pipe.close)
        return process

    def wait_until(self, condition, what, seconds=150):
        end = time.monotonic() + seconds
        while not (result := condition()):
            if time.monotonic() > end:
                self.fail(f"waited in vain: {what}")
            time.sleep(0.01)
        return result

    @staticmethod
    def child_of(process):
        child, = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        return int(child)

    def working_signals(self):
        """heapprof run of the victim `signals`, which has done its work; and the number of the victim."""
        process = self.popen("--sample=1", "--", self.victim("signals"))
        self.assertEqual(process.stdout.readline(), "ready\n")
        process.stdin.write("work\n")
        process.stdin.flush()
        self.assertEqual(process.stdout.readline(), "done\n")
        return process, self.child_of(process)

    def check_nothing_left(self):
        self.assertEqual([str(path) for path in self.state_dir.rglob("*")], [])

    def profile(self, name):
        """The profiles of one program, by pid"""
        return {int(path.name.split(".")[2]): pprof_reader.load(path) for path in self.out_dir.glob(f"heapprof.{name}.*.pb.gz")}


class Status(RunCase):
    @cases(("true", 0), ("exit 7", 7), ("exit 255", 255), ("kill -KILL $$", 137), ("kill -TERM $$", 143), ("kill -ABRT $$", 134))
    def test_of_the_program(self, script, status):
        self.tool("run", "--", "sh", "-c", script, expect=status)
        self.check_nothing_left()

    def test_no_program(self):
        done = self.tool("run", "--", "heapprof-no-such-program", expect=127)
        self.assertEqual(done.stderr, "heapprof: there is no program 'heapprof-no-such-program'\n")

    def test_no_file(self):
        self.tool("run", "./nothing", expect=127)
        self.tool("run", "", expect=127)
        self.check_nothing_left()

    def test_empty_search_path(self):
        (self.out_dir / "here").write_text("#!/bin/sh\nexit 3\n")
        (self.out_dir / "here").chmod(0o755)
        self.tool("run", "here", expect=3, PATH="")
        self.tool("run", "here", expect=3, PATH="/nowhere:")
        self.tool("run", "here", expect=127, PATH="/nowhere")

    @cases("directory", "mode", "interpreter", "text")
    def test_not_executable(self, kind):
        path = self.out_dir / "thing"
        if kind == "directory":
            path.mkdir()
        else:
            path.write_text("#!/nowhere/at/all\n" if kind == "interpreter" else "exit 9\n")
            path.chmod(0o644 if kind == "mode" else 0o755)
        done = self.tool("run", path, expect=9 if kind == "text" else 126)
        if kind != "text":
            self.assertRegex(done.stderr, rf"\Aheapprof: {path} cannot be run: .+\n\Z")
        self.assertEqual(len(list(self.state_dir.iterdir())), 0)

    @cases("--sample=0", "--sample=x", "--sample=65G", "--signal=KILL", "--signal=", "--out=", "--out=%q",
           "--allocator=dlmalloc", "--nothing", "--sample", "--follow --no-follow")
    def test_misuse(self, option):
        marker = self.out_dir / "started"
        done = self.tool("run", *option.split(), "--", "touch", marker, expect=2)
        self.assertFalse(marker.exists())
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        self.assertTrue(done.stderr.startswith("heapprof: "))

    def test_nothing_to_run(self):
        for arguments in ([], ["--"], ["--sample=1"]):
            done = self.tool("run", *arguments, expect=2)
            self.assertIn("no program is given", done.stderr)

    def test_library_missing(self):
        done = self.tool("run", "--", "touch", "started", expect=1, HEAPPROF_LIBRARY="/nowhere/libheapprof.so")
        self.assertRegex(done.stderr, r"\Aheapprof: HEAPPROF_LIBRARY=/nowhere/libheapprof.so: .*; nothing is started\n\Z")
        self.assertEqual(list(self.out_dir.iterdir()), [])

    def test_moved_installation(self):
        for folder in ("bin", "lib"):
            (self.dir / "moved" / folder).mkdir(parents=True)
        tool = shutil.copy(paths.TOOL, self.dir / "moved/bin")
        run = [tool, "run", "-q", "--sample=1", "--", "sh", "-c", "echo $LD_PRELOAD"]
        shutil.copy(paths.LIB, self.dir / "moved/lib")
        done = subprocess.run(run, env=self.tool_environment(), cwd=self.out_dir, capture_output=True, text=True)
        self.assertEqual(done.stdout, f"{self.dir}/moved/lib/libheapprof.so\n", done)
        (self.dir / "moved/lib/libheapprof.so").unlink()
        done = subprocess.run(run, env=self.tool_environment(), cwd=self.out_dir, capture_output=True, text=True)
        if done.returncode != 0:  # else there is one where this build is to be installed
            self.assertRegex(done.stderr, rf"\Aheapprof: libheapprof.so is in none of {self.dir}/moved/bin, {self.dir}/moved/lib, /")

    @cases("a b", "a:b", "$LIB")
    def test_library_that_cannot_be_named(self, folder):
        (self.dir / folder).mkdir()
        library = shutil.copy(paths.LIB, self.dir / folder)
        done = self.tool("run", "--", "touch", "started", expect=1, HEAPPROF_LIBRARY=library)
        self.assertRegex(done.stderr, r"\Aheapprof: .* cannot be preloaded: LD_PRELOAD has no way to write .*; nothing is ")
        self.assertEqual(list(self.out_dir.iterdir()), [])


class Transparent(RunCase):
    """What a program sees and does is what it would be without us."""

    def test_bytes(self):
        data = os.urandom(3 << 20)
        done = subprocess.run([paths.TOOL, "run", "--sample=64K", "--", "cat"], input=data, capture_output=True,
                              cwd=self.out_dir, env=self.tool_environment())
        self.assertEqual((done.returncode, done.stdout == data), (0, True))
        done = subprocess.run(["sh", "-c", '"$0" run -- cat < /proc/self/exe | "$0" run -q -- md5sum', paths.TOOL],
                              capture_output=True, cwd=self.out_dir, env=self.tool_environment(), text=True)
        self.assertRegex(done.stdout, r"\A[0-9a-f]{32}  -\n\Z")

    def test_output_ends_when_the_program_says_so(self):
        script = "import os; os.write(1, b'said'); os.close(1); os.read(0, 1)"
        process = self.popen("--", *python(script))
        self.assertEqual(process.stdout.read(), "said")  # ends although the program waits
        self.assertIsNone(process.poll())
        process.stdin.write("x")
        process.stdin.flush()
        self.assertEqual(process.wait(150), 0)

    def test_input_ends_when_the_program_says_so(self):
        process = self.popen("--", *python("import os, time; os.close(0); print('closed', flush=True); time.sleep(60)"))
        self.assertEqual(process.stdout.readline(), "closed\n")

        def is_broken():
            try:
                os.write(process.stdin.fileno(), b"x")
            except BrokenPipeError:
                return True
        self.wait_until(is_broken, "who writes to the program learns that it does not read")
        process.terminate()
        self.assertEqual(process.wait(150), 143)

    def test_closed_streams(self):
        done = subprocess.run(["sh", "-c", 'exec "$0" run -- ls /proc/self/fd 0<&- 2>&-', paths.TOOL], capture_output=True,
                              text=True, cwd=self.out_dir, env=self.tool_environment())
        plain = subprocess.run(["sh", "-c", 'exec ls /proc/self/fd 0<&- 2>&-'], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout), (plain.returncode, plain.stdout))

    @cases("usual", "nohup", "blocked", "children")
    def test_inherited(self, how):
        def prepare():
            if how == "nohup":
                signal.signal(signal.SIGHUP, signal.SIG_IGN)
            if how == "children":
                signal.signal(signal.SIGCHLD, signal.SIG_IGN)
            if how == "blocked":
                signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1, signal.SIGTERM, signal.SIGCHLD])
            os.umask(0o037)

        def outcome(command):
            done = subprocess.run([*map(str, command), *python(INHERITED)], preexec_fn=prepare, capture_output=True, text=True,
                                  stdin=subprocess.DEVNULL, cwd=self.out_dir, env=self.tool_environment(GROUP=os.getpgrp()))
            self.assertEqual(done.returncode, 0, done.stderr)
            return done.stdout
        self.assertEqual(outcome([paths.TOOL, "run", "-q"]), outcome(["env"]))

    def test_environment(self):
        other = self.victim("libplugin.so")
        done = self.tool("run", "-q", "--sample=64K", "--signal=PROF", "--out=x.%p.pb.gz", "--", "env", LD_PRELOAD=other,
                         HEAPPROF_SAMPLE="1", HEAPPROF_DEPTH="9", HEAPPROF_DUMP="exit")
        seen = dict(line.split("=", 1) for line in done.stdout.splitlines())
        self.assertEqual(re.split("[ :]", seen["LD_PRELOAD"]), [str(paths.LIB), other])
        self.assertEqual((seen["HEAPPROF_SAMPLE"], seen["HEAPPROF_SIGNAL"], seen["HEAPPROF_DEPTH"]), ("64K", "PROF", "9"))
        self.assertEqual(seen["HEAPPROF_OUT"], f"{self.out_dir}/x.%p.pb.gz")
        self.assertEqual(seen["HEAPPROF_DUMP"], "keep")
        self.assertRegex(seen["HEAPPROF_STATE_DIR"], rf"\A{self.state_dir}/run\.\d+\Z")
        self.assertNotIn("HEAPPROF_FOLLOW", seen)

    def test_preloaded_already(self):
        other = self.victim("libplugin.so")
        done = self.tool("run", "-q", "--", "sh", "-c", 'echo "$LD_PRELOAD"', LD_PRELOAD=f"{paths.LIB} {other}")
        self.assertEqual(done.stdout, f"{paths.LIB}:{other}\n")

    def test_environment_without_options(self):
        seen = dict(line.split("=", 1) for line in self.tool("run", "-q", "env", HEAPPROF_SAMPLE="7K").stdout.splitlines())
        self.assertEqual((seen["LD_PRELOAD"], seen["HEAPPROF_SAMPLE"], seen["HEAPPROF_DUMP"]),
                         (str(paths.LIB), "7K", "keep,signal"))
        self.assertNotIn("HEAPPROF_SIGNAL", seen)

    def test_pattern_of_the_environment_that_is_none(self):
        """One line, and not one from every process."""
        done = self.tool("run", "--sample=1", "--", "sh", "-c", f"{self.victim('leak')} >/dev/null; echo \"$HEAPPROF_OUT\"",
                         HEAPPROF_OUT="%q")
        self.assertEqual(done.stdout, f"{self.out_dir}/heapprof.%e.%p.%n.pb.gz\n")
        self.assertRegex(done.stderr, r"\Aheapprof: HEAPPROF_OUT=%q is not accepted \(a path .*\); using /.*\nheapprof: peak ")

    def test_folder_is_private(self):
        done = self.tool("run", "-q", "--", "sh", "-c", 'stat -c %a "$HEAPPROF_STATE_DIR"')
        self.assertEqual(done.stdout, "700\n")
        self.check_nothing_left()


class Signals(RunCase):
    SENT = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGALRM, signal.SIGCONT,
            signal.SIGWINCH, signal.SIGPIPE, signal.SIGURG, signal.SIGIO, signal.SIGPROF, signal.SIGTSTP, signal.SIGABRT,
            signal.SIGSEGV, signal.SIGRTMIN + 1]

    def started(self, code, *arguments, options=(), **popen):
        process = self.popen("-q", *options, "--", *python(code, *arguments), **popen)
        return process, int(process.stdout.readline().split()[1])

    def counted(self, process):
        process.stdin.write("say\n")
        process.stdin.flush()
        return dict(eval(process.stdout.readline()))

    def count_of(self, process, number):
        """After one has arrived; asked again, so that a second would have had its time."""
        self.wait_until(lambda: self.counted(process).get(number, 0) > 0, f"signal {number}")
        time.sleep(0.05)
        return self.counted(process)[number]

    def test_each_is_passed_on_once(self):
        process, _ = self.started(COUNTS, ",".join(str(int(n)) for n in self.SENT))
        for number in self.SENT:
            os.kill(process.pid, number)
            self.assertEqual(self.count_of(process, number), 1, number)
        process.stdin.write("end\n")
        process.stdin.close()
        self.assertEqual(process.wait(150), 0)

    def test_that_came_before_the_end(self):
        """They were for the program: what we do at its end is not cut short by them."""
        process, pid = self.started(COUNTS, int(signal.SIGUSR1), options=["--sample=4K"])
        os.kill(process.pid, signal.SIGSTOP)
        self.wait_until(lambda: self.state(process.pid) == "T", "we stop")
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            os.kill(process.pid, number)
        os.kill(pid, signal.SIGKILL)
        self.wait_until(lambda: self.state(pid) == "Z", "the program ends")
        os.kill(process.pid, signal.SIGCONT)
        self.assertEqual((process.stderr.read(), process.wait()), ("", 137))
        self.assertEqual(len(self.profile_files()), 1)

    def test_value_of_a_queued_one(self):
        process = self.popen("-q", "--", *python(QUEUED))
        self.assertEqual(process.stdout.readline(), "ready\n")
        self.assertEqual(ctypes.CDLL(None).sigqueue(process.pid, int(signal.SIGRTMIN), ctypes.c_void_p(42)), 0)
        self.assertEqual(int(process.stdout.readline()), -1)  # SI_QUEUE
        self.assertEqual(process.wait(150), 0)

    def test_also_where_we_were_told_to_ignore_it(self):
        """nohup: the program may still take SIGHUP for its own purposes."""
        process, _ = self.started(COUNTS, int(signal.SIGHUP), preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        os.kill(process.pid, signal.SIGHUP)
        self.assertEqual(self.count_of(process, signal.SIGHUP), 1)

    def test_what_the_program_sends_to_its_group(self):
        process, _ = self.started("import signal, os\n" + COUNTS.replace("while", "os.kill(0, signal.SIGUSR1)\nwhile"),
                                  int(signal.SIGUSR1), start_new_session=True)
        self.assertEqual(self.count_of(process, signal.SIGUSR1), 1)

    def test_alarm_set_before_exec(self):
        """perl -e 'alarm 1; exec @ARGV' is how people set a time limit."""
        script = "import os, signal, sys; signal.alarm(int(sys.argv[1])); os.execv(sys.argv[2], sys.argv[2:])"
        for seconds in (1, 2, 4, 8, 16, 32, 64):  # on a busy machine it may come before the program has begun
            done = subprocess.run(python(script, seconds, paths.TOOL, "run", "-q", "sh", "-c", "echo begun; exec sleep 500"),
                                  env=self.tool_environment(), cwd=self.out_dir, stdout=subprocess.PIPE, text=True)
            if done.stdout == "begun\n":
                break
        self.assertEqual((done.stdout, done.returncode), ("begun\n", 128 + signal.SIGALRM))

    def test_file_of_an_earlier_run(self):
        """It has the name that a profile by the program itself would have."""
        for expected in ("same.pb.gz", "same.2.pb.gz"):
            done = self.tool("run", "--sample=1", "-o", "same.pb.gz", "--", self.victim("leak"), expect=7)
            self.assertRegex(done.stderr, rf"files +{expected}\n")

    def test_snapshot_by_signal(self):
        process, _ = self.working_signals()
        os.kill(process.pid, signal.SIGUSR2)
        self.wait_until(self.profile_files, "a profile on request")
        out, err = process.communicate("end\n")
        self.assertIn("handled 0", out)
        names = sorted(path.name for path in self.profile_files())
        self.assertEqual(len(names), 2, names)
        pid = names[0].split(".")[2]
        self.assertEqual(names, [f"heapprof.signals.{pid}.1.pb.gz", f"heapprof.signals.{pid}.2.pb.gz"])
        self.assertRegex(err, rf"files +{names[1]}; written while it ran: {names[0]}\n")

    def test_program_stopped_alone(self):
        """Who stops the program by its id continues it by its id: we must not wait for another SIGCONT."""
        process, pid = self.started(COUNTS, int(signal.SIGCONT))
        os.kill(pid, signal.SIGSTOP)
        self.wait_until(lambda: self.state(pid) == "T", "the program stops")
        time.sleep(0.1)
        self.assertIn(self.state(process.pid), "SRD")  # not stopped
        os.kill(pid, signal.SIGCONT)
        process.stdin.write("end\n")
        process.stdin.close()
        self.assertEqual(process.wait(150), 0)

    @staticmethod
    def state(pid):
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


class Terminal(RunCase):
    """Under a shell with job control, on a pseudo-terminal."""

    def shell(self, script):
        """Returns a function that waits for text and one that types."""
        return self.on_terminal("bash", "--norc", "-mc", script, paths.TOOL)[1:]

    def session(self, *command):
        """heapprof run as the first process of a session, without a shell: its id, and the same functions."""
        return self.on_terminal(paths.TOOL, "run", "-q", "--", *command)

    def on_terminal(self, *command):
        pid, master = pty.fork()
        if pid == 0:
            os.chdir(self.out_dir)
            os.execvpe(command[0], list(map(str, command)), self.tool_environment(TERM="dumb"))
        self.addCleanup(os.close, master)
        self.addCleanup(self.end, pid)
        self.seen = ""

        def read():
            try:
                return os.read(master, 65536).decode(errors="replace")
            except OSError:  # nobody has it open any more
                return ""

        def expect(pattern):
            while not (found := re.search(pattern, self.seen)):
                text = read()
                if not text:
                    self.fail(f"the terminal ended without {pattern!r}: {self.seen!r}")
                self.seen += text
            self.assertIsNotNone(found)
            self.seen = self.seen[found.end():]
            return found
        return pid, expect, lambda text: os.write(master, text.encode())

    @staticmethod
    def end(pid):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)

    @cases(("\x03", signal.SIGINT), ("\x1c", signal.SIGQUIT))
    def test_keys_arrive_once(self, key, number):
        """We are held up, so that what we pass on cannot melt into what the program has not seen yet."""
        pid, expect, type_in = self.session(*python(COUNTS, int(number)))
        expect("ready")
        os.kill(pid, signal.SIGSTOP)
        type_in(key)

        def counted():
            type_in("say\n")
            return expect(r"\[(.*)\]\r\n")[1]
        self.wait_until(counted, "the key arrives")
        os.kill(pid, signal.SIGCONT)
        self.wait_until(lambda: not self.is_pending(pid, number), "we have seen it, too")
        time.sleep(0.05)
        self.assertEqual(counted(), f"({int(number)}, 1)")

    @staticmethod
    def is_pending(pid, number):
        pending = re.search(r"ShdPnd:\s*(\w+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1]
        return int(pending, 16) & 1 << number - 1

    def test_interrupt_ends_both(self):
        """The key was for the program, not for what we do at its end."""
        expect, type_in = self.shell('"$0" run --sample=1 -- bash -c "echo ready; read x"; echo status $?')
        expect("ready")
        type_in("\x03")
        self.assertNotIn("interrupted", expect(r"(?s)(.*)status 130")[1])
        self.assertEqual(len(self.profile("bash")), 1)
        self.check_nothing_left()

    def test_stop_and_continue(self):
        expect, type_in = self.shell('"$0" run -q -- sh -c "echo ready; read x; echo read \\$x; exit 3"\n'
                                     'echo status $?; jobs; fg >/dev/null; echo status $?')
        expect("ready")
        type_in("\x1a")
        expect(f"status {128 + signal.SIGTSTP}")
        expect("Stopped")
        type_in("line\n")
        expect("read line")
        expect("status 3")

    def test_continued_alone(self):
        """Who continues us, and not the whole job, continues the program."""
        os.mkfifo(self.out_dir / "fifo")
        expect, type_in = self.shell('"$0" run -q -- bash -c "echo ready; read x <>fifo; echo \\$x >read"\n'
                                     'kill -CONT $(jobs -p); echo continued; until [ -s read ]; do sleep 0.05; done; echo over')
        expect("ready")
        type_in("\x1a")
        expect("continued")
        (self.out_dir / "fifo").write_text("line\n")
        expect("over")

    def test_background_job_that_reads(self):
        expect, type_in = self.shell('"$0" run -q -- sh -c "read x; echo read \\$x; exit 3" &\n'
                                     'until jobs | grep -q Stopped; do sleep 0.05; done; echo stopped\n'
                                     'fg >/dev/null; echo status $?')
        expect("stopped")
        type_in("line\n")
        expect("read line")
        expect("status 3")

    def test_hangup_reaches_the_program(self):
        """The first process of a session alone is told that the terminal is gone."""
        told = self.out_dir / "told"
        script = ("import pathlib, signal, sys\n"
                  f"signal.signal(signal.SIGHUP, lambda *_: sys.exit(pathlib.Path({str(told)!r}).write_text('hangup') and 0))\n"
                  "print('ready', flush=True)\nwhile True: signal.pause()")
        pid, master = pty.fork()
        if pid == 0:
            os.chdir(self.out_dir)
            os.execve(paths.TOOL, [str(paths.TOOL), "run", "-q", "--", *python(script)], self.tool_environment())
        seen = b""
        while b"ready\r\n" not in seen:  # the whole line: else the program is still writing when the terminal goes
            seen += os.read(master, 4096)
        os.close(master)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0)
        self.assertEqual(told.read_text(), "hangup")


class Profiles(RunCase):
    def test_exact(self):
        done = self.tool("run", "--sample=1", "--", self.victim("leak"), expect=7)
        (pid, profile), = self.profile("leak").items()
        self.check_exact(profile, Run(pid, 7, done.stdout, done.stderr, []).shadows[pid])
        self.check_lint(profile)
        self.check_nothing_left()
        self.assertIn("leak.c", {function.filename.rpartition("/")[2] for function in profile.functions})
        self.assertEqual(profile.comment_values()["command"], self.victim("leak"))

    def test_operator_new_is_left_out(self):
        """As in the profiles that programs write themselves: the innermost frame is who asked for the object."""
        self.tool("run", "--sample=1", "--", self.victim("names"))
        profile, = self.profile("names").values()
        innermost = {sample.raw_frames()[0] for sample in profile.samples}
        self.assertIn("shop::Basket::reserve", innermost)
        self.assertEqual({name for name in innermost if name.startswith("operator new")}, set())

    def test_read_by_pprof(self):
        self.tool("run", "--sample=1", "--", self.victim("leak"), expect=7)
        path, = self.profile_files()
        for which in ("go", "google"):
            rows = pprof_top(which, path, "inuse_space")
            self.assertEqual(rows["victim_large"][1], 64 << 20, rows)

    def test_summary(self):
        done = self.tool("run", "--sample=1", "--", self.victim("leak"), expect=7)
        path, = self.profile_files()
        pid = path.name.split(".")[2]
        lines = done.stderr.splitlines()
        self.assertEqual(len(lines), 6, done.stderr)
        self.assertRegex(lines[0], rf"\Aheapprof: peak +64\.\d+MB, exact \(leak, {pid}\)\Z")
        self.assertRegex(lines[1], r"\A +in use at exit +64\.\d+MB, exact of 64\.\d+MB allocated\Z")
        self.assertRegex(lines[2], r"\A +resident +\d+\.?\d*MB at most\Z")
        self.assertRegex(lines[3], r"\A +top in use +64MB victim_large, .*victim_leaf")
        self.assertRegex(lines[4], rf"\A +files +{path.name}\Z")
        self.assertRegex(lines[5], rf"\A +next +heapprof top {path.name}\Z")
        self.tool(*lines[5].split()[2:])

    def test_summary_of_estimates(self):
        done = self.tool("run", "--", *python("import os; kept = [bytes(20000) for _ in range(2000)]; os._exit(0)"))
        self.assertRegex(done.stderr, r"\Aheapprof: peak +\d+\.?\d*MB ±\d+\.?\d*MB \(")
        self.assertRegex(done.stderr, r"\n +in use at exit +\d+\.?\d*MB ±\d+\.?\d*MB of \d")

    def test_summary_of_nothing_in_use(self):
        done = self.tool("run", "--sample=1", "--", self.victim("churn"), expect=None)
        self.assertRegex(done.stderr, r"\n +in use at exit|\n +top allocated")

    def test_quiet(self):
        done = self.tool("run", "-q", "--sample=1", "--", self.victim("leak"), expect=7)
        self.assertEqual(done.stderr, "")
        self.assertEqual(len(self.profile_files()), 1)

    def test_nothing_sampled(self):
        done = self.tool("run", "--sample=64G", "--", "true")
        self.assertRegex(done.stderr, r"\Aheapprof: nothing was sampled: true .*--sample=1\).*\n\Z")
        self.assertEqual(self.profile_files(), [])
        self.check_nothing_left()

    UNSEEN = r"heapprof: \S*hz_own_arena\S*, or a process that it waited for, had 2\d\d\.?\d*MB in memory, of which {} was seen: .*\n"

    @cases(None, 1)
    def test_memory_that_malloc_knows_nothing_of(self, sample):
        """Seen to fail: it "allocated too little"."""
        options = [f"--sample={sample}"] if sample else []
        done = self.tool("run", *options, "--", hazard_program("hz_own_arena.c"), 200, sample or 0)
        if sample is None:
            self.assertRegex(done.stderr, rf"\A{self.UNSEEN.format('nothing')}\Z")
        else:
            self.assertRegex(done.stderr, rf"\A{self.UNSEEN.format('1MB')}heapprof: peak ")

    def test_memory_that_is_seen(self):
        done = self.tool("run", "--", hazard_program("hz_own_arena.c"), 20, 200)
        self.assertRegex(done.stderr, r"\Aheapprof: peak +200MB[ ,]")

    def test_advice_fits(self):
        """Seen to fail: --sample=64K, which sees nothing of so little either."""
        self.assertIn("too little (try --sample=1)", self.tool("run", "--", "true").stderr)

    def test_interval_with_a_point(self):
        """As limits have it. Seen to fail: refused."""
        self.tool("run", "-s", "1.5k", "--", self.victim("leak"), expect=7)
        profile, = self.profile("leak").values()
        self.assertEqual(profile.comment_values()["sampling_interval_bytes"], 1536)
        for wrong in ("0.1", "1.5X", "x", "99999G"):
            self.assertIn(f"not '{wrong}'", self.tool("run", "-s", wrong, "--", "true", expect=2).stderr)

    def test_misspelt_variables(self):
        """Seen to fail: nothing was said."""
        done = self.tool("run", "-q", "--", "true", HEAPPROF_SAMPEL=1, HEAPPROF_AMPLE=2, HEAPPROF_DEPTH=8, HEAPPROF_LIBRARY=paths.LIB)
        self.assertEqual(done.stderr, "heapprof: nobody knows HEAPPROF_AMPLE, HEAPPROF_SAMPEL: "
                                      "man 7 libheapprof has the variables that there are\n")

    def test_objects_of_python(self):
        """They are in blocks that it maps. Seen to fail: "the rest is files, stacks", and no next step."""
        fill = python("import os; kept = [str(i) for i in range(10**6)]; os._exit(0)")
        hint = r"\n +python +PYTHONMALLOC=malloc heapprof run "
        self.assertRegex(self.tool("run", "--no-follow", "--", *fill).stderr, hint)
        self.assertNotRegex(self.tool("run", "--no-follow", "--", *fill, PYTHONMALLOC="malloc").stderr, hint)

    def test_nothing_selected(self):
        done = self.tool("run", "--sample=1", "--", self.victim("leak"), expect=7, HEAPPROF_ONLY="other")
        self.assertRegex(done.stderr, r"\Aheapprof: nothing was sampled: HEAPPROF_ONLY=other .*\n\Z")

    @cases("directory", "new directory", "pattern", "fixed", "environment", "absolute")
    def test_names(self, how):
        (self.out_dir / "d").mkdir()
        where = self.dir / "elsewhere"
        where.mkdir()
        options, names = {
            "directory": (["--out=d"], "d/heapprof.leak.*.1.pb.gz"),
            "new directory": (["--out=e/f/"], "e/f/heapprof.leak.*.1.pb.gz"),
            "pattern": (["--out=d/%e-%n-100%%.pb.gz"], "d/leak-1-100%.pb.gz"),
            "fixed": (["-o", "x.pb.gz"], "x.pb.gz"),
            "environment": ([], "d/y-leak"),
            "absolute": ([f"--out={where}"], "../elsewhere/heapprof.leak.*.1.pb.gz"),
        }[how]
        variables = {"HEAPPROF_OUT": "d/y-%e"} if how == "environment" else {}
        self.tool("run", *options, "--sample=1", "--", self.victim("leak"), expect=7, **variables)
        found = list(self.out_dir.glob(names))
        self.assertEqual(len(found), 1, list(self.dir.rglob("*")))
        self.assertEqual(found[0].stat().st_mode & 0o777, 0o600)

    def test_nothing_is_overwritten(self):
        (self.out_dir / "x.pb.gz").write_text("mine")
        for _ in range(2):
            self.tool("run", "--out=x.pb.gz", "--sample=1", "--", self.victim("leak"), expect=7)
        self.assertEqual((self.out_dir / "x.pb.gz").read_text(), "mine")
        self.assertTrue((self.out_dir / "x.2.pb.gz").exists() and (self.out_dir / "x.3.pb.gz").exists())

    def test_killed(self):
        """All that it had until then, to the byte."""
        process, pid = self.working_signals()
        os.kill(pid, signal.SIGKILL)
        _, err = process.communicate()
        self.assertEqual(process.returncode, 137)
        self.assertRegex(err, r"in use at exit .*; killed by SIGKILL\n")
        profile = self.profile("signals")[pid]
        expected = {"alloc_objects": 200, "alloc_space": sum(15 * i for i in range(100)), "inuse_objects": 100,
                    "inuse_space": sum(10 * i for i in range(100))}
        self.assertEqual(profile.counted(lambda frames: "victim_work" in frames), expected)
        self.check_lint(profile)
        self.check_nothing_left()

    def test_killed_descendant(self):
        script = f"""{self.victim('exits')} return & coproc {{ exec {self.victim('signals')}; }}
            read -u ${{COPROC[0]}} ready; kill -KILL $COPROC_PID; wait; echo end"""
        done = self.tool("run", "--sample=1", "--", "bash", "-c", script)
        self.assertIn("end", done.stdout)
        self.assertEqual(len(self.profile("exits")), 1)
        self.assertEqual(len(self.profile("signals")), 1)
        self.check_nothing_left()

    def test_prefork(self):
        """A server and its workers, all killed by the last breath of the group."""
        script = r"""
import os, signal, sys
kept = [bytes(10000) for _ in range(100)]
children = []
for number in range(4):
    ends = os.pipe()
    pid = os.fork()
    if pid == 0:
        mine = [bytes(20000) for _ in range(50)]
        os.write(ends[1], b"x")
        signal.pause()
    os.read(ends[0], 1)
    children.append(pid)
print(os.getpid(), *children, flush=True)
for pid in children:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
"""
        done = self.tool("run", "--sample=4K", "--", *python(script))
        pids = {int(word) for word in done.stdout.split()}
        found = {int(path.name.split(".")[2]): path for path in self.profile_files()}
        self.assertLessEqual(pids, set(found))
        largest = done.stdout.split()[1:]  # the lines are about one of the children: what they inherited is theirs, too
        self.assertRegex(done.stderr, rf"\({pathlib.Path(sys.executable).name[:7]}[^,]*, ({'|'.join(largest)})\)")
        self.assertRegex(done.stderr, r"files .* and 4 of other processes\n")
        for path in found.values():
            self.check_lint(pprof_reader.load(path))
        self.check_nothing_left()

    def test_daemon_outlives(self):
        stop = self.out_dir / "stop"
        os.mkfifo(stop)
        script = (f'( exec "{self.victim("signals")}" <"{stop}" >/dev/null 2>&1 ) & '
                  'until [ "$(head -c 8 "$HEAPPROF_STATE_DIR/$!.heapprof" | tr -d "\\0")" = HEAPPROF ]; do sleep 0.02; done 2>/dev/null; echo $!')
        done = self.tool("run", "--sample=1", "--", "bash", "-c", script.replace(f'<"{stop}"', f'<>"{stop}"'))
        pid = int(done.stdout.split()[-1])
        self.assertRegex(done.stderr, rf"heapprof: still running and profiled: {pid} \(signals\); heapprof ls shows them\n")
        folder, = self.state_dir.iterdir()
        self.assertTrue((folder / f"{pid}.heapprof").exists())
        self.assertEqual(self.profile("signals"), {})
        self.assertIn(f"{pid}", self.tool("ls").stdout)
        os.kill(pid, signal.SIGKILL)
        self.wait_until(lambda: status_of(pid) in ("", "Z"), "the daemon ends")
        self.tool("recover", pid)
        self.assertEqual(list(self.profile("signals")), [pid])
        self.check_nothing_left()

    def test_many_processes(self):
        """Their state does not pile up: profiles appear while the program runs."""
        process = self.popen("-q", "--sample=1", "--", "bash", "-c", f"""
            for ((i = 0; i < 40; i++)); do {self.victim('exits')} >/dev/null; done
            until compgen -G '*.pb.gz' >/dev/null; do read -t 0.05 x; done; echo written; read x""")
        self.assertEqual(process.stdout.readline(), "written\n")
        process.communicate("x\n")
        self.assertEqual(len(self.profile("exits")), 40)
        self.check_nothing_left()

    def test_no_follow(self):
        self.tool("run", "--no-follow", "--sample=1", "--", "bash", "-c", f"{self.victim('leak')}; (x=$(echo a | cat)); true")
        self.assertEqual(self.profile("leak"), {})
        self.assertEqual(self.profile("cat"), {})
        self.assertGreaterEqual(len(self.profile("bash")), 1)
        self.check_nothing_left()

    def test_follow_again(self):
        self.tool("run", "--follow", "--sample=1", "--", "bash", "-c", self.victim("leak"), expect=7, HEAPPROF_FOLLOW="no")
        self.assertEqual(len(self.profile("leak")), 1)

    def test_run_killed(self):
        """Nobody is left to collect: recover finds what there is."""
        process, pid = self.working_signals()
        process.kill()
        process.wait()
        os.kill(pid, signal.SIGKILL)
        self.wait_until(lambda: status_of(pid) in ("", "Z"), "the program ends")
        self.tool("recover", pid)
        self.assertEqual(list(self.profile("signals")), [pid])
        self.check_nothing_left()

    def test_run_inside_run(self):
        self.tool("run", "--sample=1", "--", paths.TOOL, "run", "--sample=1", "--", self.victim("leak"), expect=7)
        self.assertEqual(len(self.profile("leak")), 1)
        self.check_nothing_left()


class Obstacles(RunCase):
    """Profiles that cannot be written, symbols that cannot be read."""

    @cases("nowhere/x.pb.gz", "file/x.pb.gz", "nowhere/%%/x.%p.pb.gz")
    def test_no_such_folder(self, out):
        """Said before the program has run for a day. Seen to fail: said at the end, with status 0."""
        (self.out_dir / "file").touch()
        done = self.tool("run", "-o", out, "--", "touch", "started", expect=1)
        self.assertRegex(done.stderr, r"\Aheapprof: --out .*: no profile can be written there; nothing is started: (No such file|Not a dir).*\n\Z")
        self.assertEqual([path.name for path in self.out_dir.iterdir()], ["file"])

    def test_folder_of_each_program(self):
        """It is not known before."""
        (self.out_dir / "leak.d").mkdir()
        self.tool("run", "-q", "--sample=1", "-o", "%e.d/%p.pb.gz", "--", self.victim("leak"), expect=7)
        self.assertEqual(len(list((self.out_dir / "leak.d").iterdir())), 1)

    def test_name_of_an_earlier_run(self):
        """Quiet or not, who would read the old one is told. Seen to fail: nothing was said."""
        command = ["run", "-q", "--sample=1", "-o", "x.pb.gz", "--", self.victim("leak")]
        self.assertEqual(self.tool(*command, expect=7).stderr, "")
        os.utime(self.out_dir / "x.pb.gz", (1, 1))
        self.assertEqual(self.tool(*command, expect=7).stderr,
                         "heapprof: x.pb.gz is of an earlier run and is kept; this run's is x.2.pb.gz\n")

    def test_every_allocation_is_too_few(self):
        """No advice that was followed already. Seen to fail: try --sample=1."""
        done = self.tool("run", "--sample=1", "--", "true")
        self.assertIn("true allocated nothing, or the library stood aside", done.stderr)
        self.assertNotIn("try", done.stderr)

    def test_nowhere_to_write(self):
        done = self.tool("run", "--sample=1", "--", self.victim("leak"), expect=7, cwd="/sys")
        folder, = self.state_dir.iterdir()
        state, = folder.iterdir()
        self.assertRegex(done.stderr, rf"\Aheapprof: .*/sys/heapprof\.leak\..*: .*; the state of 1 process stays in {folder}: "
                                      rf"heapprof ls lists it, heapprof recover {state.stem} in another directory .*\n")
        self.tool("recover", "--all")
        self.assertEqual(len(self.profile("leak")), 1)
        self.check_nothing_left()

    @cases(("true", 1), ("exit 7", 7))
    def test_lost(self, then, status):
        """What was found is told all the same, and who asked for a file by name is not told that all is well. Seen to fail: status 0,
        "recover PID", no summary."""
        done = self.tool("run", "--sample=1", "--no-follow", "-o", "/dev/full", "--", "sh", "-c", then, expect=status)
        state, = self.state_dir.glob("run.*/*")
        self.assertRegex(done.stderr, rf"\Aheapprof: /dev/full: No space left on device; .* heapprof recover {state.stem} in another "
                                      rf".*\nheapprof: peak (?s:.*)\n +top [a-z ]+ \d(?s:.*)\n +next +heapprof recover {state.stem}\n\Z")
        self.tool("recover", state.stem)
        self.assertEqual(len(self.profile("sh")), 1)
        self.check_nothing_left()

    def test_current_folder_takes_no_file(self):
        """Seen to fail: said at the end."""
        if os.geteuid() == 0:
            command = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs -o ro none "$1" && cd "$1" && exec "$0" run -- echo started']
        else:
            self.out_dir.chmod(0o555)
            command = ["sh", "-c", 'cd "$1" && exec "$0" run -- echo started']
        done = subprocess.run([*command, paths.TOOL, self.out_dir], env=self.tool_environment(), capture_output=True, text=True)
        self.out_dir.chmod(0o755)
        if "mount" in done.stderr:
            self.skipTest(f"nothing can be mounted here: {done.stderr}")
        self.assertEqual((done.returncode, done.stdout), (1, ""), done.stderr)
        self.assertRegex(done.stderr, r"\Aheapprof: no profile can be written in the current directory, -o DIRECTORY is another; "
                                      r"nothing is started: .*\n\Z")

    def test_full_disk(self):
        script = ('mount -t tmpfs -o size=4k none "$1" && cd "$1" && head -c 4096 /dev/zero >full; '
                  'exec "$0" run --sample=1 -- "$2"')
        mount = self.dir / "full"
        mount.mkdir()
        command = [] if os.geteuid() == 0 and self.can_mount(mount) else ["unshare", "-Ur"]
        done = subprocess.run([*command, "unshare", "-m", "sh", "-c", script, paths.TOOL, mount, self.victim("strings")],
                              env=self.tool_environment(), capture_output=True, text=True)
        if "mount" in done.stderr:
            self.skipTest(f"no small file system can be mounted here: {done.stderr}")
        self.assertRegex(done.stderr, r"No space left on device.*; the state of 1 process stays in ")
        self.tool("recover", "--all")
        self.assertEqual(len(self.profile("strings")), 1)
        self.check_nothing_left()

    @staticmethod
    def can_mount(mount):
        return subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", mount], capture_output=True).returncode == 0

    def test_state_of_an_earlier_run(self):
        """Of the same process id: it is not ours to read or to remove."""
        script = 'mkdir "$HEAPPROF_STATE_DIR/run.$$"; echo text >"$HEAPPROF_STATE_DIR/run.$$/1.heapprof"; exec "$@"'
        command = [paths.TOOL, "run", "--sample=1", "--", "sh", "-c", 'echo "$HEAPPROF_STATE_DIR"']
        done = subprocess.run(["sh", "-c", script, "-", *command], env=self.tool_environment(), cwd=self.out_dir,
                              capture_output=True, text=True)
        self.assertRegex(done.stdout, rf"\A{self.state_dir}/run\.\d+-1\n\Z", done.stderr)
        left, = (path for path in self.state_dir.rglob("*") if path.is_file())
        self.assertEqual(left.read_text(), "text\n")

    def test_files_that_are_no_state(self):
        """What its process could not even begin goes; what nobody understands stays, and is mentioned."""
        script = ': >"$HEAPPROF_STATE_DIR/999999998.heapprof"; head -c 32768 /dev/zero >"$HEAPPROF_STATE_DIR/999999997.heapprof"'
        self.tool("run", "--sample=1", "--", "sh", "-c", script)
        self.check_nothing_left()
        done = self.tool("run", "-q", "--sample=1", "--", "sh", "-c", 'echo text >"$HEAPPROF_STATE_DIR/999999999.heapprof"')
        self.assertRegex(done.stderr, r"\Aheapprof: .*; the state of 1 process stays in ")
        left, = (path for path in self.state_dir.rglob("*") if path.is_file())
        self.assertEqual(left.read_text(), "text\n")

    def test_long_state_directory(self):
        path = self.state_dir / "/".join(["x" * 200] * 5)
        path.mkdir(parents=True)
        path = path / ("y" * (1020 - len(str(path))))
        done = self.tool("run", "--sample=1", "--", self.victim("leak"), expect=7, HEAPPROF_STATE_DIR=path)
        self.assertIn("heapprof: HEAPPROF_STATE_DIR: the path of the state directory is too long; profiles are written by the programs", done.stderr)
        self.assertEqual(len(self.profile("leak")), 1)

    def test_no_state_directory(self):
        done = self.tool("run", "--sample=1", "--", self.victim("leak"), expect=7, HEAPPROF_STATE_DIR="/proc/nowhere")
        self.assertRegex(done.stderr, r"\Aheapprof: HEAPPROF_STATE_DIR: .*/proc/nowhere.*; profiles are written by the programs themselves, .*\n"
                                      r"(heapprof: no state file .*\n)?"
                                      r"heapprof: 1 profile written by the program itself; next: heapprof top heapprof.leak\.")
        profile, = self.profile("leak").values()
        self.assertEqual(profile.comment_values()["reason"], "exit")

    def stuck_library(self):
        source, library = self.dir / "stuck.c", self.dir / "stuck.so"
        source.write_text(STUCK)
        subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source], check=True)
        return library

    def meet(self, order):
        return {"LD_PRELOAD": self.stuck_library(), "MEET": order, "MET": self.dir / "met"}

    @cases("dwfl_module_getdwarf", "dwfl_begin")
    def test_crash_over_symbols(self, function):
        """libdw meets a file that is too much for it: the profile is there all the same."""
        done = self.tool("run", "--sample=1", "--", self.victim("leak"), expect=7, **self.meet(f"{function}=abort"))
        self.assertRegex(done.stderr, r"\Aheapprof: .*leak.*: reading its debug information failed: Aborted\n")
        (pid, profile), = self.profile("leak").items()
        self.assertGreater(profile.totals()["inuse_space"], 64 << 20)
        self.check_nothing_left()

    def end_of_symbols(self, function, levels, end):
        """Whenever the search for symbols hangs, `end` is called."""
        variables = self.meet(function)
        process = self.popen("--sample=1", "--", self.victim("leak"), variables=variables)
        for level in levels:
            self.wait_until(variables["MET"].exists, "libdw is asked")
            variables["MET"].unlink()
            end(process)
            self.assertRegex(process.stderr.readline(), rf"\Aheapprof: .*: profiles are written without {level}; ")
        _, err = process.communicate()
        self.assertEqual(process.returncode, 7)
        self.assertEqual(len(err.splitlines()), 6, err)
        self.assertEqual(len(self.profile("leak")), 1)
        self.check_nothing_left()

    @cases(signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    def test_interrupted_over_lines(self, number):
        self.end_of_symbols("dwfl_module_getdwarf", ["lines"], lambda process: os.kill(process.pid, number))

    def test_interrupted_over_names(self):
        self.end_of_symbols("dwfl_begin", ["lines", "names"], lambda process: os.kill(process.pid, signal.SIGINT))

    def test_helper_killed(self):
        """As by the OOM killer."""
        self.end_of_symbols("dwfl_begin", ["lines", "names"], lambda process: os.kill(self.child_of(process), signal.SIGKILL))
