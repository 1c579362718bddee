# SPDX-License-Identifier: MIT
"""Real programs under limits: full file systems, file sizes, descriptors from the start, address space. (What victims do under limits, and
when single requests are refused, is in test_resources.py.)

Always: output and status are those of the program alone under the same limit; standard error has one line of ours at most for each profile
that is missing; no unfinished file is left, and what has a final name is whole.
"""
import itertools
import re
import resource
import shutil
import subprocess

from harness import lint, paths, pprof_reader
from harness.case import Case, cases, timeout
from hazards.toolbox import INTERVALS, amount, skip_unless

SQL = """WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000) SELECT count(*), sum(length(hex(i * 7919))) FROM n;
CREATE TABLE t(a); INSERT INTO t SELECT value FROM json_each('[' || substr(hex(zeroblob(500)), 1, 1) || ',5,3,9]');
SELECT group_concat(a) FROM (SELECT a FROM t ORDER BY a);"""
# It would say so if SIGXFSZ came.
PERL = """$SIG{XFSZ} = sub { print "SIGXFSZ\\n" }; my %h; $h{$_ % 977} .= chr(65 + $_ % 26) for 1 .. 60000;
print join(",", map { length $h{$_} } (sort { $a <=> $b } keys %h)[0 .. 20]), "\\n"; exit 3;"""
PROGRAMS = {"sqlite3": ["sqlite3", ":memory:", SQL], "perl": ["perl", "-e", PERL]}
LOADER_FAILED = 127
# A state file begins with 32768 bytes and doubles; a profile has a few thousand.
FILE_SIZES = [0, 1, 4096, 20000, 32768, 40000, 65536, 100000, 200000]


class Limited(Case):
    def command_of(self, name):
        skip_unless(shutil.which(name), f"{name} is not installed")
        return PROGRAMS[name]

    def judge(self, run, alone, told, profiles, is_muted=False):
        self.assertEqual((run.status, run.out), (alone.status, alone.out), f"{told}; {run.err}")
        if not is_muted:
            lines = [line for line in run.err.removeprefix(alone.err).splitlines() if not line.startswith("heapprof: no state file")]
            self.assertLessEqual(len(lines), 0 if profiles else 1, f"{told}; {run.err}")
            self.assertTrue(all(line.startswith("heapprof: ") for line in lines), f"{told}; {run.err}")
        for path in profiles:
            self.assertEqual((path.name.endswith(".pb.gz"), lint.lint(pprof_reader.load(path))), (True, []), f"{told}: {path.name}")

    def compare(self, name, set_limit, told, is_muted=False):
        """With us and without, under the same limit, at each interval. is_muted: no whole line comes through, or the loader talks."""
        command = self.command_of(name)
        alone = self.plain(command, expect=None, preexec_fn=set_limit)
        for sample in INTERVALS:
            run = self.profiled(command, expect=None, sample=sample, preexec_fn=set_limit)
            self.judge(run, alone, f"{told} HEAPPROF_SAMPLE={sample}", list(self.out_dir.iterdir()),
                       is_muted or alone.status == LOADER_FAILED)
            self.clear()

    def clear(self):
        self.clear_profiles()
        for path in self.state_dir.iterdir():
            path.unlink()


class FileSize(Limited):
    """P7: RLIMIT_FSIZE hits at the start, in the middle of the state file and in the middle of the profile, and its signal never comes.
    Seen to fail by the mutant size_not_asked."""

    @cases(*PROGRAMS)
    def test_file_size(self, name):
        for size in FILE_SIZES:
            self.compare(name, lambda size=size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)), f"RLIMIT_FSIZE {size}",
                         is_muted=size < 4096)  # standard error is a file


class Descriptors(Limited):
    """U1, P7: RLIMIT_NOFILE from the start of the program: from so few that it cannot load its own libraries. Seen to fail by the
    mutant descriptor_left_open."""

    @cases(*PROGRAMS)
    def test_descriptors(self, name):
        for limit in (0, 1, 2, *range(3, 13)):
            self.compare(name, lambda limit=limit: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit)), f"RLIMIT_NOFILE {limit}")


class AddressSpace(Limited):
    """P9: `ulimit -v` from the least at which the program runs with our library loaded but idle: with less, ld.so fails, at some limits by
    SIGSEGV in init_tls(). With ALLOWANCE_KIB more than the program needs alone it does what it does alone; with less, it does too, or says
    that there is no memory. Seen to fail by the mutant scratch_unchecked."""
    # 2 MiB are measured, for our library and the first tables: where there is no more, the profile goes without.
    ALLOWANCE_KIB = 6 << 10
    STEP_KIB = amount(512, 64)
    WORDS_OF_NO_MEMORY = re.compile(r"out of memory|cannot allocate|failed to map", re.IGNORECASE)

    def run_with(self, command, kib, run, **options):
        return run(command, expect=None, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (kib << 10, kib << 10)), **options)

    def least_kib(self, command, expected, run_it, **options):
        """By halves."""
        low, high = 0, 1 << 20
        while high - low > 64:
            middle = (low + high) // 2
            run = self.run_with(command, middle, run_it, **options)
            low, high = (low, middle) if (run.status, run.out) == expected else (middle, high)
        return high

    # perl ends alone by SIGSEGV at one limit of eight between 7300 and 8320 KiB, and waits for ever at some: nothing to compare with.
    @timeout(amount(60, 300))
    def test_ladder(self):
        command = self.command_of("sqlite3")
        plain = self.plain(command, expect=None)
        expected = plain.status, plain.out
        least = self.least_kib(command, expected, self.plain)
        loaded = self.least_kib(command, expected, self.profiled, only="another")
        served = refused_kib = 0
        steps = range(loaded, least + self.ALLOWANCE_KIB + 4 * self.STEP_KIB, self.STEP_KIB)
        for kib, sample in itertools.product(steps, INTERVALS):
            run = self.run_with(command, kib, self.profiled, sample=sample)
            told = f"{kib} KiB, the least alone is {least}, HEAPPROF_SAMPLE={sample}"
            if kib >= least + self.ALLOWANCE_KIB or (run.status, run.out) == expected:
                self.judge(run, plain, told, list(self.out_dir.iterdir()))
                served += bool(run.files)
            else:
                self.assertGreater(run.status, 0, f"{told}; {run.err}")  # not by a signal
                self.assertRegex(run.err, self.WORDS_OF_NO_MEMORY, told)
                refused_kib = kib - least
            self.clear()
        self.figure(least_kib=least, loaded_kib=loaded, refused_up_to_kib=refused_kib, steps=len(steps), profiles=served)
        self.assertGreater(served, 0)


class FullFileSystem(Limited):
    """P7: a file system of every size for state and profile, in a mount namespace of its own. Seen to fail by the mutant
    not_reserved."""
    SIZES_KIB = (4, 16, 32, 36, 40, 64, 100, 256)
    SCRIPT = r"""mount -t tmpfs -o size="$1" none "$2" || exit 99
list=$3; place=$2; kept=$4; shift 4; "$@"; status=$?; ls -A "$place" >"$list"; cp "$place"/*.pb.gz "$kept" 2>/dev/null; exit $status"""

    def namespace(self):
        for arguments in (["-m"], ["-Urm"]):
            command = ["unshare", *arguments, "sh", "-c", "mount -t tmpfs -o size=4k none /mnt"]
            if subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0:
                return ["unshare", *arguments]
        skip_unless(False, "neither root nor a user namespace may mount here")

    @cases(*PROGRAMS)
    def test_full(self, name):
        command, namespace = self.command_of(name), self.namespace()
        alone = self.plain(command, expect=None)
        place, list_path = self.dir / "place", self.dir / "list"
        kept = self.dir / "list.files"
        place.mkdir()
        for size in self.SIZES_KIB:
            for sample in INTERVALS:
                kept.mkdir()
                script = ["sh", "-c", self.SCRIPT, "sh", f"{size}k", place, list_path, kept]
                run = self.profiled([*namespace, *script, *self.with_us(place, sample), *command], expect=None, LD_PRELOAD=None)
                names = list_path.read_text().split()
                self.judge(run, alone, f"{size} KiB, HEAPPROF_SAMPLE={sample}", list(kept.iterdir()))
                self.assertEqual([n for n in names if not n.endswith((".pb.gz", ".heapprof"))], [], size)
                shutil.rmtree(kept)

    @staticmethod
    def with_us(place, sample):
        variables = {"LD_PRELOAD": paths.LIB, "HEAPPROF_STATE_DIR": place, "HEAPPROF_OUT": f"{place}/%p.%n.pb.gz"}
        if sample is not None:
            variables["HEAPPROF_SAMPLE"] = sample
        return ["env", *(f"{key}={value}" for key, value in variables.items())]
