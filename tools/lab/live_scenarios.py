"""What happens in the live scenarios. Each takes the running network and leaves it running."""

import asyncio
import subprocess
from pathlib import Path

import addresses
import home
from live_network import CLIENT, PATIENCE, run

SENSOR = "sensor1"
TEXT = ("-t", "0")  # content format text/plain


async def demo(network):
    """A reading to the owner and a held command back, with nothing but coap-client."""
    answer = await network.coap(SENSOR, "post", "/e", *TEXT, data="21.5 Cel")
    assert not answer, answer  # coap-client prints errors, and nothing for 2.04
    print(f"  {SENSOR} POST /e '21.5 Cel'", flush=True)
    print("  " + await network.said(rf"delivered {SENSOR} owner .*21\.5 Cel"), flush=True)
    print("  owner: " + network.send(SENSOR, "PUT /interval 60").strip(), flush=True)
    await network.said(rf"held owner {SENSOR}")
    path = network.directory / "command.cose"
    path.write_bytes(b"")
    await network.coap(SENSOR, "get", "/e", "-o", str(path))
    shown = run(network.pangate, "envelope", "inspect", str(path))
    assert "PUT /interval" in shown and "60" in shown, shown
    print(f"  {SENSOR} GET /e: an envelope of {path.stat().st_size} bytes, PUT /interval 60", flush=True)
    print("  " + await network.said(rf"handed owner {SENSOR}"), flush=True)
    await network.coap(SENSOR, "get", "/e?done=1")
    print("  " + await network.said(rf"confirmed {SENSOR}"), flush=True)


async def privileges(network):
    """One thread may configure radios; the others, which see what comes from outside, may nothing."""
    tasks = Path(f"/proc/{network.gateway.pid}/task")
    effective = [
        int(line.split()[1], 16)
        for task in tasks.iterdir()
        for line in (task / "status").read_text().splitlines()
        if line.startswith(("CapEff:", "CapPrm:"))
    ]
    network_only = 1 << 12 | 1 << 13  # CAP_NET_ADMIN, CAP_NET_RAW
    assert sorted(set(effective)) == [0, network_only], effective
    assert effective.count(network_only) == 2, effective
    print(f"  {len(effective) // 2} threads, one of them with capabilities: network only", flush=True)


async def ping(network):
    """Small, 600 and 1,200 bytes, to both addresses of the gateway."""
    for form in ["link-local", "global"]:
        host = network.gateway_address(3, form).strip("[]")
        for size in [12, 600, 1200]:
            for _ in range(3):
                # One at a time: with several, ping waits for the last answer no longer than the others took.
                shown = network.inside(SENSOR, "ping", "-6", "-n", "-c", "1", "-W", "60", "-s", str(size), host)
                assert "1 received" in shown, shown
            print(f"  {size} bytes to {form}, three times: {shown.splitlines()[1]}", flush=True)


async def coap(network):
    """Discovery, errors, block-wise, several forms of addresses, with coap-client."""
    links = await network.coap(SENSOR, "get", "/.well-known/core")
    assert "</e>" in links and "</rd>" in links, links
    for form in ["link-local", "global"]:
        await network.coap(SENSOR, "post", "/e", *TEXT, data=f"reading {form}", form=form)
        await network.said(rf"delivered {SENSOR} owner .*reading {form}")
    long = "0123456789" * 60
    await network.coap(SENSOR, "post", "/e", *TEXT, "-b", "64", data=long)
    await network.said(rf"delivered {SENSOR} owner .*{long}")
    missing = await network.coap(SENSOR, "get", "/nothing")
    assert "4.04" in missing, missing
    registered = await network.coap(
        SENSOR, "post", f"/rd?ep={SENSOR}&lt=3600", "-t", "40", data="</temperature>;rt=temperature"
    )
    assert "4." not in registered, registered
    print("  " + await network.said(rf"registered {SENSOR} gateway as {SENSOR} for 3600 s"), flush=True)
    node = next(node for node in network.status()["nodes"] if node["name"] == SENSOR)
    assert node["endpoint"] == SENSOR and node["addresses"], node


async def lamp(network):
    """A plain CoAP server is commanded through an envelope, and its answer comes back as one."""
    number = home.NODES.index("lamp") + 1
    server = await network.program("lamp", "lamp.py")
    try:
        # It says that it is there.
        await network.coap("lamp", "post", "/e", *TEXT, data="on line")
        await network.said(r"delivered lamp owner .*on line")
        network.send("lamp", "PUT /light on")
        print("  " + await network.said(r"asked owner lamp"), flush=True)
        print("  " + await network.said(r"answered lamp owner 2\.04"), flush=True)
        print("  " + await network.said(r"delivered lamp owner"), flush=True)
        network.send("lamp", "GET /light")
        print("  " + await network.said(r"answered lamp owner 2\.05"), flush=True)
        await network.said(r"delivered lamp owner .*on")
        network.send("lamp", "GET /missing")
        await network.said(r"answered lamp owner 4\.04")
    finally:
        await server.stop()
    assert number


async def lock(network):
    """A node that signs, sleeps and polls (aiocoap)."""
    device = await network.program("lock", "device.py")
    await device.do("report", label="closed", records=[["bolt", None, "closed"]])
    print("  " + await network.said(r"delivered lock owner .*bolt closed"), flush=True)
    network.send("lock", "PUT /lock open")
    await network.said(r"held owner lock")
    polled = await device.do("poll", confirm="get", via="global", block=64)
    assert polled["obeyed"] == ["PUT /lock open"], polled
    print("  " + await network.said(r"confirmed lock"), flush=True)
    print("  " + await network.said(r"delivered lock owner .*receipt delivered for 'lock: PUT /lock open'"), flush=True)
    await device.stop()


async def restart(network):
    """kill -9 of the gateway while nodes go on; what was acknowledged is there, what is held is handed."""
    network.send(SENSOR, "PUT /interval 30")
    await network.said(rf"held owner {SENSOR}")
    await network.kill_gateway()
    posting = asyncio.create_task(network.coap(SENSOR, "post", "/e", *TEXT, data="while you were away"))
    await network.start_gateway()
    await posting
    print("  " + await network.said(rf"delivered {SENSOR} owner .*while you were away"), flush=True)
    held = next(node["held"] for node in network.status()["nodes"] if node["name"] == SENSOR)
    assert held >= 1, held
    path = network.directory / "after.cose"
    await network.coap(SENSOR, "get", "/e", "-o", str(path))
    shown = run(network.pangate, "envelope", "inspect", str(path))
    assert "PUT /interval" in shown, shown
    print("  " + await network.said(rf"handed owner {SENSOR}"), flush=True)


async def isolation(network):
    """Nothing from the PAN goes to the LAN, nothing from the LAN to the PAN, though the host forwards."""
    number = home.NODES.index(SENSOR) + 1
    run("ip", "-6", "addr", "add", "fd99::1/64", "dev", "lo", "nodad")
    with open("/proc/sys/net/ipv6/conf/all/forwarding", "w") as file:
        file.write("1")
    network.inside(SENSOR, "ip", "-6", "route", "replace", "fd99::/64", "via",
                   addresses.link_local(home.GATEWAY_EUI64), "dev", f"lowpan{number}")
    out = subprocess.run(
        ["ip", "netns", "exec", SENSOR, "ping", "-6", "-n", "-c", "2", "-W", "5", "fd99::1"],
        capture_output=True, text=True,
    )
    assert out.returncode != 0 and "prohibited" in out.stdout, out.stdout
    print(f"  from the PAN: {out.stdout.splitlines()[1]}", flush=True)
    node = addresses.global_address(home.BY_NAME[SENSOR].eui64)
    into = subprocess.run(["ping", "-6", "-n", "-c", "1", "-W", "2", node], capture_output=True, text=True)
    assert into.returncode != 0, into.stdout
    print(f"  into the PAN: {(into.stdout + into.stderr).strip().splitlines()[0]}", flush=True)


async def interface(network):
    """The interface goes away and comes back."""
    run("ip", "link", "set", "wpan0", "down")
    print("  " + await network.said(r"radio is down"), flush=True)
    await network.said(r"radio is up")
    await network.coap(SENSOR, "post", "/e", *TEXT, data="up again")
    print("  " + await network.said(rf"delivered {SENSOR} owner .*up again"), flush=True)


async def twenty(network):
    """Every sensor at once."""
    work = [network.coap(name, "post", "/e", *TEXT, data=f"from {name}") for name in home.SENSORS]
    await asyncio.wait_for(asyncio.gather(*work), PATIENCE * 2)

    def missing():
        text = network.log_path.read_text(errors="replace")
        return [name for name in home.SENSORS if f"from {name} (vouched" not in text]

    await network.until(lambda: not missing(), "every reading is delivered")
    print(f"  {len(home.SENSORS)} nodes, {len(home.SENSORS)} readings at the owner", flush=True)
    text = network.log_path.read_text(errors="replace")
    for name in home.SENSORS:
        assert text.count(f"delivered {name} owner no-consequence") >= 1
