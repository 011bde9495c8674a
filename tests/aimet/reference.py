#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What aimet-onnx computes for the networks of the assets: folded networks, samples and encodings, as files.

usage: reference.py HALFTONE ASSETS OUT [MODEL...]

For each network OUT/NAME/ receives folded.onnx (after AIMET's batch-norm folding, and `halftone validate --fix`,
which folds shape arithmetic as `halftone run` does), one .npy for each input, and for each
configuration CONFIG.json: the enabled quantizers of the calibrated simulation, {tensor: {bits, symmetric, strict,
scale, offset, param}}. Weights 8 and activations 8 bits, min-max, unless the configuration's name says otherwise.
Exits with 1 and leaves nothing of a network that could not be run.
"""
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import onnx

CONFIGS = {  # name: (what aimet-onnx is given, bits of weights)
    "default": ("default", 8),
    "default-w4": ("default", 4),
    "htp": ("htp_v73", 8),
    "htp-w4": ("htp_v73", 4),
    "per-tensor": ("default_config.json", 8),
}
SAMPLES = 32


def images(assets, name, scale=1.0, mean=0.0, std=1.0, crop=None, reverse=False):
    raw = np.load(f"{assets}/data/{name}")[:SAMPLES].astype(np.float32)
    if crop:
        top, left = (raw.shape[1] - crop) // 2, (raw.shape[2] - crop) // 2
        raw = raw[:, top:top + crop, left:left + crop]
    if reverse:
        raw = raw[..., ::-1]
    return ((raw * scale - np.float32(mean)) / np.float32(std)).transpose(0, 3, 1, 2).astype(np.float32)


def samples(assets, model, path):
    """Real data where the model's page names some, else standard normal values."""
    inputs = {i.name: i.type.tensor_type for i in model.graph.input}
    for initializer in model.graph.initializer:
        inputs.pop(initializer.name, None)
    first = next(iter(inputs))
    name = os.path.basename(path)
    mean, std = [.485, .456, .406], [.229, .224, .225]
    if name.startswith("resnet"):
        return {first: images(assets, "cifar10_calib_x.npy", 1 / 255, mean, std)}
    if name.startswith("mobilenetv1_100"):
        return {first: images(assets, "cifar10_calib_x.npy", 1 / 127.5, 1)}
    if name.startswith("mobilenetv1_025"):
        return {first: images(assets, "vww96_x.npy", 1 / 255)}
    if name.startswith("squeezenet"):
        return {first: images(assets, "coco_calib320_x.npy", 1, [104, 117, 123], 1, 224, True)}
    if name.startswith("ultraface"):
        return {first: images(assets, "face240x320_x.npy", 1 / 128, 127 / 128)}
    if name.startswith("kwt1"):
        return {first: np.load(f"{assets}/data/speechcommands_kwt_mfcc_x.npy")[:SAMPLES]}
    if name.startswith("mnist"):
        x = np.load(f"{assets}/data/mnist_test_x.npy")[:SAMPLES].astype(np.float32)
        return {first: x.reshape(-1, 1, 28, 28)}
    if name.startswith("silero"):  # the state's first dimension is no batch: two windows, so that it is as long
        wav = np.load(f"{assets}/data/vad_test_wav.npy")[:2 * 576].astype(np.float32) / 32768
        return {"input": wav.reshape(2, 576), "state": np.zeros((2, 2, 128), np.float32), "sr": np.array(16000, np.int64)}
    random = np.random.default_rng(1)
    made = {}
    for key, kind in inputs.items():
        dims = [d.dim_value if d.dim_value > 0 else 1 for d in kind.shape.dim]
        if kind.elem_type != onnx.TensorProto.FLOAT:
            made[key] = np.full([SAMPLES] + dims[1:] if dims else [], 16000, np.int64)
        else:
            made[key] = random.standard_normal([SAMPLES] + dims[1:]).astype(np.float32)
    return made


def batches(model, data):
    """One by one where the network has a batch of one, else all together."""
    first = next(iter(data.values()))
    if [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim][:1] != [1]:
        return [data]
    return [{k: v if v.ndim == 0 else v[i:i + 1] for k, v in data.items()} for i in range(len(first))]


def encodings(sim):
    found = {}
    for name, quantizer in sim.qc_quantize_op_dict.items():
        if not quantizer.enabled or not quantizer.is_initialized():
            continue
        list_of = quantizer.get_encodings()
        if list_of is None:
            continue
        found[name] = {
            "bits": quantizer.bitwidth, "symmetric": bool(quantizer.use_symmetric_encodings),
            "strict": bool(quantizer.use_strict_symmetric), "param": name in sim.param_names,
            "scale": [e.delta for e in list_of], "offset": [e.offset for e in list_of]}
    return found


def main():
    from aimet_onnx import qtype
    from aimet_onnx.batch_norm_fold import fold_all_batch_norms_to_weight
    from aimet_onnx.common.defs import QuantScheme
    from aimet_onnx.quantsim import QuantizationSimModel

    command, assets, out, only = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
    failed = []
    for name in only or sorted(f[:-5] for f in os.listdir(f"{assets}/models") if f.endswith(".onnx")):
        path, folder = f"{assets}/models/{name}.onnx", f"{out}/{name}"
        os.makedirs(folder, exist_ok=True)
        try:
            model = onnx.load(path)
            fold_all_batch_norms_to_weight(model)
            onnx.save(model, f"{folder}/unprepared.onnx")
            subprocess.run([command, "validate", f"{folder}/unprepared.onnx", f"--fix={folder}/folded.onnx"], check=True,
                           capture_output=True)
            model = onnx.load(f"{folder}/folded.onnx")
            data = samples(assets, model, path)
            for key, value in data.items():
                np.save(f"{folder}/{key.replace('/', '_').replace(':', '_')}.npy", value)
            json.dump({key: f"{key.replace('/', '_').replace(':', '_')}.npy" for key in data}, open(f"{folder}/inputs.json", "w"))
            for config, (file, bits) in CONFIGS.items():
                sim = QuantizationSimModel(onnx.load(f"{folder}/folded.onnx"), param_type=qtype.int(bits),
                                           activation_type=qtype.int(8), quant_scheme=QuantScheme.min_max, config_file=file)
                sim.compute_encodings(batches(model, data))
                json.dump(encodings(sim), open(f"{folder}/{config}.json", "w"), indent=1)
                print(name, config, "done", flush=True)
        except Exception as problem:  # one network that fails shall not hide the others
            print(f"{name}: no reference: {type(problem).__name__}: {str(problem)[:300]}", flush=True)
            shutil.rmtree(folder)
            failed.append(name)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
