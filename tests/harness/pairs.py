# SPDX-License-Identifier: MIT
"""Instructions of a pair of allocation and free, counted by callgrind as the difference of two run lengths."""
import re

from . import tools
from .case import Case


class PairCase(Case):
    SHORT, LONG = 5_000, 25_000

    def count(self, victim, pairs, **options):
        tools.need("valgrind")
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={self.dir}/callgrind.%p", "--trace-children=no", victim, pairs]
        return int(re.search(r"Collected : (\d+)", self.profiled(command, **options).err).group(1))

    def per_pair(self, victim, **options):
        """The victim takes the number of pairs as its argument."""
        return (self.count(victim, self.LONG, **options) - self.count(victim, self.SHORT, **options)) / (self.LONG - self.SHORT)
