// SPDX-License-Identifier: MIT
// Benchmarks with their memory: g++ -O2 words.cc -lbenchmark && heapprof run -s 1 -- ./a.out
#include <heapprof_benchmark.h>

#include <memory>
#include <string>
#include <vector>

// Three blocks in each iteration, two of them at a time.
static void three_blocks(benchmark::State &state)
{
  std::vector<char> outside(5000); // is not counted
  heapprof::BenchmarkCount count(state);
  for (auto _ : state) {
    std::unique_ptr<char[]> one(new char[100]);
    benchmark::DoNotOptimize(one.get());
    for (int turn = 0; turn < 2; turn++) {
      std::unique_ptr<char[]> other(new char[20]);
      benchmark::DoNotOptimize(other.get());
    }
  }
}
BENCHMARK(three_blocks);

// None.
static void no_block(benchmark::State &state)
{
  heapprof::BenchmarkCount count(state);
  for (auto _ : state)
    benchmark::DoNotOptimize(state.iterations());
}
BENCHMARK(no_block);

// As long as the argument says.
static void words(benchmark::State &state)
{
  heapprof::BenchmarkCount count(state);
  for (auto _ : state) {
    std::string text(static_cast<size_t>(state.range(0)), 'x');
    benchmark::DoNotOptimize(text.data());
  }
}
BENCHMARK(words)->Arg(1000)->Arg(100000);

HEAPPROF_BENCHMARK_MAIN();
