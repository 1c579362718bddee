# SPDX-License-Identifier: MIT
"""A heapprof serve that runs, and what is asked of it."""
import dataclasses
import http.client
import os
import re
import socket
import time
import unittest

from . import lint, paths, pprof_reader
from .background import Background

SERVER = paths.BUILD / "heapprof-serve"


def need_server():
    if not SERVER.exists():
        raise unittest.SkipTest("built --without-serve")


@dataclasses.dataclass
class Answer:
    status: int
    headers: dict  # by lower-case name
    body: bytes

    @property
    def text(self):
        return self.body.decode()

    @property
    def profile(self):
        return pprof_reader.Profile(pprof_reader.gunzip_one_member(self.body))


class Server(Background):
    # What our files have, and Go's heap does not.
    LIKE_GO = ("default_sample_type is ''", "default_sample_type is 'alloc_space'")

    """with Server(case, "--listen", ..., pid) as server: server.get("/debug/pprof/heap"). It remembers nothing, unless that is asked for: so it
    does nothing but what a test asks it to. history None: the option is not given, as for a recording."""
    def __init__(self, case, *arguments, listen="127.0.0.1:0", history=0, program=None, cwd=None, popen=None, **variables):
        need_server()
        remembers = [] if history is None else ["--history", history]
        super().__init__(case, [program or paths.TOOL, "serve", "--listen", listen, *remembers, *arguments], cwd=cwd or case.dir,
                         env=case.tool_environment(**variables), **(popen or {}))
        self.port = self.path = None

    def __enter__(self):
        end = time.monotonic() + 100
        while not (found := re.search(r"serving (?:unix:(\S+)|http://.*:(\d+)/)\n", self.messages())):
            if self.process.poll() is not None or time.monotonic() > end:
                self.__exit__()
                self.case.fail(f"the server does not serve: {self.messages()}")
            time.sleep(0.01)
        self.path, self.port = found[1], found[2] and int(found[2])
        return self

    def connect(self):
        """A plain socket."""
        if self.path:
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(self.path)
        else:
            connection = socket.create_connection(("127.0.0.1", self.port))
        connection.settimeout(200)
        return connection

    def request(self, method, path, body=None, **headers):
        """Names of headers with _ for -."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=200)
        connection.sock = self.connect()
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            return self.answer(connection)
        finally:
            connection.close()

    def ask(self, path):
        """Asks, and when it returns the server is at it. answer() of what is returned waits for it."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=200)
        connection.sock = self.connect()
        connection.request("GET", path)
        for _ in range(2):  # what came first has been read when a later request is answered, and surely when one more is
            self.get("/healthz")
        return connection

    @staticmethod
    def answer(connection):
        answer = connection.getresponse()
        answer = Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        connection.close()
        return answer

    def get(self, path, **headers):
        return self.request("GET", path, **headers)

    def profile(self, path):
        answer = self.get(path)
        self.case.assertEqual(answer.status, 200, answer.body)
        profile = answer.profile
        self.case.assertEqual([line for line in lint.lint(profile) if line not in self.LIKE_GO], [])
        return profile

    def workers(self):
        """Their process ids."""
        return self.children()

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))
