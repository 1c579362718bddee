# SPDX-License-Identifier: MIT
"""A day of a program with 2,000 stacks, of which 100 change from one moment to the next, 10 s later: how large the file is then, and what the
recorder took. The clock of the recorder is hasty: it never waits, so the day of 8,640 moments takes some minutes; else a few are looked at."""
import os
import pathlib
import subprocess

from cli.test_record import RECORDER, RecordCase
from harness.case import timeout
from hazards.toolbox import TORTURE, amount, compile

HERE = pathlib.Path(__file__).parent
MOMENTS = amount(20, 8640)
EVERY_S, STACKS, CHANGES = 10, 2000, 100
MOST_BYTES, MOST_SHARE = 100e6, 0.005


class Day(RecordCase):
    def changing(self):
        """The program, and the ends of two pipes: for orders to it, and from it."""
        from_us, orders = os.pipe()
        answers, to_us = os.pipe()
        for end in (from_us, orders, answers, to_us):
            self.addCleanup(os.close, end)
        program = self.start([compile(HERE / "changes.c", "-fno-optimize-sibling-calls"), from_us, to_us], pass_fds=(from_us, to_us), sample=4096)
        self.addCleanup(program.__exit__)
        program.read_until("ready")
        return program, orders, answers

    def record_hastily(self, program, orders, answers):
        """Processor time of the recorder in seconds."""
        clock = compile(HERE / "hasty_clock.c", "-shared", "-fPIC")
        environment = self.tool_environment(LD_PRELOAD=clock, HASTY_TO=orders, HASTY_FROM=answers)
        recorder = subprocess.Popen([RECORDER, "record", "--every", f"{EVERY_S}s", "--moments", str(MOMENTS), "-o", self.path, str(program.pid)],
                                    env=environment, pass_fds=(orders, answers), stderr=subprocess.DEVNULL)
        _, status, used = os.wait4(recorder.pid, 0)
        recorder.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(recorder.returncode, 0)
        return used.ru_utime + used.ru_stime

    @timeout(3600)
    def test_size_and_time(self):
        cpu_s = self.record_hastily(*self.changing())
        first, last, moments = self.sql("SELECT min(time_ns), max(time_ns), count(*) FROM moment")[0]
        self.assertAlmostEqual((last - first) / 1e9, (MOMENTS - 1) * EVERY_S, delta=1)
        size = self.path.stat().st_size
        self.figure(moments=MOMENTS, left=moments, bytes=size, ms_each=f"{1000 * cpu_s / MOMENTS:.1f}")
        profile = self.moment()
        stacks = [stack for stack, value in profile.stacks("inuse_space").items() if value and "victim_left" in stack]
        self.assertGreaterEqual(len(stacks), STACKS * 0.99, "all are sampled")
        if TORTURE:
            self.assertLess(size, MOST_BYTES)
            self.assertLess(cpu_s / MOMENTS / EVERY_S, MOST_SHARE)
        else:
            self.assertEqual(moments, MOMENTS)
            self.assertLess(size, 2e6 + MOMENTS * MOST_BYTES / 8640)
