"""Idle connections and busy ones for a long time: what a connection costs, and that the relay's memory does not grow.

relay_soak.py [--pangate FILE] [--idle N] [--busy N] [--minutes M] [--rate R]

First what an idle connection with a session costs, over TCP and over TLS: resident memory with N of them, less that before
them, by N; each in a relay that was just started and has served some others. Then the N idle ones over TLS stay, while busy
ones, half over TCP and half over TLS, send to each other at a moderate rate, and now and then end and come anew. A
violation is: memory that still grows after the warm-up, the first quarter of the time; an idle connection that was ended;
an envelope that was refused, or answered 2.04 and not delivered; messages held in the end.

Identities are made once and kept in .build-soak, as each session needs one of its own. Prints a JSON summary.
"""

import argparse
import asyncio
import gc
import json
import random
import statistics
import sys
import time

import relay_lab as lab

# What memory may grow by from the second quarter to the last, as part and in bytes: noise of the allocator.
GROWTH_PART, GROWTH_BYTES = 0.04, 2 << 20
AT_ONCE = 32


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    lab.add_arguments(parser)
    parser.add_argument("--idle", type=int, default=2000, help="idle connections")
    parser.add_argument("--busy", type=int, default=200, help="busy connections")
    parser.add_argument("--minutes", type=float, default=10, help="length of the busy part")
    parser.add_argument("--rate", type=float, default=100, help="envelopes a second of all busy connections")
    parser.add_argument("--churn", type=float, default=1, help="busy connections that end and come anew each second")
    return parser.parse_args()


class Soak:
    def __init__(self, options, folder):
        self.options = options
        self.folder = folder
        busy = [f"busy{index}" for index in range(options.busy)]
        # Each sends to the next two.
        members = {
            name: [busy[(index + step) % len(busy)] for step in (1, 2)] for index, name in enumerate(busy)
        }
        members |= {f"idle{index}": ["owner"] for index in range(options.idle)}
        lab.note(f"identities of {len(members)} members ...")
        store = lab.ROOT / ".build-soak" / f"group-{options.idle}-{options.busy}"
        self.group = lab.make_group(store, members)
        self.idle = [self.group[f"idle{index}"] for index in range(options.idle)]
        self.busy = [self.group[name] for name in busy]
        self.tls, self.plain = "coaps+tcp", "coap+tcp"
        self.relays = 0

    def new_relay(self):
        self.relays += 1
        extra = (
            "limits: {connections: 100000, connections-per-address: 100000, ping-seconds: 60}\n"
            "queue: {messages-per-mailbox: 100000, bytes-per-mailbox: 1073741824}\n"
        )
        listen = [f"{scheme}://127.0.0.1:0" for scheme in (self.tls, self.plain)]
        return lab.Relay(
            lab.program(self.options), self.group, self.folder / f"relay{self.relays}", listen, extra
        )

    async def connect(self, relay, scheme, identities, take=None):
        """A session for each, a few at a time."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(identity):
            async with gate:
                return await lab.Client.open(relay.url(scheme), identity, self.group.relay, take, timeout=120)

        return await asyncio.gather(*(one(identity) for identity in identities))

    async def end(self, relay, clients):
        for client in clients:
            client.close()
        await lab.until(lambda: not any(client.is_open for client in clients), 60, "connections end")
        await lab.until(lambda: not relay.status()["sessions"], 60, "the relay ends its sessions", interval=0.5)

    async def steady(self, relay):
        """Memory once it has stopped changing: three samples that are alike, or the last of ten seconds."""
        last = []
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            last.append(relay.memory()["VmRSS"])
            if len(last) >= 3 and max(last[-3:]) - min(last[-3:]) <= 64 << 10:
                break
            await asyncio.sleep(0.5)
        return last[-1]

    async def cost(self, scheme):
        """Bytes of one idle connection, in a relay that has served others before."""
        relay = self.new_relay()
        await relay.start()
        try:
            first = await self.connect(relay, scheme, self.busy[:50])
            await self.end(relay, first)
            before = await self.steady(relay)
            clients = await self.connect(relay, scheme, self.idle)
            after = await self.steady(relay)
            sessions = len(relay.status()["sessions"])
            if sessions != len(clients):
                raise lab.Violation(f"{sessions} sessions of {len(clients)} connections")
            await self.end(relay, clients)
            left = await self.steady(relay)
            relay.stop()
        finally:
            if relay.process.poll() is None:
                relay.kill()
        each = round((after - before) / len(clients))
        lab.note(
            f"{scheme}: {len(clients)} idle connections, {each} bytes each "
            f"({before >> 10} KiB before, {after >> 10} with them, {left >> 10} after they ended)"
        )
        return each

    # MARK: Busy

    async def busy_one(self, index):
        """Connects, sends to the next two at the common pace, and now and then connects anew."""
        identity = self.busy[index]
        url = self.relay.url(self.tls if index % 2 else self.plain)
        to = [self.busy[(index + step) % len(self.busy)] for step in (1, 2)]
        unanswered = {}

        def answered(data, code, reason):
            unanswered.pop(lab.name_of(data)[1], None)
            if code == lab.CHANGED:
                self.accepted.add(lab.name_of(data))
            else:
                self.wrong.append(f"{lab.code_text(code)} {reason}")

        def take(data):
            self.taken.add((index, *lab.name_of(data)))
            self.deliveries += 1
            return True

        sequence = int(time.time()) << 20
        while not self.over:
            client = await lab.Client.open(url, identity, self.group.relay, take, timeout=60)
            self.connects += 1
            self.open_busy[index] = client
            try:
                await client.submit(list(unanswered.values()), answered)
                while not self.over and client.is_open:
                    await self.pace()
                    sequence += 1
                    data = lab.sign(identity, to, sequence, b"x" * self.draw.choice((10, 40, 200, 1000)), 3600)
                    unanswered[sequence] = data
                    await client.submit([data], answered)
            except lab.Lost:
                # Ended by the churn; what was not answered goes first when it is back.
                if index not in self.churned:
                    self.wrong.append(f"a busy connection was lost: {client.reason}")
            self.churned.discard(index)
        self.unanswered += len(unanswered)

    async def churn(self):
        pace = lab.Pace(self.options.churn) if self.options.churn > 0 else None
        while pace and not self.over:
            await pace()
            index = self.draw.randrange(len(self.busy))
            client = self.open_busy.get(index)
            if client and client.is_open:
                self.churned.add(index)
                client.abort()

    async def soak(self):
        self.relay = relay = self.new_relay()
        self.draw = random.Random(1)
        self.accepted, self.taken, self.wrong = set(), set(), []
        self.open_busy, self.churned = {}, set()
        self.deliveries = self.connects = self.unanswered = 0
        self.over = False
        await relay.start()
        try:
            idle = await self.connect(relay, self.tls, self.idle)
            self.pace = lab.Pace(self.options.rate)
            tasks = [asyncio.create_task(self.busy_one(index)) for index in range(len(self.busy))]
            churn = asyncio.create_task(self.churn())
            samples = await self.sample(relay, tasks)
            self.over = True
            await asyncio.wait_for(asyncio.gather(churn, *tasks), 120)
            open_idle = sum(client.is_open for client in idle)
            # Sessions of the busy ones are still there and take what is on its way.
            missing = await self.drained(relay)
            cpu = self.cpu(relay)
            held = relay.status()["heldMessages"]
            relay.stop()
        finally:
            if relay.process.poll() is None:
                relay.kill()
        return self.judge(samples, open_idle, missing, held, cpu)

    @staticmethod
    def cpu(relay):
        import os

        with open(f"/proc/{relay.process.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    async def sample(self, relay, tasks):
        begun = time.monotonic()
        length = self.options.minutes * 60
        samples = []
        told = begun
        while (now := time.monotonic()) - begun < length:
            if relay.process.poll() is not None:
                raise lab.Violation(f"the relay ended by itself: {relay.process.returncode}: {relay.tail()}")
            for task in tasks:
                if task.done():
                    task.result()
            samples.append((now - begun, relay.memory()["VmRSS"]))
            if now - told >= 60:
                told = now
                lab.note(f"{now - begun:.0f} s: {samples[-1][1] >> 10} KiB, {len(self.accepted)} acknowledged")
                gc.collect()
            await asyncio.sleep(min(1, length / 40))
        return samples

    def missing(self):
        count = len(self.busy)
        address = {identity.fp: index for index, identity in enumerate(self.busy)}
        return [
            name
            for name in self.accepted
            for step in (1, 2)
            if ((address[name[0]] + step) % count, *name) not in self.taken
        ]

    async def drained(self, relay):
        """Waits until all is delivered and nothing held; what is missing if nothing has come for half a minute."""
        # Who was away in the end comes once more.
        for index, identity in enumerate(self.busy):
            if not self.open_busy[index].is_open:
                take = self.open_busy[index].take
                url = relay.url(self.plain)
                self.open_busy[index] = await lab.Client.open(url, identity, self.group.relay, take)
        deadline, seen = time.monotonic() + 30, -1
        while time.monotonic() < deadline:
            if self.deliveries != seen:
                deadline, seen = time.monotonic() + 30, self.deliveries
            if not self.missing() and relay.status()["heldMessages"] == 0:
                return []
            await asyncio.sleep(0.5)
        return self.missing()

    def judge(self, samples, open_idle, missing, held, cpu):
        length = self.options.minutes * 60
        second = [size for at, size in samples if 0.25 <= at / length < 0.5]
        last = [size for at, size in samples if at / length >= 0.75]
        early, late = statistics.median(second), statistics.median(last)
        allowed = max(early * GROWTH_PART, GROWTH_BYTES)
        result = {
            "minutes": self.options.minutes,
            "acknowledged": len(self.accepted),
            "deliveries": len(self.taken),
            "delivered_again": self.deliveries - len(self.taken),
            "connects": self.connects,
            "idle_open": open_idle,
            "missing": len(missing),
            "held": held,
            "rss_second_quarter": round(early),
            "rss_last_quarter": round(late),
            "rss_peak": max(size for _, size in samples),
            "rss_allowed_growth": round(allowed),
            "relay_cpu_seconds": round(cpu, 1),
        }
        faults = list(self.wrong[:3])
        if open_idle != len(self.idle):
            faults.append(f"{len(self.idle) - open_idle} of {len(self.idle)} idle connections were ended")
        if missing:
            faults.append(f"{len(missing)} acknowledged envelopes are not delivered")
        if held:
            faults.append(f"{held} messages are held in the end")
        if late - early > allowed:
            faults.append(f"memory grew from {round(early) >> 10} to {round(late) >> 10} KiB")
        return result, faults

    async def run(self):
        costs = {scheme: await self.cost(scheme) for scheme in (self.plain, self.tls)}
        lab.note(f"{self.options.busy} busy connections, {self.options.rate:g} envelopes a second ...")
        result, faults = await self.soak()
        summary = {
            "idle": len(self.idle),
            "busy": len(self.busy),
            "bytes_per_idle_connection": costs,
            **result,
            "faults": faults,
        }
        print(json.dumps(summary), flush=True)
        if faults:
            raise lab.Violation("; ".join(faults))


def main():
    options = arguments()
    if options.busy < 3:
        raise lab.CannotRun("--busy: at least 3")
    lab.program(options)
    # Here and at the relay, which inherits the limit.
    lab.raise_file_limit(options.idle + options.busy + 512)
    with lab.work_folder() as folder:
        asyncio.run(Soak(options, folder).run())


if __name__ == "__main__":
    sys.exit(lab.exit_code(main))
