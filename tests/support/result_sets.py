"""Results, computed in this process."""

from tasks.limits import Limits
from tasks.results import results_url, run_shard, timings_url
from tasks.store import complete_store, prepare_store


def compute_results(results, data_url, folder, shards=None):
    """Run all contenders of a result set on all shards, or on these; returns what the workers report."""
    prepare_store(timings_url(folder), results.timing_layout(), results.describe_timings)
    prepare_store(results_url(folder), results.layout(), results.describe)
    reports = [run_shard(results, data_url, folder, Limits(60.0), shard) for shard in shards or results.layout().shards]
    complete_store(timings_url(folder))
    complete_store(results_url(folder))
    return reports
