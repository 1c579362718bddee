# SPDX-License-Identifier: MIT
"""heapprof peek: callers and callees as pprof -peek has them."""
from cli.views import TYPES, Views, in_our_order
from harness.case import cases
from harness.tools import pprof


class Peek(Views):
    def blocks_of_pprof(self, expression, path, sample_type):
        """function -> (flat, cum, callers, callees), the latter name -> value"""
        text = pprof("go", f"-peek={expression}", f"-sample_index={sample_type}", "-nodefraction=0", "-edgefraction=0",
                     "-unit=" + ("b" if sample_type.endswith("_space") else "count"), path)
        blocks = {}
        for block in text.split("-" * 58 + "+" + "-" * 13 + "\n")[2:]:
            lines = [line.rsplit("|", 1) for line in block.splitlines() if "|" in line]
            if not lines:
                continue  # titles
            function = next(i for i, (numbers, _) in enumerate(lines) if len(numbers.split()) == 5)
            flat, _, _, cum, _ = lines[function][0].split()
            callers, callees = ({name.strip().removesuffix(" (inline)"): self.number(numbers.split()[0])
                                 for numbers, name in part} for part in (lines[:function], lines[function + 1:]))
            blocks[lines[function][1].strip()] = (self.number(flat), self.number(cum), callers, callees)
        return blocks

    @staticmethod
    def number(text):
        return int(text.removesuffix("B"))

    def blocks(self, expression, path, sample_type):
        """The same of ours; the numbers are texts."""
        text = self.tool("peek", expression, path, f"--sample-index={sample_type}").stdout
        blocks = {}
        for block in text.split("\n\n")[1:]:
            callers, callees, name = {}, {}, None
            for words in map(str.split, block.splitlines()):
                if words[1].endswith("%") and words[3:] and words[3].endswith("%"):
                    name, numbers = " ".join(words[4:]), (words[0], words[2])
                else:
                    (callees if name else callers)[" ".join(words[2:]).removesuffix(" (inline)")] = words[0]
            blocks[name] = (*numbers, callers, callees)
        return blocks

    @cases(*TYPES)
    def test_as_pprof(self, sample_type):
        _, path = self.profile_app(sample=1)
        expected = self.blocks_of_pprof("shop|main", path, sample_type)
        self.assertGreater(len(expected), 5)
        found = self.blocks("shop|main", path, sample_type)
        self.assertEqual(list(found), in_our_order(expected))
        for name, (flat, cum, callers, callees) in expected.items():
            self.assertEqual((list(found[name][2]), list(found[name][3])), (list(callers), list(callees)), name)
            if sample_type.endswith("objects"):
                self.assertEqual(found[name], (str(flat), str(cum), {k: str(v) for k, v in callers.items()},
                                               {k: str(v) for k, v in callees.items()}))

    def test_text(self):
        path = self.make("made", {("leaf", "middle", "main"): (0, 0, 0, 3000), ("leaf", "main"): (0, 0, 0, 1000),
                                  ("middle", "main"): (0, 0, 0, 96)},
                         variances={("leaf", "middle", "main"): (0, 0, 0, 900), ("leaf", "main"): (0, 0, 0, 1600),
                                    ("middle", "main"): (0, 0, 0, 0)})
        lines = self.tool("peek", "^middle$", path).stdout.splitlines()
        self.assertEqual([line.split() for line in lines[-4:]], [
            [],
            ["3.02kB", "100%", "±58.80B", "main"],
            ["96B", "2.34%", "3.02kB", "75.59%", "±58.80B", "middle"],
            ["2.93kB", "96.90%", "±58.80B", "leaf"]])
        self.assertIn("±95%", lines[-5])
        self.assertTrue(lines[-2].endswith("  middle") and lines[-1].endswith("    leaf"))

    def test_recursion_and_inlining(self):
        _, path = self.profile_app(sample=1)
        text = self.tool("peek", "render$", path, "--sample-index=alloc_objects").stdout
        self.assertEqual(text.count("shop::render"), 1, "it is not its own caller")
        self.assertRegex(text, r"8000 +100% +shop::serve\n8000 +66\.67% +8000 +66\.67% +shop::render\n\Z")
        text = self.tool("peek", "Cache::insert", path).stdout
        self.assertRegex(text, r"shop::Cache::make_entry \(inline\)\n\Z")

    def test_lines(self):
        _, path = self.profile_app()
        text = self.tool("peek", r"app\.cc:\d+$", path, "--lines").stdout
        self.assertRegex(text, r"shop::serve \S+/app\.cc:\d+")

    def test_bad_arguments(self):
        path = self.make("one", {("f\x1b[m", "g"): (1, 1, 1, 1)})
        self.check_bad_sources("peek", "f")
        self.check_refuses("peek", "f", status=2, says="an expression, and one process or profile")
        self.check_refuses("peek", "f", path, path, status=2, says="an expression")
        self.check_refuses("peek", "(", path, status=1, says=r"'\(' is not a regular expression: missing")
        self.check_refuses("peek", "nobody", path, status=1, says="one.pb.gz: no function in it matches 'nobody'")
        self.check_refuses("peek", "f", path, "--sample-index=x", status=1, says="'x'")
        self.assertIn(r"f\x1b[m", self.tool("peek", ".", path).stdout)

    def test_expression_that_takes_for_ever(self):
        path = self.make("slow", {("a" * 40 + "!",): (1, 1, 1, 1)})
        self.check_refuses("peek", "^(a+)+$", path, status=1, says="limit")
