/* SPDX-License-Identifier: MIT */
#include "tools/terminal/say.h"

#include "tools/terminal/exit_status.h"
#include "tools/terminal/shown.h"

#include <errno.h>
#include <glib.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { PROGRESS_INTERVAL_MS = 100 };

static bool shows_progress;

static bool is_shown(gunichar character)
{
  GUnicodeType type = g_unichar_type(character);
  return g_unichar_isprint(character) && type != G_UNICODE_LINE_SEPARATOR && type != G_UNICODE_PARAGRAPH_SEPARATOR;
}

/* What a terminal acts on instead of showing it: control characters, also those above 0x7f, what reverses the
 * direction of writing, and bytes that are no UTF-8. */
static void append_printable(GString *line, const char *text)
{
  while (*text != '\0') {
    gunichar character = g_utf8_get_char_validated(text, -1);
    bool is_valid = (gint32)character >= 0;
    size_t length = is_valid ? (size_t)(g_utf8_next_char(text) - text) : 1;
    if (is_valid && is_shown(character))
      g_string_append_len(line, text, (gssize)length);
    else
      for (size_t i = 0; i < length; i++)
        g_string_append_printf(line, "\\x%02x", (unsigned char)text[i]);
    text += length;
  }
}

static bool is_plain(const char *text)
{
  while (*text >= ' ' && *text < 0x7f)
    text++;
  return *text == '\0';
}

static void clear_progress(void)
{
  if (shows_progress)
    (void)!write(STDERR_FILENO, "\r\033[K", 4);
  shows_progress = false;
}

static void say_line(const char *text, const char *reason)
{
  g_autoptr(GString) line = g_string_new("heapprof: ");
  g_autofree char *signs = shown_signs(text);
  append_printable(line, signs);
  if (reason != NULL)
    g_string_append_printf(line, ": %s", reason);
  g_string_append_c(line, '\n');
  clear_progress();
  (void)!write(STDERR_FILENO, line->str, line->len);
}

void say(const char *format, ...)
{
  va_list arguments;
  va_start(arguments, format);
  g_autofree char *text = g_strdup_vprintf(format, arguments);
  va_end(arguments);
  say_line(text, NULL);
}

void say_errno(int number, const char *format, ...)
{
  va_list arguments;
  va_start(arguments, format);
  g_autofree char *text = g_strdup_vprintf(format, arguments);
  va_end(arguments);
  say_line(text, strerror(number));
}

int say_error(const GError *error)
{
  say("%s", error->message);
  return error->domain == G_OPTION_ERROR ? EXIT_USAGE : EXIT_FAILED;
}

void say_progress(const char *what, uint64_t done, uint64_t total)
{
  static gint64 shown_us;
  if (done >= total) {
    clear_progress();
    return;
  }
  gint64 now_us = g_get_monotonic_time();
  if (now_us - shown_us < PROGRESS_INTERVAL_MS * 1000 || terminal_width(stderr) == 0)
    return;
  shown_us = now_us;
  shows_progress = true;
  g_autoptr(GString) line = g_string_new("\r\033[K");
  append_printable(line, what);
  g_string_append_printf(line, " %d%%", (int)(100.0 * (double)done / (double)total));
  (void)!write(STDERR_FILENO, line->str, line->len);
}

static bool shows_colours(FILE *stream)
{
  const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
  return (no_color == NULL || no_color[0] == '\0') && (term == NULL || strcmp(term, "dumb") != 0) &&
         isatty(fileno(stream));
}

const char *colour(FILE *stream, enum colour colour)
{
  static const char *const sequences[] = {"\033[0m",  "\033[1m",  "\033[2m", "\033[31m",
                                          "\033[32m", "\033[33m", "\033[34m"};
  return shows_colours(stream) ? sequences[colour] : "";
}

int terminal_width(FILE *stream)
{
  struct winsize size;
  if (!isatty(fileno(stream)))
    return 0;
  return ioctl(fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

int terminal_height(FILE *stream)
{
  struct winsize size;
  if (!isatty(fileno(stream)))
    return 0;
  return ioctl(fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_row > 0 ? size.ws_row : 24;
}

int finish_output(int status)
{
  bool has_failed = ferror(stdout);
  if (fflush(stdout) != 0) {
    if (errno != EPIPE)
      say_errno(errno, "standard output");
    return EXIT_FAILED;
  }
  if (!has_failed)
    return status;
  say("standard output: not everything could be written"); /* the reason is not known any more */
  return EXIT_FAILED;
}

void put_printable(FILE *stream, const char *text)
{
  if (is_plain(text)) {
    fputs(text, stream);
    return;
  }
  g_autofree char *signs = shown_signs(text), *shown = printable(signs);
  fputs(shown, stream);
}

void put_name(const char *name)
{
  if (isatty(STDOUT_FILENO))
    put_printable(stdout, name);
  else
    fputs(name, stdout);
  fputc('\n', stdout);
}

char *printable(const char *text)
{
  GString *line = g_string_new(NULL);
  append_printable(line, text);
  return g_string_free(line, FALSE);
}
