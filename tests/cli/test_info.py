# SPDX-License-Identifier: MIT
"""heapprof info: what a profile says about itself, for people and as JSON."""
import json
import math
import re
import subprocess

from cli.views import Z95, Views
from harness import pprof_reader, tools
from harness.case import cases, timeout
from harness.states import StateCase
from hazards.toolbox import compile

GO_PROGRAM = """package main

import ("os"; "runtime"; "runtime/pprof")

var kept [][]byte

func keep() { for i := 0; i < 100; i++ { kept = append(kept, make([]byte, 100000)) } }

func main() {
	runtime.MemProfileRate = 1
	keep()
	f, _ := os.Create(os.Args[1])
	pprof.Lookup("heap").WriteTo(f, 0)
	f.Close()
}
"""


class Info(Views):
    def rows(self, *arguments, **options):
        """The lines "word  text" -> text, and the totals likewise"""
        text = self.tool("info", *arguments, **options).stdout
        return dict(re.match(r"(\S+(?: in use)?) +(.*)", line).groups()
                    for line in text.splitlines() if line and line[0] != " ")

    @cases(1, 4096)
    def test_says_what_the_profile_says(self, sample):
        run = self.profiled([self.victim("leak")], sample=sample, expect=None)
        profile, comments = run.profile, run.profile.comment_values()
        info = self.json("info", run.files[0])
        self.assertEqual({value["type"]: value["total"] for value in info["values"]}, profile.totals())
        self.assertEqual((info["programs"], info["pids"], info["merged"]), (["leak"], [str(run.pid)], []))
        self.assertIn("victims/leak", info["commands"][0])
        for key in ("sampling_interval_bytes", "samples", "exact_units", "estimated_units", "own_bytes", "own_unused_bytes", "sampling_ns", "cpu_ns"):
            self.assertEqual(info[key], comments[key], key)
        self.assertEqual((info["period"], info["time_unix_ns"]), (profile.period, profile.time_nanos))
        self.assertEqual(info["stacks"], len(profile.samples))
        self.assertEqual(info["deepest_stack"], max(len(s.locations) for s in profile.samples))
        self.assertEqual(info["lost"], {key.removeprefix("lost."): n for key, n in comments.items()
                                        if key.startswith("lost.") and key != "lost.total"})
        self.assertEqual([(m["path"], m["build_id"], int(m["start"], 16), int(m["limit"], 16))
                          for m in info["mappings"]],
                         [(m.filename, m.build_id, m.start, m.limit) for m in profile.mappings])
        self.assertEqual(sum(m["locations"] for m in info["mappings"]), len(profile.locations))
        self.assertEqual(sum(m["named"] for m in info["mappings"]), sum(bool(lo.functions) for lo in profile.locations))

    @cases(1, 4096)
    def test_error_bars(self, sample):
        run = self.profiled([self.victim("leak")], sample=sample, seed=1, expect=None)
        for value in self.json("info", run.files[0])["values"]:
            error = run.profile.comment_values()[f"standard_error.{value['type']}"]
            self.assertAlmostEqual(value["total_error"], Z95 * error, delta=0.51 * Z95)
            self.assertEqual(value["total_error"] == 0, sample == 1)

    def test_exact(self):
        run = self.profiled([self.victim("leak")], sample=1, expect=None)
        rows = self.rows(run.files[0])
        self.assertEqual(rows["program"], f"leak, pid {run.pid}")
        self.assertEqual(rows["sampled"], "every allocation")
        self.assertRegex(rows["alloc_space"], r"^[\d.]+MB exact$")
        self.assertRegex(rows["check"], r"^exactly \d+ bytes in \d+ allocations, as in the profile$")
        self.assertEqual(rows["lost"], "nothing")
        self.assertRegex(rows["profiler"], r"^[\d.]+[kM]B of memory \([\d.]+[kM]B of it in use\), [\d.]+[mun]?s in samples, [\d.]+[mun]?s each")
        self.assertRegex(rows["taken"], r"^20\d\d-\d\d-\d\d \d\d:\d\d:\d\d .*, reason: exit$")

    def test_estimated(self):
        comments = {"exact_units": 1920, "estimated_units": 2020, "lost.live_table": 0, "lost.truncated": 3, "lost.truncated.depth": 2,
                    "lost.something_new": 2, "created_unix_ns": 1700000000 * 10**9, "own_bytes": 65536, "samples": 20,
                    "sampling_ns": 60_000_000, "peak_inuse_space": 4096}
        path = self.make("made", {("leaf", "main"): (10, 1000, 5, 500), ("main",): (10, 1000, 0, 0)},
                         variances={("leaf", "main"): (4, 10000, 1, 2500), ("main",): (0, 0, 0, 0)},
                         time_ns=1700000012 * 10**9, comments=comments.items())
        rows = self.rows(path, TZ="UTC")
        self.assertEqual(rows["alloc_space"], "1.95kB ±196B (9.80%)")
        self.assertEqual(rows["peak in use"], "4kB")
        self.assertEqual(rows["check"],
                         "bytes plus allocations were exactly 1.88kB, by the samples 1.97kB: 5.21% too much, 0.98 standard errors")
        self.assertEqual(rows["profiler"], "64kB of memory, 60ms in samples, 3ms each, 0.5% of the time it ran")
        newer = self.make("newer", {("main",): (10, 1000, 0, 0)}, comments=[*comments.items(), ("cpu_ns", 240_000_000)])
        self.assertEqual(self.rows(newer)["profiler"], "64kB of memory, 60ms in samples, 3ms each, 25.00% of the processor time")
        unused = self.make("unused", {("main",): (10, 1000, 0, 0)}, comments=[*comments.items(), ("own_unused_bytes", 40960)])
        self.assertEqual(self.rows(unused)["profiler"], "64kB of memory (24kB of it in use), 60ms in samples, 3ms each")
        self.assertEqual(rows["taken"], "2023-11-14 22:13:32 UTC")
        self.assertEqual(rows["started"], "2023-11-14 22:13:20 UTC, 12.0 s before")
        text = self.tool("info", path).stdout
        self.assertIn("lost      2 something_new\n", text)
        self.assertIn("lost      1 truncated: the stack was not followed to its end\n", text)  # by a version that gave no reasons
        self.assertIn("lost      2 truncated.depth: the stack was deeper than HEAPPROF_DEPTH\n", text)
        self.assertEqual(self.json("info", path)["lost"]["truncated"], 3)
        self.assertNotIn("live_table", text)
        self.assertAlmostEqual(self.json("info", path)["estimated_units_error"], Z95 * (2 + 100), delta=0.01)

    def test_certainty_from_comments_alone(self):
        path = self.make("made", {("main",): (10, 1000, 5, 500)}, comments=[("standard_error.alloc_space", 100)])
        errors = {value["type"]: value["total_error"] for value in self.json("info", path)["values"]}
        self.assertAlmostEqual(errors.pop("alloc_space"), 100 * Z95)
        self.assertEqual(set(errors.values()), {None})

    def test_merged(self):
        run = self.profiled([self.victim("fork"), "busy"], sample=1)
        self.tool("merge", *run.files, "-o", "merged.pb.gz")
        rows = self.rows("merged.pb.gz")
        self.assertEqual(rows["merged"], "2 profiles")
        self.assertIn(rows["program"],
                      ("fork, pid {}, {}".format(*pair) for pair in (sorted(run.shadows), sorted(run.shadows)[::-1])))
        self.assertRegex(rows["check"], "^exactly .* bytes in .* allocations, as in the profile$", "also of what the child inherited")

    def test_exact_bytes_are_bytes(self):
        """Seen to fail: "the exact total" of a million blocks of one byte was 1.91MB, the blocks counted with them."""
        source = self.out_dir / "blocks.c"
        source.write_text("#include <stdlib.h>\nint main(void) { for (int i = 0; i < 5000; i++) free(malloc(1)); return 0; }\n")
        program = compile(source, "-fno-builtin")
        run = self.profiled([program], sample=1)
        info = self.json("info", run.files[0])
        self.assertEqual((info["exact_bytes"], info["exact_objects"]),
                         (run.profile.total("alloc_space"), run.profile.total("alloc_objects")))
        self.assertEqual(info["exact_bytes"] + info["exact_objects"], info["exact_units"])
        self.assertEqual(info["exact_objects"], 5000 + run.profile.total("alloc_objects", lambda frames: "main" not in frames))
        self.assertIn(f"exactly {info['exact_bytes']} bytes in {info['exact_objects']} allocations", self.rows(run.files[0])["check"])
        self.clear_profiles()
        sampled = self.json("info", self.profiled([program], sample=64).files[0])
        self.assertEqual((sampled["exact_bytes"], sampled["exact_objects"]), (None, None))

    def test_names_and_lines(self):
        info = self.json("info", self.profile_app()[1])
        program = info["mappings"][0]
        self.assertEqual(program["named"], program["locations"])
        self.assertGreater(program["with_inlined_frames"], 0)
        self.assertGreater(program["with_lines"], 0)

    @timeout(180)
    def test_of_go(self):
        """Nothing is known of how it was made: what it has is shown."""
        tools.need("go")
        (self.dir / "main.go").write_text(GO_PROGRAM)
        environment = tools.environment() | {"GOCACHE": str(self.dir / "go"), "CGO_ENABLED": "0"}
        subprocess.run(["go", "build", "-o", self.dir / "prog", self.dir / "main.go"], env=environment, check=True,
                       cwd=self.dir)
        subprocess.run([self.dir / "prog", self.out_dir / "go.pb.gz"], check=True)
        profile = pprof_reader.load(self.out_dir / "go.pb.gz")
        info = self.json("info", "go.pb.gz")
        self.assertEqual({value["type"]: value["total"] for value in info["values"]}, profile.totals())
        self.assertEqual({value["total_error"] for value in info["values"]}, {None})
        self.assertIsNone(info["exact_units"])
        rows = self.rows("go.pb.gz")
        self.assertEqual(rows["sampled"], "once in 1B of space on average (1)")
        self.assertRegex(rows["inuse_space"], r"^[\d.]+MB$")
        for row in ("check", "lost", "profiler", "allocator"):
            self.assertNotIn(row, rows)
        folded = self.tool("folded", "go.pb.gz").stdout
        self.assertEqual(sum(int(line.rsplit(" ", 1)[1]) for line in folded.splitlines()), profile.total("inuse_space"))
        self.tool("merge", "go.pb.gz", "go.pb.gz", "-o", "twice.pb.gz")
        self.assertEqual(pprof_reader.load(self.out_dir / "twice.pb.gz").totals(),
                         {k: 2 * v for k, v in profile.totals().items()})
        for which in tools.PPROFS:
            top = tools.pprof_top(which, self.out_dir / "twice.pb.gz", "inuse_space")
            self.assertEqual(top["main.keep"][0],
                             2 * tools.pprof_top(which, self.out_dir / "go.pb.gz", "inuse_space")["main.keep"][0])

    def test_hostile_texts(self):
        comments = {"program": "\x1b]0;x\x07", "command": "a\nb", "created_unix_ns": 2**64 - 1,
                    "sampling_ns": 2**64 - 1, "samples": 1, "exact_units": 2**64 - 1, "estimated_units": 0}
        path = self.make("made\x1b[2J", {("main",): (1, 2, 3, 4)}, types=("a\x1b[31m", "b\x9b", "c", "inuse_space"),
                         time_ns=-2**63, comments=comments.items())
        text = self.tool("info", path).stdout
        self.assertNotRegex(text, r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
        self.assertIn(r"\x1b]0;x\x07", text)
        json.loads(self.tool("info", path, "--json").stdout)

    def test_bad_input(self):
        self.check_bad_sources("info")
        self.check_refuses("info", status=2, says="one process or profile")
        self.check_refuses("info", "a", "b", status=2, says="one process or profile")


class InfoOfProcess(StateCase):
    def test_lines_that_nobody_looked_for(self):
        """Seen to fail: it said that there are none."""
        with self.holder() as program:
            heads = [line.split() for line in self.tool("info", program.pid).stdout.splitlines() if line.split()[:1] == ["places"]]
            self.dump(program.pid)
        self.assertEqual(heads, [["places", "named", "build", "id", "file"]])
        path, = self.out_dir.glob("*.pb.gz")
        self.assertIn("places  named  lines inline", self.tool("info", path).stdout)

    def test_running(self):
        with self.holder("work", sample=1) as program:
            self.stop(program)
            info = json.loads(self.tool("info", program.pid, "--json").stdout)
            listed = self.listed()[program.pid]
            profile = self.dump(program.pid)
        self.assertEqual({value["type"]: value["total"] for value in info["values"]}, profile.totals())
        for key in ("samples", "exact_units", "created_unix_ns", "sampling_interval_bytes"):
            self.assertTrue(math.isclose(info[key], listed[key]), key)
        self.assertEqual(info["pids"], [str(program.pid)])
        self.assertGreater(info["mappings"][0]["named"], 0)

    def test_state_file(self):
        pid = self.killed("work")
        text = self.tool("info", self.state_file(pid)).stdout
        self.assertRegex(text, rf"(?m)^program   holds, pid {pid}$")
        self.assertRegex(text, r"(?m)^started   20\d\d-.* before$")
