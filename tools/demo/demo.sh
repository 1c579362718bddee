#!/bin/sh
# SPDX-License-Identifier: MIT
# The end of `./bootstrap demo [gallery|sqlite3]`: profiles a program and shows the result. Runs where ./heapprof is, and leaves its
# files in demo/ there.

set -eu
here=$(cd "$(dirname "$0")" && pwd)

# Prints a command as it can be typed, and runs it.
show() {
  echo
  printf '$'
  for word in "$@"; do
    case $word in
      *[!A-Za-z0-9_./:=-]*) printf " '%s'" "$word" ;;
      *) printf ' %s' "$word" ;;
    esac
  done
  echo
  "$@"
}

# What this demo wrote the last time. Whatever else lies there stays.
forget() {
  for name in "$@"; do
    rm -f "demo/$name"
  done
}

# The page, where somebody can see it. A heapprof that was built without npm has none, and says so.
show_page() {
  show ./heapprof report -o demo/report.html "$1" || return 0
  echo
  echo "demo: the page is file://$PWD/demo/report.html"
  if test -n "${DISPLAY-}${WAYLAND_DISPLAY-}" && command -v xdg-open >/dev/null; then
    xdg-open demo/report.html >/dev/null 2>&1 || true
  fi
}

# At noon, while it waits for a line, from outside: the gallery notices nothing.
lunch() {
  pid=
  while test -z "$pid" && test ! -e demo/evening.pb.gz; do
    sleep 0.05
    pid=$(sed -n 's/^gallery (\([0-9]*\)): noon.*/\1/p' demo/gallery.log)
  done
  show ./heapprof dump "$pid" -o demo/noon.pb.gz >&2
  echo
}

# A service of ours with a cache, a peak and a leak, in C++.
gallery() {
  forget gallery gallery.log noon.pb.gz evening.pb.gz report.html
  ${CXX:-g++} -O2 -g -pthread -o demo/gallery "$here/gallery.cc"
  : >demo/gallery.log
  lunch | show ./heapprof run --sample 64K -o demo/evening.pb.gz -- demo/gallery | tee demo/gallery.log
  show ./heapprof top -n 8 demo/evening.pb.gz
  show ./heapprof diff demo/noon.pb.gz demo/evening.pb.gz
  show ./heapprof top --list Sessions::open demo/evening.pb.gz
  show_page demo/evening.pb.gz
}

# A program as Debian has it, without debug information: three tables in memory, an index, a join, and much churn of short-lived
# memory while it sorts. It takes a profile of itself, from outside, while the tables are still there.
sqlite3() {
  forget work.sql live.pb.gz report.html
  cat >demo/work.sql <<'SQL'
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
  show ./heapprof run --no-follow --out demo -- sqlite3 :memory: '.read demo/work.sql'
  show ./heapprof top -n 10 --cum demo/live.pb.gz
  show go tool pprof -top -cum -nodecount=10 demo/live.pb.gz 2>/dev/null
  show_page demo/live.pb.gz
}

case ${1-gallery} in
  gallery | sqlite3) ;;
  *)
    echo "demo: there is no demo of '$1', only of gallery and sqlite3" >&2
    exit 2
    ;;
esac
mkdir -p demo
"${1-gallery}"
echo
echo 'demo: the files in demo/ open in pprof, speedscope and other viewers as well'
