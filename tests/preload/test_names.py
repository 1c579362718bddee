# SPDX-License-Identifier: MIT
"""Names, callers and mappings, as seen by our reader and by the pprofs."""
import itertools
import os
import re
import shutil
import subprocess
import sys

from harness import elf, paths, pprof_reader, tools
from harness.case import Case, cases
from hazards.toolbox import library as hazard_library, program as hazard_program

SAMPLE_TYPES = ("alloc_objects", "alloc_space", "inuse_objects", "inuse_space")
ALL_TYPES = (*SAMPLE_TYPES, "peak_objects", "peak_space")
ALLOCATION_FUNCTIONS = re.compile(r"(__libc_|__GI_)?(malloc|calloc|realloc|reallocarray|free|memalign|aligned_alloc|posix_memalign|"
                                  r"v?p?valloc)|operator (new|delete).*|_Zn[wa].*|_Zd[la].*")
# What to do with a binary before it runs, beside leaving it as it is.
STRIPS = {"dwarf": None, "symtab": ["strip", "--strip-debug"], "stripped": ["strip", "--strip-all"]}
PIECE = 4 << 20
SHOP = {"shop::Basket::reserve": 32 * PIECE, "shop::Basket::add": 32 * PIECE, "shop::fill": 32 * PIECE, "main": 33 * PIECE}


def without_arguments(name):
    """shop::Basket::reserve<char> is reserve, and so is char* shop::Basket::reserve<char>(unsigned long)."""
    name = re.sub(r"\(.*\)( const)?$", "", name)
    name = re.sub(r"<[^<>]*>", "", name)
    return name.rsplit(" ", 1)[-1]


class Stacks(Case):
    def test_callers_from_leaf_to_start(self):
        profile = self.profiled([self.victim("leak")], sample=1, expect=7).profile
        sample, = profile.select(lambda frames: "victim_leaf" in frames)
        self.assertEqual(profile.frames(sample)[:4], ["victim_leaf", "victim_middle", "victim_outer", "main"])
        self.assertEqual(sample.values["alloc_objects"], 1000)
        self.assertEqual(sample.labels, {})

    def test_executable_with_gaps(self):
        """Of which the loader knows each segment by itself (nodejs is such a program)."""
        program = hazard_program("hz_gaps.c", "-no-pie", "-Wl,--section-start=.far=0x900000")
        run = self.profiled([program], sample=1)
        self.check_exact(run.profile, run.shadows[run.pid])
        self.check_lint(run.profile, program=os.path.realpath(program))
        sample, = run.profile.select(lambda frames: "victim_far" in frames)
        self.assertEqual(run.profile.frames(sample)[:3], ["victim_far", "victim_near", "main"])
        self.assertEqual({mapping.filename for mapping in run.profile.mappings if "anon" in mapping.filename}, set())

    def test_no_frame_of_ours(self):
        for victim in ("everything", "new_delete", "aligned", "strings"):
            self.clear_profiles()
            profile = self.profiled([self.victim(victim)], sample=1).profile
            for sample in profile.samples:
                files = [location.mapping.filename for location in sample.locations if location.mapping]
                self.assertNotIn(str(paths.LIB), files)
                frames = profile.frames(sample)
                self.assertFalse(ALLOCATION_FUNCTIONS.fullmatch(frames[0]), frames)

    def test_leaf_is_the_caller_of_strdup(self):
        profile = self.profiled([self.victim("strings"), "/etc/passwd"], sample=1).profile
        leaves = {frames[0] for frames in profile.stacks("alloc_space", lambda frames: "victim_strdup" in frames)}
        self.assertEqual(leaves, {"victim_strdup"})

    def test_build_ids_are_those_of_the_files(self):
        profile = self.profiled([self.victim("names")], sample=1).profile
        for mapping in profile.mappings:
            if mapping.filename.startswith("/"):
                notes = subprocess.run(["readelf", "-nW", mapping.filename], capture_output=True, text=True, check=True).stdout
                self.assertEqual(re.findall(r"Build ID: (\w+)", notes), [mapping.build_id] if mapping.build_id else [])
        self.assertTrue(any("libstdc++" in mapping.filename and mapping.build_id for mapping in profile.mappings))


class Readers(Case):
    """Both pprofs, on a binary with DWARF, with symbols only, and stripped."""

    def run_stripped(self, strip):
        program = self.dir / "names"
        shutil.copy(self.victim("names"), program)
        if STRIPS[strip]:
            subprocess.run([*STRIPS[strip], str(program)], check=True)
        run = self.profiled([str(program)], sample="64K")  # none of the large ones is missed
        self.assertEqual(run.out, "filled\n")
        return run

    @cases(*itertools.product(STRIPS, tools.PPROFS))
    def test_top(self, strip, which):
        run = self.run_stripped(strip)
        self.check_lint(run.profile)
        for sample_type in SAMPLE_TYPES:
            rows = {}
            for name, (flat, cumulative) in tools.pprof_top(which, run.files[0], sample_type).items():
                rows[without_arguments(name)] = (flat, cumulative)
            self.assertTrue({*SHOP, "victim_text"} <= set(rows), f"{sample_type}: {sorted(rows)}")
            self.assertGreater(rows["shop::Basket::reserve"][0], 0, sample_type)
            self.assertEqual(rows["shop::fill"][0], 0, sample_type)
            for name, allocated in SHOP.items():
                if name == "main" and sample_type.endswith("_objects"):
                    continue  # its small objects stand for many each, if one is sampled
                value = allocated if "space" in sample_type else allocated // PIECE
                value -= (value // 2 if "shop" in name else value * 16 // 33) if sample_type.startswith("inuse") else 0
                self.assertAlmostEqual(rows[name][1], value, delta=0.06 * value, msg=f"{sample_type} of {name}")
            names = [name for name in rows if ALLOCATION_FUNCTIONS.fullmatch(name)]
            self.assertEqual(names, [])

    @cases("0xab", "0xabcdef0102", "0xabcdef01020304", "none")
    def test_build_id_of_any_length(self, build_id):
        """Seen to fail: where the length was no multiple of 4, nothing in the file had a name."""
        program = hazard_program("hz_gaps.c", f"-Wl,--build-id={build_id}")
        run = self.profiled([program], sample=1)
        mapping = run.profile.mappings[0]
        self.assertEqual((mapping.filename, mapping.build_id), (os.path.realpath(program), build_id.removeprefix("0x").replace("none", "")))
        sample, = run.profile.select(lambda frames: "victim_far" in frames)
        self.assertEqual(run.profile.frames(sample)[:3], ["victim_far", "victim_near", "main"])
        self.tool("symbolize", "--no-cache", "-o", self.dir / "lines.pb.gz", run.files[0])
        lines = pprof_reader.load(self.dir / "lines.pb.gz")
        files = {os.path.basename(f.filename) for s in lines.samples for location in s.locations for f in location.functions}
        self.assertIn("hz_gaps.c", files)

    @cases(*tools.PPROFS)
    def test_raw_says_what_our_reader_says(self, which):
        run = self.profiled([self.victim("churn")], sample=1)
        raw = tools.pprof(which, "-raw", "-symbolize=none", run.files[0])
        rows = [[int(n) for n in row] for row in re.findall(r"^ +" + r" +".join([r"(\d+)"] * len(ALL_TYPES)) + r": [\d ]+$", raw, re.MULTILINE)]
        values = [list(s.values.values()) for s in run.profile.samples]
        self.assertEqual(sorted(rows), sorted(values))
        self.assertIn("inuse_space/bytes[dflt]", raw)

    def test_same_program_twice_has_no_difference(self):
        """Under address randomisation."""
        with open("/proc/sys/kernel/randomize_va_space", encoding="ascii") as file:
            if file.read().strip() == "0":
                self.skipTest("addresses are not randomised")
        paths_, starts = [], set()
        for name in ("first", "second"):
            path = self.dir / f"{name}.pb.gz"
            run = self.profiled([self.victim("names")], sample=1, out=path)
            run.files = [path]
            starts.add(run.profile.mappings[0].start)
            paths_.append(path)
        self.assertEqual(len(starts), 2, "the program was at the same address twice")
        for sample_type in SAMPLE_TYPES:
            difference = tools.pprof_top("google", paths_[1], sample_type, f"-diff_base={paths_[0]}")
            self.assertEqual({name: row for name, row in difference.items() if row != (0, 0)}, {})


class Nameless(Case):
    """Code that no symbol names is called after its file and where its function starts there. Seen to fail: it had no function, and
    pprof asked the server that it got the profile from."""
    SOURCE = """
        #include <stdlib.h>
        static __attribute__((noinline)) void *inner(size_t size) { void *volatile p = malloc(size); return p; }
        static __attribute__((noinline)) void *outer(size_t size) { void *volatile p = inner(size + 1); return p; }
        %s { return outer(1000) == NULL; }
    """

    def build(self, name, begin, *options):
        """The stripped file, and {name of a function: what it is called now}"""
        source, whole, stripped = self.dir / f"{name}.c", self.dir / f"{name}.whole", self.dir / name
        source.write_text(self.SOURCE % begin)
        subprocess.run(["gcc", "-O1", "-o", whole, source, *options], check=True)
        subprocess.run(["strip", "-o", stripped, whole], check=True)
        return stripped, {f.name: f"{name}+{f.address:#x}" for f in elf.functions(whole)}

    def check(self, run, expected):
        self.check_lint(run.profile)
        self.assertTrue(all(mapping.has_functions for mapping in run.profile.mappings))
        self.assertEqual([s for s in run.profile.samples for location in s.locations if not location.functions], [])
        frames = next(s.raw_frames() for s in run.profile.samples if expected[0] in s.raw_frames())
        self.assertEqual(frames[:len(expected)], expected)

    @cases("-pie", "-no-pie", "-Wl,--no-eh-frame-hdr")
    def test_program(self, option):
        program, names = self.build("app", "int main(void)", option)
        self.check(self.profiled([program], sample=1), [names["inner"], names["outer"], names["main"]])

    def test_library(self):
        library, names = self.build("plugin.so", "int plugin(void)", "-shared", "-fPIC")
        program = self.dir / "host"
        (self.dir / "host.c").write_text("int plugin(void); int main(void) { return plugin(); }")
        subprocess.run(["gcc", "-o", program, self.dir / "host.c", library, f"-Wl,-rpath,{self.dir}"], check=True)
        self.check(self.profiled([program], sample=1), [names["inner"], names["outer"], "plugin", "main"])

    def test_two_libraries_at_one_place(self):
        """What is recorded elsewhere, since another one lay there, is not asked about at its place."""
        libraries = [self.build(f"plugin{i}.so", "int plugin(void)", "-shared", "-fPIC", f"-Wl,--defsym=pad={i}") for i in range(2)]
        (self.dir / "host.c").write_text("""
            #include <dlfcn.h>
            int main(int argc, char **argv) {
              for (int i = 1; i < argc; i++) {
                void *library = dlopen(argv[i], RTLD_NOW);
                ((int (*)(void))dlsym(library, "plugin"))();
                if (i + 1 < argc)
                  dlclose(library);
              }
            }""")
        subprocess.run(["gcc", "-o", self.dir / "host", self.dir / "host.c"], check=True)
        run = self.profiled([self.dir / "host", *(path for path, _ in libraries)], sample=1)
        self.check_lint(run.profile)
        for (path, names), is_loaded in zip(libraries, (False, True)):
            sample = next(s for s in run.profile.samples if s.locations[0].mapping.filename == str(path))
            lies_there = is_loaded and sample.locations[0].mapping.start < 1 << 60
            expected = [names["inner"], names["outer"]] if lies_there else [f"[{path.name}]"] * 2
            self.assertEqual(sample.raw_frames()[:3], [*expected, "plugin"])


class Libraries(Case):
    @cases((), ("again",))
    def test_unloaded_library_keeps_mapping_and_names(self, *again):
        plugin = paths.VICTIMS / "libplugin.so"
        run = self.profiled([self.victim("dlopen"), plugin, *again], sample=1)
        self.check_run_exact(run)
        files = [mapping.filename for mapping in run.profile.mappings]
        self.assertIn(str(plugin), files)
        stacks = [s for s in run.profile.samples if "victim_plugin_allocate" in run.profile.frames(s)]
        self.assertEqual({s.locations[0].mapping.filename for s in stacks}, {str(plugin)})
        self.assertEqual(sum(s.values["alloc_objects"] for s in stacks), 100 if again else 20)

    @cases(*tools.PPROFS)
    def test_pprof_names_it(self, which):
        run = self.profiled([self.victim("dlopen"), paths.VICTIMS / "libplugin.so"], sample=1)
        rows = tools.pprof_top(which, run.files[0], "inuse_objects")
        self.assertEqual(rows["victim_plugin_allocate"], (20, 20))
        self.assertEqual(rows["victim_use_plugin"], (0, 20))

    def test_program_deleted_while_it_runs(self):
        """Its mapping does not say "(deleted)"; whether it still has names is another matter."""
        copy = self.dir / "signals"
        shutil.copy(self.victim("signals"), copy)
        with self.start([copy], sample=1) as program:
            program.read_until("ready")
            copy.unlink()
            program.say("work")
            program.read_until("done")
            run = program.end("end\n")
        self.check_lint(run.profile, program=str(copy))
        self.assertGreaterEqual(run.profile.total("alloc_objects"), 200)


class Running(Case):
    """Files that are not, or no longer, where their name says. Seen to fail: no names, `go tool pprof` had those of the new file."""
    HOW = ("replaced", "deleted", "replaced without build ids")
    CHAIN = ["old_make", "make", "old_use", "main"]
    NEW = {"new_make", "new_use"}

    def install(self, *flags):
        """Of the program and its library, as they are and as those that will take their place."""
        files = {}
        for name in ("program", "library"):
            build = hazard_program if name == "program" else hazard_library
            kind = ["-DLIB"] if name == "library" else []
            files[name] = self.dir / name
            shutil.copy(build("hz_replaced.c", *kind, *flags), files[name])
            shutil.copy(build("hz_replaced.c", "-DNEW", *kind, *flags), self.dir / f"{name}.new")
        return files["program"], files["library"]

    def check_names(self, path):
        profile = pprof_reader.load(path)
        self.assertIn(tuple(self.CHAIN), {tuple(profile.frames(sample)[:4]) for sample in profile.samples})
        for which in tools.PPROFS:
            names = set(tools.pprof_top(which, path, "alloc_space"))
            self.assertLessEqual(set(self.CHAIN), names)
            self.assertEqual(names & self.NEW, set())

    @cases(*HOW)
    def test_taken_from_what_runs(self, how):
        if os.geteuid() != 0:
            self.skipTest("only root can open what is mapped")
        flags = ["-Wl,--build-id=none"] if "without" in how else ["-Wl,--build-id=sha1"]
        program, library = self.install(*flags)
        with self.start([program, library], sample=1) as running:
            running.read_until("ready")
            for path in (program, library):
                path.unlink()
                if "replaced" in how:
                    path.with_name(f"{path.name}.new").rename(path)
            outside = self.dir / "outside.pb.gz"
            if "without" not in how:
                self.tool("dump", "-o", outside, running.pid)
            run = running.end("go\n")
        self.assertEqual(run.status, 0, run.err)
        if "without" in how:  # a library's new file cannot be told from the old one
            profile = run.profile
            self.assertTrue(any("old_use" in profile.frames(sample) for sample in profile.samples))
            return
        self.check_names(run.files[0])
        self.check_names(outside)

    def test_what_no_file_has_says_so(self):
        """After the process is gone: the new file's names are nobody's."""
        program, library = self.install()
        with self.start([program, library], sample=1) as running:
            running.read_until("ready")
        for path in (program, library):
            path.with_name(f"{path.name}.new").rename(path)
        recovered = self.dir / "recovered.pb.gz"
        self.tool("recover", "-o", recovered, self.state_dir / f"{running.pid}.heapprof")
        for which in tools.PPROFS:
            names = set(tools.pprof_top(which, recovered, "alloc_space"))
            self.assertEqual(names & (self.NEW | set(self.CHAIN)), set())

    def test_program_in_memory(self):
        program, library = self.install()
        script = ("import os, sys; memory = os.memfd_create('in memory', os.MFD_CLOEXEC); "
                  "os.write(memory, open(sys.argv[1], 'rb').read()); os.execve(memory, ['program', sys.argv[2]], os.environ)")
        with self.start([sys.executable, "-c", script, program, library], sample=1) as running:
            running.read_until("ready")
            outside = self.dir / "outside.pb.gz"
            self.tool("dump", "-o", outside, running.pid)
            run = running.end("go\n")
        self.check_names(run.files[0])
        self.check_names(outside)

    @cases("./program", "absolute")
    def test_started_by_the_loader(self, name):
        """As bundles with a libc of their own do. Seen to fail: the module was called ld.so, and had no names."""
        program, library = self.install()
        headers = subprocess.run(["readelf", "-lW", program], capture_output=True, text=True, check=True).stdout
        loader = re.search(r"interpreter: (\S+?)\]", headers)[1]
        with self.start([loader, program if name == "absolute" else name, library], sample=1) as running:
            running.read_until("ready")
            run = running.end("go\n")
        self.check_lint(run.profile, program=str(program))
        self.check_names(run.files[0])

    def test_code_moved_to_anonymous_memory(self):
        run = self.profiled([hazard_program("hz_remapped_text.c")], sample=1)
        self.check_exact(run.profile, run.shadows[run.pid])
        stacks = run.profile.stacks("alloc_objects", lambda frames: "victim_leaf" in frames)
        self.assertEqual({frames[:3]: objects for frames, objects in stacks.items()}, {("victim_leaf", "victim_caller", "main"): 2})
