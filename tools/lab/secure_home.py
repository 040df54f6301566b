"""A home that is secure down to its nodes: five `pangate node` devices on kernel radios in name spaces of their own, a lamp
that is an aiocoap server on a kernel lowpan interface, a gateway on wpan0, a relay, an owner and two phones.

secure_home.py make PANGATE DIRECTORY    the group: identities, records, configurations (outside, before the lab is booted)
secure_home.py run PANGATE DIRECTORY     everything else, as root where the radios are

Readings of every class, commands, an unlock with a challenge, commands that no hop can read, a camera's stream to two phones,
and in the middle a phone that is removed. Every step is printed and checked; the first that fails ends it.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import addresses

PATIENCE = int(os.environ.get("LAB_PATIENCE", "180"))  # seconds; only to end what will never come
PAN, CHANNEL, GATEWAY_EUI64 = "0xabcd", "15", "0270616e67000001"
RELAY = "coaps+tcp://127.0.0.1:25684"
ENDPOINTS = ["owner", "phone", "phone2"]
# Kind, class, traits and what else the oracle is told.
NODES = {
    "lock": ("auth-only", ["clockless"], ["--commander", "phone2"]),
    "thermostat": ("auth-only", ["vouched", "coap-server"], []),
    "occupancy": ("confidential", [], []),
    "rain": ("no-consequence", ["vouched"], []),
    "camera": ("confidential", [], []),
}
# Nothing of ours runs on it.
LAMP = {"lamp": ("auth-only", ["vouched", "coap-server"], [])}
MEMBERS = {**NODES, **LAMP}
HERE = Path(__file__).parent


def run(*words):
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def step(text):
    print(f"  {text}", flush=True)


class Home:
    def __init__(self, pangate, directory):
        self.pangate, self.directory = pangate, Path(directory)
        self.processes = {}

    # Commands

    def call(self, *words, fails=False, timeout=PATIENCE):
        done = subprocess.run(
            [self.pangate, *words], cwd=self.directory, capture_output=True, text=True, timeout=timeout
        )
        assert (done.returncode != 0) == fails, f"{' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout + (done.stderr if fails else "")

    def start(self, name, *words, namespace=None, program=None):
        log = open(self.directory / f"{name}.log", "wb")
        prefix = ["ip", "netns", "exec", namespace] if namespace else []
        self.processes[name] = subprocess.Popen(
            [*prefix, *(program or [self.pangate]), *words], cwd=self.directory, stdout=log, stderr=log
        )

    def end(self, name, how=signal.SIGTERM):
        process = self.processes.pop(name)
        process.send_signal(how)
        return process.wait(PATIENCE)

    def log(self, name):
        return (self.directory / f"{name}.log").read_text(errors="replace")

    def said(self, name, pattern, since=0):
        """Waits until the log of a process has a line with `pattern` behind `since`; the line."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            found = re.search(rf"[^\n]*(?:{pattern})[^\n]*\n", self.log(name)[since:])
            if found:
                return found.group(0).strip()
            process = self.processes.get(name)
            assert process is None or process.poll() is None, f"{name} has ended:\n{self.log(name)[-2000:]}"
            time.sleep(0.1)
        raise AssertionError(f"{name} never said '{pattern}':\n{self.log(name)[-2000:]}")

    # The group

    def make(self):
        for name in ["relay", "home", *ENDPOINTS, *MEMBERS]:
            self.call("identity", "new", "--name", name)
        self.call("oracle", "init")
        admit = ["oracle", "admit", "--no-publish", "--name"]
        self.call(*admit, "relay", "--role", "relay", "--identity", "relay.pem", "--url", RELAY)
        self.call(*admit, "home", "--role", "gateway", "--identity", "home.pem", "--new-link-key")
        for name in ENDPOINTS:
            self.call(*admit, name, "--role", "endpoint", "--identity", f"{name}.pem")
        for number, (name, (protection, traits, more)) in enumerate(MEMBERS.items(), start=1):
            code = self.call("identity", "qr", f"{name}.pem", "--class", protection).strip()
            readers = [word for reader in ENDPOINTS for word in ("--reader", reader)]
            marks = [word for trait in traits for word in ("--trait", trait)]
            self.call(
                *admit, name, "--role", "node", "--gateway", "home", "--commander", "owner", *readers, *marks, *more,
                "--eui64", self.eui64(number), "--code", code,
            )
        self.call("oracle", "publish", "--no-publish", "--output", "signed")
        group = "group: {oracle: oracle/oracle.pem, peer-record: signed/peer-record-%s.cose}\n"
        write = lambda name, text: (self.directory / name).write_text(text)
        for name in ENDPOINTS:
            write(f"{name}.yaml", f"identity: {name}.pem\nstate: {name}-state\n" + group % name)
        write(
            "relay.yaml",
            f'identity: relay.pem\nlisten: ["{RELAY}"]\nstore: {{state: relay-state}}\n'
            "groups: [{oracle: oracle/oracle.pem, access-list: signed/access-list-relay.cose}]\n",
        )
        write(
            "gateway.yaml",
            f"pan: {{id: {PAN}, channel: {CHANNEL}}}\nradio: {{url: linux:wpan0, eui64: {GATEWAY_EUI64}, short: 0x0001}}\n"
            "prefix: fd50:616e:6761:1::/64\nidentity: home.pem\nstate: home-state\ncontrol: /run/pangate.control\n"
            "advertisement-seconds: 4\n" + group % "home",
        )
        # What is put into the lamp: its identity file, and public keys.
        write("lamp-peers.json", self.call("identity", "show", "owner.pem", "--json"))
        print(self.call("oracle", "list"), end="")

    def eui64(self, number):
        return f"0270616e67000b{number:02x}"

    # The story

    def run(self):
        self.start("relay", "relay", "--config", "relay.yaml")
        self.said("relay", "listening")
        self.start("gateway", "gateway", "--config", "gateway.yaml")
        self.said("gateway", "radio is up")
        self.said("gateway", "relay is up")
        for number, name in enumerate(NODES, start=1):
            self.radio(number, name)
            self.start(
                name, "node", "--kind", name, "--radio", f"linux:wpan{number}", "--identity", f"{name}.pem",
                "--oracle", "oracle/oracle.pem", "--peer-record", f"signed/peer-record-{name}.cose",
                "--state", f"{name}-flash", "--pan", PAN, "--channel", CHANNEL, "--every", "15", "--poll", "3",
                "--rate", "4000", namespace=name,
            )
        for name in NODES:
            step(self.said(name, "joined"))
        self.readings()
        self.commands()
        self.foreign()
        self.removal()
        self.stream()
        for name in list(self.processes):
            code = self.end(name)
            assert code == 0, f"{name} ended with {code}:\n{self.log(name)[-2000:]}"
        self.blindness()

    def radio(self, number, name):
        run("ip", "netns", "add", name)
        phy = re.search(rf"phy#(\d+)\n\tInterface wpan{number}\n", run("iwpan", "dev")).group(1)
        run("iwpan", "phy", f"phy{phy}", "set", "netns", "name", name)
        return f"phy{phy}"

    def kernel_node(self, number, name):
        """A node whose radio, adaptation and IPv6 are the kernel's; its addresses, as soon as it has those of the home."""
        phy, wpan, lowpan = self.radio(number, name), f"wpan{number}", f"lowpan{number}"
        inside = lambda *words: run("ip", "netns", "exec", name, *words)
        eui64 = self.eui64(number)
        inside("ip", "link", "set", "lo", "up")
        inside("ip", "link", "set", wpan, "address", ":".join(eui64[i : i + 2] for i in range(0, 16, 2)))
        inside("iwpan", "dev", wpan, "set", "pan_id", PAN)
        inside("iwpan", "phy", phy, "set", "channel", "0", CHANNEL)
        inside("ip", "link", "set", wpan, "up")
        inside("ip", "link", "add", "link", wpan, "name", lowpan, "type", "lowpan")
        inside("ip", "link", "set", lowpan, "up")
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            shown = inside("ip", "-6", "-o", "addr", "show", "dev", lowpan)
            if "scope global" in shown and "tentative" not in shown:
                return re.findall(r"inet6 (\S+)/", shown)
            time.sleep(0.1)
        raise AssertionError(f"{name} never had an address of the home:\n{shown}")

    def readings(self):
        """Of every class: plain, vouched for after EDHOC, signed, sealed."""
        self.start("phone", "receive", "--config", "phone.yaml", "--follow")
        for name in NODES:
            step(self.said(name, "reported"))
            step(self.said("phone", rf"delivered\s+{name}\s"))
        assert "vouched for by home" in self.said("phone", r"delivered\s+thermostat\s")
        assert "confidential" in self.said("phone", r"delivered\s+occupancy\s")
        log = self.log("gateway")
        assert re.search(r"envelope occupancy [^\n]*readable by owner, phone, phone2\n", log), "not sealed"

    def command(self, to, coap, *more, sender="owner"):
        shown = self.call("send", "--config", f"{sender}.yaml", "--to", to, "--coap", coap, "--wait", "--timeout",
                          str(PATIENCE - 20), *more)
        step(f"{sender}, {to}, {coap}: " + shown.strip().splitlines()[-1])
        assert "signature verified" in shown, shown
        return shown

    def commands(self):
        """By the gateway's word under OSCORE, with a challenge, and end to end."""
        assert "2.0" in self.command("thermostat", "PUT /setpoint 22.5")
        self.command("lock", "PUT /lock open")
        assert re.search(r"challenges[^\n]*\n(.*\n)*?.*obeyed  PUT /lock", self.log("lock")), "no challenge before it acts"
        step(self.said("lock", "obeyed"))
        step(self.said("phone", "bolt open"))
        answer = self.command("occupancy", "PUT /interval 60", "--end-to-end")
        assert "answered" in answer
        step(self.said("occupancy", "obeyed"))
        self.command("lock", "PUT /lock close", sender="phone2")

    def foreign(self):
        """An unmodified CoAP server with OSCORE, which has heard nothing of envelopes, commanded end to end."""
        number = list(MEMBERS).index("lamp") + 1
        own = self.kernel_node(number, "lamp")
        self.start("lamp", HERE / "secure_lamp.py", ".", *own, namespace="lamp", program=[sys.executable])
        self.said("lamp", "listening")
        inside = ["ip", "netns", "exec", "lamp"]
        # The gateway hears where it is.
        run(*inside, "ping", "-6", "-n", "-c", "1", "-W", "60", f"{addresses.link_local(GATEWAY_EUI64)}%lowpan{number}")
        step(f"lamp  aiocoap listens on lowpan{number} at {', '.join(own)}")
        plain = subprocess.run(
            [*inside, "coap-client-notls", "-m", "put", "-e", "off", "-B", "20", f"coap://[{own[0]}]/light"],
            capture_output=True, text=True,
        )
        assert "4.01" in plain.stdout + plain.stderr, plain
        step("lamp  refuses a PUT without OSCORE, even its own: 4.01")
        before = len(self.log("gateway"))
        asked = lambda: len(re.findall(r"asked owner lamp", self.log("gateway")[before:]))
        agreed = lambda: len(re.findall(r"Processing request as EDHOC message 1\n", self.log("lamp")))
        answer = self.command("lamp", "PUT /light on", "--end-to-end")
        assert "reads lamp: 2.04" in answer, answer
        step("lamp  " + self.said("lamp", "light on"))
        # EDHOC's message_1, then message_3 with the command.
        assert (asked(), agreed()) == (2, 1), self.log("gateway")[before:] + self.log("lamp")
        answer = self.command("lamp", "GET /light", "--end-to-end")
        assert re.search(r"reads lamp: 2\.05 .*\bon\b", answer), answer
        assert (asked(), agreed()) == (3, 1), self.log("gateway")[before:] + self.log("lamp")
        step("lamp  agreed on keys once, with the owner; the gateway passed on 3 requests")

    def removal(self):
        """A phone is removed while readings flow."""
        before = len(self.log("phone"))
        shown = self.call("oracle", "remove", "phone2")
        step(shown.strip().replace("\n", "; "))
        milliseconds = int(re.search(r"after (\d+) ms", shown).group(1))
        refused = self.call("send", "--config", "phone2.yaml", "--to", "lock", "--coap", "PUT /lock open", "--timeout",
                            "5", fails=True)
        assert "senderRevoked" in refused, refused
        step(f"phone2: {refused.strip().splitlines()[0]}")
        self.said("gateway", "peer record of epoch")
        step("the gateway obeys the new record")
        step(self.said("lock", "record  of epoch"))
        step(self.said("phone", "delivered  oracle", before))
        step(self.said("phone", r"delivered\s+rain\s", before))
        assert not re.search("obeyed  PUT /lock payload: open(.*\n)*.*obeyed  PUT /lock payload: open", self.log("lock"))
        return milliseconds

    def stream(self):
        """A camera to two phones; the second is admitted anew, with another identity."""
        self.call("identity", "new", "--name", "phone3")
        shown = self.call("oracle", "admit", "--name", "phone3", "--role", "endpoint", "--identity", "phone3.pem",
                          "--output", "signed")
        step(shown.strip().splitlines()[0])
        code = self.call("identity", "qr", "camera.pem", "--class", "confidential").strip()
        self.call("oracle", "admit", "--name", "camera", "--role", "node", "--gateway", "home", "--commander", "owner",
                  "--reader", "phone", "--reader", "phone3", "--eui64", "0270616e67000b05", "--code", code,
                  "--output", "signed")
        epoch = json.loads(self.call("oracle", "publish", "--json").splitlines()[0])["epoch"]
        self.said("gateway", f"peer record of epoch {epoch}")
        step(self.said("camera", f"record  of epoch {epoch} is obeyed"))
        self.end("phone", signal.SIGINT)
        group = "group: {oracle: oracle/oracle.pem, peer-record: signed/peer-record-phone3.cose}\n"
        (self.directory / "phone3.yaml").write_text("identity: phone3.pem\nstate: phone3-state\n" + group)
        for viewer in ["phone", "phone3"]:
            self.start(f"view-{viewer}", "stream", "receive", "--config", f"{viewer}.yaml", "--output", f"{viewer}.video",
                       "--timeout", str(PATIENCE))
            self.said(f"view-{viewer}", "connected")
        self.command("camera", "PUT /stream 4", "--class", "confidential")
        pictures = []
        for viewer in ["phone", "phone3"]:
            process = self.processes.pop(f"view-{viewer}")
            code = process.wait(PATIENCE)
            last = self.log(f"view-{viewer}").strip().splitlines()[-1]
            step(f"{viewer}: {last}")
            assert code in (0, 1), f"{viewer}: {code}\n{self.log(f'view-{viewer}')}"
            pictures.append((self.directory / f"{viewer}.video").read_bytes())
        assert pictures[0] and pictures[1], "nothing was seen"
        # What one missed at the beginning the other may have seen: the end is the same.
        length = min(len(picture) for picture in pictures)
        assert pictures[0][-length:] == pictures[1][-length:], "the two saw different pictures"

    def blindness(self):
        """What the relay and the gateway stored and logged holds nothing that is confidential, and no command end to end."""
        stored = [path for name in ["relay-state", "home-state"] for path in (self.directory / name).rglob("*")]
        held = {path: path.read_bytes() for path in stored if path.is_file()}
        # What may be read is found there: it would show.
        assert any(b"setpoint" in data for data in held.values()), "the relay's files hold no reading"
        held |= {path: path.read_bytes() for path in [self.directory / f"{name}.log" for name in ["relay", "gateway"]]}
        for path, data in held.items():
            for secret in [b"occupancy\x04", b"interval", b"light"]:
                assert secret not in data, f"{secret} is in {path}"
        step("nothing confidential, and no command end to end, is in the files and logs of relay and gateway")


if __name__ == "__main__":
    what, home = sys.argv[1], Home(sys.argv[2], sys.argv[3])
    try:
        getattr(home, {"make": "make", "run": "run"}[what])()
    finally:
        for process in home.processes.values():
            process.kill()
