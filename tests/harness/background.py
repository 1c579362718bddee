# SPDX-License-Identifier: MIT
"""A command that runs until it is told to end."""
import pathlib
import signal
import subprocess
import time


class Background:
    """with Background(case, words) as command: it is killed at the end, whatever happens. What it says is in messages()."""
    def __init__(self, case, words, **popen):
        self.case = case
        self.err_path = case.dir / f"background.{time.monotonic_ns()}"
        with open(self.err_path, "wb") as err:
            self.process = subprocess.Popen([str(word) for word in words], stdin=subprocess.DEVNULL, stdout=err, stderr=err,
                                            **{"cwd": case.dir, "env": case.tool_environment(), **popen})
        self.pid = self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def messages(self):
        return self.err_path.read_text(errors="replace")

    def end(self, how=signal.SIGTERM):
        """Its exit status, asked to end."""
        self.process.send_signal(how)
        return self.process.wait(timeout=100)

    def children(self):
        try:
            return [int(pid) for pid in pathlib.Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]
        except FileNotFoundError:
            return []
