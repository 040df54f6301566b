"""A lamp that knows nothing of Pangate: an aiocoap server on a kernel node, with EDHOC (RFC 9528) and OSCORE (RFC 8613).

secure_lamp.py DIRECTORY ADDRESS...    is lamp.pem at these addresses, and agrees on keys with those in lamp-peers.json

The peers are what `pangate identity show --json` says of them, one a line. The resource is /light; it can be set under
OSCORE only. What the server logs goes to standard error.
"""

import asyncio
import json
import logging
import signal
import sys
from pathlib import Path

import aiocoap
from aiocoap import resource
from aiocoap.credentials import CredentialsMap
from aiocoap.oscore_sitewrapper import OscoreSiteWrapper
from aiocoap.transports.oscore import OSCOREAddress

from identity import Identity, point


class Light(resource.Resource):
    state = b"off"

    async def render_get(self, request):
        return aiocoap.Message(payload=self.state, content_format=0)

    async def render_put(self, request):
        if not isinstance(request.remote, OSCOREAddress):
            raise aiocoap.error.Unauthorized
        self.state = request.payload
        print(f"light {self.state.decode()}", flush=True)
        return aiocoap.Message(code=aiocoap.CHANGED)


def claims(kid, agreement_point):
    """The claims set of a P-256 key-agreement key, as a credential (RFC 9528, 3.5.2): a COSE_Key in `cnf`, named by `kid`."""
    return {14: {8: {1: {1: 2, 2: kid, -1: 1, -2: agreement_point[1:33], -3: agreement_point[33:]}}}}


def credentials(directory, addresses):
    own = Identity.load("lamp", directory)
    common = {"suite": 2, "method": 3}
    mine = {
        **common,
        "own_cred_style": "by-key-id",
        "own_cred": claims(own.fp8, point(own.agreement.public_key())),
        "private_key": {1: 2, -1: 1, -4: own.agreement.private_numbers().private_value.to_bytes(32, "big")},
    }
    # aiocoap looks its own credentials up by the address that it was asked at.
    entries = {f"coap://[{address}]/*": {"edhoc-oscore": mine} for address in addresses}
    for line in (directory / "lamp-peers.json").read_text().splitlines():
        peer = json.loads(line)
        theirs = claims(bytes.fromhex(peer["shortAddress"]), bytes.fromhex(peer["agreementKey"]))
        entries[f":{peer['name']}"] = {"edhoc-oscore": {**common, "peer_cred": theirs}}
    found = CredentialsMap()
    found.load_from_dict(entries)
    return found


async def main(directory, addresses):
    logging.basicConfig(format="%(name)s: %(message)s")
    logging.getLogger("coap-server").setLevel(logging.DEBUG)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    site = resource.Site()
    site.add_resource(["light"], Light())
    granted = credentials(directory, addresses)
    server = await aiocoap.Context.create_server_context(
        OscoreSiteWrapper(site, granted), bind=("::", 5683), server_credentials=granted, transports=["udp6"]
    )
    print("listening", flush=True)
    await ended.wait()
    await server.shutdown()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2:]))
