# SPDX-License-Identifier: MIT
"""Chromium itself under the profiler: it brings its own malloc, in an executable of 300 MB, and is many processes. Seen to fail (no
profile) by the mutant own_malloc_unnoticed."""
import re

from browser.browser import FLAGS
from harness import tools
from harness.case import Case, timeout

PAGE = "<!DOCTYPE html><title>t</title><body><script>document.body.textContent = [1, 2, 3].map(x => x * x).join()</script>"


class Chromium(Case):
    def command(self, folder):
        """Prints the page, as the scripts have left it."""
        page = self.dir / "page.html"
        page.write_text(PAGE)
        return ["chromium", *FLAGS, f"--user-data-dir={self.dir / folder}", "--dump-dom", page.as_uri()]

    @timeout(300)
    def test_prints_the_same_page(self):
        tools.need("chromium")
        plain = self.plain(self.command("plain"))
        self.assertIn("1,4,9", plain.out)
        run = self.profiled(self.command("profiled"), sample="64K", HEAPPROF_ONLY="chromium")
        self.assertEqual(run.out, plain.out)
        browser, = (path for path in run.files if f".{run.pid}." in path.name)
        said = self.tool("info", browser).stdout
        self.assertEqual(re.findall(r"^hooks +(.*)$", said, re.MULTILINE), ["at the entries of the program's own allocator"])
        self.assertGreater(int(re.search(r"^samples +(\d+)", said, re.MULTILINE)[1]), 100)
