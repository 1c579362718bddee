# SPDX-License-Identifier: MIT
"""What held the peak is in every profile, and is shown where next to nothing is in use. Seen to fail: after a program that freed all,
`heapprof top` of what heapprof run had left was empty."""
import os
import re
import signal

from cli.views import TYPES, Terminal, Views
from harness import paths, pprof_reader, tools
from harness.case import cases
from hazards.toolbox import compile

MIB = 1 << 20
SIX = (*TYPES, "peak_objects", "peak_space")
FREED = "In use is 0 at exit: shown is what held the peak of 64MB"


class OfPrograms(Views):
    def frees(self):
        return compile(paths.TESTS / "cli/frees.c")

    def run_it(self, *arguments, sample=1):
        """The profile that a run leaves, and what it says."""
        done = self.tool("run", "-s", sample, "--", self.frees(), *arguments)
        path, = self.profile_files()
        return path, done.stderr

    def check_held(self, profile):
        held = {profile.frames(sample)[0]: sample.values for sample in profile.samples}
        self.assertEqual({name: (values["peak_objects"], values["peak_space"]) for name, values in held.items()},
                         {"load": (1, 16 * MIB), "build_index": (1, 48 * MIB)})
        self.assertEqual({values["inuse_space"] for values in held.values()}, {0})
        self.check_lint(profile)

    def test_run(self):
        path, said = self.run_it()
        self.check_held(pprof_reader.load(path))
        self.assertRegex(said, r"\Aheapprof: peak +64MB, exact \(.*\)\n +in use at exit +0 +of 64MB allocated\n")
        self.assertRegex(said, r"\n +top at the peak +48MB build_index, 16MB load\n")

    def test_exit(self):
        self.check_held(self.profiled([self.frees()], sample=1).profile)

    def test_signal_and_dump(self):
        with self.start([self.frees(), "0", "wait"], sample=1) as program:
            program.read_until("freed")
            os.kill(program.pid, signal.SIGUSR2)
            program.wait_for_files(1)
            self.tool("dump", "-o", "dump.pb.gz", program.pid)
            run = program.end("\n")
        for profile in (*run.profiles, pprof_reader.load(self.out_dir / "dump.pb.gz")):
            self.assertEqual({name: sum(row.values["peak_space"] for row in profile.samples if profile.frames(row)[0] == name)
                              for name in ("load", "build_index")}, {"load": 16 * MIB, "build_index": 48 * MIB})

    def test_killed(self):
        with self.start([self.frees(), "0", "wait"], sample=1) as program:
            program.read_until("freed")
            os.kill(program.pid, signal.SIGKILL)
            program.process.wait()
            self.tool("recover", "-o", "left.pb.gz", program.pid)
        self.check_held(pprof_reader.load(self.out_dir / "left.pb.gz"))
        self.assertIn("In use is 0 at the end: shown is what held the peak of 64MB\n", self.tool("top", "left.pb.gz").stdout)

    def test_views(self):
        path, _ = self.run_it()
        top, tree = self.tool("top", path).stdout, self.tool("tree", path).stdout
        for text in (top, tree, self.tool("peek", "build_index", path).stdout):
            self.assertRegex(text, rf"\nType: peak_space\n.*\n{FREED}\n")
        self.assertRegex(top, r"\n48MB +75\.00% +75\.00% +48MB +75\.00% +build_index\n16MB ")
        self.assertRegex(tree, r"\n +48MB +75\.00% +├ build_index\n +16MB +25\.00% +└ load\n")
        folded = self.tool("folded", path)
        self.assertEqual({line.rsplit(" ", 1)[1]: line.rsplit(" ", 1)[0].split(";")[-1] for line in folded.stdout.splitlines()},
                         {str(48 * MIB): "build_index", str(16 * MIB): "load"})
        self.assertRegex(folded.stderr, rf"\Aheapprof: {path}: i{FREED[1:]}\n\Z")
        self.assertEqual([self.json("top", path)[key] for key in ("type", "total")], ["peak_space", 64 * MIB])
        self.tool("report", "-o", "page.html", path)
        self.assertIn('"shown":"peak_space"', (self.out_dir / "page.html").read_text())

    def test_in_use_on_demand(self):
        path, _ = self.run_it()
        done = self.tool("top", "--sample-index=inuse_space", path, expect=1)
        self.assertIn("there is nothing to show of inuse_space", done.stderr)
        self.assertNotIn("peak", done.stderr)
        self.assertEqual(self.tool("folded", "-inuse_space", path).stderr, "")

    def test_peak_on_demand(self):
        """Of a program that keeps something, what is in use is shown, and the peak with an option."""
        path, said = self.run_it(8 * MIB)
        self.assertRegex(said, r"\n +top in use +8MB keep\n")
        self.assertRegex(self.tool("top", path).stdout, r"\nType: inuse_space\n(?s:.*)\n *8MB .* keep\n")
        for option in ("--peak", "-peak_space", "--sample-index=peak_space"):
            text = self.tool("top", option, path).stdout
            self.assertRegex(text, r"\nType: peak_space\n(?s:.*)\n48MB .* build_index\n16MB .* load\n")
            self.assertNotIn("In use", text)
        self.assertRegex(self.tool("top", "-peak_objects", path).stdout, r"\nType: peak_objects\n(?s:.*)\n +1 .* build_index\n")
        for command in (["tree"], ["peek", "load"], ["folded"]):
            self.assertIn("build_index" if command != ["peek", "load"] else "16MB", self.tool(*command, "--peak", path).stdout)

    def test_live(self):
        """The live table would jump from one to the other: it shows what is in use, unless it is asked for the peak."""
        with self.start([self.frees(), "0", "wait"], sample=1) as program:
            program.read_until("freed")
            with Terminal(self, "top", "--peak", program.pid) as terminal:
                self.assertRegex("\n".join(terminal.screen("build_index")), r"peak_space(?s:.*)\n48MB .* build_index")
            with Terminal(self, "top", program.pid) as terminal:
                self.assertNotIn("build_index", "\n".join(terminal.screen("inuse_space")))
            program.end("\n")

    def test_limit(self):
        done = self.tool("run", "-q", "--fail-if", "peak>60M", "--", self.frees(), expect=3)
        self.assertRegex(done.stderr, r"had 64MB at its peak, 4MB too much; most in build_index: 48MB\n\Z")

    @cases(*tools.PPROFS)
    def test_pprof(self, which):
        path, _ = self.run_it(8 * MIB)
        for kind, unit in (("peak_space", MIB), ("peak_objects", 1)):
            rows = tools.pprof_top(which, path, kind)
            self.assertEqual(rows["build_index"][0], 48 * unit if unit > 1 else 1)
            self.assertEqual(rows["load"][0], 16 * unit if unit > 1 else 1)
            self.assertEqual(rows["main"], (0, 64 * unit if unit > 1 else 2))
        self.assertIn("Type: inuse_space\n", tools.pprof(which, "-top", path))

    @cases(*tools.PPROFS)
    def test_pprof_estimates(self, which):
        """Row by row, as we show them."""
        run = self.profiled([self.victim("churn")], sample=4096)
        rows = tools.pprof_top(which, run.files[0], "peak_space")
        ours = {row["function"]: (row["flat"], row["cum"]) for row in self.json("top", "--peak", "--leaf", run.files[0])["rows"]}
        self.assertGreater(sum(flat for flat, _ in ours.values()), 0)
        for name, row in ours.items():
            if re.fullmatch(r"main|victim_\w+", name):
                self.assertEqual(rows[name], row, name)

    def test_at_its_peak_at_the_end(self):
        """What is in use at the end of a program that is at its peak is the peak, to the byte. Where something was freed since, chance
        may have it above; then it is shown as the peak, too."""
        told = set()
        for seed in range(1, 17):
            self.clear_profiles()
            done = self.tool("run", "--", self.victim("exchange"), 65536, 512 if seed > 4 else 0, "keep", HEAPPROF_SEED=seed)
            path, = self.profile_files()
            profile = pprof_reader.load(path)
            peak, in_use = profile.total("peak_space"), profile.total("inuse_space")
            if seed <= 4:
                self.assertEqual(peak, in_use)
                self.assertRegex(done.stderr, r"peak +(\S+ ±\S+) \(.*\n +in use at exit +\1 of \S+ allocated\n")
            shown, = re.findall(r"peak +(\S+) ±\S+ \(", done.stderr)
            self.assertRegex(done.stderr, rf"\n +in use at exit +{re.escape(shown)} ±" if in_use >= peak else r"\n +in use at exit ")
            told.add(in_use > peak)
        self.assertEqual(told, {False, True})


    def test_growing_to_its_end(self):
        """What passes by does not keep the peak below what is in use at the end, and what was allocated is counted. Seen to fail: `peak
        3.50MB ±2.78MB` beside `in use at exit 5MB ±3.10MB of 27MB allocated`."""
        program, below = compile(paths.TESTS / "cli/keeps_some.c"), 0
        for seed in range(1, 13):
            self.clear_profiles()
            own = self.profiled([program], seed=seed).profile
            self.clear_profiles()
            done = self.tool("run", "--", program, HEAPPROF_SEED=seed)
            path, = self.profile_files()
            profile = pprof_reader.load(path)
            below += any(each.total("peak_space") < each.total("inuse_space") for each in (profile, own))
            peak, in_use, allocated = re.search(
                r"peak +(\S+)MB ±.*\n +in use at exit +(\S+)MB ±\S+ of (\S+)MB allocated\n", done.stderr).groups()
            self.assertGreaterEqual(float(peak), float(in_use))
            self.assertAlmostEqual(float(allocated), 32, delta=1)
        self.assertLessEqual(below, 1)


class OfProfiles(Views):
    """Made by hand."""
    def six(self, name, in_use, peak, **options):
        return self.make(name, {("holder", "main"): (5, 5000000, 1 if in_use else 0, in_use, 3, peak)}, types=SIX, **options)

    @cases((10000, "peak_space"), (10001, "inuse_space"), (0, "peak_space"))
    def test_next_to_nothing(self, in_use, shown):
        path = self.six("made", in_use, 1000000)
        self.assertIn(f"\nType: {shown}\n", self.tool("top", path).stdout)

    def test_no_peak(self):
        path = self.make("four", {("holder", "main"): (5, 5000000, 0, 0)})
        self.assertIn("nothing to show of inuse_space", self.tool("top", path, expect=1).stderr)
        for command in (["top"], ["tree"], ["peek", "main"], ["report"]):
            self.check_refuses(*command, "--peak", path, status=1, says="no sample type 'peak_space' in it; it has alloc_objects, ")
        self.check_refuses("folded", "--peak", path, status=2, says="no values 'peak_space', only ")

    @cases("top", "tree", "folded", "report")
    def test_contradiction(self, command):
        path = self.six("made", 1, 1)
        self.check_refuses(command, "--peak", "--sample-index=alloc_space", path, status=2,
                           says="--peak means --sample-index=peak_space, and there is --sample-index=alloc_space as well")

    def test_filter(self):
        """What a filter leaves does not decide."""
        path = self.make("made", {("a", "main"): (1, 1000, 0, 0, 1, 1000), ("b", "main"): (1, 1000, 1, 1000, 0, 0)}, types=SIX)
        self.assertIn("\nType: inuse_space\n", self.tool("top", "--focus=a", path).stdout)

    def test_merge(self):
        one, other = self.six("one", 0, 1000000), self.six("other", 0, 3000000)
        self.tool("merge", "-o", "sum.pb.gz", one, other)
        merged = pprof_reader.load(self.out_dir / "sum.pb.gz")
        self.assertEqual(merged.totals(), dict(zip(SIX, (10, 10000000, 0, 0, 6, 4000000))))
        told = "those of all profiles, added up: no more was in use at any one time"
        self.assertIn(f"# heapprof peak: {told}", merged.comments)
        self.assertRegex(self.tool("top", "sum.pb.gz").stdout, rf"\nIn use is 0: shown is what held the peak of 3\.81MB\nPeak: {told}\n")
        self.assertRegex(self.tool("info", "sum.pb.gz").stdout, rf"\npeak +{told}\n")
        self.tool("merge", "-o", "again.pb.gz", "sum.pb.gz", one)
        self.assertEqual(pprof_reader.load(self.out_dir / "again.pb.gz").comments.count(f"# heapprof peak: {told}"), 1)

    @cases(("six", "four"), ("four", "six"), ("six", "six", "four", "six"))
    def test_merge_of_older(self, *names):
        """What one of them lacks is left out. Seen to fail: they could not be added."""
        self.six("six", 7, 1000000, variances={("holder", "main"): (1, 2, 3, 4, 5, 6)})
        self.make("four", {("holder", "main"): (5, 5000000, 1, 7)}, variances={("holder", "main"): (1, 2, 3, 4)})
        self.tool("merge", "-o", "sum.pb.gz", *(self.out_dir / f"{name}.pb.gz" for name in names))
        merged, count = pprof_reader.load(self.out_dir / "sum.pb.gz"), len(names)
        self.assertEqual(merged.totals(), dict(zip(TYPES, (5 * count, 5000000 * count, count, 7 * count))))
        self.assertEqual(list(merged.samples[0].variances.values()), [count, 2 * count, 3 * count, 4 * count])

    def test_merge_of_others(self):
        one = self.six("one", 0, 10)
        other = self.make("other", {("holder", "main"): (5, 5, 5, 5, 5)}, types=(*TYPES, "other_space"))
        self.check_refuses("merge", "-o", "sum.pb.gz", one, other, status=1, says="'other_space' .* where .* 'peak_objects'")
        four = self.make("four", {("holder", "main"): (5, 5, 5, 5)})
        self.check_refuses("merge", "-o", "sum.pb.gz", other, four, status=1, says="4 values for each stack where .* has 5")

    def test_difference(self):
        old, new = self.six("old", 0, 1000000), self.six("new", 0, 1500000)
        for text in (self.tool("diff", old, new).stdout, self.tool("top", f"--diff-base={old}", new).stdout):
            self.assertRegex(text, r"\nType: peak_space\n(?s:.*)\n\+488\.28kB +.*holder|\nType: peak_space\n(?s:.*)\n488\.28kB .*holder")
        self.tool("report", "-o", "page.html", old, new)
        self.assertIn('"shown":"peak_space"', (self.out_dir / "page.html").read_text())

    def test_difference_with_one_that_holds(self):
        """If next to nothing is in use in one only, what is in use is compared."""
        old, new = self.six("old", 0, 1000000), self.six("new", 900000, 1000000)
        for one, other in ((old, new), (new, old)):
            self.assertIn("\nType: inuse_space\n", self.tool("diff", one, other).stdout)
            self.assertIn("\nType: inuse_space\n", self.tool("top", f"--diff-base={one}", other).stdout)
        self.assertIn("\nType: peak_space\n", self.tool("diff", "--peak", old, new).stdout)

    def test_growth(self):
        """A limit is for what is in use, however little that is next to the peak."""
        exact = [("sampling_interval_bytes", "1")]
        old, new = self.six("old", 0, 1000000, comments=exact, period=1), self.six("new", 5000, 1000000, comments=exact, period=1)
        done = self.tool("diff", "--fail-if", "growth>4000", old, new, expect=3)
        self.assertIn("4.88kB after 0, +4.88kB", done.stderr)
        self.assertIn("\nType: inuse_space\n", done.stdout)
        self.tool("diff", "--fail-if", "growth>4000", "--peak", old, new)

    def test_info(self):
        path = self.six("made", 1000, 1000000, comments=[("peak_inuse_space", "1000000")])
        self.assertRegex(self.tool("info", path).stdout, r"\npeak_space +976\.56kB")
        self.assertNotIn("peak in use", self.tool("info", path).stdout)
        self.assertEqual([value["total"] for value in self.json("info", path)["values"]][4:], [3, 1000000])
        four = self.make("four", {("main",): (1, 1, 1, 1)}, comments=[("peak_inuse_space", "1000000")])
        self.assertRegex(self.tool("info", four).stdout, r"\npeak in use +976\.56kB")
