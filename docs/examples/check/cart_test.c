/* SPDX-License-Identifier: MIT */
#include "cart.h"

#include <stdio.h>

int main(void)
{
  struct cart *cart = cart_new();
  cart_add(cart, "apple");
  cart_add(cart, "pear");
  int count = cart_count(cart);
  cart_free(cart);
  printf("%d items\n", count);
  return count == 2 ? 0 : 1;
}
