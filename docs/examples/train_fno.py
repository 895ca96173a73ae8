"""Train a small Fourier neural operator on Darcy data sets: from the coefficient to the pressure, on a CPU.

    assay generate darcy-lognormal --count 1000 --test 200 --set grid=32 --set normalise=true --out darcy
    pip install jax optax
    python docs/examples/train_fno.py darcy/train.zarr darcy/test.zarr

Li et al., "Fourier Neural Operator for Parametric Partial Differential Equations" (ICLR 2021), section 4, with fewer
channels; the domain is padded because the pressure is not periodic.
"""

import argparse
import time
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr

LAYERS = 4
PADDING = 4
BATCH = 20
VARIABLES = ("coefficient", "solution")


def initialise(key, channels, modes):
    """Lifting, spectral weights (two corners of the spectrum) and pointwise weights of each layer, projection."""

    def dense(key, inputs, outputs):
        return {"weight": jax.random.normal(key, (inputs, outputs)) / inputs**0.5, "bias": jnp.zeros(outputs)}

    keys = iter(jax.random.split(key, 2 * LAYERS + 3))
    spectrum = (LAYERS, 2, 2, modes, modes, channels, channels)  # real and imaginary parts, two corners
    return {
        "lift": dense(next(keys), 3, channels),
        "spectral": jax.random.normal(next(keys), spectrum) / channels,
        "pointwise": [dense(next(keys), channels, channels) for _ in range(LAYERS)],
        "project": [dense(next(keys), channels, 4 * channels), dense(next(keys), 4 * channels, 1)],
    }


def apply_dense(layer, fields):
    """The same linear map of the channels at every point."""
    return fields @ layer["weight"] + layer["bias"]


def spectral_convolution(weights, fields):
    """Multiply the lowest Fourier modes by a matrix each and drop the others; fields are (batch, y, x, channel)."""
    modes = weights.shape[2]
    spectrum = jnp.fft.rfft2(fields, axes=(1, 2))
    multiplied = jnp.zeros_like(spectrum)
    corners = (slice(None, modes), slice(-modes, None))  # positive and negative frequencies along y
    for corner, (real, imaginary) in zip(corners, weights.swapaxes(0, 1), strict=True):
        product = jnp.einsum("byxi,yxio->byxo", spectrum[:, corner, :modes], real + 1j * imaginary)
        multiplied = multiplied.at[:, corner, :modes].set(product)
    return jnp.fft.irfft2(multiplied, s=fields.shape[1:3], axes=(1, 2))


def operator(parameters, coefficient):
    """The neural operator: (batch, y, x) to (batch, y, x), both normalised."""
    batch, height, width = coefficient.shape
    y, x = jnp.meshgrid(jnp.linspace(0, 1, height), jnp.linspace(0, 1, width), indexing="ij")
    places = jnp.broadcast_to(jnp.stack([y, x], -1), (batch, height, width, 2))
    fields = apply_dense(parameters["lift"], jnp.concatenate([coefficient[..., None], places], -1))
    fields = jnp.pad(fields, ((0, 0), (0, PADDING), (0, PADDING), (0, 0)))
    for layer, (spectral, pointwise) in enumerate(zip(parameters["spectral"], parameters["pointwise"], strict=True)):
        fields = spectral_convolution(spectral, fields) + apply_dense(pointwise, fields)
        if layer < LAYERS - 1:
            fields = jax.nn.gelu(fields)
    fields = fields[:, :height, :width]
    hidden, output = parameters["project"]
    return apply_dense(output, jax.nn.gelu(apply_dense(hidden, fields)))[..., 0]


def relative_error(predicted, solution):
    """The mean over instances of ||predicted - solution|| / ||solution||."""
    difference = jnp.linalg.norm((predicted - solution).reshape(len(solution), -1), axis=1)
    return jnp.mean(difference / jnp.linalg.norm(solution.reshape(len(solution), -1), axis=1))


def turned(fields, flip_y, flip_x, transpose):
    """The fields under one of the eight symmetries of the square, which make solved instances of solved instances."""
    fields = fields[:, :: 1 - 2 * flip_y, :: 1 - 2 * flip_x]
    return fields.swapaxes(1, 2) if transpose else fields


def load(url, shift, scale):
    """The normalised coefficients and the solutions of all solved instances."""
    stored = xr.open_zarr(url, chunks=None)
    solved = stored["status"].values == 0
    coefficient, solution = (stored[name].values[solved].astype(np.float32) for name in VARIABLES)
    return (coefficient - shift) / scale, solution


def main():
    """Train, and print the error on instances that were not trained on."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("train")
    parser.add_argument("test")
    for name, default in (("epochs", 100), ("channels", 20), ("modes", 10), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()

    attributes = [xr.open_zarr(options.train)[name].attrs for name in VARIABLES]
    (shift, mean), (scale, deviation) = ([a[key] for a in attributes] for key in ("mean", "standard_deviation"))
    coefficient, solution = load(options.train, shift, scale)
    train = len(solution)

    @jax.jit
    def predict(parameters, coefficient):
        return mean + deviation * operator(parameters, coefficient)

    def error(parameters, coefficient, solution):
        return relative_error(predict(parameters, coefficient), solution)

    steps = options.epochs * (train // BATCH)
    optimiser = optax.adamw(optax.cosine_onecycle_schedule(steps, 3e-3), weight_decay=1e-4)

    @partial(jax.jit, donate_argnums=(0, 1))
    def step(parameters, state, coefficient, solution):
        loss, gradient = jax.value_and_grad(error)(parameters, coefficient, solution)
        updates, state = optimiser.update(gradient, state, parameters)
        return optax.apply_updates(parameters, updates), state, loss

    parameters = initialise(jax.random.key(options.seed), options.channels, options.modes)
    state = optimiser.init(parameters)
    random = np.random.default_rng(options.seed)
    started = time.perf_counter()
    for epoch in range(options.epochs):
        order = random.permutation(train)
        losses = []
        for start in range(0, train - BATCH + 1, BATCH):
            rows = order[start : start + BATCH]
            turn = random.integers(2, size=3)
            batch = (turned(fields[rows], *turn) for fields in (coefficient, solution))
            parameters, state, loss = step(parameters, state, *batch)
            losses.append(loss)
        if (epoch + 1) % 10 == 0:
            seconds = time.perf_counter() - started
            print(f"epoch {epoch + 1:3d}  training error {np.mean(losses):.4f}  {seconds:.0f} s", flush=True)
    coefficient, expected = load(options.test, shift, scale)
    rows = [slice(first, first + BATCH) for first in range(0, len(expected), BATCH)]
    predicted = np.concatenate([predict(parameters, coefficient[batch]) for batch in rows])
    print(f"relative L2 error on {len(expected)} held-out instances: {relative_error(predicted, expected):.4f}")
    print(f"of the mean of the training solutions: {relative_error(solution.mean(axis=0), expected):.4f}")


if __name__ == "__main__":
    main()
