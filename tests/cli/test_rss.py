# SPDX-License-Identifier: MIT
"""heapprof rss: the parts of the resident memory of a live process add up to what the kernel counts, and each is what it should be."""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess

from harness.case import cases
from harness.states import StateCase, need_root, status_of, wait_until

ALLOCATORS = ("glibc", "jemalloc", "tcmalloc_minimal", "mimalloc")
MIB = 1 << 20
ALL = ("small", "large", "threads", "direct", "huge", "shared", "file")


class Mapping:
    def __init__(self, head, body):
        self.start, self.limit, self.permissions, self.inode, self.path = re.match(
            r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ (\d+) *(.*)", head).groups()
        self.start, self.limit = int(self.start, 16), int(self.limit, 16)
        self.resident = int(re.search(r"^Rss: +(\d+) kB$", body, re.M)[1]) << 10


def smaps(pid):
    parts = re.split(r"^(?=[0-9a-f]+-[0-9a-f]+ )", pathlib.Path(f"/proc/{pid}/smaps").read_text(), flags=re.M)
    return [Mapping(*part.split("\n", 1)) for part in parts if part]


def total_of(mappings):
    return sum(mapping.resident for mapping in mappings)


class Resident(StateCase):
    def stopped(self, *what, sample=1, **options):
        """A program that has all that, stopped, and what it printed."""
        program = self.start([self.victim("resident"), *what], sample=sample, **options)
        said = program.read_until("ready")
        self.stop(program)
        return program, said

    def rss(self, operand, *options):
        return json.loads(self.tool("rss", operand, "--json", *options).stdout)

    def looked_at(self, pid, *options):
        """What rss says of a stopped process, and what was there before and after it: the kernel may take back a page of a file."""
        def look():
            before, told, after = smaps(pid), self.rss(pid, *options), smaps(pid)
            same = [(m.start, m.limit, m.resident) for m in before] == [(m.start, m.limit, m.resident) for m in after]
            return (told, after) if same else None
        return wait_until(look, "nothing changes while it is looked at")

    def check_sums(self, told, there):
        """To the page: the parts, the mappings and the kernel's sum are the same."""
        self.assertEqual(told["resident_bytes"], total_of(there))
        self.assertEqual(sum(told["parts"].values()), told["resident_bytes"])
        self.assertTrue(all(isinstance(value, int) for value in told["parts"].values()), told)

    def check_between(self, value, low, high, what):
        self.assertTrue(low <= value <= high, f"{what}: {value} is not in [{low}, {high}]")

    @cases(*ALLOCATORS)
    def test_parts(self, allocator):
        program, said = self.stopped(*ALL, allocator=allocator)
        with program:
            told, there = self.looked_at(program.pid)
            self.check_sums(told, there)
            parts, slack = told["parts"], 1 * MIB
            self.assertEqual(parts["shared_bytes"], total_of(m for m in there if m.path.startswith("/memfd:")))
            self.assertEqual(parts["shared_bytes"], 8 * MIB)
            named = [m for m in there if m.path.startswith("/") and not m.path.startswith("/memfd:") and "heapprof.so" not in m.path
                     and not m.path.endswith(".heapprof")]
            self.check_between(parts["files_bytes"], total_of(named), total_of(named) + slack, "files, and their variables")
            self.assertGreater(parts["files_bytes"], 4 * MIB)
            self.check_between(parts["stacks_bytes"], 3 * MIB, 3 * MIB + slack, "stacks")
            self.check_between(parts["direct_bytes"], 24 * MIB, 24 * MIB + slack, "direct")
            self.check_between(parts["profiler_bytes"], 100 << 10, 6 * MIB, "the profiler")
            asked = int(re.search(r"inuse_bytes=(\d+)", said)[1])
            self.check_between(parts["in_use_bytes"], asked, asked + (200 << 10), "in use")
            self.assertGreater(parts["allocator_bytes"], 0)
            self.assertEqual(told["asked_for_and_absent_bytes"], 0)

    @cases(*ALLOCATORS)
    def test_rounding(self, allocator):
        """Of 1,000 bytes each, by owner; and nothing of what stacks without rounding have. Seen to fail: it was xmalloc's."""
        program, said = self.stopped("small", allocator=allocator)
        with program:
            told, there = self.looked_at(program.pid)
            usable, asked = map(int, re.search(r"usable (\d+) asked (\d+)", said).groups())
            row = next(row for row in told["rounding"] if row["name"] == "victim_small")
            self.assertEqual(row["in_use_bytes"], asked)
            self.assertAlmostEqual(row["waste_bytes"], usable - asked, delta=asked / 65536 + 1)
            self.assertGreaterEqual(told["parts"]["rounding_bytes"], row["waste_bytes"])
            self.check_sums(told, there)

    @cases(*ALLOCATORS)
    def test_direct_has_owners(self, allocator):
        """What is resident of what each has mapped: to the page, whoever the allocator is. Seen to fail: victim_mapped, into which it is
        inlined."""
        program, said = self.stopped("small", "direct", "shared", allocator=allocator, mmap="yes")
        with program:
            told, there = self.looked_at(program.pid)
            self.check_sums(told, there)
            self.assertEqual(told["direct"], [{"name": "map_arena", "resident_bytes": 16 * MIB, "mapped_bytes": 32 * MIB}])
            self.assertGreaterEqual(told["parts"]["direct_bytes"], 16 * MIB)
            self.assertRegex(self.tool("rss", program.pid).stdout, r"(?m)^ *resident +of it% +mapped *\n +16MB +50.00% +32MB +map_arena \(inline\)$")

    def test_sampled(self):
        """An estimate, at the usual interval; the sum is as exact."""
        program, said = self.stopped(*ALL, sample=None, seed=1)
        with program:
            told, there = self.looked_at(program.pid)
            self.check_sums(told, there)
            asked = int(re.search(r"inuse_bytes=(\d+)", said)[1])
            self.check_between(told["parts"]["in_use_bytes"], asked // 2, 2 * asked, "in use")
            self.check_between(told["parts"]["direct_bytes"], 24 * MIB, 25 * MIB, "direct")

    def test_absent(self):
        program, said = self.stopped("small", "absent")
        with program:
            told, there = self.looked_at(program.pid)
            self.check_sums(told, there)
            self.assertEqual(told["parts"]["allocator_bytes"], 0)
            self.assertGreater(told["asked_for_and_absent_bytes"], 24_000_000)
            self.assertIn("more was asked for and is not resident", self.tool("rss", program.pid).stdout)

    @cases("glibc", "jemalloc")
    def test_a_stack_from_malloc_is_in_use(self, allocator):
        program, said = self.stopped("own", allocator=allocator)
        with program:
            told, there = self.looked_at(program.pid)
            self.check_sums(told, there)
            self.assertLess(told["parts"]["stacks_bytes"], 1 * MIB)
            self.assertGreater(told["parts"]["in_use_bytes"], 2 * MIB - 1)

    def test_jemalloc_tells(self):
        """When the program asks for a profile itself; the allocator's numbers are those of that moment."""
        program, said = self.stopped("small", "ask", "large", allocator="jemalloc")
        with program:
            told, counted = self.rss(program.pid), int(re.search(r"inuse_bytes=(\d+)", said)[1]) - 24_000_000
            says = told["allocator_says"]
            self.check_between(says["allocated"], counted, counted + 2 * MIB, "allocated")
            self.assertLessEqual(says["allocated"], says["active"])
            self.assertLess(says["active"] + says["metadata"], says["resident"] + (1 << 20))
            self.assertRegex(self.tool("rss", program.pid).stdout, r"(?m)^when heapprof_dump was last called, .* allocated [\d.]+MB, active ")

    @cases("handler", "large")
    def test_jemalloc_is_not_asked(self, what):
        """In a handler, which may have interrupted it; and where nobody asks for a profile."""
        program, said = self.stopped("small", what, allocator="jemalloc")
        with program:
            self.assertIsNone(self.rss(program.pid)["allocator_says"])

    @cases("glibc", "tcmalloc_minimal", "mimalloc")
    def test_others_do_not_tell(self, allocator):
        program, said = self.stopped("small", "ask", allocator=allocator)
        with program:
            self.assertIsNone(self.rss(program.pid)["allocator_says"])

    def test_mappings(self):
        program, said = self.stopped(*ALL)
        with program:
            told, there = self.looked_at(program.pid, "--mappings")
            self.assertEqual([(int(m["start"], 16), m["bytes"], m["resident_bytes"], m["permissions"], m["name"]) for m in told["mappings"]],
                             [(m.start, m.limit - m.start, m.resident, m.permissions, m.path) for m in there])
            parts = {m["name"]: m["part"] for m in told["mappings"]}
            self.assertEqual(parts["[heap]"], "allocator")
            self.assertEqual(parts["[stack]"], "stack")
            self.assertEqual(parts[next(m.path for m in there if m.path.startswith("/memfd:"))], "shared")
            self.assertEqual({parts[m.path] for m in there if "heapprof" in m.path.rpartition("/")[2] and m.path.startswith("/")}, {"profiler"})
            text = self.tool("rss", program.pid, "-m", COLUMNS=None).stdout
            self.assertEqual(sum(line.rstrip().endswith("[heap]") for line in text.splitlines()), 1)

    def test_text(self):
        program, said = self.stopped(*ALL)
        with program:
            text = self.tool("rss", program.pid).stdout
            first, bar, *rest = text.splitlines()
            self.assertRegex(first, rf"^resident, pid {program.pid}: [\d.]+MB resident, [\d.]+MB at most$")
            self.assertEqual(len(bar), 80)
            told = self.rss(program.pid)
            keys = dict(zip("#+-|=os.", told["parts"]))
            for sign, key in keys.items():
                self.assertAlmostEqual(bar[1:-1].count(sign), 78 * told["parts"][key] / told["resident_bytes"], delta=1)
            self.assertEqual(len(re.findall(r"^ +[\d.]+[kM]?B? +[\d.]+%  [#+=|os.-] ", "\n".join(rest), re.M)), 8)
            self.assertRegex(text, r"(?m)^ *waste +waste% +in use$")
            self.assertRegex(text, r"(?m)^ *[\d.]+kB +[\d.]+% +[\d.]+MB +victim_small$")

    def test_while_it_runs(self):
        """Whatever changes between the looks, the parts are those of one."""
        program, said = self.stopped("small", "threads")
        with program:
            os.kill(program.pid, signal.SIGCONT)
            for _ in range(20):
                told = self.rss(program.pid)
                self.assertEqual(sum(told["parts"].values()), told["resident_bytes"])

    def test_first_thread_has_ended(self):
        with self.start([self.victim("resident"), "small", "threads", "leave"], sample=1) as program:
            program.read_until("ready")
            wait_until(lambda: status_of(program.pid) == "Z", "its first thread has ended")
            told = self.rss(program.pid)
            self.assertGreater(told["resident_bytes"], 0)
            self.assertEqual(sum(told["parts"].values()), told["resident_bytes"])

    def test_name(self):
        name = f"rss-{os.getpid()}"  # that no other test's program has
        shutil.copy(self.victim("resident"), self.dir / name)
        with self.start([self.dir / name, "small"], sample=1) as program:
            program.read_until("ready")
            self.assertEqual(self.rss(name)["pid"], program.pid)

    def test_ls(self):
        program, said = self.stopped("large")
        with program:
            listed = self.listed()[program.pid]
            self.assertAlmostEqual(listed["resident_bytes"], total_of(smaps(program.pid)), delta=2 * MIB)
            self.assertGreaterEqual(listed["resident_most_bytes"], listed["resident_bytes"])

    def test_info(self):
        program, said = self.stopped("large", "direct")
        with program:
            text = self.tool("info", program.pid).stdout
            self.assertRegex(text, r"(?m)^ +16[\d.]*MB +[\d.]+%  o mapped directly, not through malloc$")

            def shown():
                """What both say, if nothing has changed between them: the kernel may take back a page of a file."""
                told, (rss, _) = json.loads(self.tool("info", program.pid, "--json").stdout), self.looked_at(program.pid)
                return (told["resident"]["parts"], rss["parts"]) if told["resident"]["resident_bytes"] == rss["resident_bytes"] else None
            self.assertEqual(*wait_until(shown, "nothing changes between the two"))

    def test_dead(self):
        pid = self.killed()
        self.check_one_line(self.tool("rss", pid, expect=1), pid, "has ended", "recover")

    def test_not_profiled(self):
        self.check_one_line(self.tool("rss", os.getpid(), expect=1), os.getpid(), "not profiled")

    def test_not_profiled_and_closed(self):
        """Of a container's first process even root may not read the memory map. Seen to fail there: that was all that was said."""
        need_root()
        self.check_one_line(self.tool("rss", 1, expect=1), "process 1 is not profiled")

    def test_no_process(self):
        self.check_one_line(self.tool("rss", "no-such-program", expect=1), "'no-such-program'")
        process = subprocess.Popen(["true"])
        process.wait()
        self.check_one_line(self.tool("rss", process.pid, expect=1), process.pid)

    def test_misused(self):
        for arguments in ((), ("1", "2"), ("./file",), ("--rows", "x", "1")):
            self.check_one_line(self.tool("rss", *arguments, expect=2), "rss" if "x" not in arguments else "'x'")

    def test_no_permission(self):
        """Root's process, for somebody else."""
        need_root()
        folder = self.public_directory()
        program, said = self.stopped("small")
        with program:
            done = self.tool_as_nobody(folder, "rss", program.pid, expect=1)
            self.check_one_line(done, program.pid)
