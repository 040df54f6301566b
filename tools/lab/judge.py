"""What a gateway must say to a message, by the class policy of Pangate; an independent, small second opinion."""

import time

import envelope
import home
from envelope import Rejected
from identity import Identity

CODES = {
    "envelopeReplayOtherBytes": "4.09",
    "truncated": "4.00",
    "coseStructure": "4.00",
    "coseTagMissing": "4.00",
    "envelopeReplay": "2.04",
    "accepted": "2.04",
}


class Judge:
    def __init__(self):
        self.identities = {member.name: Identity.load(member.name) for member in home.MEMBERS}
        self.by_fp8 = {identity.fp8: name for name, identity in self.identities.items()}
        self.taken = {}  # (sender, seq) to the bytes that were taken

    def verdict(self, data, content_format, radio_of):
        """ "accepted" or a drop reason's name. `radio_of` is the member whose radio it came from, or None."""
        try:
            if content_format == envelope.COSE_SIGN1:
                self._signed(data)
            else:
                self._plain(radio_of)
        except Rejected as refusal:
            return refusal.reason
        return "accepted"

    def _plain(self, radio_of):
        if radio_of is None:
            raise Rejected("nodeUnknown")
        if home.BY_NAME[radio_of].cls != envelope.NO_CONSEQUENCE:
            raise Rejected("envelopePlainRefused")

    def _signed(self, data):
        message = envelope.Envelope(data)
        name = self.by_fp8.get(message.sender[:8])
        if name is None:
            raise Rejected("envelopeSenderUnknown")
        message.verify(self.identities[name].verifying)
        earlier = self.taken.get((name, message.seq))
        if earlier is not None:
            raise Rejected("envelopeReplay" if earlier == data else "envelopeReplayOtherBytes")
        if message.iat + message.ttl < time.time():
            raise Rejected("envelopeExpired")
        if message.cls < home.BY_NAME[name].cls:
            raise Rejected("envelopeClassTooWeak")
        if message.cls == envelope.CONFIDENTIAL and message.payload[:1] not in (b"\xd0", b"\xd8"):
            raise Rejected("envelopeNotConfidential")
        for address in message.to:
            if self.by_fp8.get(bytes(address[:8])) not in home.BY_NAME[name].sends_to:
                raise Rejected("envelopeNotAllowed")
        self.taken[name, message.seq] = data
