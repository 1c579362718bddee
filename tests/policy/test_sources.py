# SPDX-License-Identifier: MIT
"""Promises about the source files."""
import re
import subprocess
import sys

from harness import paths
from harness.case import Case

SOURCE_SUFFIXES = {".c", ".cc", ".h", ".def", ".map", ".proto", ".py", ".inc", ".am", ".ac", ".sh"}
# Never named as a call in what runs inside malloc. getenv is for config.c alone.
BANNED_CALLS = {"malloc", "calloc", "realloc", "free", "strdup", "strndup", "printf", "fprintf", "sprintf", "snprintf", "dprintf",
                "fopen", "fclose", "fread", "fwrite", "puts", "fputs", "abort", "exit", "assert", "pthread_create",
                "pthread_mutex_lock", "pthread_once", "pthread_getattr_np", "unw_backtrace", "getenv", "atexit",
                "backtrace", "pthread_sigmask", "sigprocmask", "setlocale", "strerror", "syslog", "popen", "system"}
ALLOWED = {("core/config.c", "getenv")}
# What only core/arch may name. <asm/...> are headers that Linux has for every machine.
MACHINES_OWN = re.compile(r"""
    \br(?:[abcd]x|[sd]i|[sbi]p)\b | \br(?:8|9|1[0-5])\b | \b[xyz]mm\d+\b | \bREG_R\w+       # registers
    | \b__asm__\b | \basm\b(?!/) | __builtin_(?:ia32|arm|aarch64)_ | \brdtsc | \bcpuid\b         # instructions
    | __(?:x86_64|amd64|i386|aarch64|arm)__ | x86[-_]?64 | aarch64 | amd64 | \b[EU]\w*_X86_64      # machines
    """, re.VERBOSE | re.IGNORECASE)


def is_binary(path):
    with open(path, "rb") as file:
        return b"\0" in file.read(4096)


GENERATED = {".git", "autom4te.cache", "build-aux", "configure", "aclocal.m4", "Makefile", "Makefile.in", "__pycache__", "_build",
             "_inst"}


def source_files(*folders):
    """Files of the tree, without what a build puts there. A release is not a checkout, even when it lies inside of one."""
    if (paths.SOURCE / ".git").exists():
        listed = subprocess.run(["git", "-C", paths.SOURCE, "ls-files", "-co", "--exclude-standard"], capture_output=True,
                                text=True, check=True)
        files = [paths.SOURCE / line for line in listed.stdout.splitlines()]
    else:
        files = [path for path in paths.SOURCE.rglob("*")
                 if not GENERATED & set(path.relative_to(paths.SOURCE).parts) and ".pb-c." not in path.name]
    files = [path for path in files if path.is_file() and path.suffix in SOURCE_SUFFIXES | {""} and not is_binary(path)]
    return [path for path in files if not folders or path.relative_to(paths.SOURCE).parts[0] in folders]


def code_of(path):
    """Without comments, strings and preprocessor lines."""
    text = path.read_text()
    text = re.sub(r'"(\\.|[^"\\\n])*"', '""', text)
    text = re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.DOTALL)
    return re.sub(r"^\s*#(?:\\\n|.)*$", "", text, flags=re.MULTILINE)


class Sources(Case):
    def test_inside_malloc_nothing_banned_is_called(self):
        files = [path for path in source_files("core", "interpose") if path.suffix in (".c", ".h")]
        self.assertGreater(len(files), 20)
        found = set()
        for path in files:
            name = str(path.relative_to(paths.SOURCE))
            # A call, not a definition (those begin a line with their type) nor a member.
            for match in re.finditer(r"(?<![\w.>])(\w+)\s*\(", code_of(path)):
                if match.group(1) in BANNED_CALLS and (name, match.group(1)) not in ALLOWED:
                    found.add((name, match.group(1)))
        # The hooks define functions of these names, and a fallback stands in for one hook by calling another.
        defined = {(name, word) for name, word in found if re.match(r"interpose/(hooks_\w+|fallback)\.[ch]", name)
                   and word in ("malloc", "calloc", "realloc", "free")}
        self.assertEqual(found - defined, set())

    def test_core_does_not_know_interpose_nor_tools(self):
        for path in source_files("core"):
            self.assertNotRegex(path.read_text(), r'#include "(interpose|tools)/', str(path))
        for path in source_files("interpose"):
            self.assertNotRegex(path.read_text(), r'#include "tools/', str(path))

    def test_only_core_arch_knows_the_machine(self):
        """Comments included. Seen to fail by one of each kind."""
        for planted in ("rdx", "r10", "REG_RIP", "__asm__", "asm goto", "__builtin_ia32_pause", "__x86_64__", "EM_X86_64", "UNW_X86_64_RSP",
                        "ld-linux-x86-64.so.2", "libunwind-x86_64.h", "__aarch64__", "movdqa %xmm0"):
            self.assertRegex(planted, MACHINES_OWN)
        for harmless in ("#include <asm/ioctls.h>", "rip_out", "bp", "r2", "R"):
            self.assertNotRegex(harmless, MACHINES_OWN)
        may_name = {"tools/views/built_page.h": "__asm__"}  # it includes a file, by the assembler
        files = [path for path in source_files("core", "interpose", "tools") if path.suffix in (".c", ".h", ".def")]
        self.assertGreater(len(files), 100)
        found = []
        for path in files:
            name = str(path.relative_to(paths.SOURCE))
            if not name.startswith(("core/arch/", "tools/attach/machine_")):  # another process's machine, too
                found += [f"{name}:{number}: {line}" for number, line in enumerate(path.read_text().splitlines(), 1)
                          for match in MACHINES_OWN.finditer(line) if match.group() != may_name.get(name)]
        self.assertEqual(found, [])

    def test_names_reach_a_terminal_one_way(self):
        """By what tools/terminal shows as text. Elsewhere a call that puts out more than its own words is one of these, where a
        number, a quantity, an option's name or a text that was made printable before is put out. Seen to fail by puts(path), and
        by each of putchar(*path), write(STDOUT_FILENO, path, 3), g_warning("%s", path) and printf("%5s", path)."""
        known = {
            "cmd/cmd.c": 8, "cmd/cmd_diff.c": 4, "cmd/cmd_top.c": 1, "cmd/cmd_tree.c": 1, "cmd/cmd_peek.c": 1, "cmd/cmd_info.c": 9, "cmd/cmd_rss.c": 1,
            "cmd/cmd_serve.c": 1,
            "views/watch.c": 1, "views/folded.c": 3, "run/process_table.c": 1, "run/run_summary.c": 9,
            "views/rows_json.c": 1, "record/recording.c": 1,  # ASCII
        }
        found = {}
        for path in source_files("tools"):
            name = str(path.relative_to(paths.SOURCE / "tools"))
            if path.suffix != ".c" or name.startswith(("terminal/", "build/")):
                continue
            code = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
            for call in re.findall(r"\b(?:f?puts|v?f?printf|dprintf|fwrite|f?putc|putchar|json_dumpf|perror|g_print\w*|g_warning|g_message|"
                                   r"g_critical|g_error|write(?=\s*\(STD))\s*\(([^;]*);", code):
                if not re.match(r"""(?:(?:stdout|stderr|text), )?"|'""", call) or re.search(r"%[-0-9.*]*[sc]", call):
                    found[name] = found.get(name, 0) + 1
        self.assertEqual(found, known)

    def test_every_source_file_has_its_licence(self):
        files = [path for path in source_files("core", "interpose", "include", "tools", "tests", "docs")
                 if path.suffix in SOURCE_SUFFIXES]
        self.assertGreater(len(files), 40)
        missing = [str(path) for path in files
                   if not any("SPDX-License-Identifier: MIT" in line for line in path.read_text().splitlines()[:3])]
        self.assertEqual(missing, [])

    def test_headers_are_guarded_by_their_name(self):
        for path in source_files("core", "interpose", "include"):
            if path.suffix == ".h":
                self.assertRegex(path.read_text(), r"#ifndef HEAPPROF_(\w+_)?H\b|#pragma once", str(path))

    def test_lines_keep_to_120_columns(self):
        files = [path for path in source_files("core", "interpose", "include", "tools") if path.suffix in (".c", ".h")]
        self.assertGreater(len(files), 150)
        self.assertEqual([f"{path}:{number}" for path in files for number, line in enumerate(path.read_text().splitlines(), 1)
                          if len(line) > 120], [])

    def test_no_leftovers(self):
        """Paths of somebody's machine, and notes to oneself. Spelled apart, so that this file does not find itself."""
        words = re.compile("|".join(("/ho" + "me/", "/ro" + "ot/", "/wo" + "rk/", r"\bXX" + r"X\b", "FIX" + "ME", "TO" + "DO")))
        for path in source_files():
            for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
                self.assertIsNone(words.search(line), f"{path}:{number}: {line}")

    def test_every_mutant_applies(self):
        """tests/torture/mutants.py runs for long, and seldom: that the text is there which it changes can be seen at once."""
        sys.path.insert(0, str(paths.SOURCE / "tests/torture"))
        from mutants import MUTANTS
        self.assertGreater(len(MUTANTS), 30)
        names = [mutant.name for mutant in MUTANTS]
        self.assertEqual(sorted({name for name in names if names.count(name) > 1}), [])  # they are chosen by name
        self.assertEqual([mutant.name for mutant in MUTANTS if (paths.SOURCE / mutant.file).read_text().count(mutant.old) != 1], [])
