# SPDX-License-Identifier: MIT
"""What the page of a process asks heapprof serve for, and the list of all. tests/browser looks at them."""
import contextlib
import json
import os
import re
import signal

from cli.test_report import Report, make_variable
from cli.test_serve import ServeCase
from harness import paths, pprof_reader
from harness.case import cases
from harness.server import Server
from harness.states import wait_until
from hazards.toolbox import compile

KINDS = ("alloc_objects", "alloc_space", "inuse_objects", "inuse_space")


class PageCase(ServeCase):
    def grower(self, **options):
        """A program that keeps memory where it is told to."""
        program = self.start([compile(paths.TESTS / "cli/grows.c", "-fno-optimize-sibling-calls", "-fno-ipa-icf")],
                             **{"sample": 1, **options})
        program.read_until("ready")
        return program

    @staticmethod
    def keep(program, what, size, times=1):
        for _ in range(times):
            program.say(f"{what} {size}")
            program.read_until("done")

    def json_of(self, server, path):
        answer = server.get(path)
        self.assertEqual((answer.status, answer.headers["content-type"]), (200, "application/json"), answer.body)
        return json.loads(answer.text)

    def timeline(self, server, program):
        return self.json_of(server, f"/{program.pid}/live/timeline")

    @staticmethod
    def owned(timeline, name, point=-1):
        """What it held at a point; 0: it is not among the owners."""
        return next((owner["values"][point] for owner in timeline["owners"] if owner["name"] == name), 0)

    def when_remembered(self, server, program, what, size):
        """The timeline, when its last point has that."""
        def look():
            timeline = self.timeline(server, program)
            return timeline if timeline["times"] and self.owned(timeline, f"keep_{what}") == size else None
        return wait_until(look, f"{what} are remembered")

    def need_page(self):
        if make_variable("have_report") != "yes":
            self.skipTest("built --without-report")


class Page(PageCase):
    def test_what_it_shows_is_the_profile(self):
        """As `heapprof report` has it, of the same moment."""
        with self.holder("work", "peak") as program, Server(self, program.pid) as server:
            self.stop(program)
            heap = self.json_of(server, f"/{program.pid}/live/heap")
            profile = server.profile("/debug/pprof/heap")
            by_name = self.json_of(server, "/holds/live/heap")
        self.assertEqual([kind["name"] for kind in heap["types"]], [*KINDS, "peak_objects", "peak_space"])
        for kind in KINDS:
            found = {stack: value for stack, value in Report.stacks(heap, "value", kind).items() if value}
            self.assertEqual(sum(found.values()), profile.total(kind))
            self.assertTrue(any("victim_news" in stack for stack in found))
        self.assertEqual((heap["shown"], heap["by"]), ("inuse_space", "owner"))
        self.assertEqual(by_name["types"], heap["types"])

    def test_the_page_itself(self):
        self.need_page()
        with self.holder() as program, Server(self, program.pid) as server:
            for path in (f"/{program.pid}/", "/holds/"):
                answer = server.get(path)
                self.assertEqual((answer.status, answer.headers["content-type"]), (200, "text/html; charset=utf-8"))
                self.assertEqual(answer.headers["content-security-policy"], "frame-ancestors 'none'")
                policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', answer.text)[1]
                self.assertRegex(policy, r"\Adefault-src 'none'; script-src 'sha256-[^']*'; style-src 'sha256-[^']*'; img-src data:; "
                                         r"connect-src 'self'; base-uri 'none'; form-action 'none'\Z")
                self.assertIn(f'id="profile">{{"pid":{program.pid}}}</script>', answer.text)
                self.assertNotRegex(answer.text, r"<(script|link|img|iframe|object|embed)[^>]*\s(src|href)=\"(?!data:)")

    @cases("/", "/live/heap", "/live/timeline", "/live/change?from=0&to=1")
    def test_of_no_process(self, rest):
        if rest == "/":
            self.need_page()
        with Server(self, "nobody", history=1) as server:
            answer = server.get(f"/nobody{rest}")
        self.assertEqual(answer.status, 404)
        self.assertEqual(answer.headers["x-go-pprof"], "1")

    @cases("", "?from=1", "?to=1", "?from=x&to=1", "?from=-1&to=1", "?from=1&to=99999999999999999999")
    def test_no_times(self, query):
        with self.holder() as program, Server(self, program.pid, history=1) as server:
            answer = server.get(f"/{program.pid}/live/change{query}")
        self.assertEqual((answer.status, answer.text), (400, "from and to must be times, in milliseconds since 1970\n"))


class Timeline(PageCase):
    def test_what_is_remembered(self):
        with self.grower() as program, Server(self, program.pid, history=1) as server:
            self.keep(program, "words", 1 << 20)
            self.when_remembered(server, program, "words", 1 << 20)
            self.keep(program, "pictures", 2 << 20)
            timeline = self.when_remembered(server, program, "pictures", 2 << 20)
            profile = server.profile("/debug/pprof/heap")
        self.assertEqual(timeline["interval_s"], 1)
        times = timeline["times"]
        self.assertEqual(times, sorted(set(times)))
        self.assertEqual({len(timeline[column]) for column in ("in_use", "resident", "allocated", "is_known")}, {len(times)})
        self.assertEqual(timeline["in_use"][-1], profile.total("inuse_space"))
        self.assertEqual(timeline["allocated"][-1], profile.total("alloc_space"))
        self.assertGreater(timeline["resident"][-1], 3 << 20)
        self.assertEqual(self.owned(timeline, "keep_words"), 1 << 20)
        self.assertEqual([owner["name"] for owner in timeline["owners"]][:2], ["keep_pictures", "keep_words"])
        for point, is_known in enumerate(timeline["is_known"]):
            values = [owner["values"][point] for owner in timeline["owners"]]
            if is_known:
                self.assertEqual(sum(values), timeline["in_use"][point])
            else:
                self.assertEqual(set(values), {None})

    def test_what_changed(self):
        """Between two moments; what is the same in both has not changed."""
        with self.grower() as program, Server(self, program.pid, history=1) as server:
            self.keep(program, "words", 1 << 20)
            before = self.when_remembered(server, program, "words", 1 << 20)["times"][-1]
            self.keep(program, "pictures", 1 << 20, times=3)
            self.keep(program, "index", 1 << 19)
            after = self.when_remembered(server, program, "index", 1 << 19)["times"][-1]
            for start, end in ((before, after), (after, before)):
                change = self.json_of(server, f"/{program.pid}/live/change?from={start}&to={end}")
                self.assertEqual([one["time_ms"] // 1 for one in change["profiles"]], [after, before])
                owned = [Report.stacks(change, column, "inuse_space", by="owner") for column in ("value", "base")]
                grown = {stack[0]: value - owned[1].get(stack, 0) for stack, value in owned[0].items()}
                self.assertEqual({name: size for name, size in grown.items() if size},
                                 {"keep_pictures": 3 << 20, "keep_index": 1 << 19})
            nothing = self.json_of(server, f"/{program.pid}/live/change?from=0&to=1")
            self.assertEqual(len(nothing["profiles"]), 2, "the nearest there are")

    def test_how_certain_a_change_is(self):
        """As diff has it, of two profiles of the same moments."""
        with self.grower(sample=4096, seed=1) as program, Server(self, program.pid, history=1) as server:
            self.keep(program, "words", 3000, times=1000)
            old = self.out_dir / "old.pb.gz"
            old.write_bytes(server.get("/debug/pprof/heap").body)
            before = self.last_of(server, program, old)
            self.keep(program, "words", 3000, times=300)
            new = self.out_dir / "new.pb.gz"
            new.write_bytes(server.get("/debug/pprof/heap").body)
            after = self.last_of(server, program, new)
            change = self.json_of(server, f"/{program.pid}/live/change?from={before}&to={after}")
        stacks = Report.stacks(change, "change_variance", "inuse_space", by="owner")
        variance = sum(value for stack, value in stacks.items() if stack[0] == "keep_words")
        rows = json.loads(self.tool("diff", "--json", old, new).stdout)["rows"]
        row, = (row for row in rows if row["function"] == "keep_words")
        self.assertGreater(variance, 0)
        self.assertAlmostEqual(1.959964 * variance ** 0.5 / row["flat_error"], 1, delta=1e-3)

    def last_of(self, server, program, path):
        """The time of a point that has what the profile has."""
        total = pprof_reader.load(path).total("alloc_space")

        def look():
            timeline = self.timeline(server, program)
            return timeline["times"][-1] if timeline["allocated"][-1:] == [total] else None
        return wait_until(look, "the moment is remembered")

    def test_nothing_is_remembered(self):
        """With --history 0, and of a process that came just now."""
        with self.holder() as program, Server(self, program.pid) as server:
            timeline = self.timeline(server, program)
            self.assertEqual((timeline["interval_s"], timeline["times"], timeline["owners"]), (0, [], []))
            workers = server.workers()
            answer = server.get(f"/{program.pid}/live/change?from=0&to=1")
            self.assertEqual((answer.status, answer.text), (404, "no two moments of it are remembered\n"))
            self.assertEqual(server.workers(), workers)

    def test_who_has_ended_is_no_more(self):
        with self.grower() as program, Server(self, program.pid, history=1) as server:
            self.keep(program, "words", 1 << 20)
            self.when_remembered(server, program, "words", 1 << 20)
            program.end()
            for path in ("live/timeline", "live/heap"):
                self.assertEqual(server.get(f"/{program.pid}/{path}").status, 404, path)

    def test_a_worker_that_dies_over_it(self):
        """The hour is the server's: a worker's end does not cost it."""
        with self.grower() as program, Server(self, program.pid, history=1) as server:
            self.keep(program, "words", 1 << 20)
            first = self.when_remembered(server, program, "words", 1 << 20)["times"]
            for worker in server.workers():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(worker, signal.SIGKILL)
            self.keep(program, "pictures", 1 << 20)
            self.assertEqual(self.when_remembered(server, program, "pictures", 1 << 20)["times"][:len(first)], first)

    @cases("-1", "601", "x")
    def test_no_time_to_wait(self, seconds):
        self.check_one_line(self.tool("serve", "--history", seconds, expect=2), seconds, "from 0 to 600")


class List(PageCase):
    def test_pictures_of_the_hour(self):
        with self.grower() as program, Server(self, program.pid, history=1) as server:
            self.keep(program, "words", 1 << 20)
            row = wait_until(lambda: re.search(rf'<a href="{program.pid}/">.*<svg .*', server.get("/").text), "it has a picture")[0]
        self.assertRegex(row, r'aria-label="from [\d.]+[kM]?B to [\d.]+[kM]?B"><polyline points="(?:\d+\.\d,\d+\.\d )+"/></svg>')

    def test_policy(self):
        with Server(self) as server:
            answer = server.get("/")
        self.assertEqual(answer.headers["content-security-policy"], "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
        self.assertNotIn("<script", answer.text)
