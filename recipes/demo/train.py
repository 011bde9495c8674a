#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Trains the demo's network on figures that draw_images.py draws (seeds apart from the evaluation set's) and writes
model.onnx. Needs numpy, torch and onnx; two cores take a few minutes.

After training, the channels of each block are spread on purpose: the batch norm in front of a depthwise layer is
multiplied by a factor per channel between 2^-4 and 2^4 and the depthwise weight divided by it. Behind a Relu that leaves the
function as it is, and it is what makes rounding with one scale for a whole weight fail: the disease of trained
MobileNets, made reproducible in a small network."""
import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from draw_images import CLASSES, SIZE, draw

STEM = 16
BLOCKS = [(16, 24, 1), (24, 32, 2), (32, 48, 1), (48, 64, 2)]


class Block(nn.Module):
    def __init__(self, channels, outputs, stride):
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 3, stride, 1, groups=channels, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.pointwise = nn.Conv2d(channels, outputs, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)

    def forward(self, x):
        x = torch.relu(self.norm1(self.depthwise(x)))
        return torch.relu(self.norm2(self.pointwise(x)))


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, STEM, 3, 1, 1, bias=False)
        self.norm = nn.BatchNorm2d(STEM)
        self.blocks = nn.ModuleList(Block(*b) for b in BLOCKS)
        self.head = nn.Linear(BLOCKS[-1][1], len(CLASSES))

    def forward(self, x):
        x = torch.relu(self.norm(self.stem(x)))
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean((2, 3)))


def tensors(images):
    return torch.from_numpy(images.astype(np.float32) / 127.5 - 1).permute(0, 3, 1, 2).contiguous()


def train(network, epochs=14, batch=64):
    images, labels = draw(16000, seed=100)
    x, y = tensors(images), torch.from_numpy(labels.astype(np.int64))
    optimizer = torch.optim.AdamW(network.parameters(), lr=4e-3, weight_decay=1e-3)
    steps = epochs * (len(x) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 8e-3, total_steps=steps)
    for epoch in range(epochs):
        network.train()
        order = torch.randperm(len(x))
        for i in range(len(x) // batch):
            chosen = order[i * batch:(i + 1) * batch]
            loss = nn.functional.cross_entropy(network(x[chosen]), y[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        print(f"epoch {epoch + 1}: loss {loss.item():.3f}, held-out {accuracy(network):.2%}", flush=True)


def accuracy(network):
    network.eval()
    images, labels = draw(800, seed=2)
    with torch.no_grad():
        return (network(tensors(images)).argmax(1).numpy() == labels).mean()


@torch.no_grad()
def spread(network, rng):
    """Moves a factor per channel from each depthwise weight into the batch norm before it; the function stays."""
    norms = [network.norm] + [b.norm2 for b in network.blocks[:-1]]
    for norm, block in zip(norms, network.blocks):
        factors = torch.from_numpy((2.0 ** rng.uniform(-4, 4, norm.num_features)).astype(np.float32))
        norm.weight *= factors
        norm.bias *= factors
        block.depthwise.weight /= factors[:, None, None, None]


class Writer:
    def __init__(self):
        self.nodes, self.weights = [], []

    def weight(self, name, value):
        self.weights.append(numpy_helper.from_array(value.detach().numpy().astype(np.float32), name))
        return name

    def node(self, op, name, inputs, **attributes):
        self.nodes.append(helper.make_node(op, inputs, [f"{name}_output"], name=name, **attributes))
        return f"{name}_output"

    def convolution(self, name, x, conv, norm):
        pads = list(conv.padding) * 2
        x = self.node("Conv", name, [x, self.weight(f"{name}.weight", conv.weight)], kernel_shape=conv.kernel_size,
                      strides=conv.stride, pads=pads, group=conv.groups)
        parameters = [self.weight(f"{name}.norm.{k}", v) for k, v in (
            ("weight", norm.weight), ("bias", norm.bias), ("mean", norm.running_mean), ("var", norm.running_var))]
        x = self.node("BatchNormalization", f"{name}.norm", [x] + parameters, epsilon=norm.eps)
        return self.node("Relu", f"{name}.relu", [x])


def write(network, path):
    w = Writer()
    x = w.convolution("stem", "image", network.stem, network.norm)
    for i, block in enumerate(network.blocks):
        x = w.convolution(f"block{i}.depthwise", x, block.depthwise, block.norm1)
        x = w.convolution(f"block{i}.pointwise", x, block.pointwise, block.norm2)
    x = w.node("Flatten", "flatten", [w.node("GlobalAveragePool", "pool", [x])], axis=1)
    w.nodes.append(helper.make_node("Gemm", [x, w.weight("head.weight", network.head.weight),
                                             w.weight("head.bias", network.head.bias)], ["scores"], name="head", transB=1))
    value = lambda name, dims: helper.make_tensor_value_info(name, TensorProto.FLOAT, dims)
    graph = helper.make_graph(w.nodes, "figures", [value("image", ["N", 3, SIZE, SIZE])],
                              [value("scores", ["N", len(CLASSES)])], w.weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], producer_name="halftone-demo")
    model.ir_version = 8
    onnx.checker.check_model(model)
    onnx.save(model, path)


if __name__ == "__main__":
    torch.manual_seed(0)
    torch.set_num_threads(2)
    demo = Network()
    train(demo)
    spread(demo, np.random.default_rng(3))
    print(f"after spreading: {accuracy(demo):.2%}")
    write(demo, "model.onnx")
