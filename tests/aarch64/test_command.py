# SPDX-License-Identifier: MIT
"""The command of arm64, under the emulator: what it says of a process there, of its state file and of its profile; and what it starts."""
import os
import subprocess
import unittest

from harness import paths, pprof_reader
from harness.case import Case, in_victim

SQL = "create table t(a, b);\ninsert into t values(1, 'x');\nselect count(*), sum(length(b)) from t;\n"

# The emulator runs what a program under it executes if the kernel is told so. It is told in a namespace of its own: the machine's
# programs go on as they are.
RUNS_OTHERS = r"""
mount -t binfmt_misc none "$1" &&
printf %s ':arm64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'\
':\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:'"$2:F" >"$1/register" || exit 99
shift 2
exec "$@"
"""


class Command(Case):
    def test_process(self):
        """A process that runs, looked at and dumped."""
        with self.start([self.victim("signals")], sample=1) as program:
            program.read_until("ready")
            program.say("work")
            program.read_until("done")
            self.assertIn(str(program.pid), self.tool("ls").stdout)
            self.assertIn("every allocation", self.tool("info", program.pid).stdout)
            self.assertIn("victim_work", self.tool("top", program.pid).stdout)
            self.assertIn("victim_work", self.tool("tree", program.pid).stdout)
            self.tool("report", "-o", "report.html", program.pid)
            self.assertGreater((self.out_dir / "report.html").stat().st_size, 100000)
            name = self.tool("dump", program.pid).stdout.strip()
            program.process.kill()
            program.end()
        self.assertIn("victim_work", self.tool("top", name).stdout)
        recovered = self.tool("recover", "--keep", program.pid).stdout.strip()  # to remove it begins at /, which is another one there
        for profile in (name, recovered):
            self.assertEqual(pprof_reader.load(self.out_dir / profile).total("alloc_objects", in_victim), 200)

    def test_attach(self):
        """Is said to be for another machine, and nothing is done."""
        with self.start([self.victim("signals")], preload=False) as program:
            program.read_until("ready")
            for order in ("attach", "detach"):
                self.assertIn("written for x86-64 alone; nothing was changed", self.tool(order, program.pid, expect=1).stderr)
            program.say("end")
            self.assertEqual(program.end().status, 0)

    def test_run(self):
        """A program of Debian's, started and profiled."""
        program = os.path.join(os.environ["QEMU_LD_PREFIX"], "usr/bin/sqlite3")
        place = self.dir / "binfmt"
        place.mkdir()
        done = subprocess.run(["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", RUNS_OTHERS, "sh", place, paths.EMULATOR[0],
                               *paths.EMULATOR, paths.TOOL, "run", "-s", "1", program], env=self.tool_environment(), cwd=self.out_dir,
                              input=SQL, capture_output=True, text=True)
        if done.returncode == 99:
            raise unittest.SkipTest(f"no namespace to tell the kernel in what runs programs of arm64: {done.stderr}")
        self.assertEqual((done.returncode, done.stdout), (0, self.plain([program], input=SQL).out), done.stderr)
        path, = self.profile_files()
        profile = pprof_reader.load(path)
        comments = profile.comment_values()
        self.assertEqual(comments["exact_units"], profile.total("alloc_space") + profile.total("alloc_objects"))
        self.assertIn(path.name, done.stderr)
