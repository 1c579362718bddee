# SPDX-License-Identifier: MIT
"""docs/hazards.md names a test for every hazard, and each of them exists."""
import re

from cases import CASES
from harness import paths, runner
from harness.case import Case
from torture.table import hazard_rows

FILES = ("hazards", "torture", "preload", "cli")


class Hazards(Case):
    def test_every_row_has_its_tests(self):
        classes = {name for folder in FILES for path in (paths.TESTS / folder).glob("test_*.py")
                   for name in re.findall(r"^class (\w+)", path.read_text(), re.MULTILINE)}
        rows = hazard_rows()
        self.assertEqual(len(rows), 16 + 7 + 10 + 5 + 10 + 11 + 7 + 6 + 31)
        for number, _, tests in rows:
            for test in tests:
                known = any((paths.TESTS / f"{test}.{kind}").exists() for kind in ("py", "c")) if "/" in test else test in classes or test == "policy"
                self.assertTrue(known, f"{number} names {test}")

    def test_every_test_says_how_it_was_seen_to_fail(self):
        """Which broken shim or mutant shows it."""
        for path in (paths.TESTS / "hazards").glob("test_*.py"):
            classes = re.findall(r'^class (\w+)\([^)]*\):\n(?: {4}"""(.*?)""")?', path.read_text(), re.MULTILINE | re.DOTALL)
            self.assertNotEqual(classes, [])
            for name, text in classes:
                self.assertRegex(text, r"[Ss]een\s+to\s+fail", f"{path.name}: {name}")

    def test_mutants_that_tests_name_exist(self):
        known = set(re.findall(r'Mutant\("(\w+)"', (paths.TESTS / "torture/mutants.py").read_text()))
        for folder in ("hazards", "torture"):
            for path in (paths.TESTS / folder).glob("test_*.py"):
                for sentence in re.findall(r"\bmutants?\s([^.(]*)", path.read_text()):
                    named = set(re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", sentence))
                    self.assertEqual(named - known, set(), path.name)

    def test_cases_have_their_tests(self):
        """tests/cases.py says what each is about: a test that was renamed is missed at once."""
        names = [job.name for job in runner.find_jobs()]
        for case in CASES:
            for test in case.tests:
                self.assertTrue(any(name.startswith(test) for name in names), f"{case.name}: there is no test {test}")
