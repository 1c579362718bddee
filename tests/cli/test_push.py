# SPDX-License-Identifier: MIT
"""heapprof push: what arrives, and what becomes of it when nothing arrives."""
import contextlib
import fcntl
import os
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import threading
import time
import unittest

from harness import lint, paths, pprof_reader
from harness.background import Background
from harness.case import cases, timeout
from harness.reborn import need_reborn, reborn
from harness.receiver import PATH, TAKEN, Receiver
from harness.states import MAGIC, StateCase, need_mount_namespaces, need_root, patch, status_of, wait_until
from hazards.toolbox import compile

PUSHER = paths.BUILD / "heapprof-push"
REFUSED = (400, {"Content-Type": "application/json"}, b'{"code":"invalid_argument","message":"no such profile, please"}')


def counted(frames):
    """Is it among what victims/holds counts itself? dlopen allocates, too."""
    return frames[0].startswith("victim_") or "victim_code" in frames


def pid_of(sample):
    return int(sample.labels["pid"])


RECORD = struct.Struct("<QiII4B")  # since when its process is profiled, its pid, bytes of text, of the rest; whether it is done


def records_of(file):
    """pid -> text and bytes of its record in a file of the queue."""
    data, at, records = file.read_bytes(), 8, {}
    while at < len(data):
        _, pid, text, size, *_ = RECORD.unpack_from(data, at)
        at += RECORD.size
        records[pid] = data[at:at + text], data[at + text:at + text + size]
        at += text + size
    return records


def record(pid, text, contents, created=1):
    return RECORD.pack(created, pid, len(text), len(contents), 0, 0, 0, 0) + text + contents


def record_file(pid, text, contents):
    return b"hpqueue\0" + record(pid, text, contents)


class Pusher(Background):
    """A heapprof push that runs."""
    def __init__(self, case, *arguments):
        super().__init__(case, [PUSHER, "--queue", case.queue, *arguments])


class PushCase(StateCase):
    def setUp(self):
        super().setUp()
        if not PUSHER.exists():
            raise unittest.SkipTest("built --without-push")
        self.queue = self.dir / "queue"

    def push(self, receiver, *arguments, expect=0, **variables):
        """One round, and what can be sent is."""
        where = receiver if isinstance(receiver, str) else receiver.url
        return self.tool("push", "--once", "--to", where, "--queue", self.queue, *arguments, expect=expect, **variables)

    def waiting(self):
        """Names of the entries in the queue that are to be sent."""
        return sorted(path.parent.name for path in self.queue.glob("*/profiles"))

    def kept(self, part, pid):
        """What the queue has of a process, the oldest first."""
        return [records[pid] for file in sorted(self.queue.glob(f"*/{part}")) if pid in (records := records_of(file))]

    def work(self, program):
        program.say("work")
        program.read_until("done")

    def shadow(self, program):
        program.say("end")
        return program.end().shadows[program.pid]


class Fields(PushCase):
    def test_every_field(self):
        with self.holder() as program, Receiver() as receiver:
            self.push(receiver, program.pid, "--label", "team=shop", "--label", "zone=ä b", "--tenant", "shops")
            shadow = self.shadow(program)
        request, = receiver.requests
        self.assertEqual(request.path, PATH)
        headers = {name: request.headers.get(name) for name in
                   ("content-type", "connect-protocol-version", "x-scope-orgid", "authorization", "expect", "user-agent")}
        self.assertEqual({**headers, "user-agent": headers["user-agent"].split("/")[0]},
                         {"content-type": "application/proto", "connect-protocol-version": "1", "x-scope-orgid": "shops",
                          "authorization": None, "expect": None, "user-agent": "heapprof"})
        sample, = request.samples
        self.assertEqual(sample.labels, {"__name__": "memory", "__delta__": "false", "service_name": "holds", "pid": str(program.pid),
                                         "host": socket.gethostname(), "team": "shop", "zone": "ä b"})
        self.check_exact(sample.profile, shadow, counted)

    def test_the_profile(self):
        with self.holder() as program, Receiver() as receiver:
            self.push(receiver, program.pid)
        profile = receiver.requests[0].samples[0].profile
        self.assertEqual([line for line in lint.lint(profile) if line != "default_sample_type is ''"], [])
        self.assertEqual([kind[0] for kind in profile.sample_types], ["alloc_objects", "alloc_space", "inuse_objects", "inuse_space"])
        names = {name for sample in profile.samples for name in profile.frames(sample)}
        self.assertEqual([name for name in names if name.startswith("_Z")], [])
        self.assertIn("victim_news", names)
        self.assertEqual([location.address for location in profile.locations if not location.functions], [])
        self.assertEqual(profile.comment_values()["reason"], "push")

    @cases(("--label", "service_name=shop", "service_name", "shop"), ("--label", "host=here", "host", "here"))
    def test_labels_that_replace_ours(self, option, given, name, value):
        with self.holder() as program, Receiver() as receiver:
            self.push(receiver, program.pid, option, given)
        self.assertEqual(receiver.requests[0].samples[0].labels[name], value)

    @cases(("--token-file", "a-token-of-ours\nmore\n", "Bearer a-token-of-ours"), ("--password-file", "me:pass:word\n", "Basic bWU6cGFzczp3b3Jk"))
    def test_who_we_are(self, option, text, header):
        secret = self.dir / "secret"
        secret.write_text(text)
        with self.holder() as program, Receiver() as receiver:
            self.push(receiver, program.pid, option, secret)
        self.assertEqual(receiver.requests[0].headers["authorization"], header)

    def test_several_processes_in_one_connection(self):
        with contextlib.ExitStack() as stack:
            programs = [stack.enter_context(self.holder()) for _ in range(3)]
            with Receiver() as receiver:
                self.push(receiver, *[program.pid for program in programs])
            shadows = {program.pid: self.shadow(program) for program in programs}
        self.assertEqual(len({request.client for request in receiver.requests}), 1)
        for pid, shadow in shadows.items():
            total = sum(sample.profile.total("alloc_space", counted) for sample in receiver.taken() if pid_of(sample) == pid)
            self.assertEqual(total, shadow["alloc_space"])

    def test_one_connection_is_kept(self):
        with self.holder() as program, Receiver() as receiver, Pusher(self, "--to", receiver.url, "--every", "1s", program.pid):
            receiver.wait_for(lambda: len(receiver.requests) >= 3, "three pushes")
        self.assertEqual(len({request.client for request in receiver.requests[:3]}), 1)

    def test_a_name_finds_those_that_come(self):
        copy = self.own_copy("holds")
        with Receiver() as receiver, Pusher(self, "--to", receiver.url, "--every", "1s", copy.name), self.holder(program=copy) as program:
            receiver.wait_for(lambda: any(pid_of(sample) == program.pid for sample in receiver.taken()), "the process was found")
        self.assertEqual({(sample.labels["service_name"], pid_of(sample)) for sample in receiver.taken()}, {(copy.name, program.pid)})


class Deltas(PushCase):
    def test_what_was_allocated_adds_up(self):
        with self.holder() as program, Receiver() as receiver:
            for _ in range(3):
                self.push(receiver, program.pid)
                self.work(program)
            self.push(receiver, program.pid)
            self.push(receiver, program.pid)  # nothing since: but what is in use stays
            shadow = self.shadow(program)
        self.assertEqual(len(receiver.taken()), 5)
        self.assertEqual(receiver.totals(counted), shadow)
        *_, last = sorted((sample.profile for sample in receiver.taken()), key=lambda profile: profile.time_nanos)
        self.assertEqual(last.total("alloc_space"), 0)

    def test_times(self):
        with self.holder() as program, Receiver() as receiver:
            self.push(receiver, program.pid)
            self.push(receiver, program.pid)
        first, second = [sample.profile for sample in receiver.taken()]
        self.assertIn("since the start", first.comment_values()["delta"])
        self.assertEqual(first.time_nanos - first.comment_values()["created_unix_ns"], first.duration_nanos)
        self.assertEqual(second.time_nanos - first.time_nanos, second.duration_nanos)

    def test_the_clock_is_set_back(self):
        """Seen to fail: what had been told before was told once more."""
        clock = compile(paths.TESTS / "cli/clock.c", "-shared", "-fPIC")
        with self.holder() as program, Receiver() as receiver:
            for ahead_s in (7200, 0, -7200, 0):
                self.push(receiver, program.pid, LD_PRELOAD=clock, CLOCK_AHEAD_S=ahead_s)
                self.work(program)
            self.push(receiver, program.pid)
            shadow = self.shadow(program)
        profiles = [sample.profile for sample in receiver.taken()]
        for name in ("alloc_objects", "alloc_space"):
            self.assertEqual(sum(profile.total(name, counted) for profile in profiles), shadow[name], name)
        self.assertEqual([profile.duration_nanos for profile in profiles[1:3]], [0, 0])

    def test_last_words(self):
        """Of a process that was killed, what it left is its last profile: once."""
        copy = self.own_copy("holds")
        with self.holder(program=copy) as program, Receiver() as receiver:
            self.push(receiver, program.pid)
            self.work(program)
            last = self.dump(program.pid)
            program.__exit__()
            for _ in range(2):
                self.push(receiver, copy.name, expect=1)  # nobody is called so any more
        taken = receiver.taken()
        self.assertEqual([pid_of(sample) for sample in taken], [program.pid] * 2)
        for name in ("alloc_objects", "alloc_space"):
            self.assertEqual(sum(sample.profile.total(name, counted) for sample in taken), last.total(name, counted))
        self.assertEqual(taken[-1].profile.total("inuse_space", counted), last.total("inuse_space", counted))
        self.assertEqual(self.kept("marks", program.pid), [])


class Others(PushCase):
    """Who was pushed, and is another program now, or has left what cannot be read."""
    def setUp(self):
        super().setUp()
        self.program = self.own_copy("holds")

    def copies(self, stack, count):
        return [stack.enter_context(self.holder(program=self.program)) for _ in range(count)]

    def test_another_program_of_the_same_number(self):
        """It is told from its start, and nothing stays of the one before."""
        with contextlib.ExitStack() as stack:
            program, = self.copies(stack, 1)
            receiver = stack.enter_context(Receiver())
            self.push(receiver, program.pid)
            program.say("exec")
            program.read_until("ready")
            for _ in range(2):
                self.work(program)
                self.push(receiver, program.pid)
            shadow = self.shadow(program)
        before, *after = [sample.profile for sample in receiver.taken()]
        self.assertEqual(len({before.comment_values()["created_unix_ns"], *(profile.comment_values()["created_unix_ns"] for profile in after)}), 2)
        for name in ("alloc_objects", "alloc_space"):
            self.assertEqual(sum(profile.total(name, counted) for profile in after), shadow[name], name)
        self.assertEqual(len(self.kept("marks", program.pid)), 1)

    def test_last_words_before_another_program(self):
        """Of one that is not profiled, while it runs. Seen to fail: they came when the process had ended."""
        with contextlib.ExitStack() as stack:
            program, beacon = self.copies(stack, 2)
            receiver = stack.enter_context(Receiver())
            taken = lambda: [sample.profile for sample in receiver.taken() if pid_of(sample) == program.pid]
            self.push(receiver, program.pid, beacon.pid)
            self.work(program)
            last = self.dump(program.pid)
            program.say("bare")
            program.read_until("ready")
            for _ in range(2):
                self.push(receiver, self.program.name)
            self.assertEqual(len(taken()), 2)
        for name in ("alloc_objects", "alloc_space"):
            self.assertEqual(sum(profile.total(name, counted) for profile in taken()), last.total(name, counted), name)
        self.assertEqual(taken()[-1].total("inuse_space", counted), last.total("inuse_space", counted))
        self.assertEqual(self.kept("marks", program.pid), [])

    @cases("no state", "cut", "a folder")
    def test_a_killed_one_whose_state_cannot_be_read(self, what):
        """Seen to fail: nobody said that what it had allocated since is not told."""
        with contextlib.ExitStack() as stack:
            program, beacon = self.copies(stack, 2)
            receiver = stack.enter_context(Receiver())
            self.push(receiver, self.program.name)
            self.work(program)
            program.__exit__()
            self.spoil(self.state_file(program.pid), what)
            done = self.push(receiver, self.program.name, expect=1)
            path = re.escape(str(self.state_file(program.pid)))
            self.assertRegex(done.stderr, rf"(?m)^heapprof: {path}.*; what process {program.pid} allocated after its last profile is not told$")
            self.push(receiver, self.program.name)
        counts = [sum(pid_of(sample) == pid for sample in receiver.taken()) for pid in (program.pid, beacon.pid)]
        self.assertEqual((counts, self.kept("marks", program.pid)), ([1, 3], []))

    def spoil(self, path, what):
        if what == "no state":
            patch(path, MAGIC, bytes(8))
        elif what == "cut":
            os.truncate(path, 100)
        else:
            path.unlink()
            path.mkdir()


class Answers(PushCase):
    """What the server says, and what becomes of the profile: it is sent again when all is well, or not."""
    @cases((401, "answers 401: go away"), (403, "answers 403"), (404, "answers 404"), (429, "answers 429: go away"), (500, "answers 500"),
           (503, "answers 503"), (408, "answers 408"), (405, "answers 405"), (204, "answers 204"))
    def test_it_waits(self, status, words):
        with self.holder() as program, Receiver(lambda request: (status, {}, b"" if status == 204 else b"go\n away ")) as receiver:
            done = self.push(receiver, program.pid, expect=1)
            self.assertIn(words.replace(": go away", ": go  away"), done.stderr)
            self.assertIn("profiles wait in", done.stderr)
            self.assertEqual(len(self.waiting()), 1)
            receiver.answer = lambda request: TAKEN
            self.work(program)
            self.push(receiver, program.pid)
            shadow = self.shadow(program)
        self.assertEqual(self.waiting(), [])
        self.assertEqual(receiver.totals(counted), shadow)

    @cases(400, 413, 422)
    def test_it_is_dropped(self, status):
        with self.holder() as program, Receiver(lambda request: (status, *REFUSED[1:])) as receiver:
            done = self.push(receiver, program.pid, expect=1)
        self.assertIn(f"answers {status}: {REFUSED[2].decode()}; the profile ", done.stderr)
        self.assertIn(" is dropped", done.stderr)
        self.assertEqual((len(receiver.requests), self.waiting()), (1, []))

    def test_one_that_is_refused_costs_no_other(self):
        with contextlib.ExitStack() as stack:
            programs = [stack.enter_context(self.holder()) for _ in range(3)]
            bad = programs[1].pid
            answer = lambda request: REFUSED if any(pid_of(sample) == bad for sample in request.samples) else TAKEN
            with Receiver(answer) as receiver:
                self.push(receiver, *[program.pid for program in programs], expect=1)
        self.assertEqual({pid_of(sample) for sample in receiver.taken()}, {programs[0].pid, programs[2].pid})
        self.assertEqual(self.waiting(), [])

    def test_what_was_taken_alone_is_not_sent_again(self):
        """Of three where one was refused, the first was taken, and then the server was gone."""
        with contextlib.ExitStack() as stack:
            pids = [stack.enter_context(self.holder()).pid for _ in range(3)]
            answers = [REFUSED, TAKEN]
            with Receiver(lambda request: answers.pop(0) if answers else (503, {}, b"")) as receiver:
                self.push(receiver, *pids, expect=1)
                self.assertEqual([len(request.samples) for request in receiver.requests], [3, 1, 1, 1])
                receiver.answer = lambda request: TAKEN
                self.push(receiver, *pids)
        ids = [sample.id for request in receiver.requests if request.answered == 200 for sample in request.samples]
        self.assertEqual((len(ids), len(set(ids))), (6, 6))

    @cases("500", "a cut connection")
    def test_one_that_the_server_cannot_bear_holds_up_no_other(self, how):
        """Seen to fail: it was tried again and again, for ever, and all others waited behind it."""
        with self.holder() as bad, self.holder() as good:
            is_ill = True
            def answer(request):
                if is_ill and any(pid_of(sample) == bad.pid for sample in request.samples):
                    if how != "500":
                        raise ConnectionAbortedError  # no answer at all
                    return 500, {}, b"panic"
                return TAKEN
            with Receiver(answer) as receiver, Pusher(self, "--to", receiver.url, "--every", "1s", bad.pid, good.pid) as pusher:
                count = lambda pid: sum(pid_of(sample) == pid for sample in receiver.taken())
                receiver.wait_for(lambda: count(good.pid) >= 5, "the other is pushed, again and again")
                self.assertEqual(count(bad.pid), 0)
                self.assertEqual(pusher.messages().count(f"profiles of process {bad.pid} wait, and those of others are tried\n"), 1)
                self.work(bad)
                is_ill = False
                receiver.wait_for(lambda: count(bad.pid) > 1, "it is taken again")
                pusher.end()
                self.push(receiver, bad.pid)
                shadow = self.shadow(bad)
            self.assertEqual(self.waiting(), [])
        for name in ("alloc_objects", "alloc_space"):
            self.assertEqual(sum(sample.profile.total(name, counted) for sample in receiver.taken() if pid_of(sample) == bad.pid), shadow[name], name)

    def test_once_sends_what_can_be_sent(self):
        """Seen to fail: one profile that the server could not bear kept all of them, each time."""
        with contextlib.ExitStack() as stack:
            programs = [stack.enter_context(self.holder()) for _ in range(3)]
            bad = programs[0].pid
            answer = lambda request: (500, {}, b"panic") if any(pid_of(sample) == bad for sample in request.samples) else TAKEN
            with Receiver(answer) as receiver:
                self.push(receiver, *[program.pid for program in programs], expect=1)
                self.assertEqual({pid_of(sample) for sample in receiver.taken()}, {programs[1].pid, programs[2].pid})
                receiver.answer = lambda request: TAKEN
                self.push(receiver, bad)
        for program in programs:
            totals = [sample.profile.total("alloc_space", counted) for sample in receiver.taken() if pid_of(sample) == program.pid]
            self.assertEqual(len([total for total in totals if total > 0]), 1, "each came once")

    @cases(301, 302, 307, 308)
    def test_a_redirection_is_not_followed(self, status):
        secret = self.dir / "secret"
        secret.write_text("a-token-of-ours\n")
        with self.holder() as program, Receiver() as other:
            with Receiver(lambda request: (status, {"Location": other.url + PATH}, b"")) as receiver:
                done = self.push(receiver, program.pid, "--token-file", secret, expect=1)
        self.assertEqual((len(receiver.requests), other.requests), (1, []))
        self.assertIn(f"answers {status}, go to {other.url}{PATH}: it is not followed", done.stderr)
        self.assertEqual(len(self.waiting()), 1)

    def test_a_page_is_no_answer(self):
        with self.holder() as program, Receiver(lambda request: (200, {"Content-Type": "text/html"}, b"<h1>log in</h1>")) as receiver:
            done = self.push(receiver, program.pid, expect=1)
        self.assertIn("answers as no Pyroscope does, with text/html", done.stderr)
        self.assertEqual(len(self.waiting()), 1)

    def test_a_hostile_answer_is_printed_harmless(self):
        with self.holder() as program, Receiver(lambda request: (500, {}, b"\x1b[31m\x00\xff" + 5000 * b"x")) as receiver:
            done = self.push(receiver, program.pid, expect=1)
        self.assertNotIn("\x1b", done.stderr)
        self.assertLess(len(done.stderr), 1500)

    def test_nobody_answers(self):
        with self.holder() as program:
            done = self.push(f"http://127.0.0.1:{self.held_port()}", program.pid, expect=1)
        self.assertIn("cannot be reached: ", done.stderr)
        self.assertEqual(len(self.waiting()), 1)


class Outage(PushCase):
    def test_nothing_is_lost(self):
        with self.holder() as program, Receiver() as receiver:
            with Pusher(self, "--to", receiver.url, "--every", "1s", program.pid) as pusher:
                receiver.wait_for(lambda: receiver.requests, "the first push")
                receiver.close()
                for _ in range(2):
                    self.work(program)
                    before = len(self.waiting())
                    wait_until(lambda: len(self.waiting()) > before, "profiles wait")
                wait_until(lambda: "; profiles wait in " in pusher.messages(), "it is said")
                receiver.open()
                wait_until(lambda: "takes profiles again" in pusher.messages(), "the server is there again")
                self.work(program)
                seen = {sample.id for sample in receiver.taken()}
                after = self.total_allocated(program)
                receiver.wait_for(lambda: receiver.totals(counted)["alloc_space"] >= after, "all has come")
                self.assertTrue(seen)
                self.assertEqual(pusher.end(), 0)
            shadow = self.shadow(program)
        self.assertEqual(receiver.totals(counted), shadow)

    def total_allocated(self, program):
        return self.dump(program.pid).total("alloc_space", counted)

    def test_sigterm_leaves_what_waits(self):
        with self.holder() as program, Receiver(lambda request: (500, {}, b"")) as receiver:
            with Pusher(self, "--to", receiver.url, "--every", "1h", program.pid) as pusher:
                receiver.wait_for(lambda: receiver.requests, "the first push")
                self.assertEqual(pusher.end(), 0)
            self.assertEqual(len(self.waiting()), 1)
            receiver.answer = lambda request: TAKEN
            self.push(receiver, program.pid)
            shadow = self.shadow(program)
        self.assertEqual(receiver.totals(counted), shadow)

    @cases("before", "after")
    def test_killed_around_an_answer(self, when):
        """Before the answer: the same comes again, by the same id. After it: at most that."""
        with self.holder() as program, Receiver() as receiver:
            pusher, is_known = None, threading.Event()

            def answer(request):
                if when == "before":
                    is_known.wait()
                    pusher.process.kill()
                    pusher.process.wait()
                return TAKEN
            receiver.answer = answer
            pusher = Pusher(self, "--to", receiver.url, "--once", program.pid)
            is_known.set()
            with pusher:
                receiver.wait_for(lambda: receiver.requests, "the push")
                pusher.process.kill()
                pusher.process.wait()
            receiver.answer = lambda request: TAKEN
            self.work(program)
            self.push(receiver, program.pid)
            shadow = self.shadow(program)
        self.assertEqual(receiver.totals(counted), shadow)
        ids = [sample.id for request in receiver.requests for sample in request.samples]
        self.assertEqual(len(set(ids)), 2)
        if when == "before":
            self.assertEqual(len(ids), 3)

    @timeout(600)
    @cases("mkdirat", "renameat", "unlinkat", "write")
    def test_killed_at_any_step(self, call):
        """Either process, at each of its calls that change the queue. Whatever is sent twice has the same id."""
        with self.holder() as program, Receiver() as receiver:
            for number in range(1, 7):
                self.work(program)
                killed = subprocess.run(
                    ["strace", "-f", "-qq", "-o", self.dir / "trace", "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={number}",
                     PUSHER, "--once", "--to", receiver.url, "--queue", self.queue, str(program.pid)], stdin=subprocess.DEVNULL,
                    capture_output=True, text=True, env=self.tool_environment(), timeout=250)
                if number == 1:
                    self.assertIn("killed by SIGKILL", (self.dir / "trace").read_text(), killed.stderr)
            self.push(receiver, program.pid)
            shadow = self.shadow(program)
        self.assertEqual(receiver.totals(counted), shadow)

    def test_who_reads_is_killed(self):
        with self.holder() as program, Receiver() as receiver:
            with Pusher(self, "--to", receiver.url, "--every", "1s", program.pid) as pusher:
                receiver.wait_for(lambda: receiver.requests, "the first push")
                first, = pusher.children()
                os.kill(first, signal.SIGKILL)
                wait_until(lambda: [pid for pid in pusher.children() if pid != first and status_of(pid) not in ("", "Z")], "another reads")
                self.work(program)
                after = self.dump(program.pid).total("alloc_space", counted)
                receiver.wait_for(lambda: receiver.totals(counted)["alloc_space"] >= after, "it goes on")
            shadow = self.shadow(program)
        self.assertEqual(receiver.totals(counted), shadow)

    @cases("SIGTERM", "SIGINT", "SIGHUP")
    def test_all_are_told_to_end(self, name):
        """As systemd or a terminal tells a whole group: who reads leaves it to its parent, so nobody says that it ended."""
        with self.holder() as program, Receiver() as receiver:
            with Pusher(self, "--to", receiver.url, "--every", "1s", program.pid) as pusher:
                receiver.wait_for(lambda: receiver.requests, "the first push")
                child, = pusher.children()
                os.kill(child, signal.Signals[name])
                self.work(program)
                after = self.dump(program.pid).total("alloc_space", counted)
                receiver.wait_for(lambda: receiver.totals(counted)["alloc_space"] >= after, "it goes on")
                self.assertEqual((pusher.children(), pusher.end()), ([child], 0))
                self.assertEqual(pusher.messages().count("\n"), 1, pusher.messages())

    def test_who_reads_ends_with_its_parent(self):
        with self.holder() as program, Receiver() as receiver, Pusher(self, "--to", receiver.url, "--every", "1h", program.pid) as pusher:
            receiver.wait_for(lambda: receiver.requests, "the first push")
            child, = pusher.children()
            pusher.end(signal.SIGKILL)
            wait_until(lambda: status_of(child) in ("", "Z"), "it has ended")
            self.assertEqual(len(receiver.taken()), 1)


class Queue(PushCase):
    def test_full(self):
        """Nothing is put in, and what was allocated meanwhile comes when there is room."""
        blocker = self.queue / "00000000000000000001"
        with self.holder() as program, Receiver(lambda request: (500, {}, b"")) as receiver:
            blocker.mkdir(parents=True)
            (blocker / "profiles").write_bytes(record_file(1, b"pid=1\n", bytes(1 << 20)))
            done = self.push(receiver, program.pid, "--queue-size", "1M", expect=1)
            self.assertIn(f"the queue {self.queue} is full; what is allocated from now on comes with the next profile", done.stderr)
            self.assertEqual(self.waiting(), [blocker.name])
            (blocker / "profiles").unlink()
            receiver.answer = lambda request: TAKEN
            self.work(program)
            self.push(receiver, program.pid, "--queue-size", "1M")
            shadow = self.shadow(program)
        self.assertEqual(receiver.totals(counted), shadow)

    def test_a_part_does_not_fit_again_and_again(self):
        """Seen to fail: each round left marks behind that nobody needed, until they took all the room, for good; and it was always the same one
        that found no room."""
        is_away = False
        answer = lambda request: (500, {}, b"") if is_away and any(pid_of(sample) == 1 for sample in request.samples) else TAKEN
        with self.holder() as program, self.holder() as other, Receiver(answer) as receiver:
            for _ in range(2):
                self.push(receiver, program.pid, other.pid)
                self.work(program)
                self.work(other)
            self.push(receiver, program.pid, other.pid)
            sizes = [len(sample.raw) for sample in receiver.taken()[-2:]]
            taken = len(receiver.taken())
            is_away = True
            blocker = self.queue / "00000000000000000001"
            blocker.mkdir()
            room = max(sizes) + min(sizes) // 2
            text = b"pid=1\n"
            (blocker / "profiles").write_bytes(record_file(1, text, bytes((1 << 20) - room - 8 - RECORD.size - len(text))))
            for _ in range(4):
                self.work(program)
                self.work(other)
                done = self.push(receiver, program.pid, other.pid, "--queue-size", "1M", expect=1)
                self.assertIn(f"the queue {self.queue} is full", done.stderr)
                self.assertLessEqual(len(list(self.queue.glob("*/marks"))), 2)
            self.assertEqual({pid_of(sample) for sample in receiver.taken()[taken:]}, {program.pid, other.pid})
            is_away = False
            self.push(receiver, program.pid, other.pid)
            shadows = {each.pid: self.shadow(each) for each in (program, other)}
        for pid, shadow in shadows.items():
            self.assertEqual(sum(sample.profile.total("alloc_space", counted) for sample in receiver.taken() if pid_of(sample) == pid), shadow["alloc_space"])

    def on_small_disk(self, kib, *command):
        """A heapprof push with its queue on a disk of that size."""
        need_root()
        need_mount_namespaces()
        self.queue.mkdir()
        return ["unshare", "-m", "sh", "-c", f'mount -t tmpfs -o size={kib}k none "$0" && exec "$@"', self.queue, *map(str, command), "--queue", self.queue]

    @cases("server", "folder")
    def test_full_disk(self, kind):
        with self.holder() as program, Receiver() as receiver:
            where = receiver.url if kind == "server" else self.dir / "profiles"
            command = self.on_small_disk(4, paths.TOOL, "push", "--once", "--to", where, program.pid)
            done = subprocess.run(command, capture_output=True, text=True, env=self.tool_environment(), timeout=250)
            self.assertIn(f"the queue {self.queue} cannot be written: No space left on device", done.stderr)
            self.assertEqual(done.returncode, 1)
            self.assertEqual(receiver.requests, [])
            self.push(receiver, program.pid)
            shadow = self.shadow(program)
        self.assertEqual(receiver.totals(counted), shadow)

    def test_room_for_some(self):
        """Seen to fail: an entry came in as a whole or not at all, so of processes that found no room together none was pushed."""
        with contextlib.ExitStack() as stack:
            programs = [stack.enter_context(self.holder()) for _ in range(6)]
            receiver = stack.enter_context(Receiver())
            taken = lambda program: [sample.profile for sample in receiver.taken() if pid_of(sample) == program.pid]
            command = self.on_small_disk(24, PUSHER, "--to", receiver.url, "--every", "1s", *[program.pid for program in programs])
            stack.enter_context(Background(self, command))
            receiver.wait_for(lambda: all(map(taken, programs)), "all were pushed")
            for program in programs:
                self.work(program)
            totals = {program: self.dump(program.pid).total("alloc_space", counted) for program in programs}
            pushed = lambda program: sum(profile.total("alloc_space", counted) for profile in taken(program))
            receiver.wait_for(lambda: all(pushed(program) >= totals[program] for program in programs), "each has had its turn")
            self.assertEqual({program: pushed(program) for program in programs}, totals)

    def test_nothing_can_be_taken_out(self):
        """As of a file system that became read-only. Seen to fail: what was sent was sent again, each time."""
        with self.holder() as program, Receiver() as receiver:
            command = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=unlinkat", "-e", "inject=unlinkat:error=EROFS",
                       PUSHER, "--to", receiver.url, "--queue", self.queue, "--every", "1s", str(program.pid)]
            with Background(self, command) as pusher:
                receiver.wait_for(lambda: len(receiver.requests) >= 4, "four pushes")
                wait_until(lambda: "nothing can be taken out of the queue" in pusher.messages(), "it is said")
                tracer, = pusher.children()
                os.kill(tracer, signal.SIGKILL)
        ids = [sample.id for request in receiver.requests for sample in request.samples]
        self.assertEqual(len(ids), len(set(ids)))
        self.assertEqual(pusher.messages().count("nothing can be taken out"), 1)

    def test_the_queue_is_not_listed_for_each_process(self):
        """But when a round is over, and once a second before."""
        with contextlib.ExitStack() as stack:
            pids = [stack.enter_context(self.holder()).pid for _ in range(8)]
            receiver = stack.enter_context(Receiver())
            start = time.monotonic()
            subprocess.run(["strace", "-qq", "-o", self.dir / "trace", "-e", "trace=openat", PUSHER, "--once", "--to", receiver.url, "--queue", self.queue,
                            *map(str, pids)], stdin=subprocess.DEVNULL, capture_output=True, env=self.tool_environment(), timeout=250, check=True)
            seconds = time.monotonic() - start
        self.assertEqual({pid_of(sample) for sample in receiver.taken()}, set(pids))
        lists = re.findall(r'openat\(\d+, "\.", ', (self.dir / "trace").read_text())
        self.assertLessEqual(len(lists), 4 + seconds)

    def test_processes_share_files(self):
        """A file system takes long to make one. Seen to fail: four for each process, of 200 half of all time."""
        with contextlib.ExitStack() as stack:
            pids = [stack.enter_context(self.holder()).pid for _ in range(8)]
            receiver = stack.enter_context(Receiver())
            start = time.monotonic()
            subprocess.run(["strace", "-f", "-qq", "-o", self.dir / "trace", "-e", "trace=openat,mkdirat", PUSHER, "--once", "--to", receiver.url,
                            "--queue", self.queue, *map(str, pids)], stdin=subprocess.DEVNULL, capture_output=True, env=self.tool_environment(),
                           timeout=250, check=True)
            seconds = time.monotonic() - start
        self.assertEqual({pid_of(sample) for sample in receiver.taken()}, set(pids))
        made = re.findall(r'mkdirat\(\d+, "new"|openat\(\d+, "new/[a-z]+", O_WRONLY\|O_CREAT', (self.dir / "trace").read_text())
        self.assertLessEqual(len(made), 3 * (1 + seconds))

    def test_a_state_is_read_in_few_steps(self):
        """However many stacks it has. Seen to fail: one call for each."""
        program = self.start([compile(paths.TESTS / "bench/fleet.c")], sample=1)
        with program, Receiver() as receiver:
            self.assertEqual(program.process.stdout.read(1), "+")
            self.push(receiver, program.pid)
            subprocess.run(["strace", "-f", "-y", "-qq", "-o", self.dir / "trace", "-e", "trace=pread64,openat", PUSHER, "--once", "--to", receiver.url,
                            "--queue", self.queue, str(program.pid)], stdin=subprocess.DEVNULL, capture_output=True, env=self.tool_environment(),
                           timeout=250, check=True)
            program.say("")
        stacks = len(receiver.requests[-1].samples[0].profile.samples)
        calls = re.findall(rf"(pread64|openat)\(.*/{program.pid}\.heapprof", (self.dir / "trace").read_text())
        self.assertGreaterEqual(stacks, 64)
        self.assertLessEqual(len(calls), 60)

    def test_who_is_not_read_keeps_no_entry(self):
        """Its marks go along with those of the others, and count when it is read again."""
        with self.holder() as program, self.holder() as one, self.holder() as other, Receiver() as receiver:
            self.push(receiver, program.pid, one.pid, other.pid)
            for read in (one, other, one, other):
                self.work(program)
                self.push(receiver, read.pid)
                self.assertLessEqual(len(list(self.queue.glob("*/marks"))), 2)
            self.push(receiver, program.pid, other.pid)
            shadow = self.shadow(program)
        taken = [sample.profile for sample in receiver.taken() if pid_of(sample) == program.pid]
        self.assertEqual((len(taken), sum(profile.total("alloc_space", counted) for profile in taken)), (2, shadow["alloc_space"]))

    def test_two_at_once(self):
        with self.holder() as program, Receiver() as receiver, Pusher(self, "--to", receiver.url, program.pid):
            receiver.wait_for(lambda: receiver.requests, "the first push")
            done = self.push(receiver, program.pid, expect=1)
        self.check_one_line(done, "another heapprof push uses the queue", self.queue)

    @cases(("nothing", b""), ("zeros", bytes(4096)), ("cut", record_file(1, b"a=b\n", b"profile")[:-1]), ("no profile", record_file(1, b"a=b\n", b"")),
           ("no labels", record_file(1, b"", b"profile")), ("no label", record_file(1, b"no label\n", b"profile")),
           ("no text", record_file(1, b"a=\xff\n", b"profile")), ("no line", record_file(1, b"a=b", b"profile")))
    def test_damaged(self, _, contents):
        with self.holder() as program, Receiver(lambda request: (500, {}, b"")) as receiver:
            self.push(receiver, program.pid, expect=1)
            name, = self.waiting()
            (self.queue / name / "profiles").write_bytes(contents)
            receiver.answer = lambda request: TAKEN
            done = self.push(receiver, program.pid)
        self.assertIn(f"{self.queue}/{name} is damaged, and dropped", done.stderr)
        self.assertEqual(self.waiting(), [])
        self.assertEqual(len(receiver.taken()), 1)

    def test_damaged_marks(self):
        """Seen to fail: they were dropped without a word."""
        with self.holder() as program, Receiver() as receiver:
            self.push(receiver, program.pid)
            marks, = self.queue.glob("*/marks")
            marks.write_bytes(b"zeros")
            done = self.push(receiver, program.pid)
        self.assertIn(f"{marks} is damaged, and dropped; processes that it told of are told from their start\n", done.stderr)
        self.assertFalse(marks.exists())

    def test_nothing_stays_of_the_ended(self):
        copy = self.own_copy("holds")
        with self.holder(program=copy) as program, Receiver() as receiver:
            self.push(receiver, copy.name)
            self.assertEqual((len(self.kept("profiles", program.pid)), len(self.kept("marks", program.pid))), (0, 1))
            program.say("end")
            program.end()
            self.push(receiver, copy.name, expect=1)  # nobody is called so any more
        self.assertEqual((self.kept("profiles", program.pid), self.kept("marks", program.pid)), ([], []))

    def test_it_is_its_users_alone(self):
        with self.holder() as program:
            self.push(f"http://127.0.0.1:{self.held_port()}", program.pid, expect=1)
        modes = {path: path.stat().st_mode & 0o077 for path in [self.queue, *self.queue.rglob("*")]}
        self.assertEqual({path for path, mode in modes.items() if mode and path.is_file()}, set())
        self.assertEqual(modes[self.queue], 0)


class Removed(PushCase):
    """The queue, beneath a push that runs: it still knows what it has told."""
    def remove(self, what):
        if what == "folder":
            os.rename(self.queue, self.dir / f"removed.{time.monotonic_ns()}")
        for path in self.queue.glob("*") if what != "folder" else []:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif what == "all in it":
                path.unlink(missing_ok=True)

    @cases(("entries", "entries of the queue {} were removed; what waited in them is lost"),
           ("all in it", "the queue {} was removed; what waited in it is lost, and it is made again"),
           ("folder", "the queue {} was removed; what waited in it is lost, and it is made again"))
    def test_nothing_counts_twice(self, what, words):
        """Seen to fail: all since the start of the process was told again, or never anything more."""
        with self.holder() as program, Receiver() as receiver:
            total = lambda: receiver.totals(counted)["alloc_space"]
            with Pusher(self, "--to", receiver.url, "--every", "1s", program.pid) as pusher:
                receiver.wait_for(receiver.taken, "the first push")
                receiver.wait_for(lambda: total() >= self.allocated(program), "all has come")
                def is_said():
                    if self.queue.exists() and words.format(self.queue) not in pusher.messages():
                        self.remove(what)
                    return words.format(self.queue) in pusher.messages()
                self.assertTrue(wait_until(is_said, "it is said"))
                self.work(program)
                after = self.allocated(program)
                receiver.wait_for(lambda: total() >= after, "it goes on")
                self.assertTrue(wait_until(lambda: (self.queue / "lock").exists(), "it is locked again"))
                self.assertIn("another heapprof push uses the queue", self.push(receiver, program.pid, expect=1).stderr)
                self.assertEqual(pusher.end(), 0)
            self.push(receiver, program.pid)
            shadow = self.shadow(program)
        self.assertEqual(receiver.totals(counted), shadow)

    def allocated(self, program):
        return self.dump(program.pid).total("alloc_space", counted)

    def test_another_has_it_now(self):
        """Seen to fail: it went on in the removed folder."""
        theirs = self.dir / "theirs"
        theirs.mkdir()
        with self.holder() as program, Receiver() as receiver, open(theirs / "lock", "w") as lock, \
                Pusher(self, "--to", receiver.url, "--every", "1s", program.pid) as pusher:
            fcntl.flock(lock, fcntl.LOCK_EX)
            receiver.wait_for(receiver.taken, "the first push")
            while theirs.exists():
                self.remove("folder")
                with contextlib.suppress(OSError):  # it may be made again before
                    os.rename(theirs, self.queue)
            self.assertTrue(wait_until(lambda: pusher.process.poll() is not None, "it ends"))
            self.assertEqual(pusher.process.returncode, 1)
            self.assertIn(f"another heapprof push uses the queue {self.queue}", pusher.messages())


class Folder(PushCase):
    def test_two_of_one_number_in_an_entry(self):
        """Seen to fail: of processes that had the same number one's profile was written over the other's."""
        folder, entry = self.dir / "profiles", self.queue / "00000000000000000001"
        for _ in range(2):  # as if it was killed before it could note what it had put
            entry.mkdir(parents=True)
            (entry / "profiles").write_bytes(b"hpqueue\0" + b"".join(record(7, b"service_name=s\n", contents, created)
                                                                    for created, contents in ((1, b"one"), (2, b"other"))))
            with self.holder() as program:
                self.push(str(folder), program.pid)
            files = {file.name: file.read_bytes() for file in folder.glob("s.7.*")}
            self.assertEqual(files, {"s.7.19700101T000000.000000001Z.pb.gz": b"one", "s.7.19700101T000000.000000001Z.2.pb.gz": b"other"})

    def test_it_is_not_listed_for_each_profile(self):
        """Seen to fail: what it took went with the square of the files."""
        folder = self.dir / "profiles"
        with contextlib.ExitStack() as stack:
            pids = [stack.enter_context(self.holder()).pid for _ in range(5)]
            subprocess.run(["strace", "-f", "-qq", "-o", self.dir / "trace", "-e", "trace=openat", PUSHER, "--once", "--to", folder, "--queue", self.queue,
                            *map(str, pids)], stdin=subprocess.DEVNULL, capture_output=True, env=self.tool_environment(), timeout=250, check=True)
        self.assertEqual(len(list(folder.glob("*.pb.gz"))), 5)
        lists = re.findall(rf'openat\(AT_FDCWD, "{re.escape(str(folder))}", \S*O_DIRECTORY', (self.dir / "trace").read_text())
        self.assertLessEqual(len(lists), 2)

    def test_files(self):
        folder = self.dir / "profiles"
        with self.holder() as program:
            for _ in range(2):
                self.tool("push", "--once", "--to", folder, program.pid)
                self.work(program)
            self.tool("push", "--once", "--to", folder, program.pid)
            shadow = self.shadow(program)
        files = sorted(folder.glob("*.pb.gz"))
        self.assertEqual(len(files), 3)
        for file in files:
            self.assertRegex(file.name, rf"\Aholds\.{program.pid}\.\d{{8}}T\d{{6}}\.\d{{9}}Z\.pb\.gz\Z")
        profiles = [pprof_reader.load(file) for file in files]
        self.assertEqual(sum(profile.total("alloc_space", counted) for profile in profiles), shadow["alloc_space"])
        self.assertEqual(profiles[-1].total("inuse_space", counted), shadow["inuse_space"])

    def test_full(self):
        folder = self.dir / "profiles"
        folder.mkdir()
        with open(folder / "old.pb.gz", "wb") as file:
            file.truncate(1 << 20)
        with self.holder() as program:
            done = self.tool("push", "--once", "--to", folder, "--queue-size", "1M", program.pid, expect=1)
            self.assertIn(f"the folder {folder} is full: profiles wait until some are taken away", done.stderr)
            (folder / "old.pb.gz").unlink()
            self.tool("push", "--once", "--to", folder, "--queue-size", "1M", program.pid)
        self.assertEqual(len(list(folder.glob("holds.*.pb.gz"))), 2)


class Tls(PushCase):
    def setUp(self):
        super().setUp()
        self.certificate, key = self.dir / "server.pem", self.dir / "key.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                        "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", self.certificate],
                       check=True, capture_output=True)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(self.certificate, key)

    def test_a_server_that_nobody_vouches_for(self):
        with self.holder() as program, Receiver(context=self.context) as receiver:
            done = self.push(receiver, program.pid, expect=1)
        self.assertIn("certificate", done.stderr)
        self.assertEqual((receiver.requests, len(self.waiting())), ([], 1))

    def test_one_that_is_known(self):
        with self.holder() as program, Receiver(context=self.context) as receiver:
            self.push(receiver, program.pid, "--ca-file", self.certificate)
            shadow = self.shadow(program)
        self.assertEqual(receiver.totals(counted), shadow)

    def test_another_name(self):
        with self.holder() as program, Receiver(context=self.context) as receiver:
            self.push(receiver.url.replace("127.0.0.1", "localhost"), program.pid, "--ca-file", self.certificate, expect=1)
        self.assertEqual((receiver.requests, len(self.waiting())), ([], 1))


class Nobody(PushCase):
    def test_once(self):
        with Receiver() as receiver:
            self.assertIn("\nheapprof: no profiled process is called 'nobody.there'\n", self.push(receiver, "nobody.there", expect=1).stderr)
            with self.holder() as program:
                done = self.push(receiver, program.pid, "nobody.there", expect=1)
        self.assertIn("no profiled process is called 'nobody.there'\n", done.stderr)
        self.assertEqual([pid_of(sample) for sample in receiver.taken()], [program.pid])

    def test_waiting(self):
        with Receiver() as receiver, Pusher(self, "--to", receiver.url, "nobody.there") as pusher:
            self.assertTrue(wait_until(lambda: "no profiled process is called 'nobody.there' yet; waiting for one\n" in pusher.messages(), "it is said"))


class Folders(PushCase):
    def test_a_wrong_path_is_no_new_folder(self):
        """Seen to fail: all that was missing was made, of any name."""
        done = self.tool("push", "--once", "--to", self.dir / "wrong/profiles", expect=1)
        self.check_one_line(done, "wrong/profiles", "the folder that it would be in is not there")
        self.assertFalse((self.dir / "wrong").exists())
        (self.dir / "file").write_text("mine")
        self.check_one_line(self.tool("push", "--once", "--to", self.dir / "file", expect=1), "file", "Not a directory")


class Reused(PushCase):
    def test_the_number_of_one_that_has_ended(self):
        """Seen to fail: a process that got the number was pushed as if it had been meant."""
        need_reborn()
        with self.holder() as first, self.holder() as beacon, Receiver() as receiver, \
                Pusher(self, "--to", receiver.url, "--every", "1s", first.pid, beacon.pid) as pusher:
            count = lambda pid: sum(pid_of(sample) == pid for sample in receiver.taken())
            receiver.wait_for(lambda: count(first.pid) > 0, "the first was pushed")
            first.__exit__()
            with reborn(self, first.pid, self.victim("holds"), self.victim("libplugin.so")) as second:
                second.say("work")
                second.read_until("done")
                rounds = count(beacon.pid)
                receiver.wait_for(lambda: count(beacon.pid) >= rounds + 3, "rounds in which the second is there")
                starts = {sample.profile.comment_values()["created_unix_ns"] for sample in receiver.taken() if pid_of(sample) == first.pid}
                said = f"process {first.pid} has ended; another process has its number now, and is left out\n"
                self.assertTrue(wait_until(lambda: said in pusher.messages(), "it is said"))
        self.assertEqual((len(starts), pusher.messages().count(said)), (1, 1))


    def test_last_words_of_one_whose_number_is_used(self):
        """Seen to fail: they were held back as long as another process had the number."""
        need_reborn()
        copy = self.own_copy("holds")
        with self.holder(program=copy) as first, Receiver() as receiver:
            self.push(receiver, first.pid)
            self.work(first)
            last = self.dump(first.pid)
            created = last.comment_values()["created_unix_ns"]
            first.__exit__()
            with reborn(self, first.pid, copy, self.victim("libplugin.so")) as second:
                second.say("work")
                second.read_until("done")
                for _ in range(2):
                    self.push(receiver, copy.name)
                taken = [sample.profile for sample in receiver.taken() if pid_of(sample) == first.pid]
        own = [profile for profile in taken if profile.comment_values()["created_unix_ns"] == created]
        self.assertEqual((len(own), len(taken)), (2, 4))
        for name in ("alloc_objects", "alloc_space"):
            self.assertEqual(sum(profile.total(name, counted) for profile in own), last.total(name, counted))


class Usage(PushCase):
    @cases(
        (["--to", "/proc/1/nowhere"], "--to '/proc/1/nowhere'"), (["--to", "http://a", "--token-file", "/nonexistent"], "/nonexistent cannot be used: No such file"),
        (["--to", "http://a", "--ca-file", "/nonexistent"], "/nonexistent"), (["--to", "http://a", "2147483647"], "there is no process 2147483647"),
        (["--to", "http://a", "--queue", "/proc/1/q"], "the queue /proc/1/q cannot be made"),
    )
    def test_what_cannot_be(self, arguments, words):
        done = self.tool("push", "--once", *([] if "--queue" in arguments else ["--queue", self.queue]), *arguments, expect=1)
        self.check_one_line(done, words)

    @cases(([], "--to says where"), (["--to", ""], "--to says where"), (["--to", "localhost:4040"], "'localhost:4040': a URL begins with http://"),
           (["--to", "http:/a"], "'http:/a': a URL begins with http://"), (["--to", "a", "--every", "0s"], "--every takes a time from 1s to 24h, not '0s'"),
           (["--to", "a", "--every", "15 s"], "not '15 s'"), (["--to", "a", "--every", "25h"], "not '25h'"),
           (["--to", "a", "--queue-size", "12"], "--queue-size takes a size from 1M on, as 256M or 2G, not '12'"),
           (["--to", "a", "--queue-size", "99999999999G"], "not '99999999999G'"), (["--to", "a", "--tenant", "a b"], "--tenant 'a b'"),
           (["--to", "a", "--token-file", "x", "--password-file", "y"], "not both"), (["--to", "a", ""], "neither the number nor the name"),
           (["--to", "ftp://a/"], "it must begin with http:// or https://"), (["--to", "http://me:secret@a/"], "--password-file"),
           (["--to", "http://a/?x=1"], "it must end with the path"), (["--to", "http://"], "it is no URL"),
           (["--to", "http://a b/"], "it is no URL"), (["--to", "http://a", "--label", "a"], "it must be NAME=VALUE"),
           (["--to", "http://a", "--label", "a-b=c"], "letters, digits and _"), (["--to", "http://a", "--label", "__name__=c"], "that name is taken"),
           (["--to", "http://a", "--label", "pid=1"], "that name is taken"), (["--to", "http://a", "--label", "a="], "its value must be a line"),
           (["--to", "http://a", "--label", "a=b", "--label", "a=c"], "was given before"))
    def test_misused(self, arguments, words):
        self.check_one_line(self.tool("push", *arguments, expect=2), words)

    @cases(("--token-file", "two words\n", "must be a token, without spaces"), ("--token-file", "", "must be a token"),
           ("--token-file", "a\tb\n", "must be a token"), ("--password-file", "nobody\n", "must be user:password"),
           ("--password-file", ":x\n", "must be user:password"), ("--token-file", 5000 * "x", "larger than 4 KiB"))
    def test_secrets(self, option, text, words):
        secret = self.dir / "secret"
        secret.write_text(text)
        done = self.tool("push", "--once", "--queue", self.queue, "--to", "http://127.0.0.1:1", option, secret, expect=1)
        self.check_one_line(done, words, secret)

    def test_a_secret_that_others_may_write(self):
        secret = self.dir / "secret"
        secret.write_text("a-token\n")
        secret.chmod(0o622)
        done = self.tool("push", "--once", "--queue", self.queue, "--to", "http://127.0.0.1:1", "--token-file", secret, expect=1)
        self.check_one_line(done, "others than its owner may write it")

    def test_a_secret_in_the_clear_is_told(self):
        secret = self.dir / "secret"
        secret.write_text("a-token\n")
        with self.holder() as program:
            done = self.push("http://nowhere.invalid:1", program.pid, "--token-file", secret, expect=1)
        self.assertIn("http://nowhere.invalid:1/push.v1.PusherService/Push gets what proves who we are unencrypted", done.stderr)
