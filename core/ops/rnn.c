/* SPDX-License-Identifier: MIT */
/* RNN, GRU and LSTM: the equations of the ONNX specification, all directions, with sequence lengths. */
#include "kernels/gemm.h"
#include "ops/loop.h"
#include "ops/ops.h"
#include "ops/rules.h"

#include <math.h>
#include <string.h>

typedef enum
{
  CELL_RNN,
  CELL_GRU,
  CELL_LSTM,
} Cell;

/* Blocks of `hidden` rows in the weights, activations a direction has, and those that are the default. */
static const struct
{
  guint n_gates, n_activations;
  const char *defaults[3];
} cells[] = {
  [CELL_RNN] = { 1, 1, { "Tanh" } },
  [CELL_GRU] = { 3, 2, { "Sigmoid", "Tanh" } },
  [CELL_LSTM] = { 4, 3, { "Sigmoid", "Tanh", "Tanh" } },
};

static Cell
cell_of (HtNode *node)
{
  const char *op = ht_node_get_op_type (node);
  return op[0] == 'L' ? CELL_LSTM : op[0] == 'G' ? CELL_GRU : CELL_RNN;
}

/* 0: none of the three words. */
static guint
count_directions (HtNode *node)
{
  const char *direction = ht_node_get_string (node, "direction", "forward");
  if (strcmp (direction, "bidirectional") == 0)
    return 2;
  return strcmp (direction, "forward") == 0 || strcmp (direction, "reverse") == 0 ? 1 : 0;
}

/* Inference */

static gboolean
expect_dims (const HtInfer *infer, guint input, guint n_dims, const gint64 *expected, GError **error)
{
  HtDims dims;

  if (!ht_infer_read_dims (infer, input, &dims))
    return TRUE;
  gboolean fits = dims.n == n_dims;
  for (guint i = 0; i < n_dims && fits; i++)
    fits = dims.dim[i] < 0 || expected[i] < 0 || dims.dim[i] == expected[i];
  if (fits)
    return TRUE;
  g_autofree char *found = ht_shape_to_string (ht_infer_get_shape (infer, input));
  g_autoptr (HtShape) shape = ht_shape_new (expected, NULL, n_dims);
  g_autofree char *text = ht_shape_to_string (shape);
  return ht_infer_fail (infer, error, "input %u ('%s') has shape %s, expected %s", input,
                        ht_node_get_input (infer->node, input), found, text);
}

static gboolean
check_operands (const HtInfer *infer, const HtDims *x, gint64 directions, gint64 hidden, gboolean batch_first,
                GError **error)
{
  gint64 gates = cells[cell_of (infer->node)].n_gates;
  gint64 batch = x->n == 3 ? x->dim[batch_first ? 0 : 1] : -1;
  const gint64 w[] = { directions, gates * hidden, x->n == 3 ? x->dim[2] : -1 };
  const gint64 r[] = { directions, gates * hidden, hidden };
  const gint64 b[] = { directions, 2 * gates * hidden };
  const gint64 p[] = { directions, 3 * hidden };
  const gint64 state[] = { batch_first ? batch : directions, batch_first ? directions : batch, hidden };

  return expect_dims (infer, 1, 3, w, error) && expect_dims (infer, 2, 3, r, error)
         && expect_dims (infer, 3, 2, b, error) && expect_dims (infer, 4, 1, &batch, error)
         && expect_dims (infer, 5, 3, state, error)
         && (gates != 4 || (expect_dims (infer, 6, 3, state, error) && expect_dims (infer, 7, 2, p, error)));
}

static gboolean
rnn_infer (HtInfer *infer, GError **error)
{
  Cell cell = cell_of (infer->node);
  gint64 directions = count_directions (infer->node);
  gint64 hidden = ht_node_get_int (infer->node, "hidden_size", -1);
  gboolean batch_first = ht_node_get_int (infer->node, "layout", 0) != 0;
  HtDims x = { 0 }, r;
  HtDataType type = ht_infer_get_type (infer, 0);

  if (!ht_infer_check_arity (infer, 3, cell == CELL_LSTM ? 8 : 6, error)
      || !ht_infer_check_type (infer, 0, HT_TYPES_FLOAT, error) || !ht_infer_check_rank (infer, 0, 3, 3, error)
      || !ht_infer_check_rank (infer, 2, 3, 3, error) || !ht_infer_check_type (infer, 4, HT_TYPE_BIT (INT32), error))
    return FALSE;
  for (guint i = 1; i < infer->n_inputs; i++)
    if (i != 4 && !ht_infer_check_same_type (infer, 0, i, error))
      return FALSE;
  if (directions == 0)
    return ht_infer_fail (infer, error, "the attribute direction is '%s', expected forward, reverse or bidirectional",
                          ht_node_get_string (infer->node, "direction", "forward"));
  if (hidden < 0 && ht_infer_read_dims (infer, 2, &r))
    hidden = r.dim[2];
  if (hidden == 0 || hidden > G_MAXINT32)
    return ht_infer_fail (infer, error, "the hidden state has %" G_GINT64_FORMAT " elements", hidden);
  ht_infer_read_dims (infer, 0, &x);
  if (hidden > 0 && !check_operands (infer, &x, directions, hidden, batch_first, error))
    return FALSE;
  gint64 time = x.n == 3 ? x.dim[batch_first ? 1 : 0] : -1, batch = x.n == 3 ? x.dim[batch_first ? 0 : 1] : -1;
  const char *batch_symbol = x.n == 3 ? x.symbol[batch_first ? 0 : 1] : NULL;
  const char *time_symbol = x.n == 3 ? x.symbol[batch_first ? 1 : 0] : NULL;
  HtDims y = { 0 }, state = { 0 };
  ht_dims_append (&y, batch_first ? batch : time, batch_first ? batch_symbol : time_symbol);
  ht_dims_append (&y, batch_first ? time : directions, batch_first ? time_symbol : NULL);
  ht_dims_append (&y, batch_first ? directions : batch, batch_first ? NULL : batch_symbol);
  ht_dims_append (&y, hidden, NULL);
  ht_dims_append (&state, batch_first ? batch : directions, batch_first ? batch_symbol : NULL);
  ht_dims_append (&state, batch_first ? directions : batch, batch_first ? NULL : batch_symbol);
  ht_dims_append (&state, hidden, NULL);
  ht_infer_put_dims (infer, 0, type, &y);
  for (guint i = 1; i < infer->n_outputs; i++)
    ht_infer_put_dims (infer, i, type, &state);
  return TRUE;
}

/* Activations */

typedef float (*Activation) (float x, float alpha, float beta);

static float
act_sigmoid (float x, float alpha, float beta)
{
  float e = expf (-fabsf (x));
  return x >= 0.0f ? 1.0f / (1.0f + e) : e / (1.0f + e);
}

static float
act_tanh (float x, float alpha, float beta)
{
  return tanhf (x);
}

static float
act_relu (float x, float alpha, float beta)
{
  return x > 0.0f ? x : 0.0f;
}

static float
act_affine (float x, float alpha, float beta)
{
  return alpha * x + beta;
}

static float
act_leaky_relu (float x, float alpha, float beta)
{
  return x >= 0.0f ? x : alpha * x;
}

static float
act_thresholded_relu (float x, float alpha, float beta)
{
  return x > alpha ? x : 0.0f;
}

static float
act_scaled_tanh (float x, float alpha, float beta)
{
  return alpha * tanhf (beta * x);
}

static float
act_hard_sigmoid (float x, float alpha, float beta)
{
  return fminf (fmaxf (alpha * x + beta, 0.0f), 1.0f);
}

static float
act_elu (float x, float alpha, float beta)
{
  return x >= 0.0f ? x : alpha * expm1f (x);
}

static float
act_softsign (float x, float alpha, float beta)
{
  return x / (1.0f + fabsf (x));
}

static float
act_softplus (float x, float alpha, float beta)
{
  return fmaxf (x, 0.0f) + log1pf (expf (-fabsf (x)));
}

static const struct
{
  const char *name;
  Activation function;
  float alpha, beta;
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
  float alpha, beta;
} Chosen;

static inline float
apply (const Chosen *chosen, float x)
{
  return chosen->function (x, chosen->alpha, chosen->beta);
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
  guint n = cells[cell_of (call->node)].n_activations * directions;
  const char *const *names = ht_node_get_strings (call->node, "activations");
  gsize n_alpha = 0, n_beta = 0, next = 0;
  const float *alpha = ht_node_get_floats (call->node, "activation_alpha", &n_alpha);
  const float *beta = ht_node_get_floats (call->node, "activation_beta", &n_beta);

  if (names && g_strv_length ((char **)names) != n)
    return ht_op_fail (call, error, "the attribute activations has %u names, expected %u",
                       g_strv_length ((char **)names), n);
  for (guint i = 0; i < n; i++)
    {
      const char *name = names ? names[i] : cells[cell_of (call->node)].defaults[i % (n / directions)];
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
  Cell cell;
  gsize time, batch, input, hidden, gates, directions;
  gboolean batch_first, linear_before_reset, couple_input_forget;
  float clip;            /* 0: none */
  const gint32 *lengths; /* NULL: all have the full length */
  const float *x;
  float *projected; /* [time x batch][gates x hidden] (or batch x time): x times the weights, with the biases */
  float *sums;      /* [batch][gates x hidden] of a step */
  float *h, *c;     /* [batch][hidden] */
  float *reset;     /* [batch][hidden], GRU */
  float *bias;      /* [gates x hidden] */
} Run;

typedef struct
{
  const float *w, *r, *b, *p;
  const Chosen *act;
  gboolean reverse;
  gsize index;
} Direction;

static inline float
clip (const Run *run, float x)
{
  return run->clip > 0.0f ? fminf (fmaxf (x, -run->clip), run->clip) : x;
}

/* All inputs of all steps at once. */
static void
project (Run *run, const Direction *d)
{
  gsize n = run->gates * run->hidden, rows = run->time * run->batch;
  /* The bias of the GRU's new state on the recurrent side stands apart where the reset gate multiplies it. */
  gsize apart = run->cell == CELL_GRU && run->linear_before_reset ? 2 * run->hidden : n;
  HtGemmShape shape = { .transpose_b = TRUE,
                        .m = rows,
                        .n = n,
                        .k = run->input,
                        .lda = run->input,
                        .ldb = run->input,
                        .ldc = n,
                        .alpha = 1.0f,
                        .beta = 1.0f };

  for (gsize i = 0; i < n; i++)
    run->bias[i] = d->b ? d->b[i] + (i < apart ? d->b[n + i] : 0.0f) : 0.0f;
  for (gsize row = 0; row < rows; row++)
    memcpy (run->projected + row * n, run->bias, n * sizeof (float));
  ht_kernel_gemm_batch (&shape, 1, run->x, NULL, d->w, NULL, run->projected, 0);
}

/* sums = the projection of this step's input; TRUE where the sequence still runs. */
static gboolean
begin_row (const Run *run, const Direction *d, gsize step, gsize batch, gsize *time)
{
  gsize n = run->gates * run->hidden;
  gsize length = run->lengths ? (gsize)CLAMP (run->lengths[batch], 0, (gint32)run->time) : run->time;

  if (step >= length)
    {
      memset (run->sums + batch * n, 0, n * sizeof (float));
      return FALSE;
    }
  *time = d->reverse ? length - 1 - step : step;
  gsize row = run->batch_first ? batch * run->time + *time : *time * run->batch + batch;
  memcpy (run->sums + batch * n, run->projected + row * n, n * sizeof (float));
  return TRUE;
}

/* sums[:, first gate...] += state * R[first gate...]' */
static void
add_recurrence (const Run *run, const float *state, const float *r, gsize first, gsize n_gates)
{
  gsize n = run->gates * run->hidden;
  HtGemmShape shape = { .transpose_b = TRUE,
                        .m = run->batch,
                        .n = n_gates * run->hidden,
                        .k = run->hidden,
                        .lda = run->hidden,
                        .ldb = run->hidden,
                        .ldc = n,
                        .alpha = 1.0f,
                        .beta = 1.0f };
  ht_kernel_gemm_batch (&shape, 1, state, NULL, r + first * run->hidden * run->hidden, NULL,
                        run->sums + first * run->hidden, 0);
}

/* Gates in the order input, output, forget, cell. */
static void
lstm_row (const Run *run, const Direction *d, const float *s, float *h, float *c)
{
  gsize n = run->hidden;
  const float *p = d->p;

  for (gsize i = 0; i < n; i++)
    {
      float in = apply (&d->act[0], clip (run, s[i] + (p ? p[i] * c[i] : 0.0f)));
      float forget = run->couple_input_forget
                         ? 1.0f - in
                         : apply (&d->act[0], clip (run, s[2 * n + i] + (p ? p[2 * n + i] * c[i] : 0.0f)));
      float fresh = apply (&d->act[1], clip (run, s[3 * n + i]));
      c[i] = forget * c[i] + in * fresh;
      float out = apply (&d->act[0], clip (run, s[n + i] + (p ? p[n + i] * c[i] : 0.0f)));
      h[i] = out * apply (&d->act[2], c[i]);
    }
}

/* Gates in the order update, reset, hidden. */
static void
gru_step (const Run *run, const Direction *d, const gboolean *running)
{
  gsize n = run->hidden, width = 3 * n;
  const float *hidden_bias = d->b && run->linear_before_reset ? d->b + width + 2 * n : NULL;

  add_recurrence (run, run->h, d->r, 0, 2);
  for (gsize b = 0; b < run->batch; b++)
    for (gsize i = 0; i < n; i++)
      run->reset[b * n + i] = apply (&d->act[0], clip (run, run->sums[b * width + n + i]));
  if (run->linear_before_reset)
    {
      /* The gate's place in sums becomes the recurrent part; the input part waits in that of the reset gate. */
      for (gsize b = 0; b < run->batch; b++)
        for (gsize i = 0; i < n; i++)
          {
            float *s = run->sums + b * width;
            s[n + i] = s[2 * n + i];
            s[2 * n + i] = hidden_bias ? hidden_bias[i] : 0.0f;
          }
      add_recurrence (run, run->h, d->r, 2, 1);
      for (gsize b = 0; b < run->batch; b++)
        for (gsize i = 0; i < n; i++)
          {
            float *s = run->sums + b * width;
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
    for (gsize i = 0; running[b] && i < n; i++)
      {
        float update = apply (&d->act[0], clip (run, run->sums[b * width + i]));
        float fresh = apply (&d->act[1], clip (run, run->sums[b * width + 2 * n + i]));
        run->h[b * n + i] = (1.0f - update) * fresh + update * run->h[b * n + i];
      }
}

static void
run_step (const Run *run, const Direction *d, const gboolean *running)
{
  gsize n = run->hidden;

  if (run->cell == CELL_GRU)
    {
      gru_step (run, d, running);
      return;
    }
  add_recurrence (run, run->h, d->r, 0, run->gates);
  for (gsize b = 0; b < run->batch; b++)
    {
      if (!running[b])
        continue;
      if (run->cell == CELL_LSTM)
        lstm_row (run, d, run->sums + b * 4 * n, run->h + b * n, run->c + b * n);
      else
        for (gsize i = 0; i < n; i++)
          run->h[b * n + i] = apply (&d->act[0], clip (run, run->sums[b * n + i]));
    }
}

/* States are [directions][batch][hidden], or [batch][directions][hidden]. */
static void
copy_state (const Run *run, gsize direction, const float *from, float *to, gboolean into_buffer)
{
  for (gsize b = 0; b < run->batch; b++)
    {
      gsize place = (run->batch_first ? b * run->directions + direction : direction * run->batch + b) * run->hidden;
      gsize row = b * run->hidden;
      if (into_buffer && from == NULL)
        memset (to + row, 0, run->hidden * sizeof (float));
      else if (into_buffer)
        memcpy (to + row, from + place, run->hidden * sizeof (float));
      else if (to)
        memcpy (to + place, from + row, run->hidden * sizeof (float));
    }
}

static void
store_step (const Run *run, gsize direction, gsize batch, gsize time, float *y)
{
  gsize place = run->batch_first ? (batch * run->time + time) * run->directions + direction
                                 : (time * run->directions + direction) * run->batch + batch;
  memcpy (y + place * run->hidden, run->h + batch * run->hidden, run->hidden * sizeof (float));
}

static gboolean
run_direction (const HtOpCall *call, Run *run, const Direction *d, float *y, gboolean *running, gsize *times,
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

/* Scratch memory */

static gsize
count_floats (gsize time, gsize batch, gsize hidden, gsize gates)
{
  gsize rows;
  if (!g_size_checked_mul (&rows, time + 1, batch) || !g_size_checked_mul (&rows, rows, gates * hidden))
    return G_MAXSSIZE / sizeof (float);
  return rows + batch * hidden * 3 + gates * hidden + 64;
}

static gsize
rnn_workspace (const HtInfer *infer)
{
  gboolean batch_first = ht_node_get_int (infer->node, "layout", 0) != 0;
  HtDims x, r;

  if (!ht_infer_read_dims (infer, 0, &x) || !ht_infer_read_dims (infer, 2, &r) || x.n != 3 || r.n != 3)
    return 0;
  gsize batch = (gsize)x.dim[batch_first ? 0 : 1];
  gsize floats
      = count_floats ((gsize)x.dim[batch_first ? 1 : 0], batch, (gsize)r.dim[2], cells[cell_of (infer->node)].n_gates);
  return floats * sizeof (float) + batch * (sizeof (gboolean) + sizeof (gsize)) + 64;
}

static const float *
optional_input (const HtOpCall *call, guint index)
{
  return index < call->n_inputs && call->inputs[index] ? ht_tensor_get_data (call->inputs[index]) : NULL;
}

static float *
optional_output (const HtOpCall *call, guint index)
{
  return index < call->n_outputs && call->outputs[index] ? ht_tensor_get_writable_data (call->outputs[index]) : NULL;
}

static void
set_up (const HtOpCall *call, Run *run)
{
  const gint64 *x = ht_tensor_get_dims (call->inputs[0], NULL);

  run->cell = cell_of (call->node);
  run->gates = cells[run->cell].n_gates;
  run->directions = count_directions (call->node);
  run->batch_first = ht_node_get_int (call->node, "layout", 0) != 0;
  run->time = (gsize)x[run->batch_first ? 1 : 0];
  run->batch = (gsize)x[run->batch_first ? 0 : 1];
  run->input = (gsize)x[2];
  run->hidden = (gsize)ht_tensor_get_dim (call->inputs[2], 2);
  run->linear_before_reset = ht_node_get_int (call->node, "linear_before_reset", 0) != 0;
  run->couple_input_forget = ht_node_get_int (call->node, "input_forget", 0) != 0;
  run->clip = (float)ht_node_get_float (call->node, "clip", 0.0);
  run->x = ht_tensor_get_data (call->inputs[0]);
  run->lengths = call->n_inputs > 4 && call->inputs[4] ? ht_tensor_get_data (call->inputs[4]) : NULL;
  run->projected = call->workspace;
  run->sums = run->projected + run->time * run->batch * run->gates * run->hidden;
  run->h = run->sums + run->batch * run->gates * run->hidden;
  run->c = run->h + run->batch * run->hidden;
  run->reset = run->c + run->batch * run->hidden;
  run->bias = run->reset + run->batch * run->hidden;
}

static gboolean
rnn_forward (const HtOpCall *call, GError **error)
{
  Run run = { 0 };
  Chosen chosen[6];

  if (ht_op_is_half (call))
    return ht_op_widen (call, rnn_forward, error);
  if (ht_tensor_get_data_type (call->inputs[0]) != HT_DATA_TYPE_FLOAT)
    return ht_op_fail_type (call, ht_tensor_get_data_type (call->inputs[0]), error);
  if (!choose_activations (call, count_directions (call->node), chosen, error))
    return FALSE;
  set_up (call, &run);
  gboolean reverse = strcmp (ht_node_get_string (call->node, "direction", "forward"), "reverse") == 0;
  gsize matrix = run.gates * run.hidden;
  float *y = optional_output (call, 0);
  gsize *times = (gsize *)(gpointer)(((guintptr)(run.bias + matrix) + 63) & ~(guintptr)63);
  gboolean *running = (gboolean *)(gpointer)(times + run.batch);
  if (y)
    memset (y, 0, ht_tensor_get_size (call->outputs[0]));
  for (gsize i = 0; i < run.directions; i++)
    {
      const float *b = optional_input (call, 3), *p = run.cell == CELL_LSTM ? optional_input (call, 7) : NULL;
      Direction d = {
        .w = (const float *)ht_tensor_get_data (call->inputs[1]) + i * matrix * run.input,
        .r = (const float *)ht_tensor_get_data (call->inputs[2]) + i * matrix * run.hidden,
        .b = b ? b + i * 2 * matrix : NULL,
        .p = p ? p + i * 3 * run.hidden : NULL,
        .act = chosen + i * cells[run.cell].n_activations,
        .reverse = reverse || i == 1,
        .index = i,
      };
      copy_state (&run, i, optional_input (call, 5), run.h, TRUE);
      copy_state (&run, i, run.cell == CELL_LSTM ? optional_input (call, 6) : NULL, run.c, TRUE);
      if (!run_direction (call, &run, &d, y, running, times, error))
        return FALSE;
      copy_state (&run, i, run.h, optional_output (call, 1), FALSE);
      copy_state (&run, i, run.c, run.cell == CELL_LSTM ? optional_output (call, 2) : NULL, FALSE);
    }
  return TRUE;
}

static const HtOperator operators[] = {
  { .op_type = "GRU", .since_version = 7, .infer = rnn_infer, .forward = rnn_forward, .workspace = rnn_workspace },
  { .op_type = "LSTM", .since_version = 7, .infer = rnn_infer, .forward = rnn_forward, .workspace = rnn_workspace },
  { .op_type = "RNN", .since_version = 7, .infer = rnn_infer, .forward = rnn_forward, .workspace = rnn_workspace },
};

void
ht_ops_register_rnn (void)
{
  HT_OPS_REGISTER (operators);
}
