"""Seven-point matrices on boxes, points numbered with x fastest, that tests of three-dimensional kernels share."""

import numpy as np
import scipy.sparse as sp


def seven_point(centre, faces_x, faces_y, faces_z):
    """The symmetric matrix with ``centre`` on its diagonal and minus the inner faces beside it, all entries stored."""
    points = np.arange(centre.size).reshape(centre.shape)
    row, column, value = [points.ravel()], [points.ravel()], [centre.ravel()]
    for axis, faces in enumerate((faces_z, faces_y, faces_x)):
        near, far = (np.delete(points, end, axis).ravel() for end in (-1, 0))
        inner = np.delete(faces, (0, -1), axis).ravel()
        row += [near, far]
        column += [far, near]
        value += [-inner, -inner]
    entries = (np.concatenate(value), (np.concatenate(row), np.concatenate(column)))
    matrix = sp.csr_array(entries, shape=(centre.size, centre.size))
    matrix.sum_duplicates()
    return matrix


def box_diffusion(coefficient, strengths=(1.0, 1.0, 1.0), open_axes=(0, 1, 2), reaction=0.0):
    """-div(a grad u) + c u by finite volumes, u = 0 on both sides of the open axes, no flux through the others."""
    faces = []
    for axis, strength in enumerate(strengths):
        line = np.moveaxis(coefficient, axis, 0)
        face = np.zeros((line.shape[0] + 1, *line.shape[1:]))
        face[1:-1] = 2.0 / (1.0 / line[:-1] + 1.0 / line[1:])
        if axis in open_axes:
            face[0], face[-1] = 2.0 * line[0], 2.0 * line[-1]
        faces.append(strength * np.moveaxis(face, 0, axis))
    faces_z, faces_y, faces_x = faces
    centre = reaction + faces_z[:-1] + faces_z[1:] + faces_y[:, :-1] + faces_y[:, 1:]
    return seven_point(centre + faces_x[:, :, :-1] + faces_x[:, :, 1:], faces_x, faces_y, faces_z)


def smooth_box_field(shape, random, modes=5):
    """A smooth random field of unit deviation or so."""
    weights = random.standard_normal((modes, modes, modes)) / (1.0 + np.indices((modes, modes, modes)).sum(axis=0))
    waves = [np.cos(np.outer(np.arange(modes), np.linspace(0.0, np.pi, size))) for size in shape]
    return np.einsum("abc,ai,bj,ck->ijk", weights, *waves)


def lognormal_box(shape, seed=0, deviation=1.0, noise=0.3):
    random = np.random.default_rng(seed)
    field = deviation * smooth_box_field(shape, random) + noise * random.standard_normal(shape)
    return box_diffusion(np.exp(field))


def two_phase_box(shape, contrast, seed=1, **options):
    field = smooth_box_field(shape, np.random.default_rng(seed))
    return box_diffusion(np.where(field > 0, contrast, 1.0), **options)
