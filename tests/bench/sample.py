# SPDX-License-Identifier: MIT
"""What one sample costs: the walk up the stack, memory that it touches, places seen for the first time, and how often real programs meet new places."""
import re
import shutil

import measure as measuring
import page as pages
import plot
import workloads
from harness.region_reader import Region

NAME = "sample"
TITLE = "A sample"

DEPTHS = (8, 16, 32, 64, 128)
FRAME_GOAL_NS = 5
EXACT = {"heapprof_exact": "heapprof", "jemalloc_prof_all": "jemalloc", "heapprofile": "gperftools HEAPPROFILE", "heaptrack": "heaptrack"}
BASES = {"heapprof_exact": "none", "jemalloc_prof_all": "jemalloc", "heapprofile": "tcmalloc", "heaptrack": "none"}
FRAMES_KEPT = {"heaptrack": 64, "heapprofile": 32}  # deeper stacks are cut
SETTINGS = {"HEAPPROF_DEPTH": "128", "HEAPPROF_SEED": "1", "HEAPPROF_DUMP": "signal"}
SAMPLE_LIMIT = 1850  # 1,832, with R = 1; an unbiased peak takes 100 of them, what `heapprof rss` asks for 17, fetching ahead 30
FRAME_LIMIT = 56     # instructions a frame; 52
WARM = {"warm": "heapprof, the same stack again", "site": "heapprof, from two places in turn",
        "moved": "heapprof, on another part of the stack", "two_threads": "heapprof, the same stack in two threads"}
COLD = {"cold": "heapprof, cold caches", "cold_moved": "heapprof, cold caches, on another part of the stack"}
COLD_SAMPLED = {"cold": "heapprof, cold caches, R = 4,096", "cold_moved": "heapprof, cold caches, R = 4,096, on another part of the stack"}
COLD_SAMPLED_BYTES = 40000  # so many intervals that each is a sample, as at the default interval
COLD_GOAL_NS, COLD_GOAL_DEPTH = 1500, 32
TOUCHED = {"warm": "the same stack again", "moved": "on another part of the stack"}
HIT_RATE_PROGRAMS = ("sqlite3", "python3", "g++", "nodejs")


def parse(run):
    """{(kind, depth): ns}"""
    return {(kind, int(depth)): float(ns) for depth, kind, ns in (line.split() for line in run.out.splitlines())}


def slope(by_depth):
    """By least squares, over depths."""
    middle_x = sum(by_depth) / len(by_depth)
    middle_y = sum(by_depth.values()) / len(by_depth)
    return (sum((x - middle_x) * (y - middle_y) for x, y in by_depth.items()) / sum((x - middle_x) ** 2 for x in by_depth))


def added_ns(runs, name, kind):
    """{depth: [ns of a sample in each round]}"""
    pairs = list(zip(map(parse, runs[name]), map(parse, runs[BASES[name]])))
    return {depth: [ours[kind, depth] - base[kind, depth] for ours, base in pairs] for depth in DEPTHS}


def of_kind(runs, name, kind):
    added = added_ns(runs, name, kind)
    limit = FRAMES_KEPT.get(name, DEPTHS[-1])
    slopes = [slope({depth: values[turn] for depth, values in added.items() if depth <= limit}) for turn in range(len(runs[name]))]
    return {"total": {str(depth): measuring.summary(values) for depth, values in added.items()}, "frame": measuring.summary(slopes)}


def first_sight(runs):
    """ns that a frame takes longer when its place has not been seen before: from each depth to the next all but a few are new."""
    values = []
    for run in map(parse, runs["heapprof_exact"]):
        extra = sum(run["first", depth] - run["warm", depth] for depth in DEPTHS[1:])
        values.append(extra / (DEPTHS[-1] - DEPTHS[0]))
    return measuring.summary(values)


def instructions(bench, victim, contender):
    """{depth: instructions of a pair of malloc and free}"""
    counts = bench.instructions_by_case([victim, "count", "20"], bench.environment(contender, **SETTINGS))
    return {int(depth): (found[1] - found[0]) / 80 for depth, found in counts.items() if depth != "before"}


def instructions_of_samples(bench, victim):
    """Added to a pair by a sample; of one 8 frames deep, and of each further frame."""
    plain = instructions(bench, victim, bench.contenders["none"])
    ours = instructions(bench, victim, bench.contenders["heapprof_exact"])
    added = {depth: ours[depth] - plain[depth] for depth in DEPTHS}
    return {"total": added, "frame": slope(added)}


def mappings(text):
    """[(start, limit, path, is it code)] of /proc/PID/maps"""
    found = re.findall(r"^([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ \d+ *(.*)$", text, re.MULTILINE)
    return [(int(start, 16), int(limit, 16), path, "x" in mode) for start, limit, mode, path in found]


def owner_of(address, maps, stack):
    """The room that a line belongs to."""
    start, limit, path, is_code = next((one for one in maps if one[0] <= address < one[1]), (0, 0, "valgrind's", False))
    if start <= stack < limit:
        return "the program, its stack and libc"
    if "libheapprof" in path:
        return "our code" if is_code else "our variables and tables"
    if path.endswith(".heapprof"):
        return "the state file"
    return "the program, its stack and libc" if path else "our tables, and the heap"


def last_pair(trace, mark):
    """Addresses of what the last pair between two marks touched, of a trace of valgrind's lackey."""
    pair, inside = [], None
    for line in trace.splitlines():
        words = re.match(r"(I | [LSM]) +([0-9a-f]+),(\d+)$", line)
        if words is None:
            continue
        address = int(words[2], 16)
        if address == mark and words[1] == " S":
            pair, inside = (inside, None) if inside is not None else (pair, [])
        elif inside is not None:
            inside += [address, address + int(words[3]) - 1]
    return pair


def touched(bench, victim, kind):
    """{room: {lines, pages}} of a sample and its free, 32 frames deep."""
    folder = bench.folder()
    environment = bench.environment(bench.contenders["heapprof_exact"], folder, **SETTINGS)
    preload = environment.pop("LD_PRELOAD")
    done = measuring.run(["valgrind", "--tool=lackey", "--trace-mem=yes", "--trace-children=yes", f"--log-file={folder}/trace.%p", "env",
                          f"LD_PRELOAD={preload}", victim, "touch", kind], environment, folder)
    mark, stack = (int(re.search(rf"^{name} (0x[0-9a-f]+)$", done.out, re.MULTILINE)[1], 16) for name in ("mark", "stack"))
    addresses = [address for path in folder.glob("trace.*") for address in last_pair(path.read_text(errors="replace"), mark)]
    shutil.rmtree(folder, ignore_errors=True)
    if not addresses:
        raise measuring.Failed(f"lackey saw no sample: {done.err[-300:]}")
    maps, rooms = mappings(done.out), {}
    for address in addresses:
        rooms.setdefault(owner_of(address, maps, stack), set()).add(address // 64)
    return {room: {"lines": len(lines), "pages": len({line // 64 for line in lines})} for room, lines in sorted(rooms.items())}


def touched_table(found):
    rows = []
    for kind, rooms in found.items():
        rows += [[TOUCHED[kind], room, f"{one['lines']}", f"{one['pages']}"] for room, one in rooms.items()]
        rows.append([TOUCHED[kind], "in all", *(f"{sum(one[what] for one in rooms.values())}" for what in ("lines", "pages"))])
    return ["What a sample of 32 frames and its free touch, the real malloc and free included: lines of 64 bytes and pages of 4 KiB, seen "
            "by valgrind (lackey). With cold caches each line may be a miss, each page a walk through page tables.\n",
            pages.table(["", "", "lines", "pages"], rows)]


def counting_gdb(environment):
    """Words in front of a program: gdb counts how often a place was not in the cache, with a breakpoint that never stops."""
    preload = [f"{name}={value}" for name, value in environment.items()]
    return ["gdb", "-q", "-batch", "-iex", "set debuginfod enabled off", "-ex", "set breakpoint pending on",
            "-ex", "set exec-wrapper env " + " ".join(preload), "-ex", "break cfi_compile", "-ex", "ignore 1 100000000",
            "-ex", "run", "-ex", "info breakpoints", "--args"]


def hit_rate(bench, name):
    """At the default rate, in one run from start to end: frames walked, places among them, rules compiled."""
    folder = bench.folder()
    preload = {**bench.contenders["heapprof"].environment(folder), **workloads.variables(name), "HEAPPROF_DUMP": "keep"}
    command = workloads.command(bench, name, workloads.amount(name), counting_gdb(preload), folder)
    done = measuring.run(command, bench.environment(bench.contenders["none"]), folder)
    hits = re.search(r"breakpoint already hit (\d+) time", done.out)
    stacks = [stack for path in folder.glob("*.heapprof") for stack in Region(path.read_bytes()).stacks]
    walked = sum(stack.samples * len(stack.pcs) for stack in stacks)
    shutil.rmtree(folder, ignore_errors=True)
    if hits is None or walked == 0:
        raise measuring.Failed(f"{name}: {walked} frames, and gdb says {done.out[-300:]} {done.err[-300:]}")
    compiled = int(hits[1])
    return {"samples": sum(stack.samples for stack in stacks), "frames": walked, "compiled": compiled,
            "places": len({pc for stack in stacks for pc in stack.pcs}), "hit_rate": 1 - compiled / walked}


def hit_rates(bench):
    found = {}
    for name in HIT_RATE_PROGRAMS:
        missing = workloads.missing(name) or (None if shutil.which("gdb") else "gdb is not installed")
        found[name] = {"missing": missing} if missing else hit_rate(bench, name)
    return found


def measure(bench):
    victim = bench.build("frames.cc", "-std=c++17")
    contenders = bench.available(*EXACT, *sorted(set(BASES.values())))
    bench.say("sample: times")
    runs = bench.interleaved(contenders, [victim, "time"], rounds=9, **SETTINGS)
    ours = bench.available("none", "heapprof_exact")
    bench.say("sample: cold caches")
    cold = bench.interleaved(ours, [victim, "cold"], rounds=3, **SETTINGS)
    cold_sampled = bench.interleaved(ours, [victim, "cold", COLD_SAMPLED_BYTES], rounds=3, **SETTINGS, HEAPPROF_SAMPLE=4096)
    bench.say("sample: instructions")
    counted = instructions_of_samples(bench, victim)
    bench.say("sample: rules in real programs")
    present = [name for name in EXACT if name in runs]
    return {"warm": {name: of_kind(runs, name, "warm") for name in present},
            "ours": {kind: of_kind(runs, "heapprof_exact", kind) for kind in WARM},
            "cold": {kind: of_kind(cold, "heapprof_exact", kind) for kind in COLD},
            "cold_sampled": {kind: of_kind(cold_sampled, "heapprof_exact", kind) for kind in COLD_SAMPLED},
            "touched": {kind: touched(bench, victim, kind) for kind in TOUCHED},
            "first_sight": first_sight(runs), "instructions": counted, "hit_rates": hit_rates(bench)}


def page(results):
    kinds = [*((WARM[kind], found) for kind, found in results["ours"].items()), *((COLD[kind], found) for kind, found in results["cold"].items()),
             *((COLD_SAMPLED[kind], found) for kind, found in results.get("cold_sampled", {}).items()),
             *((EXACT[name], found) for name, found in results["warm"].items() if name != "heapprof_exact")]
    rows = [[label, *(pages.spread(found["total"][str(depth)], 0) for depth in DEPTHS), pages.spread(found["frame"])]
            for label, found in kinds]
    counted = results["instructions"]
    total = {int(depth): value for depth, value in counted["total"].items()}
    rows.append(["heapprof, instructions", *(pages.number(total[depth], 0) for depth in DEPTHS), pages.number(counted["frame"])])
    parts = [
        "At an interval of 1 every allocation is a sample. A sample is recorded at malloc and taken out at free; the table has ns of "
        "both, beyond what the same pair takes without the profiler, for stacks whose frames all belong to different functions. The "
        "last column is the slope: what a frame adds, for walking it, hashing it and comparing it with the stack that is known "
        "(heaptrack keeps 64 frames, gperftools 32: theirs is up to there). A walk knows the last one of its thread: the same stack "
        "again is the best case, one whose frames all lie elsewhere on the stack the worst. Peers: the same stack again. Cold: 64 MiB "
        "of other memory were written since the last sample.\n",
        pages.table(["frames", *map(str, DEPTHS), "a frame"], rows),
        f"A place that is seen for the first time takes {pages.spread(results['first_sight'], 0)} ns more, once.\n",
        pages.plot("sample", "ns of a sample against the depth of its stack"),
        *touched_table(results["touched"]),
        *hit_rate_table(results["hit_rates"]),
        pages.goal(f"a sample with cold caches, {COLD_GOAL_DEPTH} frames, the same stack again",
                   results["cold"]["cold"]["total"][str(COLD_GOAL_DEPTH)]["median"], COLD_GOAL_NS, "ns"),
        pages.goal(f"the same at an interval of 4,096, objects of {COLD_SAMPLED_BYTES} bytes",
                   results["cold_sampled"]["cold"]["total"][str(COLD_GOAL_DEPTH)]["median"] if "cold_sampled" in results else None, COLD_GOAL_NS, "ns"),
        *(pages.goal(f"a frame, warm ({label})", results["ours"][kind]["frame"]["median"], FRAME_GOAL_NS, "ns")
          for kind, label in WARM.items()),
    ]
    return "\n".join(parts)


def hit_rate_table(found):
    rows = [[name, f"{one['samples']:,}", f"{one['frames']:,}", f"{one['places']:,}", f"{one['compiled']:,}",
             f"{one['hit_rate'] * 100:.2f} %"] for name, one in found.items() if "missing" not in one]
    absent = [f"{name}: {one['missing']}\n" for name, one in found.items() if "missing" in one]
    return ["How often a frame's rule was in the cache, from start to end of a program at the default interval (rules compiled are "
            "counted by gdb, frames in the state file that the program left):\n",
            pages.table(["", "samples", "frames walked", "distinct places", "rules compiled", "hits"], rows), *absent]


def plots(results, folder):
    def points(found):
        return [(depth, found["total"][str(depth)]) for depth in DEPTHS]
    series = {EXACT[name]: points(found) for name, found in results["warm"].items()}
    ours = {label.removeprefix("heapprof, "): points(results["ours"][kind]) for kind, label in WARM.items()}
    ours.update({label.removeprefix("heapprof, "): points(results["cold"][kind]) for kind, label in COLD.items()})
    with plot.figure(folder / "sample.svg", columns=2, width_in=9) as (left, right):
        plot.lines(left, ours, "frames", "ns of a sample, heapprof", log_y=True)
        plot.lines(right, series, "frames", "ns of a sample, warm", log_y=True)


def quick(bench):
    counted = instructions_of_samples(bench, bench.build("frames.cc", "-std=c++17"))
    yield "a sample and its free, 8 frames", counted["total"][8], SAMPLE_LIMIT, "instructions"
    yield "each further frame", counted["frame"], FRAME_LIMIT, "instructions"
