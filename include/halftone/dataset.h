/* SPDX-License-Identifier: MIT */
#pragma once

#include <halftone/graph.h>

G_BEGIN_DECLS

/**
 * HtLayout:
 * @HT_LAYOUT_NCHW: samples, channels, then the rest: passed on as stored
 * @HT_LAYOUT_NHWC: samples, the rest, channels last
 *
 * How an array file stores its samples. Networks always get channels first.
 */
typedef enum
{
  HT_LAYOUT_NCHW, /*< nick=NCHW >*/
  HT_LAYOUT_NHWC, /*< nick=NHWC >*/
} HtLayout;

/**
 * HtChannelOrder:
 * @HT_CHANNEL_ORDER_KEEP: channels reach the network in the order of the file
 * @HT_CHANNEL_ORDER_REVERSE: the last channel comes first: RGB files for networks that want BGR, or the other way round
 *
 * The order of the channels that a network wants, seen from the file.
 */
typedef enum
{
  HT_CHANNEL_ORDER_KEEP,
  HT_CHANNEL_ORDER_REVERSE,
} HtChannelOrder;

/* How raw arrays become network inputs: reshape each sample, cut out its centre, order its channels, then
 * value = (raw * scale - mean[c]) / std[c], then NCHW. Its GObject properties are the keys of a recipe's `preprocess`:
 * layout, channel-order, scale, mean, std, shape, center-crop. */
#define HT_TYPE_PREPROCESS (ht_preprocess_get_type ())
HT_API
G_DECLARE_FINAL_TYPE (HtPreprocess, ht_preprocess, HT, PREPROCESS, GObject)

HT_API HtPreprocess *ht_preprocess_new (void);

#define HT_TYPE_DATASET (ht_dataset_get_type ())
HT_API
G_DECLARE_FINAL_TYPE (HtDataset, ht_dataset, HT, DATASET, GObject)

HT_API HtDataset *ht_dataset_new (void);
HT_API gboolean ht_dataset_add_array (HtDataset *self, const char *input, HtTensor *array, GError **error);
HT_API gboolean ht_dataset_add_file (HtDataset *self, const char *input, const char *path, GError **error);
HT_API gboolean ht_dataset_set_labels_file (HtDataset *self, const char *path, GError **error);
HT_API gboolean ht_dataset_set_labels (HtDataset *self, HtTensor *labels, GError **error);
HT_API void ht_dataset_set_preprocess (HtDataset *self, HtPreprocess *preprocess);
HT_API void ht_dataset_set_limit (HtDataset *self, guint n_samples);
HT_API HtDataset *ht_dataset_copy (HtDataset *self);
HT_API HtDataset *ht_dataset_select (HtDataset *self, const guint *rows, guint n_rows, GError **error);
HT_API gboolean ht_dataset_bind (HtDataset *self, HtGraph *graph, GError **error);
HT_API guint ht_dataset_get_n_samples (HtDataset *self);
HT_API guint ht_dataset_get_batch_size (HtDataset *self, guint wanted);
HT_API HtTensor *ht_dataset_get_labels (HtDataset *self);
HT_API char *ht_dataset_hash (HtDataset *self, GError **error);
HT_API GHashTable *ht_dataset_get_batch (HtDataset *self, guint first, guint n_samples, GError **error);

/* Arrays in files */
HT_API HtTensor *ht_tensor_load_npy (const char *path, GError **error);
HT_API gboolean ht_tensor_save_npy (HtTensor *self, const char *path, GError **error);
HT_API GHashTable *ht_tensor_load_npz (const char *path, GError **error);

G_END_DECLS
