"""A program that appends until it is killed, and prints what was acknowledged.

Arguments: the log's path. Each line: writer, number, offset.
"""

import asyncio
import sys
from datetime import timedelta
from pathlib import Path

from broker.embedded.log import SqliteLog
from broker.log import Mark, NewRecord, TopicConfig
from core.clock import SystemClock


async def main(path: Path) -> None:
    """Several writers at once, each record with a mark of its own."""
    clock = SystemClock()
    log = SqliteLog(path, clock)
    await log.start()
    await log.create_topic(TopicConfig("t", 2))

    async def write(writer: int) -> None:
        number = 0
        while True:
            name = b"%d:%d" % (writer, number)
            mark = Mark(name, b"", 1, b"", clock.now() + timedelta(hours=1))
            positions = await log.append(
                [NewRecord("t", partition, name, name + b"x" * 5000) for partition in (0, 1)], mark
            )
            sys.stdout.write(f"{writer} {number} {positions[0].offset} {positions[1].offset}\n")
            sys.stdout.flush()
            number += 1

    await asyncio.gather(*(write(writer) for writer in range(4)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
