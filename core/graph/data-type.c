/* SPDX-License-Identifier: MIT */
#include "graph/tensor-private.h"

typedef struct
{
  const char *name;
  guint bits;
  enum { KIND_NONE, KIND_FLOAT, KIND_INTEGER, KIND_COMPLEX, KIND_STRING, KIND_LIST } kind;
} TypeFacts;

static const TypeFacts facts[] = {
  [HT_DATA_TYPE_UNDEFINED] = { "undefined", 0, KIND_NONE },
  [HT_DATA_TYPE_FLOAT] = { "float", 32, KIND_FLOAT },
  [HT_DATA_TYPE_UINT8] = { "uint8", 8, KIND_INTEGER },
  [HT_DATA_TYPE_INT8] = { "int8", 8, KIND_INTEGER },
  [HT_DATA_TYPE_UINT16] = { "uint16", 16, KIND_INTEGER },
  [HT_DATA_TYPE_INT16] = { "int16", 16, KIND_INTEGER },
  [HT_DATA_TYPE_INT32] = { "int32", 32, KIND_INTEGER },
  [HT_DATA_TYPE_INT64] = { "int64", 64, KIND_INTEGER },
  [HT_DATA_TYPE_STRING] = { "string", 0, KIND_STRING },
  [HT_DATA_TYPE_BOOL] = { "bool", 8, KIND_INTEGER },
  [HT_DATA_TYPE_FLOAT16] = { "float16", 16, KIND_FLOAT },
  [HT_DATA_TYPE_DOUBLE] = { "double", 64, KIND_FLOAT },
  [HT_DATA_TYPE_UINT32] = { "uint32", 32, KIND_INTEGER },
  [HT_DATA_TYPE_UINT64] = { "uint64", 64, KIND_INTEGER },
  [HT_DATA_TYPE_COMPLEX64] = { "complex64", 64, KIND_COMPLEX },
  [HT_DATA_TYPE_COMPLEX128] = { "complex128", 128, KIND_COMPLEX },
  [HT_DATA_TYPE_BFLOAT16] = { "bfloat16", 16, KIND_FLOAT },
  [HT_DATA_TYPE_FLOAT8E4M3FN] = { "float8e4m3fn", 8, KIND_FLOAT },
  [HT_DATA_TYPE_FLOAT8E4M3FNUZ] = { "float8e4m3fnuz", 8, KIND_FLOAT },
  [HT_DATA_TYPE_FLOAT8E5M2] = { "float8e5m2", 8, KIND_FLOAT },
  [HT_DATA_TYPE_FLOAT8E5M2FNUZ] = { "float8e5m2fnuz", 8, KIND_FLOAT },
  [HT_DATA_TYPE_UINT4] = { "uint4", 4, KIND_INTEGER },
  [HT_DATA_TYPE_INT4] = { "int4", 4, KIND_INTEGER },
  [HT_DATA_TYPE_FLOAT4E2M1] = { "float4e2m1", 4, KIND_FLOAT },
  [HT_DATA_TYPE_FLOAT8E8M0] = { "float8e8m0", 8, KIND_FLOAT },
  [HT_DATA_TYPE_UINT2] = { "uint2", 2, KIND_INTEGER },
  [HT_DATA_TYPE_INT2] = { "int2", 2, KIND_INTEGER },
  [HT_DATA_TYPE_SEQUENCE] = { "sequence", 0, KIND_LIST },
  [HT_DATA_TYPE_OPTIONAL] = { "optional", 0, KIND_LIST },
};

static const TypeFacts *
get_facts (HtDataType type)
{
  guint index = (guint) type;
  return &facts[index < G_N_ELEMENTS (facts) && facts[index].name ? index : HT_DATA_TYPE_UNDEFINED];
}

/**
 * ht_data_type_get_name:
 * @type: an element type
 *
 * The name of an element type in lower case, such as "float" or "int8"; "undefined" for a number that is no type.
 *
 * Returns: (transfer none): the name
 */
const char *
ht_data_type_get_name (HtDataType type)
{
  return get_facts (type)->name;
}

/**
 * ht_data_type_get_bits:
 * @type: an element type
 *
 * The number of bits that an element takes. Types of 4 and 2 bits are packed, the first element in the lowest bits.
 *
 * Returns: the number of bits, 0 for strings, lists and what is no type
 */
guint
ht_data_type_get_bits (HtDataType type)
{
  return get_facts (type)->bits;
}

/**
 * ht_data_type_is_float:
 * @type: an element type
 *
 * Says whether @type is a real floating-point type: of 64, 32, 16, 8 or 4 bits.
 *
 * Returns: %TRUE for floating-point types, complex ones excluded
 */
gboolean
ht_data_type_is_float (HtDataType type)
{
  return get_facts (type)->kind == KIND_FLOAT;
}

gboolean
ht_data_type_is_integer (HtDataType type)
{
  return get_facts (type)->kind == KIND_INTEGER;
}

gboolean
ht_data_type_is_numeric (HtDataType type)
{
  return ht_data_type_is_float (type) || ht_data_type_is_integer (type);
}

gboolean
ht_data_type_is_list (HtDataType type)
{
  return get_facts (type)->kind == KIND_LIST;
}
