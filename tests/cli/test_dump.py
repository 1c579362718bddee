# SPDX-License-Identifier: MIT
"""heapprof dump: the profile of a process, taken from outside."""
import os
import signal
import subprocess
import time

from harness import paths, pprof_reader, tools
from harness.case import cases, in_victim, timeout
from hazards.toolbox import compile, static_flags
from harness.states import (StateCase, need_mount_namespaces, need_root, read_counts, status_of, wait_until)

PEAK_BYTES = 100 * 100000  # of victims/holds


def counted(frames):
    """Is it among what victims/holds counts itself? dlopen allocates, too."""
    return frames[0].startswith("victim_") or "victim_code" in frames


def stacks_of(profile):
    """What the samples say, whatever their ids and names: (labels, places) -> values"""
    def place(location):
        return location.mapping and (location.mapping.filename, location.mapping.start), location.address
    stacks = {}
    for sample in profile.samples:
        key = tuple(sorted(sample.labels.items())), tuple(place(location) for location in sample.locations)
        if key in stacks:
            raise AssertionError(f"twice: {key}")
        stacks[key] = sample.values
    return stacks


def mappings_of(profile):
    """Those that samples run through, in order, without what only symbols tell."""
    used = {location.mapping.id for sample in profile.samples for location in sample.locations}
    return [(m.filename, m.start, m.limit, m.offset, m.build_id) for m in profile.mappings if m.id in used]


class LikeItsOwn(StateCase):
    """What is read of a stopped process is what it says of itself."""

    @cases(1, 512)
    def test_same(self, interval):
        with self.holder("work", "peak", sample=interval, seed=1, signal="USR2") as program:
            os.kill(program.pid, signal.SIGUSR2)
            inside, = program.wait_for_files(1)
            self.stop(program)
            inside, outside = pprof_reader.load(inside), self.dump(program.pid)
        self.check_lint(inside)
        one, other = stacks_of(outside), stacks_of(inside)
        unequal = [key for key in one.keys() | other.keys() if one.get(key) != other.get(key)]
        self.assertEqual([(key, one.get(key), other.get(key)) for key in unequal], [])
        self.assertEqual(mappings_of(outside), mappings_of(inside))
        files = {os.path.basename(mapping.filename) for mapping in outside.mappings}
        self.assertIn("holds", files)
        if interval == 1:  # else chance chooses
            self.assertLessEqual({"anon", "libplugin.so"}, files)
        for what in ("sample_types", "default_sample_type", "period", "period_type", "duration_nanos", "drop_frames"):
            self.assertEqual(getattr(outside, what), getattr(inside, what), what)
        self.assertEqual(any(sample.variances for sample in outside.samples), interval > 1)

    def comments_of_both(self, **options):
        with self.holder("work", signal="USR2", **options) as program:
            os.kill(program.pid, signal.SIGUSR2)
            inside, = program.wait_for_files(1)
            self.stop(program)
            return pprof_reader.load(inside).comment_values(), self.dump(program.pid).comment_values()

    @cases(1, 512)
    def test_comments(self, interval):
        """All but how its stacks were unwound, which it keeps to itself."""
        inside, outside = self.comments_of_both(sample=interval)
        self.assertEqual((inside.pop("reason"), outside.pop("reason")), ("signal", "dump"))
        self.assertEqual(inside.pop("unwinder"), "unwind information")
        self.assertAlmostEqual(outside.pop("sampling_ns") / inside.pop("sampling_ns"), 1, delta=0.01)
        self.assertGreater(outside.pop("cpu_ns"), inside.pop("cpu_ns"), "asked later, of the kernel")
        self.assertEqual(outside, inside)
        self.assertGreater(outside["samples"], 10)

    def test_names(self):
        """The same functions, inlined ones and operator new aside; the leaf is who asked for memory."""
        with self.holder() as program:
            self.stop(program)
            profile = self.dump(program.pid)
        totals = profile.totals(counted)
        leaves = {sample.raw_frames()[0] for sample in profile.select(in_victim)}
        self.assertTrue({"victim_news", "victim_plugin_allocate"} <= leaves, leaves)
        self.assertFalse([name for name in leaves if name.startswith(("_Zn", "operator new"))])
        self.assertEqual(totals["alloc_objects"], 315)

    def test_exact(self):
        """It is what the program counted itself."""
        with self.holder("work", "peak") as program:
            profile = self.dump(program.pid)
            program.say("end")
            run = program.end()
        self.check_exact(profile, run.shadows[run.pid], counted)


class Targets(StateCase):
    """Processes in all conditions."""

    def test_stopped(self):
        with self.holder() as program:
            self.stop(program)
            profile = self.dump(program.pid)
            self.assertEqual(profile.total("alloc_objects", counted), 315)
            self.assertEqual(status_of(program.pid), "T")

    def test_flat_out(self):
        counts = self.dir / "counts"
        counts.write_bytes(bytes(4096))
        with self.start([self.victim("race"), counts, 2], sample=1) as program:
            wait_until(lambda: read_counts(counts, 2)[1] > 1000000, "it allocates")
            before = read_counts(counts, 2)
            totals = self.dump(program.pid).totals(in_victim)
            after = read_counts(counts, 2)
        self.assertGreaterEqual(totals["alloc_objects"] + totals["alloc_space"], before[1])
        self.assertLessEqual(totals["alloc_objects"] + totals["alloc_space"], after[0])
        self.assertLessEqual(totals["inuse_objects"], 4 * 64)

    def test_not_touched(self):
        """No signal, no trace, no stop, no write: the kernel counts what happened to it."""
        with self.holder() as program:
            def kernel_view():
                fields = dict(line.split(":", 1) for line in open(f"/proc/{program.pid}/status"))
                return {name: fields[name].split() for name in
                        ("SigPnd", "ShdPnd", "SigBlk", "SigCgt", "TracerPid", "voluntary_ctxt_switches", "Threads")}
            wait_until(lambda: status_of(program.pid) == "S", "it waits")
            before, state = kernel_view(), self.state_file(program.pid).read_bytes()
            self.dump(program.pid)
            self.assertEqual(kernel_view(), before)
            self.assertEqual(self.state_file(program.pid).read_bytes(), state)

    def in_namespace(self, script, *arguments):
        """A holder started by a shell that is in a mount namespace of its own; its pid is the shell's."""
        need_root()
        need_mount_namespaces()
        program = self.start(["unshare", "-m", "sh", "-c", script, "sh", *arguments], preload=False)
        program.read_until("ready")
        program.say("work")
        program.read_until("done")
        return program

    def preload(self):
        return f"HEAPPROF_SAMPLE=1 HEAPPROF_DUMP=none LD_PRELOAD={paths.LIB}"

    def test_other_mount_namespace(self):
        """Its state directory is one that we do not see; ours of the same name is empty."""
        script = f"mount -t tmpfs none {self.state_dir} && HEAPPROF_STATE_DIR={self.state_dir} {self.preload()} exec \"$@\""
        with self.in_namespace(script, self.victim("holds"), self.victim("libplugin.so")) as program:
            self.assertEqual(self.states(), [])
            entry = self.listed()[program.pid]
            self.assertEqual(entry["state_file"], f"/proc/{program.pid}/root{self.state_file(program.pid)}")
            profile = self.dump(program.pid)
        self.assertEqual(profile.total("alloc_objects", lambda frames: "victim_news" in frames), 245)

    def test_other_root(self):
        """Its files are found under its root: names as well."""
        root = self.dir / "root"
        root.mkdir()
        script = (f"mount --rbind / {root} && mount -t tmpfs none {root}/tmp && mkdir {root}/tmp/app {root}/tmp/state && "
                  f"cp \"$@\" {root}/tmp/app && rm -f {root}{self.dir}/none && "
                  f"exec env HEAPPROF_STATE_DIR=/tmp/state HEAPPROF_SAMPLE=1 HEAPPROF_DUMP=none "
                  f"chroot {root} env LD_PRELOAD=/tmp/app/libheapprof.so /tmp/app/holds /tmp/app/libplugin.so")
        with self.in_namespace(script, self.victim("holds"), self.victim("libplugin.so"), str(paths.LIB)) as program:
            profile = self.dump(program.pid)
            self.assertEqual(self.read(self.tool("dump", program.pid, "--lines").stdout.strip()).totals(), profile.totals())
        self.assertEqual(profile.total("alloc_objects", lambda frames: "victim_news" in frames), 245)
        self.assertEqual(profile.mappings[0].filename, "/tmp/app/holds")

    def test_other_pid_namespace(self):
        """The pid is ours, not the one that it sees; the name of the profile too."""
        need_root()
        need_mount_namespaces()
        command = ["unshare", "-p", "-f", "--kill-child", self.victim("holds"), self.victim("libplugin.so")]
        with self.start(command, preload=False, LD_PRELOAD=str(paths.LIB), sample=1, state_dir=self.state_dir, dump="none",
                        HEAPPROF_SAMPLE="1") as program:
            program.read_until("ready")
            program.say("work")
            program.read_until("done")
            children = open(f"/proc/{program.pid}/task/{program.pid}/children").read().split()
            entry = self.listed()[int(children[0])]
            self.assertEqual((entry["program"], entry["state_file"]), ("holds", str(self.state_file(1))))
            done = self.tool("dump", children[0])
            self.assertEqual(done.stdout, f"heapprof.holds.{children[0]}.1.pb.gz\n")
            self.assertEqual(self.read(done.stdout.strip()).comment_values()["pid"], 1)

    def test_removed_state(self):
        """The kernel knows the way to a file without a name, for root."""
        need_root()
        with self.holder() as program:
            self.state_file(program.pid).unlink()
            self.assertEqual(self.dump(program.pid).total("alloc_objects", counted), 315)

    @timeout(120)
    def test_ends_meanwhile(self):
        """Whenever that is: a whole profile, or one line and no file."""
        outcomes = set()
        for attempt in range(40):
            with self.holder() as program:
                program.say("end")
                if attempt == 39:
                    program.process.wait()
                time.sleep(attempt * 0.0001)
                done = self.tool("dump", program.pid, expect=None)
                program.process.wait()
            outcomes.add(done.returncode)
            if done.returncode == 0:
                self.read(done.stdout.strip())
                (self.out_dir / done.stdout.strip()).unlink()
            else:
                self.assertEqual(done.returncode, 1)
                self.check_one_line(done, program.pid)
            for path in self.profile_files():
                self.assertIn(f".{program.pid}.", path.name)  # its own
                path.unlink()
        self.assertIn(1, outcomes)

    def test_peak(self):
        with self.holder("work", "peak") as program:
            now, peak = self.dump(program.pid), self.dump(program.pid, "--peak")
            row = self.listed()[program.pid]
        inside = lambda frames: "victim_peak" in frames
        self.assertEqual(now.total("inuse_space", inside), 0)
        self.assertEqual(peak.total("inuse_space", inside), PEAK_BYTES)
        self.assertEqual(peak.total("inuse_objects", inside), 100)
        self.assertEqual(peak.totals()["alloc_space"], now.totals()["alloc_space"])
        self.assertEqual(peak.total("inuse_space"), row["peak_bytes"])
        self.assertEqual(peak.comment_values()["peak_inuse_space"], row["peak_bytes"])
        self.assertGreater(row["peak_bytes"], row["in_use_bytes"])

    def test_lines(self):
        with self.holder() as program:
            profile = self.dump(program.pid, "--lines")
        lines = {(os.path.basename(function.filename), function.name)
                 for location in profile.locations for function in location.functions}
        self.assertIn(("holds.cc", "victim_news"), lines)
        numbers = [number for location in profile.locations for function, number in zip(location.functions, location.line_numbers)
                   if function.name == "main"]
        self.assertTrue(numbers and all(numbers))

    @cases(*tools.PPROFS)
    def test_in_pprof(self, which):
        with self.holder("work", "peak") as program:
            path = self.out_dir / self.tool("dump", program.pid).stdout.strip()
            totals = pprof_reader.load(path).totals(lambda frames: "victim_news" in frames)
        for kind in ("alloc_space", "inuse_objects"):
            self.assertEqual(tools.pprof_top(which, path, kind)["victim_news"][1], totals[kind])


class Output(StateCase):
    def test_usual_names(self):
        with self.holder() as program:
            for number in (1, 2):
                done = self.tool("dump", program.pid)
                self.assertEqual((done.stdout, done.stderr), (f"heapprof.holds.{program.pid}.{number}.pb.gz\n", ""))
            self.assertEqual(len(self.profile_files()), 2)

    def test_several(self):
        with self.holder() as one, self.holder() as other:
            done = self.tool("dump", one.pid, 999999999, other.pid, expect=1)
            self.assertEqual(done.stdout.split(), [f"heapprof.holds.{pid}.1.pb.gz" for pid in (one.pid, other.pid)])
            self.assertRegex(done.stderr, r"\Aheapprof: [^\n]*999999999[^\n]*\n\Z")
            self.check_one_line(self.tool("dump", one.pid, other.pid, "-o", "x", expect=2), "--output")

    def test_named(self):
        with self.holder() as program:
            self.assertEqual(self.tool("dump", program.pid, "-o", "a.pb.gz").stdout, "a.pb.gz\n")
            (self.out_dir / "b").write_text("precious")
            self.check_one_line(self.tool("dump", program.pid, "-o", "b", expect=1), "b")
            self.assertEqual((self.out_dir / "b").read_text(), "precious")
            self.tool("dump", program.pid, "-f", "-o", "b")
            self.assertEqual(self.read("b").totals(), self.read("a.pb.gz").totals())
            (self.out_dir / "folder").mkdir()
            for target in ("folder", "none/c.pb.gz"):
                self.check_one_line(self.tool("dump", program.pid, "-f", "-o", target, expect=1), target)
            self.assertEqual(list((self.out_dir / "folder").iterdir()), [])

    def test_standard_output(self):
        with self.holder() as program:
            done = subprocess.run([paths.TOOL, "dump", str(program.pid), "-o", "-"], capture_output=True, cwd=self.out_dir,
                                  env=self.tool_environment())
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        profile = pprof_reader.Profile(pprof_reader.gunzip_one_member(done.stdout))
        self.assertEqual(profile.total("alloc_objects", counted), 315)
        self.assertEqual(self.profile_files(), [])

    def test_no_room(self):
        with self.holder() as program:
            done = self.tool("dump", program.pid, "-f", "-o", "/dev/full", expect=1)
            self.check_one_line(done, "/dev/full")


class Refusals(StateCase):
    def check_refused(self, *words, arguments, expect=1):
        self.check_one_line(self.tool("dump", *arguments, expect=expect), *words)
        self.assertEqual(self.profile_files(), [])

    def test_arguments(self):
        self.check_refused("process", arguments=[], expect=2)
        for word in ("", "./1", "a/b"):
            self.check_refused(word, arguments=["--", word], expect=2)
        for word in ("word", "12x", "0", "-3", "1.5", "99999999999"):
            self.check_refused(word, arguments=["--", word], expect=1)
        self.check_refused("--seconds", arguments=["--seconds", "3"], expect=2)
        self.check_refused("-o", arguments=["-o"], expect=2)

    def test_no_such_process(self):
        process = subprocess.Popen(["true"])
        process.wait()
        self.check_refused("no process", process.pid, arguments=[process.pid])

    def test_not_profiled(self):
        with self.start(["sleep", "60"], preload=False) as program:
            self.check_refused("not profiled", program.pid, arguments=[program.pid])

    def test_nothing_sampled_by_a_linked_program(self):
        """Seen to fail: it was told to be started with heapprof run."""
        source = self.dir / "waits.c"
        source.write_text("#include <unistd.h>\nint main(void) { write(1, \"ready\\n\", 6); return pause(); }\n")
        with self.start([compile(source, "-static", *static_flags())], preload=False) as program:
            program.read_until("ready")
            self.check_refused("has libheapprof.a, but no state file", program.pid, arguments=[program.pid])

    def test_nothing_sampled(self):
        """Its state is not made yet."""
        with self.start([self.victim("holds"), self.victim("libplugin.so")], sample=1) as program:
            program.read_until("ready")
            self.check_refused("yet", program.pid, arguments=[program.pid])

    def test_waited_for_by_nobody(self):
        """Its parent has not asked yet how it ended."""
        process = subprocess.Popen(["true"], env=self.environment(sample=1))
        wait_until(lambda: status_of(process.pid) == "Z", "it has ended")
        self.check_refused("no process", process.pid, arguments=[process.pid])
        process.wait()

    def test_dead(self):
        dead = self.killed()
        self.check_refused(f"heapprof recover {dead}", arguments=[dead])
        self.assertEqual(self.states(), [f"{dead}.heapprof"])
