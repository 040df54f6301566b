"""The power goes while the relay is under load: nothing that it had acknowledged by then is lost.

relay_powercut.py [--pangate FILE] [--rounds N] [--cuts N] [--seed N] [--self-check] [--made] [--keep]

In each round the relay runs, with a library preloaded that writes down all that it does to its files (powercut.c), is
loaded, and is ended once or more: killed after a random time, while it starts, between the writing of a commit and its sync,
or stopped. Then, for many points of what was written down, directories are made as a disk can have them if the power goes
there (powercut.py), the relay is started on each, and everybody takes what there is. The points are spread over all the
pairs of operations that follow each other: between a write to the log and its sync, within a checkpoint, between a rename
and the sync of its directory. Some rounds begin without a directory, some with what a cut of the last one left.

A violation is: an envelope that was answered 2.04 before the cut, and that its recipient had not taken by then, is not
delivered; one is delivered altered, unsent, to another, or twice over one connection; one that was acknowledged is
refused when it comes again; a relay that does not start, or complains; a database that SQLite finds damaged.

--self-check also lets the syncs of files do nothing, and then those of directories. Each must lose envelopes, or else it is
this test that is broken. Prints a JSON summary; exit code 1 on a violation. Linux only.
"""

import argparse
import asyncio
import collections
import contextlib
import json
import random
import shutil
import sqlite3
import sys
import time

import powercut
import relay_lab as lab
from powercut_load import Load

OPERATIONS_AT_LEAST = 20
# Cuts of a round in which syncs do nothing.
CONTROLS = 5


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    lab.add_arguments(parser)
    parser.add_argument("--rounds", type=int, default=20, help="how often the relay is loaded")
    parser.add_argument("--cuts", type=int, default=60, help="of the power, in each round")
    parser.add_argument("--seed", type=int, default=None, help="of everything that is drawn; printed in the summary")
    parser.add_argument("--self-check", action="store_true", help="also see that syncs that do nothing are found out")
    parser.add_argument("--made", action="store_true", help="the state directory is there before the first start")
    parser.add_argument("--keep", action="store_true", help="keep the working directory: the disks, logs, identities")
    return parser.parse_args()


class PowerCut(Load):
    def __init__(self, options, folder):
        self.options = options
        self.seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 32)
        lab.note(f"seed {self.seed}")
        super().__init__(folder.resolve(), lab.program(options), random.Random(self.seed))
        self.next = self.folder / "next"
        self.rows = []
        self.found = collections.Counter()
        self.kinds = collections.Counter()

    # MARK: One cut

    def moment(self, at):
        """Just before that operation was done, or when all were."""
        operations = self.log.operations
        return operations[at].time if at < len(operations) else operations[-1].time + 10**10

    def draw_at(self, at):
        return random.Random(f"{self.seed}/{self.number}/{at}")

    async def cut(self, disk, at, ignoring=(), how=None):
        """One cut of the power, before the operation `at` was done; how many envelopes are lost."""
        operations = self.log.operations
        name = f"round {self.number}, cut {at}, seed {self.seed}"
        shutil.rmtree(self.trial, ignore_errors=True)
        disk.leave(self.trial, self.draw_at(at), how)
        left = sorted(path.name for path in self.trial.rglob("*") if path.is_file())
        owed = self.owed(self.moment(at))
        count = sum(map(len, owed.values()))
        try:
            # Where much is bad, it is not worth waiting for.
            missing = await self.collect(owed, 0 if ignoring or len(self.violations) > 3 else 3)
            lost, said = sum(map(len, missing.values())), ""
            if not lost:
                self.integrity()
        except lab.Violation as error:
            lost, said = 0, str(error)
        finally:
            if self.after.process.poll() is None:
                self.after.kill()
        is_bad = lost > 0 or said != ""
        if is_bad and not ignoring:
            # In the middle of what.
            around = " / ".join(disk.what(one) for one in operations[max(0, at - 3) : at + 1])
            what = f"{lost} of {count} acknowledged are lost" if lost else said
            self.violation(f"{name} ({around}), on the disk {' '.join(left) or 'nothing'}: {what}")
            if self.options.keep:
                disk.leave(self.folder / f"bad-{self.number}-{at}", self.draw_at(at))
        return count, lost, is_bad

    def integrity(self):
        with contextlib.closing(sqlite3.connect(self.after.state / "pangate.sqlite")) as database:
            said = database.execute("PRAGMA integrity_check").fetchone()[0]
        if said != "ok":
            raise lab.Violation(f"the database is damaged: {said}")

    # MARK: Rounds

    def points(self, count):
        """Where to cut: of each pair of operations that follow each other some, then anywhere."""
        operations, disk = self.log.operations, self.origin.copy()
        pairs = collections.defaultdict(list)
        last = "nothing"
        for at, one in enumerate(operations):
            disk.begin(one)
            disk.finish(one)
            what = disk.what(one)
            pairs[last, what].append(at)
            last = what
        pairs[last, "nothing"].append(len(operations))
        chosen = set()
        waiting = [self.draw.sample(all, len(all)) for _, all in sorted(pairs.items())]
        self.draw.shuffle(waiting)
        # Half of them where it is rare, half of them anywhere.
        while waiting and len(chosen) < max(1, count // 2):
            for all in waiting:
                if len(chosen) < max(1, count // 2):
                    chosen.add(all.pop())
            waiting = [all for all in waiting if all]
        anywhere = range(len(operations) + 1)
        while len(chosen) < min(count, len(anywhere)):
            chosen.add(self.draw.choice(anywhere))
        for pair, all in pairs.items():
            if chosen & set(all):
                self.kinds[" then ".join(pair)] += len(chosen & set(all))
        return sorted(chosen)

    async def cuts(self, points, ignoring=(), keep=None):
        """Cuts at all these points: what was owed, what is lost, how many were bad. `keep` one for the next round.

        With syncs that do nothing, the last cut leaves nothing that was not synced.
        """
        disk, begun, done = self.origin.copy(ignoring), 0, 0
        result = collections.Counter()
        for at in points:
            for one in self.log.operations[done:at]:
                if begun == done:
                    disk.begin(one)
                    begun += 1
                disk.finish(one)
                done += 1
            for one in self.log.operations[begun : at + 1]:
                disk.begin(one)
                begun += 1
            count, lost, is_bad = await self.cut(disk, at, ignoring, "none" if ignoring and at == points[-1] else None)
            result.update(owed=count, lost=lost, bad=is_bad)
            if at == keep and not is_bad:
                shutil.rmtree(self.next, ignore_errors=True)
                disk.leave(self.next, self.draw_at(at))
                self.next_moment = self.moment(at)
        return result

    async def round(self):
        """The relay once or more, then the cuts."""
        if self.next.exists() and self.draw.random() < 0.6:
            shutil.rmtree(self.disk)
            self.next.rename(self.disk)
            since = self.next_moment
        else:
            for folder in (self.disk, self.next):
                shutil.rmtree(folder, ignore_errors=True)
            (self.relay.state if self.options.made else self.disk).mkdir(parents=True)
            since = 0
        for sender in self.senders:
            sender.go_back(since)
        for recipient in self.recipients:
            recipient.taken = {name: at for name, at in recipient.taken.items() if at < since}
        self.log = powercut.Log(self.folder / f"log-{self.number}")
        self.origin = powercut.Disk(self.disk)
        before = sum(len(sender.acknowledged) for sender in self.senders)
        # One that comes to something, with others before and behind it.
        lives = [self.draw.choice(("time", "count", "stop"))]
        for _ in range(self.draw.choice((0, 1, 1, 2))):
            other = self.draw.choice(("time", "count", "sync", "sync", "start", "stop"))
            lives.insert(self.draw.choice((0, len(lives))), other)
        for how in lives:
            await self.life(how, self.draw.random() < 0.4)
        if len(self.log.operations) < OPERATIONS_AT_LEAST:
            raise lab.CannotRun("the relay's files cannot be watched: is it linked statically?")
        self.check_log()
        for sender in self.senders:
            sender.presign_end()
        points = self.points(self.options.cuts)
        result = await self.cuts(points, keep=self.draw.choice(points))
        row = {
            "round": self.number,
            "ends": "+".join(lives),
            "begun": "cut" if since else "empty",
            "operations": len(self.log.operations),
            "syncs": sum(one.kind == powercut.SYNC for one in self.log.operations),
            "acknowledged": sum(len(sender.acknowledged) for sender in self.senders) - before,
            "cuts": len(points),
            "owed": result["owed"],
            "lost": result["lost"],
            "bad": result["bad"],
        }
        if self.options.self_check:
            for ignored in ("files", "directories"):
                # On a disk that was there before, all directories are what they will be.
                if ignored == "files" or not since:
                    some = {*self.draw.sample(points, min(len(points), CONTROLS - 1)), len(self.log.operations)}
                    found = await self.cuts(sorted(some), (ignored,))
                    self.found[ignored] += found["lost"] + found["bad"]
                    row["lost without " + ignored] = found["lost"]
        self.rows.append(row)
        if self.number == 1:
            lab.note(" ".join(name.rjust(max(14, len(name))) for name in list(row)[:10]))
        lab.note(" ".join(str(value).rjust(max(14, len(name))) for name, value in list(row.items())[:10]))
        if not self.options.keep:
            self.log.path.unlink(missing_ok=True)

    def check_log(self):
        """What was written down has to give what is there: else something was not seen."""
        disk = self.origin.copy()
        for one in self.log.operations:
            disk.begin(one)
            disk.finish(one)
        shutil.rmtree(self.trial, ignore_errors=True)
        disk.leave(self.trial, None, "all")
        if differing := powercut.differences(self.trial, self.disk):
            raise lab.CannotRun(f"the relay's files cannot be watched: {differing[:3]} is not what was seen of it")

    async def run(self):
        begun = time.monotonic()
        try:
            for self.number in range(1, self.options.rounds + 1):
                await self.round()
        finally:
            for relay in (self.relay, self.after):
                if relay.process and relay.process.poll() is None:
                    relay.kill()

        def total(name):
            return sum(row[name] for row in self.rows)

        summary = {
            "rounds": len(self.rows),
            "seed": self.seed,
            "operations": total("operations"),
            "syncs": total("syncs"),
            "acknowledged": total("acknowledged"),
            "cuts": total("cuts"),
            # Acknowledged before the cut and not taken by then, one for each recipient.
            "owed": total("owed"),
            "lost": total("lost"),
            "bad_cuts": total("bad"),
            "found_without_sync": dict(self.found) if self.options.self_check else None,
            "violation": self.violations[0] if self.violations else None,
            "seconds": round(time.monotonic() - begun, 1),
        }
        if self.options.keep:
            summary["cut_at"] = dict(self.kinds)
        print(json.dumps(summary), flush=True)
        if self.violations:
            raise lab.Violation(f"{len(self.violations)}, the first: {self.violations[0]}")
        if not total("owed"):
            raise lab.Violation("nothing was owed at any cut: this test has seen nothing")
        if self.options.self_check:
            for ignored in ("files", "directories"):
                if not self.found[ignored]:
                    raise lab.Violation(f"syncs of {ignored} that do nothing are not found out: this test is broken")


async def run(options, folder):
    await PowerCut(options, folder).run()


def main():
    options = arguments()
    if not sys.platform.startswith("linux"):
        raise lab.CannotRun("it is for Linux only")
    with lab.work_folder(options.keep) as folder:
        asyncio.run(run(options, folder))


if __name__ == "__main__":
    sys.exit(lab.exit_code(main))
