"""A group of one member of each kind, with relay and gateway (ZEP on loopback), for measurements on the air."""

import json
import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

PATIENCE = 60
PAN, CHANNEL, GATEWAY = "0xabcd", "15", "0270616e67000001"
# Class, traits, readers; what a node is and how it talks.
MEMBERS = {
    "plain": ("no-consequence", ["vouched"], ["phone"]),
    "plain-server": ("no-consequence", ["vouched", "coap-server"], ["phone"]),
    "vouched": ("auth-only", ["vouched"], ["phone"]),
    "vouched-server": ("auth-only", ["vouched", "coap-server"], ["phone"]),
    "signed": ("auth-only", [], ["phone"]),
    "signed-plain-hop": ("auth-only", [], ["phone"]),
    "clockless": ("auth-only", ["clockless"], ["phone"]),
    "sealed": ("confidential", [], ["phone"]),
    "sealed-plain-hop": ("confidential", [], ["phone"]),
    "sealed2": ("confidential", [], ["phone", "phone2"]),
    "sealed2-plain-hop": ("confidential", [], ["phone", "phone2"]),
}


def free_port(kind):
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Node:
    """A `pangate node` process and what it says."""

    def __init__(self, home, member, port, *more):
        self.member, self.lines, self.changed = member, [], threading.Condition()
        plain = ["--plain-hop"] if member.endswith("-plain-hop") else []
        self.process = subprocess.Popen(
            [home.pangate, "node", "--kind", "rain", "--radio", f"zep://127.0.0.1:{port}", "--identity", f"{member}.pem",
             "--oracle", "oracle/oracle.pem", "--peer-record", f"signed/peer-record-{member}.cose", "--state",
             f"{member}-flash", "--pan", PAN, "--channel", CHANNEL, "--json", "--payload-bytes", "10", *plain, *more],
            cwd=home.directory, stdout=subprocess.PIPE, stderr=open(home.directory / f"{member}.log", "wb"), text=True,
        )
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for text in self.process.stdout:
            with self.changed:
                self.lines.append(json.loads(text))
                self.changed.notify_all()

    def count(self, what):
        return sum(line["what"] == what for line in self.lines)

    def wait(self, what, count=1):
        """Waits for so many lines that say it."""
        with self.changed:
            done = self.changed.wait_for(lambda: self.count(what) >= count, PATIENCE)
        assert done, f"{self.member} never said '{what}' {count} times: {self.lines}"

    def cuts(self, what):
        """At each line that says it, the node's own (frames, bytes): sent, then received, from its start."""
        totals, found = [0, 0, 0, 0], []
        for line in self.lines:
            for index, key in enumerate(("framesSent", "bytesSent", "framesReceived", "bytesReceived")):
                totals[index] += line[key]
            if line["what"] == what:
                found.append(tuple(totals))
        return found

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(PATIENCE)
        self.reader.join()
        assert code == 0, f"{self.member} ended with {code}"


class Home:
    def __init__(self, pangate, directory, crowd=0):
        self.pangate, self.directory = str(Path(pangate).resolve()), Path(directory)
        self.zep_port = free_port(socket.SOCK_DGRAM)
        self.relay = f"coaps+tcp://127.0.0.1:{free_port(socket.SOCK_STREAM)}"
        self.processes = {}
        # Some kinds many times, for a load.
        self.members = dict(MEMBERS)
        self.crowds = {kind: [f"{kind}-{number}" for number in range(crowd)] for kind in ("plain", "vouched", "signed")}
        for kind, names in self.crowds.items():
            self.members |= {name: MEMBERS[kind] for name in names}

    def call(self, *words, check=True):
        done = subprocess.run([self.pangate, *words], cwd=self.directory, capture_output=True, text=True, timeout=PATIENCE * 2)
        assert not check or done.returncode == 0, f"{' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout if check else done

    def make(self):
        for name in ["relay", "home", "phone", "phone2", *self.members]:
            self.call("identity", "new", "--name", name)
        self.call("oracle", "init")
        admit = ["oracle", "admit", "--no-publish", "--name"]
        self.call(*admit, "relay", "--role", "relay", "--identity", "relay.pem", "--url", self.relay)
        self.call(*admit, "home", "--role", "gateway", "--identity", "home.pem")
        for name in ["phone", "phone2"]:
            self.call(*admit, name, "--role", "endpoint", "--identity", f"{name}.pem")
        for number, (name, (protection, traits, readers)) in enumerate(self.members.items(), start=1):
            code = self.call("identity", "qr", f"{name}.pem", "--class", protection).strip()
            more = [word for reader in readers for word in ("--reader", reader)]
            more += [word for trait in traits for word in ("--trait", trait)]
            self.call(*admit, name, "--role", "node", "--gateway", "home", "--commander", "phone", *more, "--eui64",
                      f"0270616e67000c{number:02x}", "--code", code)
        self.call("oracle", "publish", "--no-publish", "--output", "signed")
        group = "group: {oracle: oracle/oracle.pem, peer-record: signed/peer-record-%s.cose}\n"
        write = lambda name, text: (self.directory / name).write_text(text)
        write("phone.yaml", "identity: phone.pem\nstate: phone-state\n" + group % "phone")
        write(
            "relay.yaml",
            f'identity: relay.pem\nlisten: ["{self.relay}"]\nstore: {{state: relay-state}}\n'
            "groups: [{oracle: oracle/oracle.pem, access-list: signed/access-list-relay.cose}]\n",
        )
        write(
            "gateway.yaml",
            f'pan: {{id: {PAN}, channel: {CHANNEL}}}\nradio: {{url: "zep://127.0.0.1:{self.zep_port}", eui64: {GATEWAY}, '
            "short: 0x0001}\nprefix: fd50:616e:6761:1::/64\nidentity: home.pem\nstate: home-state\n" + group % "home",
        )

    def start(self):
        for name, said in [("relay", "listening"), ("gateway", "relay is up")]:
            log = self.directory / f"{name}.log"
            self.processes[name] = subprocess.Popen(
                [self.pangate, name, "--config", f"{name}.yaml"], cwd=self.directory, stdout=subprocess.DEVNULL,
                stderr=open(log, "wb"),
            )
            deadline = time.monotonic() + PATIENCE
            while said not in log.read_text(errors="replace"):
                assert self.processes[name].poll() is None and time.monotonic() < deadline, log.read_text(errors="replace")
                time.sleep(0.05)

    def check(self):
        for name, process in self.processes.items():
            assert process.poll() is None, f"{name} has ended with {process.returncode}"

    def stop(self):
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            process.wait(PATIENCE)
        self.processes = {}

    def processor_seconds(self):
        """User and system time of the gateway."""
        fields = Path(f"/proc/{self.processes['gateway'].pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
