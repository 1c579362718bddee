# SPDX-License-Identifier: MIT
"""What the tests of real programs share: a shell script that runs alone and under the profiler, and must do the same."""
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile

from harness import paths
from harness.case import timeout
from hazards.toolbox import TORTURE, Hazard, skip_unless

PRELUDE = r"""
set -eu
export LC_ALL=C.UTF-8 TZ=UTC
wait_for() { for _ in $(seq 600); do "$@" >/dev/null 2>&1 && return; sleep 0.1; done; echo "never: $*"; exit 1; }
# Ends a server and says how it ended.
stop() { kill "${2:--TERM}" "$1"; wait "$1" && echo "ended: 0" || echo "ended: $?"; }
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Real(Hazard):
    needs = ()           # programs and files
    samples = (4096, None)
    is_long = True       # only in the torture suite
    as_user = None       # who runs it when we are root: some servers refuse to be
    script = ""
    hides = ()           # sed -E: what differs from run to run without us, too

    def variables(self):
        return {}

    def setUp(self):
        """Directories and a copy of the library that every user can reach, wherever the sources are."""
        super().setUp()
        self.base = pathlib.Path(tempfile.mkdtemp(prefix="heapprof-real.", dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.base, ignore_errors=True)
        self.base.chmod(0o755)
        self.library = shutil.copy(paths.LIB, self.base)
        for name in ("out", "state"):
            (self.base / name).mkdir()
            (self.base / name).chmod(0o777)

    def command(self, folder):
        command = ["bash", "-c", PRELUDE + self.script]
        if self.as_user and os.geteuid() == 0:
            shutil.chown(folder, self.as_user)
            return ["setpriv", "--reuid", self.as_user, "--regid", self.as_user, "--clear-groups", "--inh-caps=-all", *command]
        return command

    def run_in_fresh_folder(self, sample):
        """sample: the interval; "none": without us"""
        folder = self.base / "work"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        options = {"preload": False}
        if sample != "none":
            options = {"sample": sample, "LD_PRELOAD": self.library, "state_dir": self.base / "state",
                       "out": f"{self.base}/out/heapprof.%e.%p.%n.pb.gz"}
        run = self.profiled(self.command(folder), expect=None, cwd=folder, SRC=paths.SOURCE, HOME=folder, **self.variables(), **options)
        return run.status, self.hidden(run.out), self.hidden(run.err)

    def hidden(self, text):
        arguments = [word for pattern in self.hides for word in ("-e", pattern)]
        return subprocess.run(["sed", "-E", *(arguments or ["-e", ""])], input=text, capture_output=True, text=True, check=True).stdout

    def check_same(self):
        for name in self.needs:
            skip_unless(shutil.which(name) or os.path.exists(name), f"{name} is not installed")
        skip_unless(TORTURE or not self.is_long, "in the torture suite only")
        alone = self.run_in_fresh_folder("none")
        self.assertEqual(alone[0], 0, f"it fails alone: {alone}")
        self.assertTrue(alone[1].strip(), "it says nothing that could be compared")
        for sample in self.samples:
            self.assertEqual(self.run_in_fresh_folder(sample), alone, f"HEAPPROF_SAMPLE={sample}")
        return list((self.base / "out").iterdir())


class RealTest(Real):
    @timeout(900)
    def test_same(self):
        self.check_same()
