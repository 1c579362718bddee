/* SPDX-License-Identifier: MIT */
#include "tools/terminal/screen.h"

#include "tools/terminal/say.h"

#include <errno.h>
#include <glib.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

/* Alternate screen, no cursor, lines that are too long are cut; and back. */
static const char enter[] = "\033[?1049h\033[?25l\033[?7l", leave[] = "\033[?7h\033[?25h\033[?1049l";

static struct {
  struct termios before;
  bool has_keys; /* standard input is a terminal too */
  int signals;   /* a signalfd */
  int ended_by;
  sigset_t mask_before;
} screen;

bool screen_is_possible(void)
{
  const char *term = getenv("TERM");
  return isatty(STDOUT_FILENO) && term != NULL && term[0] != '\0' && strcmp(term, "dumb") != 0;
}

static void put(const char *text)
{
  (void)fputs(text, stdout);
  (void)fflush(stdout);
}

static void begin(void)
{
  if (screen.has_keys) {
    struct termios raw = screen.before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    raw.c_cc[VMIN] = 0;
    raw.c_cc[VTIME] = 0;
    (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
  }
  put(enter);
}

static void end(void)
{
  put(leave);
  if (screen.has_keys)
    (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &screen.before);
}

bool screen_open(void)
{
  static const int handled[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH};
  sigset_t set;
  (void)sigemptyset(&set);
  for (size_t i = 0; i < G_N_ELEMENTS(handled); i++)
    (void)sigaddset(&set, handled[i]);
  screen.signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  if (screen.signals < 0) {
    say_errno(errno, "signalfd");
    return false;
  }
  (void)sigprocmask(SIG_BLOCK, &set, &screen.mask_before);
  screen.has_keys = tcgetattr(STDIN_FILENO, &screen.before) == 0;
  screen.ended_by = 0;
  begin();
  return true;
}

void screen_close(void)
{
  end();
  (void)close(screen.signals);
  if (screen.ended_by != 0) {
    (void)signal(screen.ended_by, SIG_DFL);
    (void)raise(screen.ended_by);
  }
  (void)sigprocmask(SIG_SETMASK, &screen.mask_before, NULL);
}

void screen_draw(const char *lines)
{
  g_autoptr(GString) text = g_string_new("\033[H");
  g_auto(GStrv) parts = g_strsplit(lines, "\n", -1);
  int height = terminal_height(stdout);
  for (char **line = parts; *line != NULL && line - parts < height; line++)
    g_string_append_printf(text, "%s%s\033[K", line == parts ? "" : "\r\n", *line);
  g_string_append(text, "\033[J");
  put(text->str);
}

/* Events. */

static int key_of(const char *bytes)
{
  static const struct {
    const char *bytes;
    int key;
  } table[] = {{"\033[A", SCREEN_UP},       {"\033OA", SCREEN_UP},         {"\033[B", SCREEN_DOWN},
               {"\033OB", SCREEN_DOWN},     {"\033[H", SCREEN_HOME},       {"\033[1~", SCREEN_HOME},
               {"\033[F", SCREEN_END},      {"\033[4~", SCREEN_END},       {"\033OH", SCREEN_HOME},
               {"\033[5~", SCREEN_PAGE_UP}, {"\033[6~", SCREEN_PAGE_DOWN}, {"\033OF", SCREEN_END}};
  for (size_t i = 0; i < G_N_ELEMENTS(table); i++)
    if (strcmp(table[i].bytes, bytes) == 0)
      return table[i].key;
  return bytes[0] == '\033' ? SCREEN_TIMEOUT : (unsigned char)bytes[0]; /* a key that means nothing here */
}

/* One key: a terminal sends the bytes of an escape sequence at once. */
static int read_key(void)
{
  char bytes[8] = "";
  ssize_t count = read(STDIN_FILENO, bytes, 1);
  if (count == 0 || (count < 0 && errno != EINTR && errno != EAGAIN))
    return SCREEN_ENDED;
  if (bytes[0] == '\033')
    for (size_t i = 1; i < sizeof bytes - 1 && read(STDIN_FILENO, bytes + i, 1) == 1; i++)
      if (g_ascii_isalpha(bytes[i]) ? bytes[i] != 'O' : bytes[i] == '~')
        break;
  return key_of(bytes);
}

static void stop(void)
{
  end();
  (void)kill(getpid(), SIGSTOP);
  begin();
}

static int read_signal(void)
{
  struct signalfd_siginfo info;
  if (read(screen.signals, &info, sizeof info) != (ssize_t)sizeof info)
    return SCREEN_TIMEOUT;
  if (info.ssi_signo == SIGWINCH)
    return SCREEN_REDRAW;
  if (info.ssi_signo == SIGTSTP) {
    stop();
    return SCREEN_REDRAW;
  }
  screen.ended_by = (int)info.ssi_signo;
  return SCREEN_ENDED;
}

int screen_wait(int64_t timeout_ms)
{
  struct pollfd files[] = {{.fd = screen.signals, .events = POLLIN},
                           {.fd = screen.has_keys ? STDIN_FILENO : -1, .events = POLLIN}};
  if (poll(files, G_N_ELEMENTS(files), (int)CLAMP(timeout_ms, 0, G_MAXINT)) <= 0)
    return SCREEN_TIMEOUT;
  return files[0].revents != 0 ? read_signal() : read_key();
}
