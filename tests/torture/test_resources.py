# SPDX-License-Identifier: MIT
"""Everything the profiler asks the system for is refused, in turn, and the program ends as without it.

What is promised, and checked after each run: output and exit status are those of the program alone; standard error has at most one line
of ours for each profile that is missing, and one that there is no state file; a profile is whole, and right where it says that nothing
was lost; no temporary file is left, unless it was the removal that was refused; the state file is gone, unless it is all there is.
"""
import contextlib
import errno
import os
import random
import re
import resource
import shutil
import signal
import subprocess

from harness import lint, paths, pprof_reader
from harness.case import Case, cases, in_victim, timeout
from hazards.toolbox import amount, compile, library, skip_unless
from torture.torment import FOLDER, build, first_seed

# Which errors each call can give.
DIRECT = {
    "openat": ("ENOENT", "EACCES", "EMFILE", "ENOSPC", "EINTR"),
    "mmap": ("ENOMEM",),
    "fallocate": ("ENOSPC", "EINTR", "EOPNOTSUPP", "EIO"),
    "write": ("ENOSPC", "EINTR", "EIO", "short"),
    "renameat2": ("EACCES", "EEXIST", "EINVAL", "EIO", "ENOSPC"),
    "unlinkat": ("EACCES", "EBUSY"),
    "close": ("EINTR", "EIO"),
    "fstat": ("EIO",),
    "newfstatat": ("EACCES", "ENOENT"),
    "mkdirat": ("ENOSPC",),
    "pread64": ("EIO", "EINTR", "short"),
    "munmap": ("ENOMEM",),
    "mremap": ("ENOMEM",),
    "madvise": ("EINVAL",),
    "prlimit64": ("EPERM",),
    "getcwd": ("ENOENT",),
    "readlinkat": ("EACCES",),
    "linkat": ("EIO",),
}
INDIRECT = {"rt_sigaction": ("EINVAL",)}
ERRORS = {"direct": DIRECT, "indirect": INDIRECT}
EACH = amount(2, None)  # how many n of each call and error; None: all
SOME = {"pread64": 40}  # of so many that they would take half an hour


def is_counted(frames):
    """By the victim itself, not by a handler that interrupted it."""
    return in_victim(frames) and "be_signalled" not in frames


class Consumer(Case):
    """Runs the victim `consumer`, which makes the profiler need everything that it ever needs, and judges what came of it."""
    LEVELS, OBJECTS = 7, 3000
    ARGUMENTS = ()
    ABSENT = re.compile(r"heapprof: (cannot write \S+?/(\d+\.\d)[^/]*: [^;]*|no memory for a profile); (this profile is lost|it is lost|it stays in .*)$")
    HARMLESS = re.compile(r"heapprof: (no state file can be made in .*|wrote .*|.* exists and is left alone; .*)$")

    def setUp(self):
        super().setUp()
        self.folder, name = os.path.split(build(FOLDER / "consumer.c", flags=("-fno-builtin",)))
        # Not by its whole path: the profiler has to ask the system for that.
        self.command = [f"./{name}", library("hz_plugin.c"), self.LEVELS, self.OBJECTS,
                        *self.ARGUMENTS]
        self.expected = self.plain(self.command, expect=7, cwd=self.folder)

    def consume(self, *before, **options):
        defaults = {"expect": None, "sample": 1, "verbose": 1, "out": f"{self.out_dir}/%p.%n.pb.gz",
                    "state_dir": self.state_dir / "made", "cwd": self.folder}
        return self.profiled([*before, *self.command], **{**defaults, **options})

    def clear(self):
        shutil.rmtree(self.state_dir / "made", ignore_errors=True)
        for path in self.out_dir.iterdir():
            path.unlink()

    @staticmethod
    def lasting(run):
        return run.status, re.sub(r"pid=\d+", "", run.out)

    def judge(self, run, told="", removals_refused=0, is_muted=False):
        """The program ran as without us, and what it left is as promised."""
        self.told = f"{told}\nstandard error: {run.err}"
        self.assertEqual(self.lasting(run), self.lasting(self.expected), self.told)
        child, main = run.shadows  # in the order of their last lines
        on_the_way, of_child, of_main = names = f"{main}.1", f"{child}.1", f"{main}.2"
        present = self.files_present()
        missing = set(names) - present.keys()
        if not is_muted:
            self.judge_messages(run.err, missing)
        lost = {name: self.judge_profile(path) for name, path in present.items()}
        if lost.get(on_the_way) == 0:  # a child does not have what its parent lost
            self.judge_totals(present.get(of_child), run.shadows[child])
        self.judge_totals(present.get(of_main), run.shadows[main])
        without_profile = {pid for pid, name in ((main, of_main), (child, of_child)) if name in missing}
        self.judge_leftovers(without_profile, removals_refused)

    def files_present(self):
        """PID.NUMBER -> path; whose name was taken has another with something before its ending."""
        found = {}
        for path in self.out_dir.iterdir():
            match = re.fullmatch(r"(\d+\.\d)(\.[0-9a-f]+)?\.pb\.gz", path.name)
            if match:
                found[match[1]] = path
        return found

    def judge_messages(self, err, missing):
        """One line for each profile that is missing, and none that is not about that."""
        lines = [line for line in err.splitlines() if not self.HARMLESS.match(line)]
        absent = [line for line in lines if self.ABSENT.match(line)]
        others = [line for line in lines if not self.ABSENT.match(line)]
        if len(others) == 1 and others[0].startswith("heapprof: not profiling: "):
            return
        self.assertEqual(others, [], self.told)
        self.assertEqual(len(absent), len(missing), f"{self.told}\nmissing: {missing}")

    def judge_profile(self, path):
        """Returns the number of samples that it says it lost."""
        profile = pprof_reader.load(path)
        if "inert" in profile.comment_values():
            self.assertEqual(profile.samples, [], self.told)
            return 0
        self.assertEqual(lint.lint(profile), [], self.told)
        return profile.comment_values()["lost.total"]

    def judge_totals(self, path, shadow):
        profile = pprof_reader.load(path) if path else None
        if not profile:
            return
        names = {name for sample in profile.samples for name in profile.frames(sample)}
        # Else the program's file could not be read, or not to its end.
        is_named = {"victim_hold", "victim_visit", "victim_descend"} <= names
        if is_named and profile.comment_values()["lost.total"] == 0:
            self.assertEqual(profile.counted(is_counted), shadow, self.told)
        for sample_type in ("alloc_objects", "alloc_space"):
            self.assertLessEqual(profile.total(sample_type, is_counted), shadow[sample_type], self.told)

    def judge_leftovers(self, pids_without_profile, removals_refused):
        temporary = [path.name for path in self.out_dir.iterdir() if path.name.endswith(".tmp")]
        state = [path.name for path in self.state_dir.glob("*/*.heapprof")
                 if int(path.name.split(".")[0]) not in pids_without_profile]
        self.assertLessEqual(len(temporary) + len(state), removals_refused, f"{self.told}\n{temporary} {state}")


class Supervised(Consumer):
    """Under refuse.c, which sees each system call that the profiler makes, or has made for it."""

    def setUp(self):
        super().setUp()
        self.supervisor = compile(FOLDER / "refuse.c", "-D_GNU_SOURCE")

    def supervise(self, refusals):
        """Returns the run and the calls that the profiler made."""
        self.clear()
        report = self.dir / "report"
        run = self.consume(self.supervisor, paths.LIB, report, refusals, "env", f"LD_PRELOAD={paths.LIB}", LD_PRELOAD=None)
        return run, report.read_text().splitlines()

    def calls(self, refusals="none"):
        """[(whose, call, n)]. What is asked about libunwind's pipe cannot fail."""
        run, lines = self.supervise(refusals)
        self.judge(run, refusals)
        return [(whose, call, int(n)) for whose, call, n in (line.split()[:3] for line in lines if " pipe:" not in line)]

    def some_of(self, calls, most):
        return calls if most is None or len(calls) <= most else sorted(random.Random(first_seed(self)).sample(calls, most))


class Refused(Supervised):
    """P9, P7: the n-th call of each kind is refused, for each n and error, alone or with all that follow. Seen to fail by the
    mutants not_reserved and descriptor_left_open."""
    # What must be refused besides, for there to be such a call at all.
    GIVEN = {"linkat": f"direct:renameat2:1+:{errno.EINVAL}"}

    def check_refusal(self, refusal, given, is_certain):
        run, lines = self.supervise(",".join(part for part in (given, refusal) if part))
        refused = [line for line in lines if line.endswith(" refused")]
        self.assertTrue(refused or not is_certain, f"{refusal}: there was no such call")
        is_muted = any(re.search(r" (write|fstat) ", line) and "/stderr." in line for line in refused)
        self.judge(run, "\n".join([refusal, *refused[:5]]), sum(" unlinkat " in line for line in refused), is_muted)

    @cases(*((whose, call) for whose, calls in ERRORS.items() for call in calls))
    @timeout(amount(60, 1200))
    def test_refused(self, whose, call):
        given = self.GIVEN.get(call, "")
        calls = [one for one in self.calls(given or "none") if one[:2] == (whose, call)]
        self.assertTrue(calls, "there is no such call")
        for _, _, n in self.some_of(calls, EACH or SOME.get(call)):
            is_certain = n < calls[-1][2]  # one mapping more or less depends on addresses
            for error in ERRORS[whose][call]:
                for and_later in ("", "+"):
                    with self.subTest(f"{whose} {call} {n}{and_later} {error}"):
                        number = error if error == "short" else getattr(errno, error)
                        self.check_refusal(f"{whose}:{call}:{n}{and_later}:{number}", given, is_certain or n == 1)


class Interrupted(Supervised):
    """G4, G5: a signal comes during each call, and its handler allocates and forks a child that does. The profile is exact."""

    @timeout(amount(60, 600))
    def test_signal(self):
        calls = self.calls()
        calls = [call for call in calls[calls.index(("main", "begins", 0)):] if call[0] == "direct"]  # now there is a handler
        for whose, call, n in self.some_of(calls, amount(25, 600)):
            run, _ = self.supervise(f"{whose}:{call}:{n}:signal")
            self.judge(run, f"{call} {n}")
            main = list(run.shadows)[1]
            handled = pprof_reader.load(self.files_present()[f"{main}.2"]).totals(lambda frames: "be_signalled" in frames)
            # While the profile is being written, it is too late.
            self.assertIn((handled["alloc_objects"], handled["inuse_objects"]), {(0, 0), (1, 0)}, f"{call} {n}")


class Left(Case):
    """G5, I5: a handler jumps out of us, at every system call that sampling makes. No descriptor of ours stays open, no temporary file, and
    the profile is written at the end. Seen to fail by the mutant growth_is_left."""

    def leave(self, moment):
        for path in self.out_dir.iterdir():
            path.unlink()
        report = self.dir / "report"
        run = self.profiled([compile(FOLDER / "refuse.c", "-D_GNU_SOURCE"), paths.LIB, report, moment, "env", f"LD_PRELOAD={paths.LIB}",
                             compile(FOLDER / "leaving.c", "-rdynamic")], sample=1, LD_PRELOAD=None)
        lines = [line.split() for line in report.read_text().splitlines()]
        begin = next(i for i, line in enumerate(lines) if line[0] == "main")
        return run, [(line[1], int(line[2])) for line in lines[begin:] if line[0] == "direct"]

    @timeout(amount(60, 600))
    def test_at_every_moment(self):
        run, calls = self.leave("none")
        expected = run.out
        self.assertRegex(expected, r"\A(descriptor [0-2]\n)+\Z")
        growing = [call for call in calls if call[0] in ("openat", "fcntl", "newfstatat", "fstat", "fallocate", "mmap", "close")]
        self.assertGreater(len(growing), 10)
        for call, n in growing if EACH is None else random.Random(first_seed(self)).sample(growing, 20):
            run, _ = self.leave(f"direct:{call}:{n}:signal")
            self.assertEqual((run.out, run.err), (expected, ""), f"{call} {n}")
            self.check_lint(run.profile)
            self.assertEqual([path.name for path in self.out_dir.iterdir()], [run.files[0].name], f"{call} {n}")
            self.assertEqual(list(self.state_dir.iterdir()), [], f"{call} {n}")


class Killed(Supervised):
    """P6: killed before each call. What is there under a final name is whole, and what is in a state file can be recovered: never less
    than when it was killed earlier."""

    @timeout(amount(60, 900))
    def test_kill(self):
        # Of those to block signals there are a few more or less: the n-th is not always at the same moment.
        calls = [call for call in self.calls() if call[0] == "direct" and call[1] != "rt_sigprocmask"]
        before = 0
        for whose, call, n in sorted(self.some_of(calls, amount(20, None)), key=calls.index):
            run, _ = self.supervise(f"{whose}:{call}:{n}:kill")
            self.assertEqual(run.status, 128 + signal.SIGKILL)
            for path in self.files_present().values():
                self.assertEqual(lint.lint(pprof_reader.load(path)), [], f"{call} {n}")
            now = max((self.recovered(path, f"{call} {n}") for path in self.state_dir.glob("*/*.heapprof")), default=0)
            finished = any(name.endswith(".2") for name in self.files_present())
            self.assertTrue(now >= before or finished, f"{call} {n}: {now} allocations, at an earlier moment {before}")
            before = max(before, now)
        self.assertGreater(before, self.OBJECTS)

    def recovered(self, state, told):
        """The number of allocations; of a file that is not ready yet, 0."""
        if state.read_bytes()[:8] != b"HEAPPROF":
            return 0
        profile = self.dir / "recovered.pb.gz"
        self.tool("recover", "--force", "-o", profile, state)
        self.assertFalse(state.exists())
        recovered = pprof_reader.load(profile)
        if not recovered.samples:
            return 0
        self.assertEqual(lint.lint(recovered), [], told)
        return recovered.total("alloc_objects", is_counted)


class FullDisk(Consumer):
    """P7: file systems of every size, for the state, the profiles, or both; and limits of every size on files. (SIGXFSZ would kill, and
    touching a page that was not reserved too.) Seen to fail by the mutant not_reserved."""
    SIZES = [4096 << n for n in range(9)]

    @contextlib.contextmanager
    def small(self, size):
        """A mounted directory of that many bytes."""
        skip_unless(os.getuid() == 0, "only root can mount")
        mount = self.dir / "small"
        mount.mkdir(exist_ok=True)
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", mount], capture_output=True)
        skip_unless(mounted.returncode == 0, f"mounting is not permitted here: {mounted.stderr}")
        try:
            yield mount
        finally:
            subprocess.run(["umount", "-l", mount], check=True)

    def test_state_directory(self):
        for size in self.SIZES:
            with self.small(size) as mount:
                self.judge(self.consume(state_dir=mount), f"state on a file system of {size} bytes")
                self.assertEqual(list(mount.iterdir()), [])
            self.clear()

    @cases("alone", "with the state")
    def test_output_directory(self, how):
        for size in self.SIZES:
            with self.small(size) as mount:
                self.out_dir = mount
                state = mount if how == "with the state" else self.state_dir / "made"
                self.judge(self.consume(state_dir=state), f"profiles, {how}, on a file system of {size} bytes")
                if how == "with the state":
                    self.assertEqual([path.name for path in mount.iterdir() if path.name.endswith(".tmp")], [])
            shutil.rmtree(self.state_dir / "made", ignore_errors=True)

    def test_file_size_limit(self):
        for limit in (0, 1, 511, *self.SIZES, 32768 + 1, 65536 - 1):
            run = self.consume(preexec_fn=lambda limit=limit: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
            # Standard error is a file here: it takes no line from us either.
            self.judge(run, f"RLIMIT_FSIZE {limit}", is_muted=limit < 4096)
            self.clear()


class NoDescriptors(Consumer):
    """I5, P7: none or few descriptors are left once main has begun."""

    @cases(*range(0, 9))
    def test_limit(self, limit):
        self.command.append(limit)
        self.expected = self.plain(self.command, expect=7, cwd=self.folder)
        # With 0, poll says EINVAL: whether a line would block is not known, and none is written.
        self.judge(self.consume(), f"RLIMIT_NOFILE {limit}", is_muted=limit == 0)


class BadStateDirectory(Consumer):
    """P7: the state directory cannot be used, in every way."""
    WAYS = {
        "absent": lambda path: None,
        "file": lambda path: path.write_text("precious"),
        "fifo": os.mkfifo,
        "link to nothing": lambda path: path.symlink_to("nothing"),
        "link to a directory": lambda path: (path.parent / "target").mkdir() or path.symlink_to("target"),
        "directory of files": lambda path: (path.mkdir(), [(path / str(n)).write_text("precious") for n in range(100)]),
    }

    @cases(*WAYS)
    def test_way(self, way):
        place = self.dir / "place"
        self.WAYS[way](place)
        self.judge(self.consume(state_dir=place), way)
        if place.is_file():
            self.assertEqual(place.read_text(), "precious")

    def test_unwritable(self):
        """For somebody who is not root."""
        skip_unless(os.getuid() == 0, "somebody else's directory is needed")
        place = self.dir / "place"
        place.mkdir(mode=0o755)
        for folder in (self.dir.parent, self.dir, self.out_dir):
            folder.chmod(0o777)
        library, plugin = (shutil.copy(path, self.dir) for path in (paths.LIB, self.command[1]))
        program = shutil.copy(f"{self.folder}/{self.command[0]}", self.dir)
        self.command, self.folder = [program, plugin, *self.command[2:]], self.dir
        self.judge(self.consume(state_dir=place, LD_PRELOAD=library, preexec_fn=lambda: (os.setgid(65534), os.setuid(65534))))
        self.assertEqual(list(place.iterdir()), [])


class Memory(Consumer):
    """P9: `ulimit -v` and `ulimit -d` from far too little to ample, and a control group's limit. The expectation: with room for what
    the program alone needs plus what the profiler adds at its peak (the two are measured, as VmPeak), it runs as without us. With
    less, it fails in a way it also fails in alone, at some limit; never otherwise, and it leaves nothing half-made."""

    def peak_kib(self, run):
        return int(re.search(r"^peak (\d+)$", run.err, re.MULTILINE)[1])

    OWN_FAILURES = {99, 127}  # the program says that there is no memory; the loader does

    def outcomes_alone(self, limits, set_limit):
        """limit -> status and output"""
        return {limit: self.lasting(self.plain(self.command, cwd=self.folder, expect=None, preexec_fn=lambda: set_limit(limit)))
                for limit in limits}

    def climb(self, limits, set_limit, ample):
        alone = self.outcomes_alone(limits, set_limit)
        self.assertEqual(alone[limits[-1]], self.lasting(self.expected))
        for limit in limits:
            run = self.consume(preexec_fn=lambda limit=limit: set_limit(limit))
            told = f"limit {limit}, ample {ample}; alone: {alone[limit][0]}; {run.err}"
            if self.lasting(run) == self.lasting(self.expected):
                self.judge(run, told)
            else:
                is_own = run.status in self.OWN_FAILURES | {alone[limit][0]} or "library: not loaded" in run.out
                self.assertTrue(is_own, f"status {run.status}; {told}")
                self.assertLess(limit, ample, told)
                self.assertEqual([path.name for path in self.out_dir.iterdir() if path.name.endswith(".tmp")], [], told)
            self.clear()

    def needs(self):
        """KiB of address space, alone and with the profiler."""
        return [self.peak_kib(run(CONSUMER_PEAK=1)) for run in
                (lambda **options: self.plain(self.command, expect=None, cwd=self.folder, **options), self.consume)]

    @cases("AS", "DATA")
    @timeout(amount(60, 600))
    def test_ladder(self, name):
        kind = getattr(resource, f"RLIMIT_{name}")
        alone, ours = self.needs()
        self.clear()
        limits = [kib << 10 for kib in range(alone // 8, ours + 2048, amount(640, 64))]
        self.climb(limits, lambda limit: resource.setrlimit(kind, (limit, limit)), ours + 512 << 10)


class Met(Case):
    """U3, I3, I5, U1: while one thread is between two system calls of ours, wherever that is, another forks, exits, dumps, unloads a
    library, allocates, starts threads, or closes all descriptors and gets their numbers for its own files. Nobody waits for ever, all
    profiles are valid, the process's own is exact, and none of the program's files is written to or closed. Seen to fail by the mutant
    descriptors_low. There is one exception: the moment between seeing that the lower number of a moved descriptor is ours and closing
    it."""
    MOVED_TO = 56
    CALLS = ("openat", "fcntl", "newfstatat", "fstat", "prlimit64", "fallocate", "mmap", "munmap", "write", "pread64", "renameat2", "close",
             "rt_sigprocmask")
    WITHOUT_LIBRARY = ("close", "nothing without library")

    def meet(self, moment, action):
        self.clear_profiles()
        report = self.dir / "report"
        supervisor = compile(FOLDER / "refuse.c", "-D_GNU_SOURCE")
        victim = compile(FOLDER / "meeting.c", "-rdynamic")
        run = self.profiled([supervisor, paths.LIB, report, moment, "env", f"LD_PRELOAD={paths.LIB}", victim, self.out_dir,
                             "none" if action in self.WITHOUT_LIBRARY else library("hz_plugin.c"), action.split()[0]],
                            sample=1, LD_PRELOAD=None)
        return run, report.read_text().splitlines()

    def moments(self, action):
        """(call, n) of the host: the same as far as the meeting, whatever the action is."""
        run, lines = self.meet("none", "nothing" if action != "close" else "nothing without library")
        self.assertEqual(run.err, "")
        first = next(i for i, line in enumerate(lines) if line.startswith("direct openat 2 "))
        last = next(i for i, line in enumerate(lines) if line.startswith("direct renameat2 1 "))
        for line in lines[first:last + 2]:
            whose, call, n, *file = line.split()
            is_of_lower = call == "close" and int(file[0]) < self.MOVED_TO
            if whose == "direct" and call in self.CALLS and not is_of_lower:
                yield call, int(n)

    @cases("close", "fork", "dump", "exit", "unload", "allocate", "threads")
    @timeout(amount(60, 900))
    def test_at_every_moment(self, action):
        moments = list(self.moments(action))
        self.assertGreater(len(moments), 100)
        for call, n in moments if EACH is None else random.Random(first_seed(self)).sample(moments, 8):
            run, _ = self.meet(f"direct:{call}:{n}:hold", action)
            self.check_meeting(run, action, f"{action} at {call} {n}; {run.err}")

    @staticmethod
    def is_counted(frames):
        """Where one thread is held while it makes room for more stacks, the others count under this name."""
        return in_victim(frames) or frames == ["[stack table full]"]

    def check_meeting(self, run, action, told):
        lines = [line for line in run.out.splitlines() if not line.startswith("shadow ")]
        self.assertEqual(lines, [] if action == "exit" else ["end"], told)
        self.assertRegex(run.err, r"\A(heapprof: cannot write \S+: Bad file descriptor; (this profile is lost|it stays in .*)\n)?\Z", told)
        self.assertEqual(run.err == "" or action == "close", True, told)
        for path, profile in zip(run.files, run.profiles):
            self.assertEqual(lint.lint(profile), [], f"{path} {told}")
        (pid,) = run.shadows
        (own,) = (profile for path, profile in zip(run.files, run.profiles) if f".{pid}." in path.name)
        if action != "exit":  # while the host goes on
            self.assertEqual(own.comment_values()["lost.total"], 0, told)
            self.assertEqual(own.counted(self.is_counted), run.shadows[pid], told)
        self.assertEqual(list(self.state_dir.iterdir()), [], told)
