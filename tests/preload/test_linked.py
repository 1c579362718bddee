# SPDX-License-Identifier: MIT
"""Programs that are linked with the library, as heapprof.pc says: as if it were preloaded."""
import re
import subprocess

from harness import paths
from harness.case import Case, cases
from hazards import toolbox

STATUS = {"leak.c": 7, "exits.c return": 5}


def link_flags():
    """As they are installed, but for where."""
    text = (paths.BUILD / "heapprof.pc").read_text()
    return re.search(r"^link=(.*)$", text, re.MULTILINE)[1].replace("${libdir}", str(paths.LIB.parent)).split()


class Linked(Case):
    flags = staticmethod(link_flags)

    def run_victim(self, words, **options):
        name, *arguments = words.replace("PLUGIN", f"{paths.VICTIMS}/libplugin.so").split()
        program = toolbox.program(name, "-w", "-O2", "-std=gnu++17" if name.endswith(".cc") else "-std=gnu11", *self.flags())
        return self.profiled([program, *arguments], sample=1, expect=STATUS.get(words, 0), **{"LD_PRELOAD": None, **options})

    @cases("leak.c", "everything.c", "new_delete.cc", "threads.c 4", "strings.c", "exits.c return", "dlopen.c PLUGIN again")
    def test_exact(self, words):
        """Also what libraries allocate, those that the program opens, too. Seen to fail: without the flags there is no profile."""
        run = self.run_victim(words)
        self.assertEqual(run.err, "")
        self.assertIn(f"heapprof.{words.split('.')[0]}.", run.files[0].name)
        self.check_run_exact(run)

    def test_parent_and_child(self):
        run = self.run_victim("fork.c busy")
        self.assertEqual((run.err, len(run.shadows), len(run.files)), ("", 2, 2))
        for path, profile in zip(run.files, run.profiles):
            self.check_exact(profile, run.shadows[int(path.name.split(".")[-4])])

    def test_preloaded_besides(self):
        """It is one library all the same."""
        run = self.run_victim("leak.c", LD_PRELOAD=str(paths.LIB))
        self.assertEqual(run.err, "")
        self.check_run_exact(run)
        self.assertEqual(run.profile.comment_values()["lost.total"], 0)


class Installed(Case):
    """heapprof.pc names the folders that `make install` was told. Seen to fail: those that ./configure was told."""
    @cases((["prefix=/opt/x"], "/opt/x", "/opt/x/lib", "/opt/x/include"), (["prefix=/opt/x", "libdir=/y/lib"], "/opt/x", "/y/lib", "/opt/x/include"),
           (["prefix=/opt/x", "exec_prefix=/z"], "/opt/x", "/z/lib", "/opt/x/include"))
    def test_where(self, told, prefix, libdir, includedir):
        done = subprocess.run(["make", "-s", "-C", paths.BUILD, "install-pkgconfigDATA", "install-data-hook", f"DESTDIR={self.dir}",
                               "libdir=${exec_prefix}/lib", "includedir=${prefix}/include", "exec_prefix=${prefix}", *told], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        found = self.dir / libdir[1:] / "pkgconfig/heapprof.pc"
        for name, value in (("prefix", prefix), ("libdir", libdir), ("includedir", includedir), ("preload", f"{libdir}/libheapprof.so")):
            said = subprocess.run(["pkg-config", f"--variable={name}", found], capture_output=True, text=True, check=True)
            self.assertEqual(said.stdout.strip(), value, name)


class WithTheArchive(Case):
    """libheapprof.a is for statically linked programs: in others it would see what the program itself allocates, but not what its libraries
    do, nor what they free of the program's. It only forwards, to whatever the program would have called."""

    def program(self, *more, name="leak.c"):
        return toolbox.program(name, "-w", *more, *toolbox.static_flags())

    def test_stands_aside(self):
        """Seen to fail: half a profile."""
        run = self.plain([self.program()], expect=7, verbose=1, out=f"{self.out_dir}/heapprof.%p.pb.gz", state_dir=self.state_dir)
        self.assertIn("not profiling: the program is linked dynamically, and its libraries allocate past libheapprof.a: link it with "
                      "$(pkg-config --variable=link heapprof)\n", run.err)
        self.assertEqual((run.files, list(self.state_dir.iterdir())), ([], []))

    @cases("glibc", "jemalloc")
    def test_preloaded_besides(self, allocator):
        """One of both counts, that is."""
        run = self.profiled([self.program()], sample=1, expect=7, allocator=allocator)
        self.check_run_exact(run)

    def test_says_who_profiles(self):
        """Seen to fail: the archive said that nobody does."""
        run = self.profiled([self.program()], sample=1, expect=7, verbose=1)
        self.assertIn("not profiling: libheapprof.a stands aside for libheapprof.so, which is there, too\n", run.err)
        self.assertEqual(len(run.files), 1)

    def test_sanitizer(self):
        """The free that it calls is the sanitizer's, as are strdup and others. Seen to fail with hooks that go on to the next one: libc's."""
        run = self.plain([self.program("-fsanitize=address", name="strings.c")], ASAN_OPTIONS="detect_leaks=0")
        self.assertIn("\nshadow ", run.out)
        self.assertEqual(run.err, "")
