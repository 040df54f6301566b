"""Stands in for Pangate's gateway in the recording: an aiocoap server with the node protocol (POST /e, GET /e,
GET /e?done=SEQ, DELETE /e/SEQ) on a kernel lowpan interface."""

import asyncio

import aiocoap
from aiocoap import resource
from aiocoap.numbers.codes import Code
from aiocoap.numbers.contentformat import ContentFormat

import addresses
import control
import detcbor
import envelope
from judge import CODES, Judge

PROBLEM_DETAILS = ContentFormat(257)
BY_DOTTED = {code.dotted: code for code in Code if code.is_response()}


class Inbox(resource.Resource):
    """The root of the server: there is no path but /e."""

    def __init__(self):
        super().__init__()
        self.judge = Judge()
        self.held = {}  # node to [(queue number, envelope)]
        self.numbered = {}  # node to the last queue number given

    def hold(self, node, data):
        number = self.numbered[node] = self.numbered.get(node, 0) + 1
        self.held.setdefault(node, []).append((number, data))

    def done(self, node, number):
        self.held[node] = [entry for entry in self.held.get(node, []) if entry[0] != number]

    async def needs_blockwise_assembly(self, request):
        return True

    async def render_post(self, request):
        node = addresses.node_of(request.remote.sockaddr[0])
        content_format = request.opt.content_format
        verdict = self.judge.verdict(request.payload, content_format, node)
        control.tell({"verdict": verdict, "payload": request.payload.hex(), "radioOf": node})
        code = BY_DOTTED[CODES.get(verdict, "4.03")]
        if code is Code.CHANGED:
            return aiocoap.Message(code=code)
        return aiocoap.Message(
            code=code, content_format=PROBLEM_DETAILS, payload=detcbor.dumps({-1: verdict})
        )

    async def render_get(self, request):
        node = addresses.node_of(request.remote.sockaddr[0])
        for query in request.opt.uri_query:
            if query.startswith("done="):
                self.done(node, int(query[5:]))
        held = self.held.get(node, [])
        if not held:
            return aiocoap.Message(code=aiocoap.CONTENT)
        number, data = held[0]
        answer = aiocoap.Message(
            code=aiocoap.CONTENT, payload=data, content_format=ContentFormat(envelope.COSE_SIGN1)
        )
        answer.opt.etag = number.to_bytes((number.bit_length() + 7) // 8, "big")
        if len(held) > 1:
            answer.opt.location_query = (f"more={len(held) - 1}",)
        return answer

    async def render_delete(self, request):
        self.done(addresses.node_of(request.remote.sockaddr[0]), int(request.opt.uri_path[-1]))
        return aiocoap.Message(code=aiocoap.DELETED)


async def main():
    inbox = Inbox()
    await aiocoap.Context.create_server_context(inbox, bind=("::", 5683), transports=["udp6"])

    async def handle(command):
        inbox.hold(command["node"], bytes.fromhex(command["envelope"]))

    await control.serve(handle)


if __name__ == "__main__":
    asyncio.run(main())
