/* SPDX-License-Identifier: MIT */
/* AdaRound as it was published (Nagel et al. 2020): rounding is relaxed, and trained layer by layer. */
#pragma once

#include <halftone/halftone.h>

G_BEGIN_DECLS

typedef struct
{
  guint iterations;
  double regularization;       /* the weight of the regularizer, a sum over all weights */
  double beta_start, beta_end; /* its exponent, annealed by a cosine */
  double warm_start;           /* the share of iterations without regularizer */
  double learning_rate;        /* of Adam */
} RelaxationSettings;

/* What an iteration is given: a batch of the layer's input and of what its output shall be. */
typedef gboolean (*RelaxationBatchFunc) (guint batch, HtTensor **input, HtTensor **target, gpointer user_data,
                                         GError **error);
/* Called now and then with how far the work is; %FALSE stops it with @error set. */
typedef gboolean (*RelaxationProgressFunc) (double fraction, gpointer user_data, GError **error);

typedef struct
{
  double first_loss, last_loss; /* the means over the first and the last hundred iterations, without regularizer */
  gsize n_undecided;            /* weights that the training left between up and down */
} RelaxationOutcome;

/* How many iterations the reference takes when none are given. */
guint relaxation_default_iterations (guint bits);
/* The exponent of the regularizer at an iteration; 0 during the warm start, where there is no regularizer. */
double relaxation_get_beta (const RelaxationSettings *settings, guint iteration);

/**
 * relaxation_round:
 * @settings: how to train
 * @graph: a network; the part from @input to @output is run, which is a layer, or a layer and its activation
 * @input: what the layer reads
 * @output: where the loss is taken
 * @weight: the name of the layer's weight
 * @n_channels: the number of output channels
 * @grid: the grid of the weight
 * @n_batches: how many batches there are; each iteration takes one, all of them in a new order in each round
 * @seed: of the random stream that orders the batches
 *
 * Returns: (transfer full): the weight with each element rounded up or down to @grid
 */
HtTensor *relaxation_round (const RelaxationSettings *settings, HtGraph *graph, const char *input, const char *output,
                            const char *weight, guint n_channels, HtEncoding *grid, guint n_batches, guint64 seed,
                            RelaxationBatchFunc get_batch, gpointer batch_data, RelaxationProgressFunc progress,
                            gpointer progress_data, RelaxationOutcome *outcome, GCancellable *cancellable,
                            GError **error);

G_END_DECLS
