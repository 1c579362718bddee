/* SPDX-License-Identifier: MIT */
#ifndef CART_H
#define CART_H

struct cart;

struct cart *cart_new(void);
void cart_add(struct cart *cart, const char *item);
int cart_count(const struct cart *cart);
void cart_free(struct cart *cart);

#endif
