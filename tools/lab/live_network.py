"""The network of the live scenarios: radios, name spaces, and the gateway as a process that can be killed."""

import asyncio
import json
import os
import re
import signal
import subprocess

import addresses
import control
import home

from pathlib import Path

HERE = Path(__file__).parent
PATIENCE = int(os.environ.get("LAB_PATIENCE", "120"))  # seconds; only to end what will never come
CLIENT = "coap-client-notls"


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def colons(eui64):
    return ":".join(eui64[i : i + 2] for i in range(0, 16, 2))


class Network:
    def __init__(self, pangate, directory):
        self.pangate = pangate
        self.directory = directory
        self.log_path = directory / "gateway.log"
        self.config = directory / "gateway.yaml"
        self.gateway = None
        self.seen = 0  # bytes of the log that a scenario has used

    # Setting up

    async def start(self):
        for number, name in enumerate(home.NODES, start=1):
            self.add_node(number, name)
        self.write_config()
        self.log_path.write_text("")
        await self.start_gateway()
        for number, name in enumerate(home.NODES, start=1):
            await self.until(lambda name=name, number=number: self.is_ready(name, number), f"{name} has a global address")
        print(f"  {len(home.NODES)} nodes have global addresses", flush=True)

    def add_node(self, number, name):
        member = home.BY_NAME[name]
        run("ip", "netns", "add", name)
        phy = re.search(rf"phy#(\d+)\n\tInterface wpan{number}\n", run("iwpan", "dev")).group(1)
        run("iwpan", "phy", f"phy{phy}", "set", "netns", "name", name)
        self.inside(name, "ip", "link", "set", "lo", "up")
        self.inside(name, "ip", "link", "set", f"wpan{number}", "address", colons(member.eui64))
        self.inside(name, "iwpan", "dev", f"wpan{number}", "set", "pan_id", f"{home.PAN_ID:#06x}")
        if member.short != 0xFFFF:
            self.inside(name, "iwpan", "dev", f"wpan{number}", "set", "short_addr", f"{member.short:#06x}")
        # fakelb has one channel for all at first; the gateway sets its own, so the nodes need the same.
        self.inside(name, "iwpan", "phy", f"phy{phy}", "set", "channel", "0", str(home.CHANNEL))
        self.inside(name, "ip", "link", "set", f"wpan{number}", "up")
        self.inside(name, "ip", "link", "add", "link", f"wpan{number}", "name", f"lowpan{number}", "type", "lowpan")
        self.inside(name, "ip", "link", "set", f"lowpan{number}", "up")

    def inside(self, name, *command):
        return run("ip", "netns", "exec", name, *command)

    def is_ready(self, name, number):
        shown = self.inside(name, "ip", "-6", "-o", "addr", "show", "dev", f"lowpan{number}")
        return "scope global" in shown and "tentative" not in shown

    def write_config(self):
        identities = self.directory / "identities"
        self.config.write_text(
            f"""pan:
  id: {home.PAN_ID:#06x}
  channel: {home.CHANNEL}
radio:
  url: linux:wpan0
  eui64: {home.GATEWAY_EUI64}
  short: {home.GATEWAY_SHORT:#06x}
prefix: {home.PREFIX}
state: {self.directory}/state
control: /run/pangate.control
advertisement-seconds: 4
identity: {identities}/gateway.pem
group:
  oracle: {identities}/oracle.pem
  peer-record: {identities}/peer-record-gateway.cose
relay:
  identity: {identities}/relay.pem
  access-list: {identities}/access-list.cose
demo:
  owner: {identities}/owner.pem
  print: true
"""
        )

    # The gateway

    async def start_gateway(self):
        log = open(self.log_path, "ab")
        self.gateway = await asyncio.create_subprocess_exec(
            self.pangate, "gateway", "--config", self.config, "--log-level", "debug", stdout=log, stderr=log
        )
        await self.said(r"radio is up")

    async def stop(self):
        self.gateway.send_signal(signal.SIGTERM)
        code = await asyncio.wait_for(self.gateway.wait(), PATIENCE)
        assert code == 0, f"the gateway ended with {code}"

    async def kill_gateway(self):
        self.gateway.kill()
        await self.gateway.wait()

    def status(self):
        return json.loads(self.ask("status", "--json"))

    def ask(self, command, *arguments):
        return run(self.pangate, command, "--control", "/run/pangate.control", *arguments)

    def send(self, node, coap):
        return self.ask("send", "--to", node, "--coap", coap)

    # Waiting

    async def until(self, condition, what):
        async with asyncio.timeout(PATIENCE):
            while True:
                value = condition()
                if value:
                    return value
                assert self.gateway is None or self.gateway.returncode is None, "the gateway has ended"
                await asyncio.sleep(0.05)
        raise AssertionError(what)

    async def said(self, pattern):
        """Waits until the gateway's log has a line with `pattern`, behind those that were waited for before."""

        def find():
            text = self.log_path.read_bytes()[self.seen :]
            found = re.search(pattern.encode() + rb"[^\n]*\n", text)
            if found:
                self.seen += found.end()
            return found and found.group(0).decode().strip()

        try:
            line = await self.until(find, pattern)
        except TimeoutError:
            raise AssertionError(f"the gateway never said '{pattern}'") from None
        return line

    # Nodes

    def gateway_address(self, number, form="link-local"):
        eui64 = home.GATEWAY_EUI64
        if form == "link-local":
            return f"[{addresses.link_local(eui64)}%lowpan{number}]"
        return f"[{addresses.global_address(eui64)}]"

    async def coap(self, name, method, path, *options, form="link-local", data=None, text=True):
        """What coap-client prints, in the node's name space."""
        number = home.NODES.index(name) + 1
        arguments = ["-m", method, "-B", "60", *options]
        if data is not None:
            arguments += ["-e", data]
        process = await asyncio.create_subprocess_exec(
            *("ip", "netns", "exec", name, CLIENT, *arguments),
            f"coap://{self.gateway_address(number, form)}{path}",
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
        return output.decode(errors="replace").strip() if text else output

    async def program(self, name, script):
        """A Python device (aiocoap) in the node's name space."""
        number = home.NODES.index(name) + 1
        device = await control.Program.start(
            name, [HERE / script, name, f"lowpan{number}"], lambda *_: None, namespace=name
        )
        await device.ready()
        return device
