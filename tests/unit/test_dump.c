/* SPDX-License-Identifier: MIT */
/* The end of a process while dumps run: who is waited for, how long, and what is left. */
#include "core/dump.h"

#include "core/process.h"
#include "core/sys.h"
#include "core/writer.h"
#include "unit.h"

#include <errno.h>
#include <semaphore.h>

static char path[128];
static sem_t begun, may_end;

static uint64_t waited_ms(void)
{
  uint64_t start = clock_ns(CLOCK_MONOTONIC);
  (void)dump_wait_for_others();
  return (clock_ns(CLOCK_MONOTONIC) - start) / 1000000;
}

static void set_up(void)
{
  snprintf(path, sizeof path, "%s/profile", unit_directory());
  require(sem_init(&begun, 0, 0) == 0 && sem_init(&may_end, 0, 0) == 0);
}

static void *dump_for_long(void *argument)
{
  struct writer *writer = argument;
  unsigned turn = dump_begin();
  require(writer_open(writer, path) == 0);
  sem_post(&begun);
  sem_wait(&may_end);
  require(writer_commit(writer, path) == -ENOENT);
  dump_end(turn);
  return NULL;
}

CHILD_TEST(nobody_to_wait_for)
{
  set_up();
  for (int i = 0; i < 100; i++) /* no place stays taken */
    dump_end(dump_begin());
  struct writer writer;
  require(dump_wait_for_others());
  require(writer_open(&writer, path) == 0); /* not taken for one who waited in vain */
  writer_discard(&writer);
}

CHILD_TEST(one_that_lasts_is_cut_off)
{
  set_up();
  pthread_t thread;
  struct writer writer, late;
  unsigned before = unit_count_files(unit_directory());
  require(pthread_create(&thread, NULL, dump_for_long, &writer) == 0 && sem_wait(&begun) == 0);
  require(unit_count_files(unit_directory()) == before + 1);
  require(waited_ms() >= DUMP_WAIT_MS);
  require(!dump_wait_for_others());
  require(unit_count_files(unit_directory()) == before);
  require(writer_open(&late, path) == -ECANCELED);
  sem_post(&may_end);
  require(pthread_join(thread, NULL) == 0);
  require(unit_count_files(unit_directory()) == before);
}

CHILD_TEST(who_dumps_does_not_wait)
{
  set_up();
  pthread_t thread;
  struct writer writer, own;
  require(pthread_create(&thread, NULL, dump_for_long, &writer) == 0 && sem_wait(&begun) == 0);
  unsigned turn = dump_begin();
  require(dump_wait_for_others());
  require(writer_open(&own, path) == 0); /* so it came back before the 100 ms were over */
  writer_discard(&own);
  dump_end(turn);
}

static void *dump_for_a_moment(void *unused)
{
  (void)unused;
  unsigned turn = dump_begin();
  sem_post(&begun);
  sem_wait(&may_end);
  dump_end(turn);
  return NULL;
}

static void *let_it_end(void *unused)
{
  sem_post(&may_end);
  return unused;
}

CHILD_TEST(one_that_ends_is_waited_for)
{
  set_up();
  pthread_t dumper, other;
  struct writer writer;
  require(pthread_create(&dumper, NULL, dump_for_a_moment, NULL) == 0 && sem_wait(&begun) == 0);
  require(pthread_create(&other, NULL, let_it_end, NULL) == 0);
  bool in_time = waited_ms() < DUMP_WAIT_MS;
  require(pthread_join(dumper, NULL) == 0 && pthread_join(other, NULL) == 0);
  require(!in_time || writer_open(&writer, path) == 0); /* a busy machine may take longer */
}

CHILD_TEST(a_childs_end_leaves_its_parents_file)
{
  set_up();
  struct writer writer, childs;
  unsigned turn = dump_begin(), before = unit_count_files(unit_directory());
  require(writer_open(&writer, path) == 0);
  pid_t child = fork();
  if (child == 0) {
    process_was_forked();
    require(dump_wait_for_others());
    writer_remove_unfinished();
    process_was_forked();
    _exit(writer_open(&childs, path) == 0 ? 0 : 1);
  }
  int status;
  require(waitpid(child, &status, 0) == child && status == 0);
  require(unit_count_files(unit_directory()) == before + 2);
  require(writer_commit(&writer, path) == 0);
  dump_end(turn);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nobody_to_wait_for),
      cmocka_unit_test(one_that_lasts_is_cut_off),
      cmocka_unit_test(who_dumps_does_not_wait),
      cmocka_unit_test(one_that_ends_is_waited_for),
      cmocka_unit_test(a_childs_end_leaves_its_parents_file),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
