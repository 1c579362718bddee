# SPDX-License-Identifier: MIT
"""heapprof top: its numbers are pprof's, its error bars those of the samples; and the live table on a terminal."""
import math
import os
import re
import signal
import subprocess

from cli.views import TYPES, Z95, Terminal, Views, in_our_order
from harness import paths, pprof_reader
from harness.case import cases
from harness.states import status_of, wait_until
from harness.tools import pprof_top
from hazards.toolbox import compile, skip_unless


def without_mark(name):
    return name.removesuffix(" (inline)").removesuffix(" (partial-inline)")


class Numbers(Views):
    def rows_of_pprof(self, path, sample_type, *arguments):
        return {without_mark(name): numbers for name, numbers in pprof_top("go", path, sample_type, *arguments).items()}

    def rows_of_top(self, path, sample_type, *arguments):
        rows = self.json("top", path, f"--sample-index={sample_type}", *arguments)["rows"]
        return {row["function"]: (row["flat"], row["cum"]) for row in rows}

    @cases(*TYPES)
    def test_as_pprof(self, sample_type):
        for path in self.profile_app():
            expected = self.rows_of_pprof(path, sample_type)
            self.assertIn("main", expected)
            found = self.rows_of_top(path, sample_type)
            self.assertEqual(found, expected)
            self.assertEqual(list(found), in_our_order(expected), "order")
            by_cum = self.rows_of_pprof(path, sample_type, "-cum")
            self.assertEqual(list(self.rows_of_top(path, sample_type, "--cum").items()), list(by_cum.items()))

    def test_inlined_functions_and_recursion(self):
        _, path = self.profile_app()
        rows = {row["function"]: row for row in self.json("top", path, "--sample-index=alloc_space")["rows"]}
        self.assertTrue(rows["shop::read_picture"]["inlined"])
        self.assertTrue(rows["shop::Cache::make_entry"]["inlined"])
        self.assertFalse(rows["shop::load_item"]["inlined"])
        self.assertEqual(rows["shop::render"]["cum"], rows["shop::render"]["flat"], "recursion counts once")
        self.assertLess(rows["shop::render"]["cum"], rows["main"]["cum"])

    def test_lines_as_pprof(self):
        _, path = self.profile_app()
        expected = self.rows_of_pprof(path, "alloc_space", "-lines")
        rows = self.json("top", path, "--sample-index=alloc_space", "--lines")["rows"]
        found = {" ".join([row["function"], f"{row['file']}:{row['line']}" if row["line"] else row["file"]]).rstrip():
                 (row["flat"], row["cum"]) for row in rows}
        self.assertEqual(found, expected)
        self.assertTrue(any(re.search(r"app\.cc:\d+$", name) for name in found), found)

    @cases(*TYPES)
    def test_difference_as_pprof(self, sample_type):
        old, new = self.profile_app()
        expected = self.rows_of_pprof(new, sample_type, f"-diff_base={old}")
        self.assertEqual(self.rows_of_top(new, sample_type, f"--diff-base={old}"), expected)
        self.assertIn("shop::serve", expected)
        self.assertNotIn("shop::load_items", expected)

    def test_errors_are_those_of_the_samples(self):
        _, path = self.profile_app()
        profile = pprof_reader.load(path)
        for sample_type in TYPES:
            variances = {}
            for sample in profile.samples:
                for name in set(profile.frames(sample)):
                    variances[name] = variances.get(name, 0) + sample.variances[sample_type]
            self.assertGreater(variances["main"], 0)
            table = self.json("top", path, f"--sample-index={sample_type}")
            for row in table["rows"]:
                expected = Z95 * math.sqrt(variances[row["function"]])
                self.assertAlmostEqual(row["cum_error"], expected, delta=1e-6 * row["cum"] + 1e-6)
            total = sum(sample.variances[sample_type] for sample in profile.samples)
            self.assertAlmostEqual(table["total_error"], Z95 * math.sqrt(total), delta=1e-6 * table["total"])
            self.assertEqual(table["total"], profile.total(sample_type))
            self.assertEqual(table["row_count"], len(table["rows"]))


class Text(Views):
    def table(self, *arguments):
        """(lines above, titles, rows as lists of words)"""
        lines = self.tool("top", *arguments).stdout.splitlines()
        start = next(i for i, line in enumerate(lines) if line.split()[:1] == ["flat"])
        return lines[:start], lines[start].split(), [line.split() for line in lines[start + 1:]]

    def test_columns(self):
        _, path = self.profile_app()
        above, titles, rows = self.table(path)
        self.assertEqual(titles, ["flat", "±95%", "flat%", "sum%", "cum", "cum%"])
        self.assertRegex(above[0], "^File: app")
        self.assertEqual(above[1], "Type: inuse_space")
        self.assertRegex("\n".join(above), r"\nShowing nodes accounting for 6\.\d+MB, 100% of 6\.\d+MB total\n")
        self.assertRegex("\n".join(above), r"The total is an estimate: 6\.\d+MB ±\d+\.\d+kB \(95%\)$")
        self.assertEqual(rows[0][6:], ["shop::read_picture", "(inline)"])
        self.assertRegex(rows[0][1], r"^±\d+\.\d+kB$")
        _, titles, rows = self.table(path, "--cum")
        self.assertEqual(titles, ["flat", "±95%", "flat%", "sum%", "cum", "±95%", "cum%"])

    def test_number_of_rows(self):
        path = self.make("many", {(f"function_{i}",): (i, i, i, i) for i in range(1, 101)})
        for arguments, count in (([], 30), (["-n", "7"], 7), (["-n", "0"], 100), (["--rows=200"], 100)):
            above, _, rows = self.table(path, *arguments)
            self.assertEqual(len(rows), count)
            self.assertEqual(f"Showing top {count} nodes out of 100" in above, count < 100, above)
        self.assertEqual(len(self.json("top", path)["rows"]), 100)
        cut = self.json("top", path, "-n", "7")
        self.assertEqual((len(cut["rows"]), cut["row_count"]), (7, 100))

    def test_exact(self):
        _, path = self.profile_app(sample=1)
        above, titles, _ = self.table(path)
        self.assertIn("Values are exact", above)
        self.assertNotIn("±95%", titles)
        self.assertEqual({row["flat_error"] for row in self.json("top", path)["rows"]}, {0})

    @cases(["--focus=nobody"], ["--sample-index=inuse_space"], ["--sample-index=inuse_space", "--traces"])
    def test_nothing(self, options):
        """Seen to fail: a table without rows, and status 0."""
        path = self.make("freed", {("f", "main"): (1, 1, 0, 0)})
        done = self.tool("top", path, *options, expect=1)
        self.assertEqual(done.stdout, "")
        self.assertRegex(done.stderr, r"heapprof: .*freed.pb.gz: there is nothing to show of inuse_space\n\Z")

    def test_mappings_of_a_profile(self):
        """What was mapped is asked of the process. Seen to fail: nothing told that it has to run."""
        path = self.make("heap", {("f", "main"): (1, 1, 1, 1)})
        self.assertIn("takes a process while it runs with HEAPPROF_MMAP=yes", self.tool("top", "--mmap", path, expect=1).stderr)

    def test_nothing_is_an_answer_too(self):
        path = self.make("freed", {("f", "main"): (1, 1, 0, 0)})
        self.assertEqual(self.json("top", path)["rows"], [])
        self.assertIn("Difference with", self.tool("top", path, f"--diff-base={path}").stdout)

    def test_file_is_what_it_was_started_as(self):
        """As heapprof ls has it. Seen to fail: redis-check-rdb, where redis-server is a link to it."""
        for programs, shown in ((["called"], "called"), ([], "made"), (["one", "other"], "made")):
            path = self.make("made", {("f", "main"): (1, 1, 1, 1)}, comments=[("program", name) for name in programs])
            self.assertEqual(self.tool("top", path).stdout.splitlines()[0], f"File: {shown}")

    def test_unknown_variances(self):
        path = self.make("foreign", {("f", "main"): (5, 7)}, types=("samples", "cpu_space"), default_type="")
        above, titles, rows = self.table(path)
        self.assertIn("Type: cpu_space", above)
        self.assertNotIn("±95%", titles)
        self.assertIn("does not tell how far off", above[-1])
        self.assertEqual(rows[0], ["7B", "100%", "100%", "7B", "100%", "f"])
        self.assertEqual(self.json("top", path, "--sample-index=samples")["rows"][0]["flat_error"], None)

    def test_noise_is_marked(self):
        old = self.make("old", {("noise", "main"): (0, 0, 0, 1000), ("leak", "main"): (0, 0, 0, 1000)},
                        variances={("noise", "main"): (0, 0, 0, 1e4), ("leak", "main"): (0, 0, 0, 1e4)})
        new = self.make("new", {("noise", "main"): (0, 0, 0, 1200), ("leak", "main"): (0, 0, 0, 1400)},
                        variances={("noise", "main"): (0, 0, 0, 1e4), ("leak", "main"): (0, 0, 0, 1e4)})
        above, _, rows = self.table(new, f"--diff-base={old}")
        self.assertEqual([row[-2:] for row in rows], [["20.00%", "leak"], ["~", "noise"], ["30.00%", "main"]])
        self.assertIn("~: no more than sampling explains (95%)", above)
        self.assertIn(f"Difference with {old}: +600B ±391.99B in total", above)
        marked = {row["function"]: (row["flat_is_noise"], row["cum_is_noise"])
                  for row in self.json("top", new, f"--diff-base={old}")["rows"]}
        self.assertEqual(marked, {"leak": (False, False), "noise": (True, True), "main": (False, False)})

    def test_names_cannot_reach_the_terminal_raw(self):
        path = self.make("hostile", {("\x1b[2Jf\r\n\t", "\x9b31mg"): (1, 1, 1, 1)})
        text = self.tool("top", path).stdout
        self.assertIn(r"\x1b[2Jf\x0d\x0a\x09", text)
        self.assertIn(r"\u{9b}31mg", text)
        self.assertNotRegex(text, "[\x00-\x09\x0b-\x1f\x7f-\x9f]")

    def test_plain_locale(self):
        _, path = self.profile_app()
        done = self.tool("top", path, LC_ALL="C")
        self.assertIn("+/-", done.stdout)
        self.assertTrue(done.stdout.isascii())

    def test_json_is_documented(self):
        old, new = self.profile_app()
        page = (paths.SOURCE / "docs/heapprof-top.1").read_text().replace(r"\-", "-")
        table = self.json("top", new, f"--diff-base={old}")
        for key in [*table, *table["rows"][0]]:
            self.assertIn(f".B {key}\n", page)

    def test_bad_arguments(self):
        path = self.make("one", {("f",): (1, 1, 1, 1)})
        self.check_bad_sources("top")
        self.check_refuses("top", status=2, says="one process or profile")
        self.check_refuses("top", path, path, status=2, says="one process or profile")
        self.check_refuses("top", path, "--frobnicate", status=2, says="frobnicate")
        self.check_refuses("top", path, "-n", "many", status=2, says="many")
        self.check_refuses("top", path, "--sample-index=inuse_bytes", status=1, says="inuse_bytes.*alloc_objects, alloc_space")
        self.check_refuses("top", path, "--diff-base=missing", status=1, says="missing")
        foreign = self.make("foreign", {("f",): (1,)}, types=("cpu",))
        self.check_refuses("top", path, f"--diff-base={foreign}", status=1, says="foreign.*inuse_space.*cpu")


class Live(Views):
    """On a terminal, the table of a process comes again every second."""
    def working(self, *orders, sample=1):
        """A program that has followed the orders and waits for more."""
        program = self.start([self.victim("sites")], sample=sample, seed=1, dump="none")
        for order in orders:
            self.order(program, order)
        return program

    @staticmethod
    def order(program, order):
        program.say(order)
        program.read_until("done")

    def while_paused(self, terminal, program, *orders):
        """A look in the midst of an order would see one part of it, and the next look another one."""
        terminal.type(" ")
        terminal.screen("paused")
        for order in orders:
            if order.startswith("exec "):
                program.say(order)
            else:
                self.order(program, order)
        terminal.type(" ")

    def test_on_a_pipe_it_comes_once(self):
        with self.working("leak 100000") as program:
            done = self.tool("top", program.pid)
        self.assertEqual(done.stdout.count("Showing nodes"), 1)
        self.assertNotIn("\x1b", done.stdout)
        self.assertRegex(done.stdout, r"(?m)^97\.66kB .* victim_place_24$")

    def test_json_and_a_base_come_once_on_a_terminal_too(self):
        base = self.make("base", {("f",): (1, 1, 1, 1)})
        with self.working("leak 100000") as program:
            for arguments in (["--json"], [f"--diff-base={base}"]):
                with Terminal(self, "top", program.pid, *arguments) as terminal:
                    self.assertEqual(terminal.wait(), 0)
                    self.assertNotIn("\x1b[?1049h", terminal.text)
                    self.assertIn("victim_place_24", terminal.text)

    def test_shows_what_changes(self):
        with self.working("leak 100000") as program, Terminal(self, "top", program.pid) as terminal:
            terminal.expect(re.escape("\x1b[?1049h"))
            lines = terminal.screen("victim_place_24")
            self.assertRegex(lines[0], rf"^sites \({program.pid}\)  \d\d:\d\d:\d\d  inuse_space  97\.66kB")
            self.assertRegex(lines[3], r"^97\.66kB +100% .* victim_place_24$")
            self.while_paused(terminal, program, "leak 50000")
            lines = terminal.screen(r"\+48\.83kB")
            self.assertRegex(lines[3], r"^146\.48kB .* \+48\.83kB +victim_place_24$")
            terminal.screen(r"(?m)^146\.48kB +100% +100% +146\.48kB +100% +victim")  # nothing more happens
            terminal.type("c")
            terminal.screen(r"since the start(?s:.*)\+48\.83kB")
            terminal.type("q")
            self.assertEqual(terminal.wait(), 0)

    def test_filters(self):
        """At each reading anew: the same rows as those of the table that comes once."""
        with self.working("work") as program:
            for options, shown, hidden in ((["--focus=place_24"], {"victim_place_24"}, {"victim_place_25"}),
                                           (["--ignore=place_24$"], {"victim_place_25"}, {"victim_place_24"}),
                                           (["--hide=place_2"], {"main"}, {"victim_place_24"}),
                                           (["--plumbing=place_24"], {"main", "work"}, set())):
                with Terminal(self, "top", program.pid, *options, rows=90) as terminal:
                    names = {line.split(" ")[-1] for line in terminal.screen("since a second ago")[3:]}
                    once = self.json("top", program.pid, *options)["rows"]
                    self.assertEqual(names & (shown | hidden), {row["function"] for row in once} & (shown | hidden), options)
                    self.assertEqual(names & hidden, set())
                    self.assertTrue(names & shown)
                    terminal.type("q")
                    self.assertEqual(terminal.wait(), 0)

    def test_filter_that_matches_nothing_yet(self):
        """Seen to fail: it was said on top of the table, every second."""
        with self.working("leak 1000") as program, Terminal(self, "top", program.pid, "--focus=place_77", "--hide=nobody", rows=12) as terminal:
            lines = terminal.screen("nothing matches")
            self.assertRegex(lines[1], r"^nothing matches --focus 'place_77', --hide 'nobody', \d\d:\d\d:\d\d$")
            self.order(program, "work")
            lines = terminal.screen("victim_place_77")
            self.assertRegex(lines[1], r"^nothing matches --hide 'nobody', \d\d:\d\d:\d\d$")
            self.assertNotIn("heapprof:", terminal.text)
            terminal.type("q")
            self.assertEqual(terminal.wait(), 0)
            self.assertNotIn("heapprof:", terminal.text)

    def test_wrong_filter_comes_before_the_screen(self):
        with self.working("leak 100000") as program, Terminal(self, "top", program.pid, "--focus=(") as terminal:
            self.assertEqual(terminal.wait(), 2)
            self.assertNotIn("\x1b[?1049h", terminal.text)
            self.assertIn("is not a regular expression", terminal.text)

    def test_keys(self):
        with self.working("work") as program, Terminal(self, "top", program.pid, rows=12) as terminal:
            terminal.screen("rows 1 to 7 of 6")
            terminal.type("\x1b[B")
            terminal.screen("rows 2 to 8 of 6")
            terminal.type("\x1b[6~")
            terminal.screen("rows 9 to 15 of 6")
            terminal.type("\x1b[A")
            terminal.screen("rows 8 to 14 of 6")
            terminal.type("\x1b[F")
            terminal.screen(r"rows \d+ to (\d+) of \1\b")
            terminal.type("\x1b[H")
            self.assertRegex(terminal.screen("rows 1 to 7 of 6")[3], "victim_place_")
            terminal.type("o")
            self.assertRegex(terminal.screen(r"\n +0 +0%")[3], "(main|_start|libc)")
            terminal.type("os")
            terminal.screen("peak_objects")
            terminal.type(" ")
            terminal.screen("paused")
            self.order(program, "leak 5000000")
            terminal.type("sssss")
            terminal.screen("inuse_space.*\npaused")
            terminal.type(" \x1b[Z\x01?")  # a key that means nothing is no harm
            terminal.screen(r"\+4\.77MB +victim_place_24")
            terminal.type("q")
            self.assertEqual(terminal.wait(), 0)
            self.assertIn("\x1b[?1049l", terminal.text)
            self.assertTrue(terminal.is_restored())

    def test_size_changes(self):
        with self.working("work") as program, Terminal(self, "top", program.pid, rows=12, columns=60) as terminal:
            lines = terminal.screen("rows 1 to 7 of")
            self.assertLessEqual(max(map(len, lines)), 60)
            self.assertEqual(len(lines), 12)
            terminal.resize(20, 40)
            lines = terminal.screen("rows 1 to 15 of", seconds=20)
            self.assertLessEqual(max(map(len, lines)), 40)
            terminal.resize(3, 10)
            self.assertEqual(len(terminal.screen(r"\A.{0,10}\n.{0,10}\n.{0,10}\Z")), 3)
            terminal.type("q")
            self.assertEqual(terminal.wait(), 0)

    @cases("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")
    def test_signals_leave_the_terminal_as_it_was(self, name):
        with self.working("work") as program, Terminal(self, "top", program.pid) as terminal:
            terminal.screen("victim_place")
            self.assertFalse(terminal.is_restored())
            terminal.process.send_signal(getattr(signal, name))
            self.assertEqual(terminal.wait(), -getattr(signal, name))
            self.assertRegex(terminal.text, r"\x1b\[\?7h\x1b\[\?25h\x1b\[\?1049l\Z")
            self.assertTrue(terminal.is_restored())

    def test_control_c(self):
        with self.working("work") as program, Terminal(self, "top", program.pid) as terminal:
            terminal.screen("victim_place")
            terminal.type("\x03")
            self.assertEqual(terminal.wait(), -signal.SIGINT)
            self.assertTrue(terminal.is_restored())

    def test_stops_and_goes_on(self):
        with self.working("work") as program, Terminal(self, "top", program.pid) as terminal:
            terminal.screen("victim_place")
            terminal.process.send_signal(signal.SIGTSTP)
            terminal.expect(re.escape("\x1b[?1049l"))
            wait_until(lambda: status_of(terminal.process.pid) == "T", "heapprof top is stopped")
            self.assertTrue(terminal.is_restored())
            terminal.process.send_signal(signal.SIGCONT)
            terminal.expect(re.escape("\x1b[?1049h"))
            terminal.screen("victim_place")
            terminal.type("q")
            self.assertEqual(terminal.wait(), 0)
            self.assertTrue(terminal.is_restored())

    @cases("end", "kill")
    def test_the_process_ends(self, how):
        with self.working("leak 100000") as program:
            with Terminal(self, "top", program.pid) as terminal:
                terminal.screen("victim_place_24")
                if how == "end":
                    program.end()
                else:
                    os.kill(program.pid, signal.SIGKILL)
                lines = terminal.screen(f"process {program.pid} has ended")
                self.assertRegex(lines[3], "^97.66kB .* victim_place_24")
                terminal.type("s")  # one can still look around
                terminal.screen("peak_objects")
                terminal.type("q")
                self.assertEqual(terminal.wait(), 0)
                left = terminal.text[terminal.text.index("\x1b[?1049l"):]
                self.assertRegex(left, r"Type: peak_objects(?s:.*)victim_place_24")
                self.assertIn(f"process {program.pid} has ended", left)

    def test_another_program_behind_the_pid(self):
        """After exec the names of the old program are not those of the new one, whose code lies where the old one's did."""
        fixed = ["setarch", "-R"]
        skip_unless(subprocess.run([*fixed, "true"]).returncode == 0, "addresses cannot be fixed here")
        one, other = (compile(paths.TESTS / "victims/sites.c", f"-Dvictim_place_24={name}") for name in ("old_name", "new_name"))
        with self.start([*fixed, one], sample=1, dump="none") as program:
            self.order(program, "leak 100000")
            with Terminal(self, "top", program.pid) as terminal:
                terminal.screen("old_name")
                self.while_paused(terminal, program, f"exec {other}", "leak 50000")
                lines = terminal.screen("(?m)^48.83kB .* new_name$")
                self.assertNotIn("old_name", "\n".join(lines))
                self.assertRegex(lines[0], r"inuse_space  48\.83kB$")  # no change: nothing is compared with the old program
                terminal.type("q")
                self.assertEqual(terminal.wait(), 0)

    def test_dead_before_it_begins(self):
        with self.working("leak 100000") as program:
            os.kill(program.pid, signal.SIGKILL)
            program.process.wait()
            with Terminal(self, "top", program.pid) as terminal:
                self.assertEqual(terminal.wait(), 0)
                self.assertNotIn("\x1b[?1049h", terminal.text)
                self.assertRegex(terminal.text, r"97\.66kB .* victim_place_24")
                self.assertIn("has ended", terminal.text)

    def test_terminal_that_knows_nothing(self):
        with self.working("leak 100000") as program, Terminal(self, "top", program.pid, TERM="dumb") as terminal:
            self.assertEqual(terminal.wait(), 0)
            self.assertNotIn("\x1b[?1049h", terminal.text)
            self.assertIn("victim_place_24", terminal.text)

    def test_errors_come_before_the_screen(self):
        with self.working("leak 100000") as program:
            for arguments, says in ((["4194303"], "4194303"), ([program.pid, "--sample-index=x"], "sample type 'x'")):
                with Terminal(self, "top", *arguments) as terminal:
                    self.assertEqual(terminal.wait(), 1)
                    self.assertRegex(terminal.text, rf"(\A|\x1b\[K)heapprof: .*{says}")


class Widths(Views):
    def test_long_names(self):
        name = "begin::" + "x" * 300 + "::end"
        path = self.make("long", {(name,): (1, 1, 1, 1)})
        self.assertIn(name, self.tool("top", path).stdout)
        with Terminal(self, "top", path, columns=80) as terminal:
            self.assertEqual(terminal.wait(), 0)
        row = next(line for line in terminal.text.splitlines() if "begin::" in line)
        self.assertEqual(len(row), 80)
        self.assertRegex(row, "begin::x+…x+::end$")

    def test_rows_fit_the_terminal(self):
        path = self.make("many", {(f"function_{i}",): (i, i, i, i) for i in range(1, 101)})
        with Terminal(self, "top", path, rows=20) as terminal:
            self.assertEqual(terminal.wait(), 0)
        lines = terminal.text.splitlines()
        self.assertLess(len(lines), 20)
        self.assertGreater(len([line for line in lines if "function_" in line]), 8)
