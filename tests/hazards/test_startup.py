# SPDX-License-Identifier: MIT
"""S1 to S6: start-up, thread-local storage, threads."""
import shutil
import subprocess

from harness import paths
from harness.case import cases
from hazards.toolbox import INTERVALS, AsWithout, Discriminates, Hazard, amount, library, program, program_with_library, shim, skip_unless


class S1Bootstrap(Hazard):
    """S1: dlsym, dlerror and dl_iterate_phdr of a second preloaded library allocate, and a function of it can only be found by dlsym.
    Seen to fail (endless recursion) under a shim without an arena to start with."""
    COMMANDS = (["/bin/ls", "/"], ["/usr/bin/sort", "/etc/passwd"], ["/bin/bash", "-c", "x=$(echo a | cat); echo $x"])

    def preloads(self, of_ours):
        second = library("hz_s1_preload.c")
        return f"{of_ours} {second}", f"{second} {of_ours}"

    @cases(*range(len(COMMANDS)))
    def test_both_orders(self, number):
        command = self.COMMANDS[number]
        alone = self.plain(command)
        for preload in self.preloads(paths.LIB):
            for sample in INTERVALS:
                run = self.profiled(command, sample=sample, LD_PRELOAD=preload)
                self.assertEqual((run.out, run.err), (alone.out, alone.err))
        # It works there, too: something was sampled at R = 1 unless the program ended by _exit in a child.
        self.assertGreater(len(self.profile_files()), 0)

    def test_both_orders_discriminate(self):
        for preload in self.preloads(shim("broken_no_bootstrap.c")):
            self.assertLess(self.plain(["/bin/ls", "/"], expect=None, LD_PRELOAD=preload).status, 0)
        for preload in self.preloads(shim("mini_shim.c")):
            self.plain(["/bin/ls", "/"], LD_PRELOAD=preload)

    def test_fakechroot(self):
        skip_unless(shutil.which("fakechroot"), "fakechroot is not installed")
        command = ["fakechroot", "sh", "-c", "ls / | sort; cat /etc/hostname"]
        plain = self.plain(command)
        for sample in INTERVALS:
            self.assertEqual(self.profiled(command, sample=sample).out, plain.out, f"HEAPPROF_SAMPLE={sample}")


class S2Exit(AsWithout, Discriminates):
    """S2: atexit is the first to allocate. Seen to fail (deadlock) under a shim that calls it in its first malloc."""
    broken = ["broken_lazy_atexit.c"]

    def command(self):
        return [program_with_library("hz_s2_registers.c"), "exit"]


class S2Fork(AsWithout, Discriminates):
    """S2: the same with pthread_atfork. Seen to fail (deadlock) in the same way."""
    broken = ["broken_lazy_atfork.c"]

    def command(self):
        return [program_with_library("hz_s2_registers.c"), "fork"]


class S3Early(AsWithout, Discriminates):
    """S3: 80,000 blocks from 8 threads before our constructor. Seen to fail (abort) under a shim that needs its
    constructor first."""
    broken = ["broken_needs_constructor.c"]

    def command(self):
        return [program_with_library("hz_s3_early.c")]


class S4TlsLibraries(AsWithout):
    """S4: 64 libraries with TLS loaded beside threads that allocate. With glibc 2.36 general-dynamic TLS in a preloaded
    library survives this (its module is older than any that is loaded), so what is forbidden is looked for in the file:
    seen to fail for a shim with general-dynamic TLS, and for one with too much."""

    def faults_of(self, shared):
        run = lambda *command: subprocess.run([*command, shared], stdout=subprocess.PIPE, text=True, check=True).stdout
        tls = [int(line.split()[5], 16) for line in run("readelf", "-lW").splitlines() if line.split()[:1] == ["TLS"]]
        return (["__tls_get_addr"] if "__tls_get_addr" in run("nm", "-D") else []) + [n for n in tls if n > 64]

    def test_tls_of_the_file(self):
        self.assertEqual(self.faults_of(paths.LIB), [])

    def test_tls_of_the_file_discriminates(self):
        self.assertEqual(self.faults_of(shim("mini_shim.c")), [])
        self.assertEqual(self.faults_of(shim("broken_gd_tls.c")), ["__tls_get_addr", 65])

    def command(self):
        source, copies = library("hz_plugin.c", "-DTLS_BYTES=100"), []
        for i in range(64):
            copies.append(self.dir / f"plugin{i}.so")
            if not copies[-1].exists():
                shutil.copy(source, copies[-1])
        return [program("hz_s4_tls_libraries.c"), *copies]


class S5Destructors(AsWithout, Discriminates):
    """S5: short threads whose last act is a free. Seen to fail (growth) under a shim that keeps a state per thread."""
    broken = ["broken_thread_memory.c"]

    def command(self):
        return [program("hz_s5_destructors.c"), amount(10000, 50000)]


class S6Tasks(AsWithout, Discriminates):
    """S6: one task stays one task, and may unshare. Seen to fail under a shim with a thread of its own."""
    broken = ["broken_helper_thread.c"]

    def command(self):
        return [program("hz_s6_tasks.c")]


class S6Unshare(AsWithout, Discriminates):
    """S6: the program unshare, with a user namespace. Seen to fail, with a thread of its own: "Invalid argument"."""
    broken = ["broken_helper_thread.c"]

    def command(self):
        command = ["unshare", "-Ur", "true"]
        skip_unless(self.plain(command, expect=None).status == 0, "user namespaces are not allowed here")
        return command


class S7Heap(AsWithout):
    """S7: no heap before the program asks for memory. Seen to fail while symbols that are not there were looked up by dlsym, which
    allocates a message, and while libunwind was opened."""

    def command(self):
        return [program("hz_s7_heap.c")]

    def test_there_is_none_without(self):
        self.assertEqual(self.plain(self.command()).out, "no heap\n")
