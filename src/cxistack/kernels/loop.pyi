from cxistack.kernels.job import Job

class PassJob(Job): ...

def _tune(
    thread_bytes: int | None = None,
    stream_bytes: int | None = None,
    task_bytes: int | None = None,
) -> dict[str, int]: ...
