# SPDX-License-Identifier: MIT
"""Accuracy: bias, error and intervals of heapprof's estimates, and of the peers' for the same program."""
import dataclasses
import math

import judged
import page as pages
import plot
import trials

NAME = "accuracy"
TITLE = "Accuracy"
LABELS = {"heapprof": "heapprof", "jemalloc_prof": "jemalloc", "tcmalloc_sampling": "gperftools"}
CHECKED_INTERVALS = (32 << 10, 512 << 10)
INTERVAL = 512 << 10
CURVE = {1: 200, 4: 200, 16: 100, 64: 100, 256: 50, 1024: 25}  # expected samples: rounds


def have(bench):
    return [contender.name for contender in bench.available(*trials.PROFILERS)]


def keyed(judgement):
    return dataclasses.asdict(judgement)


def own_rows(bench):
    cells = [trials.Cell(distribution, interval, 256, 4, 100, seed=interval + number)
             for number, distribution in enumerate(trials.DISTRIBUTIONS, 1) for interval in CHECKED_INTERVALS]
    for cell, one in zip(cells, trials.run_all(bench, [("heapprof", cell) for cell in cells])):
        by_place = [judged.judge_place(one, "alloc_space", place) for place in range(trials.PLACES)]
        yield {"distribution": cell.distribution, "interval": cell.interval,
               "total": {name: keyed(judged.judge_total(one, name)) for name in trials.TYPES},
               "place": dataclasses.asdict(judged.pool(by_place))}


def compared_rows(bench):
    cells = [trials.Cell(distribution, INTERVAL, 64, 1, 50) for distribution in trials.DISTRIBUTIONS]
    todo = [(profiler, cell) for cell in cells for profiler in have(bench)]
    for (profiler, cell), one in zip(todo, trials.run_all(bench, todo)):
        yield {"profiler": profiler, "distribution": cell.distribution,
               "bytes": keyed(judged.judge_total(one, "inuse_space")), "objects": keyed(judged.judge_total(one, "inuse_objects")),
               "rounded_bytes": keyed(judged.judge_total(one, "inuse_space", "usable_space"))}


def curve_points(bench):
    todo = [(profiler, trials.Cell("lognormal", INTERVAL, samples, 1, rounds)) for profiler in have(bench)
            for samples, rounds in CURVE.items()]
    for (profiler, cell), one in zip(todo, trials.run_all(bench, todo)):
        truth = "usable_space" if profiler != "heapprof" else "inuse_space"
        allocated = sum(place["inuse_space"] for place in one.truth)
        yield {"profiler": profiler, "bytes": allocated, "error": judged.judge_total(one, "inuse_space", truth).rms_error}


def measure(bench):
    return {"own": list(own_rows(bench)), "compared": list(compared_rows(bench)), "curve": list(curve_points(bench))}


# What is written.

def percent(value, digits=1):
    return f"{100 * value:+.{digits}f} %" if value >= 0 or digits else f"{100 * value:.{digits}f} %"


def own_table(rows):
    head = ["sizes", "R", "bias of bytes", "of objects", "of bytes in use", "s.e. of bytes", "intervals hold: bytes", "objects",
            "in use", "bytes of a place"]
    lines = []
    for row in rows:
        total = row["total"]
        held = [total[name]["covered"] / total[name]["trials"] for name in ("alloc_space", "alloc_objects", "inuse_space")]
        lines.append([trials.DISTRIBUTIONS[row["distribution"]], pages.human_bytes(row["interval"]),
                      *(percent(total[name]["bias"], 2) for name in ("alloc_space", "alloc_objects", "inuse_space")),
                      f"{100 * total['alloc_space']['error_of_mean']:.2f} %",
                      *(f"{100 * share:.0f} %" for share in (*held, row["place"]["coverage"]))])
    return pages.table(head, lines)


def compared_table(rows):
    head = ["sizes", "profiler", "bias of bytes", "of bytes as rounded up", "of objects", "s.e. of bytes", "error (rms) of bytes",
            "of objects"]
    return pages.table(head, [
        [trials.DISTRIBUTIONS[row["distribution"]], LABELS[row["profiler"]], percent(row["bytes"]["bias"]),
         percent(row["rounded_bytes"]["bias"]) if row["profiler"] != "heapprof" else "-", percent(row["objects"]["bias"]),
         f"{100 * row['bytes']['error_of_mean']:.1f} %", f"{100 * row['bytes']['rms_error']:.1f} %",
         f"{100 * row['objects']['rms_error']:.1f} %"] for row in rows])


def pooled_goals(rows):
    alloc = [judged.Judged(**row["total"]["alloc_space"]) for row in rows]
    pooled = judged.pool(alloc)
    return (pages.goal("mean bias of all rows, bytes allocated", abs(100 * pooled.bias), 400 * pooled.error_of_mean, "%", 2)
            + pages.goal(f"share of {pooled.trials} intervals that hold differs from 95 %", abs(100 * pooled.coverage - 95),
                         2 + 100 * judged.margin(0.05, pooled.trials), "points", 1))


def page(results):
    return f"""Independent estimates of one truth: a program allocates the same objects again and again at four places and has a profile
written each time (estimates.cc). [sampling.md](sampling.md) derives what to expect. `make stat` checks more of it, at length:
R from 4 KiB to 4 MiB, by place and in total.

heapprof, 256 samples a round, 100 rounds. An unbiased estimate stays within about two standard errors (s.e.) of 0; an
interval of 95 % holds 95 times of 100, less often where few small objects stand for many.

{own_table(results["own"])}
{pooled_goals(results["own"])}
The same program under the peers, R = 512 KiB, all objects kept, 64 samples a round, 50 rounds; their profiles are scaled as jeprof
and pprof do. Both count what an allocator rounds sizes up to, so that bytes have two columns: against what was
asked for, and against nallocx. Neither tells how certain it is. gperftools takes no sample of the first megabytes of a
process; they are left out here.

{compared_table(results["compared"])}
{pages.plot("accuracy_error", "Relative error of the bytes in use, against bytes allocated, R = 512 KiB")}
The error depends on the number of samples alone: four times the bytes, or a quarter of R, halve it. (The peers against what
they mean by bytes.)
"""


def plots(results, folder):
    series = {LABELS[profiler]: [(point["bytes"] / 2**20, 100 * point["error"]) for point in results["curve"]
                                 if point["profiler"] == profiler]
              for profiler in trials.PROFILERS}
    with plot.figure(folder / "accuracy_error.svg") as axes:
        span = [min(point["bytes"] for point in results["curve"]), max(point["bytes"] for point in results["curve"])]
        plot.lines(axes, {label: points for label, points in series.items() if points}, "MiB allocated", "relative error, rms, %",
                   log_x=True, log_y=True)
        axes.plot([x / 2**20 for x in span], [100 * math.sqrt(INTERVAL / x) for x in span], color=plot.INK, linestyle="--",
                  label="theory: 1/√samples")
        axes.legend()


def quick(bench):
    """Seeds make a run repeat, which `make stat` lives by."""
    cell = trials.Cell("lognormal", 32 << 10, 64, 4, 5)
    first, second = trials.run_all(bench, [("heapprof", cell)] * 2)
    differing = sum(a != b for a, b in zip(first.rounds, second.rounds)) + (first.truth != second.truth)
    empty = sum(one[0]["alloc_space"].value == 0 for one in first.rounds)
    return [("estimates that two runs with one seed do not share", differing, 0, "rounds"), ("rounds without a sample", empty, 0, "rounds")]
