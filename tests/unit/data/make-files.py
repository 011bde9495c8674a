# SPDX-License-Identifier: MIT
# Writes the array files that the tests of core/data read. They were made with NumPy 2.4.6; run it in this folder.
import numpy as np

a = np.arange(6, dtype=np.float32).reshape(2, 3) - 2.5
with open("files/v1.npy", "wb") as f:
    np.lib.format.write_array(f, a, version=(1, 0))
with open("files/v2.npy", "wb") as f:
    np.lib.format.write_array(f, a, version=(2, 0))
with open("files/v3.npy", "wb") as f:
    np.lib.format.write_array(f, a, version=(3, 0))
np.save("files/fortran.npy", np.asfortranarray(a))
np.save("files/big-endian.npy", a.astype(">f4"))
np.save("files/text.npy", np.array(["a", "b"]))
np.save("files/structured.npy", np.zeros(2, dtype=[("x", "<f4"), ("y", "<i4")]))
np.save("files/complex.npy", np.zeros(2, dtype=np.complex64))
np.save("files/scalar.npy", np.float64(-1.5))
np.save("files/empty.npy", np.zeros((0, 3), np.float32))
for name in ["bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float16", "float32", "float64"]:
    np.save(f"files/type-{name}.npy", np.array([0, 1, 100 if name != "bool" else 1]).astype(name))
np.savez("files/stored.npz", image=a, state=np.array([[7], [8]], dtype=np.int64), labels=np.array([1, 0], dtype=np.uint8))
np.savez_compressed("files/deflated.npz", image=a, long=np.arange(1000, dtype=np.int32), y=np.array([1, 0]))
