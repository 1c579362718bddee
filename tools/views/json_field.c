/* SPDX-License-Identifier: MIT */
#include "tools/views/json_field.h"

#include <glib.h>

void json_field_set_text(json_t *object, const char *key, const char *text)
{
  g_autofree char *valid = g_utf8_make_valid(text, -1);
  json_object_set_new(object, key, json_string(valid));
}

void json_field_set_number(json_t *object, const char *key, uint64_t number)
{
  json_object_set_new(object, key, json_integer((json_int_t)MIN(number, (uint64_t)INT64_MAX)));
}
