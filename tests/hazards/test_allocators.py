# SPDX-License-Identifier: MIT
"""The table "Allocator semantics" of the hazards, row by row, on four allocators."""
import itertools
import json
import pathlib
import re
import shutil
import signal

from harness import paths
from harness.case import ALLOCATORS, LIBRARY_FOLDERS, cases, in_victim, timeout
from hazards.toolbox import (INTERVALS, VICTIMS, AsWithout, Discriminates, Exact, Hazard, amount, library, program, program_with_library,
                             skip_unless)
from policy.test_library import hooked_names


class Row1SharedSlots(Exact):
    """Row 1: record before free. Seen to fail under a shim that frees first. In the real one: move the removal from the live
    table behind the call of the real free."""
    broken = ["broken_free_before_record.c"]

    def command(self):
        return [program("hz_a1_shared_slots.c"), amount(20000, 500000)]

    def outcome(self, run):
        return run.status  # what remains in the slots is chance


class Row2Realloc(Exact):
    """Row 2: a realloc that fails loses nothing; one to 0 bytes is what the allocator says. Seen to fail under a shim that
    forgets the block. In the real one: do not put it back."""
    broken = ["broken_realloc_loses.c"]

    def command(self):
        return [program("hz_a2_realloc.c")]


class Row3EntryPoints(Exact):
    """Rows 3 and 5: every entry point, each request once, in use 0 in the end. Seen to fail under a shim that misses
    memalign and others, and under one that counts malloc within operator new. In the real one: take a line out of
    hooks.def, or let the guard of operator new count nested calls."""
    broken = ["mini_shim.c", "broken_counts_twice.c"]
    control = None

    def command(self):
        return [program("hz_a3_entry_points.cc", "-std=c++17", "-Wno-deprecated-declarations")]

    def outcome(self, run):
        return run.status  # with us there are more entry points to call

    @cases("jemalloc")
    def test_resized_in_place(self, allocator):
        """xallocx: how often it counts is ours to choose; that nothing remains is not."""
        profile = self.profiled(self.command(), sample=1, allocator=allocator).profile
        resized = profile.totals(lambda frames: "hz_resized_in_place" in frames)
        self.assertGreater(resized["alloc_objects"], 0)
        self.assertEqual((resized["inuse_objects"], resized["inuse_space"]), (0, 0))


class Row3Bsd(Hazard):
    """Row 3: vfree, reallocf, reallocarr, mimalloc's and our own. Seen to fail (numbers drift) by the mutant bsd_unhooked."""

    @cases("glibc", "mimalloc")
    def test_exact(self, allocator):
        self.check_run_exact(self.profiled([program("hz_a3_bsd.c")], sample=1, allocator=allocator))


PLUGIN_FLAGS = {"now": ["-Wl,-z,now", "-Wl,-z,relro"], "lazy": ["-Wl,-z,lazy", "-Wl,-z,norelro"]}


def deep_command(how, *own):
    flags = ["-Wl,--no-as-needed", library("hz_a3_own_malloc.c", "-fno-builtin")] if own else []
    return [program("hz_a3_deepbind.c"), library("hz_a3_deep_plugin.c", "-fno-builtin", *PLUGIN_FLAGS[how], *flags), how, 3, *own]


class Row3DeepBind(AsWithout):
    """Row 3: a plug-in that is opened with RTLD_DEEPBIND is bound to the allocator past us: everything it allocates and frees is counted,
    but for its constructor. Seen to fail by the mutants deep_binding_stays and deep_data_stays. One with an allocator of its own keeps
    that; seen to fail (SIGILL) by the mutant lazy_is_guessed."""

    def command(self, how="now", *own):
        return deep_command(how, *own)

    @cases("now", "lazy")
    def test_exact(self, how):
        self.check_run_exact(self.profiled(self.command(how), sample=1))

    @cases("now", "lazy")
    def test_own_allocator(self, how):
        for sample in INTERVALS:
            self.profiled(self.command(how, "own"), sample=sample)


class Row3Uncovered(AsWithout):
    """Row 3: what allocates past us is counted, once for each file, and `info` names it: from a running process, from its profile, and
    from the state that it leaves. Seen to fail (nothing was said) before, and by the mutants
    uncovered_unsaid, others_unnoticed and failed_opens_count."""
    PLUGIN = "hz_a3_deep_plugin.c"

    def command(self, name=None):
        return [program("hz_a3_apart.c"), name or library(self.PLUGIN, "-fno-builtin")]

    def uncovered(self, run):
        """Of the profile, for programs and for people."""
        path, = run.files
        info = json.loads(self.tool("info", "--json", path).stdout)
        said = re.findall(r"^uncovered +(\d+) objects? allocates? past the profiler: (.*)$", self.tool("info", path).stdout, re.MULTILINE)
        self.assertEqual(said, [(str(info["uncovered_objects"]), ", ".join(info["uncovered"]))] if info["uncovered"] else [])
        return info["uncovered_objects"], info["uncovered"]

    @cases("exit", "keep")
    def test_namespaces(self, dump):
        """By its path, and by a name that is looked for."""
        plugin = pathlib.Path(library(self.PLUGIN, "-fno-builtin"))
        for name in (plugin, plugin.name):
            run = self.profiled(self.command(name), sample=1, dump=dump, LD_LIBRARY_PATH=plugin.parent)
            if dump == "keep":
                self.tool("recover", "--all")
                run.files = self.profile_files()
            self.assertEqual(self.uncovered(run), (1, [f"{plugin.name} (dlmopen)"]))
            self.clear_profiles()

    @cases("now", "lazy")
    def test_bound_past_us(self, how):
        """What is bound again is covered; what has an allocator of its own is not, and stays so however often it comes."""
        deep = deep_command(how)
        self.assertEqual(self.uncovered(self.profiled(deep, sample=1)), (None, []))
        self.clear_profiles()

    def test_own_allocator(self):
        command = deep_command("now", "own")
        run = self.profiled(command, sample=1)
        self.assertEqual(self.uncovered(run), (1, [f"{pathlib.Path(command[1]).name} (another allocator)"]))


class Row3Php(Hazard):
    """Row 3: PHP opens its extensions with RTLD_DEEPBIND. What it holds of libcurl is what another program holds. Seen to fail (39 KB of
    2 MB) by the mutant deep_data_stays."""
    PHP = "for ($h = [], $i = 0; $i < 400; $i++) $h[] = curl_init('http://127.0.0.1/'); posix_kill(posix_getpid(), SIGUSR2);"
    PYTHON = ("import ctypes, os, signal; c = ctypes.CDLL('libcurl.so.4'); c.curl_easy_init.restype = ctypes.c_void_p; "
              "c.curl_global_init(3); h = [c.curl_easy_init() for i in range(400)]; os.kill(os.getpid(), signal.SIGUSR2)")

    def held(self, *command):
        run = self.profiled(command, sample=1)
        self.assertEqual(len(run.files), 2, run.err)  # at the signal, and at exit
        held = run.profiles[0].totals(lambda frames: "curl_easy_init" in frames)["inuse_space"]
        self.clear_profiles()
        return held

    def test_handles(self):
        skip_unless(shutil.which("php"), "php is not installed")
        plain = self.plain(["php", "-r", "exit(extension_loaded('curl') && extension_loaded('posix') ? 0 : 1);"], expect=None)
        skip_unless(plain.status == 0, "php has no curl")
        script = self.PHP.replace("SIGUSR2", str(int(signal.SIGUSR2)))
        expected = self.held("/usr/bin/python3", "-c", self.PYTHON)
        self.assertGreater(expected, 1 << 20)
        self.assertAlmostEqual(self.held("php", "-r", script), expected, delta=expected / 10)


class Row4BadAlloc(Exact):
    """Rows 4 and 5: bad_alloc passes through operator new, a new handler frees in there, and counting goes on; new and the
    malloc in it count once. Seen to fail under a guard that an exception leaves set, and under one that counts twice."""
    broken = ["broken_guard_sticks.c", "broken_counts_twice.c"]

    def command(self):
        return [program("hz_a4_bad_alloc.cc", "-std=c++17")]


class Row4Plugin(AsWithout):
    """Row 4: operator new fails in a library that a plug-in (RTLD_LOCAL) was linked with; its C++ runtime is the plug-in's own, shared or
    in the library itself. Seen to fail (SIGSEGV: nothing is thrown) by the mutant runtime_unseen."""
    KINDS = ([], ["-static-libstdc++", "-static-libgcc"])

    def plugin(self, flags):
        dependency = library("hz_a4_dependency.cc", "-std=c++17", *flags)
        return library("hz_a4_plugin.cc", "-Wl,--no-as-needed", dependency)

    def command(self):
        return [program("hz_a4_host.c"), *map(self.plugin, self.KINDS)]

    @cases("shared", "static")
    def test_one_alone(self, kind):
        """so that nobody else's runtime is there"""
        command = [program("hz_a4_host.c"), self.plugin(self.KINDS[kind == "static"])]
        run = self.profiled(command)
        self.assertEqual(run.out, "caught: 42\n")


class Row5Checking(Hazard):
    """Row 5: the probe gives its object back by what belongs to it, also under allocators that check that, and whose delete calls new.
    Seen to fail (abort before main) by the mutant probe_unpaired."""
    VICTIMS = (["new_delete", "never-fail"], ["aligned"], ["everything"], ["strings"])
    LIBRARIES = {"tcmalloc": "libtcmalloc_debug.so.4", "tcmalloc-minimal": "libtcmalloc_minimal_debug.so.4",
                 "glibc-debug": "libc_malloc_debug.so.0"}

    def check_as_without(self, commands, before=(), behind=(), **settings):
        for command in commands:
            plain = self.plain(command, LD_PRELOAD=" ".join([*before, *behind]), expect=None, **settings)
            self.assertEqual(plain.status, 0, f"without us, {command}: {plain.err}")
            for sample in INTERVALS:
                preload = " ".join([*before, str(paths.LIB), *behind])
                run = self.profiled(command, sample=sample, LD_PRELOAD=preload, expect=None, **settings)
                self.assertEqual((self.outcome(run), run.err), (self.outcome(plain), plain.err), f"{command} at {sample}")

    def victims(self, *names):
        return [[self.victim(command[0]), *command[1:]] for command in self.VICTIMS if command[0] in names]

    def test_own_checks(self):
        checking = library("hz_checking_allocator.cc", "-std=c++17")
        self.check_as_without([["/bin/true"], *self.victims("new_delete", "aligned", "strings")], behind=[checking])

    @cases("gnu", "sysv", "both")
    def test_is_found(self, style):
        """By either of the tables that a library's names can be looked up in. Seen to fail without the older one."""
        checking = library("hz_checking_allocator.cc", "-std=c++17", f"-Wl,--hash-style={style}")
        run = self.profiled(["/bin/true"], verbose=2, extra_preload=[checking])
        self.assertIn(f"allocator {checking},", run.err)

    def test_counts_once(self):
        """but for what the allocator's own book takes"""
        checking = library("hz_checking_allocator.cc", "-std=c++17")
        run = self.profiled(*self.victims("new_delete"), sample=1, extra_preload=[checking])
        self.check_exact(run.profile, run.shadows[run.pid], lambda frames: in_victim(frames) and "hz_book" not in frames)

    @cases("tcmalloc", "tcmalloc-minimal")
    @timeout(120)
    def test_tcmalloc_debug(self, name):
        found = [folder for folder in LIBRARY_FOLDERS if (pathlib.Path(folder) / self.LIBRARIES[name]).exists()]
        skip_unless(found, f"{self.LIBRARIES[name]} is not installed")
        behind = [f"{found[0]}/{self.LIBRARIES[name]}"]
        self.check_as_without([["/bin/true"], *self.victims("new_delete", "strings")], behind=behind)

    @cases("before", "behind")
    def test_glibc_debug(self, where):
        found = [folder for folder in LIBRARY_FOLDERS if (pathlib.Path(folder) / self.LIBRARIES["glibc-debug"]).exists()]
        skip_unless(found, "libc_malloc_debug.so.0 is not installed")
        settings = {where: [f"{found[0]}/{self.LIBRARIES['glibc-debug']}"]}
        for tunables in None, "glibc.malloc.check=3":
            self.check_as_without([["/bin/true"], *self.victims("new_delete", "strings", "everything")], GLIBC_TUNABLES=tunables, **settings)


class Row6Edges(Discriminates):
    """Row 6: overflow, 0, SIZE_MAX, errno, vector registers. Seen to fail under a naive calloc, and under a shim that
    changes errno and xmm9."""
    broken = ["broken_naive_calloc.c", "broken_clobbers.c"]

    def command(self):
        return [program("hz_a6_edges.c", "-Wno-alloc-size-larger-than", "-Wno-unused-result", "-fno-builtin")]

    def without_registers(self, run):
        return [line for line in run.out.splitlines() if not line.startswith("vector")]

    @cases(*ALLOCATORS)
    def test_edges(self, allocator):
        plain = self.plain(self.command(), allocator=allocator)
        unsampled = self.profiled(self.command(), allocator=allocator, sample="64G")
        self.assertEqual(unsampled.out, plain.out)
        for sample in INTERVALS:  # a sample may use vector registers
            run = self.profiled(self.command(), allocator=allocator, sample=sample)
            self.assertEqual(self.without_registers(run), self.without_registers(plain), f"HEAPPROF_SAMPLE={sample}")


class Row7OwnMalloc(AsWithout):
    """Row 7: a program with its own malloc, which has the hooks at the entries of its functions; where they cannot be put there, it is
    left alone, and told about. Seen to fail by the mutant own_malloc_unnoticed. (There is no broken shim for this: nothing of it is ever called.)"""

    def command(self):
        return [program("hz_a7_own_malloc.c", "-fno-builtin")]

    @cases("-DTABLE", "-DLOOPS")
    def test_says_so(self, how):
        run = self.profiled([program("hz_a7_own_malloc.c", "-fno-builtin", how)], verbose=1)
        self.assertEqual(run.out, "ok, my malloc served\n")
        self.assertRegex(run.err, r"heapprof: not profiling: the program, or a library before this one, brings its own malloc: its calls "
                                  r"do not come here \(free jumps .*\)\n")


class Row7Lock(AsWithout):
    """Row 7: a program's own malloc calls syscall and prctl with its lock held, before our constructor. Seen to fail by the mutant
    looks_up_early: the loader allocates while it looks for what is not there, and both wait for ever."""

    def command(self):
        return [program_with_library("hz_a7_lock.c", "-fno-builtin")]

    @timeout(10)
    def test_as_without(self):
        super().test_as_without()


class Row7Sanitizers(Hazard):
    """Row 7: programs with a sanitizer behave as without us, and are told about it. Shared runtimes insist on being first: they are told
    not to. Seen to fail by the mutant sanitizer_unnoticed."""
    BUILDS = {
        "gcc-address": ("gcc", "-fsanitize=address", "-fno-lto"),
        "gcc-address-static": ("gcc", "-fsanitize=address", "-static-libasan"),
        "gcc-thread": ("gcc", "-fsanitize=thread"),
        "clang-address": ("clang", "-fsanitize=address"),
        "clang-thread": ("clang", "-fsanitize=thread"),
    }
    SETTINGS = {"ASAN_OPTIONS": "verify_asan_link_order=0:exitcode=66", "TSAN_OPTIONS": "exitcode=66"}

    @cases(*BUILDS)
    @timeout(120)
    def test_same_behaviour(self, build):
        compiler, *flags = self.BUILDS[build]
        skip_unless(shutil.which(compiler), f"{compiler} is not installed")
        flags.append("-Wno-use-after-free" if compiler == "gcc" else "-Wno-unknown-warning-option")
        victim = program("hz_a7_sanitized.c", *flags, compiler=compiler)
        for arguments, status in ([], 0), (["fault"], 66):
            plain = self.plain([victim, *arguments], expect=None, **self.SETTINGS)
            self.assertEqual(plain.status, status, plain.err)
            for sample in INTERVALS:
                run = self.profiled([victim, *arguments], expect=None, sample=sample, **self.SETTINGS)
                self.assertEqual((run.status, run.out), (plain.status, plain.out), run.err)

    @cases("before", "behind")
    def test_in_front_of_libc(self, where):
        """Seen to fail where dl_iterate_phdr was called by its name (SIGILL), and where libc was known by a function of it."""
        fake = library("hz_a7_in_front.c")
        preload = [fake, paths.LIB] if where == "before" else [paths.LIB, fake]
        run = self.profiled(["/bin/true"], verbose=1, LD_PRELOAD=" ".join(map(str, preload)))
        self.assertIn("not profiling: the program is built with a sanitizer", run.err)

    def test_valgrind(self):
        skip_unless(shutil.which("valgrind"), "valgrind is not installed")
        victim = program("hz_a7_sanitized.c", "-Wno-use-after-free")
        for sample in INTERVALS:
            run = self.profiled(["valgrind", "-q", "--error-exitcode=9", victim], sample=sample)
            self.assertEqual(run.out, "end\n")
        for tool in "memcheck", "massif":
            run = self.profiled(["valgrind", "-q", f"--tool={tool}", f"--log-file={self.dir}/log", "/bin/true"], verbose=1)
            self.assertIn("not profiling: the program runs under valgrind", run.err)


class Row8Origin(AsWithout, Discriminates):
    """Row 8: dlopen by name through the program's RUNPATH. Seen to fail under a shim that wraps dlopen."""
    broken = ["broken_wraps_dlopen.c"]

    def command(self):
        folder = self.dir / "program"
        (folder / "origin").mkdir(parents=True, exist_ok=True)
        shutil.copy(library("hz_plugin.c"), folder / "origin/plugin_of_origin.so")
        victim = shutil.copy(program("hz_a8_origin.c", "-Wl,-rpath,$ORIGIN/origin"), folder)
        return [victim, "plugin_of_origin.so"]


class Row9Misaligned(Hazard):
    """Row 9: a caller whose stack is not aligned calls every hook, forks, raises the dump signal and exits. With and without libstdc++,
    which decides whose operator new it is. Seen to fail (SIGSEGV at the first sample) without ARCH_ENTRY."""
    FILES = 4 + 2  # by the function, the signal, its handler, at exit; of the child, by the function and at exit
    ENDS = ("exit", "_exit", "_Exit", "quick_exit")
    NEVER = ("dlopen", "dlmopen")  # glibc's own crashes then, without us

    def command(self, *flags):
        return program("hz_a9_misaligned.c", "-fno-omit-frame-pointer", *flags)

    @cases(*itertools.product((8, 4, 1), ("glibc", "tcmalloc"), ("C", "C++")))
    def test_as_without(self, off, allocator, language):
        flags = ["-Wl,--no-as-needed", "-lstdc++"] if language == "C++" else []
        for end in self.ENDS:
            command = [self.command(*flags), off, end, library("hz_plugin.c")]
            plain = self.plain(command, allocator=allocator)
            for sample in INTERVALS:
                self.clear_profiles()
                run = self.profiled(command, sample=sample, dump="exit,signal", allocator=allocator)
                self.assertEqual(self.outcome(run), self.outcome(plain), f"{end}, HEAPPROF_SAMPLE={sample}; {run.err}")
                self.assertEqual(len(run.files), self.FILES, f"{end}, HEAPPROF_SAMPLE={sample}")
        self.check_stacks(command)

    def check_stacks(self, command):
        """They lead to main, however it is aligned."""
        self.clear_profiles()
        for profile in self.profiled(command, sample=1, dump="exit,signal").profiles:
            called = profile.totals(lambda frames: "call_off" in frames)["alloc_objects"]
            self.assertGreater(called, 0)
            self.assertEqual(profile.totals(lambda frames: "call_off" in frames and "main" in frames)["alloc_objects"], called)

    def test_every_hook_is_called(self):
        text = (VICTIMS / "hz_a9_misaligned.c").read_text()
        self.assertEqual([name for name in hooked_names() if f'"{name}"' not in text and name not in self.ENDS + self.NEVER], [])


class Row10Mappings(Hazard):
    """A10: mmap and its like where that is awkward. Seen to fail by the mutants mapping_asks_the_kernel (filter) and
    mapping_changes_errno (all)."""

    @cases("early", "filter", "jump", "vfork", "heap")
    def test_way(self, way):
        command = [program("hz_a10_mappings.c"), way]
        plain = self.plain(command)
        for sample in INTERVALS:
            for noted in "yes", "no":
                run = self.profiled(command, sample=sample, dump="none", mmap=noted)
                self.assertEqual((run.out, run.err, run.status), (plain.out, "", 0), f"HEAPPROF_SAMPLE={sample} {noted}")

    def test_resolver(self):
        """Before we are relocated. Seen to fail: errno was set through an address that was not there yet."""
        command = [program("hz_a10_resolver.c", library("hz_a10_resolver.c", "-DLIBRARY", "-fno-plt"))]
        self.assertEqual(self.plain(command).out, "as ever\n")
        for noted in "yes", "no":
            run = self.profiled(command, sample=1, mmap=noted)
            self.assertEqual((run.out, run.err, run.status), ("as ever\n", "", 0), noted)
