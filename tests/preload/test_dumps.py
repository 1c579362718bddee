# SPDX-License-Identifier: MIT
"""When profiles are written: at exit, on the signal, by API; and where."""
import os
import re
import shutil
import signal
import socket
import stat
import time

from harness.case import Case, cases, in_victim

NAME = re.compile(r"heapprof\.([^.]+)\.(\d+)\.(\d+)\.pb\.gz")


class AtExit(Case):
    @cases(("return", 5), ("exit", 5), ("_exit", 5), ("_Exit", 5), ("quick_exit", 5), ("handler", 15))
    def test_is_written(self, way, status):
        run = self.profiled([self.victim("exits"), way], sample=1, expect=status)
        self.check_run_exact(run)
        self.assertEqual(run.err, "")

    @cases(("abort", -signal.SIGABRT), ("segv", -signal.SIGSEGV))
    def test_is_not_written(self, way, status):
        run = self.profiled([self.victim("exits"), way], sample=1, expect=status)
        self.assertEqual((run.files, run.err), ([], ""))
        self.assertEqual(list(self.out_dir.iterdir()), [])

    def test_no_file_descriptors_left(self):
        run = self.profiled([self.victim("exits"), "nofile"], sample=1, expect=5)
        self.assertEqual(list(self.out_dir.iterdir()), [])
        self.assertIn(run.pid, run.shadows)

    def test_state_is_removed(self):
        with self.start([self.victim("signals")], sample=1) as program:
            program.read_until("ready")
            program.say("work")
            program.read_until("done")
            self.assertNotEqual(list(self.state_dir.iterdir()), [], "no state file while the program runs")
            program.end("end\n")
        self.assertEqual(list(self.state_dir.iterdir()), [])

    def test_a_process_without_samples_leaves_nothing(self):
        run = self.profiled([self.victim("pair"), 1], sample="64G")
        self.assertEqual((run.files, run.err, run.out), ([], "", ""))
        self.assertEqual(list(self.state_dir.iterdir()), [])

    def test_name_that_is_no_text(self):
        """Strings of a profile are UTF-8, whatever bytes the program's name has: some readers would refuse it all."""
        program = os.path.join(self.dir, os.fsdecode(b"caf\xe9 \xc3\xa9"))
        shutil.copy(self.victim("leak"), program)
        run = self.profiled([program], sample=1, expect=7)
        self.check_exact(run.profile, run.shadows[run.pid])
        self.check_lint(run.profile, program=f"{self.dir}/caf? é")

    def test_file(self):
        run = self.profiled([self.victim("leak")], sample=1, expect=7)
        self.assertEqual(NAME.fullmatch(run.files[0].name).groups(), ("leak", str(run.pid), "1"))
        self.assertEqual(stat.S_IMODE(run.files[0].stat().st_mode), 0o600)
        self.check_lint(run.profile, program=os.path.realpath(self.victim("leak")))
        self.assertEqual(list(self.out_dir.iterdir()), run.files, "something else was left")


class OnSignal(Case):
    def signalled(self, number=signal.SIGUSR2, count=1, arguments=(), **options):
        """Runs the victim `signals`, with that many dumps between allocations; returns the run."""
        with self.start([self.victim("signals"), *arguments], sample=1, **options) as program:
            program.read_until("ready")
            for i in range(count):
                program.say("work")
                program.read_until("done")
                os.kill(program.pid, number)
                program.wait_for_files(i + 1)
            run = program.end("end\n")
        self.assertEqual((run.status, run.err), (0, ""))
        return run

    def test_three_dumps_and_exit(self):
        run = self.signalled(count=3)
        self.assertEqual([NAME.fullmatch(f.name).groups()[1:] for f in run.files],
                         [(str(run.pid), str(n)) for n in (1, 2, 3, 4)])
        for i, profile in enumerate(run.profiles[:3]):
            self.check_lint(profile)
            self.assertEqual(profile.counted(in_victim), {"alloc_objects": 200 * (i + 1), "alloc_space": 74250 * (i + 1),
                                                         "inuse_objects": 100 * (i + 1), "inuse_space": 49500 * (i + 1)})
        self.check_exact(run.profiles[3], run.shadows[run.pid])

    def test_before_the_first_sample(self):
        with self.start([self.victim("signals")], sample="64G") as program:
            program.read_until("ready")
            os.kill(program.pid, signal.SIGUSR2)
            program.wait_for_files(1)
            run = program.end("end\n")
        self.assertEqual((run.status, run.err, len(run.files)), (0, "", 1))
        self.check_lint(run.profile, program=os.path.realpath(self.victim("signals")))
        self.assertEqual(run.profile.samples, [])
        self.assertEqual(list(self.state_dir.iterdir()), [])

    @cases(("USR1", signal.SIGUSR1), ("SIGPROF", signal.SIGPROF), ("12", signal.SIGUSR2), ("10", signal.SIGUSR1),
           ("RTMIN+3", signal.SIGRTMIN + 3), ("RTMAX-1", signal.SIGRTMAX - 1), ("RTMIN", signal.SIGRTMIN))
    def test_another_signal(self, name, number):
        run = self.signalled(number, signal=name)
        self.assertEqual(len(run.files), 2)

    @cases("none", "USR1")
    def test_usr2_kills_when_not_ours(self, name):
        with self.start([self.victim("signals")], sample=1, signal=name) as program:
            program.read_until("ready")
            os.kill(program.pid, signal.SIGUSR2)
            self.assertEqual(program.end().status, -signal.SIGUSR2)

    @cases(("exit", 0, 1), ("signal", 1, 0), ("exit,signal", 1, 1), ("signal,exit", 1, 1))
    def test_dump_setting(self, setting, on_signal, at_exit):
        with self.start([self.victim("signals")], sample=1, dump=setting) as program:
            program.read_until("ready")
            program.say("work")
            program.read_until("done")
            if on_signal:
                os.kill(program.pid, signal.SIGUSR2)
                program.wait_for_files(1)
            run = program.end("end\n")
        self.assertEqual((run.status, len(run.files)), (0, on_signal + at_exit))

    def test_none_dumps_by_api_only(self):
        run = self.profiled([self.victim("api"), "work", "dump"], sample=1, dump="none")
        self.check_run_exact(run)

    @cases(("own", 3), ("ignore", 0))
    def test_the_programs_own_handler(self, variant, handled):
        with self.start([self.victim("signals"), variant], sample=1) as program:
            program.read_until("ready")
            for _ in range(3):
                os.kill(program.pid, signal.SIGUSR2)
                program.say("work")
                program.read_until("done")
            run = program.end("end\n")
        self.assertIn(f"handled {handled}\n", run.out)
        self.check_run_exact(run)

    def test_blocked_until_unblocked(self):
        with self.start([self.victim("signals"), "block"], sample=1) as program:
            program.read_until("ready")
            os.kill(program.pid, signal.SIGUSR2)
            program.say("work")
            program.read_until("done")
            self.assertEqual(self.profile_files(), [])
            program.say("unblock")
            program.read_until("done")
            self.assertEqual(len(program.wait_for_files(1)), 1)
            run = program.end("end\n")
        self.assertEqual(run.status, 0)
        self.check_exact(run.profiles[1], run.shadows[run.pid])


class ByApi(Case):
    def test_without_the_profiler(self):
        run = self.plain([self.victim("api"), "work", "stop", "dump", "stats", "version"])
        self.assertEqual(run.out.splitlines()[:-1], ["absent"] * 4)

    def test_dump_at_a_path(self):
        path = self.dir / "here.pb.gz"
        run = self.profiled([self.victim("api"), "work", f"dump={path}", "free"], sample=1, dump="none")
        self.assertEqual(run.out.splitlines()[0], "dump 0 ok")
        run.files = [path]
        self.assertEqual(run.profile.counted(in_victim),
                         {"alloc_objects": 64, "alloc_space": 2016, "inuse_objects": 64, "inuse_space": 2016})

    def test_dump_by_the_pattern(self):
        run = self.profiled([self.victim("api"), "work", "dump", "free", "dump"], sample=1)
        self.assertEqual([NAME.fullmatch(f.name).group(3) for f in run.files], ["1", "2", "3"])
        self.assertEqual([p.total("inuse_objects", in_victim) for p in run.profiles], [64, 0, 0])

    @cases(("/nonexistent/x.pb.gz", "No such file or directory"), ("/dev/null/x", "Not a directory"), ("/dev", None),
           ("/proc/x.pb.gz", None))
    def test_dump_that_fails(self, path, message):
        run = self.profiled([self.victim("api"), f"dump={path}", "work", "version"], sample=1)
        line = run.out.splitlines()[0]
        self.assertTrue(line == f"dump -1 {message}" if message else line.startswith("dump -1 ") and "Success" not in line, line)
        self.check_run_exact(run)

    def test_stop_and_start(self):
        """What is allocated while stopped does not count; what is freed then does."""
        run = self.profiled([self.victim("api"), "work", "stop", "hidden", "free", "start", "work"], sample=1)
        self.check_run_exact(run)
        self.assertEqual(run.profile.total("alloc_objects", lambda frames: "allocate_hidden" in frames), 0)

    @cases(("work count work work counted", ["128 4032 peak 4032 growth 128 4032 lost 0"]),
           ("work count free work counted", ["64 2016 peak 0 growth 0 0 lost 0"]),
           ("spike count work counted count spike counted", ["64 2016 peak 2016 growth 64 2016 lost 0", "1 100000 peak 100000 growth 0 0 lost 0"]),
           ("work count spike free counted", ["1 100000 peak 100000 growth -64 -2016 lost 0"]),
           ("counted count count counted counted", ["counted EINVAL", "count EBUSY", "0 0 peak 0 growth 0 0 lost 0", "counted EINVAL"]),
           ("work fork", ["counted EINVAL"] + ["64 2016 peak 2016 growth 64 2016 lost 0"] * 2),
           ("threads", ["4000 40000 peak PEAK growth 2000 20000 lost 0"]))
    def test_counts(self, orders, said):
        """Exact, of all threads; apart from the rest of the program."""
        run = self.profiled([self.victim("api"), *orders.split()], sample=1)
        out = run.out.splitlines()[:-1]
        if "PEAK" in said[-1]:
            peak = int(out[-1].split()[3])
            self.assertTrue(20000 + 5000 <= peak <= 40000, peak)
            out[-1] = out[-1].replace(f"peak {peak}", "peak PEAK")
        self.assertEqual(out, said)

    def test_counts_of_a_stopped_program(self):
        """What is counted is all that its profile has."""
        run = self.profiled([self.victim("api"), *"stop work count hidden counted work count hidden counted work".split()], sample=1)
        objects, size = 64, sum(5000 + i for i in range(64))
        line = f"{objects} {size} peak {size} growth {objects} {size} lost 0"
        self.assertEqual(run.out.splitlines()[:-1], [line] * 2)
        self.assertEqual(run.profile.total("alloc_objects"), 2 * objects)

    def test_counts_of_samples(self):
        """There are none."""
        for settings in ({"sample": 2}, {"sample": 1, "only": "nobody"}):
            run = self.profiled([self.victim("api"), "count", "counted"], **settings)
            self.assertEqual(run.out.splitlines()[:-1], ["count EOPNOTSUPP", "counted EINVAL"])

    def test_version_and_stats(self):
        run = self.profiled([self.victim("api"), "version", "work", "stats"], sample=1)
        self.assertRegex(run.out, r"\Aversion \d+\.\d+.*\nstats 0\n")


class Pattern(Case):
    def test_everything_in_it(self):
        before = int(time.time())
        run = self.profiled([self.victim("leak")], sample=1, expect=7, out=f"{self.out_dir}/%e-%p-%h-%n-%t-%%.pb.gz")
        program, pid, rest = run.files[0].name.split("-", 2)
        self.assertEqual((program, int(pid)), ("leak", run.pid))
        host, number, when, percent = rest.rsplit("-", 3)
        self.assertEqual((host, number, percent), (socket.gethostname(), "1", "%.pb.gz"))
        self.assertTrue(before <= int(when) <= time.time(), when)

    @cases(None, "heapprof.%e.%p.%n.pb.gz")
    def test_relative_is_where_the_program_started(self, pattern):
        with self.start([self.victim("leak")], sample=1, out=pattern, cwd=self.out_dir) as program:
            run = program.end()
        self.assertEqual([f.name for f in run.files], [f"heapprof.leak.{run.pid}.1.pb.gz"])
        self.assertEqual(run.err, "")

    def test_relative_after_chdir(self):
        run = self.profiled(["/usr/bin/python3", "-c", "import os; os.chdir('/')"], cwd=self.out_dir, sample=1,
                            out="x.%e.pb.gz", PYTHONMALLOC="malloc")
        self.assertEqual([f.name for f in run.files if "python" in f.name], ["x.python3.pb.gz"])

    def test_only(self):
        for only, count in (("leak", 1), ("a,leak,b", 1), ("lea", 0), ("leaks", 0), ("other", 0)):
            self.clear_profiles()
            run = self.profiled([self.victim("leak")], sample=1, expect=7, only=only)
            self.assertEqual((only, len(run.files), run.err), (only, count, ""))

    def test_depth(self):
        for setting, frames, truncated in ((None, 128, True), (16, 16, True), (1, 1, True), (512, 512, True), (512, 103, False)):
            self.clear_profiles()
            depth = 1000 if truncated else 100
            run = self.profiled([self.victim("deep"), depth], sample=1, depth=setting)
            sample, = run.profile.select(lambda names: "victim_bottom" in names)
            names = run.profile.frames(sample)
            self.assertEqual(names[0], "victim_bottom")
            self.assertEqual(set(names[1:min(frames, depth)]), {"victim_recurse"} if frames > 1 else set())
            if truncated:
                self.assertEqual((len(names), sample.labels), (frames, {"truncated": "depth"}))
                counted = run.profile.comment_values()
                self.assertEqual(counted["lost.truncated.depth"], counted["lost.truncated"])
                self.check_exact(run.profile, run.shadows[run.pid])
            else:
                self.assertEqual((names[101], sample.labels), ("main", {}))
