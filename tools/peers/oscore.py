"""OSCORE by aiocoap, message by message and without sockets, for Tests/OSCORETests.

Reads one JSON job a line from standard input and writes one JSON result a line. Byte strings are hexadecimal; messages
are whole CoAP messages over UDP. A job that fails has the result {"error": "..."}, with the protected answer under
"message" if the library has one.
"""

import json
import sys

from aiocoap import Message, oscore
from aiocoap.message import Direction

contexts = {}
requests = []


class Context(oscore.CanProtect, oscore.CanUnprotect, oscore.SecurityContextUtils):
    """A security context in memory. With "echo" it has lost its replay window, and recovers by that value."""

    def __init__(self, job):
        self.alg_aead = oscore.algorithms[oscore.DEFAULT_ALGORITHM]
        self.hashfun = oscore.hashfunctions[oscore.DEFAULT_HASHFUNCTION]
        self.sender_id = bytes.fromhex(job["sender"])
        self.recipient_id = bytes.fromhex(job["recipient"])
        self.id_context = None if job.get("idContext") is None else bytes.fromhex(job["idContext"])
        self.derive_keys(bytes.fromhex(job["salt"]), bytes.fromhex(job["secret"]))
        self.sender_sequence_number = job.get("sequence", 0)
        self.recipient_replay_window = oscore.ReplayWindow(32, lambda: None)
        self.echo_recovery = None
        if job.get("echo") is None:
            self.recipient_replay_window.initialize_empty()
        else:
            self.echo_recovery = bytes.fromhex(job["echo"])

    def post_seqnoincrease(self):
        pass


def context(job):
    contexts[job["context"]] = Context(job)
    return {}


def encoded(message, like):
    message.direction = Direction.OUTGOING
    message.mtype, message.mid, message.token = like.mtype, like.mid, like.token
    return message.encode().hex()


def protect(job):
    plain = Message.decode(bytes.fromhex(job["message"]))
    plain.direction = Direction.OUTGOING
    request = None if job.get("request") is None else requests[job["request"]]
    outer, request = contexts[job["context"]].protect(plain, request)
    requests.append(request)
    return {"message": encoded(outer, plain), "request": len(requests) - 1}


def unprotect(job):
    outer = Message.decode(bytes.fromhex(job["message"]))
    request = None if job.get("request") is None else requests[job["request"]]
    try:
        plain, request = contexts[job["context"]].unprotect(outer, request)
    except oscore.ReplayErrorWithEcho as error:
        return {"error": "echo", "message": encoded(error.to_message(), outer)}
    requests.append(request)
    # In a notification it is the sequence number, or -1, which has no form on the wire.
    observe = plain.opt.observe
    plain.opt.observe = None
    return {"message": encoded(plain, outer), "request": len(requests) - 1, "observe": observe}


def run(job):
    try:
        return {"context": context, "protect": protect, "unprotect": unprotect}[job["do"]](job)
    except Exception as error:  # The test wants to see any refusal, whatever the library calls it.
        return {"error": f"{type(error).__name__}: {error}"}


for line in sys.stdin:
    print(json.dumps(run(json.loads(line))), flush=True)
