"""A proxy that holds every octet back for half a round trip, each way: a far server on a near machine.

    client_delay.py PORT MILLISECONDS      prints its own port, runs until it is ended

Does not know: what is said.
"""

from __future__ import annotations

import asyncio
import socket
import sys

CHUNK = 256 * 1024
AHEAD = 4096        # chunks on the way; more, and the sender waits


async def carry(reader, writer, half):
    """What arrives at t leaves at t + half; order stays."""
    loop = asyncio.get_running_loop()
    way: asyncio.Queue = asyncio.Queue(AHEAD)

    async def leave():
        while True:
            due, data = await way.get()
            wait = due - loop.time()
            if wait > 0:
                await asyncio.sleep(wait)
            if not data:
                break
            writer.write(data)
            await writer.drain()

    task = asyncio.create_task(leave())
    try:
        while data := await reader.read(CHUNK):
            await way.put((loop.time() + half, data))
    except ConnectionError:
        pass
    await way.put((loop.time() + half, b""))
    try:
        await task
        writer.write_eof()
    except (ConnectionError, OSError, RuntimeError):
        pass


async def main():
    port, half = int(sys.argv[1]), float(sys.argv[2]) / 2000

    async def session(reader, writer):
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", port, limit=CHUNK)
        for w in (writer, there_writer):
            w.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.gather(carry(reader, there_writer, half), carry(there_reader, writer, half))
        for w in (writer, there_writer):
            w.close()

    server = await asyncio.start_server(session, "127.0.0.1", 0, limit=CHUNK)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


asyncio.run(main())
