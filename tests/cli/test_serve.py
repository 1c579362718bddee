# SPDX-License-Identifier: MIT
"""heapprof serve: what it answers, as Go's net/http/pprof would, and whom."""
import contextlib
import ctypes
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import stat
import subprocess
import urllib.parse
import urllib.request

from harness import elf, lint, paths, tools
from harness.background import Background
from harness.case import cases, in_victim, slow, timeout
from harness.reborn import need_reborn, reborn
from harness.server import Server, need_server
from harness.states import NOBODY, NOGROUP, StateCase, need_root, status_of, wait_until
from hazards.toolbox import compile

TOKEN = "a token that nobody guesses"
USUAL = ["alloc_objects", "alloc_space", "inuse_objects", "inuse_space"]


def counted(frames):
    """Is it among what victims/holds counts itself? dlopen allocates, too."""
    return frames[0].startswith("victim_") or "victim_code" in frames


def without_time(headers):
    return {name: value for name, value in headers.items() if name != "date"}


class ServeCase(StateCase):
    def setUp(self):
        super().setUp()
        need_server()


class Profiles(ServeCase):
    def test_heap_is_what_the_program_counted(self):
        with self.holder("work", "peak") as program, Server(self, program.pid) as server:
            profile = server.profile("/debug/pprof/heap")
            program.say("end")
            run = program.end()
        self.check_exact(profile, run.shadows[run.pid], counted)

    @cases(("heap", ""), ("allocs", "alloc_space"))
    def test_four_types(self, name, default):
        with self.holder() as program, Server(self, program.pid) as server:
            profile = server.profile(f"/debug/pprof/{name}")
        self.assertEqual([kind[0] for kind in profile.sample_types], USUAL)
        self.assertEqual(profile.default_sample_type, default)
        self.assertEqual(profile.period_type, ("space", "bytes"))

    def test_peak(self):
        with self.holder("work", "peak") as program, Server(self, program.pid) as server:
            peak, heap = server.profile("/debug/pprof/peak"), server.profile("/debug/pprof/heap")
        self.assertGreater(peak.total("inuse_space", in_victim), 10 * heap.total("inuse_space", in_victim))

    def test_every_place_has_a_demangled_name(self):
        with self.holder() as program, Server(self, program.pid) as server:
            profile = server.profile("/debug/pprof/heap")
        self.assertEqual([location.address for location in profile.locations if not location.functions], [])
        self.assertTrue(all(mapping.has_functions for mapping in profile.mappings))
        names = {name for sample in profile.samples for name in profile.frames(sample)}
        self.assertEqual([name for name in names if name.startswith("_Z")], [])
        self.assertIn("victim_news", names)

    @cases(1, 4096)
    def test_text_has_the_totals_of_the_profile(self, interval):
        """After rounding to whole samples, and scaled again by who reads it: pprof, and heapprof."""
        with self.holder("work", "peak", sample=interval, seed=1) as program, Server(self, program.pid) as server:
            self.stop(program)
            profile = server.profile("/debug/pprof/heap")
            text = server.get("/debug/pprof/heap?debug=1").text
        path = self.dir / "heap.txt"
        path.write_text(text)
        self.assertRegex(text, rf"\Aheap profile: \d+: \d+ \[\d+: \d+\] @ heap/{2 * interval}\n")
        for kind in USUAL:
            self.assertAlmostEqual(self.total_of(path, kind) / profile.total(kind), 1, delta=0.0 if interval == 1 else 0.03, msg=kind)
            if interval == 1:
                rows = tools.pprof_top("go", path, kind)
                self.assertEqual(sum(flat for flat, _ in rows.values()), profile.total(kind), kind)
        self.assertIn("\tvictim_news+0x0\t", text)

    def total_of(self, path, kind):
        shown = self.tool("folded", "--sample-index", kind, path).stdout.splitlines()
        return sum(int(line.rpartition(" ")[2]) for line in shown)

    def test_command_line(self):
        with self.holder() as program, Server(self, program.pid) as server:
            answer = server.get("/debug/pprof/cmdline")
            raw = pathlib.Path(f"/proc/{program.pid}/cmdline").read_bytes()
        self.assertEqual(answer.body, raw.rstrip(b"\0"))
        self.assertEqual(answer.body.count(b"\0"), 1)

    def test_symbols(self):
        with self.holder() as program, Server(self, program.pid) as server:
            profile = server.profile("/debug/pprof/heap")
            place = next(location for sample in profile.select(in_victim) for location in sample.locations
                         if location.functions[0].name == "victim_news")
            expected = f"num_symbols: 1\n0x{place.address:x} victim_news\n"
            asked = f"0x{place.address:x}"
            self.assertEqual(server.get("/debug/pprof/symbol").text, "num_symbols: 1\n")
            self.assertEqual(server.get(f"/debug/pprof/symbol?{asked}+0x10+nonsense").text, expected)
            self.assertEqual(server.request("POST", "/debug/pprof/symbol", f"0+{asked}").text, expected)
            self.assertEqual(server.request("POST", "/debug/pprof/symbol", "+".join([asked] * 3)).text.count("victim_news"), 3)


class Missing(ServeCase):
    """Who is named, and not there: a wrong name, perhaps. Seen to fail: nothing was said."""
    def said(self, server):
        return [line for line in server.messages().splitlines() if "yet; waiting for one" in line]

    def test_a_name(self):
        with self.holder() as program, Server(self, program.pid, "nobody.there") as server:
            self.assertTrue(wait_until(lambda: self.said(server), "it is said"))
            self.assertEqual(self.said(server), ["heapprof: no profiled process is called 'nobody.there' yet; waiting for one"])


class Reused(ServeCase):
    def test_the_number_of_one_that_has_ended(self):
        """Seen to fail: a process that got the number was served as if it had been meant."""
        need_reborn()
        with self.holder() as first, Server(self, first.pid) as server:
            self.assertEqual(server.get(f"/{first.pid}/debug/pprof/cmdline").status, 200)
            first.__exit__()
            with reborn(self, first.pid, self.victim("holds"), self.victim("libplugin.so")) as second:
                second.say("work")
                second.read_until("done")
                for path in (f"/{first.pid}/debug/pprof/heap", "/debug/pprof/heap", f"/{first.pid}/debug/pprof/cmdline"):
                    answer = server.get(path)
                    self.assertEqual((answer.status, answer.text), (404, f"process {first.pid} has ended; another process has its number now\n"))
                wait_until(lambda: f'pid="{first.pid}"' not in server.get("/metrics").text, "what was found a second ago is forgotten")


class ServedCase(ServeCase):
    """One process, served."""
    def setUp(self):
        super().setUp()
        self.program = self.holder()
        self.addCleanup(self.program.__exit__)
        self.server = Server(self, self.program.pid, **self.variables()).__enter__()
        self.addCleanup(self.server.__exit__)

    def variables(self):
        """Of the server."""
        return {}


class Deltas(ServedCase):
    """What was allocated in between; what is in use stays what it is."""
    def variables(self):
        self.held = self.dir / "clock.held"
        return {"LD_PRELOAD": compile(paths.TESTS / "cli/held_clock.c", "-shared", "-fPIC"), "CLOCK_HELD": self.held}

    @contextlib.contextmanager
    def no_end(self):
        """What is begun in here ends after it, however slow this is: meanwhile the server's clock stands still."""
        self.held.touch()
        yield
        self.held.unlink()

    def begin(self, path):
        """Asks, and when it returns the delta has begun: of one process there is one order after the other."""
        asked = self.server.ask(path)
        self.server.get("/debug/pprof/cmdline")
        return asked

    def work(self, order="peak"):
        self.program.say(order)
        self.program.read_until("done")

    def read(self, answer):
        self.assertEqual(answer.status, 200, answer.body)
        profile = answer.profile
        self.assertEqual([line for line in lint.lint(profile) if line not in Server.LIKE_GO], [])
        return profile

    @cases(("heap", ""), ("allocs", "alloc_space"))
    def test_seconds(self, name, default):
        before = self.server.profile("/debug/pprof/heap")
        with self.no_end():
            asked = self.begin(f"/debug/pprof/{name}?seconds=1")
            self.work()
        answer = self.server.answer(asked)
        delta, after = self.read(answer), self.server.profile("/debug/pprof/heap")
        self.assertEqual(answer.headers["content-disposition"], f'attachment; filename="{name}-delta"')
        self.assertEqual(answer.headers["content-type"], "application/octet-stream")
        self.assertEqual(delta.default_sample_type, default)
        self.assertEqual(delta.totals(), {kind: after.total(kind) - (before.total(kind) if kind.startswith("alloc_") else 0)
                                          for kind in USUAL})
        self.assertEqual(delta.total("alloc_objects", in_victim), 100)
        in_use = [{stack: value for stack, value in profile.stacks("inuse_space").items() if value} for profile in (delta, after)]
        self.assertEqual(in_use[0], in_use[1])
        self.assertEqual(set(delta.stacks("alloc_space")) - set(after.stacks("alloc_space")), set())
        self.assertTrue(10**9 <= delta.duration_nanos <= after.time_nanos - before.time_nanos)
        self.assertTrue(before.time_nanos <= delta.time_nanos <= after.time_nanos)
        self.assertRegex(delta.comment_values()["delta"], r"^alloc_\* of \d+\.\d+ s, inuse_\* of their end$")

    def test_go_reads_it(self):
        url = f"http://127.0.0.1:{self.server.port}/debug/pprof/heap?seconds=1"
        rows = tools.pprof_top("go", url, "inuse_objects")
        self.assertEqual(sum(flat for name, (flat, _) in rows.items() if name == "victim_news"), 196)

    @cases(
        ("seconds=0", 'invalid value for "seconds" - must be a positive integer'),
        ("seconds=-1", 'invalid value for "seconds" - must be a positive integer'),
        ("seconds=1.5", 'invalid value for "seconds" - must be a positive integer'),
        ("seconds=x&debug=1", 'invalid value for "seconds" - must be a positive integer'),
        ("seconds=99999999999999999999", 'invalid value for "seconds" - must be a positive integer'),
        ("seconds=1&debug=1", "seconds and debug params are incompatible"),
        ("seconds=3601", "profile duration exceeds server's WriteTimeout"),
    )
    def test_what_is_no_delta(self, query, words):
        for name in ("heap", "allocs"):
            answer = self.server.get(f"/debug/pprof/{name}?{query}")
            self.assertEqual((answer.status, answer.text, answer.headers.get("x-go-pprof")), (400, words + "\n", "1"))
            self.assertNotIn("content-disposition", answer.headers)

    def test_seconds_elsewhere(self):
        answer = self.server.get("/debug/pprof/peak?seconds=1")
        self.assertEqual((answer.status, answer.text), (400, '"seconds" parameter is not supported for this profile type\n'))
        self.assertEqual(self.server.get("/debug/pprof/heap?seconds=").headers["content-disposition"], 'attachment; filename="heap"')

    def test_many_at_once_share_their_marks(self):
        with self.no_end():
            asked = [self.server.ask("/debug/pprof/heap?seconds=2") for _ in range(16)]
            self.server.get("/debug/pprof/cmdline")
            self.work()
        deltas = [self.read(self.server.answer(one)) for one in asked]
        self.assertEqual({delta.total("alloc_objects", in_victim) for delta in deltas}, {100})

    def test_a_program_that_ends_meanwhile(self):
        with self.no_end():
            asked = self.begin("/debug/pprof/heap?seconds=1")
            self.program.say("end")
            self.program.end()
        answer = self.server.answer(asked)
        self.assertEqual((answer.status, answer.text), (404, f"there is no process {self.program.pid}\n"))

    def test_nobody_waits_any_more(self):
        before = self.server.descriptors()
        for _ in range(10):
            self.begin("/debug/pprof/heap?seconds=3600").sock.close()
        self.assertTrue(wait_until(lambda: self.server.descriptors() <= before + 1, "all is forgotten"))

    def test_delta_heap(self):
        """Of each client, since it asked last; the first time since the start."""
        first = self.server.get("/debug/pprof/delta_heap?client=a")
        self.assertEqual(first.headers["content-disposition"], 'attachment; filename="delta_heap"')
        whole = self.server.profile("/debug/pprof/heap")
        self.assertEqual(self.read(first).totals(), whole.totals())
        self.assertIn("since the start", self.read(first).comment_values()["delta"])
        self.work()
        self.assertEqual(self.server.request("HEAD", "/debug/pprof/delta_heap?client=a").status, 200)
        for expected in (100, 0):
            delta = self.server.profile("/debug/pprof/delta_heap?client=a")
            self.assertEqual(delta.total("alloc_objects", in_victim), expected)
            self.assertEqual(delta.total("inuse_space"), whole.total("inuse_space"))
            self.assertNotIn("since the start", delta.comment_values()["delta"])
        self.assertEqual(self.server.profile("/debug/pprof/delta_heap?client=b").total("alloc_objects"),
                         self.server.profile("/debug/pprof/heap").total("alloc_objects"))

    def test_clients_without_a_name(self):
        """By where they ask from, and with what."""
        for agent, since_start in (("one", True), ("other", True), ("one", False), ("other", False)):
            profile = self.server.get("/debug/pprof/delta_heap", User_Agent=agent).profile
            self.assertEqual("since the start" in profile.comment_values()["delta"], since_start, agent)
        profile = self.server.get(f"/{self.program.pid}/debug/pprof/delta_heap", User_Agent="one").profile
        self.assertIn("since the start", profile.comment_values()["delta"], "asked by another name")

    def test_clients_are_forgotten(self):
        for number in range(65):
            self.server.get(f"/debug/pprof/delta_heap?client={number}")
        before = self.server.descriptors()
        for client, since_start in (("64", False), ("0", True)):
            profile = self.server.profile(f"/debug/pprof/delta_heap?client={client}")
            self.assertEqual("since the start" in profile.comment_values()["delta"], since_start, client)
        wait_until(lambda: self.server.descriptors() <= before, "the last connection is closed, and nothing else is kept")


class LikeGo(ServedCase):
    """Statuses and headers, to the letter."""
    @cases(
        ("/debug/pprof/", "text/html; charset=utf-8", None),
        ("/debug/pprof/heap", "application/octet-stream", "heap"),
        ("/debug/pprof/allocs", "application/octet-stream", "allocs"),
        ("/debug/pprof/peak", "application/octet-stream", "peak"),
        ("/debug/pprof/heap?gc=1", "application/octet-stream", "heap"),
        ("/debug/pprof/heap?debug=0", "application/octet-stream", "heap"),
        ("/debug/pprof/heap?debug=x", "application/octet-stream", "heap"),
        ("/debug/pprof/heap?debug=1", "text/plain; charset=utf-8", None),
        ("/debug/pprof/heap?debug=-1", "text/plain; charset=utf-8", None),
        ("/debug/pprof/heap?debug=%31", "text/plain; charset=utf-8", None),
        ("/debug/pprof/cmdline", "text/plain; charset=utf-8", None),
        ("/debug/pprof/symbol", "text/plain; charset=utf-8", None),
    )
    def test_what_there_is(self, path, kind, file_name):
        answer = self.server.get(path)
        expected = {"content-type": kind, "x-content-type-options": "nosniff", "content-length": str(len(answer.body))}
        if file_name:
            expected["content-disposition"] = f'attachment; filename="{file_name}"'
        self.assertEqual((answer.status, without_time(answer.headers)), (200, expected))
        self.assertIn("date", answer.headers)
        head = self.server.request("HEAD", path)
        self.assertEqual((head.status, head.body), (200, b""))
        self.assertEqual({name: value for name, value in without_time(head.headers).items() if name != "content-length"},
                         {name: value for name, value in expected.items() if name != "content-length"})

    @cases("profile", "goroutine", "block", "mutex", "threadcreate", "trace", "nonsense", "heap/", "HEAP")
    def test_other_profiles(self, name):
        answer = self.server.get(f"/debug/pprof/{name}")
        self.assertEqual((answer.status, answer.text), (404, "Unknown profile\n"))
        self.assertEqual(without_time(answer.headers), {"content-type": "text/plain; charset=utf-8", "x-go-pprof": "1",
                                                        "x-content-type-options": "nosniff", "content-length": "16"})

    @cases("/nonsense/here", "/debug", "/debug/", "/debug/pprofx", "/%00/debug/pprof/heap", "/%zz/debug/pprof/heap", "/\\example.org")
    def test_other_pages(self, path):
        answer = self.server.get(path)
        self.assertEqual((answer.status, answer.text), (404, "404 page not found\n"))
        self.assertNotIn("x-go-pprof", answer.headers)

    @cases(("/debug/pprof", "/debug/pprof/"), ("/debug/pprof?x=1&y", "/debug/pprof/?x=1&y"), ("//debug/pprof/heap", "/debug/pprof/heap"),
           ("/debug/./x/../pprof/heap?a", "/debug/pprof/heap?a"), ("/holds", "/holds/"),
           ("/holds/debug/pprof?a", "/holds/debug/pprof/?a"), ("//example.org//", "/example.org/"), ("/../..//a/", "/a/"))
    def test_redirections(self, path, location):
        answer = self.server.get(path)
        self.assertEqual((answer.status, answer.headers.get("location")), (301, location))
        escaped = location.replace("&", "&amp;")
        self.assertEqual(answer.text, f'<a href="{escaped}">Moved Permanently</a>.\n\n')

    @cases("/favicon.ico", "/nosuch", "/nosuch?x", "/nosuch/debug/pprof", "/999999999", "/%00", "/%zz")
    def test_no_such_process(self, path):
        """It is said at once. Seen to fail: it was 301, and 404 only one request later."""
        for method in ("GET", "HEAD"):
            self.assertEqual(self.server.request(method, path).status, 404)

    @cases("debug/pprof/heap", "debug/pprof/allocs", "debug/pprof/peak", "debug/pprof/delta_heap", "live/heap")
    def test_no_moments_of_what_runs(self, name):
        """Seen to fail: the profile of now was given."""
        answer = self.server.get(f"/holds/{name}?at=10:31")
        self.assertEqual(answer.status, 400)
        self.assertRegex(answer.text, r"\A[^\n]*\?at=[^\n]* recording[^\n]*\n\Z")

    @cases("DELETE", "PUT", "OPTIONS", "NONSENSE")
    def test_it_is_read_only(self, method):
        answer = self.server.request(method, "/debug/pprof/heap")
        self.assertEqual((answer.status, answer.headers["allow"]), (405, "GET, HEAD, POST"))

    @cases("/", "/healthz", "/metrics", "/holds/", "/holds/live/heap", "/holds/live/timeline", "/holds/live/change?from=1&to=2")
    def test_nothing_is_posted_to_what_go_has_not(self, path):
        answer = self.server.request("POST", path, "x")
        self.assertEqual((answer.status, answer.headers["allow"], answer.text), (405, "GET, HEAD", "405 method not allowed\n"))

    def test_processes_by_number_and_name(self):
        pid = self.program.pid
        for path in (f"/{pid}/debug/pprof/heap", "/holds/debug/pprof/heap", "/%68olds/debug/pprof/heap"):
            profile = self.server.profile(path)
            self.assertEqual(profile.comment_values()["pid"], pid, path)
        self.assertEqual(self.server.get(f"/{pid}/debug/pprof/cmdline").body, self.server.get("/debug/pprof/cmdline").body)

    def test_what_is_not_served(self):
        with self.holder() as other:
            for path, words in ((f"/{other.pid}/debug/pprof/heap", f"process {other.pid} is not served"),
                                ("/nonsense/debug/pprof/heap", "no profiled process is called 'nonsense'"),
                                (f"/{os.getpid()}/debug/pprof/", f"process {os.getpid()} is not profiled"),
                                ("/2147483647/debug/pprof/heap", "there is no process 2147483647"),
                                ("/" + 300 * "x" + "/debug/pprof/heap", "no process has such a long name")):
                answer = self.server.get(path)
                self.assertEqual((answer.status, answer.headers.get("x-go-pprof")), (404, "1"), path)
                self.assertIn(words, answer.text)

    def test_an_ended_process(self):
        self.program.say("end")
        self.program.end()
        wait_until(lambda: not os.path.exists(f"/proc/{self.program.pid}"), "it has ended")
        answer = self.server.get("/debug/pprof/heap")
        self.assertEqual((answer.status, answer.text), (404, f"there is no process {self.program.pid}\n"))

    def test_pages_for_people(self):
        listed = self.server.get("/").text
        self.assertIn(f'<a href="{self.program.pid}/">{self.program.pid}</a>', listed)
        self.assertIn(f'<a href="{self.program.pid}/debug/pprof/">profiles</a>', listed)
        self.assertIn("heap?debug=1", self.server.get("/debug/pprof/").text)
        self.assertIn("This is a heap profiler", self.server.get("/debug/pprof/").text)
        self.assertEqual(self.server.get("/healthz").text, "ok\n")

    def test_the_client_of_go(self):
        url = f"http://127.0.0.1:{self.server.port}/debug/pprof/heap"
        for which in tools.PPROFS:
            rows = tools.pprof_top(which, url, "alloc_objects")
            self.assertEqual(sum(flat for name, (flat, _) in rows.items() if name == "victim_news"), 245, which)


class Found(ServeCase):
    """Without operands, all that this user may read."""
    def test_as_they_come(self):
        with Server(self) as server:
            with self.holder() as program:
                wait_until(lambda: f'href="{program.pid}/debug/pprof/"' in server.get("/").text, "the list has it")
                self.assertEqual(server.profile(f"/{program.pid}/debug/pprof/heap").comment_values()["pid"], program.pid)
            wait_until(lambda: f'href="{program.pid}/debug/pprof/"' not in server.get("/").text, "the list has it no more")

    def test_names_are_escaped(self):
        folder = self.dir / "odd"
        folder.mkdir()
        program = folder / "<b>&'\""
        program.symlink_to(self.victim("holds"))
        with self.start([program, self.victim("libplugin.so")], sample=1) as odd:
            odd.read_until("ready")
            odd.say("work")
            odd.read_until("done")
            with Server(self, odd.pid) as server:
                page = server.get("/").text
                self.assertNotIn("<b>", page)
                self.assertIn("&lt;b&gt;&amp;", page)
                self.assertEqual(server.profile("/%3Cb%3E%26'%22/debug/pprof/heap").comment_values()["pid"], odd.pid)

    def test_several_of_one_name(self):
        copy = self.own_copy("holds")
        with self.holder(program=copy) as one, self.holder(program=copy) as other, Server(self, copy.name) as server:
            answer = server.get(f"/{copy.name}/debug/pprof/heap")
            self.assertEqual(answer.status, 409)
            self.assertIn("2 processes: {}, {};".format(*sorted((one.pid, other.pid))), answer.text)
            for pid in (one.pid, other.pid):
                self.assertEqual(server.profile(f"/{pid}/debug/pprof/heap").comment_values()["pid"], pid)

    def test_only_ones_own(self):
        need_root()
        folder = self.public_directory()
        with self.holder() as program, Server(self, program=folder / "heapprof", cwd=folder,
                                              popen={"user": NOBODY, "group": NOGROUP, "extra_groups": []}) as server:
            answer = server.get(f"/{program.pid}/debug/pprof/heap")
            self.assertEqual(answer.status, 404)
            self.assertIn("only that user and root may read its state", answer.text)
            self.assertNotIn(f'href="{program.pid}/', server.get("/").text)


LIBC, PR_CAPBSET_DROP = ctypes.CDLL(None), 24
CAP_DAC_READ_SEARCH, CAP_SETGID, CAP_SETUID, CAP_SYS_PTRACE = 2, 6, 7, 19
ALL, OF_A_UNIT = set(range(64)), {CAP_DAC_READ_SEARCH, CAP_SETGID, CAP_SETUID, CAP_SYS_PTRACE}


class OfAnotherUser(ServeCase):
    """What root looks up for a process is what its user could look up."""
    def setUp(self):
        super().setUp()
        need_root()
        self.folder = self.public_directory()
        self.states = self.folder / "states"
        self.states.mkdir()
        os.chown(self.states, NOBODY, NOGROUP)

    @staticmethod
    def become_nobody():
        os.setgroups([])
        os.setgid(NOGROUP)
        os.setuid(NOBODY)

    def program(self):
        return self.start([self.folder / "holds", self.folder / "libplugin.so"], cwd=self.folder, preexec_fn=self.become_nobody, sample=1,
                          out="/dev/null", state_dir=self.states, LD_PRELOAD=self.folder / "libheapprof.so")

    def names(self, mode, capabilities=ALL):
        """Of functions, of which some are in a file of root's with this mode; by a server of root's that has these capabilities."""
        def keep_them():
            for number in ALL - capabilities:
                LIBC.prctl(PR_CAPBSET_DROP, number, 0, 0, 0)
        with self.program() as program:
            program.read_until("ready")
            program.say("work")
            program.read_until("done")
            (self.folder / "libplugin.so").chmod(mode)
            with Server(self, program.pid, popen={"preexec_fn": keep_them}) as server:
                profile = server.profile("/debug/pprof/heap")
        names = {name for sample in profile.samples for name in profile.frames(sample)}
        return names & {"victim_news", "victim_plugin_allocate"}

    @cases("root", "unit")
    def test_a_file_that_it_may_read(self, who):
        self.assertEqual(self.names(0o604, OF_A_UNIT if who == "unit" else ALL), {"victim_news", "victim_plugin_allocate"})

    @cases("root", "unit")
    def test_a_file_that_it_may_not_read(self, who):
        self.assertEqual(self.names(0o600, OF_A_UNIT if who == "unit" else ALL), {"victim_news"})

    def test_without_the_right_to_be_somebody_else(self):
        self.assertEqual(self.names(0o604, OF_A_UNIT - {CAP_SETUID}), set())


class Hostile(ServeCase):
    """Names and states that somebody made up: pages, texts and metrics stay what they are."""
    # As a terminal, a browser, or Prometheus would take them for something else.
    NAMES = ("[other]", 'quo"te', "back\\slash", "line\nfeed", "\x1b[31mred", "<script>alert(1)</script>", "\u202ereversed", "tab\tbed")
    SHOWN = ("[other]", 'quo"te', "back\\slash", "line\\x0afeed", "\\x1b[31mred", "<script>alert(1)</script>", "\\xe2\\x80\\xaereversed",
             "tab\\x09bed")

    def compiled(self, source, *renamed):
        """A program, some functions of which get other names."""
        (self.dir / "odd.c").write_text(source)
        subprocess.run(["gcc", "-O1", "-fno-optimize-sibling-calls", "-fno-ipa-icf", "-c", "odd.c"], check=True, cwd=self.dir)
        if renamed:
            subprocess.run(["objcopy", *(f"--redefine-sym={old}={new}" for old, new in renamed), "odd.o"], check=True, cwd=self.dir)
        program = self.dir / 'odd "\\\n\x1b[m<b>'
        subprocess.run(["gcc", "-o", program, "odd.o"], check=True, cwd=self.dir)
        return program

    def odd_names(self):
        functions = "".join(f"__attribute__((noinline)) void *site_{i}(void) {{ return malloc(1000); }}\n" for i in range(len(self.NAMES)))
        calls = "".join(f"kept[{i}] = site_{i}();" for i in range(len(self.NAMES)))
        return self.compiled(f"#include <stdio.h>\n#include <stdlib.h>\n{functions}void *kept[{len(self.NAMES)}];\n"
                             f"int main(void) {{ {calls} puts(\"done\"); fflush(stdout); getchar(); return 0; }}\n",
                             *((f"site_{i}", name) for i, name in enumerate(self.NAMES)))

    def test_names(self):
        with self.start([self.odd_names()], sample=1) as odd, Server(self, "--sites", 20, odd.pid) as server:
            odd.read_until("done")
            metrics, text, page, index = (server.get(path).text for path in ("/metrics", "/debug/pprof/heap?debug=1", "/", "/debug/pprof/"))
        odd_characters = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u202e]")
        for shown in (metrics, text, page, index):
            self.assertIsNone(odd_characters.search(shown))
        for shown in (page, index):
            self.assertNotRegex(shown, "<(b|script)>")
        labels = [dict(labels) for name, labels in metrics_of(metrics) if name == "site_in_use_bytes"]
        sites = [re.sub(r"\\(.)", r"\1", label["site"]) for label in labels]
        self.assertEqual(set(self.SHOWN) - set(sites), set())
        self.assertEqual({re.sub(r"\\(.)", r"\1", label["program"]) for label in labels}, {'odd "\\\\x0a\\x1b[m<b>'})
        frames = re.findall(r"(?m)^#\t0x[0-9a-f]+\t(.*)\+0x0\t.*:\d+$", text)
        self.assertEqual(set(self.SHOWN) - set(frames), set())

    def test_two_states(self):
        """A process maps its own a second time: it is still one process."""
        source = """
            #include <fcntl.h>
            #include <stdio.h>
            #include <stdlib.h>
            #include <sys/mman.h>
            #include <unistd.h>
            int main(void)
            {
              char path[4096];
              void *volatile kept = malloc(1000);
              snprintf(path, sizeof path, "%s/%d.heapprof", getenv("HEAPPROF_STATE_DIR"), (int)getpid());
              int fd = open(path, O_RDWR);
              puts(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED && kept != NULL ? "done" : "failed");
              fflush(stdout);
              return getchar() == EOF;
            }
        """
        with self.start([self.compiled(source)], sample=1) as odd, Server(self) as server:
            odd.read_until("done")
            page, metrics = server.get("/").text, server.get("/metrics").text
            self.assertEqual([entry["pid"] for entry in json.loads(self.tool("ls", "--json").stdout)].count(odd.pid), 1)
        self.assertEqual(page.count(f'<a href="{odd.pid}/">'), 1)
        self.assertIn(("in_use_objects", str(odd.pid)), [(name, dict(labels).get("pid")) for name, labels in metrics_of(metrics)])


def metrics_of(text):
    """(name, labels) -> value; whatever is neither OpenMetrics nor Prometheus's older text fails."""
    values, families, current = {}, [], None
    is_open, total = text.endswith("\n# EOF\n"), "_total"
    assert text.endswith("\n"), text[-100:]
    for line in text.removesuffix("# EOF\n").splitlines():
        if found := re.fullmatch(r"# (TYPE|UNIT|HELP) (heapprof_\w+) (.+)", line):
            if found[1] == "TYPE":
                assert found[2] not in families, f"{found[2]} twice"
                families.append(found[2])
                current = found
            assert found[2] == families[-1] and (found[1] != "UNIT" or is_open and found[2].endswith(f"_{found[3]}")), line
            assert current[3] != "counter" or is_open != found[2].endswith(total), line
            continue
        found = re.fullmatch(r'(heapprof_\w+)(?:\{((?:\w+="(?:[^"\\\n]|\\[\\n"])*",?)+)\})? (\S+)', line)
        assert found, line
        assert found[1] == families[-1] + (total if is_open and current[3] == "counter" else ""), line
        key = found[1].removeprefix("heapprof_"), tuple(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', found[2] or ""))
        assert key not in values, f"{key} twice"
        values[key] = float(found[3])
    return values


class SlowNames(ServeCase):
    def test_one_that_takes_for_ever_costs_its_own_names(self):
        """Seen to fail: /metrics was not answered at all, each time."""
        shim = compile(paths.TESTS / "cli/slow_names.c", "-shared", "-fPIC")
        copy = self.dir / "slow_holds"
        shutil.copy2(self.victim("holds"), copy)
        build_id = bytes.fromhex(elf.build_id(copy))  # another one: names of files are known by it, so the original's would do
        copy.write_bytes(copy.read_bytes().replace(build_id, build_id[::-1]))
        with self.holder() as good, self.start([copy, self.victim("libplugin.so")], sample=1) as slow:
            slow.read_until("ready")
            slow.say("work")
            slow.read_until("done")
            with Server(self, "--sites", 5, good.pid, slow.pid, LD_PRELOAD=shim, SLOW_FILE=copy.name) as server:
                def sites():
                    answer = server.get("/metrics")
                    self.assertEqual(answer.status, 200)
                    labels = [dict(labels) for name, labels in metrics_of(answer.text) if name == "site_in_use_bytes"]
                    found = {pid: {label["site"] for label in labels if label["pid"] == str(pid)} for pid in (good.pid, slow.pid)}
                    self.assertEqual(found[slow.pid], {"[other]"})
                    return found[good.pid]
                wait_until(lambda: len(sites()) > 1, "the other has names")


class Metrics(ServeCase):
    def get(self, server, **headers):
        answer = server.get("/metrics", **headers)
        self.assertEqual(answer.status, 200)
        return metrics_of(answer.text)

    def test_values(self):
        with self.holder("work", "peak") as program, Server(self, program.pid) as server:
            self.stop(program)
            profile, values = server.profile("/debug/pprof/heap"), self.get(server)
            resident_pages = int(pathlib.Path(f"/proc/{program.pid}/statm").read_text().split()[1])
        of_it = {name: value for (name, labels), value in values.items() if dict(labels).get("pid") == str(program.pid)}
        comments = profile.comment_values()
        self.assertEqual(values["processes", ()], 1)
        for name, expected in (("in_use_bytes", profile.total("inuse_space")), ("in_use_objects", profile.total("inuse_objects")),
                               ("allocated_bytes_total", profile.total("alloc_space")),
                               ("allocated_objects_total", profile.total("alloc_objects")), ("in_use_standard_error_bytes", 0),
                               ("peak_in_use_bytes", comments["peak_inuse_space"]), ("samples_total", comments["samples"]),
                               ("sample_interval_bytes", 1), ("resident_bytes", resident_pages * 4096)):
            self.assertEqual(of_it[name], expected, name)
        self.assertAlmostEqual(of_it["start_time_seconds"], comments["created_unix_ns"] / 1e9, delta=0.01)
        self.assertEqual(of_it["own_bytes"], comments["own_bytes"] - comments["own_unused_bytes"])
        self.assertEqual(of_it["sampling_seconds"], comments["sampling_ns"] / 1e9)
        self.assertGreater(of_it["sampling_seconds"], 0)
        lost = {dict(labels)["reason"]: value for (name, labels), value in values.items() if name == "lost_total"}
        self.assertEqual(lost, {key.removeprefix("lost."): value for key, value in comments.items()
                                if key.startswith("lost.") and key != "lost.total"})

    def test_types(self):
        """In the older text counters had no type, and no help: it calls them as their samples are called."""
        with self.holder() as program, Server(self, "--sites", 2, program.pid) as server:
            self.stop(program)
            older = server.get("/metrics")
            self.assertEqual(older.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8")
            self.assertIn("# TYPE heapprof_allocated_bytes_total counter\n", older.text)
            self.assertNotIn("# EOF", older.text)
            for accept in ("application/openmetrics-text", "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"):
                answer = server.get("/metrics", Accept=accept)
                self.assertEqual(answer.headers["content-type"], "application/openmetrics-text; version=1.0.0; charset=utf-8")
                self.assertTrue(answer.text.endswith("\n# EOF\n"))
                self.assertEqual(metrics_of(answer.text), metrics_of(older.text))

    def sites(self, server):
        return {dict(labels)["site"]: value for (name, labels), value in self.get(server).items() if name == "site_in_use_bytes"}

    def test_sites(self):
        with self.holder() as program, Server(self, "--sites", 2, program.pid) as server:
            self.stop(program)
            sites, total = self.sites(server), server.profile("/debug/pprof/heap").total("inuse_space")
        self.assertEqual(len(sites), 3)
        self.assertIn("victim_news", sites)
        self.assertEqual(sum(sites.values()), total)

    def test_sites_are_bounded(self):
        """However many names are the largest, one after the other."""
        program = self.dir / "changes"
        source = self.dir / "changes.c"
        functions = "".join(f"__attribute__((noinline)) void *site_{i}(void) {{ return malloc(1000 * {i + 1}); }}\n" for i in range(30))
        calls = "".join(f"last = site_{i}(); puts(\"done\"); fflush(stdout); getchar(); free(last);\n" for i in range(30))
        source.write_text(f"#include <stdio.h>\n#include <stdlib.h>\n{functions}int main(void) {{ void *last; {calls} return 0; }}\n")
        subprocess.run(["gcc", "-O1", "-g", "-fno-optimize-sibling-calls", "-fno-ipa-icf", "-o", program, source], check=True)
        seen = set()
        with self.start([program], sample=1) as changes, Server(self, "--sites", 3, "changes") as server:
            for _ in range(30):
                changes.read_until("done")
                sites = self.sites(server)
                self.assertLessEqual(len(sites), 4)
                seen |= set(sites)
                changes.say("")
        self.assertEqual(len(seen), 3 * 4 + 1, seen)
        self.assertIn("[other]", seen)

    @cases("-1", "101", "x")
    def test_no_number_of_sites(self, count):
        self.check_one_line(self.tool("serve", "--sites", count, expect=2), count, "from 0 to 100")

    @timeout(200)
    def test_prometheus(self):
        """Debian's scrapes it, and answers a query."""
        tools.need("prometheus", "promtool")
        with self.holder() as program, Server(self, "--sites", 3, program.pid) as server:
            text = server.get("/metrics").text
            checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
            self.assertEqual((checked.returncode, checked.stdout, checked.stderr), (0, "", ""))
            total = self.get(server)["in_use_bytes", (("pid", str(program.pid)), ("program", "holds"))]
            with Prometheus(self, f"127.0.0.1:{server.port}") as prometheus:
                found = wait_until(lambda: prometheus.query("heapprof_in_use_bytes"), "it has scraped")
                self.assertEqual([(one["metric"]["pid"], one["metric"]["program"], float(one["value"][1])) for one in found],
                                 [(str(program.pid), "holds", total)])
                for query, value in (("sum(heapprof_site_in_use_bytes)", total), ("up", 1)):
                    # A scrape that took longer than a second, its limit, leaves nothing.
                    wait_until(lambda: [float(one["value"][1]) for one in prometheus.query(query)] == [value], f"{query} is {value}")


class Prometheus(Background):
    """One that scrapes a server every second."""
    def __init__(self, case, target=None, config=None):
        folder = case.dir / "prometheus"
        folder.mkdir()
        (folder / "config.yml").write_text(config or f"scrape_configs:\n- job_name: heapprof\n  scrape_interval: 1s\n  static_configs:\n"
                                                     f"  - targets: ['{target}']\n")
        self.port = case.held_port()
        super().__init__(case, ["prometheus", f"--config.file={folder}/config.yml", f"--storage.tsdb.path={folder}/data",
                                f"--web.listen-address=127.0.0.1:{self.port}"])

    def query(self, expression):
        """The samples; none as long as it does not answer."""
        url = f"http://127.0.0.1:{self.port}/api/v1/query?query={urllib.parse.quote(expression)}"
        try:
            with urllib.request.urlopen(url, timeout=100) as answer:
                return json.load(answer)["data"]["result"]
        except OSError:
            return []


class Access(ServeCase):
    def test_a_page_of_somebody_else(self):
        """A name that leads here is not enough (DNS rebinding)."""
        with self.holder() as program, Server(self, "--host", "profiles.example", program.pid) as server:
            for host in ("evil.example", "evil.example:6060", "localhost.evil.example", "127.0.0.1.evil.example", ""):
                answer = server.get("/debug/pprof/heap", Host=host)
                self.assertEqual(answer.status, 403, host)
                self.assertNotIn("content-disposition", answer.headers)
            for host in ("localhost", "LOCALHOST:1", "127.0.0.1:99", "[::1]:6060", "[::1]", "10.1.2.3", "profiles.example", socket.gethostname()):
                self.assertEqual(server.get("/debug/pprof/heap", Host=host).status, 200, host)

    def token_file(self, text=TOKEN + "\n", mode=0o600):
        path = self.dir / "token"
        path.write_text(text)
        path.chmod(mode)
        return path

    def test_token(self):
        with self.holder() as program, Server(self, "--token-file", self.token_file(), program.pid) as server:
            url = f"http://pprof:{TOKEN.replace(' ', '%20')}@127.0.0.1:{server.port}/debug/pprof/heap"
            for given in (None, "Bearer", "Bearer ", f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}x", "Basic", "Basic !!!", "Basic YTpi",
                          f"Basic {TOKEN}", TOKEN):
                answer = server.get("/debug/pprof/heap", **({"Authorization": given} if given is not None else {}))
                self.assertEqual(answer.status, 401, given)
                self.assertIn("Basic", answer.headers["www-authenticate"])
            for given in (f"Bearer {TOKEN}", f"bearer {TOKEN}", "Basic eDphIHRva2VuIHRoYXQgbm9ib2R5IGd1ZXNzZXM="):
                self.assertEqual(server.get("/debug/pprof/heap", Authorization=given).status, 200, given)
            self.assertEqual(server.get("/healthz").status, 200)
            rows = tools.pprof_top("go", url, "alloc_objects")
        self.assertIn("victim_news", rows)

    @cases("short", "", "x" * 2000)
    def test_a_token_that_is_none(self, text):
        done = self.tool("serve", "--listen", "127.0.0.1:0", "--token-file", self.token_file(text), expect=1)
        self.check_one_line(done, "token", "16 to 1024 bytes")

    def test_a_token_that_others_may_write(self):
        done = self.tool("serve", "--listen", "127.0.0.1:0", "--token-file", self.token_file(mode=0o662), expect=1)
        self.check_one_line(done, "others than its owner may write it")
        done = self.tool("serve", "--listen", "127.0.0.1:0", "--token-file", self.dir / "missing", expect=1)
        self.check_one_line(done, "missing", "No such file")

    @cases("0.0.0.0:0", ":0", "[::]:0")
    def test_other_machines_need_a_token(self, listen):
        self.check_one_line(self.tool("serve", "--listen", listen, expect=2), listen, "--token-file", "--no-auth")
        with Server(self, "--no-auth", listen=listen) as server:
            self.assertEqual(server.get("/healthz").status, 200)
        with Server(self, "--token-file", self.token_file(), listen=listen) as server:
            self.assertEqual(server.get("/").status, 401)

    @cases("nonsense", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:99999", "::1:6060", "unix:", "unix:" + "x" * 200)
    def test_no_address(self, listen):
        self.check_one_line(self.tool("serve", "--listen", listen, expect=2), listen, "cannot listen")

    @cases(("127.0.0.1:99999", "a port is a number from 0 to 65535"), ("::1:6060", "an address with : goes into [ ]"), ("127.0.0.1:x", "ADDRESS:PORT"))
    def test_addresses_say_what_is_wrong(self, listen, words):
        self.check_one_line(self.tool("serve", "--listen", listen, expect=2), listen, words)

    def test_a_file_is_no_socket(self):
        """Seen to fail: Address already in use."""
        path = self.dir / "file"
        path.write_text("mine")
        self.check_one_line(self.tool("serve", "--listen", f"unix:{path}", expect=1), "there is a file of that name, which is no socket; it stays")
        self.assertEqual(path.read_text(), "mine")

    @cases("no.such.name.invalid:1", "unix:/proc/1/nowhere/socket")
    def test_nowhere(self, listen):
        self.check_one_line(self.tool("serve", "--listen", listen, expect=1), listen, "cannot listen")

    @cases("", "http://a", "a:6060", "a b")
    def test_no_host(self, host):
        self.check_one_line(self.tool("serve", "--listen", "127.0.0.1:0", "--host", host, expect=2), f"--host '{host}'", "a name is accepted")

    def check_refused(self, server, head, words):
        """A proxy before us may judge otherwise, so what comes behind it is not read."""
        behind = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
        with server.connect() as connection:
            connection.sendall(head.encode() + b"\r\n\r\n" + behind)
            answer = b"".join(iter(lambda: connection.recv(4096), b""))  # until it is closed
        self.assertRegex(answer, rb"\AHTTP/1.1 400 ", head)
        self.assertIn(words, answer, head)
        self.assertEqual(answer.count(b"HTTP/1.1 "), 1, head)

    @cases("Host", "hOST")
    def test_two_hosts(self, name):
        with Server(self) as server:
            self.check_refused(server, f"GET /debug/pprof/heap HTTP/1.1\r\nHost: localhost\r\n{name}: localhost", b"too many Host headers")

    def test_no_host_header(self):
        """HTTP/1.0 has none."""
        with Server(self) as server:
            self.check_refused(server, "GET /healthz HTTP/1.1\r\nX: y", b"missing required Host header")
            with server.connect() as connection:
                connection.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
                self.assertRegex(connection.recv(4096), rb"\AHTTP/1.[01] 200 ")

    @cases("Content-Length: 9\r\ncontent-length: 0", "Content-Length: 0\r\nTransfer-Encoding: chunked", "Transfer-Encoding: gzip",
           "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", "Content-Length : 9", "Transfer-Encoding : chunked")
    def test_where_a_request_ends(self, headers):
        with Server(self) as server:
            self.check_refused(server, f"POST /debug/pprof/symbol HTTP/1.1\r\nHost: localhost\r\n{headers}", b"not clear where it ends")

    def test_a_port_that_is_taken(self):
        with Server(self) as server:
            done = self.tool("serve", "--listen", f"127.0.0.1:{server.port}", expect=1)
        self.check_one_line(done, f"'127.0.0.1:{server.port}': Address already in use: something else listens there; another port is accepted",
                            "; nothing is served")

    def serve_as_plain_user(self, folder, listen):
        """Of whom root's rights are not, whoever runs this."""
        arguments = "serve", "--listen", listen
        return self.tool(*arguments, expect=1) if os.geteuid() != 0 else self.tool_as_nobody(folder, *arguments, expect=1)

    def test_a_port_of_roots(self):
        """Seen to fail: Permission denied, and no word of what is permitted."""
        first = int(pathlib.Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
        if first <= 80:
            self.skipTest("here everybody may listen at port 80")
        done = self.serve_as_plain_user(self.public_directory(), "127.0.0.1:80")
        self.check_one_line(done, "'127.0.0.1:80': Permission denied: a port below", f"{first} takes root, or CAP_NET_BIND_SERVICE; any other is accepted",
                            "; nothing is served")

    def test_an_address_of_others(self):
        done = self.tool("serve", "--no-auth", "--listen", "203.0.113.1:0", expect=1)  # one for examples, RFC 5737
        self.check_one_line(done, "'203.0.113.1:0'", "this machine has no such address; localhost, or one that it has, is accepted; nothing is served")

    def test_a_folder_that_takes_no_socket(self):
        """Seen to fail: of a socket that could not be removed it was said that its address is in use."""
        folder = self.public_directory()
        closed = folder / "closed"
        closed.mkdir()
        left = closed / "left"
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(left))
        left.chmod(0o666)
        closed.chmod(0o555)
        done = self.serve_as_plain_user(folder, f"unix:{closed}/new")
        self.check_one_line(done, f"'unix:{closed}/new': Permission denied: this user may make nothing in {closed}; a path in a folder of its own is accepted",
                            "; nothing is served")
        done = self.serve_as_plain_user(folder, f"unix:{left}")
        self.check_one_line(done, f"'unix:{left}': a socket that nobody answers at cannot be removed: Permission denied; nothing is served")
        done = self.tool("serve", "--listen", f"unix:{folder}/nowhere/socket", expect=1)
        self.check_one_line(done, f"there is no folder {folder}/nowhere, and it is not made; nothing is served")

    def test_a_socket_in_the_file_system(self):
        path = self.dir / "socket"
        with self.holder() as program:
            with Server(self, program.pid, listen=f"unix:{path}") as server:
                self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
                self.assertEqual(server.get("/debug/pprof/heap", Host="whatever").status, 200)
                self.check_one_line(self.tool("serve", "--listen", f"unix:{path}", expect=1),
                                    f"'unix:{path}': Address already in use: a server answers there; another path is accepted; nothing is served")
                server.process.kill()
                server.process.wait()
            self.assertTrue(path.exists(), "it was killed")
            with Server(self, program.pid, listen=f"unix:{path}") as server:
                self.assertEqual(server.get("/debug/pprof/heap").status, 200)
                self.assertEqual(server.end(), 0)
        self.assertFalse(path.exists())

    def test_a_file_is_no_socket_to_be_replaced(self):
        path = self.dir / "file"
        path.write_text("precious")
        self.tool("serve", "--listen", f"unix:{path}", expect=1)
        self.assertEqual(path.read_text(), "precious")

    def test_a_socket_that_was_exchanged(self):
        """By whom the directory belongs to, before root gives it to that user: a file of root's stays root's."""
        need_root()
        path, precious, shim = self.dir / "socket", self.dir / "precious", self.dir / "shim.so"
        precious.touch()
        (self.dir / "shim.c").write_text("""
            #include <dlfcn.h>
            #include <stdlib.h>
            #include <unistd.h>
            int listen(int fd, int backlog)
            {
              int result = ((int (*)(int, int))dlsym(RTLD_NEXT, "listen"))(fd, backlog);
              if (unlink(getenv("TAKEN")) != 0 || link(getenv("PRECIOUS"), getenv("TAKEN")) != 0)
                abort();
              return result;
            }
        """)
        subprocess.run(["gcc", "-D_GNU_SOURCE", "-shared", "-fPIC", "-o", shim, self.dir / "shim.c"], check=True)
        done = self.tool("serve", "--listen", f"unix:{path}", "--user", "nobody", expect=1, timeout=100, LD_PRELOAD=shim, TAKEN=path,
                         PRECIOUS=precious)
        self.check_one_line(done, path, "another file has taken its place")
        self.assertEqual(precious.stat().st_uid, 0)

    def test_another_user(self):
        need_root()
        with self.holder() as program, Server(self, "--user", "nobody") as server:
            answer = server.get(f"/{program.pid}/debug/pprof/heap")
            status = pathlib.Path(f"/proc/{server.pid}/status").read_text()
        self.assertEqual(answer.status, 404)
        self.assertIn("only that user and root", answer.text)
        self.assertRegex(status, rf"(?m)^Uid:\t{NOBODY}\t{NOBODY}\t{NOBODY}\t{NOBODY}$")
        self.assertRegex(status, r"(?m)^CapEff:\t0+$")
        self.assertRegex(status, r"(?m)^NoNewPrivs:\t1$")
        self.check_one_line(self.tool("serve", "--listen", "127.0.0.1:0", "--user", "nobody.at.all", expect=1), "nobody.at.all")


def is_at_rest(server):
    """Do its workers wait for an order, with none under way?"""
    return all(status_of(worker) == "S" for worker in server.workers())


def times_scheduled(pid):
    """Grows whenever a process has done something."""
    return re.findall(r"(?m)^(?:non)?voluntary_ctxt_switches:\t(\d+)$", pathlib.Path(f"/proc/{pid}/status").read_text())


class Patience(ServeCase):
    """Nobody holds up anybody else."""
    def stopped_worker(self, server, path):
        """The worker that answers this, stopped. Another one may have looked for processes that are missing."""
        def who_answers():
            wait_until(lambda: is_at_rest(server), "all have done their work")
            before = {worker: times_scheduled(worker) for worker in server.workers()}
            server.profile(path)
            wait_until(lambda: is_at_rest(server), "who has answered waits again")
            woken = [worker for worker in server.workers() if times_scheduled(worker) != before.get(worker)]
            return woken[0] if len(woken) == 1 else None
        worker = wait_until(who_answers, "one worker alone was at work")
        os.kill(worker, signal.SIGSTOP)
        wait_until(lambda: status_of(worker) == "T", "the worker is stopped")
        return worker

    def test_a_slow_process_holds_up_itself_alone(self):
        with self.holder() as slow, self.holder() as other, Server(self) as server:
            worker = self.stopped_worker(server, f"/{slow.pid}/debug/pprof/heap")
            asked = server.ask(f"/{slow.pid}/debug/pprof/heap")
            for _ in range(3):
                self.assertEqual(server.profile(f"/{other.pid}/debug/pprof/heap").comment_values()["pid"], other.pid)
            os.kill(worker, signal.SIGCONT)
            self.assertEqual(server.answer(asked).status, 200)

    def test_a_worker_that_dies_is_replaced(self):
        with self.holder() as program, Server(self, program.pid) as server:
            worker = self.stopped_worker(server, "/debug/pprof/heap")
            asked = server.ask("/debug/pprof/heap")
            os.kill(worker, signal.SIGKILL)
            self.assertEqual(server.answer(asked).status, 200)
            self.assertNotIn(worker, server.workers())

    def test_many_at_once_share_the_work(self):
        with self.holder() as program, Server(self, program.pid) as server:
            worker = self.stopped_worker(server, "/debug/pprof/heap")
            asked = [server.ask("/debug/pprof/heap") for _ in range(32)]
            os.kill(worker, signal.SIGCONT)
            answers = [server.answer(one) for one in asked]
            self.assertLessEqual(len(server.workers()), 2, "it, and who looked for processes that are missing")
        self.assertEqual({answer.status for answer in answers}, {200})
        self.assertLessEqual(len({answer.body for answer in answers}), 2, "the first, and one for all that came meanwhile")

    def test_who_says_nothing(self):
        with self.holder() as program, Server(self, program.pid) as server:
            silent = [server.connect() for _ in range(40)]
            for connection in silent[:20]:
                connection.sendall(b"GET /debug/pprof/heap HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A:")
            self.assertEqual(server.get("/debug/pprof/heap").status, 200)
            for connection in silent:
                connection.close()

    def test_who_goes_in_the_middle_is_gone(self):
        """Before the time to ask is over of one that stays, and began before."""
        part = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: "
        with Server(self) as server, server.connect() as stays:
            stays.sendall(part)
            server.get("/healthz")
            before = server.descriptors()
            for _ in range(20):
                with server.connect() as goes:
                    goes.sendall(part)
            server.get("/healthz")  # who asks later is accepted later
            wait_until(lambda: server.descriptors() <= before, "the others are gone")
            stays.sendall(b"here\r\n\r\n")
            self.assertRegex(stays.recv(100), rb"\AHTTP/1.1 200 ")

    def test_who_idles_gives_way(self):
        """More connections than there may be, each of which has asked once and may ask again within two minutes."""
        with Server(self) as server, contextlib.ExitStack() as stack:
            kept = []
            for _ in range(300):
                connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
                stack.callback(connection.close)
                connection.request("GET", "/healthz")
                self.assertEqual(connection.getresponse().read(), b"ok\n")
                kept.append(connection)
            with self.assertRaises((ConnectionError, http.client.HTTPException)):
                self.ask_again(kept[0])
            self.assertEqual(self.ask_again(kept[-1]), b"ok\n")

    @staticmethod
    def ask_again(connection):
        connection.auto_open = 0  # or it would connect anew
        connection.request("GET", "/healthz")
        return connection.getresponse().read()

    @timeout(200)
    def test_many_differences_leave_room(self):
        """As long as they are waited for, others are answered."""
        with self.holder() as program, Server(self, program.pid) as server, contextlib.ExitStack() as stack:
            for _ in range(128):
                stack.callback(server.ask("/debug/pprof/heap?seconds=3600").close)
            answer = server.get("/debug/pprof/heap?seconds=1")
            self.assertEqual(answer.status, 503)
            self.assertIn("too many wait for a difference", answer.text)
            self.assertEqual(answer.headers["retry-after"], "5")
            server.profile("/debug/pprof/heap")

    @slow
    @timeout(200)
    def test_who_sends_byte_by_byte_is_shut_out(self):
        with Server(self) as server, server.connect() as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
            connection.settimeout(1)
            ended = False
            for _ in range(150):
                try:
                    connection.sendall(b"x")
                    ended = connection.recv(1) == b""
                except TimeoutError:
                    continue
                except OSError:
                    ended = True
                if ended:
                    break
            self.assertTrue(ended)

    def test_what_is_too_large(self):
        with self.holder() as program, Server(self, program.pid) as server:
            self.assertEqual(server.request("POST", "/debug/pprof/symbol", "0x1+" * 20000).status, 413)
            with server.connect() as connection:
                connection.sendall(b"POST /debug/pprof/symbol HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n")
                ended = False
                try:
                    for _ in range(1000):
                        connection.sendall(b"1000\r\n" + b"x" * 0x1000 + b"\r\n")
                    ended = connection.recv(1) == b""
                except OSError:
                    ended = True
                self.assertTrue(ended)
            with server.connect() as connection:
                connection.sendall(b"GET /" + b"x" * 100000 + b" HTTP/1.1\r\n\r\n")
                self.assertRegex(connection.recv(100), rb"\AHTTP/1.1 4\d\d ")
            self.assertEqual(server.get("/debug/pprof/heap").status, 200)

    def test_no_descriptor_is_lost(self):
        with self.holder() as program, Server(self, program.pid) as server:
            server.profile("/debug/pprof/heap")
            before = server.descriptors()
            for i in range(60):
                with server.connect() as connection:
                    connection.sendall(b"GET /debug/pprof/heap HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"[:20 + i])
                server.get("/debug/pprof/heap" if i % 2 else "/nonsense")
            wait_until(lambda: server.descriptors() <= before, "all are closed")
            self.assertEqual(server.end(), 0)

    @cases(signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    def test_it_ends(self, number):
        with self.holder() as program, Server(self, program.pid) as server:
            worker = self.stopped_worker(server, "/debug/pprof/heap")
            self.addCleanup(server.ask("/debug/pprof/cmdline").close)
            server.process.send_signal(number)
            self.assertEqual(server.process.wait(timeout=100), 0)
        wait_until(lambda: status_of(worker) in ("", "Z"), "its worker has ended, too")
