# SPDX-License-Identifier: MIT
"""Measuring: programs run in turn, their CPU time, peak memory and instructions, and the machine they ran on."""
import dataclasses
import os
import pathlib
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from harness import paths

HERE = pathlib.Path(__file__).resolve().parent
WARNINGS = ["-Wall", "-Wextra"]


@dataclasses.dataclass
class Run:
    """How a program and all that it waited for ended, and what that took."""
    status: int
    out: str
    err: str
    cpu_s: float
    wall_s: float
    peak_bytes: int        # of the largest process
    tree_peak_bytes: int   # of all at once, where it was watched; else 0


class TreeWatch(threading.Thread):
    """Adds up the resident memory of a process and its descendants, again and again. It costs CPU: not beside a timed run."""
    PAUSE_S = 0.01

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.peak_bytes, self.ended = pid, 0, threading.Event()

    def run(self):
        while not self.ended.wait(self.PAUSE_S):
            self.peak_bytes = max(self.peak_bytes, sum(resident_bytes(pid) for pid in descendants(self.pid)))


def descendants(pid):
    found, left = [], [pid]
    while left:
        parent = left.pop()
        found.append(parent)
        try:
            for task in os.listdir(f"/proc/{parent}/task"):
                children = pathlib.Path(f"/proc/{parent}/task/{task}/children").read_text()
                left.extend(int(word) for word in children.split())
        except OSError:
            continue  # it ended meanwhile
    return found


def resident_bytes(pid):
    """Memory shared between processes counts in each of them; private pages are what profilers add."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/statm").read_text().split()
    except OSError:
        return 0
    return (int(fields[1]) - int(fields[2])) * os.sysconf("SC_PAGE_SIZE")


def run(command, environment, cwd, watch=False, timeout_s=300):
    """CPU time is that of the program and of all descendants that were waited for. watch: the peak memory of the tree, too."""
    with tempfile.TemporaryFile("w+", errors="replace") as out, tempfile.TemporaryFile("w+", errors="replace") as err:
        begin = time.monotonic()
        process = subprocess.Popen([str(word) for word in command], env=environment, cwd=cwd, stdin=subprocess.DEVNULL,
                                   stdout=out, stderr=err, start_new_session=True)
        killer = threading.Timer(timeout_s, os.killpg, (process.pid, 9))
        watcher = TreeWatch(process.pid)
        killer.start()
        if watch:
            watcher.start()
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.monotonic() - begin
        killer.cancel()
        if watch:
            watcher.ended.set()
            watcher.join()
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        return Run(process.returncode, out.read(), err.read(), usage.ru_utime + usage.ru_stime, wall_s, usage.ru_maxrss * 1024,
                   watcher.peak_bytes)


class Failed(Exception):
    """A program did not do what the measurement needs."""


def summary(values):
    """Median and quartiles, as plain numbers."""
    values = sorted(values)
    if len(values) < 2:
        return {"median": values[0], "low": values[0], "high": values[0], "count": len(values)}
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": median, "low": low, "high": high, "count": len(values)}


def ratios(values, base):
    """Round by round: what came in the same round saw the same machine."""
    return summary([value / other for value, other in zip(values, base)])


def geometric_mean(values):
    return statistics.geometric_mean(values)


class Bench:
    """What the sections measure with. quick: only counts that repeat. Scratch files go when it is closed."""

    def __init__(self, contenders, quick=False):
        self.contenders = {contender.name: contender for contender in contenders}
        self.quick = quick
        self.built = paths.BUILD / "tests/bench/built"
        self.built.mkdir(parents=True, exist_ok=True)
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="heapprof-bench."))
        self.scratch.chmod(0o755)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.scratch, ignore_errors=True)

    def say(self, text):
        print(f"bench: {text}", file=sys.stderr, flush=True)

    def folder(self):
        return pathlib.Path(tempfile.mkdtemp(dir=self.scratch))

    def build(self, source, *flags):
        """Compiles tests/bench/SOURCE, or a path; with -shared a library."""
        source = HERE / source
        result = self.built / (source.stem + (".so" if "-shared" in flags else ""))
        compiler = "g++" if source.suffix == ".cc" else "gcc"
        command = [compiler, "-O2", "-g", *WARNINGS, "-fno-builtin-malloc", f"-I{paths.SOURCE}/include", f"-I{HERE}", str(source),
                   *flags, "-pthread", "-o", str(result)]
        built = subprocess.run(command, capture_output=True, text=True)
        if built.returncode:
            raise Failed(f"{source} does not compile: {built.stderr}")
        return str(result)

    def available(self, *names):
        """The contenders by these names, or all, that this machine has."""
        return [self.contenders[name] for name in names or self.contenders if self.contenders[name].missing is None]

    def environment(self, contender, folder=None, **settings):
        """The contender preloaded, its files in the folder. settings: variables by their full name; None unsets."""
        folder = folder or self.folder()
        environment = {k: v for k, v in os.environ.items()
                       if not k.startswith(("HEAPPROF_", "LD_PRELOAD", "MALLOC", "TCMALLOC", "HEAPPROFILE", "DUMP_HEAPTRACK"))}
        environment.update(LC_ALL="C.UTF-8", **contender.environment(folder))
        environment.update({name: str(value) for name, value in settings.items() if value is not None})
        return {name: value for name, value in environment.items() if settings.get(name, value) is not None}

    def run(self, contender, command, expect=0, watch=False, cwd=None, **settings):
        """command: words, or a function that makes them from the folder of the run. The contender's files stay in run.folder."""
        folder = self.folder()
        words = command(folder) if callable(command) else command
        done = run(contender.command(words, folder), self.environment(contender, folder, **settings), cwd or folder, watch)
        if expect is not None and done.status != expect:
            raise Failed(f"{' '.join(map(str, words))} under {contender.name} ended with {done.status}: {done.err[-500:]}")
        done.folder = folder
        return done

    def interleaved(self, contenders, command, rounds, keep=False, **options):
        """A B C A B C ...: {name: [Run, ...]}. Each round begins with another one. command: as in run()."""
        runs = {contender.name: [] for contender in contenders}
        for turn in range(rounds):
            shift = turn % len(contenders)
            for contender in contenders[shift:] + contenders[:shift]:
                done = self.run(contender, command, **options)
                runs[contender.name].append(done)
                if not keep:
                    shutil.rmtree(done.folder, ignore_errors=True)
        return runs

    def callgrind(self, command, environment, *options):
        """Returns the folder with callgrind's files, and the finished run. Processes that it starts are counted, too."""
        if shutil.which("valgrind") is None:
            raise Failed("valgrind is not installed")
        folder = self.folder()
        # The preload is for the program alone: heaptrack takes itself out of the environment of whoever comes first.
        preload = [f"LD_PRELOAD={environment['LD_PRELOAD']}"] if "LD_PRELOAD" in environment else []
        done = run(["valgrind", "--tool=callgrind", "--trace-children=yes", f"--callgrind-out-file={folder}/callgrind.%p", *options,
                    "env", *preload, *command],
                   {name: value for name, value in environment.items() if name != "LD_PRELOAD"}, folder)
        if done.status != 0:
            raise Failed(f"{' '.join(map(str, command))} under callgrind ended with {done.status}: {done.err[-500:]}")
        return folder, done

    def instructions_in_all(self, command, environment):
        folder, done = self.callgrind(command, environment)
        shutil.rmtree(folder, ignore_errors=True)
        return sum(collected(done.err))

    def instructions(self, command, short, long, environment):
        """Instructions of one repetition of what the command does as often as its last argument says."""
        counts = [self.instructions_in_all([*command, count], environment) for count in (short, long)]
        return (counts[1] - counts[0]) / (long - short)

    def instructions_by_case(self, command, environment):
        """For victims that end each case with CALLGRIND_DUMP_STATS_AT(its name): {name: [instructions, ...]} in their order."""
        folder, _ = self.callgrind(command, environment)
        counts = {}
        for path in sorted(folder.glob("callgrind.*.*"), key=lambda path: int(path.suffix[1:])):
            text = path.read_text(errors="replace")
            name = re.search(r"^desc: Trigger: Client Request: (.*)$", text, re.MULTILINE)
            if name:
                counts.setdefault(name[1], []).append(int(re.search(r"^(?:summary|totals): (\d+)", text, re.MULTILINE)[1]))
        shutil.rmtree(folder, ignore_errors=True)
        return counts


def collected(text):
    """The instruction counts in what callgrind printed, one for each process."""
    return [int(count) for count in re.findall(r"Collected : (\d+)", text)]


def machine():
    """The machine in words."""
    cpu = re.search(r"^model name\s*: (.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory_kib = int(re.search(r"MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text())[1])
    system = platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    return {"cpu": cpu[1] if cpu else platform.machine(), "cores": len(os.sched_getaffinity(0)), "memory_gib": round(memory_kib / 2**20),
            "kernel": platform.release(), "system": system, "libc": " ".join(platform.libc_ver()),
            "compiler": first_line("gcc", "--version")}


def first_line(*command):
    if shutil.which(command[0]) is None:
        return ""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    return (done.stdout.splitlines() or [""])[0].strip()
