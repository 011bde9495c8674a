/* SPDX-License-Identifier: MIT */
/* AIMET's encodings files. Each version has a file that reads it into entries and writes items; what entries mean for a
 * network, and what a network has to write, is found out in one place for all of them (encodings-match.c,
 * encodings-save.c). */
#pragma once

#include "base/located.h"
#include "quant/simulation-private.h"

/* What our own files say of who wrote them. */
#define HT_ENCODINGS_PRODUCER "halftone"

typedef enum
{
  HT_ENCODINGS_TENSOR,
  HT_ENCODINGS_CHANNEL,
  HT_ENCODINGS_BLOCK,
  HT_ENCODINGS_LPBQ,
} HtEncodingsShape;

typedef enum
{
  HT_ENCODINGS_ASYMMETRIC,
  HT_ENCODINGS_SYMMETRIC,
  HT_ENCODINGS_EITHER, /* the file does not tell: an unsigned type with zero in its middle or at its bottom */
} HtEncodingsSymmetry;

typedef enum
{
  HT_ENCODINGS_ANY, /* the version does not tell parameters from activations */
  HT_ENCODINGS_ACTIVATION,
  HT_ENCODINGS_PARAMETER,
} HtEncodingsRole;

/* Numbers of a file: one, or lists nested as deep as n_dims, in their order. */
typedef struct
{
  double *values;
  gsize n;
  guint n_dims;
  gint64 dims[HT_TENSOR_MAX_DIMS];
} HtEncodingsNumbers;

void ht_encodings_numbers_clear (HtEncodingsNumbers *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (HtEncodingsNumbers, ht_encodings_numbers_clear)

/* What a file says of one tensor: consistent in itself, not yet compared with a network. */
typedef struct
{
  HtLocatedNode *node;
  const char *name;
  HtEncodingsRole role;
  HtEncodingsShape shape;
  HtNumberFormat format;
  HtEncodingsSymmetry symmetry;
  guint bits;
  guint scale_bits;        /* LPBQ */
  gboolean may_be_channel; /* one grid, and no word on whether it is that of a single channel */
  gboolean has_axis;
  gint64 axis; /* as written, of the channels, or of the blocks where there are blocks; may count from the end */
  gsize block_size;
  HtEncodingsNumbers scales; /* LPBQ: those of the channels */
  gint64 *offsets;           /* as many as there are grids; NULL: floating point, LPBQ */
  HtEncodingsNumbers block_scales;
} HtEncodingsEntry;

/* One for the reading of a file. */
typedef struct
{
  HtLocatedDocument *document;
  GPtrArray *problems;    /* of the matching too */
  GPtrArray *entries;     /* HtEncodingsEntry */
  GHashTable *names;      /* name -> HtEncodingsEntry */
  char *producer;         /* the package that wrote the file, or NULL */
  gboolean lists_float16; /* whether tensors of float16 and bfloat16 have entries in this version */
  gboolean meta_scales;   /* whether scales may be encoded themselves */
} HtEncodingsReader;

void ht_encodings_reader_init (HtEncodingsReader *self);
void ht_encodings_reader_clear (HtEncodingsReader *self);
/* Reads the whole file, whatever its version. FALSE with `error`: it cannot be read, or it has problems. */
gboolean ht_encodings_reader_load (HtEncodingsReader *self, const char *path, GError **error);
/* FALSE with all problems in the message of `error`, where there are any. */
gboolean ht_encodings_reader_finish (HtEncodingsReader *self, const char *path, GError **error);

/* For the versions */
void ht_encodings_complain (HtEncodingsReader *self, HtLocatedNode *node, const char *format, ...) G_GNUC_PRINTF (3, 4);
/* Takes the error. */
void ht_encodings_complain_error (HtEncodingsReader *self, HtLocatedNode *node, GError *error);
gboolean ht_encodings_check_kind (HtEncodingsReader *self, HtLocatedNode *node, HtLocatedKind kind);
gboolean ht_encodings_check_keys (HtEncodingsReader *self, HtLocatedNode *mapping, const char *const *known);
/* The value of a key that must be there; NULL after a complaint. */
HtLocatedNode *ht_encodings_require (HtEncodingsReader *self, HtLocatedNode *mapping, const char *key);
const char *ht_encodings_require_text (HtEncodingsReader *self, HtLocatedNode *mapping, const char *key);
gboolean ht_encodings_require_integer (HtEncodingsReader *self, HtLocatedNode *mapping, const char *key, gint64 minimum,
                                       gint64 maximum, gint64 *value);

typedef enum
{
  HT_ENCODINGS_SCALES,       /* positive numbers that float32 holds */
  HT_ENCODINGS_INTEGERS,     /* whole numbers of at most 33 bits, written as integers or not */
  HT_ENCODINGS_BLOCK_SCALES, /* whole numbers from 1 to 2^15 */
  HT_ENCODINGS_NUMBERS,
} HtEncodingsNumberKind;

/* One number, a list, or lists nested to a box. The first bad number of a list is told, the others counted. */
gboolean ht_encodings_read_numbers (HtEncodingsReader *self, HtLocatedNode *node, HtEncodingsNumberKind kind,
                                    HtEncodingsNumbers *numbers);
gboolean ht_encodings_read_one (HtEncodingsReader *self, HtLocatedNode *node, HtEncodingsNumberKind kind,
                                double *value);

/* Owned by the reader; NULL after a complaint that the name is taken. */
HtEncodingsEntry *ht_encodings_add_entry (HtEncodingsReader *self, HtLocatedNode *node, const char *name);
/* A list whose items have `keys`, a name among them. */
void ht_encodings_read_list (HtEncodingsReader *self, HtLocatedNode *root, const char *key, HtEncodingsRole role,
                             const char *const *keys,
                             void (*read) (HtEncodingsReader *self, HtLocatedNode *node, HtEncodingsEntry *entry));
/* The sections of versions before 2.0.0. */
void ht_encodings_read_sections (HtEncodingsReader *self, HtLocatedNode *root,
                                 void (*read) (HtEncodingsReader *self, HtLocatedNode *root, const char *key,
                                               HtEncodingsRole role));

void ht_encodings_read_0_6_1 (HtEncodingsReader *self, HtLocatedNode *root);
void ht_encodings_read_1_0_0 (HtEncodingsReader *self, HtLocatedNode *root);
void ht_encodings_read_2_0_0 (HtEncodingsReader *self, HtLocatedNode *root);
/* 2.0.0 with scales that may be encoded themselves. */
void ht_encodings_read_2_1_0 (HtEncodingsReader *self, HtLocatedNode *root);

/* Takes the entries over into a simulation, or complains. */
void ht_encodings_match (HtEncodingsReader *self, HtSimulation *simulation, gboolean partial);
/* The initializer that a quantized constant is made of, by Transpose and Identity alone. AIMET's files speak of
 * initializers, ours is what nodes read. */
typedef struct
{
  char *name;
  guint n_dims;
  gint axes[HT_TENSOR_MAX_DIMS]; /* for each axis of the constant that of the initializer */
} HtEncodingsSource;

void ht_encodings_source_free (HtEncodingsSource *self);
/* Tensor -> HtEncodingsSource, for each quantized constant that is made of one that no other is made of. */
GHashTable *ht_encodings_map_sources (HtSimulation *self);
/* Whether the grids of a parameter in blocks are written channel by channel where lists do not show: always for two
 * dimensions, else where channels come first. */
gboolean ht_encodings_by_channel (guint n_dims, gint axis, gint block_axis);

/* What is to be written. */
typedef struct
{
  const char *name;
  HtEncoding *encoding;
  gboolean is_parameter;
  guint n_dims;          /* of what goes by the name, 0: not known */
  gint axis, block_axis; /* in it; -1: none */
} HtEncodingsItem;

void ht_encodings_write_text (JsonBuilder *builder, const char *key, const char *value);
void ht_encodings_write_integer (JsonBuilder *builder, const char *key, gint64 value);
void ht_encodings_write_number (JsonBuilder *builder, const char *key, double value);

/* Why the version cannot hold it, or NULL. */
char *ht_encodings_refuse_0_6_1 (const HtEncodingsItem *item);
char *ht_encodings_refuse_1_0_0 (const HtEncodingsItem *item);
char *ht_encodings_refuse_2_0_0 (const HtEncodingsItem *item);
/* Write the sections of a file, whose object is open; `items` is an array of HtEncodingsItem. */
void ht_encodings_write_0_6_1 (JsonBuilder *builder, GArray *items);
void ht_encodings_write_1_0_0 (JsonBuilder *builder, GArray *items);
void ht_encodings_write_2_0_0 (JsonBuilder *builder, GArray *items);
