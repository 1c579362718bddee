/* SPDX-License-Identifier: MIT */
/* Children of every kind, from everywhere, and all that can be done to them. */
#ifndef HOSTILE_PROCESSES_H
#define HOSTILE_PROCESSES_H

#include "hostile.h"

#include <linux/sched.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>

extern char **environ;
static char own_path[] = "/proc/self/exe";

__attribute__((noreturn)) static void leave(unsigned way)
{
  static const int signals[] = {SIGKILL, SIGTERM, SIGABRT, SIGSEGV, SIGXCPU};
  if (way % 4 == 0)
    exit((int)way % 100);
  if (way % 4 == 1)
    quick_exit((int)way % 100);
  if (way % 4 == 2)
    _exit((int)way % 100);
  raise(signals[way / 4 % 5]);
  _exit(99);
}

static void fork_generations(unsigned generations)
{
  unsigned way = draw(400);
  pid_t child = fork_child();
  if (child == 0) {
    churn(way, 100);
    if (generations > 1)
      fork_generations(generations - 1);
    leave(way);
  }
  say_end("forked", wait_for(child));
}

static void fork_children(void)
{
  fork_generations(3);
}

/* From several threads at a time. */

static void *fork_in_thread(void *seed)
{
  churn((uintptr_t)seed, 30);
  pid_t child = fork();
  if (child == 0) {
    churn((uintptr_t)seed, 60);
    if ((uintptr_t)seed % 2 == 0)
      exit(6);
    _exit(6);
  }
  return (void *)(uintptr_t)wait_for(child);
}

static void fork_from_threads(void)
{
  pthread_t threads[5];
  unsigned ends = 0;
  for (int i = 0; i < 5; i++)
    threads[i] = start_thread(fork_in_thread, draw(1000));
  for (int i = 0; i < 5; i++)
    ends += WEXITSTATUS((int)join(threads[i]));
  say("forked by threads: %u\n", ends);
}

/* Programs. */

static char **arguments_of_child(void)
{
  static char number[16];
  static char *arguments[] = {own_path, (char *)"child", number, NULL};
  snprintf(number, sizeof number, "%u", draw(100));
  return arguments;
}

static void spawn_programs(void)
{
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  sigset_t all;
  pid_t child;
  sigfillset(&all);
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, 1, 40);
  posix_spawn_file_actions_addclose(&actions, 40);
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setsigmask(&attributes, &all);
  posix_spawnattr_setflags(&attributes,
                           (short)(draw(2) ? POSIX_SPAWN_SETSIGMASK : POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_RESETIDS));
  REQUIRE(posix_spawn(&child, own_path, &actions, &attributes, arguments_of_child(), environ) == 0);
  say_end("spawned", wait_for(child));
  say("spawned what is not there: %d\n", posix_spawn(&child, "/not/there", NULL, NULL, arguments_of_child(), environ));
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
}

static void vfork_children(void)
{
  static char *nothing[] = {NULL};
  char **arguments = arguments_of_child();
  bool executes = draw(2) == 0, allocates = draw(2) == 0;
  char **environment = draw(2) ? environ : nothing;
  for (int i = 0; i < 3; i++) {
    pid_t child = vfork();
    if (child == 0) {
      if (allocates)
        churn_a_little(100);
      if (executes)
        execve(own_path, arguments, environment);
      _exit(executes ? 97 : 8);
    }
    say_end("vforked", wait_for(child));
  }
}

static void *execute(void *arguments)
{
  churn(3, 30);
  execv(own_path, (char **)arguments);
  _exit(97);
}

/* From a thread that is not the first, while others allocate. */
static void execute_from_thread(void)
{
  char **arguments = arguments_of_child();
  start_thread(churn_in_thread, 1);
  start_thread(churn_in_thread, 2);
  join(start_thread(execute, (uintptr_t)arguments));
}

static void execute_programs(void)
{
  in_child("executed", execute_from_thread);
}

static void use_the_shell(void)
{
  char text[64] = "";
  say_end("system", system("exit 5"));
  FILE *pipe = popen("x=$(echo said); echo $x; exit 9", "r");
  REQUIRE(pipe != NULL && fgets(text, sizeof text, pipe) != NULL);
  say("popen: %s", text);
  say_end("pclose", pclose(pipe));
}

/* Without libc's knowledge: while no other thread allocates. */

static long clone_raw(unsigned way)
{
  struct clone_args arguments = {.exit_signal = SIGCHLD};
  return way % 2 ? syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, 0) : syscall(SYS_clone3, &arguments, sizeof arguments);
}

static void clone_children(void)
{
  background_rest();
  pid_t child = (pid_t)clone_raw(draw(2));
  if (child == 0) {
    churn(7, 100);
    exit(12);
  }
  say_end("cloned", wait_for(child));
  background_go_on();
}

static int share_memory(void *size)
{
  churn_a_little((size_t)(uintptr_t)size);
  return 13;
}

/* As posix_spawn does; its parent stands still. */
static void clone_sharing(void)
{
  enum { BYTES = 32768 };
  char *stack = malloc(BYTES);
  REQUIRE(stack != NULL);
  int flags = CLONE_VM | CLONE_VFORK | SIGCHLD | (draw(2) ? CLONE_FILES | CLONE_FS : 0);
  pid_t child = clone(share_memory, stack + BYTES, flags, (void *)(uintptr_t)(draw(5000) + 1));
  say_end("cloned, sharing memory", wait_for(child));
  free(stack);
}

/* Stopped, traced, killed. */

static void churn_and_stop(void)
{
  churn(1, 50);
  raise(SIGSTOP);
  churn(2, 50);
}

static void stop_and_continue(void)
{
  int status;
  pid_t child = fork_child();
  if (child == 0) {
    churn_and_stop();
    exit(14);
  }
  REQUIRE(waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status));
  churn(3, 50);
  REQUIRE(kill(child, SIGCONT) == 0);
  say_end("stopped and continued", wait_for(child));
}

static void trace(void)
{
  int status, request = draw(2) ? PTRACE_SINGLESTEP : PTRACE_SYSCALL;
  pid_t child = fork_child();
  if (child == 0) {
    REQUIRE(ptrace(PTRACE_TRACEME, 0, 0, 0) == 0);
    churn_and_stop();
    exit(15);
  }
  REQUIRE(waitpid(child, &status, 0) == child && WIFSTOPPED(status));
  for (int i = 0; i < 3000 && WIFSTOPPED(status); i++) {
    REQUIRE(ptrace(request, child, 0, 0) == 0);
    REQUIRE(waitpid(child, &status, 0) == child);
  }
  if (WIFSTOPPED(status)) {
    REQUIRE(ptrace(PTRACE_DETACH, child, 0, 0) == 0);
    status = wait_for(child);
  }
  say_end("traced", status);
}

static void kill_amid(void)
{
  int ends[2];
  char byte;
  REQUIRE(pipe(ends) == 0);
  pid_t child = fork_child();
  if (child == 0) {
    start_thread(churn_until_cancelled, 0);
    churn(4, 50);
    REQUIRE(write(ends[1], "x", 1) == 1);
    for (unsigned long i = 0;; i++)
      churn(i, 50);
  }
  REQUIRE(read(ends[0], &byte, 1) == 1 && kill(child, draw(2) ? SIGKILL : SIGTERM) == 0);
  say_end("killed", wait_for(child));
  close(ends[0]);
  close(ends[1]);
}

/* A daemon: whoever it is, it closes the pipe at its end. */
static void leave_an_orphan(void)
{
  int ends[2];
  char text[16] = "";
  REQUIRE(pipe(ends) == 0);
  pid_t child = fork_child();
  if (child == 0) {
    if (fork_child() != 0)
      _exit(0);
    setsid();
    churn(9, 100);
    REQUIRE(write(ends[1], "alive", 5) == 5);
    exit(0);
  }
  say_end("parent of the orphan", wait_for(child));
  close(ends[1]);
  REQUIRE(read(ends[0], text, sizeof text - 1) == 5 && read(ends[0], text + 5, 1) == 0);
  say("orphan: %s\n", text);
  close(ends[0]);
}

/* main leaves as a thread does; the process ends with the last one. */

static void *outlive_main(void *unused)
{
  churn(8, 200);
  return unused;
}

static void end_thread_by_thread(void)
{
  start_thread(outlive_main, 0);
  start_thread(outlive_main, 0);
  pthread_exit(NULL);
}

static void leave_main_first(void)
{
  in_child("left main first", end_thread_by_thread);
}

static void exit_amid_threads(void)
{
  for (int i = 0; i < 3; i++)
    start_thread(churn_until_cancelled, 0);
  churn(2, 50);
  exit(16);
}

static void exit_while_others_allocate(void)
{
  in_child("left others alone", exit_amid_threads);
}

#endif
