#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Encodings files between halftone and aimet-onnx, both ways, over all networks, settings and versions.

usage: encodings.py HALFTONE ASSETS [MODEL...]

What one side wrote the other one loads and writes again as 1.0.0; scales (to 1e-6, files of both sides hold doubles),
offsets, bits and symmetry have to be those of the first one's 1.0.0. AIMET loads our files strictly, into a fresh
simulation of the same settings; those with blocks not strictly, as its simulation has none before it reads them.
Networks are those that AIMET folds (reference.py), the target is aimet-default.

Two things the formats cannot say, so they are listed and do not fail: 0.6.1 does not tell a grid for each channel of a
weight that has one from a grid for the tensor (AIMET refuses its own such file, which is tried); no version has blocks
that do not divide an axis, so that a run that asks for them has to refuse and to name each such weight. The run is then
done again with a grid for each channel there.
"""
import glob
import json
import os
import subprocess
import sys
import tempfile

import logging

import numpy as np
import onnx

from reference import batches, samples

logging.disable(logging.CRITICAL)

VERSIONS = ["0.6.1", "1.0.0", "2.0.0"]
SETTINGS = {  # name: (target, AIMET's configuration, weights, activation bits, versions)
    "w8a8 per channel": ("aimet-default", "default", {"bits": 8}, 8, VERSIONS),
    "w8a8 per tensor": ("aimet-per-tensor", "default_config.json", {"bits": 8, "granularity": "tensor"}, 8, VERSIONS),
    "w4a8 per channel": ("aimet-default", "default", {"bits": 4}, 8, VERSIONS),
    "w8a16 per channel": ("aimet-default", "default", {"bits": 8}, 16, VERSIONS),
    "w4a8 blocks": ("aimet-default", "default", {"bits": 4, "granularity": "block", "block-size": 8}, 8, VERSIONS[1:]),
    "w4a8 LPBQ": ("aimet-default", "default", {"bits": 4, "granularity": "lpbq", "block-size": 8}, 8, VERSIONS[1:]),
}
BLOCKED = ("Conv", "Gemm", "MatMul")


def entries(path):
    file = json.load(open(path))
    return {e["name"]: e for e in file["activation_encodings"] + file["param_encodings"]}


def differences(first, second, version="1.0.0"):
    found = [f"{name}: only one side has it" for name in sorted(first.keys() ^ second.keys())]
    for name in sorted(first.keys() & second.keys()):
        a, b = first[name], second[name]
        for key in ("enc_type", "bw", "is_sym", "dtype", "offset", "per_block_int_scale", "block_size", "compressed_bw"):
            if version == "0.6.1" and key == "enc_type" and len(a["scale"]) == len(b["scale"]) == 1:
                continue
            if a.get(key) != b.get(key):
                found.append(f"{name}: {key} {str(a.get(key))[:60]} and {str(b.get(key))[:60]}")
        if len(a.get("scale", [])) != len(b.get("scale", [])) or not np.allclose(
                a.get("scale", []), b.get("scale", []), rtol=1e-6, atol=0):
            found.append(f"{name}: other scales")
    return found


class Aimet:
    """A simulation of one network and one setting."""

    def __init__(self, folded, setting):
        from aimet_onnx import int16, int4, int8
        from aimet_onnx.quantsim import QuantizationSimModel
        _, config, weights, bits, _ = setting
        self.sim = QuantizationSimModel(onnx.load(folded), param_type={4: int4, 8: int8}[weights["bits"]],
                                        activation_type={8: int8, 16: int16}[bits], config_file=config,
                                        providers=["CPUExecutionProvider"])
        self.weights = weights

    def calibrate(self, inputs):
        from aimet_onnx.quantsim import set_blockwise_quantization_for_weights, set_lpbq_for_params
        if self.weights.get("granularity") == "block":
            set_blockwise_quantization_for_weights(self.sim, BLOCKED, 4, True, self.weights["block-size"])
        if self.weights.get("granularity") == "lpbq":
            set_lpbq_for_params(self.sim, 4, self.weights["block-size"], op_types=BLOCKED)
        self.sim.compute_encodings(batches(self.sim.model.model, inputs))

    def write(self, folder, version):
        self.sim.export(folder, f"aimet-{version}", export_model=False, encoding_version=version)
        return f"{folder}/aimet-{version}.encodings"

    def load(self, path):
        from aimet_onnx.quantsim import load_encodings_to_sim
        load_encodings_to_sim(self.sim, path, strict="granularity" not in self.weights
                              or self.weights["granularity"] == "tensor")


def run(*command):
    result = subprocess.run(command, capture_output=True, text=True)
    return "" if result.returncode == 0 else result.stderr.strip() or "failed"


def theirs_to_us(command, folded, setting, inputs, folder):
    """Yields (version, problems)."""
    aimet = Aimet(folded, setting)
    aimet.calibrate(inputs)
    first = entries(aimet.write(folder, "1.0.0"))
    for version in setting[4]:
        given, again = aimet.write(folder, version), f"{folder}/again.encodings"
        failure = run(command, "export", folded, "--encodings", given, "--format", "encodings-1.0.0", "--output", again)
        yield version, [failure] if failure else differences(first, entries(again), version)


def refused_blocks(failure, folded):
    """Rules for the layers of the weights that a run refused for their blocks alone, or None."""
    lines = failure.splitlines()
    named = [line.split("'")[1] for line in lines if line.startswith("  tensor '") and "do not divide" in line]
    if not named or len(named) != sum(line.startswith("  tensor '") for line in lines):
        return None
    layers = [node.name for node in onnx.load(folded).graph.node if any(weight in node.input for weight in named)]
    return [{"match": {"name": name}, "weights": {"granularity": "channel"}} for name in layers]


def refuses_its_own(folded, setting, inputs, folder, version):
    """Whether AIMET takes its own file for another one for want of words, as far as it says so."""
    writer = Aimet(folded, setting)
    writer.calibrate(inputs)
    try:
        Aimet(folded, setting).load(writer.write(folder, version))
        return False
    except AssertionError as error:
        return "encoding type" in str(error)


def ours_to_them(command, folded, setting, inputs, folder):
    target, _, weights, bits, versions = setting
    for name, array in inputs.items():
        np.save(f"{folder}/{name.replace('/', '_')}.npy", array)
    recipe = {"recipe": "1.0", "name": "ours", "model": folded,
              "data": {"calibration": {"path": {n: f"{folder}/{n.replace('/', '_')}.npy" for n in inputs}}},
              "quantization": {"target": target, "weights": weights, "activations": {"bits": bits}},
              "output": {"directory": folder, "formats": [f"encodings-{v}" for v in versions]}}
    if "block-size" in weights:  # as Aimet.calibrate(): layers alone
        recipe["quantization"]["weights"] = {"bits": weights["bits"]}
        recipe["quantization"]["rules"] = [{"match": {"op": op}, "weights": weights} for op in BLOCKED]
    json.dump(recipe, open(f"{folder}/recipe.json", "w"))
    failure = run(command, "run", f"{folder}/recipe.json")
    rules = refused_blocks(failure, folded) if "block-size" in weights else None
    if rules:
        yield f"refused, {len(rules)} layers have blocks that do not divide; again without blocks there", []
        recipe["quantization"]["rules"] += rules
        json.dump(recipe, open(f"{folder}/recipe.json", "w"))
        failure = run(command, "run", f"{folder}/recipe.json")
    if failure:
        yield "all", [failure]
        return
    first = entries(f"{folder}/ours-1.0.0.encodings")
    for version in versions:
        aimet = Aimet(folded, setting)
        try:
            aimet.load(f"{folder}/ours-{version}.encodings")
            yield version, differences(first, entries(aimet.write(folder, "1.0.0")), version)
        except Exception as error:  # whatever AIMET says is the result
            if version == "0.6.1" and "encoding type" in str(error) and refuses_its_own(folded, setting, inputs, folder, version):
                yield f"{version}, refused as its own file is, for an axis of one channel", []
            else:
                yield version, [f"{type(error).__name__}: {str(error)[-600:]}"]


def main():
    command, assets, wanted = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2]), sys.argv[3:]
    from aimet_onnx.batch_norm_fold import fold_all_batch_norms_to_weight
    n_failed = 0
    paths = {os.path.basename(path)[:-len(".onnx")]: path for path in sorted(glob.glob(f"{assets}/models/*.onnx"))}
    unknown = [name for name in wanted if name not in paths]
    if unknown or not paths:
        sys.exit(f"no such network: {', '.join(unknown)}; there are: {', '.join(paths) or 'none'}")
    for name, path in paths.items():
        if wanted and name not in wanted:
            continue
        with tempfile.TemporaryDirectory() as folder:
            model = onnx.load(path)
            fold_all_batch_norms_to_weight(model)
            for i, node in enumerate(model.graph.node):  # rules go by name
                node.name = node.name or f"{node.op_type}_at_{i}"
            folded = f"{folder}/folded.onnx"
            onnx.save(model, folded)
            inputs = {key: value[:8] if value.ndim else value for key, value in samples(assets, model, path).items()}
            for label, setting in SETTINGS.items():
                for way, function in ("AIMET to halftone", theirs_to_us), ("halftone to AIMET", ours_to_them):
                    try:
                        for version, problems in function(command, folded, setting, inputs, folder):
                            n_failed += len(problems) > 0
                            print(f"{name}, {label}, {way}, {version}: {'ok' if not problems else len(problems)}", flush=True)
                            for problem in problems[:6]:
                                print("   ", problem.replace("\n", " | ")[-600:])
                    except Exception as error:
                        n_failed += 1
                        print(f"{name}, {label}, {way}: AIMET fails: {type(error).__name__}: {str(error)[:200]}", flush=True)
    sys.exit(n_failed > 0)


if __name__ == "__main__":
    main()
