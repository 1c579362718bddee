# SPDX-License-Identifier: MIT
"""Promises that the shipped library keeps or breaks, read from the file itself."""
import re
import subprocess

from harness import paths, pprof_reader, stack_depth, tools
from harness.case import Case
from harness.pairs import PairCase

# Never called from the library: they allocate, lock, print or end the process. libprotobuf-c.a names malloc, free and
# __assert_fail for an allocator of its own that is never used; malloc and free are then our own exports.
BANNED = """
    malloc free calloc realloc reallocarray memalign aligned_alloc posix_memalign valloc pvalloc strdup strndup asprintf
    printf fprintf dprintf sprintf snprintf vprintf vfprintf vdprintf vsprintf vsnprintf puts fputs putc fputc putchar
    fopen fdopen fclose fread fwrite fflush fgets getline perror opendir readdir
    pthread_create pthread_mutex_lock pthread_mutex_trylock pthread_once pthread_key_create pthread_setspecific
    pthread_getattr_np pthread_rwlock_rdlock pthread_cond_wait sem_wait
    abort exit quick_exit raise syslog atexit setenv putenv
    backtrace unw_backtrace _Unwind_Backtrace signal sigprocmask pthread_sigmask longjmp
""".split()
ALLOWED_FROM_ARCHIVES = {"__assert_fail"}
STANDARD = set("""
    clock_gettime dlopen getenv memchr memcmp memcpy memmove memset sigaction sigfillset strchr strcmp strcpy strcspn strlen strncmp
    strrchr strspn
""".split())
# errno, SIGRTMIN, SIGRTMAX, assert, and what compilers add.
SPELLINGS = {"__errno_location", "__libc_current_sigrtmin", "__libc_current_sigrtmax", "__assert_fail", "__stack_chk_fail"}
OPTIONAL = set("""
    __progname __progname_full __register_atfork __sbrk _r_debug dlsym getauxval on_exit program_invocation_name
    program_invocation_short_name _ITM_deregisterTMCloneTable _ITM_registerTMCloneTable __cxa_finalize __gmon_start__
""".split())
CALLED_BACK = re.compile(r"find_callers|find_runtime|find_function|bind_(object|to_hooks|to_real|what_came)|leave_aside|look_(behind|before|for_any|for_others)|is_exported_there|(make_by|release_of)_\w+")  # by loader_each or probes, from what has realigned


def output_of(*command):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, check=True).stdout


def hooked_names():
    """The symbols of interpose/hooks.def: the second argument where there is one in quotes, else the first."""
    text = re.sub(r"/\*.*?\*/", "", (paths.SOURCE / "interpose/hooks.def").read_text(), flags=re.DOTALL)
    calls = re.findall(r"^\s*[A-Z][A-Z0-9_]*\(\s*(\w+)\s*(?:,\s*\"(\w+)\")?", text, re.MULTILINE)
    return {quoted or first for first, quoted in calls}


class Library(Case):
    def setUp(self):
        super().setUp()
        if not paths.LIB.exists():
            self.fail(f"{paths.LIB} is not built")

    def dynamic_symbols(self, *options):
        """Names without their version."""
        lines = output_of("nm", "-D", *options, paths.LIB).splitlines()
        return {line.split()[-1].split("@")[0] for line in lines if line.split()[-2] not in "wv" or "--defined-only" in options}

    def test_needs_only_libc(self):
        needed = set(re.findall(r"\(NEEDED\)\s+Shared library: \[(.*)\]", output_of("readelf", "-dW", paths.LIB)))
        self.assertIn("libc.so.6", needed)
        self.assertEqual(needed - {"libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2"}, set())

    def test_needs_no_search_path_nor_executable_stack(self):
        dynamic = output_of("readelf", "-dW", paths.LIB)
        self.assertNotRegex(dynamic, r"RPATH|RUNPATH|TEXTREL")
        stack, = re.findall(r"GNU_STACK.*", output_of("readelf", "-lW", paths.LIB))
        self.assertNotIn("E", stack.split()[6])

    def test_exports(self):
        hooks = hooked_names()
        self.assertTrue({"malloc", "free", "mallocx", "_Znwm", "free_sized", "cfree"} <= hooks, sorted(hooks))
        exported = self.dynamic_symbols("--defined-only")
        own = {name for name in exported if name.startswith("heapprof_")}
        self.assertEqual(sorted(exported - own), sorted(hooks))
        header = (paths.SOURCE / "include/heapprof.h").read_text()
        header = re.sub(r"/\*.*?\*/", "", header, flags=re.DOTALL)
        attachment = re.search(r"^#define ATTACHMENT_FUNCTION (\w+)$", (paths.SOURCE / "core/attachment.h").read_text(), re.MULTILINE)[1]
        self.assertEqual(own, {attachment, *re.findall(r"\b(heapprof_\w+)\s*\(", header)})

    def test_imports(self):
        imported = self.dynamic_symbols("--undefined-only")
        exported = self.dynamic_symbols("--defined-only")
        self.assertIn("memcpy", imported)  # the list is one
        banned = {*BANNED, *(f"__{name}_chk" for name in BANNED)}
        self.assertEqual((imported & banned) - ALLOWED_FROM_ARCHIVES, set())
        internals = re.compile(r"__libc_(malloc|calloc|realloc|free|memalign|valloc|pvalloc)|_ZS.*|_Un.*|unw_.*|pthread_mutex.*")
        self.assertEqual({name for name in imported if internals.fullmatch(name)}, set())
        self.assertFalse(imported & exported)

    def test_imports_of_other_libcs(self):
        """What is imported strongly, every libc has: ISO C, POSIX, and what their macros expand to. One name more, and no program of
        another libc starts under a profiled shell."""
        kinds = dict(reversed(line.split("@")[0].split()) for line in output_of("nm", "-D", "--undefined-only", paths.LIB).splitlines())
        weak = {name for name, kind in kinds.items() if kind in "wv"}
        self.assertEqual(sorted(kinds.keys() - weak - STANDARD - SPELLINGS), [])
        self.assertEqual(sorted(weak - OPTIONAL), [])

    def test_loads_with_old_libcs(self):
        """A version that a libc does not have keeps every program from starting, weak names' too. Seen to fail with dlsym's of 2.34."""
        versions = re.findall(r"Name: GLIBC_(\d+)\.(\d+)", output_of("readelf", "-VW", paths.LIB))
        self.assertTrue(versions)
        self.assertLessEqual(max((int(major), int(minor)) for major, minor in versions), (2, 17))

    def test_own_functions_are_not_looked_up_by_name(self):
        """Each such look-up goes through the program's libraries in every process. Only what completes an allocator has to call what
        the program calls (fallback.c)."""
        relocations = output_of("readelf", "-rW", paths.LIB)
        named = set(re.findall(r"^[0-9a-f]+ +[0-9a-f]+ R_\w+ +[0-9a-f]+ (\w+)", relocations, re.MULTILINE))
        self.assertIn("memcpy", named)
        self.assertEqual(sorted(named & self.dynamic_symbols("--defined-only")),
                         ["free", "malloc", "malloc_usable_size", "posix_memalign", "realloc"])

    def test_small_variables_lie_together(self):
        """A page of .bss that a start touches is a page fault in each process: what is large is LARGE."""
        page, start = 4096, int(re.search(r"\.bss +NOBITS +([0-9a-f]+)", output_of("readelf", "-SW", paths.LIB))[1], 16)
        symbols = [(int(address, 16), int(size, 16), name) for address, size, name in
                   re.findall(r"^([0-9a-f]+) ([0-9a-f]+) [bB] (\w+)", output_of("nm", "-S", paths.LIB), re.MULTILINE)]
        small = [symbol for symbol in symbols if symbol[0] >= start and symbol[1] <= page and symbol[0] % page != 0]
        self.assertGreater(len(small), 50)
        pages = {where // page for address, size, _ in small for where in (address, address + size - 1)}
        self.assertLessEqual(len(pages), 4, sorted(small))

    def test_thread_local_storage(self):
        imported = self.dynamic_symbols("--undefined-only")
        self.assertNotIn("__tls_get_addr", imported)
        segments = re.findall(r"^ +TLS +0x\w+ 0x\w+ 0x\w+ 0x\w+ (0x\w+)", output_of("readelf", "-lW", paths.LIB), re.MULTILINE)
        self.assertEqual(len(segments), 1, "one TLS segment")
        self.assertTrue(0 < int(segments[0], 16) <= 64, segments)
        self.assertIn("STATIC_TLS", output_of("readelf", "-dW", paths.LIB))
        relocations = output_of("readelf", "-rW", paths.LIB)
        self.assertNotRegex(relocations, r"R_X86_64_(DTPMOD|TLSDESC)")

    def test_fast_path_is_integer_only(self):
        """malloc and free up to their tail jumps and branches: callers do not save vector registers for them."""
        for name in ("malloc", "free"):
            code = output_of("objdump", "-d", "--no-show-raw-insn", f"--disassemble={name}", paths.LIB)
            instructions = re.findall(r"^ +[0-9a-f]+:\s+(.*)$", code, re.MULTILINE)
            self.assertGreater(len(instructions), 2, code)
            self.assertNotRegex("\n".join(instructions), r"%[xyz]mm|%st")

    def functions(self):
        """{name: instructions}"""
        listing = output_of("objdump", "-d", "--no-show-raw-insn", paths.LIB)
        return {name: re.findall(r"^ +[0-9a-f]+:\t(.*)$", code, re.MULTILINE)
                for name, code in re.findall(r"^[0-9a-f]+ <(.+)>:\n((?:.+\n?)*)", listing, re.MULTILINE)}

    def entries(self, functions):
        """What others call: exports, and functions of interpose/ whose address is taken (handlers, constructors, first targets)."""
        objects = list((paths.BUILD / "interpose").glob("libheapprof_so-*.o"))
        if not objects:
            self.skipTest("the objects of interpose/ are not there")
        of_interpose = set(re.findall(r" [tT] (\S+)", output_of("nm", *objects)))
        addresses = {int(address, 16): name for address, name in re.findall(r"^([0-9a-f]+) [tT] (\S+)", output_of("nm", paths.LIB), re.MULTILINE)}
        relocated = re.findall(r"R_X86_64_RELATIVE +([0-9a-f]+)", output_of("readelf", "-rW", paths.LIB))
        loaded = re.findall(r"\blea .*# [0-9a-f]+ <(\w+)>", "\n".join(line for code in functions.values() for line in code))
        taken = {addresses.get(int(address, 16)) for address in relocated} | set(loaded)
        handlers = {name for name in taken & of_interpose if not CALLED_BACK.fullmatch(name)}
        return self.dynamic_symbols("--defined-only") & set(functions) - {"dlopen", "dlmopen"} | handlers  # glibc's needs an aligned stack itself

    def test_stack_of_callers_may_be_misaligned(self):
        """A9: what others call realigns the stack before it calls what is not ours or keeps vectors there; so does what it calls or
        jumps to itself. Seen to fail without ARCH_ENTRY at free_noted."""
        functions = self.functions()
        entries = self.entries(functions)
        self.assertTrue({"malloc", "start", "stop", "on_request", "before_fork", "heapprof_dump", "first__Znwm"} <= entries, sorted(entries))
        realigns = re.compile(r"and +\$0xf+[0-9a-f]?0,%rsp")
        relies = re.compile(r"call +\*(?!.*<__errno_location@)|call .*@plt|v?mov(aps|apd|dqa|ntdq|ntps)\b.*\(%r[sb]p\)")
        waiting, seen, wrong = sorted(entries), set(entries), []
        while waiting:
            name = waiting.pop()
            for instruction in functions[name]:
                if realigns.match(instruction):
                    break
                if relies.match(instruction):
                    wrong.append(f"{name}: {instruction}")
                target = re.match(r"(?:j\w+|(?:addr32 )?call) +[0-9a-f]+ <([^>+]+)", instruction)
                if target and target[1] in functions and target[1] not in seen:
                    seen.add(target[1])
                    waiting.append(target[1])
        self.assertEqual(wrong, [])
        # gcc's other way to realign leaves no frame pointer that ARCH_CALLER_SP could count from.
        by_register = {name for name in seen if any(re.match(r"lea +0x8\(%rsp\),%r10", line) for line in functions[name])}
        self.assertEqual(by_register - {"start"}, set())

    def test_process_hooks_are_jumps(self):
        """No call, for what returns twice or starts a thread on the caller's stack would find a frame of ours; no write to the stack,
        for an argument that lies there may be changed by such a thread meanwhile. Seen to fail with a hook that knew all seven."""
        functions = self.functions()
        for name in ("syscall", "prctl"):
            code = functions[name]
            self.assertTrue(any(re.match(r"jmp +\*", line) for line in code), code)
            self.assertEqual([line for line in code if re.match(r"(addr32 )?call|push|sub .*,%rsp|\S+ +\S+,(0x[0-9a-f]+)?\(%r[sb]p\)$", line)], [])

    def test_stack_usage(self):
        """Where the build left .su files: no frame of what runs inside malloc is large or of unknown size. Dumps and the
        compiling of rules have a stack of their own."""
        files = [path for folder in ("core", "interpose") for path in (paths.BUILD / folder).rglob("*.su")]
        if not files:
            self.skipTest("no .su files: build with CFLAGS=-fstack-usage")
        entries = [line.split("\t") for path in files for line in path.read_text().splitlines()]
        self.assertGreater(len(entries), 50)
        hot = re.compile(r"/?(hooks\w*|record|sampler|unwind|rules|live|stacks|peak|stack_bounds|guard|process|prng)\.[ch]:")
        large = [f"{place}: {size} bytes, {kind}" for place, size, kind in entries
                 if hot.search(place) and (int(size) > 384 or kind == "dynamic")]
        self.assertEqual(large, [])


class Archive(Case):
    """libheapprof.a, which shares its names with a whole program."""
    LOADERS = {"dlopen", "dlmopen", "dlclose"}  # which statically linked programs had better not have
    # Besides what the shared object imports: the loader's place is taken by names that every libc has.
    NEEDED = {"dl_iterate_phdr", "environ", "getauxval", "program_invocation_name", "program_invocation_short_name", "pthread_atfork",
              "__ehdr_start", "_GLOBAL_OFFSET_TABLE_"}
    RUNTIME = {"_ZSt15get_new_handlerv", "__cxa_allocate_exception", "__cxa_throw", "_ZNSt9bad_allocD1Ev", "_ZTISt9bad_alloc",
               "_ZTVSt9bad_alloc"}

    def setUp(self):
        super().setUp()
        self.path = paths.BUILD / "libheapprof.a"
        if not self.path.exists():
            self.skipTest("built with --without-linked")
        self.hooks = hooked_names() - self.LOADERS

    def symbols(self, *options):
        return dict(reversed(line.split()[-2:]) for line in output_of("nm", "-g", *options, self.path).splitlines() if len(line.split()) > 1)

    def test_defines(self):
        """Hooks, by names that only `ld --wrap` uses, and the API."""
        header = re.sub(r"/\*.*?\*/", "", (paths.SOURCE / "include/heapprof.h").read_text(), flags=re.DOTALL)
        own = set(re.findall(r"\b(heapprof_\w+)\s*\(", header))
        self.assertEqual(sorted(self.symbols("--defined-only")), sorted(own | {f"__wrap_{name}" for name in self.hooks}))

    def test_needs(self):
        """No name with a version, which an archive has not."""
        symbols = self.symbols("--undefined-only")
        weak = {name for name, kind in symbols.items() if kind in "wv"}
        reals = {f"__real_{name}" for name in hooked_names()}
        self.assertEqual(sorted(symbols.keys() - weak - STANDARD - SPELLINGS - self.NEEDED - reals), [])
        self.assertEqual(sorted(weak - OPTIONAL - self.RUNTIME - reals), [])
        self.assertTrue({"__real_malloc", "__real_free", "__real_mmap"} <= symbols.keys() - weak)

    def test_wrapped(self):
        said = (paths.BUILD / "heapprof.wrap").read_text().splitlines()
        self.assertEqual(sorted(line for line in said if line.startswith("--wrap=")), sorted(f"--wrap={name}" for name in self.hooks))
        self.assertEqual(sorted(line for line in said if not line.startswith("--wrap=")), ["--eh-frame-hdr", "--undefined=__wrap_malloc"])

    def test_sections(self):
        """One of code, whose bounds are known; started before others, and torn down behind them."""
        sections = output_of("readelf", "-SW", self.path)
        self.assertEqual(re.findall(r"\] (\S+) +PROGBITS .* AX ", sections), [".text"])
        self.assertEqual(re.findall(r"\] \.(init|fini)_array\.0*101 ", sections), ["init", "fini"])
        self.assertEqual(re.findall(r"\] (\S+) +NOTE ", sections), [".note.heapprof"])  # a build id is the program's
        self.assertRegex(sections, r"\.note\.GNU-stack +PROGBITS .* 0{6} 00 +0 ")
        self.assertNotIn("debug_info", sections)


class Stack(Case):
    """U6: how much of the application's stack the library takes at most, beside what it calls of others: in bytes, from its code."""
    ALLOCATING, ANY_OTHER = 960, 512
    AFTER_OPEN = 320  # in place of a real function, after dlopen with RTLD_DEEPBIND
    # What switches to a stack of ours, and what it takes of the application's.
    SWITCHES = {"arch_call_on_stack": 16}
    # Where the application, the kernel or libc enters, beside the hooks.
    ENTRIES = ["on_request", "heapprof_dump", "heapprof_stats", "before_fork", "after_fork_in_child"]

    def setUp(self):
        super().setUp()
        tools.need("objdump")
        header = output_of("readelf", "-hW", paths.LIB)
        if "X86-64" not in header:
            self.skipTest("not for x86-64")
        self.library = stack_depth.Library(paths.LIB, self.SWITCHES)

    def limits(self):
        """By function: the hooks, and what they jump to through pointers."""
        text = re.sub(r"/\*.*?\*/", "", (paths.SOURCE / "interpose/hooks.def").read_text(), flags=re.DOTALL)
        rows = re.findall(r"^HEAPPROF_HOOK\(\s*(\w+),\s*(\w+),\s*\w+,\s*([\w *]+),", text, re.MULTILINE)
        self.assertEqual({name for name, _, _ in rows}, hooked_names())
        limits = dict.fromkeys(self.ENTRIES, self.ANY_OTHER)
        for name, group, result in rows:
            limit = self.ANY_OTHER if group == "process" or result.strip() == "void" else self.ALLOCATING
            for prefix in ("", "counted_", "due_", "first_", "noted_", "fallback_", "make_by_", "release_of_"):
                limits[prefix + name] = limit
            limits[f"{name}_after_open"] = self.AFTER_OPEN
        return limits

    def test_depth(self):
        seen, deep = set(), []
        for name, limit in self.limits().items():
            for function in self.library.named(name):
                size, chain = self.library.depth(function)
                seen.update(link.split(":")[0] for link in chain)
                if size > limit:
                    deep.append(f"{size} bytes, {limit} are allowed: {' > '.join(chain)}")
        self.assertEqual(deep, [])
        # All were found, and they lead to where things are recorded.
        self.assertEqual(sorted((hooked_names() | set(self.ENTRIES) | {"due__Znwm", "record_allocation", "record_free"}) - seen), [])

    def test_calls_of_others(self):
        """What is called of libc on the application's stack takes none of it; but once, before there is a sample, by real_ensure."""
        known = {"memcpy", "memmove", "memset", "memcmp", "strlen", "strcmp", "__errno_location"}
        seen = set()
        for name in ("malloc", "calloc", "realloc", "reallocarray", "posix_memalign", "due__Znwm", "free", "_ZdlPv", "on_request",
                     "heapprof_dump", "malloc_after_open", "free_after_open"):
            for function in self.library.named(name):
                seen |= self.library.imports(function, without={*self.SWITCHES, "real_ensure"})
        self.assertIn("memcpy", seen)
        self.assertEqual(sorted(seen - known), [])


class Instructions(PairCase):
    """Of malloc(64) and free on glibc."""
    SHORT, LONG = 50_000, 250_000

    def check_cost(self, sample):
        plain = self.per_pair(self.victim("pair"), preload=False)
        self.assertGreater(plain, 20, "glibc itself")
        added = self.per_pair(self.victim("pair"), sample=sample, seed=1) - plain
        self.assertLessEqual(added, 14)
        self.assertGreater(added, 1, "an interposer that does anything adds instructions")

    def test_unsampled(self):
        self.check_cost("64G")

    def test_at_the_default_interval(self):
        """Samples included, one in 8000 pairs; and there have to be some: standing aside would be cheap."""
        self.check_cost(None)
        self.assertGreater(sum(pprof_reader.load(path).total("alloc_objects") for path in self.profile_files()), 0)
