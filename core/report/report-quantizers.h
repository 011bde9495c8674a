/* SPDX-License-Identifier: MIT */
#pragma once

#include <halftone/simulation.h>
#include <json-glib/json-glib.h>

/* The grids of a calibrated simulation and what they do to the values. With the `given` network (nullable) also the
 * distributions of the values there and in the simulation's network, of activations over the first samples of `dataset`
 * (nullable). NULL: an error. */
JsonArray *ht_report_describe_quantizers (HtSimulation *simulation, HtGraph *given, HtDataset *dataset, guint batch,
                                          GError **error);
