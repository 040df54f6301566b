"""Two relays in network name spaces: traffic goes on when one stops, is killed, or is black-holed; and no port is open at home.

relay_failover.py [--pangate FILE] [--sends N] [--only failover|ports]

Needs root and iproute2. Each party has a name space of its own behind a router, which forwards IPv4; a relay is black-holed by
two rules of the router that drop, without a word, what goes to it and what comes from it.

failover  A phone sends (`pangate send --wait`) to an endpoint at the gateway's place, with the gateway's identity, that
          follows (`pangate receive --follow`); both have two relays in their configuration, which have only their
          identity in common. One relay is stopped, comes back, is black-holed, comes back, is killed; then the same
          with the other. Every message has to be answered by the recipient's signed receipt within a bound made of
          answer-seconds, connect-seconds and a margin, each is received once, and what a black-holed relay held arrives
          when it is back.
ports     A phone, a gateway and a relay. Every TCP port of phone and gateway is tried from the relay's name space, and
          /proc/net of both is read: nothing listens, nothing is bound, while both have a session and messages go both ways. As
          a check of the check, the same scan of the relay finds its port.

Prints a JSON summary. Exit codes: 0 fine, 1 a violation, 3 cannot run (no root, no name spaces).
"""

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import relay_lab as lab

PORT = 5684
ANSWER, PENALTY, CONNECT, LONGEST_WAIT, PING = 2, 5, 2, 3, 5
# Of the machine, not of the protocol: starting the program, signatures, the disk.
MARGIN = 8
PARTIES = ["relay1", "relay2", "phone", "gateway"]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    lab.add_arguments(parser)
    parser.add_argument("--sends", type=int, default=5, help="messages in each state of the network")
    parser.add_argument("--only", choices=["failover", "ports"], help="one of the two parts")
    parser.add_argument("--scan", metavar="ADDRESS", help=argparse.SUPPRESS)
    return parser.parse_args()


# MARK: The network


def ip(*words):
    out = subprocess.run(["ip", *words], capture_output=True, text=True)
    if out.returncode != 0:
        raise lab.CannotRun(f"ip {' '.join(words)}: {out.stderr.strip()}")


class Network:
    """A router, and a name space for each party, a /30 and a veth pair apart."""

    def __init__(self):
        self.tag = f"pgf{os.getpid()}"
        self.made = []
        self.addresses = {name: f"10.77.{index}.2" for index, name in enumerate(PARTIES, start=1)}

    def space(self, name):
        return f"{self.tag}-{name}"

    def enter(self, name):
        return ["ip", "netns", "exec", self.space(name)]

    def __enter__(self):
        try:
            self._make()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _make(self):
        for name in ["router", *PARTIES]:
            ip("netns", "add", self.space(name))
            self.made.append(name)
            ip("-n", self.space(name), "link", "set", "lo", "up")
        subprocess.run(
            [*self.enter("router"), "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"], check=True, timeout=10
        )
        router = self.space("router")
        for index, name in enumerate(PARTIES, start=1):
            space = self.space(name)
            ip("link", "add", "eth0", "netns", space, "type", "veth", "peer", "name", f"to{index}", "netns", router)
            ip("-n", router, "addr", "add", f"10.77.{index}.1/30", "dev", f"to{index}")
            ip("-n", router, "link", "set", f"to{index}", "up")
            ip("-n", space, "addr", "add", f"10.77.{index}.2/30", "dev", "eth0")
            ip("-n", space, "link", "set", "eth0", "up")
            ip("-n", space, "route", "add", "default", "via", f"10.77.{index}.1")

    def black_hole(self, name, on):
        """Drops everything to and from a party, silently, or no longer."""
        for direction in ("to", "from"):
            ip("-n", self.space("router"), "rule", "add" if on else "del", direction, self.addresses[name], "blackhole")

    def __exit__(self, *_):
        for name in self.made:
            subprocess.run(["ip", "netns", "del", self.space(name)], capture_output=True)
        self.made = []


# MARK: Endpoints


class Endpoint:
    """An endpoint's configuration, and its `pangate receive --follow` if it is started."""

    def __init__(self, lab_, name, party):
        self.lab = lab_
        self.name = name
        self.party = party
        self.process = None
        self.folder = lab_.folder / name
        self.folder.mkdir()
        self.config = self.folder / "endpoint.yaml"
        self.out, self.err = self.folder / "out", self.folder / "err"
        self.configure(lab_.relays)

    def configure(self, relays):
        """Writes the configuration, with the relays in this order: the first that works is sent through."""
        demo = self.lab.demo
        urls = json.dumps([self.lab.url(relay) for relay in relays])
        self.relay_section = (
            f"relay: {{urls: {urls}, certificate: {demo}/relay.pem, answer-seconds: {ANSWER}, penalty-seconds: {PENALTY}, "
            f"connect-seconds: {CONNECT}, longest-wait-seconds: {LONGEST_WAIT}, ping-seconds: {PING}}}\n"
        )
        self.config.write_text(
            f"identity: {demo}/{self.name}.pem\n"
            f"group: {{oracle: {demo}/oracle.pem, peer-record: {demo}/peer-record-{self.name}.cose}}\n"
            f"state: {self.folder}/state\n" + self.relay_section
        )

    def follow(self):
        self.run(["receive", "--config", self.config, "--follow", "--json"])

    def run(self, words):
        with self.out.open("ab") as out, self.err.open("ab") as err:
            self.process = subprocess.Popen(
                [*self.lab.network.enter(self.party), self.lab.program, *words],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    def stop(self):
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired as error:
            self.process.kill()
            self.process.wait()
            raise lab.Violation(f"{self.name} does not end within 10 s of SIGTERM") from error

    def ups(self, url):
        """How often it has got a session with a relay."""
        text = self.err.read_text() if self.err.exists() else ""
        return sum(line == f"connected to {url}" for line in text.splitlines())

    def heard(self):
        """What it has printed."""
        return self.out.read_text() if self.out.exists() else ""

    async def send(self, to, text, wait=True, timeout=60):
        """`pangate send`; seconds until it has ended, and what it said."""
        begun = time.monotonic()
        words = ["send", "--config", self.config, "--to", to, "--text", text, "--json", "--timeout", str(timeout)]
        process = await asyncio.create_subprocess_exec(
            *self.lab.network.enter(self.party),
            self.lab.program,
            *words,
            *(["--wait"] if wait else []),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        seconds = time.monotonic() - begun
        if process.returncode != 0:
            raise lab.Violation(f"'{text}': send ended with {process.returncode}: {err.decode().strip()}")
        if wait and '"delivered"' not in out.decode():
            raise lab.Violation(f"'{text}': no receipt: {out.decode()}")
        return seconds


class Home:
    """What both parts share: folder, network, relays."""

    def __init__(self, program, network, folder, relays):
        self.program = program
        self.network = network
        self.folder = folder
        self.folder.mkdir()
        self.demo = folder / "demo"
        # With rights as secrets have them, whatever the checkout gave.
        shutil.copytree(lab.ROOT / "Config" / "demo", self.demo)
        self.relays = relays
        self.processes = {}
        demo = type("Demo", (), {"folder": self.demo})
        for name in relays:
            self.processes[name] = lab.Relay(
                program,
                demo,
                folder / name,
                [f"coaps+tcp://{network.addresses[name]}:{PORT}"],
                "limits: {ping-seconds: 5, silent-seconds: 5}\n",
                prefix=network.enter(name),
            )

    def url(self, name):
        return f"coaps+tcp://{self.network.addresses[name]}:{PORT}"

    def end(self, endpoints):
        for endpoint in endpoints:
            endpoint.stop()
        for relay in self.processes.values():
            if relay.process and relay.process.poll() is None:
                relay.kill()


# MARK: Failover


class Failover:
    def __init__(self, home, sends):
        self.home = home
        self.sends = sends
        self.phone = Endpoint(home, "owner", "phone")
        self.follower = Endpoint(home, "gateway", "gateway")
        self.said = []
        self.results = []

    async def traffic(self, state, bound):
        """Messages one after the other, each with its receipt back within `bound` seconds."""
        times = []
        for number in range(self.sends):
            text = f"{state} {number}"
            self.said.append(text)
            times.append(await self.phone.send("gateway", text))
            if times[-1] > bound:
                raise lab.Violation(f"'{text}' took {times[-1]:.1f} s, the bound is {bound:.1f} s")
        self.results.append({"state": state, "slowest_s": round(max(times), 2), "bound_s": bound})
        lab.note(f"{state}: {len(times)} messages with receipts, the slowest in {max(times):.1f} s (bound {bound:g} s)")

    async def prefer(self, relays):
        """Both start anew, with the relays in this order."""
        self.follower.stop()
        ups = {name: self.follower.ups(self.home.url(name)) for name in relays}
        for endpoint in (self.phone, self.follower):
            endpoint.configure(relays)
        self.follower.follow()
        for name in relays:
            await self.connected(name, ups[name], f"{relays[0]} is the first")

    async def connected(self, name, ups, what):
        """Waits until the follower has one more session with a relay than before."""
        # The wait between two attempts, one attempt that is still on its way into a black hole, and the one that works.
        bound = LONGEST_WAIT + 2 * CONNECT + MARGIN
        begun = time.monotonic()
        await lab.until(lambda: self.follower.ups(self.home.url(name)) > ups, bound, f"{what}: no session with {name}")
        self.results.append({"state": f"{what}: session", "slowest_s": round(time.monotonic() - begun, 2), "bound_s": bound})

    async def run(self):
        home, network = self.home, self.home.network
        for relay in home.processes.values():
            await relay.start()
        await self.prefer(home.relays)
        await self.traffic("both relays", MARGIN)
        for name, other in (home.relays, home.relays[::-1]):
            relay = home.processes[name]
            await self.prefer([name, other])
            ups = self.follower.ups(home.url(name))
            relay.stop()
            await self.traffic(f"{name} stopped", CONNECT + MARGIN)
            await relay.start()
            await self.connected(name, ups, f"{name} started")

            # What is in its custody now stays there until it is back: the recipient is away, and then cut off from it.
            self.follower.stop()
            text = f"held while {name} vanishes"
            self.said.append(text)
            # By this relay alone: of two, the one whose session is open sooner would take it.
            self.phone.configure([name])
            await self.phone.send("gateway", text, wait=False)
            self.phone.configure([name, other])
            network.black_hole(name, True)
            ups = self.follower.ups(home.url(other))
            self.follower.follow()
            await self.connected(other, ups, f"{name} black-holed from the start")
            await self.traffic(f"{name} black-holed from the start", CONNECT + ANSWER + MARGIN)
            held = relay.status()["heldMessages"]
            if held != 1:
                raise lab.Violation(f"{name} holds {held} messages, and not the one that it has custody of")
            ups = self.follower.ups(home.url(name))
            network.black_hole(name, False)
            await self.connected(name, ups, f"{name} reachable again")
            await self.received(f"{name} is back")

            # A session that is open when its relay vanishes: the receipt on it has to find its way round.
            ups = self.follower.ups(home.url(name))
            network.black_hole(name, True)
            await self.traffic(f"{name} black-holed in a session", CONNECT + ANSWER + MARGIN)
            network.black_hole(name, False)
            await self.back(name, ups)
            await self.received(f"{name} is back again")

            ups = self.follower.ups(home.url(name))
            relay.kill()
            await self.traffic(f"{name} killed", CONNECT + MARGIN)
            await relay.start()
            await self.connected(name, ups, f"{name} started after kill -9")
        await self.received("the end")
        self.follower.stop()
        # What is left for the sender: receipts that came by the second relay as well.
        self.phone.follow()
        for name in home.relays:
            await lab.until(lambda: self.phone.ups(home.url(name)) > 0, 20, f"the sender has no session with {name}")
        for name, relay in home.processes.items():
            await lab.until(
                lambda: relay.status()["heldMessages"] == 0, 30, f"{name} holds messages in the end", interval=0.5
            )
        self.phone.stop()
        for relay in home.processes.values():
            relay.stop()
        once = {text: self.follower.heard().count(json.dumps(text)[1:-1] + '"') for text in self.said}
        doubled = [text for text, count in once.items() if count != 1]
        if doubled:
            raise lab.Violation(f"received not exactly once: {doubled[:3]}, {once[doubled[0]]} times")
        return {"messages": len(self.said), "received_once": len(once), "states": self.results}

    async def back(self, name, ups):
        """The session is whole again: it has survived, or a new one is there."""
        relay = self.home.processes[name]
        bound = LONGEST_WAIT + 2 * CONNECT + PING + 10 + MARGIN
        begun = time.monotonic()
        client = self.address("gateway")

        def is_whole():
            if self.follower.ups(self.home.url(name)) > ups:
                return True
            # Nothing was noticed on either end: then TCP has to get through.
            return any(session["client"] == client for session in relay.status()["sessions"]) and self.is_established(name)

        await lab.until(is_whole, bound, f"{name} reachable again: no session", interval=0.5)
        self.results.append(
            {"state": f"{name} reachable again: session", "slowest_s": round(time.monotonic() - begun, 2), "bound_s": bound}
        )

    def address(self, name):
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes

        pem = (self.home.demo / f"{name}.pem").read_bytes()
        return x509.load_pem_x509_certificate(pem).fingerprint(hashes.SHA256()).hex()

    def is_established(self, name):
        """Whether the follower has a connection to a relay on which nothing waits to be acknowledged."""
        remote = "".join(f"{int(part):02X}" for part in reversed(self.home.network.addresses[name].split(".")))
        for line in sockets(self.home.network, "gateway", "tcp"):
            if line[2] == f"{remote}:{PORT:04X}" and line[3] == "01" and line[4].startswith("00000000:"):
                return True
        return False

    async def received(self, when):
        def missing():
            heard = self.follower.heard()
            return [text for text in self.said if json.dumps(text)[1:-1] + '"' not in heard]

        await lab.until(lambda: not missing(), 40, lambda: f"{when}: not received: {missing()[:3]}", interval=0.2)


# MARK: Ports


def sockets(network, party, kind):
    """The lines of /proc/net of a name space, in fields."""
    out = subprocess.run([*network.enter(party), "cat", f"/proc/net/{kind}"], capture_output=True, text=True, timeout=10)
    return [line.split() for line in out.stdout.splitlines()[1:]]


def bound_ports(network, party):
    """TCP sockets that listen, and UDP and raw sockets of any kind."""
    found = [f"{kind} {line[1]}" for kind in ("tcp", "tcp6") for line in sockets(network, party, kind) if line[3] == "0A"]
    for kind in ("udp", "udp6", "udplite", "raw", "raw6"):
        found += [f"{kind} {line[1]}" for line in sockets(network, party, kind)]
    return found


async def scan(address):
    """Tries every TCP port; the open ones, how many refused, and how many said nothing."""
    loop = asyncio.get_running_loop()
    ports = iter(range(1, 65536))
    opened, refused, silent = [], 0, 0

    async def worker():
        nonlocal refused, silent
        for port in ports:
            try:
                transport, _ = await asyncio.wait_for(loop.create_connection(asyncio.Protocol, address, port), 5)
                transport.abort()
                opened.append(port)
            except ConnectionRefusedError:
                refused += 1
            except (TimeoutError, OSError):
                silent += 1

    await asyncio.gather(*(worker() for _ in range(128)))
    return {"open": sorted(opened), "refused": refused, "silent": silent}


class Ports:
    """A phone, a gateway and a relay."""

    def __init__(self, home):
        self.home = home
        self.phone = Endpoint(home, "owner", "phone")
        self.gateway = Endpoint(home, "gateway", "gateway")
        self.kind = "endpoint with the gateway's identity"

    def gateway_daemon(self):
        """`pangate gateway` with a recording as its radio, if this program can reach a relay from there."""
        demo = self.home.demo
        config = self.gateway.folder / "gateway.yaml"
        config.write_text(
            "pan: {id: 0xabcd, channel: 15}\n"
            f'radio: {{url: "pcap:{lab.ROOT}/Captures/home.pcap", eui64: 0270616e67000001, short: 0x0001}}\n'
            "prefix: fd50:616e:6761:1::/64\n"
            f"state: {self.gateway.folder}/gateway-state\n"
            f"identity: {demo}/gateway.pem\n"
            f"group: {{oracle: {demo}/oracle.pem, peer-record: {demo}/peer-record-gateway.cose}}\n"
            + self.gateway.relay_section
        )
        checked = subprocess.run(
            [self.home.program, "gateway", "--config", config, "--check-config"], capture_output=True, text=True
        )
        return config if checked.returncode == 0 else None

    async def scanned(self, target, source):
        process = await asyncio.create_subprocess_exec(
            *self.home.network.enter(source),
            sys.executable,
            str(Path(__file__).resolve()),
            "--scan",
            self.home.network.addresses[target],
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await process.communicate()
        if process.returncode != 0:
            raise lab.CannotRun(f"the scan of {target} ended with {process.returncode}")
        return json.loads(out)

    async def run(self):
        home = self.home
        relay = home.processes["relay1"]
        await relay.start()
        self.phone.follow()
        config = self.gateway_daemon()
        if config:
            self.kind = "gateway"
            self.gateway.run(["gateway", "--config", config])
        else:
            self.gateway.follow()
        await lab.until(lambda: len(relay.status()["sessions"]) == 2, 60, "two sessions", interval=0.2)
        # While both are at work.
        results = {}
        for target in ("phone", "gateway"):
            bound = bound_ports(home.network, target)
            results[target] = await self.scanned(target, "relay1") | {"bound": bound}
            bound += [port for port in bound_ports(home.network, target) if port not in bound]
        # Not from where it is: a connection to a port of one's own that is free may meet itself.
        check = await self.scanned("relay1", "phone")
        if len(relay.status()["sessions"]) != 2:
            raise lab.Violation("a session was lost while the ports were scanned")
        # Both ways, so that what has no open port is known to be reachable all the same.
        seconds = 0
        if not config:
            self.phone.stop()
            seconds = await self.phone.send("gateway", "nothing listens, and this arrives")
            self.phone.follow()
            self.gateway.stop()
            self.gateway_back = await self.gateway.send("owner", "nor here")
            await lab.until(lambda: "nor here" in self.phone.heard(), 20, "the phone has heard the gateway")
        else:
            await lab.until(lambda: self.phone.heard(), 60, "the phone has heard the gateway", interval=0.2)
        for target, result in results.items():
            lab.note(
                f"{target}: {result['refused']} TCP ports refuse, {len(result['open'])} open, {result['silent']} silent; "
                f"{len(result['bound'])} sockets listen or are bound"
            )
            if result["open"] or result["bound"] or result["silent"]:
                raise lab.Violation(f"{target}: {result}")
        if check["open"] != [PORT]:
            raise lab.Violation(f"the scan of the relay finds {check['open']}, and not {PORT}")
        self.phone.stop()
        self.gateway.stop()
        relay.stop()
        return {
            "gateway_is": self.kind,
            "round_trip_s": round(seconds, 2),
            **{target: {**result, "open": len(result["open"])} for target, result in results.items()},
            "relay_open": check["open"],
        }


# MARK: All


async def run(options, program, folder):
    summary = {}
    for part in ("failover", "ports"):
        if options.only not in (None, part):
            continue
        with Network() as network:
            home = Home(program, network, folder / part, ["relay1", "relay2"] if part == "failover" else ["relay1"])
            work = Failover(home, options.sends) if part == "failover" else Ports(home)
            try:
                summary[part] = await work.run()
            except lab.Violation:
                tell_logs(home)
                raise
            finally:
                with contextlib.suppress(lab.Violation):
                    home.end([work.phone, work.follower] if part == "failover" else [work.phone, work.gateway])
    print(json.dumps(summary), flush=True)


def tell_logs(home):
    """The ends of what everybody said, for whoever has to find out why."""
    for path in sorted(home.folder.glob("*/err")) + sorted(home.folder.glob("relay*/log")):
        lines = path.read_text(errors="replace").splitlines()[-12:]
        lab.note("\n".join([f"--- {path.parent.name}", *lines]))


def main():
    options = arguments()
    if options.scan:
        lab.raise_file_limit(512)
        print(json.dumps(asyncio.run(scan(options.scan))))
        return
    program = lab.program(options)
    if os.geteuid() != 0:
        raise lab.CannotRun("network name spaces need root: run this as root")
    if shutil.which("ip") is None:
        raise lab.CannotRun("no 'ip': install iproute2")
    with lab.work_folder() as folder:
        asyncio.run(run(options, program, folder))


if __name__ == "__main__":
    sys.exit(lab.exit_code(main))
