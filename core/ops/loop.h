/* SPDX-License-Identifier: MIT */
/* How forward functions walk tensors: broadcast loops, strided copies, parallel cuts, half precision through float. */
#pragma once

#include "graph/operator.h"

/* Elements that one item of parallel work covers. Fixed, so that results never depend on the number of threads. */
#define HT_LOOP_GRAIN ((gsize) 16 * 1024)
/* Below this the work is done in the calling thread. */
#define HT_LOOP_PARALLEL_FROM ((gsize) 64 * 1024)

#define HT_LOOP_MAX_INPUTS 5

/* One run of `n` elements: input k at in[k] advances by stride[k] elements (0 or more), out by one. */
typedef void (*HtLoop) (gsize n, const char *const *in, const gint64 *stride, char *out, gconstpointer user_data);

/* Calls `loop` over the broadcast of the inputs to the shape of `out`. */
void ht_loop_broadcast (HtTensor *out, HtTensor *const *inputs, guint n_inputs, HtLoop loop, gconstpointer user_data);
/* For contiguous work: func (begin, end, user_data) over [0, n) in fixed cuts. */
typedef void (*HtRangeFunc) (gsize begin, gsize end, gpointer user_data);
void ht_loop_range (gsize n, gsize cost, HtRangeFunc func, gpointer user_data);

/* Bytes of an element; 0 for strings and types below a byte. */
gsize ht_element_size (HtDataType type);
/* Fails unless elements can be moved as whole bytes. */
gboolean ht_op_check_movable (const HtOpCall *call, HtTensor *tensor, GError **error);
/* Row-major strides in elements. */
void ht_strides (const gint64 *dims, guint n_dims, gint64 *strides);
/* Writes `dims` elements contiguously to `out`; source element (i, j, ...) lies at in + (i*stride[0] + j*stride[1] ...)
 * elements; strides may be 0 or negative. */
void ht_copy_strided (gpointer out, gconstpointer in, gsize element_size, guint n_dims, const gint64 *dims,
                      const gint64 *strides);
/* Plain copy of input 0's bytes to output 0, unless they share memory. */
gboolean ht_op_copy_through (const HtOpCall *call, GError **error);

typedef gboolean (*HtForward) (const HtOpCall *call, GError **error);
/* TRUE when some input or output is fp16 or bf16. */
gboolean ht_op_is_half (const HtOpCall *call);
/* Runs `forward` with fp16 and bf16 tensors converted to fp32 and the results rounded back. */
gboolean ht_op_widen (const HtOpCall *call, HtForward forward, GError **error);
/* Broadcasts the first inputs by the loop of input 0's type; fp16 and bf16 go through float. */
#define HT_LOOP_TYPES 32
gboolean ht_op_run_loops (const HtOpCall *call, guint n_inputs, const HtLoop loops[HT_LOOP_TYPES], HtForward forward,
                          GError **error);
gboolean ht_op_fail_type (const HtOpCall *call, HtDataType type, GError **error);
