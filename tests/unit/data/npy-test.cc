// SPDX-License-Identifier: MIT
// .npy files: against files that NumPy wrote (make-files.py), against damaged ones, and back.
#include "support.h"

extern "C"
{
#include "data/npy.h"
}

#include <cmath>
#include <fstream>
#include <iterator>
#include <vector>

namespace
{

std::string
file (const std::string &name)
{
  return std::string (g_getenv ("HALFTONE_SOURCE")) + "/tests/unit/data/files/" + name;
}

std::string
read_all (const std::string &path)
{
  std::ifstream stream (path, std::ios::binary);
  return { std::istreambuf_iterator<char> (stream), {} };
}

void
write_all (const std::string &path, const std::string &content)
{
  std::ofstream (path, std::ios::binary) << content;
}

// An .npy file of version 1.0 with this dictionary, padded with a newline only.
std::string
npy (const std::string &dictionary, const std::string &elements)
{
  std::string header = dictionary + "\n";
  return std::string ("\x93NUMPY\x01\x00", 8) + (char)(header.size () & 255) + (char)(header.size () >> 8) + header
         + elements;
}

void
expect_six (HtTensor *tensor)
{
  ASSERT_NE (tensor, nullptr);
  ASSERT_EQ (ht_tensor_get_data_type (tensor), HT_DATA_TYPE_FLOAT);
  ASSERT_EQ (ht_tensor_get_n_dims (tensor), 2u);
  EXPECT_EQ (ht_tensor_get_dim (tensor, 0), 2);
  EXPECT_EQ (ht_tensor_get_dim (tensor, 1), 3);
  for (int i = 0; i < 6; i++)
    EXPECT_EQ (ht_tensor_get_double (tensor, i), i - 2.5);
}

}

TEST (Npy, ReadsAllVersions)
{
  for (const char *name : { "v1.npy", "v2.npy", "v3.npy" })
    {
      g_autoptr (GError) error = nullptr;
      g_autoptr (HtTensor) tensor = ht_tensor_load_npy (file (name).c_str (), &error);
      ASSERT_NO_GERROR (error);
      expect_six (tensor);
    }
}

TEST (Npy, ReadsAllTypesOfNumPy)
{
  const std::vector<std::pair<std::string, HtDataType> > types
      = { { "bool", HT_DATA_TYPE_BOOL },       { "uint8", HT_DATA_TYPE_UINT8 },   { "int8", HT_DATA_TYPE_INT8 },
          { "uint16", HT_DATA_TYPE_UINT16 },   { "int16", HT_DATA_TYPE_INT16 },   { "uint32", HT_DATA_TYPE_UINT32 },
          { "int32", HT_DATA_TYPE_INT32 },     { "uint64", HT_DATA_TYPE_UINT64 }, { "int64", HT_DATA_TYPE_INT64 },
          { "float16", HT_DATA_TYPE_FLOAT16 }, { "float32", HT_DATA_TYPE_FLOAT }, { "float64", HT_DATA_TYPE_DOUBLE } };
  support::TemporaryFolder folder;
  for (const auto &[name, type] : types)
    {
      g_autoptr (GError) error = nullptr;
      std::string path = file ("type-" + name + ".npy"), copy = folder / (name + ".npy");
      g_autoptr (HtTensor) tensor = ht_tensor_load_npy (path.c_str (), &error);
      ASSERT_NO_GERROR (error);
      EXPECT_EQ (ht_tensor_get_data_type (tensor), type) << name;
      EXPECT_EQ (ht_tensor_get_double (tensor, 0), 0) << name;
      EXPECT_EQ (ht_tensor_get_double (tensor, 1), 1) << name;
      EXPECT_EQ (ht_tensor_get_double (tensor, 2), name == "bool" ? 1 : 100) << name;
      // What we write is what NumPy wrote, to the byte.
      ASSERT_TRUE (ht_tensor_save_npy (tensor, copy.c_str (), &error)) << error->message;
      EXPECT_EQ (read_all (copy), read_all (path)) << name;
    }
}

TEST (Npy, ReadsAScalarAndWritesIt)
{
  g_autoptr (GError) error = nullptr;
  support::TemporaryFolder folder;
  g_autoptr (HtTensor) tensor = ht_tensor_load_npy (file ("scalar.npy").c_str (), &error);
  ASSERT_NO_GERROR (error);
  EXPECT_EQ (ht_tensor_get_n_dims (tensor), 0u);
  EXPECT_EQ (ht_tensor_get_double (tensor, 0), -1.5);
  ASSERT_TRUE (ht_tensor_save_npy (tensor, (folder / "s.npy").c_str (), &error));
  EXPECT_EQ (read_all (folder / "s.npy"), read_all (file ("scalar.npy")));
}

TEST (Npy, MapsTheFileWithoutACopy)
{
  g_autoptr (GError) error = nullptr;
  support::TemporaryFolder folder;
  write_all (folder / "a.npy", read_all (file ("v1.npy")));
  g_autoptr (HtTensor) tensor = ht_tensor_load_npy ((folder / "a.npy").c_str (), &error);
  ASSERT_NO_GERROR (error);
  g_autofree char *maps = nullptr;
  gsize address = (gsize)ht_tensor_get_data (tensor);
  if (!g_file_get_contents ("/proc/self/maps", &maps, nullptr, nullptr))
    GTEST_SKIP () << "no /proc here";
  g_auto (GStrv) lines = g_strsplit (maps, "\n", -1);
  bool mapped = false;
  for (char **line = lines; *line; line++)
    {
      unsigned long begin, end;
      if (sscanf (*line, "%lx-%lx", &begin, &end) == 2 && begin <= address && address < end)
        mapped = strstr (*line, "a.npy") != nullptr;
    }
  EXPECT_TRUE (mapped);
}

TEST (Npy, SaysWhatToDoAboutWhatItRefuses)
{
  g_autoptr (GError) error = nullptr;
  EXPECT_EQ (ht_tensor_load_npy (file ("fortran.npy").c_str (), &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_NOT_SUPPORTED, "ascontiguousarray");
  EXPECT_EQ (ht_tensor_load_npy (file ("big-endian.npy").c_str (), &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_DATA_TYPE, "newbyteorder");
  EXPECT_EQ (ht_tensor_load_npy (file ("text.npy").c_str (), &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_DATA_TYPE, "<U1");
  EXPECT_EQ (ht_tensor_load_npy (file ("complex.npy").c_str (), &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_DATA_TYPE, "<c8");
  EXPECT_EQ (ht_tensor_load_npy (file ("structured.npy").c_str (), &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_DATA, "structured");
  EXPECT_EQ (ht_tensor_load_npy ("/nowhere/a.npy", &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_NOT_FOUND, "/nowhere/a.npy");
  EXPECT_EQ (ht_tensor_load_npy ("/", &error), nullptr);
  ASSERT_NE (error, nullptr);
}

TEST (Npy, RefusesMalformedHeaders)
{
  const std::string good = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", eight (8, '\0');
  const std::string bad[] = {
    npy ("", eight),
    npy ("{", eight),
    npy ("{}", eight),
    npy ("{'descr': '<f4', 'fortran_order': False}", eight),
    npy ("{'descr': '<f4', 'fortran_order': 0, 'shape': (2,)}", eight),
    npy ("{'descr': '<f4', 'fortran_order': False, 'shape': (2)}", eight),
    npy ("{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}", eight),
    npy ("{'descr': '<f4', 'fortran_order': False, 'shape': (2,,)}", eight),
    npy ("{'descr': '<f4', 'fortran_order': False, 'shape': (2", eight),
    npy ("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}", eight),
    npy ("{'descr': '<f4', 'fortran_order': False, 'shape': (2,)} x", eight),
    npy ("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", eight),
    npy ("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'x': 1}", eight),
    npy ("{'de\\x73cr': '<f4', 'fortran_order': False, 'shape': (2,)}", eight),
    npy ("{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,2)}", eight),
    npy ("{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4611686018427387904)}", eight),
    npy (good, std::string (7, '\0')),
    npy (good, std::string (9, '\0')),
  };
  support::TemporaryFolder folder;
  g_autoptr (GError) error = nullptr;
  write_all (folder / "good.npy", npy (good, eight));
  g_autoptr (HtTensor) tensor = ht_tensor_load_npy ((folder / "good.npy").c_str (), &error);
  ASSERT_NO_GERROR (error);
  for (const std::string &content : bad)
    {
      write_all (folder / "bad.npy", content);
      EXPECT_EQ (ht_tensor_load_npy ((folder / "bad.npy").c_str (), &error), nullptr) << content.substr (10);
      ASSERT_NE (error, nullptr) << content;
      EXPECT_EQ (error->domain, HT_ERROR);
      EXPECT_NE (std::string (error->message).find ("bad.npy"), std::string::npos);
      g_clear_error (&error);
    }
}

// Every truncation fails; every flipped byte fails or reads as an array of the size that the header says.
TEST (Npy, SurvivesDamage)
{
  const std::string good = read_all (file ("v1.npy"));
  for (gsize length = 0; length < good.size (); length++)
    {
      g_autoptr (GError) error = nullptr;
      g_autoptr (GBytes) bytes = g_bytes_new (good.data (), length);
      g_autoptr (HtTensor) tensor = ht_npy_parse (bytes, "damaged", &error);
      EXPECT_EQ (tensor, nullptr) << length;
      ASSERT_NE (error, nullptr) << length;
    }
  for (gsize at = 0; at < good.size (); at++)
    for (int bit = 0; bit < 8; bit++)
      {
        g_autoptr (GError) error = nullptr;
        std::string flipped = good;
        flipped[at] = (char)(flipped[at] ^ (1 << bit));
        g_autoptr (GBytes) bytes = g_bytes_new (flipped.data (), flipped.size ());
        g_autoptr (HtTensor) tensor = ht_npy_parse (bytes, "damaged", &error);
        ASSERT_TRUE ((tensor == nullptr) == (error != nullptr));
        EXPECT_LE (tensor ? ht_tensor_get_size (tensor) : 0, 24u);
      }
}

TEST (Npy, WritesWhatNumPyLacksAsItsNextOfKin)
{
  support::TemporaryFolder folder;
  g_autoptr (GError) error = nullptr;
  const float values[] = { 1, -2, 0.5 };
  g_autoptr (HtTensor) floats = ht_tensor_new_floats (values, 3);
  g_autoptr (HtTensor) brain = ht_tensor_cast (floats, HT_DATA_TYPE_BFLOAT16, &error);
  ASSERT_NO_GERROR (error);
  ASSERT_TRUE (ht_tensor_save_npy (brain, (folder / "b.npy").c_str (), &error)) << error->message;
  g_autoptr (HtTensor) back = ht_tensor_load_npy ((folder / "b.npy").c_str (), &error);
  ASSERT_NO_GERROR (error);
  EXPECT_TRUE (ht_tensor_equal (back, floats));
  const char *strings[] = { "a", nullptr };
  const gint64 one = 1;
  g_autoptr (HtTensor) text = ht_tensor_new_strings (strings, &one, 1, &error);
  EXPECT_FALSE (ht_tensor_save_npy (text, (folder / "t.npy").c_str (), &error));
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_DATA_TYPE, "t.npy");
}

TEST (Npy, LeavesNothingBehindWhenItCannotWrite)
{
  support::TemporaryFolder folder;
  g_autoptr (GError) error = nullptr;
  const float value = 1;
  g_autoptr (HtTensor) tensor = ht_tensor_new_floats (&value, 1);
  EXPECT_FALSE (ht_tensor_save_npy (tensor, (folder / "missing/a.npy").c_str (), &error));
  ASSERT_NE (error, nullptr);
  g_clear_error (&error);
  // A folder in the file's place: the rename fails, and the temporary file goes.
  ASSERT_EQ (g_mkdir ((folder / "a.npy").c_str (), 0755), 0);
  EXPECT_FALSE (ht_tensor_save_npy (tensor, (folder / "a.npy").c_str (), &error));
  ASSERT_NE (error, nullptr);
  g_autoptr (GDir) dir = g_dir_open (folder.path ().c_str (), 0, nullptr);
  int n = 0;
  while (g_dir_read_name (dir))
    n++;
  EXPECT_EQ (n, 1);
}
