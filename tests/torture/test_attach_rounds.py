# SPDX-License-Identifier: MIT
"""heapprof attach and detach in turn, at random moments, to programs and servers at work: 500 times each in the torture suite. What they
say, their exit status and what their clients get is as without; and nothing grows from round to round. Then the same with a command
that is killed, at random moments and at each of its own."""
import dataclasses
import os
import pathlib
import random
import re
import signal
import statistics
import subprocess
import time

from cli.test_attach import TRY_AGAIN, AttachCase, descriptors, mappings
from harness import paths
from harness.case import cases, timeout
from harness.states import status_of, wait_until
from hazards.toolbox import TORTURE, amount, skip_unless
from torture.attached import Own, maker, public_copy
from torture.real import folder_for_everybody
from torture.torment import first_seed

ROUNDS = int(os.environ.get("HEAPPROF_TORTURE_ROUNDS", amount(2, 500)))
KILLS = int(os.environ.get("HEAPPROF_TORTURE_ROUNDS", amount(4, 200)))
FEW = 10
LONGEST_PAUSE_SECONDS = 0.02
ROOM_KIB = 512  # what the command maps for itself, tools/attach/borrowed.h
USUAL, LONG = ("allocates", "opens", "signals", "Redis"), ("forks", "Python", "Node", "Java", "Rust", "Postgres", "Nginx")
NS = {"ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9}


def stood_ms(message):
    """One thread, from what the command says at the end."""
    stood = re.search(r"one of its threads stood still for ([\d.]+)(ns|us|ms|s)\b", message)
    return float(stood[1]) * NS[stood[2]] / 1e6 if stood else None


@dataclasses.dataclass
class Census:
    """What one process has."""
    mappings: int
    made_code: int  # without a file: where the first instructions went, and what a command left behind
    library: int    # its state may grow as the program goes on
    files: int
    size_kib: int
    own_kib: int

    @staticmethod
    def of(pid):
        status, mapped = pathlib.Path(f"/proc/{pid}/status").read_text(), mappings(pid)
        return Census(len(mapped), sum("x" in access and not path for _, _, access, path in mapped),
                      sum("libheapprof" in path for _, _, _, path in mapped), len(descriptors(pid)),
                      *(int(re.search(rf"^{name}:\s+(\d+)", status, re.MULTILINE)[1]) for name in ("VmSize", "RssAnon")))


class Attached(AttachCase):
    def setUp(self):
        super().setUp()
        self.base = folder_for_everybody("/tmp")
        self.addCleanup(subprocess.run, ["rm", "-rf", self.base])
        self.state_dir.chmod(0o777)
        self.state_dir.parent.chmod(0o711)
        self.library = public_copy(paths.LIB, self.base)
        self.tries, self.one_ms, self.seconds = 0, [], []

    def until_possible(self, *arguments, **more):
        """As often as it takes; how often, and how long the process stood still."""
        def tried():
            began = time.monotonic()
            self.tries += 1
            done = self.tool(*arguments, expect=None, HEAPPROF_LIBRARY=self.library, **more)
            self.seconds.append(time.monotonic() - began)
            return None if done.returncode == 1 and any(words in done.stderr for words in TRY_AGAIN) else done
        done = wait_until(tried, " ".join(map(str, arguments)))
        self.assertEqual(done.returncode, 0, done.stderr)
        stood = stood_ms(done.stderr)
        if stood is not None:
            self.one_ms.append(stood)
        return done

    def round(self, pid, chance):
        time.sleep(chance.random() * LONGEST_PAUSE_SECONDS)
        self.attach(pid, "--sample=4K")
        time.sleep(chance.random() * LONGEST_PAUSE_SECONDS)
        self.detach(pid)

    def check_goes_on(self, pid):
        """The kernel has let all of its threads go on."""
        wait_until(lambda: self.is_free(pid), "no thread is held")

    @staticmethod
    def is_free(pid):
        def is_held(thread):
            try:
                text = pathlib.Path(f"/proc/{pid}/task/{thread}/status").read_text()
            except (FileNotFoundError, ProcessLookupError):  # it has ended
                return False
            return re.search(r"^(State:\t[tT]|TracerPid:\t[1-9])", text, re.MULTILINE)
        return not any(is_held(thread) for thread in os.listdir(f"/proc/{pid}/task"))

    def kill_after(self, seconds, *arguments):
        process = subprocess.Popen([paths.TOOL, *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, env=self.tool_environment(HEAPPROF_LIBRARY=self.library))
        time.sleep(seconds)
        process.kill()
        return process.wait() == -signal.SIGKILL

    def check_may_leave_nothing(self, pid, chance):
        """What a command has mapped stays where that got no processor for too long: not each time."""
        for _ in range(FEW):
            before = Census.of(pid).made_code
            self.round(pid, chance)
            if Census.of(pid).made_code == before:
                return
        self.fail(f"each of {FEW} rounds leaves something")

    def say_figures(self, **more):
        self.figure(tries=self.tries, one_ms=f"{statistics.median(self.one_ms):.2f}..{max(self.one_ms):.2f}",
                    command_ms=f"{1000 * statistics.median(self.seconds):.0f}", **more)


class Rounds(Attached):
    """Seen to fail by the mutant rooms_stay."""

    @cases(*USUAL, *LONG)
    @timeout(amount(60, 3600))
    def test_in_turn(self, kind):
        skip_unless(TORTURE or kind in USUAL, "in the torture suite only")
        target, chance = maker(kind)(self), random.Random(first_seed(self))
        target.start()
        pids = target.pids()
        first, last = {}, {}
        for number in range(max(ROUNDS, len(pids) + 1)):
            pid = pids[number % len(pids)]
            self.round(pid, chance)
            last[pid] = Census.of(pid)
            first.setdefault(pid, last[pid])
        self.say_figures(rounds=number + 1, growth=",".join(
            f"{last[pid].mappings - first[pid].mappings:+}m{last[pid].size_kib - first[pid].size_kib:+}K"
            f"{last[pid].own_kib - first[pid].own_kib:+}R" for pid in pids).replace(" ", ""))
        for pid in pids:
            self.check_growth(target, first[pid], last[pid], (number + 1) // len(pids) - 1)
            if not target.makes_code and last[pid].made_code != first[pid].made_code:
                self.check_may_leave_nothing(pid, chance)
        target.end()

    def check_growth(self, target, first, last, rounds):
        """Of what is there after the first round."""
        self.assertEqual(last.library, first.library)
        if TORTURE:  # what programs do themselves is less than what each round would leave; collected heaps come and go
            self.assertLess(last.mappings - first.mappings, max(rounds // 2, 200 if target.makes_code else 20))
            self.assertLess(last.files - first.files, max(rounds // 2, 20))
            self.assertLess(last.own_kib - first.own_kib, rounds * 64 + (65536 if target.makes_code else 16384))


class OwnAllocator(Attached):
    """jemalloc, linked statically into a program that is at work."""
    FLAGS = ("-l:libjemalloc.a", "-lm", "-ldl")

    def target(self, **options):
        skip_unless(os.path.exists("/usr/lib/x86_64-linux-gnu/libjemalloc.a"), "libjemalloc.a is not installed")
        target = Own(self, "allocates", self.FLAGS, **options)
        target.start()
        return target

    @timeout(amount(120, 3600))
    def test_in_turn(self):
        """Code changes in each round; what is mapped for it stays, and is used again."""
        target, chance = self.target(), random.Random(first_seed(self))
        pid = target.pids()[0]
        self.round(pid, chance)
        first = Census.of(pid)
        for _ in range(ROUNDS):
            self.round(pid, chance)
        last = Census.of(pid)
        self.say_figures(rounds=ROUNDS, growth=f"{last.mappings - first.mappings:+}m{last.size_kib - first.size_kib:+}K")
        if last.made_code != first.made_code:
            self.check_may_leave_nothing(pid, chance)
        target.end()

    @timeout(amount(120, 3600))
    def test_killed_at_random(self):
        target, chance = self.target(), random.Random(first_seed(self))
        pid = target.pids()[0]
        self.round(pid, chance)
        usual = max(self.seconds)
        for _ in range(KILLS):
            self.kill_after(chance.random() * usual, chance.choice(("attach", "detach")), pid)
            self.check_goes_on(pid)
            self.assertNotIn(status_of(pid), ("", "Z"))
        self.until_possible("attach", pid)
        self.detach(pid)
        target.end()

    @timeout(amount(60, 600))
    def test_started_with_the_library(self):
        """It is sampled, or not; its code stays as it was patched at the start."""
        target, chance = self.target(preload=True, sample=4096), random.Random(first_seed(self))
        for _ in range(ROUNDS):
            self.round(target.pids()[0], chance)
        target.end()


class Killing(Attached):
    """Seen to fail by the mutants stopped_in_the_middle and comes_back_too_late."""

    @cases("patient", "allocates", "opens")
    @timeout(amount(60, 1800))
    def test_at_random(self, way):
        skip_unless(TORTURE or way == "opens", "in the torture suite only")
        chance = random.Random(first_seed(self))
        target = Patient(self) if way == "patient" else maker(way)(self)
        target.start()
        pid = target.pids()[0]
        self.round(pid, chance)
        usual, kills = max(self.seconds), 0
        for _ in range(KILLS):
            kills += self.kill_after(chance.random() * usual, chance.choice(("attach", "detach")), pid)
            self.check_goes_on(pid)
            self.assertNotIn(status_of(pid), ("", "Z"))
        self.until_possible("attach", pid)  # whatever is there
        self.detach(pid)
        self.round(pid, chance)
        target.end()
        self.say_figures(kills=kills, attempts=KILLS)

    @timeout(1800)
    def test_at_each_moment(self):
        """Of both commands; the usual suite does some of them (cli/test_attach)."""
        skip_unless(TORTURE, "in the torture suite only")
        target = Patient(self)
        target.start()
        pid = target.pids()[0]
        self.round(pid, random.Random(1))
        for command in ("attach", "detach"):
            moment, kills = 1, 0
            while self.dies_at(command, pid, moment):
                self.check_goes_on(pid)
                self.assertNotIn(status_of(pid), ("", "Z"))
                moment, kills = moment + 1, kills + 1
            self.figure(**{f"{command}_moments": kills})
            self.assertGreater(kills, 20)
        self.detach(pid)
        target.end()

    @timeout(120)
    def test_stopped(self):
        """Its whole job, while a thread is led away: that one is let go on all the same. Seen to stand still for ever."""
        target = maker("allocates")(self)
        target.start()
        pid = target.pids()[0]
        for moment in amount((8,), range(2, 24)):
            process = self.stopped_at(pid, moment)
            wait_until(lambda: self.is_free(pid), "its threads go on")
            process.send_signal(signal.SIGCONT)
            _, err = process.communicate()
            self.assertIn(process.returncode, (0, 1), err)
            self.assertRegex(err, "attached to|" + "|".join(TRY_AGAIN))
            self.attach(pid)
            self.detach(pid)
        target.end()

    def stopped_at(self, pid, moment):
        """A command that stands still there. One that has given up before, as on a busy machine, is started again."""
        def tried():
            process = subprocess.Popen([paths.TOOL, "attach", str(pid)], process_group=0, stdin=subprocess.DEVNULL,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                       env=self.tool_environment(HEAPPROF_LIBRARY=self.library, HEAPPROF_ATTACH_STOP_AT=moment))
            self.addCleanup(process.kill)  # before the program, which could not be waited for
            status = os.waitpid(process.pid, os.WUNTRACED)[1]
            if os.WIFSTOPPED(status):
                return process
            process.returncode = os.waitstatus_to_exitcode(status)
            self.assertRegex(process.communicate()[1], "|".join(TRY_AGAIN))
            return None
        return wait_until(tried, f"attach is stopped at moment {moment}")

    def dies_at(self, command, pid, moment):
        def tried():
            done = self.tool(command, pid, expect=None, HEAPPROF_LIBRARY=self.library, HEAPPROF_ATTACH_DIE_AT=moment)
            return None if any(words in done.stderr for words in TRY_AGAIN) else done
        done = wait_until(tried, f"{command} comes to moment {moment}")
        self.assertIn(done.returncode, (0, -signal.SIGKILL), done.stderr)
        return done.returncode != 0


class Patient:
    """victims/running: threads that do a bit of everything, and may be interrupted in waits for events."""

    def __init__(self, case):
        self.case = case

    def start(self):
        self.program = self.case.running("patient")
        self.case.addCleanup(self.program.__exit__)

    def pids(self):
        return [self.program.pid]

    def end(self):
        self.case.check_unharmed(self.program)
