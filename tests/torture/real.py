# SPDX-License-Identifier: MIT
"""What the tests of real programs share: a shell script that runs alone and under the profiler, and must do the same."""
import os
import pathlib
import pwd
import shutil
import subprocess
import tempfile

from harness import lint, paths, pprof_reader
from harness.case import timeout
from harness.states import PROGRAM
from hazards.toolbox import TORTURE, Hazard, skip_unless

QUICKLY_READ_BYTES = 100_000
PRELUDE = r"""
set -eu
export LC_ALL=C.UTF-8 TZ=UTC
# Whatever the script started does not outlive it, if it fails, too.
trap 'jobs -p | xargs -r kill 2>/dev/null || true' EXIT
wait_for() { for _ in $(seq 600); do "$@" >/dev/null 2>&1 && return; sleep 0.1; done; echo "never: $*"; exit 1; }
# Runs a command and says how it ended.
status_of() { "$@" && echo "ended: 0" || echo "ended: $?"; }
# Ends a server and says how it ended.
stop() { kill "${2:--TERM}" "$1"; status_of wait "$1"; }
"""


def folder_for_everybody(parent):
    """Servers that give up root must reach it; wherever the sources are."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="heapprof-real.", dir=parent))
    folder.chmod(0o777)
    return folder


def program_of(state_file):
    with open(state_file, "rb") as file:
        return file.read(PROGRAM + 32)[PROGRAM:].split(b"\0")[0].decode(errors="replace")


class Real(Hazard):
    script = ""
    needs = ()           # programs and files
    needs_success = ()   # commands that fail where the machine does not allow what the script is about
    samples = (4096, None)
    is_long = True       # only in the torture suite
    as_user = None       # who runs it when we are root: some servers refuse to be
    hides = ()           # sed -E: what differs from run to run without us, too
    profiles_of = ()     # programs that must have written a profile
    # Programs that may end without writing one, and leave their state for `heapprof recover`: killed, confined, or executing a
    # program that is not profiled.
    leaves_state = ()

    def variables(self):
        return {}

    def setUp(self):
        super().setUp()
        self.base = folder_for_everybody("/tmp")
        self.state = folder_for_everybody("/dev/shm" if os.access("/dev/shm", os.W_OK) else "/tmp")
        self.library = shutil.copy(paths.LIB, self.base)
        for folder in (self.base, self.state):
            self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        self.fresh("out")

    def fresh(self, name):
        folder = self.base / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        folder.chmod(0o777)
        return folder

    def command(self, folder, preload):
        command = ["env", f"LD_PRELOAD={preload}", "bash", "-c", PRELUDE + self.script]
        if self.as_user and os.geteuid() == 0:
            user = pwd.getpwnam(self.as_user)
            os.chown(folder, user.pw_uid, user.pw_gid)
            return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--inh-caps=-all", *command]
        return command

    def outcome_at(self, sample):
        """sample: the interval; "none": without us"""
        folder, out = self.fresh("work"), self.fresh("out")
        settings, preload = {}, ""
        if sample != "none":
            settings, preload = {"HEAPPROF_SAMPLE": sample, "state_dir": self.state, "out": f"{out}/%e.%p.%n.pb.gz"}, self.library
        run = self.plain(self.command(folder, preload), expect=None, cwd=folder, SRC=paths.SOURCE, HOME=folder, TMPDIR=folder,
                         **self.variables(), **settings)
        return run.status, self.hidden(run.out), self.hidden(run.err)

    def hidden(self, text):
        arguments = [word for pattern in self.hides for word in ("-e", pattern)]
        return subprocess.run(["sed", "-E", *(arguments or ["-e", ""])], input=text, capture_output=True, text=True, check=True).stdout

    def check_profiles(self, sample):
        """They were really profiled: a library that does nothing changes nothing, either. At the default interval a short
        program may end before its first sample."""
        for name in self.profiles_of:
            found = sorted((self.base / "out").glob(f"{name}.*.pb.gz"), key=lambda path: path.stat().st_size)
            found = [path for path in found if path.stat().st_size < QUICKLY_READ_BYTES] or found[:1]
            if sample is not None:
                self.assertTrue(found, f"HEAPPROF_SAMPLE={sample}: no profile of {name}")
            for path in found[-1:]:
                profile = pprof_reader.load(path)
                self.assertEqual(lint.lint(profile), [])
                self.assertGreater(profile.totals(lambda frames: True)["alloc_space"], 0, f"{path.name} holds nothing")
                self.assertEqual(profile.period, sample or 524288)

    def check_no_state(self, sample):
        left = {path.name: program_of(path) for path in self.state.rglob("*") if path.is_file()}
        unexpected = {name: program for name, program in left.items() if program not in self.leaves_state}
        self.assertEqual(unexpected, {}, f"HEAPPROF_SAMPLE={sample}: left in the state directory")
        for name in left:
            next(self.state.rglob(name)).unlink()

    def check_same(self):
        for name in self.needs:
            skip_unless(shutil.which(name) or os.path.exists(name), f"{name} is not installed: ./bootstrap torture installs it")
        for command in self.needs_success:
            skip_unless(subprocess.run(command, shell=True, capture_output=True).returncode == 0, f"`{command}` fails on this machine")
        skip_unless(TORTURE or not self.is_long, "in the torture suite only")
        alone = self.outcome_at("none")
        self.assertEqual(alone[0], 0, f"it fails alone: {alone}")
        self.assertTrue(alone[1].strip(), "it says nothing that could be compared")
        for sample in self.samples:
            self.assertEqual(self.outcome_at(sample), alone, f"HEAPPROF_SAMPLE={sample}")
            self.check_profiles(sample)
            self.check_no_state(sample)


class RealTest(Real):
    @timeout(900)
    def test_same(self):
        self.check_same()
