// SPDX-License-Identifier: MIT
// estimates DISTRIBUTION INTERVAL BYTES KEEP_ONE_IN ROUNDS FOLDER: independent estimates of one truth.
//
// Each round allocates about BYTES at four places, sizes by DISTRIBUTION, the same ones in every round; keeps one object in
// KEEP_ONE_IN; has a profile written by the profiler that it runs under, FOLDER/ROUND; and frees. Prints the truth of a round,
// by place: its address, objects and requested bytes, allocated and kept, and what nallocx makes of the latter. Nothing is touched.
#include <climits>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <fcntl.h>
#include <gperftools/malloc_extension.h>
#include <malloc.h>
#include <string>
#include <unistd.h>
#include <vector>

// Whose are there tells under whom it runs.
extern "C" {
int heapprof_dump(const char *path) __attribute__((weak));
int mallctl(const char *name, void *old, size_t *old_size, void *fresh, size_t fresh_size) __attribute__((weak));
size_t nallocx(size_t size, int flags) __attribute__((weak));
}

enum { PLACES = 4 };
static const double share[PLACES] = {0.4, 0.3, 0.2, 0.1};

struct truth {
  unsigned long alloc_objects, alloc_bytes, kept_objects, kept_bytes, kept_usable;
};

static uint64_t state;

// Above 0, below 1.
static double uniform()
{
  state += 0x9e3779b97f4a7c15u;
  uint64_t z = state;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return (double(z >> 11) + 0.5) * 0x1p-53;
}

static size_t small_size(double)
{
  return 64;
}
static size_t large_size(double interval)
{
  return size_t(interval);
}
static size_t uniform_size(double)
{
  return size_t(uniform() * 65536);
}

// Median 256 bytes, mean 422.
static size_t lognormal_size(double)
{
  double normal = std::sqrt(-2 * std::log(uniform())) * std::cos(2 * M_PI * uniform());
  return size_t(256 * std::exp(normal));
}

// From 64 bytes on; 1.2: the variance is infinite. Cut at 16 MiB.
static size_t pareto_size(double)
{
  double size = 64 * std::pow(uniform(), -1 / 1.2);
  return size < 16 << 20 ? size_t(size) : 16 << 20;
}

static const struct distribution {
  const char *name;
  size_t (*draw)(double interval);
} distributions[] = {{"small", small_size},
                     {"large", large_size},
                     {"uniform", uniform_size},
                     {"lognormal", lognormal_size},
                     {"pareto", pareto_size}};

// All sizes of a round, by place: drawn before, so that a round is nothing but allocations.
static std::vector<uint32_t> sizes[PLACES];
static std::vector<void *> kept;

#define PLACE(number)                                                                                                  \
  extern "C" __attribute__((noinline)) void *victim_place_##number(size_t size)                                        \
  {                                                                                                                    \
    void *volatile p = malloc(size);                                                                                   \
    return p;                                                                                                          \
  }
PLACE(0)
PLACE(1)
PLACE(2)
PLACE(3)
static void *(*const places[PLACES])(size_t) = {victim_place_0, victim_place_1, victim_place_2, victim_place_3};

static truth draw_sizes(const distribution &from, double interval, double bytes, unsigned place, unsigned keep_one_in)
{
  truth sums = {};
  while (double(sums.alloc_bytes) < bytes * share[place]) {
    size_t size = from.draw(interval);
    sizes[place].push_back(uint32_t(size));
    if (sums.alloc_objects % keep_one_in == 0) {
      sums.kept_objects++;
      sums.kept_bytes += size;
      sums.kept_usable += nallocx != nullptr ? nallocx(size == 0 ? 1 : size, 0) : size;
    }
    sums.alloc_objects++;
    sums.alloc_bytes += size;
  }
  return sums;
}

// One place after the other, in turns: an estimate does not depend on the order.
static void allocate(unsigned keep_one_in)
{
  for (unsigned place = 0; place < PLACES; place++)
    for (size_t i = 0; i < sizes[place].size(); i++) {
      void *p = places[place](sizes[place][i]);
      if (i % keep_one_in == 0)
        kept.push_back(p);
      else
        free(p);
    }
}

// gperftools takes no sample of the first megabytes of a process.
static void warm_up()
{
  mallopt(M_TRIM_THRESHOLD, INT_MAX); // glibc's: rounds use the same pages
  for (int i = 0; i < 1024; i++) {
    void *volatile p = malloc(64 << 10);
    free(p);
  }
}

static bool write_whole(const char *path, const std::string &text)
{
  int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  bool is_written = fd >= 0 && write(fd, text.data(), text.size()) == ssize_t(text.size());
  return fd >= 0 && close(fd) == 0 && is_written;
}

static bool write_profile(const char *path)
{
  if (heapprof_dump != nullptr)
    return heapprof_dump(path) == 0;
  if (mallctl != nullptr)
    return mallctl("prof.dump", nullptr, nullptr, &path, sizeof path) == 0;
  auto instance = reinterpret_cast<MallocExtension *(*)()>(dlsym(RTLD_DEFAULT, "_ZN15MallocExtension8instanceEv"));
  if (instance == nullptr)
    return false;
  std::string text;
  text.reserve(1 << 20);
  instance()->GetHeapSample(&text);
  return write_whole(path, text);
}

static void print(const truth &sums, unsigned place)
{
  dprintf(STDOUT_FILENO, "truth %lu %lu %lu %lu %lu %lu\n", (unsigned long)places[place], sums.alloc_objects,
          sums.alloc_bytes, sums.kept_objects, sums.kept_bytes, sums.kept_usable);
}

int main(int argc, char **argv)
{
  const distribution *from = nullptr;
  for (const distribution &one : distributions)
    if (argc == 7 && strcmp(one.name, argv[1]) == 0)
      from = &one;
  if (from == nullptr)
    return 2;
  double interval = atof(argv[2]), bytes = atof(argv[3]);
  unsigned keep_one_in = unsigned(atoi(argv[4]));
  size_t objects = 0;
  for (unsigned place = 0; place < PLACES; place++) {
    print(draw_sizes(*from, interval, bytes, place, keep_one_in), place);
    objects += sizes[place].size() / keep_one_in + 1;
  }
  kept.reserve(objects);
  warm_up();
  for (int round = 0; round < atoi(argv[5]); round++) {
    allocate(keep_one_in);
    if (!write_profile((std::string(argv[6]) + "/" + std::to_string(round)).c_str()))
      return 1;
    for (void *p : kept)
      free(p);
    kept.clear();
  }
  return 0;
}
