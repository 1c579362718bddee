# SPDX-License-Identifier: MIT
"""heapprof serve of a recording: what is answered of its moments, and that what is recorded meanwhile is seen."""
import json
import os
import signal
import subprocess

from cli.test_record import RecordCase
from cli.test_report import Report, make_variable
from harness import paths
from harness.case import cases
from harness.server import Server
from harness.states import wait_until


class RecordedCase(RecordCase):
    def recorded(self, *orders):
        """The program, recorded before and after each order."""
        program = self.holder("work")
        self.addCleanup(program.__exit__)
        self.record(program.pid)
        for order in orders:
            program.say(order)
            program.read_until("done")
            self.record(program.pid)
        return program

    def serve(self):
        server = Server(self, self.path, history=None).__enter__()
        self.addCleanup(server.__exit__)
        return server

    def serve_recorded(self, *orders):
        program = self.recorded(*orders)
        return program, self.serve()

    def json_of(self, server, path):
        answer = server.get(path)
        self.assertEqual((answer.status, answer.headers["content-type"]), (200, "application/json"), answer.body)
        return json.loads(answer.text)

    def times(self):
        return [time // 1000000 for time, in self.sql("SELECT time_ns FROM moment ORDER BY time_ns")]

    def spread(self):
        """The moments, which are one chain, as if each came ten minutes after the one before; their times."""
        times = [time for time, in self.sql("SELECT time_ns FROM moment ORDER BY time_ns")]
        made = [times[-1] - 600000000000 * i for i in reversed(range(len(times)))]
        self.sql(*(f"UPDATE moment SET time_ns = {to}, chain_ns = {made[0]} WHERE time_ns = {time}" for time, to in zip(times, made)))
        return self.times()


class Profiles(RecordedCase):
    def test_moments(self):
        """Of each the profile that heapprof recording writes, in Go's types."""
        program, server = self.serve_recorded("peak", "work")
        for time, query in (("last", ""), ("first", "?at=first"), ("largest", "?at=largest"), ("last", f"?at=unix:{self.times()[2] // 1000}")):
            moment = self.moment("--at", time)
            for start in ("", f"/{program.pid}", "/holds", "/id:1"):
                profile = server.profile(f"{start}/debug/pprof/heap{query}")
                self.assertEqual(profile.sample_types, moment.sample_types[:4])
                for kind in ("alloc_space", "inuse_space"):
                    self.assertEqual(profile.total(kind), moment.total(kind), (time, kind))
                self.assertEqual(profile.time_nanos, moment.time_nanos)
        self.assertNotEqual(self.moment("--at", "first").total("alloc_space"), self.moment().total("alloc_space"))
        self.assertEqual(server.profile("/debug/pprof/peak").time_nanos, self.moment("--at", "largest").time_nanos)
        self.assertEqual(server.profile("/debug/pprof/allocs").default_sample_type, "alloc_space")
        self.assertIn("victim_news", server.get("/debug/pprof/heap?debug=1").text)
        self.assertIn("holds", server.get("/debug/pprof/cmdline").text)
        self.assertIn("heap?at=first", server.get(f"/{program.pid}/debug/pprof/").text)

    def test_what_is_not_there(self):
        program, server = self.serve_recorded()
        for path, status, words in (
                ("/debug/pprof/heap?at=yesterday", 404, "'yesterday'"),
                ("/debug/pprof/heap?at=1999-01-01+10:00", 404, "its moments are from"),
                ("/debug/pprof/heap?at=" + "1" * 100, 400, "that long"),
                (f"/{program.pid + 1}/debug/pprof/heap", 404, "no process"), ("/id:2/debug/pprof/heap", 404, "no process"),
                ("/other/", 404, "no process 'other'"), ("/other/live/timeline", 404, "no process 'other'"),
                ("/debug/pprof/heap?seconds=1", 400, "no seconds pass"), ("/debug/pprof/delta_heap", 404, "not of a recording"),
                ("/debug/pprof/symbol?0x1", 404, "not of a recording"), ("/metrics", 404, "not of a recording"),
                ("/debug/pprof/goroutine", 404, "Unknown profile"), ("/id:1/live/heap?at=x", 400, "milliseconds"),
                ("/id:1/live/timeline?after=x", 400, "milliseconds"), ("/id:1/live/change?from=1", 400, "milliseconds")):
            if path == "/other/" and make_variable("have_report") != "yes":
                continue
            answer = server.get(path)
            self.assertEqual(answer.status, status, path)
            self.assertIn(words, answer.text, path)
        self.assertEqual(server.get("/healthz").text, "ok\n")
        self.path.unlink()
        answer = server.get("/debug/pprof/heap")
        self.assertEqual(answer.status, 500)
        self.assertIn("No such file", answer.text)

    def test_list(self):
        """All processes, and what was kept; each leads to its page, also where a number was used twice."""
        program = self.holder("work")
        self.addCleanup(program.__exit__)
        for _ in range(2):
            self.record("--at", "inuse>1K", program.pid)
        self.sql("INSERT INTO process SELECT 7, pid, 1, '<b>', '<b>', 1, header FROM process",
                 "INSERT INTO moment SELECT NULL, 7, time_ns, chain_ns, level, in_use, allocated, resident, step FROM moment LIMIT 1")
        server = self.serve()
        page = server.get("/").text
        for words in ("<title>a.hpr</title>", 'href="./id:1/"', 'href="./id:7/"', "&lt;b&gt;", "heap?at=kept:1", "inuse&gt;1K", "<svg"):
            self.assertIn(words, page)
        self.assertNotIn("<b>", page)
        kept = server.profile("/debug/pprof/heap?at=kept:1")
        self.assertEqual(kept.total("inuse_space"), self.moment("--at", "kept:1").total("inuse_space"))
        self.assertEqual(server.get(f"/{program.pid}/debug/pprof/cmdline").text.split()[0].rpartition("/")[2], "holds", "who has not ended")


class Page(RecordedCase):
    def test_timeline(self):
        _, server = self.serve_recorded("peak", "work")
        times = self.spread()
        timeline = self.json_of(server, "/id:1/live/timeline")
        self.assertEqual(timeline["times"], times)
        for point, time in enumerate(("first", None, "last")):
            values = [owner["values"][point] for owner in timeline["owners"]]
            self.assertEqual(sum(values), timeline["in_use"][point])
            if time is not None:
                self.assertEqual(timeline["in_use"][point], self.moment("--at", time).total("inuse_space"))
        self.assertIn("victim_news", [owner["name"] for owner in timeline["owners"]])
        self.assertIsNone(self.json_of(server, f"/id:1/live/timeline?after={times[-1]}"))
        self.assertEqual(self.json_of(server, f"/id:1/live/timeline?after={times[-1] - 1}"), timeline)

    def test_a_moment_and_a_change(self):
        _, server = self.serve_recorded("work")
        start, end = self.spread()
        totals = []
        for path in (f"heap?at={start}", f"heap?at={end - 1}", "heap", f"heap?at={end}"):
            heap = self.json_of(server, f"/id:1/live/{path}")
            totals.append(sum(Report.stacks(heap, "value", "alloc_space").values()))
        moments = [self.moment("--at", time).total("alloc_space") for time in ("first", "last")]
        self.assertEqual(totals, [moments[0]] * 2 + [moments[1]] * 2)
        for query in (f"from={start}&to={end}", f"from={end}&to={start}"):
            change = self.json_of(server, f"/id:1/live/change?{query}")
            self.assertEqual([int(one["time_ms"]) for one in change["profiles"]], [end, start])

    def test_page(self):
        if make_variable("have_report") != "yes":
            self.skipTest("built --without-report")
        program, server = self.serve_recorded()
        for path in (f"/{program.pid}/", "/holds/", "/id:1/"):
            self.assertIn('id="profile">{"pid":"id:1","is_recorded":true}</script>', server.get(path).text)

    def test_what_is_recorded_meanwhile(self):
        """Nothing but the state that readers see lies between recorder and server: one moment more is there when it is stored."""
        program, server = self.serve_recorded()
        before = self.json_of(server, "/id:1/live/timeline")["times"]
        recorder = subprocess.Popen([paths.TOOL, "record", "--every", "1h", "-o", self.path, str(program.pid)], cwd=self.out_dir,
                                    env=self.tool_environment(), stderr=subprocess.PIPE, text=True)
        self.addCleanup(recorder.stderr.close)
        self.addCleanup(recorder.kill)
        wait_until(lambda: self.has(len(before) + 1), "a moment is stored")
        self.assertEqual(self.json_of(server, f"/id:1/live/timeline?after={before[-1]}")["times"], self.times())
        self.assertEqual(len(self.times()), len(before) + 1)
        os.kill(recorder.pid, signal.SIGTERM)
        self.assertEqual(recorder.wait(timeout=200), 0)


class Refusals(RecordedCase):
    @cases("sites", "history", "print-config")
    def test_options_of_processes(self, option):
        self.recorded()
        value = "parca" if option == "print-config" else "1"
        self.check_one_line(self.tool("serve", f"--{option}", value, self.path, expect=2), self.path, f"--{option}")

    def test_operands(self):
        self.recorded()
        self.check_one_line(self.tool("serve", self.path, "holds", expect=2), self.path, "alone")
        (self.out_dir / "a.txt").write_text("no recording")
        for name, words in ((self.out_dir / "a.txt", "a text, not a recording"), ("./none", "No such file"), ("-", "standard input")):
            self.check_one_line(self.tool("serve", name, expect=1), words)
        os.truncate(self.path, 50)
        self.check_one_line(self.tool("serve", self.path, expect=1), self.path, "damaged")
