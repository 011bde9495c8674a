#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs what is needed, builds Halftone in build/ and runs the demo. Results go to recipes/demo/out.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
"$root/.ci/install-packages"
[ -f "$root/build/build.ninja" ] || meson setup "$root/build" "$root" -Dbuildtype=release
meson compile -C "$root/build"
exec meson devenv -C "$root/build" halftone run "$root/recipes/demo/demo.yaml" "$@"
