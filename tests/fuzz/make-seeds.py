#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Seeds for onnx-fuzzer from real networks: make-seeds.py MODELS CORPUS. Needs the onnx package.

Large weights become graph inputs of the same shape, so that structure and shape arithmetic stay and the file is small.
"""
import pathlib
import sys

import onnx

MAX_ELEMENTS = 64


def shrink(graph):
    kept = []
    listed = {value.name for value in graph.input}
    for tensor in graph.initializer:
        count = 1
        for dim in tensor.dims:
            count *= dim
        if count <= MAX_ELEMENTS:
            kept.append(tensor)
        elif tensor.name not in listed:
            graph.input.append(onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims)))
    del graph.initializer[:]
    graph.initializer.extend(kept)
    for node in graph.node:
        node.ClearField("doc_string")
        for attribute in node.attribute:
            if attribute.HasField("g"):
                for inner in attribute.g.node:
                    inner.ClearField("doc_string")


def main():
    folder, corpus = map(pathlib.Path, sys.argv[1:3])
    corpus.mkdir(parents=True, exist_ok=True)
    for path in sorted(folder.rglob("*.onnx")):
        model = onnx.load(path, load_external_data=False)
        shrink(model.graph)
        data = model.SerializeToString()
        if len(data) <= 65536:
            name = "-".join(path.relative_to(folder).with_suffix("").parts)
            (corpus / (name + ".onnx")).write_bytes(data)


if __name__ == "__main__":
    main()
