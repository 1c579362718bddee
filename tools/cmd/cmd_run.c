/* SPDX-License-Identifier: MIT */
#include "tools/cmd/cmd.h"
#include "tools/cmd/limit_options.h"
#include "tools/run/allocators.h"
#include "tools/run/child.h"
#include "tools/run/collect.h"
#include "tools/run/oom_kills.h"
#include "tools/run/output_name.h"
#include "tools/run/program_file.h"
#include "tools/run/run_environment.h"
#include "tools/run/run_folder.h"
#include "tools/run/run_limits.h"
#include "tools/run/run_summary.h"
#include "tools/run/shim.h"
#include "tools/source/merged.h"
#include "tools/terminal/say.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>

/* As shells have it. */
enum { EXIT_NOT_EXECUTABLE = 126, EXIT_NOT_FOUND = 127, EXIT_BY_SIGNAL = 128 };

/* One run. */
struct job {
  const struct cmd_line *line;
  char *path;      /* of the program; NULL: there is none */
  char *library;   /* that is preloaded */
  char *preload;   /* with what else is */
  char *allocator; /* NULL: the program's own */
  char *sample;    /* the interval, as the library reads it; NULL: as the environment has it */
  char *pattern;   /* of the names of profiles */
  char *folder;    /* of state files; NULL: there is none, programs write their profiles themselves */
  struct run_limits limits;
  bool is_judged; /* by them */
  bool follows;
  int64_t oom_kills; /* before the start */
  struct program_verdict verdict;
};

static void clear_job(struct job *job)
{
  g_free(job->path);
  g_free(job->library);
  g_free(job->preload);
  g_free(job->allocator);
  g_free(job->sample);
  g_free(job->pattern);
  g_free(job->folder);
  if (job->limits.limits != NULL)
    g_array_unref(job->limits.limits);
  filter_free(job->limits.ignored);
  program_verdict_clear(&job->verdict);
}

/* Options. */

static bool is_accepted(const char *option, const char *variable, const char *value)
{
  if (value == NULL || run_environment_accepts(variable, value))
    return true;
  say("--%s takes %s, not '%s'", option, run_environment_accepted(variable), value);
  return false;
}

/* The environment is passed on, so we report its wrong values once, instead of every process. */
static char *choose_pattern(const struct cmd_line *line)
{
  const char *set = g_getenv("HEAPPROF_OUT");
  if (cmd_has(line, "out"))
    return output_pattern(cmd_value(line, "out"));
  if (set == NULL || run_environment_accepts("HEAPPROF_OUT", set))
    return output_pattern(set);
  char *usual = output_pattern(NULL);
  say("HEAPPROF_OUT=%s is not accepted (%s); using %s", set, run_environment_accepted("HEAPPROF_OUT"), usual);
  return usual;
}

static bool check_options(const struct cmd_line *line)
{
  const char *out = cmd_value(line, "out");
  g_autofree char *pattern = out == NULL || out[0] == '\0' ? g_strdup(out) : output_pattern(out);
  const char *allocator = cmd_value(line, "allocator");
  if (!is_accepted("signal", "HEAPPROF_SIGNAL", cmd_value(line, "signal")) ||
      !is_accepted("out", "HEAPPROF_OUT", pattern))
    return false;
  if (allocator != NULL && !allocators_accepts(allocator)) {
    say("--allocator takes " ALLOCATORS_NAMES " or a path with a slash, not '%s'", allocator);
    return false;
  }
  if (!cmd_has(line, "follow") || !cmd_has(line, "no-follow"))
    return true;
  say("--follow and --no-follow exclude each other");
  return false;
}

/* EXIT_OK, or another status after a message. */
static int read_limits(struct job *job)
{
  g_autofree const char **texts = cmd_values(job->line, "fail-if");
  struct filter_texts ignored = {.ignore = cmd_value(job->line, "ignore")};
  job->limits.limits = run_limits_read(texts);
  if (job->limits.limits == NULL)
    return EXIT_USAGE;
  if (ignored.ignore != NULL && !run_limits_are_of_leaks(job->limits.limits))
    return cmd_misused(job->line, "--ignore is for limits of what leaked, and there is none");
  if (ignored.ignore != NULL && (job->limits.ignored = filter_new(&ignored)) == NULL)
    return EXIT_USAGE;
  return limit_options_check(job->line, job->limits.limits);
}

/* False after a message. */
static bool choose_sample(struct job *job)
{
  const char *given = cmd_value(job->line, "sample");
  job->sample = given != NULL ? run_environment_interval(given) : NULL;
  return is_accepted("sample", "HEAPPROF_SAMPLE", job->sample);
}

/* HEAPPROF_FOLLOW as the library reads it. */
static bool follows(const struct cmd_line *line)
{
  if (cmd_has(line, "follow") || cmd_has(line, "no-follow"))
    return cmd_has(line, "follow");
  return g_strcmp0(g_getenv("HEAPPROF_FOLLOW"), "no") != 0;
}

/* A name that ends with a slash is one of a directory. */
static bool make_output_folder(const struct job *job)
{
  const char *given = cmd_value(job->line, "out");
  if (given == NULL || !g_str_has_suffix(given, "/") || g_mkdir_with_parents(given, 0777) == 0)
    return true;
  say_errno(errno, "--out %s cannot be made; nothing is started", given);
  return false;
}

/* Before the program has run for a day. Where it is our environment that names the folder, nobody asked us to look. */
static bool check_output_folder(const struct job *job)
{
  const char *out = cmd_value(job->line, "out");
  if ((out == NULL && g_getenv("HEAPPROF_OUT") != NULL) || output_folder_is_usable(job->pattern))
    return true;
  if (out != NULL)
    say_errno(errno, "--out %s: no profile can be written there; nothing is started", out);
  else
    say_errno(errno, "no profile can be written in the current directory, -o DIRECTORY is another; nothing is started");
  return false;
}

static bool find_libraries(struct job *job)
{
  g_autoptr(GError) error = NULL;
  const char *allocator = cmd_value(job->line, "allocator");
  job->library = shim_find(&error);
  if (job->library != NULL && allocator != NULL)
    job->allocator = allocators_find(allocator, &error);
  if (error == NULL)
    job->preload = shim_preload(job->library, job->allocator, g_getenv("LD_PRELOAD"), &error);
  if (error != NULL)
    say("%s; nothing is started", error->message);
  return error == NULL;
}

/* Starting. */

/* The status that a shell would give. */
static int report_failure(const struct job *job, int number)
{
  const char *program = job->line->operands[0];
  if (job->path == NULL && number == ENOENT) {
    say("there is no program '%s'", program);
    return EXIT_NOT_FOUND;
  }
  if (number == ENOENT) /* the file is there, but what it asks for is not */
    say("%s cannot be run: the interpreter or dynamic linker that it names is missing", program);
  else
    say_errno(number, "%s cannot be run", program);
  return EXIT_NOT_EXECUTABLE;
}

static bool may_be_profiled(const struct job *job)
{
  return job->verdict.kind == PROGRAM_PROFILED || job->verdict.kind == PROGRAM_OWN_MALLOC ||
         job->verdict.kind == PROGRAM_LINKED;
}

/* In one line each, what will not be profiled and why. */
static void announce(const struct job *job)
{
  if (job->verdict.kind == PROGRAM_OWN_MALLOC)
    say("%s %s: its own functions get the hooks", job->verdict.file, job->verdict.reason);
  else if (job->verdict.kind == PROGRAM_LINKED)
    say("%s %s: it profiles itself", job->verdict.file, job->verdict.reason);
  else if (job->verdict.kind != PROGRAM_PROFILED)
    say("%s %s: it runs, but it cannot be profiled", job->verdict.file, job->verdict.reason);
  if (may_be_profiled(job) && job->verdict.unseen != NULL)
    say("%s calls %s of a shared library: what that gives is not seen, only what malloc gives", job->verdict.file,
        job->verdict.unseen);
}

static bool is_preloaded(const struct job *job)
{
  return may_be_profiled(job) || (job->follows && program_kind_bears_preload(job->verdict.kind));
}

static void make_folder(struct job *job)
{
  g_autoptr(GError) error = NULL;
  job->folder = run_folder_make(&error);
  if (job->folder != NULL && run_environment_accepts("HEAPPROF_STATE_DIR", job->folder))
    return;
  say("%s%s; profiles are written by the programs themselves, and not at all by one that is killed",
      g_getenv("HEAPPROF_STATE_DIR") != NULL ? "HEAPPROF_STATE_DIR: " : "",
      error != NULL ? error->message : "the path of the state directory is too long");
  if (job->folder != NULL)
    run_folder_remove(job->folder);
  g_clear_pointer(&job->folder, g_free);
}

/* The end. */

static int status_of(int wait_status)
{
  return WIFSIGNALED(wait_status) ? EXIT_BY_SIGNAL + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

/* Who goes along with the program. */
struct company {
  struct collection *collection;
  struct tree_peak *tree_peak;
  gint64 collected_us;
};

static void keep_company(void *context)
{
  struct company *company = context;
  gint64 now_us = g_get_monotonic_time();
  tree_peak_look(company->tree_peak);
  if (now_us - company->collected_us < G_USEC_PER_SEC)
    return;
  company->collected_us = now_us;
  collection_keep_up(company->collection);
}

/* Of those who could not say themselves how much memory they had: they were killed. */
static void note_resident(const struct company *company, uint64_t of_program)
{
  for (guint i = 0; i < company->collection->profiles->len; i++) {
    struct collected_profile *profile = g_ptr_array_index(company->collection->profiles, i);
    if (profile->resident_most_bytes == 0)
      profile->resident_most_bytes = tree_peak_resident(company->tree_peak, profile->pid);
    if (profile->resident_most_bytes == 0 && profile->pid == company->collection->program &&
        company->collection->profiles->len == 1)
      profile->resident_most_bytes = of_program;
  }
}

/* One profile of all processes; its path, NULL: there is none, or after a message. To be freed. */
static char *write_merged(const struct collection *collection, const char *name)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GPtrArray) paths = g_ptr_array_new();
  g_autofree char *base = g_path_get_basename(name), *program = g_strconcat(base, "-tree", NULL), *path = NULL;
  for (guint i = 0; i < collection->profiles->len; i++)
    g_ptr_array_add(paths, ((const struct collected_profile *)g_ptr_array_index(collection->profiles, i))->path);
  if (paths->len == 0)
    return NULL;
  struct heap *heap = merged_of_files((char **)paths->pdata, paths->len, &error);
  if (heap != NULL)
    path = output_save(heap, collection->pattern, program, collection->program, &error);
  if (path == NULL)
    say("%s; there is no sum of the profiles", error->message);
  heap_free(heap);
  return g_steal_pointer(&path);
}

/* A program that failed is hidden neither by a limit nor by a profile that was asked for and could not be written. */
static int judge(struct job *job, const struct collection *collection, int status)
{
  bool is_profiled = job->verdict.kind == PROGRAM_PROFILED || job->verdict.kind == PROGRAM_LINKED;
  g_autoptr(GArray) outcomes = run_limits_judge(&job->limits, collection, is_profiled, cmd_has(job->line, "quiet"));
  job->is_judged = true;
  int judged = limit_options_end(job->line, outcomes, job->line->operands[0], status);
  bool is_lost = collection->problem != NULL || (collection->kept > 0 && collection->profiles->len == 0);
  return judged == EXIT_OK && cmd_has(job->line, "out") && is_lost ? EXIT_FAILED : judged;
}

/* Waits for the program, collects, reports. */
static int accompany(struct job *job, pid_t program, gint64 started_ns)
{
  struct collection collection;
  collection_init(&collection, job->folder, job->pattern);
  collection.program = program;
  collection.peak_limit_bytes = run_limits_peak(job->limits.limits);
  collection.finds_leaks = run_limits_are_of_leaks(job->limits.limits);
  collection.ignored = job->limits.ignored;
  struct company company = {.collection = &collection, .tree_peak = tree_peak_new(job->folder)};
  struct child_end end = child_wait(program, TREE_PEAK_LOOK_MS, keep_company, &company);
  tree_peak_look(company.tree_peak);
  collection_finish(&collection);
  note_resident(&company, end.resident_bytes);
  g_autofree char *merged = cmd_has(job->line, "merge") ? write_merged(&collection, job->line->operands[0]) : NULL;
  struct run_result result = {.collection = &collection,
                              .name = job->line->operands[0],
                              .is_profiled = may_be_profiled(job),
                              .sample = job->sample != NULL ? job->sample : g_getenv("HEAPPROF_SAMPLE"),
                              .follows = job->follows,
                              .wait_status = end.wait_status,
                              .resident_bytes = end.resident_bytes,
                              .started_ns = started_ns,
                              .oom_kills = job->oom_kills,
                              .merged = merged,
                              .tree_peak = company.tree_peak};
  run_summary_print(&result, cmd_has(job->line, "quiet"));
  int status = judge(job, &collection, status_of(end.wait_status));
  tree_peak_free(company.tree_peak);
  collection_clear(&collection);
  if (job->folder != NULL)
    run_folder_remove(job->folder);
  return status;
}

static char **environment_of(const struct job *job)
{
  struct run_environment settings = {.preload = job->preload,
                                     .pattern = job->pattern,
                                     .folder = job->folder,
                                     .sample = job->sample,
                                     .signal = cmd_value(job->line, "signal"),
                                     .follows = job->follows};
  return run_environment_make(&settings);
}

static struct child_program program_of(const struct job *job, char **environment)
{
  return (struct child_program){
      .path = job->path, .is_text = job->verdict.is_text, .arguments = job->line->operands, .environment = environment};
}

static int run_preloaded(struct job *job)
{
  int number;
  gint64 started_ns = output_clock_ns();
  make_folder(job);
  g_auto(GStrv) environment = environment_of(job);
  struct child_program start = program_of(job, environment);
  job->oom_kills = oom_kills();
  pid_t program = child_start(&start, &number);
  if (program != 0)
    return accompany(job, program, started_ns);
  if (job->folder != NULL)
    run_folder_remove(job->folder);
  return report_failure(job, number);
}

static int run_job(struct job *job)
{
  int number;
  job->path = program_file_find(job->line->operands[0], &number);
  if (job->path == NULL)
    return report_failure(job, number);
  program_file_judge(job->path, &job->verdict);
  if (!is_preloaded(job) && job->limits.limits->len > 0) {
    say("%s %s: it cannot be profiled, so --fail-if cannot be checked; nothing is started", job->verdict.file,
        job->verdict.reason);
    return EXIT_FAILED;
  }
  announce(job);
  if (is_preloaded(job))
    return run_preloaded(job);
  g_auto(GStrv) environment = g_get_environ();
  struct child_program program = program_of(job, environment);
  return report_failure(job, child_become(&program));
}

static int run(const struct cmd_line *line)
{
  struct job job = {.line = line, .follows = follows(line)};
  int status = EXIT_FAILED;
  if (line->count == 0)
    return cmd_misused(line, "no program is given");
  if (!check_options(line) || !choose_sample(&job))
    return EXIT_USAGE;
  int problem = read_limits(&job);
  if (problem == EXIT_OK) {
    run_environment_tell_unknown();
    child_prepare();
    job.pattern = choose_pattern(line);
    if (make_output_folder(&job) && check_output_folder(&job) && find_libraries(&job))
      status = run_job(&job);
    if (!job.is_judged)
      status = limit_options_end_unknown(line, job.limits.limits, line->operands[0], "nothing was run", status);
  }
  clear_job(&job);
  return problem == EXIT_OK ? status : problem;
}

static const struct cmd_option options[] = {
    {"sample", 's', "BYTES", "mean bytes between samples; K, M, G; 1 records every allocation"},
    {"out", 'o', "PATTERN", "names of profiles: a directory, or a name with %e %p %n %h %t"},
    {"signal", 0, "NAME", "the signal that asks a process for a profile; none"},
    {"follow", 0, NULL, "profile the programs that it starts, too; the default"},
    {"no-follow", 0, NULL, "profile it alone, with what it forks without exec"},
    {"merge", 0, NULL, "write the sum of all profiles, too: what forked children inherited counts once"},
    {"allocator", 0, "NAME", "run it on jemalloc, tcmalloc, mimalloc or the library at a path"},
    {"fail-if", 0, "LIMIT", "end with 3 if peak>SIZE, leaked>SIZE or leaked_objects>N; may be repeated"},
    {"ignore", 0, "REGEX", "no limit of what leaked counts stacks with a function that matches"},
    LIMIT_OPTION_JUNIT,
    {"quiet", 'q', NULL, "no summary at the end"},
    CMD_OPTIONS_END};

const struct command cmd_run = {.name = "run",
                                .operands = "[--] PROGRAM [ARGUMENT]...",
                                .summary = "Run a program and write heap profiles of it and what it starts",
                                .options = options,
                                .stops_at_operand = true,
                                .run = run};
