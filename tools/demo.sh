#!/bin/sh
# SPDX-License-Identifier: MIT
# The end of `./bootstrap demo`: profiles a few seconds of sqlite3 and shows the result. Leaves its files in demo/.

set -eu
cd "$(dirname "$0")/.."
rm -rf demo
mkdir demo

# Three tables in memory, an index, a join, and much churn of short-lived memory while it sorts.
cat > demo/work.sql <<'SQL'
PRAGMA temp_store = memory;
CREATE TABLE users(id INTEGER PRIMARY KEY, name TEXT, mail TEXT);
CREATE TABLE orders(id INTEGER PRIMARY KEY, user INTEGER, amount REAL, note TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000)
  INSERT INTO users SELECT i, 'user ' || i, printf('user%d@example.org', i) FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 600000)
  INSERT INTO orders SELECT i, (i * 7919) % 200000 + 1, i % 1000 / 10.0, hex(zeroblob(i % 50)) FROM n;
CREATE INDEX orders_user ON orders(user);
CREATE TABLE totals AS
  SELECT users.name AS name, sum(amount) AS total, group_concat(note, ',') AS notes
  FROM users JOIN orders ON orders.user = users.id GROUP BY users.name ORDER BY total;
SELECT count(*), round(sum(total)) FROM totals;
SQL

library=$PWD/libheapprof.so
echo 'demo: LD_PRELOAD=$PWD/libheapprof.so sqlite3 :memory: < demo/work.sql'
# Written when the shell calls .exit, so while the tables are still there: the signal is what a person would send.
(
  cat demo/work.sql
  echo '.shell kill -USR2 $PPID'
) | HEAPPROF_OUT="$PWD/demo/heapprof.%e.%p.%n.pb.gz" HEAPPROF_ONLY=sqlite3 LD_PRELOAD=$library sqlite3 :memory:

profile=$(ls demo/heapprof.sqlite3.*.1.pb.gz 2>/dev/null | head -n 1)
if test -z "$profile"; then
  echo 'demo: no profile was written' >&2
  exit 1
fi

for kind in alloc_space inuse_space; do
  echo
  echo "demo: go tool pprof -top -cum -nodecount=12 -sample_index=$kind $profile"
  go tool pprof -top -cum -nodecount=12 -sample_index="$kind" "$profile" 2>/dev/null
done

go tool pprof -proto -output=demo/sqlite3.pb.gz "$profile" >/dev/null 2>&1 || cp "$profile" demo/sqlite3.pb.gz
echo
echo 'demo: demo/sqlite3.pb.gz also opens in speedscope and other viewers of pprof profiles. A flame graph in the browser:'
echo '  go tool pprof -http=localhost:8080 demo/sqlite3.pb.gz'
