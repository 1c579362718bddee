/* SPDX-License-Identifier: MIT */
/* Exceptions through frames that allocate: their unwinder and that of the profiler must not meet. */
#include "shadow.h"

#include <stdexcept>
#include <string>
#include <vector>

VICTIM int victim_throw(int depth, std::vector<std::string> &trail)
{
  std::string here(1000 + static_cast<std::size_t>(depth), 'x');
  trail.push_back(here);
  if (depth == 0)
    throw std::runtime_error("bottom of " + std::to_string(trail.size()));
  try {
    return victim_throw(depth - 1, trail) + 1;
  } catch (const std::out_of_range &) {
    return -1;
  }
}

VICTIM void victim_reserve()
{
  static std::string &kept = *new std::string; /* never destroyed: something for in-use */
  kept.reserve(16 << 20);
}

int main()
{
  victim_reserve();
  std::size_t caught = 0, bytes = 0;
  for (int round = 0; round < 2000; round++) {
    std::vector<std::string> trail;
    try {
      victim_throw(round % 20, trail);
    } catch (const std::exception &error) {
      caught++;
      bytes += std::string(error.what()).size() + trail.size();
    }
  }
  dprintf(STDOUT_FILENO, "caught %zu, %zu bytes\n", caught, bytes);
  return 0;
}
