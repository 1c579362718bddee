# SPDX-License-Identifier: MIT
"""heapprof run --fail-if, heapprof diff --fail-if: red when a limit is broken, never by chance (tests/unit/test_limit)."""
import os
import pathlib
import re
import signal
import subprocess
from xml.etree import ElementTree

from cli.views import Views
from harness import paths
from harness.case import Case, cases, timeout
from harness.tools import need
from hazards.toolbox import compile


class OfRuns(Case):
    def keeps(self):
        return compile(paths.TESTS / "cli/keeps.c")

    def judged(self, limits, *command, expect, sample=1, **variables):
        """The lines about limits."""
        options = [word for limit in limits for word in ("--fail-if", limit)]
        done = self.tool("run", "-q", "-s", sample, *options, "--", *command, expect=expect, **variables)
        return [line for line in done.stderr.splitlines() if "--fail-if" in line]

    @cases(("peak>12000", "peak>11999", r"11\.72kB at its peak, 1B too much; most in keep: 9\.77kB"),
           ("leaked>10000", "leaked>9999", r"9\.77kB in use at exit, 1B too much; most in keep: 9\.77kB"),
           ("leaked_objects>10", "leaked_objects>9", r"10 objects in use at exit, 1 too much; most in keep: 10"))
    def test_exact(self, held, broken, told):
        program = self.keeps()
        self.assertEqual(self.judged([held], program, 10, 2000, expect=0), [])
        line, = self.judged([broken], program, 10, 2000, expect=3)
        self.assertRegex(line, rf"\Aheapprof: --fail-if '{broken}': \S+ \(\d+\) had {told}\Z")

    def test_several(self):
        lines = self.judged(["peak>1G", "leaked>0", "peak > 5kB", "leaked>10kB"], self.keeps(), 10, 5000, expect=3)
        self.assertEqual([line.split("'")[1] for line in lines], ["leaked>0", "peak > 5kB"])

    def test_where_the_peak_was(self):
        line, = self.judged(["peak>1M", "leaked>1M"], self.keeps(), 10, 2 << 20, expect=3)
        self.assertRegex(line, r"had 2\.01MB at its peak, 1\.01MB too much; most in spike: 2MB\Z")

    def test_nothing_leaked(self):
        self.assertEqual(self.judged(["leaked>0", "leaked_objects>0"], self.keeps(), 0, 2000, expect=0), [])

    def test_objects_without_bytes(self):
        """Each of them is one."""
        program = compile(paths.TESTS / "cli/keeps.c", "-DBLOCK_BYTES=0")
        line, = self.judged(["leaked>0", "leaked_objects>9"], program, 10, 2000, expect=3)
        self.assertIn("had 10 objects in use at exit, 1 too much", line)

    def test_the_summary_is_there_as_well(self):
        done = self.tool("run", "-s", 1, "--fail-if=leaked>0", "--", self.keeps(), 10, 2000, expect=3)
        self.assertRegex(done.stderr, r"\Aheapprof: peak +(?s:.*)\nheapprof: --fail-if 'leaked>0': .*\n\Z")

    @cases(("fail", 7, ["leaked>0", "peak>1K"]), ("abort", 128 + signal.SIGABRT, ["peak>1K"]), ("exec", 0, []))
    def test_the_program_comes_first(self, then, status, broken):
        """Its own failure is not hidden, and told is both. Who was killed has not leaked; who became another program is that."""
        lines = self.judged(["leaked>0", "peak>1K"], self.keeps(), 10, 2000, then, expect=status)
        self.assertEqual([line.split("'")[1] for line in lines], broken)

    def test_inherited(self):
        """A forked child need not free what its parent allocated."""
        program = self.keeps()
        self.assertEqual(self.judged(["leaked>10000"], program, 10, 2000, "fork", expect=0), [])
        self.assertEqual(len(self.judged(["leaked>9999"], program, 10, 2000, "fork", expect=3)), 1)
        line, = self.judged(["leaked>2999", "leaked>10000"], program, 1, 2000, "fork and keep", expect=3)
        self.assertRegex(line, r"'leaked>2999': .* had 2\.93kB in use at exit, 1B too much; most in keep: 2\.93kB\Z")

    def test_each_process(self):
        """Limits are of a process, not of all: a build of many has no peak of them all."""
        program = self.keeps()
        script = f"{program} 10 2000; {program} 20 2000; {program} 30 2000"
        lines = self.judged(["leaked>19999"], "bash", "-c", f"{script}; true", expect=3, HEAPPROF_ONLY=program.rpartition("/")[2])
        self.assertEqual([line.partition(" had ")[2].split()[0] for line in lines], ["29.30kB", "19.53kB"])

    def test_many_processes(self):
        """The worst ten are told, of each limit."""
        program = self.keeps()
        script = f"for i in $(seq 13); do {program} $i 2000; done"
        lines = self.judged(["leaked>0", "peak>0"], "bash", "-c", script, expect=3, HEAPPROF_ONLY=program.rpartition("/")[2])
        self.assertEqual(len(lines), 22)
        for of_limit, limit, first in ((lines[:11], "leaked>0", "12.70kB"), (lines[11:], "peak>0", "14.65kB")):
            self.assertIn(f"'{limit}': ", of_limit[0])
            self.assertIn(f" had {first} ", of_limit[0])
            self.assertEqual(of_limit[10], f"heapprof: --fail-if '{limit}': and 3 more processes")

    def test_estimates(self):
        """Blocks of 40 MB in all. What sampling may add is no reason; twice the limit is."""
        program = self.keeps()
        for limits in (["leaked>40M"], ["peak>39M"], ["leaked>38000000", "peak>38000000", "leaked_objects>38000"]):
            self.assertEqual(self.judged(limits, program, 40000, 2000, expect=0, sample="512K", HEAPPROF_SEED=1), [])
        lines = self.judged(["leaked>15M", "peak>15M", "leaked_objects>15000"], program, 40000, 2000, expect=3, sample="512K",
                            HEAPPROF_SEED=1)
        self.assertEqual(len(lines), 3)
        self.assertRegex(lines[0], r"had [34]\d\.?\d*MB ±\d+\.?\d*MB ")

    def test_a_sample_is_no_accident(self):
        """Where nothing may be left, what was seen is enough."""
        line, = self.judged(["leaked>0"], self.keeps(), 1, 2000, expect=3, sample=1000, HEAPPROF_SEED=3)
        self.assertIn(" in use at exit, ", line)

    def test_nothing_sampled(self):
        line, = self.judged(["peak>0", "leaked>0"], "true", expect=0, sample="64G")
        self.assertIn("--fail-if found nothing: no process was sampled, which counts as 0 bytes", line)

    def test_nothing_to_judge(self):
        """Neither green: what cannot be checked is not said to hold."""
        marker = self.out_dir / "started"
        script = self.out_dir / "alien"
        script.write_bytes(b"\x7fELF\x01\x01\x01" + bytes(9) + b"\x02\0\x28\0" + bytes(60))  # 32 bits, for ARM
        script.chmod(0o755)
        line, = self.judged(["peak>1G"], script, marker, expect=1)
        self.assertIn("so --fail-if cannot be checked; nothing is started", line)
        self.assertFalse(marker.exists())
        static = compile(paths.TESTS / "cli/keeps.c", "-static")
        line, = self.judged(["peak>1G"], static, 10, 2000, expect=1)
        self.assertIn("--fail-if could not be checked", line)
        line, = self.judged(["peak>1G"], self.keeps(), 10, 2000, expect=1, HEAPPROF_STATE_DIR="/proc/nowhere")
        self.assertIn("--fail-if could not be checked", line)

    @cases("", "peak", "peak>", "peak>x", "peak<1M", "peak>5%", "peak>-1", "leak>0", "leaked_objects>1K", "leaked_objects>1.5", "growth>5%", "peak>1M;leaked>0")
    def test_what_is_none(self, text):
        marker = self.out_dir / "started"
        done = self.tool("run", "--fail-if=peak>1M", "--fail-if", text, "--", "touch", marker, expect=2)
        self.assertRegex(done.stderr, r"\Aheapprof: --fail-if takes peak>SIZE, leaked>SIZE .* or leaked_objects>NUMBER, .*\n\Z")
        self.assertIn(f"not '{text}'", done.stderr)
        self.assertFalse(marker.exists())


class OfLeaks(Case):
    """What libc and the like keep to their end has not leaked (tools/filter/kept.def)."""
    def judged(self, *command, options=(), expect, **variables):
        done = self.tool("run", "-s", 1, "--fail-if=leaked_objects>0", *options, "--", *command, expect=expect, input="x", **variables)
        lines = [line.removeprefix("heapprof: ") for line in done.stderr.splitlines()]
        return [line for line in lines if line.startswith(("--fail-if", "not counted"))]

    def keeps(self, *flags):
        return compile(paths.TESTS / "cli/runtime_keeps.c", "-g", *flags)

    @cases("output", "wide output", "input", "locale", "time zone", "local time", "thread", "cancelled thread", "keys", "users", "hosts", "dlopen",
           "dlerror", "iconv", "messages", "backtrace", "handlers", "environment", "error")
    def test_what_libc_keeps(self, what):
        line, = self.judged(self.keeps(), what, expect=0)
        self.assertRegex(line, r"\Anot counted as leaked: [\d.]+k?B in \d+ objects? that the C library keeps to its end\Z")

    def nameless_libc(self):
        """A folder with a copy for which no debug information is installed, as on most machines: its build id is another."""
        libc = next(line.split()[2] for line in subprocess.run(["ldd", "/bin/true"], capture_output=True, text=True).stdout.splitlines()
                    if "libc.so.6" in line)
        content = pathlib.Path(libc).read_bytes()
        build_id = bytes.fromhex(re.search(r"Build ID: (\w+)", subprocess.run(["readelf", "-n", libc], capture_output=True, text=True).stdout)[1])
        self.assertEqual(content.count(build_id), 1)
        (self.dir / "libc.so.6").write_bytes(content.replace(build_id, bytes(reversed(build_id))))
        return self.dir

    @cases("local time", "time zone", "messages", "environment", "error", "output")
    def test_what_a_libc_without_names_keeps(self, what):
        """localtime has jumped to what allocates, and is not on the stack."""
        line, = self.judged("env", f"LD_LIBRARY_PATH={self.nameless_libc()}", self.keeps(), what, expect=0)
        self.assertRegex(line, r"\Anot counted as leaked: [\d.]+k?B in \d+ objects? that the C library keeps to its end\Z")

    def test_what_callers_of_a_libc_without_names_have_to_give_back(self):
        """fopen has jumped, too."""
        line = self.judged("env", f"LD_LIBRARY_PATH={self.nameless_libc()}", self.keeps(), "file", expect=3)[0]
        self.assertRegex(line, r"had 1 objects in use at exit, 1 too much; most in main: 1")

    @cases(("file", "fopen|libc"), ("strdup", "main"), ("addresses", "resolve|addrinfo"), ("conversion", "convert|iconv_open|gconv_open"),
           ("callback", "compare"))
    def test_what_its_callers_have_to_give_back(self, what, site):
        line = self.judged(self.keeps(), what, expect=3)[0]
        self.assertRegex(line, rf"'leaked_objects>0': .*; most in \S*({site})")

    @cases(("own tzset", "tzset"), ("own putenv", "putenv"))
    def test_names_of_libc_elsewhere(self, what, site):
        line, = self.judged(self.keeps("-DOWN", "-rdynamic"), what, expect=3)
        self.assertRegex(line, rf"had 1 objects in use at exit, 1 too much; most in {site}: 1\Z")

    def test_iostreams(self):
        source = self.dir / "streams.cc"
        source.write_text("#include <iostream>\n#include <thread>\nint main() { std::ios_base::sync_with_stdio(false); std::cout << 1;\n"
                          "std::thread([] {}).join(); }\n")
        self.assertEqual(len(self.judged(compile(source, "-pthread"), expect=0)), 1)

    def test_rust(self):
        need("rustc")
        source, program = self.dir / "hello.rs", self.dir / "hello"
        source.write_text('fn main() { let n = std::io::stdin().lines().count(); println!("{n}");\n'
                          "  std::thread::spawn(move || n + 1).join().unwrap(); }\n")
        subprocess.run(["rustc", "-g", "-O", "-o", program, source], check=True, capture_output=True)
        self.assertEqual(len(self.judged(program, expect=0)), 1)
        # Nothing of the program's own has a frame there.
        source.write_text("fn main() { std::thread::spawn(|| std::mem::forget(std::env::args().collect::<Vec<String>>())).join().unwrap(); }\n")
        subprocess.run(["rustc", "-O", "-o", program, source], check=True, capture_output=True)
        self.assertIn("'leaked_objects>0'", self.judged(program, expect=3)[0])

    @cases("/dev/null", "/dev/stderr")
    def test_profiles_that_nobody_keeps(self, out):
        """Judged is what was written, not what can be read again."""
        program = compile(paths.TESTS / "cli/keeps.c", "-g")
        for kept, status in ((0, 0), (10, 3)):
            self.tool("run", "-q", "-s", 1, "-o", out, "--fail-if=leaked>0", "--", program, kept, 10, expect=status)

    def test_ignored(self):
        program = compile(paths.TESTS / "cli/keeps.c", "-g")
        lines = self.judged(program, 10, 2000, options=["--ignore=^keep$"], expect=0)
        self.assertEqual(lines, ["not counted as leaked: 9.77kB in 10 objects that --ignore leaves out"])
        lines = self.judged(program, 10, 2000, options=["--ignore=nobody|keeper"], expect=3)
        self.assertEqual(len(lines), 1)
        lines = self.judged(program, 10, 2000, options=["-q", "--ignore=^keep$", "--fail-if=peak>0"], expect=3)
        self.assertEqual(len(lines), 1, "its peak is no leak")

    @cases(("(", "'\\(' is not a regular expression: "), ("*", "is not a regular expression"))
    def test_ignored_by_nonsense(self, text, says):
        done = self.tool("run", f"--ignore={text}", "--fail-if=leaked>0", "--", "touch", self.dir / "started", expect=2)
        self.assertRegex(done.stderr, says)
        self.assertFalse((self.dir / "started").exists())

    @cases((), ("--fail-if=peak>1M",))
    def test_nothing_to_ignore(self, *options):
        done = self.tool("run", "--ignore=x", *options, "--", "true", expect=2)
        self.assertIn("--ignore is for limits of what leaked", done.stderr)


class AsJUnit(Views):
    """Read by expat, which is not ours."""
    def read(self, path):
        root = ElementTree.parse(path).getroot()
        self.assertEqual(root.tag, "testsuites")
        suite, = root
        found = suite.findall("testcase")
        for element in (root, suite):
            self.assertEqual([int(element.get(key)) for key in ("tests", "failures", "errors")],
                             [len(found), len(suite.findall("testcase/failure")), len(suite.findall("testcase/error"))])
        return found

    def of_run(self, *options, program, expect, **variables):
        path = self.dir / "limits.xml"
        done = self.tool("run", "-q", "-s", 1, f"--junit={path}", *options, "--", *program, expect=expect, **variables)
        return done.stderr.splitlines(), self.read(path)

    def keeps(self):
        return compile(paths.TESTS / "cli/keeps.c", "-g")

    def test_run(self):
        program = self.keeps()
        lines, (peak, leaked) = self.of_run("--fail-if=peak>1M", "--fail-if=leaked>9999", program=[program, 10, 2000], expect=3)
        self.assertEqual([case.get("name") for case in (peak, leaked)], ["peak>1M", "leaked>9999"])
        self.assertEqual(peak.get("classname"), f"heapprof run {program}")
        self.assertEqual(list(peak), [])
        failure, = leaked
        self.assertEqual(failure.tag, "failure")
        self.assertRegex(failure.get("message"), r"had 9\.77kB in use at exit, 1B too much; most in keep: 9\.77kB\Z")
        self.assertEqual(lines, [f"heapprof: --fail-if 'leaked>9999': {failure.text}"])

    def test_many_processes(self):
        program = self.keeps()
        script = f"for i in $(seq 13); do {program} $i 2000; done"
        _, (case,) = self.of_run("--fail-if=leaked>0", program=["bash", "-c", script], expect=3, HEAPPROF_ONLY=program.rpartition("/")[2])
        self.assertEqual(len(case[0].text.splitlines()), 11)
        self.assertTrue(case[0].text.endswith("\nand 3 more processes"))

    def test_failed_programs(self):
        """Its own status is kept; the limits hold all the same, or are not known."""
        _, (case,) = self.of_run("--fail-if=peak>1M", program=[self.keeps(), 10, 2000, "fail"], expect=7)
        self.assertEqual(list(case), [])
        static = compile(paths.TESTS / "cli/keeps.c", "-static")
        for program, status in ((["/nowhere/at/all"], 127), (["/etc/passwd"], 126), ([static, 1, 1], 1)):
            _, (case,) = self.of_run("--fail-if=peak>1M", program=program, expect=status)
            self.assertEqual([problem.tag for problem in case], ["error"])
            self.assertTrue(case[0].get("message"))

    def test_names_that_xml_knows(self):
        name = "a<b>&\"'\u00fc]]>\x01\x1b[31m\n\ufffe\u202e"
        folder = self.dir / name
        folder.mkdir()
        program = os.fsencode(folder) + b"/\xff<keeps>"
        os.link(self.keeps(), program)
        _, (case,) = self.of_run("--fail-if=leaked>\t0 ", program=[os.fsdecode(program), 10, 2000], expect=3)
        self.assertIn("a<b>&\"'\u00fc]]>\\x01\\x1b[31m\\x0a", case.get("classname"))
        self.assertIn("/\\xff<keeps>", case.get("classname"))
        self.assertEqual(case.get("name"), "leaked>\\x090 ")
        self.assertIn("<keeps> (", case[0].text)

    def test_names_of_functions(self):
        old = self.make("old", {("a<b>::c&d ]]>", "main"): (0, 0, 1, 10)}, variances={("a<b>::c&d ]]>", "main"): (0,) * 4}, period=1)
        new = self.make("new", {("a<b>::c&d ]]>", "main"): (0, 0, 1, 20)}, variances={("a<b>::c&d ]]>", "main"): (0,) * 4}, period=1)
        path = self.dir / "limits.xml"
        self.tool("diff", "--fail-if=growth>5%", "--fail-if=growth>1M", f"--junit={path}", old, new, expect=3)
        grown, kept = self.read(path)
        self.assertEqual(list(kept), [])
        self.assertTrue(grown[0].text.endswith("9B too much; most in a<b>::c&d ]]>: +10B") or "most in a<b>::c&d ]]>: +10B" in grown[0].text)
        other = self.make("other", {("f",): (0, 0, 10, 1000)}, variances={("f",): (0, 0, 1, 1)}, period=1000)
        self.tool("diff", "--fail-if=growth>5%", f"--junit={path}", old, other, expect=1)
        self.assertIn("two of the same interval", self.read(path)[0].find("error").text)

    def junit(self, path, expect, limit="peak>1M"):
        marker = self.dir / "started"
        done = self.tool("run", "-q", f"--fail-if={limit}", f"--junit={path}", "--", "touch", marker, expect=expect)
        self.assertEqual(marker.exists(), expect == 0)
        return done.stderr

    def test_an_old_one_is_replaced(self):
        path = self.dir / "limits.xml"
        path.touch()
        for _ in range(2):
            self.junit(path, expect=0)
            self.assertEqual(len(self.read(path)), 1)
        self.assertEqual([entry.name for entry in self.dir.iterdir() if entry.name.startswith(".heapprof")], [])

    @cases("text", "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"pytest\"/>\n")
    def test_others_are_kept(self, text):
        path = self.dir / "limits.xml"
        path.write_text(text)
        self.assertIn("is there already, is no JUnit file of heapprof, and is kept; nothing is done", self.junit(path, expect=1))
        self.assertEqual(path.read_text(), text)

    @cases("/nowhere/limits.xml", "", "-", ".", "/proc/limits.xml")
    def test_where_none_can_be(self, path):
        self.assertRegex(self.junit(path, expect=1), r"\Aheapprof: .*; nothing is done\n\Z")

    def test_full_disk(self):
        self.tool("run", "-q", "--fail-if=peak>1M", "--junit=/dev/full", "--", "true", expect=1)
        done = self.tool("run", "-q", "-s", 1, "--fail-if=peak>0", "--junit=/dev/full", "--", self.keeps(), 10, 2000, expect=3)
        self.assertIn("No space left", done.stderr)

    def test_without_limits(self):
        done = self.tool("run", "--junit=x.xml", "--", "true", expect=2)
        self.assertIn("--junit writes what came of limits, and there is no --fail-if", done.stderr)


class OfChanges(Views):
    INTERVAL = 1000

    def make_two(self, interval=INTERVAL, error=0, **sites):
        """Profiles of sites: name -> (old bytes in use, new)"""
        return [self.make(name, {(site, "main"): (0, 0, values[i] // 10, values[i]) for site, values in sites.items()},
                          variances={(site, "main"): (0, 0, error / 10, error) for site in sites}, period=interval)
                for i, name in enumerate(("old", "new"))]

    def judged(self, old, new, *limits, expect, options=()):
        words = [word for limit in limits for word in ("--fail-if", limit)]
        done = self.tool("diff", old, new, *words, *options, expect=expect)
        self.assertTrue(done.stdout.startswith("File: "))
        return done.stderr.splitlines()

    @cases(("growth>5%", (1000, 1050), False), ("growth>5%", (1000, 1051), True), ("growth>29%", (100, 129), False),
           ("growth>50", (1000, 1050), False), ("growth>49", (1000, 1050), True), ("growth>0", (1000, 1000), False),
           ("growth>0", (1000, 900), False), ("growth>0%", (0, 1), True), ("growth>900%", (0, 0), False))
    def test_exact(self, limit, values, is_broken):
        old, new = self.make_two(interval=1, f=values)
        self.assertEqual(len(self.judged(old, new, limit, expect=3 if is_broken else 0)), int(is_broken))

    def test_told(self):
        old, new = self.make_two(interval=1, leak=(1000, 5000), shrinks=(4000, 1000), same=(7, 7))
        line, = self.judged(old, new, "growth>5%", expect=3)
        self.assertEqual(line, "heapprof: --fail-if 'growth>5%': 5.87kB after 4.89kB, +1000B, 19.97%, 749.65B too much; "
                               "most in leak: +3.91kB")
        line, = self.judged(old, new, "growth>5", expect=3)  # seen to fail: nothing told it from 5%
        self.assertIn("995B too much (for 5B, without a %); most in leak", line)

    def test_several(self):
        old, new = self.make_two(interval=1, leak=(1000, 5000))
        lines = self.judged(old, new, "growth>5%", "growth>1M", "growth>1kB", expect=3)
        self.assertEqual([line.split("'")[1] for line in lines], ["growth>5%", "growth>1kB"])

    def test_estimates(self):
        """Three standard errors are not enough, five and what may have been missed are."""
        error = 1e8
        old, new = self.make_two(error=error, leak=(1_000_000, 1_000_000 + int(3 * (2 * error) ** 0.5)))
        self.assertEqual(self.judged(old, new, "growth>0", expect=0), [])
        old, new = self.make_two(error=error, leak=(1_000_000, 1_000_000 + int(5 * (2 * error) ** 0.5) + 20 * self.INTERVAL))
        line, = self.judged(old, new, "growth>0", expect=3)
        self.assertIn(" ±27.07kB, ", line)

    def test_what_an_old_profile_missed(self):
        """One block of five intervals, which one profile in 150 does not see: not a matter of standard errors."""
        old, new = self.make_two(error=0.17 * self.INTERVAL ** 2, missed=(0, 5 * self.INTERVAL), same=(1000, 1000))
        self.assertEqual(self.judged(old, new, "growth>5%", expect=0), [])

    def test_filters_and_types(self):
        old, new = self.make_two(interval=1, leak=(1000, 5000), shrinks=(9000, 1000))
        self.assertEqual(self.judged(old, new, "growth>0", expect=0), [])
        line, = self.judged(old, new, "growth>0", expect=3, options=["--focus=leak"])
        self.assertIn("4.88kB after 1000B, +3.91kB, 400.00%", line)
        line, = self.judged(old, new, "growth>399", expect=3, options=["--focus=leak", "--sample-index=inuse_objects"])
        self.assertIn("500 after 100, +400, 400.00%, 1 too much; most in leak: +400", line)

    def test_what_cannot_be_judged(self):
        old, new = self.make_two(f=(10, 1000))
        other = self.make("other", {("f",): (0, 0, 10, 1000)}, variances={("f",): (0, 0, 1, 1)}, period=1)
        foreign = self.make("foreign", {("f",): (0, 0, 10, 1000)}, period=self.INTERVAL)
        self.assertIn("two of the same interval", self.judged(old, other, "growth>5%", expect=1)[0])
        for one, two in ((foreign, new), (old, foreign)):
            self.assertRegex(self.judged(one, two, "growth>5%", expect=1)[0], "foreign.* does not tell how far off it can be")

    @cases("", "growth", "growth>x", "growth<5%", "growth>5 %", "peak>1M", "growth>-5%", "growth>1e3")
    def test_what_is_none(self, text):
        old, new = self.make_two(f=(10, 1000))
        self.check_refuses("diff", old, new, "--fail-if=growth>1%", f"--fail-if={text}", status=2,
                           says="--fail-if takes growth>PERCENT% or growth>SIZE .*, not '" + text + "'")

    @timeout(120)
    def test_of_one_process(self):
        """Exact, and estimates of the same: the sessions that the shop forgets have grown, and nothing else."""
        for sample in (1, 4096):
            old, new = self.profile_app(f"app{sample}", sample=sample)
            line, = self.judged(old, new, "growth>5%", expect=3)
            self.assertRegex(line, r"; most in shop::Cache::make_entry \(inline\): \+1\.\d+MB\Z")
            self.assertEqual(self.judged(old, new, "growth>90%", expect=0), [])
            self.assertEqual(self.judged(new, new, "growth>0", "growth>0%", expect=0), [])
