"""One party of an EDHOC session by lakers, an independent implementation, for Tests/OSCORETests.

Reads a job a line from standard input and answers each with a line: JSON, byte strings being hexadecimal. A job that
fails has the answer {"error": "..."}. The jobs of one process belong to one session.
"""

import json
import sys

import lakers


class Party:
    """The session and what it remembers between jobs."""

    def __init__(self):
        self.session = None

    def initiator(self, job):
        self.session = lakers.EdhocInitiator()

    def responder(self, job):
        self.session = lakers.EdhocResponder(job["key"], job["credential"])

    def compose_1(self, job):
        return {"bytes": self.session.prepare_message_1(job["identifier"], items(job))}

    def process_1(self, job):
        identifier, ead = self.session.process_message_1(job["message"])
        return {"identifier": identifier, "ead": plain(ead)}

    def compose_2(self, job):
        return {"bytes": self.session.prepare_message_2(transfer(job), job["identifier"], items(job))}

    def process_2(self, job):
        identifier, credential, ead = self.session.parse_message_2(job["message"])
        return {"identifier": identifier, "credential": credential, "ead": plain(ead)}

    def verify_2(self, job):
        self.session.verify_message_2(job["key"], job["credential"], job["peer"])

    def compose_3(self, job):
        message, _ = self.session.prepare_message_3(transfer(job), items(job))
        return {"bytes": message}

    def process_3(self, job):
        credential, ead = self.session.parse_message_3(job["message"])
        return {"credential": credential, "ead": plain(ead)}

    def verify_3(self, job):
        self.session.verify_message_3(job["peer"])

    def compose_4(self, job):
        return {"bytes": self.session.prepare_message_4(items(job))}

    def process_4(self, job):
        return {"ead": plain(self.session.process_message_4(job["message"]))}

    def complete(self, job):
        self.session.completed_without_message_4()

    def export(self, job):
        return {"bytes": self.session.edhoc_exporter(job["label"], list(job["context"]), job["length"])}

    def update(self, job):
        self.session.edhoc_key_update(list(job["context"]))


def transfer(job):
    return lakers.CredentialTransfer.ByValue if job["byValue"] else lakers.CredentialTransfer.ByReference


def items(job):
    return [
        lakers.EADItem(item["label"], item["critical"], bytes.fromhex(item["value"]) if "value" in item else None)
        for item in job.get("ead", [])
    ]


def plain(ead):
    return [
        {"label": item.label(), "critical": item.is_critical(), "value": None if item.value() is None else item.value().hex()}
        for item in ead
    ]


def main():
    party = Party()
    for line in sys.stdin:
        job = json.loads(line)
        for name in ("key", "credential", "peer", "identifier", "message", "context"):
            if name in job:
                job[name] = bytes.fromhex(job[name])
        try:
            answer = getattr(party, job["do"])(job) or {}
            answer = {name: value if name == "ead" else bytes(value).hex() for name, value in answer.items()}
        except Exception as error:  # The test wants to see any refusal, whatever the library calls it.
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


main()
