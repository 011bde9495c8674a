/* SPDX-License-Identifier: MIT */
/* A text that a user wrote, checked for size and encoding, with its lines: places in bytes become line and column. */
#pragma once

#include <halftone/diagnostic.h>

G_BEGIN_DECLS

/* What is beyond these limits is refused. */
typedef struct
{
  gsize max_bytes;
  guint max_values; /* values and brackets together; libfyaml holds some 400 bytes for each of a long line */
} HtSourceLimits;

/* For what people write: recipes, target configurations. */
extern const HtSourceLimits ht_source_limits_written;
/* For what programs write: encodings have numbers for each channel of each layer. */
extern const HtSourceLimits ht_source_limits_generated;

typedef struct
{
  char *file;
  char *text; /* UTF-8, without byte order mark, followed by a NUL */
  gsize length;
  GArray *line_starts; /* of gsize */
  guint max_values;
  /* The place that was located last: the next one is often near, and a line may be megabytes long. */
  gsize last_offset;
  guint last_column;
} HtSourceText;

/* Beyond this the problems of a text are not even counted: whatever wrote it did not mean it. */
#define HT_SOURCE_MAX_PROBLEMS 200

/* Characters that no text of a user needs, not even as an escape: they look like nothing, and some like a line end. */
gboolean ht_source_is_unwanted (gunichar c);
/* Copies the text. NULL, with a problem added, where it is too large, not UTF-8 or holds control characters. */
HtSourceText *ht_source_text_new (const char *text, gsize length, const char *file, const HtSourceLimits *limits,
                                  GPtrArray *problems);
void ht_source_text_free (HtSourceText *self);
/* Line and column of a byte, both from 1, columns in characters. */
void ht_source_text_locate (HtSourceText *self, gsize offset, guint *line, guint *column);
/* Byte offset of line and column, from 1; the nearest place where there is no such one. */
gsize ht_source_text_find (const HtSourceText *self, guint line, guint column);
void ht_source_text_report (HtSourceText *self, GPtrArray *problems, HtSeverity severity, gint code, gsize offset,
                            gsize length, const char *format, ...) G_GNUC_PRINTF (7, 8);
void ht_source_text_report_message (HtSourceText *self, GPtrArray *problems, HtSeverity severity, gint code,
                                    gsize offset, gsize length, const char *message);
/* A problem of the text as a whole. */
void ht_source_report_file (GPtrArray *problems, const char *file, gint code, const char *format, ...)
    G_GNUC_PRINTF (4, 5);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (HtSourceText, ht_source_text_free)

G_END_DECLS
