/* SPDX-License-Identifier: MIT */
/* What grids do to the values of tensors, and which tensors have none for want of values. */
#include "quant/simulation-private.h"

/**
 * ht_simulation_measure_loss:
 * @self: a simulation
 * @tensor: the name of a tensor
 * @clip_ratio: (out): the share of its values, from 0 to 1, that lie beyond the grid by more than half a step (for
 *   floating-point formats: beyond the largest number)
 * @sqnr: (out): 10 log10 of the sum of squares of the values by that of the errors, in dB; infinite where nothing is
 *   lost
 *
 * Tells what the grid of a tensor does to its values. For a constant it is computed from the values that the network
 * has now. For an activation it was found by ht_simulation_calibrate(), over all samples: from a histogram, in which
 * the values of a bin are spread evenly, and the exact sum of squares. Tensors that share a quantizer share the
 * figures.
 *
 * Returns: whether it is known: the tensor has an encoding, and it is constant or calibration saw its values since it
 * has that encoding
 */
gboolean
ht_simulation_measure_loss (HtSimulation *self, const char *tensor, double *clip_ratio, double *sqnr)
{
  g_autoptr (HtTensor) value = NULL;
  HtEncoding *encoding;
  HtGridLoss found;
  const HtGridLoss *loss;

  g_return_val_if_fail (HT_IS_SIMULATION (self) && tensor != NULL, FALSE);
  g_return_val_if_fail (clip_ratio != NULL && sqnr != NULL, FALSE);

  encoding = g_hash_table_lookup (self->encodings, tensor);
  loss = g_hash_table_lookup (self->losses, tensor);
  if (!loss && encoding && (value = ht_graph_get_constant (self->graph, tensor))
      && ht_grid_loss_of_tensor (value, encoding, &found))
    loss = &found;
  if (!loss)
    return FALSE;
  *clip_ratio = loss->clip_ratio;
  *sqnr = loss->sqnr;
  return TRUE;
}

/**
 * ht_simulation_list_unreached:
 * @self: a simulation that was calibrated
 *
 * Lists the tensors that have a quantizer but no encoding, since no sample reached them: of a branch that was never
 * taken, or without elements. They stay in floating point.
 *
 * Returns: (transfer full) (array zero-terminated=1): their names, in graph order
 */
char **
ht_simulation_list_unreached (HtSimulation *self)
{
  g_autoptr (GStrvBuilder) names = NULL;

  g_return_val_if_fail (HT_IS_SIMULATION (self), NULL);

  names = g_strv_builder_new ();
  for (guint i = 0; i < self->placement->quantizers->len; i++)
    {
      const char *tensor = ht_quantizer_get_tensor (g_ptr_array_index (self->placement->quantizers, i));

      if (!g_hash_table_contains (self->encodings, tensor))
        g_strv_builder_add (names, tensor);
    }
  return g_strv_builder_end (names);
}
