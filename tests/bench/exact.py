# SPDX-License-Identifier: MIT
"""Recording every allocation (R = 1), against the profilers that always do: CPU time, what they write, and memory."""
import shutil

import measure as measuring
import page as pages
import plot
import workloads

NAME = "exact"
TITLE = "Exact mode"

ROUNDS = 3
CONTENDERS = {"none": "no profiler", "heapprof_exact": "heapprof, R = 1", "heaptrack_whole": "heaptrack",
              "heapprofile": "gperftools HEAPPROFILE"}
# How much work: a tenth of a second and more; HEAPPROFILE makes up to thirty times that of it.
AMOUNTS = {"g++": 2, "redis-server": 15_000, "sqlite3": 8_000, "python3": 4_000}
CPU_GOAL = 1 / 3   # of heaptrack's
SLOW = ("heapprofile",)  # runs once
LONGER = 3         # times as much work ...
GROWTH_GOAL = 1.1  # ... may make the profile so much larger: counts have more digits, and a few places are new


def run(bench, contender, name, amount, watch=False):
    """CPU time of all processes but the servers' clients, bytes written, peak memory of all processes together."""
    folder = bench.folder()
    written = folder / "written"
    written.mkdir()
    prefix = workloads.prefix_of(contender, written, workloads.variables(name))
    done = measuring.run(workloads.command(bench, name, amount, prefix, folder), bench.environment(bench.contenders["none"]), folder, watch)
    files = [path for path in written.rglob("*") if path.is_file()]
    if done.status != 0 or (contender.name != "none" and not files):
        raise measuring.Failed(f"{name} under {contender.name} ended with {done.status}, files {files}: {done.err[-500:]}")
    size = sum(path.stat().st_size for path in files)
    shutil.rmtree(folder, ignore_errors=True)
    return done.cpu_s - workloads.client_cpu_s(done), size, done.tree_peak_bytes


def measure_program(bench, name):
    contenders, amount = bench.available(*CONTENDERS), AMOUNTS[name]
    found = {contender.name: [] for contender in contenders}
    for turn in range(ROUNDS):
        shift = turn % len(contenders)
        for contender in contenders[shift:] + contenders[:shift]:
            if turn == 0 or contender.name not in SLOW:
                found[contender.name].append(run(bench, contender, name, amount))
    results = {}
    for contender in contenders:
        runs = found[contender.name]
        longer = None if contender.name in SLOW else run(bench, contender, name, LONGER * amount)[1]
        results[contender.name] = {
            "cpu_s": measuring.summary([cpu_s for cpu_s, _, _ in runs]), "bytes": runs[-1][1], "bytes_longer": longer,
            "peak_bytes": run(bench, contender, name, amount, watch=True)[2],
            "ratio": measuring.ratios([cpu_s for cpu_s, _, _ in runs], [cpu_s for cpu_s, _, _ in found["none"]])}
    return results


def measure(bench):
    found = {}
    for name in AMOUNTS:
        found[name] = {"missing": workloads.missing(name)}
        if found[name]["missing"] is None:
            bench.say(f"exact: {name}")
            found[name]["contenders"] = measure_program(bench, name)
    return found


def of_present(results):
    return {name: one["contenders"] for name, one in results.items() if one["missing"] is None}


def share_of_heaptrack(found):
    """CPU time that the profiler adds, as a part of what heaptrack adds; None without heaptrack."""
    if "heaptrack_whole" not in found:
        return None
    plain, ours, theirs = (found[name]["cpu_s"]["median"] for name in ("none", "heapprof_exact", "heaptrack_whole"))
    return (ours - plain) / (theirs - plain)


def page(results):
    present = of_present(results)
    rows = [[name, CONTENDERS[contender], pages.spread(one["cpu_s"], 2), pages.number(one["ratio"]["median"], 2),
             pages.human_bytes(one["bytes"]),
             pages.human_bytes(one["bytes_longer"]) if one["bytes_longer"] else "-",
             pages.human_bytes(one["peak_bytes"])]
            for name, found in present.items() for contender, one in found.items()]
    parts = [
        "CPU time is that of all processes, heaptrack's interpreter and compressor among them, without the clients of a server. Peak "
        "memory is that of all processes together (private pages, in a run of its own). Written: profiles and traces, and again for "
        f"{LONGER} times the work.\n",
        pages.table(["", "", "CPU s", "ratio to none", "written", f"written, {LONGER} times the work", "peak memory"], rows),
        *(f"{name}: {one['missing']}\n" for name, one in results.items() if one["missing"]),
        pages.plot("exact", "CPU time with a profiler that records every allocation, to without"),
    ]
    for name, found in present.items():
        ours = found["heapprof_exact"]
        share = share_of_heaptrack(found)
        parts.append(pages.goal(f"{name}: CPU time added, as a part of what heaptrack adds", share, CPU_GOAL, "", digits=3)
                     + pages.goal(f"{name}: size of the profile for {LONGER} times the work, to its size",
                                  ours["bytes_longer"] / ours["bytes"], GROWTH_GOAL, "", digits=3))
    return "\n".join(parts)


def plots(results, folder):
    present = of_present(results)
    with plot.figure(folder / "exact.svg", columns=2, width_in=9, height_in=4.2) as (left, right):
        rows = [(f"{name}: {CONTENDERS[contender]}", found[contender])
                for name, found in present.items() for contender in found if contender != "none"]
        plot.dots(left, [(label, one["ratio"]) for label, one in rows], "ratio of CPU time", log=True)
        plot.dots(right, [("", one["bytes"] / 1024) for _, one in rows], "KiB written", log=True)
