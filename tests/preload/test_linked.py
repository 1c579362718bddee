# SPDX-License-Identifier: MIT
"""Programs that are linked with the library, as heapprof.pc says: as if it were preloaded."""
import re
import subprocess

from harness import paths, pprof_reader
from harness.case import Case, cases
from hazards import toolbox


def link_flags():
    """As they are installed, but for where."""
    text = (paths.BUILD / "heapprof.pc").read_text()
    return re.search(r"^link=(.*)$", text, re.MULTILINE)[1].replace("${libdir}", str(paths.LIB.parent)).split()


class Linked(Case):
    def run_victim(self, words, **options):
        name, *arguments = words.split()
        program = toolbox.program(name, "-w", "-O2", "-std=gnu++17" if name.endswith(".cc") else "-std=gnu11", *link_flags())
        environment = {**self.environment(), "LD_PRELOAD": None, "HEAPPROF_SAMPLE": "1", **options}
        self.programs_started += 1
        done = subprocess.run([program, *arguments], env={k: v for k, v in environment.items() if v is not None}, cwd=self.dir,
                              capture_output=True, text=True)
        return done

    @cases("leak.c", "everything.c", "new_delete.cc", "threads.c 4")
    def test_exact(self, words):
        """Seen to fail: without the flags there is no profile."""
        done = self.run_victim(words)
        self.assertEqual((done.returncode, done.stderr), (7 if "leak" in words else 0, ""))
        path, = self.profile_files()
        self.assertIn(f"heapprof.{words.split('.')[0]}.", path.name)
        profile = pprof_reader.load(path)
        shadow, = re.findall(r"^shadow alloc_objects=(\d+) alloc_bytes=(\d+) inuse_objects=(\d+) inuse_bytes=(\d+)", done.stdout, re.MULTILINE)
        self.check_exact(profile, dict(zip(("alloc_objects", "alloc_space", "inuse_objects", "inuse_space"), map(int, shadow))))

    def test_preloaded_besides(self):
        """It is one library all the same."""
        done = self.run_victim("leak.c", LD_PRELOAD=str(paths.LIB))
        self.assertEqual((done.returncode, done.stderr), (7, ""))
        path, = self.profile_files()
        self.assertEqual(pprof_reader.load(path).comment_values()["lost.total"], 0)
