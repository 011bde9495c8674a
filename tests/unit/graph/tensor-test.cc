// SPDX-License-Identifier: MIT
#include "support.h"

#include "graph/tensor-private.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <thread>
#include <vector>

namespace
{

#define EXPECT_CRITICAL(statement)                                                                                     \
  EXPECT_DEATH (                                                                                                       \
      {                                                                                                                \
        g_log_set_always_fatal (G_LOG_LEVEL_CRITICAL);                                                                 \
        statement;                                                                                                     \
      },                                                                                                               \
      "")

const HtDataType all_types[]
    = { HT_DATA_TYPE_FLOAT,        HT_DATA_TYPE_UINT8,      HT_DATA_TYPE_INT8,           HT_DATA_TYPE_UINT16,
        HT_DATA_TYPE_INT16,        HT_DATA_TYPE_INT32,      HT_DATA_TYPE_INT64,          HT_DATA_TYPE_BOOL,
        HT_DATA_TYPE_FLOAT16,      HT_DATA_TYPE_DOUBLE,     HT_DATA_TYPE_UINT32,         HT_DATA_TYPE_UINT64,
        HT_DATA_TYPE_COMPLEX64,    HT_DATA_TYPE_COMPLEX128, HT_DATA_TYPE_BFLOAT16,       HT_DATA_TYPE_FLOAT8E4M3FN,
        HT_DATA_TYPE_FLOAT8E4M3FNUZ, HT_DATA_TYPE_FLOAT8E5M2, HT_DATA_TYPE_FLOAT8E5M2FNUZ, HT_DATA_TYPE_UINT4,
        HT_DATA_TYPE_INT4,         HT_DATA_TYPE_FLOAT4E2M1, HT_DATA_TYPE_FLOAT8E8M0,     HT_DATA_TYPE_UINT2,
        HT_DATA_TYPE_INT2 };

TEST (DataType, WidthsAndNames)
{
  EXPECT_STREQ (ht_data_type_get_name (HT_DATA_TYPE_FLOAT8E4M3FNUZ), "float8e4m3fnuz");
  EXPECT_STREQ (ht_data_type_get_name (static_cast<HtDataType> (27)), "undefined");
  EXPECT_STREQ (ht_data_type_get_name (static_cast<HtDataType> (-1)), "undefined");
  EXPECT_EQ (ht_data_type_get_bits (HT_DATA_TYPE_INT2), 2u);
  EXPECT_EQ (ht_data_type_get_bits (HT_DATA_TYPE_COMPLEX128), 128u);
  EXPECT_EQ (ht_data_type_get_bits (HT_DATA_TYPE_STRING), 0u);
  EXPECT_TRUE (ht_data_type_is_float (HT_DATA_TYPE_FLOAT4E2M1));
  EXPECT_FALSE (ht_data_type_is_float (HT_DATA_TYPE_COMPLEX64));
  EXPECT_FALSE (ht_data_type_is_float (HT_DATA_TYPE_BOOL));
}

TEST (Tensor, AlignedAndZero)
{
  for (HtDataType type : all_types)
    {
      const gint64 dims[] = { 3, 5 };
      g_autoptr (GError) error = nullptr;
      g_autoptr (HtTensor) tensor = ht_tensor_new (type, dims, 2, &error);
      ASSERT_NO_GERROR (error);
      EXPECT_EQ (ht_tensor_get_n_elements (tensor), 15u);
      EXPECT_EQ (ht_tensor_get_size (tensor), (15 * ht_data_type_get_bits (type) + 7) / 8);
      auto *data = static_cast<const uint8_t *> (ht_tensor_get_data (tensor));
      EXPECT_EQ (reinterpret_cast<uintptr_t> (data) % 64, 0u);
      for (gsize i = 0; i < ht_tensor_get_size (tensor); i++)
        EXPECT_EQ (data[i], 0);
      EXPECT_EQ (ht_tensor_get_writable_data (tensor), data);
    }
}

TEST (Tensor, ScalarsAndEmptyTensors)
{
  g_autoptr (HtTensor) scalar = ht_tensor_new_scalar (2.5, HT_DATA_TYPE_BFLOAT16, nullptr);
  EXPECT_EQ (ht_tensor_get_n_dims (scalar), 0u);
  EXPECT_EQ (ht_tensor_get_n_elements (scalar), 1u);
  EXPECT_EQ (ht_tensor_get_double (scalar, 0), 2.5);
  g_autofree char *text = ht_tensor_describe (scalar);
  EXPECT_STREQ (text, "bfloat16[]");

  const gint64 dims[] = { 4, 0, 3 };
  g_autoptr (HtTensor) empty = ht_tensor_new (HT_DATA_TYPE_FLOAT, dims, 3, nullptr);
  EXPECT_EQ (ht_tensor_get_n_elements (empty), 0u);
  EXPECT_EQ (ht_tensor_get_size (empty), 0u);
  EXPECT_NE (ht_tensor_get_data (empty), nullptr);
  EXPECT_TRUE (ht_tensor_is_finite (empty));
  g_autoptr (GBytes) none = g_bytes_new (nullptr, 0);
  g_autoptr (HtTensor) other = ht_tensor_new_from_bytes (HT_DATA_TYPE_FLOAT, dims, 3, none, nullptr);
  ASSERT_NE (other, nullptr);
  EXPECT_TRUE (ht_tensor_equal (empty, other));
  g_autoptr (HtTensor) copy = ht_tensor_copy (other, nullptr);
  g_autoptr (HtTensor) cast = ht_tensor_cast (other, HT_DATA_TYPE_INT4, nullptr);
  EXPECT_EQ (ht_tensor_get_n_elements (cast), 0u);
  g_autoptr (HtTensor) nothing = ht_tensor_new_floats (nullptr, 0);
  EXPECT_EQ (ht_tensor_get_dim (nothing, 0), 0);
}

TEST (Tensor, RefusesImpossibleDimensions)
{
  struct
  {
    std::vector<gint64> dims;
    int code;
    const char *text;
  } cases[] = {
    { { -1 }, HT_ERROR_SHAPE, "negative" },
    { { G_MAXINT64 }, HT_ERROR_LIMIT_EXCEEDED, "larger than any memory" },
    { { G_MAXINT64, 2 }, HT_ERROR_LIMIT_EXCEEDED, "can be counted" },
    { { gint64 (1) << 32, gint64 (1) << 32 }, HT_ERROR_LIMIT_EXCEEDED, "can be counted" },
    { { gint64 (1) << 61 }, HT_ERROR_LIMIT_EXCEEDED, "larger" },
    { { 0, G_MAXINT64, G_MAXINT64 }, HT_ERROR_LIMIT_EXCEEDED, "can be counted" },
    { std::vector<gint64> (17, 1), HT_ERROR_LIMIT_EXCEEDED, "16 dimensions" },
    { { gint64 (1) << 50, 8 }, HT_ERROR_NO_MEMORY, "not enough memory" },
  };
  for (auto &test : cases)
    {
      g_autoptr (GError) error = nullptr;
      // The last case asks the system for 2^55 bytes, which sanitizers turn into an abort of their own.
      if (test.code == HT_ERROR_NO_MEMORY && g_getenv ("ASAN_OPTIONS") != nullptr)
        continue;
      EXPECT_EQ (ht_tensor_new (HT_DATA_TYPE_FLOAT, test.dims.data (), guint (test.dims.size ()), &error), nullptr);
      EXPECT_GERROR (error, HT_ERROR, test.code, test.text);
    }
  g_autoptr (GError) error = nullptr;
  EXPECT_EQ (ht_tensor_new (static_cast<HtDataType> (27), nullptr, 0, &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_DATA_TYPE, "27");
  EXPECT_EQ (ht_tensor_new (HT_DATA_TYPE_UNDEFINED, nullptr, 0, &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_DATA_TYPE, "element type 0");
  EXPECT_EQ (ht_tensor_new_scalar (1, HT_DATA_TYPE_STRING, &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_DATA_TYPE, "string");
  const gint64 sixteen[16] = { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2 };
  g_autoptr (HtTensor) most = ht_tensor_new (HT_DATA_TYPE_INT2, sixteen, 16, &error);
  EXPECT_NO_GERROR (error);
}

TEST (Tensor, FromBytesDoesNotCopy)
{
  alignas (8) static const float values[] = { 1, 2, 3, 4 };
  const gint64 dims[] = { 2, 2 };
  g_autoptr (GBytes) bytes = g_bytes_new_static (values, sizeof values);
  g_autoptr (HtTensor) tensor = ht_tensor_new_from_bytes (HT_DATA_TYPE_FLOAT, dims, 2, bytes, nullptr);
  EXPECT_EQ (ht_tensor_get_data (tensor), values);
  g_autoptr (GBytes) again = ht_tensor_get_bytes (tensor);
  EXPECT_EQ (again, bytes);

  g_autoptr (GError) error = nullptr;
  g_autoptr (GBytes) shorter = g_bytes_new_from_bytes (bytes, 0, 15);
  EXPECT_EQ (ht_tensor_new_from_bytes (HT_DATA_TYPE_FLOAT, dims, 2, shorter, &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_DATA, "15 bytes: it takes 16");
}

TEST (Tensor, MisalignedBytesAreCopied)
{
  alignas (8) static const char raw[17] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };
  g_autoptr (GBytes) bytes = g_bytes_new_static (raw + 1, 16);
  const gint64 dims[] = { 2 };
  g_autoptr (HtTensor) tensor = ht_tensor_new_from_bytes (HT_DATA_TYPE_DOUBLE, dims, 1, bytes, nullptr);
  EXPECT_NE (ht_tensor_get_data (tensor), raw + 1);
  EXPECT_EQ (reinterpret_cast<uintptr_t> (ht_tensor_get_data (tensor)) % 8, 0u);
  EXPECT_EQ (memcmp (ht_tensor_get_data (tensor), raw + 1, 16), 0);
}

TEST (TensorDeathTest, WritingNeedsASingleOwner)
{
  const float values[] = { 1, 2 };
  const gint64 dims[] = { 2 };
  g_autoptr (HtTensor) tensor = ht_tensor_new_floats (values, 2);
  {
    g_autoptr (HtTensor) second = ht_tensor_ref (tensor);
    EXPECT_CRITICAL (ht_tensor_get_writable_data (tensor));
  }
  {
    g_autoptr (GBytes) bytes = ht_tensor_get_bytes (tensor);
    EXPECT_CRITICAL (ht_tensor_get_writable_data (tensor));
  }
  {
    g_autoptr (HtTensor) view = ht_tensor_reshape (tensor, dims, 1, nullptr);
    EXPECT_CRITICAL (ht_tensor_get_writable_data (tensor));
    EXPECT_CRITICAL (ht_tensor_get_writable_data (view));
  }
  EXPECT_NE (ht_tensor_get_writable_data (tensor), nullptr);
  g_autoptr (GBytes) bytes = g_bytes_new_static (values, sizeof values);
  g_autoptr (HtTensor) mapped = ht_tensor_new_from_bytes (HT_DATA_TYPE_FLOAT, dims, 1, bytes, nullptr);
  EXPECT_CRITICAL (ht_tensor_get_writable_data (mapped));
  // What a graph has held never changes again, whoever holds it now.
  g_autoptr (HtGraph) graph = ht_graph_new ("g");
  ht_graph_set_initializer (graph, "w", tensor);
  ht_graph_remove_initializer (graph, "w");
  EXPECT_CRITICAL (ht_tensor_get_writable_data (tensor));
  g_autoptr (HtTensor) copy = ht_tensor_copy (tensor, nullptr);
  static_cast<float *> (ht_tensor_get_writable_data (copy))[0] = 9;
  EXPECT_EQ (ht_tensor_get_double (tensor, 0), 1);
}

TEST (Tensor, GraphCopiesLentMemory)
{
  alignas (64) float arena[] = { 1, 2 };
  const gint64 dims[] = { 2 };
  g_autoptr (HtGraph) graph = ht_graph_new ("g");
  {
    g_autoptr (HtTensor) view = _ht_tensor_new_view (HT_DATA_TYPE_FLOAT, dims, 1, arena);
    EXPECT_EQ (ht_tensor_get_writable_data (view), arena);
    ht_graph_set_initializer (graph, "w", view);
  }
  arena[0] = 5;
  EXPECT_EQ (ht_tensor_get_double (ht_graph_get_initializer (graph, "w"), 0), 1);
}

TEST (Tensor, ReshapeShares)
{
  const gint64 values[] = { 1, 2, 3, 4, 5, 6 };
  const gint64 dims[] = { 2, 3 }, wrong[] = { 4 };
  g_autoptr (HtTensor) matrix = nullptr;
  gconstpointer data = nullptr;
  {
    g_autoptr (HtTensor) tensor = ht_tensor_new_int64s (values, 6);
    data = ht_tensor_get_data (tensor);
    matrix = ht_tensor_reshape (tensor, dims, 2, nullptr);
  }
  EXPECT_EQ (ht_tensor_get_data (matrix), data);
  EXPECT_EQ (ht_tensor_get_int64 (matrix, 5), 6);
  g_autoptr (GError) error = nullptr;
  EXPECT_EQ (ht_tensor_reshape (matrix, wrong, 1, &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_SHAPE, "int64[2x3] to [4]");
  const char *texts[] = { "a", "b", "c", "d", "e", "f" };
  const gint64 six[] = { 6 };
  g_autoptr (HtTensor) strings = ht_tensor_new_strings (texts, six, 1, nullptr);
  g_autoptr (HtTensor) grid = ht_tensor_reshape (strings, dims, 2, nullptr);
  g_clear_pointer (&strings, ht_tensor_unref);
  EXPECT_STREQ (ht_tensor_get_strings (grid)[5], "f");
  EXPECT_EQ (ht_tensor_get_strings (grid)[6], nullptr);
  g_autoptr (HtTensor) copy = ht_tensor_copy (grid, nullptr);
  EXPECT_TRUE (ht_tensor_equal (grid, copy));
}

TEST (Tensor, StringsHaveNoBytes)
{
  const char *texts[] = { "a", nullptr };
  const gint64 dims[] = { 2 };
  g_autoptr (HtTensor) tensor = ht_tensor_new_strings (texts, dims, 1, nullptr);
  EXPECT_EQ (ht_tensor_get_data (tensor), nullptr);
  EXPECT_EQ (ht_tensor_get_bytes (tensor), nullptr);
  EXPECT_EQ (ht_tensor_get_size (tensor), 0u);
  EXPECT_STREQ (ht_tensor_get_strings (tensor)[1], "");
  g_autoptr (HtTensor) blank = ht_tensor_new (HT_DATA_TYPE_STRING, dims, 1, nullptr);
  EXPECT_STREQ (ht_tensor_get_strings (blank)[0], "");
  EXPECT_FALSE (ht_tensor_equal (tensor, blank));
}

TEST (Tensor, EqualComparesBits)
{
  const float zero = 0, minus = -0.0f, nan = std::numeric_limits<float>::quiet_NaN ();
  g_autoptr (HtTensor) a = ht_tensor_new_floats (&zero, 1);
  g_autoptr (HtTensor) b = ht_tensor_new_floats (&minus, 1);
  g_autoptr (HtTensor) c = ht_tensor_new_floats (&nan, 1);
  g_autoptr (HtTensor) d = ht_tensor_copy (c, nullptr);
  g_autoptr (HtTensor) scalar = ht_tensor_new_scalar (0, HT_DATA_TYPE_FLOAT, nullptr);
  EXPECT_FALSE (ht_tensor_equal (a, b));
  EXPECT_TRUE (ht_tensor_equal (c, d));
  EXPECT_FALSE (ht_tensor_equal (a, scalar)) << "other dimensions";
  EXPECT_FALSE (ht_tensor_is_finite (c));
  EXPECT_TRUE (ht_tensor_is_finite (a));
  // The unused half of the last byte does not count, in comparison and digest.
  const uint8_t one[] = { 0x21, 0x03 }, two[] = { 0x21, 0xf3 }, three[] = { 0x21, 0x04 };
  const gint64 dims[] = { 3 };
  HtTensor *packed[3];
  const uint8_t *raw[] = { one, two, three };
  for (int i = 0; i < 3; i++)
    {
      g_autoptr (GBytes) bytes = g_bytes_new (raw[i], 2);
      packed[i] = ht_tensor_new_from_bytes (HT_DATA_TYPE_UINT4, dims, 1, bytes, nullptr);
    }
  EXPECT_TRUE (ht_tensor_equal (packed[0], packed[1]));
  EXPECT_FALSE (ht_tensor_equal (packed[0], packed[2]));
  EXPECT_STREQ (ht_tensor_get_digest (packed[0]), ht_tensor_get_digest (packed[1]));
  EXPECT_STRNE (ht_tensor_get_digest (packed[0]), ht_tensor_get_digest (packed[2]));
  for (HtTensor *tensor : packed)
    ht_tensor_unref (tensor);
}

TEST (Tensor, DigestFollowsWriting)
{
  const float values[] = { 1, 2 };
  g_autoptr (HtTensor) tensor = ht_tensor_new_floats (values, 2);
  std::string before = ht_tensor_get_digest (tensor);
  static_cast<float *> (ht_tensor_get_writable_data (tensor))[0] = 7;
  EXPECT_NE (before, ht_tensor_get_digest (tensor));
  // The type is part of it.
  const gint64 dims[] = { 2 };
  g_autoptr (GBytes) bytes = ht_tensor_get_bytes (tensor);
  g_autoptr (HtTensor) other = ht_tensor_new_from_bytes (HT_DATA_TYPE_INT32, dims, 1, bytes, nullptr);
  EXPECT_STRNE (ht_tensor_get_digest (tensor), ht_tensor_get_digest (other));
}

TEST (Tensor, FiniteForEveryType)
{
  for (HtDataType type : { HT_DATA_TYPE_FLOAT, HT_DATA_TYPE_DOUBLE, HT_DATA_TYPE_FLOAT16, HT_DATA_TYPE_BFLOAT16,
                           HT_DATA_TYPE_FLOAT8E5M2, HT_DATA_TYPE_FLOAT8E4M3FN, HT_DATA_TYPE_FLOAT8E8M0 })
    {
      g_autoptr (HtTensor) good = ht_tensor_new_scalar (1, type, nullptr);
      g_autoptr (HtTensor) bad = ht_tensor_new_scalar (std::nan (""), type, nullptr);
      EXPECT_TRUE (ht_tensor_is_finite (good));
      EXPECT_FALSE (ht_tensor_is_finite (bad)) << ht_data_type_get_name (type);
    }
  const gint64 dims[] = { 1 };
  const float complex[] = { 1, INFINITY };
  g_autoptr (GBytes) bytes = g_bytes_new (complex, sizeof complex);
  g_autoptr (HtTensor) tensor = ht_tensor_new_from_bytes (HT_DATA_TYPE_COMPLEX64, dims, 1, bytes, nullptr);
  EXPECT_FALSE (ht_tensor_is_finite (tensor));
  g_autoptr (HtTensor) integers = ht_tensor_new_int64s (dims, 1);
  EXPECT_TRUE (ht_tensor_is_finite (integers));
}

TEST (Tensor, ManyThreadsMayHoldIt)
{
  std::vector<float> values (1000, 1.5f);
  HtTensor *tensor = ht_tensor_new_floats (values.data (), values.size ());
  std::vector<std::thread> threads;
  std::vector<std::string> digests (8);
  for (size_t t = 0; t < 8; t++)
    threads.emplace_back ([&, t] {
      for (int i = 0; i < 1000; i++)
        ht_tensor_unref (ht_tensor_ref (tensor));
      digests[t] = ht_tensor_get_digest (tensor);
    });
  for (auto &thread : threads)
    thread.join ();
  for (auto &digest : digests)
    EXPECT_EQ (digest, digests[0]);
  EXPECT_NE (ht_tensor_get_writable_data (tensor), nullptr);
  ht_tensor_unref (tensor);
}

}
