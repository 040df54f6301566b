"""Figures of the live gateway over ZEP: bench_gateway.py PANGATE [--quick]."""

import asyncio
import json
import os
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
QUICK = "--quick" in sys.argv
SENSORS = 50 if QUICK else 1000
HELD = 1000 if QUICK else 100_000
ROUNDS = 200 if QUICK else 1000
os.environ["LAB_LIVE_NODES"] = str(SENSORS)
# Kept in memory where that can be: what is measured is the gateway, not the disk.
WORK = Path(tempfile.mkdtemp(prefix="pangate-bench-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
os.environ["LAB_IDENTITIES"] = str(WORK / "identities")
sys.path[:0] = [str(HERE), str(HERE.parent / "peers")]

import aiocoap  # noqa: E402
import aiocoap.resource  # noqa: E402
import home  # noqa: E402
import make_demo_home  # noqa: E402
import zepnode  # noqa: E402

PORT = 21754
GATEWAY = bytes.fromhex(home.GATEWAY_EUI64)


def config(state):
    identities = WORK / "identities"
    path = WORK / "gateway.yaml"
    path.write_text(
        f"""pan: {{id: {home.PAN_ID:#06x}, channel: {home.CHANNEL}}}
radio: {{url: "zep://127.0.0.1:{PORT}", eui64: {home.GATEWAY_EUI64}, short: {home.GATEWAY_SHORT:#06x}}}
prefix: {home.PREFIX}
state: {state}
control: {WORK}/control
limits: {{neighbors: 4096}}
identity: {identities}/gateway.pem
group: {{oracle: {identities}/oracle.pem, peer-record: {identities}/peer-record-gateway.cose}}
relay: {{identity: {identities}/relay.pem, access-list: {identities}/access-list.cose}}
demo: {{owner: {identities}/owner.pem}}
"""
    )
    return path


def start(pangate, state):
    log = open(WORK / "log", "ab")
    return subprocess.Popen([pangate, "gateway", "--config", config(state), "--log-level", "warning"], stderr=log)


def stop(process):
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 0


def node(name):
    return zepnode.Node(("127.0.0.1", PORT), bytes.fromhex(home.BY_NAME[name].eui64), GATEWAY, home.PAN_ID, home.CHANNEL)


def first_frame(pangate, state):
    """Seconds from the start of the process until it has acknowledged a frame."""
    begun = time.perf_counter()
    process = start(pangate, state)
    device = None
    while True:
        try:
            device = device or node("sensor1")
            device.sequence = (device.sequence + 1) % 256
            control = 0x0041 | 3 << 14 | 3 << 10 | 0x20
            frame = struct.pack("<HBH", control, device.sequence, home.PAN_ID) + GATEWAY[::-1] + device.eui64[::-1]
            device.put(frame + b"\x41")
            if device.raw(time.monotonic() + 0.002) is not None:
                return process, time.perf_counter() - begun
        except ConnectionRefusedError:
            device = None
            time.sleep(0.001)


def register(name):
    """A neighbour solicitation with ARO for the node's link-local address (RFC 6775, 5.5)."""
    device = node(name)
    source, gateway = zepnode.link_local(device.eui64), zepnode.link_local(GATEWAY)
    aro = struct.pack("!BBBBHH", 33, 2, 0, 0, 0, 600) + device.eui64
    body = struct.pack("!BBHI", 135, 0, 0, 0) + gateway.packed + b"\x01\x02" + device.eui64 + bytes(6) + aro
    value = zepnode.checksum(source, gateway, 58, body)
    body = body[:2] + struct.pack("!H", value) + body[4:]
    device.send_packet(device.packet(58, 255, gateway, body), GATEWAY)
    packet = device.receive_packet(time.monotonic() + 30)
    assert packet[40] == 136, packet.hex()
    device.socket.close()


class Control:
    def __init__(self):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(WORK / "control"))
        self.file = self.socket.makefile("rwb")

    def ask(self, request):
        self.file.write(json.dumps(request).encode() + b"\n")
        self.file.flush()
        return json.loads(self.file.readline())


def memory(process):
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return {key: int(value.split()[0]) / 1024 for key, value in (line.split(":") for line in lines if line.startswith("Vm"))}


def round_trips():
    device = node("sensor1")
    times = []
    for number in range(ROUNDS):
        begun = time.perf_counter()
        response = device.request(aiocoap.POST, ["e"], f"{number:020d}".encode(), 0)
        assert response.code.is_successful(), response.code
        times.append(time.perf_counter() - begun)
    return times


class Sink(aiocoap.resource.Resource):
    async def render_post(self, request):
        return aiocoap.Message(code=aiocoap.CHANGED)


async def serve():
    site = aiocoap.resource.Site()
    site.add_resource(["e"], Sink())
    await aiocoap.Context.create_server_context(site, bind=("::1", 21755))
    print("ready", flush=True)
    await asyncio.get_running_loop().create_future()


async def plain():
    server = await asyncio.create_subprocess_exec(sys.executable, __file__, "serve", stdout=asyncio.subprocess.PIPE)
    await server.stdout.readline()
    client = await aiocoap.Context.create_client_context()
    times = []
    for number in range(ROUNDS):
        begun = time.perf_counter()
        message = aiocoap.Message(
            code=aiocoap.POST, uri="coap://[::1]:21755/e", payload=f"{number:020d}".encode(), content_format=0
        )
        response = await client.request(message).response
        assert response.code.is_successful()
        times.append(time.perf_counter() - begun)
    server.terminate()
    await client.shutdown()
    return times


def main(pangate):
    make_demo_home.main(False)
    starts = []
    for number in range(5):
        process, seconds = first_frame(pangate, WORK / "state-start")
        stop(process)
        starts.append(seconds)
    print(f"start to first acknowledged frame: {statistics.median(starts) * 1000:.0f} ms (median of 5), state is there")

    process = start(pangate, WORK / "state")
    while not (WORK / "control").exists():
        time.sleep(0.01)
    time.sleep(0.2)
    ours = round_trips()
    theirs = asyncio.run(plain())
    median = statistics.median
    print(
        f"round trip of a 20-byte POST, {ROUNDS} times: gateway over ZEP {median(ours) * 1e6:.0f} us, aiocoap over UDP "
        f"{median(theirs) * 1e6:.0f} us; ratio {median(ours) / median(theirs):.2f}"
    )
    print(f"memory before: {memory(process)['VmRSS']:.1f} MiB")
    for name in home.SENSORS:
        register(name)
    control = Control()
    begun = time.perf_counter()
    for number in range(HELD):
        name = home.SENSORS[number % len(home.SENSORS)]
        reply = control.ask({"send": {"_0": f"{name}: PUT /interval {number}"}})
        assert "sent" in reply, reply
    seconds = time.perf_counter() - begun
    status = control.ask({"status": {}})["status"]["_0"]
    held = sum(entry["held"] for entry in status["nodes"])
    print(f"{HELD} commands signed, relayed and held in {seconds:.0f} s ({HELD / seconds:.0f} a second)")
    print(
        f"memory with {status['registered']} registered addresses and {held} held messages: "
        f"{memory(process)['VmRSS']:.1f} MiB, peak {memory(process)['VmHWM']:.1f} MiB"
    )
    # What was needed once is given back once a minute.
    time.sleep(5 if QUICK else 70)
    print(f"a minute later: {memory(process)['VmRSS']:.1f} MiB")
    stop(process)
    process, seconds = first_frame(pangate, WORK / "state")
    time.sleep(10)
    print(f"after a restart with all of that: first frame {seconds * 1000:.0f} ms, memory {memory(process)['VmRSS']:.1f} MiB")
    stop(process)
    subprocess.run(["rm", "-rf", str(WORK)], check=True)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        asyncio.run(serve())
    else:
        main(sys.argv[1])
