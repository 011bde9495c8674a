/* SPDX-License-Identifier: MIT */
/* What the verbs share: errors and exit codes, progress, loading of simulations, printing. */
#pragma once

#include <halftone/halftone.h>

typedef enum
{
  CLI_DONE = 0,
  CLI_FAILED = 1,
  CLI_USAGE = 2,
  CLI_INVALID = 3,
  CLI_MISSED = 4, /* the target of a search; its best is saved */
  CLI_PLUGIN = 5,
  CLI_INTERRUPTED = 130,
} CliExit;

typedef struct
{
  const char *name;
  const char *arguments;
  const char *summary;
  int (*run) (int argc, char **argv);
} CliVerb;

int cli_run (int argc, char **argv);
int cli_search (int argc, char **argv);
int cli_resume (int argc, char **argv);
int cli_check (int argc, char **argv);
int cli_compare (int argc, char **argv);
int cli_plan (int argc, char **argv);
int cli_explain (int argc, char **argv);
/* Of the folder of a search. */
int cli_explain_combination (const char *folder, int number);
int cli_inspect (int argc, char **argv);
int cli_eval (int argc, char **argv);
int cli_infer (int argc, char **argv);
int cli_export (int argc, char **argv);
int cli_validate (int argc, char **argv);
int cli_report (int argc, char **argv);
int cli_verify (int argc, char **argv);
int cli_recipe (int argc, char **argv);
int cli_plugins (int argc, char **argv);

/* Parses a verb's options; `n_arguments` others must stay. Returns the exit code to leave with, or -1 to go on. */
int cli_parse (int *argc, char ***argv, const char *verb, const char *arguments, const char *summary,
               const GOptionEntry *entries, GOptionGroup *more, int n_arguments);
/* Says what went wrong and returns the exit code for it. */
int cli_fail (const GError *error);
int cli_usage (const char *verb, const char *format, ...) G_GNUC_PRINTF (2, 3);
/* Takes --threads; returns the exit code to leave with, or -1 to go on. */
int cli_set_threads (const char *verb, int n_threads);
/* Reads --memory (NULL: none, 0 bytes); returns the exit code to leave with, or -1 to go on. */
int cli_read_memory (const char *verb, const char *text, guint64 *bytes);
/* The batch, up to `wanted`, that keeps a run within the budget (0: any does); `sample` has the shapes of the inputs,
 * whatever their first dimension. 0: an error. */
guint cli_choose_batch (HtExecutor *executor, GHashTable *sample, guint wanted, guint64 budget, const char *const *taps,
                        GError **error);
/* One option for each preprocessing parameter, with the parameter's own text; they set it. */
GOptionGroup *cli_preprocess_group (HtPreprocess *preprocess);
/* Adds the files of --data: FILE or INPUT=FILE. */
gboolean cli_add_data (HtDataset *dataset, char **files, GError **error);
/* The data that the command line gives instead of the recipe's. */
typedef struct
{
  char *calibration, *evaluation, *labels;
  gboolean raw;
} CliDataOptions;

GOptionGroup *cli_data_options_group (CliDataOptions *data);
void cli_data_options_clear (CliDataOptions *self);
/* Returns the exit code to leave with, or -1 to go on. */
int cli_data_options_check (const CliDataOptions *self, const char *verb);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (CliDataOptions, cli_data_options_clear)
/* The strings of a member that is a list of them; NULL where there is none. */
char **cli_read_strings (JsonObject *object, const char *name);
/* Cancelled when the user interrupts the command. */
GCancellable *cli_watch_interrupts (void);
HtPassRegistry *cli_load_registry (void);
void cli_print_json (JsonNode *node);
/* The exit code of a recipe that was refused; its problems were printed. */
int cli_fail_recipe (HtPassRegistry *registry, GPtrArray *diagnostics, const GError *error);
/* Prints recipe problems to standard error. */
void cli_print_diagnostics (GPtrArray *diagnostics);

typedef struct _CliProgress CliProgress;
CliProgress *cli_progress_new (void);
void cli_progress_update (double fraction, const char *message, gpointer progress);
void cli_progress_free (CliProgress *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (CliProgress, cli_progress_free)

/* The network as it is, or its simulation with the encodings of a file. */
HtExecutor *cli_open_executor (HtGraph *graph, const char *encodings, const char *arithmetic, GError **error);
/* `arithmetic` is a word that cli_check_arithmetic() let through; NULL: that of who wrote the encodings. */
HtSimulation *cli_open_simulation (HtGraph *graph, const char *encodings, const char *arithmetic, GError **error);
/* Returns the exit code to leave with, or -1 to go on. */
int cli_check_arithmetic (const char *verb, const char *arithmetic);
#define CLI_ARITHMETIC_HELP "What the simulation computes with: device or aimet; default: who wrote the encodings"
/* Rows of cells in aligned columns; the first row is the head. */
void cli_print_table (GPtrArray *rows);
/* Tables, skips and notes of the steps that made a table. */
void cli_print_steps (JsonNode *report);
void cli_print_metrics (const char *const *stages, HtMetrics *const *metrics);
