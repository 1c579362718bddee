# SPDX-License-Identifier: MIT
"""Exact mode (R = 1) where it is dearest: many live objects, several threads."""
import re
import shutil
import statistics
import subprocess

import measure as measuring
import page as pages
import plot

NAME = "live"
TITLE = "Exact mode with many live objects, and in threads"

COUNTS = (1_000, 10_000, 100_000, 1_000_000, 3_000_000, 10_000_000)
PAIRS = 2_000_000
ROUNDS, ROUNDS_WITH_MANY, MANY = 3, 1, 3_000_000
CONTENDERS = ("none", "heapprof_exact", "heaptrack")  # heaptrack's library alone: what the program itself pays
ADDED_GOALS_NS = {1_000: 200, 10_000_000: 500}
BYTES_GOAL = 40

ROW_OBJECTS = 3_000_000
ROW_GOAL = 1 / 3  # of what heaptrack adds

THREADS_OBJECTS = 1_000
THREADS_GOAL = 1.2  # of one thread's CPU time for as many pairs
MAP_ROWS = {1: (1, 100_000, 4), 2: (2, 100_000, 2), 6: (6, 100_000, 2)}  # threads: arguments of map.rs
MAP_GOAL = 3


def printed(run, name):
    return float(re.search(rf"^{name} (\S+)$", run.out, re.MULTILINE)[1])


def victim(bench):
    return bench.build("live.c")


# Objects that are replaced at random.

def replace_at_random(bench, contenders, threads, objects, pairs, rounds):
    """{contender: ns of a pair, and resident bytes}."""
    runs = bench.interleaved(contenders, [victim(bench), "random", threads, objects, pairs], rounds)
    return {name: {"ns": measuring.summary([printed(run, "pair_ns") for run in many]),
                   "resident_bytes": statistics.median(printed(run, "resident") for run in many) * 1024}
            for name, many in runs.items()}


def measure_counts(bench):
    contenders, rows = bench.available(*CONTENDERS), []
    for count in COUNTS:
        bench.say(f"live: {count:,} objects")
        rows.append({"count": count, "contenders": replace_at_random(bench, contenders, 1, count, PAIRS,
                                                                     ROUNDS_WITH_MANY if count >= MANY else ROUNDS)})
    return rows


def added_ns(row, contender):
    found = row["contenders"]
    return found[contender]["ns"]["median"] - found["none"]["ns"]["median"] if contender in found else None


def bytes_a_piece(row):
    found = row["contenders"]
    return (found["heapprof_exact"]["resident_bytes"] - found["none"]["resident_bytes"]) / row["count"]


# Objects that are made, then freed in order: all processes, the interpreter and the profile at the end among them.

def measure_row(bench):
    runs = bench.interleaved(bench.available("none", "heapprof_exact", "heaptrack_whole"), [victim(bench), "row", ROW_OBJECTS], ROUNDS)
    return {name: measuring.summary([run.cpu_s for run in many]) for name, many in runs.items()}


def share_of_heaptrack(row):
    if "heaptrack_whole" not in row:
        return None
    none, ours, theirs = (row[name]["median"] for name in ("none", "heapprof_exact", "heaptrack_whole"))
    return (ours - none) / (theirs - none)


# Threads.

def measure_threads(bench):
    """As many pairs, by one thread and by two."""
    contenders = bench.available("none", "heapprof_exact")
    return {threads: replace_at_random(bench, contenders, threads, THREADS_OBJECTS, PAIRS // threads, ROUNDS) for threads in (1, 2)}


def two_to_one(threads, contender):
    return threads["2"][contender]["ns"]["median"] / threads["1"][contender]["ns"]["median"]


def build_map(bench):
    result = bench.built / "map"
    built = subprocess.run(["rustc", "-O", "-o", result, measuring.HERE / "map.rs"], capture_output=True, text=True)
    if built.returncode:
        raise measuring.Failed(f"map.rs does not compile: {built.stderr}")
    return result


def measure_map(bench):
    """{threads: {contender: CPU seconds}}; None without a Rust compiler."""
    if shutil.which("rustc") is None:
        return None
    program, contenders, rows = build_map(bench), bench.available("none", "heapprof_exact"), {}
    for threads, arguments in MAP_ROWS.items():
        runs = bench.interleaved(contenders, [program, *arguments], ROUNDS)
        cpu = {name: [run.cpu_s for run in many] for name, many in runs.items()}
        rows[threads] = {**{name: measuring.summary(values) for name, values in cpu.items()},
                         "ratio": measuring.ratios(cpu["heapprof_exact"], cpu["none"])}
    return rows


def measure(bench):
    threads = {str(number): found for number, found in measure_threads(bench).items()}  # as JSON has them
    maps = measure_map(bench)
    return {"counts": measure_counts(bench), "row": measure_row(bench), "threads": threads,
            "map": maps and {str(number): found for number, found in maps.items()}}


# What is written.

def counts_table(rows):
    return pages.table(["live objects", "no profiler", "heapprof, R = 1", "beyond no profiler", "heaptrack", "beyond no profiler",
                        "resident bytes of ours an object"],
                       [[f"{row['count']:,}", pages.spread(row["contenders"]["none"]["ns"]),
                         pages.spread(row["contenders"]["heapprof_exact"]["ns"]), pages.number(added_ns(row, "heapprof_exact")),
                         pages.spread(row["contenders"].get("heaptrack", {}).get("ns")), pages.number(added_ns(row, "heaptrack")),
                         pages.number(bytes_a_piece(row))] for row in rows])


def row_table(row):
    names = {"none": "no profiler", "heapprof_exact": "heapprof, R = 1", "heaptrack_whole": "heaptrack, with its interpreter"}
    return pages.table(["", "CPU s"], [[names[name], pages.spread(found, 2)] for name, found in row.items()])


def threads_table(threads):
    names = {"none": "no profiler", "heapprof_exact": "heapprof, R = 1"}
    return pages.table(["ns of CPU time a pair", "one thread", "two threads", "ratio"],
                       [[names[name], pages.spread(threads["1"][name]["ns"]), pages.spread(threads["2"][name]["ns"]),
                         pages.number(two_to_one(threads, name), 2)] for name in threads["1"]])


def map_table(rows):
    return pages.table(["threads", "no profiler, CPU s", "heapprof, R = 1", "ratio"],
                       [[number, pages.spread(row["none"], 2), pages.spread(row["heapprof_exact"], 2), pages.spread(row["ratio"], 2)]
                        for number, row in rows.items()])


def goals(results):
    lines = ""
    for row in results["counts"]:
        if row["count"] in ADDED_GOALS_NS:
            lines += pages.goal(f"{row['count']:,} live objects, ns beyond no profiler", added_ns(row, "heapprof_exact"),
                                ADDED_GOALS_NS[row["count"]], "ns")
    most = max(bytes_a_piece(row) for row in results["counts"] if row["count"] >= 100_000)
    lines += pages.goal("resident bytes of ours a live object, at the most from 100,000 on", most, BYTES_GOAL, "B")
    lines += pages.goal(f"{ROW_OBJECTS:,} blocks made, then freed: CPU time added, as a part of what heaptrack adds",
                        share_of_heaptrack(results["row"]), ROW_GOAL, "", digits=3)
    lines += pages.goal("CPU time of two threads to that of one for as many pairs", two_to_one(results["threads"], "heapprof_exact"),
                        THREADS_GOAL, "", digits=2)
    for number, row in (results["map"] or {}).items():
        lines += pages.goal(f"BTreeMap of 100,000 strings, threads: {number}, ratio of CPU time", row["ratio"]["median"], MAP_GOAL, "",
                            digits=2)
    return lines


def page(results):
    maps = map_table(results["map"]) if results["map"] else "Not measured: rustc is not installed.\n"
    return f"""ns of CPU time of a pair: an object chosen at random is freed and another one allocated, of 16 to 215 bytes, in a heap
that holds so many. heaptrack is its library alone, without the interpreter.

{counts_table(results["counts"])}
{pages.plot("live", "ns of a pair of free and malloc, against live objects")}
{ROW_OBJECTS:,} blocks of 40 bytes, made, then freed in the same order; the whole command, with heaptrack's interpreter and our profile:

{row_table(results["row"])}
{THREADS_OBJECTS:,} objects a thread, all replaced from one place; the same number of pairs by one thread and by two:

{threads_table(results["threads"])}
Rust, a BTreeMap of 100,000 strings in each thread, built, half emptied and dropped (map.rs):

{maps}
{goals(results)}"""


def plots(results, folder):
    labels = {"none": "no profiler", "heapprof_exact": "heapprof, R = 1", "heaptrack": "heaptrack"}
    with plot.figure(folder / "live.svg") as axes:
        series = {label: [(row["count"], row["contenders"][name]["ns"]["median"]) for row in results["counts"]
                          if name in row["contenders"]] for name, label in labels.items()}
        plot.lines(axes, {label: points for label, points in series.items() if points}, "live objects", "ns", log_x=True, log_y=True)
