/* SPDX-License-Identifier: MIT */
#include "cli/cli.h"

#include <locale.h>
#include <string.h>

static const CliVerb verbs[] = {
  { "run", "RECIPE", "quantize a network as a recipe says", cli_run },
  { "search", "RECIPE", "search the legal combinations of a recipe with choices", cli_search },
  { "resume", "FOLDER", "go on with a search that was interrupted", cli_resume },
  { "check", "RECIPE", "find every problem of a recipe; no model is touched", cli_check },
  { "plan", "RECIPE", "explain the steps of a recipe, or what a search over it would do", cli_plan },
  { "explain", "RECIPE|FOLDER", "say who decides how a tensor is quantized, or why a combination lost", cli_explain },
  { "inspect", "PASS|CALIBRATOR|MODEL", "describe a technique, a calibrator or a model", cli_inspect },
  { "eval", "MODEL", "measure a network or its simulation on data", cli_eval },
  { "compare", "FIRST SECOND", "compare two models, runs or searches on the same samples", cli_compare },
  { "infer", "MODEL", "run a network or its simulation on arrays", cli_infer },
  { "export", "MODEL", "write a network in another format", cli_export },
  { "verify", "OUT", "run an exported file and compare it with the simulation, layer by layer", cli_verify },
  { "report", "FOLDER", "write report.html from report.json", cli_report },
  { "validate", "MODEL", "say whether a model is fit for quantization, and repair it", cli_validate },
  { "recipe", "schema|fmt", "write the schema of recipes; tidy a recipe", cli_recipe },
  { "plugins", "list", "list the plugins and what they provide", cli_plugins },
};

static void
print_help (void)
{
  g_print ("Usage: halftone VERB [OPTION...] ARGUMENT\n\nQuantizes neural networks.\n\n");
  for (gsize i = 0; i < G_N_ELEMENTS (verbs); i++)
    {
      g_autofree char *usage = g_strdup_printf ("%s %s", verbs[i].name, verbs[i].arguments);
      g_print ("  %-22s %s\n", usage, verbs[i].summary);
    }
  g_print (
      "\n  halftone VERB --help   options of a verb\n  halftone --version     version, processor, BLAS kernels\n\n"
      "Exit codes: 0 done, 1 failed, 2 usage, 3 recipe or input invalid, 4 target missed, 5 a plugin is at fault, 130 interrupted\n");
}

/* OpenBLAS picks its kernels by the processor, unless the environment pins them: slower kernels are worth a word. */
static int
print_version (void)
{
  const char *pinned = g_getenv ("OPENBLAS_CORETYPE");
  g_print ("halftone %s\nprocessor: %s\nOpenBLAS kernels: %s\nthreads: %u\n", ht_get_version (), ht_get_cpu (),
           ht_get_blas_core (), ht_get_n_threads ());
  if (pinned != NULL && *pinned != '\0')
    g_print (
        "note: OPENBLAS_CORETYPE=%s pins the kernels of OpenBLAS; unset it to let OpenBLAS choose by the processor\n",
        pinned);
  return CLI_DONE;
}

static const CliVerb *
find_verb (const char *name)
{
  for (gsize i = 0; i < G_N_ELEMENTS (verbs); i++)
    if (g_str_equal (verbs[i].name, name))
      return &verbs[i];
  return NULL;
}

static int
unknown_verb (const char *name)
{
  const char *names[G_N_ELEMENTS (verbs) + 3] = { NULL };
  for (gsize i = 0; i < G_N_ELEMENTS (verbs); i++)
    names[i] = verbs[i].name;
  names[G_N_ELEMENTS (verbs)] = "--help";
  names[G_N_ELEMENTS (verbs) + 1] = "--version";
  const char *nearest = ht_suggest (name, names);
  g_printerr ("halftone: there is no %s '%s'%s%s%s; see 'halftone --help'\n", *name == '-' ? "option" : "verb", name,
              nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
  return CLI_USAGE;
}

static int
help_on (int argc, char **argv)
{
  const CliVerb *verb = argc > 2 ? find_verb (argv[2]) : NULL;
  if (argc <= 2)
    {
      print_help ();
      return CLI_DONE;
    }
  if (verb == NULL)
    return unknown_verb (argv[2]);
  char *arguments[] = { argv[2], (char *)"--help", NULL };
  return verb->run (2, arguments);
}

int
main (int argc, char **argv)
{
  setlocale (LC_CTYPE, "");
  if (argc < 2)
    {
      print_help ();
      return CLI_USAGE;
    }
  if (g_str_equal (argv[1], "--help") || g_str_equal (argv[1], "-h"))
    {
      print_help ();
      return CLI_DONE;
    }
  if (g_str_equal (argv[1], "--version"))
    return print_version ();
  if (g_str_equal (argv[1], "help"))
    return help_on (argc, argv);
  const CliVerb *verb = find_verb (argv[1]);
  return verb != NULL ? verb->run (argc - 1, argv + 1) : unknown_verb (argv[1]);
}
