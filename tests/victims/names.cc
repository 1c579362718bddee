/* SPDX-License-Identifier: MIT */
/* Functions with names worth showing: members, templates, a namespace, a library's. Built with -rdynamic, so that the names
 * survive strip. Enough memory for every usual sampling interval. */
#include "shadow.h"

#include <cstddef>
#include <string>

namespace shop {
constexpr std::size_t piece_bytes = 4 << 20;

struct Basket {
  char *pieces[16];
  int count;
  __attribute__((noinline)) void add();
  template <typename Unit> __attribute__((noinline)) Unit *reserve(std::size_t count);
};

template <typename Unit> Unit *Basket::reserve(std::size_t count)
{
  return static_cast<Unit *>(shadow_add(new Unit[count], count * sizeof(Unit)));
}

void Basket::add()
{
  pieces[count++] = reserve<char>(piece_bytes);
  delete[] reserve<char>(piece_bytes);
}

__attribute__((noinline)) void fill(Basket &basket, int count)
{
  for (int i = 0; i < count; i++)
    basket.add();
}
} // namespace shop

VICTIM std::size_t victim_text(std::size_t size)
{
  static std::string &text = *new std::string; /* never destroyed: in use at exit */
  text.assign(size, 'x');
  return text.size();
}

int main()
{
  static shop::Basket basket;
  shop::fill(basket, 16);
  REQUIRE(victim_text(shop::piece_bytes) == shop::piece_bytes);
  dprintf(STDOUT_FILENO, "filled\n");
  return 0;
}
