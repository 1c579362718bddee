# SPDX-License-Identifier: MIT
"""heapprof record and recording: what a recording gives back, and what is left alone."""
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import sqlite3
import subprocess
import time
import unittest

from harness import paths, pprof_reader
from harness.background import Background
from harness.case import cases, in_victim
from cli.views import Terminal
from hazards.toolbox import compile
from harness.reborn import need_reborn, reborn
from harness.states import NOBODY, NOGROUP, StateCase, need_mount_namespaces, need_root, patch, status_of, wait_until

RECORDER = paths.BUILD / "heapprof-record"
APPLICATION_AT, VERSION_AT = 68, 60


def counted(frames):
    """Is it among what victims/holds counts itself? dlopen allocates, too."""
    return frames[0].startswith("victim_") or "victim_code" in frames


def need_recorder():
    if not RECORDER.exists():
        raise unittest.SkipTest("built --without-record")


class RecordCase(StateCase):
    def setUp(self):
        super().setUp()
        need_recorder()
        self.path = self.out_dir / "a.hpr"

    def record(self, *processes, moments=1, expect=0, **options):
        return self.tool("record", "--every", "0.01s", "--moments", moments, "-o", self.path, *processes, expect=expect, **options)

    def moment(self, *options):
        path = self.out_dir / "moment.pb.gz"
        self.tool("recording", "-f", "-o", path, *options, self.path)
        return self.read(path)

    def sql(self, *statements):
        """Rows of the last one."""
        with contextlib.closing(sqlite3.connect(self.path)) as database, database:
            for statement in statements:
                rows = database.execute(statement).fetchall()
        return rows

    def moments(self):
        return self.sql("SELECT count(*) FROM moment")[0][0]

    def has(self, count):
        try:
            return self.path.exists() and self.moments() == count
        except sqlite3.DatabaseError:  # there is no table yet, or it is just written
            return False


class Moments(RecordCase):
    """Of a program that is stopped, a recording and a dump are of the same moment."""
    def two_moments(self):
        """The program, recorded twice, and dumps of the same moments."""
        program = self.holder("work")
        self.addCleanup(program.__exit__)
        dumps = []
        for name in ("one.pb.gz", "two.pb.gz"):
            self.stop(program)
            self.record(program.pid)
            self.tool("dump", "-o", name, program.pid)
            dumps.append(self.out_dir / name)
            os.kill(program.pid, signal.SIGCONT)
            if name == "one.pb.gz":
                program.say("peak")
                program.read_until("done")
        return program, dumps

    def test_is_what_a_dump_is(self):
        program, dumps = self.two_moments()
        for time, dump in zip(("first", "last"), dumps):
            moment, dumped = self.moment("--at", time), self.read(dump)
            self.assertEqual(moment.sample_types, dumped.sample_types)
            for kind in moment.totals():
                stacks = [{stack: value for stack, value in profile.stacks(kind).items() if value} for profile in (moment, dumped)]
                self.assertEqual(*stacks, (time, kind))
            self.assertEqual([mapping.build_id for mapping in moment.mappings if mapping.has_functions],
                             [mapping.build_id for mapping in dumped.mappings if mapping.has_functions])
            values = [profile.comment_values() for profile in (moment, dumped)]
            for key in ("pid", "created_unix_ns", "program", "exact_units", "samples", "lost.total", "command"):
                self.assertEqual(values[0].get(key), values[1].get(key), key)
        program.say("end")
        run = program.end()
        self.check_exact(moment, run.shadows[run.pid], counted)

    def test_views_show_it_as_a_file(self):
        _, dumps = self.two_moments()
        for time, dump in zip(("first", "last"), dumps):
            for command in (["top", "-n", "0"], ["tree"], ["folded"], ["top", "--traces"], ["peek"]):
                words = ["victim_news"] if command == ["peek"] else []
                shown = [self.tool(*command, *words, self.path, "--at", time).stdout, self.tool(*command, *words, f"{self.path}@{time}").stdout,
                         self.tool(*command, *words, dump).stdout]
                shown = [re.sub(r"(?m)^Time: .*\n", "", text) for text in shown]
                self.assertIn("victim_", shown[2])
                self.assertEqual(shown[0], shown[2], command)
                self.assertEqual(shown[1], shown[2], command)
            self.assertIn("samples", self.tool("info", f"{self.path}@{time}").stdout)
            self.tool("report", "-f", self.path, "--at", time)
            self.assertIn("victim_news", (self.out_dir / "report.html").read_text())

    def test_difference_of_two_moments(self):
        _, dumps = self.two_moments()
        options = ["--json", "--sample-index", "alloc_space", "--all"]
        expected = json.loads(self.tool("diff", *options, *dumps).stdout)
        self.assertTrue(any(row["function"].startswith("victim_") for row in expected["rows"]), expected)
        for words in ([self.path, "--from", "first", "--to", "last"], [self.path, "--from", "first"],
                      [f"{self.path}@first", f"{self.path}@last"]):
            self.assertEqual(json.loads(self.tool("diff", *options, *words).stdout), expected)

    def test_a_time_of_day(self):
        """The end of a second or minute is meant, so the listed times find what they are of."""
        self.two_moments()
        self.sql("UPDATE moment SET time_ns = time_ns - 600000000000 WHERE time_ns = chain_ns",
                 "UPDATE moment SET chain_ns = chain_ns - 600000000000")
        listed = self.tool("recording", self.path, TZ="UTC").stdout.splitlines()[1].split()
        start, end = listed[2], listed[4]
        self.assertNotEqual(start, end)
        totals = {time: self.tool("top", "--json", self.path, "--at", time, TZ="UTC").stdout for time in ("first", "last")}
        self.assertNotEqual(totals["first"], totals["last"])
        day = listed[1]
        for time in (start, f"{day} {start}", f"{day}T{start}"):
            self.assertEqual(self.tool("top", "--json", self.path, "--at", time, TZ="UTC").stdout, totals["first"], time)
        self.assertEqual(self.tool("top", "--json", f"{self.path}@{end}", TZ="UTC").stdout, totals["last"])
        done = self.tool("top", self.path, "--at", f"2000{day[4:]} {start}", TZ="UTC", expect=1)  # which had every day
        self.check_one_line(done, self.path, start, end)

    def test_names_of_moments(self):
        """What an option says is a time, or a process, whatever it looks like; an empty word is neither."""
        self.two_moments()
        for time in ("yesterday", "2026-11-29", "holds", "99:99", "kept:", "unix:", "2026-02-30 10:00"):
            accepted = ("10:31", "unix:SECONDS", "first", "kept:N", f"'{time}'")
            self.check_one_line(self.tool("top", f"{self.path}@holds@{time}", expect=1), *accepted)
            for words in (["--at", time, "top"], ["--at", time, "info"], ["--at", time, "report"], ["--from", time, "diff"],
                          ["--from", "first", "--to", time, "diff"], ["--at", time, "-o", "-", "recording"]):
                self.check_one_line(self.tool(words[-1], *words[:-1], self.path, expect=2), "takes a moment", *accepted)
        for process in ("first", "a@b", "10:31"):
            self.check_one_line(self.tool("top", self.path, "--process", process, expect=1), self.path, f"no process '{process}'")
        for words in (["top", self.path, "--at", ""], ["top", self.path, "--process", ""], ["diff", self.path, "--from", ""],
                      ["diff", self.path, "--from", "first", "--to", ""]):
            self.check_one_line(self.tool(*words, expect=2), "''")
        for option in ("--at", "--process"):
            self.check_one_line(self.tool("recording", "-o", "-", option, "", self.path, expect=2), "''")

    def test_info_and_merge(self):
        self.two_moments()
        told = [self.tool("info", *words).stdout.splitlines()[1:]
                for words in ([self.path, "--at", "first"], [self.path, "--process", "holds", "--at", "first"], [f"{self.path}@first"])]
        self.assertTrue(any(line.startswith("taken ") for line in told[0]), told[0])
        self.assertEqual(told[1:], [told[0]] * 2)
        self.assertNotEqual(self.tool("info", self.path).stdout.splitlines()[1:], told[0])
        self.tool("merge", "-f", "-o", "both.pb.gz", f"{self.path}@first", self.path)
        moments = [self.moment("--at", time) for time in ("first", "last")]
        for kind in ("alloc_objects", "inuse_space"):
            self.assertEqual(self.read("both.pb.gz").total(kind), sum(moment.total(kind) for moment in moments), kind)

    def test_the_largest(self):
        program = self.holder("work")
        self.addCleanup(program.__exit__)
        for bytes_in_use in (5, 9, 7):
            self.record(program.pid)
            self.sql(f"UPDATE moment SET in_use = {bytes_in_use} WHERE time_ns = (SELECT max(time_ns) FROM moment)")
        times = [time for time, in self.sql("SELECT time_ns FROM moment ORDER BY time_ns")]
        self.assertEqual(self.moment("--at", "largest").time_nanos, times[1])


class Processes(RecordCase):
    def test_several(self):
        programs = [self.holder("work"), self.holder("work", "peak")]
        for program in programs:
            self.addCleanup(program.__exit__)
        pids = [program.pid for program in programs]
        self.record(*pids, moments=2)
        listed = self.tool("recording", self.path).stdout
        for pid in pids:
            self.assertRegex(listed, rf"(?m)^ *{pid} .* 2 .*holds")
            self.assertEqual(self.moment("--process", pid).comment_values()["pid"], pid)
            self.assertIn(f"pid {pid}\n", self.tool("info", f"{self.path}@{pid}@last").stdout)
        for words in (["top", self.path], ["top", f"{self.path}@holds"], ["top", self.path, "--process", "holds"]):
            self.check_one_line(self.tool(*words, expect=1), "2 processes", *pids, "--process")
        self.check_one_line(self.tool("top", self.path, "--process", "none", expect=1), "'none'")

    def test_a_name_and_an_end(self):
        """Who has ended keeps its place; who comes next under that name is another one."""
        program = self.own_copy("holds")
        name, pids = program.name, []
        for _ in range(2):
            running = self.holder("work", program=program)
            pids.append(running.pid)
            self.record(name)
            running.__exit__()
        self.record(name)
        listed = self.tool("recording", self.path).stdout.splitlines()[1:]
        self.assertEqual([int(line.split()[0]) for line in listed], pids)
        self.assertEqual(["ended" in line for line in listed], [True, True])
        self.assertEqual([self.moment("--process", name, "--at", time).comment_values()["pid"] for time in ("first", "last")], pids)

    def test_last_words(self):
        """Of a process that was killed while it was recorded, what it left is its last moment."""
        copy = self.own_copy("holds")
        with self.holder("work", program=copy) as program:
            self.record(program.pid)
            program.say("peak")
            program.read_until("done")
            self.tool("dump", "-o", "last.pb.gz", program.pid)
        self.record(copy.name)
        last = self.read("last.pb.gz")
        self.assertEqual(self.moment("--process", program.pid).total("alloc_objects", in_victim), last.total("alloc_objects", in_victim))

    def test_one_that_runs_on(self):
        """Nobody means it any more: it has not ended. Seen to fail: that is what was said of it."""
        programs = [self.holder("work"), self.holder("work")]
        for program in programs:
            self.addCleanup(program.__exit__)
            self.record(program.pid)
        self.assertEqual(self.states(), {programs[0].pid: "left", programs[1].pid: ""})
        self.assertEqual({row["pid"]: (row["ended"], row["left"]) for row in json.loads(self.tool("recording", "--json", self.path).stdout)["processes"]},
                         {programs[0].pid: (True, True), programs[1].pid: (False, False)})
        self.assertIn(f"pid {programs[1].pid}\n", self.tool("info", self.path).stdout, "the one that is recorded still")
        self.record(*(program.pid for program in programs))
        self.assertEqual(self.states(), {programs[0].pid: "", programs[1].pid: ""})
        programs[0].__exit__()
        self.record(programs[1].pid)
        self.assertEqual(self.states(), {programs[0].pid: "ended", programs[1].pid: ""})

    def states(self):
        lines = self.tool("recording", self.path).stdout.splitlines()[1:]
        return {int(line.split()[0]): next((state for state in ("left", "ended") if f"  {state}  " in line), "") for line in lines}

    def test_resident_memory(self):
        """What the kernel counts at each moment; of one that was killed it is not known. Seen to fail: 0 all the time."""
        copy = self.own_copy("resident")
        with self.start([copy, "small"], sample=1) as program:
            program.read_until("ready")
            self.stop(program)
            self.record(program.pid, moments=2)
            counted = self.listed()[program.pid]["resident_bytes"]
        shown = json.loads(self.tool("recording", "--timeline", self.path).stdout)["resident"]
        self.assertEqual(shown, [counted, counted])
        self.assertGreater(counted, 1 << 20)
        self.record(copy.name)
        shown = json.loads(self.tool("recording", "--timeline", self.path).stdout)["resident"]
        self.assertEqual(shown, [counted, counted, None])

    def test_nobody(self):
        """Who waits says so; who does not has failed. Seen to fail: neither said anything."""
        said = [self.tool("record", "--moments", moments, "--every", "0.01s", "-o", self.path, "nobody.there", expect=1).stderr.splitlines()[1:]
                for moments in (1, 3)]
        missing = "heapprof: no profiled process is called 'nobody.there'"
        self.assertEqual(said, [[missing], [f"{missing} yet; waiting for one"]])
        with self.holder("work") as program:
            self.assertIn(missing, self.record(program.pid, "nobody.there").stderr)

    def test_others_are_not_looked_at(self):
        """Where numbers are given, from one moment to the next. Seen to fail: the maps of all processes of the machine were read."""
        trace = self.dir / "trace"
        with self.holder("work") as program, self.holder("work"):
            subprocess.run(["strace", "-f", "-qq", "-o", trace, "-e", "trace=openat", RECORDER, "record", "--every", "0.01s", "--moments", "3",
                            "-o", self.path, str(program.pid)], stdin=subprocess.DEVNULL, capture_output=True, check=True, env=self.tool_environment())
        self.assertEqual(set(re.findall(r'"/proc/(\d+)/maps"', trace.read_text())), {str(program.pid)})
        self.assertEqual(self.moments(), 3)

    def test_the_clock_is_set_back(self):
        """Times are what the clock told, and the last moment is the last one. Seen to fail: all moments were of the wrong time, a ns apart."""
        clock = compile(paths.TESTS / "cli/clock.c", "-shared", "-fPIC")
        with self.holder("work") as program:
            self.record(program.pid, moments=2, LD_PRELOAD=clock, CLOCK_AHEAD_S=7200)
            program.say("peak")
            program.read_until("done")
            start_ns = time.time_ns()
            self.record(program.pid)
            last = self.dump(program.pid)
            profile = self.moment()
            self.assertTrue(start_ns <= profile.time_nanos <= time.time_ns())
            self.assertEqual(profile.total("alloc_objects", in_victim), last.total("alloc_objects", in_victim))
            self.assertEqual(self.moment("--process", program.pid).time_nanos, profile.time_nanos)
            rows = json.loads(self.tool("recording", "--json", self.path).stdout)["processes"]
            self.assertEqual([(row["moments"], row["left"]) for row in rows], [(1, False), (2, True)])
            before = self.moment("--process", f"id:{rows[1]['id']}")
            self.assertGreater(before.time_nanos, start_ns + 7000 * 10**9)
            self.assertLess(before.total("alloc_objects", in_victim), profile.total("alloc_objects", in_victim))

    def test_signals_end_it(self):
        with self.holder("work") as program:
            for before, number in enumerate((signal.SIGTERM, signal.SIGINT, signal.SIGHUP)):
                recorder = subprocess.Popen([paths.TOOL, "record", "--every", "1h", "-o", self.path, str(program.pid)],
                                            cwd=self.out_dir, env=self.tool_environment(), stderr=subprocess.DEVNULL)
                self.addCleanup(recorder.kill)
                wait_until(lambda: self.has(before + 1), "a moment is stored")
                recorder.send_signal(number)
                self.assertEqual(recorder.wait(timeout=200), 0)
        self.assertEqual(self.moments(), 3)


class Recorder(Background):
    """A heapprof record that runs."""
    def __init__(self, case, *processes):
        super().__init__(case, [paths.TOOL, "record", "--every", "0.1s", "-o", case.path, *processes], env=case.tool_environment())


class Reused(RecordCase):
    def rows(self):
        return [(row["pid"], row["moments"]) for row in json.loads(self.tool("recording", "--json", self.path).stdout)["processes"]]

    def test_the_number_of_one_that_has_ended(self):
        """Seen to fail: a process that got the number was recorded as if it had been meant."""
        need_reborn()
        with self.holder() as first, self.holder() as beacon, Recorder(self, first.pid, beacon.pid) as recorder:
            moments = lambda pid: sum(count for number, count in self.rows() if number == pid)
            wait_until(lambda: self.path.exists() and self.tool("recording", self.path, expect=None).returncode == 0 and moments(first.pid) > 0, "the first")
            first.__exit__()
            with reborn(self, first.pid, self.victim("holds"), self.victim("libplugin.so")) as second:
                second.say("work")
                second.read_until("done")
                before = moments(beacon.pid)
                wait_until(lambda: moments(beacon.pid) >= before + 3, "moments in which the second is there")
                self.assertEqual([pid for pid, _ in self.rows()].count(first.pid), 1)
                said = f"process {first.pid} has ended; another process has its number now, and is left out\n"
                self.assertEqual(recorder.messages().count(said), 1)


class Conditions(RecordCase):
    def kept(self):
        return [line.split()[0] for line in self.tool("recording", self.path).stdout.splitlines() if line.startswith("kept:")]

    def test_what_is_kept_is_a_whole_profile(self):
        with self.holder("work") as program:
            self.stop(program)
            self.record("--at", "inuse>1K", "--at", "inuse>1T", program.pid)
            self.tool("dump", "-o", "dump.pb.gz", program.pid)
        self.assertEqual(self.kept(), ["kept:1"])
        kept, dumped = self.moment("--at", "kept:1"), self.read("dump.pb.gz")
        for kind in dumped.totals():
            self.assertEqual({stack: value for stack, value in kept.stacks(kind).items() if value},
                             {stack: value for stack, value in dumped.stacks(kind).items() if value}, kind)
        self.assertIn("victim_news", self.tool("top", self.path, "--at", "kept:1").stdout)
        self.check_one_line(self.tool("top", self.path, "--at", "kept:2", expect=1), self.path, "2")
        for process in (program.pid, "holds"):
            self.assertIn("victim_news", self.tool("top", self.path, "--at", "kept:1", "--process", process).stdout)
        for process in (program.pid + 1, "other"):
            self.check_one_line(self.tool("top", self.path, "--at", "kept:1", "--process", process, expect=1), "kept:1", "holds", process)

    @cases(40, 60, 80)
    def test_narrow_terminals(self, columns):
        """What a row is of stays. Seen to fail: the command had one letter, and rows were longer than the terminal."""
        with self.holder("work") as program:
            self.record("--at", "inuse>1K", program.pid)
            with Terminal(self, "recording", self.path, columns=columns) as terminal:
                self.assertEqual(terminal.wait(), 0)
        lines = terminal.text.replace("\r", "").splitlines()
        self.assertLessEqual(max(map(len, lines)), columns, terminal.text)
        self.assertRegex(lines[1], rf"^ *{program.pid}  .*[0-9][kM]?B  .*[a-z].*…?.*lugin\.so$")
        self.assertRegex(lines[-1], r"^kept:1\s.*\binuse>1K +[\d.]+[kM]B\s.*\bholds$")

    def test_two_programs(self):
        """What is kept is numbered over all of them: who compares two is told so."""
        other = self.own_copy("holds")
        programs = [self.holder("work"), self.holder("work", program=other)]
        for program in programs:
            self.addCleanup(program.__exit__)
        for program in programs * 2:
            self.record("--at", "inuse>1K", program.pid)
        said = self.tool("diff", self.path, "--from", "kept:1", "--to", "kept:2").stderr
        self.assertRegex(said, rf"(?m)\Aheapprof: .*kept:1 is of holds, .*kept:2 of {other.name}: two programs are compared\n\Z")
        self.assertEqual(self.tool("diff", self.path, "--from", "kept:1", "--to", "kept:3").stderr, "")

    def test_outlives_its_process(self):
        """What was kept is listed, also when all that it was kept of is forgotten."""
        with self.holder("work") as program:
            self.record("--at", "inuse>1K", program.pid)
        self.sql("DELETE FROM moment", "DELETE FROM part", "DELETE FROM process")
        self.assertEqual(self.kept(), ["kept:1"])
        self.assertIn("victim_news", self.tool("top", self.path, "--at", "kept:1").stdout)

    def test_first_largest_and_last(self):
        """Each recorder sees it come true anew."""
        with self.holder("work") as program:
            for turn in range(1, 7):
                self.record("--at", "inuse>1K", "--last", 2, program.pid)
                if turn == 3:
                    self.sql("UPDATE kept SET value = 1e12 WHERE id = 3")
        self.assertEqual(self.kept(), ["kept:1", "kept:3", "kept:5", "kept:6"])

    def test_growth(self):
        with self.holder("work") as program:
            for condition, kept in (("growth>50K/10m", 0), ("growth>1G/10m", 0), ("growth>50K/10m", 1)):
                self.record("--at", condition, program.pid)
                self.assertEqual(len(self.kept()), kept, condition)
                program.say("work")
                program.read_until("done")

    @cases(("0.01s", "0.01 s"), ("0.25s", "0.25 s"), ("10s", "10 s"), ("90s", "1m 30s"))
    def test_says_how_often(self, every, said):
        """Seen to fail: every 0.0 s."""
        with self.holder("work") as program:
            done = self.tool("record", "--every", every, "--moments", 1, "-o", self.path, program.pid)
        self.assertEqual(done.stderr, f"heapprof: recording into {self.path} every {said}\n")

    def test_what_the_machine_does_not_tell(self):
        """Seen to fail: nobody said that what was asked for never comes."""
        need_root()
        need_mount_namespaces()
        script = 'mount -t tmpfs none /sys/fs/cgroup && mount -t tmpfs none /proc/pressure && exec "$@"'
        command = [paths.TOOL, "record", "--every", "0.01s", "--moments", "3", "--at", "cgroup>90%", "--at", "psi>10%", "--at", "inuse>1T",
                   "-o", self.path]
        with self.holder("work") as program:
            done = subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", *command, str(program.pid)], env=self.tool_environment(),
                                  capture_output=True, text=True, cwd=self.out_dir)
        self.assertEqual(done.returncode, 0, done.stderr)
        said = done.stderr.splitlines()
        self.assertEqual(len(said), 3, said)
        for line, condition, reason in zip(said[1:], ("cgroup>90%", "psi>10%"), ("has a limit of memory", "/proc/pressure/memory")):
            self.assertTrue(line.startswith(f"heapprof: {condition} is not known of holds ({program.pid}): "), line)
            self.assertIn(reason, line)

    @cases("inuse", "inuse>90%", "growth>1M", "cgroup>1M", "psi>200%", "other>1")
    def test_none(self, condition):
        self.check_one_line(self.tool("record", "--all", "-o", self.path, "--at", condition, expect=2), condition, "growth>100M/10m")


class FullDisk(RecordCase):
    def test_goes_on_when_there_is_room(self):
        """On a file system of 3 MiB that is filled and emptied while it is recorded into."""
        need_root()
        need_mount_namespaces()
        folder = self.dir / "small"
        folder.mkdir()
        errors = self.dir / "errors"
        with self.holder("work") as program, open(errors, "wb") as err:
            script = f'mount -t tmpfs -o size=3m none {folder} && exec "$@"'
            recorder = subprocess.Popen(["unshare", "-m", "sh", "-c", script, "sh", paths.TOOL, "record", "--every", "0.01s", "-o", folder / "a.hpr",
                                         str(program.pid)], env=self.tool_environment(), stderr=err, cwd=self.out_dir)
            self.addCleanup(recorder.wait)
            self.addCleanup(recorder.kill)
            inside = pathlib.Path(f"/proc/{recorder.pid}/root{folder}")
            self.wait_for(errors, "recording into")
            self.fill(inside / "filler")
            self.wait_for(errors, "there is no room")
            (inside / "filler").unlink()
            self.wait_for(errors, "is recorded again")
            self.path = self.dir / "copy.hpr"
            recorder.send_signal(signal.SIGSTOP)
            wait_until(lambda: status_of(recorder.pid) == "T", "nothing is written")
            for suffix in ("", "-wal"):
                shutil.copy(inside / f"a.hpr{suffix}", f"{self.path}{suffix}")
            recorder.send_signal(signal.SIGCONT)
            recorder.send_signal(signal.SIGTERM)
            self.assertEqual(recorder.wait(timeout=200), 0, errors.read_text())
        said = errors.read_text().splitlines()
        self.assertTrue(all(line.startswith("heapprof: ") for line in said), said)
        self.assertEqual(sum("there is no room" in line for line in said), sum("recorded again" in line for line in said))
        self.assertEqual(self.sql("PRAGMA integrity_check"), [("ok",)])
        self.assertIn("victim_news", self.tool("top", self.path).stdout)

    @cases(4, 8, 16, 24, 32, 48)
    def test_starts_without_room(self, kib):
        """Whatever it leaves is gone on with once there is room. Seen to fail: half a file, which was refused from then on."""
        need_root()
        need_mount_namespaces()
        folder = self.dir / "small"
        folder.mkdir()
        self.path = folder / "a.hpr"
        script = """mount -t tmpfs -o size=$1k none $2 || exit 3
                    "$3" record --moments 1 --every 0.01s -o $4 $5
                    mount -o remount,size=4m $2 || exit 3
                    "$3" record --moments 1 --every 0.01s -o $4 $5 && "$3" top $4 && ls $2"""
        with self.holder("work") as program:
            done = subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", str(kib), folder, paths.TOOL, self.path, str(program.pid)],
                                  env=self.tool_environment(), capture_output=True, text=True, cwd=self.out_dir)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stderr, "there is no room|No space left")
        self.assertIn("victim_news", done.stdout)
        self.assertEqual(done.stdout.splitlines()[-1], "a.hpr")

    @staticmethod
    def wait_for(path, words):
        wait_until(lambda: words in path.read_text(), words)

    @staticmethod
    def fill(path):
        with contextlib.suppress(OSError), open(path, "wb", buffering=0) as filler:
            while True:
                filler.write(bytes(4096))


class Refusals(RecordCase):
    """What is no recording, or not ours: one line, and not a byte of it is changed."""
    def made(self):
        with self.holder("work") as program:
            self.record(program.pid)

    def check_left_alone(self, *words, target=None):
        target = target or self.path
        before = target.read_bytes()
        done = self.tool("record", "--all", "--moments", "1", "-o", target, expect=1)
        self.check_one_line(done, target, *words)
        self.assertEqual(target.read_bytes(), before)
        self.assertEqual([path.name for path in target.parent.iterdir() if path.name.startswith(f"{target.name}-")], [])

    @cases(("a text\n", "a text"), ("SQLite format 4", "recording"), ("\x7fELF", "program"))
    def test_other_files(self, start, words):
        self.path.write_text(start * 100)
        self.check_left_alone(words, "not a recording")
        self.check_one_line(self.tool("recording", self.path, expect=1), self.path, words)

    def test_databases_of_others(self):
        self.sql("CREATE TABLE text(id INTEGER)")
        self.check_left_alone("another program")
        for words in (["recording", self.path], ["top", self.path]):
            self.check_one_line(self.tool(*words, expect=1), self.path, "another program")

    def test_another_version(self):
        self.made()
        patch(self.path, VERSION_AT, b"\0\0\0\x07")
        self.check_left_alone("version 7", "version 1")
        self.check_one_line(self.tool("top", self.path, expect=1), self.path, "version 7")

    def test_other_tables(self):
        """A view or trigger could run for ever, or lie."""
        self.made()
        self.sql("CREATE TRIGGER t AFTER INSERT ON moment BEGIN DELETE FROM moment; END")
        self.check_left_alone("tables")
        self.check_one_line(self.tool("top", self.path, expect=1), self.path, "tables")

    def test_two_recorders(self):
        with self.holder("work") as program:
            first = subprocess.Popen([paths.TOOL, "record", "--every", "1h", "-o", self.path, str(program.pid)], cwd=self.out_dir,
                                     env=self.tool_environment(), stderr=subprocess.PIPE, text=True)
            self.addCleanup(first.stderr.close)
            self.addCleanup(first.kill)
            first.stderr.readline()
            self.check_one_line(self.record(program.pid, expect=1), self.path, "another heapprof record")
            first.send_signal(signal.SIGTERM)
            self.assertEqual(first.wait(timeout=200), 0)
            self.record(program.pid)

    def test_of_another_user(self):
        need_root()
        self.made()
        os.chown(self.path, NOBODY, NOGROUP)
        self.check_left_alone(f"user {NOBODY}")
        self.assertIn("victim_", self.tool("top", self.path).stdout)

    def test_links_and_folders(self):
        self.made()
        link = self.out_dir / "link.hpr"
        link.symlink_to(self.path)
        self.check_one_line(self.tool("record", "--all", "-o", link, expect=1), link, "is a symbolic link")
        self.check_one_line(self.tool("record", "--all", "-o", self.out_dir, expect=1), self.out_dir)
        self.check_one_line(self.tool("record", "--all", "-o", self.out_dir / "no/file", expect=1), "no/file")

    def test_read_only_folder(self):
        """At rest it can be read wherever it lies."""
        self.made()
        shown = self.tool("top", self.path).stdout
        self.path.chmod(0o444)
        self.out_dir.chmod(0o555)
        self.addCleanup(self.out_dir.chmod, 0o755)
        self.assertEqual(self.tool("top", self.path).stdout, shown)

    def test_folder_of_others(self):
        """Where its folder may not be written, as SQLite says it to others than root."""
        need_root()
        self.made()
        folder = self.public_directory()
        shutil.copy(self.path, folder / "a.hpr")
        os.chown(folder / "a.hpr", NOBODY, NOGROUP)
        self.assertIn("victim_", self.tool_as_nobody(folder, "top", folder / "a.hpr").stdout)
        done = self.tool_as_nobody(folder, "record", "--all", "-o", folder / "a.hpr", expect=1)
        self.check_one_line(done, folder / "a.hpr", "may not be written")

    def test_folder_behind_a_link(self):
        (self.out_dir / "folder").mkdir()
        (self.out_dir / "link").symlink_to("folder")
        with self.holder("work") as program:
            for path in ("link/a.hpr", self.out_dir / "link/b.hpr"):
                self.tool("record", "--moments", "1", "-o", path, program.pid)
                self.assertIn("victim_", self.tool("top", path).stdout)
        self.assertEqual(sorted(path.name for path in (self.out_dir / "folder").glob("*.hpr")), ["a.hpr", "b.hpr"])

    @cases(":memory:", "file:b.hpr", "file:b.hpr?mode=memory")
    def test_names_that_sqlite_knows(self, name):
        """To SQLite they are no file at all, or another one."""
        other = self.out_dir / "b.hpr"
        other.touch()
        with self.holder("work") as program:
            self.tool("record", "--moments", "1", "-o", name, program.pid)
        self.assertIn("victim_", self.tool("top", name).stdout)
        self.assertEqual(other.stat().st_size, 0)

    def test_itself(self):
        """A moment does not replace the recording that it is of."""
        self.made()
        before = self.path.read_bytes()
        self.check_one_line(self.tool("recording", "-f", "-o", self.path, self.path, expect=1), self.path, "itself")
        self.assertEqual(self.path.read_bytes(), before)

    def test_cut_off(self):
        self.made()
        os.truncate(self.path, 50)
        self.check_left_alone("damaged")

    @cases(False, True)
    def test_mode(self, is_there):
        """An empty file may have been made by a shell, for all to read."""
        if is_there:
            self.path.touch()
            self.path.chmod(0o644)
        self.made()
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)

    def test_a_mode_that_was_given(self):
        self.made()
        self.path.chmod(0o644)
        self.made()
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o644)

    def beside(self):
        return sorted(path.name for path in self.out_dir.iterdir() if path.name.startswith(self.path.name))

    def test_nothing_lies_beside_it(self):
        """Neither its recorder nor its readers leave anything, once it is at rest."""
        self.made()
        self.assertEqual(self.beside(), [self.path.name])
        for words in (["top", self.path], ["recording", self.path], ["diff", self.path, "--from", "first", "--all"]):
            self.tool(*words)
            self.assertEqual(self.beside(), [self.path.name], words)
        self.made()
        self.assertEqual((self.beside(), self.moments()), ([self.path.name], 2))

    def test_pipe(self):
        os.mkfifo(self.path)
        for words in (["recording", self.path], ["record", "--all", "-o", self.path]):
            self.check_one_line(self.tool(*words, expect=1), self.path, "no regular file")

    def test_other_names(self):
        """What is written last lies beside one of them, where readers of the other do not look."""
        self.made()
        (self.out_dir / "other.hpr").hardlink_to(self.path)
        self.check_left_alone("2 names")
        for name in (self.path, self.out_dir / "other.hpr"):
            self.assertIn("victim_", self.tool("top", name).stdout)

    @cases(
        (["-o", "x.hpr"], "which processes"),
        (["-o", "x.hpr", "--all", "1"], "not both"),
        (["--all"], "into which file"),
        (["--all", "-o", "-"], "'-'"),
        (["--all", "-o", ""], "''"),
        (["--all", "-o", "x.hpr", "--every", "0s"], "0s"),
        (["--all", "-o", "x.hpr", "--every", "soon"], "soon"),
        (["--all", "-o", "x.hpr", "--every", "0.0000001s"], "0.0000001s"),
        (["--all", "-o", "x.hpr", "--keep", "1y"], "1y"),
        (["--all", "-o", "x.hpr", "--size", "1M"], "1M"),
        (["--all", "-o", "x.hpr", "--size", "lots"], "lots"),
        (["-o", "x.hpr", "a/b"], "a/b"),
    )
    def test_wrong_options(self, words, about):
        self.check_one_line(self.tool("record", *words, expect=2), about)
        self.assertFalse((self.out_dir / "x.hpr").exists())

    def test_moments_of_what_has_none(self):
        (self.out_dir / "a.txt").write_text("no recording")
        for words in (["top", "--at", "10:31"], ["top", "--process", "1"], ["diff", "--from", "10:31"]):
            self.check_one_line(self.tool(*words, "a.txt", expect=1), "a.txt")
        self.made()
        for time in ("25:00", "yesterday", "10:31:99:1", "kept:0", "kept:x"):
            done = self.tool("recording", "-o", "-", "--at", time, self.path, expect=2)
            self.check_one_line(done, f"'{time}'", "kept:N", "unix:SECONDS")
