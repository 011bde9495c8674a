#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Q/DQ files of every number format, granularity and width, checked by onnx and run by onnxruntime with and without its
graph optimizations: outputs against those of the same file in our own executor. Of the optimizations those are left out that
compute something else than the file says (docs/recipe.md lists them). Exits with 77, skipped, where the Python packages are
missing. HALFTONE names the command."""
import itertools
import json
import os
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

COMMAND = os.environ.get("HALFTONE", "halftone").split()
WEIGHTS = [{"bits": bits, "granularity": granularity, "symmetric": symmetric}
           for bits in (2, 3, 4, 6, 8, 11, 16) for granularity in ("tensor", "channel") for symmetric in (True, False)]
WEIGHTS += [{"bits": 20}, {"bits": 31, "symmetric": False}, {"bits": 4, "strict": True}, {"bits": 8, "strict": True}]
WEIGHTS += [{"bits": bits, "granularity": "block", "block-size": size, "symmetric": symmetric}
            for bits in (4, 8, 16) for size in (4, 5) for symmetric in (True, False)]
WEIGHTS += [{"bits": bits, "granularity": "lpbq", "block-size": 4, "scale-bits": scale} for bits, scale in ((4, 4), (3, 2), (8, 8))]
WEIGHTS += [{"format": name} for name in ("float16", "bfloat16", "float8e4m3fn", "float8e5m2")]
WEIGHTS += [{"format": "float8e4m3fn", "granularity": "tensor"}, {"format": "float8e5m2", "granularity": "block", "block-size": 4}]
ACTIVATIONS = [{"bits": bits, "symmetric": symmetric} for bits in (3, 4, 6, 8, 12, 16) for symmetric in (True, False)]
ACTIVATIONS += [{"symmetric": True, "strict": True}]
ACTIVATIONS += [{"format": name} for name in ("float16", "bfloat16", "float8e4m3fn", "float8e5m2")]


def network(path, rng):
    """Every kind of layer that has a weight; none of its dimensions is a multiple of four."""
    weight = lambda name, *dims: numpy_helper.from_array((rng.standard_normal(dims) / 4).astype(np.float32), name)
    nodes = [helper.make_node("Conv", ["x", "w", "b"], ["conv"], pads=[1] * 4), helper.make_node("Relu", ["conv"], ["relu"]),
             helper.make_node("Conv", ["relu", "depth"], ["plane"], group=7),
             helper.make_node("ConvTranspose", ["plane", "t"], ["up"]), helper.make_node("Sigmoid", ["up"], ["soft"]),
             helper.make_node("Flatten", ["soft"], ["flat"]), helper.make_node("Gemm", ["flat", "v", "c"], ["gemm"], transB=1),
             helper.make_node("Gemm", ["gemm", "n"], ["other"]), helper.make_node("MatMul", ["other", "m"], ["y"])]
    tensors = [weight("w", 7, 9, 3, 3), weight("b", 7), weight("depth", 7, 1, 3, 3), weight("t", 7, 6, 2, 2),
               weight("v", 9, 150), weight("c", 9), weight("n", 9, 13), weight("m", 13, 11)]
    value = lambda name, dims: helper.make_tensor_value_info(name, TensorProto.FLOAT, dims)
    graph = helper.make_graph(nodes, "formats", [value("x", ["batch", 9, 6, 6])], [value("y", ["batch", 11])], tensors)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6), path)


def halftone(*arguments):
    run = subprocess.run(COMMAND + list(arguments), capture_output=True, text=True)
    if run.returncode:
        sys.exit(f"halftone {' '.join(arguments)} failed ({run.returncode}):\n{run.stderr}")


def in_onnxruntime(path, x, level, weights):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = level
    options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", "1")
    if weights.get("bits", 8) > 16:
        options.add_session_config_entry("session.disable_quant_qdq", "1")
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"],
                                        disabled_optimizers=["WeightBiasQuantization", "ReluQuantRewrite"]).run(None, {"x": x})[0]


def main():
    rng, failures, skipped, n = np.random.default_rng(3), [], [], 0
    cases = [(w, {"bits": 8}) for w in WEIGHTS] + [({"bits": 8}, a) for a in ACTIVATIONS] + [({"bits": 4}, a) for a in ACTIVATIONS]
    with tempfile.TemporaryDirectory() as folder:
        network(f"{folder}/net.onnx", rng)
        x = rng.standard_normal((48, 9, 6, 6)).astype(np.float32)
        np.save(f"{folder}/x.npy", x)
        # Some values lie beyond what calibration has seen.
        np.save(f"{folder}/wide.npy", 2 * x)
        for (weights, activations), how in itertools.product(cases, ("integer", "float")):
            recipe = {"recipe": "1.0", "name": "q", "model": f"{folder}/net.onnx",
                      "data": {"calibration": {"path": f"{folder}/x.npy"}},
                      "quantization": {"weights": weights, "activations": activations}, "pipeline": [],
                      "output": {"directory": folder, "formats": ["onnx-qdq"], "qdq": {"weights": how}, "report": []}}
            with open(f"{folder}/recipe.json", "w") as file:
                json.dump(recipe, file)
            halftone("run", f"{folder}/recipe.json")
            path, name = f"{folder}/q-qdq.onnx", f"{weights} {activations} {how}"
            onnx.checker.check_model(path, full_check=True)
            halftone("infer", path, "--input", f"{folder}/wide.npy", "--output", folder)
            ours, n = np.load(f"{folder}/y.npy"), n + 1
            for level in (onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL, onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL):
                try:
                    theirs = in_onnxruntime(path, 2 * x, level, weights)
                except Exception as error:  # what it has no kernel for is its own to say
                    skipped.append(f"{name} {level.name}: {str(error).splitlines()[0][:160]}")
                    continue
                # All on a grid: the smallest distance of two values is a step. Sums in another order move few by one.
                values = np.unique(ours)
                step = np.diff(values).min() if len(values) > 1 else 1
                if "format" in activations:
                    step = np.abs(ours).max() / 4
                difference = np.abs(theirs - ours)
                # A step of 16 bits is not far above the rounding of the sums.
                share = 0.15 if activations.get("bits", 8) > 8 else 0.05
                if difference.max() > 3.01 * step or np.mean(difference > step / 2) > share:
                    failures.append(f"{name} {level.name}: {np.mean(difference > step / 2):.1%} differ, at most by "
                                    f"{difference.max() / step:.2f} steps")
    print("\n".join(["not run by onnxruntime: " + line for line in skipped] + ["FAILED: " + line for line in failures]))
    print(f"{n} files, {len(failures)} that onnxruntime runs otherwise, {len(skipped)} that it does not run")
    sys.exit(1 if failures or skipped or n == 0 else 0)


if __name__ == "__main__":
    main()
