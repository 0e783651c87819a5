"""Dagster with its run and event storage on PostgreSQL, jobs executed here without a daemon: tasks a second."""

import json
import logging
import time

import dagster_jobs
from dagster import DagsterInstance, execute_job, reconstructable

SECONDS = 12
SHAPES = (
    (dagster_jobs.chain, 10),
    (dagster_jobs.fan_out, 102),
    (dagster_jobs.single, 1),
    (dagster_jobs.chain_in_processes, 10),
)


def main():
    logging.disable(logging.CRITICAL)
    with DagsterInstance.get() as instance:
        for shape, tasks in SHAPES:
            runs = 0
            began = time.time()
            while time.time() < began + SECONDS:
                with execute_job(reconstructable(shape), instance=instance) as result:
                    if not result.success:
                        raise SystemExit(f"{shape.name} failed")
                runs += 1
            seconds = time.time() - began
            print(json.dumps({"shape": shape.name, "tasks": runs * tasks, "seconds": seconds}), flush=True)


if __name__ == "__main__":
    main()
