"""A home that is secure down to its nodes: five `pangate node` devices on kernel radios in name spaces of their own, a gateway
on wpan0, a relay, an owner and two phones.

secure_home.py make PANGATE DIRECTORY    the group: identities, records, configurations (outside, before the lab is booted)
secure_home.py run PANGATE DIRECTORY     everything else, as root where the radios are

Readings of every class, commands, an unlock with a challenge, a command that no hop can read, a camera's stream to two phones,
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

    def start(self, name, *words, namespace=None):
        log = open(self.directory / f"{name}.log", "wb")
        prefix = ["ip", "netns", "exec", namespace] if namespace else []
        self.processes[name] = subprocess.Popen(
            [*prefix, self.pangate, *words], cwd=self.directory, stdout=log, stderr=log
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
        for name in ["relay", "home", *ENDPOINTS, *NODES]:
            self.call("identity", "new", "--name", name)
        self.call("oracle", "init")
        admit = ["oracle", "admit", "--no-publish", "--name"]
        self.call(*admit, "relay", "--role", "relay", "--identity", "relay.pem", "--url", RELAY)
        self.call(*admit, "home", "--role", "gateway", "--identity", "home.pem", "--new-link-key")
        for name in ENDPOINTS:
            self.call(*admit, name, "--role", "endpoint", "--identity", f"{name}.pem")
        for number, (name, (protection, traits, more)) in enumerate(NODES.items(), start=1):
            code = self.call("identity", "qr", f"{name}.pem", "--class", protection).strip()
            readers = [word for reader in ENDPOINTS for word in ("--reader", reader)]
            marks = [word for trait in traits for word in ("--trait", trait)]
            self.call(
                *admit, name, "--role", "node", "--gateway", "home", "--commander", "owner", *readers, *marks, *more,
                "--eui64", f"0270616e67000b{number:02x}", "--code", code,
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
        print(self.call("oracle", "list"), end="")

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
        self.removal()
        self.stream()
        for name in list(self.processes):
            code = self.end(name)
            assert code == 0, f"{name} ended with {code}:\n{self.log(name)[-2000:]}"
        self.blindness()

    def radio(self, number, name):
        run = lambda *words: subprocess.run(words, check=True, capture_output=True, text=True).stdout
        run("ip", "netns", "add", name)
        phy = re.search(rf"phy#(\d+)\n\tInterface wpan{number}\n", run("iwpan", "dev")).group(1)
        run("iwpan", "phy", f"phy{phy}", "set", "netns", "name", name)

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
        # A device reads its record when it starts.
        self.end("camera")
        self.start(
            "camera", "node", "--kind", "camera", "--radio", "linux:wpan5", "--identity", "camera.pem", "--oracle",
            "oracle/oracle.pem", "--peer-record", "signed/peer-record-camera.cose", "--state", "camera-flash", "--pan",
            PAN, "--channel", CHANNEL, "--every", "600", "--poll", "3", "--rate", "4000", namespace="camera",
        )
        self.said("camera", "reported")
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
        """What the relay stored and logged, and what the gateway logged, holds nothing that is confidential."""
        for path in [*(self.directory / "relay-state").glob("*"), self.directory / "relay.log",
                     self.directory / "gateway.log"]:
            data = path.read_bytes()
            for secret in [b"occupancy\x04", b"/interval"]:
                assert secret not in data, f"{secret} is in {path}"
        step("nothing confidential is in the relay's files and logs, nor in the gateway's log")


if __name__ == "__main__":
    what, home = sys.argv[1], Home(sys.argv[2], sys.argv[3])
    try:
        getattr(home, {"make": "make", "run": "run"}[what])()
    finally:
        for process in home.processes.values():
            process.kill()
