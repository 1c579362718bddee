# SPDX-License-Identifier: MIT
"""heapprof tree: its numbers are those of the stacks, and long stacks stay readable."""
import re

from cli.views import TYPES, Terminal, Views
from harness import pprof_reader
from harness.case import cases


class Tree(Views):
    def tree(self, *arguments, **variables):
        """The lines below the titles: (value, percent, text); "" for numbers that are not there."""
        lines = self.tool("tree", *arguments, **variables).stdout.splitlines()
        start = next(i for i, line in enumerate(lines) if re.match(r" *(alloc|inuse)_\w+ .*%$", line))
        column = lines[start].index("%", lines[start].rindex(" ")) + 3
        rows = []
        for line in lines[start + 1:]:
            numbers = line[:column].split()
            rows.append((numbers[0] if numbers else "", numbers[-1] if numbers else "", line[column:]))
        return rows

    def texts(self, *arguments, **variables):
        return [text for _, _, text in self.tree(*arguments, **variables)]

    def make_bytes(self, name, stacks):
        """stacks: "main a b" -> bytes in use"""
        return self.make(name, {tuple(reversed(stack.split())): (0, 0, 0, value) for stack, value in stacks.items()})

    def test_shape(self):
        path = self.make_bytes("shape", {"main a b c": 60, "main a b d": 20, "main e": 19, "main": 1})
        self.assertEqual(self.tree(path), [
            ("100B", "100%", "main"),
            ("80B", "80.00%", "├ a"),
            ("", "", "│ b"),
            ("60B", "60.00%", "│ ├ c"),
            ("20B", "20.00%", "│ └ d"),
            ("19B", "19.00%", "├ e"),
            ("1B", "1.00%", "└ (itself)")])

    def test_ascii(self):
        path = self.make_bytes("shape", {"main a b": 600, "main a c": 395, "main f f f": 5})
        self.assertEqual(self.texts(path, LC_ALL="C"), ["main", "+ a", "| + b", "| ` c", "` ... 1 more"])
        self.assertEqual(self.texts(path, "--min=0", LC_ALL="C")[-1], "` f x3")

    def test_small_branches_are_folded(self):
        path = self.make_bytes("small", {"main big": 980, "main s1": 9, "main s2": 8, "main s3 s4": 3})
        self.assertEqual(self.tree(path)[1:], [("980B", "98.00%", "├ big"), ("20B", "2.00%", "└ … 3 more")])
        self.assertEqual(self.texts(path, "--min", "0.85"), ["main", "├ big", "├ s1", "└ … 2 more"])
        self.assertEqual(self.texts(path, "--min", "0.8%"), ["main", "├ big", "├ s1", "├ s2", "└ … 1 more"])
        self.assertEqual(self.texts(path, "-m0"), ["main", "├ big", "├ s1", "├ s2", "└ s3", "  s4"])
        self.assertEqual(self.texts(path, "-m100"), ["main", "└ … 4 more"])

    def test_depth(self):
        path = self.make_bytes("depth", {"r main a b": 60, "r main a c": 20, "r main e": 20})
        self.assertEqual(self.texts(path, "--depth=0"), ["r", "main", "└ … 2 more"])
        self.assertEqual(self.tree(path, "--depth=1")[2:], [("80B", "80.00%", "├ a"), ("80B", "80.00%", "│ └ … 2 more"),
                                                             ("20B", "20.00%", "└ e")])
        self.assertEqual(self.texts(path, "--depth=2"), self.texts(path))

    def test_several_roots(self):
        path = self.make_bytes("roots", {"main a": 70, "thread b": 30})
        self.assertEqual(self.texts(path), ["main", "a", "thread", "b"])

    def test_recursion_is_one_line(self):
        path = self.make_bytes("recursion", {"main " + "f " * 40 + "g g h": 10})
        self.assertEqual(self.texts(path), ["main", "f ×40", "g ×2", "h"])
        path = self.make_bytes("branching", {"main f f": 5, "main f": 5})
        self.assertEqual(self.texts(path), ["main", "f", "├ f", "└ (itself)"])

    def test_inverted(self):
        path = self.make_bytes("inverted", {"main a malloc_user": 60, "main b malloc_user": 30, "malloc_user": 10})
        self.assertEqual(self.tree(path, "--inverted"), [
            ("100B", "100%", "malloc_user"),
            ("60B", "60.00%", "├ a"), ("", "", "│ main"),
            ("30B", "30.00%", "├ b"), ("", "", "│ main"),
            ("10B", "10.00%", "└ (no caller)")])

    def test_deep_stacks_do_not_go_to_the_right(self):
        path = self.make_bytes("deep", {" ".join(f"f{i}" for i in range(500)): 1})
        self.assertEqual(self.texts(path), [f"f{i}" for i in range(500)])

    def test_branching_at_each_level_has_an_end(self):
        path = self.make_bytes("hairy", {" ".join([*(f"f{i}" for i in range(n)), f"side{n}"]): 1 for n in range(1, 400)})
        widths = [len(text) for text in self.texts(path, "-m0")]
        self.assertLess(max(widths), 120)
        widths = [len(text) for text in self.texts(path, "-m0", "-d1000")]
        self.assertGreater(max(widths), 700)

    @cases(*TYPES)
    def test_as_the_stacks(self, sample_type):
        """The first column of an unfolded tree adds up to what an independent reader finds for each first call."""
        _, path = self.profile_app(sample=1)
        profile = pprof_reader.load(path)
        rows = self.tree(path, "--min=0", f"--sample-index={sample_type}")
        expected = {}
        for stack, value in profile.stacks(sample_type).items():
            below = stack[:stack.index("main")]
            expected[below[-1]] = expected.get(below[-1], 0) + value
        shown = {}
        for number, _, text in rows:
            match = re.fullmatch(r"[├└] (.*)", text)
            if match:
                shown[match[1]] = number
        self.assertEqual(set(shown), {name for name, value in expected.items() if value})
        self.assertGreaterEqual(len(shown), 2)
        if sample_type.endswith("objects"):
            self.assertEqual({name: int(value) for name, value in shown.items()},
                             {name: value for name, value in expected.items() if value})

    def test_inlined_and_errors(self):
        _, path = self.profile_app()
        text = self.tool("tree", path).stdout
        self.assertRegex(text, r"(?m)^inuse_space +±95% +%$")
        self.assertRegex(text, r"(?m)^ *4\.\d+MB +±\d+\.\d+kB +7\d\.\d+% +│ ├ shop::read_picture \(inline\)$")
        self.assertIn("The total is an estimate: ", text)

    def test_terminal(self):
        path = self.make_bytes("long", {"main " + "x" * 200 + " " + "y" * 200: 60, "main b": 40})
        with Terminal(self, "tree", path, columns=60) as terminal:
            self.assertEqual(terminal.wait(), 0)
        self.assertLessEqual(max(len(line) for line in terminal.text.splitlines()), 60)
        self.assertRegex(terminal.text, "├ x+…x+\r")

    def test_hostile_names(self):
        path = self.make("hostile", {("\x1b]0;f\x07", "\u202emain"): (1, 1, 1, 1)})
        self.assertEqual(self.texts(path), [r"\u{202e}main", r"\x1b]0;f\x07"])

    def test_nothing(self):
        path = self.make("nothing", {("f",): (1, 1, 0, 0)})
        done = self.tool("tree", path, expect=1)
        self.assertEqual(done.stdout, "")
        self.assertRegex(done.stderr, r"\Aheapprof: .*nothing.pb.gz: there is nothing to show of inuse_space\n\Z")

    def test_pid(self):
        with self.start([self.victim("sites")], sample=1, dump="none") as program:
            program.say("leak 100000")
            program.read_until("done")
            self.assertRegex(self.tool("tree", program.pid).stdout, "victim_place_24")

    def test_bad_arguments(self):
        path = self.make("one", {("f",): (1, 1, 1, 1)})
        self.check_bad_sources("tree")
        self.check_refuses("tree", status=2, says="one process or profile")
        self.check_refuses("tree", path, "--depth=1001", status=2, says="depth.*1001")
        for bad in ("-1", "101", "x", "", "1x", "nan"):
            self.check_refuses("tree", path, f"--min={bad}", status=2, says=f"--min takes.*'{bad}'")
        self.check_refuses("tree", path, "--sample-index=x", status=1, says="'x'")
