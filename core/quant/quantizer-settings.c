/* SPDX-License-Identifier: MIT */
/* The settings of weights and of activations: GObject properties, defaults and ranges in their GParamSpecs only. */
#include "quant/quantizer-settings.h"

#include "quant/calibrator-private.h"
#include "quant/number-format.h"

#include <halftone/enums.h>
#include <halftone/error.h>

/**
 * HtQuantizerSettings:
 *
 * How one kind of tensor is quantized. Abstract: #HtWeightSettings and #HtActivationSettings have the same properties
 * with defaults and choices of their own.
 */
typedef struct
{
  HtNumberFormat format;
  guint bits;
  gboolean symmetric;
  gboolean strict;
  gboolean unsigned_symmetric;
  HtGranularity granularity;
  guint block_size;
  guint scale_bits;
  HtCalibrator *calibrator; /* its parameters; it observes nothing */
  guint64 explicit; /* bit id of each property that somebody has set */
} HtQuantizerSettingsPrivate;

/**
 * HtQuantizerSettingsClass:
 *
 * The class of #HtQuantizerSettings.
 */

/**
 * HtWeightSettings:
 *
 * How weights are quantized. Properties: format, bits (2 to 31), symmetric, strict, granularity, block-size, scale-bits,
 * calibrator.
 */
struct _HtWeightSettings
{
  HtQuantizerSettings parent_instance;
};

/**
 * HtActivationSettings:
 *
 * How activations are quantized. Properties: format, bits (2 to 31), symmetric, strict, granularity (tensor only),
 * calibrator.
 */
struct _HtActivationSettings
{
  HtQuantizerSettings parent_instance;
};

G_DEFINE_ABSTRACT_TYPE_WITH_PRIVATE (HtQuantizerSettings, ht_quantizer_settings, G_TYPE_OBJECT)
G_DEFINE_FINAL_TYPE (HtWeightSettings, ht_weight_settings, HT_TYPE_QUANTIZER_SETTINGS)
G_DEFINE_FINAL_TYPE (HtActivationSettings, ht_activation_settings, HT_TYPE_QUANTIZER_SETTINGS)

enum
{
  PROP_FORMAT = 1,
  PROP_BITS,
  PROP_SYMMETRIC,
  PROP_STRICT,
  PROP_UNSIGNED_SYMMETRIC,
  PROP_GRANULARITY,
  PROP_BLOCK_SIZE,
  PROP_SCALE_BITS,
  PROP_CALIBRATOR,
  N_PROPS
};

/* Activations have one grid for the whole tensor: an enumeration of one word says so wherever words are checked. */
static GType
activation_granularity_get_type (void)
{
  static const GEnumValue values[] = {
    { HT_GRANULARITY_TENSOR, "HT_GRANULARITY_TENSOR", "tensor" },
    { 0, NULL, NULL },
  };
  static gsize type = 0;

  if (g_once_init_enter (&type))
    g_once_init_leave (&type, g_enum_register_static ("HtActivationGranularity", values));
  return (GType) type;
}

static HtQuantizerSettingsPrivate *
get_private (HtQuantizerSettings *self)
{
  return ht_quantizer_settings_get_instance_private (self);
}

static void
ht_quantizer_settings_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  HtQuantizerSettingsPrivate *priv = get_private (HT_QUANTIZER_SETTINGS (object));

  switch (id)
    {
    case PROP_FORMAT:
      g_value_set_enum (value, (gint) priv->format);
      break;
    case PROP_BITS:
      g_value_set_uint (value, priv->bits);
      break;
    case PROP_SYMMETRIC:
      g_value_set_boolean (value, priv->symmetric);
      break;
    case PROP_STRICT:
      g_value_set_boolean (value, priv->strict);
      break;
    case PROP_UNSIGNED_SYMMETRIC:
      g_value_set_boolean (value, priv->unsigned_symmetric);
      break;
    case PROP_GRANULARITY:
      g_value_set_enum (value, (gint) priv->granularity);
      break;
    case PROP_BLOCK_SIZE:
      g_value_set_uint (value, priv->block_size);
      break;
    case PROP_SCALE_BITS:
      g_value_set_uint (value, priv->scale_bits);
      break;
    case PROP_CALIBRATOR:
      g_value_set_object (value, priv->calibrator);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
    }
}

static void
ht_quantizer_settings_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  HtQuantizerSettingsPrivate *priv = get_private (HT_QUANTIZER_SETTINGS (object));

  switch (id)
    {
    case PROP_FORMAT:
      priv->format = (HtNumberFormat) g_value_get_enum (value);
      break;
    case PROP_BITS:
      priv->bits = g_value_get_uint (value);
      break;
    case PROP_SYMMETRIC:
      priv->symmetric = g_value_get_boolean (value);
      break;
    case PROP_STRICT:
      priv->strict = g_value_get_boolean (value);
      break;
    case PROP_UNSIGNED_SYMMETRIC:
      priv->unsigned_symmetric = g_value_get_boolean (value);
      break;
    case PROP_GRANULARITY:
      priv->granularity = (HtGranularity) g_value_get_enum (value);
      break;
    case PROP_BLOCK_SIZE:
      priv->block_size = g_value_get_uint (value);
      break;
    case PROP_SCALE_BITS:
      priv->scale_bits = g_value_get_uint (value);
      break;
    case PROP_CALIBRATOR:
      g_clear_object (&priv->calibrator);
      priv->calibrator = g_value_dup_object (value);
      if (priv->calibrator == NULL)
        priv->calibrator = ht_calibrator_new (HT_CALIBRATOR_DEFAULT, NULL);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
      return;
    }
  priv->explicit |= G_GUINT64_CONSTANT (1) << id;
  g_object_notify_by_pspec (object, pspec);
}

/* The defaults of the properties are nobody's words. */
static void
ht_quantizer_settings_constructed (GObject *object)
{
  G_OBJECT_CLASS (ht_quantizer_settings_parent_class)->constructed (object);
  get_private (HT_QUANTIZER_SETTINGS (object))->explicit = 0;
}

static void
ht_quantizer_settings_finalize (GObject *object)
{
  g_clear_object (&get_private (HT_QUANTIZER_SETTINGS (object))->calibrator);
  G_OBJECT_CLASS (ht_quantizer_settings_parent_class)->finalize (object);
}

static void
ht_quantizer_settings_class_init (HtQuantizerSettingsClass *klass)
{
  G_OBJECT_CLASS (klass)->constructed = ht_quantizer_settings_constructed;
  G_OBJECT_CLASS (klass)->finalize = ht_quantizer_settings_finalize;
}

static void
ht_quantizer_settings_init (HtQuantizerSettings *self)
{
}

/* What both kinds have in common; GObject does not inherit the two methods. */
static void
install_common (GObjectClass *klass)
{
  klass->get_property = ht_quantizer_settings_get_property;
  klass->set_property = ht_quantizer_settings_set_property;
  g_object_class_install_property (
      klass, PROP_FORMAT,
      g_param_spec_enum ("format", "Format",
                         "Integers, or which floating-point numbers; those of 8 bits have a scale, those of 16 none",
                         HT_TYPE_NUMBER_FORMAT, HT_NUMBER_FORMAT_INT, HT_PARAM_RW));
  g_object_class_install_property (
      klass, PROP_STRICT,
      g_param_spec_boolean ("strict", "Strict", "Whether a symmetric grid leaves out its lowest code", FALSE,
                            HT_PARAM_RW));
  g_object_class_install_property (
      klass, PROP_UNSIGNED_SYMMETRIC,
      g_param_spec_boolean ("unsigned-symmetric", "Unsigned symmetric",
                            "Whether a symmetric grid of values that are never negative spends all codes on them", FALSE,
                            HT_PARAM_RW));
  g_object_class_install_property (
      klass, PROP_CALIBRATOR,
      g_param_spec_object ("calibrator", "Calibrator", "How the range of a tensor is found", HT_TYPE_CALIBRATOR,
                           HT_PARAM_RW));
}

static void
ht_weight_settings_class_init (HtWeightSettingsClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GParamSpec *bits = g_param_spec_uint ("bits", "Bits", "Bit width of the integers of weights", 2, 31, 8, HT_PARAM_RW);
  GParamSpec *block_size = g_param_spec_uint ("block-size", "Block size",
                                              "Input channels of a block, where granularity is block or lpbq; a last "
                                              "block may be shorter",
                                              1, 65536, 64, HT_PARAM_RW);
  GParamSpec *scale_bits = g_param_spec_uint (
      "scale-bits", "Scale bits", "Width of the block scales, where granularity is lpbq", 1, 8, 4, HT_PARAM_RW);

  install_common (object_class);
  ht_param_spec_set_unit (bits, "bits");
  g_object_class_install_property (object_class, PROP_BITS, bits);
  g_object_class_install_property (
      object_class, PROP_SYMMETRIC,
      g_param_spec_boolean ("symmetric", "Symmetric", "Whether zero lies in the middle of the grid", TRUE, HT_PARAM_RW));
  g_object_class_install_property (
      object_class, PROP_GRANULARITY,
      g_param_spec_enum ("granularity", "Granularity", "One grid for each output channel, one for the whole tensor, one for each block of input channels, "
                         "or blocks whose scales are small integers (LPBQ)",
                         HT_TYPE_GRANULARITY, HT_GRANULARITY_CHANNEL, HT_PARAM_RW));
  ht_param_spec_set_unit (block_size, "channels");
  g_object_class_install_property (object_class, PROP_BLOCK_SIZE, block_size);
  ht_param_spec_set_unit (scale_bits, "bits");
  g_object_class_install_property (object_class, PROP_SCALE_BITS, scale_bits);
}

static void
ht_weight_settings_init (HtWeightSettings *self)
{
}

static void
ht_activation_settings_class_init (HtActivationSettingsClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GParamSpec *bits = g_param_spec_uint ("bits", "Bits", "Bit width of the integers of activations", 2, 31, 8, HT_PARAM_RW);

  install_common (object_class);
  ht_param_spec_set_unit (bits, "bits");
  g_object_class_install_property (object_class, PROP_BITS, bits);
  g_object_class_install_property (
      object_class, PROP_SYMMETRIC,
      g_param_spec_boolean ("symmetric", "Symmetric", "Whether zero lies in the middle of the grid", FALSE,
                            HT_PARAM_RW));
  g_object_class_install_property (
      object_class, PROP_GRANULARITY,
      g_param_spec_enum ("granularity", "Granularity", "One grid for the whole tensor: activations know no other",
                         activation_granularity_get_type (), HT_GRANULARITY_TENSOR, HT_PARAM_RW));
}

static void
ht_activation_settings_init (HtActivationSettings *self)
{
}

/**
 * ht_quantizer_settings_new_weights: (constructor)
 *
 * Makes the settings of weights with their defaults.
 *
 * Returns: (transfer full): a #HtWeightSettings
 */
HtQuantizerSettings *
ht_quantizer_settings_new_weights (void)
{
  return g_object_new (HT_TYPE_WEIGHT_SETTINGS, NULL);
}

/**
 * ht_quantizer_settings_new_activations: (constructor)
 *
 * Makes the settings of activations with their defaults.
 *
 * Returns: (transfer full): a #HtActivationSettings
 */
HtQuantizerSettings *
ht_quantizer_settings_new_activations (void)
{
  return g_object_new (HT_TYPE_ACTIVATION_SETTINGS, NULL);
}

/**
 * ht_quantizer_settings_copy:
 * @self: settings
 *
 * Copies settings.
 *
 * Returns: (transfer full): settings of the same kind with the same values
 */
HtQuantizerSettings *
ht_quantizer_settings_copy (HtQuantizerSettings *self)
{
  HtQuantizerSettings *copy;

  g_return_val_if_fail (HT_IS_QUANTIZER_SETTINGS (self), NULL);

  copy = g_object_new (G_OBJECT_TYPE (self), NULL);
  g_clear_object (&get_private (copy)->calibrator);
  *get_private (copy) = *get_private (self);
  g_object_ref (get_private (copy)->calibrator);
  return copy;
}

/**
 * ht_quantizer_settings_get_format:
 * @self: settings
 *
 * Gets the number format.
 *
 * Returns: integers, or which floating-point numbers
 */
HtNumberFormat
ht_quantizer_settings_get_format (HtQuantizerSettings *self)
{
  g_return_val_if_fail (HT_IS_QUANTIZER_SETTINGS (self), HT_NUMBER_FORMAT_INT);

  return get_private (self)->format;
}

/**
 * ht_quantizer_settings_get_bits:
 * @self: settings
 *
 * Gets the bit width.
 *
 * Returns: 2 to 31 for integers, that of the format for floating-point numbers
 */
guint
ht_quantizer_settings_get_bits (HtQuantizerSettings *self)
{
  HtQuantizerSettingsPrivate *priv;

  g_return_val_if_fail (HT_IS_QUANTIZER_SETTINGS (self), 0);

  priv = get_private (self);
  return priv->format == HT_NUMBER_FORMAT_INT ? priv->bits : ht_number_format_get_bits (priv->format);
}

/**
 * ht_quantizer_settings_get_symmetric:
 * @self: settings
 *
 * Tells whether grids are symmetric.
 *
 * Returns: %TRUE when zero lies in the middle
 */
gboolean
ht_quantizer_settings_get_symmetric (HtQuantizerSettings *self)
{
  g_return_val_if_fail (HT_IS_QUANTIZER_SETTINGS (self), FALSE);

  return get_private (self)->symmetric;
}

/**
 * ht_quantizer_settings_get_strict:
 * @self: settings
 *
 * Tells whether symmetric grids leave their lowest code out.
 *
 * Returns: %TRUE when they do
 */
gboolean
ht_quantizer_settings_get_strict (HtQuantizerSettings *self)
{
  g_return_val_if_fail (HT_IS_QUANTIZER_SETTINGS (self), FALSE);

  return get_private (self)->strict;
}

/**
 * ht_quantizer_settings_get_unsigned_symmetric:
 * @self: settings
 *
 * Tells whether a symmetric grid of values that are never negative begins at zero.
 *
 * Returns: whether it does
 */
gboolean
ht_quantizer_settings_get_unsigned_symmetric (HtQuantizerSettings *self)
{
  g_return_val_if_fail (HT_IS_QUANTIZER_SETTINGS (self), FALSE);

  return get_private (self)->unsigned_symmetric;
}

static guint
find_property_id (HtQuantizerSettings *self, const char *key)
{
  GParamSpec *pspec = g_object_class_find_property (G_OBJECT_GET_CLASS (self), key);

  return pspec ? pspec->param_id : 0;
}

/**
 * ht_quantizer_settings_is_explicit:
 * @self: settings
 * @key: the name of a setting
 *
 * Tells whether somebody has set a key, though it were to its default. What nobody has set is the target's to say.
 *
 * Returns: whether the key was set
 */
gboolean
ht_quantizer_settings_is_explicit (HtQuantizerSettings *self, const char *key)
{
  guint id;

  g_return_val_if_fail (HT_IS_QUANTIZER_SETTINGS (self) && key != NULL, FALSE);

  id = find_property_id (self, key);
  return id > 0 && (get_private (self)->explicit >> id & 1) != 0;
}

gboolean
ht_quantizer_settings_set_default (HtQuantizerSettings *self, const char *key, JsonNode *value, GError **error)
{
  guint64 before = get_private (self)->explicit;
  gboolean ok = ht_object_set_param (G_OBJECT (self), key, value, error);

  get_private (self)->explicit = before;
  return ok;
}

/**
 * ht_quantizer_settings_get_granularity:
 * @self: settings
 *
 * Gets what has a grid of its own.
 *
 * Returns: the granularity
 */
HtGranularity
ht_quantizer_settings_get_granularity (HtQuantizerSettings *self)
{
  g_return_val_if_fail (HT_IS_QUANTIZER_SETTINGS (self), HT_GRANULARITY_TENSOR);

  return get_private (self)->granularity;
}

/**
 * ht_quantizer_settings_get_block_size:
 * @self: settings
 *
 * Gets how many input channels share a grid.
 *
 * Returns: the length of a block, or 0 where the granularity has none
 */
guint
ht_quantizer_settings_get_block_size (HtQuantizerSettings *self)
{
  HtQuantizerSettingsPrivate *priv;

  g_return_val_if_fail (HT_IS_QUANTIZER_SETTINGS (self), 0);

  priv = get_private (self);
  return priv->granularity >= HT_GRANULARITY_BLOCK ? priv->block_size : 0;
}

/**
 * ht_quantizer_settings_get_scale_bits:
 * @self: settings
 *
 * Gets the width of block scales.
 *
 * Returns: the width in bits, or 0 where the granularity is not LPBQ
 */
guint
ht_quantizer_settings_get_scale_bits (HtQuantizerSettings *self)
{
  HtQuantizerSettingsPrivate *priv;

  g_return_val_if_fail (HT_IS_QUANTIZER_SETTINGS (self), 0);

  priv = get_private (self);
  return priv->granularity == HT_GRANULARITY_LPBQ ? priv->scale_bits : 0;
}

/**
 * ht_quantizer_settings_get_calibrator:
 * @self: settings
 *
 * Gets how ranges are found. The object has the parameters and is shared: ht_calibrator_copy() makes one that works.
 *
 * Returns: (transfer none): the calibrator
 */
HtCalibrator *
ht_quantizer_settings_get_calibrator (HtQuantizerSettings *self)
{
  g_return_val_if_fail (HT_IS_QUANTIZER_SETTINGS (self), NULL);

  return get_private (self)->calibrator;
}

/**
 * ht_quantizer_settings_get_n_steps:
 * @self: settings
 *
 * Counts the steps of a grid: one less than its codes.
 *
 * Returns: 2^bits - 1, and one less for a strict symmetric grid
 */
gint64
ht_quantizer_settings_get_n_steps (HtQuantizerSettings *self)
{
  HtQuantizerSettingsPrivate *priv;

  g_return_val_if_fail (HT_IS_QUANTIZER_SETTINGS (self), 0);

  priv = get_private (self);
  return (G_GINT64_CONSTANT (1) << priv->bits) - (priv->symmetric && priv->strict ? 2 : 1);
}

/* What blocks and floating-point numbers rule out. */
static const char *
find_contradiction (HtQuantizerSettings *self)
{
  HtQuantizerSettingsPrivate *priv = get_private (self);
  gboolean in_blocks = priv->granularity >= HT_GRANULARITY_BLOCK;

  if (priv->format != HT_NUMBER_FORMAT_INT)
    {
      if (priv->strict && ht_quantizer_settings_is_explicit (self, "strict"))
        return "'strict' with a floating-point format; such numbers mirror themselves already: drop 'strict'";
      if (priv->bits != ht_number_format_get_bits (priv->format) && ht_quantizer_settings_is_explicit (self, "bits"))
        return "'bits' with a floating-point format of another width; 'bits' is for integers: drop it";
      if (!ht_number_format_has_scale (priv->format) && in_blocks)
        return "blocks of numbers without a scale; float16 and bfloat16 have one grid in all: drop 'granularity'";
      if (priv->granularity == HT_GRANULARITY_LPBQ)
        return "granularity 'lpbq' with a floating-point format; its scales are for integers: use 'block'";
      return NULL;
    }
  if (in_blocks && priv->bits > 16)
    return "blocks of more than 16 bits; lower 'bits'";
  if (priv->granularity != HT_GRANULARITY_LPBQ)
    return NULL;
  if (!priv->symmetric || priv->strict)
    return "granularity 'lpbq' with a grid that is asymmetric or strict; it is for full symmetric ones: set 'symmetric' "
           "and drop 'strict'";
  if (priv->bits + priv->scale_bits > 16)
    return "granularity 'lpbq' with 'bits' and 'scale-bits' that are more than 16 together; lower one of them";
  return NULL;
}

/**
 * ht_quantizer_settings_verify:
 * @self: settings
 * @error: return location for an error
 *
 * Checks what no single property can: that `strict` comes with `symmetric`, that formats and blocks go with
 * the rest and the like.
 *
 * Returns: %TRUE when the settings can be carried out, else %FALSE with @error set
 */
gboolean
ht_quantizer_settings_verify (HtQuantizerSettings *self, GError **error)
{
  HtQuantizerSettingsPrivate *priv;
  const char *kind;

  g_return_val_if_fail (HT_IS_QUANTIZER_SETTINGS (self), FALSE);

  priv = get_private (self);
  kind = HT_IS_WEIGHT_SETTINGS (self) ? "weights" : "activations";
  if (priv->strict && !priv->symmetric && ht_quantizer_settings_is_explicit (self, "strict"))
    {
      g_set_error (error, HT_ERROR, HT_ERROR_CONFLICT,
                   "checking the settings of %s: found 'strict' without 'symmetric'; only a symmetric grid can leave out "
                   "its lowest code: set 'symmetric' too, or drop 'strict'",
                   kind);
      return FALSE;
    }
  if (find_contradiction (self))
    {
      g_set_error (error, HT_ERROR, HT_ERROR_CONFLICT, "checking the settings of %s: found %s", kind,
                   find_contradiction (self));
      return FALSE;
    }
  return TRUE;
}
