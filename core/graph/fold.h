/* SPDX-License-Identifier: MIT */
/* Constant folding of one node: runs the operator on constant inputs. */
#pragma once

#include "graph/operator.h"

/* Fills the `constant` of each wanted output whose inputs are all constant. Nothing larger than `max_bytes` is read or
 * made. FALSE: not foldable (not deterministic, an input not constant, too large, or the operator failed on the data);
 * the outputs are then as before. `infer` holds what the operator's rule found. */
gboolean ht_fold_node (const HtOperator *op, HtInfer *infer, gsize max_bytes);
/* Follows partly known integers through operators that only move elements (HtOperator.moved_inputs). */
void ht_fold_moved_elements (const HtOperator *op, HtInfer *infer);
/* Turns a fully known `elements` into a `constant`, and type and shape of a constant into those of the value. */
void ht_fold_normalize (HtInferValue *value);
