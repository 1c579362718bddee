# SPDX-License-Identifier: MIT
"""The Debian package on a fresh Debian, which debootstrap makes: it installs, works, starts nothing, and leaves nothing."""
import pathlib
import re
import subprocess

from harness import paths, tools
from harness.case import Case, timeout
from harness.states import need_mount_namespaces, need_root
from hazards.toolbox import TORTURE, skip_unless

COMMANDS = ("heapprof", "heapprof-push", "heapprof-record", "heapprof-serve")
UNITS = tuple(f"{name}.service" for name in COMMANDS[1:])
SERVED = """
cd /srv
heapprof run -q -s 1 -- perl -e '$_ = "x" x 1000000; sleep 1000' &
until heapprof ls | grep -q perl; do sleep 0.1; done
heapprof-serve --listen unix:/srv/socket perl 2>log & server=$!
until test -S /srv/socket; do sleep 0.1; done
heapprof-push --once --to /srv/pushed perl
kill $server
heapprof top /srv/pushed/*.pb.gz
"""


class Package(Case):
    def setUp(self):
        super().setUp()
        skip_unless(TORTURE, "takes minutes, and an archive of packages")
        need_root()
        need_mount_namespaces()
        tools.need("debootstrap", "dpkg-buildpackage", "dh")
        for name in COMMANDS:
            skip_unless((paths.BUILD / name).exists(), f"built without {name}")
        self.root = self.dir / "root"

    def build(self):
        """From the release, as make deb does it, and beside no other build."""
        release = self.dir / "release"
        for command in (["make", "-s", "-C", paths.BUILD, "distdir", f"distdir={release}"],
                        ["env", "-C", release, "dpkg-buildpackage", "-b", "-us", "-uc", "--no-check-builddeps"]):
            done = subprocess.run([str(word) for word in command], capture_output=True, text=True, stdin=subprocess.DEVNULL)
            self.assertEqual(done.returncode, 0, (done.stdout + done.stderr)[-4000:])
        package, = self.dir.glob("heapprof_*.deb")
        return package

    def inside(self, *command, expect=0):
        """In the fresh system, with a /proc and a /dev/shm of its own."""
        enter = 'mount -t proc none "$0/proc" && mount -t tmpfs none "$0/dev/shm" && exec chroot "$0" "$@"'
        done = subprocess.run(["unshare", "-m", "-p", "-f", "--kill-child", "sh", "-c", enter, self.root, *command], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8",
                                                             "DEBIAN_FRONTEND": "noninteractive"})
        self.assertEqual(done.returncode, expect, (done.stdout + done.stderr)[-4000:])
        return done.stdout

    def ours(self):
        return sorted(str(path.relative_to(self.root)) for path in self.root.rglob("*heapprof*") if "var/lib/dpkg" not in str(path))

    @timeout(1800)
    def test_a_fresh_debian(self):
        package = self.build()
        release = re.search(r"^VERSION_CODENAME=(\w+)", pathlib.Path("/etc/os-release").read_text(), re.MULTILINE)[1]
        made = subprocess.run(["debootstrap", "--variant=minbase", release, self.root], capture_output=True, text=True, stdin=subprocess.DEVNULL)
        self.assertEqual(made.returncode, 0, made.stdout[-4000:])
        (self.root / package.name).write_bytes(package.read_bytes())
        self.inside("apt-get", "update")
        self.inside("apt-get", "install", "-y", "--no-install-recommends", f"./{package.name}")
        (self.root / package.name).unlink()
        for name in COMMANDS:
            self.assertIn("Usage: ", self.inside(name, "--help"))
        self.assertIn("perl", self.inside("sh", "-euc", SERVED))
        for unit in UNITS:
            self.assertTrue((self.root / "lib/systemd/system" / unit).exists(), unit)
        self.assertEqual([path.name for path in (self.root / "etc/systemd").rglob("*heapprof*")], [], "a unit is enabled")
        self.inside("apt-get", "purge", "-y", "heapprof")
        self.assertEqual([path for path in self.ours() if not path.startswith("root/") and not path.startswith("srv/")], [])
