"""A data set, read with xarray and as shuffled NumPy batches; ``darcy.zarr`` lies in the current folder."""

import xarray as xr

from tasks.reading import shuffled_batches

stored = xr.open_zarr("darcy.zarr")
solved = stored.isel(instance=(stored["status"] == 0).values)  # 0 is converged
pressure = solved["solution"].sel(x=0.5, y=0.5, method="nearest")
mean, deviation = (stored["solution"].attrs[name] for name in ("mean", "standard_deviation"))
print(f"pressure in the middle {float(pressure.mean()):.4f}, of all cells {mean:.4f} with deviation {deviation:.4f}")

for epoch in range(2):
    for coefficient, solution in shuffled_batches("darcy.zarr", batch_size=32, seed=epoch, window=8):
        assert coefficient.shape == solution.shape == (len(solution), 32, 32)
