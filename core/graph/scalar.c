/* SPDX-License-Identifier: MIT */
/* Conversion between element types. Reading widens to double or to 64-bit integers without loss; writing rounds once:
 * to nearest, ties to even, for floating-point types, towards zero for integers. */
#include "graph/scalar.h"

#include <math.h>
#include <string.h>

/* A floating-point format of at most 16 bits. */
typedef struct
{
  int exponent_bits, mantissa_bits, bias;
  guint largest;  /* code of the largest finite value */
  guint infinity; /* 0: has none */
  guint nan;      /* 0: has none */
  gboolean unsigned_zero; /* the code of -0 is the NaN */
} Format;

static const Format format_float16 = { 5, 10, 15, 0x7bff, 0x7c00, 0x7e00, FALSE };
static const Format format_bfloat16 = { 8, 7, 127, 0x7f7f, 0x7f80, 0x7fc0, FALSE };
static const Format format_e4m3fn = { 4, 3, 7, 0x7e, 0, 0x7f, FALSE };
static const Format format_e4m3fnuz = { 4, 3, 8, 0x7f, 0, 0x80, TRUE };
static const Format format_e5m2 = { 5, 2, 15, 0x7b, 0x7c, 0x7e, FALSE };
static const Format format_e5m2fnuz = { 5, 2, 16, 0x7f, 0, 0x80, TRUE };
static const Format format_e2m1 = { 2, 1, 1, 0x7, 0, 0, FALSE };

static const Format *
get_format (HtDataType type)
{
  switch ((int) type)
    {
    case HT_DATA_TYPE_FLOAT16:
      return &format_float16;
    case HT_DATA_TYPE_BFLOAT16:
      return &format_bfloat16;
    case HT_DATA_TYPE_FLOAT8E4M3FN:
      return &format_e4m3fn;
    case HT_DATA_TYPE_FLOAT8E4M3FNUZ:
      return &format_e4m3fnuz;
    case HT_DATA_TYPE_FLOAT8E5M2:
      return &format_e5m2;
    case HT_DATA_TYPE_FLOAT8E5M2FNUZ:
      return &format_e5m2fnuz;
    case HT_DATA_TYPE_FLOAT4E2M1:
      return &format_e2m1;
    default:
      return NULL;
    }
}

static inline guint64
bits_of (double value)
{
  guint64 bits;
  memcpy (&bits, &value, sizeof bits);
  return bits;
}

static inline double
double_of (guint64 bits)
{
  double value;
  memcpy (&value, &bits, sizeof value);
  return value;
}

static inline double
decode (guint code, const Format *format)
{
  int width = format->exponent_bits + format->mantissa_bits;
  guint64 sign = (guint64) (code >> width & 1) << 63;
  guint magnitude = code & ((1u << width) - 1);
  guint exponent = magnitude >> format->mantissa_bits;
  guint64 mantissa = magnitude & ((1u << format->mantissa_bits) - 1);

  if (format->unsigned_zero ? code == format->nan : magnitude > format->largest)
    {
      if (magnitude == format->infinity && format->infinity != 0)
        return double_of (sign | G_GUINT64_CONSTANT (0x7ff0000000000000));
      return double_of (sign | G_GUINT64_CONSTANT (0x7ff8000000000000));
    }
  if (exponent == 0)
    {
      double quantum = double_of ((guint64) (1023 + 1 - format->bias - format->mantissa_bits) << 52);
      double value = (double) mantissa * quantum;
      return sign != 0 ? -value : value;
    }
  guint64 wide = (guint64) ((int) exponent - format->bias + 1023);
  return double_of (sign | wide << 52 | mantissa << (52 - format->mantissa_bits));
}

static inline guint64
shift_to_nearest_even (guint64 value, int shift)
{
  guint64 half = G_GUINT64_CONSTANT (1) << (shift - 1);
  guint64 rest = value & ((half << 1) - 1);
  guint64 result = value >> shift;
  return result + (rest > half || (rest == half && (result & 1) != 0));
}

static inline guint
encode_overflow (guint sign, const Format *format, gboolean saturate)
{
  if (saturate || (format->infinity == 0 && format->nan == 0))
    return sign | format->largest;
  if (format->infinity != 0)
    return sign | format->infinity;
  return format->unsigned_zero ? format->nan : sign | format->nan;
}

static inline guint
encode (double value, const Format *format, gboolean saturate)
{
  guint64 bits = bits_of (value);
  guint sign = (guint) (bits >> 63) << (format->exponent_bits + format->mantissa_bits);
  int exponent = (int) (bits >> 52 & 0x7ff);
  guint64 significand = bits & G_GUINT64_CONSTANT (0xfffffffffffff);

  if (exponent == 0x7ff && significand != 0)
    /* A format without NaN takes -0, as ml_dtypes and with it ONNX's own reference do. */
    return format->nan == 0 ? 1u << (format->exponent_bits + format->mantissa_bits)
           : format->unsigned_zero ? format->nan
                                   : sign | format->nan;
  if (exponent == 0x7ff)
    return encode_overflow (sign, format, saturate);

  significand |= exponent != 0 ? G_GUINT64_CONSTANT (1) << 52 : 0;
  exponent = MAX (exponent, 1) - 1023;
  int lowest = 1 - format->bias;
  int shift = 52 - format->mantissa_bits + MAX (lowest - exponent, 0);
  guint64 code = shift > 54 ? 0 : shift_to_nearest_even (significand, shift);
  code += (guint64) MAX (exponent - lowest, 0) << format->mantissa_bits;
  if (code > format->largest)
    return encode_overflow (sign, format, saturate);
  return code == 0 && format->unsigned_zero ? 0 : sign | (guint) code;
}

/* Powers of two from 2^-127 (0) to 2^127 (254); 255 is NaN. */
static guint
encode_scale (double value, const HtCastRules *rules)
{
  if (isnan (value) || value < 0)
    return 0xff;
  if (value == 0)
    return rules->saturate ? 0 : 0xff;
  if (isinf (value))
    return rules->saturate ? 0xfe : 0xff;
  int exponent = 0;
  double fraction = 2 * frexp (value, &exponent); /* value = fraction * 2^(exponent - 1), fraction in [1, 2) */
  int code = exponent - 1 + 127;
  if (rules->rounding == HT_ROUND_UP)
    code += fraction > 1;
  else if (rules->rounding == HT_ROUND_NEAREST)
    code += fraction >= 1.5;
  if (code < 0)
    return rules->saturate ? 0 : 0xff;
  if (code > 0xfe)
    return rules->saturate ? 0xfe : 0xff;
  return (guint) code;
}

static double
decode_scale (guint code)
{
  return code == 0xff ? NAN : ldexp (1, (int) code - 127);
}

/* The double next to an integer that a later rounding to fewer bits turns into what rounding the integer itself gives:
 * what does not fit leaves the last bit set. */
static double
to_odd_double (guint64 magnitude)
{
  if (magnitude >> 53 == 0)
    return (double) magnitude;
  int shift = 11 - __builtin_clzll (magnitude);
  guint64 kept = magnitude >> shift;
  if ((magnitude & ((G_GUINT64_CONSTANT (1) << shift) - 1)) != 0)
    kept |= 1;
  return ldexp ((double) kept, shift);
}

static inline double
run_get_odd (const HtRun *run, gsize i)
{
  if (run->kind == HT_RUN_REAL)
    return run->real[i];
  if (run->kind == HT_RUN_UNSIGNED || run->integer[i] >= 0)
    return to_odd_double ((guint64) run->integer[i]);
  return -to_odd_double (-(guint64) run->integer[i]);
}

#define LOAD(member, ctype)                                                                                            \
  do                                                                                                                   \
    {                                                                                                                  \
      const ctype *source = (const ctype *) data + first;                                                              \
      for (gsize i = 0; i < count; i++)                                                                                \
        run->member[i] = source[i];                                                                                    \
    }                                                                                                                  \
  while (0)

static inline guint
read_bits (const guint8 *data, gsize index, guint bits)
{
  gsize position = index * bits;
  return data[position / 8] >> (position % 8) & ((1u << bits) - 1);
}

static void
load_packed (HtRun *run, HtDataType type, const guint8 *data, gsize first, gsize count)
{
  guint bits = ht_data_type_get_bits (type);
  gboolean is_signed = type == HT_DATA_TYPE_INT4 || type == HT_DATA_TYPE_INT2;
  gint64 half = is_signed ? 1 << (bits - 1) : 0;
  for (gsize i = 0; i < count; i++)
    run->integer[i] = ((gint64) read_bits (data, first + i, bits) ^ half) - half;
}

static void
load_reals (HtRun *run, HtDataType type, gconstpointer data, gsize first, gsize count)
{
  const Format *format = get_format (type);
  if (type == HT_DATA_TYPE_FLOAT)
    LOAD (real, float);
  else if (type == HT_DATA_TYPE_DOUBLE)
    LOAD (real, double);
  else if (type == HT_DATA_TYPE_FLOAT8E8M0)
    for (gsize i = 0; i < count; i++)
      run->real[i] = decode_scale (((const guint8 *) data)[first + i]);
  else if (ht_data_type_get_bits (type) == 16)
    for (gsize i = 0; i < count; i++)
      run->real[i] = decode (((const guint16 *) data)[first + i], format);
  else if (ht_data_type_get_bits (type) == 8)
    for (gsize i = 0; i < count; i++)
      run->real[i] = decode (((const guint8 *) data)[first + i], format);
  else
    for (gsize i = 0; i < count; i++)
      run->real[i] = decode (read_bits (data, first + i, 4), format);
}

static void
load_integers (HtRun *run, HtDataType type, gconstpointer data, gsize first, gsize count)
{
  switch ((int) type)
    {
    case HT_DATA_TYPE_UINT8:
      LOAD (integer, guint8);
      break;
    case HT_DATA_TYPE_BOOL:
      for (gsize i = 0; i < count; i++)
        run->integer[i] = ((const guint8 *) data)[first + i] != 0;
      break;
    case HT_DATA_TYPE_INT8:
      LOAD (integer, gint8);
      break;
    case HT_DATA_TYPE_UINT16:
      LOAD (integer, guint16);
      break;
    case HT_DATA_TYPE_INT16:
      LOAD (integer, gint16);
      break;
    case HT_DATA_TYPE_UINT32:
      LOAD (integer, guint32);
      break;
    case HT_DATA_TYPE_INT32:
      LOAD (integer, gint32);
      break;
    case HT_DATA_TYPE_UINT64:
    case HT_DATA_TYPE_INT64:
      memcpy (run->integer, (const gint64 *) data + first, count * sizeof (gint64));
      break;
    default:
      load_packed (run, type, data, first, count);
    }
}

void
ht_run_load (HtRun *run, HtDataType type, gconstpointer data, gsize first, gsize count)
{
  if (ht_data_type_is_float (type))
    {
      run->kind = HT_RUN_REAL;
      load_reals (run, type, data, first, count);
    }
  else
    {
      run->kind = type == HT_DATA_TYPE_UINT64 ? HT_RUN_UNSIGNED : HT_RUN_SIGNED;
      load_integers (run, type, data, first, count);
    }
}

static void
write_bits (guint8 *data, gsize index, guint bits, guint code)
{
  gsize position = index * bits;
  guint mask = ((1u << bits) - 1) << (position % 8);
  data[position / 8] = (guint8) ((data[position / 8] & ~mask) | (code << (position % 8) & mask));
}

static void
store_coded (const HtRun *run, HtDataType type, gpointer data, gsize first, gsize count, const HtCastRules *rules)
{
  const Format *format = get_format (type);
  guint bits = ht_data_type_get_bits (type);
  gboolean saturate = bits == 8 && rules->saturate;
  for (gsize i = 0; i < count; i++)
    {
      double value = run_get_odd (run, i);
      guint code = format != NULL ? encode (value, format, saturate) : encode_scale (value, rules);
      if (bits == 16)
        ((guint16 *) data)[first + i] = (guint16) code;
      else if (bits == 8)
        ((guint8 *) data)[first + i] = (guint8) code;
      else
        write_bits (data, first + i, bits, code);
    }
}

/* Integers go to wider floating-point types directly: by way of double, 64 bits would be rounded twice. */
#define STORE_REALS(ctype)                                                                                             \
  do                                                                                                                   \
    {                                                                                                                  \
      ctype *target = (ctype *) data + first;                                                                          \
      for (gsize i = 0; i < count; i++)                                                                                \
        target[i] = run->kind == HT_RUN_REAL     ? (ctype) run->real[i]                                                \
                    : run->kind == HT_RUN_SIGNED ? (ctype) run->integer[i]                                             \
                                                 : (ctype) (guint64) run->integer[i];                                  \
    }                                                                                                                  \
  while (0)

/* Out of range is undefined in ONNX; here the nearest bound, and 0 for NaN, on every machine. The upper bound is
 * exclusive because 2^63 - 1 is no double. */
static inline gint64
truncate_signed (double value, double lowest, double limit, gint64 largest)
{
  if (isnan (value))
    return 0;
  return value >= limit ? largest : value <= lowest ? (gint64) lowest : (gint64) value;
}

static inline guint64
truncate_unsigned (double value, double limit, guint64 largest)
{
  return value >= limit ? largest : value > 0 ? (guint64) value : 0;
}

static guint64
run_get_code (const HtRun *run, gsize i, guint bits, gboolean is_signed)
{
  if (run->kind != HT_RUN_REAL)
    return (guint64) run->integer[i];
  if (!is_signed)
    return truncate_unsigned (run->real[i], ldexp (1, (int) bits), G_MAXUINT64 >> (64 - bits));
  double limit = ldexp (1, (int) bits - 1);
  return (guint64) truncate_signed (run->real[i], -limit, limit, (gint64) (G_MAXUINT64 >> (65 - bits)));
}

static void
store_integers (const HtRun *run, HtDataType type, gpointer data, gsize first, gsize count)
{
  guint bits = ht_data_type_get_bits (type);
  gboolean is_signed = type == HT_DATA_TYPE_INT2 || type == HT_DATA_TYPE_INT4 || type == HT_DATA_TYPE_INT8
                       || type == HT_DATA_TYPE_INT16 || type == HT_DATA_TYPE_INT32 || type == HT_DATA_TYPE_INT64;
  for (gsize i = 0; i < count; i++)
    {
      guint64 code = run_get_code (run, i, bits, is_signed);
      switch (bits)
        {
        case 64:
          ((guint64 *) data)[first + i] = code;
          break;
        case 32:
          ((guint32 *) data)[first + i] = (guint32) code;
          break;
        case 16:
          ((guint16 *) data)[first + i] = (guint16) code;
          break;
        case 8:
          ((guint8 *) data)[first + i] = (guint8) code;
          break;
        default:
          write_bits (data, first + i, bits, (guint) (code & 0xf));
        }
    }
}

void
ht_run_store (const HtRun *run, HtDataType type, gpointer data, gsize first, gsize count, const HtCastRules *rules)
{
  if (type == HT_DATA_TYPE_FLOAT)
    STORE_REALS (float);
  else if (type == HT_DATA_TYPE_DOUBLE)
    STORE_REALS (double);
  else if (ht_data_type_is_float (type))
    store_coded (run, type, data, first, count, rules);
  else if (type == HT_DATA_TYPE_BOOL)
    for (gsize i = 0; i < count; i++)
      ((guint8 *) data)[first + i] = run->kind == HT_RUN_REAL ? run->real[i] != 0 : run->integer[i] != 0;
  else
    store_integers (run, type, data, first, count);
}

double
ht_scalar_load (HtDataType type, gconstpointer data, gsize index)
{
  HtRun run;
  ht_run_load (&run, type, data, index, 1);
  return run.kind == HT_RUN_REAL ? run.real[0]
         : run.kind == HT_RUN_SIGNED ? (double) run.integer[0]
                                     : (double) (guint64) run.integer[0];
}

void
ht_scalar_store (HtDataType type, gpointer data, gsize index, double value)
{
  static const HtCastRules rules = { TRUE, HT_ROUND_UP };
  HtRun run;
  run.kind = HT_RUN_REAL;
  run.real[0] = value;
  ht_run_store (&run, type, data, index, 1, &rules);
}
