# SPDX-License-Identifier: MIT
"""Files that cannot be written: the dump is lost, the program is not. Its output, standard error and status stay."""
import contextlib
import os
import re
import resource
import shutil
import subprocess
import sys

from harness import paths, pprof_reader
from harness.case import Case, cases


class Unwritable(Case):
    def check_unharmed(self, victim="leak", status=7, **options):
        """The victim runs as it does without us. Returns the run."""
        plain = self.plain([self.victim(victim)], expect=status)
        run = self.profiled([self.victim(victim)], expect=status, **options)
        self.assertEqual(re.sub("pid=.*", "", run.out), re.sub("pid=.*", "", plain.out))
        lines = run.err.splitlines()
        self.assertTrue(len(lines) <= 2 and all(line.startswith("heapprof: ") or "heapprof: ".startswith(line) for line in lines), run.err)
        return run

    def drop_privileges(self):
        os.setgid(65534)
        os.setuid(65534)

    @cases(1, None)
    def test_missing_directory(self, sample):
        missing = self.dir / "missing"
        self.check_unharmed(sample=sample, out=f"{missing}/%p.pb.gz")
        self.assertFalse(missing.exists())

    def test_a_file_where_a_directory_should_be(self):
        (self.dir / "file").write_text("precious")
        self.check_unharmed(sample=1, out=f"{self.dir}/file/%p.pb.gz", state_dir=self.dir / "file")
        self.assertEqual((self.dir / "file").read_text(), "precious")

    def test_the_name_is_a_directory(self):
        (self.out_dir / "taken.pb.gz").mkdir()
        self.check_unharmed(sample=1, out=f"{self.out_dir}/taken.pb.gz")
        self.assertTrue((self.out_dir / "taken.pb.gz").is_dir())

    def test_unwritable_directories(self):
        if os.getuid() != 0:
            self.out_dir.chmod(0o500)
            self.state_dir.chmod(0o500)
            self.check_unharmed(sample=1)
        else:
            self.dir.chmod(0o755)
            for folder in (self.out_dir, self.state_dir):
                folder.chmod(0o755)
            self.dir.parent.chmod(0o755)
            library = shutil.copy(paths.LIB, self.dir)  # others may not even get into the build directory
            victim = shutil.copy(self.victim("leak"), self.dir)
            self.check_unharmed(victim, sample=1, preexec_fn=self.drop_privileges, LD_PRELOAD=library)
        self.assertEqual([*self.out_dir.iterdir(), *self.state_dir.iterdir()], [])

    def test_state_directory_of_somebody_else(self):
        """A directory that others can write to is not trusted with a state file."""
        self.state_dir.chmod(0o777)
        run = self.check_unharmed(sample=1)
        self.assertEqual(len(run.files), 1)
        self.check_run_exact(run)

    @contextlib.contextmanager
    def small_tmpfs(self, size):
        """A mounted directory of that many bytes."""
        if os.getuid() != 0:
            self.skipTest("only root can mount")
        mount = self.dir / "small"
        mount.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", mount], capture_output=True).returncode:
            self.skipTest("mounting is not permitted here")
        try:
            yield mount
        finally:
            subprocess.run(["umount", "-l", mount], check=True)

    @cases(1, None)
    def test_full_output_directory(self, sample):
        with self.small_tmpfs(4096) as mount:
            (mount / "filler").write_bytes(b"x" * 4096)
            self.check_unharmed(sample=sample, out=f"{mount}/%p.pb.gz")
            self.assertEqual([path.name for path in mount.iterdir()], ["filler"])

    @cases("4k", "64k", "1m")
    def test_full_state_directory(self, size):
        """Touching a shared page that the file system has no room for raises SIGBUS: reserved before."""
        with self.small_tmpfs(size) as mount:
            run = self.check_unharmed("churn", status=0, sample=1, state_dir=mount)
            self.assertEqual(len(run.files), 1)
            self.check_lint(run.profile)

    @cases(0, 1, 512, 70000)
    def test_file_size_limit(self, limit):
        """SIGXFSZ kills whoever does not block it."""
        def limit_files():
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        run = self.check_unharmed("churn", status=0, sample=1, preexec_fn=limit_files)
        for path in self.out_dir.iterdir():  # whole or not at all
            self.assertIn(path, run.files)
        for profile in run.profiles:
            self.check_lint(profile)

    def test_what_cannot_be_written_stays(self):
        """Seen to fail: it was called lost, while the state file had it."""
        run = self.check_unharmed(sample=1, out=f"{self.dir}/missing/p.pb.gz")
        where = re.fullmatch(r"heapprof: cannot write \S+/missing/p.pb.gz: No such file or directory; "
                             r"it stays in (\S+), from where heapprof recover writes it\n", run.err)
        self.assertIsNotNone(where, run.err)
        self.tool("recover", "-o", self.dir / "recovered.pb.gz", where[1])
        self.check_exact(pprof_reader.load(self.dir / "recovered.pb.gz"), run.shadows[run.pid])

    def test_what_no_file_has_is_lost(self):
        run = self.check_unharmed(sample=1, out=f"{self.dir}/missing/p.pb.gz", state_dir="/nonexistent/dir")
        self.assertRegex(run.err, r"cannot write [^\n]*; this profile is lost\n")

    @cases("fifo", "link to a fifo", "link to a device")
    def test_neither_file_nor_null_device(self, kind):
        """Seen to fail: a file was made beside it. Nothing waits for a reader."""
        name, target = self.out_dir / "name.pb.gz", self.dir / "fifo"
        os.mkfifo(target)
        if kind == "fifo":
            target.rename(name)
        else:
            name.symlink_to(target if "fifo" in kind else "/dev/full")
        run = self.check_unharmed(sample=1, out=name)
        self.assertIn(f"cannot write {name}: it is neither a file nor /dev/null; it stays in {self.state_dir}/", run.err)
        self.assertEqual(list(self.out_dir.iterdir()), [name])
        self.assertFalse(name.is_file())

    @cases("/dev/null", "/dev/stdout", "/proc/self/fd/1")
    def test_places_of_the_system(self, name):
        """Seen to fail: each process left a file beside it. Compilers that write to /dev/null leave theirs there meanwhile (null.su)."""
        def beside():
            folder, start = os.path.split(name)
            ours = re.compile(re.escape(start) + r"\.(\d.*|.*\.tmp)")
            return [path for path in os.listdir(folder) if ours.fullmatch(path)] if folder == "/dev" else []
        self.addCleanup(lambda: [os.unlink(f"/dev/{path}") for path in beside()])
        self.assertEqual(beside(), [])
        run = self.check_unharmed(sample=1, out=name)
        self.assertEqual(beside(), [])
        self.assertEqual(len(list(self.state_dir.iterdir())), 0 if name == "/dev/null" else 1)
        self.assertEqual(run.err == "", name == "/dev/null", run.err)

    def test_host_with_a_strange_name(self):
        """Seen to fail: a host can be called anything, its name led out of the folder."""
        script = ("import os, socket, sys; socket.sethostname('../evil/\\x1b]0;x\\n'); "
                  "os.environ['LD_PRELOAD'] = sys.argv[1]; os.execv(sys.argv[2], sys.argv[2:])")
        if subprocess.run(["unshare", "-u", "true"], capture_output=True).returncode:
            self.skipTest("the host cannot be renamed here")
        self.profiled(["unshare", "-u", sys.executable, "-c", script, paths.LIB, self.victim("leak")], sample=1, expect=7,
                      LD_PRELOAD=None, out=f"{self.out_dir}/%h.pb.gz")
        self.assertEqual([path.name for path in self.out_dir.iterdir()], [".._evil__]0;x_.pb.gz"])


class Planted(Case):
    """Something is there already, at a name that can be known in advance."""

    def run_into(self, name):
        run = self.profiled([self.victim("leak")], sample=1, expect=7, out=f"{self.out_dir}/{name}")
        self.assertLessEqual(len(run.err.splitlines()), 1, run.err)
        return run

    @cases("file", "nothing", "directory")
    def test_symlink(self, target_kind):
        target = self.dir / "target"
        if target_kind == "file":
            target.write_text("precious")
        elif target_kind == "directory":
            target.mkdir()
        link = self.out_dir / "known.pb.gz"
        link.symlink_to(target)
        self.run_into("known.pb.gz")
        self.assertTrue(link.is_symlink())
        self.assertEqual(os.readlink(link), str(target))
        if target_kind == "file":
            self.assertEqual(target.read_text(), "precious")
        elif target_kind == "directory":
            self.assertEqual(list(target.iterdir()), [])
        else:
            self.assertFalse(target.exists())

    def test_file_is_kept_and_the_profile_too(self):
        (self.out_dir / "known.pb.gz").write_text("an earlier profile")
        self.run_into("known.pb.gz")
        self.assertEqual((self.out_dir / "known.pb.gz").read_text(), "an earlier profile")
        self.assertEqual(len(list(self.out_dir.iterdir())), 2, "the new profile has another name")
