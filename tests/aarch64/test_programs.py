# SPDX-License-Identifier: MIT
"""Debian's programs for arm64, under the emulator: stripped, built by gcc for distribution."""
import os
import re
import socket
import subprocess

from harness.case import Case

ROWS = "".join(f"insert into t values({i}, '{'x' * (i % 50)}');\n" for i in range(1000))
SQL = f"create table t(a, b);\n{ROWS}select count(*), sum(length(b)) from t;\nselect b, count(*) from t group by b order by 2 desc, 1 limit 3;\n"

REDIS = "".join(f"SET key{i} {'v' * (i % 600 + 1)}\r\n" for i in range(1000)) + "STRLEN key599\r\n"


class Programs(Case):
    def top_of(self, path):
        """Names and their share, with what they call, of objects."""
        text = subprocess.run(["go", "tool", "pprof", "-top", "-cum", "-nodecount=500", "-sample_index=alloc_objects", path],
                              capture_output=True, text=True, check=True,
                              env={**os.environ, "HOME": str(self.dir), "PPROF_TMPDIR": str(self.dir)}).stdout
        return {name: share for share, name in re.findall(r"([0-9.]+)% +(\w+)$", text, re.MULTILINE)}

    def test_sqlite3(self):
        """Output as without, exact, each stack whole, and what libraries export by its name in go tool pprof, too."""
        program = os.path.join(os.environ["QEMU_LD_PREFIX"], "usr/bin/sqlite3")
        plain = self.plain([program], input=SQL)
        self.assertEqual(plain.out.splitlines()[0], "1000|24500")
        run = self.profiled([program], input=SQL, sample=1)
        self.assertEqual((run.out, run.err), (plain.out, plain.err))
        self.check_lint(run.profile)
        comments = run.profile.comment_values()
        self.assertEqual(comments["lost.total"], 0)
        self.assertEqual(comments["exact_units"], run.profile.total("alloc_space") + run.profile.total("alloc_objects"))
        self.assertGreater(run.profile.total("alloc_objects"), 10000)
        for sample in run.profile.samples:
            self.assertEqual(sample.labels, {}, run.profile.frames(sample))
            self.assertIn("__libc_start_main", run.profile.frames(sample))
        self.assertGreater(run.profile.counted(lambda frames: "sqlite3_step" in frames)["alloc_objects"], 1000)
        share = self.top_of(run.files[0])
        self.assertEqual(share.get("__libc_start_main"), "100", share)
        self.assertIn("sqlite3_step", share)

    def serve(self, **options):
        """What redis-server, which is linked with jemalloc and found by its first argument, answers; then it ends."""
        program, path = self.dir / "redis-server", self.dir / "redis.sock"
        if not program.exists():
            program.symlink_to(os.path.join(os.environ["QEMU_LD_PREFIX"], "usr/bin/redis-check-rdb"))
        with self.start([program, "--port", 0, "--unixsocket", path, "--dir", self.dir, "--save", "", "--daemonize", "no"],
                        **options) as server:
            for line in server.process.stdout:
                if "ready to accept connections" in line.lower():
                    break
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(str(path))
                connection.sendall(REDIS.encode())
                with connection.makefile("r") as lines:
                    answers = [next(lines) for _ in range(1001)]
                connection.sendall(b"SHUTDOWN NOSAVE\r\n")
            run = server.end()
        self.assertEqual((run.status, run.err), (0, ""))
        return run, answers

    def test_redis(self):
        """Its answers are as without; exact, with threads of its own; and what it exports by its name in go tool pprof, too. On this
        machine it forks at its start, to ask the kernel for a fault: the child has a profile of its own."""
        _, expected = self.serve(preload=False)
        self.assertEqual(expected[-2:], ["+OK\n", ":600\n"])
        run, answers = self.serve(sample=1)
        self.assertEqual(answers, expected)
        self.assertEqual(len(run.files), 2)
        path, profile = max(zip(run.files, run.profiles), key=lambda pair: pair[1].total("alloc_objects"))
        self.check_lint(profile)
        comments = profile.comment_values()
        self.assertEqual(comments["exact_units"], profile.total("alloc_space") + profile.total("alloc_objects"))
        self.assertIn("libjemalloc.so.2", comments["allocator"])
        self.assertGreater(profile.total("alloc_objects"), 2000)
        for sample in profile.samples:
            self.assertEqual(sample.labels, {}, profile.frames(sample))
        self.assertLessEqual({"zmalloc", "aeMain", "main"}, set(self.top_of(path)))
