"""Small grid matrices that the tests of preconditioners and baselines share."""

from types import SimpleNamespace

import numpy as np
import scipy.sparse as sp


def canonical(matrix):
    matrix = sp.csr_array(matrix, dtype=np.float64)
    matrix.sum_duplicates()
    return matrix


def tridiagonal(size, lower=-1.0, diagonal=2.0, upper=-1.0):
    return sp.diags_array([lower, diagonal, upper], offsets=[-1, 0, 1], shape=(size, size))


def poisson(side):
    line, identity = tridiagonal(side), sp.eye_array(side)
    return canonical(sp.kron(line, identity) + sp.kron(identity, line))


def convection_diffusion(side, velocity=0.4):
    line, wind, identity = tridiagonal(side), tridiagonal(side, -velocity, 0.0, velocity), sp.eye_array(side)
    return canonical(sp.kron(line + wind, identity) + sp.kron(identity, line + wind / 2))


def random_dominant(size, seed, symmetric=False):
    """A sparse, strictly diagonally dominant matrix, so that every factorisation exists."""
    random = np.random.default_rng(seed)
    dense = random.uniform(-1.0, 1.0, (size, size)) * (random.random((size, size)) < 0.3)
    if symmetric:
        dense = dense + dense.T
    np.fill_diagonal(dense, np.abs(dense).sum(axis=1) + 0.5)
    return canonical(dense)


def system(matrix, rhs):
    return SimpleNamespace(matrix=matrix, rhs=rhs, parameters=np.zeros(0))


def diffusion(side, seed):
    """-div(a grad u) with a random coefficient."""
    random = np.random.default_rng(seed)
    edges = canonical(sp.triu(poisson(side), 1)).tocoo()
    conductance = np.exp(random.standard_normal(edges.nnz))
    off_diagonal = sp.coo_array((-conductance, edges.coords), shape=edges.shape)
    off_diagonal = off_diagonal + off_diagonal.T
    return canonical(sp.diags_array(0.1 - off_diagonal.sum(axis=1)) + off_diagonal)


def arrow(size, seed):
    random = np.random.default_rng(seed)
    dense = np.diag(2.0 + random.random(size))
    dense[0, 1:] = dense[1:, 0] = random.standard_normal(size - 1) / np.sqrt(size)
    return canonical(dense)
