# SPDX-License-Identifier: MIT
"""What a test is made of: programs run under the profiler, and their profiles.

    class Leak(Case):
        @cases("glibc", "jemalloc")
        def test_totals(self, allocator):
            run = self.profiled([self.victim("leak")], allocator=allocator, sample=1)
            self.check_exact(run)
"""
import dataclasses
import functools
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import unittest
import zlib

from . import lint, paths, pprof_reader

ALLOCATORS = {
    "glibc": None,
    "jemalloc": "libjemalloc.so.2",
    "tcmalloc": "libtcmalloc.so.4",
    "tcmalloc_minimal": "libtcmalloc_minimal.so.4",
    "mimalloc": "libmimalloc.so.2",
}
LIBRARY_FOLDERS = ["/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/local/lib"]
EMULATED_FOLDERS = ["/usr/lib/aarch64-linux-gnu"]


def cases(*parameters):
    """Makes one test per parameter (a tuple is several arguments), named after it."""
    def mark(function):
        function.parameters = parameters
        return function
    return mark


def timeout(seconds):
    def mark(function):
        function.timeout = seconds
        return function
    return mark


def slow(function):
    """Left out by --quick."""
    function.is_slow = True
    return function


def path_of_allocator(name):
    """The library to preload, None for glibc; skips the test if it is not installed."""
    library = ALLOCATORS[name]
    if library is None:
        return None
    for folder in EMULATED_FOLDERS if paths.EMULATOR else LIBRARY_FOLDERS:
        path = os.path.join(folder, library)
        if os.path.exists(os.environ.get("QEMU_LD_PREFIX", "") + path):  # which the emulator puts in front, too
            return path
    raise unittest.SkipTest(f"{library} is not installed")


def port_holder():
    """Whoever asks for any port is given no bound one, whether to listen at or to connect from; and SO_REUSEADDR, which servers set, lets
    them bind this one beside a socket that does not listen."""
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    return holder


def in_victim(frames):
    return any(name.startswith("victim_") for name in frames)


@dataclasses.dataclass
class Run:
    """A program that has ended."""
    pid: int
    status: int  # negative: the signal
    out: str
    err: str
    files: list  # of profiles, sorted by name

    @functools.cached_property
    def profiles(self):
        return [pprof_reader.load(path) for path in self.files]

    @property
    def profile(self):
        if len(self.files) != 1:
            raise AssertionError(f"expected one profile, found {[f.name for f in self.files]}; standard error: {self.err!r}")
        return self.profiles[0]

    @property
    def shadows(self):
        """pid -> the totals that the victim counted itself"""
        return {int(numbers[4]): dict(zip(("alloc_objects", "alloc_space", "inuse_objects", "inuse_space"),
                                          map(int, numbers[:4])))
                for numbers in re.findall(r"^shadow alloc_objects=(\d+) alloc_bytes=(\d+) inuse_objects=(\d+) "
                                          r"inuse_bytes=(\d+) pid=(\d+)$", self.out, re.MULTILINE)}


class Program:
    """A program that is running; kill it with `with`."""
    def __init__(self, case, arguments, popen):
        self.case, self.arguments = case, arguments
        self.err_path = case.dir / f"stderr.{time.monotonic_ns()}"
        with open(self.err_path, "wb") as err:
            self.process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=err, text=True,
                                            errors="replace", **popen)
        self.pid = self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            pipe.close()

    def read_until(self, line):
        """Waits for a line of output, so that no test sleeps and hopes. Returns what came before it."""
        before = []
        for text in self.process.stdout:
            if text.rstrip("\n") == line:
                return "".join(before)
            before.append(text)
        self.case.fail(f"{self.arguments} ended without saying {line!r}; standard error: {self.err_path.read_text()}")

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def tell(self, text):
        """It may have ended without reading."""
        try:
            with self.process.stdin as stdin:
                stdin.write(text)
        except BrokenPipeError:
            pass

    def wait_for_files(self, count, seconds=100):
        """Waits until that many profiles are there: they are renamed into place, so each is whole."""
        end = time.monotonic() + seconds
        while len(self.case.profile_files()) < count:
            if time.monotonic() > end:
                self.case.fail(f"{self.arguments}: no {count} profiles after {seconds} s; "
                               f"standard error: {self.err_path.read_text()}")
            time.sleep(0.01)
        return self.case.profile_files()

    def end(self, text=None):
        """Says the text, which is all that it gets, and waits for its end. Not communicate(), which loses what came together with the line
        that was waited for."""
        teller = threading.Thread(target=self.tell, args=(text or "",))
        teller.start()
        out = self.process.stdout.read()
        teller.join()
        self.process.wait()
        return Run(self.pid, self.process.returncode, out, self.err_path.read_text(errors="replace"),
                   self.case.profile_files())


class Case(unittest.TestCase):
    maxDiff = None
    longMessage = True

    def __init_subclass__(cls):
        for name, function in list(vars(cls).items()):
            for parameter in getattr(function, "parameters", ()):
                arguments = parameter if isinstance(parameter, tuple) else (parameter,)

                def test(self, function=function, arguments=arguments):
                    function(self, *arguments)
                test.__dict__.update({k: v for k, v in vars(function).items() if k != "parameters"})
                label = " ".join(",".join(map(str, arguments)).split())[:50]
                if f"{name}[{label}]" in vars(cls):
                    raise ValueError(f"two cases called {name}[{label}]")
                setattr(cls, f"{name}[{label}]", test)
            if hasattr(function, "parameters"):
                delattr(cls, name)

    # A test that asserted nothing has failed: see run().
    checks_made = 0
    programs_started = 0

    def __getattribute__(self, name):
        if name.startswith("assert"):
            self.checks_made += 1
        return super().__getattribute__(name)

    def run(self, result=None):
        result = super().run(result)
        if self.programs_started and result.wasSuccessful() and not result.skipped:
            self.figure(runs=self.programs_started)
        if result.wasSuccessful() and not result.skipped and not self.checks_made:
            result.failures.append((self, "the test asserted nothing"))
        return result

    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="t."))
        self.out_dir = self.dir / "out"
        self.out_dir.mkdir()
        self.state_dir = pathlib.Path(tempfile.mkdtemp(prefix="t.", dir=os.environ.get("TEST_STATE_DIR", self.dir)))
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.addCleanup(shutil.rmtree, self.state_dir, ignore_errors=True)

    def victim(self, name):
        path = paths.VICTIMS / name
        if not path.exists():
            self.fail(f"{path} is not built: make check-build")
        return str(path)

    def held_port(self):
        """One that a program of this test may listen at, and nobody else gets meanwhile."""
        holder = port_holder()
        self.addCleanup(holder.close)
        return holder.getsockname()[1]

    @property
    def seed(self):
        """Of the sampler in all that this test runs, so that its result repeats; tests/run --seed N tries others."""
        return zlib.crc32(f"{os.environ.get('TEST_SEED', 0)} {self.id()}".encode())

    def environment(self, preload=True, allocator="glibc", sample=None, extra_preload=(), **settings):
        """settings: HEAPPROF_ variables without the prefix, or others with their full name; None unsets."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("HEAPPROF_", "LD_PRELOAD", "MALLOC_"))}
        libraries = [path_of_allocator(allocator), *extra_preload]
        if preload:
            if not paths.LIB.exists():
                self.fail(f"{paths.LIB} is not built")
            libraries.insert(0, str(paths.LIB))
            environment["HEAPPROF_STATE_DIR"] = str(self.state_dir)
            environment["HEAPPROF_OUT"] = f"{self.out_dir}/heapprof.%e.%p.%n.pb.gz"
            environment["HEAPPROF_SEED"] = str(self.seed)
            if sample is not None:
                environment["HEAPPROF_SAMPLE"] = str(sample)
        libraries = [library for library in libraries if library]
        if libraries:
            environment["LD_PRELOAD"] = " ".join(map(str, libraries))
        for name, value in settings.items():
            name = name if name.isupper() else f"HEAPPROF_{name.upper()}"
            if value is None:
                environment.pop(name, None)
            else:
                environment[name] = str(value)
        return environment

    def start(self, arguments, cwd=None, preexec_fn=None, pass_fds=(), **environment):
        self.programs_started += 1
        return Program(self, [*paths.EMULATOR, *map(str, arguments)],
                       {"cwd": cwd or self.dir, "preexec_fn": preexec_fn, "pass_fds": pass_fds,
                        "env": self.environment(**environment)})

    def profiled(self, arguments, input=None, expect=0, **options):
        """Runs to the end under the profiler. expect: the exit status, negative for a signal, None for any."""
        with self.start(arguments, **options) as program:
            run = program.end(input)
        if expect is not None:
            self.assertEqual(run.status, expect, f"exit status of {arguments}; standard error: {run.err}")
        return run

    def plain(self, arguments, **options):
        return self.profiled(arguments, preload=False, **options)

    def tool_environment(self, **variables):
        """variables: by their full name; None unsets"""
        environment = {**self.environment(preload=False), "HEAPPROF_STATE_DIR": str(self.state_dir), "NO_COLOR": "1",
                       "HEAPPROF_SEED": str(self.seed), "LC_ALL": "C.UTF-8", "DEBUGINFOD_URLS": "",
                       "XDG_CACHE_HOME": str(self.dir / "cache")}
        environment.update({k: str(v) for k, v in variables.items() if v is not None})
        return {k: v for k, v in environment.items() if variables.get(k, v) is not None}

    def tool(self, *arguments, expect=0, input=None, timeout=250, cwd=None, **variables):
        """Runs the heapprof command in the output directory. expect: the exit status, None for any."""
        done = subprocess.run([*paths.EMULATOR, str(paths.TOOL), *map(str, arguments)], cwd=cwd or self.out_dir, input=input, text=True,
                              stdin=subprocess.DEVNULL if input is None else None, capture_output=True, errors="replace",
                              env=self.tool_environment(**variables), timeout=timeout)
        if expect is not None:
            self.assertEqual(done.returncode, expect, f"heapprof {' '.join(map(str, arguments))}\n{done.stdout}\n{done.stderr}")
        return done

    def profile_files(self):
        return sorted(self.out_dir.glob("*.pb.gz"))

    def clear_profiles(self):
        for path in self.profile_files():
            path.unlink()

    @staticmethod
    def figure(**figures):
        """What was measured, for whoever reads the results: runner.py collects it."""
        print("figures:", " ".join(f"{name}={value}" for name, value in figures.items()), flush=True)

    def check_lint(self, profile, program=None):
        self.assertEqual(lint.lint(profile, program), [])

    def check_exact(self, profile, shadow, where=in_victim):
        """At a sampling interval of 1, the profile says what the victim counted."""
        self.assertGreater(shadow["alloc_objects"], 0, "the victim counted nothing")
        self.assertEqual(profile.counted(where), shadow, self.describe(profile, where))
        comments = profile.comment_values()
        self.assertEqual(comments.get("sampling_interval_bytes"), 1)
        self.assertEqual(comments.get("lost.total"), 0, comments)

    def check_run_exact(self, run):
        self.check_exact(run.profile, run.shadows[run.pid])
        self.check_lint(run.profile)

    @staticmethod
    def describe(profile, where):
        lines = [f"{s.values['alloc_objects']:8} {s.values['alloc_space']:10} {s.values['inuse_objects']:8} "
                 f"{s.values['inuse_space']:10}  {' < '.join(profile.frames(s))[:200]}" for s in profile.samples]
        chosen = [profile.samples.index(s) for s in profile.select(where)]
        marked = [("* " if i in chosen else "  ") + line for i, line in enumerate(lines[:60])]
        return "\nsamples (* counted):\n" + "\n".join(marked)
