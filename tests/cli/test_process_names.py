# SPDX-License-Identifier: MIT
"""The name of a program where the number of a process is asked for, operands in the wrong order, and names of frames that are the same
whichever command wrote them. Seen to fail: "not the number of a process"; "no such file"; -30.8 MB of a leak in pprof -diff_base."""
import json
import os
import shutil

from cli.views import ProfileMaker, Terminal
from harness import made_profile, paths
from harness.case import cases
from harness.states import StateCase, status_of, wait_until
from harness.tools import pprof_top
from hazards.toolbox import compile


class Names(StateCase):
    def copy(self, name, victim="holds"):
        path = self.dir / name
        if not path.exists():  # another of that name may run
            shutil.copy(self.victim(victim), path)
        return path

    def running(self, name):
        program = self.start([self.copy(name), self.victim("libplugin.so")], sample=1)
        program.read_until("ready")
        program.say("work")
        program.read_until("done")
        return program

    @cases("a_program", "a_program_with_a_long_name")
    def test_every_reader(self, name):
        """The kernel cuts its short name after 15 letters."""
        with self.running(name) as program:
            self.assertIn("victim_", self.tool("top", name).stdout)
            self.assertIn("victim_", self.tool("tree", name).stdout)
            self.assertIn("main", self.tool("peek", "main", name).stdout)
            self.assertIn("main;", self.tool("folded", name).stdout)
            self.assertIn(f"{program.pid}", self.tool("info", name).stdout)
            self.assertEqual(self.read(self.tool("dump", name).stdout.strip()).comment_values()["pid"], program.pid)

    def test_live_before_dead(self):
        with self.running("twin") as first:
            pass
        self.assertRegex(self.tool("info", "twin").stdout, rf"\b{first.pid}\b")
        with self.running("twin") as second:
            self.assertRegex(self.tool("info", "twin").stdout, rf"\b{second.pid}\b")
            with self.running("twin") as third:
                done = self.tool("top", "twin", expect=1)
                self.check_one_line(done, "2 processes are called 'twin'", second.pid, third.pid)
            self.check_one_line(self.tool("recover", "twin", expect=1), second.pid, "runs")
        recovered = self.tool("recover", "twin").stdout.split()
        self.assertEqual(len(recovered), 1)

    def test_files_win_unless_they_are_programs(self):
        os.chdir(self.out_dir)
        with self.running("both") as program:
            shutil.copy(self.victim("holds"), self.out_dir / "both")
            self.assertIn("victim_", self.tool("top", "both").stdout)
            ProfileMaker().make(self.out_dir / "both", {("in_the_file", "main"): (1, 1, 1, 1)})
            self.assertIn("in_the_file", self.tool("top", "both").stdout)
            self.assertIn("victim_", self.tool("top", program.pid).stdout)
            self.check_one_line(self.tool("top", "./missing", expect=1), "./missing")
            self.check_one_line(self.tool("dump", "missing", expect=1), "neither the name of a process that is profiled nor a file")

    def test_live_table(self):
        with self.running("watched") as program, Terminal(self, "top", "watched") as terminal:
            terminal.screen(rf"\({program.pid}\)")
            terminal.type("q")
            self.assertEqual(terminal.wait(), 0)

    def test_ls_live(self):
        dead = self.killed()
        with self.holder("work") as program:
            live = json.loads(self.tool("ls", "--live", "--json").stdout)
            self.assertIn(program.pid, [entry["pid"] for entry in live])
            self.assertNotIn(dead, [entry["pid"] for entry in live])
            states = [line.split()[1] for line in self.tool("ls").stdout.splitlines()[1:]]
            self.assertEqual(states, sorted(states, key=lambda state: state != "live"))


class Order(StateCase):
    COMMENTS = (("pid", "77"), ("created_unix_ns", "5"))

    def made(self, name, seconds, value, comments=COMMENTS):
        return made_profile.write(self.out_dir / f"{name}.pb.gz", [([("leak", "", 0), ("main", "", 0)], (1, value, 1, value), None)],
                                  comments=comments, time_nanos=seconds * 10**9)

    def test_diff_of_one_process(self):
        old, new = self.made("old", 100, 1000), self.made("new", 200, 5000)
        right = self.tool("diff", old, new)
        wrong = self.tool("diff", new, old)
        self.assertEqual((wrong.stdout, right.stderr), (right.stdout, ""))
        self.assertEqual(wrong.stderr, f"heapprof: {new} was taken after {old}, of the same process: it is the new one\n")
        self.assertIn("+3.91kB", wrong.stdout)

    def test_diff_of_two_runs(self):
        """Which is meant to be the old one, time does not tell."""
        old, new = self.made("old", 100, 1000), self.made("new", 200, 5000, (("pid", "78"), ("created_unix_ns", "6")))
        done = self.tool("diff", new, old)
        self.assertIn("-3.91kB", done.stdout)
        self.assertEqual(done.stderr, f"heapprof: {new} was taken after {old}; their order stays as it was given\n")
        self.assertEqual(self.tool("diff", old, new).stderr, "")

    def test_peek(self):
        path = self.made("profile", 1, 1000)
        self.assertEqual(self.tool("peek", path, "leak").stdout, self.tool("peek", "leak", path).stdout)
        self.check_one_line(self.tool("peek", "leak", "missing", expect=1), "missing")
        self.check_one_line(self.tool("peek", path, path, expect=1), "no function in it matches")


class SameNames(StateCase):
    """An inlined function is a frame in each."""
    def program(self):
        return compile(paths.TESTS / "cli/app.cc")

    def test_dump_and_recover_fit(self):
        """One process, first alive and then dead: nothing has moved but what was allocated."""
        with self.start([self.program(), "600"], sample=4096, seed=1, dump="none") as program:
            wait_until(lambda: self.is_done(program.pid), "it has served its customers")
            dumped = self.out_dir / self.tool("dump", program.pid).stdout.strip()
        recovered = self.out_dir / self.tool("recover", program.pid).stdout.strip()
        for kind in ("inuse_space", "alloc_space"):
            self.assertEqual(pprof_top("go", recovered, kind, f"-diff_base={dumped}"), {})
            self.assertIn("shop::Cache::make_entry", pprof_top("go", dumped, kind))
        self.assertIn(";shop::Cache::insert;shop::Cache::make_entry ", self.tool("folded", dumped).stdout)

    def is_done(self, pid):
        """It sleeps when it has nothing more to do."""
        return pid in self.listed() and status_of(pid) == "S"

    def test_without_lines(self):
        with self.holder("work") as program:
            self.tool("dump", "--no-lines", "-o", "plain.pb.gz", program.pid)
            self.tool("dump", "-o", "lines.pb.gz", program.pid)
            self.check_one_line(self.tool("dump", "--lines", "--no-lines", program.pid, expect=2), "not both")
        lines = [any(number for location in self.read(name).locations for number in location.line_numbers)
                 for name in ("plain.pb.gz", "lines.pb.gz")]
        self.assertEqual(lines, [False, True])
