"""Load on one relay: senders with presigned envelopes and a window each, recipients that take everything.

relay_load.py [--pangate FILE] [--tls] [--pairs N] [--envelopes N] [--window N] [--recipients N] [--bytes N]

Starts a relay of its own. Prints a JSON summary: envelopes a second that
were acknowledged, time to the answer and time to the delivery; exits with 1 if what was acknowledged did not arrive.
"""

import argparse
import asyncio
import json
import sys
import time

import relay_lab as lab


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    lab.add_arguments(parser)
    parser.add_argument("--tls", action="store_true", help="coaps+tcp instead of coap+tcp")
    parser.add_argument("--pairs", type=int, default=4, help="senders, and as many recipients")
    parser.add_argument("--recipients", type=int, default=1, help="recipients of each envelope")
    parser.add_argument("--envelopes", type=int, default=1000, help="envelopes of each sender")
    parser.add_argument("--window", type=int, default=64, help="envelopes on their way before the first is answered")
    parser.add_argument("--bytes", type=int, default=32, help="bytes of payload")
    return parser.parse_args()


class Load:
    """Who sends what to whom, and what became of it."""

    def __init__(self, group, pairs, recipients, count, size):
        self.senders = [group[f"sender{index}"] for index in range(pairs)]
        self.recipients = [group[f"recipient{index}"] for index in range(pairs)]
        self.sent, self.answered, self.delivered, self.refused = {}, {}, {}, []
        self.envelopes = []
        self.expected = 0
        for index, sender in enumerate(self.senders):
            to = [self.recipients[(index + step) % pairs] for step in range(recipients)]
            made = [lab.sign(sender, to, number + 1, number.to_bytes(4, "big") * (size // 4)) for number in range(count)]
            self.envelopes.append(made)
            self.expected += count * recipients

    def take(self, recipient):
        def take(data):
            self.delivered.setdefault((recipient.fp, *lab.name_of(data)), time.perf_counter())
            return True

        return take

    async def run(self, url, relay, window):
        receivers = [
            await lab.Client.open(url, recipient, relay, self.take(recipient)) for recipient in self.recipients
        ]
        senders = [await lab.Client.open(url, sender, relay) for sender in self.senders]
        begun = time.perf_counter()

        def stamped(envelopes):
            for data in envelopes:
                self.sent[data] = time.perf_counter()
                yield data

        def answered(data, code, reason):
            self.answered[data] = time.perf_counter()
            if code != lab.CHANGED:
                self.refused.append(f"{lab.code_text(code)} {reason}")

        await asyncio.gather(
            *(client.submit(stamped(made), answered, window) for client, made in zip(senders, self.envelopes))
        )
        accepted = time.perf_counter() - begun
        seen = -1
        while len(self.delivered) < self.expected and len(self.delivered) != seen:
            seen = len(self.delivered)
            deadline = time.monotonic() + 20
            while len(self.delivered) == seen and time.monotonic() < deadline:
                await asyncio.sleep(0.01)
        delivered = time.perf_counter() - begun
        for client in receivers + senders:
            client.close()
        return accepted, delivered


def group_for(folder, pairs):
    names = [f"recipient{index}" for index in range(pairs)]
    return lab.make_group(folder, {name: [] for name in names} | {f"sender{index}": names for index in range(pairs)})


async def measure(options, folder):
    group = group_for(folder / "group", options.pairs)
    load = Load(group, options.pairs, options.recipients, options.envelopes, options.bytes)
    scheme = "coaps+tcp" if options.tls else "coap+tcp"
    relay = lab.Relay(lab.program(options), group, folder / "relay", [f"{scheme}://127.0.0.1:0"])
    await relay.start()
    try:
        accepted, delivered = await load.run(relay.url(scheme), group.relay, options.window)
        relay.stop()
    finally:
        if relay.process.poll() is None:
            relay.kill()
    count = len(load.answered)
    sent_at = {lab.name_of(data): moment for data, moment in load.sent.items()}
    summary = {
        "url": scheme,
        "senders": options.pairs,
        "envelopes": count,
        "refused": len(load.refused),
        "deliveries": len(load.delivered),
        "missing": load.expected - len(load.delivered),
        "acknowledged_per_second": round(count / accepted),
        "delivered_per_second": round(len(load.delivered) / delivered),
        "answer_ms": lab.percentiles([load.answered[data] - load.sent[data] for data in load.answered]),
        "delivery_ms": lab.percentiles([at - sent_at[name[1:]] for name, at in load.delivered.items()]),
    }
    print(json.dumps(summary))
    if load.refused:
        raise lab.Violation(f"{len(load.refused)} refused, the first with {load.refused[0]}")
    if summary["missing"]:
        raise lab.Violation(f"{summary['missing']} acknowledged envelopes were not delivered")


def main():
    options = arguments()
    options.recipients = min(options.recipients, options.pairs)
    with lab.work_folder() as folder:
        asyncio.run(measure(options, folder))


if __name__ == "__main__":
    sys.exit(lab.exit_code(main))
