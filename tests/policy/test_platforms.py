# SPDX-License-Identifier: MIT
"""What docs/platforms.md says of the hazards' tests for aarch64: each of them is left out there, with a reason, or runs. CI runs what
tests/aarch64/run chooses."""
import re

from harness import paths, runner
from harness.case import Case


class Hazards(Case):
    """Seen to fail: 88 were said to run, where 91 do; a test that does not exist, and one that CI runs, were left out."""

    def setUp(self):
        super().setUp()
        self.page = (paths.SOURCE / "docs/platforms.md").read_text()
        self.jobs = [job.name for job in runner.find_jobs() if job.name.startswith("hazards/")]

    def named(self, name, jobs):
        """Class, Class.test or test, as the page names them."""
        return {job for job in jobs if re.search(rf"\.{re.escape(name)}(?!\w)", job)}

    def left_out(self):
        _, _, table = self.page.partition("Of the hazards (docs/hazards.md) these do not run there:\n\n| tests | why |\n|---|---|\n")
        rows = re.findall(r"^\| (.*) \| .* \|$", table.partition("\n\n")[0], re.MULTILINE)
        self.assertGreater(len(rows), 5)
        return [name for row in rows for name in row.split(", ")]

    def chosen(self):
        """By tests/aarch64/run, which gives tests/run parts of names."""
        parts = re.search(r"^hazards='([^']*)'", (paths.TESTS / "aarch64/run").read_text(), re.MULTILINE)[1].split()
        for part in parts:
            self.assertTrue(any(f".{part}" in job for job in self.jobs), f"tests/aarch64/run: there is no test {part}")
        return {job for job in self.jobs if any(f".{part}" in job for part in parts)}

    def test_who_is_left_out_exists_and_once(self):
        seen = set()
        for name in self.left_out():
            tests = self.named(name, self.jobs)
            self.assertTrue(tests - seen, f"docs/platforms.md: there is no test {name}, or it is named before")
            seen |= tests
        self.assertEqual(seen & self.chosen(), set(), "tests/aarch64/run runs what docs/platforms.md leaves out")

    def test_counts(self):
        gone = set().union(*(self.named(name, self.jobs) for name in self.left_out()))
        all, runs, in_ci = re.search(r"^\| hazards: (\d+) of the (\d+) tests, of which CI runs (\d+);", self.page, re.MULTILINE).group(2, 1, 3)
        self.assertEqual((int(all), int(runs), int(in_ci)), (len(self.jobs), len(self.jobs) - len(gone), len(self.chosen())))
        self.assertEqual(re.findall(r"(\d+) hazards, static programs", (paths.SOURCE / "README.md").read_text()), [in_ci])
