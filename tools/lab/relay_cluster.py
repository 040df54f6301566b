"""Two relays on a cluster of three nats-servers, of which one after the other is killed: nothing acknowledged is lost.

relay_cluster.py [--pangate FILE] [--minutes N] [--seed N] [--rate N] [--tls] [--keep]

The servers have the configuration of tools/cluster, on free ports; the relays have one identity, and three copies of
everything.
Senders and recipients are connected to either relay and go to the other when theirs is gone, and now and then without a reason.
Every few seconds one of the five is killed with kill -9 and started again, but no nats-server while another one is down or has
not caught up, and no relay while the other one is down. Senders send again, to either relay, what was not acknowledged. In
between, and once more when everything is up, a new access list leaves a member out: it is put at one relay, and both must
refuse the member soon after, whichever of them is started anew.

At the end everything is up, and recipients collect until nothing is held. A violation is: an envelope that was answered 2.04
and does not reach one whom it was for; a delivery that nobody sent, or altered, or to one whom it was not for; an envelope that
was taken by everybody, is sent once more to either relay, and is delivered anew; anything but 2.04 or 5.03 as an answer; copies
of what is held that differ from server to server; a member who was left out and is served; a process that ends by itself, or
does not start again within a minute. That an envelope comes twice is none: recipients know it by its sender and sequence
number.

Prints a JSON summary; exit code 1 on a violation.
"""

import argparse
import asyncio
import collections
import contextlib
import json
import os
import random
import re
import socket
import subprocess
import sys
import time
import urllib.request

import relay_crash
import relay_lab as lab

SENDERS, RECIPIENTS = 4, 5
SERVERS, RELAYS = 3, 2
# Envelopes that a sender hands in before it looks whether to go elsewhere.
BATCH = 32
# Seconds within which what was killed must be up and well again, an answer must come, and a relay must take a new list.
RECOVERY, ANSWER, TAKEN = 60, 60, 60
# Seconds after which a nats-server that has not caught up is started once more, and how often.
PATIENCE, ATTEMPTS = 20, 3
# Seconds within which the other relay must obey it: while servers are killed (a relay finds that it hears nothing of lists any
# more after 15), and when all is calm.
OBEYED, OBEYED_IN_CALM = 25, 10
# What a relay exits with if it does not reach the cluster.
CANNOT_START = 3
MAIL = "pangate-mail"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    lab.add_arguments(parser)
    parser.add_argument("--minutes", type=float, default=5, help="for how long relays and servers are killed")
    parser.add_argument("--seed", type=int, default=None, help="of everything that is drawn; printed in the summary")
    parser.add_argument("--rate", type=float, default=200, help="envelopes a second, of all senders")
    parser.add_argument("--tls", action="store_true", help="coaps+tcp instead of coap+tcp")
    parser.add_argument("--keep", action="store_true", help="keep the working directory: state, logs, identities")
    return parser.parse_args()


# MARK: The servers


def free_ports(count):
    """Ports that nobody uses, and that the system gives to nobody while a server is down."""
    with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
        first, last = (int(text) for text in file.read().split())
    candidates = [port for port in range(10_000, 65_000) if not first <= port <= last]
    with contextlib.ExitStack() as stack:
        found = []
        while len(found) < count:
            if not candidates:
                raise lab.CannotRun("there are no free ports")
            port = candidates.pop(random.SystemRandom().randrange(len(candidates)))
            with contextlib.suppress(OSError):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
                found.append(port)
        return found


class Server:
    """One nats-server of the cluster: Config/nats/server-N.conf on other ports."""

    def __init__(self, program, number, ports, folder):
        self.name = f"server-{number}"
        self.program = program
        self.folder = folder
        text = (lab.ROOT / "Config" / "nats" / f"{self.name}.conf").read_text()
        text = re.sub(r"\b1[468]22[123]\b", lambda found: str(ports[found[0]]), text)
        self.config = folder / f"{self.name}.conf"
        self.config.write_text(text)
        self.log = folder / f"{self.name}.log"
        self.url = f"nats://127.0.0.1:{ports[f'1422{number}']}"
        self.monitor = f"http://127.0.0.1:{ports[f'1822{number}']}"
        self.process = None
        self.is_up = False
        # How often it had to be started once more.
        self.healed = 0

    async def start(self):
        """Starts it, and waits until it knows the cluster's leader and has everything."""
        for attempt in range(ATTEMPTS):
            if attempt:
                self.kill()
                self.healed += 1
            with self.log.open("ab") as log:
                self.process = subprocess.Popen(
                    [self.program, "--config", self.config],
                    cwd=self.folder,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
            deadline = time.monotonic() + PATIENCE
            while time.monotonic() < deadline:
                if await self.is_well():
                    self.is_up = True
                    return
                self.check()
                await asyncio.sleep(0.1)
        raise lab.Slow(f"{self.name} has not caught up in {ATTEMPTS} times {PATIENCE} s: {self.tail()}")

    async def is_well(self):
        cluster = (await self.ask("jsz") or {}).get("meta_cluster", {})
        return bool(cluster.get("leader")) and (await self.ask("healthz") or {}).get("status") == "ok"

    async def ask(self, path):
        """What its monitoring port says; None if it does not."""

        def ask():
            try:
                with urllib.request.urlopen(f"{self.monitor}/{path}", timeout=2) as answer:
                    return json.load(answer)
            except (OSError, ValueError):
                return None

        return await asyncio.to_thread(ask)

    async def messages(self):
        """How many messages its copy of each stream has, and the number of the last."""
        answer = await self.ask("jsz?accounts=1&streams=1") or {}
        return {
            stream["name"]: (stream["state"]["messages"], stream["state"]["last_seq"])
            for account in answer.get("account_details") or []
            for stream in account.get("stream_detail") or []
        }

    def check(self):
        """Throws if it ended by itself."""
        if self.process.poll() is not None:
            raise lab.Violation(f"{self.name} ended by itself with {self.process.returncode}: {self.tail()}")

    def tail(self):
        return self.log.read_text(errors="replace").strip()[-1000:]

    def kill(self):
        self.is_up = False
        self.process.kill()
        self.process.wait()


def make_servers(folder):
    program = lab.nats_server()
    if program is None:
        raise lab.CannotRun("no nats-server: tools/setup test")
    names = [f"1{kind}22{number}" for kind in "468" for number in range(1, SERVERS + 1)]
    ports = dict(zip(names, free_ports(len(names))))
    folder.mkdir()
    return [Server(program, number, ports, folder) for number in range(1, SERVERS + 1)]


# MARK: The relays


class ClusterRelay(lab.Relay):
    """A relay that keeps everything in the cluster, and nothing itself."""

    def __init__(self, name, program, group, folder, listen, servers):
        super().__init__(program, group, folder, listen)
        self.name = name
        text = self.config.read_text()
        alone = f"store: {{state: {self.folder}/state}}\n"
        assert alone in text
        urls = json.dumps([server.url for server in servers])
        shared = f"store: {{nats: {{servers: {urls}, replicas: {SERVERS}, connect-seconds: 30}}}}\n"
        self.config.write_text(text.replace(alone, shared))
        self.is_up = False
        # What it said when it ended at its start.
        self.failed_starts = []

    async def start(self, timeout=RECOVERY):
        """Starts it, and again if it ends because it does not reach what it needs, as systemd does."""
        deadline = time.monotonic() + timeout
        while not self.is_up:
            try:
                await super().start(max(1, deadline - time.monotonic()))
                self.is_up = True
            except lab.Violation as error:
                if self.process.poll() != CANNOT_START or time.monotonic() > deadline:
                    kind = lab.Slow if self.process.poll() in (None, CANNOT_START) else lab.Violation
                    raise kind("; before: ".join([f"{self.name}: {error}", *self.failed_starts[-1:]])) from error
                self.failed_starts.append(self.tail().splitlines()[-1])
                await asyncio.sleep(0.2)

    def check(self):
        if self.process.poll() is not None:
            raise lab.Violation(f"{self.name} ended by itself with {self.process.returncode}: {self.tail()}")

    def kill(self):
        self.is_up = False
        super().kill()


# MARK: Access lists


class Oracle:
    """Signs access lists that leave out one guest after the other."""

    def __init__(self, group, guests):
        self.group = group
        self.guests = list(guests)
        self.epoch = 1

    def leave_out(self, guest):
        """The list without a guest, signed."""
        import detcbor
        import envelope
        import home
        import make_demo_home

        self.epoch += 1
        home.MEMBERS[:] = [member for member in home.MEMBERS if member.name != guest]
        access_list = make_demo_home.access_list(self.group.identities)
        access_list[2] = self.epoch
        return envelope.make(
            self.group["oracle"],
            envelope.AUTH_ONLY,
            [self.group.relay],
            100 + self.epoch,
            envelope.ACCESS_LIST,
            detcbor.dumps(access_list),
            ttl=lab.LIFETIME,
            full=True,
        )


def leaves(error):
    """The exceptions in a group of groups."""
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from leaves(part)
    else:
        yield error


# MARK: The test


class ClusterTest:
    def __init__(self, options, folder):
        self.seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 32)
        lab.note(f"seed {self.seed}")
        self.draw = random.Random(self.seed)
        self.seconds = options.minutes * 60
        program = lab.program(options)
        self.servers = make_servers(folder / "servers")
        names = [f"recipient{index}" for index in range(RECIPIENTS)]
        # One list in half a minute, and one in the end.
        guests = [f"guest{index}" for index in range(max(1, int(self.seconds / 30)) + 1)]
        members = {name: [] for name in names}
        members |= {name: names for name in [f"sender{index}" for index in range(SENDERS)] + guests}
        self.group = lab.make_group(folder / "group", members)
        self.oracle = Oracle(self.group, guests)
        self.recipients = [relay_crash.Recipient(self.group[name]) for name in names]
        self.senders = [self.sender(f"sender{index}") for index in range(SENDERS)]
        self.by_address = {sender.identity.fp: sender for sender in self.senders}
        self.scheme = "coaps+tcp" if options.tls else "coap+tcp"
        self.relays = [
            ClusterRelay(
                f"relay-{number}", program, self.group, folder / f"relay-{number}", [f"{self.scheme}://127.0.0.1:0"],
                self.servers,
            )
            for number in range(1, RELAYS + 1)
        ]  # fmt: skip
        self.pace = lab.Pace(options.rate)
        self.first_violation = None
        self.violated = asyncio.Event()
        self.is_slow = False
        self.is_over = False
        self.recoveries = set()
        self.killed = collections.Counter()
        self.recovered = []
        self.answers = []
        self.submissions = self.unavailable = self.unanswered = self.moves = 0
        self.obeyed = []
        self.anew = 0

    def sender(self, name):
        return relay_crash.Sender(self.group[name], [one.identity for one in self.recipients], self.draw)

    def violate(self, error):
        """Remembers the first violation, where nothing can be thrown; one that is only slow gives way to any other."""
        if not self.first_violation or self.is_slow and not isinstance(error, lab.Slow):
            self.first_violation, self.is_slow = str(error), isinstance(error, lab.Slow)
        self.violated.set()

    # MARK: What is checked at once

    def answered(self, sender, sent, refused):
        def answered(data, code, reason):
            _, sequence = lab.name_of(data)
            self.answers.append(time.monotonic() - sent[sequence])
            if code == lab.CHANGED:
                sender.acknowledged.add(sequence)
                sender.open.pop(sequence, None)
            elif code == lab.UNAVAILABLE:
                self.unavailable += 1
                refused.append(sequence)
            else:
                self.violate(f"seq {sequence} of {sender.identity.name}: {lab.code_text(code)} {reason}")

        return answered

    def take(self, recipient):
        def take(data):
            address, sequence = lab.name_of(data)
            sender = self.by_address.get(address)
            to, sent = sender.envelopes.get(sequence, ((), None)) if sender else ((), None)
            if sent != data or recipient.identity not in to:
                self.violate(f"{recipient.identity.name} is handed what nobody sent to it: seq {sequence}")
            # Recorded before it is answered.
            recipient.taken[address, sequence] += 1
            return True

        return take

    # MARK: Senders and recipients

    async def connect(self, identity, relay, take=None):
        if not relay.urls:
            raise lab.Lost("the relay is down")
        return await lab.Client.open(relay.url(self.scheme), identity, self.group.relay, take, timeout=20)

    def other(self, relay):
        self.moves += 1
        return next(other for other in self.relays if other is not relay)

    async def submit(self, client, sender, sequences, pace=None):
        """Hands envelopes in, and returns which were answered 5.03."""
        sent, refused = {}, []
        self.submissions += len(sequences)

        def stamped():
            for sequence in sequences:
                sent[sequence] = time.monotonic()
                yield sender.envelopes[sequence][1]

        try:
            async with asyncio.timeout(ANSWER):
                await client.submit(stamped(), self.answered(sender, sent, refused), pace=pace)
        except TimeoutError:
            self.unanswered += 1
            client.abort()
            raise lab.Lost(f"no answer in {ANSWER} s") from None
        return refused

    async def send(self, sender):
        """Sends new envelopes and, again, what is not acknowledged, until the end has come and all is acknowledged."""
        relay = self.draw.choice(self.relays)
        client = None
        while sender.open or not self.is_over:
            try:
                client = client or await self.connect(sender.identity, relay)
                if not self.is_over:
                    sender.presign(max(0, BATCH - len(sender.open)))
                refused = await self.submit(client, sender, list(sender.open), self.pace)
                if not refused and self.draw.random() < 0.95:
                    continue
                client.close()
                pause = 0.2 if refused else 0
            except lab.Lost:
                pause = 0.05
            client = None
            relay = self.other(relay)
            await asyncio.sleep(pause)
        if client is not None:
            client.close()

    async def receive(self, recipient):
        """Takes what is there; goes to the other relay if this one is gone, and at times without a reason."""
        relay = self.draw.choice(self.relays)
        client = None
        while True:
            try:
                fresh = await self.connect(recipient.identity, relay, self.take(recipient))
            except lab.Lost:
                fresh = None
            if client is not None:
                # A new connection is there before the old one ends: the relays settle who delivers.
                client.close()
            client = fresh
            if client is None:
                await asyncio.sleep(0.05)
            else:
                stay = None if self.is_over else self.draw.uniform(2, 20)
                await asyncio.wait([client.closed], timeout=stay)
                if client.is_open and self.is_over:
                    await client.closed
            relay = self.other(relay)

    # MARK: Kills

    async def disturb(self):
        """Kills one of the five every few seconds, and starts it again."""
        end = time.monotonic() + self.seconds
        said = time.monotonic()
        while time.monotonic() < end:
            await asyncio.sleep(self.draw.uniform(1, 4))
            for one in self.servers + self.relays:
                if one.is_up:
                    one.check()
            candidates = [group for group in (self.servers, self.relays) if all(one.is_up for one in group)]
            if not candidates:
                continue
            victim = self.draw.choice([one for group in candidates for one in group])
            victim.kill()
            self.killed[victim.name] += 1
            recovery = asyncio.create_task(self.recover(victim, self.draw.uniform(0, 4)))
            self.recoveries.add(recovery)
            recovery.add_done_callback(self.recoveries.discard)
            if time.monotonic() - said > 30:
                said = time.monotonic()
                lab.note(f"{self.killed.total()} kills, {self.acknowledged} acknowledged")
        await asyncio.gather(*self.recoveries)
        if self.first_violation:
            raise (lab.Slow if self.is_slow else lab.Violation)(self.first_violation)

    async def recover(self, victim, pause):
        await asyncio.sleep(pause)
        begun = time.monotonic()
        try:
            await victim.start()
        except lab.Violation as error:
            self.violate(error)
        self.recovered.append(time.monotonic() - begun)

    # MARK: Access lists

    async def put_list(self, guest, relay):
        """Puts a list without a guest at a relay, which must take it while it and the cluster are there."""
        data = self.oracle.leave_out(guest)
        deadline = time.monotonic() + TAKEN
        said = "no connection"
        while time.monotonic() < deadline:
            try:
                client = await self.connect(self.group["oracle"], relay)
                async with asyncio.timeout(ANSWER):
                    code, content = await client.request(lab.POST, lab.ENVELOPE + data)
                client.close()
                if code == lab.CHANGED:
                    return
                said = f"{lab.code_text(code)} {lab.problem_of(content)}"
                if code != lab.UNAVAILABLE:
                    raise lab.Violation(f"the access list of epoch {self.oracle.epoch}: {said}")
            except (lab.Lost, TimeoutError) as error:
                said = str(error)
            await asyncio.sleep(0.1)
        raise lab.Slow(f"{relay.name} does not take the access list of epoch {self.oracle.epoch}: {said}")

    async def refuses(self, relay, guest, within):
        """Waits until a relay refuses a guest; it has so long from when it was told, or has come back."""
        deadline = time.monotonic() + within
        said = ""
        while time.monotonic() < deadline:
            if not relay.is_up:
                deadline = time.monotonic() + within
            try:
                client = await self.connect(self.group[guest], relay)
                client.close()
                said = "it serves it"
            except lab.Lost as error:
                said = str(error)
                if "senderRevoked" in said or "envelopeSenderUnknown" in said:
                    return
            await asyncio.sleep(0.05)
        raise lab.Violation(
            f"{relay.name} does not refuse {guest}, left out in epoch {self.oracle.epoch}, within {within} s: {said}; "
            f"it said: {relay.tail()}"
        )

    async def leave_out(self, guest, within):
        begun = self.draw.choice(self.relays)
        await self.put_list(guest, begun)
        moment = time.monotonic()
        await asyncio.gather(*(self.refuses(relay, guest, within) for relay in self.relays))
        self.obeyed.append(time.monotonic() - moment)

    async def new_lists(self):
        """One list after the other while relays and servers are killed; the last guest is kept for the end."""
        for guest in self.oracle.guests[:-1]:
            await asyncio.sleep(min(30, self.seconds) * self.draw.uniform(0.2, 0.6))
            await self.leave_out(guest, OBEYED)

    async def leave_out_in_calm(self):
        """The last guest is served by one relay; the list is put at the other; the first one ends what it has with it."""
        guest = self.oracle.guests[-1]
        one, two = self.draw.sample(self.relays, 2)
        sender = self.sender(guest)
        sender.presign(1)
        self.by_address[sender.identity.fp] = sender
        self.senders.append(sender)
        client = await self.connect(sender.identity, one)
        if await self.submit(client, sender, list(sender.open)):
            raise lab.Violation(f"{one.name} has no store when all is calm")
        await lab.until(lambda: not self.missing(), RECOVERY, lambda: f"{guest}'s envelope has not come")
        await self.put_list(guest, two)
        moment = time.monotonic()
        await asyncio.wait([client.closed], timeout=OBEYED_IN_CALM)
        if client.is_open or "senderRevoked" not in client.reason:
            raise lab.Violation(
                f"{one.name} does not end the session of {guest} within {OBEYED_IN_CALM} s: "
                f"{client.reason or 'it is open'}; it said: {one.tail()}"
            )
        await asyncio.gather(*(self.refuses(relay, guest, OBEYED_IN_CALM) for relay in self.relays))
        self.obeyed.append(time.monotonic() - moment)

    # MARK: The end

    @property
    def acknowledged(self):
        return sum(len(sender.acknowledged) for sender in self.senders)

    def missing(self):
        """What was acknowledged and not taken by one whom it was for."""
        taken = {recipient.identity.fp: recipient.taken for recipient in self.recipients}
        return [
            (sender.identity.name, sequence, identity.name)
            for sender in self.senders
            for sequence in sender.acknowledged
            for identity in sender.envelopes[sequence][0]
            if (sender.identity.fp, sequence) not in taken[identity.fp]
        ]

    async def collected(self):
        """Waits until nothing is missing, or nothing has come for long."""
        deadline, seen = time.monotonic() + RECOVERY, -1
        while self.missing() and time.monotonic() < deadline:
            count = sum(recipient.taken.total() for recipient in self.recipients)
            if count != seen:
                deadline, seen = time.monotonic() + RECOVERY, count
            await asyncio.sleep(0.2)

    async def nothing_held(self):
        """Waits until every server's copy of the mail is empty, both relays say so, and the copies of all agree."""
        deadline = time.monotonic() + RECOVERY + PATIENCE
        behind = None
        while True:
            copies = {server.name: await server.messages() for server in self.servers}
            status = {relay.name: await asyncio.to_thread(relay.status) for relay in self.relays}
            held = {name: one["heldMessages"] for name, one in status.items() if one["isReady"]}
            mail = [copy.get(MAIL, (None, None))[0] for copy in copies.values()]
            agree = all(copy == copies[self.servers[0].name] for copy in copies.values())
            if mail == [0] * SERVERS and list(held.values()) == [0] * RELAYS and agree:
                return
            if not agree and behind is None and time.monotonic() > deadline - RECOVERY:
                # One that fell behind, though it says that it is well.
                behind = min(self.servers, key=lambda server: sum(copies[server.name] == one for one in copies.values()))
                behind.kill()
                behind.healed += 1
                await behind.start()
                continue
            if time.monotonic() > deadline:
                raise lab.Violation(f"held {RECOVERY} s after everything was taken: servers {copies}, relays {held}")
            await asyncio.sleep(0.2)

    async def repeat(self):
        """The newest envelopes of each sender once more to both relays, and behind them one to everybody: when that is there,
        all is."""
        before = [recipient.taken.copy() for recipient in self.recipients]
        to = [recipient.identity for recipient in self.recipients]
        for sender in self.senders:
            old = list(sender.envelopes)[-100:]
            for relay in self.relays:
                last = len(sender.envelopes) + 1
                sender.add(last, to, b"the last")
                client = await self.connect(sender.identity, relay)
                refused = await self.submit(client, sender, [*old, last])
                client.close()
                if refused:
                    raise lab.Violation(f"{relay.name} has no store when all is calm")
        await lab.until(lambda: not self.missing(), RECOVERY, lambda: f"missing: {self.missing()[:3]}", interval=0.2)
        again = sum((recipient.taken - taken).total() for recipient, taken in zip(self.recipients, before))
        self.anew = again - SENDERS * RELAYS * RECIPIENTS
        if self.anew:
            raise lab.Violation(f"{self.anew} envelopes came again after they were taken")

    async def finish(self, sending):
        """Everything is up: all is sent, and all is collected."""
        self.is_over = True
        done, late = await asyncio.wait(sending, timeout=RECOVERY * 2)
        if late:
            still = {sender.identity.name: len(sender.open) for sender in self.senders}
            raise lab.Violation(f"not acknowledged {RECOVERY * 2} s after everything was up: {still}")
        for task in done:
            task.result()
        await self.collected()
        if missing := self.missing():
            copies = {server.name: await server.messages() for server in self.servers}
            raise lab.Violation(
                f"{len(missing)} acknowledged envelopes are lost, for example {missing[:5]}; servers hold {copies}"
            )
        await self.nothing_held()
        await self.repeat()
        await self.leave_out_in_calm()
        await self.nothing_held()

    async def story(self):
        lab.note("starting three servers and two relays")
        await asyncio.gather(*(server.start() for server in self.servers))
        begun = await asyncio.gather(*(relay.start() for relay in self.relays), return_exceptions=True)
        failures = [failure for failure in begun if failure is not None]
        for failure in failures:
            if not isinstance(failure, lab.Slow):
                raise failure
        if failures:
            # Seen on a busy machine: servers that know of each other and place no stream ("no suitable peers").
            lab.note(f"starting the servers once more: {failures[0]}")
            for relay in self.relays:
                relay.kill()
            for server in self.servers:
                server.kill()
                server.healed += 1
            await asyncio.gather(*(server.start() for server in self.servers))
            await asyncio.gather(*(relay.start() for relay in self.relays))
        async with asyncio.TaskGroup() as group:
            receiving = [group.create_task(self.receive(recipient)) for recipient in self.recipients]
            sending = [group.create_task(self.send(sender)) for sender in self.senders]
            lists = group.create_task(self.new_lists())
            await self.disturb()
            await lists
            lab.note("everything is up: collecting")
            await self.finish(sending)
            for task in receiving:
                task.cancel()
        for relay in self.relays:
            relay.stop()

    async def run(self):
        begun = time.monotonic()
        story = asyncio.create_task(self.story())
        violated = asyncio.create_task(self.violated.wait())
        try:
            await asyncio.wait([story, violated], return_when=asyncio.FIRST_COMPLETED)
            if not story.done():
                story.cancel()
            try:
                await story
            except asyncio.CancelledError:
                pass
            except (lab.Violation, lab.Lost) as error:
                self.violate(error)
            except BaseExceptionGroup as group:
                first = next(iter(leaves(group)))
                if not isinstance(first, (lab.Violation, lab.Lost)):
                    raise
                self.violate(first)
        finally:
            violated.cancel()
            for one in self.relays + self.servers:
                if one.process is not None and one.process.poll() is None:
                    one.kill()
        self.report(time.monotonic() - begun)
        if self.first_violation:
            raise (lab.Slow if self.is_slow else lab.Violation)(self.first_violation)

    def report(self, seconds):
        taken = sum(recipient.taken.total() for recipient in self.recipients)
        distinct = sum(len(recipient.taken) for recipient in self.recipients)
        summary = {
            "minutes": round(self.seconds / 60, 2),
            "seed": self.seed,
            "url": self.scheme,
            "killed": dict(sorted(self.killed.items())),
            "healed": sum(server.healed for server in self.servers),
            "failed_starts": sum(len(relay.failed_starts) for relay in self.relays),
            "recovery_ms": lab.percentiles(self.recovered),
            "acknowledged": self.acknowledged,
            "submissions": self.submissions,
            "answered_unavailable": self.unavailable,
            "connections_without_answer": self.unanswered,
            "answer_ms": lab.percentiles(self.answers),
            "moves": self.moves,
            "deliveries": distinct,
            # At least once on every hop; a recipient knows them by sender and sequence number.
            "delivered_again": taken - distinct,
            "delivered_again_after_end": self.anew,
            "lost": len(self.missing()) if self.is_over else None,
            "access_lists": len(self.obeyed),
            "obeyed_ms": lab.percentiles(self.obeyed),
            "violation": self.first_violation,
            "seconds": round(seconds, 1),
        }
        print(json.dumps(summary), flush=True)


async def run(options, folder):
    await ClusterTest(options, folder).run()


def main():
    options = arguments()
    with lab.work_folder(options.keep) as folder:
        asyncio.run(run(options, folder))


if __name__ == "__main__":
    sys.exit(lab.exit_code(main))
