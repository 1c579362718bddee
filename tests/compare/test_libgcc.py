# SPDX-License-Identifier: MIT
"""The walker's stacks against those of libgcc's unwinder, frame by frame, at allocations of real programs (compare.c). `make compare` takes
75,000 stacks of twelve programs, `make check` a few hundred of each that is quick."""
import shutil

from harness import paths
from harness.case import Case, cases, timeout
from hazards.toolbox import TORTURE, skip_unless

MOST = 6500 if TORTURE else 300
CXX = """
#include <algorithm>
#include <functional>
#include <iostream>
#include <map>
#include <string>
#include <vector>
std::map<std::string, std::vector<int>> numbers;
int main()
{
  for (int i = 0; i < 10; i++)
    numbers[std::to_string(i)].push_back(i);
  std::function<int(int)> twice = [](int x) { return 2 * x; };
  std::cout << twice((int)numbers.size());
}
"""
C = "#include <stdio.h>\n" + "".join(f"int f{i}(int x) {{ for (int i = 0; i < x; i++) x += i * {i}; return x; }}\n" for i in range(400))
PYTHON = """
import decimal, json, re, sqlite3, xml.etree.ElementTree
x = [json.dumps({"a": [i] * 5}) for i in range(20000)]
"""
PERL = """
use List::Util; use Encode; my %h;
for (1 .. 60000) { $h{$_ % 977} .= join ",", map { $_ x 3 } split //, $_ }
for (1 .. 2000) { my $x = encode("UTF-16", "x" x $_) }
"""
SQL = """
create table t(a, b);
with recursive c(x) as (select 1 union all select x + 1 from c where x < 20000) insert into t select x, hex(randomblob(20)) from c;
create index i on t(b);
select count(*), max(b) from t a join t b using(b);
"""
# How many allocations lie between two comparisons, what is run, and the name that it is known by.
PROGRAMS = {
    "python3": (40, ["/usr/bin/python3", "-c", PYTHON]),
    "perl": (20, ["perl", "-e", PERL]),
    "cc1": (5, ["gcc", "-O2", "-c", "work.c", "-o", "work.o"]),
    "cc1plus": (20, ["g++", "-O2", "-c", "work.cc", "-o", "work.o"]),
    "sqlite3": (2, ["sqlite3", ":memory:", SQL]),
    "bash": (3, ["bash", "-c", "for i in {1..3000}; do x=\"$x $i\"; a[$i]=$((i * 2)); done; echo ${#x}"]),
    "git": (1, ["sh", "-c", "git init -q work; cd work; for i in $(seq 20); do seq $((i * 300)) >$i; git add .; "
                            "git -c user.name=a -c user.email=a commit -q -m $i; done; git log --stat -p"]),
    "troff": (2, ["groff", "-man", "-Tutf8", paths.SOURCE / "docs/heapprof.1"]),
    "openssl": (1, ["openssl", "speed", "-seconds", "1", "-bytes", "64", "sha256"]),
    "ld": (3, ["g++", "-static", "work.cc", "-o", "work"]),
    "gdb": (2, ["gdb", "-q", "-batch", "-ex", "set debuginfod enabled off", "-ex", "info functions .", "-ex", "info types .", paths.LIB]),
    "clang": (5, ["clang++", "-O2", "-c", "work.cc", "-o", "work.o"]),
}
SLOW = {"gdb", "ld", "openssl"}
CHOSEN = [name for name in PROGRAMS if TORTURE or name not in SLOW]


class Libgcc(Case):
    """Seen to fail, all of them, with a reader of unwind information that restores no remembered state."""
    @cases(*CHOSEN)
    @timeout(300)
    def test_all_frames_are_equal(self, name):
        every, command = PROGRAMS[name]
        skip_unless(shutil.which(command[0]), f"{command[0]} is not installed")
        (self.dir / "work.cc").write_text(CXX)
        (self.dir / "work.c").write_text(C)
        out, state = self.dir / "compared", self.dir / "compare_state"
        state.mkdir(mode=0o700)
        self.plain(command, cwd=self.dir, HOME=self.dir, PYTHONMALLOC="malloc", LD_PRELOAD=paths.BUILD / "tests/compare/compare.so", COMPARE_OUT=out, COMPARE_STATE=state,
                   COMPARE_EVERY=every, COMPARE_MOST=MOST)
        counted = {}
        for line in out.read_text().splitlines():
            program, *numbers = line.split()
            counted.setdefault(program, []).append([int(number) for number in numbers])
        for program, found in counted.items():
            stacks, frames, different, cut = map(sum, zip(*found))
            shown = "".join(path.read_text()[:3000] for path in self.dir.glob("compared.*"))
            self.assertEqual((different, cut), (0, 0), f"{program}: of {stacks} stacks, {different} differ, {cut} were cut\n{shown}")
            self.assertGreaterEqual(frames, 2 * stacks)
        best = max(sum(numbers[0] for numbers in found) for program, found in counted.items() if program.startswith(name))
        self.assertGreaterEqual(best, MOST)
        self.figure(stacks=best)


