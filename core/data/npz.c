/* SPDX-License-Identifier: MIT */
/* NumPy's .npz: a ZIP archive (PKWARE APPNOTE 6.3, with the 64-bit extension) of .npy members, stored or deflated. */
#include "data/npy.h"

#include "base/map-file.h"

#include <halftone/dataset.h>
#include <halftone/error.h>

#include <string.h>

#define END_SIGNATURE       0x06054b50u
#define END64_SIGNATURE     0x06064b50u
#define LOCATOR64_SIGNATURE 0x07064b50u
#define CENTRAL_SIGNATURE   0x02014b50u
#define LOCAL_SIGNATURE     0x04034b50u
#define MAX_MEMBERS         65536u
#define MAX_DEFLATE_RATIO   1040u /* deflate cannot do better than 1032 : 1 */

typedef struct
{
  char *name;
  guint flags;
  guint method;
  guint32 crc;
  guint64 packed_size;
  guint64 size;
  guint64 local_offset;
} Member;

typedef struct
{
  const char *path;
  GBytes *bytes;
  const guint8 *data;
  guint64 size;
} Archive;

static guint16
get16 (const guint8 *p)
{
  return (guint16)(p[0] | p[1] << 8);
}

static guint32
get32 (const guint8 *p)
{
  return get16 (p) | (guint32)get16 (p + 2) << 16;
}

static guint64
get64 (const guint8 *p)
{
  return get32 (p) | (guint64)get32 (p + 4) << 32;
}

static gboolean
has (const Archive *archive, guint64 offset, guint64 length)
{
  return offset <= archive->size && length <= archive->size - offset;
}

static gboolean
damaged (const Archive *archive, const char *found, GError **error)
{
  g_set_error (error, HT_ERROR, HT_ERROR_INVALID_DATA,
               "Reading '%s': %s, expected an .npz archive; write it again with numpy.savez()", archive->path, found);
  return FALSE;
}

/* CRC-32 of ISO 3309, four bits at a time. */
static guint32
compute_crc (const guint8 *data, gsize size)
{
  static const guint32 nibbles[16]
      = { 0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
          0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c };
  guint32 table[256];
  guint32 crc = 0xffffffffu;

  for (guint32 i = 0; i < 256; i++)
    {
      guint32 value = i;
      value = (value >> 4) ^ nibbles[value & 15];
      table[i] = (value >> 4) ^ nibbles[value & 15];
    }
  for (gsize i = 0; i < size; i++)
    crc = (crc >> 8) ^ table[(crc ^ data[i]) & 0xff];
  return ~crc;
}

/* Where the table of contents begins and how many members it has. */
static gboolean
find_contents (const Archive *archive, guint64 *offset, guint64 *n_members, GError **error)
{
  guint64 end;

  if (archive->size < 22)
    return damaged (archive, "found a file too short for an archive", error);
  for (end = archive->size - 22;; end--)
    {
      if (get32 (archive->data + end) == END_SIGNATURE && end + 22 + get16 (archive->data + end + 20) == archive->size)
        break;
      if (end == 0 || archive->size - 22 - end >= 65535)
        return damaged (archive, "found no table of contents (another kind of file, or a truncated one)", error);
    }
  *n_members = get16 (archive->data + end + 10);
  *offset = get32 (archive->data + end + 16);
  if (end >= 20 && get32 (archive->data + end - 20) == LOCATOR64_SIGNATURE)
    {
      guint64 at = get64 (archive->data + end - 20 + 8);
      if (!has (archive, at, 56) || get32 (archive->data + at) != END64_SIGNATURE)
        return damaged (archive, "found a broken 64-bit table of contents", error);
      *n_members = get64 (archive->data + at + 32);
      *offset = get64 (archive->data + at + 48);
    }
  if (*n_members > MAX_MEMBERS)
    return damaged (archive, "found more than 65536 members", error);
  return TRUE;
}

/* The 64-bit sizes of a member, where the 32-bit fields are full. */
static gboolean
read_extra64 (Member *member, const guint8 *extra, guint length)
{
  guint64 *fields[] = { &member->size, &member->packed_size, &member->local_offset };

  while (length >= 4)
    {
      guint id = get16 (extra), size = get16 (extra + 2);
      if (size > length - 4)
        return FALSE;
      if (id == 1)
        {
          const guint8 *at = extra + 4, *end = at + size;
          for (guint i = 0; i < G_N_ELEMENTS (fields); i++)
            if (*fields[i] == 0xffffffffu)
              {
                if (end - at < 8)
                  return FALSE;
                *fields[i] = get64 (at);
                at += 8;
              }
          return TRUE;
        }
      extra += 4 + size;
      length -= 4 + size;
    }
  return member->size != 0xffffffffu && member->packed_size != 0xffffffffu && member->local_offset != 0xffffffffu;
}

static gboolean
read_member (const Archive *archive, guint64 *at, Member *member, GError **error)
{
  const guint8 *entry;
  guint name_length, extra_length, comment_length;

  if (!has (archive, *at, 46) || get32 (archive->data + *at) != CENTRAL_SIGNATURE)
    return damaged (archive, "found a table of contents that breaks off", error);
  entry = archive->data + *at;
  name_length = get16 (entry + 28);
  extra_length = get16 (entry + 30);
  comment_length = get16 (entry + 32);
  if (!has (archive, *at, 46 + (guint64)name_length + extra_length + comment_length))
    return damaged (archive, "found a table of contents that breaks off", error);
  member->flags = get16 (entry + 8);
  member->method = get16 (entry + 10);
  member->crc = get32 (entry + 16);
  member->packed_size = get32 (entry + 20);
  member->size = get32 (entry + 24);
  member->local_offset = get32 (entry + 42);
  if (memchr (entry + 46, '\0', name_length) != NULL || !g_utf8_validate ((const char *)entry + 46, name_length, NULL))
    return damaged (archive, "found a member whose name is no text", error);
  member->name = g_strndup ((const char *)entry + 46, name_length);
  if (!read_extra64 (member, entry + 46 + name_length, extra_length))
    return damaged (archive, "found a member with broken 64-bit sizes", error);
  *at += 46 + (guint64)name_length + extra_length + comment_length;
  return TRUE;
}

static GBytes *
inflate_member (const guint8 *packed, gsize packed_size, gsize size, const char *what, GError **error)
{
  g_autoptr (GZlibDecompressor) inflater = g_zlib_decompressor_new (G_ZLIB_COMPRESSOR_FORMAT_RAW);
  g_autofree guint8 *buffer = NULL;
  gsize done = 0, used = 0;

  /* One byte more than promised, so that data that goes on is noticed. */
  if (size > G_MAXSIZE - 1 || (buffer = g_try_malloc (size + 1)) == NULL)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_NO_MEMORY,
                   "Unpacking '%s': no memory for its %" G_GSIZE_FORMAT
                   " bytes; store it unpacked with numpy.save(), it is then mapped",
                   what, size);
      return NULL;
    }
  for (;;)
    {
      gsize read = 0, written = 0;
      g_autoptr (GError) failure = NULL;
      GConverterResult result
          = g_converter_convert (G_CONVERTER (inflater), packed + used, packed_size - used, buffer + done,
                                 size + 1 - done, G_CONVERTER_INPUT_AT_END, &read, &written, &failure);
      used += read;
      done += written;
      if (result == G_CONVERTER_FINISHED && done == size && used == packed_size)
        return g_bytes_new_take (g_steal_pointer (&buffer), size);
      if (result == G_CONVERTER_CONVERTED && done <= size && (read > 0 || written > 0))
        continue;
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_DATA,
                   "Unpacking '%s': %s; the archive is damaged, write it again with numpy.savez()", what,
                   failure ? failure->message : "found another number of bytes than its table of contents says");
      return NULL;
    }
}

static GBytes *
open_member (const Archive *archive, const Member *member, const char *what, GError **error)
{
  g_autoptr (GBytes) content = NULL;
  const guint8 *local;
  guint64 start;
  gsize size;
  gconstpointer data;

  if (!has (archive, member->local_offset, 30) || get32 (archive->data + member->local_offset) != LOCAL_SIGNATURE)
    return damaged (archive, "found a member that is not where the table of contents says", error), NULL;
  local = archive->data + member->local_offset;
  start = member->local_offset + 30 + get16 (local + 26) + get16 (local + 28);
  if (!has (archive, start, member->packed_size))
    return damaged (archive, "found a member that reaches beyond the end of the file", error), NULL;
  if ((member->flags & 1) != 0 || (member->method != 0 && member->method != 8))
    {
      g_set_error (error, HT_ERROR, HT_ERROR_NOT_SUPPORTED,
                   "Reading '%s': found %s, expected a stored or deflated member; write it again with numpy.savez()",
                   what, (member->flags & 1) != 0 ? "an encrypted member" : "another way of packing");
      return NULL;
    }
  if (member->method == 0 && member->size != member->packed_size)
    return damaged (archive, "found a stored member of two sizes", error), NULL;
  if (member->method == 0)
    content = g_bytes_new_from_bytes (archive->bytes, start, member->size);
  else if (member->size / MAX_DEFLATE_RATIO > member->packed_size)
    return damaged (archive, "found a member that claims to unpack to an impossible size", error), NULL;
  else
    content = inflate_member (archive->data + start, member->packed_size, member->size, what, error);
  if (content == NULL)
    return NULL;
  data = g_bytes_get_data (content, &size);
  if (compute_crc (data, size) != member->crc)
    return damaged (archive, "found a member whose checksum does not match its content", error), NULL;
  return g_steal_pointer (&content);
}

static gboolean
add_member (const Archive *archive, const Member *member, GHashTable *arrays, GError **error)
{
  g_autofree char *what = g_strdup_printf ("%s/%s", archive->path, member->name);
  g_autofree char *name = NULL;
  g_autoptr (GBytes) content = NULL;
  HtTensor *array;

  if (!g_str_has_suffix (member->name, ".npy") || strlen (member->name) == 4)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_DATA,
                   "Reading '%s': found a member that is no array, expected names that end in '.npy'; remove it", what);
      return FALSE;
    }
  name = g_strndup (member->name, strlen (member->name) - 4);
  if (g_hash_table_contains (arrays, name))
    {
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_DATA,
                   "Reading '%s': found the name twice in the archive; write it again with numpy.savez()", what);
      return FALSE;
    }
  content = open_member (archive, member, what, error);
  array = content ? ht_npy_parse (content, what, error) : NULL;
  if (array == NULL)
    return FALSE;
  g_hash_table_insert (arrays, g_steal_pointer (&name), array);
  return TRUE;
}

GHashTable *
ht_npz_parse (GBytes *bytes, const char *what, GError **error)
{
  g_autoptr (GHashTable) arrays = NULL;
  Archive archive = { 0 };
  guint64 at, n_members;
  gsize size;

  archive.path = what;
  archive.bytes = bytes;
  archive.data = g_bytes_get_data (bytes, &size);
  archive.size = size;
  arrays = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify)ht_tensor_unref);
  if (!find_contents (&archive, &at, &n_members, error))
    return NULL;
  for (guint64 i = 0; i < n_members; i++)
    {
      Member member = { 0 };
      gboolean added = read_member (&archive, &at, &member, error) && add_member (&archive, &member, arrays, error);
      g_free (member.name);
      if (!added)
        return NULL;
    }
  return g_steal_pointer (&arrays);
}

/**
 * ht_tensor_load_npz:
 * @path: an `.npz` file
 * @error: return location for an error
 *
 * Opens all arrays of an archive that `numpy.savez()` or `numpy.savez_compressed()` wrote. Stored members are mapped
 * (or copied where the archive does not align them), deflated ones unpacked; checksums are verified.
 *
 * Returns: (transfer full) (element-type utf8 HtTensor): the arrays by name, without `.npy`, or %NULL with @error set
 */
GHashTable *
ht_tensor_load_npz (const char *path, GError **error)
{
  g_autoptr (GBytes) bytes = NULL;

  g_return_val_if_fail (path != NULL, NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);
  bytes = ht_map_file (path, "archive", error);
  return bytes != NULL ? ht_npz_parse (bytes, path, error) : NULL;
}
