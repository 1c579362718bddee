# SPDX-License-Identifier: MIT
"""Go's and Google's pprof read a session of postgres under pgbench by way of heapprof serve."""
import shutil
import subprocess

from cli.test_serve_go import Clients
from harness import paths, tools
from hazards.toolbox import TORTURE, skip_unless
from torture import servers
from torture.real import folder_for_everybody


class OfPostgres(Clients):
    FUNCTION = "AllocSet"

    def start_program(self):
        skip_unless(TORTURE, "in the torture suite only")
        tools.need(*servers.Postgres.needs)
        base, state = folder_for_everybody("/tmp"), folder_for_everybody("/dev/shm")
        for folder in (base, state):
            self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        environment = self.environment(sample=4096, LD_PRELOAD=shutil.copy(paths.LIB, base), state_dir=state, out="/dev/null",
                                       signal=servers.Postgres.DUMP_SIGNAL)
        server = servers.Postgres(base / "postgres", environment)
        self.addCleanup(server.kill)
        server.start()
        load = server.spawn([servers.POSTGRES_BIN / "pgbench", "-n", "-N", "-c", 1, "-T", 100000],
                            {**server.client_environment(), "PGAPPNAME": "load"}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(load.wait)
        self.addCleanup(load.kill)
        return int(server.session_of("load"))
