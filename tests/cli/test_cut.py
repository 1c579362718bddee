# SPDX-License-Identifier: MIT
"""What each command that shows a profile says of stacks that were cut."""
import os

from cli.views import Terminal, Views
from harness.case import cases
from hazards.toolbox import program

CUT, WHOLE, OTHER = ("leaf", "below"), ("leaf", "main"), ("other", "main")
DEPTH = "60.00% of inuse_space: depth (set HEAPPROF_DEPTH higher)"
KEYS = ("unknown", "no_cfi", "depth", "unreadable", "foreign_stack", "no_memory")


class Cut(Views):
    def make_cut(self, name="cut", key="truncated", text="depth", cut=60, whole=30, other=10):
        stacks = {stack: (1, value, 1, value) for stack, value in ((CUT, cut), (WHOLE, whole), (OTHER, other)) if value}
        return self.make(name, stacks, labels={CUT: (key, text)})

    def check_says(self, arguments, line):
        done = self.tool(*arguments)
        self.assertIn(line, done.stdout.splitlines())
        self.assertEqual(done.stderr, "")

    @cases("top", "tree")
    def test_line(self, command):
        self.check_says([command, self.make_cut()], f"Cut stacks: {DEPTH}")

    @cases("top", "tree", "folded", "info", "report")
    def test_nothing_to_say(self, command):
        for path in (self.make_cut("few", cut=5, whole=90, other=5), self.make_cut("others", key="request", text="truncated")):
            output = ["-f"] if command == "report" else []
            done = self.tool(command, *output, path)
            self.assertEqual(done.stderr, "")
            self.assertNotRegex(done.stdout, "(?i)cut")

    def test_peek_of_what_it_shows(self):
        path = self.make_cut()
        self.check_says(["peek", "leaf", path], "Cut stacks: 66.67% of inuse_space: depth (set HEAPPROF_DEPTH higher)")
        self.assertNotIn("Cut", self.tool("peek", "other", path).stdout)

    def test_of_both(self):
        old, new = self.make_cut("old", text="no CFI", cut=20, whole=70, other=10), self.make_cut("new", text="unreadable")
        lines = self.tool("diff", old, new).stdout.splitlines()
        self.assertRegex("\n".join(lines), r"\nCut stacks, old: 20\.00% of inuse_space: no CFI \(most of it in made; build that with .*\)\n"
                                           r"Cut stacks, new: 60\.00% of inuse_space: unreadable\n")
        text = self.tool("top", f"--diff-base={old}", new).stdout
        self.assertRegex(text, r"\nCut stacks: 60\.00% of inuse_space: unreadable\n"
                               r"Cut stacks of the base: 20\.00% of inuse_space: no CFI \(most of it in made; build that with .*\)\n")

    def test_folded_on_standard_error(self):
        done = self.tool("folded", self.make_cut().name)
        self.assertEqual(done.stderr, f"heapprof: cut.pb.gz: its stacks were cut, for {DEPTH}\n")
        self.assertEqual(sorted(done.stdout.splitlines()), ["below;leaf 60", "main;leaf 30", "main;other 10"])

    def test_json(self):
        """Also where it is not worth a word."""
        whole, cut = self.make_cut("whole", cut=0), self.make_cut("cut", text="no CFI", cut=4, whole=96, other=0)
        zero = dict.fromkeys(("total", *KEYS), 0)
        expected = {**zero, "total": 4, "no_cfi": 4}
        for arguments in (["top"], ["top", f"--diff-base={whole}"], ["diff", whole]):
            found = self.json(*arguments, cut)
            self.assertEqual((found["cut"], found.get("old_cut", zero)), (expected, zero))
            self.assertEqual("old_cut" in found, arguments != ["top"])
        values = {value["type"]: value["cut"] for value in self.json("info", cut)["values"]}
        self.assertEqual((values["inuse_space"], values["alloc_objects"]), (expected, {**zero, "total": 1, "no_cfi": 1}))

    def test_info(self):
        self.assertIn(f"cut       {DEPTH}\n", self.tool("info", self.make_cut()).stdout)

    def test_of_before(self):
        """Version 0.1.0 wrote "stack: truncated"."""
        self.check_says(["top", self.make_cut(key="stack", text="truncated")],
                        "Cut stacks: 60.00% of inuse_space: for a reason that is not told")

    def test_merged(self):
        """Reasons stay apart, functions do not."""
        paths = self.make_cut("one"), self.make_cut("two", text="no CFI")
        self.tool("merge", *paths, "-o", "both.pb.gz")
        found = self.json("top", "both.pb.gz")
        self.assertEqual((found["cut"]["depth"], found["cut"]["no_cfi"], found["cut"]["total"]), (60, 60, 120))
        self.assertEqual([(row["function"], row["flat"]) for row in found["rows"] if row["flat"]], [("leaf", 180), ("other", 20)])

    def test_run(self):
        done = self.tool("run", "--sample=1", "--", self.victim("deep"), 1000)
        self.assertRegex(done.stderr, r"\n +cut stacks +\d[\d.]+% of inuse_space: .*depth \(set HEAPPROF_DEPTH higher\)\n +files ")

    def test_which_code(self):
        """The program's own; the stacks end in the function that keeps no frame pointer."""
        run = self.profiled([program("hz_u10_ends.c"), "nothing"], sample=1)
        (name,) = {mapping.filename for mapping in run.profile.mappings if "hz_u10_ends" in mapping.filename}
        text = self.tool("top", "--sample-index=alloc_objects", run.files[0]).stdout
        self.assertIn(f" no CFI (most of it in {os.path.basename(name)}; build that with -fasynchronous-unwind-tables", text)

    def test_live(self):
        with self.start([self.victim("sites")], sample=1, seed=1, dump="none", depth=1) as sites:
            sites.say("work")
            sites.read_until("done")
            with Terminal(self, "top", sites.pid, columns=200, rows=12) as terminal:
                lines = terminal.screen("rows 1 to 6 of 6")
        self.assertEqual(lines[2], "cut stacks: 100% of inuse_space: depth (set HEAPPROF_DEPTH higher)")
        self.assertEqual(len(lines), 12)
