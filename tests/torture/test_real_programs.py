# SPDX-License-Identifier: MIT
"""Real programs say and do the same under the profiler: output, exit status, checksums of what they wrote.

Each class is a shell script that runs in an empty directory, once alone and once for each sampling interval with LD_PRELOAD set
for everything it starts. What it prints must not differ. Servers are started by the script on loopback or a Unix socket, as the user
they insist on, and stopped by their pid. `./bootstrap torture` installs the packages; without them a class is skipped, and those that
take long run only in the torture suite.
"""
from torture.real import RealTest


class Configure(RealTest):
    """dash and bash run a whole configure script, thousands of processes: its words and its results, byte for byte."""
    needs = ("dash", "bash", "autoconf", "gcc")
    samples = (1, None)
    is_long = False
    profiles_of = ("dash", "bash", "sed", "perl", "cc1")
    script = r"""
cat >configure.ac <<'AC'
AC_INIT([sample], [1.0])
AC_CONFIG_HEADERS([config.h])
AC_PROG_CC
AC_CHECK_HEADERS([stdlib.h unistd.h sys/mman.h sys/epoll.h nowhere.h])
AC_CHECK_FUNCS([malloc mmap strlcpy getrandom no_such_function])
AC_CHECK_SIZEOF([long])
AC_C_BIGENDIAN
AC_CONFIG_FILES([out.txt])
AC_OUTPUT
AC
echo 'host @host_os@ prefix @prefix@ version @PACKAGE_VERSION@' >out.txt.in
printf '#undef HAVE_MMAP\n#undef HAVE_STRLCPY\n#undef SIZEOF_LONG\n#undef HAVE_SYS_EPOLL_H\n' >config.h.in
autoconf 2>/dev/null
for shell in dash bash; do
  CONFIG_SHELL=/bin/$shell $shell ./configure
  cat out.txt
  grep '^#' config.h || true
  rm -f config.cache
done
sha256sum out.txt config.h
"""


class Git(RealTest):
    """git: commits, clone, gc, fsck, log; everything has a fixed date, so that even the hashes are the same."""
    needs = ("git",)
    samples = (1, None)
    is_long = False
    profiles_of = ("git",)
    script = r"""
export GIT_AUTHOR_DATE='2020-01-01T00:00:00Z' GIT_COMMITTER_DATE='2020-01-01T00:00:00Z'
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.org
git init -q -b main source
cd source
for i in $(seq 15); do seq $((i * 300)) >file.$((i % 5)); git add . ; git commit -q -m "change $i"; done
git branch other HEAD~3
cd ..
git clone -q --no-local source copy
cd copy
git gc -q --prune=now
git fsck --strict 2>&1
git rev-parse HEAD origin/other
git log --stat --format='%H %s' | sha256sum
git diff HEAD~5 --shortstat
git archive HEAD | sha256sum
"""


class Make(RealTest):
    """gcc under make -j2: every object is the same, byte for byte."""
    needs = ("gcc", "make", "/usr/include/zlib.h")
    samples = (1, None)
    is_long = False
    profiles_of = ("cc", "make", "cc1", "as")
    script = r"""
cp -r "$SRC/core" "$SRC/include" .
cat >Makefile <<'MAKE'
objects = arena.o config.o prng.o region.o rules.o sampler.o stacks.o text.o writer.o unwind.o record.o
all: $(objects)
%.o: core/%.c
	$(CC) -std=gnu11 -O2 -g -D_GNU_SOURCE '-DHEAPPROF_MACHINE_H="core/arch/$(shell uname -m).h"' -iquote . -iquote core \
	  -Iinclude -c -o $@ $< 2>/dev/null || echo "$< does not compile alone"
MAKE
make -s -j2 all
sha256sum *.o
"""


class Perl(RealTest):
    """perl: threads, forks, pipes, signals, sort, regular expressions, DESTROY at exit, in tests run by its own harness (prove).
    Debian packages none of perl's own tests; what comes with it checks itself instead: some modules of
    its library are taken apart and put together again by B::Deparse, and manuals are formatted.

    perl leaves state where it executes a shell that takes no sample of its own; a shell is killed by SIGKILL."""
    needs = ("perl", "prove")
    samples = (1, None)
    is_long = False
    profiles_of = ("perl",)
    leaves_state = ("sh",)  # one is killed
    script = r"""
mkdir t
cat >t/data.t <<'T'
use strict; use warnings; use Test::More; use List::Util qw(sum); use Digest::SHA qw(sha1_hex); use Storable qw(freeze thaw); use Encode;
my %h; $h{$_ % 977} .= chr(65 + $_ % 26) for 1 .. 60000;
is sha1_hex(join ",", map { "$_=$h{$_}" } sort { $a <=> $b } keys %h), sha1_hex(join ",", map { "$_=$h{$_}" } sort { $a <=> $b } keys %{thaw freeze \%h});
my $t = join " ", map { "word$_" } 1 .. 4000; my $n = 0; $n++ while $t =~ /\b(w\w+?)(\d{2})\b/g; is $n, 3991;
is sum(map { length encode("UTF-16", decode("UTF-8", "\xc3\xa4" x $_)) } 1 .. 200), 40600;
ok !eval { my @big = (1) x 1e5; die "caught\n" }; is $@, "caught\n";
my $destroyed = 0; sub D::DESTROY { $destroyed++ } { my @d = map { bless [], "D" } 1 .. 100 } is $destroyed, 100;
done_testing;
T
cat >t/processes.t <<'T'
use strict; use warnings; use Test::More; use POSIX ":sys_wait_h";
for my $i (1 .. 5) { my $p = open(my $f, "-|") // die; if (!$p) { print $i * 1000; exit $i } is <$f>, $i * 1000; close $f; is $? >> 8, $i }
my $alarms = 0; local $SIG{ALRM} = sub { $alarms++; my @garbage = map { "x" x $_ } 1 .. 100 };
for (1 .. 3) { alarm 1; my $seen = $alarms; my $garbage; $garbage = join ",", 1 .. 1000 while $alarms == $seen } is $alarms, 3;
is `echo from a shell`, "from a shell\n"; is system("sh", "-c", 'kill -9 $$') & 127, 9;
done_testing;
T
cat >t/threads.t <<'T'
use strict; use warnings; use threads; use threads::shared; use Thread::Queue; use Test::More;
my $todo = Thread::Queue->new; my $done = Thread::Queue->new;
my @workers = map { threads->create(sub { while (defined(my $n = $todo->dequeue)) { my $s = 0; $s += $_ for 1 .. $n; $done->enqueue($s) } }) } 1 .. 4;
$todo->enqueue(1 .. 200); $todo->end; $_->join for @workers; my $all = 0; $all += $_ while defined($_ = $done->dequeue_nb);
is $all, 1353400;
done_testing;
T
prove t | sed 's/, *[0-9]* wallclock.*//'
export PERL_HASH_SEED=0
library=$(perl -MConfig -e 'print $Config{privlibexp}')
for module in Text/Balanced Time/Local Text/Wrap; do
  perl -MO=Deparse "$library/$module.pm" >deparsed.pm && perl -c deparsed.pm && sha256sum <deparsed.pm
done
for pod in "$library"/Pod/{Man,Text,Usage}.pm; do pod2man --date=0 --release=0 "$pod" | sed 1,2d | sha256sum; done
perl -e 'package D; sub new { bless {} } sub DESTROY { print "destroyed\n" } package main; our $d = D->new; exec "sh", "-c", "wait; echo and gone" if fork && wait > 0; exit 3'
"""


class Python(RealTest):
    """python3 runs parts of its own test suite, with threads, subprocesses, forks, pickling between processes, ctypes."""
    needs = ("/usr/bin/python3", "/usr/lib/python3.11/test/test_json/__init__.py")
    samples = (4096, None)
    profiles_of = ("python3",)
    hides = (r"s/[0-9.]+ ?(ms|sec|min)[^,]*//g", r"s/^[0-9:. ]+load avg: [0-9.]+ //", r"s/^[0-9]+:[0-9]+:[0-9]+ //", r"/Randomizing|random seed|tempdir|^== /d",
             r"s/^\[ *//", r"s/passed in .*//")
    script = r"""
export PYTHONMALLOC=malloc
for part in json re dict list bytes struct zlib queue thread generators weakref fork1 ctypes coroutines; do
  /usr/bin/python3 -m test "test_$part" >log 2>&1 && echo "$part: 0" || { echo "$part: $?"; cat log; }
  grep -E '^(Result|Tests result):' log
done
cat >work.py <<'PY'
import multiprocessing, subprocess, threading
def work(n): return sum(i * i for i in range(n))
if __name__ == "__main__":
    for method in ("fork", "spawn", "forkserver"):
        with multiprocessing.get_context(method).Pool(3) as pool:
            print(method, sum(pool.map(work, range(300))))
            pool.close(); pool.join()
    print([subprocess.run(["sh", "-c", f"exit {i}"]).returncode for i in range(5)])
    done = []
    threads = [threading.Thread(target=lambda i=i: done.append(work(i * 1000))) for i in range(20)]
    [t.start() for t in threads]; [t.join() for t in threads]
    print(sum(done))
PY
/usr/bin/python3 work.py
"""


class Sqlite(RealTest):
    """sqlite3: a database on disk with indexes, joins, sorting, VACUUM."""
    needs = ("sqlite3",)
    samples = (1, None)
    is_long = False
    profiles_of = ("sqlite3",)
    script = r"""
sqlite3 data.db <<'SQL'
PRAGMA journal_mode = wal;
CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT, b REAL);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000) INSERT INTO t SELECT i, hex(i * 7919 % 10007), i / 7.0 FROM n;
CREATE INDEX ta ON t(a);
SELECT count(*), sum(b), min(a), max(a) FROM t;
SELECT a, count(*), group_concat(id) FROM t GROUP BY a ORDER BY count(*) DESC, a LIMIT 5;
DELETE FROM t WHERE id % 3 = 0;
VACUUM;
PRAGMA integrity_check;
SELECT sum(length(x.a || y.a)) FROM t x JOIN t y ON x.a = y.a;
SQL
sqlite3 data.db .dump | sha256sum
"""


class Gdb(RealTest):
    """gdb debugs a program, both under the preload: breakpoints, stepping, a call into it, its Python."""
    needs = ("gdb", "gcc")
    samples = (1, None)
    is_long = False
    profiles_of = ("gdb", "p")
    hides = (r"s/0x[0-9a-f]+/ADDRESS/g", r"s/(process|LWP) [0-9]+/\1 N/g")
    script = r"""
cat >p.c <<'C'
#include <stdio.h>
#include <stdlib.h>
int twice(int n) { return 2 * n; }
int main(void) { char *p = malloc(100); int s = 0; for (int i = 0; i < 10; i++) s += twice(i); sprintf(p, "%d", s); puts(p); free(p); return 4; }
C
gcc -g -O0 -o p p.c
gdb -nx -q -batch -ex 'break twice if n == 7' -ex run -ex bt -ex 'print n' -ex 'print twice(21)' -ex finish -ex 'python print(gdb.selected_frame().name())' \
  -ex continue ./p 2>&1 | grep -vE 'libthread_db|Thread debugging|debuginfod'
"""


class Ssh(RealTest):
    """scp and ssh through an sshd of its own: 20 MB arrive unchanged, a key is refused. Before a user is let in, sshd's child
    confines itself by seccomp: it writes no profile, and leaves its state."""
    needs = ("/usr/sbin/sshd", "scp", "ssh-keygen")
    samples = (1, None)
    is_long = False
    profiles_of = ("sshd", "ssh", "scp", "ssh-keygen")
    leaves_state = ("sshd",)
    script = r"""
test "$(id -u)" = 0 && mkdir -p /run/sshd
ssh-keygen -q -t ed25519 -N '' -f host; ssh-keygen -q -t ed25519 -N '' -f key; ssh-keygen -q -t ed25519 -N '' -f stranger
cp key.pub authorized; chmod 600 authorized host key
cat >config <<CONF
Port $PORT
ListenAddress 127.0.0.1
HostKey $PWD/host
AuthorizedKeysFile $PWD/authorized
StrictModes no
UsePAM no
PidFile $PWD/pid
Subsystem sftp internal-sftp
CONF
/usr/sbin/sshd -D -f config -E sshd.log &
server=$!
wait_for test -s pid
options="-F none -o Port=$PORT -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o IdentitiesOnly=yes"
seq 2500000 >data
scp -q -i key $options data "127.0.0.1:$PWD/sftp" && sha256sum <sftp
scp -q -i key -O $options data "127.0.0.1:$PWD/rcp" && sha256sum <rcp
scp -q -i key $options "127.0.0.1:$PWD/data" back && cmp data back && echo same
echo words | status_of ssh -i key $options 127.0.0.1 'cat; exit 3'
status_of ssh -i stranger $options 127.0.0.1 true
grep -ciE 'fatal|killed|signal|violation' sshd.log || true
stop $server
"""

    def variables(self):
        return {"PORT": self.held_port()}


class Redis(RealTest):
    """redis-server under load with a loop of BGSAVE: what is in it, and what a second server reads from its dump."""
    needs = ("redis-server", "redis-cli", "redis-benchmark")
    samples = (1, None)
    profiles_of = ("redis-server", "redis-benchmark", "redis-cli")
    script = r"""
redis-server --port 0 --unixsocket r.sock --dir . --save '' --enable-debug-command local >log &
server=$!
wait_for redis-cli -s r.sock ping
for i in $(seq 3); do
  redis-benchmark -s r.sock -q -n 10000 -r 1 -d 300 -P 20 -t set,lpush,sadd >/dev/null &
  load=$!
  redis-cli -s r.sock bgsave >/dev/null
  redis-cli -s r.sock eval 'for i = 1, 20000 do redis.call("set", "k" .. i, string.rep("v", i % 500)) end return redis.status_reply("OK")' 0
  wait $load
  wait_for sh -c 'redis-cli -s r.sock info persistence | grep -q rdb_bgsave_in_progress:0'
  redis-cli -s r.sock info persistence | grep -o 'rdb_last_bgsave_status:ok'
done
redis-cli -s r.sock debug digest
redis-cli -s r.sock save
stop $server
redis-server --port 0 --unixsocket s.sock --dir . --save '' >log2 &
server=$!
wait_for redis-cli -s s.sock ping
wait_for sh -c 'redis-cli -s s.sock info persistence | grep -q loading:0'
redis-cli -s s.sock eval 'local n = 0 for i = 1, 20000 do n = n + #redis.call("get", "k" .. i) end return n' 0
redis-cli -s s.sock shutdown nosave || true
status_of wait $server
"""


class Postgres(RealTest):
    """postgresql: initdb, pgbench with a connection per transaction, JIT, parallel queries, nobody crashes, fast shutdown."""
    needs = ("/usr/lib/postgresql/15/bin/postgres", "/usr/lib/postgresql/15/bin/pgbench")
    as_user = "postgres"
    profiles_of = ("initdb", "postgres", "pgbench", "psql")
    script = r"""
export PATH=/usr/lib/postgresql/15/bin:$PATH PGHOST=$PWD PGDATABASE=postgres
initdb -D data -A trust -U postgres >/dev/null
export PGUSER=postgres
postgres -D data -k "$PWD" -c listen_addresses= -c fsync=off -c jit=off \
  -c max_parallel_workers_per_gather=2 -c min_parallel_table_scan_size=0 -c parallel_setup_cost=0 >log 2>&1 &
server=$!
wait_for psql -qAtc 'select 1'
pgbench -q -i -s 2 2>/dev/null
pgbench -C -n -c 4 -j 2 -t 50 --random-seed=7 -S 2>&1 | grep -E 'processed|failed'
pgbench -n -c 1 -t 300 --random-seed=7 2>&1 | grep -E 'processed|failed'
psql -qAt <<'SQL'
set jit = on; set jit_above_cost = 0; set jit_inline_above_cost = 0; set jit_optimize_above_cost = 0;
select sum(abalance), count(*) from pgbench_accounts;
select sum(bbalance) = max(t) from pgbench_branches, (select sum(tbalance) t from pgbench_tellers) x;
create table words as select i, md5(i::text) m from generate_series(1, 50000) i;
create index on words(m);
select count(*), min(m), max(m), sum(length(m)) from words where m like 'a%' or i % 7 = 3;
select a.m, count(*) from words a join words b on left(a.m, 4) = left(b.m, 4) group by a.m order by 2 desc, 1 limit 3;
do $$ begin for i in 1..50 loop perform string_agg(md5(j::text), ',') from generate_series(1, 100) j; end loop; end $$;
vacuum full words;
SQL
grep -cE 'PANIC|terminated by signal|was terminated' log || true
stop $server -INT
"""


class Nginx(RealTest):
    """nginx: reloads while wrk asks, none of the answers is anything but 200."""
    needs = ("nginx", "wrk", "curl")
    samples = (1, None)
    profiles_of = ("nginx", "wrk", "curl")
    script = r"""
mkdir html logs tmp; seq 20000 >html/index.html
cat >conf <<CONF
daemon off; worker_processes 2; pid $PWD/pid; error_log $PWD/logs/error.log;
events { worker_connections 256; }
http { access_log off; client_body_temp_path $PWD/tmp/1; proxy_temp_path $PWD/tmp/2; fastcgi_temp_path $PWD/tmp/3; uwsgi_temp_path $PWD/tmp/4; scgi_temp_path $PWD/tmp/5;
  gzip on; server { listen 127.0.0.1:$PORT; root $PWD/html; } }
CONF
chmod -R a+rX .
nginx -p . -c "$PWD/conf" 2>/dev/null &
server=$!
wait_for curl -sf -o /dev/null http://127.0.0.1:$PORT/
wrk -t1 -c8 -d6 http://127.0.0.1:$PORT/ >wrk.log &
load=$!
for i in $(seq 10); do sleep 0.4; kill -HUP $server; done
wait $load
grep -E 'Non-2xx|timeout [1-9]' wrk.log || echo 'all answers are 200'
curl -s http://127.0.0.1:$PORT/ | sha256sum
curl -s -H 'Accept-Encoding: gzip' http://127.0.0.1:$PORT/ | gzip -d | sha256sum
stop $server -QUIT
grep -cE 'signal (6|9|11|31)|alert|emerg' logs/error.log || true
"""

    def variables(self):
        return {"PORT": self.held_port()}


class Mariadb(RealTest):
    """mariadb: an installation, 200 connections of ten clients, and an end by SIGTERM."""
    needs = ("/usr/sbin/mariadbd", "mariadb-install-db", "mariadb")
    as_user = "mysql"
    profiles_of = ("mariadbd", "mariadb")
    hides = (r"s/^[-0-9]+ +[0-9:]+ //",)
    script = r"""
mariadb-install-db --no-defaults --datadir="$PWD/data" --auth-root-authentication-method=normal --skip-test-db >/dev/null 2>&1
/usr/sbin/mariadbd --no-defaults --datadir="$PWD/data" --socket="$PWD/m.sock" --skip-networking --pid-file="$PWD/pid" --max-connections=100 \
  --table-open-cache=100 --innodb-flush-log-at-trx-commit=0 --log-error="$PWD/log" &
server=$!
sql() { mariadb --no-defaults -S m.sock -u root -N "$@"; }
wait_for sql -e 'select 1'
sql -e 'create database d; use d; create table d.t (id int primary key auto_increment, a varchar(100), key(a)) engine=innodb;
  insert into d.t (a) select md5(seq) from seq_1_to_30000; select count(*), min(a), max(a), crc32(group_concat(a order by id limit 500)) from d.t;'
for i in $(seq 10); do (for j in $(seq 20); do sql -e 'select count(*) from d.t where id % 100 = 7' >>answers.$i; done) & clients="${clients-} $!"; done
wait $clients
cat answers.* | sort | uniq -c
sql -e 'delete from d.t where id % 2; optimize table d.t; select count(*), sum(id) from d.t; check table d.t'
stop $server
grep -cE 'signal|\[ERROR\]' log.err || true
"""


class Php(RealTest):
    """php-fpm answers, is reloaded, answers. It ends its children by SIGTERM, which kills them: they leave their state."""
    needs = ("/usr/sbin/php-fpm8.2", "cgi-fcgi")
    samples = (1, None)
    is_long = False
    profiles_of = ("php-fpm8.2", "cgi-fcgi")
    leaves_state = ("php-fpm8.2",)
    script = r"""
cat >page.php <<'PHP'
<?php $a = []; for ($i = 0; $i < 20000; $i++) $a[$i % 997][] = md5($i); ksort($a); echo sha1(json_encode($a)), "\n", preg_match_all('/[0-9a-f]{4}/', json_encode($a)), "\n";
PHP
cat >conf <<CONF
[global]
daemonize = no
error_log = $PWD/log
pid = $PWD/pid
[www]
user = www-data
group = www-data
listen = $PWD/php.sock
listen.mode = 0666
pm = static
pm.max_children = 3
CONF
chmod -R a+rX .
/usr/sbin/php-fpm8.2 -n -F -y conf 2>/dev/null &
server=$!
# As often as that, each time with what it does about signals: another one that came too early would end it.
is_ready() { test "$(grep -c 'ready to handle connections' log)" -ge "$1"; }
wait_for is_ready 1
ask() { SCRIPT_FILENAME=$PWD/page.php REQUEST_METHOD=GET cgi-fcgi -bind -connect "$PWD/php.sock" 2>&1 | tail -n 2; }
for i in $(seq 5); do ask; done
for i in 2 3 4; do kill -USR2 $server; wait_for is_ready $i; done
ask
kill -TERM "$(cat pid)"
wait $server && echo "ended: 0" || echo "ended: $?"
grep -cE 'SIGSEGV|SIGABRT|SIGSYS|signal (6|11|31)' log || true
"""


class Node(RealTest):
    """nodejs: workers, compression, JIT, child processes."""
    needs = ("node",)
    is_long = False
    profiles_of = ("node",)
    script = r"""
cat >work.js <<'JS'
const {Worker, isMainThread, parentPort, workerData} = require('worker_threads'), zlib = require('zlib'), crypto = require('crypto'), {execFileSync} = require('child_process');
function work(n) { let h = crypto.createHash('sha1'), o = {}; for (let i = 0; i < 40000; i++) o['k' + i % 1000] = JSON.stringify({i, n}); h.update(JSON.stringify(o));
  for (let i = 0; i < 50; i++) h.update(zlib.gunzipSync(zlib.gzipSync(Buffer.alloc(10000 + i, i)))); return h.digest('hex'); }
if (!isMainThread) parentPort.postMessage([workerData, work(workerData)]);
else { let results = [], left = 6; for (let n = 0; n < 6; n++) new Worker(__filename, {workerData: n}).on('message', m => { results[m[0]] = m[1]; if (--left == 0) {
  console.log(results.join('\n')); console.log(execFileSync('sh', ['-c', 'echo child']).toString().trim()); process.exit(5); } }); }
JS
node work.js || echo "status $?"
"""


class Java(RealTest):
    """openjdk compiles a program and runs it: threads, garbage collection, a null check by signal, spawning."""
    needs = ("/usr/bin/javac", "/usr/bin/java")
    is_long = False
    profiles_of = ("javac", "java")
    script = r"""
cat >Work.java <<'J'
import java.util.*; import java.util.stream.*; import java.util.zip.*;
public class Work {
  public static void main(String[] a) throws Exception {
    System.out.println(IntStream.range(0, 200000).parallel().mapToObj(Integer::toString).collect(Collectors.joining()).hashCode());
    CRC32 crc = new CRC32(); for (int i = 0; i < 300; i++) { byte[] b = new byte[100000]; Arrays.fill(b, (byte) i); crc.update(b); } System.out.println(crc.getValue());
    int caught = 0; for (int i = 0; i < 1000; i++) try { ((Object) null).hashCode(); } catch (NullPointerException e) { caught++; } System.out.println(caught);
    Deflater d = new Deflater(); d.setInput(new byte[1000000]); d.finish(); System.out.println(d.deflate(new byte[10000]));
    System.out.println(new String(new ProcessBuilder("sh", "-c", "echo spawned").start().getInputStream().readAllBytes()).trim());
    System.gc(); System.exit(3);
  }
}
J
/usr/bin/javac Work.java
sha256sum Work.class
/usr/bin/java Work || echo "status $?"
"""


class Ruby(RealTest):
    """ruby: garbage, fibers, threads, fork, regular expressions."""
    needs = ("ruby",)
    is_long = False
    profiles_of = ("ruby",)
    script = r"""
ruby -e '
require "digest"; require "json"; require "zlib"
h = Hash.new { |s, k| s[k] = [] }; 60000.times { |i| h[i % 991] << "v#{i}" }; puts Digest::SHA1.hexdigest(h.to_json)
f = Fiber.new { 5.times { |i| Fiber.yield i * i } ; :end }; puts 6.times.map { f.resume }.inspect
puts 8.times.map { |t| Thread.new { (1..20000).sum { |i| i * t } } }.map(&:value).sum
r, w = IO.pipe; p = fork { r.close; w.write(Zlib.deflate("x" * 100000).size.to_s); exit! 7 }; w.close; puts r.read; Process.wait p; puts $?.exitstatus
puts ("ab1cd22" * 3000).scan(/[a-z]+(\d+)/).flatten.map(&:to_i).sum; GC.start; at_exit { puts "bye" }'
"""


class Qemu(RealTest):
    """qemu emulates a PC that boots to its firmware, which finds no disk: coroutines, a thread for each processor, signals."""
    needs = ("qemu-system-x86_64",)
    samples = (1, None)
    is_long = False
    profiles_of = ("qemu-system-x86_64",)
    script = r"""
qemu-system-x86_64 -accel tcg,thread=multi -smp 2 -m 64 -nodefaults -no-user-config -display none -no-reboot \
  -debugcon file:bios.log -global isa-debugcon.iobase=0x402 -pidfile pid 2>&1 | sed 's/pid [0-9]*/pid N/' &
emulator=$!
is_over() { grep -q 'No bootable device' bios.log && test -z "$(tail -c 1 bios.log)"; } # with the whole line
wait_for is_over
kill "$(cat pid)"; status_of wait $emulator
cat bios.log
"""


class Chromium(RealTest):
    """chromium --headless runs and prints a page, with its sandbox, as an ordinary user. It brings its own malloc, whose functions get
    the hooks, in all its processes; nothing may change. What is in the sandbox writes no profile and leaves its state, and so does
    who is told to end at once. Of its log only what is fatal is compared: on a busy machine it tells of late frames."""
    needs = ("chromium",)
    needs_success = ("unshare -Ur true",)
    samples = (4096, None)
    is_long = False
    as_user = "nobody"
    profiles_of = ("chromium",)
    leaves_state = ("chromium",)
    hides = (r"/ERROR:dbus|unexpected operator|^heapprof: no state file can be made/d",)  # in the sandbox there is no folder
    script = r"""
cat >page.html <<'HTML'
<!doctype html><title>t</title><body><script>let s = 0; for (let i = 0; i < 1e6; i++) s += i % 7; document.body.textContent = "sum " + s;</script>
HTML
browse() { chromium --headless --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update \
  --disable-sync --log-level=3 --user-data-dir="$PWD/profile" --virtual-time-budget=5000 "$@" "file://$PWD/page.html"; }
status_of browse --dump-dom
status_of browse --no-pdf-header-footer --print-to-pdf=page.pdf 2>&1 | grep -v 'bytes written'
sed -E 's/\(D:[^)]*\)//' page.pdf | sha256sum
"""


class Unshare(RealTest):
    """unshare -Ur gives programs a user namespace of their own, and others: what they see and do there is the same. As an ordinary
    user, since that is what it is for."""
    needs = ("unshare", "sqlite3", "perl")
    needs_success = ("unshare -Urmpfiun true",)
    samples = (1, None)
    is_long = False
    as_user = "nobody"
    profiles_of = ("unshare", "sqlite3", "perl")
    script = r"""
unshare -Ur sh -c 'id -u; id -g; cat /proc/self/uid_map; umask; sqlite3 :memory: "select sum(value) from generate_series(1, 9999)"'
unshare -Urmpfiun --mount-proc sh -c 'echo $$; set -- /proc/[0-9]*; echo $#; hostname inside; hostname; mount -t tmpfs none /mnt; touch /mnt/file; ls /mnt'
unshare -Ur unshare -Ur perl -e 'my @a = map { "x" x $_ } 1 .. 2000; print length(join "", @a), " $<\n"; exit 3' || echo "ended: $?"
status_of unshare -Urp --fork --kill-child sh -c 'kill -TERM $$; exec sleep 0.1'
"""


class Valgrind(RealTest):
    """valgrind finds the leak and the error in a program, with the library preloaded into it: what it reports is the same.
    Valgrind serves malloc itself, in every library, so no profile is written there (A7). Its launcher and shells leave their state
    when they execute the statically linked tool. Not compared: its count of all blocks, which includes those that the start of any
    further library keeps."""
    needs = ("valgrind", "gcc")
    samples = (1, None)
    is_long = False
    profiles_of = ("gcc",)
    hides = (r"s/==[0-9]+==/==N==/", r"s/in loss record [0-9]+ of [0-9]+//", r"s/0x[0-9a-fA-F]+/ADDRESS/g")
    script = r"""
cat >p.c <<'C'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int main(void) { char *p = malloc(100); strcpy(p, "leaked"); char *q = calloc(3, 7); free(q); puts(p); p = NULL; volatile char *freed = q; (void) freed[2]; return 3; }
C
gcc -g -O0 -o p p.c
status_of valgrind -q --leak-check=full ./p
status_of valgrind --tool=massif --massif-out-file=massif.out ./p
status_of valgrind -q --leak-check=no sqlite3 :memory: 'select 6 * 7'
status_of valgrind -q --leak-check=no --trace-children=yes dash -c '(echo child; exit 2); echo $?'
"""
