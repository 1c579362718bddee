# SPDX-License-Identifier: MIT
"""Overhead that reports itself: what profiles say that the profiler cost, against what it is seen to cost from outside."""
import shutil

import page as pages
import plot
import scale

NAME = "overhead"
TITLE = "What the profiler says it cost"
NEVER = 64 << 30  # an interval at which nothing is sampled, and everything else is as it is
PAIRS = {1: 500_000, 1 << 10: 1_000_000, 8 << 10: 4_000_000, 32 << 10: 4_000_000}  # by R: enough samples to be seen
DEPTHS = (5, 30)
ROUNDS = 7
TOLERANCE_PERCENT = 20
BEFORE = 1.05  # the victim does a twentieth of its work before it looks at the clock


def cost(bench, depth, interval, pairs):
    """CPU time of the victim's loop in ns, and what the profile says."""
    run = bench.run(bench.contenders["heapprof"], [bench.build("overhead.c"), pairs, depth], HEAPPROF_SAMPLE=interval, HEAPPROF_SEED=1)
    files = list(run.folder.glob("*.pb.gz"))
    told = scale.info(files[0]) if files else None
    shutil.rmtree(run.folder)
    return int(run.out.split()[1]), told


def compare(bench, depth, interval):
    """With samples and without in turns. What else the machine does only adds: the smallest of each is the truest."""
    pairs = PAIRS[interval]
    without, with_samples = zip(*((cost(bench, depth, NEVER, pairs)[0], cost(bench, depth, interval, pairs)) for _ in range(ROUNDS)))
    seen_ns = (min(ns for ns, _ in with_samples) - min(without)) * BEFORE
    told = min((info for _, info in with_samples), key=lambda info: info["sampling_ns"])
    return {"depth": depth, "interval": interval, "pairs": pairs, "samples": told["samples"], "own_bytes": told["own_bytes"],
            "seen_ns": seen_ns, "told_ns": told["sampling_ns"], "told_share": told["sampling_ns"] / told["cpu_ns"],
            "seen_share": seen_ns / (min(ns for ns, _ in with_samples) * BEFORE)}


def measure(bench):
    return {"rows": [compare(bench, depth, interval) for depth in DEPTHS for interval in PAIRS]}


def off_percent(row):
    return abs(100 * row["told_ns"] / row["seen_ns"] - 100)


def page(results):
    rows = [[f"{pages.human_bytes(row['interval'])}, depth {row['depth']}", f"{row['samples']:,}",
             pages.number(row["told_ns"] / row["samples"], 0), pages.number(row["seen_ns"] / row["samples"], 0),
             pages.number(row["told_ns"] / row["seen_ns"], 2), f"{100 * row['told_share']:.1f} %", f"{100 * row['seen_share']:.1f} %",
             pages.human_bytes(row["own_bytes"])] for row in results["rows"]]
    table = pages.table(["R", "samples", "told, ns a sample", "seen, ns a sample", "told / seen", "share of CPU time, told", "seen",
                         "own_bytes"], rows)
    goals = "".join(pages.goal(f"told differs from seen, R = {pages.human_bytes(row['interval'])}, depth {row['depth']}",
                               off_percent(row), TOLERANCE_PERCENT, "%", 0) for row in results["rows"])
    return f"""Every profile has sampling_ns, the time that went into samples and their frees, cpu_ns, that of the process, and
own_bytes; `heapprof info` says them in words. They come from one sample in eight and some of the frees, by the
machine's clock ([sampling.md](sampling.md), 11).
Not in them: the instructions that every malloc and free has more (see the fast path), first sights of code, and dumps.

Seen is the CPU time of the same program with samples less that without any, at R = 64 GiB, the smallest of {ROUNDS} each, in turns;
pairs of malloc and free, 1,000 objects alive. It includes what samples push out of the caches.

{table}
{goals}
{pages.plot("overhead_told", "Told against seen, for each sample")}"""


def plots(results, folder):
    with plot.figure(folder / "overhead_told.svg") as axes:
        series = {f"{what}, depth {depth}": [(row["interval"], row[f"{what}_ns"] / row["samples"]) for row in results["rows"]
                                             if row["depth"] == depth] for depth in DEPTHS for what in ("told", "seen")}
        plot.lines(axes, series, "R, bytes", "ns a sample", log_x=True)
