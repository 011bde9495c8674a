/* SPDX-License-Identifier: MIT */
#pragma once

#include <halftone/calibrator.h>
#include <halftone/encoding.h>
#include <halftone/graph.h>
#include <halftone/param.h>
#include <halftone/target.h>

G_BEGIN_DECLS

/**
 * HtGranularity:
 * @HT_GRANULARITY_TENSOR: one grid for the whole tensor
 * @HT_GRANULARITY_CHANNEL: one grid for each output channel
 * @HT_GRANULARITY_BLOCK: one grid for each block of input channels of each output channel
 * @HT_GRANULARITY_LPBQ: the same, with scales that are small integers times one number for each output channel
 */
typedef enum
{
  HT_GRANULARITY_TENSOR,
  HT_GRANULARITY_CHANNEL,
  HT_GRANULARITY_BLOCK,
  HT_GRANULARITY_LPBQ,
} HtGranularity;

/* The settings of one kind of tensor. The GObject properties of the two kinds, HtWeightSettings and HtActivationSettings,
 * are the only place that names, ranges and defaults come from: format, bits, symmetric, strict, unsigned-symmetric,
 * granularity, block-size, scale-bits, calibrator. */
#define HT_TYPE_QUANTIZER_SETTINGS (ht_quantizer_settings_get_type ())
HT_API
G_DECLARE_DERIVABLE_TYPE (HtQuantizerSettings, ht_quantizer_settings, HT, QUANTIZER_SETTINGS, GObject)

struct _HtQuantizerSettingsClass
{
  GObjectClass parent_class;

  /*< private >*/
  gpointer reserved[4];
};

#define HT_TYPE_WEIGHT_SETTINGS (ht_weight_settings_get_type ())
HT_API
G_DECLARE_FINAL_TYPE (HtWeightSettings, ht_weight_settings, HT, WEIGHT_SETTINGS, HtQuantizerSettings)

#define HT_TYPE_ACTIVATION_SETTINGS (ht_activation_settings_get_type ())
HT_API
G_DECLARE_FINAL_TYPE (HtActivationSettings, ht_activation_settings, HT, ACTIVATION_SETTINGS, HtQuantizerSettings)

HT_API HtQuantizerSettings *ht_quantizer_settings_new_weights (void);
HT_API HtQuantizerSettings *ht_quantizer_settings_new_activations (void);
HT_API HtQuantizerSettings *ht_quantizer_settings_copy (HtQuantizerSettings *self);
HT_API HtNumberFormat ht_quantizer_settings_get_format (HtQuantizerSettings *self);
HT_API guint ht_quantizer_settings_get_bits (HtQuantizerSettings *self);
HT_API gboolean ht_quantizer_settings_get_symmetric (HtQuantizerSettings *self);
HT_API gboolean ht_quantizer_settings_get_strict (HtQuantizerSettings *self);
HT_API gboolean ht_quantizer_settings_get_unsigned_symmetric (HtQuantizerSettings *self);
HT_API gboolean ht_quantizer_settings_is_explicit (HtQuantizerSettings *self, const char *key);
HT_API HtGranularity ht_quantizer_settings_get_granularity (HtQuantizerSettings *self);
HT_API guint ht_quantizer_settings_get_block_size (HtQuantizerSettings *self);
HT_API guint ht_quantizer_settings_get_scale_bits (HtQuantizerSettings *self);
HT_API HtCalibrator *ht_quantizer_settings_get_calibrator (HtQuantizerSettings *self);
HT_API gint64 ht_quantizer_settings_get_n_steps (HtQuantizerSettings *self);
/* What no single property can say: strict needs symmetric. */
HT_API gboolean ht_quantizer_settings_verify (HtQuantizerSettings *self, GError **error);

/**
 * HtRulePosition:
 * @HT_RULE_POSITION_ANY: wherever it stands
 * @HT_RULE_POSITION_FIRST: the first layer in execution order
 * @HT_RULE_POSITION_LAST: the last layer in execution order
 *
 * Which layer of a network a rule is for.
 */
typedef enum
{
  HT_RULE_POSITION_ANY,
  HT_RULE_POSITION_FIRST,
  HT_RULE_POSITION_LAST,
} HtRulePosition;

/* What a recipe's `quantization` section says: target, weight and activation settings, ordered rules. */
#define HT_TYPE_QUANTIZATION_CONFIG (ht_quantization_config_get_type ())
HT_API
G_DECLARE_FINAL_TYPE (HtQuantizationConfig, ht_quantization_config, HT, QUANTIZATION_CONFIG, GObject)

HT_API HtQuantizationConfig *ht_quantization_config_new (void);
HT_API const char *ht_quantization_config_get_target (HtQuantizationConfig *self);
HT_API gboolean ht_quantization_config_set_target (HtQuantizationConfig *self, const char *target, GError **error);
HT_API HtTarget *ht_quantization_config_get_target_object (HtQuantizationConfig *self);
HT_API void ht_quantization_config_set_target_object (HtQuantizationConfig *self, HtTarget *target);
HT_API HtQuantizerSettings *ht_quantization_config_get_weights (HtQuantizationConfig *self);
HT_API HtQuantizerSettings *ht_quantization_config_get_activations (HtQuantizationConfig *self);
/* Rules: match by operator type and name glob (either may be NULL); skip, or override single keys ("bits", …). */
HT_API guint ht_quantization_config_add_rule (HtQuantizationConfig *self, const char *op_type, const char *name_glob,
                                              gboolean skip);
HT_API gboolean ht_quantization_config_set_rule_value (HtQuantizationConfig *self, guint rule, gboolean weights,
                                                       const char *key, JsonNode *value, GError **error);
HT_API void ht_quantization_config_set_rule_pattern (HtQuantizationConfig *self, guint rule,
                                                     const char *const *op_types);
HT_API void ht_quantization_config_set_rule_position (HtQuantizationConfig *self, guint rule, HtRulePosition position);
HT_API void ht_quantization_config_set_rule_place (HtQuantizationConfig *self, guint rule, const char *place);
HT_API guint ht_quantization_config_get_n_rules (HtQuantizationConfig *self);
HT_API gboolean ht_quantization_config_is_skipped (HtQuantizationConfig *self, HtNode *node);
HT_API HtQuantizerSettings *ht_quantization_config_resolve (HtQuantizationConfig *self, HtNode *const *nodes,
                                                            gsize n_nodes, gboolean weights, GError **error);
HT_API gboolean ht_quantization_config_verify (HtQuantizationConfig *self, GError **error);
HT_API char *ht_quantization_config_lookup (HtQuantizationConfig *self, const char *path);

/* One quantized tensor of a simulation. Immutable, counted. */
#define HT_TYPE_QUANTIZER (ht_quantizer_get_type ())
typedef struct _HtQuantizer HtQuantizer;

HT_API GType ht_quantizer_get_type (void) G_GNUC_CONST;
HT_API HtQuantizer *ht_quantizer_ref (HtQuantizer *self);
HT_API void ht_quantizer_unref (HtQuantizer *self);
HT_API const char *ht_quantizer_get_tensor (HtQuantizer *self);
HT_API gboolean ht_quantizer_is_weight (HtQuantizer *self);
HT_API gint ht_quantizer_get_axis (HtQuantizer *self);
HT_API HtQuantizerSettings *ht_quantizer_get_settings (HtQuantizer *self);
HT_API const char *ht_quantizer_get_reason (HtQuantizer *self);
HT_API const char *ht_quantizer_get_origin (HtQuantizer *self, const char *key);
HT_API const char *ht_quantizer_get_tie (HtQuantizer *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (HtQuantizer, ht_quantizer_unref)

G_END_DECLS
