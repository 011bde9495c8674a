#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs what is needed, builds Halftone in build-demo/ (without its tests) and runs the demo. Results go to recipes/demo/out.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
"$root/.ci/install-packages"
build=$root/build-demo
[ -f "$build/build.ninja" ] || meson setup "$build" "$root" -Dbuildtype=release -Dtests=false -Dintrospection=disabled
meson compile -C "$build"
exec meson devenv -C "$build" halftone run "$root/recipes/demo/demo.yaml" "$@"
