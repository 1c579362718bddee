# SPDX-License-Identifier: MIT
"""heapprof push: what arrives, and what becomes of it when nothing arrives."""
import contextlib
import os
import signal
import socket
import ssl
import subprocess
import unittest

from harness import lint, paths, pprof_reader
from harness.background import Background
from harness.case import cases, timeout
from harness.receiver import PATH, TAKEN, Receiver
from harness.states import StateCase, need_mount_namespaces, need_root, status_of, wait_until

PUSHER = paths.BUILD / "heapprof-push"
REFUSED = (400, {"Content-Type": "application/json"}, b'{"code":"invalid_argument","message":"no such profile, please"}')


def counted(frames):
    """Is it among what victims/holds counts itself? dlopen allocates, too."""
    return frames[0].startswith("victim_") or "victim_code" in frames


def pid_of(sample):
    return int(sample.labels["pid"])


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
        return sorted(path.parent.name for path in self.queue.glob("*/profile"))

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
        with Receiver() as receiver, Pusher(self, "--to", receiver.url, "--every", "1s", "holds"), self.holder() as program:
            receiver.wait_for(lambda: any(pid_of(sample) == program.pid for sample in receiver.taken()), "the process was found")
        self.assertEqual({sample.labels["service_name"] for sample in receiver.taken()}, {"holds"})


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
                self.assertIn("; profiles wait in ", pusher.messages())
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
            with Pusher(self, "--to", receiver.url, program.pid) as pusher:
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
            pusher = Pusher(self, "--to", receiver.url, "--once", program.pid)

            def answer(request):
                if when == "before":
                    pusher.process.kill()
                    pusher.process.wait()
                return TAKEN
            receiver.answer = answer
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

    def test_who_reads_ends_with_its_parent(self):
        with self.holder() as program, Receiver() as receiver, Pusher(self, "--to", receiver.url, program.pid) as pusher:
            receiver.wait_for(lambda: receiver.requests, "the first push")
            child, = pusher.children()
            pusher.end(signal.SIGKILL)
            wait_until(lambda: status_of(child) in ("", "Z"), "it has ended")
            self.assertEqual(len(receiver.taken()), 1)


class Queue(PushCase):
    def test_full(self):
        """Nothing is put in, and what was allocated meanwhile comes when there is room."""
        blocker = self.queue / "00000000000000000001.1.1"
        with self.holder() as program, Receiver(lambda request: (500, {}, b"")) as receiver:
            blocker.mkdir(parents=True)
            with open(blocker / "profile", "wb") as file:
                file.truncate(1 << 20)
            (blocker / "labels").write_text("pid=1\n")
            done = self.push(receiver, program.pid, "--queue-size", "1M", expect=1)
            self.assertIn(f"the queue {self.queue} is full; what is allocated from now on comes with the next profile", done.stderr)
            self.assertEqual(self.waiting(), [blocker.name])
            (blocker / "profile").unlink()
            receiver.answer = lambda request: TAKEN
            self.work(program)
            self.push(receiver, program.pid, "--queue-size", "1M")
            shadow = self.shadow(program)
        self.assertEqual(receiver.totals(counted), shadow)

    @cases("server", "folder")
    def test_full_disk(self, kind):
        need_root()
        need_mount_namespaces()
        self.queue.mkdir()
        with self.holder() as program, Receiver() as receiver:
            where = receiver.url if kind == "server" else self.dir / "profiles"
            command = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs -o size=4k none "$0" && exec "$@"', self.queue, paths.TOOL, "push", "--once",
                       "--to", where, "--queue", self.queue, str(program.pid)]
            done = subprocess.run(command, capture_output=True, text=True, env=self.tool_environment(), timeout=250)
            self.assertIn(f"the queue {self.queue} cannot be written: No space left on device", done.stderr)
            self.assertEqual(done.returncode, 1)
            self.assertEqual(receiver.requests, [])
            self.push(receiver, program.pid)
            shadow = self.shadow(program)
        self.assertEqual(receiver.totals(counted), shadow)

    def test_two_at_once(self):
        with self.holder() as program, Receiver() as receiver, Pusher(self, "--to", receiver.url, program.pid):
            receiver.wait_for(lambda: receiver.requests, "the first push")
            done = self.push(receiver, program.pid, expect=1)
        self.check_one_line(done, "another heapprof push uses the queue", self.queue)

    @cases(("profile", b""), ("labels", b""), ("labels", b"no label\n"), ("labels", b"a=\xff\n"), ("labels", b"a=b"))
    def test_damaged(self, part, contents):
        with self.holder() as program, Receiver(lambda request: (500, {}, b"")) as receiver:
            self.push(receiver, program.pid, expect=1)
            name, = self.waiting()
            (self.queue / name / part).write_bytes(contents)
            receiver.answer = lambda request: TAKEN
            done = self.push(receiver, program.pid)
        self.assertIn(f"{self.queue}/{name} is damaged, and dropped", done.stderr)
        self.assertEqual(self.waiting(), [])
        self.assertEqual(len(receiver.taken()), 1)

    def test_nothing_stays_of_the_ended(self):
        with self.holder() as program, Receiver() as receiver:
            entry = f"*.{program.pid}.*"
            self.push(receiver, "holds", expect=None)  # of other tests as well
            self.assertEqual([path.name for path in self.queue.glob(f"{entry}/*")], ["marks"])
            program.say("end")
            program.end()
            self.push(receiver, "holds", expect=None)
        self.assertEqual(list(self.queue.glob(entry)), [])

    def test_it_is_its_users_alone(self):
        with self.holder() as program:
            self.push(f"http://127.0.0.1:{self.held_port()}", program.pid, expect=1)
        modes = {path: path.stat().st_mode & 0o077 for path in [self.queue, *self.queue.rglob("*")]}
        self.assertEqual({path for path, mode in modes.items() if mode and path.is_file()}, set())
        self.assertEqual(modes[self.queue], 0)


class Folder(PushCase):
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
