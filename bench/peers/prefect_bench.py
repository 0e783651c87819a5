"""Prefect with its server on PostgreSQL; flows run in this process, its fastest way: tasks a second of each shape."""

import json
import os
import subprocess
import sys
import time
import urllib.request

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.futures import wait
from prefect.task_runners import ThreadPoolTaskRunner

API = os.environ["PREFECT_API_URL"]
READY_SECONDS = 120
SECONDS = 12


@task(cache_policy=NO_CACHE, persist_result=False)
def idle(_before=None):
    return None


@flow(persist_result=False)
def chain():
    before = None
    for _ in range(10):
        before = idle(before)


@flow(persist_result=False, task_runner=ThreadPoolTaskRunner(max_workers=8))
def fan_out():
    root = idle.submit()
    leaves = [idle.submit(root) for _ in range(100)]
    wait([idle.submit(leaves)])


@flow(persist_result=False)
def single():
    idle()


def start(log):
    host, port = API.removeprefix("http://").split("/")[0].split(":")
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", host, "--port", port]
    process = subprocess.Popen(command, stdout=log, stderr=log)
    over = time.time() + READY_SECONDS
    while time.time() < over:
        try:
            with urllib.request.urlopen(f"{API}/health", timeout=5):
                return process
        except OSError:
            time.sleep(0.5)
    process.terminate()
    raise SystemExit(f"the server was not ready after {READY_SECONDS} s")


def main():
    with open(os.path.join(os.environ["PREFECT_HOME"], "server.log"), "w") as log:
        server = start(log)
        try:
            for shape, tasks in ((chain, 10), (fan_out, 102), (single, 1)):
                shape()
                began = time.time()
                runs = 0
                while time.time() < began + SECONDS:
                    shape()
                    runs += 1
                seconds = time.time() - began
                line = {"shape": shape.__name__, "tasks": runs * tasks, "seconds": seconds}
                print(json.dumps(line), flush=True)
        finally:
            server.terminate()
            server.wait(30)


main()
