/* SPDX-License-Identifier: MIT */
#include "quant/calibrator-private.h"

#include <halftone/error.h>

#include <math.h>

typedef struct
{
  gsize n_values;
} HtCalibratorPrivate;

static GQuark
info_quark (void)
{
  return g_quark_from_static_string ("halftone-calibrator-info");
}

/* Metadata lives in the type's data, a record for each class: a subclass of a calibrator is another calibrator. */
static void
ht_calibrator_class_base_init (gpointer klass)
{
  HtClassInfo *info = g_new0 (HtClassInfo, 1);

  ht_class_info_init (info);
  g_type_set_qdata (G_TYPE_FROM_CLASS (klass), info_quark (), info);
}

static void
ht_calibrator_class_base_finalize (gpointer klass)
{
  HtClassInfo *info = ht_calibrator_class_get_info (klass);

  g_type_set_qdata (G_TYPE_FROM_CLASS (klass), info_quark (), NULL);
  ht_class_info_clear (info);
  g_free (info);
}

static gint private_offset;

static HtCalibratorPrivate *
get_private (HtCalibrator *self)
{
  return G_STRUCT_MEMBER_P (self, private_offset);
}

static void
ht_calibrator_class_init (gpointer klass, gpointer data)
{
  g_type_class_adjust_private_offset (klass, &private_offset);
}

/**
 * HtCalibrator:
 *
 * Finds the range of one grid from the values that will be put on it: min-max, a percentile, the range of least error.
 * Recipes choose one by name, for weights and for activations.
 *
 * A calibrator is derived from this class. It implements #HtCalibratorClass.observe and #HtCalibratorClass.finish (and
 * #HtCalibratorClass.reset), says what it is in its class_init through ht_calibrator_class_set_info(), and has its
 * parameters as properties made with #HT_PARAM_RW. A plugin adds it with ht_plugin_add_calibrator(), a program with
 * ht_calibrator_register().
 *
 * An object calibrates one grid at a time. For an activation, it gets the values of one batch after the other; they are
 * not kept, so it keeps a summary of fixed size. For a weight with a grid for each channel or block, it gets the values
 * of one grid and is reset for the next; several copies work in threads of their own. What it finds must not depend on
 * the number of threads.
 */
GType
ht_calibrator_get_type (void)
{
  static gsize type_id = 0;

  if (g_once_init_enter (&type_id))
    {
      GTypeInfo info = { .class_size = sizeof (HtCalibratorClass),
                         .base_init = ht_calibrator_class_base_init,
                         .base_finalize = ht_calibrator_class_base_finalize,
                         .class_init = ht_calibrator_class_init,
                         .instance_size = sizeof (HtCalibrator) };
      GType type = g_type_register_static (G_TYPE_OBJECT, "HtCalibrator", &info, G_TYPE_FLAG_ABSTRACT);
      private_offset = g_type_add_instance_private (type, sizeof (HtCalibratorPrivate));
      ht_calibrator_family_register (type);
      g_once_init_leave (&type_id, type);
    }
  return type_id;
}

HtClassInfo *
ht_calibrator_class_get_info (HtCalibratorClass *klass)
{
  return g_type_get_qdata (G_TYPE_FROM_CLASS (klass), info_quark ());
}

gboolean
ht_calibrator_type_lint (GType type, GError **error)
{
  g_autoptr (GPtrArray) problems = g_ptr_array_new_with_free_func (g_free);

  if (type == G_TYPE_INVALID || !g_type_is_a (type, HT_TYPE_CALIBRATOR) || G_TYPE_IS_ABSTRACT (type))
    {
      g_set_error (error, HT_PLUGIN_ERROR, HT_PLUGIN_ERROR_BAD_PASS, "type '%s' is not a calibrator: it %s",
                   type != G_TYPE_INVALID ? g_type_name (type) : "(none)",
                   type != G_TYPE_INVALID && g_type_is_a (type, HT_TYPE_CALIBRATOR)
                       ? "is abstract"
                       : "does not derive from HtCalibrator");
      return FALSE;
    }
  HtCalibratorClass *klass = g_type_class_ref (type);
  HtClassInfo *info = ht_calibrator_class_get_info (klass);
  ht_class_info_lint (info, "ht_calibrator_class_set_info", problems);
  ht_class_params_lint (type, problems);
  if (klass->observe == NULL)
    ht_class_complain (problems, "it does not implement observe()");
  if (klass->reset == NULL)
    ht_class_complain (problems, "it does not implement reset()");
  if (klass->finish == NULL)
    ht_class_complain (problems, "it does not implement finish()");
  if (problems->len > 0)
    {
      g_autofree char *text = ht_class_describe_problems ("calibrator", type, info, problems);
      g_set_error_literal (error, HT_PLUGIN_ERROR, HT_PLUGIN_ERROR_BAD_PASS, text);
    }
  g_type_class_unref (klass);
  return problems->len == 0;
}

/**
 * ht_calibrator_class_set_info:
 * @klass: the class of a calibrator
 * @id: its id, as recipes name it: `[a-z][a-z0-9-]*`
 * @summary: one line that says how it finds a range
 * @description: (nullable): more, in Markdown
 *
 * Names a calibrator. A missing or malformed id or summary is found when the calibrator is registered.
 */
void
ht_calibrator_class_set_info (HtCalibratorClass *klass, const char *id, const char *summary, const char *description)
{
  g_return_if_fail (HT_IS_CALIBRATOR_CLASS (klass));
  ht_class_info_set (ht_calibrator_class_get_info (klass), id, summary, description);
}

/**
 * ht_calibrator_class_add_reference:
 * @klass: the class of a calibrator
 * @reference: a paper, with a link
 *
 * Says where a calibrator is described.
 */
void
ht_calibrator_class_add_reference (HtCalibratorClass *klass, const char *reference)
{
  g_return_if_fail (HT_IS_CALIBRATOR_CLASS (klass));
  g_return_if_fail (reference != NULL);
  ht_class_info_add_reference (ht_calibrator_class_get_info (klass), reference);
}

/**
 * ht_calibrator_class_get_id:
 * @klass: the class of a calibrator
 *
 * Gets the id of a calibrator.
 *
 * Returns: (transfer none) (nullable): the id
 */
const char *
ht_calibrator_class_get_id (HtCalibratorClass *klass)
{
  g_return_val_if_fail (HT_IS_CALIBRATOR_CLASS (klass), NULL);
  return ht_calibrator_class_get_info (klass)->id;
}

/**
 * ht_calibrator_class_get_summary:
 * @klass: the class of a calibrator
 *
 * Gets the line that says how a calibrator finds a range.
 *
 * Returns: (transfer none) (nullable): the summary
 */
const char *
ht_calibrator_class_get_summary (HtCalibratorClass *klass)
{
  g_return_val_if_fail (HT_IS_CALIBRATOR_CLASS (klass), NULL);
  return ht_calibrator_class_get_info (klass)->summary;
}

/**
 * ht_calibrator_class_get_description:
 * @klass: the class of a calibrator
 *
 * Gets the longer description.
 *
 * Returns: (transfer none) (nullable): Markdown, or %NULL where there is none
 */
const char *
ht_calibrator_class_get_description (HtCalibratorClass *klass)
{
  g_return_val_if_fail (HT_IS_CALIBRATOR_CLASS (klass), NULL);
  return ht_calibrator_class_get_info (klass)->description;
}

/**
 * ht_calibrator_class_get_references:
 * @klass: the class of a calibrator
 *
 * Gets the papers that describe a calibrator.
 *
 * Returns: (transfer none) (array zero-terminated=1): the references
 */
const char *const *
ht_calibrator_class_get_references (HtCalibratorClass *klass)
{
  g_return_val_if_fail (HT_IS_CALIBRATOR_CLASS (klass), NULL);
  return (const char *const *)ht_calibrator_class_get_info (klass)->references->pdata;
}

/**
 * ht_calibrator_copy:
 * @self: a calibrator
 *
 * Makes a calibrator of the same type with the same parameters, which has observed nothing.
 *
 * Returns: (transfer full): the copy
 */
HtCalibrator *
ht_calibrator_copy (HtCalibrator *self)
{
  g_autoptr (GPtrArray) params = NULL;
  HtCalibrator *copy;

  g_return_val_if_fail (HT_IS_CALIBRATOR (self), NULL);

  copy = g_object_new (G_OBJECT_TYPE (self), NULL);
  params = ht_object_list_params (G_OBJECT_GET_CLASS (self));
  for (guint i = 0; i < params->len; i++)
    {
      GParamSpec *pspec = g_ptr_array_index (params, i);
      g_auto (GValue) value = G_VALUE_INIT;

      g_value_init (&value, G_PARAM_SPEC_VALUE_TYPE (pspec));
      g_object_get_property (G_OBJECT (self), pspec->name, &value);
      g_object_set_property (G_OBJECT (copy), pspec->name, &value);
    }
  return copy;
}

/**
 * ht_calibrator_get_id:
 * @self: a calibrator
 *
 * Gets the name that recipes call it by.
 *
 * Returns: (transfer none): the id
 */
const char *
ht_calibrator_get_id (HtCalibrator *self)
{
  g_return_val_if_fail (HT_IS_CALIBRATOR (self), NULL);
  return ht_calibrator_class_get_id (HT_CALIBRATOR_GET_CLASS (self));
}

/**
 * ht_calibrator_reset:
 * @self: a calibrator
 *
 * Forgets what was observed, so that another grid can be calibrated. Parameters stay.
 */
void
ht_calibrator_reset (HtCalibrator *self)
{
  g_return_if_fail (HT_IS_CALIBRATOR (self));

  get_private (self)->n_values = 0;
  HT_CALIBRATOR_GET_CLASS (self)->reset (self);
}

gboolean
ht_calibrator_observe_range (HtCalibrator *self, const float *values, gsize n_values, const HtKernelRange *range,
                             GError **error)
{
  if (range->n_not_finite > 0)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_NUMERIC,
                   "found %" G_GSIZE_FORMAT " values that are infinite or not a number; expected finite ones",
                   range->n_not_finite);
      return FALSE;
    }
  HT_CALIBRATOR_GET_CLASS (self)->observe (self, values, n_values, (double)range->minimum, (double)range->maximum);
  get_private (self)->n_values += n_values;
  return TRUE;
}

/**
 * ht_calibrator_observe:
 * @self: a calibrator
 * @values: (array length=n_values): values that the grid will hold
 * @n_values: how many there are; none is no observation
 * @error: return location for an error
 *
 * Observes a batch of values. Fails with %HT_ERROR_NUMERIC where one is infinite or not a number; none of the batch
 * counts then.
 *
 * Returns: whether they were observed
 */
gboolean
ht_calibrator_observe (HtCalibrator *self, const float *values, gsize n_values, GError **error)
{
  HtKernelRange range;

  g_return_val_if_fail (HT_IS_CALIBRATOR (self), FALSE);
  g_return_val_if_fail (values != NULL || n_values == 0, FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  if (n_values == 0)
    return TRUE;
  range = ht_kernel_min_max (values, n_values);
  return ht_calibrator_observe_range (self, values, n_values, &range, error);
}

/**
 * ht_calibrator_get_n_values:
 * @self: a calibrator
 *
 * Counts the values that were observed since the last reset.
 *
 * Returns: how many
 */
gsize
ht_calibrator_get_n_values (HtCalibrator *self)
{
  g_return_val_if_fail (HT_IS_CALIBRATOR (self), 0);
  return get_private (self)->n_values;
}

/**
 * ht_calibrator_finish:
 * @self: a calibrator that has observed at least one value
 * @settings: bits, symmetry and strictness of the grid
 * @minimum: (out): the lower end of the range
 * @maximum: (out): the upper end
 * @error: return location for an error
 *
 * Finds the range that the grid should span. ht_encoding_new_from_ranges() makes the grid of it, zero included. A
 * calibrator that breaks the protocol (an end that is not finite, a minimum above the maximum, a failure without an
 * error) fails with %HT_PLUGIN_ERROR_BAD_PASS.
 *
 * Returns: whether it was found
 */
gboolean
ht_calibrator_finish (HtCalibrator *self, HtQuantizerSettings *settings, double *minimum, double *maximum,
                      GError **error)
{
  g_autoptr (GError) local = NULL;
  double low = NAN, high = NAN;
  gboolean done;

  g_return_val_if_fail (HT_IS_CALIBRATOR (self) && settings != NULL, FALSE);
  g_return_val_if_fail (minimum != NULL && maximum != NULL, FALSE);
  g_return_val_if_fail (get_private (self)->n_values > 0, FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  done = HT_CALIBRATOR_GET_CLASS (self)->finish (self, settings, &low, &high, &local);
  if (local != NULL)
    {
      g_propagate_error (error, g_steal_pointer (&local));
      return FALSE;
    }
  if (!done || !isfinite (low) || !isfinite (high) || low > high)
    {
      g_set_error (error, HT_PLUGIN_ERROR, HT_PLUGIN_ERROR_BAD_PASS,
                   done ? "calibrator '%s' gave the range from %g to %g; expected finite ends, the lower one first"
                        : "calibrator '%s' failed without saying why",
                   ht_calibrator_get_id (self), low, high);
      return FALSE;
    }
  *minimum = low;
  *maximum = high;
  return TRUE;
}
