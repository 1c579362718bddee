/* SPDX-License-Identifier: MIT */
#include "tools/push/gatherer.h"

#include "tools/terminal/say.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
  RESIDENT_PAGES_MAX = 16 << 10, /* of 4 KiB; where more stays after a round a fresh child takes over */
  STATUS_INCOMPLETE = 3,         /* of a child whose only round did not put all into the queue */
};

/* The child. */

static bool is_too_large(void)
{
  g_autofree char *text = NULL;
  long total_pages, resident_pages;
  return g_file_get_contents("/proc/self/statm", &text, NULL, NULL) &&
         sscanf(text, "%ld %ld", &total_pages, &resident_pages) == 2 && resident_pages > RESIDENT_PAGES_MAX;
}

static void tell(int pid, void *pipe)
{
  while (write(*(int *)pipe, &pid, sizeof pid) < 0 && errno == EINTR)
    continue;
}

static void sleep_until_next(const struct gatherer *gatherer)
{
  gint64 rounds = (g_get_monotonic_time() - gatherer->first_us) / gatherer->every_us + 1;
  gint64 next_us = gatherer->first_us + rounds * gatherer->every_us;
  for (gint64 now_us; (now_us = g_get_monotonic_time()) < next_us;)
    g_usleep((gulong)(next_us - now_us));
}

/* The exit status. */
static int work(const struct gatherer *gatherer, int pipe)
{
  bool is_complete;
  struct gather *gather = gather_new(&gatherer->options);
  if (gatherer->started > 1 && gatherer->every_us != 0)
    sleep_until_next(gatherer);
  for (;;) {
    is_complete = gather_round(gather, tell, &pipe);
    (void)malloc_trim(0);
    if (gatherer->every_us == 0 || is_too_large())
      break;
    sleep_until_next(gatherer);
  }
  gather_free(gather);
  return is_complete || gatherer->every_us != 0 ? 0 : STATUS_INCOMPLETE;
}

/* What a terminal or systemd sends to all of us is for the parent, which ends us. */
static void set_apart(void)
{
  sigset_t none;
  sigemptyset(&none);
  (void)signal(SIGPIPE, SIG_IGN);
  (void)signal(SIGINT, SIG_IGN);
  (void)signal(SIGHUP, SIG_IGN);
  (void)signal(SIGTERM, SIG_IGN);
  (void)sigprocmask(SIG_SETMASK, &none, NULL);
  (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
  (void)prctl(PR_SET_NAME, "heapprof-gather");
}

/* The parent. */

void gatherer_init(struct gatherer *gatherer, const struct gather_options *options, unsigned every_seconds)
{
  *gatherer = (struct gatherer){.options = *options,
                                .first_us = g_get_monotonic_time(),
                                .every_us = (gint64)every_seconds * G_USEC_PER_SEC,
                                .pipe = -1};
  gatherer->options.failures = g_hash_table_new(g_direct_hash, g_direct_equal);
}

/* How it ended; waits for it. */
static int reap(struct gatherer *gatherer)
{
  int status = 0;
  (void)close(gatherer->pipe);
  while (waitpid(gatherer->child, &status, 0) < 0 && errno == EINTR)
    continue;
  gatherer->pipe = -1;
  gatherer->child = 0;
  return status;
}

void gatherer_clear(struct gatherer *gatherer)
{
  if (gatherer->child != 0) {
    (void)kill(gatherer->child, SIGKILL);
    (void)reap(gatherer);
  }
  g_hash_table_destroy(gatherer->options.failures);
}

/* Once may be by chance: somebody else killed it. */
static void blame(struct gatherer *gatherer, const char *how)
{
  gpointer pid = GINT_TO_POINTER(gatherer->reading);
  int failures = GPOINTER_TO_INT(g_hash_table_lookup(gatherer->options.failures, pid)) + 1;
  gatherer->retry_us = g_get_monotonic_time() + G_USEC_PER_SEC;
  g_hash_table_replace(gatherer->options.failures, pid, GINT_TO_POINTER(failures));
  if (gatherer->reading == 0) {
    gatherer->is_done = gatherer->has_failed = gatherer->every_us == 0 && failures >= GATHER_FAILURES_MAX;
    say("the process that reads heaps %s; %s", how, gatherer->has_failed ? "giving up" : "another is started");
    return;
  }
  gatherer->has_failed = gatherer->has_failed || failures >= GATHER_FAILURES_MAX;
  say("who read the heap of process %d %s; %s", gatherer->reading, how,
      failures < GATHER_FAILURES_MAX ? "another tries again" : "it is left out from now on");
}

static void start(struct gatherer *gatherer)
{
  int ends[2];
  pid_t parent = getpid();
  gatherer->retry_us = g_get_monotonic_time() + G_USEC_PER_SEC;
  if (pipe2(ends, O_CLOEXEC) != 0)
    return;
  gatherer->started++;
  gatherer->options.says_missing = gatherer->started == 1;
  gatherer->child = fork();
  if (gatherer->child == 0) {
    set_apart();
    (void)close(ends[0]);
    _exit(getppid() == parent ? work(gatherer, ends[1]) : 0);
  }
  (void)close(ends[1]);
  gatherer->pipe = ends[0];
  gatherer->reading = 0;
  gatherer->since_us = g_get_monotonic_time();
  (void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
  if (gatherer->child > 0)
    return;
  say_errno(errno, "no process to read heaps in; trying again");
  (void)close(ends[0]);
  gatherer->pipe = -1;
  gatherer->child = 0;
}

void gatherer_tend(struct gatherer *gatherer)
{
  gint64 now_us = g_get_monotonic_time();
  if (gatherer->child == 0 && !gatherer->is_done && now_us >= gatherer->retry_us)
    start(gatherer);
  else if (gatherer->child != 0 && gatherer->reading != 0 &&
           now_us - gatherer->since_us > GATHERER_SECONDS_MAX * (gint64)G_USEC_PER_SEC) {
    (void)kill(gatherer->child, SIGKILL);
    (void)reap(gatherer);
    blame(gatherer, "took too long");
  }
}

static void take_end(struct gatherer *gatherer)
{
  int status = reap(gatherer);
  bool is_complete = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  if (!is_complete && !(WIFEXITED(status) && WEXITSTATUS(status) == STATUS_INCOMPLETE))
    blame(gatherer, "ended");
  else if (gatherer->every_us == 0) {
    gatherer->is_done = true;
    gatherer->has_failed = gatherer->has_failed || !is_complete;
  } else
    gatherer->retry_us = 0;
}

bool gatherer_hear(struct gatherer *gatherer)
{
  int pid;
  bool has_news = false;
  for (ssize_t count; gatherer->pipe >= 0;) {
    count = read(gatherer->pipe, &pid, sizeof pid);
    if (count == sizeof pid) {
      gatherer->reading = pid;
      gatherer->since_us = g_get_monotonic_time();
      has_news = true;
    } else if (count < 0 && errno == EAGAIN)
      break;
    else if (count == 0)
      take_end(gatherer);
  }
  return has_news;
}
