"""A CoAP client (aiocoap) on one interface of the PAN, which notes everything that it sends."""

import time

import aiocoap
from aiocoap.numbers.contentformat import ContentFormat

import addresses
import control
import home


class CoapNode:
    def __init__(self, name, interface):
        self.name = name
        eui64 = home.GATEWAY_EUI64
        self._hosts = {
            "link-local": f"[{addresses.link_local(eui64)}%{interface}]",
            "global": f"[{addresses.global_address(eui64)}]",
        }

    async def start(self):
        self._context = await aiocoap.Context.create_client_context()

    def _message(self, code, path, via, block, **fields):
        message = aiocoap.Message(code=code, uri=f"coap://{self._hosts[via]}{path}", **fields)
        message.opt.uri_host = None
        if block is not None:
            exponent = block.bit_length() - 5
            if code is aiocoap.POST:
                message.remote.maximum_block_size_exp = exponent
            else:
                message.opt.block2 = (0, False, exponent)
        return message

    async def get(self, path="/e", via="link-local", block=None):
        control.tell({"asked": f"GET {path}"})
        return await self._context.request(self._message(aiocoap.GET, path, via, block)).response

    async def delete(self, path, via="link-local"):
        control.tell({"asked": f"DELETE {path}"})
        return await self._context.request(self._message(aiocoap.DELETE, path, via, None)).response

    async def post(self, payload, content_format, note, via="link-local", block=None):
        """POST /e. `note` says what was sent and what a gateway must make of it."""
        control.tell(
            {
                "sent": {
                    "time": time.time(),
                    "radio": self.name,
                    "contentFormat": content_format,
                    "size": len(payload),
                    "payload": payload.hex(),
                }
                | note
            }
        )
        message = self._message(
            aiocoap.POST, "/e", via, block, payload=payload, content_format=ContentFormat(content_format)
        )
        return await self._context.request(message).response
