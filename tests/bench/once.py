# SPDX-License-Identifier: MIT
"""What a short program pays once: state file, places seen for the first time, names and the profile at its end."""
import pathlib
import random
import shutil

import measure as measuring
import page as pages
import plot
import programs

NAME = "once"
TITLE = "Paid once"

ROUNDS = 45
NEVER = 64 << 30  # an interval at which nothing is sampled
SQL = """CREATE TABLE t(a); INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
SELECT hex(zeroblob(200)) FROM n; SELECT count(*), max(a) FROM t;"""  # enough to be sampled
PROGRAMS = {  # command, goal in ms
    "sqlite3": (["sqlite3", ":memory:", SQL], 1),
    "python3": (["/usr/bin/python3", "-c", "import json, urllib.request"], 3),
    "nodejs": (["node", "-e", "JSON.stringify({})"], 3),
    "gcc -S": (["gcc", "-S", "-o", "/dev/null", str(pathlib.Path(__file__).with_name("spawn.c"))], 1),  # two processes that are sampled
}
# The profile alone: the same run without it.
VARIANTS = {"start": {"HEAPPROF_SAMPLE": NEVER}, "no profile": {"HEAPPROF_DUMP": "none"}, "whole": {}}


def run_in_turns(bench, command):
    """{variant: CPU ms of each round}"""
    ms = {variant: [] for variant in VARIANTS}
    for turn in range(ROUNDS):
        names = list(VARIANTS)
        for name in names[turn % len(names):] + names[:turn % len(names)]:
            done = bench.run(bench.contenders["heapprof"], command, **VARIANTS[name])
            ms[name].append(done.cpu_s * 1e3)
            shutil.rmtree(done.folder, ignore_errors=True)
    return ms


def beyond_start(ms, variant, dice):
    """The mean of the fastest third, beyond a run that never samples; and what it is in 95 of 100 draws of the rounds."""
    def difference(rounds):
        return programs.lower_third([ms[variant][i] for i in rounds]) - programs.lower_third([ms["start"][i] for i in rounds])
    draws = sorted(difference(dice.choices(range(ROUNDS), k=ROUNDS)) for _ in range(1000))
    return {"ms": difference(range(ROUNDS)), "low": draws[25], "high": draws[974]}


def measure(bench):
    found = {}
    for name, (command, _) in PROGRAMS.items():
        if shutil.which(command[0]) is None:
            continue
        bench.say(f"once: {name}")
        ms = run_in_turns(bench, command)
        found[name] = {variant: beyond_start(ms, variant, random.Random(1)) for variant in ("no profile", "whole")}
        found[name]["start"] = measuring.summary(ms["start"])
    return found


def cell(one):
    return f"{pages.number(one['ms'], 2)} ({pages.number(one['low'], 2)} - {pages.number(one['high'], 2)})"


def page(results):
    rows = [[name, pages.spread(one["start"], 1), cell(one["no profile"]), cell(one["whole"])] for name, one in results.items()]
    goals = [pages.goal(f"{name}, beyond its start", results[name]["whole"]["ms"] if name in results else None, goal, "ms", 2)
             for name, (_, goal) in PROGRAMS.items()]
    return f"""CPU time of programs that do next to nothing, in ms, at the default interval, beyond the same program with the library at an
interval at which nothing is sampled (what a start takes stands in the next section): means of the fastest third of {ROUNDS} rounds in
turns, with an interval of 95 %. "No profile" has `HEAPPROF_DUMP=none`: state file, first samples, rules of places seen for the first time.

{pages.table(["", "ms, never sampled", "no profile", "with the profile at exit"], rows)}
{"".join(goals)}
{pages.plot("once", "Paid once, beyond the start")}"""


def plots(results, folder):
    with plot.figure(folder / "once.svg") as axes:
        plot.dots(axes, [(name, {"median": one["whole"]["ms"], **one["whole"]}) for name, one in results.items()], "ms")
