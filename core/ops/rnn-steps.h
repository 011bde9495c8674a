/* SPDX-License-Identifier: MIT */
/* The steps of RNN, GRU and LSTM in the number type REAL. Included by one file for each type, which defines REAL, the
 * name RNN_RUN of the function made here, ADD_PRODUCT (m, n, k, a, lda, b, ldb, c, ldc): c += a * b transposed, and
 * perhaps SIGMOIDS (n, x) and TANHS (n, x), which do n numbers in place.
 * Functions of <math.h> are those of the type through <tgmath.h>. */
#include "ops/loop.h"
#include "ops/rnn.h"

#include <string.h>
#include <tgmath.h>

/* Activations */

typedef REAL (*Activation) (REAL x, REAL alpha, REAL beta);

static REAL
act_sigmoid (REAL x, REAL alpha, REAL beta)
{
  REAL e = exp (-fabs (x));
  return x >= 0.0f ? 1.0f / (1.0f + e) : e / (1.0f + e);
}

static REAL
act_tanh (REAL x, REAL alpha, REAL beta)
{
  return tanh (x);
}

static REAL
act_relu (REAL x, REAL alpha, REAL beta)
{
  return x > 0.0f ? x : 0.0f;
}

static REAL
act_affine (REAL x, REAL alpha, REAL beta)
{
  return alpha * x + beta;
}

static REAL
act_leaky_relu (REAL x, REAL alpha, REAL beta)
{
  return x >= 0.0f ? x : alpha * x;
}

static REAL
act_thresholded_relu (REAL x, REAL alpha, REAL beta)
{
  return x > alpha ? x : 0.0f;
}

static REAL
act_scaled_tanh (REAL x, REAL alpha, REAL beta)
{
  return alpha * tanh (beta * x);
}

static REAL
act_hard_sigmoid (REAL x, REAL alpha, REAL beta)
{
  return fmin (fmax (alpha * x + beta, 0.0f), 1.0f);
}

static REAL
act_elu (REAL x, REAL alpha, REAL beta)
{
  return x >= 0.0f ? x : alpha * expm1 (x);
}

static REAL
act_softsign (REAL x, REAL alpha, REAL beta)
{
  return x / (1.0f + fabs (x));
}

static REAL
act_softplus (REAL x, REAL alpha, REAL beta)
{
  return fmax (x, 0.0f) + log1p (exp (-fabs (x)));
}

static const struct
{
  const char *name;
  Activation function;
  REAL alpha, beta;
} activations[] = {
  { "Sigmoid", act_sigmoid, 0, 0 },
  { "Tanh", act_tanh, 0, 0 },
  { "Relu", act_relu, 0, 0 },
  { "Affine", act_affine, 1, 0 },
  { "LeakyRelu", act_leaky_relu, 0.01f, 0 },
  { "ThresholdedRelu", act_thresholded_relu, 1, 0 },
  { "ScaledTanh", act_scaled_tanh, 1, 1 },
  { "HardSigmoid", act_hard_sigmoid, 0.2f, 0.5f },
  { "Elu", act_elu, 1, 0 },
  { "Softsign", act_softsign, 0, 0 },
  { "Softplus", act_softplus, 0, 0 },
};

typedef struct
{
  Activation function;
  REAL alpha, beta;
} Chosen;

/* Clips n numbers (0: not at all) and applies the function, in place. */
static void
apply (const Chosen *chosen, REAL clip, gsize n, REAL *x)
{
  for (gsize i = 0; clip > 0.0f && i < n; i++)
    x[i] = fmin (fmax (x[i], -clip), clip);
#ifdef SIGMOIDS
  if (chosen->function == act_sigmoid)
    {
      SIGMOIDS (n, x);
      return;
    }
  if (chosen->function == act_tanh)
    {
      TANHS (n, x);
      return;
    }
#endif
  for (gsize i = 0; i < n; i++)
    x[i] = chosen->function (x[i], chosen->alpha, chosen->beta);
}

static gboolean
has_parameters (Activation function)
{
  return function == act_affine || function == act_leaky_relu || function == act_thresholded_relu
         || function == act_scaled_tanh || function == act_hard_sigmoid || function == act_elu;
}

/* The lists of alphas and betas name values for the activations that take them, in order. */
static gboolean
choose_activations (const HtOpCall *call, guint directions, Chosen *chosen, GError **error)
{
  guint n = ht_rnn_cells[ht_rnn_cell_of (call->node)].n_activations * directions;
  const char *const *names = ht_node_get_strings (call->node, "activations");
  gsize n_alpha = 0, n_beta = 0, next = 0;
  const float *alpha = ht_node_get_floats (call->node, "activation_alpha", &n_alpha);
  const float *beta = ht_node_get_floats (call->node, "activation_beta", &n_beta);

  if (names && g_strv_length ((char **)names) != n)
    return ht_op_fail (call, error, "the attribute activations has %u names, expected %u",
                       g_strv_length ((char **)names), n);
  for (guint i = 0; i < n; i++)
    {
      const char *name = names ? names[i] : ht_rnn_cells[ht_rnn_cell_of (call->node)].defaults[i % (n / directions)];
      chosen[i].function = NULL;
      for (guint k = 0; k < G_N_ELEMENTS (activations); k++)
        if (g_ascii_strcasecmp (name, activations[k].name) == 0)
          chosen[i] = (Chosen){ activations[k].function, activations[k].alpha, activations[k].beta };
      if (chosen[i].function == NULL)
        return ht_op_fail (call, error, "the activation '%s' is not known", name);
      if (!has_parameters (chosen[i].function))
        continue;
      if (alpha && next < n_alpha)
        chosen[i].alpha = alpha[next];
      if (beta && next < n_beta)
        chosen[i].beta = beta[next];
      next++;
    }
  return TRUE;
}

/* One direction */

typedef struct
{
  HtRnnCell cell;
  gsize time, batch, input, hidden, gates, directions;
  gboolean batch_first, linear_before_reset, couple_input_forget;
  REAL clip;             /* 0: none */
  const gint32 *lengths; /* NULL: all have the full length */
  const REAL *x;
  REAL *projected; /* [time x batch][gates x hidden] (or batch x time): x times the weights, with the biases */
  REAL *sums;      /* [batch][gates x hidden] of a step */
  REAL *h, *c;     /* [batch][hidden] */
  REAL *reset;     /* [batch][hidden], GRU */
  REAL *bias;      /* [gates x hidden] */
} Run;

typedef struct
{
  const REAL *w, *r, *b, *p;
  const Chosen *act;
  gboolean reverse;
  gsize index;
} Direction;

/* All inputs of all steps at once. */
static void
project (Run *run, const Direction *d)
{
  gsize n = run->gates * run->hidden, rows = run->time * run->batch;
  /* The bias of the GRU's new state on the recurrent side stands apart where the reset gate multiplies it. */
  gsize apart = run->cell == HT_RNN_GRU && run->linear_before_reset ? 2 * run->hidden : n;

  for (gsize i = 0; i < n; i++)
    run->bias[i] = d->b ? d->b[i] + (i < apart ? d->b[n + i] : 0.0f) : 0.0f;
  for (gsize row = 0; row < rows; row++)
    memcpy (run->projected + row * n, run->bias, n * sizeof (REAL));
  ADD_PRODUCT (rows, n, run->input, run->x, run->input, d->w, run->input, run->projected, n);
}

/* sums = the projection of this step's input; TRUE where the sequence still runs. */
static gboolean
begin_row (const Run *run, const Direction *d, gsize step, gsize batch, gsize *time)
{
  gsize n = run->gates * run->hidden;
  gsize length = run->lengths ? (gsize)CLAMP (run->lengths[batch], 0, (gint32)run->time) : run->time;

  if (step >= length)
    {
      memset (run->sums + batch * n, 0, n * sizeof (REAL));
      return FALSE;
    }
  *time = d->reverse ? length - 1 - step : step;
  gsize row = run->batch_first ? batch * run->time + *time : *time * run->batch + batch;
  memcpy (run->sums + batch * n, run->projected + row * n, n * sizeof (REAL));
  return TRUE;
}

/* sums[:, first gate...] += state * R[first gate...]' */
static void
add_recurrence (const Run *run, const REAL *state, const REAL *r, gsize first, gsize n_gates)
{
  gsize n = run->gates * run->hidden;

  ADD_PRODUCT (run->batch, n_gates * run->hidden, run->hidden, state, run->hidden,
               r + first * run->hidden * run->hidden, run->hidden, run->sums + first * run->hidden, n);
}

/* y += p * c; p may be NULL. */
static void
add_peephole (gsize n, const REAL *p, const REAL *c, REAL *y)
{
  for (gsize i = 0; p && i < n; i++)
    y[i] += p[i] * c[i];
}

/* Gates in the order input, output, forget, cell. */
static void
lstm_row (const Run *run, const Direction *d, REAL *s, REAL *h, REAL *c)
{
  gsize n = run->hidden;
  REAL *in = s, *out = s + n, *forget = s + 2 * n, *fresh = s + 3 * n;

  add_peephole (n, d->p, c, in);
  apply (&d->act[0], run->clip, n, in);
  if (run->couple_input_forget)
    {
      for (gsize i = 0; i < n; i++)
        forget[i] = 1.0f - in[i];
    }
  else
    {
      add_peephole (n, d->p ? d->p + 2 * n : NULL, c, forget);
      apply (&d->act[0], run->clip, n, forget);
    }
  apply (&d->act[1], run->clip, n, fresh);
  for (gsize i = 0; i < n; i++)
    h[i] = c[i] = forget[i] * c[i] + in[i] * fresh[i];
  add_peephole (n, d->p ? d->p + n : NULL, c, out);
  apply (&d->act[0], run->clip, n, out);
  apply (&d->act[2], 0.0f, n, h);
  for (gsize i = 0; i < n; i++)
    h[i] *= out[i];
}

/* Gates in the order update, reset, hidden. */
static void
gru_step (const Run *run, const Direction *d, const gboolean *running)
{
  gsize n = run->hidden, width = 3 * n;
  const REAL *hidden_bias = d->b && run->linear_before_reset ? d->b + width + 2 * n : NULL;

  add_recurrence (run, run->h, d->r, 0, 2);
  for (gsize b = 0; b < run->batch; b++)
    {
      memcpy (run->reset + b * n, run->sums + b * width + n, n * sizeof (REAL));
      apply (&d->act[0], run->clip, n, run->reset + b * n);
    }
  if (run->linear_before_reset)
    {
      /* The gate's place in sums becomes the recurrent part; the input part waits in that of the reset gate. */
      for (gsize b = 0; b < run->batch; b++)
        for (gsize i = 0; i < n; i++)
          {
            REAL *s = run->sums + b * width;
            s[n + i] = s[2 * n + i];
            s[2 * n + i] = hidden_bias ? hidden_bias[i] : 0.0f;
          }
      add_recurrence (run, run->h, d->r, 2, 1);
      for (gsize b = 0; b < run->batch; b++)
        for (gsize i = 0; i < n; i++)
          {
            REAL *s = run->sums + b * width;
            s[2 * n + i] = s[n + i] + run->reset[b * n + i] * s[2 * n + i];
          }
    }
  else
    {
      for (gsize i = 0; i < run->batch * n; i++)
        run->reset[i] *= run->h[i];
      add_recurrence (run, run->reset, d->r, 2, 1);
    }
  for (gsize b = 0; b < run->batch; b++)
    {
      REAL *update = run->sums + b * width, *fresh = update + 2 * n, *h = run->h + b * n;
      if (!running[b])
        continue;
      apply (&d->act[0], run->clip, n, update);
      apply (&d->act[1], run->clip, n, fresh);
      for (gsize i = 0; i < n; i++)
        h[i] = (1.0f - update[i]) * fresh[i] + update[i] * h[i];
    }
}

static void
run_step (const Run *run, const Direction *d, const gboolean *running)
{
  gsize n = run->hidden;

  if (run->cell == HT_RNN_GRU)
    {
      gru_step (run, d, running);
      return;
    }
  add_recurrence (run, run->h, d->r, 0, run->gates);
  for (gsize b = 0; b < run->batch; b++)
    {
      if (!running[b])
        continue;
      if (run->cell == HT_RNN_LSTM)
        lstm_row (run, d, run->sums + b * 4 * n, run->h + b * n, run->c + b * n);
      else
        {
          memcpy (run->h + b * n, run->sums + b * n, n * sizeof (REAL));
          apply (&d->act[0], run->clip, n, run->h + b * n);
        }
    }
}

/* States are [directions][batch][hidden], or [batch][directions][hidden]. */
static void
copy_state (const Run *run, gsize direction, const REAL *from, REAL *to, gboolean into_buffer)
{
  for (gsize b = 0; b < run->batch; b++)
    {
      gsize place = (run->batch_first ? b * run->directions + direction : direction * run->batch + b) * run->hidden;
      gsize row = b * run->hidden;
      if (into_buffer && from == NULL)
        memset (to + row, 0, run->hidden * sizeof (REAL));
      else if (into_buffer)
        memcpy (to + row, from + place, run->hidden * sizeof (REAL));
      else if (to)
        memcpy (to + place, from + row, run->hidden * sizeof (REAL));
    }
}

static void
store_step (const Run *run, gsize direction, gsize batch, gsize time, REAL *y)
{
  gsize place = run->batch_first ? (batch * run->time + time) * run->directions + direction
                                 : (time * run->directions + direction) * run->batch + batch;
  memcpy (y + place * run->hidden, run->h + batch * run->hidden, run->hidden * sizeof (REAL));
}

static gboolean
run_direction (const HtOpCall *call, Run *run, const Direction *d, REAL *y, gboolean *running, gsize *times,
               GError **error)
{
  project (run, d);
  for (gsize step = 0; step < run->time; step++)
    {
      if (g_cancellable_set_error_if_cancelled (call->cancellable, error))
        return FALSE;
      for (gsize b = 0; b < run->batch; b++)
        running[b] = begin_row (run, d, step, b, &times[b]);
      run_step (run, d, running);
      for (gsize b = 0; y && b < run->batch; b++)
        if (running[b])
          store_step (run, d->index, b, times[b], y);
    }
  return TRUE;
}

static const REAL *
optional_input (const HtOpCall *call, guint index)
{
  return index < call->n_inputs && call->inputs[index] ? ht_tensor_get_data (call->inputs[index]) : NULL;
}

static REAL *
optional_output (const HtOpCall *call, guint index)
{
  return index < call->n_outputs && call->outputs[index] ? ht_tensor_get_writable_data (call->outputs[index]) : NULL;
}

static void
set_up (const HtOpCall *call, Run *run)
{
  const gint64 *x = ht_tensor_get_dims (call->inputs[0], NULL);

  run->cell = ht_rnn_cell_of (call->node);
  run->gates = ht_rnn_cells[run->cell].n_gates;
  run->directions = ht_rnn_count_directions (call->node);
  run->batch_first = ht_node_get_int (call->node, "layout", 0) != 0;
  run->time = (gsize)x[run->batch_first ? 1 : 0];
  run->batch = (gsize)x[run->batch_first ? 0 : 1];
  run->input = (gsize)x[2];
  run->hidden = (gsize)ht_tensor_get_dim (call->inputs[2], 2);
  run->linear_before_reset = ht_node_get_int (call->node, "linear_before_reset", 0) != 0;
  run->couple_input_forget = ht_node_get_int (call->node, "input_forget", 0) != 0;
  run->clip = (REAL)ht_node_get_float (call->node, "clip", 0.0);
  run->x = ht_tensor_get_data (call->inputs[0]);
  run->lengths = call->n_inputs > 4 && call->inputs[4] ? ht_tensor_get_data (call->inputs[4]) : NULL;
  run->projected = call->workspace;
  run->sums = run->projected + run->time * run->batch * run->gates * run->hidden;
  run->h = run->sums + run->batch * run->gates * run->hidden;
  run->c = run->h + run->batch * run->hidden;
  run->reset = run->c + run->batch * run->hidden;
  run->bias = run->reset + run->batch * run->hidden;
}

gboolean
RNN_RUN (const HtOpCall *call, GError **error)
{
  Run run = { 0 };
  Chosen chosen[6];

  if (!choose_activations (call, ht_rnn_count_directions (call->node), chosen, error))
    return FALSE;
  set_up (call, &run);
  gboolean reverse = strcmp (ht_node_get_string (call->node, "direction", "forward"), "reverse") == 0;
  gsize matrix = run.gates * run.hidden;
  REAL *y = optional_output (call, 0);
  gsize *times = (gsize *)(gpointer)(((guintptr)(run.bias + matrix) + 63) & ~(guintptr)63);
  gboolean *running = (gboolean *)(gpointer)(times + run.batch);
  if (y)
    memset (y, 0, ht_tensor_get_size (call->outputs[0]));
  for (gsize i = 0; i < run.directions; i++)
    {
      const REAL *b = optional_input (call, 3), *p = run.cell == HT_RNN_LSTM ? optional_input (call, 7) : NULL;
      Direction d = {
        .w = (const REAL *)ht_tensor_get_data (call->inputs[1]) + i * matrix * run.input,
        .r = (const REAL *)ht_tensor_get_data (call->inputs[2]) + i * matrix * run.hidden,
        .b = b ? b + i * 2 * matrix : NULL,
        .p = p ? p + i * 3 * run.hidden : NULL,
        .act = chosen + i * ht_rnn_cells[run.cell].n_activations,
        .reverse = reverse || i == 1,
        .index = i,
      };
      copy_state (&run, i, optional_input (call, 5), run.h, TRUE);
      copy_state (&run, i, run.cell == HT_RNN_LSTM ? optional_input (call, 6) : NULL, run.c, TRUE);
      if (!run_direction (call, &run, &d, y, running, times, error))
        return FALSE;
      copy_state (&run, i, run.h, optional_output (call, 1), FALSE);
      copy_state (&run, i, run.c, run.cell == HT_RNN_LSTM ? optional_output (call, 2) : NULL, FALSE);
    }
  return TRUE;
}
