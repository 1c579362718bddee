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
.shell ./heapprof dump $PPID -o demo/live.pb.gz
SQL

# Prints a command as it can be typed, and runs it.
show() {
  echo
  printf 'demo:'
  for word in "$@"; do
    case $word in
      *[!A-Za-z0-9_./:=-]*) printf " '%s'" "$word" ;;
      *) printf ' %s' "$word" ;;
    esac
  done
  echo
  "$@"
}

# work.sql takes a profile while the tables are still there, from outside: sqlite3 notices nothing of it.
show ./heapprof run --no-follow --out demo -- sqlite3 :memory: '.read demo/work.sql'
show ./heapprof top -n 10 --cum demo/live.pb.gz

echo
echo 'demo: go tool pprof -top -cum -nodecount=10 demo/live.pb.gz'
go tool pprof -top -cum -nodecount=10 demo/live.pb.gz 2>/dev/null

if ./heapprof report demo/live.pb.gz -o demo/report.html; then
  echo
  echo "demo: a flame graph to click through: demo/report.html"
fi
echo 'demo: demo/live.pb.gz opens in pprof, speedscope and other viewers as well'
