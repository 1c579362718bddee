# SPDX-License-Identifier: MIT
"""docs/hazards.md names a test for every hazard, and each of them exists."""
import re

from harness import paths
from harness.case import Case

FILES = ("hazards", "torture", "preload", "cli")


class Hazards(Case):
    def test_every_row_has_its_tests(self):
        classes = {name for folder in FILES for path in (paths.TESTS / folder).glob("test_*.py")
                   for name in re.findall(r"^class (\w+)", path.read_text(), re.MULTILINE)}
        text = (paths.SOURCE / "docs/hazards.md").read_text()
        rows = re.findall(r"^\| ([USPGA]\d) \|.*\| (.*) \|$", text, re.MULTILINE)
        self.assertEqual(len(rows), 8 + 6 + 9 + 5 + 8)
        for number, tests in rows:
            for test in tests.split(", "):
                known = (paths.TESTS / f"{test}.py").exists() if "/" in test else test in classes or test == "policy"
                self.assertTrue(known, f"{number} names {test}")
