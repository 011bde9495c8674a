/* SPDX-License-Identifier: MIT */
/* Patches of a layer's input, side by side with its targets, into second moments or as they are. */
#include "base/thread-pool.h"
#include "graph/layer-private.h"
#include "kernels/im2col.h"
#include "ops/conv.h"

#include <halftone/error.h>
#include <halftone/layer-moments.h>

#include <math.h>
#include <string.h>

#define MAX_POSITIONS     ((gsize)4096)             /* gathered at once */
#define MAX_FLOATS        ((gsize)16 * 1024 * 1024) /* of which they are */
#define MIN_POSITIONS     ((gsize)128)
#define STRIDE_PADDING    ((gsize)16)  /* so that rows do not share the same places of the caches */
#define SEGMENT_POSITIONS ((gsize)256) /* rows next to each other are gathered together up to this length */

/* Output positions [begin, begin + length) of one sample, and where they go. */
typedef struct
{
  gsize sample, begin, length, column;
} Segment;

typedef struct
{
  HtLayer *layer;
  gboolean is_conv, is_transposed;
  HtConvGeometry geometry; /* of convolutions */
  const float *input, *target;
  const double *bias;
  gsize n_groups, n_inputs, n_outputs; /* of a group */
  gsize n_samples, n_positions;        /* output positions of a sample */
  gsize row;                           /* positions that are taken or left together */
  float factor;                        /* of the inputs: Gemm's alpha */
  GArray *segments;                    /* of Segment, that wait */
  gsize n_waiting;
  float *columns, *targets;
  gsize capacity;     /* positions */
  gsize stride;       /* of rows of columns and targets */
  HtMoments *moments; /* where they go, or */
  HtSamples *samples;
} Gathering;

/**
 * ht_layer_create_moments:
 * @self: a layer
 * @error: return location for a #GError
 *
 * Makes empty moments of the layer's size: a group for each of its groups; an input for each input channel of the group
 * and kernel position, in the order of ht_layer_get_matrix(); a target for each output channel.
 *
 * Returns: (transfer full) (nullable): new moments; %NULL with #HT_ERROR_NO_MEMORY
 */
HtMoments *
ht_layer_create_moments (HtLayer *self, GError **error)
{
  g_return_val_if_fail (self != NULL, NULL);

  gsize n_inputs = self->inputs_per_group * self->n_positions;
  HtMoments *moments = ht_moments_new (self->n_groups, n_inputs, self->outputs_per_group);
  if (moments == NULL)
    {
      guint64 bytes = ht_moments_estimate_memory (self->n_groups, n_inputs, self->outputs_per_group);
      g_autofree char *amount = g_format_size_full (bytes, G_FORMAT_SIZE_IEC_UNITS);
      g_set_error (error, HT_ERROR, HT_ERROR_NO_MEMORY, "layer '%s': there is no memory for %s of second moments",
                   ht_node_get_name (self->node), amount);
    }
  return moments;
}

static gboolean
fail_shape (HtLayer *self, const char *what, HtTensor *tensor, GError **error)
{
  g_autofree char *found = ht_tensor_describe (tensor);
  g_set_error (error, HT_ERROR, HT_ERROR_SHAPE, "layer '%s': the %s is %s, which is not what the layer %s",
               ht_node_get_name (self->node), what, found, g_str_equal (what, "input") ? "reads" : "returns");
  return FALSE;
}

static gboolean
read_convolution (Gathering *g, HtTensor *input, HtTensor *target, GError **error)
{
  HtLayer *layer = g->layer;
  guint n_x, n_w, n_y;
  const gint64 *x = ht_tensor_get_dims (input, &n_x), *y = ht_tensor_get_dims (target, &n_y);
  g_autoptr (HtTensor) weight = ht_graph_get_constant (layer->graph, ht_layer_get_weight (layer));
  HtConvOperands operands;
  HtWindow window;

  if (weight == NULL || n_x > 2 + HT_CONV_AXES)
    return fail_shape (layer, "input", input, error);
  const gint64 *w = ht_tensor_get_dims (weight, &n_w);
  g_autofree char *problem = ht_conv_check_operands (layer->node, g->is_transposed, x, n_x, w, n_w, &operands);
  if (problem == NULL)
    problem = ht_window_read (&window, layer->node, g->is_transposed ? HT_WINDOW_TRANSPOSED : HT_WINDOW_CONV,
                              operands.n_axes, operands.in, operands.kernel);
  if (problem != NULL)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_SHAPE, "layer '%s': %s", ht_node_get_name (layer->node), problem);
      return FALSE;
    }
  ht_conv_make_geometry (&window, &operands, x[1], &g->geometry);
  g->n_samples = (gsize)x[0];
  g->n_positions = ht_conv_volume (g->geometry.out);
  g->row = g->geometry.out[2];
  if (n_y != n_x || y[0] != x[0] || y[1] != (gint64)ht_layer_get_n_output_channels (layer)
      || ht_tensor_get_n_elements (target) != (gsize)(y[0] * y[1]) * g->n_positions)
    return fail_shape (layer, "target", target, error);
  return TRUE;
}

static gboolean
read_product (Gathering *g, HtTensor *input, HtTensor *target, GError **error)
{
  HtLayer *layer = g->layer;
  gsize n_input = ht_tensor_get_n_elements (input), n_target = ht_tensor_get_n_elements (target);
  guint n_x = ht_tensor_get_n_dims (input), n_y = ht_tensor_get_n_dims (target);

  if (n_x < 1 || ht_tensor_get_dim (input, n_x - 1) != (gint64)g->n_inputs)
    return fail_shape (layer, "input", input, error);
  if (n_y < 1 || ht_tensor_get_dim (target, n_y - 1) != (gint64)g->n_outputs
      || n_target / g->n_outputs != n_input / g->n_inputs)
    return fail_shape (layer, "target", target, error);
  g->n_samples = 1;
  g->n_positions = n_input / g->n_inputs;
  g->row = 1;
  g->factor = layer->kind == HT_LAYER_GEMM ? (float)layer->alpha : 1.0f;
  return TRUE;
}

static gboolean
read_operands (Gathering *g, HtTensor *input, HtTensor *target, GError **error)
{
  HtLayer *layer = g->layer;

  g->factor = 1.0f;
  g->n_groups = layer->n_groups;
  g->n_inputs = layer->inputs_per_group * layer->n_positions;
  g->n_outputs = layer->outputs_per_group;
  g->is_transposed = layer->kind == HT_LAYER_CONV_TRANSPOSE;
  g->is_conv = g->is_transposed || layer->kind == HT_LAYER_CONV;
  if (ht_tensor_get_data_type (input) != HT_DATA_TYPE_FLOAT || ht_tensor_get_data_type (target) != HT_DATA_TYPE_FLOAT)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_DATA_TYPE, "layer '%s': second moments are taken of 32-bit floats alone",
                   ht_node_get_name (layer->node));
      return FALSE;
    }
  g->input = ht_tensor_get_data (input);
  g->target = ht_tensor_get_data (target);
  return g->is_conv ? read_convolution (g, input, target, error) : read_product (g, input, target, error);
}

/* What a transposed convolution adds up at output positions: x at the input position that reaches there, if any. */
static void
gather_transposed (const HtConvGeometry *g, gsize channels, const float *x, gsize begin, gsize end, float *columns,
                   gsize ld)
{
  gsize volume = ht_conv_volume (g->in), kernel = ht_conv_volume (g->kernel);

  for (gsize row = 0; row < channels * kernel; row++, columns += ld)
    {
      gsize at = row % kernel;
      gsize k[] = { at / (g->kernel[1] * g->kernel[2]), at / g->kernel[2] % g->kernel[1], at % g->kernel[2] };
      for (gsize position = begin; position < end; position++)
        {
          gsize out[] = { position / (g->out[1] * g->out[2]), position / g->out[2] % g->out[1], position % g->out[2] };
          gsize from = 0;
          gboolean inside = TRUE;
          for (int axis = 0; axis < HT_CONV_AXES && inside; axis++)
            {
              gint64 reached = (gint64)out[axis] + g->pad[axis] - (gint64)(k[axis] * g->dilation[axis]);
              gint64 stride = (gint64)g->stride[axis];
              inside = reached >= 0 && reached % stride == 0 && reached / stride < (gint64)g->in[axis];
              from = from * g->in[axis] + (gsize)(inside ? reached / stride : 0);
            }
          columns[position - begin] = inside ? x[row / kernel * volume + from] : 0.0f;
        }
    }
}

static void
gather_targets (const Gathering *g, const Segment *s)
{
  gsize n_outputs = g->n_groups * g->n_outputs;

  for (gsize o = 0; o < n_outputs; o++)
    {
      float *to = g->targets + o * g->stride + s->column, bias = g->bias != NULL ? (float)g->bias[o] : 0.0f;
      const float *from = g->is_conv ? g->target + (s->sample * n_outputs + o) * g->n_positions + s->begin
                                     : g->target + s->begin * n_outputs + o;
      gsize stride = g->is_conv ? 1 : n_outputs;
      for (gsize i = 0; i < s->length; i++)
        to[i] = from[i * stride] - bias;
    }
}

static void
gather_segments (gsize first, gsize last, guint worker, gpointer user_data)
{
  const Gathering *g = user_data;

  for (gsize index = first; index < last; index++)
    {
      const Segment *s = &g_array_index (g->segments, Segment, index);
      gsize channels = g->is_conv ? g->geometry.in_channels / g->n_groups : 0;
      gsize volume = g->is_conv ? ht_conv_volume (g->geometry.in) : 0;
      gather_targets (g, s);
      for (gsize group = 0; group < g->n_groups; group++)
        {
          float *columns = g->columns + group * g->n_inputs * g->stride + s->column;
          const float *x = g->input + (s->sample * g->geometry.in_channels + group * channels) * volume;
          if (g->is_transposed)
            gather_transposed (&g->geometry, channels, x, s->begin, s->begin + s->length, columns, g->stride);
          else if (g->is_conv)
            ht_kernel_im2col (&g->geometry, channels, x, s->begin, s->begin + s->length, columns, g->stride);
          else
            for (gsize i = 0; i < g->n_inputs; i++)
              for (gsize p = 0; p < s->length; p++)
                columns[i * g->stride + p] = g->factor * g->input[(s->begin + p) * g->n_inputs + i];
        }
    }
}

static gboolean
add_waiting (Gathering *g, GError **error)
{
  if (g->n_waiting == 0)
    return TRUE;
  ht_parallel_for (g->segments->len, 1, gather_segments, g);
  gsize n = g->n_waiting;
  g_array_set_size (g->segments, 0);
  g->n_waiting = 0;
  if (g->samples != NULL)
    {
      ht_samples_add (g->samples, g->columns, g->targets, n, g->stride);
      return TRUE;
    }
  if (ht_moments_add (g->moments, g->columns, g->targets, n, g->stride, error))
    return TRUE;
  g_prefix_error (error, "layer '%s': ", ht_node_get_name (g->layer->node));
  return FALSE;
}

static gboolean
add_positions (Gathering *g, gsize sample, gsize begin, gsize length, GError **error)
{
  while (length > 0)
    {
      Segment segment
          = { sample, begin, MIN (length, MIN (SEGMENT_POSITIONS, g->capacity - g->n_waiting)), g->n_waiting };
      g_array_append_val (g->segments, segment);
      g->n_waiting += segment.length;
      begin += segment.length;
      length -= segment.length;
      if (g->n_waiting == g->capacity && !add_waiting (g, error))
        return FALSE;
    }
  return TRUE;
}

/* The rows of one sample: all, or some that chance picks, in order. */
static gboolean
add_sample (Gathering *g, gsize sample, double share, GRand *random, GError **error)
{
  gsize n_rows = g->n_positions / g->row, wanted = (gsize)ceil (share * (double)n_rows), begin = 0, length = 0;

  for (gsize row = 0; row < n_rows; row++)
    {
      /* Each of the rows left is as likely as another. */
      if (wanted < n_rows - row && (double)(n_rows - row) * g_rand_double (random) >= (double)wanted)
        continue;
      wanted--;
      if (row * g->row != begin + length)
        {
          if (!add_positions (g, sample, begin, length, error))
            return FALSE;
          begin = row * g->row;
          length = 0;
        }
      length += g->row;
      if (wanted == 0)
        break;
    }
  return add_positions (g, sample, begin, length, error);
}

static gboolean
gather (Gathering *g, HtTensor *input, HtTensor *target, double share, guint64 seed, GError **error)
{
  if (!read_operands (g, input, target, error))
    return FALSE;
  /* A few positions say most where each is from another place. */
  if (g->samples != NULL)
    g->row = 1;
  gsize n_rows = g->n_groups * (g->n_inputs + g->n_outputs);
  g->capacity = CLAMP (MAX_FLOATS / n_rows, MIN_POSITIONS, MAX_POSITIONS);
  g->stride = g->capacity + STRIDE_PADDING;
  g_autoptr (GArray) segments = g_array_new (FALSE, FALSE, sizeof (Segment));
  g->segments = segments;
  g_autofree float *columns = g_try_new (float, g->n_groups * g->n_inputs * g->stride + HT_IM2COL_SLACK);
  g_autofree float *targets = g_try_new (float, g->n_groups * g->n_outputs * g->stride);
  if (columns == NULL || targets == NULL)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_NO_MEMORY, "layer '%s': there is no memory to gather its inputs",
                   ht_node_get_name (g->layer->node));
      return FALSE;
    }
  g->columns = columns;
  g->targets = targets;
  guint32 words[] = { (guint32)seed, (guint32)(seed >> 32) };
  g_autoptr (GRand) random = g_rand_new_with_seed_array (words, G_N_ELEMENTS (words));
  for (gsize sample = 0; sample < g->n_samples; sample++)
    if (!add_sample (g, sample, share, random, error))
      return FALSE;
  return add_waiting (g, error);
}

/**
 * ht_layer_count_positions:
 * @self: a layer
 * @target: a tensor of the shape that the layer returns
 *
 * Returns: how many positions ht_layer_add_moments() would add with all of @target
 */
gsize
ht_layer_count_positions (HtLayer *self, HtTensor *target)
{
  g_return_val_if_fail (self != NULL && target != NULL, 0);
  return ht_tensor_get_n_elements (target) / ht_layer_get_n_output_channels (self);
}

/**
 * ht_layer_add_moments:
 * @self: a layer
 * @moments: of ht_layer_create_moments()
 * @input: what the layer reads
 * @target: what it should return, its bias included
 * @bias: (array) (nullable): the bias of each output channel, which is taken off @target
 * @share: the share of the positions to take, above 0 to 1: rows of the output, chosen by chance
 * @seed: of that choice
 * @error: return location for a #GError
 *
 * Adds the output positions of some samples. Their errors then are those of the layer before its activation.
 *
 * Returns: %FALSE with #HT_ERROR_SHAPE or #HT_ERROR_DATA_TYPE when a tensor is none of this layer, #HT_ERROR_NUMERIC
 *   when a value is not finite
 */
gboolean
ht_layer_add_moments (HtLayer *self, HtMoments *moments, HtTensor *input, HtTensor *target, const double *bias,
                      double share, guint64 seed, GError **error)
{
  g_return_val_if_fail (self != NULL && moments != NULL && input != NULL && target != NULL, FALSE);
  g_return_val_if_fail (share > 0.0 && share <= 1.0, FALSE);

  Gathering g = { .layer = self, .bias = bias, .moments = moments };
  return gather (&g, input, target, share, seed, error);
}

/**
 * ht_layer_create_samples:
 * @self: a layer
 * @capacity: how many positions there shall be room for
 * @error: return location for a #GError
 *
 * Returns: (transfer full) (nullable): samples of the layer's size; %NULL with #HT_ERROR_NO_MEMORY
 */
HtSamples *
ht_layer_create_samples (HtLayer *self, gsize capacity, GError **error)
{
  g_return_val_if_fail (self != NULL && capacity > 0, NULL);

  HtSamples *samples
      = ht_samples_new (self->n_groups, self->inputs_per_group * self->n_positions, self->outputs_per_group, capacity);
  if (samples == NULL)
    g_set_error (error, HT_ERROR, HT_ERROR_NO_MEMORY,
                 "layer '%s': there is no memory for %" G_GSIZE_FORMAT " positions of its input",
                 ht_node_get_name (self->node), capacity);
  return samples;
}

/**
 * ht_layer_add_samples:
 * @self: a layer
 * @samples: of ht_layer_create_samples()
 * @input: what the layer reads
 * @target: what it should return, its bias included
 * @bias: (array) (nullable): the bias of each output channel, which is taken off @target
 * @share: the share of the positions to take, above 0 to 1, chosen by chance
 * @seed: of that choice
 * @error: return location for a #GError
 *
 * Adds output positions as they are, as far as there is room.
 *
 * Returns: %FALSE with #HT_ERROR_SHAPE or #HT_ERROR_DATA_TYPE when a tensor is none of this layer
 */
gboolean
ht_layer_add_samples (HtLayer *self, HtSamples *samples, HtTensor *input, HtTensor *target, const double *bias,
                      double share, guint64 seed, GError **error)
{
  g_return_val_if_fail (self != NULL && samples != NULL && input != NULL && target != NULL, FALSE);
  g_return_val_if_fail (share > 0.0 && share <= 1.0, FALSE);

  Gathering g = { .layer = self, .bias = bias, .samples = samples };
  return gather (&g, input, target, share, seed, error);
}
