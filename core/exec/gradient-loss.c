/* SPDX-License-Identifier: MIT */
/* Gradients of losses of a network's outputs. */
#include "exec/gradient-run.h"
#include "exec/loss-private.h"

#include <string.h>

typedef struct
{
  const char *const *names;
  HtLoss *const *losses;
  HtTensor *const *targets;
  const double *weights;
  gsize n_losses;
} Terms;

static gboolean
seed (const char *output, HtTensor *value, HtTensor *gradient, double *loss, gpointer user_data, GError **error)
{
  const Terms *terms = user_data;

  if (ht_tensor_get_size (gradient) > 0)
    memset (ht_tensor_get_writable_data (gradient), 0, ht_tensor_get_size (gradient));
  for (gsize i = 0; i < terms->n_losses; i++)
    if (strcmp (terms->names[i], output) == 0
        && !ht_loss_add (terms->losses[i], value, terms->targets[i], terms->weights ? terms->weights[i] : 1.0, gradient,
                         loss, error))
      {
        g_prefix_error (error, "output '%s': ", output);
        return FALSE;
      }
  return TRUE;
}

/**
 * ht_gradient_run_losses:
 * @self: an object
 * @inputs: (element-type utf8 HtTensor) (nullable): tensors by name
 * @names: (array length=n_losses): the output that each loss looks at; several may look at one
 * @losses: (array length=n_losses): the losses
 * @targets: (array length=n_losses): the target of each
 * @weights: (array length=n_losses) (nullable): the weight of each, 1 when %NULL
 * @n_losses: how many there are, at least 1
 * @outputs: (array zero-terminated=1) (nullable): names of further tensors to return
 * @cancellable: (nullable): stops between two nodes
 * @error: return location for an error
 *
 * Runs forward, computes the sum of the weighted losses, and runs backward: ht_gradient_result_get_loss() gives the
 * sum.
 *
 * Fails like ht_gradient_run() and ht_loss_evaluate().
 *
 * Returns: (transfer full): the result, or %NULL with @error set
 */
HtGradientResult *
ht_gradient_run_losses (HtGradient *self, GHashTable *inputs, const char *const *names, HtLoss *const *losses,
                        HtTensor *const *targets, const double *weights, gsize n_losses, const char *const *outputs,
                        GCancellable *cancellable, GError **error)
{
  g_return_val_if_fail (HT_IS_GRADIENT (self), NULL);
  g_return_val_if_fail (names != NULL && losses != NULL && targets != NULL && n_losses > 0, NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  Terms terms = { names, losses, targets, weights, n_losses };
  g_autofree const char **distinct = g_new0 (const char *, n_losses + 1);
  for (gsize i = 0, n = 0; i < n_losses; i++)
    if (!g_strv_contains ((const char *const *)distinct, names[i]))
      distinct[n++] = names[i];
  return ht_gradient_run_seeded (self, inputs, distinct, seed, &terms, outputs, NULL, NULL, NULL, cancellable, error);
}
