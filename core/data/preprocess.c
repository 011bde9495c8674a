/* SPDX-License-Identifier: MIT */
/* The parameters of preprocessing, and what they mean for an array of a given shape. */
#include "data/preprocess.h"

#include <halftone/enums.h>
#include <halftone/error.h>
#include <halftone/param.h>

#include <math.h>

/**
 * HtPreprocess:
 *
 * How raw arrays become network inputs: each sample is reshaped, its centre is cut out, its channels are ordered, then
 * value = (raw * scale - mean[c]) / std[c], then the layout becomes channels first. `c` counts channels as the network
 * sees them. Parameters are GObject properties; ht_object_set_param() sets them with checks.
 */
struct _HtPreprocess
{
  GObject parent_instance;

  HtLayout layout;
  HtChannelOrder channel_order;
  double scale;
  GVariant *mean;
  GVariant *std;
  GVariant *shape;
  GVariant *center_crop;
};

G_DEFINE_FINAL_TYPE (HtPreprocess, ht_preprocess, G_TYPE_OBJECT)

enum
{
  PROP_0,
  PROP_LAYOUT,
  PROP_CHANNEL_ORDER,
  PROP_SCALE,
  PROP_MEAN,
  PROP_STD,
  PROP_SHAPE,
  PROP_CENTER_CROP,
  N_PROPS
};

static GParamSpec *properties[N_PROPS];

static GVariant **
get_list (HtPreprocess *self, guint id)
{
  switch (id)
    {
    case PROP_MEAN:
      return &self->mean;
    case PROP_STD:
      return &self->std;
    case PROP_SHAPE:
      return &self->shape;
    default:
      return &self->center_crop;
    }
}

static void
ht_preprocess_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  HtPreprocess *self = HT_PREPROCESS (object);

  switch (id)
    {
    case PROP_LAYOUT:
      g_value_set_enum (value, (gint)self->layout);
      break;
    case PROP_CHANNEL_ORDER:
      g_value_set_enum (value, (gint)self->channel_order);
      break;
    case PROP_SCALE:
      g_value_set_double (value, self->scale);
      break;
    case PROP_MEAN:
    case PROP_STD:
    case PROP_SHAPE:
    case PROP_CENTER_CROP:
      g_value_set_variant (value, *get_list (self, id));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
    }
}

static void
ht_preprocess_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  HtPreprocess *self = HT_PREPROCESS (object);
  GVariant **list;

  switch (id)
    {
    case PROP_LAYOUT:
      self->layout = (HtLayout)g_value_get_enum (value);
      break;
    case PROP_CHANNEL_ORDER:
      self->channel_order = (HtChannelOrder)g_value_get_enum (value);
      break;
    case PROP_SCALE:
      self->scale = g_value_get_double (value);
      break;
    case PROP_MEAN:
    case PROP_STD:
    case PROP_SHAPE:
    case PROP_CENTER_CROP:
      list = get_list (self, id);
      g_clear_pointer (list, g_variant_unref);
      *list = g_value_dup_variant (value);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
      return;
    }
  g_object_notify_by_pspec (object, pspec);
}

static void
ht_preprocess_finalize (GObject *object)
{
  for (guint id = PROP_MEAN; id < N_PROPS; id++)
    g_clear_pointer (get_list (HT_PREPROCESS (object), id), g_variant_unref);
  G_OBJECT_CLASS (ht_preprocess_parent_class)->finalize (object);
}

static GParamSpec *
make_list (const char *name, const char *nick, const char *blurb, const char *type)
{
  return g_param_spec_variant (name, nick, blurb, G_VARIANT_TYPE (type),
                               g_variant_new_array (G_VARIANT_TYPE (type + 1), NULL, 0), HT_PARAM_RW);
}

static void
ht_preprocess_class_init (HtPreprocessClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->get_property = ht_preprocess_get_property;
  object_class->set_property = ht_preprocess_set_property;
  object_class->finalize = ht_preprocess_finalize;
  properties[PROP_LAYOUT]
      = g_param_spec_enum ("layout", "Layout", "How the file stores a sample; the network gets NCHW", HT_TYPE_LAYOUT,
                           HT_LAYOUT_NCHW, HT_PARAM_RW);
  properties[PROP_CHANNEL_ORDER] = g_param_spec_enum (
      "channel-order", "Channel order", "Whether the network wants the channels of the file in reverse (RGB, BGR)",
      HT_TYPE_CHANNEL_ORDER, HT_CHANNEL_ORDER_KEEP, HT_PARAM_RW);
  properties[PROP_SCALE] = g_param_spec_double ("scale", "Scale", "Factor applied to the raw values, before the mean",
                                                -1e30, 1e30, 1.0, HT_PARAM_RW);
  properties[PROP_MEAN]
      = make_list ("mean", "Mean", "Subtracted after scaling: one value, or one for each channel", "ad");
  properties[PROP_STD]
      = make_list ("std", "Standard deviation", "Divides at the end: one value, or one for each channel", "ad");
  properties[PROP_SHAPE]
      = make_list ("shape", "Shape", "New dimensions of a sample, the batch left out, before anything else", "ai");
  properties[PROP_CENTER_CROP]
      = make_list ("center-crop", "Centre crop", "Height and width cut out of the middle of an image", "ai");
  g_object_class_install_properties (object_class, N_PROPS, properties);
}

static void
ht_preprocess_init (HtPreprocess *self)
{
}

/**
 * ht_preprocess_new:
 *
 * Makes a preprocessing that changes nothing; its parameters are its properties.
 *
 * Returns: (transfer full): the preprocessing
 */
HtPreprocess *
ht_preprocess_new (void)
{
  return g_object_new (HT_TYPE_PREPROCESS, NULL);
}

static gboolean fail (const char *what, GError **error, const char *format, ...) G_GNUC_PRINTF (3, 4);

static gboolean
fail (const char *what, GError **error, const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list arguments;

  va_start (arguments, format);
  text = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  g_set_error (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT, "Preprocessing '%s': %s", what, text);
  return FALSE;
}

static gsize
get_n_children (GVariant *list)
{
  return list ? g_variant_n_children (list) : 0;
}

static gint64
get_int (GVariant *list, gsize index)
{
  gint32 value = 0;
  g_variant_get_child (list, index, "i", &value);
  return value;
}

/* The sample's dimensions as stored, after `shape`. */
static gboolean
plan_shape (HtPreprocessPlan *plan, HtPreprocess *self, const gint64 *dims, guint n_dims, gint64 *sample,
            guint *n_sample_dims, const char *what, GError **error)
{
  gsize n_given = self ? get_n_children (self->shape) : 0;
  gsize elements = 1;

  plan->sample_elements = 1;
  *n_sample_dims = n_dims - 1;
  for (guint i = 1; i < n_dims; i++)
    {
      sample[i - 1] = dims[i];
      plan->sample_elements *= (gsize)dims[i];
    }
  if (n_given == 0)
    return TRUE;
  if (n_given > HT_TENSOR_MAX_DIMS - 1)
    return fail (what, error, "found %" G_GSIZE_FORMAT " sizes in 'shape', expected at most %d", n_given,
                 HT_TENSOR_MAX_DIMS - 1);
  *n_sample_dims = (guint)n_given;
  for (gsize i = 0; i < n_given; i++)
    {
      sample[i] = get_int (self->shape, i);
      if (sample[i] < 1 || __builtin_mul_overflow (elements, (gsize)sample[i], &elements))
        return fail (what, error, "found %" G_GINT64_FORMAT " in 'shape', expected sizes of at least 1", sample[i]);
    }
  if (elements != plan->sample_elements)
    return fail (what, error,
                 "'shape' asks for %" G_GSIZE_FORMAT " elements, but a sample of the file has %" G_GSIZE_FORMAT
                 "; give sizes whose product is that",
                 elements, plan->sample_elements);
  return TRUE;
}

static gboolean
plan_crop (HtPreprocessPlan *plan, HtPreprocess *self, guint n_sample_dims, const char *what, GError **error)
{
  gsize n_given = self ? get_n_children (self->center_crop) : 0;
  gint64 height, width;

  if (n_given == 0)
    return TRUE;
  if (n_given != 2 || get_int (self->center_crop, 0) < 1 || get_int (self->center_crop, 1) < 1)
    return fail (what, error, "found another 'center-crop' than expected: [height, width], both at least 1");
  if (n_sample_dims != 3)
    return fail (what, error,
                 "'center-crop' needs samples of 3 dimensions, found %u; give 'shape', or leave 'center-crop' out",
                 n_sample_dims);
  height = get_int (self->center_crop, 0);
  width = get_int (self->center_crop, 1);
  if (height > plan->height || width > plan->width)
    return fail (what, error,
                 "'center-crop' asks for %" G_GINT64_FORMAT " x %" G_GINT64_FORMAT ", found images of %" G_GINT64_FORMAT
                 " x %" G_GINT64_FORMAT "; ask for less, or check 'layout'",
                 height, width, plan->height, plan->width);
  plan->offset = (gsize)((plan->height - height) / 2) * plan->row_stride
                 + (gsize)((plan->width - width) / 2) * plan->column_stride;
  plan->moves |= height != plan->height || width != plan->width;
  plan->height = height;
  plan->width = width;
  return TRUE;
}

/* Where each element of the result stands in the sample as stored. */
static gboolean
plan_geometry (HtPreprocessPlan *plan, HtPreprocess *self, const gint64 *sample, guint n_sample_dims, const char *what,
               GError **error)
{
  gboolean last = self && self->layout == HT_LAYOUT_NHWC && n_sample_dims > 1;
  guint first_spatial = last ? 0 : 1;
  guint n_spatial = n_sample_dims > 0 ? n_sample_dims - 1 : 0;

  plan->n_channels = n_sample_dims == 0 ? 1 : sample[last ? n_sample_dims - 1 : 0];
  plan->height = plan->width = 1;
  for (guint i = 0; i < n_spatial; i++)
    if (n_spatial == 2 && i == 0)
      plan->height = sample[first_spatial];
    else
      plan->width *= sample[first_spatial + i];
  plan->column_stride = last ? (gsize)plan->n_channels : 1;
  plan->row_stride = (gsize)plan->width * plan->column_stride;
  plan->channel_stride = last ? 1 : (gsize)(plan->height * plan->width);
  plan->moves = last;
  if (!plan_crop (plan, self, n_sample_dims, what, error))
    return FALSE;
  plan->reverse = self && self->channel_order == HT_CHANNEL_ORDER_REVERSE && plan->n_channels > 1;
  plan->moves |= plan->reverse;
  plan->n_dims = n_sample_dims + 1;
  if (n_sample_dims > 0)
    plan->dims[1] = plan->n_channels;
  for (guint i = 0; i < n_spatial; i++)
    plan->dims[2 + i] = n_spatial != 2 ? sample[first_spatial + i] : i == 0 ? plan->height : plan->width;
  return TRUE;
}

static double *
plan_values (const HtPreprocessPlan *plan, GVariant *list, const char *key, double fallback, const char *what,
             GError **error)
{
  gsize n_given = get_n_children (list), n_channels = (gsize)plan->n_channels;
  g_autofree double *values = NULL;

  if (n_given > 1 && n_given != n_channels)
    {
      fail (what, error,
            "found %" G_GSIZE_FORMAT " values in '%s', expected 1 or %" G_GSIZE_FORMAT
            ", the number of channels; check 'layout' too",
            n_given, key, n_channels);
      return NULL;
    }
  values = g_try_new (double, MAX (n_channels, 1));
  if (values == NULL)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_NO_MEMORY,
                   "Preprocessing '%s': no memory for %" G_GSIZE_FORMAT " channels; check 'layout'", what, n_channels);
      return NULL;
    }
  for (gsize c = 0; c < n_channels; c++)
    {
      values[c] = fallback;
      if (n_given > 0)
        g_variant_get_child (list, n_given == 1 ? 0 : c, "d", &values[c]);
      if (!isfinite (values[c]) || (fallback != 0 && values[c] == 0))
        {
          fail (what, error, "found %g in '%s', expected finite numbers%s", values[c], key,
                fallback != 0 ? " other than 0" : "");
          return NULL;
        }
    }
  return g_steal_pointer (&values);
}

HtPreprocessPlan *
ht_preprocess_plan_new (HtPreprocess *preprocess, HtTensor *array, const char *what, gboolean integer, GError **error)
{
  g_autoptr (HtPreprocessPlan) plan = g_new0 (HtPreprocessPlan, 1);
  gint64 sample[HT_TENSOR_MAX_DIMS];
  guint n_sample_dims, n_dims;
  const gint64 *dims = ht_tensor_get_dims (array, &n_dims);

  plan->source_type = ht_tensor_get_data_type (array);
  plan->keep_type = integer;
  plan->scale = preprocess ? preprocess->scale : 1;
  if (!plan_shape (plan, preprocess, dims, n_dims, sample, &n_sample_dims, what, error)
      || !plan_geometry (plan, preprocess, sample, n_sample_dims, what, error))
    return NULL;
  plan->means = plan_values (plan, preprocess ? preprocess->mean : NULL, "mean", 0, what, error);
  if (plan->means == NULL)
    return NULL;
  plan->deviations = plan_values (plan, preprocess ? preprocess->std : NULL, "std", 1, what, error);
  if (plan->deviations == NULL)
    return NULL;
  plan->arithmetic = plan->scale != 1;
  for (gint64 c = 0; c < plan->n_channels; c++)
    plan->arithmetic |= plan->means[c] != 0 || plan->deviations[c] != 1;
  if (integer && plan->arithmetic)
    {
      fail (what, error, "the network takes integers as they are in the file; leave 'scale', 'mean' and 'std' out");
      return NULL;
    }
  return g_steal_pointer (&plan);
}

void
ht_preprocess_plan_free (HtPreprocessPlan *self)
{
  g_free (self->means);
  g_free (self->deviations);
  g_free (self);
}
