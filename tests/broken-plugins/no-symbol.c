/* SPDX-License-Identifier: MIT */
/* A shared module that is no plugin. */
int ht_some_other_function (void);

__attribute__ ((visibility ("default"))) int
ht_some_other_function (void)
{
  return 42;
}
