/* SPDX-License-Identifier: MIT */
#include "cart.h"

#include <stdlib.h>
#include <string.h>

struct cart {
  int count;
  char **items;
};

struct cart *cart_new(void)
{
  return calloc(1, sizeof(struct cart));
}

void cart_add(struct cart *cart, const char *item)
{
  cart->items = realloc(cart->items, sizeof(char *) * (size_t)(cart->count + 1));
  cart->items[cart->count++] = strdup(item);
}

int cart_count(const struct cart *cart)
{
  return cart->count;
}

void cart_free(struct cart *cart)
{
  while (cart->count > 0)
    free(cart->items[--cart->count]);
  free(cart->items);
  free(cart);
}
