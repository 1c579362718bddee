# SPDX-License-Identifier: MIT
"""Where things are. The build may be outside the source tree; make check says so in the environment."""
import os
import pathlib

TESTS = pathlib.Path(__file__).resolve().parent.parent
SOURCE = pathlib.Path(os.environ.get("HEAPPROF_SRCDIR", TESTS.parent)).resolve()
BUILD = pathlib.Path(os.environ.get("HEAPPROF_BUILDDIR", SOURCE)).resolve()
LIB = pathlib.Path(os.environ.get("HEAPPROF_LIB", BUILD / "libheapprof.so")).resolve()
TOOL = BUILD / "heapprof"
# What runs programs of another machine: a command and its arguments.
EMULATOR = os.environ.get("HEAPPROF_EMULATOR", "").split()
# What compiles programs for it, with arguments.
CC = os.environ.get("HEAPPROF_CC", "gcc").split()
CXX = os.environ.get("HEAPPROF_CXX", "g++").split()
VICTIMS = BUILD / "tests/victims"
