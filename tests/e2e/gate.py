# SPDX-License-Identifier: Apache-2.0
"""A TCP gate between netbuild and one server, which a test can shut in several ways. Only the standard
library; all gates live on one event loop in a thread of their own."""
import asyncio
import contextlib
import socket
import struct
import threading

CHUNK_BYTES_MAX = 64 * 1024
UP, DOWN = "up", "down"  # to the server; to netbuild


class Loop:
    """One event loop for all gates of a test."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(timeout=30)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()


class Connection:
    def __init__(self, near):
        self.near, self.far = near, None

    def reset(self):
        """Both ends get a RST: what is on its way is gone."""
        for writer in (self.near, self.far):
            if writer:
                with contextlib.suppress(OSError):  # it may be closed already
                    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()

    def close(self):
        for writer in (self.near, self.far):
            if writer:
                writer.close()


class Gate:
    """Listens on `port` and passes on to `target`. Faults stay until heal().

      cut()             ends all connections and refuses new ones
      reset()           RST on all connections; new ones work
      delay(seconds)    each piece comes so much later, both ways
      throttle(rate)    bytes a second, both ways
      stall(direction)  half-open: connections stay, and new ones are accepted, but nothing passes, in one
                        direction or in both
    """

    def __init__(self, loop, port, target):
        self.loop, self.port, self.target = loop, port, target
        self.server, self.connections = None, set()
        self.delay_s, self.rate, self.stalled = 0.0, None, set()
        self.passing = self.loop.run(self._event())
        self.loop.run(self._listen())

    @staticmethod
    async def _event():
        event = asyncio.Event()
        event.set()
        return event

    async def _listen(self):
        self.server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    async def _accept(self, reader, writer):
        connection = Connection(writer)
        self.connections.add(connection)
        try:
            if len(self.stalled) == 2:  # half-open: accepted, and that is all
                await self.passing.wait()
            far_reader, connection.far = await asyncio.open_connection("127.0.0.1", self.target)
            await asyncio.gather(self._pump(reader, connection.far, UP), self._pump(far_reader, writer, DOWN))
        except OSError:
            connection.reset()
        finally:
            connection.close()
            self.connections.discard(connection)

    async def _pump(self, reader, writer, direction):
        while data := await reader.read(CHUNK_BYTES_MAX):
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            left = len(data)
            while self.rate and left > 0:  # in steps: a healed gate does not go on slowly
                await asyncio.sleep(0.05)
                left -= 0.05 * (self.rate or left / 0.05)
            while direction in self.stalled:
                await self.passing.wait()
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()

    async def _close_all(self, reset):
        for connection in list(self.connections):
            connection.reset() if reset else connection.close()

    # --- from the test's thread

    def cut(self):
        async def work():
            if self.server:
                self.server.close()
                self.server = None
            await self._close_all(reset=False)
        self.loop.run(work())

    def reset(self):
        self.loop.run(self._close_all(reset=True))

    def delay(self, seconds):
        self.delay_s = seconds

    def throttle(self, bytes_per_second):
        self.rate = bytes_per_second

    def stall(self, *directions):
        async def work():
            self.stalled = set(directions or (UP, DOWN))
            self.passing.clear()
        self.loop.run(work())

    def heal(self):
        async def work():
            self.delay_s, self.rate, self.stalled = 0.0, None, set()
            self.passing.set()
            if not self.server:
                await self._listen()
        self.loop.run(work())

    def close(self):
        self.cut()
