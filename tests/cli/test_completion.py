# SPDX-License-Identifier: MIT
"""What the shells offer for `heapprof`: commands, options of a command, values of an option, operands."""
import os
import subprocess

from harness import paths
from harness.case import Case, cases
from harness.tools import need

COMPLETION = paths.SOURCE / "tools/completion"

BASH = r"""
. "$1"; shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
_heapprof
printf '%s\n' "${COMPREPLY[@]}"
"""

# What the completion system would be asked to offer, printed by functions that take its place.
ZSH = r"""
fpath=($1 $fpath); shift
_describe() { print -l -- ${(P)2} }
_arguments() { print -l -- "$@" }
autoload -U _heapprof
words=("$@") CURRENT=$#
_heapprof
"""

FISH = r"""
source $argv[1]
complete -C "$argv[2]"
"""


class Completion(Case):
    def offered(self, shell, *words):
        need(shell)
        command = {"bash": ["bash", "--norc", "-c", BASH, "-", COMPLETION / "bash/heapprof", *words],
                   "zsh": ["zsh", "-f", "-c", ZSH, "-", COMPLETION / "zsh", *words],
                   "fish": ["fish", "--no-config", "-c", FISH, COMPLETION / "fish/heapprof.fish", " ".join(words)]}[shell]
        environment = self.tool_environment(PATH=f"{paths.TOOL.parent}:{os.environ['PATH']}", HOME=self.dir, TERM="dumb")
        done = subprocess.run(list(map(str, command)), env=environment, cwd=self.out_dir, capture_output=True, text=True, timeout=250)
        self.assertEqual(done.stderr, "", done.stdout)
        return done.stdout.splitlines()

    def commands_and_options(self):
        table = [line.split("\t") for line in self.tool("--list-options").stdout.splitlines()]
        return {row[0] for row in table if not row[1]}, {(row[0], row[1]) for row in table if row[1]}

    @cases("bash", "zsh", "fish")
    def test_commands(self, shell):
        commands, _ = self.commands_and_options()
        self.assertGreaterEqual(len(commands), 13)
        offered = {line.split(":")[0].split("\t")[0] for line in self.offered(shell, "heapprof", "")}
        self.assertLessEqual(commands, offered)

    @cases("bash", "zsh", "fish")
    def test_options_of_every_command(self, shell):
        commands, options = self.commands_and_options()
        for command in sorted(commands):
            offered = {line.split("[")[0].split("\t")[0] for line in self.offered(shell, "heapprof", command, "--")}
            self.assertEqual({o for c, o in options if c == command}, {o for o in offered if o.startswith("--")}, command)

    @cases("bash", "fish")
    def test_value(self, shell):
        offered = self.offered(shell, "heapprof", "top", "--sample-index", "in")
        self.assertEqual({line.split("\t")[0] for line in offered}, {"inuse_objects", "inuse_space"})

    @cases("bash", "fish")
    def test_operands(self, shell):
        (self.out_dir / "heapprof.app.1.pb.gz").touch()
        (self.out_dir / "other.txt").touch()
        offered = {line.split("\t")[0] for line in self.offered(shell, "heapprof", "info", "")}
        self.assertIn("heapprof.app.1.pb.gz", offered)
        self.assertNotIn("other.txt", offered)
        with self.start([self.victim("signals")], sample=1) as program:
            program.read_until("ready")
            program.say("work")
            program.read_until("done")
            self.assertIn(str(program.pid), {line.split("\t")[0] for line in self.offered(shell, "heapprof", "info", "")})
