/* SPDX-License-Identifier: MIT */
#pragma once

#include "graph/operator.h"
#include "kernels/pool.h"

/* The geometry of a MaxPool or AveragePool that passed inference. Returns NULL, or what is wrong (transfer full). */
char *ht_pool_read (HtNode *node, const gint64 *dims, guint n_dims, HtPoolGeometry *pool);
