# SPDX-License-Identifier: MIT
"""The contenders: what else profiles heaps, and two that do not, to compare with."""
import dataclasses
import pathlib
import shutil
import subprocess

from harness import paths

LIBRARIES = pathlib.Path("/usr/lib/x86_64-linux-gnu")
JEMALLOC = LIBRARIES / "libjemalloc.so.2"
TCMALLOC = LIBRARIES / "libtcmalloc.so.4"
HEAPTRACK = pathlib.Path("/usr/lib/heaptrack/libheaptrack_preload.so")


@dataclasses.dataclass
class Contender:
    """{folder} in a setting is where the files of that run go."""
    name: str
    label: str
    library: pathlib.Path | None = None
    settings: dict = dataclasses.field(default_factory=dict)
    wrapper: tuple = ()        # words in front of the command
    package: str | None = None
    missing: str | None = None  # why it cannot run here
    version: str = ""

    def environment(self, folder):
        environment = {name: value.format(folder=folder) for name, value in self.settings.items()}
        if self.library and not self.wrapper:
            environment["LD_PRELOAD"] = str(self.library)
        return environment

    def command(self, words, folder):
        return [*(word.format(folder=folder) for word in self.wrapper), *words]


HEAPPROF_FILES = {"HEAPPROF_STATE_DIR": "{folder}", "HEAPPROF_OUT": "{folder}/%e.%p.%n.pb.gz"}


def all_contenders(empty_interposer):
    heaptrack = dict(library=HEAPTRACK, package="heaptrack")
    tcmalloc = dict(library=TCMALLOC, package="libgoogle-perftools4")
    jemalloc = dict(library=JEMALLOC, package="libjemalloc2")
    contenders = [
        Contender("none", "no preload"),
        Contender("empty", "empty interposer", pathlib.Path(empty_interposer)),
        Contender("heapprof", "heapprof", paths.LIB, HEAPPROF_FILES),
        Contender("heapprof_exact", "heapprof, R = 1", paths.LIB, {**HEAPPROF_FILES, "HEAPPROF_SAMPLE": "1"}),
        Contender("heapprof_dense", "heapprof, R = 2", paths.LIB, {**HEAPPROF_FILES, "HEAPPROF_SAMPLE": "2"}),
        Contender("jemalloc", "jemalloc", settings={"MALLOC_CONF": "prof:false"}, **jemalloc),
        Contender("jemalloc_prof", "jemalloc, prof 512 KiB",
                  settings={"MALLOC_CONF": "prof:true,lg_prof_sample:19,prof_prefix:{folder}/jeprof"}, **jemalloc),
        Contender("jemalloc_prof_all", "jemalloc, prof of every allocation",
                  settings={"MALLOC_CONF": "prof:true,lg_prof_sample:0,prof_prefix:{folder}/jeprof"}, **jemalloc),
        Contender("tcmalloc", "gperftools", settings={"TCMALLOC_SAMPLE_PARAMETER": "0"}, **tcmalloc),
        Contender("tcmalloc_sampling", "gperftools, sampling 512 KiB",
                  settings={"TCMALLOC_SAMPLE_PARAMETER": "524288"}, **tcmalloc),
        Contender("heapprofile", "gperftools, HEAPPROFILE", settings={"HEAPPROFILE": "{folder}/gperf"}, **tcmalloc),
        # Its library alone, trace thrown away: what the program itself pays.
        Contender("heaptrack", "heaptrack", settings={"DUMP_HEAPTRACK_OUTPUT": "/dev/null"}, **heaptrack),
        Contender("heaptrack_whole", "heaptrack, with its interpreter", wrapper=("heaptrack", "-o", "{folder}/heaptrack"), **heaptrack),
    ]
    for contender in contenders:
        find(contender)
    return contenders


def find(contender):
    if contender.library is not None and not contender.library.exists():
        contender.missing = f"{contender.library} is not there" + (f": apt-get install {contender.package}" if contender.package else "")
    elif contender.wrapper and shutil.which(contender.wrapper[0]) is None:
        contender.missing = f"{contender.wrapper[0]} is not in PATH: apt-get install {contender.package}"
    elif contender.name.startswith("jemalloc_prof") and not has_jemalloc_prof():
        contender.missing = f"{JEMALLOC} is built without --enable-prof"
    if contender.package and contender.missing is None:
        contender.version = package_version(contender.package)


def has_jemalloc_prof():
    """A jemalloc without it complains about the setting."""
    done = subprocess.run(["true"], env={"LD_PRELOAD": str(JEMALLOC), "MALLOC_CONF": "prof:true", "PATH": "/usr/bin:/bin"},
                          capture_output=True, text=True)
    return "Invalid conf" not in done.stderr


def package_version(package):
    if shutil.which("dpkg-query") is None:
        return ""
    done = subprocess.run(["dpkg-query", "-W", "-f=${Version}", package], capture_output=True, text=True)
    return f"{package} {done.stdout}" if done.returncode == 0 else ""
