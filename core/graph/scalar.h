/* SPDX-License-Identifier: MIT */
/* Elements of every numeric type, read and written in runs. */
#pragma once

#include "graph/tensor-private.h"

G_BEGIN_DECLS

#define HT_RUN_LENGTH 512

/* A run of values as wide as their kind needs: nothing is lost by reading. */
typedef struct
{
  enum { HT_RUN_REAL, HT_RUN_SIGNED, HT_RUN_UNSIGNED } kind;
  union
  {
    double real[HT_RUN_LENGTH];
    gint64 integer[HT_RUN_LENGTH]; /* UNSIGNED: the same bits as guint64 */
  };
} HtRun;

typedef struct
{
  gboolean saturate;
  HtScaleRounding rounding;
} HtCastRules;

void ht_run_load (HtRun *run, HtDataType type, gconstpointer data, gsize first, gsize count);
void ht_run_store (const HtRun *run, HtDataType type, gpointer data, gsize first, gsize count,
                   const HtCastRules *rules);

G_END_DECLS
