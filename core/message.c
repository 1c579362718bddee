/* SPDX-License-Identifier: MIT */
#include "core/message.h"

#include "core/on_stack.h"
#include "core/sys.h"
#include "core/text.h"

#include <asm/ioctls.h>
#include <asm/termbits.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <time.h>

enum { STANDARD_ERROR = 2, LINE_BYTES = 1024 };

/* The file that standard error was at the start. Daemons close it, and open a socket or a database under its number. */
static struct stat at_start;
static enum { NOT_ASKED, CLOSED, OPEN } state_at_start;

void message_init(void)
{
  state_at_start = sys_fstat(STANDARD_ERROR, &at_start) == 0 ? OPEN : CLOSED;
}

void message_init_silent(void)
{
  state_at_start = CLOSED;
}

static bool is_still_standard_error(struct stat *now)
{
  if (state_at_start == NOT_ASKED)
    return true;
  return state_at_start == OPEN && sys_fstat(STANDARD_ERROR, now) == 0 && now->st_dev == at_start.st_dev &&
         now->st_ino == at_start.st_ino;
}

/* Waiting for a reader that does not read would hang the application. */
static bool can_take_a_line(void)
{
  struct pollfd standard_error = {.fd = STANDARD_ERROR, .events = POLLOUT};
  struct timespec at_once = {0, 0}; /* the kernel writes to it */
  return sys_call(SYS_ppoll, (long)&standard_error, 1, (long)&at_once, 0, 0, 0) == 1 &&
         (standard_error.revents & POLLOUT) != 0;
}

/* Writing to a pipe without a reader, or beyond RLIMIT_FSIZE, raises a signal that kills. This thread blocks it, and
 * consumes it if it comes. */
static void write_quietly(const char *line, size_t size)
{
  static const struct timespec at_once = {0, 0};
  const unsigned long deadly = 1ul << (SIGPIPE - 1) | 1ul << (SIGXFSZ - 1);
  struct blocked_signals before = signals_block();
  unsigned long pending = 0;
  sys_call(SYS_rt_sigpending, (long)&pending, sizeof pending, 0, 0, 0, 0);
  long result = can_take_a_line() ? sys_write(STANDARD_ERROR, line, size) : 0;
  if ((result == -EPIPE || result == -EFBIG) &&
      (pending & deadly) == 0) /* otherwise a pending one is the application's own */
    sys_call(SYS_rt_sigtimedwait, (long)&deadly, 0, (long)&at_once, sizeof deadly, 0, 0);
  signals_restore(before);
}

/* Not on the stack, which may be a small one. */
struct paper {
  struct stat standard_error;
  char line[LINE_BYTES];
};

static void write_line(char *line, size_t length)
{
  for (size_t i = 0; i < length; i++) /* a newline in a value must not pass for a line of ours */
    if ((unsigned char)line[i] < ' ')
      line[i] = '?';
  line[length] = '\n';
  write_quietly(line, length + 1);
}

/* Two threads without memory may mix their lines. */
void message_print_parts(const char *const *parts)
{
  static LARGE struct paper spare;
  struct paper *mapped = sys_map_anonymous(sizeof *mapped), *paper = mapped != NULL ? mapped : &spare;
  if (is_still_standard_error(&paper->standard_error)) {
    struct text text = {.bytes = paper->line, .capacity = LINE_BYTES - 1}; /* the newline always fits */
    text_put(&text, "heapprof: ");
    for (; *parts != NULL; parts++)
      text_put(&text, *parts);
    write_line(paper->line, text.length);
  }
  if (mapped != NULL)
    sys_munmap(mapped, sizeof *mapped);
}

bool message_reaches_terminal(void)
{
  struct termios settings;
  return sys_call(SYS_ioctl, STANDARD_ERROR, TCGETS, (long)&settings, 0, 0, 0) == 0;
}
