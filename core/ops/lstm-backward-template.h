/* SPDX-License-Identifier: MIT */
/* The gradient of LSTM in the number type REAL: included by lstm-backward.c, which defines REAL, FN (name) and
 * PRODUCT (shape, a, b, c). Functions of <math.h> are those of the type through <tgmath.h>.
 *
 * The forward pass is computed again, with what each step needs kept by row: a row is one time of one sequence, in the
 * order of X. Rows that lie beyond the length of their sequence are zero throughout. */

typedef struct
{
  Sizes size;
  const gint32 *lengths;
  const REAL *x, *w, *r, *b, *p;
  REAL *gates;    /* [rows][4 x hidden]: input, output, forget, cell; going back their sums' gradients */
  REAL *cells;    /* [rows][hidden]: the cell before the step */
  REAL *states;   /* [rows][hidden]: the hidden state before the step */
  REAL *squashed; /* [rows][hidden]: the cell after the step, through its activation */
  REAL *sums;     /* [batch][4 x hidden] */
  REAL *h, *c;    /* [batch][hidden]; going back their gradients */
  const Activation *act;
  gboolean reverse;
} FN (Lstm);

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
FN (find_row) (const FN (Lstm) * self, gsize step, gsize batch)
{
  const Sizes *size = &self->size;
  gsize length = self->lengths ? (gsize)CLAMP (self->lengths[batch], 0, (gint32)size->time) : size->time;
  if (step >= length)
    return G_MAXSIZE;
  gsize time = self->reverse ? length - 1 - step : step;
  return size->batch_first ? batch * size->time + time : time * size->batch + batch;
}

static void
FN (forward_row) (FN (Lstm) * self, gsize row, const REAL *sums, REAL *h, REAL *c)
{
  gsize n = self->size.hidden;
  REAL *gates = self->gates + row * 4 * n;
  const REAL *p = self->p;

  memcpy (self->cells + row * n, c, n * sizeof (REAL));
  memcpy (self->states + row * n, h, n * sizeof (REAL));
  for (gsize i = 0; i < n; i++)
    {
      REAL in = FN (activate) (self->act[0], sums[i] + (p ? p[i] * c[i] : 0));
      REAL forget
          = self->size.couple ? 1 - in : FN (activate) (self->act[0], sums[2 * n + i] + (p ? p[2 * n + i] * c[i] : 0));
      REAL fresh = FN (activate) (self->act[1], sums[3 * n + i]);
      c[i] = forget * c[i] + in * fresh;
      REAL out = FN (activate) (self->act[0], sums[n + i] + (p ? p[n + i] * c[i] : 0));
      REAL squashed = FN (activate) (self->act[2], c[i]);
      h[i] = out * squashed;
      gates[i] = in;
      gates[n + i] = out;
      gates[2 * n + i] = forget;
      gates[3 * n + i] = fresh;
      self->squashed[row * n + i] = squashed;
    }
}

static void
FN (forward) (FN (Lstm) * self)
{
  const Sizes *size = &self->size;
  gsize n = size->hidden, rows = size->time * size->batch;
  HtGemmShape input = { .transpose_b = TRUE,
                        .m = rows,
                        .n = 4 * n,
                        .k = size->input,
                        .lda = size->input,
                        .ldb = size->input,
                        .ldc = 4 * n,
                        .alpha = 1.0f,
                        .beta = 1.0f };
  HtGemmShape recurrent = { .transpose_b = TRUE,
                            .m = size->batch,
                            .n = 4 * n,
                            .k = n,
                            .lda = n,
                            .ldb = n,
                            .ldc = 4 * n,
                            .alpha = 1.0f,
                            .beta = 1.0f };

  for (gsize row = 0; row < rows; row++)
    for (gsize i = 0; i < 4 * n; i++)
      self->gates[row * 4 * n + i] = self->b ? self->b[i] + self->b[4 * n + i] : 0;
  PRODUCT (&input, self->x, self->w, self->gates);
  memset (self->states, 0, rows * n * sizeof (REAL));
  for (gsize step = 0; step < size->time; step++)
    {
      for (gsize b = 0; b < size->batch; b++)
        {
          gsize row = FN (find_row) (self, step, b);
          if (row == G_MAXSIZE)
            memset (self->sums + b * 4 * n, 0, 4 * n * sizeof (REAL));
          else
            memcpy (self->sums + b * 4 * n, self->gates + row * 4 * n, 4 * n * sizeof (REAL));
        }
      PRODUCT (&recurrent, self->h, self->r, self->sums);
      for (gsize b = 0; b < size->batch; b++)
        {
          gsize row = FN (find_row) (self, step, b);
          if (row != G_MAXSIZE)
            FN (forward_row) (self, row, self->sums + b * 4 * n, self->h + b * n, self->c + b * n);
        }
    }
}

/* gates become the gradients of the sums; c that of the cell before the step. `dp` may be NULL. */
static void
FN (backward_row) (FN (Lstm) * self, gsize row, const REAL *dh, REAL *dc, REAL *dp)
{
  gsize n = self->size.hidden;
  REAL *gates = self->gates + row * 4 * n;
  const REAL *p = self->p, *before = self->cells + row * n;

  for (gsize i = 0; i < n; i++)
    {
      REAL in = gates[i], out = gates[n + i], forget = gates[2 * n + i], fresh = gates[3 * n + i];
      REAL squashed = self->squashed[row * n + i], after = forget * before[i] + in * fresh;
      REAL d_out = dh[i] * squashed * FN (slope) (self->act[0], out);
      REAL d = dc[i] + dh[i] * out * FN (slope) (self->act[2], squashed) + (p ? d_out * p[n + i] : 0);
      REAL d_forget = d * before[i];
      REAL d_in = (d * fresh - (self->size.couple ? d_forget : 0)) * FN (slope) (self->act[0], in);
      d_forget = self->size.couple ? 0 : d_forget * FN (slope) (self->act[0], forget);
      dc[i] = d * forget + (p ? d_in * p[i] + d_forget * p[2 * n + i] : 0);
      if (dp)
        {
          dp[i] += d_in * before[i];
          dp[n + i] += d_out * after;
          dp[2 * n + i] += d_forget * before[i];
        }
      gates[i] = d_in;
      gates[n + i] = d_out;
      gates[2 * n + i] = d_forget;
      gates[3 * n + i] = d * in * FN (slope) (self->act[1], fresh);
    }
}

/* h and c hold the gradients of the last states, and then those of the first. dy is that of Y, NULL: zero. */
static void
FN (backward) (FN (Lstm) * self, gsize direction, const REAL *dy, REAL *dp)
{
  const Sizes *size = &self->size;
  gsize n = size->hidden;
  HtGemmShape recurrent
      = { .m = size->batch, .n = n, .k = 4 * n, .lda = 4 * n, .ldb = n, .ldc = n, .alpha = 1.0f, .beta = 1.0f };

  for (gsize row = 0; row < size->time * size->batch; row++)
    {
      gsize b = size->batch_first ? row / size->time : row % size->batch;
      gsize time = size->batch_first ? row % size->time : row / size->batch;
      if (self->lengths && time >= (gsize)CLAMP (self->lengths[b], 0, (gint32)size->time))
        memset (self->gates + row * 4 * n, 0, 4 * n * sizeof (REAL));
    }
  for (gsize step = size->time; step-- > 0;)
    {
      for (gsize b = 0; b < size->batch; b++)
        {
          gsize row = FN (find_row) (self, step, b);
          REAL *dh = self->h + b * n, *sums = self->sums + b * 4 * n;
          memset (sums, 0, 4 * n * sizeof (REAL));
          if (row == G_MAXSIZE)
            continue;
          if (dy)
            {
              gsize place = size->batch_first ? row * size->directions + direction
                                              : (row / size->batch * size->directions + direction) * size->batch + b;
              for (gsize i = 0; i < n; i++)
                dh[i] += dy[place * n + i];
            }
          FN (backward_row) (self, row, dh, self->c + b * n, dp);
          memcpy (sums, self->gates + row * 4 * n, 4 * n * sizeof (REAL));
          memset (dh, 0, n * sizeof (REAL));
        }
      PRODUCT (&recurrent, self->sums, self->r, self->h);
    }
}

/* The gradients of what all steps share, from those of the sums. */
static void
FN (collect) (FN (Lstm) * self, gboolean is_first, REAL *dx, REAL *dw, REAL *dr, REAL *db)
{
  const Sizes *size = &self->size;
  gsize n = size->hidden, rows = size->time * size->batch;
  HtGemmShape to_x = { .m = rows,
                       .n = size->input,
                       .k = 4 * n,
                       .lda = 4 * n,
                       .ldb = size->input,
                       .ldc = size->input,
                       .alpha = 1.0f,
                       .beta = is_first ? 0.0f : 1.0f };
  HtGemmShape to_w = { .transpose_a = TRUE,
                       .m = 4 * n,
                       .n = size->input,
                       .k = rows,
                       .lda = 4 * n,
                       .ldb = size->input,
                       .ldc = size->input,
                       .alpha = 1.0f };
  HtGemmShape to_r
      = { .transpose_a = TRUE, .m = 4 * n, .n = n, .k = rows, .lda = 4 * n, .ldb = n, .ldc = n, .alpha = 1.0f };

  if (dx)
    PRODUCT (&to_x, self->gates, self->w, dx);
  if (dw)
    PRODUCT (&to_w, self->gates, self->x, dw);
  if (dr)
    PRODUCT (&to_r, self->gates, self->states, dr);
  for (gsize i = 0; db && i < 4 * n; i++)
    {
      double sum = 0.0;
      for (gsize row = 0; row < rows; row++)
        sum += (double)self->gates[row * 4 * n + i];
      db[i] = db[4 * n + i] = (REAL)sum;
    }
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
  gsize n = size->hidden, rows = size->time * size->batch, states = size->batch * n;
  REAL *dp = writable (call, input_gradients, 7), *dw = writable (call, input_gradients, 1);
  REAL *dr = writable (call, input_gradients, 2), *db = writable (call, input_gradients, 3);
  const REAL *b = readable (call->inputs, call->n_inputs, 3), *p = readable (call->inputs, call->n_inputs, 7);

  if (dp)
    ht_backward_zero (input_gradients[7]);
  for (gsize i = 0; i < size->directions; i++)
    {
      FN (Lstm)
      self = { .size = *size,
               .lengths = readable (call->inputs, call->n_inputs, 4),
               .x = readable (call->inputs, call->n_inputs, 0),
               .w = (const REAL *)readable (call->inputs, call->n_inputs, 1) + i * 4 * n * size->input,
               .r = (const REAL *)readable (call->inputs, call->n_inputs, 2) + i * 4 * n * n,
               .b = b ? b + i * 8 * n : NULL,
               .p = p ? p + i * 3 * n : NULL,
               .gates = call->workspace,
               .act = activations + 3 * i,
               .reverse = reverse || i == 1 };
      self.cells = self.gates + rows * 4 * n;
      self.states = self.cells + rows * n;
      self.squashed = self.states + rows * n;
      self.sums = self.squashed + rows * n;
      self.h = self.sums + 4 * states;
      self.c = self.h + states;
      FN (copy_state) (size, i, (REAL *)readable (call->inputs, call->n_inputs, 5), self.h, TRUE);
      FN (copy_state) (size, i, (REAL *)readable (call->inputs, call->n_inputs, 6), self.c, TRUE);
      FN (forward) (&self);
      FN (copy_state) (size, i, (REAL *)readable (output_gradients, call->n_outputs, 1), self.h, TRUE);
      FN (copy_state) (size, i, (REAL *)readable (output_gradients, call->n_outputs, 2), self.c, TRUE);
      FN (backward) (&self, i, readable (output_gradients, call->n_outputs, 0), dp ? dp + i * 3 * n : NULL);
      FN (copy_state) (size, i, writable (call, input_gradients, 5), self.h, FALSE);
      FN (copy_state) (size, i, writable (call, input_gradients, 6), self.c, FALSE);
      FN (collect)
      (&self, i == 0, writable (call, input_gradients, 0), dw ? dw + i * 4 * n * size->input : NULL,
       dr ? dr + i * 4 * n * n : NULL, db ? db + i * 8 * n : NULL);
    }
}
