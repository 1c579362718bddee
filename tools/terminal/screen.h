/* SPDX-License-Identifier: MIT */
/* The terminal as a page that is drawn again and again: the alternate screen, keys one by one. What was there before
 * comes back when it is closed, when the program is stopped by ^Z, and when SIGINT, SIGTERM, SIGHUP or SIGQUIT end it.
 *
 * There is one. Threads: none but the caller's may run. */
#ifndef HEAPPROF_SCREEN_H
#define HEAPPROF_SCREEN_H

#include <stdbool.h>
#include <stdint.h>

/* What screen_wait returns besides a character that was typed. */
enum screen_event {
  SCREEN_TIMEOUT = 0x100,
  SCREEN_REDRAW, /* the size has changed, or the program goes on after ^Z */
  SCREEN_ENDED,  /* by a signal, or the terminal is gone */
  SCREEN_UP,
  SCREEN_DOWN,
  SCREEN_PAGE_UP,
  SCREEN_PAGE_DOWN,
  SCREEN_HOME,
  SCREEN_END,
};

/* Is standard output a terminal that knows how? */
bool screen_is_possible(void);

/* False after a message. */
bool screen_open(void);

/* Draws lines from the top; what is below them becomes empty. */
void screen_draw(const char *lines);

int screen_wait(int64_t timeout_ms);

/* Ends the program if a signal asked for that. */
void screen_close(void);

#endif
