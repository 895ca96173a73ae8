"""A data set as PyTorch batches; ``darcy.zarr`` lies in the current folder."""

from torch.utils.data import DataLoader

from tasks.reading import Samples

loader = DataLoader(Samples("darcy.zarr"), batch_size=32, shuffle=True)
for coefficient, solution in loader:
    assert coefficient.shape == solution.shape == (len(solution), 32, 32)
