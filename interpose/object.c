/* SPDX-License-Identifier: MIT */
#include "interpose/object.h"

#include <elf.h>
#include <gnu/lib-names.h>
#include <string.h>

/* glibc puts the addresses themselves into the dynamic section; of the vDSO, and under other loaders, they count from
 * the bias. */
const void *object_at(const struct object *object, const ElfW(Dyn) * entry)
{
  uintptr_t value = entry->d_un.d_ptr;
  return (const void *)(value < object->bias ? value + object->bias : value);
}

static void read_dynamic(struct object *object)
{
  for (const ElfW(Dyn) *entry = object->dynamic; entry->d_tag != DT_NULL; entry++) {
    switch (entry->d_tag) {
    case DT_STRTAB: object->strings = object_at(object, entry); break;
    case DT_SYMTAB: object->symbols = object_at(object, entry); break;
    case DT_GNU_HASH: object->gnu_hash = object_at(object, entry); break;
    case DT_HASH: object->sysv_hash = object_at(object, entry); break;
    case DT_VERSYM: object->versions = object_at(object, entry); break;
    default: break;
    }
  }
}

static const char *soname(const struct object *object)
{
  for (const ElfW(Dyn) *entry = object->dynamic; entry->d_tag != DT_NULL; entry++)
    if (entry->d_tag == DT_SONAME)
      return object->strings + entry->d_un.d_val;
  return object->name;
}

bool object_is_libc(const struct object *object)
{
  return strcmp(soname(object), LIBC_SO) == 0;
}

bool object_read_map(const struct link_map *map, struct object *object)
{
  *object = (struct object){.name = map->l_name, .bias = map->l_addr, .dynamic = map->l_ld};
  if (object->dynamic == NULL)
    return false;
  read_dynamic(object);
  return object->strings != NULL && object->symbols != NULL;
}

bool object_read(const struct dl_phdr_info *info, struct object *object)
{
  *object = (struct object){
      .name = info->dlpi_name, .bias = info->dlpi_addr, .segments = info->dlpi_phdr, .segment_count = info->dlpi_phnum};
  for (unsigned i = 0; i < object->segment_count; i++)
    if (object->segments[i].p_type == PT_DYNAMIC)
      object->dynamic = (const ElfW(Dyn) *)(object->bias + object->segments[i].p_vaddr);
  if (object->dynamic == NULL)
    return false;
  read_dynamic(object);
  return object->strings != NULL && object->symbols != NULL;
}

bool object_holds(const struct object *object, uintptr_t address)
{
  for (unsigned i = 0; i < object->segment_count; i++)
    if (object->segments[i].p_type == PT_LOAD &&
        address - (object->bias + object->segments[i].p_vaddr) < object->segments[i].p_memsz)
      return true;
  return false;
}

static uint32_t gnu_hash_of(const char *symbol)
{
  uint32_t hash = 5381;
  for (const unsigned char *byte = (const unsigned char *)symbol; *byte != '\0'; byte++)
    hash = hash * 33 + *byte;
  return hash;
}

struct object_query object_query(const char *symbol)
{
  return (struct object_query){.symbol = symbol, .gnu_hash = gnu_hash_of(symbol)};
}

/* Not an old version, which only programs that were linked with it get. */
static bool is_match(const struct object *object, uint32_t index, const char *symbol)
{
  enum { HIDDEN_VERSION = 0x8000 };
  const ElfW(Sym) *candidate = &object->symbols[index];
  return candidate->st_shndx != SHN_UNDEF && strcmp(object->strings + candidate->st_name, symbol) == 0 &&
         (object->versions == NULL || (object->versions[index] & HIDDEN_VERSION) == 0);
}

static bool may_hold(const uint32_t *table, uint32_t hash)
{
  enum { WORD_BITS = 8 * sizeof(ElfW(Addr)) };
  const ElfW(Addr) *filter = (const ElfW(Addr) *)(const void *)(table + 4);
  ElfW(Addr) word = filter[hash / WORD_BITS & (table[2] - 1)];
  return (word >> hash % WORD_BITS & word >> (hash >> table[3]) % WORD_BITS & 1) != 0;
}

static const ElfW(Sym) * find_by_gnu_hash(const struct object *object, const struct object_query *query)
{
  const uint32_t *table = object->gnu_hash, hash = query->gnu_hash;
  uint32_t bucket_count = table[0], first = table[1], filter_words = table[2];
  const uint32_t *buckets = table + 4 + filter_words * (sizeof(ElfW(Addr)) / sizeof *table);
  const uint32_t *chain = buckets + bucket_count;
  uint32_t index = bucket_count > 0 && may_hold(table, hash) ? buckets[hash % bucket_count] : 0;
  if (index < first)
    return NULL;
  for (bool is_last = false; !is_last; index++) {
    is_last = (chain[index - first] & 1) != 0;
    if ((chain[index - first] | 1) == (hash | 1) && is_match(object, index, query->symbol))
      return &object->symbols[index];
  }
  return NULL;
}

static uint32_t sysv_hash_of(const char *symbol)
{
  uint32_t hash = 0;
  for (const unsigned char *byte = (const unsigned char *)symbol; *byte != '\0'; byte++) {
    hash = (hash << 4) + *byte;
    hash = (hash ^ (hash & 0xf0000000u) >> 24) & 0x0fffffffu;
  }
  return hash;
}

static const ElfW(Sym) * find_by_sysv_hash(const struct object *object, const char *symbol)
{
  uint32_t bucket_count = object->sysv_hash[0];
  const uint32_t *buckets = object->sysv_hash + 2, *chain = buckets + bucket_count;
  uint32_t index = bucket_count > 0 ? buckets[sysv_hash_of(symbol) % bucket_count] : STN_UNDEF;
  for (; index != STN_UNDEF; index = chain[index])
    if (is_match(object, index, symbol))
      return &object->symbols[index];
  return NULL;
}

const ElfW(Sym) * object_export(const struct object *object, const struct object_query *query)
{
  if (object->gnu_hash != NULL)
    return find_by_gnu_hash(object, query);
  return object->sysv_hash != NULL ? find_by_sysv_hash(object, query->symbol) : NULL;
}

/* Functions and data; what is chosen by a call (STT_GNU_IFUNC) or per thread is not simply there. */
static bool is_there(const ElfW(Sym) * symbol)
{
  unsigned type = ELF64_ST_TYPE(symbol->st_info);
  return type == STT_FUNC || type == STT_OBJECT || type == STT_NOTYPE;
}

void *object_find(const struct object *object, const char *symbol)
{
  struct object_query query = object_query(symbol);
  const ElfW(Sym) *found = object_export(object, &query);
  return found != NULL && is_there(found) ? (void *)(object->bias + found->st_value) : NULL;
}

/* The hash tables of GNU's linkers leave out what is not defined, and that comes first; some do so only where there is
 * anything to find. */
static uint32_t count_known_symbols(const struct object *object)
{
  if (object->sysv_hash != NULL)
    return object->sysv_hash[1];
  return object->gnu_hash != NULL ? object->gnu_hash[1] : 0;
}

bool object_imports(const struct object *object, const char *symbol)
{
  uint32_t count = count_known_symbols(object);
  for (uint32_t i = 1; i < count; i++)
    if (object->symbols[i].st_shndx == SHN_UNDEF && strcmp(object->strings + object->symbols[i].st_name, symbol) == 0)
      return true;
  return count <= 1;
}

bool object_needs(const struct object *object, const struct object *other)
{
  const char *name = soname(other);
  for (const ElfW(Dyn) *entry = object->dynamic; entry->d_tag != DT_NULL; entry++)
    if (entry->d_tag == DT_NEEDED && strcmp(object->strings + entry->d_un.d_val, name) == 0)
      return true;
  return false;
}
