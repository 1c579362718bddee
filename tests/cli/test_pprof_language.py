# SPDX-License-Identifier: MIT
"""pprof's own options mean what they mean to pprof: the same rows as `go tool pprof` shows of the same file. Seen to fail: there were no
such options, and -inuse_space was refused."""
import os
import re

from cli.views import Views
from harness import made_profile, paths
from harness.case import cases
from harness.tools import pprof, pprof_top

# Of app.cc: names, a file, the file of the mapping, things that match nothing, inlined functions, several at once.
APP_FILTERS = (
    ["-focus=serve"],
    ["-focus=insert"],
    ["-focus=app\\.cc"],
    ["-focus=(?i)RENDER"],
    ["-focus=^shop::load_item$"],
    ["-focus=nothing_is_called_so"],
    ["-ignore=serve"],
    ["-ignore=make_entry"],
    ["-ignore=libc\\.so"],
    ["-focus=insert", "-ignore=load_item$"],
    ["-hide=make_entry"],
    ["-hide=insert|load_items"],
    ["-hide=libc\\.so"],
    ["-hide=."],
    ["-show=shop::"],
    ["-show=main|make_entry"],
    ["-show=libc\\.so"],
    ["-show_from=serve"],
    ["-show_from=insert|read_picture"],
    ["-show_from=render"],
    ["-show_from=libc\\.so"],
    ["-focus=serve", "-hide=insert", "-show=shop", "-show_from=serve"],
    ["-ignore=serve", "-cum"],
)

STACKS = (
    ([("leaf", "/src/a.c", 3), ("caller", "/src/a.c", 9), ("main", "/src/main.c", 20)], (1, 10, 1, 10), None,
     ("thread", "worker one"), ("bytes", 64)),
    ([("leaf", "/src/a.c", 4), ("caller", "/src/a.c", 9), ("main", "/src/main.c", 20)], (2, 20, 2, 20), None,
     ("thread", "worker two"), ("bytes", 4096)),
    ([("leaf", "/src/a.c", 4), ("main", "/src/main.c", 21)], (3, 40, 3, 40), None, ("thread", "main"), ("size", 2, "kilobytes")),
    ([[("inner", "/src/b.c", 5), ("outer", "/src/b.c", 7)], ("main", "/src/main.c", 22)], (4, 80, 4, 80), None,
     ("state", "one"), ("wait", 5, "milliseconds"), ("count", 7)),
    ([[("inner", "/src/b.c", 6), ("outer", "/src/b.c", 8)], ("outer", "/src/b.c", 7), ("main", "/src/main.c", 22)], (5, 160, 5, 160),
     None),
    ([("outer", "/src/b.c", 2), ("other", "", 0)], (6, 320, 6, 320), None, ("state", "two"), ("thread", "worker one")),
)
TAGS = ("worker", "thread:", "^thread:main$", "thread=worker", "thread=one,main", "worker,one", "state=.", "nothing", "nothing=.",
        "64b", "64", "bytes=64b:", "bytes=:64b", "bytes=65b:4kb", "2kb", "1kb:", ":2kb", "size=2kb", "size=1mb:", "5ms", "1us:1s",
        "count=7", "count=8:", "wait=5", "7kb:")


def without_mark(name):
    return name.removesuffix(" (inline)").removesuffix(" (partial-inline)")


class Language(Views):
    def rows_of_pprof(self, path, sample_type, *arguments):
        return {without_mark(name): numbers for name, numbers in pprof_top("go", path, sample_type, *arguments).items()}

    def rows_of_top(self, path, *arguments):
        rows = self.json("top", "--leaf", path, *arguments)["rows"]
        return {" ".join(filter(None, [row["function"], row["file"] and f"{row['file']}:{row['line']}"])): (row["flat"], row["cum"])
                for row in rows}

    def made(self, name="made", stacks=STACKS):
        return made_profile.write(self.out_dir / f"{name}.pb.gz", stacks)

    def compare(self, path, *filters):
        expected = self.rows_of_pprof(path, "alloc_space", *filters)
        self.assertEqual(self.rows_of_top(path, "-alloc_space", *filters), expected, filters)
        return expected

    def test_filters_on_a_program(self):
        _, path = self.profile_app()
        shown = [self.compare(path, *filters) for filters in APP_FILTERS]
        self.assertGreater(len({str(rows) for rows in shown}), 12, "they are different questions")
        self.assertIn("shop::serve", shown[0])
        self.assertEqual(shown[5], {})

    def test_filters_on_inlined_and_nameless(self):
        path = self.made()
        for option in ("focus", "ignore", "hide", "show", "show_from"):
            for expression in ("leaf", "outer", "inner", "b\\.c", "main\\.c|other", "made", "nothing"):
                for lines in ([], ["-lines"]):
                    self.compare(path, f"-{option}={expression}", *lines)

    @cases("tagfocus", "tagignore")
    def test_tags(self, option):
        path = self.made()
        shown = {tag: str(self.compare(path, f"-{option}={tag}")) for tag in TAGS}
        self.assertGreater(len(set(shown.values())), 9, "they are different questions")

    def test_percentages_are_of_everything(self):
        path = self.made()
        theirs = pprof("go", "-top", "-nodefraction=0", "-focus=inner", "-alloc_space", path)
        ours = self.tool("top", "--leaf", "-focus=inner", "-alloc_space", path).stdout
        for pattern in (r"accounting for \S+, (\S+%) of (\S+) total", r"(?m)^ *\S+ +(\S+%) +(\S+%) +\S+ +(\S+%) +inner \(inline\)$"):
            self.assertEqual(re.search(pattern, ours).groups(), re.search(pattern, theirs).groups())

    def test_differences(self):
        old, new = self.profile_app()
        for filters in (["-focus=serve"], ["-hide=make_entry"], ["-show_from=insert"]):
            expected = self.rows_of_pprof(new, "alloc_space", f"-diff_base={old}", *filters)
            self.assertEqual(self.rows_of_top(new, "-alloc_space", f"-diff_base={old}", *filters), expected)
            self.assertTrue(expected)

    @cases("alloc_objects", "alloc_space", "inuse_objects", "inuse_space")
    def test_sample_types_are_options(self, sample_type):
        path = self.make("four", {("f", "main"): (1, 20, 300, 4000)})
        for option in (f"-{sample_type}", f"--{sample_type}", f"-sample_index={sample_type}"):
            self.assertEqual(self.json("top", option, path)["type"], sample_type)
            self.assertIn(sample_type, self.tool("tree", option, path).stdout)

    def test_number_of_nodes(self):
        path = self.make("many", {(f"f{i}",): (i, i, i, i) for i in range(1, 20)})
        self.assertEqual(len(self.json("top", "-nodecount=3", path)["rows"]), 3)
        self.assertEqual(len(self.json("top", "--nodecount", "4", path)["rows"]), 4)

    def test_spelling_leaves_others_alone(self):
        path = self.make("one", {("f", "main"): (1, 1, 1, 1)})
        self.check_refuses("top", "-frobnicate", path, status=2, says="there is no option")
        self.check_refuses("top", "--focus", status=2, says="needs a value")
        self.check_refuses("top", "-cum=3", path, status=2, says="takes no value")
        self.assertEqual(len(self.json("top", "-cn1", path)["rows"]), 1)  # letters together are still letters
        done = self.tool("run", "--quiet", "--", "echo", "-inuse_space", "--sample_index")
        self.assertEqual(done.stdout, "-inuse_space --sample_index\n")

    def test_bad_expressions(self):
        path = self.make("one", {("f", "main"): (1, 1, 1, 1)})
        for option in ("focus", "ignore", "hide", "show", "show-from", "tagfocus", "tagignore"):
            self.check_refuses("top", f"--{option}=(", path, status=2, says=r"'\(' is not a regular expression")
            is_empty = option not in ("ignore", "hide", "tagignore")
            done = self.tool("top", f"--{option}=nothing", path, expect=1 if is_empty else 0)
            self.assertRegex(done.stderr, rf"one\.pb\.gz: nothing matches --{option} 'nothing'\n" + (r".* nothing to show .*\n" if is_empty else "") + r"\Z")

    def test_every_view_takes_them(self):
        path = self.made()
        self.assertRegex(self.tool("tree", "-focus=leaf", path).stdout, r"(?m)main$")
        self.assertNotIn("outer", self.tool("tree", "-focus=leaf", path).stdout)
        self.assertNotIn("outer", self.tool("peek", "-ignore=inner|other", "main", path).stdout)
        rows = self.json("diff", "-focus=leaf", self.made("old", STACKS[:2]), path)["rows"]
        self.assertEqual({row["function"]: row["flat"] for row in rows if row["flat"]}, {"leaf": 40})
        self.tool("report", "-focus=leaf", "-o", "page.html", path)
        page = (self.out_dir / "page.html").read_text()
        self.assertIn('"leaf"', page)


class Sources(Views):
    """--list"""
    def listing_of_pprof(self, path, expression, *arguments):
        return self.parse(pprof("go", f"-list={expression}", "-alloc_space", "-unit=b", *arguments, path))

    def listing(self, path, expression, *arguments, **options):
        return self.parse(self.tool("top", "--leaf", f"-list={expression}", "-alloc_space", *arguments, path, **options).stdout)

    @staticmethod
    def parse(text):
        """{(function, file): ((flat%), {line: (has flat, has cum, text)})}"""
        found = {}
        for block in text.split("ROUTINE ======================== ")[1:]:
            title, sums, *lines = block.splitlines()
            rows = {}
            for line in lines:
                match = re.fullmatch(r" *(\S+) +(\S+) +(\d+):(.*)", line)
                if match and (match[1], match[2]) != (".", "."):
                    rows[int(match[3])] = (match[1] != ".", match[2] != ".", match[4].expandtabs().rstrip())
            found[title] = (sums.split()[-3], rows)
        return found

    @cases("shop::", "insert", "^main$", "make_entry|serve")
    def test_as_pprof(self, expression):
        _, path = self.profile_app()
        expected = self.listing_of_pprof(path, expression)
        self.assertTrue(expected)
        self.assertEqual(self.listing(path, expression), expected)

    def test_values_by_line(self):
        _, path = self.profile_app(sample=1)
        text = self.tool("top", "-list=load_item$", "-alloc_objects", path).stdout
        self.assertRegex(text, r"(?m)^ +\. +2000 +\d+: +pictures\.insert\(\) = read_picture")

    def test_owner_counts(self):
        """What plumbing allocates is the line's of its owner."""
        source = self.out_dir / "a.c"
        source.write_text("one\ntwo\nthree\n\tx = xmalloc(8);\nfive\n")
        path = made_profile.write(self.out_dir / "made.pb.gz", [([("xmalloc", "/x.c", 1), ("f", str(source), 4)], (1, 8, 1, 8), None)])
        self.assertRegex(self.tool("top", "-list=^f$", path).stdout, r"(?m)^ +8B +8B +4:        x = xmalloc\(8\);$")
        self.assertRegex(self.tool("top", "--leaf", "-list=^f$", path).stdout, r"(?m)^ +\. +8B +4:        x = xmalloc\(8\);$")

    def test_source_that_is_not_there(self):
        frames = [("f", "/nowhere/lib/a.c", 1), ("g", "", 0), ("fifo", str(self.out_dir / "fifo"), 1), ("h", "/dev/zero", 1)]
        path = made_profile.write(self.out_dir / "made.pb.gz", [(frames, (1, 8, 1, 8), None)])
        os.mkfifo(self.out_dir / "fifo")
        text = self.tool("top", "-list=.", path, timeout=60).stdout
        self.assertEqual(text.count("The source cannot be shown: there is no such file\n"), 3)
        self.assertIn("Nobody knows the source of g\n", text)
        (self.out_dir / "lib").mkdir()
        (self.out_dir / "lib/a.c").write_text("the line\n")
        self.assertRegex(self.tool("top", "-list=^f$", path).stdout, r"8B +8B +1:the line\n")

    def test_what_a_source_says_cannot_reach_the_terminal_raw(self):
        source = self.out_dir / "a.c"
        source.write_bytes(b"\x1b[2J \xff\n")
        path = made_profile.write(self.out_dir / "made.pb.gz", [([("f", str(source), 1)], (1, 8, 1, 8), None)])
        self.assertIn(r"1:\x1b[2J \xff", self.tool("top", "-list=f", path).stdout)

    def test_nothing_matches(self):
        path = self.make("one", {("f", "main"): (1, 1, 1, 1)})
        self.check_refuses("top", "--list=nothing", path, status=1, says="no function in it matches 'nothing'")
        self.check_refuses("top", "--list=(", path, status=1, says="not a regular expression")
        self.check_refuses("top", "--list=f", "--json", path, status=2, says="choose one")


class Traces(Views):
    """--traces: all stacks whose value is not 0."""
    @staticmethod
    def stacks(text):
        blocks = re.split(r"^-{11}\+-+$\n", text, flags=re.MULTILINE)[1:]
        found = [tuple(re.sub(r"^ +", "", line) for line in block.splitlines()) for block in blocks if block]
        return sorted(stack for stack in found if not any(re.match(r"0 ", line) for line in stack))

    @cases([], ["-focus=serve"], ["-lines", "-show=shop"])
    def test_as_pprof(self, arguments):
        _, path = self.profile_app()
        expected = self.stacks(pprof("go", "-traces", "-inuse_space", *arguments, path))
        self.assertTrue(expected)
        self.assertEqual(self.stacks(self.tool("top", "-traces", "-inuse_space", *arguments, path).stdout), expected)

    def test_labels_as_pprof(self):
        path = made_profile.write(self.out_dir / "made.pb.gz", STACKS[:3])
        expected = self.stacks(pprof("go", "-traces", "-alloc_space", path))
        self.assertTrue(any("worker one" in line for stack in expected for line in stack))
        self.assertEqual([sorted(stack) for stack in self.stacks(self.tool("top", "-traces", "-alloc_space", path).stdout)],
                         [sorted(stack) for stack in expected])

    def test_number(self):
        path = self.make("many", {(f"f{i}",): (i, i, i, i) for i in range(1, 20)})
        text = self.tool("top", "-traces", "-n", "2", path).stdout
        self.assertEqual(re.findall(r"f\d+$", text, re.M), ["f19", "f18"])
        self.assertIn("17 more stacks: -n 0 shows all\n", text)
        self.check_refuses("top", "-traces", f"-diff_base={path}", path, status=2, says="one profile")
