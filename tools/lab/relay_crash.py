"""kill -9 of the relay at random points under load: nothing that was acknowledged is lost, nothing counts twice.

relay_crash.py [--pangate FILE] [--rounds N] [--seed N] [--tls] [--keep]

In each round the relay is started on the same state directory, senders send again what has not been acknowledged and go on,
and at a random moment the relay is killed: while it starts, after the n-th acknowledgement, after a random time, or while
it stops. Each recipient is, by chance, away, or takes what it is handed, or reads it and answers nothing. After the last
round all is collected. A violation is: an envelope that was answered 2.04 and is not delivered; a delivery that nobody
sent, or altered, or to one whom it was not for; an envelope that was taken, acknowledged again, and then delivered anew;
anything but 2.04 as an answer, or 5.03 of a relay that stops; a relay that does not start again.

kill -9 takes the process and leaves the machine: that what was written survives a loss of power, too, is the business of
the tests of the store. Prints a JSON summary; exit code 1 on a violation.
"""

import argparse
import asyncio
import collections
import json
import random
import sys
import time

import relay_lab as lab

SENDERS, RECIPIENTS = 4, 5
# What the relay has on its way to one recipient; no more than that can come again after a kill.
WINDOW = 64
AWAY, TAKES, MUTE = "away", "takes", "mute"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    lab.add_arguments(parser)
    parser.add_argument("--rounds", type=int, default=200, help="how often the relay is killed")
    parser.add_argument("--seed", type=int, default=None, help="of everything that is drawn; printed in the summary")
    parser.add_argument("--tls", action="store_true", help="coaps+tcp instead of coap+tcp")
    parser.add_argument("--keep", action="store_true", help="keep the working directory: state, log, identities")
    return parser.parse_args()


class Sender:
    """What one sender has said, and what of it was acknowledged."""

    def __init__(self, identity, recipients, draw):
        self.identity = identity
        self.recipients = recipients
        self.draw = draw
        # By sequence number; to whom, and the bytes.
        self.envelopes = {}
        # What is not acknowledged, in order.
        self.open = {}
        self.acknowledged = set()
        self.answered_twice = 0

    def presign(self, count):
        """So many envelopes that were never sent, at the end of the others."""
        first = len(self.envelopes) + 1
        for sequence in range(first, first + count):
            to = self.draw.sample(self.recipients, self.draw.choice((1, 1, 1, 2, 3)))
            payload = self.draw.randbytes(self.draw.choice((8, 40, 40, 400, 3000)))
            self.add(sequence, to, payload)

    def add(self, sequence, to, payload):
        self.envelopes[sequence] = (to, lab.sign(self.identity, to, sequence, payload))
        self.open[sequence] = None

    def bytes(self, sequences):
        return [self.envelopes[sequence][1] for sequence in sequences]


class Recipient:
    """What one recipient has: what it answered 2.04 to, and what it only saw."""

    def __init__(self, identity):
        self.identity = identity
        self.mode = AWAY
        self.taken = collections.Counter()
        # Kills of the relay while this one was taking.
        self.kills = 0


class Crash:
    def __init__(self, options, folder):
        self.seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 32)
        lab.note(f"seed {self.seed}")
        self.draw = random.Random(self.seed)
        self.rounds = options.rounds
        names = [f"recipient{index}" for index in range(RECIPIENTS)]
        members = {name: [] for name in names} | {f"sender{index}": names for index in range(SENDERS)}
        self.group = lab.make_group(folder / "group", members)
        self.recipients = [Recipient(self.group[name]) for name in names]
        self.senders = [
            Sender(self.group[f"sender{index}"], [one.identity for one in self.recipients], self.draw)
            for index in range(SENDERS)
        ]
        self.by_address = {sender.identity.fp: sender for sender in self.senders}
        self.scheme = "coaps+tcp" if options.tls else "coap+tcp"
        queue = "queue: {messages-per-mailbox: 10000000, bytes-per-mailbox: 17179869184}\n"
        self.relay = lab.Relay(lab.program(options), self.group, folder / "relay", [f"{self.scheme}://127.0.0.1:0"], queue)
        self.acknowledgements = 0
        self.missing_at_end, self.anew = [], 0
        self.submissions = 0
        self.killed = collections.Counter()
        self.starts = []
        self.step = asyncio.Event()
        self.number, self.how, self.relay_said = 0, "", ""
        self.is_stopping = False
        self.refused_at_stop = 0

    # MARK: What is checked at once

    def answered(self, sender):
        def answered(data, code, reason):
            _, sequence = lab.name_of(data)
            if code == lab.UNAVAILABLE and self.is_stopping:
                # It says so to what comes after it was told to stop; the sender keeps it.
                self.refused_at_stop += 1
            elif code != lab.CHANGED:
                raise_later(self, f"seq {sequence} of {sender.identity.name}: {lab.code_text(code)} {reason}")
            elif sequence in sender.acknowledged:
                sender.answered_twice += 1
            else:
                sender.acknowledged.add(sequence)
                del sender.open[sequence]
                self.acknowledgements += 1
                self.step.set()

        return answered

    def take(self, recipient):
        def take(data):
            address, sequence = lab.name_of(data)
            sender = self.by_address.get(address)
            to, sent = sender.envelopes.get(sequence, ((), None)) if sender else ((), None)
            if sent != data or recipient.identity not in to:
                raise_later(self, f"{recipient.identity.name} is handed what nobody sent to it: seq {sequence}")
            if recipient.mode == MUTE:
                return None
            # Recorded before it is answered.
            recipient.taken[address, sequence] += 1
            return True

        return take

    violation = None

    # MARK: One round

    async def connect(self, party, take=None):
        return await lab.Client.open(self.relay.url(self.scheme), party.identity, self.group.relay, take)

    async def send(self, sender):
        """Everything that is open; once the relay is gone, nothing more."""
        try:
            client = await self.connect(sender)
            self.submissions += len(sender.open)
            await client.submit(sender.bytes(sender.open), self.answered(sender))
        except lab.Lost:
            pass

    async def receive(self, recipient):
        try:
            client = await self.connect(recipient, self.take(recipient))
            await client.closed
        except lab.Lost:
            pass

    async def round(self):
        for sender in self.senders:
            sender.presign(max(0, 150 - len(sender.open)))
        for recipient in self.recipients:
            recipient.mode = self.draw.choice((AWAY, TAKES, TAKES, MUTE))
        how = self.draw.choice(("start", "first", "count", "count", "time", "time", "stop"))
        self.how = how
        self.killed[how] += 1
        begun = time.monotonic()
        if how == "start":
            self.relay.begin()
            # Of a start that takes as long as those before.
            typical = sum(self.starts) / len(self.starts) if self.starts else 0.2
            await asyncio.sleep(self.draw.uniform(0, typical))
            return self.relay.kill()
        await self.relay.start()
        self.starts.append(time.monotonic() - begun)
        tasks = [asyncio.create_task(self.send(sender)) for sender in self.senders]
        tasks += [
            asyncio.create_task(self.receive(recipient)) for recipient in self.recipients if recipient.mode != AWAY
        ]
        goal = {"first": 1, "count": self.draw.randint(2, 300)}.get(how)
        pause = self.draw.uniform(0, 0.7)
        before = self.acknowledgements
        try:
            async with asyncio.timeout(pause if goal is None else 30):
                while goal is None or self.acknowledgements - before < goal:
                    self.step.clear()
                    await self.step.wait()
        except TimeoutError:
            if goal is not None:
                raise lab.Violation(f"only {self.acknowledgements - before} of {goal} acknowledged in 30 s") from None
        if self.relay.process.poll() is not None:
            raise lab.Violation(f"the relay ended by itself: {self.relay.process.returncode}: {self.relay.tail()}")
        self.is_stopping = how == "stop"
        if self.is_stopping:
            self.relay.process.terminate()
            await asyncio.sleep(self.draw.uniform(0, 0.1))
        self.relay.kill()
        for recipient in self.recipients:
            recipient.kills += recipient.mode == TAKES
        await asyncio.gather(*tasks)
        self.is_stopping = False

    # MARK: The end

    def missing(self):
        """What was acknowledged and not taken by one whom it was for."""
        return [
            (sender.identity.name, sequence, recipient.identity.name)
            for sender in self.senders
            for sequence in sender.acknowledged
            for recipient in self.recipients
            if recipient.identity in sender.envelopes[sequence][0]
            and (sender.identity.fp, sequence) not in recipient.taken
        ]

    async def collect(self):
        """Everybody connects and takes all; then what was taken is sent once more, and must not come again."""
        await self.relay.start()
        for recipient in self.recipients:
            recipient.mode = TAKES
        tasks = [asyncio.create_task(self.receive(recipient)) for recipient in self.recipients]
        await asyncio.wait_for(asyncio.gather(*(self.send(sender) for sender in self.senders)), 300)
        for sender in self.senders:
            if sender.open:
                raise lab.Violation(f"{len(sender.open)} of {sender.identity.name} are never acknowledged")
        self.missing_at_end = await self.quiet()
        held = self.relay.status()["heldMessages"]
        if held and not self.missing_at_end:
            raise lab.Violation(f"{held} messages are held after everything was taken")
        if not self.missing_at_end:
            taken = [recipient.taken.copy() for recipient in self.recipients]
            await self.repeat()
            anew = sum((recipient.taken - before).total() for recipient, before in zip(self.recipients, taken))
            self.anew = anew - SENDERS * RECIPIENTS
        self.relay.stop()
        await asyncio.gather(*tasks)

    async def quiet(self):
        """Waits until nothing is missing, or nothing has come for half a minute; what is missing then."""
        deadline, seen = time.monotonic() + 30, -1
        while time.monotonic() < deadline:
            count = sum(recipient.taken.total() for recipient in self.recipients)
            if count != seen:
                deadline, seen = time.monotonic() + 30, count
            if not self.missing() and self.relay.status()["heldMessages"] == 0:
                return []
            await asyncio.sleep(0.2)
        return self.missing()

    async def repeat(self):
        """The newest envelopes of each sender again, and behind them one to everybody: when that is there, all is."""
        for sender in self.senders:
            old = list(sender.envelopes)[-200:]
            last = len(sender.envelopes) + 1
            to = [recipient.identity for recipient in self.recipients]
            sender.add(last, to, b"the last")
            client = await self.connect(sender)
            await client.submit(sender.bytes([*old, last]), self.answered(sender))
            client.close()
        await lab.until(lambda: not self.missing(), 60, lambda: f"missing: {self.missing()[:3]}", interval=0.2)

    async def run(self):
        begun = time.monotonic()
        try:
            for number in range(1, self.rounds + 1):
                self.number = number
                await self.round()
                if self.violation:
                    self.relay_said = self.relay.tail()
                    break
                if number % 20 == 0 and number < self.rounds:
                    lab.note(f"round {number} of {self.rounds}: {self.acknowledgements} acknowledged")
            self.how = "the end"
            await self.collect()
        finally:
            if self.relay.process and self.relay.process.poll() is None:
                self.relay.kill()
        missing = self.missing_at_end
        taken = sum(recipient.taken.total() for recipient in self.recipients)
        distinct = sum(len(recipient.taken) for recipient in self.recipients)
        summary = {
            "rounds": self.rounds,
            "seed": self.seed,
            "url": self.scheme,
            "killed": dict(self.killed),
            "acknowledged": self.acknowledgements,
            "submissions": self.submissions,
            "refused_while_stopping": self.refused_at_stop,
            "deliveries": distinct,
            # The kill came between the recipient's 2.04 and the relay's forgetting: at least once on every hop.
            "delivered_again": taken - distinct,
            "delivered_again_after_end": self.anew,
            "lost": len(missing),
            "violation": self.violation,
            "seconds": round(time.monotonic() - begun, 1),
        }
        print(json.dumps(summary), flush=True)
        for recipient in self.recipients:
            again = recipient.taken.total() - len(recipient.taken)
            if again > WINDOW * recipient.kills:
                raise lab.Violation(f"{recipient.identity.name} was handed {again} again in {recipient.kills} kills")
        if missing:
            raise lab.Violation(f"{len(missing)} acknowledged envelopes are lost, for example {missing[:5]}")
        if self.anew:
            raise lab.Violation(f"{self.anew} envelopes came again after they were taken")
        if self.violation:
            raise lab.Violation(f"{self.violation}\nthe relay said: {self.relay_said}")


def raise_later(crash, text):
    """Remembers the first violation; it is found where a callback cannot throw."""
    crash.violation = crash.violation or f"round {crash.number} ({crash.how}): {text}"


async def run(options, folder):
    await Crash(options, folder).run()


def main():
    options = arguments()
    with lab.work_folder(options.keep) as folder:
        asyncio.run(run(options, folder))


if __name__ == "__main__":
    sys.exit(lab.exit_code(main))
