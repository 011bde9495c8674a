/* SPDX-License-Identifier: MIT */
#include <halftone/optimizer.h>

#include "base/thread-pool.h"

#include <halftone/error.h>

#include <math.h>
#include <string.h>

/* Elements that one item of parallel work covers. */
#define GRAIN ((gsize)32768)

typedef enum
{
  OPTIMIZER_SGD,
  OPTIMIZER_ADAM,
  OPTIMIZER_ADAMW,
} Kind;

#define N_PARTS 2

struct _HtOptimizer
{
  GObject parent_instance;

  Kind kind;
  double learning_rate, momentum, beta1, beta2, epsilon, weight_decay;
  gboolean nesterov;
  GHashTable *states; /* name -> State */
};

/* What is kept for one tensor: the momentum, or the two moments. */
typedef struct
{
  guint64 n_steps;
  HtTensor *parts[N_PARTS];
} State;

/**
 * HtOptimizer:
 *
 * Moves tensors along their gradients: stochastic gradient descent with momentum, Adam, AdamW, by the formulas of
 * torch. What it keeps from step to step is kept for each tensor by its name, and can be read and set, so that a
 * training can be resumed. Results do not depend on the number of threads.
 */
G_DEFINE_FINAL_TYPE (HtOptimizer, ht_optimizer, G_TYPE_OBJECT)

static void
state_free (gpointer data)
{
  State *state = data;
  for (guint i = 0; i < N_PARTS; i++)
    g_clear_pointer (&state->parts[i], ht_tensor_unref);
  g_free (state);
}

static void
ht_optimizer_finalize (GObject *object)
{
  g_clear_pointer (&HT_OPTIMIZER (object)->states, g_hash_table_unref);
  G_OBJECT_CLASS (ht_optimizer_parent_class)->finalize (object);
}

static void
ht_optimizer_class_init (HtOptimizerClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = ht_optimizer_finalize;
}

static void
ht_optimizer_init (HtOptimizer *self)
{
  self->states = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, state_free);
}

/**
 * ht_optimizer_new_sgd:
 * @learning_rate: the learning rate
 * @momentum: how much of the last direction is kept, from 0 to below 1
 * @nesterov: look ahead along the momentum
 * @weight_decay: the share of the value that is added to the gradient
 *
 * Returns: (transfer full): stochastic gradient descent
 */
HtOptimizer *
ht_optimizer_new_sgd (double learning_rate, double momentum, gboolean nesterov, double weight_decay)
{
  g_return_val_if_fail (momentum >= 0.0 && momentum < 1.0, NULL);
  HtOptimizer *self = g_object_new (HT_TYPE_OPTIMIZER, NULL);
  self->kind = OPTIMIZER_SGD;
  self->learning_rate = learning_rate;
  self->momentum = momentum;
  self->nesterov = nesterov;
  self->weight_decay = weight_decay;
  return self;
}

static HtOptimizer *
adam_new (Kind kind, double learning_rate, double beta1, double beta2, double epsilon, double weight_decay)
{
  HtOptimizer *self = g_object_new (HT_TYPE_OPTIMIZER, NULL);
  self->kind = kind;
  self->learning_rate = learning_rate;
  self->beta1 = beta1;
  self->beta2 = beta2;
  self->epsilon = epsilon;
  self->weight_decay = weight_decay;
  return self;
}

/**
 * ht_optimizer_new_adam:
 * @learning_rate: the learning rate
 * @beta1: how much of the first moment is kept, from 0 to below 1; mostly 0.9
 * @beta2: how much of the second moment is kept, from 0 to below 1; mostly 0.999
 * @epsilon: what is added to the divisor; mostly 1e-8
 * @weight_decay: the share of the value that is added to the gradient
 *
 * Returns: (transfer full): Adam
 */
HtOptimizer *
ht_optimizer_new_adam (double learning_rate, double beta1, double beta2, double epsilon, double weight_decay)
{
  g_return_val_if_fail (beta1 >= 0.0 && beta1 < 1.0 && beta2 >= 0.0 && beta2 < 1.0, NULL);
  return adam_new (OPTIMIZER_ADAM, learning_rate, beta1, beta2, epsilon, weight_decay);
}

/**
 * ht_optimizer_new_adamw:
 * @learning_rate: the learning rate
 * @beta1: how much of the first moment is kept, from 0 to below 1; mostly 0.9
 * @beta2: how much of the second moment is kept, from 0 to below 1; mostly 0.999
 * @epsilon: what is added to the divisor; mostly 1e-8
 * @weight_decay: the share of the value that is taken off in each step, times the learning rate; mostly 0.01
 *
 * Returns: (transfer full): Adam with the decay of weights apart from the gradient
 */
HtOptimizer *
ht_optimizer_new_adamw (double learning_rate, double beta1, double beta2, double epsilon, double weight_decay)
{
  g_return_val_if_fail (beta1 >= 0.0 && beta1 < 1.0 && beta2 >= 0.0 && beta2 < 1.0, NULL);
  return adam_new (OPTIMIZER_ADAMW, learning_rate, beta1, beta2, epsilon, weight_decay);
}

/**
 * ht_optimizer_get_learning_rate:
 * @self: an optimizer
 *
 * Returns: the learning rate of the next step
 */
double
ht_optimizer_get_learning_rate (HtOptimizer *self)
{
  g_return_val_if_fail (HT_IS_OPTIMIZER (self), 0.0);
  return self->learning_rate;
}

/**
 * ht_optimizer_set_learning_rate:
 * @self: an optimizer
 * @learning_rate: the learning rate of the next step
 *
 * Sets the learning rate, which a schedule changes from step to step.
 */
void
ht_optimizer_set_learning_rate (HtOptimizer *self, double learning_rate)
{
  g_return_if_fail (HT_IS_OPTIMIZER (self));
  self->learning_rate = learning_rate;
}

static gboolean
same_form (HtTensor *a, HtTensor *b)
{
  guint n_a, n_b;
  const gint64 *dims_a = ht_tensor_get_dims (a, &n_a), *dims_b = ht_tensor_get_dims (b, &n_b);
  return ht_tensor_get_data_type (a) == ht_tensor_get_data_type (b) && n_a == n_b
         && (n_a == 0 || memcmp (dims_a, dims_b, n_a * sizeof (gint64)) == 0);
}

/* One step of `n` elements. */
typedef struct
{
  const HtOptimizer *optimizer;
  gconstpointer value, gradient;
  gpointer out, parts[N_PARTS];
  gboolean is_first;
  double step_size, root_correction; /* Adam's corrections for moments that start at zero */
} Work;

#define STEP(T, SQRT)                                                                                                  \
  static void sgd_##T (gsize begin, gsize end, guint worker, gpointer user_data)                                       \
  {                                                                                                                    \
    const Work *work = user_data;                                                                                      \
    const T *value = work->value, *gradient = work->gradient;                                                          \
    T *out = work->out, *kept = work->parts[0];                                                                        \
    T rate = (T)work->optimizer->learning_rate, momentum = (T)work->optimizer->momentum;                               \
    T decay = (T)work->optimizer->weight_decay;                                                                        \
    for (gsize i = begin; i < end; i++)                                                                                \
      {                                                                                                                \
        T g = gradient[i] + decay * value[i];                                                                          \
        if (kept)                                                                                                      \
          {                                                                                                            \
            kept[i] = work->is_first ? g : momentum * kept[i] + g;                                                     \
            g = work->optimizer->nesterov ? g + momentum * kept[i] : kept[i];                                          \
          }                                                                                                            \
        out[i] = value[i] - rate * g;                                                                                  \
      }                                                                                                                \
  }                                                                                                                    \
  static void adam_##T (gsize begin, gsize end, guint worker, gpointer user_data)                                      \
  {                                                                                                                    \
    const Work *work = user_data;                                                                                      \
    const HtOptimizer *o = work->optimizer;                                                                            \
    const T *value = work->value, *gradient = work->gradient;                                                          \
    T *out = work->out, *first = work->parts[0], *second = work->parts[1];                                             \
    T gain1 = (T)(1.0 - o->beta1), gain2 = (T)(1.0 - o->beta2), beta2 = (T)o->beta2;                                   \
    T added = o->kind == OPTIMIZER_ADAM ? (T)o->weight_decay : 0;                                                      \
    T kept = o->kind == OPTIMIZER_ADAMW ? (T)(1.0 - o->learning_rate * o->weight_decay) : 1;                           \
    T size = (T)work->step_size, correction = (T)work->root_correction, epsilon = (T)o->epsilon;                       \
    for (gsize i = begin; i < end; i++)                                                                                \
      {                                                                                                                \
        T g = gradient[i] + added * value[i];                                                                          \
        T m = work->is_first ? gain1 * g : first[i] + gain1 * (g - first[i]);                                          \
        T v = work->is_first ? gain2 * g * g : beta2 * second[i] + gain2 * g * g;                                      \
        first[i] = m;                                                                                                  \
        second[i] = v;                                                                                                 \
        out[i] = kept * value[i] - size * m / (SQRT (v) / correction + epsilon);                                       \
      }                                                                                                                \
  }
STEP (float, sqrtf)
STEP (double, sqrt)

static guint
count_parts (HtOptimizer *self)
{
  return self->kind != OPTIMIZER_SGD ? 2 : self->momentum > 0.0 ? 1 : 0;
}

static gboolean
check_operands (const char *name, HtTensor *value, HtTensor *gradient, const State *state, GError **error)
{
  HtDataType type = ht_tensor_get_data_type (value);
  g_autofree char *described = ht_tensor_describe (value);

  if (type != HT_DATA_TYPE_FLOAT && type != HT_DATA_TYPE_DOUBLE)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_DATA_TYPE, "updating tensor '%s': it is %s, expected float or double",
                   name, described);
      return FALSE;
    }
  HtTensor *others[] = { gradient, state->parts[0], state->parts[1] };
  const char *whose[] = { "gradient", "first part of the state", "second part of the state" };
  for (guint i = 0; i < G_N_ELEMENTS (others); i++)
    if (others[i] && !same_form (value, others[i]))
      {
        g_autofree char *found = ht_tensor_describe (others[i]);
        g_set_error (error, HT_ERROR, HT_ERROR_SHAPE, "updating tensor '%s': its %s is %s, expected %s", name, whose[i],
                     found, described);
        return FALSE;
      }
  return TRUE;
}

static State *
get_state (HtOptimizer *self, const char *name)
{
  State *state = g_hash_table_lookup (self->states, name);
  if (state == NULL)
    {
      state = g_new0 (State, 1);
      g_hash_table_insert (self->states, g_strdup (name), state);
    }
  return state;
}

/**
 * ht_optimizer_update:
 * @self: an optimizer
 * @tensor: the tensor's name, under which its state is kept
 * @value: its value
 * @gradient: the gradient of the loss with respect to it
 * @error: return location for an error
 *
 * Makes one step with one tensor.
 *
 * Fails with %HT_ERROR_DATA_TYPE when the tensor is not of floats or doubles and with %HT_ERROR_SHAPE when the
 * gradient, or the state of earlier steps, has another type or shape. The state is unchanged then.
 *
 * Returns: (transfer full): the new value, or %NULL with @error set
 */
HtTensor *
ht_optimizer_update (HtOptimizer *self, const char *tensor, HtTensor *value, HtTensor *gradient, GError **error)
{
  g_return_val_if_fail (HT_IS_OPTIMIZER (self), NULL);
  g_return_val_if_fail (tensor != NULL && value != NULL && gradient != NULL, NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  State fresh = { 0 }, *state = g_hash_table_lookup (self->states, tensor);
  if (!check_operands (tensor, value, gradient, state ? state : &fresh, error))
    return NULL;
  guint n_dims, n_parts = count_parts (self);
  const gint64 *dims = ht_tensor_get_dims (value, &n_dims);
  HtDataType type = ht_tensor_get_data_type (value);
  g_autoptr (HtTensor) out = ht_tensor_new (type, dims, n_dims, error);
  g_autoptr (HtTensor) made_first = NULL;
  g_autoptr (HtTensor) made_second = NULL;
  HtTensor **made[N_PARTS] = { &made_first, &made_second };
  if (out == NULL)
    return NULL;
  Work work = { .optimizer = self,
                .value = ht_tensor_get_data (value),
                .gradient = ht_tensor_get_data (gradient),
                .out = ht_tensor_get_writable_data (out),
                .is_first = state == NULL || state->parts[0] == NULL };
  for (guint i = 0; i < n_parts && (state == NULL || state->parts[i] == NULL); i++)
    {
      *made[i] = ht_tensor_new (type, dims, n_dims, error);
      if (*made[i] == NULL)
        return NULL;
      memset (ht_tensor_get_writable_data (*made[i]), 0, ht_tensor_get_size (*made[i]));
    }
  state = get_state (self, tensor);
  for (guint i = 0; i < n_parts; i++)
    {
      if (*made[i])
        state->parts[i] = g_steal_pointer (made[i]);
      work.parts[i] = ht_tensor_get_writable_data (state->parts[i]);
    }
  state->n_steps++;
  work.step_size = self->learning_rate / (1.0 - pow (self->beta1, (double)state->n_steps));
  work.root_correction = sqrt (1.0 - pow (self->beta2, (double)state->n_steps));
  gboolean is_double = type == HT_DATA_TYPE_DOUBLE, is_sgd = self->kind == OPTIMIZER_SGD;
  ht_parallel_for (ht_tensor_get_n_elements (value), GRAIN,
                   is_sgd      ? is_double ? sgd_double : sgd_float
                   : is_double ? adam_double
                               : adam_float,
                   &work);
  return g_steal_pointer (&out);
}

static int
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *)a, *(const char *const *)b);
}

/**
 * ht_optimizer_list_tensors:
 * @self: an optimizer
 *
 * Returns: (transfer full) (array zero-terminated=1): the names of the tensors it keeps a state for, sorted
 */
char **
ht_optimizer_list_tensors (HtOptimizer *self)
{
  g_return_val_if_fail (HT_IS_OPTIMIZER (self), NULL);
  GPtrArray *names = g_ptr_array_new ();
  GHashTableIter iter;
  gpointer name;

  g_hash_table_iter_init (&iter, self->states);
  while (g_hash_table_iter_next (&iter, &name, NULL))
    g_ptr_array_add (names, g_strdup (name));
  g_ptr_array_sort (names, compare_names);
  g_ptr_array_add (names, NULL);
  return (char **)g_ptr_array_free (names, FALSE);
}

/**
 * ht_optimizer_get_n_steps:
 * @self: an optimizer
 * @tensor: the name of a tensor
 *
 * Returns: how many steps it has made with the tensor
 */
guint64
ht_optimizer_get_n_steps (HtOptimizer *self, const char *tensor)
{
  g_return_val_if_fail (HT_IS_OPTIMIZER (self), 0);
  g_return_val_if_fail (tensor != NULL, 0);
  State *state = g_hash_table_lookup (self->states, tensor);
  return state ? state->n_steps : 0;
}

/**
 * ht_optimizer_set_n_steps:
 * @self: an optimizer
 * @tensor: the name of a tensor
 * @n_steps: how many steps were made with it
 *
 * Sets what ht_optimizer_get_n_steps() gave, to go on with a training.
 */
void
ht_optimizer_set_n_steps (HtOptimizer *self, const char *tensor, guint64 n_steps)
{
  g_return_if_fail (HT_IS_OPTIMIZER (self));
  g_return_if_fail (tensor != NULL);
  get_state (self, tensor)->n_steps = n_steps;
}

/* The index of a part that this kind keeps, -1: none. */
static gint
find_part (HtOptimizer *self, const char *part)
{
  const char *const names[][N_PARTS]
      = { { HT_OPTIMIZER_MOMENTUM, NULL }, { HT_OPTIMIZER_FIRST_MOMENT, HT_OPTIMIZER_SECOND_MOMENT } };
  for (guint i = 0; i < count_parts (self); i++)
    if (g_strcmp0 (part, names[self->kind != OPTIMIZER_SGD][i]) == 0)
      return (gint)i;
  return -1;
}

/**
 * ht_optimizer_get_state:
 * @self: an optimizer
 * @tensor: the name of a tensor
 * @part: %HT_OPTIMIZER_MOMENTUM, %HT_OPTIMIZER_FIRST_MOMENT or %HT_OPTIMIZER_SECOND_MOMENT
 *
 * Returns: (transfer full) (nullable): a copy of what is kept, %NULL when there is nothing
 */
HtTensor *
ht_optimizer_get_state (HtOptimizer *self, const char *tensor, const char *part)
{
  g_return_val_if_fail (HT_IS_OPTIMIZER (self), NULL);
  g_return_val_if_fail (tensor != NULL && part != NULL, NULL);
  State *state = g_hash_table_lookup (self->states, tensor);
  gint index = find_part (self, part);
  return state && index >= 0 && state->parts[index] ? ht_tensor_copy (state->parts[index], NULL) : NULL;
}

/**
 * ht_optimizer_set_state:
 * @self: an optimizer
 * @tensor: the name of a tensor
 * @part: as for ht_optimizer_get_state()
 * @value: what is to be kept
 * @error: return location for an error
 *
 * Sets what ht_optimizer_get_state() gave, to go on with a training. All parts must be set, and the number of steps.
 *
 * Fails with %HT_ERROR_INVALID_ARGUMENT when an optimizer of this kind keeps no such part.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
ht_optimizer_set_state (HtOptimizer *self, const char *tensor, const char *part, HtTensor *value, GError **error)
{
  g_return_val_if_fail (HT_IS_OPTIMIZER (self), FALSE);
  g_return_val_if_fail (tensor != NULL && part != NULL && value != NULL, FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);
  gint index = find_part (self, part);
  if (index < 0)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT,
                   "setting the state of tensor '%s': this optimizer keeps no '%s'", tensor, part);
      return FALSE;
    }
  HtTensor *copy = ht_tensor_copy (value, error);
  if (copy == NULL)
    return FALSE;
  State *state = get_state (self, tensor);
  g_clear_pointer (&state->parts[index], ht_tensor_unref);
  state->parts[index] = copy;
  return TRUE;
}
