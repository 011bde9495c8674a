/* SPDX-License-Identifier: MIT */
/* What the files of the data set share. */
#pragma once

#include "data/preprocess.h"

/* One array and the network input that it feeds. */
typedef struct
{
  char *name;   /* as given; NULL: the only input */
  char *origin; /* for messages */
  HtTensor *array;
  /* Made by binding */
  char *input;
  HtDataType type; /* what the network wants */
  HtPreprocessPlan *plan;
} HtDataSource;

struct _HtDataset
{
  GObject parent_instance;

  GPtrArray *sources;
  HtTensor *labels; /* int64, one dimension; NULL: none */
  char *labels_origin;
  HtPreprocess *preprocess;
  guint limit;
  gboolean bound;
  guint fixed_batch; /* 0: any */
};

void ht_data_source_free (HtDataSource *self);
/* For qsort() over const char *. */
int ht_compare_names (const void *a, const void *b);
gboolean ht_dataset_take_labels (HtDataset *self, const char *origin, HtTensor *labels, GError **error);
/* Whether all values fit the integer type that the network wants. */
gboolean ht_dataset_check_integers (const HtDataSource *source, HtTensor *values, GError **error);
