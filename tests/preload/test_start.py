# SPDX-License-Identifier: MIT
"""What a process pays to be started under the profiler, where it never samples: counts that repeat. How long it takes, tests/bench/start.py
measures."""
import os
import re
import subprocess

from harness import paths, tools
from harness.case import Case, cases
from hazards import toolbox


class Traced(Case):
    def setUp(self):
        super().setUp()
        tools.need("strace")

    def trace(self, command, preload, **settings):
        """The system calls of a program."""
        path = self.dir / "trace"
        options = [word for name, value in settings.items() for word in ("-E", f"{name}={value}")]
        done = subprocess.run(["strace", "-f", "-o", path, *options, "-E", f"LD_PRELOAD={preload}", command], capture_output=True,
                              text=True, env=self.environment(preload=False))
        if "PTRACE" in done.stderr:
            self.skipTest(f"strace may not trace here: {done.stderr}")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return re.findall(r"^\d+ +(\w+\(.*)$", path.read_text(), re.MULTILINE)


class Start(Traced):
    CALLS_MAX = 15  # docs/decisions.md, 30, has the list

    @cases("HEAPPROF_STATE_DIR", "XDG_RUNTIME_DIR")
    def test_system_calls(self, variable):
        empty = self.trace("/bin/true", toolbox.compile(paths.TESTS / "bench/empty_interposer.c", "-shared", "-fPIC"))
        ours = self.trace("/bin/true", paths.LIB, **{variable: self.state_dir})
        self.assertIn("openat", str(empty))
        self.figure(empty=len(empty), ours=len(ours) - len(empty))
        self.assertGreater(len(ours), len(empty))
        self.assertLessEqual(len(ours) - len(empty), self.CALLS_MAX, "\n".join(ours))
        self.assertEqual([call for call in ours if '"/proc' in call], [])
        self.assertEqual(list(self.state_dir.iterdir()), [])


class Brief(Traced):
    """A process that ends soon after its first samples."""
    ROUNDS = 5
    PROFILE_CALLS_MAX = 40  # 37; 46 when its stack was mapped, and the command line read from /proc
    SAMPLES_MAX = 50  # pages that its samples touch first; 89 when the tables of samples were scattered

    def faults(self, **settings):
        """The fewest page faults of some runs: which pages share a table's page is the kernel's choice of addresses."""
        environment = self.environment(out=self.dir / "brief.%p.pb.gz", **settings)
        counts = []
        for _ in range(self.ROUNDS):
            pid = os.posix_spawn(self.victim("brief"), ["brief"], environment)
            _, status, usage = os.wait4(pid, 0)
            self.assertEqual(status, 0)
            counts.append(usage.ru_minflt)
        return min(counts)

    def test_pages_of_samples(self):
        never = self.faults(sample="64G", dump="none")
        sampled = self.faults(sample="16K", seed=1, dump="none")
        self.figure(never=never, sampled=sampled)
        self.assertGreater(sampled, never, "nothing was sampled")
        self.assertLessEqual(sampled - never, self.SAMPLES_MAX)

    def test_system_calls_of_a_profile(self):
        """Without those that read tables of symbols, which are as many as the program's files have."""
        settings = {"HEAPPROF_SAMPLE": "16K", "HEAPPROF_SEED": 1, "HEAPPROF_STATE_DIR": self.state_dir}
        none = self.trace(self.victim("brief"), paths.LIB, HEAPPROF_DUMP="none", **settings)
        written = self.trace(self.victim("brief"), paths.LIB, HEAPPROF_OUT=self.dir / "brief.pb.gz", **settings)
        self.assertTrue((self.dir / "brief.pb.gz").exists())
        calls = [sum(not call.startswith("pread64(") for call in all) for all in (none, written)]
        self.figure(none=calls[0], written=calls[1])
        self.assertLessEqual(calls[1] - calls[0], self.PROFILE_CALLS_MAX, "\n".join(written))
        self.assertEqual([call for call in written if "/proc/self/cmdline" in call], [])
