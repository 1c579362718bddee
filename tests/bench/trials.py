# SPDX-License-Identifier: MIT
"""Many estimates of one truth: the victim estimates.cc under heapprof, jemalloc's profiler and gperftools' sampling."""
import concurrent.futures
import dataclasses
import math
import os
import pathlib
import re
import shutil

from harness import pprof_reader

DISTRIBUTIONS = {"small": "64 bytes", "large": "R bytes", "uniform": "uniform, 0 to 64 KiB",
                 "lognormal": "lognormal, median 256 bytes", "pareto": "Pareto, from 64 bytes to 16 MiB"}
PROFILERS = ("heapprof", "jemalloc_prof", "tcmalloc_sampling")  # names of peers.py
TYPES = ("alloc_objects", "alloc_space", "inuse_objects", "inuse_space")
PLACES = 4
LARGE_BYTES = 32 << 10
PLACE_CODE_BYTES = 64  # more than a victim_place_* has


@dataclasses.dataclass(frozen=True)
class Cell:
    distribution: str
    interval: int
    expected_samples: int
    keep_one_in: int
    rounds: int
    seed: int = 1

    @property
    def bytes(self):
        """Where sizes are far above R, every object is a sample: then there shall be enough of those."""
        return max(self.interval, LARGE_BYTES) * self.expected_samples


@dataclasses.dataclass
class Estimate:
    """Of one type at one place."""
    value: float = 0
    variance: float = 0

    def add(self, value, variance=0.0):
        self.value += value
        self.variance += variance

    def minus(self, other):
        return Estimate(self.value - other.value, self.variance - other.variance)


@dataclasses.dataclass
class Trials:
    truth: list   # by place: type -> value; and usable_space, what jemalloc means by inuse_space
    rounds: list  # by round, by place: type -> Estimate


def no_estimates(types):
    return [{name: Estimate() for name in types} for _ in range(PLACES)]


# heapprof: values and variances are in the profile.

def read_heapprof(path):
    places = no_estimates(TYPES)
    for sample in pprof_reader.load(path).samples:
        names = [name for name in sample.raw_frames() if name.startswith("victim_place_")]
        if names:
            for name in TYPES:
                places[int(names[0].rpartition("_")[2])][name].add(sample.values[name], sample.variances.get(name, 0))
    return places


def differences(rounds):
    """alloc_* only grows: a round is what was added; so is its variance."""
    before = no_estimates(TYPES)
    for now in rounds:
        yield [{name: place[name].minus(old[name]) if name.startswith("alloc") else place[name] for name in TYPES}
               for place, old in zip(now, before)]
        before = now


# The peers: text profiles, scaled by whoever reads them; each line as if all its objects had the mean size.

HEADER = re.compile(r"heap_v2/(\d+)")
LINE_GPERFTOOLS = re.compile(r"^\s*(\d+):\s*(\d+) \[[^]]*\] @ (.*)$", re.M)
LINE_JEMALLOC = re.compile(r"^@ (.*)\n\s*t\*: (\d+): (\d+) \[", re.M)


def lines_of(text):
    """(pcs, objects, bytes) as sampled"""
    found = [(pcs, int(objects), int(size)) for objects, size, pcs in LINE_GPERFTOOLS.findall(text)]
    return found or [(pcs, int(objects), int(size)) for pcs, objects, size in LINE_JEMALLOC.findall(text)]


def place_of(pcs, addresses):
    for pc in (int(word, 16) for word in pcs.split()):
        for place, address in enumerate(addresses):
            if 0 < pc - address < PLACE_CODE_BYTES and not any(address < other < pc for other in addresses):
                return place
    return None


def read_heap_v2(path, addresses):
    """As jeprof and pprof do: count and bytes of a line times 1 / (1 - exp(-mean size / R))."""
    text = pathlib.Path(path).read_text(errors="replace").split("MAPPED_LIBRARIES:")[0]
    interval = int(HEADER.search(text)[1])
    places = no_estimates(("inuse_objects", "inuse_space"))
    for pcs, objects, size in lines_of(text):
        place = place_of(pcs, addresses)
        if place is None or objects == 0 or size == 0:
            continue
        scale = 1 / -math.expm1(-size / objects / interval)
        places[place]["inuse_objects"].add(objects * scale)
        places[place]["inuse_space"].add(size * scale)
    return places


# Running.

def settings(profiler, cell):
    """Of the environment, as peers.py begins it."""
    if profiler == "heapprof":
        return {"HEAPPROF_SAMPLE": cell.interval, "HEAPPROF_SEED": cell.seed, "HEAPPROF_DUMP": "none"}
    if profiler == "jemalloc_prof":
        return {"MALLOC_CONF": f"prof:true,lg_prof_sample:{cell.interval.bit_length() - 1}"}
    return {"TCMALLOC_SAMPLE_PARAMETER": cell.interval}


def run(bench, profiler, cell):
    """Addresses are not random, so that the peers' generators, which start from some, repeat as well."""
    def command(folder):
        return ["setarch", "-R", f"{bench.built}/estimates", cell.distribution, cell.interval, cell.bytes, cell.keep_one_in,
                cell.rounds, folder]
    done = bench.run(bench.contenders[profiler], command, **settings(profiler, cell))
    try:
        return read_trials(profiler, cell, done.out, done.folder)
    finally:
        shutil.rmtree(done.folder)


def run_all(bench, todo):
    """todo: [(profiler, cell)]. Returns their trials, in order. Nothing is timed, so all cores are used."""
    bench.build("estimates.cc", "-ldl")
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return list(pool.map(lambda one: run(bench, *one), todo))


def read_trials(profiler, cell, output, folder):
    rows = [[int(word) for word in words.split()] for words in re.findall(r"^truth (.*)$", output, re.M)]
    truth = [dict(zip((*TYPES, "usable_space"), row[1:])) for row in rows]
    files = [f"{folder}/{number}" for number in range(cell.rounds)]
    if profiler == "heapprof":
        return Trials(truth, list(differences([read_heapprof(path) for path in files])))
    addresses = [row[0] for row in rows]
    return Trials(truth, [read_heap_v2(path, addresses) for path in files])
