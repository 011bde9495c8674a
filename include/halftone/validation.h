/* SPDX-License-Identifier: MIT */
#pragma once

#include <halftone/diagnostic.h>
#include <halftone/graph.h>

G_BEGIN_DECLS

/* One thing about a model that matters for quantization. Immutable, counted. */
#define HT_TYPE_FINDING (ht_finding_get_type ())
typedef struct _HtFinding HtFinding;

HT_API GType ht_finding_get_type (void) G_GNUC_CONST;
HT_API HtFinding *ht_finding_ref (HtFinding *self);
HT_API void ht_finding_unref (HtFinding *self);
HT_API HtSeverity ht_finding_get_severity (HtFinding *self);
HT_API const char *ht_finding_get_kind (HtFinding *self);
HT_API const char *ht_finding_get_message (HtFinding *self);
HT_API const char *ht_finding_get_remedy (HtFinding *self);

HT_API GPtrArray *ht_graph_validate (HtGraph *graph, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (HtFinding, ht_finding_unref)

G_END_DECLS
