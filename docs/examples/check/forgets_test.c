/* SPDX-License-Identifier: MIT */
/* Passes, but nobody frees the cart. */
#include "cart.h"

int main(void)
{
  struct cart *cart = cart_new();
  cart_add(cart, "apple");
  return cart_count(cart) == 1 ? 0 : 1;
}
