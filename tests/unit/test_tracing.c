/* SPDX-License-Identifier: MIT */
/* A thread that is watched goes on as it would without us. */
#include "tools/attach/tracing.h"

#include "tests/unit/unit.h"

#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#define LONG_NS UINT64_C(60000000000)

/* A process whose second thread waits for a child of vfork, which ends when somebody writes, and does nothing but count
 * after that. */
struct shared {
  _Atomic pid_t second;
  _Atomic unsigned count;
};

static struct shared *shared;
static int until_written[2];

static void *wait_and_count(void *unused)
{
  char byte;
  sigset_t of_children;
  (void)unused;
  sigemptyset(&of_children);
  sigaddset(&of_children, SIGCHLD);
  require(pthread_sigmask(SIG_BLOCK, &of_children, NULL) == 0); /* its own child's would end the watch */
  shared->second = gettid();
  if (vfork() == 0)
    _exit(read(until_written[0], &byte, 1) != 1);
  for (;;)
    shared->count++;
}

static pid_t start_counting(void)
{
  shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  require(shared != MAP_FAILED && pipe(until_written) == 0);
  pid_t child = fork();
  if (child == 0) {
    pthread_t thread;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    require(pthread_create(&thread, NULL, wait_and_count, NULL) == 0);
    for (;;)
      (void)pause();
  }
  require(child > 0);
  return child;
}

static char state_of(pid_t thread)
{
  char path[64], state = 0;
  (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)thread);
  FILE *file = fopen(path, "r");
  require(file != NULL && fscanf(file, "%*d (%*[^)]) %c", &state) == 1);
  fclose(file);
  return state;
}

static void wait_for_state(pid_t thread, char state)
{
  while (state_of(thread) != state)
    (void)usleep(1000);
}

/* It can stop only when its child has ended. */
static pid_t ask_to_stop(void)
{
  while (shared->second == 0)
    (void)usleep(1000);
  wait_for_state(shared->second, 'D');
  require(tracing_seize(shared->second));
  require(tracing_interrupt(shared->second));
  return shared->second;
}

static void watch(pid_t thread)
{
  require(write(until_written[1], "x", 1) == 1);
  require(tracing_wait_stopped(thread, tracing_now_ns() + LONG_NS));
  tracing_watch(thread);
}

static void wait_until_it_counts(void)
{
  for (unsigned before = shared->count; shared->count == before;)
    tracing_pause(1000);
}

static void end_counting(pid_t child)
{
  pid_t found;
  require(kill(child, SIGKILL) == 0);
  while ((found = waitpid(child, NULL, __WALL | WNOHANG)) == 0)
    tracing_pause(1000000);
  require(found == child);
}

CHILD_TEST(goes_on)
{
  if (UNIT_IS_THREAD_SANITIZED) /* its vfork waits for nobody */
    return;
  pid_t child = start_counting(), thread = ask_to_stop();
  watch(thread);
  wait_until_it_counts();
  require(tracing_watches(thread) && tracing_was_quiet(thread));
  end_counting(child);
}

CHILD_TEST(stops_with_its_process)
{
  if (UNIT_IS_THREAD_SANITIZED) /* its vfork waits for nobody */
    return;
  pid_t child = start_counting(), thread = ask_to_stop();
  require(kill(child, SIGSTOP) == 0);
  wait_for_state(child, 'T');
  watch(thread);
  while (state_of(thread) != 'T' && shared->count == 0)
    tracing_pause(1000);
  require(shared->count == 0);
  require(kill(child, SIGCONT) == 0);
  wait_until_it_counts();
  end_counting(child);
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(goes_on), cmocka_unit_test(stops_with_its_process)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
