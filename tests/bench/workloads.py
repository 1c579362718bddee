# SPDX-License-Identifier: MIT
"""Real programs at work, as shell scripts. "$@" stands in front of the program that is profiled: nothing, `env LD_PRELOAD=...`, or a
profiler's own command. $AMOUNT is how much of it. The other side of a server runs without, and its CPU time is said."""
import os
import pathlib
import re
import shutil
import subprocess

PRELUDE = r"""
set -eu
TIMEFORMAT='client CPU %U %S'
wait_for() { for _ in $(seq 1200); do "$@" >/dev/null 2>&1 && return; sleep 0.05; done; echo "never: $*" >&2; exit 1; }
"""

SQLITE = r"""
cat >work.sql <<SQL
PRAGMA temp_store = memory;
CREATE TABLE users(id INTEGER PRIMARY KEY, name TEXT, mail TEXT);
CREATE TABLE orders(id INTEGER PRIMARY KEY, user INTEGER, amount REAL, note TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $AMOUNT)
  INSERT INTO users SELECT i, 'user ' || i, printf('user%d@example.org', i) FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3 * $AMOUNT)
  INSERT INTO orders SELECT i, (i * 7919) % $AMOUNT + 1, i % 1000 / 10.0, hex(zeroblob(i % 50)) FROM n;
CREATE INDEX orders_user ON orders(user);
SELECT count(*), sum(length(notes)) FROM (SELECT users.name, sum(amount) AS total, group_concat(note, ',') AS notes
  FROM users JOIN orders ON orders.user = users.id GROUP BY users.name ORDER BY total);
SQL
"$@" sqlite3 :memory: '.read work.sql'
"""

PYTHON = r"""
cat >work.py <<'PY'
import json, sys
rows = []
for i in range(int(sys.argv[1])):
    row = {"id": i, "name": f"user {i}", "tags": [str(i * k) for k in range(8)]}
    rows.append(json.loads(json.dumps(row)))
words = {}
for row in rows:
    for tag in row["tags"]:
        words.setdefault(tag[:3], []).append(row["id"])
print(len(words), sum(map(len, words.values())))
PY
"$@" /usr/bin/python3 work.py $AMOUNT
"""

CXX = r"""
{
  echo '#include <vector>'
  for i in $(seq $AMOUNT); do
    echo "template <int N> struct S$i { std::vector<S$i<N - 1>> v; int f(int a) { v.resize(a); return v[0].f(a) + (int)v.size(); } };"
    echo "template <> struct S$i<0> { int f(int a) { return a; } }; int f$i(int a) { return S$i<2>().f(a); }"
  done
} >work.cc
g++ -std=c++17 -E work.cc -o work.ii
"$@" $(g++ -print-prog-name=cc1plus) -quiet -fpreprocessed -std=c++17 -O1 work.ii -o work.s
wc -c <work.s
"""

REDIS = r"""
"$@" redis-server --port 0 --unixsocket r.sock --dir . --save '' --daemonize no >log &
server=$!
wait_for redis-cli -s r.sock ping
time redis-benchmark -s r.sock -q -n $AMOUNT -r 20000 -d 200 -P 16 -t set,lpush,lpop,hset,zadd >/dev/null
redis-cli -s r.sock shutdown nosave || true
wait $server
"""

POSTGRES = r"""
PATH=$POSTGRES_BIN:$PATH
export PGHOST=$PWD PGUSER=postgres PGDATABASE=postgres
cp -a "$POSTGRES_TEMPLATE" data
"$@" postgres -D data -k "$PWD" -c listen_addresses= -c fsync=off -c jit=off -c autovacuum=off >log 2>&1 &
server=$!
wait_for grep -q 'ready to accept connections' log
time pgbench -n -c 2 -t $AMOUNT --random-seed=7 2>/dev/null | grep processed
pg_ctl -D data -m fast -W stop >/dev/null
wait $server
"""

NODE = r"""
cat >work.js <<'JS'
const crypto = require("crypto"), zlib = require("zlib");
let total = 0;
for (let i = 0; i < Number(process.argv[2]); i++) {
  const text = JSON.stringify(Array.from({length: 200}, (_, k) => ({id: i * k, name: "user " + k})));
  total += zlib.gunzipSync(zlib.gzipSync(Buffer.from(text))).length;
  total += crypto.createHash("sha256").update(text).digest().length;
}
console.log(total);
JS
"$@" node work.js $AMOUNT
"""

# Name: its script, the programs that it needs, how much of it takes about a second, and how much is enough under callgrind.
WORKLOADS = {
    "sqlite3": (SQLITE, ("sqlite3",), 60_000, 6_000),
    "python3": (PYTHON, ("/usr/bin/python3",), 40_000, 2_000),
    "g++": (CXX, ("g++",), 9, 3),
    "redis-server": (REDIS, ("redis-server", "redis-benchmark", "redis-cli"), 150_000, 9_000),
    "postgres": (POSTGRES, (), 1_000, 180),
    "nodejs": (NODE, ("node",), 1_600, 450),
}

USER = "postgres"  # PostgreSQL refuses to run as root


def postgres_bin():
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    return found[-1].parent if found else None


def missing(name):
    """Why it cannot run here, or None."""
    absent = [program for program in WORKLOADS[name][1] if shutil.which(program) is None]
    if absent:
        return f"{', '.join(absent)} not installed"
    if name == "postgres" and postgres_bin() is None:
        return "postgresql not installed"
    return None


def variables(name):
    """Of the program's environment. Python's own allocator would ask malloc for whole arenas only."""
    return {"PYTHONMALLOC": "malloc", "PYTHONHASHSEED": "0"} if name == "python3" else {}


def as_postgres(words):
    if os.geteuid() != 0:
        return words
    return ["setpriv", "--reuid", USER, "--regid", USER, "--clear-groups", "--inh-caps=-all", *words]


def postgres_template(bench):
    """A database directory with pgbench's tables, made once; runs copy it."""
    folder = bench.scratch / "postgres"
    if folder.exists():
        return folder / "data"
    folder.mkdir()
    open_to_postgres(folder)
    script = f"""set -eu; export PATH={postgres_bin()}:$PATH PGHOST={folder} PGUSER=postgres
        initdb -D data -A trust -U postgres --no-sync; pg_ctl -D data -w -o '-k {folder} -c listen_addresses= -c fsync=off' -l log start
        pgbench -q -i -s 1; pg_ctl -D data -w -m fast stop"""
    subprocess.run(as_postgres(["bash", "-c", script]), cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                   env={**os.environ, "LC_ALL": "C"})
    return folder / "data"


def open_to_postgres(folder):
    if os.geteuid() == 0:
        shutil.chown(folder, USER)
        folder.chmod(0o755)


def prefix_of(contender, folder, settings):
    """What "$@" is: the profiler's command, or env with its variables; so that helpers of the script run without it."""
    environment = {**contender.environment(folder), **settings}
    words = ["env", *(f"{name}={value}" for name, value in environment.items())] if environment else []
    return [*words, *contender.command([], folder)]


def command(bench, name, amount, prefix, folder):
    """The words that run it in the folder."""
    words = ["bash", "-c", PRELUDE + WORKLOADS[name][0], "bash", *prefix]
    if name != "postgres":
        return ["env", f"AMOUNT={amount}", *words]
    template = postgres_template(bench)
    open_to_postgres(folder)
    return as_postgres(["env", f"AMOUNT={amount}", f"POSTGRES_BIN={postgres_bin()}", f"POSTGRES_TEMPLATE={template}", *words])


def amount(name):
    return WORKLOADS[name][2]


def counted_amount(name):
    return WORKLOADS[name][3]


def client_cpu_s(run):
    """Of the other side of a server, which bash has timed."""
    return sum(float(word) for found in re.findall(r"^client CPU ([\d.]+) ([\d.]+)$", run.err, re.MULTILINE) for word in found)
