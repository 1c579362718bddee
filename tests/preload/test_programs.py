# SPDX-License-Identifier: MIT
"""Real programs, at the default interval: the output they have without us, and profiles that both pprofs read, with names
that belong there, in all four sample types."""
import hashlib
import os
import signal
import subprocess
import time

from harness import tools
from harness.case import Case, cases, timeout

SAMPLE_TYPES = ("alloc_objects", "alloc_space", "inuse_objects", "inuse_space")
PYTHON_FUNCTIONS = {"_PyEval_EvalFrameDefault", "PyEval_EvalCode", "Py_RunMain", "Py_BytesMain"}


class Programs(Case):
    def check_readers(self, path, expected, sample_types=SAMPLE_TYPES):
        """expected: functions of which any has to be there, whichever the sample type."""
        for which in tools.PPROFS:
            for sample_type in sample_types:
                names = set(tools.pprof_top(which, path, sample_type))
                self.assertTrue(any(name.split("(")[0] in expected for name in names),
                                f"{which} pprof, {sample_type}: none of {sorted(expected)} in {sorted(names)[:200]}")

    def compare(self, arguments, **options):
        """The profiled run; checked to have output and status as without."""
        plain = self.plain(arguments, expect=None, **options)
        run = self.profiled(arguments, expect=None, **options)
        self.assertEqual((run.status, run.out, run.err), (plain.status, plain.out, plain.err))
        self.assertEqual(run.status, 0, run.err)
        for profile in run.profiles:
            self.check_lint(profile)
        return run

    @timeout(120)
    def test_redis(self):
        """redis-server is linked with jemalloc, and busy with redis-benchmark while it is asked for a profile."""
        tools.need("redis-server", "redis-benchmark", "redis-cli")
        path = self.dir / "redis.sock"
        command = ["redis-server", "--port", 0, "--unixsocket", path, "--dir", self.dir, "--save", "", "--daemonize", "no"]

        def ask(*words):
            return subprocess.run(["redis-cli", "-s", path, *words], capture_output=True, text=True, check=True).stdout

        with self.start(command) as server:
            end = time.monotonic() + 100
            # The socket is there before anybody listens.
            while subprocess.run(["redis-cli", "-s", path, "ping"], capture_output=True).returncode != 0 and time.monotonic() < end:
                time.sleep(0.02)
            ask("eval", "for i = 1, 20000 do redis.call('set', 'key' .. i, string.rep('v', 500)) end", "0")
            with subprocess.Popen(["redis-benchmark", "-s", path, "-n", "40000", "-q", "-t", "set,get,lpush"],
                                  stdout=subprocess.PIPE, text=True) as benchmark:
                os.kill(server.pid, signal.SIGUSR2)
                server.wait_for_files(1)
                report, _ = benchmark.communicate()
            self.assertEqual(benchmark.returncode, 0, report)
            self.assertEqual(ask("get", "key77"), "v" * 500 + "\n")
            subprocess.run(["redis-cli", "-s", path, "shutdown", "nosave"], check=True, capture_output=True)
            run = server.end()
        self.assertEqual(run.status, 0, run.err)
        self.assertEqual(run.err, "")
        self.assertEqual(len(run.files), 2)
        # About 22 samples of 512 KiB, others in each run, since clients are not in step: fewer than two once in 10^8 runs.
        self.assertGreater(run.profiles[0].total("inuse_space"), 1_000_000)
        for path, profile in zip(run.files, run.profiles):
            self.check_lint(profile)
            self.check_readers(path, {"zmalloc", "zrealloc", "ztrymalloc_usable", "zmalloc_usable", "ztryrealloc_usable", "main",
                                      "aeMain"})

    def test_sqlite3(self):
        """It sends itself the signal, and frees all before it exits: the second profile has nothing in use. The shell that sends
        it is not followed: once in a hundred runs it would be sampled, too."""
        tools.need("sqlite3")
        script = ("create table t(a, b); with recursive n(i) as (select 1 union all select i + 1 from n where i < 100000) "
                  "insert into t select i, hex(zeroblob(50)) || i from n; select count(*), sum(length(b)) from t; "
                  "create index x on t(b); select max(b) from t;\n"
                  ".system kill -USR2 $PPID\nselect count(*) from t;\n")
        expected = self.plain(["sqlite3", ":memory:"], input=script.replace(".system kill -USR2 $PPID", ""))
        run = self.profiled(["sqlite3", ":memory:"], input=script, follow="no")
        self.assertEqual((run.out, run.err), (expected.out, expected.err))
        self.assertEqual(len(run.files), 2)
        for profile in run.profiles:
            self.check_lint(profile)
            self.assertGreater(profile.total("alloc_space"), 10_000_000)
        functions = {"sqlite3_step", "sqlite3_exec", "main", "sqlite3_malloc64"}
        self.check_readers(run.files[0], functions)
        self.check_readers(run.files[1], functions, SAMPLE_TYPES[:2])

    @cases("malloc", None)
    def test_python3(self, allocator):
        script = ("import json; d = [{'k%d' % i: 'v' * (i % 300)} for i in range(60000)]; s = json.dumps(d); "
                  "print(len(s), len(json.loads(s)))")
        environment = {"PYTHONMALLOC": allocator, "PYTHONHASHSEED": 0}
        run = self.compare(["/usr/bin/python3", "-S", "-c", script], **environment)
        self.assertGreater(run.profile.total("alloc_space"), 10_000_000)
        self.check_readers(run.files[0], PYTHON_FUNCTIONS, SAMPLE_TYPES[:2])  # all is freed at exit

    def test_python3_dump_on_signal(self):
        script = "import sys; d = [str(i) * 20 for i in range(200000)]; print('ready', flush=True); sys.stdin.readline()"
        with self.start(["/usr/bin/python3", "-S", "-c", script], PYTHONMALLOC="malloc") as program:
            program.read_until("ready")
            os.kill(program.pid, signal.SIGUSR2)
            program.wait_for_files(1)
            run = program.end("\n")
        self.assertEqual((run.status, run.err, len(run.files)), (0, "", 2))
        self.assertGreater(run.profiles[0].total("inuse_space"), 10_000_000)
        self.check_readers(run.files[0], PYTHON_FUNCTIONS)

    @timeout(120)
    def test_compiler(self):
        """g++ is a chain of processes; the object file is the same to the byte."""
        tools.need("g++")
        source = self.dir / "small.cc"
        source.write_text("#include <map>\n#include <string>\n#include <regex>\n"
                          "int f(const std::map<std::string, int> &m)\n"
                          "{ return std::regex_match(m.begin()->first, std::regex(\"a+\")); }\n")
        sums = []
        for preload in (False, True):
            output = self.dir / "small.o"
            run = self.profiled(["g++", "-O1", "-c", source, "-o", output], preload=preload)
            self.assertEqual((run.out, run.err), ("", ""))
            sums.append(hashlib.sha256(output.read_bytes()).hexdigest())
        self.assertEqual(sums[0], sums[1])
        by_program = {path.name.split(".")[1]: path for path in run.files}
        self.assertIn("cc1plus", by_program)
        for profile in run.profiles:
            self.check_lint(profile)
        # Debian's cc1plus is stripped: what names there are come from its dynamic symbols and from libc.
        self.assertGreater(run.profiles[run.files.index(by_program["cc1plus"])].total("alloc_space"), 20_000_000)
        self.check_readers(by_program["cc1plus"], {"_start", "__libc_start_main", "__libc_start_call_main", "main", "xmalloc",
                                                   "__libc_start_main_impl", "__libc_start_main_alias_2"})

    @cases("glibc", "jemalloc", "tcmalloc", "mimalloc")
    def test_exceptions(self, allocator):
        run = self.compare([self.victim("throws")], allocator=allocator)
        self.check_readers(run.files[0], {"victim_reserve"})
        self.assertGreater(run.profile.total("alloc_space", lambda frames: "victim_throw" in frames), 0)

    def test_exceptions_exact(self):
        run = self.compare([self.victim("throws")], sample=1)
        rows = run.profile.stacks("alloc_objects", lambda frames: "__cxa_allocate_exception" in frames)
        self.assertEqual(sum(rows.values()), 2000)
        self.assertTrue(all("victim_throw" in frames for frames in rows))
