#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares optimizers and schedules with torch over 20 steps: compare_optimizers.py. Needs torch; skipped without it."""
import ctypes as C
import sys

try:
    import numpy as np
    import torch
except ImportError as error:
    print(f"{error}: skipped")
    sys.exit(77)

import halftone_ctypes as ht

_P, _S, _D, _B = C.c_void_p, C.c_char_p, C.c_double, C.c_int
_sgd = ht._declare(ht._ht, "ht_optimizer_new_sgd", _P, _D, _D, _B, _D)
_adam = ht._declare(ht._ht, "ht_optimizer_new_adam", _P, _D, _D, _D, _D, _D)
_adamw = ht._declare(ht._ht, "ht_optimizer_new_adamw", _P, _D, _D, _D, _D, _D)
_update = ht._declare(ht._ht, "ht_optimizer_update", _P, _P, _S, _P, _P, ht._E)
_set_rate = ht._declare(ht._ht, "ht_optimizer_set_learning_rate", None, _P, _D)
_cosine = ht._declare(ht._ht, "ht_schedule_new_cosine", _P, C.c_uint64, _D)
_step = ht._declare(ht._ht, "ht_schedule_new_step", _P, C.c_uint64, _D)
_warmup = ht._declare(ht._ht, "ht_schedule_set_warmup", None, _P, C.c_uint64, _D)
_factor = ht._declare(ht._ht, "ht_schedule_get_factor", _D, _P, C.c_uint64)

CASES = [
    ("sgd", lambda: _sgd(0.05, 0, 0, 0), lambda p: torch.optim.SGD(p, 0.05)),
    ("sgd, decay", lambda: _sgd(0.05, 0, 0, 0.1), lambda p: torch.optim.SGD(p, 0.05, weight_decay=0.1)),
    ("sgd, momentum", lambda: _sgd(0.05, 0.9, 0, 0.1), lambda p: torch.optim.SGD(p, 0.05, momentum=0.9, weight_decay=0.1)),
    ("sgd, nesterov", lambda: _sgd(0.05, 0.9, 1, 0.1),
     lambda p: torch.optim.SGD(p, 0.05, momentum=0.9, nesterov=True, weight_decay=0.1)),
    ("adam", lambda: _adam(0.01, 0.9, 0.999, 1e-8, 0), lambda p: torch.optim.Adam(p, 0.01)),
    ("adam, decay", lambda: _adam(0.01, 0.8, 0.99, 1e-6, 0.1),
     lambda p: torch.optim.Adam(p, 0.01, betas=(0.8, 0.99), eps=1e-6, weight_decay=0.1)),
    ("adamw", lambda: _adamw(0.01, 0.9, 0.999, 1e-8, 0.01), lambda p: torch.optim.AdamW(p, 0.01)),
]


def compare(name, ours, theirs, dtype, tolerance):
    random = np.random.default_rng(3)
    start = random.standard_normal((7, 5)).astype(dtype)
    parameter = torch.nn.Parameter(torch.from_numpy(start.copy()))
    optimizer, other, value = ours(), theirs([parameter]), start
    cosine = _cosine(20, 0.1)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(other, 20, other.param_groups[0]["lr"] * 0.1)
    rate = other.param_groups[0]["lr"]
    for step in range(20):
        gradient = random.standard_normal(start.shape).astype(dtype)
        _set_rate(optimizer, rate * _factor(cosine, step))
        value = ht._to_array(ht._call(_update, optimizer, b"w", ht._to_tensor(value), ht._to_tensor(gradient)))
        parameter.grad = torch.from_numpy(gradient)
        other.step()
        scheduler.step()
    worst = np.abs(value - parameter.detach().numpy()).max()
    print(f"{name:14} {np.dtype(dtype).name}: largest difference {worst:.2e}")
    return worst <= tolerance


def compare_schedules():
    parameter = torch.nn.Parameter(torch.zeros(1))

    def follow(make, schedule, n):
        optimizer = torch.optim.SGD([parameter], 1.0)
        scheduler = make(optimizer)
        worst = 0.0
        for step in range(n):
            worst = max(worst, abs(optimizer.param_groups[0]["lr"] - _factor(schedule, step)))
            optimizer.step()
            scheduler.step()
        return worst

    scheduler = torch.optim.lr_scheduler
    warm = _step(1000, 0.5)
    _warmup(warm, 8, 0.25)
    results = [
        ("cosine", follow(lambda o: scheduler.CosineAnnealingLR(o, 20, 0.1), _cosine(20, 0.1), 21)),
        ("step", follow(lambda o: scheduler.StepLR(o, 6, 0.3), _step(6, 0.3), 20)),
        ("warm-up", follow(lambda o: scheduler.LinearLR(o, 0.25, 1.0, 8), warm, 20)),
    ]
    for name, worst in results:
        print(f"{name:14} largest difference {worst:.2e}")
    return all(worst <= 1e-12 for _, worst in results)


fine = [compare(*case, dtype, tolerance) for case in CASES for dtype, tolerance in ((np.float32, 2e-6), (np.float64, 1e-14))]
sys.exit(0 if all(fine) & compare_schedules() else 1)
