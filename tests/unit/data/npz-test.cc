// SPDX-License-Identifier: MIT
// .npz archives that NumPy wrote (make-files.py), whole and damaged.
#include "support.h"

extern "C"
{
#include "data/npy.h"
}

#include <fstream>
#include <iterator>

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

}

TEST (Npz, ReadsStoredMembers)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (GHashTable) arrays = ht_tensor_load_npz (file ("stored.npz").c_str (), &error);
  ASSERT_NO_GERROR (error);
  ASSERT_EQ (g_hash_table_size (arrays), 3u);
  auto *image = (HtTensor *)g_hash_table_lookup (arrays, "image");
  auto *state = (HtTensor *)g_hash_table_lookup (arrays, "state");
  auto *labels = (HtTensor *)g_hash_table_lookup (arrays, "labels");
  ASSERT_TRUE (image && state && labels);
  for (int i = 0; i < 6; i++)
    EXPECT_EQ (ht_tensor_get_double (image, i), i - 2.5);
  EXPECT_EQ (ht_tensor_get_int64 (state, 1), 8);
  EXPECT_EQ (ht_tensor_get_int64 (labels, 0), 1);
}

TEST (Npz, UnpacksDeflatedMembers)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (GHashTable) arrays = ht_tensor_load_npz (file ("deflated.npz").c_str (), &error);
  ASSERT_NO_GERROR (error);
  auto *numbers = (HtTensor *)g_hash_table_lookup (arrays, "long");
  ASSERT_NE (numbers, nullptr);
  ASSERT_EQ (ht_tensor_get_n_elements (numbers), 1000u);
  for (int i = 0; i < 1000; i++)
    ASSERT_EQ (ht_tensor_get_int64 (numbers, i), i);
}

TEST (Npz, NoticesDamageByItsChecksum)
{
  support::TemporaryFolder folder;
  std::string path = folder / "damaged.npz", content = read_all (file ("stored.npz"));
  gsize at = content.find ("\x93NUMPY") + 128; // the first element
  content[at] = (char)(content[at] ^ 1);
  write_all (path, content);
  g_autoptr (GError) error = nullptr;
  EXPECT_EQ (ht_tensor_load_npz (path.c_str (), &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_DATA, "checksum");
}

TEST (Npz, RefusesOtherFiles)
{
  support::TemporaryFolder folder;
  g_autoptr (GError) error = nullptr;
  EXPECT_EQ (ht_tensor_load_npz (file ("v1.npy").c_str (), &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_DATA, "v1.npy");
  write_all (folder / "empty.npz", "");
  EXPECT_EQ (ht_tensor_load_npz ((folder / "empty.npz").c_str (), &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_DATA, "empty.npz");
  // A member that claims to unpack to 4 GB.
  std::string content = read_all (file ("deflated.npz"));
  gsize entry = content.find (std::string ("PK\x01\x02", 4));
  ASSERT_NE (entry, std::string::npos);
  for (int i = 0; i < 4; i++)
    content[entry + 24 + i] = i == 0 ? '\xfe' : '\xff';
  write_all (folder / "bomb.npz", content);
  EXPECT_EQ (ht_tensor_load_npz ((folder / "bomb.npz").c_str (), &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_DATA, "impossible size");
}

// No truncation reads as an archive; no flipped bit crashes, and none changes what is read without being noticed but in
// the names and dates that the checksums do not cover.
TEST (Npz, SurvivesDamage)
{
  for (const char *name : { "stored.npz", "deflated.npz" })
    {
      const std::string good = read_all (file (name));
      for (gsize length = 0; length < good.size (); length++)
        {
          g_autoptr (GError) error = nullptr;
          g_autoptr (GBytes) bytes = g_bytes_new (good.data (), length);
          g_autoptr (GHashTable) arrays = ht_npz_parse (bytes, "damaged", &error);
          EXPECT_EQ (arrays, nullptr) << name << " " << length;
          ASSERT_NE (error, nullptr) << name << " " << length;
        }
      for (gsize at = 0; at < 8 * good.size (); at++)
        {
          g_autoptr (GError) error = nullptr;
          std::string flipped = good;
          flipped[at / 8] = (char)(flipped[at / 8] ^ (1 << at % 8));
          g_autoptr (GBytes) bytes = g_bytes_new (flipped.data (), flipped.size ());
          g_autoptr (GHashTable) arrays = ht_npz_parse (bytes, "damaged", &error);
          ASSERT_TRUE ((arrays == nullptr) == (error != nullptr)) << name << " " << at;
          auto *image = arrays ? (HtTensor *)g_hash_table_lookup (arrays, "image") : nullptr;
          for (int i = 0; image && i < 6; i++)
            EXPECT_EQ (ht_tensor_get_double (image, i), i - 2.5) << name << " " << at;
        }
    }
}
