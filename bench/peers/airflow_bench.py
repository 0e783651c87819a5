"""Airflow with its scheduler, DAG processor and API server on one machine: tasks a second of each shape."""

import json
import os
import subprocess
import sys
import time
import urllib.request

import psycopg2

SHAPES = [("chain", 4, 10), ("fan_out", 1, 102), ("single", 20, 1)]
READY_SECONDS = 120
LIMIT_SECONDS = float(os.environ.get("BENCH_LIMIT_SECONDS", "60"))
HOME = os.environ["AIRFLOW_HOME"]
BASE = os.environ["AIRFLOW__API__BASE_URL"]
AIRFLOW = [sys.executable, "-m", "airflow"]


def call(path, body, token=None):
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(BASE + path, data, headers), timeout=30) as answer:
        return json.load(answer)


def until(what, ready):
    over = time.time() + READY_SECONDS
    while time.time() < over:
        try:
            found = ready()
            if found:
                return found
        except (OSError, psycopg2.Error, KeyError):
            pass
        time.sleep(0.5)
    raise SystemExit(f"{what} was not ready after {READY_SECONDS} s")


def query(sql, *values):
    connection = psycopg2.connect(os.environ["BENCH_DATABASE"])
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql, values)
            return cursor.fetchall()
    finally:
        connection.close()


def start(part):
    with open(os.path.join(HOME, f"{part}.log"), "w") as log:
        return subprocess.Popen([*AIRFLOW, part], stdout=log, stderr=log)


def token():
    with open(os.path.join(HOME, "passwords.json")) as file:
        password = json.load(file)["admin"]
    return call("/auth/token", {"username": "admin", "password": password})["access_token"]


def measure(key, shape, runs, tasks):
    prefix = f"{shape}-{time.time_ns()}"
    began = time.time()
    for index in range(runs):
        run = {"logical_date": None, "dag_run_id": f"{prefix}-{index}"}
        call(f"/api/v2/dags/{shape}/dagRuns", run, key)
    sql = "SELECT count(*) FROM task_instance WHERE run_id LIKE %s AND state = 'success'"
    done = 0
    while done < runs * tasks and time.time() < began + LIMIT_SECONDS:
        time.sleep(0.2)
        done = query(sql, prefix + "%")[0][0]
    seconds = time.time() - began
    print(json.dumps({"shape": shape, "tasks": done, "seconds": seconds}), flush=True)


def main():
    migrated = subprocess.run([*AIRFLOW, "db", "migrate"], capture_output=True, text=True)
    if migrated.returncode != 0:
        raise SystemExit(migrated.stderr[-2000:])
    started = [start(part) for part in ("api-server", "dag-processor", "scheduler")]
    try:
        key = until("the API", token)
        until("the DAGs", lambda: query("SELECT count(*) FROM serialized_dag")[0][0] >= len(SHAPES))
        measure(key, "single", 1, 1)
        for shape, runs, tasks in SHAPES:
            measure(key, shape, runs, tasks)
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(30)


main()
