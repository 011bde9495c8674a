/* SPDX-License-Identifier: MIT */
#pragma once

#include <halftone/graph.h>

G_BEGIN_DECLS

typedef enum
{
  HT_LAYER_CONV,
  HT_LAYER_CONV_TRANSPOSE,
  HT_LAYER_GEMM,
  HT_LAYER_MATMUL,
} HtLayerKind;

/* A weighted layer of a graph: a view that resolves groups, transposes and ConvTranspose, so that a technique sees
 * output channels and input channels only. Counted; holds its graph. */
#define HT_TYPE_LAYER (ht_layer_get_type ())
typedef struct _HtLayer HtLayer;

HT_API GType ht_layer_get_type (void) G_GNUC_CONST;
HT_API GPtrArray *ht_graph_list_layers (HtGraph *graph);
HT_API HtLayer *ht_graph_find_layer (HtGraph *graph, const char *output);
HT_API HtLayer *ht_layer_new (HtGraph *graph, HtNode *node);
HT_API HtLayer *ht_layer_ref (HtLayer *self);
HT_API void ht_layer_unref (HtLayer *self);
HT_API HtGraph *ht_layer_get_graph (HtLayer *self);
HT_API HtNode *ht_layer_get_node (HtLayer *self);
HT_API HtLayerKind ht_layer_get_kind (HtLayer *self);
HT_API const char *ht_layer_get_input (HtLayer *self);
HT_API const char *ht_layer_get_output (HtLayer *self);
HT_API const char *ht_layer_get_weight (HtLayer *self);
HT_API const char *ht_layer_get_bias (HtLayer *self);
HT_API guint ht_layer_get_n_output_channels (HtLayer *self);
HT_API guint ht_layer_get_n_input_channels (HtLayer *self);
HT_API guint ht_layer_get_n_groups (HtLayer *self);
HT_API gboolean ht_layer_is_depthwise (HtLayer *self);
HT_API gboolean ht_layer_has_padding (HtLayer *self);
HT_API gboolean ht_layer_is_weight_shared (HtLayer *self);
HT_API gint ht_layer_get_channel_axis (HtLayer *self);

/* The weight as [output channels, inputs per group x kernel positions], row-major float. */
HT_API HtTensor *ht_layer_get_matrix (HtLayer *self, GError **error);
HT_API HtTensor *ht_layer_arrange_matrix (HtLayer *self, HtTensor *weight, GError **error);
HT_API gboolean ht_layer_set_matrix (HtLayer *self, HtTensor *matrix, GError **error);
HT_API double *ht_layer_get_bias_values (HtLayer *self, gsize *n_channels, GError **error);
HT_API gboolean ht_layer_set_bias_values (HtLayer *self, const double *values, gsize n_channels, GError **error);
HT_API double *ht_layer_get_output_ranges (HtLayer *self, gsize *n_channels, GError **error);
HT_API double *ht_layer_get_input_ranges (HtLayer *self, gsize *n_channels, GError **error);
HT_API gboolean ht_layer_scale_outputs (HtLayer *self, const double *factors, gsize n_channels, GError **error);
HT_API gboolean ht_layer_scale_inputs (HtLayer *self, const double *factors, gsize n_channels, GError **error);
HT_API double *ht_layer_propagate_shift (HtLayer *self, const double *shifts, gsize n_channels, gsize *n_outputs,
                                         GError **error);

/* Two layers with nothing between them but operators that commute with a positive per-channel scale: Relu, LeakyRelu,
 * PRelu, Pad with zeros, pooling, and clamps (Clip, Min, Max with constants), whose limits are scaled along. */
#define HT_TYPE_LAYER_LINK (ht_layer_link_get_type ())
typedef struct _HtLayerLink HtLayerLink;

HT_API GType ht_layer_link_get_type (void) G_GNUC_CONST;
HT_API GPtrArray *ht_graph_list_layer_links (HtGraph *graph);
HT_API HtLayerLink *ht_layer_link_ref (HtLayerLink *self);
HT_API void ht_layer_link_unref (HtLayerLink *self);
HT_API HtLayer *ht_layer_link_get_from (HtLayerLink *self);
HT_API HtLayer *ht_layer_link_get_to (HtLayerLink *self);
HT_API gboolean ht_layer_link_is_rectified (HtLayerLink *self);
HT_API gboolean ht_layer_link_is_linear (HtLayerLink *self);
HT_API gboolean ht_layer_link_has_limits (HtLayerLink *self);
HT_API gboolean ht_layer_link_has_padding (HtLayerLink *self);
HT_API gboolean ht_layer_link_scale_limits (HtLayerLink *self, const double *factors, gsize n_channels, GError **error);
HT_API double *ht_layer_link_get_upper_limits (HtLayerLink *self, gsize *n_channels);
HT_API gboolean ht_layer_link_shift_limits (HtLayerLink *self, const double *shifts, gsize n_channels, GError **error);
HT_API guint ht_layer_link_drop_upper_limits (HtLayerLink *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (HtLayer, ht_layer_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (HtLayerLink, ht_layer_link_unref)

G_END_DECLS
