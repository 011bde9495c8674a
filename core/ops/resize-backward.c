/* SPDX-License-Identifier: MIT */
/* The gradient of Resize and Upsample: each dimension's sums transposed, from the last to the first. */
#include "ops/backward.h"
#include "ops/resize.h"

#include <string.h>

/* One item is a block of at most BLOCK inner elements of one outer index: nobody else adds to its part. */
#define BLOCK ((gsize)256)

typedef struct
{
  const HtResizeTaps *taps;
  gsize in, out, inner, blocks;
  gconstpointer from;
  gpointer to;
} Line;

#define LINE(T)                                                                                                        \
  static void spread_##T (gsize begin, gsize end, gpointer user_data)                                                  \
  {                                                                                                                    \
    const Line *line = user_data;                                                                                      \
    for (gsize item = begin; item < end; item++)                                                                       \
      {                                                                                                                \
        gsize outer = item / line->blocks, first = item % line->blocks * BLOCK;                                        \
        gsize width = MIN (BLOCK, line->inner - first);                                                                \
        const T *from = (const T *)line->from + outer * line->out * line->inner + first;                               \
        T *to = (T *)line->to + outer * line->in * line->inner + first;                                                \
        for (gsize i = 0; i < line->in; i++)                                                                           \
          memset (to + i * line->inner, 0, width * sizeof (T));                                                        \
        for (gsize position = 0; position < line->out; position++)                                                     \
          for (gsize k = 0; !line->taps->outside[position] && k < line->taps->n; k++)                                  \
            {                                                                                                          \
              gint64 index = line->taps->first[position] + (gint64)k;                                                  \
              T weight = (T)line->taps->weights[position * line->taps->n + k];                                         \
              T *row = to + (gsize)CLAMP (index, 0, (gint64)line->in - 1) * line->inner;                               \
              for (gsize i = 0; i < width; i++)                                                                        \
                row[i] += weight * from[position * line->inner + i];                                                   \
            }                                                                                                          \
      }                                                                                                                \
  }
LINE (float)
LINE (double)

static void
run_dimension (const HtResizePlan *plan, guint axis, gboolean is_double, gconstpointer from, gpointer to)
{
  gsize outer = 1;
  Line line = { .taps = &plan->taps[axis],
                .in = (gsize)plan->in[axis],
                .out = (gsize)plan->out[axis],
                .inner = 1,
                .from = from,
                .to = to };
  /* Dimensions behind the axis have been taken back already. */
  for (guint i = 0; i < plan->rank; i++)
    if (i < axis)
      outer *= (gsize)plan->out[i];
    else if (i > axis)
      line.inner *= (gsize)plan->in[i];
  line.blocks = (line.inner + BLOCK - 1) / BLOCK;
  ht_loop_range (outer * line.blocks, line.out * line.taps->n * MIN (line.inner, BLOCK),
                 is_double ? spread_double : spread_float, &line);
}

gboolean
ht_op_resize_backward (const HtOpCall *call, HtTensor *const *output_gradients, HtTensor *const *input_gradients,
                       GError **error)
{
  g_auto (HtResizePlan) plan = { 0 };
  gboolean is_double;
  HtTensor *dy = output_gradients[0], *dx = input_gradients[0];
  gint first = -1;

  for (guint i = 1; i < call->n_inputs; i++)
    if (input_gradients[i])
      return ht_op_fail_gradient (call, i, error);
  if (!ht_backward_get_type (call, output_gradients, &is_double, error))
    return FALSE;
  if (dx == NULL || ht_tensor_get_n_elements (dx) == 0)
    return TRUE;
  if (ht_tensor_get_n_elements (dy) == 0)
    {
      ht_backward_zero (dx);
      return TRUE;
    }
  if (!ht_resize_plan (call, &plan, error))
    return FALSE;
  for (guint i = plan.rank; i-- > 0;)
    first = plan.is_resized[i] ? (gint)i : first;
  if (first < 0)
    {
      ht_backward_copy (dx, dy);
      return TRUE;
    }
  gconstpointer from = ht_tensor_get_data (dy);
  gpointer buffer = NULL;
  for (gint axis = (gint)plan.rank - 1; axis >= first; axis--)
    {
      gsize bytes = is_double ? sizeof (double) : sizeof (float);
      if (!plan.is_resized[axis])
        continue;
      for (guint i = 0; i < plan.rank; i++)
        bytes *= (gsize)((gint)i < axis ? plan.out[i] : plan.in[i]);
      gpointer to = axis == first ? ht_tensor_get_writable_data (dx) : g_try_malloc (bytes);
      if (to)
        run_dimension (&plan, (guint)axis, is_double, from, to);
      g_free (buffer);
      buffer = axis == first ? NULL : to;
      from = to;
      if (to == NULL)
        return ht_op_fail (call, error, "there is no memory for an intermediate image");
    }
  return TRUE;
}
