/* SPDX-License-Identifier: MIT */
#include "tools/push/series.h"

#include <stdint.h>
#include <string.h>

enum { LENGTH_DELIMITED = 2, MORE = 0x80 };

static void put_number(GByteArray *bytes, uint64_t number)
{
  for (; number >= MORE; number >>= 7)
    g_byte_array_append(bytes, &(guint8){(guint8)(number | MORE)}, 1);
  g_byte_array_append(bytes, &(guint8){(guint8)number}, 1);
}

static void put_bytes(GByteArray *bytes, unsigned field, const void *data, size_t size)
{
  put_number(bytes, field << 3 | LENGTH_DELIMITED);
  put_number(bytes, size);
  g_byte_array_append(bytes, data, (guint)size);
}

static void put_text(GByteArray *bytes, unsigned field, const char *text)
{
  put_bytes(bytes, field, text, strlen(text));
}

static gboolean put_label(gpointer name, gpointer value, gpointer series)
{
  g_autoptr(GByteArray) label = g_byte_array_new();
  put_text(label, 1, name);
  put_text(label, 2, value);
  put_bytes(series, 1, label->data, label->len);
  return FALSE;
}

void series_append(GByteArray *request, GTree *labels, GBytes *profile, const char *id)
{
  g_autoptr(GByteArray) series = g_byte_array_new(), sample = g_byte_array_new();
  g_tree_foreach(labels, put_label, series);
  put_bytes(sample, 1, g_bytes_get_data(profile, NULL), g_bytes_get_size(profile));
  put_text(sample, 2, id);
  put_bytes(series, 2, sample->data, sample->len);
  put_bytes(request, 1, series->data, series->len);
}

/* Version 8, which is for whatever one likes. */
char *series_id(const char *text)
{
  g_autofree char *digest = g_compute_checksum_for_string(G_CHECKSUM_SHA256, text, -1);
  return g_strdup_printf("%.8s-%.4s-8%.3s-8%.3s-%.12s", digest, digest + 8, digest + 12, digest + 15, digest + 18);
}
