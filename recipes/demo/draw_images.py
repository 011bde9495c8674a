#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Draws the demo's images: eight kinds of figures on noisy backgrounds, 20 x 20 RGB, and writes calibration.npy,
evaluation.npy and labels.npy. train.py imports draw() for its training set. Needs numpy only."""
import numpy as np

CLASSES = ["disc", "square", "triangle", "cross", "ring", "horizontal stripes", "vertical stripes", "checkerboard"]
SIZE = 20


def figure(kind, rng):
    """The mask of one figure, 1 inside, drawn at four times the size and averaged down."""
    n = SIZE * 4
    y, x = np.mgrid[0:n, 0:n] / 4.0
    cx, cy = rng.uniform(7, 13, 2)
    r = rng.uniform(3.5, 7)
    angle = rng.uniform(-0.35, 0.35)
    u = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)
    v = -(x - cx) * np.sin(angle) + (y - cy) * np.cos(angle)
    inside = np.maximum(abs(u), abs(v)) < r
    distance = np.hypot(u, v)
    period = rng.uniform(2.6, 4.2)
    mask = {
        "disc": distance < r,
        "square": inside,
        "triangle": (v < r * 0.7) & (v > -r + 1.8 * abs(u)),
        "cross": inside & ((abs(u) < r * 0.33) | (abs(v) < r * 0.33)),
        "ring": (distance < r) & (distance > r * 0.55),
        "horizontal stripes": inside & (np.mod(v, period) < period / 2),
        "vertical stripes": inside & (np.mod(u, period) < period / 2),
        "checkerboard": inside & ((np.mod(u, period) < period / 2) ^ (np.mod(v, period) < period / 2)),
    }[kind]
    return mask.reshape(SIZE, 4, SIZE, 4).mean((1, 3))


def draw(count, seed):
    """`count` images, uint8 [count, SIZE, SIZE, 3], and their classes."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(count) % len(CLASSES))
    images = np.empty((count, SIZE, SIZE, 3), np.uint8)
    for i, label in enumerate(labels):
        ground, ink = rng.uniform(0, 255, (2, 3))
        while np.abs(ground - ink).sum() < 150:
            ground, ink = rng.uniform(0, 255, (2, 3))
        mask = figure(CLASSES[label], rng)[..., None]
        picture = ground * (1 - mask) + ink * mask + rng.normal(0, rng.uniform(6, 26), (SIZE, SIZE, 3))
        images[i] = np.clip(np.rint(picture), 0, 255)
    return images, labels.astype(np.uint8)


if __name__ == "__main__":
    np.save("calibration.npy", draw(128, seed=1)[0])
    images, labels = draw(800, seed=2)
    np.save("evaluation.npy", images)
    np.save("labels.npy", labels)
