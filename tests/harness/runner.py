# SPDX-License-Identifier: MIT
"""Finds the tests, runs each in a process, process group and directory of its own, and counts.

  tests/unit/test_*   cmocka programs in the build directory, every test in them counted
  tests/*/test_*.py   unittest classes derived from harness.case.Case, one process per test method

A test has failed until it says otherwise: a crash, a timeout, a test without an assertion and a program without a test all
count as failures. The last line is `N passed, N failed[, N skipped]`; the exit status is 0 only if some passed and none
failed.
"""
import argparse
import concurrent.futures
import dataclasses
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import unittest

from torture import table

from . import paths

EXIT_PASSED, EXIT_FAILED, EXIT_SKIPPED = 0, 1, 77
DEFAULT_TIMEOUT = 60
PATIENCE = 5  # limits are for an idle machine; where others want the processor too, this many times as long
# Of the tests, not of the library: no setting of the caller's reaches a program under test.
OUR_VARIABLES = {"HEAPPROF_LIB", "HEAPPROF_BUILDDIR", "HEAPPROF_SRCDIR", "HEAPPROF_EMULATOR", "HEAPPROF_CC", "HEAPPROF_CXX", "HEAPPROF_TORTURE",
                 "HEAPPROF_TORTURE_SEED", "HEAPPROF_TORTURE_ROUNDS"}
LAST_LINES = 15  # of what a failed test said
FOLDER_ORDER = ["harness", "unit", "policy", "preload"]


@dataclasses.dataclass
class Job:
    name: str
    command: list
    timeout: float = PATIENCE * DEFAULT_TIMEOUT
    is_unit: bool = False
    is_slow: bool = False
    broken: str = ""  # why it cannot even be started


@dataclasses.dataclass
class Outcome:
    name: str
    state: str  # "passed", "failed" or "skipped"
    text: str = ""
    figures: tuple = ()  # (name, value) as Case.figure() printed them
    seconds: float = 0


def load_module(path):
    """Imports a test file under a name that cannot clash: folders may have files of the same name."""
    name = "tests." + os.path.relpath(path, paths.TESTS).removesuffix(".py").replace("/", ".")
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


def python_tests(path):
    """Yields (class, method name) of a test file."""
    module = load_module(path)
    for cls in vars(module).values():
        if isinstance(cls, type) and issubclass(cls, unittest.TestCase) and cls.__module__ == module.__name__:
            for method in unittest.defaultTestLoader.getTestCaseNames(cls):
                yield cls, method


def find_jobs():
    def order(path):
        folder = path.parent.name
        return FOLDER_ORDER.index(folder) if folder in FOLDER_ORDER else len(FOLDER_ORDER), str(path)

    jobs = []
    programs = [p for p in (paths.BUILD / "tests/unit").glob("test_*") if os.access(p, os.X_OK) and p.suffix == ""]
    for path in sorted([*paths.TESTS.glob("*/test_*.py"), *programs], key=order):
        if path.parent.name == "aarch64" and not paths.EMULATOR:
            continue  # tests/aarch64/run runs these
        name = f"{path.parent.name}/{path.stem}"
        if path.suffix == "":
            jobs.append(Job(name, [*paths.EMULATOR, str(path)], is_unit=True))
            continue
        try:
            tests = list(python_tests(path))
        except Exception:
            jobs.append(Job(name, [], broken=traceback.format_exc()))
            continue
        for cls, method in tests:
            function = getattr(cls, method)
            jobs.append(Job(f"{name}.{cls.__name__}.{method}",
                            [sys.executable, "-m", "harness.runner", str(path), cls.__name__, method],
                            timeout=PATIENCE * getattr(function, "timeout", DEFAULT_TIMEOUT),
                            is_slow=getattr(function, "is_slow", False)))
    return jobs


def kill_group(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def run_process(job, directory, state_directory):
    """Returns (exit status or None for a timeout, output). Nothing that the test started in its group outlives it."""
    environment = {**os.environ, "TMPDIR": directory, "TEST_STATE_DIR": state_directory,
                   "PYTHONPATH": str(paths.TESTS), "PYTHONDONTWRITEBYTECODE": "1"}
    for name in list(environment):
        if name.startswith("HEAPPROF_") and name not in OUR_VARIABLES:
            del environment[name]
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(job.command, cwd=directory, env=environment, stdin=subprocess.DEVNULL, stdout=output,
                                   stderr=subprocess.STDOUT, start_new_session=True)
        try:
            status = process.wait(job.timeout)
        except subprocess.TimeoutExpired:
            status = None
        kill_group(process)
        process.wait()
        output.seek(0)
        return status, output.read().decode(errors="replace")


def describe_end(status):
    if status is None:
        return "timed out"
    return f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"


def unit_outcomes(job, status, output):
    """cmocka prints one line per test, and once more the names of those that failed."""
    states = {"OK": "passed", "FAILED": "failed", "SKIPPED": "skipped"}
    found = {}
    for word, test in re.findall(r"^\[ +(OK|FAILED|SKIPPED) +\] (\w+)$", output, re.MULTILINE):
        found[test] = states[word]
    outcomes = [Outcome(f"{job.name}.{test}", state, output if state == "failed" else "") for test, state in found.items()]
    promised = sum(int(n) for n in re.findall(r"Running (\d+) test\(s\)", output))
    failed = any(state == "failed" for state in found.values())
    if promised == 0 or promised != len(found) or (status != 0) != failed:
        outcomes.append(Outcome(job.name, "failed",
                                f"{output}\n{describe_end(status)}; {promised} tests promised, {len(found)} reported"))
    return outcomes


def figures_of(output):
    """What Case.figure() printed."""
    return tuple(tuple(word.split("=", 1)) for line in re.findall(r"^figures: (.*)$", output, re.MULTILINE) for word in line.split()
                 if "=" in word)


def run_job(job, keep):
    if job.broken:
        return [Outcome(job.name, "failed", job.broken)]
    directory = tempfile.mkdtemp(prefix="heapprof-test.")
    # State files are large and sparse: memory is the place for them.
    state_directory = tempfile.mkdtemp(prefix="heapprof-test.", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else directory)
    try:
        status, output = run_process(job, directory, state_directory)
    finally:
        if not keep:
            shutil.rmtree(directory, ignore_errors=True)
            shutil.rmtree(state_directory, ignore_errors=True)
    if job.is_unit:
        return unit_outcomes(job, status, output)
    if status == EXIT_PASSED:
        return [Outcome(job.name, "passed", figures=figures_of(output))]
    if status == EXIT_SKIPPED:
        return [Outcome(job.name, "skipped", output.strip().splitlines()[-1])]
    where = f"\n(files kept in {directory})" if keep else ""
    return [Outcome(job.name, "failed", f"{output.rstrip()}\n{describe_end(status)} (limit {job.timeout} s){where}")]


def run_one(path, class_name, method):
    """The other side of run_job: runs one test method in this process."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)  # under nohup or behind & they are ignored, and stay so in who is started
    cls = getattr(load_module(paths.TESTS / path), class_name)
    result = unittest.TestResult()
    cls(method).run(result)
    for _, text in result.failures + result.errors:
        print(text)
    for _, reason in result.skipped:
        print(reason)
    if result.wasSuccessful() and result.testsRun == 1:
        return EXIT_SKIPPED if result.skipped else EXIT_PASSED
    return EXIT_FAILED


class Report:
    def __init__(self):
        self.lock = threading.Lock()
        self.counts = {"passed": 0, "failed": 0, "skipped": 0}
        self.outcomes = []

    def add(self, outcome):
        with self.lock:
            self.counts[outcome.state] += 1
            self.outcomes.append(outcome)
            if outcome.state == "failed":
                text = outcome.text.rstrip().replace("\n", "\n    ")
                print(f"FAILED  {outcome.name}  ({outcome.seconds:.1f} s)\n    {text}", flush=True)
            else:
                text = outcome.text or " ".join("=".join(figure) for figure in outcome.figures if figure[0] != "runs")
                print(f"{outcome.state}  {outcome.name}{': ' if text else ''}{text}  ({outcome.seconds:.1f} s)", flush=True)

    def repeat_failures(self):
        """Once more at the end, where a log that was cut still has them."""
        for outcome in self.outcomes:
            if outcome.state == "failed":
                last_lines = [line for line in outcome.text.splitlines() if line.strip()][-LAST_LINES:]
                print("\n    ".join([f"failed: {outcome.name}", *last_lines]))

    def finish(self):
        counts = self.counts
        self.repeat_failures()
        skipped = f", {counts['skipped']} skipped" if counts["skipped"] else ""
        print(f"{counts['passed']} passed, {counts['failed']} failed{skipped}")
        return 0 if counts["passed"] and not counts["failed"] else 1


def main(arguments):
    parser = argparse.ArgumentParser(prog="tests/run", description="Runs the tests.")
    parser.add_argument("--list", action="store_true", help="print the names, run nothing")
    parser.add_argument("--quick", action="store_true", help="skip the tests that take long")
    parser.add_argument("--keep", action="store_true", help="keep the directories of the tests")
    parser.add_argument("--until-failure", action="store_true", help="begin no test after one has failed")
    parser.add_argument("--table", action="store_true", help="end with a table: hazards, matrix, resources, programs, soak")
    parser.add_argument("--seed", type=int, default=0, help="another one of the samplers: no result may hang on it (0)")
    parser.add_argument("--jobs", type=int, default=2, help="tests at a time (2)")
    parser.add_argument("--except", dest="left_out", action="append", default=[], metavar="PART", help="leave out what contains this")
    parser.add_argument("parts", nargs="*", metavar="NAME PART", help="run only tests whose name contains one of these")
    options = parser.parse_args(arguments)
    jobs = [job for job in find_jobs() if not options.parts or any(part in job.name for part in options.parts)]
    jobs = [job for job in jobs if not any(part in job.name for part in options.left_out)]
    if options.list:
        print("\n".join(job.name for job in jobs))
        return 0
    os.environ["TEST_SEED"] = str(options.seed)
    report = Report()

    def run_and_report(job):
        if options.until_failure and report.counts["failed"]:
            return
        if options.quick and job.is_slow:
            return report.add(Outcome(job.name, "skipped", "slow"))
        start = time.monotonic()
        outcomes = run_job(job, options.keep)
        for outcome in outcomes:
            outcome.seconds = time.monotonic() - start
            report.add(outcome)

    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        # list(), so that a bug in here ends the run instead of vanishing in a future.
        list(pool.map(run_and_report, jobs))
    if options.table:
        print(table.of(report.outcomes))
    return report.finish()


if __name__ == "__main__":
    sys.exit(run_one(*sys.argv[1:]))
