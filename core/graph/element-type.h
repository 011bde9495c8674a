/* SPDX-License-Identifier: MIT */
/* What is known of the elements of a sequence or an optional value. Immutable and counted. */
#pragma once

#include <halftone/graph.h>

typedef struct _HtElementType HtElementType;
struct _HtElementType
{
  gatomicrefcount ref_count;
  HtDataType type;
  HtShape *shape;         /* NULL: not known, or the elements are lists */
  HtElementType *element; /* of lists in the list; NULL: not known */
};

HtElementType *ht_element_type_new (HtDataType type, HtShape *shape, HtElementType *element);
HtElementType *ht_element_type_ref (HtElementType *self);
void ht_element_type_unref (HtElementType *self);
/* NULL, nothing known, equals only NULL. */
gboolean ht_element_type_equal (const HtElementType *a, const HtElementType *b);
/* What holds of elements of either type, (transfer full); NULL: nothing. */
HtElementType *ht_element_type_unite (HtElementType *a, HtElementType *b);
/* TRUE when no value can have both types. */
gboolean ht_element_type_contradicts (const HtElementType *a, const HtElementType *b);
/* What holds of all elements of a list that is there, (transfer full); NULL: nothing, or it is empty. */
HtElementType *ht_tensor_get_element_type (HtTensor *list);
/* What is known of shapes of either of two, (transfer full); NULL: not even the rank. */
HtShape *ht_shape_unite (HtShape *a, HtShape *b);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (HtElementType, ht_element_type_unref)
