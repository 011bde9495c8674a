/* SPDX-License-Identifier: MIT */
/* Tensors that are computed from their positions: EyeLike, HannWindow, HammingWindow, BlackmanWindow. */
#include "graph/tensor-private.h"
#include "ops/loop.h"
#include "ops/ops.h"
#include "ops/rules.h"

#include <math.h>
#include <string.h>

/* The element type that an attribute names; FALSE with an error when the operator cannot make it. */
static gboolean
read_type (const HtInfer *infer, const char *attribute, HtDataType fallback, guint32 types, HtDataType *type,
           GError **error)
{
  gint64 given = ht_node_get_int (infer->node, attribute, fallback);
  *type = (HtDataType)given;
  if (given == HT_DATA_TYPE_UNDEFINED || (given > 0 && given < 32 && (types & (1u << given))))
    return TRUE;
  return ht_infer_fail (infer, error, "the attribute %s is %" G_GINT64_FORMAT ", which is no type it can make",
                        attribute, given);
}

static gboolean
eye_like_infer (HtInfer *infer, GError **error)
{
  HtDataType type;

  if (!ht_infer_check_arity (infer, 1, 1, error) || !ht_infer_check_rank (infer, 0, 2, 2, error)
      || !read_type (infer, "dtype", ht_infer_get_type (infer, 0), HT_TYPES_NUMBER | HT_TYPE_BIT (BOOL), &type, error))
    return FALSE;
  ht_infer_copy_input (infer, 0, 0, FALSE);
  infer->outputs[0].type = type;
  return TRUE;
}

static gboolean
eye_like_forward (const HtOpCall *call, GError **error)
{
  HtTensor *out = call->outputs[0];
  gint64 rows = ht_tensor_get_dim (out, 0), columns = ht_tensor_get_dim (out, 1);
  gint64 k = ht_node_get_int (call->node, "k", 0);
  g_autoptr (HtTensor) one = ht_tensor_new_scalar (1.0, ht_tensor_get_data_type (out), error);

  if (one == NULL)
    return FALSE;
  if (ht_tensor_get_n_elements (out) == 0)
    return TRUE;
  gsize size = ht_tensor_get_size (one);
  char *to = ht_tensor_get_writable_data (out);
  memset (to, 0, ht_tensor_get_size (out));
  k = CLAMP (k, -rows, columns);
  for (gint64 i = MAX (0, -k); i < rows && i + k < columns; i++)
    memcpy (to + (gsize)(i * columns + i + k) * size, ht_tensor_get_data (one), size);
  return TRUE;
}

/* Windows: sums of cosines, symmetric, or periodic as spectra want them. */
static gboolean
window_infer (HtInfer *infer, GError **error)
{
  g_autofree gint64 *size = NULL;
  gint64 dim = HT_DIM_UNKNOWN;
  gsize n;
  HtDataType type;

  if (!ht_infer_check_arity (infer, 1, 1, error) || !ht_infer_check_type (infer, 0, HT_TYPES_INDEX, error)
      || !read_type (infer, "output_datatype", HT_DATA_TYPE_FLOAT, HT_TYPES_NUMBER, &type, error))
    return FALSE;
  if (ht_infer_get_ints (infer, 0, &size, &n))
    {
      if (n != 1 || size[0] < 0)
        return ht_infer_fail (infer, error, "the size must be one number, 0 or more");
      dim = size[0];
    }
  ht_infer_set_output_dims (infer, 0, type, &dim, 1);
  return TRUE;
}

static gboolean
run_window (const HtOpCall *call, double constant, double once, double twice, GError **error)
{
  HtTensor *out = call->outputs[0];
  gsize n = ht_tensor_get_n_elements (out);
  gboolean periodic = ht_node_get_int (call->node, "periodic", 1) != 0;
  gint64 dim = (gint64)n;
  g_autoptr (HtTensor) values = ht_tensor_new (HT_DATA_TYPE_DOUBLE, &dim, 1, error);

  if (values == NULL)
    return FALSE;
  double *to = ht_tensor_get_writable_data (values);
  double step = 2.0 * G_PI / (double)(periodic ? n : n - 1);
  for (gsize i = 0; i < n; i++)
    to[i] = n == 1 ? 1.0 : constant - once * cos ((double)i * step) + twice * cos (2.0 * (double)i * step);
  ht_tensor_cast_into (values, out, TRUE, HT_ROUND_UP);
  return TRUE;
}

static gboolean
hann_forward (const HtOpCall *call, GError **error)
{
  return run_window (call, 0.5, 0.5, 0.0, error);
}

static gboolean
hamming_forward (const HtOpCall *call, GError **error)
{
  return run_window (call, 25.0 / 46.0, 21.0 / 46.0, 0.0, error);
}

static gboolean
blackman_forward (const HtOpCall *call, GError **error)
{
  return run_window (call, 0.42, 0.5, 0.08, error);
}

static const HtOperator operators[] = {
  { "", "BlackmanWindow", 17, HT_OP_NONE, window_infer, blackman_forward },
  { "", "EyeLike", 9, HT_OP_NONE, eye_like_infer, eye_like_forward },
  { "", "HammingWindow", 17, HT_OP_NONE, window_infer, hamming_forward },
  { "", "HannWindow", 17, HT_OP_NONE, window_infer, hann_forward },
};

void
ht_ops_register_generate (void)
{
  HT_OPS_REGISTER (operators);
}
