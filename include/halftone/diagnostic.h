/* SPDX-License-Identifier: MIT */
#pragma once

#include <halftone/error.h>

G_BEGIN_DECLS

typedef enum
{
  HT_SEVERITY_ERROR,
  HT_SEVERITY_WARNING,
  HT_SEVERITY_NOTE,
} HtSeverity;

/* One problem of a text, with its place. Immutable, counted. Lines and columns count from 1, columns in characters. */
#define HT_TYPE_DIAGNOSTIC (ht_diagnostic_get_type ())
typedef struct _HtDiagnostic HtDiagnostic;

HT_API GType ht_diagnostic_get_type (void) G_GNUC_CONST;
HT_API HtDiagnostic *ht_diagnostic_new (HtSeverity severity, gint code, const char *file, guint line, guint column,
                                        guint length, const char *source_line, const char *message);
HT_API HtDiagnostic *ht_diagnostic_ref (HtDiagnostic *self);
HT_API void ht_diagnostic_unref (HtDiagnostic *self);
HT_API HtSeverity ht_diagnostic_get_severity (HtDiagnostic *self);
HT_API gint ht_diagnostic_get_code (HtDiagnostic *self);
HT_API const char *ht_diagnostic_get_file (HtDiagnostic *self);
HT_API guint ht_diagnostic_get_line (HtDiagnostic *self);
HT_API guint ht_diagnostic_get_column (HtDiagnostic *self);
HT_API const char *ht_diagnostic_get_message (HtDiagnostic *self);
HT_API char *ht_diagnostic_format (HtDiagnostic *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (HtDiagnostic, ht_diagnostic_unref)

G_END_DECLS
