"""The stages of the pipeline, one concern a module: stores, execution on Dask, claims, tracking, figures."""
