# SPDX-License-Identifier: MIT
"""Runtimes that do unusual things to stacks and signals: U6 (coroutines), U7 (compilers at run time), U13 and G2 (Go)."""
import itertools
import os
import re
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


def build_go(folder, name, source):
    skip_unless(shutil.which("go"), "go is not installed")
    (folder / f"{name}.go").write_text(source)
    environment = {**os.environ, "GO111MODULE": "off", "GOCACHE": str(folder / "cache"), "GOFLAGS": "", "HOME": str(folder), "CGO_ENABLED": "1"}
    subprocess.run(["go", "build", "-o", folder / name, folder / f"{name}.go"], check=True, env=environment, cwd=folder)
    return str(folder / name)


class U13Go(AsWithout):
    """U13: Go calls C on another stack than its own, and is called back from there, while its own stack is moved about. Seen to fail in
    version 0.1.0 (cut at runtime.asmcgocall), and by the mutant goroutines_cut."""
    samples = (1,)
    SOURCE = """
package main
/*
#include <stdlib.h>
extern void goCallback(int);
__attribute__((noinline)) static void *c_allocate(size_t n) { void *p = malloc(n); __asm__ volatile("" ::: "memory"); return p; }
__attribute__((noinline)) static void *c_middle(size_t n) { void *p = c_allocate(n); __asm__ volatile("" ::: "memory"); return p; }
__attribute__((noinline)) static void c_call_back(int n) { free(c_allocate(5000)); goCallback(n); __asm__ volatile("" ::: "memory"); }
*/
import "C"
import ("fmt"; "runtime"; "sync"; "unsafe")
//export goCallback
func goCallback(n C.int) { if n > 0 { goBetween(n - 1) } }
//go:noinline
func goBetween(n C.int) { C.c_call_back(n) }
//go:noinline
func goOuter(n int) unsafe.Pointer { return goInner(n) }
//go:noinline
func goInner(n int) unsafe.Pointer { return C.c_middle(C.size_t(n)) }
//go:noinline
func goDeep(n int) int { var room [200]int; room[n % 200] = n; if n == 0 { return 0 }; return goDeep(n - 1) + room[n % 200] }
func goRoutine() {
  for i := 1; i <= 100; i++ { C.free(goOuter(4000)); if i % 10 == 0 { goBetween(3) }; if i % 25 == 0 { goDeep(50 * i); runtime.GC() } }
}
func main() {
  var wait sync.WaitGroup
  for g := 0; g < 8; g++ { wait.Add(1); go func() { defer wait.Done(); goRoutine() }() }
  wait.Wait()
  fmt.Println("ok")
}
"""

    def command(self):
        return [build_go(self.dir, "calls", self.SOURCE)]

    def truth(self, calls):
        """Of an allocation in the n-th call from Go, from the innermost function outwards: what we know the names of."""
        return ["c_allocate", "c_call_back", "goBetween", *["goCallback", "c_call_back", "goBetween"] * calls, "goRoutine"]

    @timeout(120)
    def test_who_called_c(self):
        run = self.profiled(self.command(), sample=1)
        self.tool("recover", run.pid, "-o", "recovered.pb.gz")
        profile = pprof_reader.load(self.out_dir / "recovered.pb.gz")
        known = re.compile(r"(?:main\.)?(c_allocate|c_middle|c_call_back|goOuter|goInner|goBetween|goCallback|goRoutine)$")
        found = {}
        for frames, objects in profile.stacks("alloc_objects", lambda frames: "c_allocate" in frames).items():
            names = tuple(match[1] for match in map(known.match, frames) if match)
            names = tuple(name for i, name in enumerate(names) if i == 0 or name != names[i - 1])
            found[names] = found.get(names, 0) + objects
        self.assertEqual(found.pop(("c_allocate", "c_middle", "goInner", "goOuter", "goRoutine")), 800)
        wholes = [found.pop(tuple(self.truth(calls)), 0) for calls in range(4)]
        # The first call back in a goroutine moves its stack, and what C has saved of it is out of date: cut there, not made up.
        for names, objects in found.items():
            self.assertIn(list(names), [self.truth(calls)[:-2 - 3 * cut] for calls in range(4) for cut in range(4)], names)
        self.assertEqual(sum(wholes) + sum(found.values()), 8 * 10 * 4)
        self.assertGreaterEqual(min(wholes), 40)
        self.assertEqual(profile.comment_values().get("lost.truncated", 0) >= sum(found.values()), True)


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
        return [build_go(self.dir, "work", self.SOURCE)]

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
