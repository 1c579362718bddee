# SPDX-License-Identifier: MIT
"""heapprof serve under load: all kinds of clients at once, and neither its memory nor its descriptors nor the target's time are theirs.
HEAPPROF_TORTURE=1: for a minute."""
import concurrent.futures
import os
import pathlib
import random
import re
import socket
import subprocess
import threading

from harness import tools
from harness.case import slow, timeout
from harness.server import Server, need_server
from harness.states import StateCase, wait_until
from hazards.toolbox import amount

SECONDS = amount(5, 60)
MEMORY_BYTES_MAX = 64 << 20
GARBAGE = 10000


def ticks_of(pid):
    """Of processor time, its own and the kernel's."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def memory_of(pid):
    """Its share of memory, and what its nameless files hold."""
    try:
        shares = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
        held = sum(os.stat(f"/proc/{pid}/fd/{fd}").st_size for fd in os.listdir(f"/proc/{pid}/fd")
                   if os.readlink(f"/proc/{pid}/fd/{fd}").startswith("/memfd:"))
    except (FileNotFoundError, ProcessLookupError):
        return 0
    found = re.search(r"(?m)^Pss: +(\d+) kB$", shares)  # one that is just ending has none
    return (int(found[1]) * 1024 if found else 0) + held


class Memory:
    """The most that a server and its workers take together, while this runs."""
    def __init__(self, server):
        self.server, self.most, self.is_over = server, 0, threading.Event()
        self.thread = threading.Thread(target=self.watch)

    def watch(self):
        while not self.is_over.wait(0.05):
            self.most = max(self.most, sum(memory_of(pid) for pid in [self.server.pid, *self.server.workers()]))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        self.thread.join()


def garbage(generator):
    """A request, or what is left of one."""
    request = bytearray(generator.choice((b"GET /debug/pprof/heap?seconds=1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
                                          b"POST /debug/pprof/symbol HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n0x1+0x2+3",
                                          b"HEAD /%31/debug/pprof/allocs?debug=1&client=%00 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
                                          b"GET /metrics HTTP/1.1\r\nHost: [::1]\r\nAuthorization: Basic AAAA\r\n\r\n")))
    for _ in range(generator.randrange(6)):
        at = generator.randrange(len(request))
        what = generator.randrange(4)
        if what == 0:
            request[at] = generator.randrange(256)
        elif what == 1:
            del request[at:at + generator.randrange(20)]
        elif what == 2:
            request[at:at] = bytes(generator.randrange(256) for _ in range(generator.randrange(40)))
        else:
            request[at:at] = request[:generator.randrange(len(request))]
        if not request:
            break
    return bytes(request)


class Load(StateCase):
    def setUp(self):
        super().setUp()
        need_server()
        tools.need("wrk")

    def send_garbage(self, server, number):
        generator = random.Random(number)
        for _ in range(GARBAGE // 10):
            with server.connect() as connection:
                try:
                    connection.sendall(garbage(generator))
                    if generator.randrange(2):
                        connection.shutdown(socket.SHUT_WR)
                except OSError:  # it has had enough
                    pass

    def read_slowly(self, server):
        """Asks again and again on one connection, and reads nothing: the server gets rid of what it can, and of no more."""
        with server.connect() as connection:
            try:
                connection.settimeout(SECONDS)
                for _ in range(10000):
                    connection.sendall(b"GET /debug/pprof/heap?debug=1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
            except OSError:
                pass

    def cut(self, server):
        for size in range(1, 200):
            with server.connect() as connection:
                connection.sendall(b"GET /debug/pprof/heap HTTP/1.1\r\nHost: localhost\r\n\r\n"[:size])

    def press(self, server):
        """All kinds at once; what those that ask for a difference got."""
        url = f"http://127.0.0.1:{server.port}/debug/pprof/"
        with concurrent.futures.ThreadPoolExecutor(40) as threads:
            deltas = [threads.submit(server.get, "/debug/pprof/heap?seconds=5") for _ in range(16)]
            others = [threads.submit(self.send_garbage, server, number) for number in range(10)]
            others += [threads.submit(self.read_slowly, server) for _ in range(8)]
            others += [threads.submit(self.cut, server)]
            done = subprocess.run(["wrk", "-t", "2", "-c", "64", "-d", f"{SECONDS}s", "--timeout", "100s", url], capture_output=True, text=True)
            for other in others:
                other.result()
            return done.stdout, [delta.result() for delta in deltas]

    @slow
    @timeout(600 + SECONDS)
    def test_all_at_once(self):
        with self.holder() as program, Server(self, program.pid) as server:
            server.profile("/debug/pprof/heap")
            descriptors, ticks = server.descriptors(), ticks_of(program.pid)
            with Memory(server) as memory:
                shown, deltas = self.press(server)
            self.assertEqual([answer.status for answer in deltas], [200] * 16)
            self.assertNotIn("Non-2xx", shown)
            self.assertNotIn("Socket errors", shown)
            self.assertLess(memory.most, MEMORY_BYTES_MAX)
            self.assertEqual(ticks_of(program.pid), ticks, "the target has worked for it")
            wait_until(lambda: server.descriptors() <= descriptors, "all connections are closed")
            self.figure(most_kib=memory.most >> 10, per_second=re.search(r"Requests/sec: +(\S+)", shown)[1])
            self.assertEqual(server.profile("/debug/pprof/heap").comment_values()["pid"], program.pid)
            self.assertEqual(server.end(), 0)
