# SPDX-License-Identifier: MIT
"""A process that gets the number of one that has ended, at once: reborn.py PID PROGRAM ARGUMENT..."""
import ctypes
import errno
import os
import signal
import sys
import unittest

CLONE3, PR_SET_PDEATHSIG = 435, 1
FIELDS = "flags", "pidfd", "child_tid", "parent_tid", "exit_signal", "stack", "stack_size", "tls", "set_tid", "set_tid_size", "cgroup"


class CloneArguments(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in FIELDS]


def fork_as(pid):
    """As os.fork, but the child's number is chosen. Only root may."""
    libc = ctypes.CDLL(None, use_errno=True)
    numbers = (ctypes.c_int * 1)(pid)
    arguments = CloneArguments(exit_signal=signal.SIGCHLD, set_tid=ctypes.addressof(numbers), set_tid_size=1)
    result = libc.syscall(CLONE3, ctypes.byref(arguments), ctypes.sizeof(arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), f"no process with the number {pid}")
    return result


def reborn(case, pid, *words):
    """A program of a test that has this number, profiled."""
    case.assertRaises(ProcessLookupError, os.kill, pid, 0)
    settings = [f"{name}={value}" for name, value in case.environment(sample=1).items() if name == "LD_PRELOAD" or name.startswith("HEAPPROF_")]
    return case.start([sys.executable, __file__, pid, "env", *settings, *words], preload=False)


def need_reborn():
    try:
        child = fork_as(os.getpid())
    except OSError as error:
        if error.errno != errno.EEXIST:
            raise unittest.SkipTest("clone3 chooses no numbers here") from None
    else:
        raise AssertionError(f"two processes have the number {child}")


def main():
    pid, *words = sys.argv[1:]
    if fork_as(int(pid)) == 0:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        os.execvp(words[0], words)
    os.wait()


if __name__ == "__main__":
    main()
