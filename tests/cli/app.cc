/* SPDX-License-Identifier: MIT */
/* A shop that leaks: the program that the examples of the manual look at. Phase 1 loads what it sells, and a profile
 * is written; phase 2 serves customers and forgets to close their sessions; another profile is written at exit. With
 * an argument it stays for that many seconds before it ends, with two it serves customers meanwhile. One thread and fixed sizes: the same seed gives the same
 * profiles. */
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <unistd.h>

extern "C" int heapprof_dump(const char *path) __attribute__((weak));

namespace shop {
template <typename Value> struct Cache {
  struct Entry {
    Entry *next;
    Value value;
  } *entries = nullptr;

  [[gnu::always_inline]] Entry *make_entry()
  {
    return new Entry{entries, {}};
  }
  [[gnu::noinline]] Value &insert()
  {
    return (entries = make_entry())->value;
  }
};
static Cache<char *> pictures;
static Cache<char[900]> sessions;

[[gnu::always_inline]] inline char *read_picture(std::size_t bytes)
{
  return static_cast<char *>(std::memset(std::malloc(bytes), 'x', bytes));
}

[[gnu::noinline]] static void load_item(int number)
{
  pictures.insert() = read_picture(2000 + number % 7 * 1000);
}

[[gnu::noinline]] static void load_items(int count)
{
  for (int number = 0; number < count; number++)
    load_item(number);
}

/* Parts of a page have parts. */
[[gnu::noinline]] static void render(int depth)
{
  char *page = new char[1500];
  std::snprintf(page, 1500, "part %d", depth);
  if (depth > 0)
    render(depth - 1);
  delete[] page;
}

[[gnu::noinline]] static void serve(char customer)
{
  sessions.insert()[0] = customer; /* nobody takes it out again */
  render(3);
}

static void stay_open(int seconds)
{
  for (int hundredths = 0; hundredths < 100 * seconds; hundredths++) {
    serve('x');
    usleep(10000);
  }
}
} // namespace shop

int main(int argc, char **argv)
{
  shop::load_items(1000);
  if (heapprof_dump != nullptr)
    heapprof_dump(nullptr);
  for (int customer = 0; customer < 2000; customer++)
    shop::serve(static_cast<char>(customer));
  if (argc > 2)
    shop::stay_open(std::atoi(argv[1]));
  return argc > 1 ? static_cast<int>(sleep(static_cast<unsigned>(std::atoi(argv[1])))) : 0;
}
