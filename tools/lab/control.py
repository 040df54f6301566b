"""How the scenario drives the programs of the recording: one JSON object a line, on stdin and stdout."""

import asyncio
import json
import sys


async def serve(handle):
    """Runs `handle(command)` for every command on stdin, one at a time, and answers with what it returns."""
    loop = asyncio.get_running_loop()
    tell({"ready": True})
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        command = json.loads(line)
        try:
            answer = await handle(command)
        except Exception as error:  # the scenario decides what a failure means
            answer = {"error": f"{type(error).__name__}: {error}"}
        tell({"answer": command["id"]} | (answer or {}))


def tell(event):
    print(json.dumps(event), flush=True)


class Program:
    """A program of the recording, seen from the scenario."""

    def __init__(self, name, process, on_event):
        self.name = name
        self.process = process
        self._on_event = on_event
        self._pending = {}
        self._next = 1
        self._ready = asyncio.get_running_loop().create_future()
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, name, arguments, on_event, namespace=None):
        prefix = ["ip", "netns", "exec", namespace] if namespace else []
        process = await asyncio.create_subprocess_exec(
            *prefix, sys.executable, *arguments, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        return cls(name, process, on_event)

    async def ready(self):
        await asyncio.wait_for(asyncio.shield(self._ready), 60)

    async def _read(self):
        while line := await self.process.stdout.readline():
            event = json.loads(line)
            if "ready" in event:
                self._ready.set_result(True)
            elif "answer" in event:
                self._pending.pop(event["answer"]).set_result(event)
            else:
                self._on_event(self.name, event)
        failure = RuntimeError(f"{self.name} ended early")
        for future in [self._ready, *self._pending.values()]:
            if not future.done():
                future.set_exception(failure)

    async def do(self, op, **arguments):
        """Sends a command and waits for its answer."""
        number, self._next = self._next, self._next + 1
        future = self._pending[number] = asyncio.get_running_loop().create_future()
        line = json.dumps({"id": number, "op": op} | arguments) + "\n"
        self.process.stdin.write(line.encode())
        await self.process.stdin.drain()
        answer = await asyncio.wait_for(future, 120)
        if "error" in answer:
            raise RuntimeError(f"{self.name}, {op}: {answer['error']}")
        return answer

    async def stop(self):
        self.process.stdin.close()
        await self.process.wait()
        await self._reader
