# SPDX-License-Identifier: MIT
"""What malloc and free cost when nothing is sampled: instructions and time, against every peer."""
import re
import subprocess

import measure as measuring
import page as pages
import plot
from harness import paths

NAME = "fast_path"
TITLE = "Fast path"

CASES = {
    "malloc_free_16": "16 B",
    "malloc_free_64": "64 B",
    "malloc_free_1024": "1 KiB",
    "malloc_free_65536": "64 KiB",
    "calloc_64": "calloc, 64 B",
    "realloc_growth": "realloc, growing",
    "new_delete_64": "new and delete, 64 B",
    "other_thread_64": "64 B, freed by another thread",
    "two_threads_64": "64 B, in two threads at once",
}
CONTENDERS = ["none", "empty", "heapprof", "jemalloc", "jemalloc_prof", "tcmalloc", "tcmalloc_sampling", "heapprofile", "heaptrack"]
# Under valgrind heaptrack records nothing.
NOT_COUNTED = {"heaptrack"}
EVERY_CALL = {"heapprofile"}  # takes a sixtieth of the pairs to count
# What each is compared with: itself without the profiler.
BASES = {"jemalloc": None, "tcmalloc": None, "jemalloc_prof": "jemalloc", "tcmalloc_sampling": "tcmalloc", "heapprofile": "tcmalloc"}

PAIR_LIMIT = 14         # the most instructions that a pair may cost
PAIR_GOAL = 10
LIVE_PAGE_GOAL_NS = 8
# What was measured when they were set, rounded up to leave room for another compiler; the first is the promise.
LIMITS = {"malloc_free_64": PAIR_LIMIT, "malloc_free_16": PAIR_LIMIT, "malloc_free_1024": PAIR_LIMIT, "malloc_free_65536": PAIR_LIMIT,
          "calloc_64": 17, "realloc_growth": 14, "new_delete_64": 24, "other_thread_64": PAIR_LIMIT}
LIVE_PAGE_LIMIT = 65    # 61, of which five realign the stack (hazard A9)
MAPPED_LIMIT = 344 << 10  # 337 KiB, a fifth of it zlib, a sixth what changes entries; most of it is read by few processes
TLS_LIMIT = 64            # promise I7
UNSAMPLED = {"HEAPPROF_SAMPLE": "64G", "HEAPPROF_SEED": "1"}
LIVE_PAGES = {"pair": "the same object again", "sparse": "objects spread over many pages, one live sample on each",
              "dense": "objects spread over many pages, all that is held a live sample"}
FEW_HELD, MANY_HELD = 1000, 100_000  # live samples: of a process of 0.5 GiB, and of 50 GiB


def base_of(name):
    return BASES.get(name, "none")


def parse(run):
    return {name: float(value) for name, value in (line.split() for line in run.out.splitlines())}


def times(bench, victim):
    """{contender: {case: summary of ns}} and the same added to the contender's base, round by round."""
    runs = bench.interleaved(bench.available(*CONTENDERS), [victim, "time", "8"], rounds=11)
    parsed = {name: [parse(run) for run in found] for name, found in runs.items()}
    total = {name: {case: measuring.summary([one[case] for one in rounds]) for case in CASES} for name, rounds in parsed.items()}
    added = {}
    for name, rounds in parsed.items():
        base = base_of(name)
        if base in parsed and name != base:
            added[name] = {case: measuring.summary([one[case] - other[case] for one, other in zip(rounds, parsed[base])])
                           for case in CASES}
    return total, added


def per_pair(counts, pairs):
    """From one repetition of `pairs` and one of five times as many."""
    return {case: (found[1] - found[0]) / (4 * pairs) for case, found in counts.items() if case != "before"}


def count_pairs(bench, victim, contender, pairs=4096, **settings):
    return per_pair(bench.instructions_by_case([victim, "count", str(pairs)], bench.environment(contender, **settings)), pairs)


def count_live_page(bench, victim):
    """Instructions that a free on a page with live samples takes more than one on a page without."""
    environment = bench.environment(bench.contenders["heapprof"], HEAPPROF_SAMPLE="2", HEAPPROF_SEED="1", HEAPPROF_DUMP="signal")
    found = per_pair(bench.instructions_by_case([victim, "live_count", "4096", str(FEW_HELD)], environment), 4096)
    return found["pair_with"] - found["pair_without"]


def time_live_pages(bench, victim, held):
    """ns that a free takes more: of one object again and again, and of objects spread over many pages, where one object of each page is
    a live sample, or all that is held."""
    contender = bench.contenders["heapprof"]
    rounds = {mode: [parse(bench.run(contender, [victim, mode, "15", str(held)], HEAPPROF_SAMPLE="2", HEAPPROF_DUMP="signal"))
                     for _ in range(11)] for mode in ("live", "live_dense")}

    def added(mode, kind):
        return measuring.summary([one[f"{kind}_with"] - one[f"{kind}_without"] for one in rounds[mode]])
    return {"pair": added("live_dense", "pair"), "sparse": added("live", "spread"), "dense": added("live_dense", "spread")}


WRITES = {
    "unsampled": {"HEAPPROF_SAMPLE": "256M"},
    "live_page": {"HEAPPROF_SAMPLE": "2"},
    "sampled": {"HEAPPROF_SAMPLE": "2"},
}


def writes(bench):
    """{mode: did a pair write anything but its own thread's memory?}; "sampled" is the control, which does."""
    victim = bench.build(paths.TESTS / "victims/read_only.c")
    found = {}
    for mode, settings in WRITES.items():
        done = bench.run(bench.contenders["heapprof"], [victim, mode], expect=None, HEAPPROF_SEED="1", HEAPPROF_DUMP="signal", **settings)
        if done.status not in (0, -11):
            raise measuring.Failed(f"read_only {mode} ended with {done.status}: {done.err}")
        found[mode] = done.status == -11
    return found


def measure(bench):
    victim = bench.build("fast_path.cc", "-std=c++17")
    bench.say("fast path: times")
    total, added = times(bench, victim)
    bench.say("fast path: instructions")
    counted = {contender.name: count_pairs(bench, victim, contender, pairs=1024 if contender.name in EVERY_CALL else 64 * 1024)
               for contender in bench.available(*CONTENDERS) if contender.name not in NOT_COUNTED}
    unsampled = count_pairs(bench, victim, bench.contenders["heapprof"], **UNSAMPLED)
    bench.say("fast path: pages with live samples")
    return {"total": total, "added": added, "instructions": counted, "unsampled": unsampled,
            "live_page_instructions": count_live_page(bench, victim),
            "live_page_few": time_live_pages(bench, victim, FEW_HELD),
            "live_page_many": time_live_pages(bench, victim, MANY_HELD),
            "writes": writes(bench), "labels": {contender.name: contender.label for contender in bench.available(*CONTENDERS)}}


def added_instructions(results, name, case):
    base = base_of(name)
    counted = results["instructions"]
    if name not in counted or base not in counted:
        return None
    return counted[name][case] - counted[base][case]


def added_when_unsampled(results, case):
    return results["unsampled"][case] - results["instructions"]["none"][case]


def tables(results):
    labels = results["labels"]
    cases = [case for case in CASES if case in results["unsampled"]]
    rows = [[labels[name], *(pages.number(added_instructions(results, name, case)) if base_of(name) else
                             pages.number(results["instructions"][name][case]) + " in all" for case in cases)]
            for name in results["instructions"] if name != "none"]
    rows.insert(2, ["heapprof, nothing sampled", *(pages.number(added_when_unsampled(results, case)) for case in cases)])
    parts = ["Instructions added to a pair; for the two allocators without their profiler, all that a pair takes:\n",
             pages.table(["", *(CASES[case] for case in cases)], rows)]
    cases = list(CASES)
    rows = [[labels[name], *(pages.spread(results["added"][name][case] if name in results["added"] else results["total"][name][case])
                             for case in cases)] for name in results["total"]]
    parts += ["The same in ns; rows without a profiler (no preload, jemalloc, gperftools) show the whole pair:\n",
              pages.table(["", *(CASES[case] for case in cases)], rows)]
    return parts


def live_pages(results):
    rows = [[label, *(pages.spread(results[key][kind]) for kind in LIVE_PAGES)]
            for label, key in ((f"{FEW_HELD:,} live samples", "live_page_few"), (f"{MANY_HELD:,} live samples", "live_page_many"))]
    return ["ns that a free takes longer on a page that holds live samples, in a program that holds so many:\n",
            pages.table(["", *LIVE_PAGES.values()], rows)]


def page(results):
    written = results["writes"]
    verdict = {True: "writes", False: "writes nothing"}
    parts = [
        "A pair is one allocation and its free. Each row is compared with what it profiles: heapprof, heaptrack and the empty "
        "interposer (malloc and free forwarded, nothing else) with glibc, the others with their own allocator without profiling. "
        "Sampling is at 512 KiB: at 64 KiB every eighth allocation is sampled. heaptrack's trace goes to /dev/null, its "
        "interpreter does not run; it records nothing under valgrind, so it has no count.\n",
        *tables(results), *live_pages(results),
        "Everything writable in the process but the thread's own memory, the program's and glibc's is made read-only, and a "
        f"million pairs run (tests/victims/read_only.c): a pair that is not sampled {verdict[written['unsampled']]} there, a free on a "
        f"page with live samples {verdict[written['live_page']]} (so it takes no lock), a sample {verdict[written['sampled']]} "
        "(the control).\n",
        pages.plot("fast_path", "instructions and ns that profilers add to a pair of 64 bytes"),
        goals(results),
    ]
    return "\n".join(parts)


def goals(results):
    shared = int(results["writes"]["unsampled"])
    locked = int(results["writes"]["live_page"])
    return "".join([
        pages.goal("instructions added to a pair of 64 B, nothing sampled", added_when_unsampled(results, "malloc_free_64"), PAIR_GOAL, ""),
        pages.goal("the same, the limit", added_when_unsampled(results, "malloc_free_64"), PAIR_LIMIT, ""),
        pages.goal("shared memory written by a pair that is not sampled", shared, 0, "", digits=0),
        pages.goal("shared memory written by a free on a page with live samples", locked, 0, "", digits=0),
        *(pages.goal(f"a free on a page with live samples, {held:,} held, {words}", results[key][kind]["median"], LIVE_PAGE_GOAL_NS, "ns")
          for held, key in ((FEW_HELD, "live_page_few"), (MANY_HELD, "live_page_many"))
          for kind, words in LIVE_PAGES.items()),
    ])


def plots(results, folder):
    labels, case = results["labels"], "malloc_free_64"
    with plot.figure(folder / "fast_path.svg", columns=2, width_in=9) as (left, right):
        names = [name for name in results["added"] if added_instructions(results, name, case) is not None]
        plot.dots(left, [(labels[name], added_instructions(results, name, case)) for name in names],
                  "instructions added to a pair of 64 B", log=True, mark=PAIR_GOAL)
        plot.dots(right, [("", results["added"][name][case]) for name in names], "ns added", log=True)


def sizes_of_library():
    """What is mapped from the file, without symbols and line numbers; and of each thread's static TLS, which is scarce."""
    headers = subprocess.run(["readelf", "-lW", paths.LIB], capture_output=True, text=True, check=True).stdout
    segments = re.findall(r"^ +(LOAD|TLS) +0x\w+ 0x\w+ 0x\w+ (0x\w+) (0x\w+)", headers, re.MULTILINE)
    yield "library, mapped from its file", sum(int(in_file, 16) for kind, in_file, _ in segments if kind == "LOAD"), MAPPED_LIMIT, "bytes"
    yield "thread-local storage", sum(int(in_memory, 16) for kind, _, in_memory in segments if kind == "TLS"), TLS_LIMIT, "bytes"


def quick(bench):
    victim = bench.build("fast_path.cc", "-std=c++17")
    plain = count_pairs(bench, victim, bench.contenders["none"])
    ours = count_pairs(bench, victim, bench.contenders["heapprof"], **UNSAMPLED)
    for case, limit in LIMITS.items():
        yield f"instructions added, {CASES[case]}", ours[case] - plain[case], limit, "instructions"
    yield "a free on a page with live samples", count_live_page(bench, victim), LIVE_PAGE_LIMIT, "instructions"
    yield from sizes_of_library()
    for mode, written in writes(bench).items():
        expected = mode == "sampled"
        yield f"shared memory written, {mode}", int(written != expected), 0, "wrong"
