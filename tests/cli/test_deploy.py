# SPDX-License-Identifier: MIT
"""What runs all the time: the units of systemd, and containers beside a program."""
import os
import pathlib
import re
import subprocess
import unittest

from harness import paths
from harness.case import Case, cases
from harness.receiver import Receiver
from harness.states import NOBODY, StateCase, is_allowed, need_root
from harness.tools import need

UNITS = sorted(path.name for path in (paths.SOURCE / "deploy/systemd").glob("*.service"))
# As `systemd-analyze security` of Debian 12 counts: 0 is shut in, 10 is free. From 5 on it warns.
EXPOSURE_MAX = 3.0


class Units(Case):
    def setUp(self):
        super().setUp()
        need("systemd-analyze")

    def unit(self, name):
        """With programs that are there: those of this build."""
        text = (paths.SOURCE / "deploy/systemd" / name).read_text()
        path = self.dir / name
        path.write_text(text.replace("ExecStart=/usr/bin/", f"ExecStart={paths.BUILD}/"))
        return path

    @cases(*UNITS)
    def test_sound(self, name):
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", self.unit(name)], capture_output=True, text=True)
        ours = [line for line in (done.stdout + done.stderr).splitlines() if name in line]
        self.assertEqual((ours, done.returncode), ([], 0), done.stderr)

    @cases(*UNITS)
    def test_shut_in(self, name):
        done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", self.unit(name)], capture_output=True, text=True)
        level = re.search(rf"Overall exposure level for {re.escape(name)}: ([0-9.]+)", done.stdout + done.stderr)
        self.assertIsNotNone(level, done.stderr)
        self.assertLess(float(level[1]), EXPOSURE_MAX, done.stdout)

    @cases(*UNITS)
    def test_the_command_line_is_one(self, name):
        """Its options are there: the program says what is wrong with the rest, and not with these."""
        line = re.search(r"^ExecStart=/usr/bin/(.*)$", (paths.SOURCE / "deploy/systemd" / name).read_text(), re.MULTILINE)[1]
        program, *words = line.split()
        known = {row.split("\t")[1] for row in self.tool("--list-options").stdout.splitlines() if row.startswith(program.removeprefix("heapprof-") + "\t")}
        self.assertEqual({word for word in words if word.startswith("--")} - known, set())
        self.assertTrue(known)

    @cases(*UNITS)
    def test_capabilities(self, name):
        """Those that cli/test_serve.OfAnotherUser finds to be enough."""
        text = (paths.SOURCE / "deploy/systemd" / name).read_text()
        self.assertEqual(set(re.search(r"^CapabilityBoundingSet=(.*)$", text, re.MULTILINE)[1].split()),
                         {"CAP_DAC_READ_SEARCH", "CAP_SETGID", "CAP_SETUID", "CAP_SYS_PTRACE"})

    @cases(*UNITS)
    def test_a_reader_that_takes_all_memory(self, name):
        """It is a process of its own; systemd would stop the whole service for it."""
        self.assertRegex((paths.SOURCE / "deploy/systemd" / name).read_text(), r"(?m)^OOMPolicy=continue$")

    def test_there_is_one_for_each_program(self):
        self.assertEqual(UNITS, ["heapprof-push.service", "heapprof-record.service", "heapprof-serve.service"])
        for name in UNITS:
            self.assertTrue((paths.SOURCE / "deploy/default" / name.removesuffix(".service")).exists(), name)


class Containers(StateCase):
    """What containers that share their processes are to each other: one pid namespace, a mount namespace for each, with a /dev/shm of
    its own. Both run as the same user, who has no capability."""

    def setUp(self):
        super().setUp()
        need_root()
        if not is_allowed("unshare", "--pid", "--fork", "--mount-proc", "true"):
            raise unittest.SkipTest("pid namespaces are not allowed here")
        need("setpriv")
        self.folder = self.public_directory()
        first = subprocess.Popen(["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c", "echo; exec sleep infinity"],
                                 stdout=subprocess.PIPE)
        for clean in (first.stdout.close, first.wait, first.kill):
            self.addCleanup(clean)
        first.stdout.readline()
        self.first = pathlib.Path(f"/proc/{first.pid}/task/{first.pid}/children").read_text().split()[0]

    def inside(self, user, *command, **variables):
        """The command line of a container of this pod."""
        shut_in = (f'mount -t tmpfs none /dev/shm && chmod 1777 /dev/shm && exec setpriv --reuid={user} --regid={user} --clear-groups '
                   f'--no-new-privs --bounding-set=-all --inh-caps=-all "$@"')
        return ["nsenter", f"--target={self.first}", "--pid", "--mount", f"--wd={self.folder}", "unshare", "-m", "sh", "-c", shut_in, "sh", "env", "-u",
                "HEAPPROF_STATE_DIR", "-u", "XDG_RUNTIME_DIR", *(f"{name}={value}" for name, value in variables.items()), *map(str, command)]

    def program(self):
        return self.start(self.inside(NOBODY, self.folder / "holds", self.folder / "libplugin.so", LD_PRELOAD=self.folder / "libheapprof.so",
                                      HEAPPROF_SAMPLE=1, HEAPPROF_OUT="/dev/null"), preload=False)

    def push(self, user, receiver, name, expect):
        queue = self.folder / f"queue.{user}"
        queue.mkdir(exist_ok=True)
        os.chown(queue, user, user)
        done = subprocess.run(self.inside(user, self.folder / "heapprof-push", "--once", "--to", receiver.url, "--queue", queue / "push", name),
                              capture_output=True, text=True, stdin=subprocess.DEVNULL, env=self.tool_environment(), timeout=250)
        self.assertEqual(done.returncode, expect, done.stderr)
        return done

    def test_the_side_car_sees_the_program(self):
        if not (paths.BUILD / "heapprof-push").exists():
            self.skipTest("built --without-push")
        with self.program() as program, Receiver() as receiver:
            program.read_until("ready")
            program.say("work")
            program.read_until("done")
            self.push(NOBODY, receiver, "holds", 0)
            sample, = receiver.taken()
            self.assertEqual(sample.labels["service_name"], "holds")
            self.assertIn("victim_news", {name for entry in sample.profile.samples for name in sample.profile.frames(entry)})
            self.push(NOBODY - 1, receiver, "holds", 1)  # another user finds nothing
            self.assertEqual(len(receiver.taken()), 1)


class Manifests(Case):
    """Read as text: no reader of YAML is needed to run the tests."""

    @cases("kubernetes/sidecar.yaml", "compose/compose.yaml")
    def test_what_they_start_is_there(self, name):
        text = (paths.SOURCE / "deploy" / name).read_text()
        self.assertEqual({word for word in re.findall(r"/usr/bin/(heapprof[a-z-]*)", text)}, {"heapprof-push"})
        known = {row.split("\t")[1] for row in self.tool("--list-options").stdout.splitlines() if row.startswith("push\t")}
        used = set(re.findall(r"^ +- (--[a-z-]+)=", text, re.MULTILINE))
        self.assertTrue(used)
        self.assertEqual(used - known, set())
        self.assertIn(re.search(r"AC_INIT\(\[heapprof\], \[([0-9.]+)\]\)", (paths.SOURCE / "configure.ac").read_text())[1], text)


class Package(Case):
    def shipped(self, name):
        listed = (paths.SOURCE / "debian" / f"heapprof.{name}").read_text().split()
        return {str(path.relative_to(paths.SOURCE)) for pattern in listed for path in paths.SOURCE.glob(pattern)}

    def test_what_its_papers_name_is_in_it(self):
        """Seen to fail: the changelog said See NEWS, and there was none; deployment.md led to manifests that were not there."""
        self.assertIn("See NEWS", (paths.SOURCE / "debian/changelog").read_text())
        self.assertIn("NEWS", self.shipped("docs"))
        named = set(re.findall(r"\]\(\.\./(deploy/[a-z./]+)\)", (paths.SOURCE / "docs/deployment.md").read_text()))
        self.assertTrue(named)
        self.assertEqual(named - self.shipped("examples"), set())
