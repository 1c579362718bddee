/* SPDX-License-Identifier: MIT */
/* new_delete [never-fail]: every form of operator new and delete, and a new that fails: bad_alloc passes through the profiler.
 * never-fail leaves that out: Debian's mimalloc is built as C and aborts there. */
#include "shadow.h"

#include <cstddef>
#include <cstdint>
#include <new>

namespace {
constexpr std::align_val_t alignment{256};

template <typename... Arguments> void *made(std::size_t size, Arguments... arguments)
{
  return shadow_add(::operator new(size, arguments...), size);
}

template <typename... Arguments> void *made_array(std::size_t size, Arguments... arguments)
{
  return shadow_add(::operator new[](size, arguments...), size);
}

template <typename... Arguments> void unmade(std::size_t size, void *p, Arguments... arguments)
{
  ::operator delete(p, arguments...);
  shadow_remove(size);
}

template <typename... Arguments> void unmade_array(std::size_t size, void *p, Arguments... arguments)
{
  ::operator delete[](p, arguments...);
  shadow_remove(size);
}
} // namespace

/* libstdc++ asks its allocator for whole multiples of the alignment, and for 1 byte instead of 0; so do we, to count the same
 * on every allocator. */
static std::size_t whole(std::size_t size)
{
  return (size + 255) / 256 * 256;
}

VICTIM void victim_new(std::size_t size)
{
  made(size);
  made(size, std::nothrow);
  made(whole(size), alignment);
  made(whole(size), alignment, std::nothrow);
}

VICTIM void victim_new_array(std::size_t size)
{
  made_array(size);
  made_array(size, std::nothrow);
  made_array(whole(size), alignment);
  made_array(whole(size), alignment, std::nothrow);
}

VICTIM void victim_delete(std::size_t size)
{
  unmade(size, made(size));
  unmade(size, made(size), size);
  unmade(size, made(size, std::nothrow), std::nothrow);
  unmade(whole(size), made(whole(size), alignment), alignment);
  unmade(whole(size), made(whole(size), alignment), whole(size), alignment);
  unmade(whole(size), made(whole(size), alignment, std::nothrow), alignment, std::nothrow);
}

VICTIM void victim_delete_array(std::size_t size)
{
  unmade_array(size, made_array(size));
  unmade_array(size, made_array(size), size);
  unmade_array(size, made_array(size, std::nothrow), std::nothrow);
  unmade_array(whole(size), made_array(whole(size), alignment), alignment);
  unmade_array(whole(size), made_array(whole(size), alignment), whole(size), alignment);
  unmade_array(whole(size), made_array(whole(size), alignment, std::nothrow), alignment, std::nothrow);
}

/* As a program writes them. */
VICTIM void victim_expressions()
{
  struct alignas(128) Wide {
    char bytes[128];
  };
  delete static_cast<int *>(shadow_add(new int(3), sizeof(int)));
  shadow_remove(sizeof(int));
  delete[] static_cast<char *>(shadow_add(new char[77], 77));
  shadow_remove(77);
  shadow_add(new Wide, sizeof(Wide));
  shadow_add(new Wide[3], 3 * sizeof(Wide));
  delete static_cast<int *>(nullptr);
  delete[] static_cast<char *>(nullptr);
}

/* Not a victim: the exceptions are allocations that nobody counts. */
__attribute__((noinline)) static int fail_to_allocate()
{
  volatile std::size_t huge = PTRDIFF_MAX;
  int caught = 0;
  try {
    void *volatile refused = ::operator new(huge);
    (void)refused;
  } catch (const std::bad_alloc &) {
    caught++;
  }
  try {
    void *volatile refused = ::operator new[](huge, alignment);
    (void)refused;
  } catch (const std::bad_alloc &) {
    caught++;
  }
  REQUIRE(::operator new(huge, std::nothrow) == nullptr);
  REQUIRE(::operator new[](huge, alignment, std::nothrow) == nullptr);
  return caught;
}

int main(int argc, char **)
{
  for (std::size_t size = 1; size < 100000; size *= 5) {
    victim_new(size);
    victim_new_array(size);
    victim_delete(size);
    victim_delete_array(size);
  }
  victim_expressions();
  if (argc == 1)
    REQUIRE(fail_to_allocate() == 2);
  victim_new(1000); /* sampling still works */
  shadow_print();
  return 0;
}
