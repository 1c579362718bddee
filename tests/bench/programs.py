# SPDX-License-Identifier: MIT
"""What real programs pay at the default interval: CPU time and instructions, against the same program without."""
import collections
import concurrent.futures
import math
import random
import shutil
import statistics

import measure as measuring
import page as pages
import plot
import workloads

NAME = "programs"
TITLE = "Real programs"

ROUNDS = 24
SHORTER = 3  # the shorter run under callgrind is that part of the longer one
MEAN_GOAL, WORST_GOAL = 1.005, 1.01
CALLGRIND = ["valgrind", "--tool=callgrind", "--trace-children=yes", "--compress-strings=no", "--compress-pos=no"]
OURS = ("/libheapprof.so", "/libunwind")  # objects whose instructions are ours


def run(bench, contender, name, amount, folder, prefix=(), **settings):
    """The program under the contender."""
    prefix = [*prefix, *workloads.prefix_of(contender, folder, {**workloads.variables(name), **settings})]
    command = workloads.command(bench, name, amount, prefix, folder)
    done = measuring.run(command, bench.environment(bench.contenders["none"]), folder)
    if done.status != 0:
        raise measuring.Failed(f"{name} under {contender.name} ended with {done.status}: {done.err[-500:]}")
    return done


def cpu_s(bench, contender, name):
    folder = bench.folder()
    done = run(bench, contender, name, workloads.amount(name), folder)
    if contender.name == "heapprof" and not list(folder.glob("*.pb.gz")):
        raise measuring.Failed(f"{name} left no profile, so nothing was measured: {done.err[-500:]}")
    shutil.rmtree(folder, ignore_errors=True)
    return done.cpu_s - workloads.client_cpu_s(done)


def lower_third(values):
    """What else goes on in the machine only adds, and its clock has several speeds: the mean of the fastest rounds is nearest to the
    truth, and steadier than the fastest one."""
    return statistics.fmean(sorted(values)[:len(values) // 3])


def interval(ours, none, random):
    """95 %, by drawing rounds anew."""
    drawn = sorted(lower_third(random.choices(ours, k=len(ours))) / lower_third(random.choices(none, k=len(none))) for _ in range(2000))
    return [drawn[len(drawn) // 40], drawn[-len(drawn) // 40]]


def time_program(bench, name):
    """Alternately, the first of a round changing."""
    ours, none = bench.contenders["heapprof"], bench.contenders["none"]
    seconds = {"heapprof": [], "none": []}
    for turn in range(ROUNDS):
        for contender in (ours, none) if turn % 2 else (none, ours):
            seconds[contender.name].append(cpu_s(bench, contender, name))
    return {"seconds": lower_third(seconds["none"]), "ratio": lower_third(seconds["heapprof"]) / lower_third(seconds["none"]),
            "interval": interval(seconds["heapprof"], seconds["none"], random.Random(1))}


def instructions_by_object(text):
    """{object: its own instructions} of a callgrind file with whole names. The line after a call is what the callee took."""
    found = collections.Counter()
    of_object, is_callees = None, False
    for line in text.splitlines():
        if line.startswith("ob="):
            of_object = line[3:]
        elif line.startswith("calls="):
            is_callees = True
        elif line[:1].isdigit():
            found[of_object] += 0 if is_callees else int(line.split()[1])
            is_callees = False
    return found


def count(bench, name, amount):
    """(instructions in our code, in all other) of a run under us that writes no profile at its end."""
    folder = bench.folder()
    run(bench, bench.contenders["heapprof"], name, amount, folder, [*CALLGRIND, f"--callgrind-out-file={folder}/count.%p"],
        HEAPPROF_DUMP="signal")
    found = collections.Counter()
    for path in folder.glob("count.*"):
        found.update(instructions_by_object(path.read_text(errors="replace")))
    shutil.rmtree(folder, ignore_errors=True)
    ours = sum(number for path, number in found.items() if any(part in path for part in OURS))
    if ours == 0:
        raise measuring.Failed(f"callgrind counted none of our instructions in {name}")
    return ours, sum(found.values()) - ours


def count_program(bench, name):
    """By two lengths: what each unit of work pays, and what is paid once, for the start and places seen for the first time. What a
    program does differs from run to run where it depends on time, what part of it is our code hardly does."""
    long = workloads.counted_amount(name)
    (ours_short, others_short), (ours, others) = count(bench, name, long // SHORTER), count(bench, name, long)
    share = (ours - ours_short) / (others - others_short)
    return {"instructions": others - others_short, "instruction_ratio": 1 + share, "instructions_once": ours_short - share * others_short}


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
    rows = [[name, pages.number(one["seconds"], 2), pages.number(one["ratio"], 4), numbers(one["interval"]), *counted_cells(one)]
            for name, one in present.items()]
    counted = {name: one["instruction_ratio"] for name, one in present.items() if "instruction_ratio" in one}
    parts = [
        "Each program at its work with the profiler at its default interval, against without: CPU time of all its processes, from "
        f"start to end, with the profile it writes; of servers without their clients. {ROUNDS} rounds; what else the machine does only "
        "adds to times, so it is the means of the fastest third that are compared, with an interval of 95 % (bootstrap). Python has "
        "PYTHONMALLOC=malloc, g++ is its compiler proper (cc1plus). Instructions are those in libheapprof.so and libunwind against all "
        "others of the same run, as the difference of two shorter runs without a profile at the end; what is added once is the rest: the "
        "start, and places seen for the first time.\n",
        pages.table(["", "CPU s", "ratio of CPU time", "95 %", "instructions, millions", "ratio of instructions",
                         "added once, millions"], rows),
        *(f"{name}: {one['missing']}\n" for name, one in results.items() if one["missing"]),
        *(f"{name}: no instructions: {one['not_counted']}\n" for name, one in present.items() if "not_counted" in one),
        pages.plot("programs", "ratio of CPU time with the profiler to without"),
        f"The geometric mean of the ratios of CPU time has the interval {numbers(mean_interval(present))}.\n",
    ]
    parts.append(goals("CPU time", {name: one["ratio"] for name, one in present.items()}) + goals("instructions", counted))
    return "\n".join(parts)


def numbers(interval):
    return " - ".join(pages.number(end, 4) for end in interval)


def mean_interval(present):
    """Of the geometric mean: the programs were measured independently of each other."""
    logs = [[math.log(end) for end in one["interval"]] for one in present.values()]
    middle = statistics.fmean(math.log(one["ratio"]) for one in present.values())
    half = math.sqrt(sum(((high - low) / 2) ** 2 for low, high in logs)) / len(logs)
    return math.exp(middle - half), math.exp(middle + half)


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
        plot.dots(left, [(name, {"median": one["ratio"], "low": one["interval"][0], "high": one["interval"][1]})
                         for name, one in present.items()], "ratio of CPU time", mark=WORST_GOAL)
        plot.dots(right, [(name if "instruction_ratio" in one else f"{name}: not counted", one.get("instruction_ratio", 1))
                          for name, one in present.items()], "ratio of instructions", mark=WORST_GOAL)
