"""A plain CoAP server (aiocoap) on a kernel node: lamp.py NAME INTERFACE. PUT /light on, GET /light."""

import asyncio
import sys

import aiocoap
import aiocoap.resource

import control


class Light(aiocoap.resource.Resource):
    state = b"off"

    async def render_get(self, request):
        return aiocoap.Message(payload=self.state, content_format=0)

    async def render_put(self, request):
        self.state = request.payload
        control.tell({"light": self.state.decode()})
        return aiocoap.Message(code=aiocoap.CHANGED)


async def main():
    site = aiocoap.resource.Site()
    site.add_resource(["light"], Light())
    await aiocoap.Context.create_server_context(site, bind=("::", 5683))

    async def handle(command):
        return {}

    await control.serve(handle)


if __name__ == "__main__":
    asyncio.run(main())
