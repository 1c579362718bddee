# SPDX-License-Identifier: MIT
"""heapprof serve beside a server of Go: forty requests to both, and Go's and Google's clients against ours."""
import http.client
import os
import re
import socket
import subprocess
import urllib.request

from harness import paths, pprof_reader, tools
from harness.case import cases, timeout
from harness.server import Answer, Server, need_server
from harness.states import StateCase, wait_until

SYMBOL = "the address of a function of each"
# (method, path, body)
REQUESTS = [
    ("GET", "/debug/pprof"),
    ("GET", "/debug/pprof?debug=1"),
    ("HEAD", "/debug/pprof"),
    ("POST", "/debug/pprof"),
    ("GET", "/debug/pprof/"),
    ("HEAD", "/debug/pprof/"),
    ("GET", "//debug/pprof/heap"),
    ("GET", "/debug/x/../pprof/heap?gc=1"),
    ("GET", "/debug/pprof/heap"),
    ("HEAD", "/debug/pprof/heap"),
    ("POST", "/debug/pprof/heap"),
    ("GET", "/debug/pprof/heap?gc=1"),
    ("GET", "/debug/pprof/heap?gc=x&debug=0"),
    ("GET", "/debug/pprof/heap?debug=1"),
    ("HEAD", "/debug/pprof/heap?debug=1"),
    ("GET", "/debug/pprof/heap?debug=2"),
    ("GET", "/debug/pprof/heap?debug=-1"),
    ("GET", "/debug/pprof/heap?debug=x"),
    ("GET", "/debug/pprof/heap?debug=%31"),
    ("GET", "/debug/pprof/heap?debug=+1"),
    ("GET", "/debug/pprof/heap?debug=1;x"),
    ("GET", "/debug/pprof/heap?debug=99999999999999999999"),
    ("GET", "/debug/pprof/heap?debug=0&debug=1"),
    ("GET", "/debug/pprof/heap?debug=99"),
    ("GET", "/debug/pprof/heap?seconds=1&seconds=2"),
    ("POST", "/debug/pprof/"),
    ("POST", "/debug/pprof/cmdline"),
    ("POST", "/debug/pprof/nonsense"),
    ("POST", "/nonsense/at/all"),
    ("GET", "/debug/pprof/allocs"),
    ("HEAD", "/debug/pprof/allocs"),
    ("GET", "/debug/pprof/allocs?debug=1"),
    ("GET", "/debug/pprof/heap?seconds=1"),
    ("GET", "/debug/pprof/allocs?seconds=1"),
    ("GET", "/debug/pprof/heap?seconds=0"),
    ("GET", "/debug/pprof/heap?seconds=-1"),
    ("GET", "/debug/pprof/heap?seconds=1.5"),
    ("GET", "/debug/pprof/heap?seconds="),
    ("GET", "/debug/pprof/heap?seconds=x&debug=1"),
    ("GET", "/debug/pprof/heap?seconds=1&debug=1"),
    ("HEAD", "/debug/pprof/heap?seconds=x"),
    ("GET", "/debug/pprof/cmdline"),
    ("HEAD", "/debug/pprof/cmdline"),
    ("GET", "/debug/pprof/symbol"),
    ("GET", f"/debug/pprof/symbol?{SYMBOL}"),
    ("POST", "/debug/pprof/symbol", SYMBOL),
    ("GET", "/debug/pprof/symbol?0+x+0x1"),
    ("GET", "/debug/pprof/nonsense"),
    ("GET", "/debug/pprof/nonsense?debug=1"),
    ("GET", "/debug/pprof/heap/"),
    ("GET", "/debug/pprofx"),
    ("GET", "/debug"),
    ("GET", "/nonsense/at/all"),
]
# Those of a message, not of what is answered; and the length, which Go leaves out where it is long.
OF_TRANSPORT = {"date", "connection", "transfer-encoding", "content-length"}


def ask(port, method, path, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=200)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    finally:
        connection.close()


class BothCase(StateCase):
    def setUp(self):
        super().setUp()
        need_server()
        tools.need("go")


class BesideGo(BothCase):
    def setUp(self):
        super().setUp()
        program = self.dir / "endpoint"
        subprocess.run(["go", "build", "-o", program, paths.TESTS / "cli/endpoint.go"], env=tools.environment(), check=True, cwd=self.dir)
        self.go = self.start([program], preload=False)
        self.addCleanup(self.go.__exit__)
        self.go_port = int(re.fullmatch(r"serving (\d+)\n", self.go.process.stdout.readline())[1])
        self.program = self.holder()
        self.addCleanup(self.program.__exit__)
        self.server = Server(self, self.program.pid).__enter__()
        self.addCleanup(self.server.__exit__)

    def function_of(self, port, name):
        profile = ask(port, "GET", "/debug/pprof/heap").profile
        return next(f"0x{location.address:x}" for location in profile.locations if location.functions[-1].name == name)

    def kind_of(self, answer):
        """What may be compared of a body: all of a message, of what tells of a program its form."""
        kind = answer.headers.get("content-type", "")
        if answer.body and kind == "application/octet-stream":
            profile = answer.profile
            is_whole = all(location.functions for location in profile.locations)
            # Go forgets in a difference what allocs is shown by; ours keeps it.
            default = "" if profile.duration_nanos else profile.default_sample_type
            return profile.sample_types, default, profile.period_type, is_whole, profile.duration_nanos > 10**9
        text = answer.body.decode()
        if found := re.match(r"heap profile: \d+: \d+ \[\d+: \d+\] @ heap/\d+\n", text):
            rows = re.findall(r"(?m)^\d+: \d+ \[\d+: \d+\] @(?: 0x[0-9a-f]+)+$", text)
            names = re.findall(r"(?m)^#\t0x[0-9a-f]+\t+\S.*\+0x[0-9a-f]+\t+\S.*:\d+$", text)
            return "text", bool(found and rows and names)
        if "<html" in text.lower():
            return "html", "/debug/pprof/" in text and "heap?debug=1" in text
        if "\0" in text or text.startswith("/"):
            return "arguments"
        return re.sub(r"(?m)^0x[0-9a-f]+ (main\.hold|victim_news)$", "0x1 function", text)

    def test_forty_requests(self):
        self.assertGreaterEqual(len(REQUESTS), 40)
        symbols = {port: self.function_of(port, name) for port, name in ((self.go_port, "main.hold"), (self.server.port, "victim_news"))}
        for request in REQUESTS:
            theirs, ours = (ask(port, *(part.replace(SYMBOL, symbols[port]) for part in request))
                            for port in (self.go_port, self.server.port))
            self.assertEqual(ours.status, theirs.status, request)
            headers = [{name: value for name, value in answer.headers.items() if name not in OF_TRANSPORT} for answer in (ours, theirs)]
            self.assertEqual(headers[0], headers[1], request)
            self.assertEqual(self.kind_of(ours), self.kind_of(theirs), request)

    def test_where_they_differ(self):
        """What the manual says of it: no other profiles, no methods that would change something, and a list at /."""
        for method, path, theirs, ours in (("GET", "/debug/pprof/goroutine", 200, 404), ("GET", "/debug/pprof/mutex", 200, 404),
                                           ("GET", "/", 404, 200), ("DELETE", "/debug/pprof/heap", 200, 405),
                                           ("GET", "/debug/pprof/heap?seconds=3601", None, 400)):
            self.assertEqual(ask(self.server.port, method, path).status, ours, path)
            if theirs:
                self.assertEqual(ask(self.go_port, method, path).status, theirs, path)


class Clients(BothCase):
    """Against redis under redis-benchmark."""
    FUNCTION = "Command"  # a part of the name of one that the profile has

    def setUp(self):
        super().setUp()
        self.server = Server(self, self.start_program()).__enter__()
        self.addCleanup(self.server.__exit__)
        self.url = f"http://127.0.0.1:{self.server.port}/debug/pprof/heap"
        wait_until(lambda: self.server.profile("/debug/pprof/heap").total("inuse_space") > 1 << 20, "it holds something")

    def start_program(self):
        """Under load; its pid."""
        tools.need("redis-server", "redis-benchmark")
        address = self.dir / "redis"
        # One name for no other test's process.
        program = self.dir / "redis-of-this-test"
        program.symlink_to("/usr/bin/redis-server")
        redis = self.start([program, "--port", "0", "--unixsocket", address, "--save", "", "--dir", self.dir], sample=65536)
        self.addCleanup(redis.__exit__)
        wait_until(lambda: self.is_answered(address), "redis listens")
        self.load = subprocess.Popen(["redis-benchmark", "-s", address, "-t", "set,lpush", "-n", "100000000", "-r", "100000", "-d", "100",
                                      "-c", "8"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(self.end_load)
        return redis.pid

    @staticmethod
    def is_answered(address):
        with socket.socket(socket.AF_UNIX) as client:
            return client.connect_ex(str(address)) == 0

    def end_load(self):
        self.load.kill()
        self.load.wait()

    @cases(*tools.PPROFS)
    @timeout(200)
    def test_top(self, which):
        rows = tools.pprof_top(which, self.url, "inuse_space")
        self.assertGreater(sum(flat for flat, _ in rows.values()), 1 << 20)
        self.assertTrue(any(self.FUNCTION in name for name in rows), rows)

    @cases(*tools.PPROFS)
    @timeout(200)
    def test_seconds(self, which):
        """Of one second, of a program that allocates all the time; as often as it takes: a second may pass without a sample."""
        def delta():
            return sum(flat for flat, _ in tools.pprof_top(which, self.url, "alloc_space", "-seconds=1").values())
        self.assertGreater(wait_until(delta, "something is allocated within a second"), 0)

    @cases(*tools.PPROFS)
    @timeout(200)
    def test_difference(self, which):
        base = self.dir / "base.pb.gz"
        base.write_bytes(self.server.get("/debug/pprof/heap").body)
        before = pprof_reader.load(base)
        wait_until(lambda: self.server.profile("/debug/pprof/heap").total("alloc_space") > before.total("alloc_space"), "it allocates")
        rows = tools.pprof_top(which, self.url, "alloc_space", f"-diff_base={base}")
        self.assertGreater(sum(flat for flat, _ in rows.values()), 0)

    @cases(*tools.PPROFS)
    @timeout(200)
    def test_page(self, which):
        """pprof -http fetches from us, and shows it."""
        port = self.held_port()
        command = ["go", "tool", "pprof"] if which == "go" else [tools.google_pprof()]
        with subprocess.Popen([*command, "-no_browser", f"-http=127.0.0.1:{port}", self.url], env=tools.environment(),
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, process_group=0) as pprof:
            try:
                page = wait_until(lambda: self.page(port), "it shows a page")
            finally:
                os.killpg(pprof.pid, 9)
        self.assertIn("inuse_space", page)

    @staticmethod
    def page(port):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/ui/top", timeout=100) as answer:
                return answer.read().decode()
        except OSError:
            return ""
