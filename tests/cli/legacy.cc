// SPDX-License-Identifier: MIT
// Keeps what three functions allocate: always 96 bytes, 37 sizes up to 28 KiB, always 3 MB. Linked with gperftools (WITH_TCMALLOC) it
// writes that library's profiles of samples and of growth under the names given; else the preloaded allocator writes one.
#include <cstdio>
#include <cstdlib>
#ifdef WITH_TCMALLOC
#include <gperftools/malloc_extension.h>
#include <string>
#endif

static void *volatile keep[40010];

extern "C" {
__attribute__((noinline)) void shop_small(int i)
{
  keep[i] = malloc(96);
}

__attribute__((noinline)) void shop_mixed(int i)
{
  keep[i] = malloc((size_t)(1 + i % 37) * 777);
}

__attribute__((noinline)) void shop_large(int i)
{
  keep[i] = malloc(3000000);
}
}

#ifdef WITH_TCMALLOC
static void write(const char *path, const std::string &text)
{
  FILE *file = fopen(path, "w");
  if (file == nullptr || fwrite(text.data(), 1, text.size(), file) != text.size() || fclose(file) != 0)
    exit(3);
}
#endif

int main(int argc, char **argv)
{
  for (int i = 0; i < 40000; i++)
    if (i % 2 == 0)
      shop_small(i);
    else
      shop_mixed(i);
  for (int i = 0; i < 40000; i += 4)
    free(keep[i]);
  for (int i = 40000; i < 40010; i++)
    shop_large(i);
#ifdef WITH_TCMALLOC
  std::string samples, growth;
  MallocExtension::instance()->GetHeapSample(&samples);
  MallocExtension::instance()->GetHeapGrowthStacks(&growth);
  write(argv[1], samples);
  write(argv[2], growth);
#endif
  (void)argv;
  return argc > 3;
}
