# SPDX-License-Identifier: MIT
"""Programs and servers that heapprof attach comes to while they work: each looks after itself, and says at the end what went wrong."""
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import threading

from hazards.toolbox import skip_unless
from torture import servers, torment

PYTHON = """
import gc, hashlib, json, sys, threading, zlib
def once():
    value = {str(i): [i, "x" * (i % 97), {"y": i}] for i in range(1000)}
    value["self"] = json.loads(json.dumps(value, sort_keys=True))
    return hashlib.sha1(zlib.compress(json.dumps(value, sort_keys=True).encode())).hexdigest()
expected, over, wrong = once(), threading.Event(), []
def work():
    while not over.is_set():
        if once() != expected:
            wrong.append(1)
        gc.collect()
threads = [threading.Thread(target=work) for _ in range(3)]
for thread in threads:
    thread.start()
print("ready", flush=True)
sys.stdin.readline()
over.set()
for thread in threads:
    thread.join()
print(len(wrong), "failures")
"""
NODE = """
const crypto = require('crypto'), zlib = require('zlib'), {Worker, isMainThread, parentPort} = require('worker_threads');
function once() {
  const o = {}; for (let i = 0; i < 2000; i++) o['k' + i % 500] = JSON.stringify({i, s: 'x'.repeat(i % 97)});
  return crypto.createHash('sha1').update(zlib.gunzipSync(zlib.gzipSync(JSON.stringify(o)))).digest('hex');
}
const expected = once(); let wrong = 0, over = false;
function work(end) { if (once() !== expected) wrong++; if (over) end(); else setImmediate(work, end); }
if (!isMainThread) { parentPort.on('message', () => over = true); work(() => { parentPort.postMessage(wrong); parentPort.close(); }); }
else {
  const workers = [1, 2].map(() => new Worker(__filename)); let left = workers.length;
  for (const worker of workers) worker.on('message', n => { wrong += n; if (--left === 0) console.log(wrong + ' failures'); });
  setTimeout(() => console.log('ready'), 500);
  process.stdin.once('data', () => { over = true; process.stdin.pause(); });
  work(() => workers.forEach(worker => worker.postMessage('over')));
}
"""
JAVA = """
import java.util.*; import java.util.stream.*; import java.util.zip.*;
public class Work {
  static volatile boolean over; static volatile int wrong;
  static long once() {
    CRC32 crc = new CRC32(); Deflater d = new Deflater();
    byte[] text = IntStream.range(0, 5000).mapToObj(Integer::toString).collect(Collectors.joining()).getBytes(), out = new byte[50000];
    d.setInput(text); d.finish(); int n = d.deflate(out); d.end(); crc.update(out, 0, n);
    int caught = 0; for (int i = 0; i < 100; i++) try { ((Object) null).hashCode(); } catch (NullPointerException e) { caught++; }
    return crc.getValue() + caught;
  }
  public static void main(String[] a) throws Exception {
    long expected = once(); List<Thread> threads = new ArrayList<>();
    for (int i = 0; i < 3; i++) { Thread t = new Thread(() -> { while (!over) { if (once() != expected) wrong++; } }); t.start(); threads.add(t); }
    System.out.println("ready"); System.in.read(); over = true;
    for (Thread t : threads) t.join();
    System.out.println(wrong + " failures");
  }
}
"""

# Of each thread what it has, and what others have sent it.
RUST = """
use std::collections::HashMap; use std::io::{self, BufRead, Read, Write}; use std::net::{TcpListener, TcpStream};
use std::sync::{atomic::{AtomicBool, AtomicUsize, Ordering}, Arc}; use std::thread;
fn once() -> usize {
    let mut m: HashMap<String, Vec<String>> = HashMap::new();
    for i in 0..2000 { m.entry(format!("key {}", i % 211)).or_default().push("x".repeat(i % 97)); }
    let mut all: Vec<_> = m.into_iter().collect(); all.sort();
    all.iter().map(|(k, v)| k.len() + v.concat().len()).fold(0, |a, b| a * 31 % 1000003 + b)
}
fn main() {
    let expected = once(); let over = Arc::new(AtomicBool::new(false)); let wrong = Arc::new(AtomicUsize::new(0));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap(); let address = listener.local_addr().unwrap();
    thread::spawn(move || for stream in listener.incoming() { let mut stream = stream.unwrap(); thread::spawn(move || {
        let mut buffer = [0; 4]; while stream.read_exact(&mut buffer).is_ok() { stream.write_all(&once().to_le_bytes()[..4]).unwrap(); } }); });
    let threads: Vec<_> = (0..3).map(|_| { let (over, wrong) = (over.clone(), wrong.clone()); thread::spawn(move || {
        let mut stream = TcpStream::connect(address).unwrap(); let mut answer = [0; 4];
        while !over.load(Ordering::SeqCst) {
            stream.write_all(b"once").unwrap(); stream.read_exact(&mut answer).unwrap();
            if u32::from_le_bytes(answer) as usize != expected || once() != expected { wrong.fetch_add(1, Ordering::SeqCst); } } }) }).collect();
    println!("ready"); let mut line = String::new(); io::stdin().lock().read_line(&mut line).unwrap(); over.store(true, Ordering::SeqCst);
    for thread in threads { thread.join().unwrap(); }
    println!("{} failures", wrong.load(Ordering::SeqCst));
}
"""


class Worker:
    """A program that says "ready", and "0 failures" at the end."""
    needs = ()
    makes_code = False  # itself, as it runs

    def __init__(self, case, **options):
        self.case, self.options = case, {"preload": False, **options}
        for name in self.needs:
            skip_unless(shutil.which(name), f"{name} is not installed: ./bootstrap torture installs it")

    def command(self):
        raise NotImplementedError

    def start(self):
        self.program = self.case.start(self.command(), **self.options)
        self.case.addCleanup(self.program.__exit__)
        self.program.read_until("ready")

    def pids(self):
        return [self.program.pid]

    def end(self):
        run = self.program.end("end\n")
        self.case.assertEqual((run.status, run.out, run.err), (0, "0 failures\n", ""))


class Own(Worker):
    """tests/torture/rounds.c"""
    def __init__(self, case, way, flags=(), **options):
        super().__init__(case, **options)
        self.way, self.flags = way, flags

    def command(self):
        return [torment.build(torment.FOLDER / "rounds.c", flags=self.flags), self.way]


class Python(Worker):
    needs = ("python3",)

    def command(self):
        return ["/usr/bin/python3", "-c", PYTHON]


class Node(Worker):
    needs, makes_code = ("node",), True

    def command(self):
        path = self.case.dir / "work.js"
        path.write_text(NODE)
        return ["node", path]


class Java(Worker):
    needs, makes_code = ("javac", "java"), True

    def command(self):
        (self.case.dir / "Work.java").write_text(JAVA)
        subprocess.run(["javac", "Work.java"], cwd=self.case.dir, check=True)
        return ["java", "-Xmx64m", "-cp", self.case.dir, "Work"]


class Rust(Worker):
    """A server and its clients, with the allocator that Rust takes by itself: libc's."""
    needs = ("rustc",)

    def command(self):
        (self.case.dir / "work.rs").write_text(RUST)
        subprocess.run(["rustc", "-O", "work.rs"], cwd=self.case.dir, check=True)
        return [self.case.dir / "work"]


class Served:
    """A server under load all the time, the clients of which see no error."""
    kind = None
    makes_code = False
    SLICE_SECONDS = 0.5

    def __init__(self, case):
        self.case, self.over = case, threading.Event()
        for name in self.kind.needs:
            skip_unless(shutil.which(name), f"{name} is not installed: ./bootstrap torture installs it")

    def start(self):
        self.server = self.kind(self.case.base / "server", self.case.environment(preload=False))
        self.case.addCleanup(self.server.kill)
        self.server.start()
        self.prepare()
        pool = concurrent.futures.ThreadPoolExecutor(1)
        self.case.addCleanup(pool.shutdown)
        self.case.addCleanup(self.over.set)
        self.loading = pool.submit(self.load)

    def prepare(self):
        """What is there to be found at the end."""

    def load(self):
        slices = 0
        while not self.over.is_set():
            self.server.load(self.SLICE_SECONDS)
            slices += 1
        return slices

    def pids(self):
        return list(self.server.pids().values())

    def end(self):
        self.over.set()
        self.case.assertGreater(self.loading.result(), 0, "no load came to its end")
        self.check()
        self.case.assertEqual(self.server.stop(), 0, self.server.log()[-2000:])

    def check(self):
        raise NotImplementedError


class Redis(Served):
    kind = servers.Redis

    def prepare(self):
        self.server.ask("redis-cli", "-s", "socket", "eval", "for i = 1, 500 do redis.call('set', 'kept:' .. i, string.rep('x', i)) end", 0)

    def check(self):
        lengths = self.server.ask("redis-cli", "-s", "socket", "eval",
                                  "local n = 0 for i = 1, 500 do n = n + #redis.call('get', 'kept:' .. i) end return n", 0)
        self.case.assertEqual(int(lengths), 500 * 501 // 2)
        self.case.assertIn("total_error_replies:0\r", self.server.ask("redis-cli", "-s", "socket", "info", "stats").replace("\n", "\r"))


class Postgres(Served):
    kind = servers.Postgres

    def load(self):
        """So many transactions, however long they take."""
        slices = 0
        while not self.over.is_set():
            out = self.server.ask(servers.POSTGRES_BIN / "pgbench", "-n", "-N", "-c", 4, "-t", 50)
            self.case.assertIn("number of failed transactions: 0 ", out)
            slices += 1
        return slices

    def check(self):
        self.case.assertEqual(self.server.psql("select sum(abalance) = (select sum(delta) from pgbench_history) from pgbench_accounts"),
                              "t\n")
        self.case.assertEqual(re.findall(r".*(?:WARNING|FATAL|PANIC|terminated by).*", self.server.log()), [])


class Nginx(Served):
    kind = servers.Nginx
    SLICE_SECONDS = 1

    def check(self):
        self.case.assertEqual(re.findall(r".*(?:alert|emerg|signal \d+).*", (self.server.folder / "errors").read_text()), [])


KINDS = {kind.__name__: kind for kind in (Python, Node, Java, Rust, Redis, Postgres, Nginx)}


def maker(name):
    """Called with a test case."""
    return KINDS.get(name) or (lambda case: Own(case, name))


def public_copy(path, folder):
    """Of a file, where servers that give up root can reach it."""
    copy = pathlib.Path(shutil.copy(path, folder))
    os.chmod(copy, 0o755)
    return copy
