# SPDX-License-Identifier: MIT
"""The readers of profiles that are not ours: `go tool pprof`, and google/pprof built from Debian's source packages."""
import fcntl
import os
import shutil
import subprocess
import tempfile
import unittest

from . import paths

PPROFS = ("go", "google")


def need(*programs):
    for program in programs:
        if not shutil.which(program):
            raise unittest.SkipTest(f"{program} is not installed")


def environment():
    variables = {k: v for k, v in os.environ.items() if not k.startswith(("LD_PRELOAD", "PPROF_"))}
    variables.update(PPROF_TMPDIR=tempfile.gettempdir(), DEBUGINFOD_URLS="", GO111MODULE="off", GOFLAGS="",
                     GOPATH="/usr/share/gocode")
    variables.setdefault("HOME", tempfile.gettempdir())
    return variables


def google_pprof():
    """Builds it when it is not there yet; several tests may ask at once."""
    program = paths.BUILD / "tests/google-pprof"
    if not os.path.isdir("/usr/share/gocode/src/github.com/google/pprof"):
        raise unittest.SkipTest("golang-github-google-pprof-dev is not installed")
    folder = os.open(program.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        if not program.exists():
            subprocess.run(["go", "build", "-o", f"{program}.new", "github.com/google/pprof"], env=environment(), check=True,
                           cwd=tempfile.gettempdir())
            os.rename(f"{program}.new", program)
    finally:
        os.close(folder)
    return str(program)


def pprof(which, *arguments):
    """The output of pprof; its failure is a failure of the test."""
    need("go")
    command = ["go", "tool", "pprof"] if which == "go" else [google_pprof()]
    done = subprocess.run([*command, *map(str, arguments)], env=environment(), capture_output=True, text=True, timeout=250)
    if done.returncode != 0:
        raise AssertionError(f"{which} pprof {arguments}: exit status {done.returncode}\n{done.stderr}")
    return done.stdout


def pprof_top(which, path, sample_type, *arguments):
    """function name -> (flat, cumulative), in the unit of the type"""
    text = pprof(which, "-top", "-nodefraction=0", "-edgefraction=0", "-nodecount=100000", f"-sample_index={sample_type}",
                 "-unit=" + ("b" if sample_type.endswith("_space") else "count"), *arguments, path)
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.split()[:2] == ["flat", "flat%"])
    rows = {}
    for line in lines[start + 1:]:
        flat, _, _, cumulative, _, name = line.split(maxsplit=5)
        rows[name.removesuffix(" (inline)")] = (int(flat.removesuffix("B")), int(cumulative.removesuffix("B")))
    return rows
