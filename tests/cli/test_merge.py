# SPDX-License-Identifier: MIT
"""heapprof merge: the sum of several profiles is the sum of their numbers, wherever their code was mapped."""
import gzip
import math
import os
import stat
import subprocess

from cli.views import TYPES, Terminal, Views
from harness import paths, pprof_reader, tools
from harness.case import cases, timeout
from harness.states import StateCase
from hazards.toolbox import compile


def sum_of(dictionaries):
    result = {}
    for dictionary in dictionaries:
        for key, value in dictionary.items():
            result[key] = result.get(key, 0) + value
    return result


def stacks(profile, kind):
    """Stacks of names -> value; a frame without a name is called after its file, as addresses differ."""
    files = {f"{location.address:#x}": f"[{os.path.basename(location.mapping.filename)}]"
             for location in profile.locations}
    return sum_of({tuple(files.get(name, name) for name in frames): value}
                  for frames, value in profile.stacks(kind).items())


class Foreign(Views):
    """What somebody else has put at the name that is written to, for root to fall for."""
    def setUp(self):
        super().setUp()
        if os.geteuid() != 0:
            self.skipTest("only root can make what somebody else has made")
        self.profiled([self.victim("leak")], expect=None, out=self.out_dir / "made.pb.gz")
        self.target, self.name = self.dir / "precious", self.out_dir / "name.pb.gz"
        self.target.write_text("precious")

    def refused(self, *options, says):
        self.check_refuses("merge", "made.pb.gz", *options, "-o", self.name, status=1, says=says)
        self.assertEqual(self.target.read_text(), "precious")

    @cases("link", "link to a link")
    def test_force_follows_no_foreign_link(self, kind):
        """Seen to fail: the file that it led to was replaced."""
        foreign = self.name if kind == "link" else self.dir / "foreign"
        foreign.symlink_to(self.target)
        os.lchown(foreign, 65534, 65534)
        if kind != "link":
            self.name.symlink_to("../foreign")
        self.refused("-f", says="a symbolic link of user 65534, and is left alone")

    def test_own_link_is_followed(self):
        self.name.symlink_to("../precious")
        self.tool("merge", "made.pb.gz", "-f", "-o", self.name)
        self.assertTrue(self.name.is_symlink())
        self.check_lint(pprof_reader.load(self.target))

    @timeout(20)
    @cases("-f", "-q")
    def test_foreign_pipe_is_not_waited_for(self, option):
        """Seen to fail: it was opened, which waits for a reader."""
        os.mkfifo(self.name)
        os.chown(self.name, 65534, 65534)
        self.refused(*([option] if option == "-f" else []), says="a pipe of user 65534, and is left alone")


class Merge(Views):
    def merge(self, *arguments):
        self.tool("merge", *arguments, "-o", "merged.pb.gz")
        profile = pprof_reader.load(self.out_dir / "merged.pb.gz")
        self.check_lint(profile)
        return profile

    def two_runs(self, **options):
        for number in (1, 2):
            self.profiled([self.victim("leak")], expect=None, out=f"{self.out_dir}/run.{number}.pb.gz", **options)
        return [self.out_dir / f"run.{number}.pb.gz" for number in (1, 2)]

    def check_sum(self, merged, files):
        profiles = [pprof_reader.load(path) for path in files]
        for kind in TYPES:
            self.assertEqual(stacks(merged, kind), sum_of(stacks(profile, kind) for profile in profiles), kind)
        for key in ("samples", "exact_units", "estimated_units", "lost.total", "own_bytes", "sampling_ns", "cpu_ns"):
            self.assertEqual(merged.comment_values()[key], sum(p.comment_values()[key] for p in profiles), key)
        self.assertIn(f"# heapprof merged: {len(files)} profiles", merged.comments)

    def test_forked_siblings(self):
        """A parent and its child, each with allocations of its own below frames that both have."""
        run = self.profiled([self.victim("fork"), "busy"], sample=1)
        self.assertEqual(len(run.files), 2)
        merged = self.merge(*run.files)
        both = [pprof_reader.load(path).totals(lambda frames: "victim_before_fork" in frames) for path in run.files]
        expected = sum_of(run.shadows.values())
        for kind in TYPES:  # of these the parent has freed one half, and the child the other
            expected[kind] -= min(totals[kind] for totals in both)
        self.assertEqual(merged.counted(lambda frames: any(name.startswith("victim_") for name in frames)), expected)
        for pid in run.shadows:
            self.assertIn(f"# heapprof pid: {pid}", merged.comments)
        self.assertEqual(merged.comments.count("# heapprof program: fork"), 1)

    def test_two_runs_at_different_addresses(self):
        files = self.two_runs(sample=1)
        one = pprof_reader.load(files[0])
        merged = self.merge(*files)
        self.check_sum(merged, files)
        starts = [pprof_reader.load(path).mappings[0].start for path in files]
        self.assertNotEqual(*starts, "the same addresses twice: nothing was tested")
        self.assertEqual((len(merged.samples), len(merged.locations), len(merged.mappings)),
                         (len(one.samples), len(one.locations), len(one.mappings)))
        self.assertEqual(merged.mappings[0].filename, one.mappings[0].filename)

    @cases(*tools.PPROFS)
    def test_as_pprof_adds_them(self, which):
        files = self.two_runs(sample=64)
        self.merge(*files)
        for kind in ("alloc_objects", "inuse_space"):
            ours = tools.pprof_top(which, self.out_dir / "merged.pb.gz", kind)
            self.assertEqual(ours, tools.pprof_top(which, files[1], kind, files[0]))

    def test_variances_are_added(self):
        stacks = [{("leaf", "main"): (1, 100, 1, 100), ("main",): (2, 20, 0, 0)}, {("leaf", "main"): (3, 300, 0, 0)}]
        variances = [{("leaf", "main"): (1, 2, 3, 4), ("main",): (5, 6, 7, 8)}, {("leaf", "main"): (10, 20, 30, 40)}]
        files = [self.make(f"made{i}", stacks[i], variances=variances[i]) for i in (0, 1)]
        self.tool("merge", *files, "-o", "merged.pb.gz")
        merged = pprof_reader.load(self.out_dir / "merged.pb.gz")
        by_stack = {tuple(merged.frames(sample)): (sample.values, sample.variances) for sample in merged.samples}
        expected = {("leaf", "main"): ((4, 400, 1, 100), (11, 22, 33, 44)), ("main",): ((2, 20, 0, 0), (5, 6, 7, 8))}
        self.assertEqual(by_stack, {stack: tuple(dict(zip(TYPES, numbers)) for numbers in both)
                                    for stack, both in expected.items()})
        errors = [merged.comment_values()[f"standard_error.{kind}"] for kind in TYPES]
        self.assertEqual(errors, [round(math.sqrt(number)) for number in (16, 28, 40, 52)])

    def test_variances_nobody_knows(self):
        known = self.make("known", {("main",): (1, 1, 1, 1)}, variances={("main",): (1, 1, 1, 1)})
        unknown = self.make("unknown", {("main",): (1, 1, 1, 1)})
        self.tool("merge", known, unknown, "-o", "merged.pb.gz")
        merged = pprof_reader.load(self.out_dir / "merged.pb.gz")
        self.assertEqual([sample.variances for sample in merged.samples], [{}])

    def test_symbolized_and_not(self):
        """Of one place the profile that knows more tells; the sum has it once."""
        symbolized = self.profile_app()[1]
        self.profiled([compile(paths.TESTS / "cli/app.cc")], sample=4096, seed=1, out=f"{self.out_dir}/plain.%n.pb.gz")
        plain = self.out_dir / "plain.2.pb.gz"
        one, merged = pprof_reader.load(symbolized), self.merge(plain, symbolized)
        self.assertEqual((len(merged.samples), len(merged.locations)), (len(one.samples), len(one.locations)))
        self.assertEqual(merged.totals(), {kind: 2 * total for kind, total in one.totals().items()})
        lines = [number for location in merged.locations for number in location.line_numbers]
        self.assertEqual(sorted(lines), sorted(n for location in one.locations for n in location.line_numbers))

    def test_one_is_itself(self):
        files = self.two_runs(sample=1)
        one, merged = pprof_reader.load(files[0]), self.merge(files[0])
        self.assertEqual(sorted(merged.comments), sorted(one.comments))
        for kind in TYPES:
            self.assertEqual(stacks(merged, kind), stacks(one, kind))

    def test_different_kinds(self):
        heap = self.make("heap", {("main",): (1, 2, 3, 4)})
        other = self.make("other", {("main",): (1, 2)}, types=("alloc_objects", "contentions"),
                          default_type="contentions")
        more = self.make("more", {("main",): (1,)}, types=("alloc_objects",), default_type="alloc_objects")
        self.check_refuses("merge", heap, other, "-o", "merged.pb.gz", status=1, 
                           says="other.* has values of 'contentions' .* where .*heap.* has 'alloc_space'")
        self.check_refuses("merge", heap, more, "-o", "merged.pb.gz", status=1,
                           says="more.* has 1 values .* where .*heap.* has 4")
        self.assertFalse((self.out_dir / "merged.pb.gz").exists())

    def test_bad_input_writes_nothing(self):
        good = self.make("good", {("main",): (1, 2, 3, 4)})
        self.check_bad_sources("merge", good, "-o", "merged.pb.gz")
        cut = self.out_dir / "cut.pb.gz"
        cut.write_bytes(good.read_bytes()[:-12])
        self.check_refuses("merge", good, cut, "-o", "merged.pb.gz", status=1,
                           says=r"cut\.pb\.gz is damaged.*nothing is written")
        self.assertEqual({path.name for path in self.out_dir.iterdir()},
                         {"good.pb.gz", "cut.pb.gz", "empty", "text", "directory"})

    def test_output(self):
        made = self.make("made", {("main",): (1, 2, 3, 4)})
        target = self.out_dir / "target.pb.gz"
        target.write_text("precious")
        self.check_refuses("merge", made, "-o", target, status=1,
                           says=r"target\.pb\.gz is there already and is kept; -f replaces it")
        self.assertEqual(target.read_text(), "precious")
        self.tool("merge", made, "-f", "-o", target)
        self.assertEqual(pprof_reader.load(target).totals(), dict(zip(TYPES, (1, 2, 3, 4))))
        self.assertEqual(stat.S_IMODE(os.stat(target).st_mode), 0o600)
        self.check_refuses("merge", made, "-o", self.out_dir, status=1, says="there already")
        self.check_refuses("merge", made, "-f", "-o", self.out_dir, status=1, says="Is a directory")
        self.check_refuses("merge", made, "-o", "no/where.pb.gz", status=1, says=r"no/where\.pb\.gz: No such file")
        self.check_refuses("merge", made, "-o", "/dev/full", status=1, says="No space left on device")
        self.assertEqual(sorted(path.name for path in self.out_dir.iterdir()), ["made.pb.gz", "target.pb.gz"])

    def test_standard_input_and_output(self):
        made = self.make("made", {("main",): (1, 2, 3, 4)})
        for output in ([], ["-o", "-"], ["-o", "/dev/stdout"]):
            with open(self.out_dir / "piped.pb.gz", "wb") as file, open(made, "rb") as source:
                done = self.piped(["merge", "-", made, *output], source, file)
            self.assertEqual((done.returncode, done.stderr), (0, b""))
            self.assertEqual(pprof_reader.load(self.out_dir / "piped.pb.gz").totals(), dict(zip(TYPES, (2, 4, 6, 8))))

    def piped(self, arguments, source, target):
        pipe = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=target)
        done = subprocess.run([paths.TOOL, *arguments], stdin=source, stdout=pipe.stdin, stderr=subprocess.PIPE,
                              env=self.tool_environment())
        pipe.communicate()
        return done

    @cases([], ["-o", "-"])
    def test_a_terminal_gets_no_profile(self, output):
        made = self.make("made", {("main",): (1, 2, 3, 4)})
        with Terminal(self, "merge", made, *output) as terminal:
            self.assertIn(terminal.wait(), (1, 2))
            self.assertRegex(terminal.text, r"\Aheapprof: [^\n]*terminal[^\n]*-o[^\n]*\r\n\Z")

    def test_members_of_one_file(self):
        """gzip files can be put behind each other; so can pprof messages cut anywhere."""
        made = self.make("made", {("main",): (1, 2, 3, 4)})
        message = gzip.decompress(made.read_bytes())
        made.write_bytes(gzip.compress(message[:40]) + gzip.compress(message[40:]))
        self.tool("merge", made, "-o", "merged.pb.gz")
        self.assertEqual(pprof_reader.load(self.out_dir / "merged.pb.gz").totals(), dict(zip(TYPES, (1, 2, 3, 4))))


class MergeOfOneProcess(StateCase):
    @timeout(90)
    def test_is_warned_of(self):
        with self.holder("work") as program:
            files = [self.tool("dump", program.pid).stdout.rstrip("\n") for _ in range(2)]
        done = self.tool("merge", *files, "-o", "merged.pb.gz")
        self.assertRegex(done.stderr,
                         rf"\Aheapprof: {files[0]} and {files[1]} are of one process, {program.pid}: [^\n]*twice\n\Z")
        self.assertEqual(self.tool("merge", files[0], "-o", "once.pb.gz").stderr, "")


class Family(Views):
    """What a forked child inherited is in its profile, and counts once in the sum of a tree."""
    PROCESSES = 4

    def run_family(self, what, folder="tree"):
        """The profiles of the processes, the parent's first."""
        self.tool("run", "-q", "--sample=1", "-o", f"{folder}/", "--", self.victim("family"), what)
        files = sorted((self.out_dir / folder).iterdir(), key=lambda path: pprof_reader.load(path).comment_values()["created_unix_ns"])
        self.assertEqual(len(files), self.PROCESSES)
        return files

    def held(self, *files):
        """MiB in use by what was loaded, and by what serves; and allocated by both."""
        self.tool("merge", *files, "-f", "-o", "merged.pb.gz")
        profile = pprof_reader.load(self.out_dir / "merged.pb.gz")
        self.check_lint(profile)
        self.assertEqual([sample for sample in profile.samples if sample.labels], [])
        loaded, served = (profile.totals(lambda frames: name in frames) for name in ("victim_load", "victim_serve"))
        return [value / 2**20 for value in (loaded["inuse_space"], served["inuse_space"], loaded["alloc_space"], served["alloc_space"])]

    @cases(("keep", 40), ("free", 40), ("drop", 40), ("deep", 40))
    def test_tree(self, what, loaded):
        """Seen to fail: 160 MiB for the 40 that were loaded, where all keep them."""
        files = self.run_family(what)
        self.assertEqual(self.held(*files), [loaded, 30, 40, 30])
        comments = pprof_reader.load(self.out_dir / "merged.pb.gz").comment_values()
        self.assertEqual(comments["exact_units"], comments["estimated_units"])

    @cases(("keep", 40), ("drop", 0), ("free", 40))
    def test_workers_alone(self, what, loaded):
        """Their parent's profile is not there: one of them has all that it loaded."""
        _, *workers = self.run_family(what)
        self.assertEqual(self.held(*workers), [loaded, 30, 40, 30])

    def test_one_place(self):
        """The child's first sample has the stack of its parent's last one, and is its own all the same."""
        run = self.profiled([self.victim("family"), "same"], sample=1)
        child, = (p for p in map(pprof_reader.load, run.files) if "forked_from" in p.comment_values())
        held = {bool(s.labels): s.values["inuse_space"] for s in child.samples if s.values["inuse_space"] == 1 << 20}
        self.assertEqual(held, {True: 1 << 20, False: 1 << 20})
        self.tool("merge", *run.files, "-f", "-o", "merged.pb.gz")
        self.assertGreaterEqual(pprof_reader.load(self.out_dir / "merged.pb.gz").total("inuse_space"), 2 << 20)

    def test_one_worker(self):
        _, worker, *_ = self.run_family("keep")
        self.assertEqual(self.held(worker), [40, 10, 40, 10])

    def test_two_trees(self):
        """They only look alike."""
        self.assertEqual(self.held(*self.run_family("keep"), *self.run_family("keep", "other")), [80, 60, 80, 60])
        self.assertEqual(self.held(*self.run_family("deep", "third")[:2], self.out_dir / "merged.pb.gz"), [120, 70, 120, 70])

    def test_written_by_the_processes(self):
        run = self.profiled([self.victim("family"), "keep"], sample=1)
        self.assertEqual(self.held(*run.files), [40, 30, 40, 30])
        labels = [{name for sample in pprof_reader.load(path).samples for name in sample.labels} for path in run.files]
        self.assertEqual(sorted(map(len, labels)), [0, 1, 1, 1])
        self.assertIn({"inherited"}, labels)

    def test_in_a_child(self):
        """The label tells apart what it allocated itself at the same place."""
        run = self.profiled([self.victim("fork"), "busy"], sample=1)
        child, = (p for p in map(pprof_reader.load, run.files) if "forked_from" in p.comment_values())
        inherited = {bool(s.labels) for s in child.samples if "victim_before_fork" in s.raw_frames()}
        own = {bool(s.labels) for s in child.samples if "victim_in_child" in s.raw_frames()}
        self.assertEqual((inherited, own), ({True}, {False}))
