/* SPDX-License-Identifier: MIT */
#include "tools/state/addresses.h"

#include <stdbool.h>
#include <string.h>

enum { SLOT_BITS_FIRST = 10, DIGIT_BITS = 11, DIGITS = 1 << DIGIT_BITS, ADDRESS_BITS = 64 };

struct numbered {
  uint64_t address;
  uint32_t index;
};

static void make_slots(struct addresses *addresses, unsigned bits)
{
  addresses->slot_bits = bits;
  addresses->slots = g_new0(uint32_t, (size_t)1 << bits);
}

void addresses_init(struct addresses *addresses)
{
  addresses->values = g_array_new(FALSE, FALSE, sizeof(uint64_t));
  addresses->key = (uint64_t)g_random_int() << 32 | g_random_int();
  make_slots(addresses, SLOT_BITS_FIRST);
}

void addresses_clear(struct addresses *addresses)
{
  g_array_free(addresses->values, TRUE);
  g_free(addresses->slots);
}

static uint64_t value_at(const struct addresses *addresses, uint32_t index)
{
  return g_array_index(addresses->values, uint64_t, index);
}

static uint64_t first_slot(const struct addresses *addresses, uint64_t address)
{
  uint64_t hash = (address ^ addresses->key) * UINT64_C(0x9fb21c651e98df25);
  hash = (hash ^ hash >> 32) * (addresses->key | 1);
  return hash >> (64 - addresses->slot_bits);
}

static uint64_t slot_after(const struct addresses *addresses, uint64_t slot)
{
  return (slot + 1) & (((uint64_t)1 << addresses->slot_bits) - 1);
}

/* Where it is, or the free place where it belongs. */
static uint32_t *slot_of(const struct addresses *addresses, uint64_t address)
{
  uint64_t slot = first_slot(addresses, address);
  while (addresses->slots[slot] != 0 && value_at(addresses, addresses->slots[slot] - 1) != address)
    slot = slot_after(addresses, slot);
  return &addresses->slots[slot];
}

void addresses_expect(const struct addresses *addresses, uint64_t address)
{
  __builtin_prefetch(&addresses->slots[first_slot(addresses, address)]);
}

static void expect_later(const struct addresses *addresses, uint32_t index)
{
  enum { AHEAD = 16 };
  if (index + AHEAD < addresses->values->len)
    addresses_expect(addresses, value_at(addresses, index + AHEAD));
}

static void grow(struct addresses *addresses)
{
  g_free(addresses->slots);
  make_slots(addresses, addresses->slot_bits + 1);
  for (uint32_t i = 0; i < addresses->values->len; i++) {
    expect_later(addresses, i);
    uint64_t slot = first_slot(addresses, value_at(addresses, i));
    while (addresses->slots[slot] != 0) /* by another: each is there once */
      slot = slot_after(addresses, slot);
    addresses->slots[slot] = i + 1;
  }
}

uint32_t addresses_add(struct addresses *addresses, uint64_t address)
{
  uint32_t *slot = slot_of(addresses, address);
  if (*slot != 0)
    return *slot - 1;
  g_array_append_val(addresses->values, address);
  uint32_t index = addresses->values->len - 1;
  *slot = index + 1;
  uint64_t room = (uint64_t)1 << addresses->slot_bits;
  if (addresses->values->len >= room - room / 4)
    grow(addresses);
  return index;
}

/* By 11 bits of the address; those that are equal in these stay in order. False: all are, and nothing was moved. */
static bool sort_by_digit(const struct numbered *from, struct numbered *to, uint32_t count, unsigned shift,
                          uint32_t *places)
{
  memset(places, 0, DIGITS * sizeof *places);
  for (uint32_t i = 0; i < count; i++)
    places[from[i].address >> shift & (DIGITS - 1)]++;
  if (count == 0 || places[from[0].address >> shift & (DIGITS - 1)] == count)
    return false;
  uint32_t place = 0;
  for (uint32_t digit = 0; digit < DIGITS; digit++) {
    uint32_t of_digit = places[digit];
    places[digit] = place;
    place += of_digit;
  }
  for (uint32_t i = 0; i < count; i++)
    to[places[from[i].address >> shift & (DIGITS - 1)]++] = from[i];
  return true;
}

/* In linear time, as there may be many millions. */
static struct numbered *sort(struct numbered *numbered, uint32_t count)
{
  g_autofree uint32_t *places = g_new(uint32_t, DIGITS);
  struct numbered *other = g_new(struct numbered, count);
  for (unsigned shift = 0; shift < ADDRESS_BITS; shift += DIGIT_BITS)
    if (sort_by_digit(numbered, other, count, shift, places)) {
      struct numbered *sorted = other;
      other = numbered;
      numbered = sorted;
    }
  g_free(other);
  return numbered;
}

uint32_t *addresses_sort(struct addresses *addresses)
{
  uint32_t count = addresses->values->len;
  g_clear_pointer(&addresses->slots, g_free);
  struct numbered *numbered = g_new(struct numbered, count);
  for (uint32_t i = 0; i < count; i++)
    numbered[i] = (struct numbered){value_at(addresses, i), i};
  numbered = sort(numbered, count);
  uint32_t *ranks = g_new(uint32_t, count);
  for (uint32_t i = 0; i < count; i++) {
    g_array_index(addresses->values, uint64_t, i) = numbered[i].address;
    ranks[numbered[i].index] = i;
  }
  g_free(numbered);
  return ranks;
}
