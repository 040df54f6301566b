"""An unmodified aiocoap server with EDHOC credentials, for Tests/NodeTests: what a gateway exchanges with a plain CoAP node.

Reads one JSON job a line from standard input and writes one JSON result a line; byte strings are hexadecimal. The first
job, {"key", "credential", "peers"}, configures it: a private key, its claims set, and the claims sets of those who may
agree on keys. Each further job, {"message"}, is a CoAP message over UDP, and its result what the server sent back. The
resource is /light.
"""

import asyncio
import json
import socket
import sys

import aiocoap
import cbor2
from aiocoap import resource
from aiocoap.credentials import CredentialsMap
from aiocoap.oscore_sitewrapper import OscoreSiteWrapper
from aiocoap.transports.oscore import OSCOREAddress

HOST = "127.0.0.1"


class Light(resource.Resource):
    def __init__(self):
        super().__init__()
        self.state = b"off"

    async def render_get(self, request):
        return aiocoap.Message(payload=self.state)

    async def render_put(self, request):
        if not isinstance(request.remote, OSCOREAddress):
            raise aiocoap.error.Unauthorized
        self.state = request.payload
        return aiocoap.Message(code=aiocoap.CHANGED)


def credentials(job, port):
    found = CredentialsMap()
    common = {"suite": 2, "method": 3}
    own = {
        **common,
        "own_cred_style": "by-key-id",
        "own_cred": {14: cbor2.loads(bytes.fromhex(job["credential"]))},
        "private_key": {1: 2, -1: 1, -4: bytes.fromhex(job["key"])},
    }
    entries = {f"coap://{HOST}:{port}/*": {"edhoc-oscore": own}}
    for number, peer in enumerate(job["peers"]):
        entries[f":peer{number}"] = {"edhoc-oscore": {**common, "peer_cred": {14: cbor2.loads(bytes.fromhex(peer))}}}
    found.load_from_dict(entries)
    return found


def exchange(client, message):
    """Sends a message and gives the response, whether it comes with the acknowledgment or after it."""
    client.send(message)
    while True:
        answer = client.recv(65536)
        if answer[1] != 0:
            return answer


async def main():
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    job = json.loads(await loop.run_in_executor(None, sys.stdin.readline))
    site = resource.Site()
    site.add_resource(["light"], Light())
    granted = credentials(job, port)
    await aiocoap.Context.create_server_context(
        OscoreSiteWrapper(site, granted), bind=(HOST, port), server_credentials=granted,
        transports=["simplesocketserver"],
    )
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.connect((HOST, port))
    client.settimeout(10)
    print("{}", flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        try:
            answer = await loop.run_in_executor(None, exchange, client, bytes.fromhex(json.loads(line)["message"]))
            print(json.dumps({"message": answer.hex()}), flush=True)
        except Exception as error:  # The test shows whatever it is.
            print(json.dumps({"error": f"{type(error).__name__}: {error}"}), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
