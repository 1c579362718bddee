# SPDX-License-Identifier: MIT
"""Debian's programs for arm64, under the emulator: stripped, built by gcc for distribution."""
import os
import re
import subprocess

from harness.case import Case

ROWS = "".join(f"insert into t values({i}, '{'x' * (i % 50)}');\n" for i in range(1000))
SQL = f"create table t(a, b);\n{ROWS}select count(*), sum(length(b)) from t;\nselect b, count(*) from t group by b order by 2 desc, 1 limit 3;\n"


class Programs(Case):
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
        top = subprocess.run(["go", "tool", "pprof", "-top", "-cum", "-sample_index=alloc_objects", *run.files], capture_output=True,
                             text=True, check=True, env={**os.environ, "HOME": str(self.dir), "PPROF_TMPDIR": str(self.dir)}).stdout
        share = {name: share for share, name in re.findall(r"([0-9.]+)% +(\w+)$", top, re.MULTILINE)}
        self.assertEqual(share.get("__libc_start_main"), "100", top)
        self.assertIn("sqlite3_step", share)
