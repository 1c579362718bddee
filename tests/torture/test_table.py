# SPDX-License-Identifier: MIT
"""The table at the end of `make torture`."""
import io
import os
import re
import unittest.mock

from harness.case import Case, cases
from harness.runner import Outcome
from torture import table


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Table(Case):
    def lines(self, *outcomes, stream=None):
        text = table.of(outcomes, stream or io.StringIO())
        return {line.split("  ")[0]: line for line in text.strip().splitlines()}, text

    def line_of(self, what, *outcomes):
        found = [line for name, line in self.lines(*outcomes)[0].items() if name.startswith(what)]
        self.assertEqual(len(found), 1, found)
        return found[0]

    @cases(("passed", "passed", "ok"), ("passed", "failed", "FAILED"), ("skipped", "passed", "ok"), ("skipped", "skipped", "skipped"),
           ("skipped", "failed", "FAILED"))
    def test_result(self, first, second, result):
        line = self.line_of("U7 ", Outcome("hazards/test_runtimes.U7Java.test_a", first, "no java", seconds=2),
                            Outcome("hazards/test_runtimes.U7Node.test_b[x]", second, "no node", seconds=1.5))
        self.assertRegex(line, rf"^U7 .* {result} +3\.5  tests 2")
        self.assertEqual("1 skipped: no java" in line, first == "skipped")

    def test_what_did_not_run_shows(self):
        self.assertRegex(self.line_of("U7 ", Outcome("hazards/test_other.Other.test_a", "passed")), r" not run +0\.0  tests 0$")

    def test_no_outcome_is_left_out(self):
        self.assertRegex(self.line_of("others", Outcome("harness/test_reader.Reader.test_a", "failed", seconds=1)), r" FAILED +1\.0 ")

    def test_figures(self):
        outcomes = [Outcome(f"torture/test_matrix.Driver.test_random[glibc,own,{n % 2}]", "passed",
                            figures=(("runs", "3"), ("seed", str(n)))) for n in range(20)]
        self.assertRegex(self.line_of("matrix glibc,own,1", *outcomes), r" tests 10, runs 30, seed 1 3 5 7 9 11 … \(10\)$")

    def test_every_hazard_is_a_line(self):
        names = [name.split()[0] for name in self.lines()[0]]
        self.assertGreaterEqual(set(names), {number for number, _, _ in table.hazard_rows()})

    @cases(("terminal", Terminal, "", True), ("terminal, but no", Terminal, "1", False), ("file", io.StringIO, "", False))
    def test_colour(self, _, stream, no_color, is_coloured):
        with unittest.mock.patch.dict(os.environ, NO_COLOR=no_color):
            _, text = self.lines(Outcome("hazards/test_runtimes.U7Java.test_a", "failed"), stream=stream())
        self.assertEqual("\033[31mFAILED" in text, is_coloured)
        self.assertEqual(bool(re.search("\033", text)), is_coloured)
