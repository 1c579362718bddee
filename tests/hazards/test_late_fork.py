# SPDX-License-Identifier: MIT
"""P5: a child that was forked after the last we saw of its parent."""
from harness import pprof_reader
from harness.case import in_victim
from hazards.toolbox import AsWithout, program_with_library


class P5LateFork(AsWithout):
    """P5, P1: a library's destructor that runs after ours forks. The child has an exit of its own: its profile is written and its
    state removed. Seen to fail by the mutant exit_is_inherited."""
    samples = (1, 4096, None)

    def command(self):
        return [program_with_library("hz_p5_late_fork.c")]

    def test_child_has_a_profile(self):
        run = self.profiled(self.command(), sample=1)
        self.assertEqual(len(run.files), 2)
        for path in run.files:
            (pid,) = [pid for pid in run.shadows if f".{pid}." in path.name]
            profile = pprof_reader.load(path)
            self.check_lint(profile)
            self.assertEqual(profile.counted(in_victim), run.shadows[pid])
        self.assertEqual(list(self.state_dir.iterdir()), [])
