# SPDX-License-Identifier: MIT
"""What a process pays to be started under the profiler, where it never samples: counts that repeat. How long it takes, tests/bench/start.py
measures."""
import re
import subprocess

from harness import paths, tools
from harness.case import Case, cases
from hazards import toolbox


class Start(Case):
    CALLS_MAX = 15  # docs/decisions.md, 30, has the list

    def setUp(self):
        super().setUp()
        tools.need("strace")

    def trace(self, preload, **settings):
        """The system calls of a program that does nothing."""
        path = self.dir / "trace"
        options = [word for name, value in settings.items() for word in ("-E", f"{name}={value}")]
        done = subprocess.run(["strace", "-f", "-o", path, *options, "-E", f"LD_PRELOAD={preload}", "/bin/true"], capture_output=True,
                              text=True, env=self.environment(preload=False))
        if "PTRACE" in done.stderr:
            self.skipTest(f"strace may not trace here: {done.stderr}")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return re.findall(r"^\d+ +(\w+\(.*)$", path.read_text(), re.MULTILINE)

    @cases("HEAPPROF_STATE_DIR", "XDG_RUNTIME_DIR")
    def test_system_calls(self, variable):
        empty = self.trace(toolbox.compile(paths.TESTS / "bench/empty_interposer.c", "-shared", "-fPIC"))
        ours = self.trace(paths.LIB, **{variable: self.state_dir})
        self.assertIn("openat", str(empty))
        self.figure(empty=len(empty), ours=len(ours) - len(empty))
        self.assertGreater(len(ours), len(empty))
        self.assertLessEqual(len(ours) - len(empty), self.CALLS_MAX, "\n".join(ours))
        self.assertEqual([call for call in ours if '"/proc' in call], [])
        self.assertEqual(list(self.state_dir.iterdir()), [])
