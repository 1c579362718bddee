# SPDX-License-Identifier: MIT
"""What the tests of this folder share: seeds, and programs that are linked with an allocator."""
import os
import pathlib
import random

from harness import paths
from hazards import toolbox

FOLDER = paths.TESTS / "torture"
toolbox.HEADERS += sorted(FOLDER.glob("*.h"))
LINKED = {"glibc": [], "jemalloc": ["-ljemalloc"], "tcmalloc": ["-ltcmalloc"], "mimalloc": ["-lmimalloc"]}


def first_seed(test):
    """Chance is for `make torture`; elsewhere a result repeats. HEAPPROF_TORTURE_SEED repeats a run."""
    given = os.environ.get("HEAPPROF_TORTURE_SEED", "")
    seed = int(given) if given else random.SystemRandom().randrange(1, 1 << 31) if toolbox.TORTURE else test.seed >> 1
    test.figure(seed=seed)
    return seed


def build(source, allocator="glibc", flags=()):
    """Linked with the allocator, before libstdc++: so that its operator new comes first. glibc: with none."""
    source = pathlib.Path(source)
    after = ["-Wl,--no-as-needed", *LINKED[allocator]]
    try:
        return toolbox.compile(source, f"-I{FOLDER}", f"-I{paths.SOURCE}/include", "-D_GNU_SOURCE", *flags, *after,
                               "-lstdc++", "-lm")
    except AssertionError as error:
        if "cannot find -l" in str(error):
            toolbox.skip_unless(False, f"{allocator} is not there to be linked: ./bootstrap packages installs it")
        raise


class Matrix:
    """An allocator, how it comes into the program, and how often is sampled."""
    INTERVALS = {"every": 1, "default": 524288}
    ROWS = [("glibc", "own"), *((allocator, how) for allocator in LINKED if allocator != "glibc" for how in ("preloaded", "linked"))]

    @classmethod
    def cells(cls):
        return [(*row, interval) for row in cls.ROWS for interval in cls.INTERVALS]

    @staticmethod
    def program(source, allocator, how, flags=()):
        return build(source, allocator if how == "linked" else "glibc", flags)

    @staticmethod
    def preloaded(allocator, how):
        """For Case.profiled(allocator=...)."""
        return allocator if how == "preloaded" else "glibc"
