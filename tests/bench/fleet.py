# SPDX-License-Identifier: MIT
"""Many profiled processes at once: how soon heapprof serve finds one more, and what it and heapprof push take for all of them."""
import contextlib
import os
import pathlib
import re
import subprocess
import time
import urllib.request

import measure as measuring
import page as pages
import plot
from harness import paths
from harness.receiver import TAKEN, Receiver

NAME = "fleet"
TITLE = "Many processes"
COUNTS = (10, 50, 200, 1_000)
SAMPLE_BYTES = 1024  # nearly each of the 64 places has its sample
WINDOW_S, SCRAPE_S = 60, 15
MANY_S = 600  # for a first round
NEWCOMERS = 5
LOOK_S = 0.1
CPU_GOAL_COUNT, CPU_GOAL_PERCENT, FOUND_GOAL_S = 200, 3, 2


class Fleet:
    """Small processes under the profiler; `with` ends them."""
    def __init__(self, bench, folder):
        self.program, self.folder = bench.build("fleet.c"), folder
        self.environment = bench.environment(bench.contenders["heapprof"], folder, HEAPPROF_SAMPLE=SAMPLE_BYTES, HEAPPROF_DUMP="none")
        self.processes = []

    def __enter__(self):
        self.input, self.is_over = os.pipe()
        self.there, self.output = os.pipe()
        return self

    def __exit__(self, *_):
        for descriptor in (self.is_over, self.input, self.there, self.output):
            os.close(descriptor)
        for process in self.processes:
            process.wait()

    def add(self, count):
        """When it returns they are at work. Returns when the last was started, and its pid."""
        for _ in range(count):
            started = time.monotonic()
            self.processes.append(subprocess.Popen([self.program], stdin=self.input, stdout=self.output, env=self.environment))
        for _ in range(count):
            os.read(self.there, 1)
        return started, self.processes[-1].pid


class Pushed(Receiver):
    """Knows whose profiles it took, and keeps none."""
    def __init__(self):
        super().__init__(self.note)
        self.pids = set()

    def note(self, request):
        self.pids |= {int(sample.labels["pid"]) for sample in request.samples}
        return TAKEN

    def take(self, request):
        with self.changed:
            self.changed.notify_all()
            return self.answer(request)


@contextlib.contextmanager
def running(name, folder, *arguments):
    """One of our commands, until `with` ends, and the file of its messages."""
    messages = folder / f"{name}.log"
    with open(messages, "wb") as log, subprocess.Popen([paths.BUILD / name, *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                                       env={**os.environ, "HEAPPROF_STATE_DIR": str(folder)}) as process:
        try:
            yield process, messages
        finally:
            process.terminate()


def port_of(process, messages):
    end = time.monotonic() + MANY_S
    while not (found := re.search(r"serving http://.*:(\d+)/\n", messages.read_text())):
        if process.poll() is not None or time.monotonic() > end:
            raise measuring.Failed(f"heapprof serve: {messages.read_text()}")
        time.sleep(0.01)
    return int(found[1])


def ask(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=MANY_S) as answer:
        return answer.read().decode()


def cpu_s(pid):
    """Of a process, of those that it has waited for, and of its children."""
    def ticks(number):
        fields = pathlib.Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15]))
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return sum(map(ticks, (pid, *children))) / os.sysconf("SC_CLK_TCK")


def find_newcomers(fleet, port):
    """Seconds from the start of one more process until it is in the list."""
    waits = []
    for _ in range(NEWCOMERS):
        started, pid = fleet.add(1)
        while f'href="{pid}/"' not in ask(port, "/"):
            if time.monotonic() - started > MANY_S:
                raise measuring.Failed(f"process {pid} is not found")
            time.sleep(LOOK_S)
        waits.append(time.monotonic() - started)
    return waits


def measure_window(port, server, pusher):
    """Per cent of a core, of each command, while somebody scrapes."""
    before, begin = [cpu_s(process.pid) for process in (server, pusher)], time.monotonic()
    for scrape in range(WINDOW_S // SCRAPE_S):
        ask(port, "/metrics")
        time.sleep(max(0, begin + (scrape + 1) * SCRAPE_S - time.monotonic()))
    length_s = time.monotonic() - begin
    return [100 * (cpu_s(process.pid) - then) / length_s for process, then in zip((server, pusher), before)]


def measure_fleet(bench, count):
    folder = bench.folder()
    with Fleet(bench, folder) as fleet, Pushed() as receiver:
        fleet.add(count)
        name = pathlib.Path(fleet.program).name
        with running("heapprof-serve", folder, "--listen", "127.0.0.1:0", name) as (server, messages), \
                running("heapprof-push", folder, "--to", receiver.url, "--queue", folder / "queue", name) as (pusher, _):
            port = port_of(server, messages)
            receiver.wait_for(lambda: len(receiver.pids) >= count, f"all of {count} are pushed", MANY_S)
            serve, push = measure_window(port, server, pusher)
            waits = find_newcomers(fleet, port)
    return {"count": count, "serve_percent": serve, "push_percent": push, "found_s": measuring.summary(waits), "found_most_s": max(waits)}


def measure(bench):
    for program in ("heapprof-serve", "heapprof-push"):
        if not (paths.BUILD / program).exists():
            return {"missing": f"{program} is not built"}
    rows = []
    for count in COUNTS:
        bench.say(f"{NAME}: {count:,} processes")
        rows.append(measure_fleet(bench, count))
    return {"rows": rows}


# What is written.

def together(row):
    return row["serve_percent"] + row["push_percent"]


def table(rows):
    return pages.table(["processes", "serve, % of a core", "push, % of a core", "together", "one more is listed after, s", "at most"],
                       [[f"{row['count']:,}", pages.number(row["serve_percent"], 2), pages.number(row["push_percent"], 2),
                         pages.number(together(row), 2), pages.spread(row["found_s"], 2), pages.number(row["found_most_s"], 2)] for row in rows])


def goals(rows):
    cost = next((together(row) for row in rows if row["count"] == CPU_GOAL_COUNT), None)
    return (pages.goal(f"serve and push at {CPU_GOAL_COUNT} processes, % of a core", cost, CPU_GOAL_PERCENT, "", 2) +
            pages.goal("a process is listed after its start, at most", max(row["found_most_s"] for row in rows), FOUND_GOAL_S, "s", 2))


def page(results):
    if "missing" in results:
        return f"Not measured with many processes: {results['missing']}.\n"
    return f"""Many small processes at once, each with 64 stacks of which 8 change every second. `heapprof serve` and `heapprof push` run beside
them as they do if nothing is said: serve remembers what all have in use (every 10 s, less often where that is dear), push sends every
profile each 15 s, and /metrics is asked for every 15 s. CPU time is that of both with all their processes, over {WINDOW_S} s, after the first
round; then one more process is started, again and again, until the list of serve has it:

{table(results["rows"])}
{pages.plot("fleet", "CPU time of serve and push, against processes")}
{goals(results["rows"])}"""


def plots(results, folder):
    if "missing" in results:
        return
    with plot.figure(folder / "fleet.svg") as axes:
        series = {"serve and push": together, "push": lambda row: row["push_percent"], "serve": lambda row: row["serve_percent"]}
        plot.lines(axes, {name: [(row["count"], value(row)) for row in results["rows"]] for name, value in series.items()}, "processes", "% of a core",
                   log_x=True)
