/* SPDX-License-Identifier: MIT */
/* What rules of operators on sequences and optional values share. */
#pragma once

#include "ops/rules.h"

/* A sequence of more elements is refused: each costs some 300 bytes even where it holds nothing. */
#define HT_SEQUENCE_MAX_LENGTH (1 << 20)

/* The input, as far as its type is known, is a sequence. */
gboolean ht_infer_check_sequence (const HtInfer *infer, guint input, GError **error);
/* The input, as far as its type is known, is no list. */
gboolean ht_infer_check_tensor (const HtInfer *infer, guint input, GError **error);
/* What a list whose element is this input knows of it, (transfer full); NULL: nothing. */
HtElementType *ht_infer_get_as_element (const HtInfer *infer, guint input);
/* Type and shape (or elements) of an output that is an element of a list; nothing where `element` is NULL. */
void ht_infer_put_element (HtInfer *infer, guint output, HtElementType *element);
/* -1: not known. */
gint64 ht_infer_get_length (const HtInfer *infer, guint input);
/* The element type of the list `input`; NULL: not known. */
HtElementType *ht_infer_get_element (const HtInfer *infer, guint input);
