"""The recording's script: scenario.py OUTPUT-DIRECTORY. Starts the home's programs, makes them act one after another
(or together, where it says so) and writes OUTPUT-DIRECTORY/log.jsonl: everything that was sent, and what was made of it."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import addresses
import control
import detcbor
import envelope
import home
from identity import Identity

HERE = Path(__file__).parent
PAUSE = 0.3  # between steps, so that a reader of the capture sees which frames belong together


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


class Home:
    def __init__(self, directory):
        self.log = open(directory / "log.jsonl", "w")
        self.sent = []
        self.owner = Identity.load("owner")
        self.owner_seq = 0

    def on_event(self, name, event):
        self.log.write(json.dumps({"program": name} | event) + "\n")
        self.log.flush()
        if "sent" in event:
            self.sent.append(event["sent"])
        if "acted" in event:
            print(f"    {name}: {event['acted']['path']} = {event['acted']['payload']}", flush=True)

    async def step(self, title, *work):
        print(f"  {title}", flush=True)
        answers = await asyncio.gather(*work)
        await asyncio.sleep(PAUSE)
        return answers

    async def start(self):
        start = control.Program.start
        self.standin = await start("standin", [HERE / "standin.py"], self.on_event)
        self.nodes = {}
        for number, name in enumerate(home.NODES, start=1):
            self.nodes[name] = await start(
                name, [HERE / "device.py", name, f"lowpan{number}"], self.on_event, namespace=name
            )
        number += 1
        self.intruder = await start(
            "intruder",
            [HERE / "intruder.py", f"lowpan{number}", f"wpan{number}"],
            self.on_event,
            namespace="intruder",
        )
        self.programs = [self.standin, self.intruder, *self.nodes.values()]
        await asyncio.gather(*(program.ready() for program in self.programs))

    async def stop(self):
        await asyncio.gather(*(program.stop() for program in self.programs))

    async def hold(self, node, code, path, value, ttl=86400):
        """The owner's command, signed, into the node's queue at the stand-in."""
        self.owner_seq += 1
        payload = detcbor.dumps([code, [11, path], value])
        to = Identity.load(node)
        data = envelope.make(
            self.owner,
            envelope.AUTH_ONLY,
            [to],
            self.owner_seq,
            envelope.COAP_MESSAGE,
            payload,
            ttl=ttl,
            flags=1,
        )
        self.on_event(
            "owner",
            {"command": {"time": time.time(), "to": node, "seq": self.owner_seq, "envelope": data.hex()}},
        )
        await self.standin.do("hold", node=node, envelope=data.hex())

    def report(self, node, label, *records, **more):
        return self.nodes[node].do("report", label=label, records=records, **more)

    async def unanswered_at_first(self, work):
        """Runs `work` while the stand-in does not answer, until its request has been heard twice."""
        heard = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x86DD))
        heard.bind(("lowpan0", 0))
        heard.setblocking(False)
        os.kill(self.standin.process.pid, signal.SIGSTOP)
        try:
            task = asyncio.ensure_future(work)
            requests = 0
            async with asyncio.timeout(60):
                while requests < 2:
                    packet = await asyncio.get_running_loop().sock_recv(heard, 1280)
                    requests += packet[6] == 17 and packet[42:44] == (5683).to_bytes(2, "big")
        finally:
            os.kill(self.standin.process.pid, signal.SIGCONT)
            heard.close()
        return await task

    async def fragments_lost(self, node, interface, work):
        """Runs `work` while of the node's frames only the first gets through, until others were lost."""
        tc = ("ip", "netns", "exec", node, "tc")
        # Gilbert-Elliott: the first frame takes the channel from good to bad, where it stays and all is lost.
        run(
            *tc,
            "qdisc",
            "add",
            "dev",
            interface,
            "root",
            "netem",
            "loss",
            "gemodel",
            "100%",
            "0%",
            "100%",
            "0%",
        )
        task = asyncio.ensure_future(work)
        async with asyncio.timeout(60):
            while True:
                state = json.loads(run(*tc, "-s", "-j", "qdisc", "show", "dev", interface))[0]
                if state["drops"]:
                    break
                await asyncio.sleep(0.05)
        run(*tc, "qdisc", "del", "dev", interface, "root")
        return await task

    async def frames_doubled(self, node, interface, work):
        """Runs `work` while every frame of the node leaves twice, with the same MAC sequence number."""
        tc = ("ip", "netns", "exec", node, "tc")
        run(*tc, "qdisc", "add", "dev", interface, "root", "netem", "duplicate", "100%")
        try:
            return await work
        finally:
            run(*tc, "qdisc", "del", "dev", interface, "root")

    async def play(self):
        gateway = addresses.link_local(home.GATEWAY_EUI64), addresses.global_address(home.GATEWAY_EUI64)
        lock, thermostat = self.nodes["lock"], self.nodes["thermostat"]
        occupancy = self.nodes["occupancy"]
        report, step = self.report, self.step

        await step("pings", self.nodes["temperature"].do("ping", to=gateway[0]))
        await step("ping, global", self.nodes["rain"].do("ping", to=gateway[1]))

        await step("temperature, plain", report("temperature", "21.5 Cel", ("temperature", "Cel", 21.5)))
        await step(
            "rain, plain, global", report("rain", "0.2 mm", ("rain", "mm", 0.2), json=True, via="global")
        )
        await step("lock, signed", report("lock", "bolt closed", ("bolt", None, "closed")))
        await step(
            "thermostat, signed, global",
            report(
                "thermostat",
                "five values",
                ("temperature", "Cel", 20.75),
                ("setpoint", "Cel", 19.5),
                ("humidity", "%RH", 41.5),
                ("valve", "%", 37),
                ("battery", "V", 2.875),
                via="global",
            ),
        )
        await step("occupancy, confidential", report("occupancy", "1 person", ("persons", "count", 1)))
        await step(
            "three at once",
            report("occupancy", "2 persons", ("persons", "count", 2), via="global"),
            report("thermostat", "temperature", ("temperature", "Cel", 20.5)),
            report("temperature", "21.75 Cel", ("temperature", "Cel", 21.75), via="global"),
        )

        await self.hold("lock", 3, b"lock", b"open")
        await self.hold("thermostat", 3, b"setpoint", b"20.5")
        (polled,) = await step("the lock wakes", lock.do("poll", confirm="get"))
        assert polled["obeyed"] == ["PUT /lock open"], polled
        await step("lock, signed", report("lock", "bolt open", ("bolt", None, "open")))
        (polled,) = await step(
            "the thermostat wakes, block-wise",
            thermostat.do("poll", confirm="delete", via="global", block=64),
        )
        assert polled["obeyed"] == ["PUT /setpoint 20.5"], polled
        await step("thermostat, signed", report("thermostat", "set point", ("setpoint", "Cel", 20.5)))

        await step(
            "rain, not answered at first",
            self.unanswered_at_first(report("rain", "0.4 mm", ("rain", "mm", 0.4), json=True)),
        )
        await step(
            "thermostat, fragments lost",
            self.fragments_lost(
                "thermostat",
                "wpan2",
                report("thermostat", "two values", ("temperature", "Cel", 20.625), ("valve", "%", 45)),
            ),
        )
        await step(
            "temperature, each frame doubled",
            self.frames_doubled(
                "temperature", "wpan5", report("temperature", "21.25 Cel", ("temperature", "Cel", 21.25))
            ),
        )
        await step(
            "occupancy, two readers, block-wise",
            report(
                "occupancy",
                "a day",
                *((f"h{hour:02}", "count", hour % 3) for hour in range(6, 22)),
                readers=2,
                block=64,
            ),
        )

        signed_by_lock = next(sent for sent in self.sent if sent.get("label") == "bolt closed")
        one = [("bolt", None, "open")]
        await step("forged", self.intruder.do("forge"))
        await step(
            "replayed",
            self.intruder.do("replay", payload=signed_by_lock["payload"], seq=signed_by_lock["seq"]),
        )
        await step("downgraded", lock.do("misbehave", how="plain", records=one))
        await step("seq used twice", lock.do("misbehave", how="same-seq", records=[("bolt", None, "jammed")]))
        value = [("temperature", "Cel", 20.5)]
        await step("truncated", thermostat.do("misbehave", how="truncated", records=value))
        await step("expired", thermostat.do("misbehave", how="expired", records=value, via="global"))
        await step("not allowed", thermostat.do("misbehave", how="not-allowed", records=value))
        persons = [("persons", "count", 0)]
        await step("class too weak", occupancy.do("misbehave", how="weak", records=persons))
        await step("not confidential", occupancy.do("misbehave", how="not-confidential", records=persons))
        await step("unknown sender", self.intruder.do("stranger"))
        await step("unknown radio", self.intruder.do("plain"))
        await step("broken frames", self.intruder.do("bad_frames"))

        await step("after all that: lock", report("lock", "bolt open", ("bolt", None, "open"), via="global"))
        await step("occupancy", report("occupancy", "nobody", ("persons", "count", 0)))
        await step("rain", report("rain", "1.25 mm", ("rain", "mm", 1.25), json=True))
        await step("temperature", report("temperature", "21 Cel", ("temperature", "Cel", 21)))
        (polled,) = await step("the lock wakes: nothing held", lock.do("poll", confirm="get"))
        assert polled["obeyed"] == [], polled
        (polled,) = await step("the thermostat wakes: nothing held", thermostat.do("poll", confirm="delete"))
        assert polled["obeyed"] == [], polled


async def main(directory):
    scene = Home(Path(directory))
    await scene.start()
    await scene.play()
    await scene.stop()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
