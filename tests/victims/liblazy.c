/* SPDX-License-Identifier: MIT */
/* Calls that are bound when they are made first, into itself and libc, some with vectors to be kept meanwhile; one of them is to a
 * function that is chosen then, by code that allocates. */
#include <stdlib.h>
#include <string.h>

volatile int lazy_sink;
void *volatile lazy_kept;

__attribute__((noinline)) int lazy_last(int x)
{
  return lazy_sink += x;
}

__attribute__((noinline)) double lazy_vectors(double a, double b, double c, double d)
{
  lazy_last((int)a);
  return a + b + c + d;
}

static int lazy_implementation(int x)
{
  return x + 1;
}

/* Allocates for the first time where a program is given that much. */
size_t lazy_choice_bytes;

__attribute__((noinline)) static void lazy_look(void)
{
  if (lazy_choice_bytes != 0)
    lazy_kept = malloc(lazy_choice_bytes);
  lazy_sink++;
}

__attribute__((used)) static int (*lazy_choose(void))(int)
{
  lazy_look();
  return lazy_implementation;
}

int lazy_chosen(int) __attribute__((ifunc("lazy_choose")));

int lazy_enter(void)
{
  char text[100];
  memset(text, 'x', sizeof text - 1);
  text[sizeof text - 1] = '\0';
  lazy_sink += (int)lazy_vectors(1, 2, 3, 4);
  lazy_sink += atoi(text) + (int)strcspn(text, "yz");
  return lazy_chosen(lazy_last(3));
}
