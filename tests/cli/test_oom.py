# SPDX-License-Identifier: MIT
"""A program that the kernel really kills, in a memory cgroup made for it: what is said, and that its profile is there."""
import contextlib
import os
import pathlib
import re
import subprocess
import time
import unittest

from harness import paths
from harness.states import StateCase

LIMIT = 64 << 20
ROOT = pathlib.Path("/sys/fs/cgroup")


def own_group():
    """The directory of our memory cgroup, and the file in it that limits it: version 1, or 2."""
    groups = dict(re.findall(r"^\d+:(.*?):(.*)$", pathlib.Path("/proc/self/cgroup").read_text(), re.MULTILINE))
    if "memory" in groups:
        return ROOT / "memory" / groups["memory"].lstrip("/"), "memory.limit_in_bytes"
    return ROOT / groups.get("", "").lstrip("/"), "memory.max"


class OutOfMemory(StateCase):
    def setUp(self):
        super().setUp()
        above, limit = own_group()
        self.group = above / f"heapprof-test.{os.getpid()}"
        try:
            self.group.mkdir()
            self.addCleanup(self.remove_group)
            (self.group / limit).write_text(str(LIMIT))
            for swap in ("memory.memsw.limit_in_bytes", "memory.swap.max"):
                with contextlib.suppress(OSError):
                    (self.group / swap).write_text(str(LIMIT if "memsw" in swap else 0))
        except OSError as error:
            raise unittest.SkipTest(f"no memory cgroup can be made here: {error}")

    def remove_group(self):
        """Once those that were killed have left it."""
        for _ in range(1000):
            with contextlib.suppress(OSError):
                return self.group.rmdir()
            time.sleep(0.01)
        raise AssertionError(f"{self.group} is still in use")

    def run_until_killed(self, command, environment):
        """What allocates a kilobyte at a time without end."""
        def enter():
            (self.group / "cgroup.procs").write_text(str(os.getpid()))
        done = subprocess.run([str(word) for word in command], input="leak 1000000000\n", capture_output=True, text=True, cwd=self.out_dir,
                              env=environment, preexec_fn=enter, timeout=200)
        return done

    def test_of_a_run(self):
        done = self.run_until_killed([paths.TOOL, "run", "-o", "killed.pb.gz", "--", self.victim("sites")], self.tool_environment())
        self.assertEqual(done.returncode, 137, done.stderr)
        self.assertRegex(done.stderr, r"\Aheapprof: out of memory: the kernel has killed 1 process in this memory cgroup while it ran\n")
        self.assertRegex(done.stderr, r"\n +in use at exit .*; killed by SIGKILL\n")
        self.assertRegex(done.stderr, r"\n +top in use +[\d.]+MB victim_place_24\b")
        total = self.read("killed.pb.gz").total("inuse_space", lambda frames: "victim_place_24" in frames)
        self.assertGreater(total, LIMIT / 3)
        self.assertLess(total, LIMIT * 3 / 2)

    def test_recovered(self):
        """Without `heapprof run`: the state file is what is left."""
        environment = self.environment()
        done = self.run_until_killed([self.victim("sites")], environment)
        self.assertEqual((done.returncode, self.profile_files()), (-9, []))
        state, = self.states()
        profile = self.recover(self.state_dir / state)
        self.assertGreater(profile.total("inuse_space", lambda frames: "victim_place_24" in frames), LIMIT / 3)
