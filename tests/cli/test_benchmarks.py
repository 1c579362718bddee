# SPDX-License-Identifier: MIT
"""Memory of benchmarks: include/heapprof_benchmark.h with google-benchmark, and the example in Rust."""
import json
import subprocess

from harness import paths
from harness.case import Case, cases, timeout
from harness.tools import need
from hazards.toolbox import compile

EXAMPLES = paths.SOURCE / "docs/examples"
OFTEN = "--benchmark_min_time=0.001"
EXACT = {"three_blocks": (140, 3, 120), "no_block": (0, 0, 0), "words/1000": (1001, 1, 1001), "words/100000": (100001, 1, 100001)}
COUNTED = 16  # iterations


class OfGoogle(Case):
    def program(self, standard="c++11"):
        return compile(EXAMPLES / "benchmark/words.cc", f"-std={standard}", "-O2", "-Woverloaded-virtual", f"-I{paths.SOURCE}/include",
                       "-lbenchmark")

    def run_json(self, *options, **variables):
        done = self.tool("run", "-q", *options, "--", self.program(), OFTEN, "--benchmark_format=json", **variables)
        return done, {one["name"]: one for one in json.loads(done.stdout)["benchmarks"]}

    @cases(("g++", "c++11"), ("g++", "c++20"), ("clang++", "c++11"), ("clang++", "c++20"))
    def test_compiles_without_a_warning(self, compiler, standard):
        need(compiler)
        done = subprocess.run([compiler, f"-std={standard}", "-Wall", "-Wextra", "-Woverloaded-virtual", "-Wpedantic", "-Werror",
                               f"-I{paths.SOURCE}/include", "-fsyntax-only", EXAMPLES / "benchmark/words.cc"], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    @timeout(120)
    def test_exact(self):
        done, found = self.run_json("-s", 1)
        self.assertEqual({name: (one["B/op"], one["allocs/op"], one["peak_B"]) for name, one in found.items()}, EXACT)
        for name, (size, objects, peak) in EXACT.items():
            one = found[name]
            self.assertEqual((one["total_allocated_bytes"], one["allocs_per_iter"], one["max_bytes_used"], one["net_heap_growth"]),
                             (min(COUNTED, one["iterations"]) * size, objects, peak, 0))
        self.assertNotIn("heapprof", done.stderr)

    def test_profile(self):
        """Of what was counted: not of the thousands of iterations that were timed."""
        self.tool("run", "-q", "-s", 1, "--", self.program(), OFTEN, "--benchmark_filter=three_blocks")
        path, = self.profile_files()
        rows = {row["function"]: row for row in json.loads(self.tool("top", "--json", "--sample-index=alloc_space", path).stdout)["rows"]}
        counted = rows["three_blocks"]["flat"] - 5000  # of its setup
        self.assertIn(counted, [140 * iterations for iterations in range(1, COUNTED + 1)])

    def test_table(self):
        done = self.tool("run", "-q", "-s", 1, "--", self.program(), OFTEN, "--benchmark_repetitions=2")
        self.assertRegex(done.stdout, r"(?m)^three_blocks +\d.* B/op=140 allocs/op=3 peak_B=120$")
        self.assertRegex(done.stdout, r"(?m)^three_blocks_mean +\d")
        done = self.tool("run", "-q", "-s", 1, "--", self.program(), OFTEN, "--benchmark_counters_tabular")
        self.assertRegex(done.stdout, r"(?m)^three_blocks .* 140 +3 +120$")

    def test_without_the_library(self):
        done = subprocess.run([self.program("c++17"), OFTEN], capture_output=True, text=True, check=True)
        self.assertIn("heapprof: not preloaded, so memory is not counted: heapprof run -s 1 -- PROGRAM\n", done.stderr)
        self.assertRegex(done.stdout, r"(?m)^words/1000 +[\d.]+ ns +[\d.]+ ns +\d+$")

    @cases((("-s", "4096"), {}, "at a sampling interval of 4096 bytes"), (("-s", "1"), {"HEAPPROF_ONLY": "nobody"}, "is not counted: "))
    def test_without_every_allocation(self, options, variables, says):
        done, found = self.run_json(*options, **variables)
        self.assertIn(f"{says}", done.stderr)
        self.assertEqual(set(found), set(EXACT))
        self.assertEqual([key for one in found.values() for key in one if "alloc" in key or "B" in key], [])

    @timeout(120)
    def test_without_a_part(self):
        """All of the run is counted, by threads too, and a benchmark that keeps what it allocates grows."""
        source = self.dir / "all.cc"
        source.write_text("""#include <heapprof_benchmark.h>
#include <thread>
static char *volatile kept[1000];
static void keeps(benchmark::State &state) {
  int i = 0;
  for (auto _ : state) { std::thread([&] { kept[i++ % 1000] = new char[1000]; }).join(); }
}
BENCHMARK(keeps)->Iterations(16);
HEAPPROF_BENCHMARK_MAIN();
""")
        program = compile(source, "-std=c++11", "-O2", f"-I{paths.SOURCE}/include", "-lbenchmark")
        done = self.tool("run", "-q", "-s", 1, "--", program, "--benchmark_format=json")
        one, = json.loads(done.stdout)["benchmarks"]
        for key in ("total_allocated_bytes", "max_bytes_used", "net_heap_growth"):
            self.assertTrue(16000 <= one[key] < 40000, one)


class OfRust(Case):
    def build(self):
        need("rustc")
        program = self.dir / "bench"
        subprocess.run(["rustc", "-O", "-o", program, EXAMPLES / "rust/bench.rs"], check=True, capture_output=True)
        return program

    @timeout(120)
    def test_example(self):
        program = self.build()
        done = self.tool("run", "-q", "-s", 1, "--", program)
        self.assertEqual([line.split(" ns/op ")[1] for line in done.stdout.splitlines()],
                         ["128 B/op 2 allocs/op 128 B peak", "48 B/op 2 allocs/op 32 B peak", "0 B/op 0 allocs/op 0 B peak"])
        for lines in (subprocess.run([program], capture_output=True, text=True, check=True).stdout,
                      self.tool("run", "-q", "--", program).stdout):
            self.assertEqual(lines.count(" ns/op, memory is not counted: heapprof run -s 1 -- ./bench\n"), 3)
