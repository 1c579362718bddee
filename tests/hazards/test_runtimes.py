# SPDX-License-Identifier: MIT
"""Runtimes that do unusual things to stacks and signals: U6 (coroutines), U7 (compilers at run time), G2 (Go)."""
import itertools
import os
import shutil
import subprocess

from harness import pprof_reader
from harness.case import timeout
from hazards.toolbox import AsWithout, Discriminates, program, skip_unless


class U6FullDepth(AsWithout):
    """U6: the same small stacks when stacks of 512 frames are asked for, whose buffer alone is 4 KiB. Seen to fail by the mutant
    buffer_on_the_stack."""

    def test_as_without(self):
        command = [program("hz_u6_small_stacks.c", "-Wl,-z,now")]
        plain = self.plain(command)
        for depth, sample in itertools.product((1, 512), self.samples):
            run = self.profiled(command, expect=None, sample=sample, depth=depth)
            self.assertEqual(self.outcome(run), self.outcome(plain), f"HEAPPROF_DEPTH={depth} HEAPPROF_SAMPLE={sample}; {run.err}")


class U6Greenlet(AsWithout, Discriminates):
    """U6: Python's greenlets copy pieces of the stack away and back. Seen to fail (SIGSEGV) under a shim that follows rbp."""
    broken = ["broken_frame_pointers.c"]
    control = None  # it looks for operator new before the module that brings libstdc++ is loaded
    SCRIPT = """
import greenlet
def work(n):
    kept = []
    for i in range(n):
        kept.append(bytearray(i % 3000))
        total = greenlet.getcurrent().parent.switch(len(kept))
    return sum(map(len, kept))
def deep(n, f):
    return f() if n == 0 else deep(n - 1, f)
lets = [greenlet.greenlet(work) for _ in range(20)]
for let in lets: let.switch(200)
total = 0
for i in range(400):
    for let in lets:
        if not let.dead: total += deep(i % 40, let.switch) or 0
print(total, [let.dead for let in lets].count(True))
"""

    def command(self):
        python = "/usr/bin/python3"
        skip_unless(os.path.exists(python) and subprocess.run([python, "-c", "import greenlet"], capture_output=True).returncode == 0,
                    "python3-greenlet is not installed")
        return ["env", "PYTHONMALLOC=malloc", python, "-c", self.SCRIPT]


class U7Luajit(AsWithout, Discriminates):
    """U7: frames of a tracing compiler, which keeps no frame pointer and no unwind information that we can find. Seen to fail (SIGSEGV)
    under a shim that follows rbp."""
    broken = ["broken_frame_pointers.c"]
    SCRIPT = """
local ffi = require 'ffi'
ffi.cdef 'void *malloc(size_t n); void free(void *p); size_t strlen(const char *s);'
local sum = 0
for i = 1, 300000 do
  local p = ffi.C.malloc(i % 5000 + 1)
  sum = sum + i % 7
  ffi.C.free(p)
end
local t = {}
for i = 1, 50000 do t[#t + 1] = ('x'):rep(i % 100) .. i end
print(sum, #table.concat(t))
"""

    def command(self):
        skip_unless(shutil.which("luajit"), "luajit is not installed")
        return ["luajit", "-e", self.SCRIPT]


class U7Java(AsWithout, Discriminates):
    """U7: HotSpot's compiled code, signals for safepoints and null checks, its own signal stacks, threads, spawning. Seen to fail
    (SIGSEGV) under a shim that follows rbp."""
    broken = ["broken_frame_pointers.c"]
    SOURCE = """
import java.util.*; import java.util.concurrent.*; import java.util.zip.*; import java.nio.*;
public class Work {
  static int depth(int n) { return n == 0 ? 0 : 1 + depth(n - 1); }
  public static void main(String[] a) throws Exception {
    ExecutorService pool = Executors.newFixedThreadPool(4);
    List<Future<Long>> sums = new ArrayList<>();
    for (int t = 0; t < 8; t++) sums.add(pool.submit(() -> {
      long sum = 0;
      for (int i = 0; i < 60; i++) {
        Deflater d = new Deflater(); d.setInput(new byte[1000 + i]); d.finish();
        sum += d.deflate(new byte[4000]); d.end();
        sum += ByteBuffer.allocateDirect(64 * i + 1).capacity() + depth(500);
        try { Object o = null; o.hashCode(); } catch (NullPointerException e) { sum++; }
      }
      return sum; }));
    long sum = 0;
    for (Future<Long> f : sums) sum += f.get();
    pool.shutdown();
    Process p = new ProcessBuilder("/bin/echo", "spawned").inheritIO().start();
    System.out.println(sum + " " + p.waitFor());
  }
}
"""

    def command(self):
        java = shutil.which("java", path="/usr/bin")
        skip_unless(java, "no java is installed")
        (self.dir / "Work.java").write_text(self.SOURCE)
        return [java, "-Xshare:auto", "-XX:TieredStopAtLevel=1", str(self.dir / "Work.java")]

    @timeout(300)
    def test_as_without(self):
        super().test_as_without()


class G2Go(AsWithout, Discriminates):
    """G2: Go ends a program whose signal handlers do not ask for the alternate stack, and switches stacks around calls of C. Seen to
    fail (SIGSEGV) under a shim that follows rbp."""
    broken = ["broken_frame_pointers.c"]
    SOURCE = """
package main
/*
#include <stdlib.h>
#include <string.h>
static size_t fill(size_t n) { char *p = malloc(n + 1); memset(p, 'x', n); p[n] = 0; size_t l = strlen(p); free(p); return l; }
*/
import "C"
import ("fmt"; "os"; "os/signal"; "sync"; "syscall"; "runtime")
func deep(n int) C.size_t { if n == 0 { return C.fill(100) }; return deep(n - 1) }
func main() {
  got := make(chan os.Signal, 100)
  signal.Notify(got, syscall.SIGUSR1)
  var wait sync.WaitGroup
  var sums [8]C.size_t
  for g := range sums {
    wait.Add(1)
    go func(g int) {
      defer wait.Done()
      for i := 0; i < 500; i++ {
        sums[g] += C.fill(C.size_t(i)) + deep(i % 50)
        if i % 100 == 0 { syscall.Kill(os.Getpid(), syscall.SIGUSR1); syscall.Kill(os.Getpid(), syscall.SIGUSR2); runtime.GC() }
      }
    }(g)
  }
  wait.Wait()
  total := C.size_t(0)
  for _, s := range sums { total += s }
  fmt.Println(total, len(got) > 0)
}
"""

    def command(self):
        skip_unless(shutil.which("go"), "go is not installed")
        (self.dir / "work.go").write_text(self.SOURCE)
        program = self.dir / "work"
        environment = {**os.environ, "GO111MODULE": "off", "GOCACHE": str(self.dir / "cache"), "GOFLAGS": "", "HOME": str(self.dir),
                       "CGO_ENABLED": "1"}
        subprocess.run(["go", "build", "-o", program, self.dir / "work.go"], check=True, env=environment, cwd=self.dir)
        return [str(program)]

    @timeout(300)
    def test_as_without(self):
        """Go takes all signals for itself and ends by a system call of its own: nothing is written, and nothing is lost."""
        program = self.command()
        plain = self.plain(program)
        for sample in self.samples:
            run = self.profiled(program, sample=sample)
            self.assertEqual(run.out, plain.out, run.err)
            if sample == 1:
                self.tool("recover", run.pid, "-o", "recovered.pb.gz")
                profile = pprof_reader.load(self.out_dir / "recovered.pb.gz")
                fills = profile.totals(lambda frames: any("fill" in name for name in frames))
                self.assertEqual((fills["alloc_objects"], fills["inuse_objects"]), (8000, 0))
