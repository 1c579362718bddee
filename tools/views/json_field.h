/* SPDX-License-Identifier: MIT */
/* A field of a JSON object, from what the system or a state file says. One that is there is replaced. */
#ifndef HEAPPROF_JSON_FIELD_H
#define HEAPPROF_JSON_FIELD_H

#include <jansson.h>
#include <stdint.h>

/* What is not UTF-8 of it becomes U+FFFD. */
void json_field_set_text(json_t *object, const char *key, const char *text);

/* JSON's integers end at INT64_MAX, and so does the field. */
void json_field_set_number(json_t *object, const char *key, uint64_t number);

#endif
