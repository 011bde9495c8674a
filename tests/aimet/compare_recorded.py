#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares the target aimet-default with the encodings of AIMET that are recorded in the assets (README there).

usage: compare_recorded.py HALFTONE ASSETS

512 images, min-max, per channel, 8 and 4 bits; the same limits as compare_targets.py, which needs aimet-onnx.
"""
import json
import os
import subprocess
import sys
import tempfile

from compare_targets import compare

PREPROCESS = {
    "resnet20_cifar10": {"layout": "NHWC", "scale": 1 / 255, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
    "mobilenetv1_100_trunk_cifar10": {"layout": "NHWC", "scale": 1 / 127.5, "mean": [1.0]},
}


def read(path):
    file = json.load(open(path))
    return {e["name"]: {"bits": e["bw"], "symmetric": e["is_sym"], "scale": e["scale"], "offset": e["offset"],
                        "param": section[0] == "p"}
            for section in ("activation_encodings", "param_encodings") for e in file[section]}


def main():
    command, assets = sys.argv[1], os.path.abspath(sys.argv[2])
    n_failed = 0
    for model, preprocess in PREPROCESS.items():
        for bits in (8, 4):
            with tempfile.TemporaryDirectory() as out:
                recipe = {
                    "recipe": "1.0", "name": "compared", "model": f"{assets}/aimet/{model}_folded.onnx",
                    "data": {"preprocess": preprocess,
                             "calibration": {"path": f"{assets}/data/cifar10_calib_x.npy", "samples": 512, "batch": 32}},
                    "quantization": {"target": "aimet-default", "weights": {"bits": bits}},
                    "output": {"directory": out, "formats": ["encodings-1.0.0"]}}
                json.dump(recipe, open(f"{out}/recipe.json", "w"))
                subprocess.run([command, "run", f"{out}/recipe.json"], check=True, capture_output=True)
                ours = read(f"{out}/compared.encodings")
            theirs = read(f"{assets}/aimet/{model}_w{bits}a8_pc.encodings")
            problems, worst = compare(ours, theirs)
            n_failed += len(problems) > 0
            print(f"{model} w{bits}a8: {len(theirs)} tensors, largest difference "
                  f"{worst[True]:.1e} (parameters), {worst[False]:.1e} (activations)")
            for problem in problems[:8]:
                print("  ", problem)
    sys.exit(n_failed > 0)


if __name__ == "__main__":
    main()
