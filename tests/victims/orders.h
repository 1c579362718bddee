/* SPDX-License-Identifier: MIT */
/* Orders that a victim gets on standard input, one per line. Byte by byte, without stdio: it would allocate, and a signal may
 * interrupt it. */
#ifndef ORDERS_H
#define ORDERS_H

#include <stdbool.h>
#include <stddef.h>
#include <unistd.h>

/* False: an empty line, or no more of them. */
static inline bool read_order(char *order, size_t capacity)
{
  size_t length = 0;
  while (length < capacity - 1 && read(STDIN_FILENO, order + length, 1) == 1 && order[length] != '\n')
    length++;
  order[length] = '\0';
  return length > 0;
}

#endif
