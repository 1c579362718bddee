# SPDX-License-Identifier: MIT
"""docs/ci.md: limits of memory in suites of tests, with the projects of docs/examples as they are."""
import os
import re
import shutil
import subprocess
from xml.etree import ElementTree

from harness import paths
from harness.case import Case, cases, timeout
from harness.tools import need
from hazards.toolbox import compile

EXAMPLES = paths.SOURCE / "docs/examples"
FORGETS = re.compile(r"heapprof: --fail-if 'leaked>0': (\S+) \(\d+\) had (\S+) in use at exit, (\S+) too much; most in (\S+): \S+")


class Recipe(Case):
    def project(self, name):
        """A copy to build in."""
        folder = self.dir / name
        shutil.copytree(EXAMPLES / name, folder, copy_function=shutil.copyfile)
        for path in [folder, *folder.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)  # those of a release may be read-only
        return folder

    def sh(self, command, cwd, expect=0, **variables):
        """With the heapprof that is tested in front."""
        path = f"{paths.TOOL.parent}:{os.environ['PATH']}"
        done = subprocess.run(["bash", "-c", command], cwd=cwd, env=self.tool_environment(PATH=path, **variables), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=500)
        self.assertEqual(done.returncode, expect, f"$ {command}\n{done.stdout}")
        return done.stdout

    def check_forgets(self, output, program, site):
        told = FORGETS.findall(output)
        self.assertEqual([one[0] for one in told if not re.fullmatch(program, one[0])], [], output)
        self.assertTrue(told, output)
        self.assertRegex(told[0][3], site)


class Suites(Recipe):
    @timeout(300)
    def test_ctest(self):
        need("cmake", "ctest")
        folder = self.project("ctest")
        self.sh("cmake -S . -B build && cmake --build build", folder)
        output = self.sh("ctest --test-dir build -j 2 --output-on-failure", folder, expect=8)
        results = dict(re.findall(r"^\s*\d+/4 Test +#\d+: (\S+) \.*[ *]+(Passed|Failed)", output, re.MULTILINE))
        self.assertEqual(results, {"cart_test": "Passed", "cart_test.memory": "Passed", "forgets_test": "Passed",
                                   "forgets_test.memory": "Failed"})
        self.check_forgets(output, "forgets_test", "cart_new|main")
        for name, failures in (("cart_test", "0"), ("forgets_test", "1")):
            self.assertEqual(ElementTree.parse(folder / f"build/{name}.memory.xml").getroot().get("failures"), failures)

    @timeout(300)
    def test_make_check(self):
        need("autoreconf", "automake", "make")
        folder = self.project("check")
        self.sh("autoreconf -fi && ./configure", folder)
        output = self.sh("make -j2 check", folder, expect=2, MAKEFLAGS=None, MAKELEVEL=None, MFLAGS=None)
        self.assertEqual(dict(reversed(line.split(": ")) for line in re.findall(r"^(?:PASS|FAIL|ERROR): \w+$", output, re.MULTILINE)),
                         {"cart_test": "PASS", "forgets_test": "FAIL"})
        self.check_forgets((folder / "forgets_test.log").read_text(), "forgets_test", "cart_new|main")
        self.assertEqual((folder / "cart_test.log").read_text().splitlines()[0], "2 items")

    @timeout(300)
    def test_cargo_test(self):
        need("cargo")
        folder = self.project("cargo")
        variables = {"CARGO_HOME": str(self.dir / "cargo_home"), "CARGO_NET_OFFLINE": "true", "CARGO_TARGET_DIR": str(folder / "target"),
                     "RUSTUP_HOME": os.environ.get("RUSTUP_HOME", os.path.expanduser("~/.rustup"))}
        output = self.sh("cargo test --offline --no-fail-fast", folder, expect=101, **variables)
        self.assertEqual(re.findall(r"^test (\w+) \.\.\. (\w+)$", output, re.MULTILINE), [("counts", "ok"), ("forgets", "ok")])
        self.check_forgets(output, r"forgets-\w+", "cart::|forgets|alloc")
        self.sh("cargo test --offline --test cart", folder, **variables)

    @timeout(300)
    def test_pytest(self):
        python = "/usr/bin/python3"  # Debian's, which has Debian's pytest
        if subprocess.run([python, "-c", "import pytest"], capture_output=True).returncode != 0:
            self.skipTest("python3-pytest is not installed")
        folder = self.project("pytest")
        self.sh("cc -g -shared -fPIC -o cart.so cart.c", folder)
        output = self.sh(f"{python} -m pytest -q -p no:cacheprovider", folder, expect=1, PYTHONDONTWRITEBYTECODE="1")
        self.assertRegex(output, r"(?m)^heapprof: --fail-if 'growth>10K': .* too much; most in forgetful_total: \+11\d\.\d+kB$")
        self.assertEqual(re.findall(r"^FAILED (\S+)", output, re.MULTILINE), ["test_cart.py::test_forgetful_total"])
        self.assertIn("1 failed, 2 passed", output)

    @timeout(300)
    def test_googletest(self):
        program = compile(EXAMPLES / "gtest/cart_test.cc", "-lgtest", "-lgtest_main")
        limits = ["--fail-if=leaked>0", "--fail-if=peak>1M"]
        done = self.tool("run", "-q", "-s", 1, *limits, "--", program, "--gtest_filter=-*Forgets", expect=0)
        self.assertIn("22 tests", done.stdout)
        self.assertNotIn("heapprof", done.stderr)
        done = self.tool("run", "-q", "-s", 1, *limits, "--", program, expect=3)
        self.assertRegex(done.stderr, r"heapprof: --fail-if 'leaked>0': \S+ \(\d+\) had 133B in use at exit, 133B too much; most in .*Cart_Forgets_Test::TestBody")


class Many(Recipe):
    """Suites run side by side, and each has its own state, files and verdict."""
    @timeout(300)
    def test_at_once(self):
        program = compile(paths.TESTS / "cli/keeps.c", "-g")
        makefile = self.dir / "Makefile"
        makefile.write_text("all: " + " ".join(f"t{i}" for i in range(24)) + "\n" + "".join(
            f"t{i}:\n\t@heapprof run -q -s 1 -o profiles/ --fail-if 'leaked>0' --junit t{i}.xml -- {program} {i % 2} 10; "
            f"test $$? = {3 * (i % 2)}\n" for i in range(24)))
        self.sh("make -j 8 -k", self.dir, MAKEFLAGS=None, MAKELEVEL=None, MFLAGS=None)
        for i in range(24):
            self.assertEqual(ElementTree.parse(self.dir / f"t{i}.xml").getroot().get("failures"), str(i % 2))
        self.assertEqual(len(list((self.dir / "profiles").iterdir())), 24)
        self.assertEqual(list(self.state_dir.glob("run.*")), [])
