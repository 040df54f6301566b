"""Makes the demo home's identities, peer record and access list in Config/demo.

make_demo_home.py          what is missing; identities that exist are kept
make_demo_home.py --new    everything anew (then record again: the recording is signed with these keys)
"""

import json
import sys

import detcbor
import envelope
import home
from identity import DEMO, Identity, point


def peer_record(identities):
    members = []
    for member in home.MEMBERS:
        identity = identities[member.name]
        entry = {
            1: identity.der,
            2: point(identity.agreement.public_key()),
            3: member.cls,
            4: member.roles,
            5: member.name,
        }
        if member.eui64:
            entry[6] = bytes.fromhex(member.eui64)
        if member.roles & home.NODE:
            entry[7] = [identities[name].fp for name in member.readers]
            entry[8] = [identities[name].fp for name in member.commanders]
            entry[9] = identities["gateway"].fp
            entry[10] = member.traits
        members.append(entry)
    return {
        1: home.GROUP_ID,
        2: home.EPOCH,
        3: home.ISSUED,
        4: members,
        5: [{1: home.RELAY_URL, 2: identities["relay"].fp}],
    }


def access_list(identities):
    names = [member.name for member in home.MEMBERS]
    entries = [
        [
            identities[member.name].fp,
            point(identities[member.name].verifying),
            member.cls,
            names.index("gateway") if member.roles & home.NODE else None,
            [names.index(name) for name in member.sends_to],
        ]
        for member in home.MEMBERS
    ]
    return {1: home.GROUP_ID, 2: home.EPOCH, 3: entries}


def readable(identities):
    roles = {
        home.NODE: "node",
        home.GATEWAY: "gateway",
        home.ENDPOINT: "endpoint",
        home.RELAY: "relay",
        home.ORACLE: "oracle",
    }
    traits = {
        home.SLEEPS: "sleeps",
        home.CLOCKLESS: "no clock",
        home.COAP_SERVER: "CoAP server",
        home.VOUCHED: "vouched for by its gateway",
    }
    members = []
    for member in home.MEMBERS:
        entry = {
            "name": member.name,
            "address": identities[member.name].fp.hex(),
            "class": ["no-consequence", "auth-only", "confidential"][member.cls],
            "roles": [text for bit, text in roles.items() if member.roles & bit],
        }
        if member.eui64:
            entry["eui64"] = member.eui64
        if member.roles & home.NODE:
            entry |= {
                "readers": member.readers,
                "commanders": member.commanders,
                "gateway": "gateway",
                "traits": [text for bit, text in traits.items() if member.traits & bit],
            }
        entry["mayEnvelopeTo"] = member.sends_to
        members.append(entry)
    return {
        "group": home.GROUP_ID.hex(),
        "epoch": home.EPOCH,
        "issued": home.ISSUED,
        "members": members,
        "relays": [{"url": home.RELAY_URL, "address": identities["relay"].fp.hex()}],
    }


def main(new):
    DEMO.mkdir(parents=True, exist_ok=True)
    identities = {}
    for member in home.MEMBERS:
        path = DEMO / f"{member.name}.pem"
        if new or not path.exists():
            path.write_bytes(Identity.create(member.name).pem())
        identities[member.name] = Identity.load(member.name)
    assert len({identity.fp8 for identity in identities.values()}) == len(identities)

    oracle = identities["oracle"]
    record = detcbor.dumps(peer_record(identities))
    common = {"iat": home.ISSUED, "ttl": home.LIFETIME, "full": True}
    for seq, name in enumerate(["gateway", "owner", "phone2"], start=1):
        to = identities[name]
        sealed = envelope.make(
            oracle, envelope.CONFIDENTIAL, [to], seq, envelope.PEER_RECORD, record, **common
        )
        opened = envelope.Envelope(sealed)
        opened.verify(oracle.verifying)
        assert opened.open(to) == (envelope.PEER_RECORD, record)
        (DEMO / f"peer-record-{name}.cose").write_bytes(sealed)
    listed = envelope.make(
        oracle,
        envelope.AUTH_ONLY,
        [identities["relay"]],
        4,
        envelope.ACCESS_LIST,
        detcbor.dumps(access_list(identities)),
        **common,
    )
    envelope.Envelope(listed).verify(oracle.verifying)
    (DEMO / "access-list.cose").write_bytes(listed)
    (DEMO / "peer-record.json").write_text(json.dumps(readable(identities), indent=2) + "\n")
    print(f"{DEMO}: {len(identities)} identities, peer record of {len(record)} bytes")


if __name__ == "__main__":
    main("--new" in sys.argv[1:])
