# SPDX-License-Identifier: MIT
"""Memory and scale: own bytes, the pause of a dump, and what happens where something is full."""
import contextlib
import json
import os
import re
import shutil
import statistics
import subprocess
import time

import measure as measuring
import page as pages
import plot
from harness import lint, paths, pprof_reader

NAME = "scale"
TITLE = "Memory and scale"
GROWTH = {"live": (1_000, 10_000, 100_000, 1_000_000), "stacks": (100, 1_000, 10_000, 100_000, 1_000_000),
          "threads": (1, 10, 100, 1_000, 4_000)}
NAMES = {"live": "live samples", "stacks": "stacks", "threads": "threads"}
DUMPED_STACKS = (100, 1_000, 2_000, 10_000, 100_000)
HANDLER_GOAL_MS, HANDLER_GOAL_STACKS = 10, 2_000
SIGNALS = 5
OUTSIDE_ROUNDS = {2_000: 10, 100_000: 3}  # by stacks
NO_PAUSE_MS = 0.2  # what two such gaps differ by anyway
TOUCHING = ("ptrace,kill,tkill,tgkill,rt_sigqueueinfo,rt_tgsigqueueinfo,pidfd_send_signal,process_vm_readv,process_vm_writev,"
            "process_madvise")
FULL_FILE_SYSTEM_BYTES, FULL_STACKS = 1 << 20, 20_000
LIVE_LIMIT_BYTES, LIVE_OBJECTS = 60 << 20, 630_000  # where a table of 16 MiB has no room left, and the program has


def victim(bench):
    return bench.build(paths.TESTS / "victims/scale.c")


# What a profile knows of itself.

def info(path):
    done = subprocess.run([str(paths.TOOL), "info", "--json", str(path)], capture_output=True, text=True)
    if done.returncode != 0:
        raise measuring.Failed(f"heapprof info {path}: {done.stderr}")
    return json.loads(done.stdout)


def only_profile(folder):
    files = list(folder.glob("*.pb.gz"))
    if len(files) != 1:
        raise measuring.Failed(f"one profile expected, there are {len(files)}")
    return files[0]


# Own bytes.

def checked_info(path, what, count):
    """The victim has made what it should, as far as that shows: of small objects one in thousands is no sample."""
    told = info(path)
    made = {"live": told["samples"], "stacks": told["stacks"] + told["lost"]["stack_table"], "threads": told["samples"]}[what]
    if made < 0.99 * count:
        raise measuring.Failed(f"{made:,} {NAMES[what]} were made, not {count:,}")
    return told


def resident_bytes(run):
    return int(re.search(r"^resident (\d+)$", run.out, re.M)[1]) * 1024


def grow(bench, what, count):
    """Own bytes as the profile says, and by how much the resident set is larger than without us."""
    contenders = bench.available("none", "heapprof_dense")
    runs = bench.interleaved(contenders, [victim(bench), what, count], rounds=1 if count >= 100_000 else 3, keep=True,
                             HEAPPROF_STATE_DIR=None)
    told = checked_info(only_profile(runs["heapprof_dense"][0].folder), what, count)
    smallest = {name: min(resident_bytes(run) for run in many) for name, many in runs.items()}
    for run in [run for many in runs.values() for run in many]:
        shutil.rmtree(run.folder)
    return {"count": count, "own_bytes": told["own_bytes"], "resident_bytes": smallest["heapprof_dense"] - smallest["none"],
            "stacks": told["stacks"], "lost": told["lost"], "total": told["values"][0]["total"]}


# The pause.

def time_handlers(bench, stacks):
    """ns from the entry of the handler to its exit: by the clock, and of the thread's CPU time."""
    run = bench.run(bench.contenders["heapprof_dense"], [bench.build("scale_pause.c"), stacks, SIGNALS], HEAPPROF_DUMP="signal",
                    HEAPPROF_STATE_DIR=None)
    rows = [(int(wall), int(cpu)) for wall, cpu in re.findall(r"^handler_ns (\d+) cpu_ns (\d+)$", run.out, re.M)]
    files = list(run.folder.glob("*.pb.gz"))
    if len(rows) != SIGNALS or len(files) != SIGNALS:
        raise measuring.Failed(f"{SIGNALS} signals made {len(files)} profiles")
    checked_info(files[0], "stacks", stacks)
    size = statistics.median(path.stat().st_size for path in files)
    shutil.rmtree(run.folder)
    return {"wall_ms": measuring.summary([wall / 1e6 for wall, _ in rows]), "cpu_ms": measuring.summary([cpu / 1e6 for _, cpu in rows]),
            "bytes": size}


def gap_ms(target):
    """The longest since the last time that it was asked."""
    target.stdin.write("\n")
    target.stdin.flush()
    return int(re.fullmatch(r"gap_ns (\d+)\n", target.stdout.readline())[1]) / 1e6


def dump_from_outside(target, folder, prefix=()):
    """Runs beside the target, not on its core."""
    cores = sorted(os.sched_getaffinity(0))
    run = measuring.run(["taskset", "-c", ",".join(map(str, cores[1:] or cores)), *prefix, paths.TOOL, "dump", target.pid, "--force",
                         "-o", folder / "outside.pb.gz"], {**os.environ, "HEAPPROF_STATE_DIR": str(folder)}, folder)
    if run.status != 0:
        raise measuring.Failed(f"heapprof dump: {run.err}")
    return run


@contextlib.contextmanager
def watching(bench, stacks):
    """A target that reads the clock on a core of its own, and its folder."""
    folder = bench.folder()
    core = min(os.sched_getaffinity(0))
    environment = bench.environment(bench.contenders["heapprof_dense"], folder, HEAPPROF_DUMP="none")
    with subprocess.Popen(["taskset", "-c", str(core), bench.build("scale_pause.c"), str(stacks), "0"], env=environment, text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as target:
        if target.stdout.readline() != "watching\n":
            raise measuring.Failed("the target did not begin")
        yield target, folder
        target.stdin.close()
    shutil.rmtree(folder)


def outside(bench, stacks):
    """As long without dumps as three of them take, then three dumps; again and again."""
    without, with_dumps, dumps = [], [], []
    with watching(bench, stacks) as (target, folder):
        length_s = 3 * dump_from_outside(target, folder).wall_s
        checked_info(folder / "outside.pb.gz", "stacks", stacks)
        for _ in range(OUTSIDE_ROUNDS[stacks]):
            gap_ms(target)
            time.sleep(length_s)
            without.append(gap_ms(target))
            dumps += [dump_from_outside(target, folder).cpu_s * 1e3 for _ in range(3)]
            with_dumps.append(gap_ms(target))
    return {"gap_without_ms": measuring.summary(without), "least_without_ms": min(without),
            "gap_with_ms": measuring.summary(with_dumps), "least_with_ms": min(with_dumps), "dump_cpu_ms": measuring.summary(dumps)}


def calls_that_touch(bench):
    """System calls of the command that could reach into the target, as strace sees them."""
    if shutil.which("strace") is None:
        return None
    trace = bench.folder() / "trace"
    with watching(bench, 100) as (target, folder):
        dump_from_outside(target, folder, ("strace", "-f", "-o", str(trace), "-e", f"trace={TOUCHING}"))
    return sum("(" in line for line in trace.read_text().splitlines())


# Full.

def outcome(bench, arguments, wrapper=(), **settings):
    """The program with us, where something runs out: what its profile says, and whether it ended as without us."""
    command = [victim(bench), *map(str, arguments)]
    plain = bench.run(bench.contenders["none"], command)
    run = bench.run(bench.contenders["heapprof_dense"], lambda folder: [*(word.format(folder=folder) for word in wrapper), *command],
                    expect=None, **settings)
    path = only_profile(run.folder)
    told = info(path)
    problems = lint.lint(pprof_reader.load(path))
    shutil.rmtree(run.folder)
    return {"is_same": run.status == plain.status and run.err == plain.err, "problems": problems, "lost": told["lost"],
            "total": told["values"][0]["total"], "own_bytes": told["own_bytes"]}


def full_directory(bench):
    """A tmpfs of 1 MiB, in a mount namespace of its own."""
    mount = f"mkdir full && mount -t tmpfs -o size={FULL_FILE_SYSTEM_BYTES} none full && exec \"$@\""
    wrapper = ["unshare", "-m" if os.geteuid() == 0 else "-rm", "env", "-u", "LD_PRELOAD", "sh", "-c", mount, "sh", "env",
               f"LD_PRELOAD={paths.LIB}", "HEAPPROF_STATE_DIR={folder}/full"]
    if subprocess.run(["unshare", wrapper[1], "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True).returncode != 0:
        return {"missing": "mounting is not permitted here"}
    return outcome(bench, ["stacks", FULL_STACKS], wrapper, LD_PRELOAD=None)


def full_live_table(bench):
    return outcome(bench, ["live", LIVE_OBJECTS], ["prlimit", f"--as={LIVE_LIMIT_BYTES}"])


def measure(bench):
    return {"growth": {what: [grow(bench, what, count) for count in counts] for what, counts in GROWTH.items()},
            "handlers": [{"stacks": stacks, **time_handlers(bench, stacks)} for stacks in DUMPED_STACKS],
            "outside": [{"stacks": stacks, **outside(bench, stacks)} for stacks in OUTSIDE_ROUNDS],
            "touching": calls_that_touch(bench), "full_directory": full_directory(bench), "full_live_table": full_live_table(bench)}


# What is written.

def growth_table(rows, what):
    return pages.table([NAMES[what], "own_bytes", "a piece", "more resident memory"],
                       [[f"{row['count']:,}", pages.human_bytes(row["own_bytes"]), pages.human_bytes(row["own_bytes"] / row["count"]),
                         pages.human_bytes(row["resident_bytes"])] for row in rows])


def handler_table(rows):
    return pages.table(["stacks", "pause, ms", "of it CPU time, ms", "profile"],
                       [[f"{row['stacks']:,}", pages.spread(row["wall_ms"], 2), pages.spread(row["cpu_ms"], 2),
                         pages.human_bytes(row["bytes"])] for row in rows])


def outside_table(rows):
    return pages.table(["stacks", "longest gap without dumps, ms", "in the best round", "with three dumps, ms", "in the best round",
                        "CPU time of a dump, in the command, ms"],
                       [[f"{row['stacks']:,}", pages.spread(row["gap_without_ms"], 3), pages.number(row["least_without_ms"], 3),
                         pages.spread(row["gap_with_ms"], 3), pages.number(row["least_with_ms"], 3), pages.spread(row["dump_cpu_ms"], 1)]
                        for row in rows])


def goals(results):
    handler = next(row for row in results["handlers"] if row["stacks"] == HANDLER_GOAL_STACKS)
    added = [row["least_with_ms"] - row["least_without_ms"] for row in results["outside"]]
    lines = pages.goal(f"a dump of {HANDLER_GOAL_STACKS:,} stacks in a handler", handler["wall_ms"]["median"], HANDLER_GOAL_MS, "ms")
    lines += pages.goal("longest gap in the best round, with dumps from outside beyond that without", max(added), NO_PAUSE_MS, "ms", 3)
    return lines + pages.goal("system calls of heapprof dump that reach into the target (strace)", results["touching"], 0, "", 0)


def lost_text(lost):
    text = ", ".join(f"lost.{key}: {count:,.0f}" for key, count in lost.items() if count)
    return text or "nothing lost"


def full_row(name, row, expected):
    if "missing" in row:
        return [name, row["missing"], "-", "-", "-"]
    counted = row["total"] + row["lost"]["live_table"]  # of small objects one in thousands is no sample
    return [name, lost_text(row["lost"]), f"{row['total']:,.0f}", "yes" if row["is_same"] else "no",
            "yes" if not row["problems"] and counted >= 0.999 * expected else f"no: {row['problems']}"]


def full_table(results):
    stacks = results["growth"]["stacks"][-1]
    rows = [["stack table (512 MiB), " + f"{stacks['count']:,} stacks", lost_text(stacks["lost"]), f"{stacks['total']:,.0f}", "yes",
             "yes" if stacks["total"] >= stacks["count"] else "no"],
            full_row(f"state directory ({pages.human_bytes(FULL_FILE_SYSTEM_BYTES)}), {FULL_STACKS:,} stacks", results["full_directory"],
                     FULL_STACKS),
            full_row(f"memory ({pages.human_bytes(LIVE_LIMIT_BYTES)} of address space), {LIVE_OBJECTS:,} live samples",
                     results["full_live_table"], LIVE_OBJECTS)]
    return pages.table(["full", "counted", "objects in the profile", "program ends as without", "profile valid, all accounted for"], rows)


def page(results):
    growth = results["growth"]
    return f"""R = 2, so that nearly each allocation is a sample, in the tables of all intervals (R = 1 has a smaller one); at the default
interval a live sample stands for 512 KiB. own_bytes is what the profile says that the profiler mapped; the resident set is the
target's own, less that of the same program without us.

{growth_table(growth["live"], "live")}
{growth_table(growth["stacks"], "stacks")}
{growth_table(growth["threads"], "threads")}
{pages.plot("scale_memory", "Own bytes against live samples, stacks and threads")}
A dump in a handler (SIGUSR2) holds up the thread that got the signal:

{handler_table(results["handlers"])}
{pages.plot("scale_pause", "Pause of the signalled thread, against stacks")}
`heapprof dump PID` from outside, while the target reads the clock in a loop on a core that it need not share with the command.
Gaps come from whatever else runs on the machine, too; a pause that dumps made would be in every round:

{outside_table(results["outside"])}
{goals(results)}
Where something is full, samples are counted as lost or under a stand-in; the program goes on as without us:

{full_table(results)}"""


def plots(results, folder):
    with plot.figure(folder / "scale_memory.svg") as axes:
        series = {NAMES[what]: [(row["count"], row["own_bytes"] / 2**20) for row in rows] for what, rows in results["growth"].items()}
        plot.lines(axes, series, "how many", "own bytes, MiB", log_x=True, log_y=True)
    with plot.figure(folder / "scale_pause.svg") as axes:
        series = {"handler": [(row["stacks"], row["wall_ms"]) for row in results["handlers"]],
                  "of it CPU time": [(row["stacks"], row["cpu_ms"]) for row in results["handlers"]]}
        plot.lines(axes, series, "stacks", "ms", log_x=True, log_y=True)


# Bytes that repeat.

QUICK = [("live", 100_000, 64, "every live sample"), ("live", 2_000, 128, "every live sample while there are few"),
         ("stacks", 10_000, 760, "every stack of 45 frames"), ("threads", 1_000, 64, "every thread")]


def quick(bench):
    """Own bytes above those of next to nothing, a piece. Tables double, so the limit is what there is just after that; what is only
    reserved does not count. The file grows by 512 KiB: the last of them may just be begun."""
    base = own_bytes(bench, "live", 1)
    return [(f"own bytes of {text}, {count:,} of them", (own_bytes(bench, what, count) - base) / count, limit, "bytes")
            for what, count, limit, text in QUICK]


def own_bytes(bench, what, count):
    run = bench.run(bench.contenders["heapprof_dense"], [victim(bench), what, count], HEAPPROF_SEED="1")
    told = checked_info(only_profile(run.folder), what, count)
    return told["own_bytes"] - told.get("own_unused_bytes", 0)
