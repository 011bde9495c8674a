/* SPDX-License-Identifier: MIT */
#include <halftone/samples.h>

#include <string.h>

/**
 * HtSamples:
 *
 * A number of output positions of a layer, for what second moments cannot tell, such as errors behind an activation:
 * for each group its inputs, [inputs, positions], and its targets, [outputs, positions], without the bias.
 */
struct _HtSamples
{
  gatomicrefcount n_refs;
  gsize n_groups, n_inputs, n_outputs;
  gsize n_positions, capacity;
  float *inputs, *targets;
};

G_DEFINE_BOXED_TYPE (HtSamples, ht_samples, ht_samples_ref, ht_samples_unref)

/**
 * ht_samples_new:
 * @n_groups: groups of the layer
 * @n_inputs: inputs per group and output position
 * @n_outputs: outputs per group
 * @capacity: how many positions there is room for
 *
 * Returns: (transfer full) (nullable): room for samples; %NULL when there is no memory for it
 */
HtSamples *
ht_samples_new (gsize n_groups, gsize n_inputs, gsize n_outputs, gsize capacity)
{
  g_return_val_if_fail (n_groups > 0 && n_inputs > 0 && n_outputs > 0 && capacity > 0, NULL);

  double bytes = (double)n_groups * ((double)n_inputs + (double)n_outputs) * (double)capacity * sizeof (float);
  if (bytes > 1e15)
    return NULL;
  g_autoptr (HtSamples) self = g_new0 (HtSamples, 1);
  g_atomic_ref_count_init (&self->n_refs);
  self->n_groups = n_groups;
  self->n_inputs = n_inputs;
  self->n_outputs = n_outputs;
  self->capacity = capacity;
  self->inputs = g_try_new (float, n_groups *n_inputs *capacity);
  self->targets = g_try_new (float, n_groups *n_outputs *capacity);
  return self->inputs != NULL && self->targets != NULL ? g_steal_pointer (&self) : NULL;
}

HtSamples *
ht_samples_ref (HtSamples *self)
{
  g_return_val_if_fail (self != NULL, NULL);
  g_atomic_ref_count_inc (&self->n_refs);
  return self;
}

void
ht_samples_unref (HtSamples *self)
{
  g_return_if_fail (self != NULL);

  if (!g_atomic_ref_count_dec (&self->n_refs))
    return;
  g_free (self->inputs);
  g_free (self->targets);
  g_free (self);
}

static void
copy_rows (float *to, const float *from, gsize n_rows, gsize to_stride, gsize from_stride, gsize n)
{
  for (gsize row = 0; row < n_rows; row++)
    memcpy (to + row * to_stride, from + row * from_stride, n * sizeof (float));
}

/**
 * ht_samples_add:
 * @self: samples
 * @inputs: (array): [groups x inputs] rows of @stride values, of which the first @n_positions count
 * @targets: (array): [groups x outputs] such rows
 * @n_positions: positions to add
 * @stride: distance of the rows
 *
 * Returns: how many positions were added: all, or as many as there was room for
 */
gsize
ht_samples_add (HtSamples *self, const float *inputs, const float *targets, gsize n_positions, gsize stride)
{
  g_return_val_if_fail (self != NULL && inputs != NULL && targets != NULL && stride >= n_positions, 0);

  gsize n = MIN (n_positions, self->capacity - self->n_positions);
  copy_rows (self->inputs + self->n_positions, inputs, self->n_groups * self->n_inputs, self->capacity, stride, n);
  copy_rows (self->targets + self->n_positions, targets, self->n_groups * self->n_outputs, self->capacity, stride, n);
  self->n_positions += n;
  return n;
}

gsize
ht_samples_get_n_groups (HtSamples *self)
{
  g_return_val_if_fail (self != NULL, 0);
  return self->n_groups;
}

gsize
ht_samples_get_n_inputs (HtSamples *self)
{
  g_return_val_if_fail (self != NULL, 0);
  return self->n_inputs;
}

gsize
ht_samples_get_n_outputs (HtSamples *self)
{
  g_return_val_if_fail (self != NULL, 0);
  return self->n_outputs;
}

gsize
ht_samples_get_n_positions (HtSamples *self)
{
  g_return_val_if_fail (self != NULL, 0);
  return self->n_positions;
}

/**
 * ht_samples_get_inputs: (skip)
 * @self: samples
 * @group: a group
 * @stride: (out): distance of the rows
 *
 * Returns: (transfer none): a row of positions for each input of the group
 */
const float *
ht_samples_get_inputs (HtSamples *self, gsize group, gsize *stride)
{
  g_return_val_if_fail (self != NULL && group < self->n_groups && stride != NULL, NULL);
  *stride = self->capacity;
  return self->inputs + group * self->n_inputs * self->capacity;
}

/**
 * ht_samples_get_targets: (skip)
 * @self: samples
 * @group: a group
 * @stride: (out): distance of the rows
 *
 * Returns: (transfer none): a row of positions for each output of the group
 */
const float *
ht_samples_get_targets (HtSamples *self, gsize group, gsize *stride)
{
  g_return_val_if_fail (self != NULL && group < self->n_groups && stride != NULL, NULL);
  *stride = self->capacity;
  return self->targets + group * self->n_outputs * self->capacity;
}
