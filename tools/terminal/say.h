/* SPDX-License-Identifier: MIT */
/* terminal/: what a person sees. It knows nothing of heaps, and nothing leaves it for a terminal that the terminal
 * would act on instead of showing it. One thread; texts that are returned are new ones, to be freed with g_free.
 *
 * Chatter on standard error, and what a terminal can do. Data goes to standard output, by stdio.
 *
 * A message is one line that names what was given, what is accepted or wrong, and what happens now.
 *
 * Failure: what cannot be written to standard error is lost, what cannot be written to standard output makes
 * finish_output fail.
 */
#ifndef HEAPPROF_SAY_H
#define HEAPPROF_SAY_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* "heapprof: ..." in one write. Control characters in it are shown as \xNN. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same, for an error that is not ours to explain: ends with strerror(number). */
void say_errno(int number, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Its message. Returns what to end with: EXIT_USAGE if the command line is wrong (G_OPTION_ERROR), else EXIT_FAILED. */
int say_error(const GError *error);

/* One line that overwrites itself, on a terminal only, at most ten times a second. done == total: the line is
 * removed. */
void say_progress(const char *what, uint64_t done, uint64_t total);

/* Colours: only on a terminal, and without NO_COLOR. */
enum colour { COLOUR_NONE, COLOUR_BOLD, COLOUR_DIM, COLOUR_RED, COLOUR_GREEN, COLOUR_YELLOW, COLOUR_BLUE };
/* The escape sequence, "" if `stream` shows no colours. COLOUR_NONE ends what another began. */
const char *colour(FILE *stream, enum colour colour);

/* Columns of the terminal behind `stream`; 0 if it is not one. */
int terminal_width(FILE *stream);
int terminal_height(FILE *stream);

/* Flushes standard output; EXIT_FAILED after a message if anything could not be written, else `status`. EPIPE is
 * silent. */
int finish_output(int status);

/* Puts text on `stream` with control characters and bytes that are not UTF-8 shown as \xNN: names in profiles are
 * input. */
void put_printable(FILE *stream, const char *text);

/* The same as a new string (g_free). */
char *printable(const char *text);

/* A name as the whole line on standard output: as it is for a program that reads it, printable for a terminal. */
void put_name(const char *name);

#endif
