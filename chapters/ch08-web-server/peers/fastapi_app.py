"""The three pings on FastAPI: one process, one event loop, as in this chapter's own server.

    python fastapi_app.py --port 0                                   asyncio and h11
    python fastapi_app.py --port 0 --loop uvloop --http httptools    what is fast in Python

The first line that it prints is its address. Predict for each ping what becomes of the others, and
for how many of 100 good pings there is a thread.
"""

import argparse
import asyncio
import functools
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import Annotated

import uvicorn
from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI, Path, Query
from fastapi.concurrency import run_in_threadpool

# A ping sleeps for no longer, in seconds.
SECONDS_MAX = 60.0

# fib(40) takes Python about ten seconds, and each number more 1.6 times as long.
FIB_MAX = 40

# Connections that wait for the loop to accept them.
BACKLOG = 2048

# How long a connection may be idle, in seconds. With uvicorn's 5, a slow measurement of idle
# connections would find the first ones closed.
KEEP_ALIVE = 60

Seconds = Annotated[float, Query(ge=0, le=SECONDS_MAX)]


@asynccontextmanager
async def lifespan(_: FastAPI):
    """What is there as long as the server is: here only something to end."""
    yield
    if process_pool.cache_info().currsize:
        process_pool().shutdown(cancel_futures=True)


app = FastAPI(lifespan=lifespan)


@app.get("/ping")
async def ping() -> dict[str, bool]:
    return {"pong": True}


# ANCHOR: pings
@app.get("/terrible-ping")
async def terrible_ping(seconds: Seconds = 10.0) -> dict[str, bool]:
    time.sleep(seconds)  # on the loop's thread, so nothing else runs
    return {"pong": True}


@app.get("/good-ping")
def good_ping(seconds: Seconds = 10.0):
    # No `async`: FastAPI calls it on one of anyio's 40 threads. And no `-> dict[str, bool]`: with
    # it FastAPI checks the answer on such a thread as well, and that is a second wait for one.
    time.sleep(seconds)
    return {"pong": True}


@app.get("/perfect-ping")
async def perfect_ping(seconds: Seconds = 10.0) -> dict[str, bool]:
    await asyncio.sleep(seconds)
    return {"pong": True}
# ANCHOR_END: pings


class Where(StrEnum):
    """Where a number is computed. There is no rayon: a second thread of Python does not help."""

    INLINE = "inline"
    POOL = "pool"
    PROCESS = "process"


@app.get("/fib/{n}")
async def answer(
    n: Annotated[int, Path(ge=0, le=FIB_MAX)], where: Where = Where.PROCESS
) -> dict[str, int | float | str]:
    start = time.monotonic()
    match where:
        case Where.INLINE:
            value = fib(n)
        case Where.POOL:
            # Beside the loop, and not faster: of the threads that run Python one has the GIL.
            value = await run_in_threadpool(fib, n)
        case Where.PROCESS:
            value = await asyncio.get_running_loop().run_in_executor(process_pool(), fib, n)
    return {"n": n, "value": value, "seconds": time.monotonic() - start, "where": where}


def fib(n: int) -> int:
    """The slow way, as in all chapters."""
    return n if n < 2 else fib(n - 1) + fib(n - 2)


@functools.cache
def process_pool() -> ProcessPoolExecutor:
    """A process a core, started by the first who asks.

    They are started afresh: a fork would hold the server's sockets, and outlive it with them. To
    end is the server's affair: it gets Ctrl-C, and they do not.
    """
    afresh = multiprocessing.get_context("spawn")
    ignore = (signal.SIGINT, signal.SIG_IGN)
    return ProcessPoolExecutor(mp_context=afresh, initializer=signal.signal, initargs=ignore)


@app.get("/stats")
async def stats() -> dict[str, int | dict[str, int]]:
    # The limit stands in front of the threads, one of it for each loop. asyncio's own default
    # executor (`asyncio.to_thread`) has another limit, and is not what calls a `def` route.
    limiter = current_default_thread_limiter()
    pool = {
        "tokens": int(limiter.total_tokens),
        "taken": limiter.borrowed_tokens,
        "waiting": limiter.statistics().tasks_waiting,
    }
    return {"worker": os.getpid(), "threads": count_threads(), "pool": pool}


def count_threads() -> int:
    """The kernel's count, and Python's where there is no /proc."""
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return threading.active_count()


def port(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 65535:
        raise ValueError(text)
    return number


def main() -> None:
    parser = argparse.ArgumentParser(description="The three pings on FastAPI.")
    parser.add_argument("--port", type=port, default=8000, help="0 lets the system choose")
    parser.add_argument("--loop", choices=["asyncio", "uvloop"], default="asyncio")
    parser.add_argument("--http", choices=["h11", "httptools"], default="h11")
    options = parser.parse_args()

    # The socket is made here and not by uvicorn, so that the address is known before it is served.
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", options.port))
    except OSError as error:
        sys.exit(f"fastapi_app: {error}")
    listener.listen(BACKLOG)
    print(f"http://127.0.0.1:{listener.getsockname()[1]}/", flush=True)

    # Both loops set TCP_NODELAY by themselves. A log line for each request would be measured too.
    config = uvicorn.Config(
        app,
        loop=options.loop,
        http=options.http,
        ws="none",
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE,
        log_level="warning",
        access_log=False,
        headers=[("x-worker", str(os.getpid()))],
    )
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
