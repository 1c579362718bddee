# SPDX-License-Identifier: MIT
"""P7: what others may have put where our files go. G2: a signal where there is no stack left for it."""
import os
import pathlib
import shutil
import tempfile

from harness.case import cases
from hazards.toolbox import INTERVALS, AsWithout, Hazard, program


class P7Planted(Hazard):
    """P7: the name of the state file is taken, by a link to somebody's file, a fifo, a directory. The program runs, its profile is
    written, and what was there is as it was. Seen to fail by the mutant follows_symlinks."""
    PLANTS = {
        "symlink": 'ln -s "$TARGET" "$NAME"',
        "dangling": 'ln -s "$TARGET.none" "$NAME"',
        "hard": 'ln "$TARGET" "$NAME"',
        "fifo": 'mkfifo "$NAME"',
        "directory": 'mkdir "$NAME"',
    }

    @cases(*((kind, sample) for kind in PLANTS for sample in INTERVALS))
    def test_left_alone(self, kind, sample):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="t.", dir=self.state_dir.parent))  # hard links stay on one file system
        self.addCleanup(shutil.rmtree, folder)
        target = folder / "precious"
        target.write_text("precious\n" * 10000)
        script = f'NAME="$HEAPPROF_STATE_DIR/$$.heapprof"; {self.PLANTS[kind]} || exit 9; exec "$0"'
        # The shell must not be profiled: it would take the name itself.
        run = self.profiled(["sh", "-c", script, self.victim("leak")], expect=7, sample=sample, only="leak", TARGET=target)
        if sample == 1:
            self.check_run_exact(run)
        self.assertEqual(target.read_text(), "precious\n" * 10000)
        self.assertFalse(os.path.lexists(f"{target}.none"))
        (planted,) = self.state_dir.iterdir()
        self.assertEqual(planted.name, f"{run.pid}.heapprof")


class G2NoRoom(AsWithout):
    """G2: the handler runs on the alternate stack. Seen to fail by the mutant no_alternate_stack."""

    def command(self):
        return [program("hz_g2_no_room.c")]
