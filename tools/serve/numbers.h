/* SPDX-License-Identifier: MIT */
/* Numbers in requests, read as Go's strconv reads them: a scraper that Go answers gets the same answer here.
 *
 * Failure: told apart as strconv does; the number is then 0, or the last there is.
 */
#ifndef HEAPPROF_NUMBERS_H
#define HEAPPROF_NUMBERS_H

#include <stddef.h>
#include <stdint.h>

enum number_verdict {
  NUMBER_OK,
  NUMBER_SYNTAX, /* it is none */
  NUMBER_RANGE,  /* none that fits */
};

/* ParseInt(text, 10, 64), and Atoi. */
enum number_verdict numbers_signed(const char *text, size_t size, int64_t *number);

/* ParseUint(text, 0, 64): "0x1f", "0b1", "0o7", "017", "1_000". */
enum number_verdict numbers_unsigned(const char *text, size_t size, uint64_t *number);

#endif
