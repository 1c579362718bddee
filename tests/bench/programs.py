# SPDX-License-Identifier: MIT
"""What real programs pay at the default interval: CPU time and instructions, against the same program without."""
import collections
import concurrent.futures
import math
import random
import shutil
import statistics
import subprocess

import measure as measuring
import page as pages
import plot
import workloads

NAME = "programs"
TITLE = "Real programs"

ROUNDS = 15
SHORTER = 3  # the shorter run under callgrind is that part of the longer one
MEAN_GOAL, WORST_GOAL = 1.005, 1.01
CALLGRIND = ["valgrind", "--tool=callgrind", "--trace-children=yes", "--compress-strings=no", "--compress-pos=no"]
OURS = ("/libheapprof.so", "/libunwind")  # objects whose instructions are ours
SHORT_RUNS, LONG_RUNS, LONGER = 5, 2, 4  # under perf; long runs do LONGER times the work
SAMPLES_PER_S = 5000
PERF = ["perf", "record", "--quiet", "--call-graph=fp", "--event=cpu-clock", f"--freq={SAMPLES_PER_S}"]


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


def owner(chain):
    """The object that a sample of time belongs to: the kernel works for whoever called it."""
    for frame in chain.strip().splitlines():
        place = frame.strip().rpartition(" (")[2].rstrip(")")
        if not place.startswith("[kernel"):
            return place
    return ""


def sample_times(bench, name, amount, runs):
    """[(samples of time in our code, in all other)] of runs under us."""
    counted = []
    for _ in range(runs):
        folder = bench.folder()
        run(bench, bench.contenders["heapprof"], name, amount, folder, [*PERF, f"--output={folder}/times", "--"])
        script = subprocess.run(["perf", "script", "--force", "-i", folder / "times", "-F", "ip,dso"], stdout=subprocess.PIPE,
                                stderr=subprocess.DEVNULL, text=True, errors="replace")
        owners = [owner(chain) for chain in script.stdout.split("\n\n") if chain.strip()]
        ours = sum(any(part in place for part in OURS) for place in owners)
        counted.append((ours, len(owners) - ours))
        shutil.rmtree(folder, ignore_errors=True)
    if sum(ours for ours, _ in counted) == 0:
        raise measuring.Failed("perf record gave no sample of our code")
    return counted


def part_of_time(bench, name):
    """What part of the time passes in our code, from within runs: differences between runs drown in noise. From start to end, for more
    work, and once. The errors are those of counts, 95 %."""
    amount = workloads.amount(name)
    short = [statistics.fmean(column) for column in zip(*sample_times(bench, name, amount, SHORT_RUNS))]
    long = [statistics.fmean(column) for column in zip(*sample_times(bench, name, LONGER * amount, LONG_RUNS))]
    share, others = (long[0] - short[0]) / (long[1] - short[1]), long[1] - short[1]
    return {"whole": short[0] / short[1], "whole_error": 1.96 * math.sqrt(short[0] / SHORT_RUNS) / short[1],
            "more": share, "more_error": 1.96 * math.sqrt(long[0] / LONG_RUNS + short[0] / SHORT_RUNS) / others,
            "once_ms": 1000 * (short[0] - share * short[1]) / SAMPLES_PER_S}


def part_of_time_if_possible(bench, name):
    try:
        return part_of_time(bench, name)
    except (measuring.Failed, OSError) as failure:
        return {"not_sampled": str(failure)}


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
        HEAPPROF_DUMP="signal", HEAPPROF_SEED="1")
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
    return {"instructions": others - others_short, "instruction_share": share, "instructions_once": ours_short - share * others_short}


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
        found[name].update(part_of_time_if_possible(bench, name))
    bench.say("programs: instructions")
    with concurrent.futures.ThreadPoolExecutor(2) as pool:  # counts do not mind company
        for name, counted in zip(present, pool.map(lambda name: count_if_possible(bench, name), present)):
            found[name].update(counted)
    return found


def of_present(results):
    return {name: one for name, one in results.items() if one["missing"] is None}


def page(results):
    present = of_present(results)
    rows = [[name, pages.number(one["seconds"], 2), f"{pages.number(one['ratio'], 3)} ({numbers(one['interval'])})", *time_cells(one),
             *counted_cells(one)] for name, one in present.items()]
    parts = [
        "Each program at its work with the profiler at its default interval: CPU time of all its processes, from start to end, with the "
        "profile it writes; of servers without their clients. Python has PYTHONMALLOC=malloc, g++ is its compiler proper (cc1plus).\n",
        f"- Ratio of CPU time to the same without: {ROUNDS} rounds. What else the machine does only adds to times, so it is the means of "
        "the fastest third that are compared, with an interval of 95 % (bootstrap). Where runs differ by half, as on shared machines, it "
        "says little.\n"
        f"- Time in the profiler: samples of perf's clock in libheapprof.so and libunwind, or in the kernel for them, to all others, of "
        f"{SHORT_RUNS} runs; for more work by the difference to runs of {LONGER} times the work; what is left is paid once, for the "
        "start, places seen for the first time, and the profile at the end. It does not hold what others pay (caches, libc's functions "
        "that we call), but no noise of the machine either.\n"
        "- Instructions in the profiler: the same by callgrind, from two shorter runs, without a profile at the end.\n",
        pages.table(["", "CPU s", "ratio of CPU time", "time in the profiler, whole run", "for more work", "once, ms",
                     "instructions, millions", "instructions in the profiler, for more work", "once, millions"], rows),
        *(f"{name}: {one['missing']}\n" for name, one in results.items() if one["missing"]),
        *(f"{name}: time not sampled: {one['not_sampled']}\n" for name, one in present.items() if "not_sampled" in one),
        *(f"{name}: no instructions: {one['not_counted']}\n" for name, one in present.items() if "not_counted" in one),
        pages.plot("programs", "1 + the part of time and of instructions that passes in the profiler"),
        f"The geometric mean of the ratios of CPU time has the interval {numbers(mean_interval(present))}.\n",
    ]
    judged = {"whole": "1 + time in the profiler, whole run", "more": "1 + time in the profiler, for more work",
              "instruction_share": "1 + instructions in the profiler, for more work"}
    parts += [goals(what, {name: 1 + one[key] for name, one in present.items() if key in one}) for key, what in judged.items()]
    return "\n".join(parts)


def numbers(interval):
    return " - ".join(pages.number(end, 3) for end in interval)


def percent(share, error):
    return f"{100 * share:.2f} ± {100 * error:.2f} %"


def time_cells(one):
    if "whole" not in one:
        return ["-", "-", "-"]
    return [percent(one["whole"], one["whole_error"]), percent(one["more"], one["more_error"]), pages.number(one["once_ms"], 1)]


def mean_interval(present):
    """Of the geometric mean: the programs were measured independently of each other."""
    logs = [[math.log(end) for end in one["interval"]] for one in present.values()]
    middle = statistics.fmean(math.log(one["ratio"]) for one in present.values())
    half = math.sqrt(sum(((high - low) / 2) ** 2 for low, high in logs)) / len(logs)
    return math.exp(middle - half), math.exp(middle + half)


def counted_cells(one):
    if "instruction_share" not in one:
        return ["-", "-", "-"]
    return [pages.number(one["instructions"] / 1e6, 0), f"{100 * one['instruction_share']:.2f} %",
            pages.number(one["instructions_once"] / 1e6, 1)]


def goals(what, ratios):
    if not ratios:
        return ""
    worst = max(ratios, key=ratios.get)
    return (pages.goal(f"geometric mean of {what}", measuring.geometric_mean(ratios.values()), MEAN_GOAL, "", digits=4)
            + pages.goal(f"the worst of {what} ({worst})", ratios[worst], WORST_GOAL, "", digits=4))


def plots(results, folder):
    present = of_present(results)
    with plot.figure(folder / "programs.svg", columns=2, width_in=9) as (left, right):
        plot.dots(left, [(name, {"median": 1 + one["whole"], "low": 1 + one["whole"] - one["whole_error"],
                                 "high": 1 + one["whole"] + one["whole_error"]}) for name, one in present.items() if "whole" in one],
                  "1 + time in the profiler, whole run", mark=WORST_GOAL)
        plot.dots(right, [(name, 1 + one["instruction_share"]) for name, one in present.items() if "instruction_share" in one],
                  "1 + instructions in the profiler, for more work", mark=WORST_GOAL)
