# SPDX-License-Identifier: MIT
"""The runner itself: what does not say that it passed has failed."""
import os
import subprocess
import sys
import unittest
import unittest.mock

from harness import runner
from harness.case import Case, cases
from harness.states import status_of, wait_until

PASSING = "[==========] Running 2 test(s).\n[ RUN      ] a\n[       OK ] a\n[ RUN      ] b\n[       OK ] b\n"
FAILING = PASSING.replace("[       OK ] b", "[  FAILED  ] b") + "[  FAILED  ] tests: 1 test(s), listed below:\n[  FAILED  ] b\n"


class Runner(Case):
    @cases(("passing", PASSING, 0, ["passed", "passed"]), ("failing", FAILING, 1, ["passed", "failed"]),
           ("crash", PASSING.replace("[       OK ] b\n", ""), -11, ["passed", "failed"]),
           ("timeout", PASSING.replace("[       OK ] b\n", ""), None, ["passed", "failed"]),
           ("bad exit", PASSING, 1, ["passed", "passed", "failed"]), ("silence", "", 0, ["failed"]))
    def test_unit_program(self, _, output, status, states):
        outcomes = runner.unit_outcomes(runner.Job("unit/test_x", []), status, output)
        self.assertEqual([outcome.state for outcome in outcomes], states)

    def test_timeout_ends_the_whole_group(self):
        """The second process of it holds the pipe open for as long as it lives."""
        reader, writer = os.pipe()
        job = runner.Job("x", ["/bin/sh", "-c", f"sleep 1000 & sleep 1000"], timeout=0.5)
        started = subprocess.Popen

        def start(*arguments, **options):
            return started(*arguments, pass_fds=[writer], **options)

        with unittest.mock.patch("subprocess.Popen", start):
            outcome, = runner.run_job(job, keep=False)
        os.close(writer)
        self.assertEqual(outcome.state, "failed")
        self.assertIn("timed out", outcome.text)
        self.assertEqual(os.read(reader, 1), b"")
        os.close(reader)

    @cases(("pass", "self.assertTrue(True)", runner.EXIT_PASSED), ("nothing", "pass", runner.EXIT_FAILED),
           ("false", "self.assertTrue(False)", runner.EXIT_FAILED), ("error", "1 / 0", runner.EXIT_FAILED),
           ("skip", "self.skipTest('why')", runner.EXIT_SKIPPED), ("exit", "raise SystemExit(0)", runner.EXIT_FAILED))
    def test_python_test(self, _, body, status):
        path = self.dir / "test_given.py"
        path.write_text(f"from harness.case import Case\n\nclass Given(Case):\n    def test_it(self):\n        {body}\n")
        command = [sys.executable, "-m", "harness.runner", str(path), "Given", "test_it"]
        done = subprocess.run(command, capture_output=True, check=False)
        self.assertEqual(done.returncode, status, done)

    def test_figures(self):
        self.assertEqual(runner.figures_of("figures: seed=7 ratio=1.5\nfigures of speech\nfigures: runs=2\n"),
                         (("seed", "7"), ("ratio", "1.5"), ("runs", "2")))

    @cases(([], ["folder/one", "folder/two"]), (["two"], ["folder/two"]), (["--except", "one"], ["folder/two"]),
           (["folder", "--except", "two", "--except", "none"], ["folder/one"]))
    def test_names(self, options, chosen):
        jobs = [runner.Job("folder/one", []), runner.Job("folder/two", [])]
        with unittest.mock.patch.object(runner, "find_jobs", lambda: jobs), unittest.mock.patch("builtins.print") as said:
            self.assertEqual(runner.main(["--list", *options]), 0)
        said.assert_called_once_with("\n".join(chosen))

    @cases((["--until-failure"], 1), ([], 2))
    def test_until_failure(self, options, begun):
        jobs = [runner.Job("folder/one", [], broken="why"), runner.Job("folder/two", [], broken="why")]
        with unittest.mock.patch.object(runner, "find_jobs", lambda: jobs), \
                unittest.mock.patch.object(runner, "run_job", side_effect=runner.run_job) as run_job:
            self.assertEqual(runner.main(["--jobs=1", *options]), 1)
        self.assertEqual(run_job.call_count, begun)

    def test_failures_are_repeated_at_the_end(self):
        """With the end of what they said: who sees only the last lines of a log sees why."""
        jobs = [runner.Job("folder/one", [], broken="\n".join(f"line {i}" for i in range(100))), runner.Job("folder/two", [])]
        with unittest.mock.patch.object(runner, "find_jobs", lambda: jobs), unittest.mock.patch("builtins.print") as said, \
                unittest.mock.patch.object(runner, "run_process", lambda *_: (0, "")):
            self.assertEqual(runner.main(["--jobs=1"]), 1)
        *_, repeated, counts = (call.args[0] for call in said.call_args_list)
        self.assertEqual(counts, "1 passed, 1 failed")
        self.assertEqual(repeated.splitlines()[0], "failed: folder/one")
        self.assertEqual(repeated.splitlines()[-1].strip(), "line 99")
        self.assertLess(len(repeated.splitlines()), 20)

    def test_seed(self):
        """Chance chooses the same in each run of a test, and differs from test to test and from seed to seed."""
        def seen(method, seed):
            with unittest.mock.patch.dict(os.environ, TEST_SEED=str(seed)):
                case = Runner(method)
                case.dir = case.out_dir = case.state_dir = self.dir
                given = {case.environment()["HEAPPROF_SEED"], case.tool_environment()["HEAPPROF_SEED"]}
                return given.pop() if len(given) == 1 else given

        self.assertEqual(seen("test_seed", 1), seen("test_seed", 1))
        self.assertEqual(len({seen("test_seed", 1), seen("test_seed", 2), seen("test_figures", 1)}), 3)

    def test_nothing_run_is_a_failure(self):
        self.assertEqual(runner.main(["a name that no test has"]), 1)
        self.assertTrue(issubclass(Case, unittest.TestCase))


class Programs(Case):
    def test_what_comes_with_the_line_is_not_lost(self):
        """Seen to fail: all that was read together with the line that was waited for was gone, which is chance."""
        with self.start(["printf", r"before\nready\nafter\nlast\n"], preload=False) as program:
            wait_until(lambda: status_of(program.pid) == "Z", "it has said everything")
            self.assertEqual(program.read_until("ready"), "before\n")
            self.assertEqual(program.end().out, "after\nlast\n")

    @cases((["cat"], "x" * 1_000_000, "x" * 1_000_000), (["true"], "x" * 1_000_000, ""))
    def test_is_told_everything(self, command, text, out):
        with self.start(command, preload=False) as program:
            self.assertEqual(program.end(text).out, out)
