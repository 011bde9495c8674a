/* SPDX-License-Identifier: MIT */
/* Evaluation by a program of the user, which gets the path of a model and prints one number. */
#pragma once

#include <gio/gio.h>

/* Runs `command`, "{model}" replaced by the absolute path of the model in each word, in `folder` (nullable: this
 * one's). The program is killed, with all that it started, after `timeout` seconds (0: never) and on cancellation. It
 * has to end with exit code 0 and print one finite number and nothing else; what it prints to standard error is quoted
 * where it fails. */
gboolean ht_external_evaluator_run (const char *const *command, const char *folder, double timeout,
                                    const char *model_path, GCancellable *cancellable, double *score, GError **error);
