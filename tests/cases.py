#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`make cases`: what programs of others were seen to suffer from, each by the tests that do the same again.

A case has failed when one of its tests fails, is skipped, or is not there any more. They are tests of `make check`, too: this says what
they are about, one line each. Arguments choose cases by name.
"""
import argparse
import collections
import concurrent.futures
import pathlib
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from harness import runner

Case = collections.namedtuple("Case", "name shows tests")  # tests: as tests/run --list names them, or how these names begin

CASES = [
    Case("bad_alloc_in_plugin", "operator new throws in what a plug-in depends on", ["hazards/test_allocators.Row4Plugin."]),
    Case("checking_allocators", "allocators that check what they get back reach main",
         ["hazards/test_allocators.Row5Checking."]),
    Case("early_filter", "a library confines the process before us", ["hazards/test_confinement.P8Early."]),
    Case("filter_probe", "to ask for filters confines nothing", ["hazards/test_confinement.P8Questions."]),
    Case("stacks_behind_filter", "a stack that may not be asked about is not walked", ["hazards/test_confinement.P8Stacks."]),
    Case("strict_mode", "neither clock nor memory behind strict seccomp", ["hazards/test_confinement.P8Clock."]),
    Case("two_exits", "one thread exits, another ends the process",
         ["hazards/test_processes.P5Exit.test_two_exits_at_once"]),
    Case("musl_program", "a profiled shell starts a program of another libc", ["hazards/test_followers.P3Musl."]),
    Case("dev_null", "a device is written into or refused, never a file beside it",
         ["preload/test_files.", "cli/test_merge.Foreign."]),
    Case("many_libraries", "a thousand loads of one file, two thousand files at once", ["hazards/test_unwinding.U4Libraries."]),
    Case("short_build_id", "build ids of any length", ["preload/test_names.Readers.test_build_id_of_any_length"]),
    Case("replaced_program", "names of what runs, whatever lies under its name by now", ["preload/test_names.Running.test_taken_from_what_runs",
         "preload/test_names.Running.test_what_no_file_has_says_so", "preload/test_names.Libraries.test_program_deleted_while_it_runs"]),
    Case("program_in_memory", "a program of no file system", ["preload/test_names.Running.test_program_in_memory"]),
    Case("explicit_loader", "started by the loader's name", ["preload/test_names.Running.test_started_by_the_loader"]),
    Case("moved_text", "code that was moved to memory without a file",
         ["preload/test_names.Running.test_code_moved_to_anonymous_memory"]),
    Case("misaligned_stack", "a caller that does not align its stack", ["hazards/test_allocators.Row9Misaligned."]),
    Case("small_stack", "what lies below a small stack stays as it was", ["hazards/test_unwinding.U6Canary."]),
    Case("large_frames", "all callers below large frames and deep recursion, without a call once they are known",
         ["hazards/test_unwinding.U9LargeFrames."]),
    Case("ends_of_stacks", "complete only where an outermost frame says so", ["hazards/test_unwinding.U10Ends."]),
    Case("crash_handlers", "a handler sees who called what is no code, and all of an overflowed stack",
         ["hazards/test_unwinding.U11Crash."]),
    Case("deepbind", "a plug-in that is bound past us", ["hazards/test_allocators.Row3DeepBind."]),
    Case("sums_wrap", "what is in use outlives the sums", ["unit/test_stacks"]),
    Case("clock_set_forward", "what was left before exec is known by the time since boot", ["hazards/test_followers.P3Clock."]),
    Case("says_where_it_is", "a profile that cannot be written stays in the state file, and that is said",
         ["preload/test_files.Unwritable.test_what_cannot_be_written_stays", "preload/test_files.Unwritable.test_what_no_file_has_is_lost"]),
    Case("own_arena", "a program whose memory is not malloc's is told what was seen of it",
         ["cli/test_run.Profiles.test_memory_that_malloc_knows_nothing_of"]),
    Case("sparse_state_file", "reading a hole fills no memory", ["cli/test_ls.List.test_holes_stay_holes"]),
    Case("opened_meanwhile", "nobody ends ls by opening a file", ["cli/test_ls.List.test_file_that_is_opened_meanwhile"]),
    Case("names_on_a_terminal", "no name reaches a terminal raw",
         ["cli/test_recover.Recover.test_names_on_a_terminal", "cli/test_recover.Recover.test_names_in_json"]),
    Case("earlier_file", "an old file is not of this run", ["cli/test_run.Signals.test_file_of_an_earlier_run"]),
    Case("hostile", "whatever a program does at random", ["torture/test_hostile.Hostile."]),
    Case("left_by_jump", "a handler jumps out of each system call of ours", ["torture/test_resources.Left."]),
]


def run_case(case, jobs):
    """Returns what is wrong: nothing, when it passed."""
    wrong = []
    for test in case.tests:
        chosen = [job for job in jobs if job.name.startswith(test)]
        if not chosen:
            wrong.append(f"there is no test {test}")
        for job in chosen:
            wrong += [f"{outcome.name}: {outcome.state}\n{outcome.text}" for outcome in runner.run_job(job, keep=False)
                      if outcome.state != "passed"]
    return wrong


def main():
    parser = argparse.ArgumentParser(prog="tests/cases.py", description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=2, help="cases at a time (2)")
    parser.add_argument("names", nargs="*", metavar="NAME", help="cases to run; all")
    options = parser.parse_args()
    chosen = [case for case in CASES if not options.names or case.name in options.names]
    if not chosen:
        parser.error(f"there is none of these names; there are {', '.join(case.name for case in CASES)}")
    jobs, failed = runner.find_jobs(), 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for case, wrong in zip(chosen, pool.map(lambda case: run_case(case, jobs), chosen)):
            failed += bool(wrong)
            print(f"{'FAILED' if wrong else 'ok':7} {case.name:21} {case.shows}", *wrong, sep="\n        " if wrong else "", flush=True)
    print(f"{len(chosen) - failed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
