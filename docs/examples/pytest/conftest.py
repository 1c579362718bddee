# SPDX-License-Identifier: MIT
"""Fixtures: what a script takes is judged by heapprof. A test that breaks a limit fails with the line that says by how much."""
import os
import subprocess
import sys

import pytest


def heapprof(*arguments):
    done = subprocess.run(["heapprof", *map(str, arguments)], capture_output=True, text=True,
                          env={**os.environ, "PYTHONMALLOC": "malloc"})  # each object is seen, not pymalloc's arenas
    if done.returncode == 3:
        pytest.fail("\n".join(line for line in done.stderr.splitlines() if "--fail-if" in line), pytrace=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def keeps_limits(tmp_path):
    """keeps_limits("peak>20M", "shop.py", "argument"): of the whole script, the interpreter included."""
    def judge(limit, *command):
        heapprof("run", "-q", "-s", "1", "-o", f"{tmp_path}/", "--fail-if", limit, "--", sys.executable, *command)
    return judge


@pytest.fixture
def does_not_grow(tmp_path):
    """does_not_grow("growth>10K", "shop.py", few=10, many=100): a script that does the same more often keeps no more. What the
    interpreter keeps at its end is the same for both."""
    def judge(limit, *command, few, many):
        for name, turns in (("few", few), ("many", many)):
            heapprof("run", "-q", "-s", "1", "-o", tmp_path / f"{name}.pb.gz", "--", sys.executable, *command, turns)
        heapprof("diff", "--fail-if", limit, tmp_path / "few.pb.gz", tmp_path / "many.pb.gz")
    return judge
