# SPDX-License-Identifier: MIT
"""Other versions of glibc than this machine's, from Debian's packages of other releases: programs that are built against them, and
Debian's own, run by their loader. Nothing is installed; the packages come from where this machine's come from, or the test is skipped."""
import os
import pathlib
import shutil
import subprocess

from harness import paths
from harness.case import Case, cases, timeout
from hazards.toolbox import skip_unless

PACKAGES = ["libc6-dev", "bash", "perl-base"]
KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"
FETCH_S = 60  # for what takes 2 s; a mirror may be slow
VICTIMS = ["leak", "threads", "everything", "strings"]
PERL = "my %h; $h{$_} = $_ x 3 for 1 .. 20000; print scalar(keys %h), ' ', join('', sort map { length } values %h) =~ tr/0-9//, qq(\\n)"
KNOWS_WHO = {"HOME": "/", "SHELL": "/bin/sh"}
ASKS_WHO = {"HOME": None, "SHELL": None}  # libc opens a library for the answer
BASH = "a=(); for i in {1..3000}; do a+=(\"$i$i\"); done; f() { local x=$1; echo ${#x}; }; echo ${#a[@]} $(f \"${a[*]}\")"


class Glibc(Case):
    def apt(self, *arguments):
        """Told of self.dir alone, it touches nothing of the machine's. Returns why it cannot do what it is asked, or nothing."""
        apt = self.dir / "apt"
        options = ("Acquire::Languages=none", "APT::Sandbox::User=root", "APT::Update::Error-Mode=any", "Acquire::Retries=2",
                   "Acquire::http::Timeout=20", f"Dir::State={apt}/state", f"Dir::State::status={apt}/status", f"Dir::Cache={apt}/cache",
                   f"Dir::Etc::sourcelist={apt}/sources.list", "Dir::Etc::sourceparts=/dev/null")
        command = ["apt-get", "-qq", *(word for option in options for word in ("-o", option)), *arguments]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_S)
        except subprocess.TimeoutExpired:
            return f"apt-get {arguments[0]} is not done after {FETCH_S} s"
        return "" if done.returncode == 0 else f"apt-get {arguments[0]}: {(done.stderr.strip().splitlines() or ['failed'])[0]}"

    def fetch(self, site, release):
        keys = f"[signed-by={KEYS}] " if os.path.exists(KEYS) else ""
        (self.dir / "apt/sources.list").write_text(f"deb {keys}{site} {release} main\n")
        return self.apt("update") or self.apt("install", "-y", "--no-install-recommends", "--download-only", *PACKAGES)

    def make_root(self, release):
        skip_unless(shutil.which("apt-get") and shutil.which("dpkg-deb"), "there is no apt-get here, or no dpkg-deb")
        sites = subprocess.run(["apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages"], capture_output=True, text=True)
        skip_unless(sites.stdout, "apt-get knows of no place where packages come from")
        apt, root = self.dir / "apt", self.dir / "root"
        for folder in ("state/lists/partial", "cache/archives/partial"):
            (apt / folder).mkdir(parents=True)
        (apt / "status").touch()
        refusals = []  # of sites that have no such release: of security updates, or of somebody's own packages
        for site in dict.fromkeys(sites.stdout.split()):
            refusals.append(self.fetch(site, release))
            if not refusals[-1]:
                break
        skip_unless(not refusals[-1], f"no site has {release}: {'; '.join(refusals)}")
        for package in sorted((apt / "cache/archives").glob("*.deb")):
            subprocess.run(["dpkg-deb", "-x", package, root], check=True)
        loader = root / "lib64/ld-linux-x86-64.so.2"  # which leads out of the root, in old packages
        loader.unlink()
        loader.symlink_to("../lib/x86_64-linux-gnu/ld-linux-x86-64.so.2")
        return root

    def build(self, root, name, *needed):
        program = self.dir / name
        libraries = root / "usr/lib/x86_64-linux-gnu"
        subprocess.run(["gcc", "-w", "-O1", "-g", "-fno-builtin", "-D_GNU_SOURCE", f"--sysroot={root}", f"-B{libraries}", f"-L{libraries}",
                        "-o", program, paths.SOURCE / f"tests/victims/{name}.c", "-Wl,--no-as-needed",
                        *(root / f"lib/x86_64-linux-gnu/lib{library}" for library in needed)], check=True)
        return program

    def check_whole(self, profile, ends_in_opened=False):
        """ends_in_opened: of a library that was opened later, nothing is known, so stacks may end there, and nowhere else."""
        for sample in profile.samples:
            frames, labels = profile.frames(sample), set(sample.labels) - {"inherited"}
            if ends_in_opened and frames[-1] == "[anon]":
                labels -= {"truncated"}
            self.assertEqual(labels, set(), frames)
        self.assertEqual(profile.comment_values()["lost.total"], 0)

    @cases(("bullseye", "2.31"), ("trixie", "2.41"))
    @timeout(250)
    def test_exact(self, release, version):
        """Victims to the byte, no stack cut; perl and bash, with what bash forks, as without. Seen to fail with version 0.1.0, which needed
        names of 2.35: with 2.31 no program started."""
        root = self.make_root(release)
        start = [root / "lib64/ld-linux-x86-64.so.2", "--library-path",
                 f"{root}/lib/x86_64-linux-gnu:{root}/usr/lib/x86_64-linux-gnu"]
        self.assertIn(f"version {version}", self.plain([*start, root / "lib/x86_64-linux-gnu/libc.so.6"]).out)
        for name in VICTIMS:
            self.clear_profiles()
            run = self.profiled([*start, self.build(root, name, "pthread.so.0", "dl.so.2")], sample=1, expect=7 if name == "leak" else 0)
            shadow, = run.shadows.values()
            self.check_exact(run.profile, shadow)
            self.check_whole(run.profile)
        self.check_program([*start, root / "usr/bin/perl", "-e", PERL], KNOWS_WHO)
        self.check_unfollowed([*start, self.build(root, "signals")])
        bash = [*start, root / "bin/bash", "--norc", "-c", BASH]
        self.check_program(bash, KNOWS_WHO)
        self.check_program(bash, ASKS_WHO, ends_in_opened=version == "2.31")

    def check_unfollowed(self, command):
        """Without libdl, which keeps dlsym and dladdr before 2.34. Seen to fail: LD_PRELOAD stayed as it was."""
        with self.start(command, follow="no") as program:
            program.read_until("ready")
            variables = pathlib.Path(f"/proc/{program.pid}/environ").read_text().split("\0")
            program.end()
        self.assertIn("HEAPPROF_FOLLOW=no", variables)
        self.assertNotIn(str(paths.LIB), next((variable for variable in variables if variable.startswith("LD_PRELOAD=")), ""))

    def check_program(self, command, who, ends_in_opened=False):
        self.clear_profiles()
        plain = self.plain(command, LC_ALL="C", **who)
        run = self.profiled(command, sample=1, follow="no", LC_ALL="C", **who)
        self.assertEqual((run.out, run.err), (plain.out, plain.err))
        self.check_lint(run.profiles[0])
        for profile in run.profiles:
            comments = profile.comment_values()
            self.assertEqual(comments["exact_units"], profile.total("alloc_space") + profile.total("alloc_objects"))
            self.check_whole(profile, ends_in_opened)
