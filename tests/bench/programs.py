# SPDX-License-Identifier: MIT
"""What real programs pay at the default interval: CPU time and instructions, against the same program without."""
import concurrent.futures
import shutil

import measure as measuring
import page as pages
import plot
import workloads

NAME = "programs"
TITLE = "Real programs"

ROUNDS = 15
SHORTER = 3  # the shorter run under callgrind is that part of the longer one
REPEATS_WITHIN = 0.003  # counts of the same run that differ by more, without us, say nothing about us
MEAN_GOAL, WORST_GOAL = 1.005, 1.01
CALLGRIND = ["valgrind", "--tool=callgrind", "--trace-children=yes", "--callgrind-out-file=/dev/null"]  # counts go to its log


def run(bench, contender, name, amount, folder, prefix=()):
    """The program under the contender. It must leave a profile if that is ours: otherwise nothing was measured."""
    prefix = [*prefix, *workloads.prefix_of(contender, folder, workloads.variables(name))]
    command = workloads.command(bench, name, amount, prefix, folder)
    done = measuring.run(command, bench.environment(bench.contenders["none"]), folder)
    if done.status != 0:
        raise measuring.Failed(f"{name} under {contender.name} ended with {done.status}: {done.err[-500:]}")
    if contender.name.startswith("heapprof") and contender.name != "heapprofile" and not list(folder.glob("*.pb.gz")):
        raise measuring.Failed(f"{name} left no profile: {done.err[-500:]}")
    return done


def cpu_s(bench, contender, name):
    folder = bench.folder()
    done = run(bench, contender, name, workloads.amount(name), folder)
    shutil.rmtree(folder, ignore_errors=True)
    return done.cpu_s - workloads.client_cpu_s(done)


def time_program(bench, name):
    """Alternately, the first of a round changing. What else goes on in the machine only adds: the least of each is nearest to the
    truth, and the spread of the rounds says how near."""
    ours, none = bench.contenders["heapprof"], bench.contenders["none"]
    seconds = {"heapprof": [], "none": []}
    for turn in range(ROUNDS):
        for contender in (ours, none) if turn % 2 else (none, ours):
            seconds[contender.name].append(cpu_s(bench, contender, name))
    return {"seconds": measuring.summary(seconds["none"]), "ratio": measuring.ratios(seconds["heapprof"], seconds["none"]),
            "ratio_of_least": min(seconds["heapprof"]) / min(seconds["none"])}


def count(bench, contender, name, amount):
    folder = bench.folder()
    run(bench, contender, name, amount, folder, prefix=[*CALLGRIND, f"--log-file={folder}/count.%p"])
    total = sum(sum(measuring.collected(path.read_text(errors="replace"))) for path in folder.glob("count.*"))
    shutil.rmtree(folder, ignore_errors=True)
    if total == 0:
        raise measuring.Failed(f"callgrind counted nothing in {name}")
    return total


def count_program(bench, name):
    """By two lengths: the ratio for more work, and what is added once (start, places seen for the first time, the profile)."""
    long = workloads.counted_amount(name)
    short = long // SHORTER
    counted = {contender: [count(bench, bench.contenders[contender], name, amount) for amount in (short, long)]
               for contender in ("none", "heapprof")}
    again = count(bench, bench.contenders["none"], name, long)
    difference = abs(again / counted["none"][1] - 1)
    if difference > REPEATS_WITHIN:
        raise measuring.Failed(f"without us two runs differ by {100 * difference:.1f} %")
    ratio = (counted["heapprof"][1] - counted["heapprof"][0]) / (counted["none"][1] - counted["none"][0])
    once = counted["heapprof"][0] - counted["none"][0] * ratio
    return {"instructions": counted["none"][1] - counted["none"][0], "instruction_ratio": ratio, "instructions_once": once}


def count_if_possible(bench, name):
    """Not every program runs under valgrind, everywhere."""
    try:
        return count_program(bench, name)
    except measuring.Failed as failure:
        return {"not_counted": str(failure)}


def measure(bench):
    found = {name: {"missing": workloads.missing(name)} for name in workloads.WORKLOADS}
    present = [name for name, one in found.items() if one["missing"] is None]
    for name in present:
        bench.say(f"programs: {name}")
        found[name].update(time_program(bench, name))
    bench.say("programs: instructions")
    with concurrent.futures.ThreadPoolExecutor(2) as pool:  # counts do not mind company
        for name, counted in zip(present, pool.map(lambda name: count_if_possible(bench, name), present)):
            found[name].update(counted)
    return found


def of_present(results):
    return {name: one for name, one in results.items() if one["missing"] is None}


def page(results):
    present = of_present(results)
    rows = [[name, pages.number(one["seconds"]["median"], 2), pages.number(one["ratio_of_least"], 4), pages.spread(one["ratio"], 4),
             *counted_cells(one)] for name, one in present.items()]
    ratios = {name: one["ratio_of_least"] for name, one in present.items()}
    counted = {name: one["instruction_ratio"] for name, one in present.items() if "instruction_ratio" in one}
    parts = [
        "Each program at its work with the profiler at its default interval, against without: CPU time of all its processes, from "
        "start to end, with the profile it writes; of servers without their clients. What else the machine does only adds to times: "
        "first the least of all rounds against the least, then the median of the rounds. Python has PYTHONMALLOC=malloc, g++ is its "
        "compiler proper (cc1plus). Instructions are the difference of two shorter runs; what is added once is the rest: the start, "
        "places seen for the first time, and the profile at the end.\n",
        pages.table(["", "CPU s", "ratio of CPU time, least", "median of rounds", "instructions, millions", "ratio of instructions",
                         "added once, millions"], rows),
        *(f"{name}: {one['missing']}\n" for name, one in results.items() if one["missing"]),
        *(f"{name}: no instructions: {one['not_counted']}\n" for name, one in present.items() if "not_counted" in one),
        pages.plot("programs", "ratio of CPU time with the profiler to without"),
    ]
    parts.append(goals("CPU time", ratios) + goals("instructions", counted))
    return "\n".join(parts)


def counted_cells(one):
    if "instruction_ratio" not in one:
        return ["-", "-", "-"]
    return [pages.number(one["instructions"] / 1e6, 0), pages.number(one["instruction_ratio"], 4),
            pages.number(one["instructions_once"] / 1e6, 1)]


def goals(what, ratios):
    if not ratios:
        return ""
    worst = max(ratios, key=ratios.get)
    return (pages.goal(f"geometric mean of the ratios of {what}", measuring.geometric_mean(ratios.values()), MEAN_GOAL, "", digits=4)
            + pages.goal(f"the worst ratio of {what} ({worst})", ratios[worst], WORST_GOAL, "", digits=4))


def plots(results, folder):
    present = of_present(results)
    with plot.figure(folder / "programs.svg", columns=2, width_in=9) as (left, right):
        plot.dots(left, [(name, one["ratio"]) for name, one in present.items()], "ratio of CPU time", mark=WORST_GOAL)
        plot.dots(right, [(name if "instruction_ratio" in one else f"{name}: not counted", one.get("instruction_ratio", 1))
                          for name, one in present.items()], "ratio of instructions", mark=WORST_GOAL)
