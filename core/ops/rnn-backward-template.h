/* SPDX-License-Identifier: MIT */
/* The gradients of RNN, GRU and LSTM in the number type REAL: included by rnn-backward.c, which defines REAL, FN (name)
 * and PRODUCT (shape, a, b, c). Functions of <math.h> are those of the type through <tgmath.h>.
 *
 * The forward pass is computed again, with what each step needs kept by row: a row is one time of one sequence, in the
 * order of X. Rows that lie beyond the length of their sequence are zero throughout. */

typedef struct
{
  Sizes size;
  const gint32 *lengths;
  const REAL *x, *w, *r, *b, *p;
  REAL *gates;    /* [rows][gates x hidden], through their activations; going back their sums' gradients */
  REAL *states;   /* [rows][hidden]: the hidden state before the step */
  REAL *cells;    /* LSTM, [rows][hidden]: the cell before the step */
  REAL *squashed; /* LSTM, [rows][hidden]: the cell after the step, through its activation */
  REAL *inner;    /* GRU, [rows][hidden]: see gru-backward-template.h */
  REAL *sums;     /* [batch][gates x hidden] */
  REAL *h, *c;    /* [batch][hidden]; going back their gradients. GRU: c is scratch memory */
  const Activation *act;
  gboolean reverse;
} FN (Rnn);

static REAL
FN (activate) (Activation act, REAL x)
{
  if (act == ACT_SIGMOID)
    {
      REAL e = exp (-fabs (x));
      return x >= 0 ? 1 / (1 + e) : e / (1 + e);
    }
  return act == ACT_TANH ? tanh (x) : x > 0 ? x : 0;
}

/* From the value of the function. */
static REAL
FN (slope) (Activation act, REAL y)
{
  return act == ACT_SIGMOID ? y * (1 - y) : act == ACT_TANH ? 1 - y * y : (REAL)(y > 0);
}

/* The row of step `step` of sequence `batch`; G_MAXSIZE: it has ended. */
static gsize
FN (find_row) (const FN (Rnn) * self, gsize step, gsize batch)
{
  const Sizes *size = &self->size;
  gsize length = self->lengths ? (gsize)CLAMP (self->lengths[batch], 0, (gint32)size->time) : size->time;
  if (step >= length)
    return G_MAXSIZE;
  gsize time = self->reverse ? length - 1 - step : step;
  return size->batch_first ? batch * size->time + time : time * size->batch + batch;
}

/* sum[i] = the sum of column i of [rows][step] */
static void
FN (add_rows) (gsize rows, gsize step, gsize n, const REAL *from, REAL *sum)
{
  for (gsize i = 0; i < n; i++)
    {
      double total = 0.0;
      for (gsize row = 0; row < rows; row++)
        total += (double)from[row * step + i];
      sum[i] = (REAL)total;
    }
}

#include "ops/gru-backward-template.h"
#include "ops/lstm-backward-template.h"

static void
FN (forward_row) (FN (Rnn) * self, gsize row, gsize b)
{
  gsize n = self->size.hidden;
  const REAL *sums = self->sums + b * self->size.gates * n;
  REAL *h = self->h + b * n;

  memcpy (self->states + row * n, h, n * sizeof (REAL));
  if (self->size.cell == HT_RNN_LSTM)
    FN (lstm_forward_row) (self, row, sums, h, self->c + b * n);
  else if (self->size.cell == HT_RNN_GRU)
    FN (gru_forward_row) (self, row, b);
  else
    for (gsize i = 0; i < n; i++)
      h[i] = self->gates[row * n + i] = FN (activate) (self->act[0], sums[i]);
}

static void
FN (forward) (FN (Rnn) * self)
{
  const Sizes *size = &self->size;
  gsize n = size->hidden, width = size->gates * n, rows = size->time * size->batch;
  /* The recurrent bias of a GRU's new state stands apart where the reset gate multiplies it. */
  gsize apart = size->linear_before_reset ? 2 * n : width;
  HtGemmShape input = { .transpose_b = TRUE,
                        .m = rows,
                        .n = width,
                        .k = size->input,
                        .lda = size->input,
                        .ldb = size->input,
                        .ldc = width,
                        .alpha = 1.0f,
                        .beta = 1.0f };
  HtGemmShape recurrent = { .transpose_b = TRUE,
                            .m = size->batch,
                            .n = size->cell == HT_RNN_GRU ? 2 * n : width,
                            .k = n,
                            .lda = n,
                            .ldb = n,
                            .ldc = width,
                            .alpha = 1.0f,
                            .beta = 1.0f };

  for (gsize row = 0; row < rows; row++)
    for (gsize i = 0; i < width; i++)
      self->gates[row * width + i] = self->b ? self->b[i] + (i < apart ? self->b[width + i] : 0) : 0;
  PRODUCT (&input, self->x, self->w, self->gates);
  memset (self->states, 0, rows * n * sizeof (REAL));
  if (size->cell == HT_RNN_GRU)
    memset (self->inner, 0, rows * n * sizeof (REAL));
  for (gsize step = 0; step < size->time; step++)
    {
      for (gsize b = 0; b < size->batch; b++)
        {
          gsize row = FN (find_row) (self, step, b);
          if (row == G_MAXSIZE)
            memset (self->sums + b * width, 0, width * sizeof (REAL));
          else
            memcpy (self->sums + b * width, self->gates + row * width, width * sizeof (REAL));
        }
      PRODUCT (&recurrent, self->h, self->r, self->sums);
      if (size->cell == HT_RNN_GRU)
        FN (gru_add_inner) (self);
      for (gsize b = 0; b < size->batch; b++)
        {
          gsize row = FN (find_row) (self, step, b);
          if (row != G_MAXSIZE)
            FN (forward_row) (self, row, b);
        }
    }
}

/* From the gradient of the state after the step: that of the sums to gates and sums, and to dh what goes to the state
 * before the step but through the recurrent product. */
static void
FN (backward_row) (FN (Rnn) * self, gsize row, gsize b, REAL *dp)
{
  gsize n = self->size.hidden, width = self->size.gates * n;
  REAL *gates = self->gates + row * width, *dh = self->h + b * n, *sums = self->sums + b * width;

  if (self->size.cell == HT_RNN_GRU)
    {
      FN (gru_backward_row) (self, row, dh, sums);
      return;
    }
  if (self->size.cell == HT_RNN_LSTM)
    FN (lstm_backward_row) (self, row, dh, self->c + b * n, dp);
  else
    for (gsize i = 0; i < n; i++)
      gates[i] = dh[i] * FN (slope) (self->act[0], gates[i]);
  memcpy (sums, gates, width * sizeof (REAL));
  memset (dh, 0, n * sizeof (REAL));
}

/* h and c hold the gradients of the last states, and then those of the first. dy is that of Y, NULL: zero. */
static void
FN (backward) (FN (Rnn) * self, gsize direction, const REAL *dy, REAL *dp)
{
  const Sizes *size = &self->size;
  gsize n = size->hidden, width = size->gates * n;
  HtGemmShape recurrent
      = { .m = size->batch, .n = n, .k = width, .lda = width, .ldb = n, .ldc = n, .alpha = 1.0f, .beta = 1.0f };

  for (gsize row = 0; row < size->time * size->batch; row++)
    {
      gsize b = size->batch_first ? row / size->time : row % size->batch;
      gsize time = size->batch_first ? row % size->time : row / size->batch;
      if (self->lengths && time >= (gsize)CLAMP (self->lengths[b], 0, (gint32)size->time))
        memset (self->gates + row * width, 0, width * sizeof (REAL));
    }
  for (gsize step = size->time; step-- > 0;)
    {
      for (gsize b = 0; b < size->batch; b++)
        {
          gsize row = FN (find_row) (self, step, b);
          REAL *dh = self->h + b * n;
          memset (self->sums + b * width, 0, width * sizeof (REAL));
          if (row == G_MAXSIZE)
            continue;
          if (dy)
            {
              gsize place = size->batch_first ? row * size->directions + direction
                                              : (row / size->batch * size->directions + direction) * size->batch + b;
              for (gsize i = 0; i < n; i++)
                dh[i] += dy[place * n + i];
            }
          FN (backward_row) (self, row, b, dp);
        }
      if (size->cell == HT_RNN_GRU)
        FN (gru_go_through_reset) (self, step);
      PRODUCT (&recurrent, self->sums, self->r, self->h);
    }
}

/* The gradients of what all steps share, from those of the sums. */
static void
FN (collect) (FN (Rnn) * self, gboolean is_first, REAL *dx, REAL *dw, REAL *dr, REAL *db)
{
  const Sizes *size = &self->size;
  gsize n = size->hidden, width = size->gates * n, rows = size->time * size->batch;
  HtGemmShape to_x = { .m = rows,
                       .n = size->input,
                       .k = width,
                       .lda = width,
                       .ldb = size->input,
                       .ldc = size->input,
                       .alpha = 1.0f,
                       .beta = is_first ? 0.0f : 1.0f };
  HtGemmShape to_w = { .transpose_a = TRUE,
                       .m = width,
                       .n = size->input,
                       .k = rows,
                       .lda = width,
                       .ldb = size->input,
                       .ldc = size->input,
                       .alpha = 1.0f };
  HtGemmShape to_r = { .transpose_a = TRUE,
                       .m = size->cell == HT_RNN_GRU ? 2 * n : width,
                       .n = n,
                       .k = rows,
                       .lda = width,
                       .ldb = n,
                       .ldc = n,
                       .alpha = 1.0f };

  if (dx)
    PRODUCT (&to_x, self->gates, self->w, dx);
  if (dw)
    PRODUCT (&to_w, self->gates, self->x, dw);
  if (dr)
    PRODUCT (&to_r, self->gates, self->states, dr);
  if (db)
    {
      FN (add_rows) (rows, width, width, self->gates, db);
      memcpy (db + width, db, width * sizeof (REAL));
    }
  if (size->cell == HT_RNN_GRU)
    FN (gru_collect) (self, dr, db);
}

/* Between a state of all directions and a buffer of one. */
static void
FN (copy_state) (const Sizes *size, gsize direction, REAL *state, REAL *buffer, gboolean into_buffer)
{
  for (gsize b = 0; b < size->batch; b++)
    {
      gsize place = (size->batch_first ? b * size->directions + direction : direction * size->batch + b) * size->hidden;
      REAL *row = buffer + b * size->hidden;
      if (into_buffer && state == NULL)
        memset (row, 0, size->hidden * sizeof (REAL));
      else if (into_buffer)
        memcpy (row, state + place, size->hidden * sizeof (REAL));
      else if (state)
        memcpy (state + place, row, size->hidden * sizeof (REAL));
    }
}

static void
FN (run) (const HtOpCall *call, const Sizes *size, const Activation *activations, gboolean reverse,
          HtTensor *const *output_gradients, HtTensor *const *input_gradients)
{
  gsize n = size->hidden, width = size->gates * n, rows = size->time * size->batch, states = size->batch * n;
  gboolean is_lstm = size->cell == HT_RNN_LSTM; /* with cells and peepholes */
  REAL *dp = is_lstm ? writable (call, input_gradients, 7) : NULL, *dw = writable (call, input_gradients, 1);
  REAL *dr = writable (call, input_gradients, 2), *db = writable (call, input_gradients, 3);
  const REAL *b = readable (call->inputs, call->n_inputs, 3),
             *p = is_lstm ? readable (call->inputs, call->n_inputs, 7) : NULL;

  if (dp)
    ht_backward_zero (input_gradients[7]);
  for (gsize i = 0; i < size->directions; i++)
    {
      FN (Rnn)
      self = { .size = *size,
               .lengths = readable (call->inputs, call->n_inputs, 4),
               .x = readable (call->inputs, call->n_inputs, 0),
               .w = (const REAL *)readable (call->inputs, call->n_inputs, 1) + i * width * size->input,
               .r = (const REAL *)readable (call->inputs, call->n_inputs, 2) + i * width * n,
               .b = b ? b + i * 2 * width : NULL,
               .p = p ? p + i * 3 * n : NULL,
               .gates = call->workspace,
               .act = activations + ht_rnn_cells[size->cell].n_activations * i,
               .reverse = reverse || i == 1 };
      self.states = self.gates + rows * width;
      self.sums = self.states + rows * n;
      if (size->cell == HT_RNN_LSTM)
        {
          self.cells = self.sums;
          self.squashed = self.cells + rows * n;
          self.sums = self.squashed + rows * n;
        }
      else if (size->cell == HT_RNN_GRU)
        {
          self.inner = self.sums;
          self.sums = self.inner + rows * n;
        }
      self.h = self.sums + size->batch * width;
      self.c = self.h + states;
      FN (copy_state) (size, i, (REAL *)readable (call->inputs, call->n_inputs, 5), self.h, TRUE);
      FN (copy_state) (size, i, is_lstm ? (REAL *)readable (call->inputs, call->n_inputs, 6) : NULL, self.c, TRUE);
      FN (forward) (&self);
      FN (copy_state) (size, i, (REAL *)readable (output_gradients, call->n_outputs, 1), self.h, TRUE);
      FN (copy_state) (size, i, is_lstm ? (REAL *)readable (output_gradients, call->n_outputs, 2) : NULL, self.c, TRUE);
      FN (backward) (&self, i, readable (output_gradients, call->n_outputs, 0), dp ? dp + i * 3 * n : NULL);
      FN (copy_state) (size, i, writable (call, input_gradients, 5), self.h, FALSE);
      FN (copy_state) (size, i, is_lstm ? writable (call, input_gradients, 6) : NULL, self.c, FALSE);
      FN (collect)
      (&self, i == 0, writable (call, input_gradients, 0), dw ? dw + i * width * size->input : NULL,
       dr ? dr + i * width * n : NULL, db ? db + i * 2 * width : NULL);
    }
}
