"""The shapes of the benchmark as Airflow's DAGs; every task does nothing."""

from datetime import datetime

from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG


def idle():
    return None


def dag(name):
    limits = {"max_active_tasks": 64, "max_active_runs": 64}
    return DAG(name, schedule=None, start_date=datetime(2024, 1, 1), catchup=False, **limits)


with dag("single"):
    PythonOperator(task_id="only", python_callable=idle)

with dag("chain"):
    before = None
    for index in range(10):
        task = PythonOperator(task_id=f"t{index}", python_callable=idle)
        if before is not None:
            before >> task
        before = task

with dag("fan_out"):
    root = PythonOperator(task_id="root", python_callable=idle)
    leaves = [PythonOperator(task_id=f"leaf{index}", python_callable=idle) for index in range(100)]
    join = PythonOperator(task_id="join", python_callable=idle)
    root >> leaves >> join
