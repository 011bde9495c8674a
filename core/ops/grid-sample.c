/* SPDX-License-Identifier: MIT */
/* GridSample: the values of an image, or a volume, at positions that a grid names. */
#include "graph/tensor-private.h"
#include "ops/loop.h"
#include "ops/ops.h"
#include "ops/rules.h"

#include <math.h>
#include <string.h>

#define MAX_AXES      3
#define MAX_AXIS_TAPS 4
#define MAX_TAPS      64 /* MAX_AXIS_TAPS ^ MAX_AXES */
#define CUBIC_A       -0.75

typedef enum
{
  NEAREST,
  LINEAR,
  CUBIC,
} Mode;

typedef enum
{
  ZEROS,
  BORDER,
  REFLECTION,
} Padding;

/* Two of the modes had other names before opset 20. */
static gboolean
read_mode (HtNode *node, gint64 opset, Mode *mode)
{
  const char *text = ht_node_get_string (node, "mode", opset >= 20 ? "linear" : "bilinear");

  if (strcmp (text, "nearest") == 0)
    *mode = NEAREST;
  else if (strcmp (text, opset >= 20 ? "linear" : "bilinear") == 0)
    *mode = LINEAR;
  else if (strcmp (text, opset >= 20 ? "cubic" : "bicubic") == 0)
    *mode = CUBIC;
  else
    return FALSE;
  return TRUE;
}

static gboolean
read_padding (HtNode *node, Padding *padding)
{
  static const char *const words[] = { "zeros", "border", "reflection" };
  const char *text = ht_node_get_string (node, "padding_mode", "zeros");

  for (guint i = 0; i < G_N_ELEMENTS (words); i++)
    if (strcmp (text, words[i]) == 0)
      {
        *padding = (Padding)i;
        return TRUE;
      }
  return FALSE;
}

static gboolean
grid_sample_infer (HtInfer *infer, GError **error)
{
  guint most = infer->opset >= 20 ? HT_TENSOR_MAX_DIMS : 4, least = infer->opset >= 20 ? 3 : 4;
  HtDims x, grid, out = { 0 };
  Mode mode;
  Padding padding;

  if (!ht_infer_check_arity (infer, 2, 2, error)
      || !ht_infer_check_type (infer, 0, HT_TYPES_NUMBER | HT_TYPE_BIT (BOOL), error)
      || !ht_infer_check_type (infer, 1, HT_TYPES_FLOAT, error) || !ht_infer_check_rank (infer, 0, least, most, error)
      || !ht_infer_check_rank (infer, 1, least, most, error))
    return FALSE;
  infer->outputs[0].type = ht_infer_get_type (infer, 0);
  if (!read_mode (infer->node, infer->opset, &mode))
    return ht_infer_fail (infer, error, "the attribute mode is '%s', which opset %" G_GINT64_FORMAT " does not have",
                          ht_node_get_string (infer->node, "mode", ""), infer->opset);
  if (!read_padding (infer->node, &padding))
    return ht_infer_fail (infer, error, "the attribute padding_mode is '%s', expected zeros, border or reflection",
                          ht_node_get_string (infer->node, "padding_mode", ""));
  if (!ht_infer_read_dims (infer, 0, &x) || !ht_infer_read_dims (infer, 1, &grid))
    return TRUE;
  gint64 coordinates = grid.dim[grid.n - 1];
  if (x.n != grid.n || (coordinates >= 0 && coordinates != (gint64)x.n - 2))
    return ht_infer_fail (infer, error,
                          "a grid of %u dimensions with %" G_GINT64_FORMAT
                          " coordinates does not fit data of %u dimensions",
                          grid.n, coordinates, x.n);
  if (x.dim[0] >= 0 && grid.dim[0] >= 0 && x.dim[0] != grid.dim[0])
    return ht_infer_fail (infer, error,
                          "the data is a batch of %" G_GINT64_FORMAT ", the grid one of %" G_GINT64_FORMAT, x.dim[0],
                          grid.dim[0]);
  ht_dims_append (&out, x.dim[0], x.symbol[0]);
  ht_dims_append (&out, x.dim[1], x.symbol[1]);
  for (guint i = 1; i + 1 < grid.n; i++)
    ht_dims_append (&out, grid.dim[i], grid.symbol[i]);
  ht_infer_put_dims (infer, 0, ht_infer_get_type (infer, 0), &out);
  return TRUE;
}

typedef struct
{
  Mode mode;
  Padding padding;
  gboolean align_corners;
  guint n_axes;
  gint64 dims[MAX_AXES];
  gsize channels, plane, n_points; /* points of one image */
  gconstpointer x;
  const float *grid;
  gpointer y;
} Work;

/* What one position reads: elements of a plane and their weights. */
typedef struct
{
  guint n;
  gsize offset[MAX_TAPS];
  double weight[MAX_TAPS];
} Taps;

/* Mirrors a coordinate at both borders until it lies between them. */
static double
reflect (double x, double low, double high)
{
  double span = high - low;

  if (x >= low && x <= high)
    return x;
  if (span <= 0.0)
    return low;
  double distance = x < low ? low - x : x - high;
  double turns = floor (distance / span), rest = distance - turns * span;
  gboolean even = fmod (turns, 2.0) == 0.0;
  return (x < low) == even ? low + rest : high - rest;
}

/* The position of a tap on its axis; -1: it reads nothing. */
static gint64
place (const Work *work, gint64 position, gint64 dim)
{
  double low = work->align_corners ? 0.0 : -0.5, high = work->align_corners ? (double)dim - 1.0 : (double)dim - 0.5;

  if (position >= 0 && position < dim)
    return position;
  if (work->padding == ZEROS)
    return -1;
  if (work->padding == BORDER)
    return CLAMP (position, 0, dim - 1);
  return CLAMP ((gint64)reflect ((double)position, low, high), 0, dim - 1);
}

static guint
axis_taps (const Work *work, float normalized, gint64 dim, gint64 position[MAX_AXIS_TAPS], double weight[MAX_AXIS_TAPS])
{
  double low = work->align_corners ? 0.0 : -0.5, high = work->align_corners ? (double)dim - 1.0 : (double)dim - 0.5;
  double x = work->align_corners ? ((double)normalized + 1.0) / 2.0 * ((double)dim - 1.0)
                                 : (((double)normalized + 1.0) * (double)dim - 1.0) / 2.0;
  guint n = work->mode == NEAREST ? 1 : work->mode == LINEAR ? 2 : 4;

  if (work->mode == NEAREST)
    x = rint (x);
  if (!isfinite (x))
    x = work->padding == ZEROS ? -10.0 : 0.0;
  /* A cubic keeps its weights outside of the border, as in torch and onnxruntime: its elements are bounded one by one.
   */
  if (work->padding == REFLECTION)
    x = reflect (x, low, high);
  else if (work->padding == BORDER && work->mode != CUBIC)
    x = CLAMP (x, 0.0, (double)dim - 1.0);
  else
    x = CLAMP (x, -10.0, (double)dim + 10.0);
  double floor_x = floor (work->mode == NEAREST ? rint (x) : x), t = x - floor_x, s = 1.0 - t, a = CUBIC_A;
  if (n == 1)
    weight[0] = 1.0;
  else if (n == 2)
    {
      weight[0] = s;
      weight[1] = t;
    }
  else
    {
      weight[0] = ((a * (t + 1.0) - 5.0 * a) * (t + 1.0) + 8.0 * a) * (t + 1.0) - 4.0 * a;
      weight[1] = ((a + 2.0) * t - (a + 3.0)) * t * t + 1.0;
      weight[2] = ((a + 2.0) * s - (a + 3.0)) * s * s + 1.0;
      weight[3] = ((a * (s + 1.0) - 5.0 * a) * (s + 1.0) + 8.0 * a) * (s + 1.0) - 4.0 * a;
    }
  for (guint i = 0; i < n; i++)
    position[i] = place (work, (gint64)floor_x + (gint64)i - (n == 4), dim);
  return n;
}

static void
find_taps (const Work *work, const float *coordinates, Taps *taps)
{
  taps->n = 1;
  taps->offset[0] = 0;
  taps->weight[0] = 1.0;
  for (guint axis = 0; axis < work->n_axes; axis++)
    {
      gint64 position[MAX_AXIS_TAPS];
      double weight[MAX_AXIS_TAPS];
      Taps wider;
      /* The grid names the last axis first. */
      guint n = axis_taps (work, coordinates[work->n_axes - 1 - axis], work->dims[axis], position, weight);
      wider.n = 0;
      for (guint i = 0; i < taps->n; i++)
        for (guint k = 0; k < n; k++)
          if (position[k] >= 0)
            {
              wider.offset[wider.n] = taps->offset[i] * (gsize)work->dims[axis] + (gsize)position[k];
              wider.weight[wider.n++] = taps->weight[i] * weight[k];
            }
      taps->n = wider.n;
      memcpy (taps->offset, wider.offset, wider.n * sizeof *wider.offset);
      memcpy (taps->weight, wider.weight, wider.n * sizeof *wider.weight);
    }
}

#define SAMPLE(T)                                                                                                      \
  static void sample_##T (gsize begin, gsize end, gpointer user_data)                                                  \
  {                                                                                                                    \
    const Work *work = user_data;                                                                                      \
    for (gsize i = begin; i < end; i++)                                                                                \
      {                                                                                                                \
        gsize image = i / work->n_points, point = i % work->n_points;                                                  \
        Taps taps;                                                                                                     \
        find_taps (work, work->grid + i * work->n_axes, &taps);                                                        \
        for (gsize c = 0; c < work->channels; c++)                                                                     \
          {                                                                                                            \
            const T *plane = (const T *)work->x + (image * work->channels + c) * work->plane;                          \
            double sum = 0.0;                                                                                          \
            for (guint k = 0; k < taps.n; k++)                                                                         \
              sum += (double)plane[taps.offset[k]] * taps.weight[k];                                                   \
            ((T *)work->y)[(image * work->channels + c) * work->n_points + point] = (T)sum;                            \
          }                                                                                                            \
      }                                                                                                                \
  }
SAMPLE (float)
SAMPLE (double)

static gboolean
grid_sample_forward (const HtOpCall *call, GError **error)
{
  HtTensor *x = call->inputs[0], *y = call->outputs[0];
  guint rank;
  const gint64 *dims = ht_tensor_get_dims (x, &rank);
  HtDataType type = ht_tensor_get_data_type (x);
  g_autoptr (HtTensor) wide = NULL, wide_y = NULL, grid = ht_tensor_cast (call->inputs[1], HT_DATA_TYPE_FLOAT, error);
  Work work
      = { .align_corners = ht_node_get_int (call->node, "align_corners", 0) != 0, .n_axes = rank - 2, .plane = 1 };

  if (grid == NULL)
    return FALSE;
  if (work.n_axes > MAX_AXES)
    return ht_op_fail (call, error, "it has %u spatial axes, at most %d can be run", work.n_axes, MAX_AXES);
  if (ht_tensor_get_n_elements (y) == 0)
    return TRUE;
  if (ht_tensor_get_n_elements (x) == 0)
    return ht_op_fail (call, error, "its data is empty, there is nothing to sample");
  if (type != HT_DATA_TYPE_FLOAT && type != HT_DATA_TYPE_DOUBLE)
    {
      wide = ht_tensor_cast (x, HT_DATA_TYPE_DOUBLE, error);
      wide_y = wide ? ht_tensor_new (HT_DATA_TYPE_DOUBLE, ht_tensor_get_dims (y, NULL), rank, error) : NULL;
      if (wide_y == NULL)
        return FALSE;
    }
  read_mode (call->node, call->opset, &work.mode);
  read_padding (call->node, &work.padding);
  for (guint i = 0; i < work.n_axes; i++)
    {
      work.dims[i] = dims[i + 2];
      work.plane *= (gsize)dims[i + 2];
    }
  work.channels = (gsize)dims[1];
  work.n_points = ht_tensor_get_n_elements (y) / (gsize)(dims[0] * dims[1]);
  work.x = ht_tensor_get_data (wide ? wide : x);
  work.grid = ht_tensor_get_data (grid);
  work.y = ht_tensor_get_writable_data (wide ? wide_y : y);
  ht_loop_range ((gsize)dims[0] * work.n_points, 16 * work.channels,
                 type == HT_DATA_TYPE_FLOAT ? sample_float : sample_double, &work);
  if (wide)
    ht_tensor_cast_into (wide_y, y, TRUE, HT_ROUND_UP);
  return TRUE;
}

static const HtOperator operators[] = {
  { "", "GridSample", 16, HT_OP_NONE, grid_sample_infer, grid_sample_forward },
};

void
ht_ops_register_grid_sample (void)
{
  HT_OPS_REGISTER (operators);
}
