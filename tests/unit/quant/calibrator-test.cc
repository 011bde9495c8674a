// SPDX-License-Identifier: MIT
// The type of calibrators: names, copies, what they refuse.
#include "support.h"

#include <cmath>
#include <limits>
#include <vector>

namespace
{

bool
observe (HtCalibrator *calibrator, const std::vector<float> &values, GError **error)
{
  return ht_calibrator_observe (calibrator, values.data (), values.size (), error);
}

}

TEST (Calibrator, MinMaxTakesTheRangeOfAllBatchesSinceTheLastReset)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtCalibrator) calibrator = ht_calibrator_new ("min-max", &error);
  ASSERT_NO_GERROR (error);
  g_autoptr (HtQuantizerSettings) settings = ht_quantizer_settings_new_weights ();
  double minimum, maximum;
  ASSERT_TRUE (observe (calibrator, { 1, 2, -0.5f }, &error));
  ASSERT_TRUE (observe (calibrator, {}, &error));
  ASSERT_TRUE (observe (calibrator, { 3 }, &error));
  EXPECT_EQ (ht_calibrator_get_n_values (calibrator), 4u);
  ASSERT_TRUE (ht_calibrator_finish (calibrator, settings, &minimum, &maximum, &error));
  EXPECT_EQ (minimum, -0.5);
  EXPECT_EQ (maximum, 3);
  ht_calibrator_reset (calibrator);
  EXPECT_EQ (ht_calibrator_get_n_values (calibrator), 0u);
  ASSERT_TRUE (observe (calibrator, { 7, 9 }, &error));
  ASSERT_TRUE (ht_calibrator_finish (calibrator, settings, &minimum, &maximum, &error));
  EXPECT_EQ (minimum, 7);
  EXPECT_EQ (maximum, 9);
}

TEST (Calibrator, RefusesValuesThatAreNotFiniteAndKeepsTheRest)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtCalibrator) calibrator = ht_calibrator_new ("min-max", &error);
  ASSERT_TRUE (observe (calibrator, { 1 }, &error));
  for (float bad : { NAN, INFINITY, -INFINITY })
    {
      EXPECT_FALSE (observe (calibrator, { 5, bad }, &error));
      EXPECT_GERROR (error, HT_ERROR, HT_ERROR_NUMERIC, "1 values that are infinite or not a number");
    }
  EXPECT_EQ (ht_calibrator_get_n_values (calibrator), 1u);
}

TEST (Calibrator, IsFoundByName)
{
  g_autoptr (GError) error = nullptr;
  g_auto (GStrv) names = ht_calibrator_list ();
  EXPECT_TRUE (g_strv_contains (names, "min-max"));
  for (char **name = names; *name; name++)
    {
      GType type = ht_calibrator_find (*name, &error);
      ASSERT_NE (type, G_TYPE_INVALID);
      g_autoptr (HtCalibrator) calibrator = HT_CALIBRATOR (g_object_new (type, nullptr));
      EXPECT_STREQ (ht_calibrator_get_id (calibrator), *name);
    }
  EXPECT_EQ (ht_calibrator_find ("min-mx", &error), G_TYPE_INVALID);
  EXPECT_GERROR (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_UNKNOWN_VALUE, "did you mean 'min-max'?");
}
