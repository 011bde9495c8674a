#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs the build into a folder, builds all of plugins/ there as an outside project with nothing but the installed
# headers and halftone-1.pc, and runs the installed command with those plugins.
set -eu
build=$1 source=$2
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
meson install -C "$build" --no-rebuild --quiet --destdir "$stage/root" >"$stage/install.log" 2>&1 || { cat "$stage/install.log"; exit 1; }
pc=$(find "$stage/root" -name halftone-1.pc)
prefix=$stage/root$(sed -n 's/^prefix=//p' "$pc")
mkdir -p "$stage/pc" "$stage/outside"
sed "s|^prefix=.*|prefix=$prefix|" "$pc" >"$stage/pc/halftone-1.pc"
cp -r "$source/plugins" "$stage/outside/plugins"
cp "$source/tests/out-of-tree/outside.meson.build" "$stage/outside/meson.build"
export PKG_CONFIG_PATH="$stage/pc"
meson setup "$stage/out" "$stage/outside" >"$stage/setup.log" 2>&1 || { cat "$stage/setup.log"; exit 1; }
meson compile -C "$stage/out" >"$stage/compile.log" 2>&1 || { cat "$stage/compile.log"; exit 1; }
lib=$(dirname "$(find "$stage/root" -name 'libhalftone-1.so')")
mkdir -p "$stage/plugins"
find "$stage/out" -name 'halftone-*.so' -exec cp {} "$stage/plugins/" \;
expected=$(find "$source/plugins" -mindepth 1 -maxdepth 1 -type d | wc -l)
export LD_LIBRARY_PATH="$lib" HALFTONE_SYSTEM_PLUGIN_PATH="$stage/plugins" HALFTONE_PLUGIN_PATH=
"$prefix/bin/halftone" plugins list >"$stage/list"
cat "$stage/list"
registered=$(grep -c 'registered' "$stage/list" || true)
[ "$registered" -eq "$expected" ] || { echo "expected $expected registered plugins, found $registered"; exit 1; }
"$prefix/bin/halftone" check "$source/recipes/demo/demo.yaml"

# The plugin of the tutorial, taken from the page itself.
mkdir "$stage/tutorial"
awk '/^```/ { inside = !inside; if (inside) language = substr($0, 4); next }
     inside && language == "meson" { print > (folder "/meson.build") }
     inside && language == "c" { print > (folder "/weight-clipping.c") }' folder="$stage/tutorial" "$source/docs/plugin-tutorial.md"
meson setup "$stage/tutorial/build" "$stage/tutorial" >"$stage/tutorial.log" 2>&1 || { cat "$stage/tutorial.log"; exit 1; }
meson compile -C "$stage/tutorial/build" >>"$stage/tutorial.log" 2>&1 || { cat "$stage/tutorial.log"; exit 1; }
sed 's|^  - high-bias-folding.*|  - weight-clipping: {deviations: 5}|; s|: \([a-z]*\.npy\)|: '"$source/recipes/demo"'/\1|g; s|^model: .*|model: '"$source/recipes/demo/model.onnx"'|' \
  "$source/recipes/demo/demo.yaml" >"$stage/tutorial.yaml"
HALFTONE_PLUGIN_PATH="$stage/tutorial/build" "$prefix/bin/halftone" run "$stage/tutorial.yaml" --output "$stage/result"
[ -s "$stage/result/report.json" ] || { echo "the run with the tutorial's plugin left no report"; exit 1; }

sh "$source/tests/out-of-tree/refuse-rounding.sh" "$prefix/bin/halftone" "$source" "$stage"
