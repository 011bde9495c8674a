#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares the targets aimet-* with aimet-onnx, tensor by tensor: placement, bits, symmetry, scales, offsets.

usage: compare_targets.py HALFTONE REFERENCE [MODEL...]

HALFTONE is the command, REFERENCE the folder that reference.py filled. Both calibrate the same folded network on the same
samples with min-max. Fails where the sets of quantized tensors differ, bits or symmetry do, a weight's scale is off by
more than 1e-6 or an activation's by more than 1e-5 (relative), or an offset differs, where a network has no reference,
and where there is nothing to compare.
"""
import json
import os
import subprocess
import sys
import tempfile

TARGETS = {
    "default": ("aimet-default", 8), "default-w4": ("aimet-default", 4), "htp": ("aimet-htp", 8),
    "htp-w4": ("aimet-htp", 4), "per-tensor": ("aimet-per-tensor", 8),
}


def calibrate(command, folder, target, bits):
    inputs = json.load(open(f"{folder}/inputs.json"))
    with tempfile.TemporaryDirectory() as out:
        recipe = {
            "recipe": "1.0", "name": "compared", "model": os.path.abspath(f"{folder}/folded.onnx"),
            "data": {"calibration": {"path": {k: os.path.abspath(f"{folder}/{v}") for k, v in inputs.items()}}},
            "quantization": {"target": target, "weights": {"bits": bits}},
            "output": {"directory": out, "formats": ["encodings-1.0.0"]}}
        json.dump(recipe, open(f"{out}/recipe.json", "w"))
        done = subprocess.run([command, "run", f"{out}/recipe.json"], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr.strip().splitlines()[-1][:300])
        file = json.load(open(f"{out}/compared.encodings"))
    found = {}
    for section in ("activation_encodings", "param_encodings"):
        for entry in file[section]:
            found[entry["name"]] = {"bits": entry["bw"], "symmetric": entry["is_sym"], "scale": entry["scale"],
                                    "offset": entry["offset"], "param": section[0] == "p"}
    return found


def compare(ours, theirs):
    problems = [f"only AIMET quantizes '{n}'" for n in theirs if n not in ours]
    problems += [f"only we quantize '{n}'" for n in ours if n not in theirs]
    worst = {True: 0.0, False: 0.0}
    for name in sorted(set(ours) & set(theirs)):
        a, b = ours[name], theirs[name]
        for key in ("bits", "symmetric"):
            if a[key] != b[key]:
                problems.append(f"'{name}': {key} is {a[key]}, AIMET has {b[key]}")
        if len(a["scale"]) != len(b["scale"]):
            problems.append(f"'{name}': {len(a['scale'])} scales, AIMET has {len(b['scale'])}")
            continue
        limit = 1e-6 if b["param"] else 1e-5
        off = max(abs(x - y) / y for x, y in zip(a["scale"], b["scale"]))
        worst[b["param"]] = max(worst[b["param"]], off)
        if off > limit:
            problems.append(f"'{name}': scales differ by {off:.2g} ({a['scale'][0]:.9g}, AIMET has {b['scale'][0]:.9g})")
        for x, y in zip(a["offset"], b["offset"]):
            if x != y and off <= limit:
                problems.append(f"'{name}': offset {x}, AIMET has {y}")
                break
    return problems, worst


def main():
    command, reference, only = sys.argv[1], sys.argv[2], sys.argv[3:]
    n_failed = n_compared = 0
    for model in only or sorted(os.listdir(reference)):
        for config, (target, bits) in TARGETS.items():
            path = f"{reference}/{model}/{config}.json"
            if not os.path.exists(path):
                print(f"{model} {config}: no reference")
                n_failed += 1
                continue
            n_compared += 1
            theirs = json.load(open(path))
            try:
                problems, worst = compare(calibrate(command, f"{reference}/{model}", target, bits), theirs)
            except RuntimeError as problem:
                problems, worst = [str(problem)], {True: 0, False: 0}
            n_failed += len(problems) > 0
            print(f"{model} {config}: {len(theirs)} tensors, largest difference {worst[True]:.1e} (parameters), "
                  f"{worst[False]:.1e} (activations){'' if not problems else f', {len(problems)} PROBLEMS'}")
            for problem in problems[:8]:
                print("  ", problem)
    print(f"{n_failed} comparisons failed" if n_failed else f"all {n_compared} as AIMET has it" if n_compared
          else "nothing to compare")
    sys.exit(n_failed > 0 or n_compared == 0)


if __name__ == "__main__":
    main()
