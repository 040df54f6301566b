"""From `pangate oracle remove` to refusal at the relay, while traffic flows.

bench_removal.py PANGATE [ROUNDS]

In each round a phone is admitted and removed again. The time is that from the start of the command to the relay's answer that it
obeys the new list; what the removed phone says after that must be refused, which every tenth round checks. Meanwhile two others
send to each other without a pause. Prints the median, the 99th percentile and the highest.
"""

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

URL = "coaps+tcp://127.0.0.1:29784"


class Group:
    def __init__(self, pangate, folder):
        self.pangate, self.folder = pangate, Path(folder)

    def call(self, *words, fails=False):
        done = subprocess.run([self.pangate, *words], cwd=self.folder, capture_output=True, text=True)
        assert (done.returncode != 0) == fails, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def endpoint(self, name):
        (self.folder / f"{name}.yaml").write_text(
            f"identity: {name}.pem\nstate: {name}-state\n"
            f"group: {{oracle: oracle/oracle.pem, peer-record: signed/peer-record-{name}.cose}}\n"
        )

    def make(self):
        for name in ["relay", "a", "b"]:
            self.call("identity", "new", "--name", name)
        self.call("oracle", "init")
        admit = ["oracle", "admit", "--no-publish", "--output", "signed", "--name"]
        self.call(*admit, "relay", "--role", "relay", "--identity", "relay.pem", "--url", URL)
        for name in ["a", "b"]:
            self.call(*admit, name, "--role", "endpoint", "--identity", f"{name}.pem")
            self.endpoint(name)
        (self.folder / "relay.yaml").write_text(
            f'identity: relay.pem\nlisten: ["{URL}"]\nstore: {{state: relay-state}}\n'
            "groups: [{oracle: oracle/oracle.pem, access-list: signed/access-list-relay.cose}]\n"
        )


def main(pangate, rounds):
    with tempfile.TemporaryDirectory(prefix="pangate-removal-") as folder:
        group = Group(pangate, folder)
        group.make()
        log = open(group.folder / "relay.log", "wb")
        relay = subprocess.Popen([pangate, "relay", "--config", "relay.yaml"], cwd=folder, stdout=log, stderr=log)
        while b"listening" not in (group.folder / "relay.log").read_bytes():
            assert relay.poll() is None
            time.sleep(0.02)
        # Traffic: as fast as one command after the other can say something.
        loop = 'while :; do "$1" send --config a.yaml --to b --text hello >/dev/null 2>&1; done'
        traffic = subprocess.Popen(["bash", "-c", loop, "-", pangate], cwd=folder, start_new_session=True)
        times = []
        try:
            for number in range(rounds):
                name = f"phone{number}"
                group.call("identity", "new", "--name", name)
                group.call("oracle", "admit", "--name", name, "--role", "endpoint", "--identity", f"{name}.pem",
                           *(["--output", "signed"] if number % 10 == 0 else []))
                begun = time.perf_counter()
                shown = group.call("oracle", "remove", name, "--json")
                # The command goes on to hand the record to each member. What came before its own clock, its start, counts.
                whole = time.perf_counter() - begun
                said = json.loads(shown.splitlines()[0])
                times.append(whole - (said["doneAfterMilliseconds"] - said["obeyedAfterMilliseconds"]) / 1000)
                if number % 10 == 0:
                    group.endpoint(name)
                    refused = group.call("send", "--config", f"{name}.yaml", "--to", "a", "--text", "late", "--timeout",
                                         "1", fails=True)
                    assert "senderRevoked" in refused, refused
                if sys.stderr.isatty() and number % 10 == 0:
                    print(f"\r{number} of {rounds}", end="", file=sys.stderr)
        finally:
            traffic.terminate()
            os.killpg(traffic.pid, signal.SIGKILL)
            relay.terminate()
            relay.wait()
        times.sort()
        at = lambda part: times[min(len(times) - 1, int(len(times) * part))] * 1000
        print(
            f"{rounds} removals: median {statistics.median(times) * 1000:.0f} ms, p99 {at(0.99):.0f} ms, "
            f"highest {times[-1] * 1000:.0f} ms from the command to the relay's obedience; "
            f"{(rounds + 9) // 10} removed members tried again, all refused"
        )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1000)
