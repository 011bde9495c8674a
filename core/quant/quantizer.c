/* SPDX-License-Identifier: MIT */
/* One quantized tensor of a simulation: what it is, along which axis, with which settings, and why. */
#include "quant/quantizer.h"

#include "quant/number-format.h"
#include "quant/operand.h"

/**
 * HtQuantizer:
 *
 * One quantized tensor of a simulation: its name, its settings and the reason why it is quantized. Immutable, counted.
 */
struct _HtQuantizer
{
  gatomicrefcount n_refs;
  char *tensor;
  gboolean is_weight;
  gboolean is_constant;
  gint channel_axis; /* whatever the granularity; -1 where there is none */
  HtQuantizerSettings *settings;
  char *reason;
  GHashTable *origins; /* name of a setting -> who had the last word */
  char *shared;        /* the tensor whose quantizer this is; NULL: its own */
  gboolean has_range;
  double minimum, maximum;
};

G_DEFINE_BOXED_TYPE (HtQuantizer, ht_quantizer, ht_quantizer_ref, ht_quantizer_unref)

HtQuantizer *
ht_quantizer_new (const char *tensor, gboolean is_weight, gboolean is_constant, gint channel_axis,
                  HtQuantizerSettings *settings, const char *reason)
{
  HtQuantizer *self = g_new0 (HtQuantizer, 1);

  g_atomic_ref_count_init (&self->n_refs);
  self->tensor = g_strdup (tensor);
  self->is_weight = is_weight;
  self->is_constant = is_constant;
  self->channel_axis = channel_axis;
  self->settings = g_object_ref (settings);
  self->reason = g_strdup (reason);
  return self;
}

void
ht_quantizer_set_origins (HtQuantizer *self, GHashTable *origins)
{
  g_clear_pointer (&self->origins, g_hash_table_unref);
  self->origins = g_hash_table_ref (origins);
}

void
ht_quantizer_set_shared (HtQuantizer *self, const char *tensor)
{
  g_free (self->shared);
  self->shared = g_strdup (tensor);
}

const char *
ht_quantizer_get_shared (HtQuantizer *self)
{
  return self->shared ? self->shared : self->tensor;
}

void
ht_quantizer_set_range (HtQuantizer *self, double minimum, double maximum)
{
  self->has_range = TRUE;
  self->minimum = minimum;
  self->maximum = maximum;
}

gboolean
ht_quantizer_get_range (HtQuantizer *self, double *minimum, double *maximum)
{
  *minimum = self->minimum;
  *maximum = self->maximum;
  return self->has_range;
}

gboolean
ht_quantizer_is_constant (HtQuantizer *self)
{
  return self->is_constant;
}

gint
ht_quantizer_get_channel_axis (HtQuantizer *self)
{
  return self->channel_axis;
}

void
ht_quantizer_get_form (HtQuantizer *self, HtGraph *graph, const gint64 *dims, guint n_dims, HtGridForm *form)
{
  HtQuantizerSettings *settings = self->settings;
  gint axis = ht_quantizer_get_axis (self), block_axis = -1;
  gsize block_size = ht_quantizer_settings_get_block_size (settings);

  if (axis >= (gint)n_dims)
    axis = -1;
  *form = (HtGridForm){ .format = ht_quantizer_settings_get_format (settings),
                        .bits = ht_quantizer_settings_get_bits (settings),
                        .symmetric = TRUE,
                        .axis = axis,
                        .n_channels = axis < 0 ? 1 : (gsize)dims[axis],
                        .block_axis = -1,
                        .n_blocks = 1 };
  if (form->format == HT_NUMBER_FORMAT_INT)
    {
      form->symmetric = ht_quantizer_settings_get_symmetric (settings);
      form->strict = form->symmetric && ht_quantizer_settings_get_strict (settings);
      form->unsigned_symmetric = ht_quantizer_settings_get_unsigned_symmetric (settings);
    }
  if (block_size > 0)
    block_axis = ht_operand_find_block_axis (graph, self->tensor);
  if (block_axis < 0 || block_axis >= (gint)n_dims || (gsize)dims[block_axis] <= block_size)
    return;
  form->block_axis = block_axis;
  form->block_size = block_size;
  form->n_blocks = ((gsize)dims[block_axis] + block_size - 1) / block_size;
  form->scale_bits = ht_quantizer_settings_get_scale_bits (settings);
}

/**
 * ht_quantizer_ref:
 * @self: a quantizer
 *
 * Takes a reference.
 *
 * Returns: (transfer full): @self
 */
HtQuantizer *
ht_quantizer_ref (HtQuantizer *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  g_atomic_ref_count_inc (&self->n_refs);
  return self;
}

/**
 * ht_quantizer_unref:
 * @self: (transfer full): a quantizer
 *
 * Gives a reference back; the last one frees the quantizer.
 */
void
ht_quantizer_unref (HtQuantizer *self)
{
  g_return_if_fail (self != NULL);

  if (!g_atomic_ref_count_dec (&self->n_refs))
    return;
  g_free (self->tensor);
  g_object_unref (self->settings);
  g_free (self->reason);
  g_free (self->shared);
  g_clear_pointer (&self->origins, g_hash_table_unref);
  g_free (self);
}

/**
 * ht_quantizer_get_tensor:
 * @self: a quantizer
 *
 * Gets the name of the tensor that is quantized.
 *
 * Returns: (transfer none): the name
 */
const char *
ht_quantizer_get_tensor (HtQuantizer *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  return self->tensor;
}

/**
 * ht_quantizer_is_weight:
 * @self: a quantizer
 *
 * Tells weights from activations; a constant operand of an element-wise operator counts as an activation.
 *
 * Returns: %TRUE for a weight
 */
gboolean
ht_quantizer_is_weight (HtQuantizer *self)
{
  g_return_val_if_fail (self != NULL, FALSE);

  return self->is_weight;
}

/**
 * ht_quantizer_get_axis:
 * @self: a quantizer
 *
 * Gets the axis of the channels, each of which has a grid, or one for each block.
 *
 * Returns: the axis, or -1 where channels share their grids
 */
gint
ht_quantizer_get_axis (HtQuantizer *self)
{
  g_return_val_if_fail (self != NULL, -1);

  if (!ht_number_format_has_scale (ht_quantizer_settings_get_format (self->settings)))
    return -1;
  return ht_quantizer_settings_get_granularity (self->settings) != HT_GRANULARITY_TENSOR ? self->channel_axis : -1;
}

/**
 * ht_quantizer_get_settings:
 * @self: a quantizer
 *
 * Gets the settings, rules applied. They are shared: copy before changing.
 *
 * Returns: (transfer none): the settings
 */
HtQuantizerSettings *
ht_quantizer_get_settings (HtQuantizer *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  return self->settings;
}

/**
 * ht_quantizer_get_reason:
 * @self: a quantizer
 *
 * Gets why the tensor is quantized, for listings: "weight of node 'conv1' (Conv)".
 *
 * Returns: (transfer none): the reason
 */
const char *
ht_quantizer_get_reason (HtQuantizer *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  return self->reason;
}

/**
 * ht_quantizer_get_origin:
 * @self: a quantizer
 * @key: the name of a setting, such as `bits`
 *
 * Tells who had the last word on a setting: the target, with the place in its file, a key of the recipe or one of its
 * rules.
 *
 * Returns: (transfer none) (nullable): a line of text, or %NULL when nobody spoke of it, so that its default holds
 */
const char *
ht_quantizer_get_origin (HtQuantizer *self, const char *key)
{
  g_return_val_if_fail (self != NULL && key != NULL, NULL);

  return self->origins ? g_hash_table_lookup (self->origins, key) : NULL;
}

/**
 * ht_quantizer_get_tie:
 * @self: a quantizer
 *
 * Tells whether the tensor shares its grid with others, as some targets want it.
 *
 * Returns: (transfer none) (nullable): the tensor whose settings hold, or %NULL when it is the tensor itself
 */
const char *
ht_quantizer_get_tie (HtQuantizer *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  return self->shared && !g_str_equal (self->shared, self->tensor) ? self->shared : NULL;
}
