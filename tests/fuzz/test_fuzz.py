# SPDX-License-Identifier: MIT
"""Each harness fuzz_NAME.c tries thousands of inputs made of its corpus, some ten seconds, HEAPPROF_TORTURE=1: for ten minutes; it may find
nothing."""
import fcntl
import os
import subprocess

from harness import paths, tools
from harness.case import Case, cases, slow, timeout

SOURCES = paths.TESTS / "fuzz"
TORTURE = os.environ.get("HEAPPROF_TORTURE", "") not in ("", "0")
TORTURE_SECONDS = 600
RUNS, SLOW_RUNS = 100_000, {"fuzz_legacy": 25_000, "fuzz_region": 6_000}


def amount(name):
    """Chance is for `make torture`; elsewhere a result repeats: a number of runs, not a time."""
    return [f"-max_total_time={TORTURE_SECONDS}"] if TORTURE else ["-seed=1", f"-runs={SLOW_RUNS.get(name, RUNS)}"]


def build(name):
    """Several tests may ask at once."""
    folder = paths.BUILD / "tests/fuzz"
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(["make", "-s", "-C", paths.BUILD, f"tests/fuzz/{name}"], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
    finally:
        os.close(lock)
    if done.returncode != 0:
        raise AssertionError(f"{name} is not built: {done.stdout}")
    return folder / name


class Fuzz(Case):
    def corpus(self, name):
        return SOURCES / "corpus" / name.removeprefix("fuzz_")

    @cases(*sorted(path.stem for path in SOURCES.glob("fuzz_*.c")))
    @slow
    @timeout(TORTURE_SECONDS + 240 if TORTURE else 300)
    def test_finds_nothing(self, name):
        tools.need("clang", "make")
        corpus = self.corpus(name)
        self.assertGreater(len(list(corpus.iterdir())), 0, "an empty corpus starts from nothing")
        found = self.dir / "found"
        found.mkdir()
        done = subprocess.run([build(name), *amount(name), "-timeout=20", "-rss_limit_mb=2048", "-print_final_stats=1",
                               f"-artifact_prefix={self.dir}/", found, corpus],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
        self.assertEqual(done.returncode, 0, done.stdout[-5000:])
        runs = [int(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("stat::number_of_executed_units:")]
        self.assertEqual(len(runs), 1, done.stdout[-2000:])
        self.assertGreater(runs[0], 1000, "too few for a test")
