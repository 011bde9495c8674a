// SPDX-License-Identifier: MIT
// Resize where the specification is silent or ambiguous: what onnxruntime does.
#include "one-node.h"

using support::Array;
using support::OneNode;

namespace
{

Array
ramp (gint64 n)
{
  Array x{ { 1, 1, 1, n }, {} };
  for (gint64 i = 0; i < n; i++)
    x.values.push_back (static_cast<float> (i));
  return x;
}

HtTensor *
to_ints (std::vector<gint64> values)
{
  gint64 n = static_cast<gint64> (values.size ());
  HtTensor *tensor = ht_tensor_new (HT_DATA_TYPE_INT64, &n, 1, nullptr);
  memcpy (ht_tensor_get_writable_data (tensor), values.data (), values.size () * sizeof (gint64));
  return tensor;
}

// 1 / (2 / 7) is 3.5, but a little less in single precision.
TEST (Resize, TakesAlmostTheMiddleForTheMiddle)
{
  GError *error = nullptr;
  for (const char *mode : { "round_prefer_ceil", "round_prefer_floor" })
    {
      auto found = OneNode ("Resize", 18)
                       .input (ramp (7))
                       .absent ()
                       .absent ()
                       .input (to_ints ({ 1, 1, 1, 2 }))
                       .text ("coordinate_transformation_mode", "asymmetric")
                       .text ("nearest_mode", mode)
                       .run (&error);
      ASSERT_NO_GERROR (error);
      float second = strcmp (mode, "round_prefer_ceil") == 0 ? 4.0f : 3.0f;
      EXPECT_EQ (found[0].values, (std::vector<float>{ 0.0f, second })) << mode;
    }
}

TEST (Resize, OfOpset10RoundsUpWhereItShrinks)
{
  GError *error = nullptr;
  auto found = OneNode ("Resize", 10).input (ramp (6)).input (Array{ { 4 }, { 1, 1, 1, 0.8f } }).run (&error);
  ASSERT_NO_GERROR (error);
  EXPECT_EQ (found[0].values, (std::vector<float>{ 0, 2, 3, 4 }));
  found = OneNode ("Resize", 10).input (ramp (2)).input (Array{ { 4 }, { 1, 1, 1, 2 } }).run (&error);
  ASSERT_NO_GERROR (error);
  EXPECT_EQ (found[0].values, (std::vector<float>{ 0, 0, 1, 1 }));
}

TEST (Resize, InterpolatesIntegersAndCutsThemOff)
{
  GError *error = nullptr;
  gint64 dims[] = { 1, 1, 1, 2 };
  HtTensor *x = ht_tensor_new (HT_DATA_TYPE_INT8, dims, 4, nullptr);
  gint8 *data = static_cast<gint8 *> (ht_tensor_get_writable_data (x));
  data[0] = -3;
  data[1] = 4;
  auto found = OneNode ("Resize", 13)
                   .input (x)
                   .absent ()
                   .input (Array{ { 4 }, { 1, 1, 1, 2 } })
                   .text ("mode", "linear")
                   .run_tensors (&error);
  ASSERT_NO_GERROR (error);
  const gint8 expected[] = { -3, -1, 2, 4 }; // of -3, -1.25, 2.25, 4
  EXPECT_EQ (memcmp (ht_tensor_get_data (found[0]), expected, sizeof expected), 0);
  ht_tensor_unref (found[0]);
}

TEST (Resize, ErrorsShowTheInputs)
{
  GError *error = nullptr;
  OneNode ("Resize", 13).input (ramp (3)).absent ().input (Array{ { 2 }, { 1, 1 } }).run (&error);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_MODEL, "'in0' float[1x1x1x3], 'in2' float[2]");
}

} // namespace
