// SPDX-License-Identifier: MIT
// Operators on codes: saturation, zero points for rows and columns, and nodes that do not fit.
#include "one-node.h"

namespace
{

using support::OneNode;

template <typename T>
HtTensor *
tensor_of (HtDataType type, std::vector<gint64> dims, std::vector<T> values)
{
  HtTensor *tensor = ht_tensor_new (type, dims.data (), (guint) dims.size (), nullptr);
  if (!values.empty ())
    memcpy (ht_tensor_get_writable_data (tensor), values.data (), values.size () * sizeof (T));
  return tensor;
}

HtTensor *
bytes (std::vector<gint64> dims, std::vector<guint8> values)
{
  return tensor_of (HT_DATA_TYPE_UINT8, std::move (dims), std::move (values));
}

HtTensor *
signed_bytes (std::vector<gint64> dims, std::vector<gint8> values)
{
  return tensor_of (HT_DATA_TYPE_INT8, std::move (dims), std::move (values));
}

HtTensor *
real (float value)
{
  return tensor_of<float> (HT_DATA_TYPE_FLOAT, {}, { value });
}

std::vector<gint64>
run_ints (OneNode &node)
{
  g_autoptr (GError) error = nullptr;
  std::vector<gint64> values;
  std::vector<HtTensor *> tensors = node.run_tensors (&error);
  EXPECT_EQ (error, nullptr) << (error ? error->message : "");
  if (tensors.empty ())
    return values;
  for (gsize i = 0; i < ht_tensor_get_n_elements (tensors[0]); i++)
    values.push_back (ht_tensor_get_int64 (tensors[0], i));
  for (HtTensor *tensor : tensors)
    ht_tensor_unref (tensor);
  return values;
}

TEST (MatMulInteger, ZeroPointsOfRowsAndColumns)
{
  OneNode node ("MatMulInteger", 10);
  node.input (bytes ({ 2, 2 }, { 1, 2, 3, 4 })).input (signed_bytes ({ 2, 2 }, { 1, -1, 2, -2 }));
  node.input (bytes ({ 2 }, { 1, 3 })).input (signed_bytes ({ 2 }, { 0, -1 }));
  EXPECT_EQ (run_ints (node), (std::vector<gint64>{ 2, -1, 2, -1 }));
}

TEST (MatMulInteger, SumsOfNothingAreZero)
{
  OneNode node ("MatMulInteger", 10);
  node.input (bytes ({ 1, 0 }, {})).input (bytes ({ 0, 2 }, {}));
  EXPECT_EQ (run_ints (node), (std::vector<gint64>{ 0, 0 }));
}

TEST (QLinearMatMul, Saturates)
{
  OneNode node ("QLinearMatMul", 21);
  node.input (signed_bytes ({ 1, 2 }, { 127, 127 })).input (real (1.0f)).input (signed_bytes ({}, { 0 }));
  node.input (signed_bytes ({ 2, 2 }, { 127, -128, 127, -128 })).input (real (1.0f)).input (signed_bytes ({}, { 0 }));
  node.input (real (1.0f)).input (signed_bytes ({}, { 5 }));
  EXPECT_EQ (run_ints (node), (std::vector<gint64>{ 127, -128 }));
}

TEST (QLinearConv, HalvesGoToTheEvenCode)
{
  OneNode node ("QLinearConv", 10);
  node.input (bytes ({ 1, 1, 4 }, { 1, 2, 3, 5 })).input (real (0.5f)).input (bytes ({}, { 0 }));
  node.input (bytes ({ 1, 1, 1 }, { 1 })).input (real (1.0f)).input (bytes ({}, { 0 }));
  node.input (real (1.0f)).input (bytes ({}, { 1 }));
  EXPECT_EQ (run_ints (node), (std::vector<gint64>{ 1, 2, 3, 3 }));
}

TEST (DynamicQuantizeLinear, ZerosHaveAScale)
{
  g_autoptr (GError) error = nullptr;
  OneNode node ("DynamicQuantizeLinear", 11, 3);
  node.input (tensor_of<float> (HT_DATA_TYPE_FLOAT, { 2 }, { 0, 0 }));
  std::vector<HtTensor *> out = node.run_tensors (&error);
  ASSERT_NO_GERROR (error);
  EXPECT_GT (ht_tensor_get_double (out[1], 0), 0.0);
  EXPECT_EQ (ht_tensor_get_int64 (out[0], 1), 0);
  for (HtTensor *tensor : out)
    ht_tensor_unref (tensor);
}

TEST (Integer, WhatDoesNotFitIsRefused)
{
  g_autoptr (GError) error = nullptr;
  OneNode columns ("MatMulInteger", 10);
  columns.input (bytes ({ 2, 2 }, { 1, 2, 3, 4 })).input (bytes ({ 2, 2 }, { 1, 2, 3, 4 }));
  columns.input (bytes ({}, { 0 })).input (bytes ({ 3 }, { 0, 0, 0 }));
  columns.run_tensors (&error);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_MODEL, "in3");
  g_clear_error (&error);
  OneNode channels ("ConvInteger", 10);
  channels.input (bytes ({ 1, 2, 3 }, { 1, 2, 3, 4, 5, 6 })).input (bytes ({ 1, 1, 1 }, { 1 }));
  channels.run_tensors (&error);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_MODEL, "2 channels");
}

}
