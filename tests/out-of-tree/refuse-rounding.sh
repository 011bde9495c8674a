#!/bin/sh
# SPDX-License-Identifier: MIT
# The laws hold for who has never been heard of: a third party's rounding, built against the installed prefix, runs by
# itself, and next to `adaround` or `bias-correction` it is refused by check, plan and run, in either order, naming both.
#   refuse-rounding.sh HALFTONE SOURCE STAGE
set -eu
halftone=$1 source=$2 stage=$3
mkdir -p "$stage/greedy"
cp "$source"/tests/out-of-tree/greedy-rounding/* "$stage/greedy/"
meson setup "$stage/greedy/build" "$stage/greedy" >"$stage/greedy.log" 2>&1 || { cat "$stage/greedy.log"; exit 1; }
meson compile -C "$stage/greedy/build" >>"$stage/greedy.log" 2>&1 || { cat "$stage/greedy.log"; exit 1; }
export HALFTONE_PLUGIN_PATH="$stage/greedy/build"

write_recipe() {
  cat >"$stage/laws.yaml" <<RECIPE
recipe: "1.0"
name: laws
model: $source/recipes/demo/model.onnx
data:
  preprocess: {layout: NHWC, scale: 0.00784313725490196, mean: [1.0]}
  calibration: {path: $source/recipes/demo/calibration.npy, samples: 32}
quantization: {weights: {bits: 4}, activations: {bits: 8}}
pipeline:
  - batchnorm-folding
$(for step in "$@"; do echo "  - $step"; done)
output: {formats: [onnx]}
RECIPE
}

write_recipe greedy-rounding
"$halftone" run "$stage/laws.yaml" --output "$stage/laws" >"$stage/laws.log" 2>&1 || { cat "$stage/laws.log"; exit 1; }
for other in adaround bias-correction; do
  for order in "greedy-rounding $other" "$other greedy-rounding"; do
    # shellcheck disable=SC2086
    write_recipe $order
    for verb in check plan run; do
      more=
      [ "$verb" = run ] && more="--output $stage/refused"
      code=0
      # shellcheck disable=SC2086
      "$halftone" $verb "$stage/laws.yaml" $more >"$stage/laws.log" 2>&1 || code=$?
      [ "$code" -eq 3 ] || { cat "$stage/laws.log"; echo "$verb of '$order' left with $code, not 3"; exit 1; }
      # Both by name, one where it is marked and the other by its line, with the reason.
      case $other in
        adaround) reason="both provide 'weights-rounded'" ;;
        *) reason='correct' ;;
      esac
      for text in "'greedy-rounding'" "'$other'" 'stands in line 1[01]' 'laws.yaml:1[01]:5: error' "$reason"; do
        grep -q "$text" "$stage/laws.log" || { cat "$stage/laws.log"; echo "$verb of '$order' does not say $text"; exit 1; }
      done
      if [ "$other" = bias-correction ]; then
        grep -q 'AIMET documentation' "$stage/laws.log" || { cat "$stage/laws.log"; echo "no reference"; exit 1; }
      fi
    done
    [ ! -e "$stage/refused" ] || { echo "the refused run of '$order' has begun"; exit 1; }
  done
done
