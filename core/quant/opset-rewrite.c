/* SPDX-License-Identifier: MIT */
/* The rewrites of single nodes: mostly attributes that became inputs. */
#include "quant/opset-upgrade.h"

#include <halftone/error.h>

#include <math.h>
#include <string.h>

static gboolean
refuse (const HtOpsetStep *step, GError **error, const char *why)
{
  g_autofree char *where = ht_node_describe (step->node);

  g_set_error (error, HT_ERROR, HT_ERROR_NOT_SUPPORTED,
               "raising the opset from %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT
               ": found %s with %s, which later opsets "
               "cannot express",
               step->source, step->target, where, why);
  return FALSE;
}

/* A new initializer that becomes input `index` of the node. */
static void
set_constant_input (const HtOpsetStep *step, guint index, const char *what, HtTensor *value)
{
  g_autofree char *stem = g_strdup_printf ("%s_%s", ht_node_get_output (step->node, 0), what);
  g_autofree char *name = ht_graph_make_name (step->graph, stem);

  ht_graph_set_initializer (step->graph, name, value);
  ht_graph_set_node_input (step->graph, step->node, index, name);
}

static void
set_ints_input (const HtOpsetStep *step, guint index, const char *what, const gint64 *values, gsize n_values)
{
  g_autoptr (HtTensor) tensor = ht_tensor_new_int64s (values, n_values);

  set_constant_input (step, index, what, tensor);
}

/* Turns a list attribute into an input; what is absent stays absent. */
static void
move_ints (const HtOpsetStep *step, const char *attribute, guint index)
{
  gsize n_values = 0;
  const gint64 *values = ht_node_get_ints (step->node, attribute, &n_values);

  if (!values)
    return;
  set_ints_input (step, index, attribute, values, n_values);
  ht_graph_remove_attribute (step->graph, step->node, attribute);
}

static gboolean
set_float_input (const HtOpsetStep *step, guint index, const char *what, double value, GError **error)
{
  g_autoptr (HtTensor) tensor = NULL;
  HtDataType type = ht_graph_get_data_type (step->graph, ht_node_get_input (step->node, 0));

  /* The input has the type of the data. */
  if (type == HT_DATA_TYPE_UNDEFINED)
    type = HT_DATA_TYPE_FLOAT;
  tensor = ht_tensor_new_scalar (value, type, error);
  if (!tensor)
    return FALSE;
  set_constant_input (step, index, what, tensor);
  return TRUE;
}

gboolean
ht_rewrite_axes (const HtOpsetStep *step, GError **error)
{
  move_ints (step, "axes", 1);
  return TRUE;
}

gboolean
ht_rewrite_batch_norm (const HtOpsetStep *step, GError **error)
{
  if (ht_node_get_int (step->node, "spatial", 1) != 1)
    return refuse (step, error, "spatial = 0");
  ht_graph_remove_attribute (step->graph, step->node, "spatial");
  return TRUE;
}

gboolean
ht_rewrite_batch_norm_outputs (const HtOpsetStep *step, GError **error)
{
  if (ht_node_get_n_outputs (step->node) > 1)
    return refuse (step, error, "the outputs of training");
  return TRUE;
}

gboolean
ht_rewrite_clip (const HtOpsetStep *step, GError **error)
{
  static const char *const limits[] = { "min", "max" };

  for (guint i = 0; i < G_N_ELEMENTS (limits); i++)
    {
      if (!ht_node_has_attribute (step->node, limits[i]))
        continue;
      if (!set_float_input (step, i + 1, limits[i], ht_node_get_float (step->node, limits[i], 0), error))
        return FALSE;
      ht_graph_remove_attribute (step->graph, step->node, limits[i]);
    }
  return TRUE;
}

/* Version 12 took the rate as an input; without one, and without training, the node passes its input on. */
gboolean
ht_rewrite_dropout (const HtOpsetStep *step, GError **error)
{
  ht_graph_remove_attribute (step->graph, step->node, "ratio");
  return TRUE;
}

gboolean
ht_rewrite_dropout_mask (const HtOpsetStep *step, GError **error)
{
  if (ht_node_get_n_outputs (step->node) > 1
      && ht_graph_count_uses (step->graph, ht_node_get_output (step->node, 1)) > 0)
    return refuse (step, error, "a mask of another type");
  return TRUE;
}

gboolean
ht_rewrite_pad (const HtOpsetStep *step, GError **error)
{
  double value = ht_node_get_float (step->node, "value", 0);

  move_ints (step, "pads", 1);
  ht_graph_remove_attribute (step->graph, step->node, "value");
  return value == 0 || set_float_input (step, 2, "value", value, error);
}

gboolean
ht_rewrite_scatter (const HtOpsetStep *step, GError **error)
{
  ht_graph_set_node_op (step->graph, step->node, "ScatterElements", "");
  return TRUE;
}

gboolean
ht_rewrite_slice (const HtOpsetStep *step, GError **error)
{
  move_ints (step, "starts", 1);
  move_ints (step, "ends", 2);
  move_ints (step, "axes", 3);
  return TRUE;
}

gboolean
ht_rewrite_split (const HtOpsetStep *step, GError **error)
{
  move_ints (step, "split", 1);
  return TRUE;
}

/* Version 18 wants to be told how many parts there are where no sizes are given. */
gboolean
ht_rewrite_split_count (const HtOpsetStep *step, GError **error)
{
  if (ht_node_get_n_inputs (step->node) < 2 || ht_node_get_input (step->node, 1)[0] == '\0')
    ht_graph_set_int (step->graph, step->node, "num_outputs", ht_node_get_n_outputs (step->node));
  return TRUE;
}

gboolean
ht_rewrite_top_k (const HtOpsetStep *step, GError **error)
{
  gint64 k = ht_node_get_int (step->node, "k", 1);

  set_ints_input (step, 1, "k", &k, 1);
  ht_graph_remove_attribute (step->graph, step->node, "k");
  return TRUE;
}

/* Before version 13 the dimensions from `axis` on were one: Flatten, the operator over the last axis, Reshape back. */
gboolean
ht_rewrite_softmax (const HtOpsetStep *step, GError **error)
{
  gint64 axis = ht_node_get_int (step->node, "axis", 1);
  HtShape *shape = ht_graph_get_shape (step->graph, ht_node_get_input (step->node, 0));
  g_autofree char *input = g_strdup (ht_node_get_input (step->node, 0));
  g_autofree char *output = g_strdup (ht_node_get_output (step->node, 0));
  g_autofree char *flat = NULL, *result = NULL, *dims = NULL;

  if (axis == -1 || (shape && axis == (gint64)ht_shape_get_n_dims (shape) - 1))
    {
      ht_graph_set_int (step->graph, step->node, "axis", -1);
      return TRUE;
    }
  flat = ht_graph_make_name (step->graph, "softmax_flat");
  result = ht_graph_make_name (step->graph, "softmax_result");
  dims = ht_graph_make_name (step->graph, "softmax_shape");
  {
    const char *const inputs[] = { input, NULL };
    const char *const flats[] = { flat, NULL };
    const char *const shapes[] = { dims, NULL };
    const char *const parts[] = { result, dims, NULL };
    const char *const outputs[] = { output, NULL };
    HtNode *flatten;

    ht_graph_set_node_input (step->graph, step->node, 0, flat);
    ht_graph_set_node_output (step->graph, step->node, 0, result);
    ht_graph_set_int (step->graph, step->node, "axis", -1);
    flatten = ht_graph_add_node (step->graph, "Flatten", "", flat, inputs, flats);
    ht_graph_set_int (step->graph, flatten, "axis", axis);
    ht_graph_add_node (step->graph, "Shape", "", dims, inputs, shapes);
    ht_graph_add_node (step->graph, "Reshape", "", result, parts, outputs);
  }
  return TRUE;
}

static gboolean
enlarges_only (const HtOpsetStep *step, HtTensor *scales)
{
  for (gsize i = 0; scales && i < ht_tensor_get_n_elements (scales); i++)
    if (ht_tensor_get_double (scales, i) < 1)
      return FALSE;
  return scales != NULL;
}

/* Resize of version 10 took (X, scales); version 11 takes (X, roi, scales) and says how coordinates are computed. */
static gboolean
turn_into_resize_11 (const HtOpsetStep *step, const char *scales_name, GError **error)
{
  g_autoptr (HtTensor) scales = ht_graph_get_constant (step->graph, scales_name);
  g_autoptr (HtTensor) no_region = ht_tensor_new_floats (NULL, 0);

  if (strcmp (ht_node_get_string (step->node, "mode", "nearest"), "nearest") == 0 && !enlarges_only (step, scales))
    return refuse (step, error, "scales below 1, or unknown ones");
  ht_graph_set_node_input (step->graph, step->node, 2, scales_name);
  if (step->target >= 13)
    ht_graph_set_node_input (step->graph, step->node, 1, "");
  else
    set_constant_input (step, 1, "roi", no_region);
  ht_graph_set_string (step->graph, step->node, "coordinate_transformation_mode", "asymmetric");
  ht_graph_set_string (step->graph, step->node, "nearest_mode", "floor");
  return TRUE;
}

gboolean
ht_rewrite_resize (const HtOpsetStep *step, GError **error)
{
  g_autofree char *scales = g_strdup (ht_node_get_input (step->node, 1));

  return turn_into_resize_11 (step, scales, error);
}

gboolean
ht_rewrite_resize_mode (const HtOpsetStep *step, GError **error)
{
  const char *mode = ht_node_get_string (step->node, "coordinate_transformation_mode", "half_pixel");

  return strcmp (mode, "tf_half_pixel_for_nn") != 0
         || refuse (step, error, "coordinate_transformation_mode 'tf_half_pixel_for_nn'");
}

/* Version 16 moved the default by half a pixel. */
gboolean
ht_rewrite_roi_align (const HtOpsetStep *step, GError **error)
{
  ht_graph_set_string (step->graph, step->node, "coordinate_transformation_mode", "output_half_pixel");
  return TRUE;
}

/* Version 20 is for any number of axes, and renamed what was for two. */
gboolean
ht_rewrite_grid_sample (const HtOpsetStep *step, GError **error)
{
  const char *mode = ht_node_get_string (step->node, "mode", "bilinear");

  if (strcmp (mode, "nearest") != 0)
    ht_graph_set_string (step->graph, step->node, "mode", strcmp (mode, "bicubic") == 0 ? "cubic" : "linear");
  return TRUE;
}

gboolean
ht_rewrite_upsample (const HtOpsetStep *step, GError **error)
{
  g_autofree char *name = NULL;

  if (ht_node_has_attribute (step->node, "scales"))
    {
      gsize n_scales = 0;
      const float *scales = ht_node_get_floats (step->node, "scales", &n_scales);
      g_autoptr (HtTensor) tensor = ht_tensor_new_floats (scales, n_scales);

      set_constant_input (step, 1, "scales", tensor);
      ht_graph_remove_attribute (step->graph, step->node, "scales");
    }
  if (ht_node_get_n_inputs (step->node) < 2)
    return refuse (step, error, "no scales");
  ht_graph_set_node_op (step->graph, step->node, "Resize", "");
  name = g_strdup (ht_node_get_input (step->node, 1));
  return step->target < 11 || turn_into_resize_11 (step, name, error);
}
