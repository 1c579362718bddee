# SPDX-License-Identifier: MIT
"""Hazards E of docs/hazards.md: hooks at the entries of functions."""
import json
import re
import subprocess
from pathlib import Path

from harness.case import cases
from hazards.toolbox import VICTIMS, AsWithout, Hazard, compile, library, program

SAID = "heapprof: not profiling: the program, or a library before this one, brings its own malloc: its calls do not come here ({})\n"


def own_program(name, *flags):
    return program(name, "-fno-builtin", *flags, compile(VICTIMS / "own_allocator.c", "-fno-builtin", "-falign-functions=4096", "-c", *flags))


class Entries(Hazard):
    """What the classes below share, which say how they were seen to fail."""

    def check_left_alone(self, reason, command, **options):
        run = self.profiled(command, verbose=1, sample=1, **options)
        self.assertEqual((run.out, run.err), ("as in the file, not writable\n", SAID.format(reason)))
        self.assertEqual(run.files, [])


class E4Refused(Entries):
    """E4: memory may not be made executable, or one of many pages may not be put in its place: all code is as it was. Seen to fail by
    the mutant changes_stay."""

    def test_control(self):
        run = self.profiled([own_program("hz_e_text.c")], verbose=0, sample=1)
        self.assertEqual((run.out, run.err), ("changed, not writable\n", ""))
        self.assertEqual(len(run.files), 1)

    def test_executable(self):
        command = [program("hz_e_refuses.c"), "exec", own_program("hz_e_text.c")]
        self.check_left_alone("code that was changed may not be executed here", command)

    def test_one_of_many(self):
        victim = own_program("hz_e_text.c", "-no-pie", "-fno-pie")
        symbols = subprocess.run(["nm", victim], stdout=subprocess.PIPE, text=True, check=True).stdout
        for name in ("free", "realloc", "pvalloc"):
            address = int(re.search(rf"^(\w+) T {name}$", symbols, re.MULTILINE)[1], 16)
            command = [program("hz_e_refuses.c"), "move", f"{address & ~4095:x}", victim]
            self.check_left_alone("its code cannot be exchanged", command)


class E5Threads(Entries):
    """E5: a thread is there before our constructor, which may be anywhere. Seen to fail by the mutant threads_unnoticed."""

    def test_left_alone(self):
        reason = "there are threads already, or /proc is not there"
        self.check_left_alone(reason, [own_program("hz_e_text.c")], extra_preload=[library("hz_e_thread.c")])


class E8Changed(Entries):
    """E8: a byte of a page that would be exchanged is not that of the file. Seen to fail by the mutant changes_unnoticed."""

    def test_left_alone(self):
        run = self.profiled([own_program("hz_e_text.c")], verbose=1, sample=1, extra_preload=[library("hz_e_changed.c", "-fno-builtin")])
        self.assertEqual((run.out, run.err), ("changed, not writable\n", SAID.format("its code is not that of its file")))
        self.assertEqual(run.files, [])


class E9Bound(AsWithout):
    """E9: a plug-in that is opened with RTLD_DEEPBIND stays with its allocator, whether that is bound already or not, and is the only one
    that is said to be past us. Seen to fail (all libraries were said to be) by the mutant own_is_somebody_elses."""

    def command(self, how="now"):
        flags = ["-Wl,--no-as-needed", library("hz_a3_own_malloc.c", "-fno-builtin")]
        plugin = library("hz_a3_deep_plugin.c", "-fno-builtin", f"-Wl,-z,{how}", *flags)
        return [own_program("hz_a3_deepbind.c", "-Wl,--no-as-needed", "-lstdc++"), plugin, how, "3", "own"]

    @cases("now", "lazy")
    def test_uncovered(self, how):
        command = self.command(how)
        run = self.profiled(command, sample=1)
        path, = run.files
        self.assertEqual(json.loads(self.tool("info", "--json", path).stdout)["uncovered"], [f"{Path(command[1]).name} (another allocator)"])


class E11Moved(AsWithout):
    """E11: a program that moves its code to other memory, copied or from its file, runs as without. The copy has the hooks, and all is
    exact; seen to fail where it is read from the file, which has none."""

    def command(self, how="file"):
        return [own_program("hz_e_moved.c"), how]

    def test_copied(self):
        self.check_run_exact(self.profiled(self.command("memory"), sample=1))

    def test_read_again(self):
        """What was allocated until then is known."""
        totals = self.profiled(self.command("file"), sample=1).profile.totals()
        self.assertEqual((totals["alloc_objects"], totals["inuse_objects"]), (2000, 500))
