/* SPDX-License-Identifier: MIT */
/* One function inlined into another, and a static one: what debug information tells, and what a symbol table does. */
#include <cstdio>
#include <cstdlib>

namespace shop {
[[gnu::always_inline]] inline char *wrap(int bytes)
{
  return static_cast<char *>(std::malloc(bytes));
}

static char *volatile kept;

[[gnu::noinline]] static void fill(int bytes)
{
  kept = wrap(bytes); /* called from here */
}
} // namespace shop

int main(int argc, char **)
{
  shop::fill(argc * 1000);
  std::puts(shop::kept ? "filled" : "empty");
}
