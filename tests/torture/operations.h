/* SPDX-License-Identifier: MIT */
/* What a thread of the driver does: operations on objects in slots of its own, each chosen by its own generator, so that seed and
 * number of the thread say which. Contents are checked on the way. */
#ifndef OPERATIONS_H
#define OPERATIONS_H

#include "entry_points.h"
#include "tally.h"

extern int mi_version(void) __attribute__((weak)); /* mimalloc alone has it */

enum { SLOTS = 192, MAILBOX_SLOTS = 64, PATTERN_BYTES = 16 };
static const size_t LIVE_BYTES_MAX = 96 << 20; /* of one thread */

/* Where others leave objects, for this thread to free. */
struct mailbox {
  _Atomic int is_locked;
  unsigned count;
  struct object objects[MAILBOX_SLOTS];
};

struct worker {
  unsigned long random;
  unsigned char pattern;
  bool is_wild;      /* of a child that was forked while others were at work */
  size_t live_bytes; /* in the slots */
  struct tally tally;
  struct mailbox mailbox;
  struct object slots[SLOTS];
};

static unsigned draw(struct worker *worker, unsigned below)
{
  return shadow_random(&worker->random) % below;
}

/* One object. */

static void fill(struct worker *worker, struct object *object)
{
  size_t end = object->size < PATTERN_BYTES ? object->size : PATTERN_BYTES;
  object->pattern = ++worker->pattern;
  memset(object->bytes, object->pattern, end);
  memset(object->bytes + object->size - end, object->pattern, end);
}

static void check_start(const struct object *object, size_t size)
{
  for (size_t i = 0; i < size && i < PATTERN_BYTES; i++)
    REQUIRE(object->bytes[i] == object->pattern);
}

static void check_filled(const struct object *object)
{
  size_t end = object->size < PATTERN_BYTES ? object->size : PATTERN_BYTES;
  check_start(object, object->size);
  for (size_t i = object->size - end; i < object->size; i++)
    REQUIRE(object->bytes[i] == object->pattern);
}

static void check_zeroed(const struct object *object)
{
  enum { LOOKED_AT = 256 };
  for (size_t i = 0; i < object->size && i < LOOKED_AT; i++)
    REQUIRE(object->bytes[i] == 0 && object->bytes[object->size - 1 - i] == 0);
}

static size_t draw_size(struct worker *worker)
{
  unsigned kind = draw(worker, 1000), fine = draw(worker, 1u << 30);
  if (kind < 20)
    return 0;
  if (kind < 700)
    return fine % 257;
  if (kind < 930)
    return fine % (8 << 10);
  if (kind < 990)
    return fine % (256 << 10);
  if (kind < 999)
    return fine % (4 << 20);
  return fine % ((64 << 20) + 1);
}

static size_t affordable(const struct worker *worker, size_t size)
{
  return worker->live_bytes + size <= LIVE_BYTES_MAX ? size : size % 1024;
}

/* jemalloc does not align objects of no bytes, Debian's mimalloc not those of every size. */
static bool is_aligned(const struct object *object)
{
  return object->size == 0 || mi_version || (uintptr_t)object->bytes % object->alignment == 0;
}

static struct object make(struct worker *worker, const struct allocation *allocation, size_t size, size_t alignment)
{
  alignment = fitting_alignment(allocation, alignment);
  struct object object = {.size = fitting_size(allocation, size, alignment), .alignment = alignment};
  object.family = allocation->family;
  object.bytes = allocation->function(object.size, alignment);
  REQUIRE(object.bytes != NULL);
  REQUIRE(is_aligned(&object));
  REQUIRE(malloc_usable_size(object.bytes) >= object.size);
  if (allocation->is_zeroed)
    check_zeroed(&object);
  count(&worker->tally.allocated, object.size);
  fill(worker, &object);
  return object;
}

static struct object make_any(struct worker *worker)
{
  const struct allocation *allocation = allocation_at(draw(worker, ALLOCATIONS));
  size_t alignment = (size_t)16 << draw(worker, 10);
  return make(worker, allocation, affordable(worker, draw_size(worker)), alignment);
}

enum { WAYS = 24 };

static void drop(struct worker *worker, struct object *object, unsigned way)
{
  if (object->bytes == NULL)
    return;
  check_filled(object);
  count(&worker->tally.freed, object->size);
  give_back(object, way);
  object->bytes = NULL;
}

/* Slots. */

static void put_in(struct worker *worker, struct object *slot, struct object object)
{
  *slot = object;
  worker->live_bytes += object.size;
}

static struct object take_from(struct worker *worker, struct object *slot)
{
  struct object object = *slot;
  if (object.bytes != NULL)
    worker->live_bytes -= object.size;
  slot->bytes = NULL;
  return object;
}

static void replace(struct worker *worker)
{
  struct object *slot = &worker->slots[draw(worker, SLOTS)];
  struct object old = take_from(worker, slot);
  drop(worker, &old, draw(worker, WAYS));
  put_in(worker, slot, make_any(worker));
}

static void empty(struct worker *worker)
{
  struct object old = take_from(worker, &worker->slots[draw(worker, SLOTS)]);
  drop(worker, &old, draw(worker, WAYS));
}

/* Resizing. */

static void became(struct worker *worker, struct object *object, unsigned char *bytes, size_t size)
{
  size_t kept_bytes = size < object->size ? size : object->size;
  count(&worker->tally.freed, object->size);
  count(&worker->tally.allocated, size);
  object->bytes = bytes;
  object->family = FAMILY_C;
  object->alignment = 1;
  object->is_larger = false;
  check_start(object, kept_bytes);
  object->size = size;
  fill(worker, object);
}

/* glibc and tcmalloc free and return NULL, jemalloc and mimalloc return an object. */
static void resize_to_nothing(struct worker *worker, struct object *object)
{
  unsigned char *bytes = victim_resize(object->bytes, 0);
  if (bytes != NULL) {
    became(worker, object, bytes, 0);
  } else {
    count(&worker->tally.freed, object->size);
    object->bytes = NULL;
  }
}

static volatile size_t many = SIZE_MAX / 2; /* volatile: the compiler would warn */

static void fail_to_resize(const struct object *object)
{
  REQUIRE(victim_resize(object->bytes, PTRDIFF_MAX - 4096) == NULL);
  REQUIRE(reallocarray(object->bytes, many, 3) == NULL);
  check_filled(object);
}

/* A result of at least `size` may be what the object had before: it is not made smaller where it cannot be. */
static void resize_in_place(struct worker *worker, struct object *object, size_t size)
{
  if (!is_jemalloc() || size == 0 || object->size == 0 || victim_xallocx(object->bytes, size) < size)
    return;
  became(worker, object, object->bytes, size);
  object->is_larger = true;
}

static void resize_once(struct worker *worker, struct object *object)
{
  unsigned way = draw(worker, 16);
  size_t size = affordable(worker, draw_size(worker));
  if (way == 0)
    resize_to_nothing(worker, object);
  else if (way == 1)
    fail_to_resize(object);
  else if (way == 2)
    resize_in_place(worker, object, size);
  else if (size == 0)
    resize_to_nothing(worker, object);
  else if (way == 3 && is_jemalloc() && object->size > 0)
    became(worker, object, victim_rallocx(object->bytes, size), size);
  else if (way < 8)
    became(worker, object, victim_resize_array(object->bytes, size), size);
  else
    became(worker, object, victim_resize(object->bytes, size), size);
}

static void resize_chain(struct worker *worker)
{
  struct object *slot = &worker->slots[draw(worker, SLOTS)];
  struct object object = take_from(worker, slot);
  if (object.bytes == NULL || object.family > FAMILY_ALIGNED)
    object = (drop(worker, &object, 0), make(worker, &allocations[0], draw_size(worker) % 4096, 1));
  for (unsigned steps = 1 + draw(worker, 6); steps > 0 && object.bytes != NULL; steps--)
    resize_once(worker, &object);
  if (object.bytes != NULL)
    put_in(worker, slot, object);
}

/* Requests that nobody can meet. Not below any victim_*: libstdc++ allocates its exceptions. */

/* In a child that was forked while another thread was in the same place, jemalloc and tcmalloc wait for ever: they ask for the new
 * handler with a lock held, which they do not free at a fork. */
static bool may_fail_new(const struct worker *worker)
{
  return !mi_version &&
         !worker->is_wild; /* Debian's mimalloc is built as C, and aborts where operator new should throw */
}

static void fail_new(size_t size)
{
  REQUIRE(kept(_ZnwmRKSt9nothrow_t(size, &_ZSt7nothrow)) == NULL);
  REQUIRE(kept(_ZnamSt11align_val_tRKSt9nothrow_t(size, 64, &_ZSt7nothrow)) == NULL);
}

static void fail(struct worker *worker)
{
  size_t size = PTRDIFF_MAX - 65536 - draw(worker, 65536);
  REQUIRE(victim_malloc(size, 1) == NULL);
  REQUIRE(victim_calloc(size, 1) == NULL);
  REQUIRE(kept(calloc(many, 3)) == NULL);
  REQUIRE(victim_posix_memalign(size, 64) == NULL);
  REQUIRE(victim_aligned_alloc(size, 64) == NULL);
  if (may_fail_new(worker))
    fail_new(size);
}

/* Other threads free what this one made. When depends on the scheduler; what is drawn does not. */

static void lock(struct mailbox *mailbox)
{
  while (__atomic_exchange_n(&mailbox->is_locked, 1, __ATOMIC_ACQUIRE) != 0)
    sched_yield();
}

static void unlock(struct mailbox *mailbox)
{
  __atomic_store_n(&mailbox->is_locked, 0, __ATOMIC_RELEASE);
}

static void hand_over(struct worker *worker, struct worker *other)
{
  struct object object = take_from(worker, &worker->slots[draw(worker, SLOTS)]);
  bool is_left = object.bytes == NULL;
  lock(&other->mailbox);
  if (!is_left && other->mailbox.count < MAILBOX_SLOTS) {
    other->mailbox.objects[other->mailbox.count++] = object;
    is_left = true;
  }
  unlock(&other->mailbox);
  unsigned way = draw(worker, WAYS);
  if (!is_left)
    drop(worker, &object, way);
}

static void empty_mailbox(struct worker *worker)
{
  struct object objects[MAILBOX_SLOTS];
  lock(&worker->mailbox);
  unsigned many = worker->mailbox.count;
  memcpy(objects, worker->mailbox.objects, many * sizeof objects[0]);
  worker->mailbox.count = 0;
  unlock(&worker->mailbox);
  for (unsigned i = 0; i < many; i++)
    drop(worker, &objects[i], i);
}

/* Small objects in the order of a stack. */
static void burst(struct worker *worker)
{
  struct object objects[32];
  unsigned many = 1 + draw(worker, 32);
  for (unsigned i = 0; i < many; i++)
    objects[i] = make(worker, allocation_at(draw(worker, ALLOCATIONS)), draw(worker, 128), 16);
  while (many > 0)
    drop(worker, &objects[--many], draw(worker, WAYS));
}

/* An allocation that libc makes. */
VICTIM char *victim_strdup(const char *text)
{
  return kept(strdup(text));
}

static void duplicate(struct worker *worker)
{
  char text[64];
  size_t length = draw(worker, sizeof text);
  memset(text, 'x', length);
  text[length] = '\0';
  struct object object = {.bytes = (unsigned char *)victim_strdup(text), .size = length + 1, .alignment = 1};
  REQUIRE(object.bytes != NULL && strcmp((char *)object.bytes, text) == 0);
  count(&worker->tally.allocated, object.size);
  fill(worker, &object);
  drop(worker, &object, 0);
}

static void operate(struct worker *worker, struct worker *other)
{
  unsigned kind = draw(worker, 32);
  if (kind < 16)
    replace(worker);
  else if (kind < 18)
    empty(worker);
  else if (kind < 23)
    resize_chain(worker);
  else if (kind < 24)
    fail(worker);
  else if (kind < 27)
    hand_over(worker, other);
  else if (kind < 29)
    empty_mailbox(worker);
  else if (kind < 31)
    burst(worker);
  else
    duplicate(worker);
}

#endif
