// SPDX-License-Identifier: MIT
// A4: what a plug-in was linked with runs out of memory: in vain, with a new handler that gives up, and where nothing may be thrown.
#include <cstddef>
#include <new>

static volatile std::size_t much = std::size_t{1} << 62;
static int handled;

static void give_up()
{
  if (++handled == 3)
    std::set_new_handler(nullptr);
}

template <typename New> static int outcome(New make)
{
  try {
    return make() != nullptr;
  } catch (const std::bad_alloc &error) {
    return error.what() != nullptr ? 42 : 1;
  }
}

struct alignas(64) Line {
  char bytes[64];
};

extern "C" int dependency_try(void)
{
  int caught = outcome([] { return ::operator new(much); });
  caught += outcome([] { return ::operator new[](much); });
  caught += outcome([] { return static_cast<void *>(new Line[much / 64]); });
  caught += outcome([] { return ::operator new(much, std::nothrow); });
  handled = 0;
  std::set_new_handler(give_up);
  caught += outcome([] { return ::operator new(much); });
  return caught == 4 * 42 && handled == 3 ? 42 : caught;
}
