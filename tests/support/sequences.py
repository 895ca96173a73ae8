"""Small sequences of systems of one pattern, in every format that is read."""

import numpy as np
import scipy.io
import scipy.sparse as sp
import zarr
from grid_systems import convection_diffusion

COUNT, SIDE = 6, 4
SIZE = SIDE**2


def stacked(count=COUNT):
    """The arrays data, indices, indptr and rhs of well-conditioned nonsymmetric systems."""
    random = np.random.default_rng(0)
    matrix = convection_diffusion(SIDE)
    data = matrix.data * np.exp(0.1 * random.standard_normal((count, matrix.nnz)))
    rhs = random.standard_normal((count, SIZE))
    return {"data": data, "indices": matrix.indices, "indptr": matrix.indptr, "rhs": rhs}


def systems_of(arrays):
    """The pairs (A, b) of stacked arrays."""
    pattern = arrays["indices"], arrays["indptr"]
    matrices = [sp.csr_array((data.copy(), *pattern), shape=(SIZE, SIZE)) for data in arrays["data"]]
    return list(zip(matrices, arrays["rhs"], strict=True))


def save_npz(path, compressed=False, **changes):
    arrays = {name: array for name, array in {**stacked(), **changes}.items() if array is not None}
    (np.savez_compressed if compressed else np.savez)(path, **arrays)
    return str(path)


def save_zarr(path, chunk=4, zarr_format=3, **changes):
    group = zarr.create_group(str(path), zarr_format=zarr_format)
    for name, array in {**stacked(), **changes}.items():
        group.create_array(name, data=array, chunks=(min(chunk, len(array)), *array.shape[1:]))
    return str(path)


def save_matrix_market(folder, pairs, rhs_ending="_rhs"):
    folder.mkdir(exist_ok=True)
    for index, (matrix, rhs) in enumerate(pairs):
        scipy.io.mmwrite(folder / f"{index:04}.mtx", sp.coo_array(matrix), precision=17)
        scipy.io.mmwrite(folder / f"{index:04}{rhs_ending}.mtx", np.reshape(rhs, (-1, 1)), precision=17)
    return str(folder)


SCRIPT = """
import numpy as np
import scipy.sparse as sp

def pairs(count=6, bad=()):
    for index in range(count):
        line = sp.diags_array([-1.0, 3.0 + index, -1.5], offsets=[-1, 0, 1], shape=(16, 16)).tocsr()
        yield (line[:3] if index in bad else line), np.full(16, 1.0 + index)
"""


def save_script(path, code=""):
    path.write_text(SCRIPT + code)
    return f"{path}:pairs"
