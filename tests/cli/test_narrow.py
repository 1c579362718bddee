# SPDX-License-Identifier: MIT
"""Narrow terminals: names keep half of the width, columns go first. Seen to fail: at 80 columns names had 7 letters, at 70 none."""
import re

from cli.views import Terminal, Views
from harness.case import cases

NAME = "shop::customers::load_the_picture_cache_for_the_first_page_of_the_season"
MEBI = 1 << 20


class Narrow(Views):
    def make_old(self):
        return self.make("old", self.stacks(1), variances={(NAME, "main"): (9e4, 9e9, 9e4, 9e9)})

    def make_new(self):
        return self.make("new", self.stacks(500), variances={(NAME, "main"): (9e4, 9e11, 9e4, 9e11)})

    @staticmethod
    def stacks(times):
        return {(NAME, "main"): (123 * times, 123456 * times, 123 * times, 123456 * times)}

    def check(self, columns, *arguments):
        with Terminal(self, *arguments, columns=columns) as terminal:
            self.assertEqual(terminal.wait(), 0)
        lines = terminal.text.replace("\r", "").splitlines()
        row = next(line for line in lines if re.search("\\bshop::", line))
        self.assertLessEqual(len(row), columns)
        least = min(columns // 2 - 6, len(NAME))  # before it there may be the lines of a tree
        self.assertGreaterEqual(len(row) - row.index("shop::"), least, row)
        if arguments[0] != "tree":  # there the numbers are beside the first of a run of calls
            self.assertRegex(row, r"^ *[+]?\d+(\.\d+)?[kM]B ")
        return row

    @cases(80, 70, 60, 40)
    def test_every_table(self, columns):
        old, new = self.make_old(), self.make_new()
        self.check(columns, "top", new)
        self.check(columns, "top", new, f"--diff-base={old}")
        self.check(columns, "tree", new)
        self.check(columns, "diff", "--all", old, new)
        self.check(columns, "peek", "shop", new)

    def test_wide_terminals_show_all(self):
        row = self.check(160, "top", self.make_new())
        self.assertEqual(len(row.split()), 7)
        self.assertIn(NAME, row)
