"""Forks, threads, the end of a process: in processes of their own."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.sdk.stub import PATIENCE, Reply, StubHub

SOURCES = Path(__file__).resolve().parents[2] / "sdk" / "python" / "src"


def run(code: str, stub: StubHub | None = None, **settings: str) -> subprocess.CompletedProcess[str]:
    """``code`` in a fresh interpreter with the SDK on its path, and warnings as errors."""
    code = textwrap.dedent(code)
    if "PATIENT" in code:
        code = f"import llm_hub\nPATIENT = llm_hub.Options(exit_timeout=20)\n{code}"
    env = {**os.environ, "PYTHONPATH": str(SOURCES), "LLM_HUB_KEY": "lh_test", **settings}
    if stub is not None:
        env["LLM_HUB_URL"] = stub.url
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def ran(code: str, stub: StubHub | None = None, **settings: str) -> str:
    """What ``code`` printed; it must have been all right."""
    done = run(code, stub, **settings)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def names(stub: StubHub) -> Counter[str]:
    taken = [event for request in stub.requests for event in request.events]
    return Counter(event["data"]["name"] for event in taken)


def test_the_import_is_light() -> None:
    out = ran("import sys; before = set(sys.modules); import llm_hub; print(*sorted(set(sys.modules) - before))")
    heavy = {"httpx", "asyncio", "inspect", "email", "ssl", "http", "gzip", "openai", "anthropic", "pydantic"}
    assert heavy & set(out.split()) == set()


def test_a_host_that_never_closes_it_loses_nothing(stub: StubHub) -> None:
    ran(
        """
        import llm_hub
        hub = llm_hub.Client(options=PATIENT)
        for number in range(5000):
            hub.capture("product.event", {"name": f"e-{number}"})
        """,
        stub,
    )
    assert names(stub) == Counter(f"e-{number}" for number in range(5_000))


def test_what_is_captured_at_exit_arrives(stub: StubHub) -> None:
    ran(
        """
        import atexit, llm_hub
        hub = llm_hub.Client(options=PATIENT)
        hub.capture("product.event", {"name": "first"})
        hub.flush()
        atexit.register(lambda: hub.capture("product.event", {"name": "last"}))
        """,
        stub,
    )
    assert names(stub) == {"first": 1, "last": 1}


def test_the_first_event_may_be_the_last_thing_a_process_does(stub: StubHub) -> None:
    ran(
        """
        import atexit, llm_hub
        hub = llm_hub.Client(options=PATIENT)
        atexit.register(lambda: hub.capture("product.event", {"name": "only"}))
        """,
        stub,
    )
    assert names(stub) == {"only": 1}


@pytest.mark.parametrize("how", ["down", "slow", "busy"])
def test_the_end_of_the_process_waits_a_second_at_most(stub: StubHub, how: str) -> None:
    stub.script = lambda _request: Reply(503, {"Retry-After": "30"}) if how == "busy" else None
    code = f"""
        import socket, time, llm_hub
        listener = socket.create_server(("127.0.0.1", 0))
        url = "http://127.0.0.1:%d" % listener.getsockname()[1] if {how == "slow"} else None
        hub = llm_hub.Client({"'http://127.0.0.1:9'" if how == "down" else "url"})
        hub.capture("product.event", {{"name": "e"}})
        print(time.time())
        """
    done = run(code, stub)
    took = time.time() - float(done.stdout)
    assert done.returncode == 0
    assert took < 3  # a second, and the end of the interpreter on a busy machine


def test_a_forked_child_sends_its_own_and_only_its_own(stub: StubHub) -> None:
    ran(
        """
        import os, warnings
        warnings.simplefilter("ignore", DeprecationWarning)  # from 3.12 on: a fork beside threads
        import llm_hub
        hub = llm_hub.Client(options=PATIENT)
        hub.capture("product.event", {"name": "before"})
        hub.flush()
        with hub.span("outer"):
            hub.capture("product.event", {"name": "queued"})
            for number in range(3):
                if os.fork() == 0:
                    hub.capture("product.event", {"name": f"child-{number}"})
                    assert hub.flush()
                    assert hub.stats()["accepted"] == 1, hub.stats()
                    os._exit(0)
        for _ in range(3):
            assert os.wait()[1] == 0
        hub.capture("product.event", {"name": "after"})
        """,
        stub,
    )
    expected = ["before", "queued", "outer", "child-0", "child-1", "child-2", "after"]
    assert names(stub) == Counter(expected)


def test_a_child_that_exits_flushes(stub: StubHub) -> None:
    ran(
        """
        import os, sys, warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        import llm_hub
        hub = llm_hub.Client(options=PATIENT)
        hub.capture("product.event", {"name": "parent"})
        hub.flush()
        if os.fork() == 0:
            hub.capture("product.event", {"name": "child"})
            sys.exit(0)
        assert os.wait()[1] == 0
        """,
        stub,
    )
    assert names(stub) == {"parent": 1, "child": 1}


def test_a_fork_under_fire(stub: StubHub) -> None:
    ran(
        """
        import os, threading, warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        import llm_hub
        hub = llm_hub.Client(options=llm_hub.Options(interval=0.001))
        stop = threading.Event()
        def fire():
            while not stop.wait(0.0005):
                hub.capture("product.event", {"name": "fire"})
        threads = [threading.Thread(target=fire) for _ in range(4)]
        for thread in threads: thread.start()
        for number in range(10):
            if os.fork() == 0:
                hub.capture("product.event", {"name": f"child-{number}"})
                os._exit(0 if hub.flush(20) else 1)
        codes = [os.wait()[1] for _ in range(10)]
        stop.set()
        for thread in threads: thread.join()
        assert codes == [0] * 10, codes
        """,
        stub,
    )
    assert [names(stub)[f"child-{number}"] for number in range(10)] == [1] * 10


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_of_multiprocessing_flush(stub: StubHub, method: str, tmp_path: Path) -> None:
    module = tmp_path / "worker_of_test.py"
    module.write_text(
        textwrap.dedent(
            """
            import llm_hub
            hub = llm_hub.Client(options=llm_hub.Options(exit_timeout=20))
            def work(number):
                hub.capture("product.event", {"name": f"work-{number}"})
            """
        )
    )
    ran(
        f"""
        import multiprocessing, sys, warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        sys.path.insert(0, {str(tmp_path)!r})
        from worker_of_test import work
        processes = [
            multiprocessing.get_context("{method}").Process(target=work, args=(number,)) for number in range(3)
        ]
        for process in processes: process.start()
        for process in processes: process.join()
        assert [process.exitcode for process in processes] == [0, 0, 0]
        """,
        stub,
    )
    assert names(stub) == {"work-0": 1, "work-1": 1, "work-2": 1}


def test_asyncio(stub: StubHub) -> None:
    out = ran(
        """
        import asyncio, llm_hub
        hub = llm_hub.Client(options=PATIENT)
        @llm_hub.observe(name="handle")
        async def handle(number):
            async with hub.span("inner"):
                await asyncio.sleep(0)
                hub.capture("product.event", {"name": "work"})
        async def main():
            await asyncio.gather(*(handle(number) for number in range(100)))
            assert await asyncio.to_thread(hub.flush)
        asyncio.run(main())
        print(hub.stats()["accepted"])
        """,
        stub,
    )
    assert out == "300\n"
    assert names(stub) == {"handle": 100, "inner": 100, "work": 100}


def test_a_signal_handler_may_capture(stub: StubHub) -> None:
    ran(
        """
        import signal, llm_hub
        hub = llm_hub.Client(options=llm_hub.Options(queue_size=50, interval=0.001))
        seen = []
        def handler(*_):
            seen.append(hub.capture("product.event", {"name": "signal"}))
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        while len(seen) < 300:
            hub.capture("product.event", {"name": "loop"})
        signal.setitimer(signal.ITIMER_REAL, 0)
        assert hub.flush(20)
        stats = hub.stats()
        assert stats["accepted"] + sum(stats["dropped"].values()) >= 600, stats
        """,
        stub,
    )


def test_sigterm_by_default_ends_at_once(stub: StubHub) -> None:
    done: Any = run(
        """
        import os, signal, llm_hub
        hub = llm_hub.Client("http://127.0.0.1:9")
        hub.capture("product.event", {"name": "e"})
        os.kill(os.getpid(), signal.SIGTERM)
        """,
        stub,
    )
    assert done.returncode == -signal.SIGTERM
    assert PATIENCE > 0
