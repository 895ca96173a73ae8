"""Workers on SLURM by docs/examples/jobqueue.yaml: prints the address for --scheduler and runs until Ctrl-C."""

import signal
import sys

from dask_jobqueue import SLURMCluster

if __name__ == "__main__":
    with SLURMCluster() as cluster:
        cluster.scale(jobs=int(sys.argv[1]))
        print(cluster.scheduler_address, flush=True)
        signal.sigwait({signal.SIGINT, signal.SIGTERM})
