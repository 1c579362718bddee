# SPDX-License-Identifier: MIT
"""./bootstrap demo, after the build: what it says, and the page that it ends with. `make picture` takes the picture in README.md."""
import os
import pathlib
import re
import shutil
import subprocess
import unittest

from browser.test_page import PageCase, quantity
from cli.test_report import make_variable
from harness import paths, pprof_reader
from harness.case import timeout
from harness.tools import need

LEAK = ("Sessions::open", "Session::look_at")
PICTURE = "DEMO_PICTURE"  # the file to write


def commands(text):
    """What somebody typed -> the lines below it."""
    found = {}
    for line in text.splitlines():
        if line.startswith("$ "):
            below = found[line[2:].replace("./heapprof", "heapprof")] = []
        elif found:
            below.append(line)
    return found


def rows_of(lines):
    """The functions of a table of top or diff that have something of their own."""
    return [match[1] for line in lines if (match := re.match(r" *\+?[\d.]+[kMG]?B .* ([A-Z]\w+::[\w:]+)(?: \(inline\))?$", line))]


def numbers_of(lines, functions):
    """The first number of each of their rows, in MB."""
    return [float(re.match(r" *\+?([\d.]+)MB ", line)[1]) for line in lines for name in functions if f"  {name}" in line and "MB" in line]


class DemoCase(PageCase):
    def run_demo(self, *arguments, **variables):
        (self.dir / "heapprof").symlink_to(paths.TOOL)
        environment = {"DISPLAY": None, "WAYLAND_DISPLAY": None, "XDG_RUNTIME_DIR": None, **variables}
        done = subprocess.run([paths.SOURCE / "tools/demo/demo.sh", *arguments], cwd=self.dir, env=self.tool_environment(**environment),
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done

    def need_page(self):
        if make_variable("have_report") != "yes":
            raise unittest.SkipTest("built --without-report")


class Demo(DemoCase):
    @timeout(1200)
    def test_tells_the_leak(self):
        """In the evening, and what came since noon: not the cache."""
        done = self.run_demo()
        self.assertIn("noon", done.stdout)
        said = commands(done.stdout)
        evening = rows_of(said["heapprof top -n 8 demo/evening.pb.gz"])
        self.assertEqual(evening[:3], [*LEAK, "Cache::shrink"])
        grown = said["heapprof diff demo/noon.pb.gz demo/evening.pb.gz"]
        self.assertEqual(rows_of(grown)[:2], [*LEAK])
        source = said["heapprof top --list Sessions::open demo/evening.pb.gz"]
        self.assertRegex("\n".join(source), r"\d MB? *\d+:.*new Session|[\d.]+MB +[\d.]+MB +\d+:.*new Session\{")
        self.assertRegex(done.stderr, r"(?m)^heapprof: peak +1\d\d")

    @timeout(1200)
    def test_page(self):
        """What the demo ends with shows what the profile has."""
        self.need_page()
        done = self.run_demo()
        address = re.search(r"(?m)^demo: the page is file://(\S+)$", done.stdout)[1]
        self.assertEqual(pathlib.Path(address).resolve(), (self.dir / "demo/report.html").resolve())
        self.start_browser(size=(1280, 860))
        self.browser.open(address)
        self.wait_drawn()
        profile = pprof_reader.load(self.dir / "demo/evening.pb.gz")
        self.assertEqual(self.text("h1"), "gallery")
        self.assertEqual(self.text(".types label:has([value=inuse_space]) .total"), quantity(profile.total("inuse_space"), "bytes"))
        rows = {row["function"]: row for row in self.json("top", self.dir / "demo/evening.pb.gz")["rows"]}
        shown = self.rows()
        self.assertEqual([row[0] for row in shown[:3]], [*LEAK, "Cache::shrink"])
        for row in shown:
            self.assertEqual(row[2].split(" ")[0], quantity(rows[row[0]]["flat"], "bytes"))
        drawn = {path[-1] for path in self.drawn()}
        self.assertLessEqual({*LEAK, "Gallery::work"}, drawn)
        self.check_quiet()
        if PICTURE in os.environ:
            self.browser.screenshot(pathlib.Path(os.environ[PICTURE]))
            pathlib.Path(os.environ[PICTURE] + ".txt").write_text(done.stdout + done.stderr)

    @timeout(1200)
    def test_opens_the_page_where_there_is_a_display(self):
        self.need_page()
        opener = self.dir / "bin/xdg-open"
        opener.parent.mkdir()
        opener.write_text(f'#!/bin/sh\necho "$@" >{self.dir}/opened\n')
        opener.chmod(0o755)
        path = f"{opener.parent}:{os.environ['PATH']}"
        self.run_demo(PATH=path)
        self.assertFalse((self.dir / "opened").exists())
        shutil.rmtree(self.dir / "demo")
        (self.dir / "heapprof").unlink()
        self.run_demo(PATH=path, WAYLAND_DISPLAY="wayland-0")
        self.assertEqual((self.dir / "opened").read_text(), "demo/report.html\n")

    @timeout(1200)
    def test_sqlite3(self):
        need("sqlite3", "go")
        said = commands(self.run_demo("sqlite3").stdout)
        self.assertIn("libsqlite3", "\n".join(said["heapprof top -n 10 --cum demo/live.pb.gz"]))

    def test_nothing_of_others_is_removed(self):
        """Seen to fail: the first demo's profiles were gone, and so was what else lay there."""
        for name in ("sqlite3", "go"):
            (self.dir / name).symlink_to("/bin/true")
        (self.dir / "heapprof").symlink_to("/bin/true")
        (self.dir / "demo").mkdir()
        for name in ("noon.pb.gz", "mine", "live.pb.gz"):
            (self.dir / "demo" / name).touch()
        subprocess.run([paths.SOURCE / "tools/demo/demo.sh", "sqlite3"], cwd=self.dir, capture_output=True, check=True,
                       env={**os.environ, "PATH": f"{self.dir}:{os.environ['PATH']}"})
        self.assertEqual(sorted(path.name for path in (self.dir / "demo").iterdir()), ["mine", "noon.pb.gz", "work.sql"])

    def test_unknown(self):
        done = subprocess.run([paths.SOURCE / "tools/demo/demo.sh", "nothing"], cwd=self.dir, capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (2, "demo: there is no demo of 'nothing', only of gallery and sqlite3\n"))


class Readme(DemoCase):
    @timeout(1200)
    def test_first_screen(self):
        """README.md shows what the demo shows: the same commands, the same functions below them, and numbers that chance allows."""
        told = commands("\n".join(line[4:] for line in (paths.SOURCE / "README.md").read_text().splitlines() if line[:4] == "    "))
        said = commands(self.run_demo().stdout)
        self.assertGreaterEqual(len(told), 3)
        for command, lines in told.items():
            self.assertIn(command, said)
            self.assertEqual(rows_of(lines), rows_of(said[command])[:len(rows_of(lines))], command)
            for ours, theirs in zip(*(numbers_of(of, rows_of(of)) for of in (lines, said[command]))):
                self.assertAlmostEqual(ours / theirs, 1, delta=0.5, msg=command)
        self.assertEqual(sum(len(rows_of(lines)) for lines in told.values()), 2)
        self.assertTrue(any("new Session" in line for line in told["heapprof top --list Sessions::open demo/evening.pb.gz"]))
