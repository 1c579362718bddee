# SPDX-License-Identifier: MIT
"""U1 to U14: a stack walked from inside malloc."""
import itertools
import os
import pathlib
import re
import shutil
import subprocess

from harness import paths, pprof_reader
from harness.case import Case, cases, slow, timeout
from hazards.toolbox import TORTURE, AsWithout, Discriminates, Hazard, amount, library, program, skip_unless


def plugins():
    """Two frame layouts at the same offsets: the large one first, which leads further astray."""
    return [library("hz_plugin.c", f"-DFRAME_BYTES={size}", "-fno-builtin", "-fomit-frame-pointer") for size in (60000, 512)]


class U1Descriptors(AsWithout, Discriminates):
    """U1: numbers of descriptors and what goes through them. Seen to fail under unw_backtrace: its pipe takes 3 and 4, and
    the socket that gets these numbers later receives its bytes."""
    broken = ["broken_unw_backtrace.c"]

    def command(self):
        return [program("hz_u1_descriptors.c")]


SCRIPT = r"""
exec 3>"$1/three" 4>"$1/four"
i=0; while [ $i -lt 50 ]; do
  i=$((i+1)); eval "f$i() { echo line $i; }"; f$i >&3; x=$(echo "$i"); case $x in $i) echo "$x" >&4;; esac
done
exec 3>&- 4>&-; cat "$1/three" "$1/four"
exec 3>"$1/three" 4>"$1/four" 5<"$2"
echo to three >&3; (echo to four; ls /) >&4
while read -r line <&5; do echo "$line" >&3; done
exec 6<&3 3>&- 7>>"$1/four" 8<<END 9>"$1/nine"
here: $(echo nested | tr a-z A-Z)
END
cat <&8 >&7; for i in 1 2 3; do echo $i | sort | cat >&9; done; x=$(printf '%s' "$(cat "$1/three")"); echo "$x" >&9
exec 7>&- 8<&- 9>&-; cat "$1/three" "$1/four" "$1/nine"
"""


class U1Shells(AsWithout, Discriminates):
    """U1: scripts that use descriptors 3 to 9, byte for byte, many times. Seen to fail under unw_backtrace, dash at the
    first run."""
    broken = ["broken_unw_backtrace.c"]
    runs = amount(10, 50)

    def command(self):
        os.makedirs(self.dir / "script", exist_ok=True)
        (self.dir / "input").write_text("one\ntwo\nthree\n")
        (self.dir / "body.sh").write_text(SCRIPT)
        (self.dir / "loop.sh").write_text(f"""
for i in $(seq {self.runs}); do for shell in sh dash bash; do
  timeout $((5 * ${{HZ_PATIENCE:-10}})) $shell {self.dir}/body.sh {self.dir}/script {self.dir}/input || exit 1
done; done; exit 0
""")
        return ["sh", str(self.dir / "loop.sh")]

    @timeout(amount(60, 300))
    def test_as_without(self):
        super().test_as_without()


class U2Loader(AsWithout, Discriminates):
    """U2: the loader's locks against ours. Seen to fail (a thread stuck) under unw_step, and under a shim that holds a
    lock while it unwinds."""
    broken = ["broken_unw_step.c", "broken_lock_while_unwinding.c"]

    def command(self):
        return [program("hz_u2_loader.cc"), plugins()[1], amount(5, 60)]

    @timeout(amount(150, 900))
    def test_as_without(self):
        super().test_as_without()

    @timeout(amount(150, 900))
    def test_discriminates(self):
        super().test_discriminates()


class U3Fork(AsWithout, Discriminates):
    """U3: fork beside 8 threads that allocate; every child allocates, loads a library, and dumps at its exit. Seen to fail
    (a child killed by its alarm) under unw_step, and under a lock that fork handlers do not take."""
    broken = ["broken_unw_step.c", "broken_lock_while_unwinding.c"]
    forks = 20 if paths.EMULATOR else amount(500, 5000)  # each takes the emulator a tenth of a second, and a quarter with us

    def command(self):
        return [program("hz_u3_fork.c"), plugins()[1], self.forks]

    @timeout(amount(180, 1800))
    def test_as_without(self):
        super().test_as_without()
        self.assertGreater(len(self.profile_files()), self.forks)

    @timeout(amount(180, 1800))
    def test_discriminates(self):
        super().test_discriminates()


class U4Reload(AsWithout, Discriminates):
    """U4: rules that outlive the library they were of. Seen to fail (SIGSEGV) under unw_backtrace."""
    broken = ["broken_unw_backtrace.c"]

    def command(self):
        return [program("hz_u4_reload.c"), *plugins(), amount(400, 10000)]


class U4Libraries(Case):
    """U4: files that come and go by the thousand. Each has the name of its own function in every stack, is in the profile once, and
    no code is taken for that of a file which lay there before. Seen to fail: 1,024 loads were known, stacks of the others ended at the
    plug-in or went on with the other one's function."""
    SLOTS = 4096

    def plug_in(self, name):
        return library("hz_u4_libraries.c", f"-DINNER={name}")

    def copies(self, count, copy):
        """More files than one, in turn of two kinds; a file that is there already is loaded once only, by whatever name."""
        originals = [self.plug_in("inner_even"), self.plug_in("inner_odd")]
        files = [self.dir / f"{i}.so" for i in range(count)]
        for i, path in enumerate(files):
            copy(originals[i % 2], path)
        return files

    def check(self, how, rounds, files, foreign=1):
        run = self.profiled([program("hz_u4_libraries.c"), how, rounds, *files], sample=1)
        self.assertEqual(run.out, "ok\n")
        profile, chains = run.profile, {}
        for sample in profile.samples:
            frames = profile.frames(sample)
            if "use" in frames:
                chain = tuple(frames[:frames.index("use") + 2])
                chains[chain] = chains.get(chain, 0) + sample.values["alloc_objects"]
        named = {(f"inner_{kind}", "make", "use", "main"): rounds // 2 for kind in ("even", "odd")}
        others = {chain: objects for chain, objects in chains.items() if chain not in named}
        self.assertEqual({chain: objects for chain, objects in chains.items() if chain in named}, named)
        self.assertEqual([(*chain[1:], objects) for chain, objects in others.items()], [("use", "use_foreign", 1)] * foreign, others)
        foreign_files = [sample.locations[0].mapping.filename for sample in profile.select(lambda frames: "use_foreign" in frames)]
        self.assertEqual(foreign_files, ["//anon"] * foreign)
        self.assertEqual(profile.comment_values()["lost.module_table"], 0)
        paths_ = [mapping.filename for mapping in profile.mappings]
        self.assertEqual([paths_.count(str(path)) for path in files], [1] * len(files))

    @timeout(300)
    def test_two_in_turn(self):
        self.check("one", 5000, [self.plug_in("inner_even"), self.plug_in("inner_odd")])

    @timeout(300)
    def test_more_files_than_slots(self):
        self.check("one", self.SLOTS + 200, self.copies(self.SLOTS + 200, os.link))

    @slow
    @timeout(300)
    def test_more_at_once_than_slots(self):
        """What finds no room is counted, and has no name, never another one's."""
        count = self.SLOTS + 100
        files = self.copies(count, shutil.copyfile)
        profile = self.profiled([program("hz_u4_libraries.c"), "all", count, *files], sample=1).profile
        leaves = {}
        for sample in profile.select(lambda frames: "use" in frames or len(frames) == 1):
            leaf = sample.locations[0]
            name = leaf.functions[0].name if leaf.functions else leaf.mapping.filename
            leaves[name] = leaves.get(name, 0) + sample.values["alloc_objects"]
        self.assertGreaterEqual(profile.comment_values()["lost.module_table"], 100)
        self.assertEqual(set(leaves) - {"inner_even", "inner_odd", "[anon]"}, set(), leaves)
        self.assertGreaterEqual(leaves["[anon]"], 100)
        self.assertGreater(leaves["inner_even"] + leaves["inner_odd"], self.SLOTS - 50)

    @timeout(300)
    def test_two_thousand_at_once(self):
        self.check("all", 2000, self.copies(2000, shutil.copyfile), foreign=0)


class U5Threads(AsWithout, Discriminates):
    """U5: what threads cost. Seen to fail under unw_backtrace (256 KiB touched per thread), and under a shim with a state
    of 16 KiB per thread."""
    broken = ["broken_unw_backtrace.c", "broken_thread_memory.c"]
    LIMIT_KIB = 4096

    def command(self):
        return [program("hz_u5_threads.c"), 2000]

    def outcome(self, run):
        """The growth in units of the limit, from what 2000 threads cost alone."""
        if run.status or not run.out:
            return run.status
        if not hasattr(self, "alone_kib"):
            self.alone_kib = int(run.out)
        return "little" if int(run.out) - self.alone_kib < self.LIMIT_KIB else f"{run.out} KiB, alone {self.alone_kib}"


class U6SmallStacks(AsWithout, Discriminates):
    """U6: coroutine and signal stacks of 2 to 16 KiB. Seen to fail (SIGSEGV) under a shim with a frame of 12 KiB."""
    broken = ["broken_big_frame.c"]

    def command(self):
        return [program("hz_u6_small_stacks.c", "-Wl,-z,now")]  # lazy binding takes more stack than malloc


class U6Canary(Hazard):
    """U6: what lies right below a small stack stays as it was. The stack has what the allocator alone takes, and 512 bytes, on aarch64
    640. Seen to fail with the library of version 0.1.0, where the stack is part of one that is known."""
    LIMIT = 640 if paths.EMULATOR else 512
    LEAST_OF_SIGNALS = 5120 if paths.EMULATOR else 2048  # MINSIGSTKSZ: what sigaltstack takes, where the processor has few registers to save

    def check(self, kind, *place, **options):
        command = [program("hz_u6_canary.c", "-Wl,-z,now", "-Wl,--no-as-needed", "-lstdc++"), kind]
        options["LD_BIND_NOW"] = 1  # binding as it goes takes more stack than malloc
        alone = int(self.plain([*command, 0, *place], **options).out)
        self.assertGreater(alone, 256)
        if kind == "signal":
            alone = max(alone, self.LEAST_OF_SIGNALS)
        self.assertEqual(self.plain([*command, alone, *place], **options).out, "intact\n")
        for depth, sample in itertools.product((1, 128, 512), (1, None)):
            run = self.profiled([*command, alone + self.LIMIT, *place], sample=sample, depth=depth, **options)
            self.assertEqual(run.out, "intact\n", f"HEAPPROF_DEPTH={depth} HEAPPROF_SAMPLE={sample}")
        self.assertGreater(sum(pprof_reader.load(path).total("alloc_objects") for path in self.profile_files()), 1000)

    @cases("context", "signal", "thread")
    def test_canary(self, kind):
        self.check(kind)

    @cases("context", "signal")
    def test_within_another_stack(self, kind):
        self.check(kind, "local")

    @cases("context", "signal")
    def test_on_jemalloc(self, kind):
        """Which would otherwise give memory back from time to time, and take more of the stack for it."""
        self.check(kind, "local", allocator="jemalloc", MALLOC_CONF="dirty_decay_ms:-1,muzzy_decay_ms:-1")


class U7NoCfi(AsWithout, Discriminates):
    """U7: callers without unwind information, rbp anything. Seen to fail (SIGSEGV) under a shim that follows rbp."""
    broken = ["broken_frame_pointers.c"]

    def command(self):
        return [program("hz_u7_no_cfi.c")]


class U7Registered(AsWithout):
    """U7: code that the program made and told the C runtime of, which a plug-in alone has. Stacks pass through it until it is taken
    back, and the runtime is told all the same. Seen to fail before there was a hook, and by the mutants registered_unseen and
    runtime_not_told."""

    def command(self):
        return [program("hz_u7_registered.c"), library("hz_u7_registered.c", "-DPLUGIN")]

    def test_stacks(self):
        profile = self.profiled(self.command(), sample=1).profile
        counts = {}
        for sample in profile.select(lambda frames: "victim_allocate" in frames):
            frames = profile.frames(sample)
            key = "victim_while_registered" in frames, "main" in frames, sample.labels.get("truncated")
            counts[key] = counts.get(key, 0) + sample.values["alloc_objects"]
        self.assertEqual(counts, {(True, True, None): 50, (False, False, "no CFI"): 50})


class U7OtherStack(AsWithout):
    """U7: code made at run time that has a stack of its own. Erlang's frame pointers are followed there, as far as they lead behind calls in
    such code, and nobody else's. Seen to fail before they were (one frame of it), and by the mutants other_stacks_cut, any_data_is_a_frame
    and anybody_is_erlang."""

    def command(self, kind="stack", name="beam.smp"):
        path = shutil.copy(program("hz_u7_other_stack.c"), self.dir / name)
        return [path, kind]

    @cases(("stack", "beam.smp", 3), ("garbage", "beam.smp", 1), ("stack", "another", 1))
    def test_frames(self, kind, name, generated):
        profile = self.profiled(self.command(kind, name), sample=1).profile
        inside = profile.select(lambda frames: "victim_allocate" in frames)
        self.assertEqual(sum(sample.values["alloc_objects"] for sample in inside), 50)
        for sample in inside:
            files = [location.mapping.filename for location in sample.locations]
            self.assertEqual((files[1:], sample.labels), (["//anon"] * generated, {"truncated": "no CFI"}))


class U7Node(AsWithout, Discriminates):
    """U7: a program with a compiler in it (JIT frames), and workers. Seen to fail (SIGSEGV) under a shim that follows rbp."""
    broken = ["broken_frame_pointers.c"]
    SCRIPT = """
const {Worker, isMainThread} = require('worker_threads'), zlib = require('zlib');
let sum = 0;
for (let i = 0; i < 3e5; i++) sum += JSON.parse(`{"a":${i}}`).a;
for (let i = 0; i < 200; i++) sum += zlib.gunzipSync(zlib.gzipSync(Buffer.alloc(1000 + i))).length;
if (isMainThread) new Worker(__filename).on('exit', () => console.log('ok', sum)); else process.exitCode = 0;
"""

    def command(self):
        skip_unless(os.path.exists("/usr/bin/node"), "node is not installed")
        (self.dir / "script.js").write_text(self.SCRIPT)
        return ["/usr/bin/node", str(self.dir / "script.js")]


class U8Attributes(AsWithout, Discriminates):
    """U8: pthread_getattr_np allocates under a lock that it takes. Seen to fail (hangs) under a shim that calls it."""
    broken = ["broken_getattr.c"]

    def command(self):
        return [program("hz_u8_attributes.c"), amount(500, 50000)]


class U9LargeFrames(AsWithout):
    """U9: a frame of many MiB, or many frames, between the caller and the thread's end. Seen to fail in version 0.1.0 (nothing above the
    frame), and by the mutant own_stack_forgotten."""
    samples = (1,)  # at other intervals the first sample may come behind the filter, and has to ask
    KINDS = [("frame", "main", 2), ("frame", "main", 5), ("recursion", "main", 6),
             ("frame", "thread", 2), ("frame", "thread", 40), ("recursion", "thread", 6)]

    def victim_of(self, *arguments):
        return [program("hz_u9_large_frames.c"), *arguments]

    def command(self):
        return self.victim_of(*self.KINDS[0])

    @cases(*KINDS)
    def test_complete_and_without_a_call(self, kind, thread, mib):
        run = self.profiled(self.victim_of(kind, thread, mib), sample=1)
        stacks = run.profile.stacks("alloc_objects", lambda frames: "victim_allocate" in frames)
        self.assertEqual(sum(stacks.values()), 200)
        for frames in stacks:
            self.assertIn("victim_outermost", frames)
            self.assertEqual(frames.count("victim_below"), 90 if kind == "recursion" else 1)
        self.assertEqual(run.profile.comment_values()["lost.total"], 0)


class U10Ends(AsWithout):
    """U10: a stack counts as complete where something says that it ends there, and only there. test_truncated was seen to fail in version
    0.1.0; all by the mutants ends_at_zero, contexts_cut, constructors_cut, and for the reason cut_for_no_reason and foreign_passes_for_own."""

    def command(self):
        return [program("hz_u10_ends.c"), "makecontext"]

    @cases(("makecontext", None), ("boost", None), ("nothing", "no CFI"), ("zero", "no CFI"), ("far", "unreadable"),
           ("foreign", "foreign stack"))
    def test_truncated(self, kind, reason):
        run = self.profiled([program("hz_u10_ends.c"), kind], sample=1)
        inside = run.profile.select(lambda frames: "victim_coroutine" in frames)
        self.assertEqual(sum(sample.values["alloc_objects"] for sample in inside), 50)
        for sample in inside:
            self.assertEqual(sample.labels, {"truncated": reason} if reason else {})
        counted = {key: value for key, value in run.profile.comment_values().items() if key.startswith("lost.truncated") and value}
        key = (reason or "").lower().replace(" ", "_")
        self.assertEqual(counted, {"lost.truncated": 50, f"lost.truncated.{key}": 50} if reason else {})

    def test_constructors(self):
        """Of a library that the loader initialises after us: it calls from where a process begins."""
        run = self.profiled(["/bin/true"], sample=1, LD_PRELOAD=f"{library('hz_u10_constructor.c')} {paths.LIB}")
        stacks = run.profile.stacks("alloc_objects", lambda frames: "victim_in_constructor" in frames)
        self.assertEqual(sum(stacks.values()), 1)
        self.assertEqual(run.profile.comment_values().get("lost.truncated", 0), 0)


class U11Crash(AsWithout):
    """U11: a crash handler's allocations have the guilty function on their stack. Seen to fail in version 0.1.0, and by the mutants
    calls_go_nowhere and overflow_unread."""

    def command(self):
        return [program("hz_u11_crash.c"), "null"]

    @cases("null", "data")
    def test_who_called_what_is_no_code(self, kind):
        run = self.profiled([program("hz_u11_crash.c"), kind], sample=1)
        (frames,) = run.profile.stacks("alloc_objects", lambda frames: "victim_report" in frames)
        self.assertIn("victim_guilty", frames)
        self.assertIn("main", frames)
        self.assertEqual(run.profile.comment_values()["lost.total"], 0)

    @cases(("load", "victim_load"), ("abort", "abort"))
    def test_who_was_interrupted(self, kind, innermost):
        run = self.profiled([program("hz_u11_crash.c"), kind], sample=1)
        (frames,) = run.profile.stacks("alloc_objects", lambda frames: "victim_report" in frames)
        self.assertIn(innermost, frames)
        self.assertIn("victim_guilty", frames)
        self.assertEqual(run.profile.comment_values()["lost.total"], 0)

    @cases("overflow", "thread")
    def test_overflow(self, kind):
        run = self.profiled([program("hz_u11_crash.c"), kind], sample=1)
        (frames,) = run.profile.stacks("alloc_objects", lambda frames: "victim_report" in frames)
        self.assertGreater(frames.count("victim_overflow"), 100)  # of the 128 that are asked for
        self.assertEqual(run.profile.comment_values()["lost.truncated"], 1)


class U12Registers(AsWithout):
    """U12: frames whose caller is found by other registers than sp and bp. Seen to fail in version 0.1.0 (cut at the loader's frame), and by
    the mutant registers_forgotten."""

    def command(self):
        lazy = library("liblazy.c", "-Wl,-z,lazy", "-Wl,-soname,liblazy.so")
        linked = program("hz_u12_lazy.c", "-Wl,--no-as-needed", lazy)
        (self.dir / "liblazy.so").unlink(missing_ok=True)
        (self.dir / "liblazy.so").symlink_to(lazy)
        return [linked]

    def options(self):
        return {"LD_LIBRARY_PATH": self.dir}

    def test_lazy_binding(self):
        run = self.profiled(self.command(), sample=1, **self.options())
        (frames,) = run.profile.stacks("alloc_space", lambda frames: "lazy_look" in frames)
        for name in ("lazy_enter", "victim_bind", "main"):
            self.assertIn(name, frames)
        self.assertEqual(run.profile.comment_values()["lost.total"], 0)

    def test_behind_a_filter(self):
        """Where no call may be made, and no sample was taken in the loader or the library before. Seen to fail (no CFI at the function that
        chooses) with the library of before, and by the mutants registers_need_calls and objects_unforeseen."""
        run = self.profiled([*self.command(), "filter"], sample=1, **self.options())
        self.tool("recover", run.pid, "-o", "recovered.pb.gz")
        profile = pprof_reader.load(self.out_dir / "recovered.pb.gz")
        (frames,) = profile.stacks("alloc_space", lambda frames: "lazy_look" in frames)
        for name in ("lazy_enter", "victim_bind", "main"):
            self.assertIn(name, frames)
        self.assertEqual(profile.comment_values()["lost.total"], 0)


class U14Alone(Case):
    """U14: stacks are whole where nothing is installed that unwinds. Seen to fail in version 0.1.0: one frame, operator new."""
    # Over each of its files an empty one, in mounts of our own.
    HIDING = "for file in /usr/lib/*/libunwind*.so.* /lib/*/libunwind*.so.*; do [ ! -e $file ] || mount --bind /dev/null $file || exit; done; exec \"$@\""

    def test_without_libunwind(self):
        skip_unless(os.geteuid() == 0, "only root may mount")
        hidden = ["unshare", "-m", "sh", "-c", self.HIDING, "sh"]
        skip_unless(self.plain([*hidden, "true"], expect=None).status == 0, "no mounts of our own here")
        self.profiled([*hidden, program("hz_u14_leak.cc")], sample=1)
        self.stacks_in(self.out_dir)

    def stacks_in(self, folder):
        """Of the strings that leak."""
        (path,) = folder.glob("*.hz_u14_leak*")
        profile = pprof_reader.load(path)
        stacks = profile.stacks("alloc_objects", lambda frames: any("victim_leak" in name for name in frames))
        self.assertEqual(sum(stacks.values()), 20)  # a string, and what it holds
        for frames in stacks:
            self.assertIn("main", frames)
        self.assertEqual(profile.comment_values().get("lost.truncated", 0), 0)
        return {tuple("" if name.startswith("0x") else name for name in frames): count for frames, count in stacks.items()}

    def test_in_a_root_with_libc_alone(self):
        """The stacks are those of outside. Nothing is there but the program and what it is linked with, not even /proc."""
        skip_unless(os.geteuid() == 0, "only root may change its root")
        victim, root = program("hz_u14_leak.cc"), self.dir / "root"
        linked = subprocess.run(["ldd", victim, paths.LIB], check=True, capture_output=True, text=True).stdout
        self.compare([victim], root, {str(victim), str(paths.LIB), *re.findall(r"(/\S+) \(0x", linked)})

    def compare(self, command, root, files):
        """Its stacks in another root, to which files are added, with those of outside."""
        for file in files:
            (root / file[1:]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, root / file[1:])
        for folder in (self.out_dir, self.state_dir):
            (root / str(folder)[1:]).mkdir(parents=True, mode=0o700, exist_ok=True)

        def enter():
            os.chroot(root)
            os.chdir("/")
        self.profiled(command, sample=1)
        self.profiled(command, sample=1, cwd="/", preexec_fn=enter)
        self.assertEqual(self.stacks_in(root / str(self.out_dir)[1:]), self.stacks_in(self.out_dir))
        return enter

    @timeout(900)
    def test_in_a_minimal_debian(self):
        """As debootstrap makes it: the stacks are those of outside, and none of its own programs is cut."""
        skip_unless(TORTURE, "takes minutes, and an archive of packages")
        skip_unless(os.geteuid() == 0, "only root may change its root")
        skip_unless(shutil.which("debootstrap"), "debootstrap is not installed: ./bootstrap torture installs it")
        release = re.search(r"^VERSION_CODENAME=(\w+)", pathlib.Path("/etc/os-release").read_text(), re.MULTILINE)[1]
        root, victim = self.dir / "root", program("hz_u14_leak.cc")
        self.plain(["debootstrap", "--variant=minbase", release, root])
        enter = self.compare([victim], root, [victim, str(paths.LIB)])
        # Of a slim image: there is nothing that others unwind with.
        self.assertEqual([str(path) for path in root.glob("usr/lib/*/libunwind*")], [])
        for command in (["perl", "-e", 'my %h; $h{$_} = "x" x $_ for 1 .. 500; print scalar keys %h'],
                        ["apt-cache", "policy"], ["bash", "-c", "for i in {1..300}; do x=$x$i; done; echo ${#x}"], ["dpkg", "--list"]):
            found = self.profiled(command, sample=1, cwd="/", preexec_fn=enter)
            self.assertEqual((found.out != "", found.err), (True, ""))
        written = (root / str(self.out_dir)[1:]).glob("*.pb.gz")
        profiles = {path.name: pprof_reader.load(path).comment_values() for path in written}
        self.assertGreater(len(profiles), 4)
        self.assertEqual([name for name, values in profiles.items() if values["lost.total"] or values.get("lost.truncated", 0)], [])
