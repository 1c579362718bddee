# SPDX-License-Identifier: MIT
"""A server that takes what heapprof push sends, and checks every field: Pyroscope's public push API, written from its definition.

    push.v1.PusherService/Push: PushRequest { repeated RawProfileSeries series = 1 } -> PushResponse {}
    RawProfileSeries { repeated LabelPair labels = 1; repeated RawSample samples = 2 }
    LabelPair { string name = 1; string value = 2 }    RawSample { bytes raw_profile = 1; string ID = 2 }
"""
import dataclasses
import http.server
import re
import threading
import time

from . import pprof_reader
from .case import port_holder

PATH = "/push.v1.PusherService/Push"
TAKEN = (200, {"Content-Type": "application/proto"}, b"")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclasses.dataclass
class Sample:
    labels: dict
    id: str
    raw: bytes

    @property
    def profile(self):
        return pprof_reader.Profile(pprof_reader.gunzip_one_member(self.raw))


@dataclasses.dataclass
class Request:
    path: str
    headers: dict  # by lower-case name
    body: bytes
    client: tuple  # address and port: the connection
    answered: int = 0

    @property
    def samples(self):
        return read_push(self.body)


def fields_of(data, what, *names):
    """The fields of a message whose fields are all strings, bytes or messages: name -> values. Any other field is an error."""
    found = {name: [] for name in names}
    for number, wire, value in pprof_reader.read_fields(data):
        if not 1 <= number <= len(names) or wire != pprof_reader.BYTES:
            raise AssertionError(f"{what} has field {number} of wire type {wire}")
        found[names[number - 1]].append(value)
    return found


def one(values, what):
    if len(values) != 1:
        raise AssertionError(f"{len(values)} times {what}")
    return values[0]


def read_label(data):
    label = fields_of(data, "LabelPair", "name", "value")
    return one(label["name"], "LabelPair.name").decode(), one(label["value"], "LabelPair.value").decode()


def read_push(data):
    samples = []
    for series in fields_of(data, "PushRequest", "series")["series"]:
        series = fields_of(series, "RawProfileSeries", "labels", "samples")
        pairs = [read_label(label) for label in series["labels"]]
        if [name for name, _ in pairs] != sorted({name for name, _ in pairs}):
            raise AssertionError(f"labels are not in order, or not once each: {pairs}")
        for sample in series["samples"]:
            sample = fields_of(sample, "RawSample", "raw_profile", "ID")
            identifier = one(sample["ID"], "RawSample.ID").decode()
            if not UUID.fullmatch(identifier):
                raise AssertionError(f"no UUID: {identifier}")
            samples.append(Sample(dict(pairs), identifier, one(sample["raw_profile"], "RawSample.raw_profile")))
    return samples


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        request = Request(self.path, {name.lower(): value for name, value in self.headers.items()}, body, self.client_address)
        status, headers, text = self.server.receiver.take(request)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


class Listener(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request, client_address):
        """Who asked is gone, or was killed: the test knows."""


class Receiver:
    """with Receiver() as receiver: ... receiver.url. `answer` decides: a Request -> (status, headers, body)."""
    def __init__(self, answer=None, context=None):
        self.answer = answer or (lambda request: TAKEN)
        self.changed = threading.Condition()
        self.requests = []
        self.context = context
        self.listener = self.holder = self.port = None

    def __enter__(self):
        self.holder = port_holder()
        self.port = self.holder.getsockname()[1]
        self.open()
        return self

    def __exit__(self, *_):
        self.close()
        self.holder.close()

    def open(self):
        """On the same port as before, which is nobody else's meanwhile."""
        self.listener = Listener(("127.0.0.1", self.port), Handler)
        self.listener.receiver = self
        if self.context is not None:
            self.listener.socket = self.context.wrap_socket(self.listener.socket, server_side=True)
        threading.Thread(target=self.listener.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self):
        """Connections that are open stay, but nothing is taken any more."""
        if self.listener is not None:
            self.listener.shutdown()
            self.listener.server_close()
        self.listener = None

    @property
    def url(self):
        return f"http{'s' if self.context else ''}://127.0.0.1:{self.port}"

    def take(self, request):
        answer = self.answer(request) if self.listener is not None else (503, {}, b"")
        with self.changed:
            request.answered = answer[0]
            self.requests.append(request)
            self.changed.notify_all()
        return answer

    def wait_for(self, condition, what, seconds=150):
        end = time.monotonic() + seconds
        with self.changed:
            while not (result := condition()):
                if not self.changed.wait(max(end - time.monotonic(), 0)) and time.monotonic() >= end:
                    raise AssertionError(f"after {seconds} s still not: {what}")
        return result

    def taken(self):
        """What it said that it took, each once however often it came."""
        return list({sample.id: sample for request in self.requests if request.answered == 200 for sample in request.samples}.values())

    def totals(self, where=None):
        """Of all that was taken: alloc_* added up, inuse_* of the last."""
        profiles = sorted((sample.profile for sample in self.taken()), key=lambda profile: profile.time_nanos)
        totals = {name: sum(profile.total(name, where) for profile in profiles) for name in ("alloc_objects", "alloc_space")}
        return {**totals, **{name: profiles[-1].total(name, where) for name in ("inuse_objects", "inuse_space")}}
