/* SPDX-License-Identifier: MIT */
/* Memory of benchmarks that are written for google-benchmark (1.7 or later, C++11): exact allocations and bytes of an
 * iteration, and the peak, as `go test -bench -benchmem -memprofile` has them, with a profile of what they allocate.
 *
 * #include <heapprof_benchmark.h>
 *     static void parse(benchmark::State &state)
 *     {
 *       std::string text = read_text();             // is not counted
 *       heapprof::BenchmarkCount count(state);      // from here on
 *       for (auto _ : state)
 *         benchmark::DoNotOptimize(parse(text));
 *     }
 *     BENCHMARK(parse);
 *     HEAPPROF_BENCHMARK_MAIN();
 *
 *     heapprof run -s 1 -- ./bench                  // parse  1520 ns ... B/op=96 allocs/op=3 peak_B=64
 *
 * google-benchmark runs each benchmark once more, for up to 16 iterations and in one thread, to count; the profile is
 * of these runs. In between sampling is stopped, so times are measured nearly as without the profiler (some nanoseconds
 * for each allocation). The JSON has allocs_per_iter, max_bytes_used, total_allocated_bytes, net_heap_growth as well.
 * Without a BenchmarkCount, all of the extra run is counted, with some allocations of google-benchmark's own.
 *
 * Failure: without the library, or with an interval above 1, benchmarks run as they are, without these columns, and one
 * line on standard error says what is missing.
 */
#ifndef HEAPPROF_BENCHMARK_H
#define HEAPPROF_BENCHMARK_H

#include "heapprof.h"

#include <benchmark/benchmark.h>

#include <cmath>
#include <cstdio>
#include <cstring>
#include <vector>

namespace heapprof {

class BenchmarkMemory : public benchmark::MemoryManager {
public:
  static BenchmarkMemory &get()
  {
    static BenchmarkMemory memory;
    return memory;
  }

  /* Says why not. */
  bool can_count() const
  {
    struct heapprof_stats stats = read_stats();
    if (heapprof_count_begin == nullptr)
      std::fputs("heapprof: not preloaded, so memory is not counted: heapprof run -s 1 -- PROGRAM\n", stderr);
    else if (stats.inert_reason != nullptr)
      std::fprintf(stderr, "heapprof: memory is not counted: %s\n", stats.inert_reason);
    else if (stats.sampling_interval_bytes != 1)
      std::fprintf(stderr, "heapprof: memory is not counted at a sampling interval of %llu bytes: heapprof run -s 1\n",
                   static_cast<unsigned long long>(stats.sampling_interval_bytes));
    else
      return true;
    return false;
  }

  /* Of MemoryManager; not marked as that, for one Stop is not in every version. */
  void Start()
  {
    is_begun_ = heapprof_count_begin() == 0;
    has_counts_ = false;
  }

  void Stop(Result &result)
  {
    if (!end())
      return;
    result.num_allocs = static_cast<int64_t>(counts_.alloc_objects);
    result.max_bytes_used = static_cast<int64_t>(counts_.peak_bytes);
    result.total_allocated_bytes = static_cast<int64_t>(counts_.alloc_bytes);
    result.net_heap_growth = counts_.growth_bytes;
    if (counts_.lost > 0)
      std::fprintf(stderr, "heapprof: %llu allocations were not counted, for want of memory\n",
                   static_cast<unsigned long long>(counts_.lost));
  }

  void Stop(Result *result)
  {
    Stop(*result);
  }

  /* A part of what is between Start and Stop is all that counts. */
  void begin_part()
  {
    heapprof_counts before;
    if (is_begun_ && heapprof_count_end(&before, sizeof before) == 0)
      is_begun_ = heapprof_count_begin() == 0;
  }

  void end_part()
  {
    has_counts_ = end();
  }

private:
  static struct heapprof_stats read_stats()
  {
    struct heapprof_stats stats;
    std::memset(&stats, 0, sizeof stats);
    if (::heapprof_stats != nullptr)
      (void)::heapprof_stats(&stats);
    return stats;
  }

  /* True: counts_ are what was asked for. */
  bool end()
  {
    if (is_begun_ && heapprof_count_end(&counts_, sizeof counts_) == 0)
      has_counts_ = true;
    is_begun_ = false;
    return has_counts_;
  }

  heapprof_counts counts_ = heapprof_counts();
  bool is_begun_ = false, has_counts_ = false;
};

/* In a benchmark, before its loop. */
class BenchmarkCount {
public:
  explicit BenchmarkCount(const benchmark::State &)
  {
    BenchmarkMemory::get().begin_part();
  }

  ~BenchmarkCount()
  {
    BenchmarkMemory::get().end_part();
  }

  BenchmarkCount(const BenchmarkCount &) = delete;
  BenchmarkCount &operator=(const BenchmarkCount &) = delete;
};

/* The usual reporter, with memory among the counters. */
class BenchmarkReporter : public benchmark::BenchmarkReporter {
public:
  bool ReportContext(const Context &context) override
  {
    return usual_->ReportContext(context);
  }

  void ReportRuns(const std::vector<Run> &runs) override
  {
    std::vector<Run> all = runs;
    for (Run &run : all)
      if (run.memory_result != nullptr)
        add_memory(run);
    usual_->ReportRuns(all);
  }

  void Finalize() override
  {
    usual_->Finalize();
  }

private:
  static void add_memory(Run &run)
  {
    const benchmark::MemoryManager::Result &memory = *run.memory_result;
    double allocations = static_cast<double>(memory.num_allocs), bytes = 0;
    if (run.allocs_per_iter > 0)
      bytes = static_cast<double>(memory.total_allocated_bytes) / std::round(allocations / run.allocs_per_iter);
    run.counters["B/op"] = benchmark::Counter(bytes);
    run.counters["allocs/op"] = benchmark::Counter(run.allocs_per_iter);
    run.counters["peak_B"] = benchmark::Counter(static_cast<double>(memory.max_bytes_used));
  }

  benchmark::BenchmarkReporter *usual_ = benchmark::CreateDefaultDisplayReporter();
};

/* In place of benchmark::RunSpecifiedBenchmarks(), after benchmark::Initialize. */
inline size_t RunSpecifiedBenchmarks()
{
  if (!BenchmarkMemory::get().can_count())
    return benchmark::RunSpecifiedBenchmarks();
  BenchmarkReporter reporter;
  heapprof_stop();
  benchmark::RegisterMemoryManager(&BenchmarkMemory::get());
  size_t count = benchmark::RunSpecifiedBenchmarks(&reporter);
  benchmark::RegisterMemoryManager(nullptr);
  heapprof_start();
  return count;
}

} // namespace heapprof

/* In place of BENCHMARK_MAIN(). */
#define HEAPPROF_BENCHMARK_MAIN()                                                                                      \
  int main(int argc, char **argv)                                                                                      \
  {                                                                                                                    \
    ::benchmark::Initialize(&argc, argv);                                                                              \
    if (::benchmark::ReportUnrecognizedArguments(argc, argv))                                                          \
      return 1;                                                                                                        \
    ::heapprof::RunSpecifiedBenchmarks();                                                                              \
    ::benchmark::Shutdown();                                                                                           \
    return 0;                                                                                                          \
  }                                                                                                                    \
  int main(int, char **)

#endif
