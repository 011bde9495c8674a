#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Simulated outputs with AIMET's own encodings loaded, against AIMET's simulation, over all networks.

usage: outputs.py HALFTONE ASSETS [MODEL...]

aimet-onnx folds and calibrates each network (samples of reference.py, weights of 8 and of 4 bits per channel, activations
of 8) and writes its encodings as 1.0.0; `halftone infer --encodings` runs the same folded network with them on the same
samples. Fails where less than 99 % (weights of 4 bits: 97 %) of an output's elements are within one step of its grid, or
less than 99 % of the samples get the same class (of outputs whose last axis is one of classes; one sample may differ).
"""
import glob
import json
import logging
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx

from reference import batches, samples

logging.disable(logging.CRITICAL)
BARS = {8: 0.99, 4: 0.97}
WITHOUT_CLASSES = ("autoencoder", "silero")


def theirs(folded, inputs, bits, encodings):
    """The outputs of AIMET's simulation by name, and the files that it writes."""
    from aimet_onnx import int4, int8
    from aimet_onnx.quantsim import QuantizationSimModel
    sim = QuantizationSimModel(onnx.load(folded), param_type={4: int4, 8: int8}[bits], activation_type=int8,
                               config_file="default", providers=["CPUExecutionProvider"])
    parts = batches(sim.model.model, inputs)
    sim.compute_encodings(parts)
    sim.export(os.path.dirname(encodings), os.path.basename(encodings)[:-len(".encodings")], export_model=False,
               encoding_version="1.0.0")
    names = [o.name.removesuffix("_updated") for o in sim.session.get_outputs()]
    runs = [sim.session.run(None, part) for part in parts]
    return {name: np.concatenate([run[k] for run in runs]) for k, name in enumerate(names)}


def ours(command, folded, inputs, encodings, folder):
    fixed = [d.dim_value for d in onnx.load(folded).graph.input[0].type.tensor_type.shape.dim][:1] == [1]
    given = []
    for name, array in inputs.items():
        path = f"{folder}/{name.replace('/', '_').replace(':', '_')}.npy"
        np.save(path, array)
        given += ["--input", f"{name}={path}"]
    one_by_one = ["--batch", "1"] if fixed else []
    done = subprocess.run([command, "infer", folded, "--encodings", encodings, "--output", f"{folder}/out"] + one_by_one
                          + given, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip()[-300:])
    return {os.path.basename(f)[:-4]: np.load(f) for f in glob.glob(f"{folder}/out/*.npy")}


def step_of(file, name, values):
    """The step of the output's grid; where AIMET has none for it, a 255th of its range."""
    for entry in file["activation_encodings"]:
        if entry["name"] == name:
            return entry["scale"][0]
    return float(values.max() - values.min()) / 255


def compare(command, path, bits, folder):
    """Yields (output, share within one step, share of the same class or None)."""
    from aimet_onnx.batch_norm_fold import fold_all_batch_norms_to_weight
    assets = os.path.dirname(os.path.dirname(path))
    model = onnx.load(path)
    fold_all_batch_norms_to_weight(model)
    folded, encodings = f"{folder}/folded.onnx", f"{folder}/theirs.encodings"
    onnx.save(model, folded)
    inputs = samples(assets, model, path)
    if os.path.basename(path).startswith("silero"):  # two windows are one output each: more of them
        wav = np.load(f"{assets}/data/vad_test_wav.npy").astype(np.float32) / 32768
        n = min(256, len(wav) // 576)
        inputs = {"input": wav[:n * 576].reshape(n, 576), "state": np.zeros((2, n, 128), np.float32), "sr": inputs["sr"]}
    expected = theirs(folded, inputs, bits, encodings)
    found = ours(command, folded, inputs, encodings, folder)
    file = json.load(open(encodings))
    names = {name.replace("/", "_").replace(":", "_").lstrip("_"): name for name in expected}
    for short, name in names.items():
        key = next((k for k in found if k.lstrip("_") == short or k == name), None)
        if key is None:
            raise RuntimeError(f"no output '{name}' among {sorted(found)}")
        a, b = found[key].astype(np.float64), expected[name].astype(np.float64)
        within = np.mean(np.abs(a - b) <= 1.001 * step_of(file, name, b))
        classes = None
        if a.ndim > 1 and a.shape[-1] > 1 and not os.path.basename(path).startswith(WITHOUT_CLASSES) and "boxes" not in name:
            same = a.reshape(-1, a.shape[-1]).argmax(-1) == b.reshape(-1, b.shape[-1]).argmax(-1)
            classes = (np.mean(same), int((~same).sum()))
        yield name, within, classes


def main():
    command, assets, only = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2]), sys.argv[3:]
    n_failed = n_compared = 0
    for path in sorted(glob.glob(f"{assets}/models/*.onnx")):
        model = os.path.basename(path)[:-len(".onnx")]
        if only and model not in only:
            continue
        for bits, bar in BARS.items():
            with tempfile.TemporaryDirectory() as folder:
                try:
                    for name, within, classes in compare(command, path, bits, folder):
                        bad = within < bar or (classes is not None and classes[0] < 0.99 and classes[1] > 1)
                        n_failed += bad
                        n_compared += 1
                        same = "" if classes is None else f", same class {100 * classes[0]:.2f} %"
                        print(f"{model} w{bits}a8, '{name}': {100 * within:.3f} % within one step{same}{' FAILS' if bad else ''}", flush=True)
                except Exception as problem:  # one network that fails shall not hide the others
                    n_failed += 1
                    print(f"{model} w{bits}a8: {type(problem).__name__}: {str(problem)[:300]}", flush=True)
    print(f"{n_failed} of {n_compared} failed" if n_failed else f"all {n_compared} as AIMET has them" if n_compared else "nothing to compare")
    sys.exit(n_failed > 0 or n_compared == 0)


if __name__ == "__main__":
    main()
