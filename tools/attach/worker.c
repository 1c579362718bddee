/* SPDX-License-Identifier: MIT */
#include "tools/attach/worker.h"

#include "tools/attach/tracing.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LOOK_NS = 5000000, LONGEST_NS = 30000000 };

void *worker_share(size_t bytes)
{
  void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  return memory != MAP_FAILED ? memory : NULL;
}

static bool sleeps(pid_t child)
{
  char path[64], text[512] = "";
  (void)snprintf(path, sizeof path, "/proc/%d/stat", child);
  int file = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t bytes = file >= 0 ? read(file, text, sizeof text - 1) : 0;
  if (file >= 0)
    close(file);
  const char *end = bytes > 0 ? strrchr(text, ')') : NULL;
  return end != NULL && end[1] != '\0' && strchr("SD", end[2]) != NULL;
}

/* Asking for a thread never waits but for who executes a program. */
static bool is_stuck(pid_t child)
{
  uint64_t since_ns = tracing_asks_since_ns();
  return since_ns != 0 && tracing_now_ns() - since_ns > LONGEST_NS && sleeps(child);
}

static bool is_ended_well(pid_t child)
{
  bool is_killed = false;
  int status;
  for (pid_t found; (found = waitpid(child, &status, WNOHANG)) != child;) {
    if (found < 0 && errno != EINTR)
      return false;
    if (!is_killed && is_stuck(child))
      is_killed = kill(child, SIGKILL) == 0;
    (void)nanosleep(&(struct timespec){0, LOOK_NS}, NULL);
  }
  if (WIFSIGNALED(status) && !is_killed)
    (void)raise(WTERMSIG(status));
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool worker_run(void (*work)(void *context), void *context)
{
  pid_t parent = getpid();
  if (!tracing_share())
    return false;
  pid_t child = fork();
  if (child == 0) {
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
      _exit(1);
    (void)setpgid(0, 0); /* what stops the command's whole job would stop it while a thread stands still for it */
    work(context);
    _exit(0);
  }
  return child > 0 && is_ended_well(child);
}
