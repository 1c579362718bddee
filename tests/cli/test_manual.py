# SPDX-License-Identifier: MIT
"""The manual: every page renders, names just the options there are, and its examples do what they show."""
import os
import pathlib
import re
import shutil
import subprocess

from harness import paths
from harness.case import Case, cases, timeout
from harness.states import is_allowed
from harness.tools import need

DOCS = paths.SOURCE / "docs"
COMMANDS = sorted(page.name.removeprefix("heapprof-").removesuffix(".1") for page in DOCS.glob("heapprof-*.1"))
PAGES = ["heapprof.1", *(f"heapprof-{name}.1" for name in COMMANDS)]


def unescaped(text):
    """man(7) source as it reads: -, \\, ' and ."""
    return text.replace(r"\-", "-").replace(r"\(aq", "'").replace(r"\(ha", "^").replace(r"\(ti", "~").replace(r"\&", "").replace(
        r"\e", "\\").replace(r"\(rs", "\\")


def examples(page):
    """(command, expected lines) of the EXAMPLES section, in order"""
    section = re.search(r"^\.SH EXAMPLES\n(.*?)(?=^\.SH )", page.read_text(), re.MULTILINE | re.DOTALL)
    found = []
    for block in re.findall(r"^\.EX\n(.*?)^\.EE", section[1] if section else "", re.MULTILINE | re.DOTALL):
        for line in unescaped(block).splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            elif found:
                found[-1][1].append(line)
    return found


def pattern_of(lines):
    """`...` stands for anything within a line; alone on a line, for any lines"""
    parts = []
    for line in lines:
        if line.strip() == "...":
            parts.append(r"(?:.*\n)*")
        else:
            words = [".*" if word == "..." else re.escape(word) for word in re.split(r"(\.\.\.)", line.strip())]
            parts.append(r"[ \t]*" + re.sub(r"(\\ )+", r"[ \\t]+", "".join(words)) + r"[ \t]*\n")
    return "".join(parts)


class Manual(Case):
    def setUp(self):
        super().setUp()
        self.work = self.dir / "example"
        self.work.mkdir()

    @cases(*PAGES)
    def test_renders(self, page):
        need("groff")
        done = subprocess.run(["groff", "-man", "-Tutf8", "-Kutf8", "-ww", "-z", DOCS / page], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_every_command_has_a_page(self):
        listed = {line.split("\t")[0] for line in self.tool("--list-options").stdout.splitlines()}
        self.assertEqual(listed, set(COMMANDS))

    @cases(*COMMANDS)
    def test_options(self, command):
        table = [line.split("\t") for line in self.tool("--list-options").stdout.splitlines()]
        options = {row[1] for row in table if row[0] == command and row[1]}
        section = re.search(r"^\.SH OPTIONS\n(.*?)(?=^\.SH )", (DOCS / f"heapprof-{command}.1").read_text(), re.M | re.S)[1]
        tags = re.findall(r"^\.T[PQ]\n(.*)$", section, re.MULTILINE)
        named = {name for tag in tags for name in re.findall(r"--[a-z][a-z-]*", re.sub(r"\\f.", "", unescaped(tag)))}
        self.assertEqual(named | {"--help"}, options | {"--help"})

    def make_app(self):
        # -focus looks at names of files, too: those of the clone's folders are not among them.
        shutil.copy(paths.TESTS / "cli/app.cc", self.work)
        subprocess.run(["g++", "-O1", "-g", "-o", "app", "app.cc"], check=True, cwd=self.work)
        for name in ("shopd", "tilld"):  # to be found by a name that no other test's program has
            (self.work / name).hardlink_to(self.work / "app")
        shutil.copy(self.victim("resident"), self.work / "pantry")  # maps memory itself
        self.profiled(["./app"], cwd=self.work, sample=4096, seed=1, out=f"{self.work}/heapprof.%e.%n.pb.gz")
        self.tool("symbolize", "heapprof.app.1.pb.gz", "heapprof.app.2.pb.gz", cwd=self.work)

    def private_processes(self):
        """What to write before a command so that programs have their names to themselves, if that is allowed here: a pid namespace, which
        ends with the test. Its first process is one that waits for the others' children."""
        alone = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
        if not is_allowed(*alone, "true"):
            return []
        first = subprocess.Popen([*alone, "bash", "-c", "echo; sleep infinity & wait"], stdout=subprocess.PIPE)
        for clean in (first.stdout.close, first.wait, first.kill):
            self.addCleanup(clean)
        first.stdout.readline()
        child = pathlib.Path(f"/proc/{first.pid}/task/{first.pid}/children").read_text().split()[0]
        return ["nsenter", "--target", child, "--pid", "--mount", f"--wd={self.work}"]

    @cases(*PAGES)
    @timeout(120)
    def test_examples(self, page):
        found = examples(DOCS / page)
        self.assertTrue(found, "no examples")
        self.make_app()
        path = f"{paths.TOOL.parent}:{os.environ['PATH']}"
        among = self.private_processes()
        for command, expected in found:
            done = subprocess.run([*among, "bash", "-c", command], cwd=self.work, env=self.tool_environment(PATH=path, COLUMNS="80"),
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=250)
            self.assertEqual(done.returncode, 0, f"$ {command}\n{done.stdout}{done.stderr}")
            if expected:
                shown = done.stdout + done.stderr
                self.assertRegex(shown, r"\A" + pattern_of(expected) + r"\Z", f"$ {command}\nshows\n{shown}")
        
