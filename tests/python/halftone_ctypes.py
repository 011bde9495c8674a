# SPDX-License-Identifier: MIT
"""The executor of an uninstalled libhalftone through ctypes, for development scripts. Set HALFTONE_LIBRARY to its path,
or run inside `meson devenv`."""
import ctypes as C
import os

import numpy as np

_glib = C.CDLL("libglib-2.0.so.0")
_gobject = C.CDLL("libgobject-2.0.so.0")
_ht = C.CDLL(os.environ.get("HALFTONE_LIBRARY", "libhalftone-1.so.0"))

_TYPES = {1: np.float32, 2: np.uint8, 3: np.int8, 4: np.uint16, 5: np.int16, 6: np.int32, 7: np.int64, 9: np.bool_,
          10: np.float16, 11: np.float64, 12: np.uint32, 13: np.uint64}
try:  # the element types that numpy lacks; the last ones hold two elements in a byte
    import ml_dtypes
    _TYPES.update({16: ml_dtypes.bfloat16, 17: ml_dtypes.float8_e4m3fn, 18: ml_dtypes.float8_e4m3fnuz,
                   19: ml_dtypes.float8_e5m2, 20: ml_dtypes.float8_e5m2fnuz, 21: ml_dtypes.uint4, 22: ml_dtypes.int4})
except ImportError:
    pass
_PACKED = (21, 22)


class _GError(C.Structure):
    _fields_ = [("domain", C.c_uint32), ("code", C.c_int), ("message", C.c_char_p)]


def _declare(library, name, result, *arguments):
    function = getattr(library, name)
    function.restype, function.argtypes = result, arguments
    return function


_P, _S, _E = C.c_void_p, C.c_char_p, C.POINTER(C.POINTER(_GError))
_load = _declare(_ht, "ht_graph_load", _P, _S, _E)
_new = _declare(_ht, "ht_executor_new", _P, _P, _E)
_inputs = _declare(_ht, "ht_graph_get_inputs", C.POINTER(_S), _P)
_outputs = _declare(_ht, "ht_graph_get_outputs", C.POINTER(_S), _P)
_run = _declare(_ht, "ht_executor_run", _P, _P, _P, _P, _P, _E)
_set_threads = _declare(_ht, "ht_set_n_threads", None, C.c_uint)
_tensor_new = _declare(_ht, "ht_tensor_new", _P, C.c_int, C.POINTER(C.c_int64), C.c_uint, _E)
_writable = _declare(_ht, "ht_tensor_get_writable_data", _P, _P)
_data = _declare(_ht, "ht_tensor_get_data", _P, _P)
_dims = _declare(_ht, "ht_tensor_get_dims", C.POINTER(C.c_int64), _P, C.POINTER(C.c_uint))
_type = _declare(_ht, "ht_tensor_get_data_type", C.c_int, _P)
_size = _declare(_ht, "ht_tensor_get_size", C.c_size_t, _P)
_hash_new = _declare(_glib, "g_hash_table_new_full", _P, _P, _P, _P, _P)
_hash_insert = _declare(_glib, "g_hash_table_insert", C.c_int, _P, _P, _P)
_hash_lookup = _declare(_glib, "g_hash_table_lookup", _P, _P, _S)
_hash_unref = _declare(_glib, "g_hash_table_unref", None, _P)
_strdup = _declare(_glib, "g_strdup", _P, _S)
_unref = _declare(_gobject, "g_object_unref", None, _P)


def _address(library, name):
    return C.cast(getattr(library, name), _P)


def _call(function, *arguments):
    error = C.POINTER(_GError)()
    result = function(*arguments, C.byref(error))
    if error:
        raise RuntimeError(error.contents.message.decode())
    return result


def _to_tensor(array):
    array = np.asarray(array, order="C")
    kind = next(k for k, v in _TYPES.items() if v == array.dtype)
    tensor = _call(_tensor_new, kind, (C.c_int64 * max(array.ndim, 1))(*array.shape), array.ndim)
    if kind in _PACKED:
        codes = np.append(array.ravel().astype(np.int8).view(np.uint8) & 15, np.uint8(0))[:(array.size + 1) // 2 * 2]
        array = codes[0::2] | codes[1::2] << 4
    C.memmove(_writable(tensor), array.ctypes.data, array.nbytes)
    return tensor


def _to_array(tensor):
    n = C.c_uint()
    dims = _dims(tensor, C.byref(n))
    kind, shape = _type(tensor), [dims[i] for i in range(n.value)]
    array = np.empty(_size(tensor) if kind in _PACKED else shape, np.uint8 if kind in _PACKED else _TYPES[kind])
    if array.size:
        C.memmove(array.ctypes.data, _data(tensor), array.nbytes)
    if kind in _PACKED:
        codes = np.stack([array & 15, array >> 4], -1).ravel()[:int(np.prod(shape))].astype(np.int8)
        codes = np.where(codes > 7, codes - 16, codes) if kind == 22 else codes
        array = codes.reshape(shape).astype(_TYPES[kind])
    return array


def _strings(list_):
    names = []
    while list_[len(names)]:
        names.append(list_[len(names)].decode())
    return names


def set_threads(n):
    _set_threads(n)


class Executor:
    def __init__(self, path):
        graph = _call(_load, path.encode())
        self.inputs, self.outputs = _strings(_inputs(graph)), _strings(_outputs(graph))
        self._executor = _call(_new, graph)
        _unref(graph)

    def run(self, feeds, outputs=None):
        table = _hash_new(_address(_glib, "g_str_hash"), _address(_glib, "g_str_equal"), _address(_glib, "g_free"),
                          _address(_ht, "ht_tensor_unref"))
        for name, array in feeds.items():
            _hash_insert(table, _strdup(name.encode()), _to_tensor(array))
        names = outputs or self.outputs
        wanted = (_S * (len(names) + 1))(*[name.encode() for name in names], None)
        try:
            results = _call(_run, self._executor, table, C.cast(wanted, _P), None)
        finally:
            _hash_unref(table)
        arrays = [_to_array(_hash_lookup(results, name.encode())) for name in names]
        _hash_unref(results)
        return arrays

    def __del__(self):
        if getattr(self, "_executor", None):
            _unref(self._executor)


_gradient_new = _declare(_ht, "ht_gradient_new", _P, _P, C.POINTER(_S), _E)
_gradient_run = _declare(_ht, "ht_gradient_run", _P, _P, _P, _P, _P, _P, _E)
_gradient_statistics = _declare(_ht, "ht_gradient_set_batch_statistics", None, _P, C.c_int)
_gradient_budget = _declare(_ht, "ht_gradient_set_memory_budget", None, _P, C.c_uint64)
_gradient_measure = _declare(_ht, "ht_gradient_measure", C.c_int, _P, _P, _P, _P, C.POINTER(C.c_uint64), C.POINTER(C.c_uint), _E)
_gradient_run_losses = _declare(_ht, "ht_gradient_run_losses", _P, _P, _P, C.POINTER(_S), C.POINTER(_P), C.POINTER(_P),
                                C.POINTER(C.c_double), C.c_size_t, _P, _P, _E)
_cross_entropy = _declare(_ht, "ht_loss_new_cross_entropy", _P, C.c_double)
_result_loss = _declare(_ht, "ht_gradient_result_get_loss", C.c_double, _P)
_result_gradient = _declare(_ht, "ht_gradient_result_get_gradient", _P, _P, _S)
_result_output = _declare(_ht, "ht_gradient_result_get_output", _P, _P, _S)
_result_unref = _declare(_ht, "ht_gradient_result_unref", None, _P)


def _table(arrays):
    table = _hash_new(_address(_glib, "g_str_hash"), _address(_glib, "g_str_equal"), _address(_glib, "g_free"),
                      _address(_ht, "ht_tensor_unref"))
    for name, array in arrays.items():
        _hash_insert(table, _strdup(name.encode()), _to_tensor(array))
    return table


def _names(names):
    return (_S * (len(names) + 1))(*[name.encode() for name in names], None)


class Gradient:
    """Gradients with respect to `tensors`."""

    def __init__(self, path, tensors, batch_statistics=False):
        graph = _call(_load, path.encode())
        self.tensors = list(tensors)
        self._gradient = _call(_gradient_new, graph, _names(self.tensors))
        _unref(graph)
        _gradient_statistics(self._gradient, batch_statistics)

    def set_budget(self, size):
        _gradient_budget(self._gradient, size)

    def measure(self, feeds, losses):
        """Bytes at the peak, and the number of segments."""
        peak, segments, table = C.c_uint64(), C.c_uint(), _table(feeds)
        error = C.POINTER(_GError)()
        _gradient_measure(self._gradient, table, C.cast(_names(losses), _P), None, C.byref(peak), C.byref(segments),
                          C.byref(error))
        _hash_unref(table)
        if error:
            raise RuntimeError(error.contents.message.decode())
        return peak.value, segments.value

    def prepare(self, feeds, output, labels):
        """A function that runs on these once more with cross-entropy, looks at no gradient, and returns the loss."""
        table, loss, target = _table(feeds), (_P * 1)(_cross_entropy(0.0)), (_P * 1)(_to_tensor(labels))

        def run():
            result = _call(_gradient_run_losses, self._gradient, table, _names([output]), loss, target, None, 1, None, None)
            value = _result_loss(result)
            _result_unref(result)
            return value
        return run

    def run(self, feeds, seeds, outputs=()):
        """Gradients and outputs by name."""
        tables = _table(feeds), _table(seeds)
        try:
            result = _call(_gradient_run, self._gradient, *tables, C.cast(_names(outputs), _P), None)
        finally:
            for table in tables:
                _hash_unref(table)
        gradients = {name: _to_array(_result_gradient(result, name.encode())) for name in self.tensors}
        found = {name: _to_array(_result_output(result, name.encode())) for name in outputs}
        _result_unref(result)
        return gradients, found

    def __del__(self):
        if getattr(self, "_gradient", None):
            _unref(self._gradient)
