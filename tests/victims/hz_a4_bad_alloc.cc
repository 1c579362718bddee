// SPDX-License-Identifier: MIT
// Allocator row 4: operator new throws bad_alloc through the profiler, a new handler frees inside operator new, and what
// follows is still counted.
#include "hz_victim.h"
#include <new>

static const size_t RESERVE = 5000;
static void *reserve;
static int handled;

static void give_up_reserve()
{
  handled++;
  if (reserve) {
    free(reserve);
    reserve = nullptr;
    shadow_remove(RESERVE);
  } else {
    std::set_new_handler(nullptr);
  }
}

static bool throws(void *(*allocate)(size_t))
{
  volatile size_t impossible = PTRDIFF_MAX - 4096;
  try {
    operator delete(allocate(impossible));
    return false;
  } catch (const std::bad_alloc &) {
    return true;
  }
}

static void *allocate_reserve(void *unused)
{
  REQUIRE((reserve = shadow_add(malloc(RESERVE), RESERVE)) != nullptr);
  return unused;
}

static void *allocate_after(void *kept)
{
  void *p = shadow_add(operator new(100), 100);
  if (!kept) {
    operator delete(p);
    shadow_remove(100);
  }
  return kept;
}

int main()
{
  hz_alarm(20);
  for (int i = 0; i < 50; i++) {
    victim_counted(allocate_reserve, nullptr);
    std::set_new_handler(give_up_reserve);
    REQUIRE(throws(operator new) && reserve == nullptr &&
            handled == 2 * (i + 1)); // not counted: exceptions are allocated
    REQUIRE(throws(operator new[]));
    volatile size_t impossible = PTRDIFF_MAX - 4096;
    REQUIRE(operator new(impossible, std::nothrow) == nullptr);
    REQUIRE(throws([](size_t size) { return operator new (size, std::align_val_t{64}); }));
    victim_counted(allocate_after, i % 2 ? &reserve : nullptr);
  }
  hz_report();
}
