"""The shapes of the benchmark as Dagster's jobs; every op does nothing."""

from dagster import In, Nothing, Out, in_process_executor, job, multiprocess_executor, op


@op(out=Out(Nothing))
def first():
    pass


@op(ins={"before": In(Nothing)}, out=Out(Nothing))
def idle():
    pass


def ten():
    before = first.alias("t0")()
    for index in range(1, 10):
        before = idle.alias(f"t{index}")(before)


@job(executor_def=in_process_executor)
def chain():
    ten()


@job(executor_def=multiprocess_executor.configured({"max_concurrent": 2}))
def chain_in_processes():
    ten()


@job(executor_def=in_process_executor)
def fan_out():
    root = first.alias("root")()
    leaves = [idle.alias(f"leaf{index}")(root) for index in range(100)]
    idle.alias("join")(leaves)


@job(executor_def=in_process_executor)
def single():
    first.alias("only")()
