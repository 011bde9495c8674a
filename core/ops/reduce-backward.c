/* SPDX-License-Identifier: MIT */
/* Gradients of the Reduce operators: dy is stretched over what was reduced. */
#include "graph/tensor-private.h"
#include "ops/backward.h"

#include <math.h>
#include <string.h>

/* Operands: dy, x, y. */
#define TERM(NAME, T, EXPRESSION)                                                                                      \
  static void NAME##_##T (gsize n, const char *const *in, const gint64 *stride, char *out, gconstpointer user_data)    \
  {                                                                                                                    \
    T factor = (T) * (const double *)user_data;                                                                        \
    (void)factor;                                                                                                      \
    for (gsize i = 0; i < n; i++)                                                                                      \
      {                                                                                                                \
        T g = ((const T *)in[0])[(gint64)i * stride[0]];                                                               \
        T x = ((const T *)in[1])[(gint64)i * stride[1]], y = ((const T *)in[2])[(gint64)i * stride[2]];                \
        (void)g, (void)x, (void)y;                                                                                     \
        ((T *)out)[i] = (T)(EXPRESSION);                                                                               \
      }                                                                                                                \
  }
#define TERMS(NAME, FLOAT_EXPRESSION, DOUBLE_EXPRESSION)                                                               \
  TERM (NAME, float, FLOAT_EXPRESSION) TERM (NAME, double, DOUBLE_EXPRESSION)

TERMS (scaled, factor *g, factor *g)
TERMS (sum_square, 2 * g * x, 2 * g * x)
TERMS (l1, x > 0 ? g : x < 0 ? -g : 0, x > 0 ? g : x < 0 ? -g : 0)
TERMS (l2, y == 0 ? 0 : g * x / y, y == 0 ? 0 : g * x / y)
TERMS (log_sum, g *expf (-y), g *exp (-y))
TERMS (log_sum_exp, g *expf (x - y), g *exp (x - y))
TERMS (is_extreme, x == y, x == y)
TERMS (share, y == 0 ? 0 : g / y, y == 0 ? 0 : g / y)
TERMS (selected, x == y ? g : 0, x == y ? g : 0)

/* `tensor`, of the reduced shape, seen with a 1 where a dimension was reduced. */
static HtTensor *
stretchable (const HtOpCall *call, HtTensor *tensor, gpointer data)
{
  gboolean flags[HT_TENSOR_MAX_DIMS];
  guint rank;
  const gint64 *dims = ht_tensor_get_dims (call->inputs[0], &rank);
  gint64 kept[HT_TENSOR_MAX_DIMS];

  ht_reduce_read_flags (call, rank, flags);
  for (guint i = 0; i < rank; i++)
    kept[i] = flags[i] ? 1 : dims[i];
  return _ht_tensor_new_view (ht_tensor_get_data_type (tensor), kept, rank, data);
}

static gboolean
stretch (const HtOpCall *call, HtTensor *const *output_gradients, HtTensor *dx, gboolean reads_x, gboolean reads_y,
         HtLoop in_float, HtLoop in_double, double factor, GError **error)
{
  gboolean is_double;
  if (!ht_backward_get_type (call, output_gradients, &is_double, error))
    return FALSE;
  if (dx == NULL)
    return TRUE;
  HtTensor *dy = output_gradients[0], *y = call->outputs[0];
  g_autoptr (HtTensor) g = stretchable (call, dy, (gpointer)ht_tensor_get_data (dy));
  g_autoptr (HtTensor) result = stretchable (call, dy, (gpointer)ht_tensor_get_data (y));
  HtTensor *operands[3] = { g, reads_x ? call->inputs[0] : g, reads_y ? result : g };
  ht_loop_broadcast (dx, operands, 3, is_double ? in_double : in_float, &factor);
  return TRUE;
}

#define REDUCE_BACKWARD(NAME, TERM, READS_X, READS_Y, FACTOR)                                                          \
  gboolean ht_op_reduce_##NAME##_backward (const HtOpCall *call, HtTensor *const *output_gradients,                    \
                                           HtTensor *const *input_gradients, GError **error)                           \
  {                                                                                                                    \
    return stretch (call, output_gradients, input_gradients[0], READS_X, READS_Y, TERM##_float, TERM##_double, FACTOR, \
                    error);                                                                                            \
  }
REDUCE_BACKWARD (sum, scaled, FALSE, FALSE, 1.0)
REDUCE_BACKWARD (mean, scaled, FALSE, FALSE,
                 (double)ht_tensor_get_n_elements (output_gradients[0])
                     / (double)ht_tensor_get_n_elements (call->inputs[0]))
REDUCE_BACKWARD (sum_square, sum_square, TRUE, FALSE, 1.0)
REDUCE_BACKWARD (l1, l1, TRUE, FALSE, 1.0)
REDUCE_BACKWARD (l2, l2, TRUE, TRUE, 1.0)
REDUCE_BACKWARD (log_sum, log_sum, FALSE, TRUE, 1.0)
REDUCE_BACKWARD (log_sum_exp, log_sum_exp, TRUE, TRUE, 1.0)

/* Max and Min: those that share the extreme share the gradient, as in torch. The workspace holds the shares. */
gboolean
ht_op_reduce_extreme_backward (const HtOpCall *call, HtTensor *const *output_gradients,
                               HtTensor *const *input_gradients, GError **error)
{
  gboolean is_double;
  double factor = 1.0;
  HtTensor *dx = input_gradients[0], *x = call->inputs[0], *dy = output_gradients[0];

  if (!ht_backward_get_type (call, output_gradients, &is_double, error))
    return FALSE;
  if (dx == NULL || ht_tensor_get_n_elements (x) == 0)
    return TRUE;
  g_autoptr (HtTensor) g = stretchable (call, dy, (gpointer)ht_tensor_get_data (dy));
  g_autoptr (HtTensor) y = stretchable (call, dy, (gpointer)ht_tensor_get_data (call->outputs[0]));
  g_autoptr (HtTensor) share = stretchable (call, dy, call->workspace);
  HtTensor *counted[3] = { g, x, y }, *shared[3] = { g, share, share }, *selected[3] = { share, x, y };
  ht_backward_broadcast (share, x, counted, 3, is_double ? is_extreme_double : is_extreme_float, &factor);
  ht_loop_broadcast (share, shared, 3, is_double ? share_double : share_float, &factor);
  ht_loop_broadcast (dx, selected, 3, is_double ? selected_double : selected_float, &factor);
  return TRUE;
}

/* ReduceProd: dx is dy times the product of all the others, those before in a walk forward and those after in one back,
 * so that zeros need no care. */
typedef struct
{
  gconstpointer x, dy;
  gpointer dx;
  guint n_outer, n_inner; /* dimensions that stay, and those that are reduced */
  gint64 outer[HT_TENSOR_MAX_DIMS], outer_stride[HT_TENSOR_MAX_DIMS];
  gint64 inner[HT_TENSOR_MAX_DIMS], inner_stride[HT_TENSOR_MAX_DIMS];
  gsize length;
} Products;

static gsize
find_place (gsize index, guint n, const gint64 *dims, const gint64 *strides)
{
  gsize place = 0;
  while (n-- > 0)
    {
      place += index % (gsize)dims[n] * (gsize)strides[n];
      index /= (gsize)dims[n];
    }
  return place;
}

#define PRODUCTS(T)                                                                                                    \
  static void products_##T (gsize begin, gsize end, gpointer user_data)                                                \
  {                                                                                                                    \
    const Products *work = user_data;                                                                                  \
    for (gsize i = begin; i < end; i++)                                                                                \
      {                                                                                                                \
        gsize first = find_place (i, work->n_outer, work->outer, work->outer_stride);                                  \
        const T *x = (const T *)work->x + first;                                                                       \
        T *dx = (T *)work->dx + first, before = 1, after = ((const T *)work->dy)[i];                                   \
        for (gsize k = 0; k < work->length; k++)                                                                       \
          {                                                                                                            \
            gsize at = find_place (k, work->n_inner, work->inner, work->inner_stride);                                 \
            dx[at] = before;                                                                                           \
            before *= x[at];                                                                                           \
          }                                                                                                            \
        for (gsize k = work->length; k-- > 0;)                                                                         \
          {                                                                                                            \
            gsize at = find_place (k, work->n_inner, work->inner, work->inner_stride);                                 \
            dx[at] *= after;                                                                                           \
            after *= x[at];                                                                                            \
          }                                                                                                            \
      }                                                                                                                \
  }
PRODUCTS (float)
PRODUCTS (double)

gboolean
ht_op_reduce_prod_backward (const HtOpCall *call, HtTensor *const *output_gradients, HtTensor *const *input_gradients,
                            GError **error)
{
  gboolean is_double, flags[HT_TENSOR_MAX_DIMS];
  HtTensor *dx = input_gradients[0], *x = call->inputs[0], *dy = output_gradients[0];
  guint rank;
  const gint64 *dims = ht_tensor_get_dims (x, &rank);
  gint64 strides[HT_TENSOR_MAX_DIMS];

  if (!ht_backward_get_type (call, output_gradients, &is_double, error))
    return FALSE;
  if (dx == NULL || ht_tensor_get_n_elements (x) == 0)
    return TRUE;
  Products work = {
    .x = ht_tensor_get_data (x), .dy = ht_tensor_get_data (dy), .dx = ht_tensor_get_writable_data (dx), .length = 1
  };
  ht_reduce_read_flags (call, rank, flags);
  ht_strides (dims, rank, strides);
  for (guint i = 0; i < rank; i++)
    if (flags[i])
      {
        work.inner[work.n_inner] = dims[i];
        work.inner_stride[work.n_inner++] = strides[i];
        work.length *= (gsize)dims[i];
      }
    else
      {
        work.outer[work.n_outer] = dims[i];
        work.outer_stride[work.n_outer++] = strides[i];
      }
  ht_loop_range (ht_tensor_get_n_elements (x) / work.length, work.length * 8,
                 is_double ? products_double : products_float, &work);
  return TRUE;
}
