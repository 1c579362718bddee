#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make stat: are estimates unbiased, and do the intervals hold? accuracy_check.py [--rounds N] [DISTRIBUTION...]

Five distributions of sizes at four intervals, each estimated some hundred times; by place and in total. Seeds are fixed, so a
result repeats to the last digit. Bounds leave four standard deviations of what the number of trials allows, so that they also
hold for other seeds: what fails is the estimator.
"""
import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import judged  # noqa: E402
import measure  # noqa: E402
import peers  # noqa: E402
import trials  # noqa: E402

INTERVALS = (4 << 10, 32 << 10, 512 << 10, 4 << 20)
SAMPLES, KEEP_ONE_IN = 256, 4
# Sums of a hundred samples are not quite normal, and their variance is an estimate, too: intervals hold a little less often.
COVERAGE = {"total": (0.92, 0.955), "place": (0.90, 0.955)}
POOLED_ERROR_MAX = 0.003  # of the mean bias; else there were too few trials to tell


def cells(distributions, rounds):
    """A seed for each: sizes that grow with R would meet the same random numbers."""
    return [trials.Cell(distribution, interval, SAMPLES, KEEP_ONE_IN, rounds // (2 if interval > 1 << 20 else 1), seed=interval + number)
            for number, distribution in enumerate(distributions, 1) for interval in INTERVALS]


def judge_places(cell, one, name):
    return [judged.judge_place(one, name, place) for place in range(trials.PLACES)
            if judged.expected_samples(cell, name, place) >= judged.ENOUGH_SAMPLES]


def say_row(cell, name, total, places):
    pooled = judged.pool(places) if places else None
    by_place = f"{100 * pooled.bias:+7.2f}  {100 * pooled.coverage:5.1f}" if pooled else "      -      -"
    print(f"{cell.distribution:10} {cell.interval >> 10:5}K  {name:13} {100 * total.bias:+7.2f}  {100 * total.error_of_mean:5.2f}  "
          f"{total.variance_ratio:5.2f}  {100 * total.coverage:5.1f}  {by_place}", flush=True)


def problems_of_cell(cell, name, total):
    """One cell can tell little; see pooled_problems."""
    where = f"{cell.distribution}, R = {cell.interval}, {name}"
    if abs(total.bias) > judged.STANDARD_DEVIATIONS * total.error_of_mean:
        yield f"{where}: biased by {100 * total.bias:+.2f} %, which is {total.bias / total.error_of_mean:+.1f} standard errors"
    lowest = COVERAGE["total"][0] - judged.margin(0.05, total.trials) - 0.04
    if total.coverage < lowest:
        yield f"{where}: {100 * total.coverage:.1f} % of the intervals hold, less than {100 * lowest:.1f} %"


def pooled_problems(kind, name, many):
    pooled = judged.pool(many)
    print(f"all {kind:6} {name:13} bias {100 * pooled.bias:+.3f} % (standard error {100 * pooled.error_of_mean:.3f}), "
          f"{100 * pooled.coverage:.2f} % of {pooled.trials} intervals hold")
    low, high = COVERAGE[kind]
    room = judged.margin(0.05, pooled.trials)
    if pooled.error_of_mean > POOLED_ERROR_MAX and kind == "total" and name.startswith("alloc"):
        yield f"{kind} {name}: too few trials to tell"
    if abs(pooled.bias) > judged.STANDARD_DEVIATIONS * pooled.error_of_mean:
        yield f"{kind} {name}: biased by {100 * pooled.bias:+.3f} %"
    if not low - room <= pooled.coverage <= high + room:
        yield f"{kind} {name}: {100 * pooled.coverage:.2f} % of the intervals hold"


def check(results):
    """results: [(cell, Trials)], in order. Returns the problems."""
    problems, totals, places = [], {}, {}
    print(f"{'sizes':10} {'R':>6}  {'type':13} {'bias %':>7}  {'s.e.':>5}  {'V/var':>5}  {'held':>5}  {'a place':>7}  {'held':>5}")
    for cell, one in results:
        for name in trials.TYPES:
            total, by_place = judged.judge_total(one, name), judge_places(cell, one, name)
            say_row(cell, name, total, by_place)
            problems += problems_of_cell(cell, name, total)
            totals.setdefault(name, []).append(total)
            places.setdefault(name, []).extend(by_place)
    for kind, by_name in (("total", totals), ("place", places)):
        for name, many in by_name.items():
            if many:
                problems += pooled_problems(kind, name, many)
    return problems


def main():
    parser = argparse.ArgumentParser(description="Checks bias and intervals of heapprof's estimates.")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("distributions", nargs="*", default=list(trials.DISTRIBUTIONS))
    arguments = parser.parse_args()
    todo = cells(arguments.distributions, arguments.rounds)
    with measure.Bench([one for one in peers.all_contenders("") if one.name == "heapprof"]) as bench:
        problems = check(zip(todo, trials.run_all(bench, [("heapprof", cell) for cell in todo])))
    for problem in problems:
        print(f"make stat: {problem}", file=sys.stderr)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
