# SPDX-License-Identifier: MIT
"""What a program maps itself has an owner: exact, whatever is done with parts of it, and apart from the heap."""
import collections
import json
import os
import re
import signal

from harness import region_reader
from harness.case import cases
from harness.states import StateCase, wait_until

PAGE, SITES = 4096, 6
TYPES = ("alloc_objects", "alloc_space", "inuse_objects", "inuse_space")
RESERVED = 32  # a flag of stacks


def totals_of(profile, site):
    """Of what the innermost such function did. With all frames: a handler may have interrupted malloc, whose callers' it is not."""
    def is_of_site(sample):
        names = [name for name in sample.raw_frames() if name.startswith("victim_")]
        return names and names[0].endswith(f"_{site}")
    chosen = [sample for sample in profile.samples if is_of_site(sample)]
    return {name: sum(sample.values[name] for sample in chosen) for name in TYPES}


class MappingCase(StateCase):
    def mapper(self, *what, processes=1, sample=1, mmap="yes", **options):
        """The program, when it has done all that, and what it counted: by process, a dictionary for each site."""
        program = self.start([self.victim("mappings"), *what], sample=sample, mmap=mmap, **options)
        said = "".join(program.read_until("ready") for _ in range(processes))
        counted = collections.defaultdict(dict)
        for row in re.findall(r"site (\d) " + " ".join(rf"{name}=(\d+)" for name in TYPES) + r" pid=(\d+)", said):
            site, *values, pid = map(int, row)
            counted[pid][site] = dict(zip(TYPES, values))
        self.assertEqual((len(counted), {len(of) for of in counted.values()}), (processes, {SITES}), said)
        return program, counted

    def mapped_by(self, pid):
        profile = self.dump(pid, "--mmap")
        self.assertEqual([name for name, _ in profile.sample_types], list(TYPES))
        comments = profile.comment_values()
        self.assertEqual((comments["sampling_interval_bytes"], comments["lost.total"]), (1, self.lost_of(pid)))
        return profile

    def lost_of(self, pid):
        return region_reader.load(self.state_file(pid)).lost[11]

    def check_process(self, pid, counted):
        profile = self.mapped_by(pid)
        for site in range(SITES):
            self.assertEqual(totals_of(profile, site), counted[site], f"site {site}; {self.describe(profile, None)}")
        ours = {name: sum(of[name] for of in counted.values()) for name in TYPES}
        self.assertEqual(profile.totals(), ours, self.describe(profile, None))


class Exact(MappingCase):
    """Seen to fail with the table's slots not split, not told apart by when they were made, and with allocators' calls counted."""

    @cases("glibc", "jemalloc", "tcmalloc", "mimalloc")
    def test_usual(self, allocator):
        """The allocator's own mappings are not the program's. tcmalloc has sbrk for itself, between two of the program's."""
        program, counted = self.mapper("usual", allocator=allocator)
        with program:
            self.check_process(program.pid, counted[program.pid])

    @cases(("random", 20000), ("threads", 2000))
    def test_random(self, what, steps):
        program, counted = self.mapper(what, steps)
        with program:
            self.check_process(program.pid, counted[program.pid])

    @cases(None, 4096, "64G")
    def test_every_interval(self, sample):
        program, counted = self.mapper("usual", "random", 500, sample=sample)
        with program:
            self.check_process(program.pid, counted[program.pid])

    def test_fork(self):
        """Both go on with what there was; the child has its own file as soon as it maps something."""
        program, counted = self.mapper("fork", processes=2)
        with program:
            for pid, of_process in counted.items():
                self.check_process(pid, of_process)
            self.assertEqual(len(counted), 2)

    def test_threads_that_share_a_mapping(self):
        """Where a thread waited in vain for another one that did not run, a page stays, and a loss is counted."""
        program, counted = self.mapper("shared", 1001)
        with program:
            profile, lost = self.mapped_by(program.pid), self.lost_of(program.pid)
            stayed = profile.total("inuse_space") - counted[program.pid][2]["inuse_space"]
            self.assertTrue(0 <= stayed <= PAGE * lost and stayed % PAGE == 0, f"{stayed} bytes, {lost} losses")

    def test_full_table(self):
        program, counted = self.mapper("many", 5000)
        with program:
            profile = self.mapped_by(program.pid)
            self.assertEqual(totals_of(profile, 1)["inuse_objects"], 4096)
            self.assertEqual(self.lost_of(program.pid), 5000 - 4096)
            self.assertIn("904 mapping", self.tool("info", program.pid).stdout)

    def test_reservations_are_not_memory(self):
        program, counted = self.mapper("reserve")
        with program:
            self.check_process(program.pid, counted[program.pid])
            table = self.tool("top", "--mmap", program.pid).stdout
            self.assertIn("Reserved without access, and not counted: 1024GB\n", table)
            self.assertIn("victim_map_3", table)
            self.assertNotIn("victim_reserve", table)


class Apart(MappingCase):
    def test_heap_is_without_it(self):
        program, _ = self.mapper("usual")
        with program:
            heap = self.dump(program.pid)
            self.assertEqual(heap.totals(lambda frames: any(name.startswith("victim_") for name in frames))["alloc_objects"], 0)
            self.assertEqual([name for name, _ in heap.sample_types], [*TYPES, "peak_objects", "peak_space"])

    def test_state_file(self):
        """Ranges do not overlap, and are what their stacks have mapped."""
        program, _ = self.mapper("usual", "random", 3000, "reserve")
        with program:
            region = region_reader.load(self.state_file(program.pid))
        ranges = sorted(region.ranges)
        self.assertGreater(len(ranges), 10)
        self.assertTrue(all(one[1] <= other[0] for one, other in zip(ranges, ranges[1:])), ranges)
        by_stack = collections.Counter()
        for start, limit, stack in ranges:
            by_stack[stack] += limit - start
        self.assertEqual(by_stack, {stack: of.in_use.bytes for stack, of in region.mapped.items() if of.in_use.bytes})
        self.assertEqual([of.in_use.bytes for of in region.mapped.values() if of.flags & RESERVED], [(1 << 40) - (1 << 20)])

    def test_switched_off(self):
        program, _ = self.mapper("random", 10, mmap="no")  # allocates, too
        with program:
            for command in "dump", "top", "report":
                done = self.tool(command, "--mmap", program.pid, expect=1)
                self.check_one_line(done, str(program.pid), "HEAPPROF_MMAP=yes")
            self.assertEqual(json.loads(self.tool("rss", program.pid, "--json").stdout)["direct"], [])

    def test_exit_writes_no_more_files(self):
        program, _ = self.mapper("usual", "random", 10)
        with program:
            run = program.end("\n")
        self.assertEqual((run.status, len(run.files), self.states()), (0, 1, []))

    def test_recover(self):
        """What was mapped is written beside the heap, and the state stays for that."""
        program, counted = self.mapper("usual", "random", 10)
        with program:
            os.kill(program.pid, signal.SIGKILL)
        wait_until(lambda: self.listed().get(program.pid, {}).get("state") == "dead", "it is dead")
        profile = self.recover(program.pid, "--mmap")
        self.assertEqual(totals_of(profile, 3), counted[program.pid][3])
        self.assertEqual(self.states(), [f"{program.pid}.heapprof"])
        self.assertGreater(len(self.recover(program.pid).samples), 0)
        self.assertEqual(self.states(), [])


class Views(MappingCase):
    def test_top_and_report(self):
        program, counted = self.mapper("usual")
        with program:
            expected = counted[program.pid][3]["inuse_space"]
            self.assertEqual(expected, 400 << 10)
            for options in ([program.pid, "--mmap"], [self.tool("dump", program.pid, "--mmap").stdout.strip()]):
                table = self.tool("top", *options).stdout
                self.assertRegex(table, r"(?m)^ *400kB +[\d.]+% +[\d.]+% +400kB +[\d.]+% +victim_move_3$")
                self.assertIn("Memory: mapped by the program itself (mmap, mremap, sbrk)\n", table)
                self.assertIn("Values are exact\n", table)
                self.tool("report", "-f", *options)
                self.assertIn("victim_move_3", (self.out_dir / "report.html").read_text())

    def test_profile_of_a_heap(self):
        program, _ = self.mapper("usual")
        with program:
            self.tool("dump", program.pid, "-o", "heap.pb.gz")
            self.check_one_line(self.tool("top", "--mmap", "heap.pb.gz", expect=1), "heap.pb.gz", "--mmap")
            self.check_misuse("dump")
            self.check_misuse("recover")

    def check_misuse(self, command):
        done = self.tool(command, "--mmap", "--peak", "1", expect=2)
        self.assertIn("--peak is of the heap", done.stderr)
