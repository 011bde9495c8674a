/* SPDX-License-Identifier: MIT */
#include <halftone/schedule.h>

#include <math.h>

typedef enum
{
  SCHEDULE_CONSTANT,
  SCHEDULE_COSINE,
  SCHEDULE_STEP,
} Kind;

struct _HtSchedule
{
  GObject parent_instance;

  Kind kind;
  guint64 n_steps;
  double factor;
  guint64 warmup_steps;
  double warmup_factor;
};

/**
 * HtSchedule:
 *
 * By what factor the learning rate is multiplied at each step of a training. A function of the step alone, so that a
 * training can be resumed anywhere.
 */
G_DEFINE_FINAL_TYPE (HtSchedule, ht_schedule, G_TYPE_OBJECT)

static void
ht_schedule_class_init (HtScheduleClass *klass)
{
}

static void
ht_schedule_init (HtSchedule *self)
{
  self->factor = 1.0;
  self->n_steps = 1;
}

/**
 * ht_schedule_new_constant:
 *
 * Returns: (transfer full): a schedule that always gives 1
 */
HtSchedule *
ht_schedule_new_constant (void)
{
  return g_object_new (HT_TYPE_SCHEDULE, NULL);
}

static HtSchedule *
schedule_new (Kind kind, guint64 n_steps, double factor)
{
  HtSchedule *self = g_object_new (HT_TYPE_SCHEDULE, NULL);
  self->kind = kind;
  self->n_steps = n_steps;
  self->factor = factor;
  return self;
}

/**
 * ht_schedule_new_cosine:
 * @n_steps: after how many steps the end is reached, at least 1
 * @final_factor: the factor there, from 0 to 1
 *
 * Half a wave of the cosine from 1 down to @final_factor, where it stays.
 *
 * Returns: (transfer full): a schedule
 */
HtSchedule *
ht_schedule_new_cosine (guint64 n_steps, double final_factor)
{
  g_return_val_if_fail (n_steps > 0, NULL);
  g_return_val_if_fail (final_factor >= 0.0 && final_factor <= 1.0, NULL);
  return schedule_new (SCHEDULE_COSINE, n_steps, final_factor);
}

/**
 * ht_schedule_new_step:
 * @n_steps: the length of a stair, at least 1
 * @factor: by what the learning rate is multiplied from one stair to the next
 *
 * Returns: (transfer full): a schedule
 */
HtSchedule *
ht_schedule_new_step (guint64 n_steps, double factor)
{
  g_return_val_if_fail (n_steps > 0, NULL);
  g_return_val_if_fail (factor >= 0.0 && isfinite (factor), NULL);
  return schedule_new (SCHEDULE_STEP, n_steps, factor);
}

/**
 * ht_schedule_set_warmup:
 * @self: a schedule
 * @n_steps: how many steps come before the schedule proper, 0 for none
 * @first_factor: the factor of the first step, from 0 to 1
 *
 * Lets the learning rate grow in equal parts, from @first_factor at step 0 to 1 at step @n_steps, where the schedule
 * begins.
 */
void
ht_schedule_set_warmup (HtSchedule *self, guint64 n_steps, double first_factor)
{
  g_return_if_fail (HT_IS_SCHEDULE (self));
  g_return_if_fail (first_factor >= 0.0 && first_factor <= 1.0);
  self->warmup_steps = n_steps;
  self->warmup_factor = first_factor;
}

/**
 * ht_schedule_get_factor:
 * @self: a schedule
 * @step: the number of steps done before
 *
 * Returns: by what the learning rate is multiplied at this step
 */
double
ht_schedule_get_factor (HtSchedule *self, guint64 step)
{
  g_return_val_if_fail (HT_IS_SCHEDULE (self), 1.0);
  if (step < self->warmup_steps)
    return self->warmup_factor + (1.0 - self->warmup_factor) * (double)step / (double)self->warmup_steps;
  step -= self->warmup_steps;
  switch (self->kind)
    {
    case SCHEDULE_COSINE:
      {
        double part = (double)MIN (step, self->n_steps) / (double)self->n_steps;
        return self->factor + (1.0 - self->factor) * 0.5 * (1.0 + cos (G_PI * part));
      }
    case SCHEDULE_STEP:
      return pow (self->factor, (double)(step / self->n_steps));
    default:
      return 1.0;
    }
}
