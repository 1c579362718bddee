# SPDX-License-Identifier: MIT
"""The jobs of docs/answers.md, as a user does them: the commands that are told there, and who they name. The leak in a service is
browser/test_demo, the kill for want of memory test_oom, the benchmark test_benchmarks."""
import re
import shutil
import subprocess

from cli.views import Views
from harness import paths
from harness.case import timeout
from harness.states import wait_until
from harness.tools import need
from hazards.toolbox import compile

SOURCES = paths.TESTS / "cli/answers"


class Answers(Views):
    def check_top_in_use(self, done, pattern):
        self.assertRegex(done.stderr, rf"(?m)^ +top in use +[\d.]+MB {pattern}")

    @timeout(200)
    def test_peak_of_a_build(self):
        need("make", "g++")
        (self.out_dir / "Makefile").write_text("all: one.o other.o\n%.o: %.cc\n\tg++ -O1 -c $<\n")
        (self.out_dir / "one.cc").write_text("#include <map>\nstd::map<int, int> m;\n")
        (self.out_dir / "other.cc").write_text("#include <regex>\nbool f(std::string s) { return std::regex_match(s, std::regex(s)); }\n")
        done = self.tool("run", "-s", "64K", "-o", "profiles/", "--", "make", "-j2")
        self.assertRegex(done.stderr, r"\Aheapprof: peak of all +[\d.]+MB ±\S+ in \d+ processes at a moment\n +largest +[\d.]+MB ±\S+ \(cc1plus, ")
        self.assertEqual(len(re.findall(r"(?m)cc1plus\.\d+\.1\.pb\.gz  cc1plus ", done.stderr)), 2)

    @timeout(200)
    def test_live_redis(self):
        need("redis-server", "redis-cli")
        socket = self.dir / "socket"
        arguments = ["redis-server", "--port", "0", "--unixsocket", socket, "--save", "", "--dir", self.out_dir]
        with self.start(arguments, sample=65536) as redis:
            def ask(*words, input=""):
                return subprocess.run(["redis-cli", "-s", socket, *words], input=input, capture_output=True, text=True).stdout.strip()
            wait_until(lambda: ask("ping") == "PONG", "redis answers")
            self.assertIn("errors: 0", ask("--pipe", input="".join(f"SET key:{n} {'x' * 300}\r\n" for n in range(50_000))))
            used = int(re.search(r"used_memory:(\d+)", ask("info", "memory"))[1])
            found = self.json("top", redis.pid)
            owners = {row["function"] for row in found["rows"] if row["flat"]}
            ask("shutdown", "nosave")
        self.assertLess(abs(found["total"] - used), used / 4)
        self.assertNotIn("_sdsnewlen", owners)
        self.assertRegex(" ".join(owners), "create|process|db[A-Z]")

    def test_python_extension(self):
        """A module of Debian's Python, built as its own tool says."""
        includes = subprocess.run(["/usr/bin/python3-config", "--includes"], capture_output=True, text=True, check=True).stdout.split()
        shutil.copy(compile(SOURCES / "tally.c", "-shared", "-fPIC", *includes), self.out_dir / "tally.so")
        (self.out_dir / "app.py").write_text("import tally\nfor number in range(100_000):\n    tally.add(f'request {number}, ' * 10)\n")
        done = self.tool("run", "-o", "python.pb.gz", "--", "/usr/bin/python3", "app.py")
        self.check_top_in_use(done, "new_record")
        text = self.tool("top", "--list", "new_record", "python.pb.gz").stdout
        self.assertRegex(text, r"(?m)^ +[\d.]+MB +[\d.]+MB +\d+:  record->text = strdup\(text\);$")
        tree = self.tool("tree", "--focus=new_record", "python.pb.gz").stdout
        self.assertRegex(tree, r"tally_add\n")

    @timeout(200)
    def test_rust(self):
        need("rustc")
        program = self.dir / "orders"
        subprocess.run(["rustc", "-g", "-O", "-o", program, SOURCES / "orders.rs"], check=True, capture_output=True)
        self.check_top_in_use(self.tool("run", "-o", "rust.pb.gz", "--", program), r"<orders::Order as core::clone::Clone>::clone, ")
        text = self.tool("top", "--list", "orders::Store::place", "rust.pb.gz").stdout
        self.assertRegex(text, r"(?m)^ +[\d.]+MB +[\d.]+MB +\d+: +self\.history\.push\(order\.clone\(\)\);$")

    def test_commands_are_ours(self):
        """Those of the page have options that the command knows."""
        page = (paths.SOURCE / "docs/answers.md").read_text()
        told = re.findall(r"`(heapprof [^`]*)`", page) + re.findall(r"(?m)^    \$ (heapprof .*)$", page)
        self.assertGreater(len(told), 10)
        for command in told:
            _, name, *words = command.split(" -- ")[0].split()
            help = self.tool(name, "--help").stdout
            for option in (word.split("=")[0] for word in words if re.match("--?[a-z]", word)):
                self.assertIn(option, re.findall(r"--?[a-z-]+", help), command)
