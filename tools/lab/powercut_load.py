"""A relay under load whose files are watched, and what it has when it is started after a power cut.

The half of relay_powercut.py that speaks with the relay.
"""

import asyncio
import collections
import contextlib
import time

import powercut
import relay_lab as lab
from relay_crash import AWAY, MUTE, TAKES, Sender

SENDERS, RECIPIENTS = 3, 3


class Loader(Sender):
    """A sender that knows when each envelope was acknowledged."""

    def __init__(self, *all):
        super().__init__(*all)
        self.acknowledged = {}
        self.first = 1

    def presign(self, count, sizes):
        first = len(self.envelopes) + 1
        for sequence in range(first, first + count):
            to = self.draw.sample(self.recipients, self.draw.choice((1, 1, 1, 2, 3)))
            self.add(sequence, to, self.draw.randbytes(self.draw.choice(sizes)))

    def go_back(self, moment):
        """What was acknowledged from then on is to be sent again; at 0 all is forgotten."""
        self.acknowledged = {sequence: at for sequence, at in self.acknowledged.items() if at < moment}
        if not moment:
            self.first = len(self.envelopes) + 1
        rest = range(self.first, len(self.envelopes) + 1)
        self.open = dict.fromkeys(sequence for sequence in rest if sequence not in self.acknowledged)

    def presign_end(self):
        """The envelope that is sent behind all others, after a cut."""
        self.end = len(self.envelopes) + 1
        self.add(self.end, self.recipients, b"the last")
        del self.open[self.end]


class Recipient:
    def __init__(self, identity):
        self.identity = identity
        self.mode = AWAY
        # When each was taken first.
        self.taken = {}

class Load:
    """Senders and recipients, one relay that they load, and one that is started on what a power cut leaves of its disk."""

    def __init__(self, folder, program, draw):
        self.folder, self.program, self.draw = folder, program, draw
        self.library = powercut.library(folder)
        names = [f"recipient{index}" for index in range(RECIPIENTS)]
        members = {name: [] for name in names} | {f"sender{index}": names for index in range(SENDERS)}
        self.group = lab.make_group(folder / "group", members)
        self.recipients = [Recipient(self.group[name]) for name in names]
        self.senders = [
            Loader(self.group[f"sender{index}"], [one.identity for one in self.recipients], draw)
            for index in range(SENDERS)
        ]
        self.by_address = {sender.identity.fp: sender for sender in self.senders}
        self.disk, self.trial = folder / "disk", folder / "trial"
        self.relay = self.make_relay("relay", self.disk)
        self.after = self.make_relay("relay-after", self.trial)
        self.violations = []
        self.number = 0
        self.step = asyncio.Event()

    def make_relay(self, name, disk):
        queue = "queue: {messages-per-mailbox: 10000000, bytes-per-mailbox: 17179869184}\n"
        return lab.Relay(self.program, self.group, self.folder / name, extra=queue, state=disk / "lib" / "pangate")

    def violation(self, text):
        if len(self.violations) < 10:
            lab.note(f"VIOLATION: {text}")
        self.violations.append(text)

    # MARK: A relay under load

    def answered(self, sender):
        def answered(data, code, reason):
            _, sequence = lab.name_of(data)
            if code == lab.CHANGED:
                sender.acknowledged.setdefault(sequence, time.monotonic_ns())
                sender.open.pop(sequence, None)
                self.step.set()
            elif code != lab.UNAVAILABLE:
                self.violation(f"round {self.number}: seq {sequence}: {lab.code_text(code)} {reason}")

        return answered

    def checked(self, recipient, data, complain):
        """The name of what a recipient is handed; complains of what nobody sent it."""
        address, sequence = lab.name_of(data)
        sender = self.by_address.get(address)
        to, sent = sender.envelopes.get(sequence, ((), None)) if sender else ((), None)
        if sent != data or recipient.identity not in to:
            complain(f"{recipient.identity.name} is handed what nobody sent it: {sequence}")
        return address, sequence

    def take(self, recipient):
        def complain(text):
            self.violation(f"round {self.number}: {text}")

        def take(data):
            name = self.checked(recipient, data, complain)
            if recipient.mode == MUTE:
                return None
            # Noted before it is answered.
            recipient.taken.setdefault(name, time.monotonic_ns())
            return True

        return take

    async def send(self, sender):
        with contextlib.suppress(lab.Lost):
            client = await lab.Client.open(self.relay.urls[0], sender.identity, self.group.relay)
            await client.submit(sender.bytes(list(sender.open)), self.answered(sender))

    async def receive(self, recipient):
        with contextlib.suppress(lab.Lost):
            client = await lab.Client.open(
                self.relay.urls[0], recipient.identity, self.group.relay, self.take(recipient)
            )
            await client.closed

    async def life(self, how, is_heavy):
        """The relay from its start to its end."""
        sizes = (400, 3000, 60000, 60000) if is_heavy else (8, 40, 40, 400, 3000, 20000)
        for sender in self.senders:
            sender.presign(max(0, self.draw.choice((30, 100, 200)) - len(sender.open)), sizes)
        for recipient in self.recipients:
            recipient.mode = self.draw.choice((TAKES, TAKES, TAKES, MUTE, AWAY))
        # Somebody has to be owed something.
        self.draw.choice(self.recipients).mode = self.draw.choice((MUTE, AWAY))
        variables = {"LD_PRELOAD": self.library, "POWERCUT_ROOT": self.disk, "POWERCUT_LOG": self.log.path}
        if how == "sync":
            variables["POWERCUT_KILL"] = self.draw.choice((1, 2, 3, self.draw.randint(4, 80)))
        self.relay.prefix = ["env", *(f"{name}={value}" for name, value in variables.items())]
        self.relay.begin()
        process = self.relay.process
        if how == "start":
            await asyncio.sleep(self.draw.uniform(0, 0.25))
        else:
            with contextlib.suppress(lab.Violation):
                await self.relay.ready()
        if self.relay.urls:
            tasks = [asyncio.create_task(self.send(sender)) for sender in self.senders]
            receiving = [self.receive(recipient) for recipient in self.recipients if recipient.mode != AWAY]
            tasks += map(asyncio.create_task, receiving)
            sending = tasks[:SENDERS]
            pause = {"start": 0, "sync": 3, "count": 3}.get(how, self.draw.uniform(0.1, 3 if is_heavy else 1))
            goal = self.draw.randint(30, 100) if how == "count" else None
            before = sum(len(sender.acknowledged) for sender in self.senders)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    while process.poll() is None and not (how != "sync" and all(task.done() for task in sending)):
                        if goal and sum(len(sender.acknowledged) for sender in self.senders) - before >= goal:
                            break
                        self.step.clear()
                        with contextlib.suppress(TimeoutError):
                            await asyncio.wait_for(self.step.wait(), 0.05)
            if how == "stop":
                self.relay.stop()
            elif process.poll() is None:
                self.relay.kill()
            await asyncio.gather(*tasks)
        elif process.poll() is None:
            self.relay.kill()
        if process.wait() not in (0, -9):
            self.violation(f"round {self.number} ({how}): the relay ended with {process.returncode}: {self.relay.tail()}")
        self.log.read(self.disk)

    # MARK: What has to be there after a cut

    def owed(self, moment):
        """What was acknowledged and not taken before that moment, for each recipient."""
        return {
            recipient.identity.name: {
                (address, sequence)
                for address, sender in self.by_address.items()
                for sequence, at in sender.acknowledged.items()
                if at < moment
                and recipient.identity in sender.envelopes[sequence][0]
                and recipient.taken.get((address, sequence), moment) >= moment
            }
            for recipient in self.recipients
        }

    async def collect(self, owed, patience):
        """Starts the relay on the trial disk and takes all that it has; what is missing of what is owed."""
        await self.after.start()
        url, relay = self.after.urls[0], self.group.relay
        had = {recipient.identity.name: collections.Counter() for recipient in self.recipients}
        refused, wrong = [], []

        def take(recipient):
            counts = had[recipient.identity.name]

            def take(data):
                # A disk that ignores syncs may hold anything: the cut is bad then, and nothing else.
                counts[self.checked(recipient, data, wrong.append)] += 1
                self.step.set()
                return True

            return take

        def answered(data, code, reason):
            if code != lab.CHANGED:
                refused.append(f"seq {lab.name_of(data)[1]}: {lab.code_text(code)} {reason}")

        def missing():
            return {name: all - had[name].keys() for name, all in owed.items() if all - had[name].keys()}

        clients = [
            await lab.Client.open(url, recipient.identity, relay, take(recipient)) for recipient in self.recipients
        ]
        ends = {sender.identity.fp: sender.end for sender in self.senders}
        for sender in self.senders:
            clients.append(await lab.Client.open(url, sender.identity, relay))
            # What is acknowledged is not taken anew; what comes behind it comes last.
            again = sorted({sequence for all in owed.values() for at, sequence in all if at == sender.identity.fp})[-30:]
            await clients[-1].submit(sender.bytes([*again, sender.end]), answered)

        async def until(condition, seconds):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    while not condition():
                        self.step.clear()
                        await self.step.wait()
            return condition()

        if not await until(lambda: all(end in counts for end in ends.items() for counts in had.values()), 30):
            raise lab.Violation("what is sent after the cut is not delivered")
        await until(lambda: not missing(), patience)
        for client in clients:
            client.abort()
        self.after.kill()
        twice = [name for counts in had.values() for name, count in counts.items() if count > 1]
        if wrong:
            raise lab.Violation(wrong[0])
        if refused:
            raise lab.Violation(f"what was acknowledged is refused: {refused[0]}")
        if twice:
            raise lab.Violation(f"{len(twice)} are delivered twice after the cut, for example seq {twice[0][1]}")
        complaints = [line for line in self.after.log_text().splitlines() if " notice " not in line and " info " not in line]
        if complaints:
            raise lab.Violation(f"the relay complains: {complaints[0]}")
        return missing()
