# SPDX-License-Identifier: MIT
"""Text profiles of jemalloc, gperftools, Go and Java: fresh ones of what is installed, and those that google/pprof is tested with. What
every viewer shows of them is what the pprofs and jeprof do."""
import gzip
import os
import pathlib
import re
import subprocess

from cli.views import Views
from harness import paths, pprof_reader, tools
from harness.case import cases, path_of_allocator
from hazards.toolbox import compile

GOOGLE = pathlib.Path("/usr/share/gocode/src/github.com/google/pprof/profile/testdata")
FOUR = ("alloc_objects", "alloc_space", "inuse_objects", "inuse_space")
SHOP = {"shop_small": [96] * 10000, "shop_mixed": [(1 + i % 37) * 777 for i in range(1, 40000, 2)], "shop_large": [3000000] * 10}


def size_class(size):
    """What jemalloc counts: four for each doubling."""
    step = 16 if size <= 128 else 1 << ((size - 1).bit_length() - 3)
    return (size + step - 1) // step * step


def as_gperftools(text):
    """jemalloc's format with a line for each thread, as the older one that pprof reads."""
    lines = iter(text.split("\n"))
    rate = next(lines)
    counts = next(lines).split(":", 1)[1].strip()
    out, stack = [f"heap profile: {counts} @ {rate}"], None
    for line in lines:
        if line.startswith("MAPPED_LIBRARIES:"):
            return "\n".join([*out, line, *lines])
        if line.startswith("@"):
            stack = line
        elif line.strip().startswith("t*:"):
            out.append(f"{line.split(':', 1)[1].strip()} {stack}")
    raise AssertionError("no mapped files")


class Legacy(Views):
    def plain_run(self, command, **variables):
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, cwd=self.dir, timeout=200,
                              env={**tools.environment(), **{key: str(value) for key, value in variables.items()}})
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    # Fresh profiles.

    def jemalloc(self, *options, interval_log=12):
        settings = ",".join(["prof:true", "prof_final:true", f"lg_prof_sample:{interval_log}", f"prof_prefix:{self.dir}/je", *options])
        self.plain_run([compile(paths.TESTS / "cli/legacy.cc")], LD_PRELOAD=path_of_allocator("jemalloc"), MALLOC_CONF=settings)
        path, = self.dir.glob("je.*.heap")
        return path

    def gperftools(self, kind):
        if kind == "heapprofile":
            self.plain_run([compile(paths.TESTS / "cli/legacy.cc")], LD_PRELOAD=path_of_allocator("tcmalloc"), HEAPPROFILE=self.dir / "tc")
            return max(self.dir.glob("tc.*.heap"))
        path_of_allocator("tcmalloc")
        if not os.path.exists("/usr/include/gperftools/malloc_extension.h"):
            self.skipTest("libgoogle-perftools-dev is not installed")
        program = compile(paths.TESTS / "cli/legacy.cc", "-DWITH_TCMALLOC", "-ltcmalloc")
        self.plain_run([program, self.dir / "heap_v2", self.dir / "growth"], TCMALLOC_SAMPLE_PARAMETER=4096)
        return self.dir / kind

    def go(self):
        tools.need("go")
        self.plain_run(["go", "build", "-o", self.dir / "shop", paths.TESTS / "cli/legacy.go"], GOCACHE=self.dir / "cache")
        self.plain_run([self.dir / "shop", self.dir / "go.txt"])
        return self.dir / "go.txt"

    def google(self, name):
        path = GOOGLE / name
        if not path.exists():
            self.skipTest("golang-github-google-pprof-dev is not installed")
        return path

    def fresh(self, what):
        """The file, and what pprof is given for it."""
        if what.startswith("jemalloc"):
            path = self.jemalloc(*["prof_accum:true"] * what.endswith("accum"))
            again = self.dir / "as_gperftools"
            again.write_text(as_gperftools(path.read_text()))
            return path, again
        path = self.go() if what == "go" else self.google(what) if "." in what else self.gperftools(what)
        return path, path

    # Against the pprofs.

    def totals(self, path):
        return {value["type"]: value["total"] for value in self.json("info", path)["values"]}

    def check_totals(self, path, compared, which):
        totals = self.totals(path)
        self.assertIn(tuple(totals), (FOUR, FOUR[2:], ("objects", "space")))
        for name, value in totals.items():
            text = tools.pprof(which, "-top", f"-sample_index={name}", "-unit=" + ("b" if name.endswith("space") else "count"), compared)
            self.assertEqual(value, int(re.search(r"% of (\d+)B? total$", text, re.MULTILINE)[1]), f"{name} of {which} pprof")
            self.assertGreater(value, 0)
        return totals

    @cases(*((which, what) for which in tools.PPROFS
             for what in ("jemalloc", "jemalloc_accum", "heapprofile", "heap_v2", "growth", "go",
                          "cppbench.heap", "cppbench.growth", "gobench.heap", "java.heap")))
    def test_totals_are_those_of_pprof(self, which, what):
        path, compared = self.fresh(what)
        self.check_totals(path, compared, which)

    @cases("go", "google")
    def test_what_is_written_is_read_by_pprof(self, which):
        path, compared = self.fresh("jemalloc_accum")
        merged = self.dir / "merged.pb.gz"
        self.tool("merge", path, "-o", merged)
        totals = self.check_totals(merged, merged, which)
        self.assertEqual(totals, self.totals(path))
        self.assertEqual(totals, self.check_totals(path, compared, which))

    def test_totals_are_those_of_jeprof(self):
        tools.need("jeprof")
        path = self.jemalloc()
        report = self.plain_run(["jeprof", "--text", "--show_bytes", compile(paths.TESTS / "cli/legacy.cc"), path])
        total = int(re.search(r"^Total: (\d+) B$", report, re.MULTILINE)[1])
        stacks = path.read_text().count("\n@")
        self.assertAlmostEqual(self.totals(path)["space"], total, delta=stacks + 1)  # ours are cut off, stack by stack

    # Names and intervals.

    def rows(self, path, *options):
        return {row["function"]: row for row in self.json("top", path, *options)["rows"]}

    @cases("jemalloc", "heapprofile", "heap_v2", "growth")
    def test_names_are_those_of_the_mapped_files(self, what):
        path, _ = self.fresh(what)
        rows = self.rows(path)
        leaves = sorted(rows, key=lambda name: rows[name]["flat"])[-2:]
        self.assertEqual(leaves, ["shop_large", "shop_mixed"])
        self.assertGreater(rows["main"]["cum"], 0.99 * sum(row["flat"] for row in rows.values()) - 100000)

    @cases("jemalloc", "heap_v2", "heapprofile")
    def test_intervals_hold_the_truth(self, what):
        """6 standard errors are never exceeded. gperftools lets some megabytes pass before its first sample."""
        path, _ = self.fresh(what)
        rows = self.rows(path)
        for name, sizes in SHOP.items():
            truth = sum(map(size_class, sizes) if what == "jemalloc" else sizes)
            error = rows[name]["flat_error"] / 1.959964
            if name == "shop_mixed":
                self.assertEqual(error > 0, what != "heapprofile")
            late = 20 << 20 if what == "heap_v2" else 0
            self.assertLessEqual(abs(rows[name]["flat"] - truth), late + 6 * error, name)

    def test_names_of_go_stand_in_the_text(self):
        path = self.go()
        (self.dir / "shop").unlink()
        rows = self.rows(path)
        self.assertEqual(max(rows, key=lambda name: rows[name]["flat"]), "main.inlined")
        self.assertTrue({"main.small", "main.large", "main.main", "runtime.main"} <= set(rows))
        self.assertIn("legacy.go:", self.tool("folded", "--lines", path).stdout)

    # Every viewer.

    @cases("plain", "gzip", "standard input")
    def test_every_viewer(self, how):
        path = self.jemalloc("prof_accum:true")
        if how == "gzip":
            packed = self.dir / "packed.gz"
            packed.write_bytes(gzip.compress(path.read_bytes()))
            path = packed
        text = path.read_text() if how == "standard input" else None
        shown = "-" if text is not None else path
        said = {}
        for command, *options in (("top",), ("tree",), ("peek", "shop_large"), ("folded",), ("info",), ("diff", path)):
            said[command] = self.tool(command, *options, shown, input=text).stdout
        for command in ("top", "tree", "peek", "folded"):
            self.assertIn("shop_large", said[command], command)
        self.assertIn("once in 4kB", said["info"])
        if text is None:
            page = self.dir / "page.html"
            self.tool("report", path, "-o", page)
            self.assertGreater(page.stat().st_size, 10000)
            symbolized = self.dir / "named.pb.gz"
            self.tool("symbolize", path, "-o", symbolized)
            names = {name for sample in pprof_reader.load(symbolized).samples for name in pprof_reader.load(symbolized).frames(sample)}
            self.assertIn("shop_large", names)

    def test_text_is_not_replaced_by_what_its_readers_do_not_know(self):
        path = self.dir / "some.heap"
        path.write_text("heap_v2/1\n t*: 2: 200 [2: 200]\n@ 0x400101\n t*: 2: 200 [2: 200]\n")
        self.check_refuses("symbolize", path, status=1, says="some.heap is a text profile.* with -o")
        self.assertIn("heap_v2/1", path.read_text())

    def test_two_dumps_are_compared(self):
        old = self.dir / "old.heap"
        old.write_text("heap_v2/1\n t*: 2: 200 [2: 200]\n@ 0x400101\n t*: 2: 200 [2: 200]\n")
        new = self.dir / "new.heap"
        new.write_text("heap_v2/1\n t*: 5: 600 [5: 600]\n@ 0x400101\n t*: 3: 300 [3: 300]\n@ 0x400201\n t*: 2: 300 [2: 300]\n")
        self.assertEqual(sum(row["flat"] for row in self.json("diff", old, new)["rows"]), 400)

    @cases("jemalloc", "gperftools")
    def test_damage_is_one_line_with_its_place(self, what):
        path = self.dir / "damaged.heap"
        path.write_text({"jemalloc": "heap_v2/1\n t*: 2: 200 [0: 0]\n@ 0x1\n t*: 2: 2x0 [0: 0]\n",
                         "gperftools": "heap profile: 1: 1 [1: 1] @ growth\n1: 1 [1: 1] @ 0x1\n\n1: [1: 1] @ 0x2\n"}[what])
        self.check_refuses("top", path, status=1, says=r"damaged.heap is not a heap profile, or is damaged: line 4: ")
