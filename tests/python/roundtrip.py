#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Judges the reader and the writer by other programs: needs onnx, onnxruntime and numpy.

    roundtrip.py FOLDER RESAVE [MAX_SIZE]

Every model below FOLDER is written anew by RESAVE (build/tests/python/resave). The onnx package must find the same
message in both files, apart from the way tensors are stored, and onnxruntime must give the same bytes for the same
inputs. With MAX_SIZE the weights of larger models go to an external file.
"""
import pathlib
import subprocess
import sys
import tempfile

import numpy
import onnx
import onnxruntime

TYPES = {
    "tensor(float)": numpy.float32, "tensor(float16)": numpy.float16, "tensor(double)": numpy.float64,
    "tensor(int64)": numpy.int64, "tensor(int32)": numpy.int32, "tensor(int16)": numpy.int16,
    "tensor(int8)": numpy.int8, "tensor(uint8)": numpy.uint8, "tensor(uint16)": numpy.uint16,
    "tensor(uint32)": numpy.uint32, "tensor(uint64)": numpy.uint64, "tensor(bool)": numpy.bool_,
}
TYPED = ["float_data", "int32_data", "int64_data", "double_data", "uint64_data"]


def normalize_tensor(tensor):
    """Values in one form, wherever they were."""
    if tensor.data_type != onnx.TensorProto.STRING:
        array = onnx.numpy_helper.to_array(tensor)
        for field in TYPED + ["external_data", "data_location"]:
            tensor.ClearField(field)
        tensor.raw_data = array.tobytes()


def normalize(message):
    """Tensors in one form, declarations in one order, absent and empty text alike; recursive."""
    if isinstance(message, onnx.TensorProto):
        normalize_tensor(message)
    if isinstance(message, onnx.GraphProto):
        made = {name for node in message.node for name in node.output} | {i.name for i in message.initializer}
        ends = {v.name for v in list(message.input) + list(message.output)}
        infos = [v for v in message.value_info if v.name in made - ends]
        infos.sort(key=lambda v: v.name)
        del message.value_info[:]
        message.value_info.extend(infos)
    for field, content in message.ListFields():
        if field.name in ("name", "domain", "model_version") and content in ("", 0, "ai.onnx"):
            message.ClearField(field.name)
        elif field.message_type:
            for part in content if hasattr(content, "__len__") else [content]:
                normalize(part)
    return message


def make_inputs(session, seed):
    generator = numpy.random.default_rng(seed)
    feeds = {}
    for entry in session.get_inputs():
        if entry.type not in TYPES:
            return None
        kind = numpy.dtype(TYPES[entry.type])
        shape = [d if isinstance(d, int) else 2 for d in entry.shape]
        if entry.name == "sr":  # a sampling rate
            feeds[entry.name] = numpy.array(16000, kind)
            continue
        if [entry.name, len(shape)] == ["input", 2] and shape[1] == 2:  # a stretch of sound
            shape[1] = 576
        if kind.kind == "f":
            feeds[entry.name] = generator.standard_normal(shape).astype(kind)
        else:
            feeds[entry.name] = generator.integers(0, 2, shape).astype(kind)
    return feeds


def outputs(path, feeds):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    if callable(feeds):
        feeds = feeds(session)
    return feeds, session.run(None, feeds) if feeds is not None else None


def same_bytes(a, b):
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(same_bytes(x, y) for x, y in zip(a, b))
    if not isinstance(a, numpy.ndarray):
        return a == b
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def check(path, out, resave, limit):
    done = subprocess.run([resave, str(path), str(out)] + limit, capture_output=True, text=True)
    if done.returncode:
        return "not read: " + done.stderr.strip()
    if normalize(onnx.load(path)) != normalize(onnx.load(out)):
        return "DIFFERENT MESSAGE"
    try:
        feeds, expected = outputs(path, lambda session: make_inputs(session, 7))
    except Exception as error:  # what onnxruntime itself cannot run says nothing about us
        return "same message (onnxruntime does not run it: %s)" % str(error).splitlines()[0][:60]
    if expected is None:
        return "same message (inputs are no tensors)"
    _, found = outputs(out, feeds)
    return "same bytes" if same_bytes(expected, found) else "DIFFERENT OUTPUT"


def main():
    folder, resave, limit = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3:4]
    counts, bad = {}, 0
    with tempfile.TemporaryDirectory() as scratch:
        for path in sorted(folder.rglob("*.onnx")):
            verdict = check(path, pathlib.Path(scratch) / "out.onnx", resave, limit)
            kind = verdict.split(" (")[0].split(":")[0]
            counts[kind] = counts.get(kind, 0) + 1
            if kind not in ("same bytes", "same message"):
                bad += 1
            print(path.relative_to(folder), verdict, flush=True)
    print(counts)
    return 1 if bad or not counts else 0


if __name__ == "__main__":
    sys.exit(main())
