# SPDX-License-Identifier: MIT
"""heapprof run: programs of every kind. Those that cannot be profiled are recognised, and run as they would without us."""
import ctypes
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import unittest

from harness import paths, pprof_reader
from harness.case import Case, Run, cases, path_of_allocator
from hazards.toolbox import program, static_flags

HELLO = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
  char *text = malloc(1000);
  puts(strcpy(text, argc > 1 ? argv[1] : "hello"));
  fflush(stdout);
  free(text);
  return argc > 2 ? system(argv[2]) >> 8 : 5;
}
"""

# As a shared mimalloc is used by its own names.
UNSEEN_LIBRARY = "void *mi_malloc(unsigned long bytes) { static char memory[4096]; return bytes <= sizeof memory ? memory : 0; }\n"
UNSEEN = HELLO.replace("int main", "void *mi_malloc(unsigned long bytes);\nint main").replace("= malloc", "= mi_malloc").replace("  free(text);\n", "")

NOT_PROFILED = r"heapprof: {file} {reason}: it runs, but it cannot be profiled\n"
STATIC = "heapprof: {} is statically linked, without libheapprof.a: it runs, but it cannot be profiled\n"


class Programs(Case):
    def built(self, *flags, compiler="gcc", name="hello", source=HELLO):
        text, path = self.dir / f"{name}.c", self.out_dir / name
        text.write_text(source)
        done = subprocess.run([compiler, "-o", path, text, *flags], capture_output=True, text=True)
        if done.returncode:
            raise unittest.SkipTest(f"{compiler} {' '.join(flags)} makes no program here: {done.stderr.splitlines()[-1]}")
        return path

    def names(self):
        """Of the programs that have a profile"""
        return sorted(path.name.split(".")[1] for path in self.profile_files())

    def check_not_profiled(self, path, reason, *arguments, status=5, out="hello\n"):
        done = self.tool("run", "--sample=1", "--", path, *arguments, expect=status)
        self.assertEqual(done.stdout, out)
        self.assertRegex(done.stderr, r"\A" + NOT_PROFILED.format(file=re.escape(str(path)), reason=reason) + r"\Z")
        self.assertEqual(self.names(), [])
        self.assertEqual(list(self.state_dir.iterdir()), [])

    def check_profiled(self, name, *command, status=5):
        done = self.tool("run", "--sample=1", *command, expect=status)
        self.assertIn(name, self.names(), done.stderr)
        self.assertNotIn("cannot be profiled", done.stderr)
        self.assertEqual(list(self.state_dir.iterdir()), [])
        return done


class Linked(Programs):
    """Statically linked programs that have the library inside."""

    @cases("gcc -static", "gcc -static-pie", "musl-gcc -static")
    def test_static(self, command):
        """Seen to fail: it was refused, as one that nothing can be preloaded into."""
        compiler, flag = command.split()
        path = self.built(flag, *static_flags(), compiler=compiler)
        done = self.check_profiled("hello", "--fail-if=leaked>1G", path)
        self.assertIn(f"heapprof: {path} is statically linked, with libheapprof.a: it profiles itself\n", done.stderr)
        self.assertIn("exact", done.stderr)

    @cases(("--follow", True), ("--no-follow", False))
    def test_child(self, option, is_profiled):
        """What it starts is a shell, dynamically linked. Seen to fail: with --no-follow, that was profiled."""
        path = self.built("-static", *static_flags())
        self.check_profiled("hello", option, path, "x", self.victim("leak"), status=7)
        self.assertEqual("leak" in self.names(), is_profiled)
        self.assertEqual("sh" in self.names(), is_profiled)


class NotProfiled(Programs):
    @cases("-static", "-static-pie")
    def test_static(self, flag):
        self.check_not_profiled(self.built(flag), "is statically linked, without libheapprof.a")

    def test_child_of_a_static_one(self):
        path = self.built("-static")
        done = self.tool("run", "--sample=1", "--", path, "x", self.victim("leak"), expect=7)
        self.assertEqual(self.names(), ["leak", *["sh"] * ("sh" in self.names())])
        self.assertIn("is statically linked", done.stderr)
        self.assertRegex(done.stderr, r"(peak|largest) +64\.\d+MB, exact \(leak, ")

    def test_unseen(self):
        """What a shared allocator gives by names of its own comes to no hook."""
        library = self.built("-shared", "-fPIC", name="libown_names.so", source=UNSEEN_LIBRARY)
        path = self.built(library, f"-Wl,-rpath,{self.out_dir}", source=UNSEEN)
        done = self.tool("run", "--sample=1", "--", path, expect=5)
        says = f"heapprof: {path} calls mi_malloc of a shared library: what that gives is not seen, only what malloc gives\n"
        self.assertEqual(done.stderr[:len(says)], says)
        self.assertEqual(done.stdout, "hello\n")

    def test_own_malloc(self):
        """It has a profile, or none where its functions are not such that hooks can be put there."""
        path = program("hz_a7_own_malloc.c", "-fno-builtin")
        says = f"heapprof: {path} brings its own malloc: its own functions get the hooks\n"
        done = self.tool("run", "--sample=1", "--", path)
        self.assertEqual(done.stdout, "ok, my malloc served\n")
        self.assertEqual(done.stderr[:len(says)], says)
        profile, = self.profile_files()
        self.assertIn("at the entries of the program's own allocator", self.tool("info", profile).stdout)
        profile.unlink()
        path = program("hz_a7_own_malloc.c", "-fno-builtin", "-DTABLE")
        done = self.tool("run", "--sample=1", "--", path)
        self.assertEqual((done.stdout, self.profile_files()), ("ok, my malloc served\n", []))
        self.assertIn("the library stood aside (HEAPPROF_VERBOSE=1 tells why)", done.stderr)
        self.assertEqual(list(self.state_dir.iterdir()), [])

    def test_limits_of_what_was_not_seen(self):
        """A limit is not kept by a program that nothing is known of."""
        path = program("hz_a7_own_malloc.c", "-fno-builtin", "-DTABLE")
        done = self.tool("run", "--sample=1", "--fail-if", "peak>100M", "--", path, expect=None)
        self.assertNotEqual(done.returncode, 0, done.stderr)

    def test_32_bits(self):
        self.check_not_profiled(self.built("-m32"), "is a 32-bit program")

    @cases("gcc address", "gcc thread", "gcc leak", "clang address", "clang thread", "clang memory", "clang leak")
    def test_sanitizer(self, kind):
        compiler, sanitizer = kind.split()
        if not shutil.which(compiler):
            self.skipTest(f"{compiler} is not installed")
        path = self.built(f"-fsanitize={sanitizer}", "-Wno-unused", compiler=compiler)
        reason = r"is built with (AddressSanitizer|a sanitizer, which has an allocator of its own)"
        plain = subprocess.run([path], capture_output=True, text=True)
        done = self.tool("run", "--sample=1", "--", path, expect=plain.returncode)
        self.assertRegex(done.stderr, r"\A" + NOT_PROFILED.format(file=path, reason=reason))
        self.assertEqual((done.stdout, self.names()), (plain.stdout, []))

    def test_other_machine(self):
        """Only its header is of another machine: the kernel refuses it, as it would without us."""
        path = self.built()
        data = bytearray(path.read_bytes())
        data[18:20] = b"\xb7\x00"  # AArch64
        path.write_bytes(data)
        done = self.tool("run", "--", path, expect=126)
        self.assertRegex(done.stderr, r"\A" + NOT_PROFILED.format(file=path, reason="is a program for another machine") +
                         rf"heapprof: {path} cannot be run: Exec format error\n\Z")

    def test_other_libc(self):
        """Only its header asks for another dynamic linker, which does as well."""
        linker = self.dir / "ld64-uClibc.so.0"
        linker.symlink_to("/lib64/ld-linux-x86-64.so.2")
        path = self.built(f"-Wl,--dynamic-linker={linker}")
        self.check_not_profiled(path, rf"is made for another C library \({linker}\)")

    def test_missing_linker(self):
        path = self.built("-Wl,--dynamic-linker=/nowhere/ld-linux-x86-64.so.2")
        done = self.tool("run", "--", path, expect=126)
        self.assertEqual(done.stderr, f"heapprof: {path} cannot be run: "
                                      "the interpreter or dynamic linker that it names is missing\n")


class Privileged(Programs):
    """Run as nobody, from a directory that nobody may read."""

    def setUp(self):
        super().setUp()
        if os.geteuid() != 0:
            self.skipTest("only root can make these")
        self.place = self.dir / "place"
        self.place.mkdir()
        for path in (paths.TOOL, paths.LIB):
            shutil.copy(path, self.place)
        self.mine = self.place / "mine"
        self.mine.mkdir()
        os.chown(self.mine, 65534, 65534)
        for folder in (self.place, self.dir, self.dir.parent):
            folder.chmod(0o755)
        self.out_dir = self.place

    def run_as_nobody(self, *command, preexec=lambda: None):
        def become_nobody():
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            preexec()
        return subprocess.run([self.place / paths.TOOL.name, "run", "--sample=1", "--", *command], cwd=self.mine,
                              preexec_fn=become_nobody, capture_output=True, text=True,
                              env=self.tool_environment(HEAPPROF_STATE_DIR=self.mine / "state"))

    def check(self, done, path, reason):
        self.assertEqual((done.returncode, done.stdout), (5, "hello\n"), done.stderr)
        profiles = list(self.mine.glob("*.pb.gz"))
        if reason:
            self.assertEqual(done.stderr, f"heapprof: {path} runs with raised privileges (it {reason}): "
                                          "it runs, but it cannot be profiled\n")
        else:
            self.assertNotIn("cannot be profiled", done.stderr)
        self.assertEqual(len(profiles), 0 if reason else 1)

    @cases("is setuid", "is setgid", None)
    def test_mode(self, reason):
        path = self.built()
        path.chmod({"is setuid": 0o4755, "is setgid": 0o2755, None: 0o755}[reason])
        self.check(self.run_as_nobody(path), path, reason)

    def test_setuid_to_oneself(self):
        """Nothing is gained, and Linux sees nothing to be careful about."""
        path = self.built()
        os.chown(path, 65534, 65534)
        path.chmod(0o6755)
        self.check(self.run_as_nobody(path), path, None)

    def test_setuid_without_new_privileges(self):
        path = self.built()
        path.chmod(0o4755)
        self.check(self.run_as_nobody(path, preexec=lambda: ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)), path, None)

    def test_setuid_for_root(self):
        path = self.built()
        path.chmod(0o4755)
        done = self.tool("run", "--sample=1", "--", path, expect=5)
        self.assertEqual(self.names(), ["hello"], done.stderr)

    def test_capabilities(self):
        path = self.built()
        if not shutil.which("setcap") or subprocess.run(["setcap", "cap_net_raw=ep", path], capture_output=True).returncode:
            self.skipTest("file capabilities cannot be set here")
        self.check(self.run_as_nobody(path), path, "has file capabilities")

    def test_script_of_a_setuid_interpreter(self):
        interpreter, script = self.built(name="interpreter"), self.place / "script"
        interpreter.chmod(0o4755)
        script.write_text(f"#!{interpreter}\n")
        script.chmod(0o755)
        done = self.run_as_nobody(script)
        self.assertIn(f"{interpreter} runs with raised privileges (it is setuid)", done.stderr)


class Scripts(Programs):
    def script(self, *lines, name="script"):
        path = self.out_dir / name
        path.write_text("\n".join(lines) + "\n")
        path.chmod(0o755)
        return path

    @cases("#!/usr/bin/env -S {python} -u", "#!{python}", "#! {python} -u ")
    def test_python(self, line):
        path = self.script(line.format(python=sys.executable), "import sys; sys.exit(5)")
        self.check_profiled(pathlib.Path(sys.executable).name.split(".")[0], path)

    def test_shell(self):
        self.check_profiled("sh", self.script("#!/bin/sh", "exit 5"))

    def test_without_a_first_line(self):
        self.check_profiled("sh", self.script("exit 5"))

    def test_interpreter_that_is_a_script(self):
        inner = self.script("#!/bin/sh", "exit 5", name="inner")
        middle = self.script(f"#!{inner}", name="middle")
        self.check_profiled("sh", self.script(f"#!{middle}"))

    def test_interpreter_that_cannot_be_profiled(self):
        interpreter = self.built("-static", name="interpreter")
        done = self.tool("run", "--sample=1", "--", self.script(f"#!{interpreter}"), expect=5)
        self.assertEqual(done.stderr, STATIC.format(interpreter))

    def test_found_by_env(self):
        """In the search path, a static program of the name."""
        interpreter = self.built("-static", name="interpreter")
        script = self.script("#!/usr/bin/env interpreter")
        done = self.tool("run", "--sample=1", "--", script, expect=5, PATH=f"{self.out_dir}:{os.environ['PATH']}")
        self.assertTrue(done.stderr.startswith(STATIC.format(interpreter)), done.stderr)

    def test_own_interpreter(self):
        path = self.out_dir / "script"
        self.script(f"#!{path}")
        done = self.tool("run", "--", path, expect=126)
        self.assertIn("Too many levels of symbolic links", done.stderr)

    @cases("sh -c 'exec {}'", "env A=1 {}", "nice -n 1 {}", "sh -c 'sh -c {}; exit $?'", "setsid -w {}", "timeout 50 {}",
           "xargs {}")
    def test_chains(self, chain):
        command = shlex.split(chain.format(self.victim("leak")))
        done = self.tool("run", "--sample=1", "--", *command, expect=123 if "xargs" in chain else 7)
        path, = self.out_dir.glob("heapprof.leak.*.pb.gz")
        self.assertEqual(pprof_reader.load(path).functions_of("inuse_space") & {"victim_large"}, {"victim_large"}, done.stderr)
        self.assertEqual(list(self.state_dir.iterdir()), [])


class Allocators(Programs):
    @cases("jemalloc", "tcmalloc", "mimalloc")
    def test_by_name(self, name):
        library = path_of_allocator(name)
        done = self.tool("run", "--sample=1", f"--allocator={name}", "--", self.victim("leak"), expect=7)
        path, = self.profile_files()
        profile = pprof_reader.load(path)
        self.assertEqual(os.path.realpath(profile.comment_values()["allocator"]), os.path.realpath(library))
        self.check_exact(profile, list(Run(0, 7, done.stdout, done.stderr, []).shadows.values())[0])

    def test_by_path(self):
        library = path_of_allocator("jemalloc")
        shutil.copy(library, self.out_dir / "mine.so")
        self.tool("run", "--sample=1", "--allocator=./mine.so", "--", self.victim("leak"), expect=7)
        path, = self.profile_files()
        self.assertEqual(pprof_reader.load(path).comment_values()["allocator"], str(self.out_dir / "mine.so"))

    def test_where_the_dynamic_linker_looks(self):
        """LD_LIBRARY_PATH goes first, as for every library."""
        library = path_of_allocator("jemalloc")
        shutil.copy(library, self.out_dir)
        self.tool("run", "--sample=1", "--allocator=jemalloc", "--", self.victim("leak"), expect=7, LD_LIBRARY_PATH=self.out_dir)
        path, = self.profile_files()
        self.assertEqual(pprof_reader.load(path).comment_values()["allocator"], str(self.out_dir / pathlib.Path(library).name))

    @cases(*[(name, package) for name, package in
             {"jemalloc": "libjemalloc2", "tcmalloc": "libgoogle-perftools4", "mimalloc": "libmimalloc2.0"}.items()])
    def test_not_installed(self, name, package):
        """In a file system of its own, where such libraries are hidden."""
        path_of_allocator(name)
        folder = "/usr/lib/x86_64-linux-gnu"
        hide = f'for file in {folder}/lib{name}*; do mount --bind /dev/null "$file" || exit 99; done; exec "$@"'
        marker = self.out_dir / "started"
        done = subprocess.run(["unshare", *([] if os.geteuid() == 0 else ["-Ur"]), "-m", "sh", "-c", hide, "-",
                               paths.TOOL, "run", f"--allocator={name}", "--", "touch", marker],
                              env=self.tool_environment(), capture_output=True, text=True, cwd=self.out_dir)
        if done.returncode == 99 or "unshare" in done.stderr:
            self.skipTest(f"nothing can be hidden here: {done.stderr}")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, rf"\Aheapprof: {name} is not where the dynamic linker looks .*; "
                                      rf"on Debian: apt install {package}; nothing is started\n\Z")
        self.assertFalse(marker.exists())

    @cases(("/nowhere/lib.so", "No such file"), ("/etc/passwd", "not a 64-bit library that defines malloc"),
           ("/usr/bin", "not a 64-bit library"), ("/lib64/ld-linux-x86-64.so.2", "not a 64-bit library that defines malloc"))
    def test_no_library(self, path, why):
        done = self.tool("run", f"--allocator={path}", "--", "touch", self.out_dir / "started", expect=1)
        self.assertRegex(done.stderr, rf"\Aheapprof: allocator {path}: {why}.*; nothing is started\n\Z")
        self.assertEqual(list(self.out_dir.iterdir()), [])

    def test_order(self):
        """Ours, the allocator, then what others wanted."""
        other, library = self.victim("libplugin.so"), path_of_allocator("jemalloc")
        done = self.tool("run", "-q", "--allocator=jemalloc", "--", "sh", "-c", 'echo "$LD_PRELOAD"', LD_PRELOAD=other)
        first, second, third = re.split("[: ]", done.stdout.strip())
        self.assertEqual((first, os.path.realpath(second), third), (str(paths.LIB), os.path.realpath(library), other))
