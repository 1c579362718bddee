# SPDX-License-Identifier: MIT
"""The code of a sample lies together (SAMPLED in core/compiler.h): seen by running samples instruction by instruction."""
import bisect
import subprocess

from harness import paths
from harness.case import Case, cases

PAGE_BYTES = 4096
PAGES_MAX = 8  # 5; it may begin in the middle of one, and gcc takes branches for rare ones; 17 when the linker chooses


class SampleCode(Case):
    def functions(self):
        """(where it starts, name), in order."""
        listed = subprocess.run(["nm", "-n", paths.LIB], capture_output=True, text=True, check=True).stdout
        return [(int(words[0], 16), words[2]) for words in map(str.split, listed.splitlines()) if len(words) == 3 and words[1] in "tT"]

    def names_by_page(self, places):
        functions = self.functions()
        names = {}
        for place in places:
            _, name = functions[bisect.bisect(functions, (place, "~")) - 1]
            names.setdefault(hex(place // PAGE_BYTES * PAGE_BYTES), set()).add(name)
        return names

    @cases(1, "16K")
    def test_lies_on_few_pages(self, sample):
        done = self.profiled([self.victim("sample_code")], sample=sample, seed=1, dump="signal")
        places = [int(line, 16) for line in done.out.split()]
        self.assertGreater(len(places), 80, "no sample was seen")
        names = self.names_by_page(places)
        self.assertLessEqual(len(names), PAGES_MAX, f"functions of a sample, by page, some of them not SAMPLED: {names}")
