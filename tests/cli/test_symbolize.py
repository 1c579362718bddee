# SPDX-License-Identifier: MIT
"""heapprof symbolize: what it says of addresses, compared with llvm-symbolizer; everywhere that debug information can be;
what is kept; and files that are not what they seem."""
import http.server
import json
import os
import pathlib
import pty
import random
import re
import shutil
import subprocess
import threading
import unittest

from harness import elf, pprof_reader, pprof_writer
from harness.case import Case, cases, timeout
from harness.paths import TESTS, TOOL
from harness.tools import need, pprof

SOURCES = TESTS / "cli"


CLONE = r"(?<=.)\.(clone|cold|constprop|hot|isra|llvm|localalias|lto_priv|part|unlikely|\d+)$"


def function_of(symbol):
    """Of foo.cold and foo.part.0: foo. The variants of a constructor are one function."""
    while (shorter := re.sub(CLONE, "", symbol)) != symbol:
        symbol = shorter
    return re.sub(r"(?<=[a-z0-9_E])([CD])[0-5](?=[EI])", r"\1*", symbol)


def rustc():
    for program in (shutil.which("rustc"), os.path.expanduser("~/.cargo/bin/rustc")):
        if program and os.path.exists(program):
            return program
    raise unittest.SkipTest("rustc is not installed")


class SymbolizeCase(Case):
    def build(self, source, *flags, compiler="g++", name="program", cwd=None):
        folder = pathlib.Path(cwd or self.dir)
        path = folder / name
        subprocess.run([compiler, *flags, "-o", path, SOURCES / source], check=True, cwd=folder)
        return path

    def write_profile(self, program, addresses, **options):
        path = self.out_dir / "profile.pb.gz"
        pprof_writer.write(path, program, addresses, **options)
        return path

    def frames(self, profile):
        """address in the file -> [(function, system name, file, line), ...], innermost first"""
        if not isinstance(profile, pprof_reader.Profile):
            profile = pprof_reader.load(profile)
        return {location.address - pprof_writer.LOAD_ADDRESS:
                [(f.name, f.system_name, f.filename, line)
                 for f, line in zip(location.functions, location.line_numbers)]
                for location in profile.locations}

    def on_a_terminal(self, *arguments, watch=lambda text: None, **variables):
        """What is written to standard error when that is a terminal. watch: is told what was written so far"""
        ours, theirs = pty.openpty()
        environment = {**self.tool_environment(**variables), "TERM": "xterm"}
        process = subprocess.Popen([str(TOOL), *map(str, arguments)], stderr=theirs, stdin=subprocess.DEVNULL,
                                   cwd=self.out_dir, env=environment)
        os.close(theirs)
        text = b""
        try:
            while chunk := os.read(ours, 4096):
                text += chunk
                watch(text.decode())
        except OSError:  # the other side was closed
            pass
        os.close(ours)
        self.assertEqual(process.wait(), 0)
        return text.decode()


class AgainstLlvm(SymbolizeCase):
    """1,000 addresses of a program: functions, files and lines of at least 99 % are those that llvm-symbolizer finds."""

    def llvm_frames(self, program, addresses):
        need("llvm-symbolizer")
        command = ["llvm-symbolizer", f"--obj={program}", "--inlines", "--functions=linkage", "--no-demangle",
                   "--output-style=JSON"]
        done = subprocess.run(command, input="".join(f"{a:#x}\n" for a in addresses), capture_output=True, text=True,
                              check=True)
        found = {}
        for line in done.stdout.splitlines():
            entry = json.loads(line)
            frames = [(s["FunctionName"], s["FileName"], s["Line"]) for s in entry["Symbol"]]
            # Without debug information it names the file of the symbol table: "crt1.o", line 0.
            found[int(entry["Address"], 16)] = [(name, file if line or file.startswith("/") else "", line)
                                                for name, file, line in frames]
        return found

    def aliases(self, program):
        """name -> all names of that address: any of them is right"""
        by_address = {}
        for symbol in elf.functions(program):
            by_address.setdefault(symbol.address, set()).add(function_of(symbol.name))
        return {name: names for names in by_address.values() for name in names}

    def is_same_name(self, ours, theirs, aliases):
        name, system_name = ours
        theirs = function_of(theirs)
        # Where debug information has no linkage name they say "f" and we say "namespace::f".
        ours = function_of(system_name)
        return theirs in aliases.get(ours, (ours,)) or name.split("::")[-1] == re.sub("<.*", "", theirs)

    def is_same(self, ours, theirs, aliases):
        return len(ours) == len(theirs) and all(
            self.is_same_name(our[:2], their[0], aliases) and our[3] == their[2] and
            os.path.normpath(our[2]) == os.path.normpath(their[1]) for our, their in zip(ours, theirs))

    def compare(self, program, reference=None, count=1000):
        """reference: a file with the same code, which llvm-symbolizer can read"""
        addresses = elf.sample_addresses(reference or program, count)
        theirs = self.llvm_frames(reference or program, addresses)
        path = self.write_profile(program, addresses)
        self.tool("symbolize", path)
        ours = self.frames(path)
        aliases = self.aliases(reference or program)
        different = [a for a in addresses if not self.is_same(ours[a], theirs[a], aliases)]
        examples = "\n".join(f"{a:#x}\n  ours   {ours[a]}\n  theirs {theirs[a]}" for a in different[:3])
        self.assertGreaterEqual(len(addresses), count)
        inlined = sum(len(frames) > 1 for frames in theirs.values())
        self.assertGreaterEqual(inlined, count / 4, "too few inlined functions")
        self.assertLessEqual(len(different), count * 0.01, f"{len(different)} of {len(addresses)} differ:\n{examples}")

    @cases("-gdwarf-4", "-gdwarf-5", "-gdwarf-4 -gsplit-dwarf", "-gdwarf-5 -gsplit-dwarf", "-gdwarf-5 -flto -no-pie",
           "-gdwarf-5 -ffunction-sections -Wl,--gc-sections", "-gdwarf-5 -gz")
    @timeout(180)
    def test_gcc(self, flags):
        self.compare(self.build("frames.cc", "-std=c++17", "-O2", *flags.split()))

    @cases("-gdwarf-4", "-gdwarf-5", "-gdwarf-4 -gsplit-dwarf", "-gdwarf-5 -gsplit-dwarf",
           "-gdwarf-5 -fuse-ld=lld -Wl,--icf=safe")
    @timeout(180)
    def test_clang(self, flags):
        need("clang++")
        if "lld" in flags:
            need("ld.lld")
        self.compare(self.build("frames.cc", "-std=c++17", "-O2", *flags.split(), compiler="clang++"))

    @timeout(180)
    def test_dwz(self):
        need("dwz")
        plain = self.build("frames.cc", "-std=c++17", "-O2", "-g", name="plain")
        programs = [shutil.copy(plain, self.dir / name) for name in ("one", "two")]
        subprocess.run(["dwz", "-m", "common", *programs], check=True, cwd=self.dir)
        sections = subprocess.run(["readelf", "-SW", programs[0]], capture_output=True, text=True).stdout
        self.assertIn(".gnu_debugaltlink", sections)
        self.compare(programs[0], reference=plain)

    @cases("-C symbol-mangling-version=v0", "-g")
    @timeout(180)
    def test_rust(self, flags):
        self.compare(self.build("frames.rs", "-O", "-g", *flags.split(), compiler=rustc()))


class DebugInformation(SymbolizeCase):
    """Wherever it is, the frames of one address are the same."""
    FLAGS = ("-O2", "-g")

    def setUp(self):
        super().setUp()
        self.program = self.build("inlined.cc", *self.FLAGS)
        self.set_call(self.program)

    def set_call(self, program):
        """The call of malloc in fill, as the profiler would record it: the last byte of the instruction."""
        listing = subprocess.run(["objdump", "-d", "--no-show-raw-insn", program], capture_output=True, text=True,
                                 check=True).stdout
        fill = re.search(r"^[0-9a-f]+ <_ZN4shopL4fillEi.*?>:\n(.*?)^$", listing + "\n", re.M | re.S)[1].splitlines()
        after = next(i for i, line in enumerate(fill) if "malloc" in line) + 1
        self.address = int(fill[after].split(":")[0], 16) - 1
        source = (SOURCES / "inlined.cc").read_text().splitlines()
        self.line_of = {text: next(i for i, line in enumerate(source, 1) if text in line)
                        for text in ("std::malloc", "called from here")}

    def symbolize(self, *options, program=None, **variables):
        path = self.write_profile(program or self.program, [self.address])
        return self.tool("symbolize", "--again", *options, path, **variables), self.frames(path)[self.address]

    def check_lines(self, frames):
        file = str(SOURCES / "inlined.cc")
        self.assertEqual([(name, os.path.realpath(path), line) for name, _, path, line in frames],
                         [("shop::wrap", os.path.realpath(file), self.line_of["std::malloc"]),
                          ("shop::fill", os.path.realpath(file), self.line_of["called from here"])])

    def strip(self, *options):
        """The debug information goes to program.debug."""
        debug = self.dir / "program.debug"
        subprocess.run(["objcopy", "--only-keep-debug", self.program, debug], check=True)
        subprocess.run(["strip", *options, self.program], check=True)
        return debug

    def test_in_the_file(self):
        self.check_lines(self.symbolize()[1])

    def test_no_debug_information(self):
        self.strip("--strip-debug")
        (self.dir / "program.debug").unlink()
        done, frames = self.symbolize()
        self.assertEqual([frame[0] for frame in frames], ["shop::fill"])
        self.assertEqual(frames[0][2:], ("", 0))
        self.assertIn("no debug information for program", done.stderr)

    def test_mapping_flags(self):
        stripped = shutil.copy("/bin/true", self.dir)
        for program, address, has_lines in ((self.program, self.address, True),
                                            (stripped, elf.code_segments(stripped)[0].address, False)):
            profile = self.write_profile(program, [address])
            self.tool("symbolize", profile)
            mapping = pprof_reader.load(profile).mappings[0]
            self.assertTrue(mapping.has_functions, "a reader would go looking for them")
            self.assertEqual((mapping.has_filenames, mapping.has_line_numbers, mapping.has_inline_frames), (has_lines,) * 3)

    @cases("", ".debug")
    def test_debug_link(self, folder):
        debug = self.strip()
        subprocess.run(["objcopy", "--add-gnu-debuglink=program.debug", self.program], check=True, cwd=self.dir)
        (self.dir / folder).mkdir(exist_ok=True)
        debug.rename(self.dir / folder / "program.debug")
        self.check_lines(self.symbolize()[1])

    def move_to_build_id_directory(self, debug):
        build_id = elf.build_id(self.program)
        folder = self.dir / f"root/usr/lib/debug/.build-id/{build_id[:2]}"
        folder.mkdir(parents=True)
        debug.rename(folder / f"{build_id[2:]}.debug")
        return self.dir / "root"

    def put_below(self, root):
        copy = pathlib.Path(f"{root}{self.program}")
        copy.parent.mkdir(parents=True)
        shutil.copy(self.program, copy)
        return copy

    def test_build_id_directory(self):
        root = self.move_to_build_id_directory(self.strip())
        self.put_below(root)
        self.check_lines(self.symbolize("--root", root)[1])

    def test_the_program_is_gone(self):
        root = self.move_to_build_id_directory(self.strip())
        path = self.write_profile(self.program, [self.address])
        self.program.unlink()
        self.tool("symbolize", "--root", root, path)
        self.check_lines(self.frames(path)[self.address])

    def test_another_program_took_its_place(self):
        root = self.move_to_build_id_directory(self.strip())
        path = self.write_profile(self.program, [self.address])
        pathlib.Path(f"{root}{self.program.parent}").mkdir(parents=True)
        shutil.copy("/bin/true", f"{root}{self.program}")
        self.tool("symbolize", "--root", root, path)
        self.check_lines(self.frames(path)[self.address])

    def test_minidebuginfo(self):
        need("xz")
        subprocess.run(["strip", "--strip-debug", "-o", "mini", self.program], check=True, cwd=self.dir)
        subprocess.run(["xz", "mini"], check=True, cwd=self.dir)
        subprocess.run(["strip", self.program], check=True)
        _, frames = self.symbolize()
        self.assertRegex(frames[0][0], r"^program\+0x[0-9a-f]+$", "without it, nobody knows the static function")
        subprocess.run(["objcopy", "--add-section", ".gnu_debugdata=mini.xz", self.program], check=True, cwd=self.dir)
        _, frames = self.symbolize()
        self.assertEqual([frame[0] for frame in frames], ["shop::fill"])

    def test_dwz(self):
        need("dwz")
        programs = [shutil.copy(self.program, self.dir / name) for name in ("one", "two")]
        subprocess.run(["dwz", "-m", "common", *programs], check=True, cwd=self.dir)
        self.check_lines(self.symbolize(program=programs[0])[1])

    def test_split_unit_is_missing(self):
        self.program = self.build("inlined.cc", *self.FLAGS, "-gsplit-dwarf")
        self.set_call(self.program)
        self.check_lines(self.symbolize()[1])
        for file in self.dir.glob("*.dwo"):
            file.unlink()
        done, frames = self.symbolize("--no-cache")
        self.assertEqual([(frame[0], frame[3]) for frame in frames], [("shop::fill", self.line_of["std::malloc"])])
        self.assertRegex(done.stderr, r"\.dwo is missing, with the inlined functions of 1 of 1 split units")

    def serve(self, files, gate=None):
        """A server of debuginfod's kind; returns the variables that name it, and the list of what it was asked. gate: an event
        that the second half of every file waits for"""
        asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.path)
                content = files.get(self.path, b"")
                half = len(content) // 2
                self.send_response(200 if content else 404)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content[:half])
                if gate:
                    gate.wait(40)
                self.wfile.write(content[half:])

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return {"DEBUGINFOD_URLS": f"http://127.0.0.1:{server.server_port}", "no_proxy": "127.0.0.1",
                "DEBUGINFOD_CACHE_PATH": str(self.dir / "downloads")}, asked

    def test_debuginfod(self):
        debug = self.strip()
        url = f"/buildid/{elf.build_id(self.program)}/debuginfo"
        variables, asked = self.serve({url: debug.read_bytes()})
        debug.unlink()
        done, _ = self.symbolize("--no-debuginfod", **variables)
        self.assertIn("no debug information", done.stderr)
        self.assertEqual(asked, [])
        self.check_lines(self.symbolize(**variables)[1])
        self.assertIn(url, asked)

    def test_debuginfod_replaces_stand_ins(self):
        """As the library and earlier commands write them, where they found no debug information."""
        start = next(s for s in elf.functions(self.program) if "fill" in s.name).address
        debug = self.strip()
        variables, _ = self.serve({f"/buildid/{elf.build_id(self.program)}/debuginfo": debug.read_bytes()})
        debug.unlink()
        name = f"program+{start:#x}"
        path = self.write_profile(self.program, [self.address], names=[name])
        self.tool("symbolize", "--no-cache", "--no-debuginfod", path, **variables)
        self.assertEqual([frame[0] for frame in self.frames(path)[self.address]], [name])
        self.tool("symbolize", "--no-cache", path, **variables)
        self.check_lines(self.frames(path)[self.address])

    def test_debuginfod_names_what_the_library_wrote(self):
        debug = self.strip()
        variables, _ = self.serve({f"/buildid/{elf.build_id(self.program)}/debuginfo": debug.read_bytes()})
        debug.unlink()
        run = self.profiled([self.program], sample=1)
        names = [frame for s in run.profile.samples for frame in s.raw_frames()]
        self.assertTrue(any(re.fullmatch(r"program\+0x[0-9a-f]+", name) for name in names), names)
        path = self.out_dir / "named.pb.gz"
        self.tool("symbolize", "--no-cache", "-o", path, run.files[0], **variables)
        names = {frame for s in pprof_reader.load(path).samples for frame in s.raw_frames()}
        self.assertTrue({"shop::wrap", "shop::fill", "main"} <= names, names)
        self.assertFalse([name for name in names if name.startswith("program+")])

    def test_debuginfod_takes_long(self):
        """As long as something comes, it is waited for; and it can be seen."""
        debug = self.strip()
        gate = threading.Event()
        variables, _ = self.serve({f"/buildid/{elf.build_id(self.program)}/debuginfo": debug.read_bytes()}, gate)
        debug.unlink()

        def watch(text):
            if re.search(r"symbols of program [1-9][0-9]?%", text):
                gate.set()

        path = self.write_profile(self.program, [self.address])
        self.on_a_terminal("symbolize", path, watch=watch, **variables)
        self.assertTrue(gate.is_set(), "no progress was shown")
        self.check_lines(self.frames(path)[self.address])

    def test_debuginfod_has_the_program(self):
        debug = self.strip()
        base = f"/buildid/{elf.build_id(self.program)}"
        variables, _ = self.serve({f"{base}/debuginfo": debug.read_bytes(),
                                   f"{base}/executable": self.program.read_bytes()})
        path = self.write_profile(self.program, [self.address])
        debug.unlink()
        self.program.unlink()
        self.tool("symbolize", path, **variables)
        self.check_lines(self.frames(path)[self.address])

    def test_file_changed(self):
        path = self.write_profile(self.program, [self.address], build_id="00" * 20, names=["kept"])
        done = self.tool("symbolize", path)
        self.assertIn("the file changed since the profile was taken", done.stderr)
        self.assertEqual([frame[0] for frame in self.frames(path)[self.address]], ["kept"])

    def test_no_build_id(self):
        path = self.write_profile(self.program, [self.address], build_id="")
        self.tool("symbolize", path)
        self.check_lines(self.frames(path)[self.address])

    @cases("-no-pie", "-static", "-Wl,-z,noseparate-code", "-fuse-ld=lld")
    def test_layouts(self, flag):
        if "lld" in flag:
            need("ld.lld", "clang++")
        self.program = self.build("inlined.cc", *self.FLAGS, flag, compiler="clang++" if "lld" in flag else "g++")
        self.set_call(self.program)
        self.check_lines(self.symbolize()[1])

    @cases("one unit", "two units")
    def test_dropped_functions(self, where):
        """What the linker leaves out stays in the debug information, at address 0 and over what is there."""
        dropped = "void dropped(void) { __asm__(\".fill 100000, 1, 0x90\"); }\n"
        kept = "int main(void) { return 0; }\n"
        files = [dropped + kept + dropped.replace("dropped", "dropped2")] if where == "one unit" else [dropped, kept, dropped]
        for i, text in enumerate(files):
            (self.dir / f"file{i}.cc").write_text(text.replace("dropped", f"dropped_{i}"))
        self.program = self.dir / "dropping"
        subprocess.run(["g++", "-g", "-O1", "-ffunction-sections", "-Wl,--gc-sections", "-o", self.program,
                        *sorted(self.dir.glob("file*.cc"))], check=True)
        self.address = next(s.address for s in elf.functions(self.program) if s.name == "main")
        self.assertLess(self.address, 100000)
        self.assertEqual([frame[0] for frame in self.symbolize()[1]], ["main"])

    def test_whole_way(self):
        run = self.profiled([self.program], sample=1)
        path = run.files[0]
        self.tool("symbolize", path)
        profile = pprof_reader.load(path)
        self.check_lint(profile)
        sample = next(s for s in profile.samples if "shop::fill" in s.raw_frames())
        at = sample.raw_frames().index("shop::wrap")
        self.assertEqual(sample.raw_frames()[at:at + 3], ["shop::wrap", "shop::fill", "main"])
        self.assertEqual(sample.values["alloc_space"], 1000)
        for which in ("go", "google"):
            text = pprof(which, "-peek=shop::wrap", "-lines", "-sample_index=alloc_space", path)
            self.assertRegex(text, rf"shop::wrap .*inlined.cc:{self.line_of['std::malloc']}")
            self.assertRegex(text, rf"shop::fill .*inlined.cc:{self.line_of['called from here']}")


class Nameless(SymbolizeCase):
    """Code that no symbol names is called after its file and where its function starts there. Seen to fail: it had no function, and
    a whole library was one row."""

    def strip(self, program, *options):
        stripped = self.dir / "stripped"
        subprocess.run(["strip", *options, "-o", stripped, program], check=True)
        return stripped

    def names(self, program, addresses, *options, **variables):
        """address -> name of its function"""
        path = self.write_profile(program, addresses)
        self.tool("symbolize", "--no-cache", *options, path, **variables)
        profile = pprof_reader.load(path)
        self.check_lint(profile)
        self.assertTrue(all(mapping.has_functions for mapping in profile.mappings))
        found = {}
        for address, frames in self.frames(profile).items():
            (name, system_name, file, line), = frames
            self.assertEqual((system_name, file, line), (name, "", 0))
            found[address] = name
        return found

    def ranges(self, program):
        """(start, limit) of what binutils reads in the tables for unwinding"""
        text = subprocess.run(["readelf", "-W", "--debug-dump=frames", program], capture_output=True, text=True, check=True).stdout
        return sorted((int(start, 16), int(limit, 16)) for start, limit in re.findall(r" FDE .* pc=(\w+)\.\.(\w+)", text))

    def check_starts(self, program, stripped):
        ranges = self.ranges(program)
        addresses = elf.sample_addresses(program, 500)
        covering = {a: [s for s, limit in ranges if s <= a < limit] for a in addresses}
        addresses = [a for a in addresses if covering[a]]
        names = self.names(stripped, addresses)
        wrong = {hex(a): (names[a], list(map(hex, covering[a]))) for a in addresses
                 if names[a] not in [f"stripped+{start:#x}" for start in covering[a]]}
        self.assertEqual(wrong, {})
        symbols = {s.address for s in elf.functions(program)}
        self.assertGreater(len({covering[a][0] for a in addresses} & symbols), 20, "too few functions")

    @cases("", "-no-pie", "-static", "-Wl,--no-eh-frame-hdr", "-Wl,-z,noseparate-code")
    def test_starts_of_functions(self, flags):
        program = self.build("frames.cc", "-std=c++17", "-O2", *flags.split())
        self.check_starts(program, self.strip(program))

    def test_starts_of_functions_by_clang(self):
        need("clang++", "ld.lld")
        program = self.build("frames.cc", "-std=c++17", "-O2", "-fuse-ld=lld", compiler="clang++")
        self.check_starts(program, self.strip(program))

    def test_no_section_headers(self):
        program = self.build("frames.cc", "-std=c++17", "-O2")
        stripped = self.strip(program)
        bytes_ = bytearray(stripped.read_bytes())
        bytes_[40:48], bytes_[60:64] = bytes(8), bytes(4)  # e_shoff, e_shnum, e_shstrndx
        stripped.write_bytes(bytes_)
        self.check_starts(program, stripped)

    def section(self, program, name):
        """(address, bytes)"""
        text = subprocess.run(["readelf", "-SW", program], capture_output=True, text=True, check=True).stdout
        fields = re.search(rf" {re.escape(name)} +\S+ +(\S+) +\S+ +(\S+)", text)
        return int(fields[1], 16), int(fields[2], 16)

    def test_stubs(self):
        """Calls of other libraries go through them."""
        stripped = self.strip(self.build("inlined.cc", "-O2", "-Wl,-z,lazy"))
        start, size = self.section(stripped, ".plt")
        self.assertEqual(set(self.names(stripped, range(start, start + size, 8)).values()), {f"stripped+{start:#x}"})

    def test_no_tables(self):
        """Code without them is one function, from where the one before it ends: here, that of the C library's start files."""
        (self.dir / "plain.c").write_text("int f(int n) { return n * 3; }\nint main(int n, char **v) { return f(n) + !v; }\n")
        program = self.dir / "plain"
        subprocess.run(["gcc", "-O1", "-fno-inline", "-fno-asynchronous-unwind-tables", "-fno-unwind-tables", "-o", program,
                        self.dir / "plain.c"], check=True)
        addresses = [s.address for s in elf.functions(program) if s.name in ("f", "main")]
        text, _ = self.section(program, ".text")
        start = max([text, *(limit for _, limit in self.ranges(program) if limit <= min(addresses))])
        self.assertEqual(self.names(self.strip(program), addresses), {a: f"stripped+{start:#x}" for a in addresses})

    def test_the_file_is_gone(self):
        stripped = self.strip(self.build("inlined.cc", "-O2"))
        address = elf.code_segments(stripped)[0].address
        path = self.write_profile(stripped, [address])
        stripped.rename(self.dir / "elsewhere")
        self.tool("symbolize", path)
        self.assertEqual(self.frames(path)[address], [("[stripped]", "[stripped]", "", 0)])
        (self.dir / "elsewhere").rename(stripped)
        self.tool("symbolize", path)
        self.assertRegex(self.frames(path)[address][0][0], r"^stripped\+0x[0-9a-f]+$")
        again = path.stat()
        self.tool("symbolize", path)
        self.assertEqual(path.stat().st_mtime_ns, again.st_mtime_ns, "nothing is new")

    def test_real_names_take_their_place(self):
        program = self.build("inlined.cc", "-O2", "-g")
        address = next(s.address for s in elf.functions(program) if "fill" in s.name) + 1
        debug = self.dir / "program.debug"
        subprocess.run(["objcopy", "--only-keep-debug", program, debug], check=True)
        stripped = self.strip(program)
        path = self.write_profile(stripped, [address])
        done = self.tool("symbolize", path)
        self.assertIn("1 addresses, 0 with names", done.stderr)
        self.assertRegex(self.frames(path)[address][0][0], r"^stripped\+0x")
        build_id = elf.build_id(stripped)
        folder = self.dir / f"root/usr/lib/debug/.build-id/{build_id[:2]}"
        folder.mkdir(parents=True)
        debug.rename(folder / f"{build_id[2:]}.debug")
        done = self.tool("symbolize", "--root", self.dir / "root", path)
        self.assertIn("1 addresses, 1 with names, 1 with lines", done.stderr)
        self.assertEqual(self.frames(path)[address][-1][0], "shop::fill")

    def test_cached_by_build_id(self):
        """What is kept is where the function starts: the same file may have another name."""
        program = self.build("inlined.cc", "-O2", "-g")
        address, _ = self.section(program, ".plt")
        for name in ("one", "two"):
            shutil.copy(program, self.dir / name)
            path = self.write_profile(self.dir / name, [address])
            self.tool("symbolize", path)
            self.assertEqual(self.frames(path)[address][0][0], f"{name}+{address:#x}")
            (self.dir / name).unlink()

    def test_same_in_every_process(self):
        stripped = self.strip(self.build("inlined.cc", "-O2"))
        profiles = []
        for i in range(2):
            self.tool("run", "-q", "-s", "1", "-o", f"{i}.pb.gz", "--", stripped)
            profiles.append(pprof_reader.load(self.out_dir / f"{i}.pb.gz"))
        starts = {next(m.start for m in p.mappings if m.filename == str(stripped)) for p in profiles}
        if pathlib.Path("/proc/sys/kernel/randomize_va_space").read_text().strip() != "0":
            self.assertEqual(len(starts), 2)
        folded = [self.tool("folded", "--sample-index", "alloc_space", f"{i}.pb.gz").stdout for i in range(2)]
        self.assertEqual(folded[0], folded[1])
        self.assertRegex(folded[0], r"stripped\+0x[0-9a-f]+;stripped\+0x[0-9a-f]+ 1000\n")
        names = {f.name for p in profiles for s in p.samples for location in s.locations for f in location.functions}
        self.assertNotIn("[stripped]", names)

    @cases("run", "the library")
    def test_pprof_over_http(self, writer):
        """Where a place has no function, pprof asks the server, which knows nothing: seen to fail with 501."""
        need("go")
        stripped = self.strip(self.build("inlined.cc", "-O2"))
        if writer == "run":
            self.tool("run", "-q", "-s", "1", "-o", "p.pb.gz", "--", stripped)
            path = self.out_dir / "p.pb.gz"
        else:
            path, = self.profiled([stripped], sample=1).files
        content, asked = path.read_bytes(), []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.end_headers()
                self.wfile.write(content)

            def do_POST(self):
                asked.append(self.path)
                self.send_error(501)

            def log_message(self, *_):
                pass

        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            for which in ("go", "google"):
                text = pprof(which, "-top", "-sample_index=alloc_space", f"http://127.0.0.1:{server.server_port}/p.pb.gz")
                self.assertRegex(text, r" stripped\+0x[0-9a-f]+\n")
            server.shutdown()
        self.assertEqual(asked, [])


class Cache(SymbolizeCase):
    def setUp(self):
        super().setUp()
        self.program = self.build("inlined.cc", "-O2", "-g")
        symbol = next(s for s in elf.functions(self.program) if "fill" in s.name)
        self.address = symbol.address + symbol.bytes // 2
        self.profile = self.write_profile(self.program, [self.address])
        self.original = self.profile.read_bytes()
        self.cached = self.dir / "cache/heapprof" / elf.build_id(self.program)

    def symbolize(self, *options, expect=0, **variables):
        """How many frames with lines the address has, from the profile as it was."""
        self.profile.write_bytes(self.original)
        done = self.tool("symbolize", *options, self.profile, expect=expect, **variables)
        self.assertNotIn("cache", done.stderr)
        return sum(line > 0 for *_, line in self.frames(self.profile)[self.address])

    def fill(self):
        self.assertGreater(self.symbolize(), 0)
        self.assertTrue(self.cached.exists(), list(self.dir.glob("cache/**/*")))
        self.program.rename(self.dir / "elsewhere")

    def bring_back(self):
        (self.dir / "elsewhere").rename(self.program)

    def test_answers_without_the_file(self):
        whole = self.symbolize("--no-cache")
        self.assertFalse(self.cached.exists())
        self.fill()
        self.assertEqual(self.symbolize(), whole)
        self.assertEqual(self.symbolize("--no-cache"), 0)
        self.assertEqual(self.cached.stat().st_mode & 0o777, 0o600)
        self.assertEqual(self.cached.parent.stat().st_mode & 0o777, 0o700)

    def test_grows(self):
        self.fill()
        self.bring_back()
        size = self.cached.stat().st_size
        other = next(s for s in elf.functions(self.program) if s.name == "main")
        profile = self.write_profile(self.program, [other.address])
        self.tool("symbolize", profile)
        self.assertGreater(self.cached.stat().st_size, size)
        self.program.unlink()
        self.assertGreater(self.symbolize(), 0, "what was there stays")

    def test_damaged(self):
        self.fill()
        good = self.cached.read_bytes()
        generator = random.Random(1)
        damages = [b"", good[:10], good[:-1], good + b"x", b"\0" * len(good)]
        for _ in range(10):
            at = generator.randrange(len(good))
            damages.append(good[:at] + bytes([good[at] ^ 1 << generator.randrange(8)]) + good[at + 1:])
        for bytes_ in damages:
            self.cached.write_bytes(bytes_)
            self.assertEqual(self.symbolize(), 0, bytes_[:40])
        self.bring_back()
        self.assertGreater(self.symbolize(), 0)
        self.assertEqual(self.cached.read_bytes(), good, "it was not replaced")

    def test_others_may_write_it(self):
        self.fill()
        for path, mode in ((self.cached, 0o666), (self.cached.parent, 0o777), (self.cached.parent.parent, 0o720)):
            before = path.stat().st_mode & 0o777
            path.chmod(mode)
            self.assertEqual(self.symbolize(), 0, path)
            path.chmod(before)
        self.assertGreater(self.symbolize(), 0)

    def test_of_another_user(self):
        if os.geteuid() != 0:
            self.skipTest("only root can give files away")
        self.fill()
        for path in (self.cached, self.cached.parent, self.cached.parent.parent):
            os.chown(path, 12345, 12345)
            self.assertEqual(self.symbolize(), 0, path)
            os.chown(path, 0, 0)
        self.assertGreater(self.symbolize(), 0)

    def test_file_of_another_user_is_not_kept(self):
        if os.geteuid() != 0:
            self.skipTest("only root can give files away")
        os.chown(self.program, 12345, 12345)
        self.assertGreater(self.symbolize(), 0)
        self.assertFalse(self.cached.exists(), "anybody can make a file with any build id")

    def test_links_are_not_followed(self):
        self.fill()
        self.cached.rename(self.dir / "target")
        self.cached.symlink_to(self.dir / "target")
        self.assertEqual(self.symbolize(), 0)
        self.cached.parent.rename(self.dir / "folder")
        self.cached.parent.symlink_to(self.dir / "folder")
        self.assertEqual(self.symbolize(), 0)

    @cases("/proc/no", "relative", "/dev/null")
    def test_no_place(self, place):
        self.assertGreater(self.symbolize(XDG_CACHE_HOME=place, HOME="/nonexistent"), 0)
        self.assertFalse((self.out_dir / "relative").exists())

    def test_home(self):
        self.assertGreater(self.symbolize(XDG_CACHE_HOME=None, HOME=self.dir), 0)
        self.assertTrue((self.dir / ".cache/heapprof" / self.cached.name).exists())

    @cases("../../escaped", "a/b", ".", "zz" * 20)
    def test_build_id_is_no_path(self, build_id):
        self.original = self.write_profile(self.program, [self.address], build_id=build_id).read_bytes()
        self.symbolize()
        self.assertEqual([p for p in self.dir.glob("**/*") if "escaped" in p.name or p.name == "b"], [])

    def test_room(self):
        folder = self.cached.parent
        folder.mkdir(parents=True, mode=0o700)
        folder.parent.chmod(0o700)
        for i in range(6):
            file = folder / f"{i:040x}"
            file.touch(0o600)
            os.truncate(file, 60 << 20)
            os.utime(file, (1000 + i, 1000 + i))
        leftover = folder / f"{'0' * 40}.123"
        leftover.touch(0o600)
        os.utime(leftover, (1000, 1000))
        self.fill()
        self.assertEqual({p.name for p in folder.iterdir()}, {*(f"{i:040x}" for i in (2, 3, 4, 5)), self.cached.name})

    def test_use_counts(self):
        self.fill()
        os.utime(self.cached, (1000, 1000))
        self.assertGreater(self.symbolize(), 0)
        self.assertGreater(self.cached.stat().st_mtime, 1000)


class Hostile(SymbolizeCase):
    """Files that are no ELF files, or no longer, or no sane ones: the rest of the profile gets its names."""

    def setUp(self):
        super().setUp()
        self.program = self.build("inlined.cc", "-O2", "-g")
        self.good = self.program.read_bytes()
        self.profile = self.write_profile(self.program, elf.sample_addresses(self.program, 50), build_id="")
        self.original = self.profile.read_bytes()

    def symbolize(self, content, *options, **variables):
        self.profile.write_bytes(self.original)
        if content is not None:
            self.program.write_bytes(content)
        done = self.tool("symbolize", "--no-cache", *options, self.profile, **variables)
        self.check_lint(pprof_reader.load(self.profile))
        return done

    def section(self, name):
        """(offset, size) in the file"""
        text = subprocess.run(["readelf", "-SW", self.program], capture_output=True, text=True, check=True).stdout
        fields = re.search(rf" {re.escape(name)} +\S+ +\S+ +(\S+) +(\S+)", text)
        return int(fields[1], 16), int(fields[2], 16)

    @timeout(120)
    def test_cut(self):
        for size in [0, 1, 4, 20, 64, 65, 200, *range(1000, len(self.good), len(self.good) // 12)]:
            self.symbolize(self.good[:size])

    @cases(".debug_info", ".debug_abbrev", ".debug_line", ".debug_rnglists", ".debug_str", ".symtab", ".strtab")
    @timeout(180)
    def test_flipped(self, section):
        start, size = self.section(section)
        generator = random.Random(section)
        for _ in range(25):
            bytes_ = bytearray(self.good)
            for _ in range(generator.choice((1, 5, 50))):
                value = generator.choice((0, 0xFF, 0x7F, 0x80, generator.randrange(256)))
                bytes_[start + generator.randrange(size)] = value
            self.symbolize(bytes(bytes_))

    @timeout(120)
    def test_flipped_headers(self):
        generator = random.Random(2)
        for _ in range(40):
            bytes_ = bytearray(self.good)
            for _ in range(generator.choice((1, 3))):
                position = generator.choice((generator.randrange(64), -generator.randrange(1, 2000)))
                bytes_[position] = generator.randrange(256)
            self.symbolize(bytes(bytes_))

    def test_no_file(self):
        for content, expected in ((b"#!/bin/sh\n", "not an ELF file"), (b"", "not an ELF file")):
            self.assertIn(f"{self.program}: {expected}", self.symbolize(content).stderr)
        self.program.unlink()
        self.assertIn(f"{self.program}: No such file or directory", self.symbolize(None).stderr)
        self.program.mkdir()
        self.assertIn(f"{self.program}: not a regular file", self.symbolize(None).stderr)
        self.program.rmdir()
        os.mkfifo(self.program)
        self.assertIn(f"{self.program}: not a regular file", self.symbolize(None).stderr)

    def preloaded(self, text):
        source, library = self.dir / "preloaded.c", self.dir / "preloaded.so"
        source.write_text("#define _GNU_SOURCE\n" + text)
        subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source], check=True)
        return {"LD_PRELOAD": str(library)}

    @cases(("abort()", "Aborted"), ("*(volatile int *)0 = 0", "Segmentation fault"), ("_exit(3)", ""))
    def test_libdw_crashes(self, statement, reason):
        """Names from the symbol table are there all the same."""
        variables = self.preloaded(f"""
            #include <stdlib.h>
            #include <unistd.h>
            void *dwarf_getsrc_die(void *d, unsigned long a) {{ (void)d, (void)a; {statement}; return 0; }}
            """)
        done = self.symbolize(None, **variables)
        self.assertRegex(done.stderr, rf"program: reading its debug information failed(: {reason})?")
        named = [frames[0][0] for frames in self.frames(self.profile).values() if frames]
        self.assertIn("shop::fill", named)

    def test_libdw_hangs(self):
        """A worker that says nothing is ended. Here a second passes at once, but only for one that hangs: others may need their time."""
        variables = self.preloaded("""
            #include <fcntl.h>
            #include <poll.h>
            #include <signal.h>
            #include <stdio.h>
            #include <stdlib.h>
            #include <unistd.h>
            void *dwarf_getsrc_die(void *d, unsigned long a)
            {
              (void)d, (void)a;
              dprintf(creat(getenv("HANGS"), 0600), "%d", getpid());
              for (;;)
                pause();
            }
            static int is_one_that_hangs(void)
            {
              char text[16] = "";
              int file = open(getenv("HANGS"), O_RDONLY);
              int is_told = file >= 0 && read(file, text, sizeof text - 1) > 0;
              close(file);
              return is_told && kill(atoi(text), 0) == 0;
            }
            int poll(struct pollfd *fds, nfds_t n, int ms)
            {
              struct timespec time = {.tv_nsec = ms * 20000}, whole = {ms / 1000, ms % 1000 * 1000000};
              return ppoll(fds, n, is_one_that_hangs() ? &time : &whole, 0);
            }
            """)
        done = self.symbolize(None, HANGS=self.dir / "hangs", **variables)
        self.assertIn("program: reading its debug information failed: it took too long", done.stderr)
        self.assertIn("shop::fill", [frames[0][0] for frames in self.frames(self.profile).values() if frames])

    def test_libdw_eats_memory(self):
        """There is an end to it, and nothing else is lost."""
        variables = self.preloaded("""
            #include <stdlib.h>
            #include <sys/resource.h>
            void *dwarf_getsrc_die(void *d, unsigned long a)
            {
              (void)d, (void)a;
              struct rlimit limit;
              getrlimit(RLIMIT_DATA, &limit);
              while (limit.rlim_cur != RLIM_INFINITY)
                if (malloc(1UL << 26) == 0)
                  abort();
              return 0;
            }
            """)
        done = self.symbolize(None, **variables)
        self.assertIn("program: reading its debug information failed", done.stderr)
        self.assertIn("shop::fill", [frames[0][0] for frames in self.frames(self.profile).values() if frames])


class Command(SymbolizeCase):
    def setUp(self):
        super().setUp()
        self.program = self.build("inlined.cc", "-O2", "-g")
        self.addresses = elf.sample_addresses(self.program, 20)
        self.profile = self.write_profile(self.program, self.addresses)

    def test_several_in_place(self):
        other = self.out_dir / "other.pb.gz"
        shutil.copy(self.profile, other)
        done = self.tool("symbolize", self.profile, other)
        self.assertEqual(done.stdout, "")
        self.assertEqual(self.frames(self.profile), self.frames(other))
        self.assertEqual(len(re.findall(r"pb.gz: 20 addresses, 20 with names, \d+ with lines", done.stderr)), 2)
        self.assertEqual(sorted(p.name for p in self.out_dir.iterdir()), ["other.pb.gz", "profile.pb.gz"])

    def test_output(self):
        before = self.profile.read_bytes()
        self.tool("symbolize", self.profile, "-o", "new.pb.gz")
        self.assertEqual(self.profile.read_bytes(), before)
        named = self.out_dir / "new.pb.gz"
        self.assertTrue(all(self.frames(named).values()))
        taken = self.tool("symbolize", self.profile, "-o", "new.pb.gz", expect=1)
        self.assertIn("new.pb.gz", taken.stderr)
        self.tool("symbolize", self.profile, "-f", "-o", "new.pb.gz")
        self.tool("symbolize", self.profile, "-o", "no/such/folder", expect=1)
        self.assertEqual(self.profile.read_bytes(), before)

    def test_nothing_new_nothing_written(self):
        self.tool("symbolize", self.profile)
        once = self.profile.stat()
        self.program.unlink()
        self.tool("symbolize", "--no-cache", self.profile)
        again = self.profile.stat()
        self.assertEqual((once.st_ino, once.st_mtime_ns), (again.st_ino, again.st_mtime_ns))
        self.assertTrue(all(self.frames(self.profile).values()), "what it had stays")

    def test_again(self):
        self.tool("symbolize", self.profile)
        whole = self.frames(self.profile)
        subprocess.run(["strip", "--strip-debug", self.program], check=True)
        self.tool("symbolize", "--no-cache", self.profile)
        self.assertEqual(self.frames(self.profile), whole)
        self.tool("symbolize", "--no-cache", "--again", self.profile)
        self.assertEqual({line for frames in self.frames(self.profile).values() for *_, line in frames}, {0})

    @cases((), ("-o", "x", "a", "b"), ("--what", "a"), ("-o",))
    def test_misuse(self, *arguments):
        done = self.tool("symbolize", *arguments, expect=2)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)

    def test_bad_files(self):
        (self.out_dir / "empty").touch()
        (self.out_dir / "text").write_text("hello")
        (self.out_dir / "folder").mkdir()
        for name in ("missing", "empty", "text", "folder"):
            done = self.tool("symbolize", name, self.profile, expect=1)
            self.assertIn(name, done.stderr.splitlines()[0])
            self.assertTrue(all(self.frames(self.profile).values()), "the other one is done all the same")

    def test_what_is_no_file_stays(self):
        mappings = [(0x1000, 0x2000, 0, path, "") for path in ("//anon", "[vdso]", "[heapprof]", "")]
        mappings = [(start + i * 0x1000, limit + i * 0x1000, *rest) for i, (start, limit, *rest) in enumerate(mappings)]
        self.profile.write_bytes(pprof_writer.encode(mappings, [(i, 0x1010 + i * 0x1000) for i in range(4)],
                                                     names=["generated", "clock", "[stack table full]"]))
        done = self.tool("symbolize", self.profile)
        self.assertIn("0 addresses", done.stderr)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        names = [[f.name for f in location.functions] for location in pprof_reader.load(self.profile).locations]
        self.assertEqual(names, [["generated"], ["clock"], ["[stack table full]"], ["<unknown>"]])

    def test_mangled_names_that_stay(self):
        path = self.write_profile(self.program, [self.address_of("main")], build_id="00" * 20,
                                  names=["_ZN3foo3barERKSt6vectorIiE"])
        self.tool("symbolize", path, "-o", "out.pb.gz")
        frames = self.frames(self.out_dir / "out.pb.gz")[self.address_of("main")]
        self.assertEqual(frames[0][:2], ("foo::bar", "_ZN3foo3barERKSt6vectorIiE"))

    def address_of(self, name):
        return next(s.address for s in elf.functions(self.program) if s.name == name)

    def test_progress(self):
        text = self.on_a_terminal("symbolize", "--no-cache", self.profile)
        self.assertIn("symbols of program", text)
        self.assertRegex(text, r"20 addresses, 20 with names")
        self.assertNotIn("symbols of", self.tool("symbolize", "--no-cache", "--again", self.profile).stderr)



class Large(SymbolizeCase):
    """20,000 addresses in a file with much debug information: with HEAPPROF_TORTURE=1 at least 100 MB of it."""
    COPIES = 100 if os.environ.get("HEAPPROF_TORTURE") else 10

    def build_large(self):
        """The same code many times, each with its own debug information. It cannot run."""
        self.build("frames.cc", "-std=c++17", "-O2", "-g", "-fno-pie", "-c", name="part.o")
        parts = [self.dir / f"part{i}.o" for i in range(self.COPIES)]
        for i, part in enumerate(parts):
            subprocess.run(["objcopy", f"--prefix-symbols=copy{i}_", self.dir / "part.o", part], check=True)
        program = self.dir / "large"
        subprocess.run(["g++", "-no-pie", "-nostdlib", "-Wl,--unresolved-symbols=ignore-all", "-Wl,--entry=0", "-o", program,
                        *parts, *(f"-Wl,--defsym=copy{i}___dso_handle=0" for i in range(self.COPIES))], check=True)
        for part in parts:
            part.unlink()
        return program

    def measured(self, path):
        """(seconds of processor time, bytes of the largest process) of symbolizing it"""
        process = subprocess.Popen([str(TOOL), "symbolize", str(path)], env=self.tool_environment(), cwd=self.out_dir)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(process.returncode, 0)
        return usage.ru_utime + usage.ru_stime, usage.ru_maxrss << 10

    @timeout(300)
    def test_many_addresses(self):
        program = self.build_large()
        addresses = elf.sample_addresses(program, 20000)
        self.assertEqual(len(addresses), 20000)
        path = self.write_profile(program, addresses)
        original = path.read_bytes()
        cold = self.measured(path)
        frames = self.frames(path)
        path.write_bytes(original)
        warm = self.measured(path)
        self.assertEqual(self.frames(path), frames)
        self.assertGreater(sum(bool(f) and f[-1][3] > 0 for f in frames.values()), 19000)
        figures = (f"{program.stat().st_size >> 20} MB: {cold[0]:.1f} s, {cold[1] >> 20} MB; "
                   f"kept: {warm[0]:.1f} s, {warm[1] >> 20} MB")
        self.assertLess(cold[0], 10, figures)
        self.assertLess(cold[1], 400 << 20, figures)
        self.assertLess(warm[0], cold[0], figures)


if __name__ == "__main__":
    unittest.main()
