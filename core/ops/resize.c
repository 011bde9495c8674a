/* SPDX-License-Identifier: MIT */
/* Resize and Upsample: nearest, linear and cubic interpolation, each dimension in turn.
 *
 * Interpolation is separable: along every resized dimension each output position is a weighted sum of a few input
 * positions (one, two or four; more where antialiasing widens the filter). The taps of all positions are computed once,
 * then the dimensions are run one after the other. */
#include "graph/tensor-private.h"
#include "ops/backward.h"
#include "ops/loop.h"
#include "ops/ops.h"
#include "ops/resize.h"
#include "ops/rules.h"

#include <halftone/error.h>

#include <math.h>
#include <string.h>

typedef enum
{
  MODE_NEAREST,
  MODE_LINEAR,
  MODE_CUBIC,
  N_MODES,
} Mode;

typedef enum
{
  TRANSFORM_HALF_PIXEL,
  TRANSFORM_HALF_PIXEL_SYMMETRIC,
  TRANSFORM_PYTORCH_HALF_PIXEL,
  TRANSFORM_ALIGN_CORNERS,
  TRANSFORM_ASYMMETRIC,
  TRANSFORM_TF_CROP,
  TRANSFORM_TF_HALF_PIXEL_NN,
  N_TRANSFORMS,
} Transform;

typedef enum
{
  NEAREST_ROUND_PREFER_FLOOR,
  NEAREST_ROUND_PREFER_CEIL,
  NEAREST_FLOOR,
  NEAREST_CEIL,
  N_NEAREST,
  NEAREST_SIMPLE, /* of opset 10 and Upsample: floor, or ceil where the dimension shrinks */
} Nearest;

typedef struct
{
  Mode mode;
  Transform transform;
  Nearest nearest;
  double cubic_a;
  gboolean exclude_outside;
  double extrapolation;
  gboolean antialias;
} Settings;

typedef HtResizeTaps Taps;

static int
find_name (const char *name, const char *const *names, int n)
{
  for (int i = 0; i < n; i++)
    if (g_str_equal (name, names[i]))
      return i;
  return n;
}

/* Opset 10 and Upsample know neither transform nor nearest mode: asymmetric, simple. */
static void
read_settings (HtNode *node, gint64 opset, Settings *settings)
{
  static const char *const modes[] = { "nearest", "linear", "cubic" };
  static const char *const transforms[] = { "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners",
                                            "asymmetric", "tf_crop_and_resize", "tf_half_pixel_for_nn" };
  static const char *const nearests[] = { "round_prefer_floor", "round_prefer_ceil", "floor", "ceil" };
  gboolean old = opset < 11 || ht_node_is_op (node, "Upsample");

  settings->mode = (Mode) find_name (ht_node_get_string (node, "mode", "nearest"), modes, N_MODES);
  settings->transform = old ? TRANSFORM_ASYMMETRIC
                            : (Transform) find_name (ht_node_get_string (node, "coordinate_transformation_mode", "half_pixel"),
                                                     transforms, N_TRANSFORMS);
  settings->nearest = old ? NEAREST_SIMPLE
                          : (Nearest) find_name (ht_node_get_string (node, "nearest_mode", "round_prefer_floor"), nearests,
                                                 N_NEAREST);
  settings->cubic_a = (float) ht_node_get_float (node, "cubic_coeff_a", -0.75);
  settings->exclude_outside = ht_node_get_int (node, "exclude_outside", 0) != 0;
  settings->extrapolation = ht_node_get_float (node, "extrapolation_value", 0.0);
  settings->antialias = ht_node_get_int (node, "antialias", 0) != 0;
}

/* ---- Sizes and scales ---- */

typedef struct
{
  gint64 out[HT_TENSOR_MAX_DIMS];
  double scale[HT_TENSOR_MAX_DIMS];
  double roi_start[HT_TENSOR_MAX_DIMS], roi_end[HT_TENSOR_MAX_DIMS];
} Geometry;

/* The numbers of an input or attribute, as the rule and the call both get them. */
typedef struct
{
  const double *scales, *roi;
  const gint64 *sizes, *axes;
  gsize n_scales, n_sizes, n_roi, n_axes;
  gboolean has_axes;
} Request;

static gint64
scaled (gint64 dim, double scale)
{
  double size = floorf ((float) dim * (float) scale); /* in single precision, as ONNX's own shape inference */
  return size >= 0.0 && size < 1e15 ? (gint64) size : -1;
}

/* `keep_aspect_ratio_policy`: one scale for all resized axes. */
static void
keep_aspect (HtNode *node, const gint64 *in, const guint *axes, gsize n, Geometry *geometry)
{
  const char *policy = ht_node_get_string (node, "keep_aspect_ratio_policy", "stretch");
  gboolean larger = g_str_equal (policy, "not_larger"), smaller = g_str_equal (policy, "not_smaller");
  double scale = larger ? INFINITY : 0.0;

  if (!larger && !smaller)
    return;
  for (gsize i = 0; i < n; i++)
    {
      double own = in[axes[i]] ? (double) geometry->out[axes[i]] / (double) in[axes[i]] : 1.0;
      scale = larger ? MIN (scale, own) : MAX (scale, own);
    }
  for (gsize i = 0; i < n; i++)
    {
      double size = floor (scale * (double) in[axes[i]] + 0.5);
      geometry->scale[axes[i]] = scale;
      geometry->out[axes[i]] = size < 1e15 ? (gint64) size : -1;
    }
}

/* NULL, or what is wrong. With tf_crop_and_resize and scales the specification's text multiplies the size by the extent
 * of the region too; its own shape inference, its reference and onnxruntime do not, and neither does this. */
static const char *
make_geometry (HtNode *node, const gint64 *in, guint rank, const Request *request, Geometry *geometry)
{
  guint axes[HT_TENSOR_MAX_DIMS];
  gsize n = request->has_axes ? request->n_axes : rank;

  if (n > rank)
    return "more axes than dimensions are given";
  for (guint i = 0; i < rank; i++)
    {
      geometry->out[i] = in[i];
      geometry->scale[i] = 1.0;
      geometry->roi_start[i] = 0.0;
      geometry->roi_end[i] = 1.0;
    }
  for (gsize i = 0; i < n; i++)
    if (!ht_axis_normalize (request->has_axes ? request->axes[i] : (gint64) i, rank, &axes[i]))
      return "an axis lies outside the input";
  if ((request->n_scales > 0) == (request->n_sizes > 0) && n > 0)
    return "exactly one of scales and sizes must be given";
  if (n > 0 && (request->n_scales > 0 ? request->n_scales : request->n_sizes) != n)
    return "the number of scales or sizes is not that of the resized dimensions";
  for (gsize i = 0; i < n; i++)
    {
      guint axis = axes[i];
      if (request->n_sizes > 0)
        {
          geometry->out[axis] = request->sizes[i];
          geometry->scale[axis] = in[axis] ? (double) request->sizes[i] / (double) in[axis] : 1.0;
        }
      else
        {
          if (!(request->scales[i] > 0.0))
            return "a scale is not positive";
          geometry->scale[axis] = request->scales[i];
          geometry->out[axis] = scaled (in[axis], request->scales[i]);
        }
      if (request->n_roi == 2 * n)
        {
          geometry->roi_start[axis] = request->roi[i];
          geometry->roi_end[axis] = request->roi[n + i];
        }
    }
  if (request->n_sizes > 0)
    keep_aspect (node, in, axes, n, geometry);
  for (guint i = 0; i < rank; i++)
    if (geometry->out[i] < 0 || (in[i] == 0 && geometry->out[i] != 0))
      return "a dimension of the result is negative, too large, or made of nothing";
  return NULL;
}

static double *
doubles_of (HtTensor *tensor, gsize *n)
{
  *n = tensor ? ht_tensor_get_n_elements (tensor) : 0;
  if (*n > 2 * HT_TENSOR_MAX_DIMS)
    *n = 2 * HT_TENSOR_MAX_DIMS + 1; /* enough to be refused */
  double *values = g_new0 (double, *n + 1);
  for (gsize i = 0; i < *n; i++)
    values[i] = ht_tensor_get_double (tensor, i);
  return values;
}

static gint64 *
ints_of (HtTensor *tensor, gsize *n)
{
  *n = tensor ? ht_tensor_get_n_elements (tensor) : 0;
  if (*n > 2 * HT_TENSOR_MAX_DIMS)
    *n = 2 * HT_TENSOR_MAX_DIMS + 1;
  gint64 *values = g_new0 (gint64, *n + 1);
  for (gsize i = 0; i < *n; i++)
    values[i] = ht_tensor_get_int64 (tensor, i);
  return values;
}

/* Upsample has scales in an attribute (7) or input 1 (9); Resize 10 in input 1; from 11 on roi, scales and sizes follow
 * each other. */
static const char *
read_geometry (HtNode *node, gint64 opset, HtTensor *const *inputs, guint n_inputs, const gint64 *in, guint rank,
               Geometry *geometry)
{
  gboolean upsample = ht_node_is_op (node, "Upsample");
  gboolean late = !upsample && opset >= 11;
  guint scales_at = late ? 2 : 1;
  Request request = { 0 };
  g_autofree double *scales = doubles_of (n_inputs > scales_at ? inputs[scales_at] : NULL, &request.n_scales);
  g_autofree double *roi = doubles_of (late && n_inputs > 1 ? inputs[1] : NULL, &request.n_roi);
  g_autofree gint64 *sizes = ints_of (late && n_inputs > 3 ? inputs[3] : NULL, &request.n_sizes);

  if (upsample && opset < 9)
    {
      gsize n = 0;
      const float *attribute = ht_node_get_floats (node, "scales", &n);
      g_free (scales);
      request.n_scales = MIN (n, 2 * HT_TENSOR_MAX_DIMS + 1);
      scales = g_new0 (double, request.n_scales + 1);
      for (gsize i = 0; i < request.n_scales; i++)
        scales[i] = attribute[i];
    }
  request.scales = scales;
  request.roi = roi;
  request.sizes = sizes;
  request.axes = opset >= 18 ? ht_node_get_ints (node, "axes", &request.n_axes) : NULL;
  request.has_axes = request.n_axes > 0;
  return make_geometry (node, in, rank, &request, geometry);
}

static gboolean
resize_infer (HtInfer *infer, GError **error)
{
  HtDims in;
  Settings settings;
  Geometry geometry;
  HtTensor *inputs[4] = { NULL };
  gboolean known = TRUE, upsample = ht_node_is_op (infer->node, "Upsample");
  guint max = upsample ? (infer->opset < 9 ? 1 : 2) : infer->opset >= 11 ? 4 : 2;

  if (!ht_infer_check_arity (infer, upsample || infer->opset < 11 ? max : 1, max, error))
    return FALSE;
  read_settings (infer->node, infer->opset, &settings);
  if (settings.mode == N_MODES || settings.transform == N_TRANSFORMS || settings.nearest == N_NEAREST)
    return ht_infer_fail (infer, error, "mode '%s', coordinate_transformation_mode '%s' or nearest_mode '%s' is unknown",
                          ht_node_get_string (infer->node, "mode", "nearest"),
                          ht_node_get_string (infer->node, "coordinate_transformation_mode", "half_pixel"),
                          ht_node_get_string (infer->node, "nearest_mode", "round_prefer_floor"));
  infer->outputs[0].type = ht_infer_get_type (infer, 0);
  if (!ht_infer_read_dims (infer, 0, &in))
    return TRUE;
  for (guint i = 1; i < infer->n_inputs; i++)
    {
      const HtInferValue *value = ht_infer_get_input (infer, i);
      inputs[i] = value ? value->constant : NULL;
      /* The region matters to one mode only. */
      if (value && value->constant == NULL && !(i == 1 && max == 4 && settings.transform != TRANSFORM_TF_CROP))
        known = FALSE;
    }
  if (!known)
    {
      ht_infer_put_rank (infer, 0, ht_infer_get_type (infer, 0), in.n);
      return TRUE;
    }
  HtDims out = in;
  gint64 dims[HT_TENSOR_MAX_DIMS];
  for (guint i = 0; i < in.n; i++)
    dims[i] = MAX (in.dim[i], 1);
  const char *problem = read_geometry (infer->node, infer->opset, inputs, infer->n_inputs,
                                       ht_dims_is_static (&in) ? in.dim : dims, in.n, &geometry);
  if (problem)
    return ht_infer_fail (infer, error, "%s", problem);
  for (guint i = 0; i < in.n; i++)
    {
      gboolean by_scale = ht_infer_get_input (infer, 3) == NULL;
      if (in.dim[i] >= 0 || (!by_scale && geometry.out[i] != 1))
        out.dim[i] = geometry.out[i];
      if (geometry.scale[i] != 1.0)
        out.symbol[i] = NULL;
    }
  ht_infer_put_dims (infer, 0, ht_infer_get_type (infer, 0), &out);
  return TRUE;
}

/* ---- Coordinates ---- */

/* `length` is the length of the result before it was rounded down. All in single precision, like onnxruntime: which of two
 * equally near neighbours is taken hangs on the last bit. */
static float
source_coordinate (const Settings *settings, float x, float in, float length, float out, float scale, float start,
                   float end)
{
  switch (settings->transform)
    {
    case TRANSFORM_HALF_PIXEL:
      return (x + 0.5f) / scale - 0.5f;
    case TRANSFORM_HALF_PIXEL_SYMMETRIC:
      return in / 2.0f * (1.0f - out / length) + (x + 0.5f) / scale - 0.5f;
    case TRANSFORM_PYTORCH_HALF_PIXEL:
      return length > 1.0f ? (x + 0.5f) / scale - 0.5f : 0.0f;
    case TRANSFORM_ALIGN_CORNERS:
      return length > 1.0f ? x * (in - 1.0f) / (length - 1.0f) : 0.0f;
    case TRANSFORM_TF_CROP:
      return length > 1.0f ? start * (in - 1.0f) + (x * (end - start) * (in - 1.0f)) / (length - 1.0f)
                           : 0.5f * (start + end) * (in - 1.0f);
    case TRANSFORM_TF_HALF_PIXEL_NN:
      return (x + 0.5f) / scale;
    default:
      return x / scale;
    }
}

/* A coordinate this near to the middle of two samples lies there: single precision seldom hits it. */
#define HALF_WAY 1e-6

static gint64
nearest_index (Nearest nearest, double x, gboolean shrinks)
{
  switch (nearest)
    {
    case NEAREST_SIMPLE:
      return (gint64) (shrinks ? ceil (x) : floor (x));
    case NEAREST_ROUND_PREFER_FLOOR:
      return (gint64) ceil (x - 0.5 - HALF_WAY);
    case NEAREST_ROUND_PREFER_CEIL:
      return (gint64) floor (x + 0.5 + HALF_WAY);
    case NEAREST_FLOOR:
      return (gint64) floor (x);
    default:
      return (gint64) ceil (x);
    }
}

/* Keys' cubic convolution kernel and the triangle, at a distance from the sample. */
static double
kernel (const Settings *settings, double distance)
{
  double x = fabs (distance), a = settings->cubic_a;
  if (settings->mode == MODE_LINEAR)
    return x < 1.0 ? 1.0 - x : 0.0;
  if (x <= 1.0)
    return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
  return x < 2.0 ? ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a : 0.0;
}

/* How much the kernel is stretched: below 1 while shrinking with antialiasing. */
static double
kernel_scale (const Settings *settings, double scale)
{
  return settings->antialias && settings->mode != MODE_NEAREST ? CLAMP (scale, 1e-9, 1.0) : 1.0;
}

/* Neighbours before and including the one below a position. */
static gint64
kernel_reach (const Settings *settings, double stretch)
{
  return settings->mode == MODE_NEAREST ? 1 : -(gint64) (floor ((settings->mode == MODE_CUBIC ? -2.0 : -1.0) / stretch) + 1.0) + 1;
}

static void
make_taps (const Settings *settings, double x, gint64 in, double scale, gint64 reach, gsize position, Taps *taps)
{
  double stretch = kernel_scale (settings, scale);
  double *weights = taps->weights + position * taps->n, sum = 0.0;
  gboolean normalize = settings->exclude_outside || stretch < 1.0;

  if (settings->mode == MODE_NEAREST)
    {
      taps->first[position] = nearest_index (settings->nearest, x, scale < 1.0);
      weights[0] = 1.0;
      return;
    }
  gint64 below = (gint64) ceil (x) - 1; /* a whole number is the right end of its interval */
  taps->first[position] = below - reach + 1;
  for (gsize k = 0; k < taps->n; k++)
    {
      gint64 index = taps->first[position] + (gint64) k;
      gboolean excluded = settings->exclude_outside && (index < 0 || index >= in);
      weights[k] = excluded ? 0.0 : kernel (settings, ((double) index - x) * stretch);
      sum += weights[k];
    }
  for (gsize k = 0; normalize && sum != 0.0 && k < taps->n; k++)
    weights[k] /= sum;
}

/* ---- One dimension ---- */

typedef struct
{
  const Taps *taps;
  gsize in, out, inner;
  double extrapolation;
  gconstpointer from;
  gpointer to;
} Line;

static inline gsize
source (const Line *line, gsize position, gsize k)
{
  gint64 index = line->taps->first[position] + (gint64) k;
  return index < 0 ? 0 : index >= (gint64) line->in ? line->in - 1 : (gsize) index;
}

/* Items are rows of `inner` elements of the result: [outer, out] of them. */
#define LINE(T)                                                                                                        \
  static void resize_##T (gsize begin, gsize end, gpointer user_data)                                                  \
  {                                                                                                                    \
    const Line *line = user_data;                                                                                      \
    for (gsize item = begin; item < end; item++)                                                                       \
      {                                                                                                                \
        gsize position = item % line->out;                                                                             \
        const double *weights = line->taps->weights + position * line->taps->n;                                        \
        const T *from = (const T *) line->from + item / line->out * line->in * line->inner;                            \
        T *to = (T *) line->to + item * line->inner;                                                                   \
        for (gsize i = 0; i < line->inner; i++)                                                                        \
          {                                                                                                            \
            double sum = 0.0;                                                                                          \
            for (gsize k = 0; k < line->taps->n; k++)                                                                  \
              sum += weights[k] * (double) from[source (line, position, k) * line->inner + i];                         \
            to[i] = (T) (line->taps->outside[position] ? line->extrapolation : sum);                                   \
          }                                                                                                            \
      }                                                                                                                \
  }
LINE (float)
LINE (double)

/* Nearest moves elements of any type. */
typedef struct
{
  Line line;
  gsize size;
  guint64 fill;
} Move;

static void
resize_moved (gsize begin, gsize end, gpointer user_data)
{
  const Move *move = user_data;
  const Line *line = &move->line;
  gsize run = line->inner * move->size;
  for (gsize item = begin; item < end; item++)
    {
      gsize position = item % line->out;
      gboolean outside = line->taps->outside[position];
      char *to = (char *) line->to + item * run;
      const char *from = (const char *) line->from + item / line->out * line->in * run;
      if (!outside)
        memcpy (to, from + source (line, position, 0) * run, run);
      for (gsize i = 0; outside && i < line->inner; i++)
        memcpy (to + i * move->size, &move->fill, move->size);
    }
}

typedef struct
{
  Settings settings;
  HtDataType type;
  gsize size;
  guint64 fill; /* the extrapolation value in the element type */
} Resize;

static gboolean
plan_taps (const Resize *self, gint64 in, gint64 out, const Geometry *geometry, guint axis, Taps *taps)
{
  double scale = geometry->scale[axis], length = scale * (double) in;
  double stretch = kernel_scale (&self->settings, scale);
  gint64 reach = kernel_reach (&self->settings, stretch);

  if (fabs (length - (double) out) < 1e-6)
    length = (double) out;
  taps->n = self->settings.mode == MODE_NEAREST ? 1 : 2 * (gsize) reach;
  if (taps->n > 16 * ((gsize) in + 1)) /* a filter far wider than the image comes from a senseless scale */
    return FALSE;
  taps->first = g_try_new (gint64, (gsize) out);
  taps->outside = g_try_malloc0 ((gsize) out);
  taps->weights = taps->n < G_MAXSIZE / 8 / (gsize) out ? g_try_new (double, (gsize) out * taps->n) : NULL;
  if (taps->first == NULL || taps->outside == NULL || taps->weights == NULL)
    return FALSE;
  for (gint64 i = 0; i < out; i++)
    {
      double x = source_coordinate (&self->settings, (float) i, (float) in, (float) length, (float) out, (float) scale,
                                    (float) geometry->roi_start[axis], (float) geometry->roi_end[axis]);
      taps->outside[i] = self->settings.transform == TRANSFORM_TF_CROP && !(x >= 0.0 && x <= (double) (in - 1));
      make_taps (&self->settings, CLAMP (x, -1e15, 1e15), in, scale, reach, (gsize) i, taps);
    }
  return TRUE;
}

static gboolean
run_dimension (const Resize *self, gconstpointer from, gpointer to, const gint64 *dims, guint rank, guint axis,
               const Geometry *geometry)
{
  gint64 in = dims[axis], out = geometry->out[axis];
  gsize outer = 1, inner = 1;
  Taps taps = { 0 };

  for (guint i = 0; i < rank; i++)
    *(i < axis ? &outer : &inner) *= i == axis ? 1 : (gsize) dims[i];
  gboolean planned = plan_taps (self, in, out, geometry, axis, &taps);
  Move move
      = { { &taps, (gsize) in, (gsize) out, inner, self->settings.extrapolation, from, to }, self->size, self->fill };
  if (planned && self->settings.mode == MODE_NEAREST)
    ht_loop_range (outer * (gsize) out, inner, resize_moved, &move);
  else if (planned)
    ht_loop_range (outer * (gsize) out, inner * taps.n, self->type == HT_DATA_TYPE_FLOAT ? resize_float : resize_double,
                   &move.line);
  g_free (taps.first);
  g_free (taps.outside);
  g_free (taps.weights);
  return planned;
}

static gboolean
is_resized (const Settings *settings, const gint64 *dims, const Geometry *geometry, guint axis)
{
  return dims[axis] != geometry->out[axis] || settings->transform == TRANSFORM_TF_CROP || geometry->scale[axis] != 1.0;
}

/* Runs the resized dimensions from the first to the last through two buffers; the last one writes the output. */
static gboolean
run_dimensions (const Resize *self, const HtOpCall *call, const Geometry *geometry, GError **error)
{
  guint rank, last = 0, n_resized = 0;
  const gint64 *in_dims = ht_tensor_get_dims (call->inputs[0], &rank);
  gint64 dims[HT_TENSOR_MAX_DIMS];
  gpointer buffer = NULL;
  gboolean fine = TRUE;

  for (guint i = 0; i < rank; i++)
    {
      dims[i] = in_dims[i];
      if (is_resized (&self->settings, in_dims, geometry, i))
        {
          last = i;
          n_resized++;
        }
    }
  if (n_resized == 0)
    return ht_op_copy_through (call, error);
  gconstpointer from = ht_tensor_get_data (call->inputs[0]);
  for (guint i = 0; fine && i <= last; i++)
    {
      if (!is_resized (&self->settings, in_dims, geometry, i))
        continue;
      gsize bytes = self->size;
      for (guint d = 0; d < rank; d++)
        bytes *= (gsize) (d == i ? geometry->out[d] : dims[d]);
      gpointer to = i == last ? ht_tensor_get_writable_data (call->outputs[0]) : g_try_malloc (MAX (bytes, 1));
      fine = to != NULL && run_dimension (self, from, to, dims, rank, i, geometry);
      dims[i] = geometry->out[i];
      g_free (buffer);
      buffer = i == last ? NULL : to;
      from = to;
    }
  g_free (buffer);
  if (!fine)
    g_set_error (error, HT_ERROR, HT_ERROR_NO_MEMORY, "running node '%s': no memory for an intermediate image",
                 ht_node_get_name (call->node));
  return fine;
}

static gboolean resize_forward (const HtOpCall *call, GError **error);

/* Integers are interpolated in double and cut off at the end; the antialiased result is rounded. */
static gboolean
resize_integers (const HtOpCall *call, GError **error)
{
  HtTensor *out = call->outputs[0];
  g_autoptr (HtTensor) in = ht_tensor_cast (call->inputs[0], HT_DATA_TYPE_DOUBLE, error);
  g_autoptr (HtTensor) wide = in ? ht_tensor_new (HT_DATA_TYPE_DOUBLE, ht_tensor_get_dims (out, NULL),
                                                  ht_tensor_get_n_dims (out), error)
                                 : NULL;
  if (wide == NULL)
    return FALSE;
  g_autofree HtTensor **inputs = g_memdup2 (call->inputs, call->n_inputs * sizeof *inputs);
  HtTensor *outputs[] = { wide };
  HtOpCall inner = *call;
  inputs[0] = in;
  inner.inputs = inputs;
  inner.outputs = outputs;
  if (!resize_forward (&inner, error))
    return FALSE;
  double *values = ht_tensor_get_writable_data (wide);
  for (gsize i = 0; ht_node_get_int (call->node, "antialias", 0) && i < ht_tensor_get_n_elements (wide); i++)
    values[i] = rint (values[i]);
  ht_tensor_cast_into (wide, out, TRUE, HT_ROUND_UP);
  return TRUE;
}

static gboolean
resize_forward (const HtOpCall *call, GError **error)
{
  if (ht_op_is_half (call))
    return ht_op_widen (call, resize_forward, error);
  guint rank;
  const gint64 *dims = ht_tensor_get_dims (call->inputs[0], &rank);
  Resize self = { .type = ht_tensor_get_data_type (call->inputs[0]) };
  Geometry geometry;

  read_settings (call->node, call->opset, &self.settings);
  self.size = ht_element_size (self.type);
  if (self.settings.mode != MODE_NEAREST && (HT_TYPES_INTEGER & (1u << self.type)))
    return resize_integers (call, error);
  if (self.size == 0 || self.size > 8
      || (self.settings.mode != MODE_NEAREST && self.type != HT_DATA_TYPE_FLOAT && self.type != HT_DATA_TYPE_DOUBLE))
    return ht_op_fail_type (call, self.type, error);
  const char *problem
      = read_geometry (call->node, call->opset, call->inputs, call->n_inputs, dims, rank, &geometry);
  if (problem)
    return ht_op_fail (call, error, "%s", problem);
  if (ht_tensor_get_n_elements (call->outputs[0]) == 0)
    return TRUE;
  g_autoptr (HtTensor) fill = ht_tensor_new_scalar (self.settings.extrapolation, self.type, NULL);
  if (fill)
    memcpy (&self.fill, ht_tensor_get_data (fill), self.size);
  return run_dimensions (&self, call, &geometry, error);
}

void
ht_resize_plan_clear (HtResizePlan *plan)
{
  for (guint i = 0; i < plan->rank; i++)
    {
      g_free (plan->taps[i].first);
      g_free (plan->taps[i].outside);
      g_free (plan->taps[i].weights);
    }
}

gboolean
ht_resize_plan (const HtOpCall *call, HtResizePlan *plan, GError **error)
{
  const gint64 *dims = ht_tensor_get_dims (call->inputs[0], &plan->rank);
  Resize self = { .type = ht_tensor_get_data_type (call->inputs[0]) };
  Geometry geometry;

  read_settings (call->node, call->opset, &self.settings);
  const char *problem
      = read_geometry (call->node, call->opset, call->inputs, call->n_inputs, dims, plan->rank, &geometry);
  if (problem)
    return ht_op_fail (call, error, "%s", problem);
  for (guint i = 0; i < plan->rank; i++)
    {
      plan->in[i] = dims[i];
      plan->out[i] = geometry.out[i];
      plan->is_resized[i] = is_resized (&self.settings, dims, &geometry, i);
      if (plan->is_resized[i] && !plan_taps (&self, dims[i], geometry.out[i], &geometry, i, &plan->taps[i]))
        return ht_op_fail (call, error, "there is no memory for the weights of dimension %u", i);
    }
  return TRUE;
}

static const HtOperator operators[] = {
  { "", "Resize", 10, HT_OP_NONE, resize_infer, resize_forward, ht_op_resize_backward,
    .backward_inputs = HT_OP_KEEPS (1) | HT_OP_KEEPS (2) | HT_OP_KEEPS (3) },
  { "", "Upsample", 7, HT_OP_NONE, resize_infer, resize_forward, ht_op_resize_backward,
    .backward_inputs = HT_OP_KEEPS (1) | HT_OP_KEEPS (2) | HT_OP_KEEPS (3) },
};

void
ht_ops_register_resize (void)
{
  HT_OPS_REGISTER (operators);
}
