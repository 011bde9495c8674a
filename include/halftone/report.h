/* SPDX-License-Identifier: MIT */
#pragma once

#include <gio/gio.h>
#include <halftone/macros.h>

G_BEGIN_DECLS

HT_API char *ht_report_write_html (const char *folder, GError **error);

G_END_DECLS
