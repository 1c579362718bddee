# SPDX-License-Identifier: MIT
"""A bad setting costs one line on standard error, and nothing else."""
import os
import re

from harness import paths
from harness.case import Case, cases, in_victim

BAD = {
    "SAMPLE": ["", "0", "-1", "abc", "12X", "1.5M", "65G", "99999999999999999999", "0x100", " 1", "1 ", "K", "1KK", "1e6"],
    "DEPTH": ["", "0", "513", "-3", "many", "128 "],
    "SIGNAL": ["", "FOO", "KILL", "STOP", "SEGV", "0", "65", "-12", "RTMIN+99", "RTMIN-1", "USR2,USR1"],
    "DUMP": ["", "never", "exit;signal", "exit,", ",exit", "exit, signal", "EXIT", "keep;exit", "none,keep"],
    "FOLLOW": ["", "maybe", "YES", "0"],
    "MMAP": ["", "maybe", "YES", "1"],
    "OUT": ["", "%q", "directory/", "ends.with.%", "x" * 1025],
    "SEED": ["", "-1", "abc", "1.0", "18446744073709551616"],
    "VERBOSE": ["", "3", "yes", "-1"],
    "STATE_DIR": ["", "relative/path", "/" + "x" * 1024],
    "ONLY": ["", ",", "/bin/sh", "x" * 256],
}
GOOD = {
    "SAMPLE": ["1", "524288", "512K", "512k", "1M", "1G", "64G"],
    "DEPTH": ["1", "128", "512"],
    "SIGNAL": ["USR2", "SIGUSR2", "PROF", "RTMIN", "RTMIN+1", "RTMAX-1", "12", "none"],
    "DUMP": ["exit", "signal", "exit,signal", "signal,exit", "none", "keep", "exit,signal,keep"],
    "FOLLOW": ["yes", "no"],
    "MMAP": ["yes", "no"],
    "OUT": ["a", "%%", "%e%p%h%n%t"],
    "SEED": ["0", "18446744073709551615"],
    "VERBOSE": ["0"],
    "ONLY": ["leak", "a,b"],
}


# A piece of the table's own words, so that the line is known to help.
ACCEPTED = {"SAMPLE": "1 to 64G", "DEPTH": "1 to 512", "SIGNAL": "USR2", "DUMP": "keep", "FOLLOW": "yes or no", "MMAP": "yes or no", "OUT": "%p",
            "SEED": "0 to", "VERBOSE": "0, 1 or 2", "STATE_DIR": "absolute", "ONLY": "names"}


def pairs(settings):
    return [(name, value) for name, values in settings.items() for value in values]


class Settings(Case):
    @cases(*BAD)
    def test_bad_value(self, name):
        for value in BAD[name]:
            with self.subTest(value=value):
                self.check_bad_value(name, value)

    def check_bad_value(self, name, value):
        self.clear_profiles()
        run = self.profiled([self.victim("leak")], expect=7, cwd=self.out_dir, **{name.lower(): value})
        plain = self.plain([self.victim("leak")], expect=7)
        self.assertEqual(re.sub("pid=.*", "", run.out), re.sub("pid=.*", "", plain.out))
        line, = run.err.splitlines()
        self.assertTrue(line.startswith("heapprof: "), line)
        self.assertIn(f"HEAPPROF_{name}", line)
        self.assertIn(value[:200], line)
        self.assertRegex(line, f"accepted.*{ACCEPTED[name]}")
        self.assertLessEqual(len(line), 1500)
        self.assertEqual(run.profile.comment_values()["sampling_interval_bytes"], 524288)
        if name == "OUT":
            self.assertEqual(run.files[0].name, f"heapprof.leak.{run.pid}.1.pb.gz")

    @cases(*pairs(GOOD))
    def test_good_value(self, name, value):
        run = self.profiled([self.victim("leak")], expect=7, cwd=self.out_dir, **{name.lower(): value})
        self.assertEqual(run.err, "")

    def test_the_settings_are_all_tested(self):
        table = (paths.SOURCE / "core/config.def").read_text()
        self.assertEqual(set(re.findall(r'"HEAPPROF_(\w+)"', table)), set(BAD))

    def test_all_bad_at_once(self):
        """A line each, each whole."""
        run = self.profiled([self.victim("leak")], expect=7, cwd=self.out_dir,
                            **{name.lower(): BAD[name][1] for name in BAD})
        self.assertEqual(len(run.err.splitlines()), len(BAD), run.err)
        for line in run.err.splitlines():
            self.assertRegex(line, r"\Aheapprof: HEAPPROF_\w+=.* is not accepted \(.*\)")

    @cases("2>&-", "2>/dev/full", "2>&3 3>&-")
    def test_standard_error_that_takes_nothing(self, redirection):
        """Closed, full, or a pipe that nobody reads: SIGPIPE would kill."""
        reader, writer = os.pipe()
        os.close(reader)
        command = f"exec {self.victim('leak')} {redirection}".replace("&3", f"&{writer}").replace("3>", f"{writer}>")
        run = self.profiled(["/bin/sh", "-c", command], expect=7, sample="bad", pass_fds=[writer])
        os.close(writer)
        self.assertIn(run.pid, run.shadows)

    def test_interval_with_unit(self):
        run = self.profiled([self.victim("leak")], expect=7, sample="64k")
        self.assertEqual(run.profile.comment_values()["sampling_interval_bytes"], 65536)

    def test_seed_repeats_a_run(self):
        totals = []
        for seed in (7, 7, 8):
            self.clear_profiles()
            totals.append(self.profiled([self.victim("churn")], sample=4096, seed=seed).profile.totals(in_victim))
        self.assertEqual(totals[0], totals[1])
        self.assertNotEqual(totals[0], totals[2])

    def test_verbose_says_what_was_written(self):
        run = self.profiled([self.victim("leak")], expect=7, verbose=1)
        self.assertIn(str(run.files[0]), run.err)
