# SPDX-License-Identifier: MIT
"""What starting a program under the profiler costs, where it never samples, and what programs that start others pay."""
import collections
import pathlib
import random
import re
import shutil
import subprocess
import tempfile

import measure as measuring
import page as pages
import plot
import programs

NAME = "start"
TITLE = "Starting programs"

SPAWNS = 800
ROUNDS = 3
BEYOND_EMPTY_GOAL_US, CALLS_GOAL, CPU_GOAL = 120, 15, 1.03
CONTENDERS = ("none", "empty", "heapprof")
NEVER = 64 << 30  # an interval at which nothing is sampled
INSTRUCTIONS_LIMIT = 80_000  # outside of the kernel, beyond an empty preload

SCRIPT = r"""#!/bin/sh
set -eu
name=$(basename "$0" .sh)
folder=$(dirname "$0")
lines=$(wc -l <"$0")
for word in $(sed -n 's/^\([a-z]*\)=.*/\1/p' "$0"); do
  test "$word" = folder && echo "$name: $word in $folder, $lines lines" | tr a-z A-Z
done
exit 0
"""

SOURCE = r"""#include <stdio.h>
#include <stdlib.h>

struct node { struct node *next; int value; };

int work_NUMBER(int count)
{
  struct node *list = NULL;
  int sum = 0;
  for (int i = 0; i < count; i++) {
    struct node *node = malloc(sizeof *node);
    *node = (struct node){list, i + NUMBER};
    list = node;
  }
  for (struct node *next; list != NULL; list = next) {
    next = list->next;
    sum += list->value;
    free(list);
  }
  printf("%d\n", sum);
  return sum;
}
"""
MAKEFILE = "objects := $(patsubst %.c,%.o,$(wildcard *.c))\nall: $(objects)\n%.o: %.c\n\t@gcc -c -o $@ $<\n"


def make_script(folder):
    (folder / "script.sh").write_text(SCRIPT)
    (folder / "script.sh").chmod(0o755)


def make_sources(folder):
    for number in range(300):
        (folder / f"work_{number}.c").write_text(SOURCE.replace("NUMBER", str(number)))
    (folder / "Makefile").write_text(MAKEFILE)


Workload = collections.namedtuple("Workload", "label prepare command")
WORKLOADS = [
    Workload("500 times a script of seven programs", make_script,
             ["sh", "-c", "i=0; while [ $i -lt 500 ]; do ./script.sh >/dev/null; i=$((i + 1)); done"]),
    Workload("make of 300 small C files", make_sources, ["make", "-s"]),
]
VARIANTS = [("none", {}), ("empty", {}), ("heapprof", {"HEAPPROF_SAMPLE": NEVER}), ("heapprof", {})]


def spawn(bench):
    """{contender: (ns of each spawn, pages that each touched first)}, in turns."""
    words = [bench.build("spawn.c"), SPAWNS, "/bin/true", *(bench.contenders[name].library or "" for name in CONTENDERS)]
    done = bench.run(bench.contenders["none"], words, HEAPPROF_STATE_DIR="/dev/shm")
    found = {name: ([], []) for name in CONTENDERS}
    for line in done.out.splitlines():
        number, ns, pages_touched = map(int, line.split())
        for values, value in zip(found[CONTENDERS[number]], (ns, pages_touched)):
            values.append(value)
    return found


def system_calls(bench, name):
    """None: strace may not trace here."""
    if shutil.which("strace") is None:
        return None
    contender, folder = bench.contenders[name], bench.folder()
    preload = ["-E", f"LD_PRELOAD={contender.library}"] if contender.library else []
    done = subprocess.run(["strace", "-f", "-o", folder / "trace", *preload, "/bin/true"], capture_output=True,
                          env=bench.environment(bench.contenders["none"], folder, HEAPPROF_STATE_DIR=folder))
    return len(re.findall(r"^\d+ +\w+\(", (folder / "trace").read_text(), re.MULTILINE)) if done.returncode == 0 else None


def instructions(bench, name):
    return bench.instructions_in_all(["/bin/true"], bench.environment(bench.contenders[name]))


def cpu_times(bench, workload):
    """For each variant the CPU seconds of each round: all processes, from start to end, with the profiles they write."""
    seconds = [[] for _ in VARIANTS]
    for turn in range(ROUNDS):
        for i in range(len(VARIANTS)):
            number = (turn + i) % len(VARIANTS)
            name, settings = VARIANTS[number]
            with tempfile.TemporaryDirectory(dir="/dev/shm") as memory:  # a disk's time depends on what was removed before
                folder, out = pathlib.Path(memory, "work"), pathlib.Path(memory, "out")
                folder.mkdir(), out.mkdir()
                workload.prepare(folder)
                files = {"HEAPPROF_STATE_DIR": out, "HEAPPROF_OUT": f"{out}/%e.%p.%n.pb.gz"} if name == "heapprof" else {}
                seconds[number].append(bench.run(bench.contenders[name], workload.command, cwd=folder, **files, **settings).cpu_s)
    return seconds


def compare(seconds, base):
    """As in programs.py: what else the machine does only adds."""
    return {"seconds": programs.lower_third(seconds), "ratio": programs.lower_third(seconds) / programs.lower_third(base),
            "interval": programs.interval(seconds, base, random.Random(1))}


def measure(bench):
    found = {"spawns": {}, "calls": {}, "instructions": {}, "cpu": {}}
    for name, (times_ns, touched) in spawn(bench).items():
        found["spawns"][name] = {"us": measuring.summary([ns / 1e3 for ns in times_ns]), "pages": measuring.summary(touched)}
        found["calls"][name] = system_calls(bench, name)
        found["instructions"][name] = instructions(bench, name)
    for workload in WORKLOADS:
        bench.say(f"start: {workload.label}")
        seconds = cpu_times(bench, workload)
        found["cpu"][workload.label] = [{"to_none": compare(of_one, seconds[0]), "to_empty": compare(of_one, seconds[1])} for of_one in seconds]
    return found


def beyond(values, name="heapprof"):
    """What it takes more than an empty preload; None: not known."""
    return None if None in (values[name], values["empty"]) else values[name] - values["empty"]


def label(variant):
    name, settings = variant
    return {"none": "no preload", "empty": "empty preload"}.get(name, "heapprof, nothing sampled" if settings else "heapprof")


def ratio(one):
    return f"{pages.number(one['ratio'], 3)} ({programs.numbers(one['interval'])})"


def page(results):
    labels = {name: label((name, {})) for name in CONTENDERS}
    medians = {name: one["us"]["median"] for name, one in results["spawns"].items()}
    starts = [[labels[name], pages.spread(results["spawns"][name]["us"], 0), pages.number(results["spawns"][name]["pages"]["median"], 0),
               pages.number(results["calls"][name], 0), pages.number(results["instructions"][name], 0)] for name in CONTENDERS]
    rows = [[what if i == 0 else "", label(variant), pages.number(one["to_none"]["seconds"], 2), ratio(one["to_none"]),
             ratio(one["to_empty"])]
            for what, variants in results["cpu"].items() for i, (variant, one) in enumerate(zip(VARIANTS, variants))]
    goals = [pages.goal("a start, beyond an empty preload", beyond(medians), BEYOND_EMPTY_GOAL_US, "us", 0),
             pages.goal("system calls of ours", beyond(results["calls"]), CALLS_GOAL, "", 0),
             *(pages.goal(f"{what}, ratio of CPU time to no preload", variants[-1]["to_none"]["ratio"], CPU_GOAL, "", 3)
               for what, variants in results["cpu"].items())]
    return f"""{SPAWNS} spawns of `true` each, in turns: posix_spawn to the end of the program. Page faults are those of the program and
its loader; instructions are those outside of the kernel.

{pages.table(["", "us", "page faults", "system calls", "instructions"], starts)}
Programs that start others: CPU time of all processes, with the profiles that they write, all files in memory; the means of the
fastest third of {ROUNDS} rounds, and their ratio with an interval of 95 %, as above. A compiler, its driver and its assembler allocate
enough to be sampled, and write a profile each; of the programs of the script one in ten does. The empty preload shows what the loader
takes for any library.

{pages.table(["", "", "CPU s", "ratio to no preload", "ratio to an empty one"], rows)}
{"".join(goals)}
{pages.plot("start", "From spawn to end of `true`")}"""


def plots(results, folder):
    with plot.figure(folder / "start.svg") as axes:
        plot.dots(axes, [(label((name, {})), results["spawns"][name]["us"]) for name in CONTENDERS], "us")


def quick(bench):
    calls = {name: system_calls(bench, name) for name in ("empty", "heapprof")}
    if None not in calls.values():
        yield "system calls beyond an empty preload", beyond(calls), CALLS_GOAL, "calls"
    counts = {name: instructions(bench, name) for name in ("empty", "heapprof")}
    yield "instructions beyond an empty preload", beyond(counts), INSTRUCTIONS_LIMIT, "instructions"
