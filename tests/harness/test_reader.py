# SPDX-License-Identifier: MIT
"""The reader and the linter, before they judge anything: against a profile that Go wrote and Go reads, and against
profiles made wrong on purpose."""
import copy
import re
import subprocess
import zlib

from harness import lint, pprof_reader, tools
from harness.case import Case, cases

GO_PROGRAM = """
package main

import (
	"os"
	"runtime"
	"runtime/pprof"
)

var kept [][]byte

//go:noinline
func keep(size int) { kept = append(kept, make([]byte, size)) }

func main() {
	runtime.MemProfileRate = 1
	for i := 1; i < 500; i++ {
		keep(i * 16)
	}
	runtime.GC()
	file, _ := os.Create(os.Args[1])
	pprof.WriteHeapProfile(file)
	file.Close()
}
"""


class Reader(Case):
    def go_profile(self):
        tools.need("go")
        (self.dir / "main.go").write_text(GO_PROGRAM)
        subprocess.run(["go", "build", "-o", "program", "main.go"], cwd=self.dir, env=tools.environment(), check=True)
        subprocess.run(["./program", "heap.pb.gz"], cwd=self.dir, check=True)
        return self.dir / "heap.pb.gz"

    def test_agrees_with_go(self):
        path = self.go_profile()
        profile = pprof_reader.load(path)
        raw = tools.pprof("go", "-raw", path)
        rows = [[int(n) for n in row] for row in re.findall(r"^ +(\d+) +(\d+) +(\d+) +(\d+): [\d ]+$", raw, re.MULTILINE)]
        samples = [sample for sample in profile.samples if any(sample.values.values())]  # as pprof does
        self.assertEqual([list(sample.values.values()) for sample in samples], rows)
        addresses = {location.address for sample in samples for location in sample.locations}
        self.assertEqual(addresses, {int(a, 16) for a in re.findall(r"^ +\d+: (0x[0-9a-f]+) M=", raw, re.MULTILINE)})
        self.assertGreaterEqual(profile.total("alloc_objects", lambda frames: "main.keep" in frames), 499)

    def test_refuses_damage(self):
        data = zlib.compressobj(wbits=31)
        good = data.compress(b"\x32\x00") + data.flush()  # one empty string
        self.assertEqual(pprof_reader.gunzip_one_member(good), b"\x32\x00")
        for damaged in (good[:-3], good + good, good + b"x", b"", b"\x32\x00"):
            with self.assertRaises(pprof_reader.ProfileError):
                pprof_reader.gunzip_one_member(damaged)
        for message in (b"\x32\x05a", b"\x80", b"\x33\x00", b"\xff" * 11, b"\x00\x00", b"\x9a\x06\x00", b"\x32\x00\x6a\x01\x05"):
            with self.assertRaises(pprof_reader.ProfileError, msg=message):
                pprof_reader.Profile(message)


def set_field(what, field, value):
    def change(profile):
        setattr(getattr(profile, what)[0], field, value(getattr(getattr(profile, what)[0], field)))
    return change


BREAKAGES = {
    "types out of order": lambda p: p.sample_types.reverse(),
    "default sample type": lambda p: setattr(p, "default_sample_type", "alloc_space"),
    "a duration": lambda p: setattr(p, "duration_nanos", 5),
    "period": lambda p: setattr(p, "period", p.period + 1),
    "no time": lambda p: setattr(p, "time_nanos", 0),
    "unanchored drop_frames": lambda p: setattr(p, "drop_frames", ".*allocate.*"),
    "first string": lambda p: p.strings.insert(0, "first"),
    "string twice": lambda p: p.strings.append(p.strings[-1]),
    "gap in ids": set_field("locations", "id", lambda i: i + 1000),
    "function ids": lambda p: p.functions.reverse(),
    "all-zero sample": set_field("samples", "values", lambda v: dict.fromkeys(v, 0)),
    "more in use than allocated": set_field("samples", "values", lambda v: {**v, "inuse_space": v["alloc_space"] + 1}),
    "variance in exact mode": set_field("samples", "variances", lambda _: {"alloc_space": 1.0}),
    "stack without frames": set_field("samples", "locations", lambda _: []),
    "same stack twice": lambda p: p.samples.append(p.samples[0]),
    "address 0": set_field("locations", "address", lambda _: 0),
    "address twice": lambda p: setattr(p.locations[1], "address", p.locations[0].address),
    "address outside its mapping": lambda p: setattr(p.locations[0].mapping, "limit", p.locations[0].mapping.start + 1),
    "offset not page-aligned": set_field("mappings", "offset", lambda offset: offset + 1),
    "deleted": set_field("mappings", "filename", lambda name: name + " (deleted)"),
    "uppercase build id": set_field("mappings", "build_id", lambda _: "ABCDEF"),
    "main binary not first": lambda p: p.mappings.reverse(),
}


class Linter(Case):
    @cases(*BREAKAGES)
    def test_finds(self, breakage):
        profile = self.profiled([self.victim("churn")], sample=1).profile
        self.assertEqual(lint.lint(profile), [])
        broken = copy.deepcopy(profile)
        BREAKAGES[breakage](broken)
        self.assertNotEqual(lint.lint(broken), [])
