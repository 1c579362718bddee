# SPDX-License-Identifier: MIT
"""Our reader of .eh_frame against readelf and libunwind: every row of every entry of a few objects, HEAPPROF_TORTURE=1 (make oracle):
of all that is installed here. Seen to fail by the mutants restored_at_once and plt_unfolded."""
import os
import re
import shutil
import subprocess
from pathlib import Path

from harness import paths, tools
from harness.case import Case, timeout

ALL = os.environ.get("HEAPPROF_TORTURE", "") not in ("", "0")
LIBRARIES = Path("/usr/lib/x86_64-linux-gnu")
FEW = [LIBRARIES / "libc.so.6", LIBRARIES / "ld-linux-x86-64.so.2", LIBRARIES / "libstdc++.so.6", LIBRARIES / "libcrypto.so.3"]
# Programs, and where their large parts are: of other compilers, or huge.
PROGRAMS = ["python3", "bash", "perl", "git", "gdb", "node", "php", "sbcl", "postgres", "gnat", "chromium", "busybox"]
GLOBS = ["/usr/lib/gcc/x86_64-linux-gnu/*/cc1*", "/usr/lib/gcc/x86_64-linux-gnu/*/gnat1", "/usr/lib/gcc/x86_64-linux-gnu/*/lto1",
         "/usr/lib/jvm/*/lib/server/libjvm.so", f"{Path.home()}/.rustup/toolchains/*/lib/*.so", "/usr/lib/chromium/chromium",
         "/usr/lib/ghc/bin/ghc*", "/usr/lib/ghc/lib/bin/ghc*", "/usr/lib/php/*/*.so", "/usr/lib/go*/bin/go", "/usr/local/go/bin/go",
         "/usr/lib/erlang/erts-*/bin/beam.smp"]
OBJECTS_MIN, PLACES_MIN = 150, 1_000_000


def is_object(path):
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def objects():
    """Real paths, the small ones first."""
    found = [Path(shutil.which(name)) for name in PROGRAMS if shutil.which(name)]
    found += [path for pattern in GLOBS for path in Path("/").glob(pattern[1:])] + list(LIBRARIES.glob("*.so*"))
    real = {path.resolve() for path in found if path.exists() and path.is_file()}
    return sorted((path for path in real if is_object(path)), key=lambda path: (path.stat().st_size, path))


class Rows(Case):
    def setUp(self):
        super().setUp()
        tools.need("readelf", "make")
        done = subprocess.run(["make", "-s", "-C", paths.BUILD, "tests/oracle/rows"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.assertEqual(done.returncode, 0, f"libunwind-dev is needed, too: {done.stdout}")

    def compare(self, path):
        """What it counts; its last words if there is a difference."""
        with subprocess.Popen(["readelf", "-W", "--debug-dump=frames-interp", path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as readelf:
            done = subprocess.run([paths.BUILD / "tests/oracle/rows", path], stdin=readelf.stdout, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, errors="replace")
        self.assertIn(done.returncode, (0, 1), done.stdout[-2000:])
        counted = {name: int(number) for name, number in re.findall(r" (\w+) (\d+)", done.stdout.splitlines()[-1].split(":", 1)[1])}
        return counted, done.stdout if done.returncode != 0 else ""

    @timeout(7200 if ALL else 120)
    def test_rows(self):
        sums, differences, number = {}, [], 0
        for path in objects() if ALL else FEW:
            counted, words = self.compare(path)
            number += counted["entries"] > 0
            sums = {name: sums.get(name, 0) + count for name, count in counted.items()}
            if words:
                differences.append(words)
            if ALL:
                print(f"{path}: {counted}", flush=True)
        print(f"{number} objects: {sums}")
        self.assertEqual("\n".join(differences), "")
        self.assertGreaterEqual(number, OBJECTS_MIN if ALL else len(FEW))
        self.assertGreaterEqual(sums["places"], PLACES_MIN if ALL else 200_000)
        self.assertGreaterEqual(sums["stepped"], sums["places"] * 0.99)
