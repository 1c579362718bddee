# SPDX-License-Identifier: MIT
"""Real programs say and do the same under the profiler: output, exit status, checksums of what they wrote.

Each class is a shell script that runs in an empty directory, once alone and once for each sampling interval with LD_PRELOAD set
for everything it starts. What it prints must not differ. Servers are started by the script on loopback or a Unix socket, as the user
they insist on, and stopped by their pid. `./bootstrap torture` installs the packages; without them a class is skipped, and those that
take long run only in the torture suite.
"""
from torture.real import RealTest, free_port


class Configure(RealTest):
    """dash and bash run a whole configure script, thousands of processes: its words and its results, byte for byte."""
    needs = ("dash", "bash", "autoconf", "gcc")
    samples = (1, None)
    is_long = False
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
    is_long = False
    script = r"""
cp -r "$SRC/core" "$SRC/include" .
cat >Makefile <<'MAKE'
objects = arena.o config.o live.o prng.o region.o rules.o sampler.o stacks.o text.o writer.o unwind.o record.o
all: $(objects)
%.o: core/%.c
	$(CC) -std=gnu11 -O2 -g -D_GNU_SOURCE -iquote . -iquote core -Iinclude -c -o $@ $< 2>/dev/null || echo "$< does not compile alone"
MAKE
make -s -j2 all
sha256sum *.o
"""


class Perl(RealTest):
    """perl: regular expressions, sort, hashes, fork, pipes, eval, DESTROY at exit."""
    needs = ("perl",)
    samples = (1, None)
    is_long = False
    script = r"""
perl -e '
use strict; use warnings; use List::Util qw(sum shuffle); use Digest::SHA qw(sha1_hex); use POSIX ":sys_wait_h";
my %h; $h{$_ % 977} .= chr(65 + $_ % 26) for 1 .. 60000;
print sha1_hex(join ",", map { "$_=$h{$_}" } sort { $a <=> $b } keys %h), "\n";
my $t = join " ", map { "word$_" } 1 .. 4000; my $n = 0; $n++ while $t =~ /\b(w\w+?)(\d{2})\b/g; print "$n\n";
for my $i (1 .. 5) { my $p = open(my $f, "-|") // die; if (!$p) { print sum(1 .. $i * 1000), "\n"; exit $i } print <$f>; close $f; print $? >> 8, "\n" }
eval { my @big = (1) x 1e5; die "caught\n" }; print $@;
package D; sub new { bless {} } sub DESTROY { print "destroyed\n" } package main; our $d = D->new;
print `echo from a shell`; exec "sh", "-c", "echo and gone";
'
"""


class Python(RealTest):
    """python3 runs parts of its own test suite: with threads, subprocesses, forks and pickling between processes."""
    needs = ("/usr/bin/python3", "/usr/lib/python3.11/test/test_json/__init__.py")
    samples = (65536, None)
    hides = (r"s/[0-9.]+ ?(ms|sec|min)[^,]*//g", r"s/^[0-9:. ]+load avg: [0-9.]+ //", r"s/^[0-9]+:[0-9]+:[0-9]+ //", r"/Randomizing|random seed|tempdir|^== /d",
             r"s/^\[ *//", r"s/passed in .*//")
    script = r"""
PYTHONMALLOC=malloc /usr/bin/python3 -m test -x test_freeze -- test_json test_re test_dict test_list test_bytes test_struct test_zlib test_queue \
  test_thread test_generators test_weakref test_pickle test_sqlite3 2>&1 | grep -E '^(Tests result|test_.*(failed|crashed)|All [0-9]+ tests OK)' || true
cat >work.py <<'PY'
import multiprocessing, subprocess, threading, hashlib
def work(n): return sum(i * i for i in range(n))
if __name__ == "__main__":
    for method in ("fork", "spawn"):
        with multiprocessing.get_context(method).Pool(3) as pool:
            print(method, sum(pool.map(work, range(300))))
    print([subprocess.run(["sh", "-c", f"exit {i}"]).returncode for i in range(5)])
    done = []
    threads = [threading.Thread(target=lambda i=i: done.append(work(i * 1000))) for i in range(20)]
    [t.start() for t in threads]; [t.join() for t in threads]
    print(sum(done))
PY
PYTHONMALLOC=malloc timeout 200 /usr/bin/python3 work.py
"""


class Sqlite(RealTest):
    """sqlite3: a database on disk with indexes, joins, sorting, VACUUM."""
    needs = ("sqlite3",)
    samples = (1, None)
    is_long = False
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
    is_long = False
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
    """scp through an sshd of its own: its child confines itself by seccomp, and 20 MB arrive unchanged."""
    needs = ("/usr/sbin/sshd", "scp", "ssh-keygen")
    samples = (4096, None)
    script = r"""
test "$(id -u)" = 0 && mkdir -p /run/sshd
ssh-keygen -q -t ed25519 -N '' -f host; ssh-keygen -q -t ed25519 -N '' -f key
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
options="-P $PORT -i key -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
seq 2500000 >data
scp -q $options data "127.0.0.1:$PWD/sftp" && sha256sum <sftp
scp -q -O $options data "127.0.0.1:$PWD/rcp" && sha256sum <rcp
scp -q $options "127.0.0.1:$PWD/data" back && cmp data back && echo same
ssh -p $PORT -i key -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR 127.0.0.1 'cat; exit 3' <key.pub | wc -l
ssh -p $PORT -i data -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR 127.0.0.1 true 2>/dev/null || echo "refused: $?"
grep -ciE 'fatal|killed|signal|violation' sshd.log || true
stop $server
"""

    def variables(self):
        return {"PORT": free_port()}


class Redis(RealTest):
    """redis-server under load with a loop of BGSAVE: what is in it, and what a second server reads from its dump."""
    needs = ("redis-server", "redis-cli", "redis-benchmark")
    script = r"""
redis-server --port 0 --unixsocket r.sock --dir . --save '' --daemonize no >log &
server=$!
wait_for redis-cli -s r.sock ping
for i in $(seq 5); do
  redis-benchmark -s r.sock -q -n 30000 -r 1 -d 300 -t set,lpush,sadd >/dev/null
  redis-cli -s r.sock bgsave >/dev/null
  redis-cli -s r.sock eval 'for i = 1, 20000 do redis.call("set", "k" .. i, string.rep("v", i % 500)) end return redis.call("dbsize")' 0
  wait_for sh -c 'redis-cli -s r.sock info persistence | grep -q rdb_bgsave_in_progress:0'
  redis-cli -s r.sock info persistence | grep -o 'rdb_last_bgsave_status:ok'
done
redis-cli -s r.sock debug digest 2>/dev/null || redis-cli -s r.sock dbsize
redis-cli -s r.sock save
stop $server
redis-server --port 0 --unixsocket s.sock --dir . --save '' --daemonize no >log2 &
server=$!
wait_for redis-cli -s s.sock ping
wait_for sh -c 'redis-cli -s s.sock info persistence | grep -q loading:0'
redis-cli -s s.sock eval 'local n = 0 for i = 1, 20000 do n = n + #redis.call("get", "k" .. i) end return n' 0
redis-cli -s s.sock shutdown nosave || true
wait $server && echo "ended: 0"
"""


class Postgres(RealTest):
    """postgresql: initdb, pgbench with a connection per transaction, JIT, parallel queries, a crash of nobody, fast shutdown."""
    needs = ("/usr/lib/postgresql/15/bin/postgres", "/usr/lib/postgresql/15/bin/pgbench")
    as_user = "postgres"
    script = r"""
export PATH=/usr/lib/postgresql/15/bin:$PATH PGHOST=$PWD PGDATABASE=postgres
initdb -D data -A trust -U postgres >/dev/null
export PGUSER=postgres
postgres -D data -k "$PWD" -c listen_addresses= -c fsync=off -c jit=on -c jit_above_cost=0 -c jit_inline_above_cost=0 -c jit_optimize_above_cost=0 \
  -c max_parallel_workers_per_gather=2 -c min_parallel_table_scan_size=0 -c parallel_setup_cost=0 >log 2>&1 &
server=$!
wait_for psql -qAtc 'select 1'
pgbench -q -i -s 2 2>/dev/null
pgbench -C -n -c 4 -j 2 -t 100 --random-seed=7 -S 2>&1 | grep -E 'processed|failed'
pgbench -n -c 1 -t 300 --random-seed=7 2>&1 | grep -E 'processed|failed'
psql -qAt <<'SQL'
select sum(abalance), count(*) from pgbench_accounts;
select sum(bbalance) = sum(t) from pgbench_branches, (select sum(tbalance) t from pgbench_tellers) x;
create table words as select i, md5(i::text) m from generate_series(1, 50000) i;
create index on words(m);
select count(*), min(m), max(m), sum(length(m)) from words where m like 'a%' or i % 7 = 3;
select a.m, count(*) from words a join words b on left(a.m, 4) = left(b.m, 4) group by a.m order by 2 desc, 1 limit 3;
do $$ begin for i in 1..200 loop perform string_agg(md5(j::text), ',') from generate_series(1, 100) j; end loop; end $$;
vacuum full words;
SQL
grep -cE 'PANIC|terminated by signal|was terminated' log || true
stop $server -INT
"""


class Nginx(RealTest):
    """nginx: reloads while wrk asks, none of the answers is anything but 200."""
    needs = ("nginx", "wrk", "curl")
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
grep -E 'Non-2xx|timeout' wrk.log || echo 'all answers are 200'
curl -s http://127.0.0.1:$PORT/ | sha256sum
curl -s -H 'Accept-Encoding: gzip' http://127.0.0.1:$PORT/ | gzip -d | sha256sum
stop $server -QUIT
grep -cE 'signal (6|9|11|31)|alert|emerg' logs/error.log || true
"""

    def variables(self):
        return {"PORT": free_port()}


class Mariadb(RealTest):
    """mariadb: a thousand connections, and an end by SIGTERM."""
    needs = ("/usr/sbin/mariadbd", "mariadb-install-db", "mariadb")
    as_user = "mysql"
    script = r"""
mariadb-install-db --no-defaults --datadir="$PWD/data" --auth-root-authentication-method=normal --skip-test-db >/dev/null 2>&1
/usr/sbin/mariadbd --no-defaults --datadir="$PWD/data" --socket="$PWD/m.sock" --skip-networking --pid-file="$PWD/pid" --max-connections=1100 \
  --innodb-flush-log-at-trx-commit=0 --log-error="$PWD/log" &
server=$!
sql() { mariadb --no-defaults -S m.sock -u root -N "$@"; }
wait_for sql -e 'select 1'
sql -e 'create database d; create table d.t (id int primary key auto_increment, a varchar(100), key(a)) engine=innodb;
  insert into d.t (a) select md5(seq) from seq_1_to_30000; select count(*), min(a), max(a), crc32(group_concat(a order by id limit 500)) from d.t;'
for i in $(seq 20); do (for j in $(seq 50); do sql -e 'select count(*) from d.t where id % 100 = 7' >>answers.$i; done) & clients="${clients-} $!"; done
wait $clients
cat answers.* | sort | uniq -c
sql -e 'delete from d.t where id % 2; optimize table d.t; select count(*), sum(id) from d.t; check table d.t'
stop $server
grep -cE 'signal|\[ERROR\]' log || true
"""


class Php(RealTest):
    """php-fpm answers, is reloaded, answers."""
    needs = ("/usr/sbin/php-fpm8.2", "cgi-fcgi")
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
wait_for test -S php.sock
ask() { SCRIPT_FILENAME=$PWD/page.php REQUEST_METHOD=GET cgi-fcgi -bind -connect "$PWD/php.sock" 2>&1 | tail -n 2; }
for i in $(seq 5); do ask; done
for i in 1 2 3; do kill -USR2 $server; sleep 1; wait_for test -S php.sock; done
ask
kill -TERM "$(cat pid)"
wait $server && echo "ended: 0" || echo "ended: $?"
grep -cE 'SIGSEGV|SIGABRT|SIGSYS|signal (6|11|31)' log || true
"""


class Node(RealTest):
    """nodejs: workers, compression, JIT, child processes."""
    needs = ("node",)
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
    samples = (65536, None)
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
    """qemu boots its firmware: coroutines, threads, signals."""
    needs = ("qemu-system-x86_64",)
    hides = (r"s/[0-9.]+ (seconds|ms)//g",)
    script = r"""
timeout 120 qemu-system-x86_64 -accel tcg -m 64 -nodefaults -no-user-config -display none -no-reboot -boot n -monitor none -serial none \
  -drive if=virtio,format=raw,file=<(:),readonly=on -debugcon file:bios.log -global isa-debugcon.iobase=0x402 &
emulator=$!
wait_for grep -q 'No bootable device' bios.log
kill $emulator; wait $emulator && echo "ended: 0" || echo "ended: $?"
grep -E 'SeaBIOS|RamSize|No bootable' bios.log
"""


class Chromium(RealTest):
    """chromium --headless prints a page: sandboxed processes with an allocator of their own."""
    needs = ("chromium",)
    samples = (None,)
    script = r"""
cat >page.html <<'HTML'
<!doctype html><title>t</title><body><script>let s = 0; for (let i = 0; i < 1e6; i++) s += i % 7; document.body.textContent = "sum " + s;</script>
HTML
chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync \
  --user-data-dir="$PWD/profile" --virtual-time-budget=5000 --dump-dom "file://$PWD/page.html" 2>/dev/null
"""
