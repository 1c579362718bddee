# SPDX-License-Identifier: MIT
"""Our reader of instructions, and what we move of the entries of functions, against Zydis: of every function of at least 150 libraries,
HEAPPROF_TORTURE=1 (make oracle): of all that is installed here. Seen to fail by the mutants short_group and moved_unchanged."""
import os
import re
import subprocess
from pathlib import Path

from harness import paths, tools
from harness.case import Case, timeout

ALL = os.environ.get("HEAPPROF_TORTURE", "") not in ("", "0")
FOLDERS = [Path("/usr/lib/x86_64-linux-gnu"), Path("/usr/bin")]
FEW_BYTES, OBJECTS_MIN = 200 << 10, 150


def is_object(path):
    try:
        with path.open("rb") as file:
            return file.read(4) == b"\x7fELF"
    except OSError:
        return False


def objects():
    """Real paths, the small ones first; of all sizes, or none that takes long."""
    real = {path.resolve() for folder in FOLDERS for path in folder.iterdir() if path.is_file()}
    sizes = {path: path.stat().st_size for path in real if is_object(path)}
    named = [Path("/usr/lib/x86_64-linux-gnu") / name for name in ("libc.so.6", "libjemalloc.so.2", "libtcmalloc.so.4", "libmimalloc.so.2")]
    chosen = {path for path, size in sizes.items() if ALL or size <= FEW_BYTES} | {path.resolve() for path in named if path.exists()}
    return sorted(chosen, key=lambda path: (sizes.get(path, 0), path))


class Entries(Case):
    @timeout(7200 if ALL else 300)
    def test_entries(self):
        tools.need("make")
        built = subprocess.run(["make", "-s", "-C", paths.BUILD, "tests/oracle/entries"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.assertEqual(built.returncode, 0, f"libzydis-dev is needed: {built.stdout}")
        done = subprocess.run([paths.BUILD / "tests/oracle/entries", *objects()], stdout=subprocess.PIPE, text=True, errors="replace")
        *differences, last = done.stdout.splitlines()
        self.assertEqual(differences[:50], [])
        self.assertEqual(done.returncode, 0)
        counted = {name: int(number) for name, number in re.findall(r"(\w+) (\d+)", last)}
        self.figure(**counted)
        self.assertEqual(counted["entered"], 0, "a function goes into the middle of another one's change")
        self.assertGreaterEqual(counted["objects"], OBJECTS_MIN)
        self.assertGreaterEqual(counted["functions"], 100 * OBJECTS_MIN / 10)
        self.assertLessEqual(counted["unknown"], counted["instructions"] * 0.001)
        self.assertGreaterEqual(counted["changed"], counted["functions"] * 0.8)
