// SPDX-License-Identifier: MIT
#include "support.h"
#include "wire.h"

extern "C"
{
#include "onnx/tensor-proto.h"
}

namespace
{

class TensorProto : public ::testing::Test
{
protected:
  HtTensor *load (const std::string &message, GError **error)
  {
    std::string path = folder_ / "t.pb";
    g_file_set_contents (path.c_str (), message.data (), (gssize) message.size (), nullptr);
    return ht_tensor_load_pb (path.c_str (), nullptr, error);
  }
  void expect_same (int type, const std::vector<int64_t> &dims, const std::string &typed, const std::string &raw)
  {
    g_autoptr (GError) error = nullptr;
    g_autoptr (HtTensor) a = load (wire::tensor (type, dims, typed), &error);
    ASSERT_NO_GERROR (error);
    g_autoptr (HtTensor) b = load (wire::tensor (type, dims, wire::bytes (9, raw)), &error);
    ASSERT_NO_GERROR (error);
    EXPECT_TRUE (ht_tensor_equal (a, b)) << ht_data_type_get_name ((HtDataType) type);
    EXPECT_EQ (ht_tensor_get_data_type (a), (HtDataType) type);
  }
  void expect_refused (const std::string &message, HtError code, const char *text)
  {
    g_autoptr (GError) error = nullptr;
    g_autoptr (HtTensor) tensor = load (message, &error);
    EXPECT_EQ (tensor, nullptr);
    EXPECT_GERROR (error, HT_ERROR, code, text);
  }
  support::TemporaryFolder folder_;
};

TEST_F (TensorProto, TypedAndRawStorageAgree)
{
  using wire::bytes, wire::packed, wire::raw;
  expect_same (1, { 3 }, bytes (4, raw<float> ({ 1.5f, -2.25f, 1e-40f })), raw<float> ({ 1.5f, -2.25f, 1e-40f }));
  expect_same (2, { 2 }, packed (5, { 0, 255 }), raw<uint8_t> ({ 0, 255 }));
  expect_same (3, { 2 }, packed (5, { -128, 127 }), raw<int8_t> ({ -128, 127 }));
  expect_same (4, { 2 }, packed (5, { 0, 65535 }), raw<uint16_t> ({ 0, 65535 }));
  expect_same (5, { 2 }, packed (5, { -32768, 32767 }), raw<int16_t> ({ -32768, 32767 }));
  expect_same (6, { 2 }, packed (5, { INT32_MIN, INT32_MAX }), raw<int32_t> ({ INT32_MIN, INT32_MAX }));
  expect_same (7, { 2 }, packed (7, { INT64_MIN, INT64_MAX }), raw<int64_t> ({ INT64_MIN, INT64_MAX }));
  expect_same (9, { 2 }, packed (5, { 0, 1 }), raw<uint8_t> ({ 0, 1 }));
  expect_same (10, { 2 }, packed (5, { 0x3c00, 0xfbff }), raw<uint16_t> ({ 0x3c00, 0xfbff }));
  expect_same (11, { 2 }, bytes (10, raw<double> ({ 0.1, -1e300 })), raw<double> ({ 0.1, -1e300 }));
  expect_same (12, { 2 }, packed (11, { 0, 0xffffffff }), raw<uint32_t> ({ 0, 0xffffffff }));
  expect_same (13, { 2 }, packed (11, { 0, -1 }), raw<uint64_t> ({ 0, UINT64_MAX }));
  expect_same (14, { 1 }, bytes (4, raw<float> ({ 1, 2 })), raw<float> ({ 1, 2 }));
  expect_same (15, { 1 }, bytes (10, raw<double> ({ 1, 2 })), raw<double> ({ 1, 2 }));
  expect_same (16, { 2 }, packed (5, { 0x3f80, 0xff80 }), raw<uint16_t> ({ 0x3f80, 0xff80 }));
  for (int float8 : { 17, 18, 19, 20, 24 })
    expect_same (float8, { 2 }, packed (5, { 0x38, 0xfe }), raw<uint8_t> ({ 0x38, 0xfe }));
  // Packed types: a byte to the entry, the first element in its lowest bits.
  for (int four : { 21, 22, 23 })
    expect_same (four, { 3 }, packed (5, { 0xf1, 0x05 }), raw<uint8_t> ({ 0xf1, 0x05 }));
  for (int two : { 25, 26 })
    expect_same (two, { 5 }, packed (5, { 0xe4, 0x01 }), raw<uint8_t> ({ 0xe4, 0x01 }));
}

TEST_F (TensorProto, ReadsUnpackedRepeatedFields)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtTensor) tensor = load (wire::tensor (7, { 2 }, wire::number (7, 5) + wire::number (7, 6)), &error);
  ASSERT_NO_GERROR (error);
  EXPECT_EQ (ht_tensor_get_int64 (tensor, 0), 5);
  EXPECT_EQ (ht_tensor_get_int64 (tensor, 1), 6);
}

TEST_F (TensorProto, ReadsStringsAndScalarsAndEmptyTensors)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtTensor) strings = load (wire::tensor (8, { 2 }, wire::bytes (6, "ab") + wire::bytes (6, "")), &error);
  ASSERT_NO_GERROR (error);
  EXPECT_STREQ (ht_tensor_get_strings (strings)[0], "ab");
  EXPECT_STREQ (ht_tensor_get_strings (strings)[1], "");
  g_autoptr (HtTensor) scalar = load (wire::tensor (7, {}, wire::packed (7, { -3 })), &error);
  ASSERT_NO_GERROR (error);
  EXPECT_EQ (ht_tensor_get_n_dims (scalar), 0u);
  EXPECT_EQ (ht_tensor_get_int64 (scalar, 0), -3);
  g_autoptr (HtTensor) empty = load (wire::tensor (1, { 0, 4 }, ""), &error);
  ASSERT_NO_GERROR (error);
  EXPECT_EQ (ht_tensor_get_n_elements (empty), 0u);
}

TEST_F (TensorProto, RefusesWrongSizes)
{
  expect_refused (wire::tensor (1, { 3 }, wire::bytes (9, "12345678")), HT_ERROR_INVALID_MODEL,
                  "holds 8 bytes, its type and dimensions take 12");
  expect_refused (wire::tensor (1, { 3 }, wire::bytes (4, "12345678")), HT_ERROR_INVALID_MODEL, "2 values");
  expect_refused (wire::tensor (1, { 1 }, ""), HT_ERROR_INVALID_MODEL, "0 values");
  expect_refused (wire::tensor (1, { 1 }, wire::bytes (9, "1234") + wire::bytes (4, "1234")), HT_ERROR_INVALID_MODEL,
                  "beside raw data");
  expect_refused (wire::tensor (1, { 1 }, wire::packed (5, { 1 })), HT_ERROR_INVALID_MODEL, "int32_data");
  expect_refused (wire::tensor (2, { 1 }, wire::packed (5, { 256 })), HT_ERROR_INVALID_MODEL, "is 256, no uint8");
  expect_refused (wire::tensor (3, { 1 }, wire::packed (5, { -129 })), HT_ERROR_INVALID_MODEL, "no int8");
  expect_refused (wire::tensor (12, { 1 }, wire::packed (11, { 1LL << 32 })), HT_ERROR_INVALID_MODEL, "no uint32");
  expect_refused (wire::tensor (8, { 1 }, wire::bytes (9, "a")), HT_ERROR_INVALID_MODEL, "strings");
}

TEST_F (TensorProto, RefusesAbsurdDimensionsAndTypes)
{
  expect_refused (wire::tensor (1, { INT64_MAX, 2 }, wire::bytes (9, "1234")), HT_ERROR_LIMIT_EXCEEDED, "'w'");
  expect_refused (wire::tensor (1, { 1LL << 40 }, wire::bytes (9, "1234")), HT_ERROR_INVALID_MODEL, "holds 4 bytes");
  expect_refused (wire::tensor (1, { -1 }, wire::bytes (9, "1234")), HT_ERROR_SHAPE, "negative");
  expect_refused (wire::tensor (1, std::vector<int64_t> (17, 1), wire::bytes (9, "1234")), HT_ERROR_LIMIT_EXCEEDED,
                  "dimensions");
  expect_refused (wire::tensor (0, { 1 }, wire::bytes (9, "1234")), HT_ERROR_INVALID_MODEL, "no element type");
  expect_refused (wire::tensor (77, { 1 }, wire::bytes (9, "1234")), HT_ERROR_DATA_TYPE, "77");
}

TEST_F (TensorProto, SaysWhatIsWrongWithFiles)
{
  g_autoptr (GError) error = nullptr;
  EXPECT_EQ (ht_tensor_load_pb ((folder_ / "absent.pb").c_str (), nullptr, &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_NOT_FOUND, "absent.pb");
  EXPECT_EQ (ht_tensor_load_pb (folder_.path ().c_str (), nullptr, &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT, "a folder");
  expect_refused ("\xff\xff", HT_ERROR_INVALID_MODEL, "byte 0");
}

TEST_F (TensorProto, ReadsEveryTensorOfTheOperatorCases)
{
  REQUIRE_ASSET (cases, "onnx-backend/node");
  int n_loaded = 0;
  g_autoptr (GDir) dir = g_dir_open (cases.c_str (), 0, nullptr);
  while (const char *name = g_dir_read_name (dir))
    {
      // The values of these cases are sequences and optionals, other messages than tensors.
      if (strstr (name, "_opt") || strstr (name, "_seq"))
        continue;
      for (const char *role : { "input", "output" })
        for (int i = 0;; i++)
          {
            std::string path
                = cases + "/" + name + "/test_data_set_0/" + role + "_" + std::to_string (i) + ".pb";
            if (!g_file_test (path.c_str (), G_FILE_TEST_EXISTS))
              break;
            g_autoptr (GError) error = nullptr;
            g_autoptr (HtTensor) tensor = ht_tensor_load_pb (path.c_str (), nullptr, &error);
            EXPECT_NE (tensor, nullptr) << path << ": " << (error ? error->message : "");
            n_loaded++;
          }
    }
  EXPECT_GT (n_loaded, 500);
}

}
