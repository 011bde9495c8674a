/* SPDX-License-Identifier: MIT */
#include "ops/window.h"

#include <string.h>

#define LARGEST ((gint64)G_MAXINT32)

gboolean
ht_window_read_kernel (HtNode *node, guint n_axes, gint64 *kernel)
{
  gsize n;
  const gint64 *values = ht_node_get_ints (node, "kernel_shape", &n);

  if (values == NULL || n != n_axes)
    return FALSE;
  memcpy (kernel, values, n * sizeof *kernel);
  return TRUE;
}

static char *
read_list (HtNode *node, const char *name, gsize length, gint64 fallback, gint64 lowest, gint64 *values)
{
  gsize n = 0;
  const gint64 *given = ht_node_get_ints (node, name, &n);

  for (gsize i = 0; i < length; i++)
    values[i] = fallback;
  if (given == NULL || n == 0)
    return NULL;
  if (n != length)
    return g_strdup_printf ("the attribute %s has %" G_GSIZE_FORMAT " values, expected %" G_GSIZE_FORMAT, name, n,
                            length);
  for (gsize i = 0; i < n; i++)
    {
      if (given[i] < lowest || given[i] > LARGEST)
        return g_strdup_printf ("the attribute %s holds %" G_GINT64_FORMAT ", expected %" G_GINT64_FORMAT
                                " to %" G_GINT64_FORMAT,
                                name, given[i], lowest, LARGEST);
      values[i] = given[i];
    }
  return NULL;
}

typedef enum
{
  EXPLICIT,
  SAME_UPPER,
  SAME_LOWER,
  VALID,
} AutoPad;

static char *
read_auto_pad (HtNode *node, AutoPad *auto_pad)
{
  static const char *const words[] = { "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID" };
  const char *text = ht_node_get_string (node, "auto_pad", "NOTSET");

  for (guint i = 0; i < G_N_ELEMENTS (words); i++)
    if (strcmp (text, words[i]) == 0 || (i == 0 && text[0] == '\0'))
      {
        *auto_pad = (AutoPad)i;
        return NULL;
      }
  return g_strdup_printf ("the attribute auto_pad is '%s', expected NOTSET, SAME_UPPER, SAME_LOWER or VALID", text);
}

/* The odd element of a padding goes to the end for SAME_UPPER. */
static void
split_pad (HtWindow *self, guint axis, gint64 total, gboolean more_at_end)
{
  gint64 half = total / 2;
  self->pad_begin[axis] = more_at_end ? half : total - half;
  self->pad_end[axis] = total - self->pad_begin[axis];
}

static char *
size_of_axis (HtWindow *self, guint axis, AutoPad auto_pad, gboolean ceil_mode)
{
  gint64 in = self->in[axis], stride = self->stride[axis];
  gint64 extent = (self->kernel[axis] - 1) * self->dilation[axis] + 1;

  self->out[axis] = -1;
  if (in > LARGEST)
    return g_strdup_printf ("axis %u has %" G_GINT64_FORMAT " positions, at most %" G_GINT64_FORMAT " are possible",
                            axis + 2, in, LARGEST);
  if (auto_pad == SAME_UPPER || auto_pad == SAME_LOWER)
    {
      if (in < 0)
        {
          /* With stride 1 the padding does not depend on the size. */
          split_pad (self, axis, extent - 1, auto_pad == SAME_UPPER);
          return NULL;
        }
      self->out[axis] = (in + stride - 1) / stride;
      gint64 total = (self->out[axis] - 1) * stride + extent - in;
      split_pad (self, axis, MAX (total, 0), auto_pad == SAME_UPPER);
      return NULL;
    }
  if (in < 0 || self->kernel[axis] < 0)
    return NULL;
  gint64 room = in + self->pad_begin[axis] + self->pad_end[axis] - extent;
  if (room < 0)
    return g_strdup_printf ("on axis %u the kernel spans %" G_GINT64_FORMAT
                            " positions, but the input with its padding "
                            "has only %" G_GINT64_FORMAT,
                            axis + 2, extent, room + extent);
  self->out[axis] = (ceil_mode ? room + stride - 1 : room) / stride + 1;
  /* A window that would start in the padding at the end is none. */
  if (ceil_mode && (self->out[axis] - 1) * stride >= in + self->pad_begin[axis])
    self->out[axis]--;
  return NULL;
}

static char *
size_transposed_axis (HtWindow *self, HtNode *node, guint axis, AutoPad auto_pad, const gint64 *output_padding)
{
  gsize n = 0;
  const gint64 *wanted = ht_node_get_ints (node, "output_shape", &n);
  gint64 in = self->in[axis], stride = self->stride[axis];

  self->out[axis] = -1;
  if (wanted && n > 0 && n != self->n_axes && n != self->n_axes + 2)
    return g_strdup_printf ("the attribute output_shape has %" G_GSIZE_FORMAT " values, expected %u", n, self->n_axes);
  if (in < 0 || self->kernel[axis] < 0)
    {
      if (wanted && n > 0)
        self->out[axis] = wanted[n - self->n_axes + axis];
      return NULL;
    }
  if (in == 0 || in > LARGEST)
    return g_strdup_printf ("axis %u has %" G_GINT64_FORMAT " positions", axis + 2, in);
  gint64 full = stride * (in - 1) + output_padding[axis] + (self->kernel[axis] - 1) * self->dilation[axis] + 1;
  gboolean same = auto_pad == SAME_UPPER || auto_pad == SAME_LOWER;
  if ((wanted && n > 0) || same)
    {
      self->out[axis] = wanted && n > 0 ? wanted[n - self->n_axes + axis] : in * stride;
      if (self->out[axis] < 0)
        return g_strdup_printf ("the attribute output_shape holds %" G_GINT64_FORMAT, self->out[axis]);
      split_pad (self, axis, MAX (full - self->out[axis], 0), auto_pad == SAME_UPPER);
      return NULL;
    }
  self->out[axis] = full - self->pad_begin[axis] - self->pad_end[axis];
  if (self->out[axis] < 0)
    return g_strdup_printf ("on axis %u the padding leaves %" G_GINT64_FORMAT " positions", axis + 2, self->out[axis]);
  return NULL;
}

static char *
check_pool (const HtWindow *self)
{
  for (guint i = 0; i < self->n_axes; i++)
    if (self->pad_begin[i] < 0 || self->pad_end[i] < 0)
      return g_strdup_printf ("the padding of axis %u is negative", i + 2);
  return NULL;
}

char *
ht_window_read (HtWindow *self, HtNode *node, HtWindowKind kind, guint n_axes, const gint64 *in, const gint64 *kernel)
{
  gint64 pads[2 * HT_WINDOW_MAX_AXES], output_padding[HT_WINDOW_MAX_AXES];
  AutoPad auto_pad = EXPLICIT;
  char *problem = NULL;

  self->n_axes = n_axes;
  memcpy (self->in, in, n_axes * sizeof *in);
  memcpy (self->kernel, kernel, n_axes * sizeof *kernel);
  for (guint i = 0; i < n_axes; i++)
    if (kernel[i] == 0 || kernel[i] > LARGEST)
      return g_strdup_printf ("the kernel has %" G_GINT64_FORMAT " positions on axis %u", kernel[i], i + 2);
  if ((problem = read_list (node, "strides", n_axes, 1, 1, self->stride))
      || (problem = read_list (node, "dilations", n_axes, 1, 1, self->dilation))
      || (problem = read_list (node, "pads", 2 * (gsize)n_axes, 0, -LARGEST, pads))
      || (problem = read_list (node, "output_padding", n_axes, 0, 0, output_padding))
      || (problem = read_auto_pad (node, &auto_pad)))
    return problem;
  for (guint i = 0; i < n_axes && problem == NULL; i++)
    {
      self->pad_begin[i] = auto_pad == EXPLICIT ? pads[i] : 0;
      self->pad_end[i] = auto_pad == EXPLICIT ? pads[n_axes + i] : 0;
      if (kind == HT_WINDOW_TRANSPOSED)
        problem = size_transposed_axis (self, node, i, auto_pad, output_padding);
      else
        problem
            = size_of_axis (self, i, auto_pad, kind == HT_WINDOW_POOL && ht_node_get_int (node, "ceil_mode", 0) != 0);
    }
  if (problem == NULL && kind == HT_WINDOW_POOL)
    problem = check_pool (self);
  return problem;
}

void
ht_window_append_out (const HtWindow *self, const HtDims *input, HtDims *output)
{
  for (guint i = 0; i < self->n_axes; i++)
    {
      gint64 extent = (self->kernel[i] - 1) * self->dilation[i];
      gboolean kept = self->in[i] < 0 && self->kernel[i] > 0 && self->stride[i] == 1
                      && self->pad_begin[i] + self->pad_end[i] == extent;
      ht_dims_append (output, self->out[i], kept ? input->symbol[i + 2] : NULL);
    }
}

void
ht_window_to_geometry (const HtWindow *self, HtConvGeometry *geometry)
{
  guint skip = HT_CONV_AXES - self->n_axes;

  for (guint i = 0; i < HT_CONV_AXES; i++)
    {
      guint axis = i - skip;
      gboolean real = i >= skip;
      geometry->in[i] = real ? (gsize)self->in[axis] : 1;
      geometry->out[i] = real ? (gsize)self->out[axis] : 1;
      geometry->kernel[i] = real ? (gsize)self->kernel[axis] : 1;
      geometry->dilation[i] = real && self->kernel[axis] > 1 ? (gsize)self->dilation[axis] : 1;
      geometry->stride[i] = real ? (gsize)self->stride[axis] : 1;
      geometry->pad[i] = real ? self->pad_begin[axis] : 0;
    }
}

gsize
ht_window_workspace (gsize slice, guint n_slices)
{
  gsize total;
  return g_size_checked_mul (&total, slice, MAX (n_slices, 1)) && total < G_MAXSSIZE ? total : G_MAXSSIZE;
}
