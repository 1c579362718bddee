# SPDX-License-Identifier: MIT
"""Servers that run for long, with or without the profiler, and the loads whose latency is measured. All is on Unix sockets, in a
directory of its own, and ends by its process id."""
import csv
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time

POSTGRES_BIN = pathlib.Path("/usr/lib/postgresql/15/bin")


def percentile(values, percent):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


class Server:
    needs = ()
    user = None  # who runs it when we are root
    DUMP_SIGNAL = "USR2"
    END_SIGNAL, KILL_SIGNAL = signal.SIGTERM, signal.SIGKILL

    def __init__(self, folder, environment):
        self.folder, self.environment, self.process = folder, environment, None
        folder.mkdir(parents=True)
        if self.is_user_changed():
            shutil.chown(folder, self.user)

    def is_user_changed(self):
        return self.user is not None and os.geteuid() == 0

    def as_user(self, command):
        before = ["setpriv", "--reuid", self.user, "--regid", self.user, "--clear-groups"] if self.is_user_changed() else []
        return [str(word) for word in (*before, *command)]

    def spawn(self, command, environment=None, **options):
        return subprocess.Popen(self.as_user(command), env=environment or self.client_environment(), cwd=self.folder,
                                stdin=subprocess.DEVNULL, **options)

    def client_environment(self):
        """Clients are never profiled."""
        return {**os.environ, "LC_ALL": "C.UTF-8"}

    def ask(self, *command):
        with self.spawn(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as client:
            out, err = client.communicate()
        if client.returncode != 0:
            raise AssertionError(f"{' '.join(map(str, command))}: {err}\nserver: {self.log()[-2000:]}")
        return out

    def log(self):
        return (self.folder / "log").read_text(errors="replace")

    def start(self):
        with open(self.folder / "log", "wb") as log:
            self.process = self.spawn(self.command(), self.environment, stdout=log, stderr=log)
        end = time.monotonic() + 60
        while True:
            try:
                return self.greet()
            except AssertionError:
                if time.monotonic() > end or self.process.poll() is not None:
                    raise
                time.sleep(0.1)

    def stop(self):
        """Returns its exit status."""
        self.process.send_signal(self.END_SIGNAL)
        return self.process.wait()

    def kill(self):
        """If it did not come to a stop()."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(self.KILL_SIGNAL)
            self.process.wait()

    def dump_signal_number(self):
        name, _, offset = self.DUMP_SIGNAL.partition("+")
        return getattr(signal, f"SIG{name}") + int(offset or 0)


class Redis(Server):
    needs = ("redis-server", "redis-benchmark", "redis-cli")
    KINDS = "set,get,incr,lpush,rpop,sadd,spop,hset,zpopmin,zadd,mset"

    def command(self):
        return ["redis-server", "--port", "0", "--unixsocket", "socket", "--save", "", "--dir", "."]

    def greet(self):
        self.ask("redis-cli", "-s", "socket", "ping")
        self.load(1)

    def pids(self):
        return {"redis-server": self.process.pid}

    def load(self, seconds):
        """Returns the 99th percentile of its latency in microseconds, the mean over kinds of requests."""
        out = self.ask("redis-benchmark", "-s", "socket", "--csv", "-c", 8, "-n", int(8000 * seconds), "-r", 10000, "-d", 300, "-t",
                       self.KINDS)
        rows = [float(row["p99_latency_ms"]) for row in csv.DictReader(out.splitlines())]
        return 1000 * sum(rows) / len(rows)


class Postgres(Server):
    needs = tuple(map(str, (POSTGRES_BIN / "postgres", POSTGRES_BIN / "pgbench", POSTGRES_BIN / "initdb")))
    user = "postgres"
    DUMP_SIGNAL = "RTMIN+3"  # it has a use for SIGUSR2
    END_SIGNAL, KILL_SIGNAL = signal.SIGINT, signal.SIGQUIT  # waits for no client

    def client_environment(self):
        return {**super().client_environment(), "PGHOST": str(self.folder), "PGUSER": "postgres", "PGDATABASE": "postgres",
                "HOME": str(self.folder)}

    def command(self):
        self.ask(POSTGRES_BIN / "initdb", "-D", "data", "-A", "trust", "-U", "postgres", "--no-sync")
        return [POSTGRES_BIN / "postgres", "-D", "data", "-k", self.folder, "-c", "listen_addresses=", "-c", "fsync=off", "-c", "jit=off"]

    def greet(self):
        self.psql("select 1")
        self.ask(POSTGRES_BIN / "pgbench", "-q", "-i", "-s", "4")
        self.steady = self.spawn([POSTGRES_BIN / "pgbench", "-n", "-N", "-c", 1, "-R", 20, "-T", 100000],
                                 {**self.client_environment(), "PGAPPNAME": "steady"}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.session = self.session_of("steady")

    def session_of(self, application):
        session = ""
        while not session:  # its first connection is for a few questions only
            session = self.psql(f"select pid from pg_stat_activity where application_name = '{application}' and query ~ '^(UPDATE|END)'")
        return session

    def psql(self, query):
        return self.ask(POSTGRES_BIN / "psql", "-qAtc", query)

    def pids(self):
        """The first process, and one that serves a session for all of the time."""
        return {"postmaster": self.process.pid, "session": int(self.session)}

    def load(self, seconds):
        """Returns the 99th percentile of its transactions in microseconds."""
        self.ask(POSTGRES_BIN / "pgbench", "-n", "-N", "-c", 4, "-T", max(1, round(seconds)), "-l", "--log-prefix=latency")
        logs = list(self.folder.glob("latency.*"))
        latencies = [int(line.split()[2]) for path in logs for line in path.read_text().splitlines()]
        for path in logs:
            path.unlink()
        return percentile(latencies, 99)

    def stop(self):
        self.steady.terminate()
        self.steady.wait()
        return super().stop()


class Nginx(Server):
    """Its first process, and two that answer. As an ordinary user: who gives up root may not be looked into."""
    needs = ("nginx", "wrk")
    user = "www-data"
    END_SIGNAL = signal.SIGQUIT
    CONFIGURATION = """daemon off; worker_processes 2; pid {folder}/pid; error_log {folder}/errors;
events {{ worker_connections 256; }}
http {{ access_log off; client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;
  uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5; gzip on; gzip_types *; gzip_min_length 1;
  server {{ listen 127.0.0.1:{port}; root {folder}; }} }}
"""

    def command(self):
        self.page = "".join(f"line {n} of many\n" for n in range(500))
        (self.folder / "index.html").write_text(self.page)
        self.holder = socket.socket()  # as Case.held_port does
        self.holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.holder.bind(("127.0.0.1", 0))
        port = self.holder.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/"
        (self.folder / "conf").write_text(self.CONFIGURATION.format(folder=self.folder, port=port))
        return ["nginx", "-p", self.folder, "-c", self.folder / "conf"]

    def greet(self):
        self.load(1)

    def pids(self):
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return {"nginx": self.process.pid, **{f"worker {n}": int(pid) for n, pid in enumerate(children)}}

    def load(self, seconds):
        """Returns the 99th percentile of its latency in microseconds."""
        out = self.ask("wrk", "-t1", "-c8", f"-d{max(1, round(seconds))}", "--timeout", "60s", "-H", "Accept-Encoding: gzip", "--latency",
                       self.url)
        if re.search("Non-2xx|Socket errors", out):
            raise AssertionError(out)
        value, unit = re.search(r"99% +([\d.]+)(us|ms|s)", out).groups()
        return float(value) * {"us": 1, "ms": 1e3, "s": 1e6}[unit]

    def kill(self):
        super().kill()
        self.holder.close()
