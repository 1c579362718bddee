# SPDX-License-Identifier: MIT
"""Names of code that a runtime generated: perf maps and dumps, of processes that live and that have ended; real runtimes; files that
are not what they seem. Seen to fail: all of it was [anon]."""
import os
import pathlib
import re
import shutil
import struct
import tempfile
import unittest

from harness import paths, pprof_reader, pprof_writer
from harness.case import Case, cases, timeout
from harness.states import need_mount_namespaces, need_root
from harness.tools import need, pprof

HOLD = """
function hold(n) { const all = []; for (let i = 0; i < n; i++) all.push(Buffer.alloc(100000, 1)); return all; }
const kept = hold(300);
console.log("ready");
process.stdin.on("data", () => process.exit(kept.length - 300));
"""
JAVA = """
import java.lang.reflect.Field;
public class Hold {
  static sun.misc.Unsafe unsafe;
  static long holdOuter(int count, int size) {
    long sum = 0;
    for (int i = 0; i < count; i++) sum ^= unsafe.allocateMemory(size);
    return sum;
  }
  public static void main(String[] arguments) throws Exception {
    Field field = sun.misc.Unsafe.class.getDeclaredField("theUnsafe");
    field.setAccessible(true);
    unsafe = (sun.misc.Unsafe) field.get(null);
    long sum = 0;
    for (int i = 0; i < 20000; i++) sum ^= holdOuter(20, 16);
    for (int i = 0; i < 30; i++) sum ^= holdOuter(10, 100000);
    System.out.println(sum != 0);
  }
}
"""
ERLANG = """
-module(hold).
-export([start/0, outer/1]).
outer(N) -> length([binary:copy(<<1>>, 1000000) || _ <- lists:seq(1, N)]) + 1.
start() -> io:format("~p~n", [outer(20)]), halt().
"""
LISP = """
(declaim (notinline hold))
(defun hold (size) (sb-alien:alien-funcall (sb-alien:extern-alien "malloc" (function sb-sys:system-area-pointer sb-alien:unsigned-long)) size) size)
(dotimes (i 20) (print (1+ (hold 1000000))))
"""
CODE = 0x7F1234560000


class GeneratedCode(Case):
    def setUp(self):
        super().setUp()
        self.pid = 4000000 + os.getpid() % 100000  # beyond what the kernel gives away
        self.map = pathlib.Path(f"/tmp/perf-{self.pid}.map")
        self.profile = self.out_dir / "p.pb.gz"
        self.addCleanup(self.map.unlink, missing_ok=True)
        self.write_profile(self.pid)

    def write_profile(self, *pids):
        """Two places in generated code."""
        mappings = [(0x400000, 0x401000, 0, "/bin/program", ""), (CODE, CODE + 0x2000, 0, "//anon", "")]
        content = pprof_writer.encode(mappings, [(1, CODE + 0x10), (1, CODE + 0x1010)],
                                      comments=[f"# heapprof pid: {pid}" for pid in pids])
        self.profile.write_bytes(content)

    def names(self, *options, profile=None):
        done = self.tool("symbolize", *options, profile or self.profile)
        loaded = pprof_reader.load(profile or self.profile)
        self.check_lint(loaded)
        return [location.functions[0].name for location in loaded.locations], done.stderr

    def test_map(self):
        self.map.write_text(f"{CODE:x} 20 first\n{CODE + 0x1000:x} 20 second \x1b[31m of two\n")
        names, said = self.names()
        self.assertEqual(names, ["first", "second \x1b[31m of two"])
        self.assertIn("names for 2 addresses in generated code", said)
        mapping = pprof_reader.load(self.profile).mappings[-1]
        self.assertEqual((mapping.filename, mapping.has_functions), ("[jit]", True))
        text = self.tool("top", "--sample-index", "alloc_space", self.profile).stdout
        self.assertIn("second \\x1b[31m of two", text)
        self.map.unlink()
        self.assertEqual(self.names()[0], names, "they stay")
        for which in ("go", "google"):
            self.assertIn("first", pprof(which, "-top", "-sample_index=alloc_space", self.profile))

    def test_viewers_look_for_it(self):
        self.map.write_text(f"{CODE:x} 2000 code\n")
        self.assertIn("code 200", self.tool("folded", "--sample-index", "alloc_space", self.profile).stdout)

    def test_parts_without_a_name(self):
        self.map.write_text(f"{CODE:x} 20 first\n")
        names, _ = self.names()
        self.assertEqual(names, ["first", "[jit]"])
        self.map.write_text(f"{CODE:x} 20 other\n{CODE + 0x1000:x} 20 second\n")
        self.assertEqual(self.names()[0], ["first", "second"], "only what has no name gets one")

    def test_other_root(self):
        folder = self.dir / "root/tmp"
        folder.mkdir(parents=True)
        (folder / self.map.name).write_text(f"{CODE:x} 2000 inside\n")
        self.assertEqual(self.names()[0], ["[anon]"] * 2)
        self.assertEqual(self.names("--root", self.dir / "root")[0], ["inside"] * 2)

    @cases((), (1, 2))
    def test_whose_it_is_must_be_known(self, *pids):
        self.write_profile(*(pids and (self.pid, 1)))
        self.map.write_text(f"{CODE:x} 2000 code\n")
        self.assertEqual(self.names()[0], ["[anon]"] * 2)

    def test_dump(self):
        def record(kind, body):
            return struct.pack("<IIQ", kind, 16 + len(body), 0) + body
        dump = struct.pack("<IIIIIIQQ", 0x4A695444, 1, 40, 62, 0, 1, 0, 0)
        dump += record(0, struct.pack("<IIQQQQ", 1, 1, CODE, CODE, 0x2000, 1) + b"dumped\0\xc3")
        path = self.out_dir / f"jit-{self.pid}.dump"
        path.write_bytes(dump)
        self.map.write_text(f"{CODE:x} 2000 mapped\n")
        before = self.profile.read_bytes()
        self.assertEqual(self.names()[0], ["dumped"] * 2, "it tells more")
        self.profile.write_bytes(before)
        path.write_bytes(b"hello")
        names, said = self.names()
        self.assertEqual(names, ["mapped"] * 2)
        self.assertIn(f"jit-{self.pid}.dump: names of generated code: it is no dump that can be read", said)

    def test_files_of_others(self):
        if os.geteuid() != 0:
            self.skipTest("only root can give files away")
        self.map.write_text(f"{CODE:x} 2000 planted\n")
        os.chown(self.map, 12345, 12345)
        names, said = self.names()
        self.assertEqual(names, ["[anon]"] * 2)
        self.assertIn(f"{self.map}: names of generated code: it belongs neither to the user of the process nor to root", said)
        os.chown(self.profile, 12345, 12345)
        self.assertEqual(self.names()[0], ["planted"] * 2)

    @cases("link", "fifo", "folder")
    def test_no_file(self, kind):
        if kind == "link":
            (self.dir / "target").write_text(f"{CODE:x} 2000 linked\n")
            self.map.symlink_to(self.dir / "target")
        elif kind == "fifo":
            os.mkfifo(self.map)
        else:
            self.map.mkdir()
            self.addCleanup(self.map.rmdir)
        names, said = self.names()
        self.assertEqual(names, ["[anon]"] * 2)
        self.assertIn(f"{self.map}: names of generated code: ", said)
        if kind == "folder":
            self.addCleanup(setattr, self, "map", self.dir / "none")

    def test_large_map(self):
        """Of more than 256 MiB the end counts."""
        with open(self.map, "wb") as file:
            file.write(f"{CODE:x} 2000 first\n".encode())
            file.truncate(300 << 20)
            file.seek(0, os.SEEK_END)
            file.write(f"\n{CODE:x} 20 last\n".encode())
        self.assertEqual(self.names()[0], ["last", "[jit]"])


class Runtimes(Case):
    """What programs write themselves."""

    def leave_nothing(self, pid):
        self.addCleanup(pathlib.Path(f"/tmp/perf-{pid}.map").unlink, missing_ok=True)

    @cases("--perf-basic-prof", "--perf-prof")
    def test_node(self, option):
        need("node")
        (self.dir / "hold.js").write_text(HOLD)
        with self.start(["node", option, "--interpreted-frames-native-stack", "hold.js"], sample="64K") as program:
            self.leave_nothing(program.pid)
            program.read_until("ready")
            folded = self.tool("folded", program.pid).stdout
            self.assertRegex(folded, r"JS:\S?hold \S*/hold\.js:2:14;")
            self.assertNotIn("[anon]", folded)
            run = program.end("x")
        self.assertEqual(run.status, 0, run.err)
        raw = run.profile
        self.assertNotIn("hold", " ".join(f.name for s in raw.samples for location in s.locations for f in location.functions))
        done = self.tool("symbolize", "--no-cache", run.files[0], cwd=self.dir)
        self.assertRegex(done.stderr, r"names for \d+ addresses in generated code")
        folded = self.tool("folded", "--sample-index", "alloc_space", run.files[0]).stdout
        self.assertRegex(folded, r"JS:\S?hold \S*/hold\.js:2:14;")
        self.assertRegex(pprof("go", "-top", "-cum", "-sample_index=alloc_space", run.files[0]), r"JS:\S?hold ")

    def test_node_in_a_container(self):
        """With a pid and a /tmp of its own: the map is called after the pid that it sees. Everything else lies outside /tmp."""
        need("node", "unshare")
        need_root()
        need_mount_namespaces()
        self.state_dir = pathlib.Path(tempfile.mkdtemp(prefix="heapprof-test.", dir="/dev/shm"))
        self.addCleanup(shutil.rmtree, self.state_dir, ignore_errors=True)
        library = shutil.copy(paths.LIB, self.state_dir)
        inside = "mount -t tmpfs none /tmp && exec node --perf-basic-prof --interpreted-frames-native-stack -e \"$PROGRAM\""
        with self.start(["unshare", "--pid", "--fork", "--kill-child", "--mount", "--mount-proc", "sh", "-c", inside], sample="64K",
                        cwd=self.state_dir, PROGRAM=HOLD, LD_PRELOAD=library) as started:
            started.read_until("ready")
            pid, = pathlib.Path(f"/proc/{started.pid}/task/{started.pid}/children").read_text().split()
            self.assertTrue((pathlib.Path(f"/proc/{pid}/root") / "tmp/perf-1.map").exists())
            self.assertFalse(os.path.exists(f"/tmp/perf-{pid}.map"))
            folded = self.tool("folded", pid).stdout
            started.end("x")
        self.assertRegex(folded, r"JS:\S?hold \[eval\]:2:14;")

    def test_python(self):
        installed = pathlib.Path.home().glob(".pyenv/versions/3.1[2-9].*/bin/python3")
        python = next((str(p) for p in installed), shutil.which("python3.12") or shutil.which("python3.13"))
        (self.dir / "hold.py").write_text("def hold(n):\n    return [bytearray(100000) for _ in range(n)]\n\nkept = hold(300)\n")
        if python is None or os.system(f"{python} -c 'import sys; sys.activate_stack_trampoline' 2>/dev/null") != 0:
            raise unittest.SkipTest("no Python that names its functions")
        run = self.profiled([python, "-X", "perf", "hold.py"], sample="64K")
        for path in run.files:
            self.leave_nothing(re.search(r"\.(\d+)\.\d+\.pb\.gz$", path.name)[1])
        self.tool("symbolize", "--no-cache", *run.files)
        folded = "".join(self.tool("folded", "--sample-index", "alloc_space", path).stdout for path in run.files)
        self.assertRegex(folded, r"py::hold:\S*hold\.py;")

    def symbolized(self, run):
        for path in run.files:
            self.leave_nothing(re.search(r"\.(\d+)\.\d+\.pb\.gz$", path.name)[1])
        self.tool("symbolize", "--no-cache", *run.files, cwd=self.dir)
        return "".join(self.tool("folded", "--sample-index", "alloc_space", path).stdout for path in run.files)

    @timeout(300)
    def test_java(self):
        """Whole stacks where Java keeps frame pointers, and names from the map that it leaves at its end."""
        need("java", "javac")
        (self.dir / "Hold.java").write_text(JAVA)
        self.plain(["javac", "-nowarn", "Hold.java"])
        run = self.profiled(["java", "-Xbatch", "-XX:+PreserveFramePointer", "-XX:+UnlockDiagnosticVMOptions", "-XX:+DumpPerfMapAtExit", "-cp",
                             self.dir, "Hold"], sample="64K")
        folded = self.symbolized(run)
        self.assertRegex(folded, r"start_thread;.*;JavaMain;.*;Interpreter;.*long Hold\.holdOuter\(int, int\);.*;Unsafe_AllocateMemory0 ")

    @timeout(300)
    def test_erlang(self):
        """It calls C on another stack than its own, on which frame pointers go on. Seen to fail (one frame of Erlang) before they were
        followed there."""
        need("erl", "erlc")
        (self.dir / "hold.erl").write_text(ERLANG)
        self.plain(["erlc", "hold.erl"], cwd=self.dir)
        run = self.profiled(["erl", "+JPperf", "true", "+S", "1", "+Mea", "min", "-noshell", "-s", "hold", "start"], sample="256K")
        self.assertRegex(self.symbolized(run), r"init:start_em/1;hold:start/0;hold:outer/1;(hold:[^;]*;)*global::call_light_bif_shared;.*;erts_sys_alloc 1")

    def test_lisp(self):
        """SBCL has no names for others, but frame pointers all the way."""
        need("sbcl")
        (self.dir / "hold.lisp").write_text(LISP)
        run = self.profiled(["sbcl", "--script", "hold.lisp"], sample="64K")
        self.assertRegex(self.symbolized(run), r"_start;.*;main;initialize_lisp;.*(\[(anon|jit)\];)+\[(anon|jit)\] 2\d{7}\n")
