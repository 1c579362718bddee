/* SPDX-License-Identifier: MIT */
#include "tools/serve/workers.h"

#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STATUS_BROKEN = 500, STATUS_TOO_LONG = 504, TRIES = 2, IDLE_SECONDS = 60 };

struct waiting {
  workers_done done;
  void *context;
};

struct job {
  struct order order;
  struct parcel *input; /* NULL: none */
  GArray *waiting;      /* struct waiting */
  int tries;
};

struct worker {
  struct workers *workers;
  pid_t pid; /* 0: none runs here */
  int socket;
  guint source, timeout;
  struct job *job;                        /* NULL: idle */
  char last_process[ORDER_PROCESS_BYTES]; /* whose names it knows */
};

struct workers {
  struct worker_source source;
  struct worker all[WORKERS_MAX];
  GQueue *jobs; /* struct job *, that wait */
};

/* Jobs. */

static struct job *job_new(const struct order *order, struct parcel *input)
{
  struct job *job = g_new0(struct job, 1);
  job->order = *order;
  job->input = parcel_hold(input);
  job->waiting = g_array_new(FALSE, FALSE, sizeof(struct waiting));
  return job;
}

static void job_free(struct job *job)
{
  if (job == NULL)
    return;
  parcel_release(job->input);
  g_array_free(job->waiting, TRUE);
  g_free(job);
}

static void tell(struct job *job, const struct outcome *outcome)
{
  for (guint i = 0; i < job->waiting->len; i++) {
    const struct waiting *waiting = &g_array_index(job->waiting, struct waiting, i);
    waiting->done(outcome, waiting->context);
  }
  job_free(job);
}

static void tell_problem(struct job *job, unsigned status, const char *problem)
{
  struct outcome outcome = {.status = status};
  g_strlcpy(outcome.problem, problem, sizeof outcome.problem);
  tell(job, &outcome);
}

static void forget(struct job *job, const void *context)
{
  for (guint i = job->waiting->len; i-- > 0;)
    if (g_array_index(job->waiting, struct waiting, i).context == context)
      g_array_remove_index(job->waiting, i);
}

/* Workers. */

static void give_work(struct workers *workers);

static void end_worker(struct worker *worker)
{
  if (worker->source != 0)
    g_source_remove(worker->source);
  if (worker->timeout != 0)
    g_source_remove(worker->timeout);
  worker->source = worker->timeout = 0;
  (void)close(worker->socket);
  (void)kill(worker->pid, SIGKILL);
  while (waitpid(worker->pid, NULL, 0) < 0 && errno == EINTR)
    continue;
  worker->pid = 0;
  worker->last_process[0] = '\0';
}

static void try_again(struct workers *workers, struct job *job)
{
  if (job->tries < TRIES)
    g_queue_push_head(workers->jobs, job);
  else
    tell_problem(job, STATUS_BROKEN, "reading it failed");
}

static gboolean rest(gpointer data)
{
  struct worker *worker = data;
  worker->timeout = 0;
  end_worker(worker);
  return G_SOURCE_REMOVE;
}

static gboolean take_outcome(gint fd, GIOCondition condition, gpointer data)
{
  struct worker *worker = data;
  struct workers *workers = worker->workers;
  struct job *job = g_steal_pointer(&worker->job);
  struct outcome outcome;
  (void)condition;
  bool is_done = outcome_receive(fd, &outcome), goes_on = is_done && job != NULL;
  g_clear_handle_id(&worker->timeout, g_source_remove);
  if (goes_on) {
    worker->timeout = g_timeout_add_seconds(IDLE_SECONDS, rest, worker);
  } else { /* it has ended, or answers what was not asked */
    worker->source = 0;
    end_worker(worker);
  }
  if (goes_on)
    tell(job, &outcome);
  else if (job != NULL)
    try_again(workers, job);
  if (is_done)
    outcome_clear(&outcome);
  give_work(workers);
  return goes_on ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

static gboolean give_up(gpointer data)
{
  struct worker *worker = data;
  struct job *job = g_steal_pointer(&worker->job);
  worker->timeout = 0;
  end_worker(worker);
  tell_problem(job, STATUS_TOO_LONG, "reading it took too long");
  give_work(worker->workers);
  return G_SOURCE_REMOVE;
}

static bool start(struct worker *worker)
{
  if (worker->pid != 0)
    return true;
  worker->pid = worker_start(&worker->workers->source, &worker->socket);
  if (worker->pid < 0) {
    worker->pid = 0;
    return false;
  }
  worker->source = g_unix_fd_add(worker->socket, G_IO_IN | G_IO_HUP | G_IO_ERR, take_outcome, worker);
  return true;
}

static void give(struct worker *worker, struct job *job)
{
  bool was_idle = worker->pid != 0;
  job->tries++;
  if (start(worker) && !order_send(worker->socket, &job->order, job->input)) {
    end_worker(worker);
    job->tries -= was_idle; /* it had died before: this was no try */
    try_again(worker->workers, job);
    return;
  }
  if (worker->pid == 0) {
    g_autofree char *problem = g_strdup_printf("no process to read it in: %s", g_strerror(errno));
    tell_problem(job, STATUS_BROKEN, problem);
    return;
  }
  worker->job = job;
  g_clear_handle_id(&worker->timeout, g_source_remove);
  worker->timeout = g_timeout_add_seconds(WORKERS_SECONDS_MAX, give_up, worker);
  memcpy(worker->last_process, job->order.process, sizeof worker->last_process);
}

/* Who does what. */

static bool is_in_work(const struct workers *workers, const struct job *job)
{
  for (int i = 0; i < WORKERS_MAX; i++)
    if (workers->all[i].job != NULL && strcmp(workers->all[i].job->order.process, job->order.process) == 0)
      return true;
  return false;
}

/* One that knows the names, else one that runs, else any; NULL: none is idle. */
static struct worker *best_worker(struct workers *workers, const struct job *job)
{
  struct worker *best = NULL;
  int best_merit = -1;
  for (int i = 0; i < WORKERS_MAX; i++) {
    struct worker *worker = &workers->all[i];
    bool knows = worker->pid != 0 && strcmp(worker->last_process, job->order.process) == 0;
    int merit = worker->job != NULL ? -1 : knows ? 2 : worker->pid != 0;
    if (merit > best_merit) {
      best = worker;
      best_merit = merit;
    }
  }
  return best;
}

/* The first job that can be done now, and who does it; NULL: none. */
static GList *next_job(struct workers *workers, struct worker **worker)
{
  for (GList *at = workers->jobs->head; at != NULL; at = at->next)
    if (!is_in_work(workers, at->data) && (*worker = best_worker(workers, at->data)) != NULL)
      return at;
  return NULL;
}

static void give_work(struct workers *workers)
{
  struct worker *worker;
  for (GList *at; (at = next_job(workers, &worker)) != NULL;) {
    struct job *job = at->data;
    g_queue_delete_link(workers->jobs, at);
    give(worker, job);
  }
}

/* From outside. */

struct workers *workers_new(const struct worker_source *source)
{
  struct workers *workers = g_new0(struct workers, 1);
  workers->source = *source;
  workers->jobs = g_queue_new();
  for (int i = 0; i < WORKERS_MAX; i++)
    workers->all[i].workers = workers;
  return workers;
}

void workers_free(struct workers *workers)
{
  for (int i = 0; i < WORKERS_MAX; i++)
    if (workers->all[i].pid != 0) {
      end_worker(&workers->all[i]);
      job_free(workers->all[i].job);
    }
  struct job *job;
  while ((job = g_queue_pop_head(workers->jobs)) != NULL)
    job_free(job);
  g_queue_free(workers->jobs);
  g_free(workers);
}

static struct job *find_same(const struct workers *workers, const struct order *order, const struct parcel *input)
{
  for (GList *at = workers->jobs->head; at != NULL; at = at->next) {
    struct job *job = at->data;
    if (job->input == input && memcmp(&job->order, order, sizeof *order) == 0)
      return job;
  }
  return NULL;
}

void workers_order(struct workers *workers, const struct order *order, struct parcel *input, workers_done done,
                   void *context)
{
  struct job *job = find_same(workers, order, input);
  if (job == NULL) {
    job = job_new(order, input);
    g_queue_push_tail(workers->jobs, job);
  }
  struct waiting waiting = {done, context};
  g_array_append_val(job->waiting, waiting);
  give_work(workers);
}

void workers_cancel(struct workers *workers, const void *context)
{
  GList *next;
  for (GList *at = workers->jobs->head; at != NULL; at = next) {
    struct job *job = at->data;
    next = at->next;
    forget(job, context);
    if (job->waiting->len == 0) {
      g_queue_delete_link(workers->jobs, at);
      job_free(job);
    }
  }
  for (int i = 0; i < WORKERS_MAX; i++)
    if (workers->all[i].job != NULL)
      forget(workers->all[i].job, context);
}
