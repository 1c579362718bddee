/* SPDX-License-Identifier: MIT */
#include "interpose/object.h"

#include <elf.h>
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
    default: break;
    }
  }
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

/* Functions and data; what is chosen by a call (STT_GNU_IFUNC) or per thread is not simply there. */
static bool is_there(const ElfW(Sym) * symbol)
{
  unsigned type = ELF64_ST_TYPE(symbol->st_info);
  return symbol->st_shndx != SHN_UNDEF && (type == STT_FUNC || type == STT_OBJECT || type == STT_NOTYPE);
}

void *object_find(const struct object *object, const char *symbol)
{
  if (object->gnu_hash == NULL)
    return NULL;
  uint32_t bucket_count = object->gnu_hash[0], first = object->gnu_hash[1], filter_words = object->gnu_hash[2];
  const uint32_t *buckets = object->gnu_hash + 4 + filter_words * (sizeof(ElfW(Addr)) / sizeof(uint32_t));
  const uint32_t *chain = buckets + bucket_count;
  uint32_t hash = gnu_hash_of(symbol);
  uint32_t index = bucket_count > 0 ? buckets[hash % bucket_count] : 0;
  if (index < first)
    return NULL;
  for (bool is_last = false; !is_last; index++) {
    const ElfW(Sym) *candidate = &object->symbols[index];
    is_last = (chain[index - first] & 1) != 0;
    if ((chain[index - first] | 1) == (hash | 1) && strcmp(object->strings + candidate->st_name, symbol) == 0 &&
        is_there(candidate))
      return (void *)(object->bias + candidate->st_value);
  }
  return NULL;
}

static const char *soname(const struct object *object)
{
  for (const ElfW(Dyn) *entry = object->dynamic; entry->d_tag != DT_NULL; entry++)
    if (entry->d_tag == DT_SONAME)
      return object->strings + entry->d_un.d_val;
  return object->name;
}

bool object_needs(const struct object *object, const struct object *other)
{
  const char *name = soname(other);
  for (const ElfW(Dyn) *entry = object->dynamic; entry->d_tag != DT_NULL; entry++)
    if (entry->d_tag == DT_NEEDED && strcmp(object->strings + entry->d_un.d_val, name) == 0)
      return true;
  return false;
}
