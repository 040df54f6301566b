"""Writes Captures/INDEX.md: what each recording holds and how it was made, with frames and link types counted."""

from pathlib import Path

import capture
import home

CAPTURES = Path(__file__).resolve().parents[2] / "Captures"
RIOT = "RIOT's native nodes (GNRC), their radio being ZEP over UDP"
THREAD = "three OpenThread nodes, one of them a sleepy child: MLE, MAC polling with Data Requests, CoAP"
HOME = "the demo home on the Linux kernel's 802.15.4 and 6LoWPAN stack (user-mode-linux, fakelb), by tcpdump on the gateway's wpan0"
WHAT = {
    "home.pcap": ("three classes of devices, commands for two that sleep, and attacks; see below", HOME),
    "riot-6lbr_ctx0.pcap": (
        "a RIOT 6LBR announces context 0 (6CO); registrations (ARO); CoAP by global addresses",
        RIOT,
    ),
    "riot-linklocal_ping.pcap": ("link-local echoes, large ones in fragments", RIOT),
    "riot-linklocal_udp_coap.pcap": ("link-local CoAP and plain UDP", RIOT),
    "riot-live_minigw.pcap": (
        "a node registers with a small gateway: a fragmented RA, acknowledgments",
        RIOT,
    ),
    "riot-multicast.pcap": ("multicast destinations of every compressed form; RPL", RIOT),
    "riot-shortaddr.pcap": ("short MAC addresses; RPL, ND, CoAP", RIOT),
    "riot-udp_nhc_ipv6frag.pcap": ("UDP by NHC in every port form; IPv6 fragments inside 6LoWPAN", RIOT),
    "thread-sleepy-child.fcs.pcap": (THREAD + "; secured by MAC keys", "as received, with FCS"),
    "thread-sleepy-child-decrypted.fcs.pcap": ("the same frames, decrypted", "made from the one above"),
    "thread-sleepy-child.tap.pcap": ("the same frames as the first", "with TAP headers (channel, time)"),
    "zep-linklocal_udp_coap.pcap": (
        "riot-linklocal_udp_coap as it went over UDP port 17754 (ZEP v2)",
        "RIOT's native nodes, Ethernet capture",
    ),
    "corpus/linux-6lowpan-10k.pcap": (
        "10,000 frames: CoAP, UDP, ICMPv6, fragments, context 1 = fd00:1::/64; `linux-6lowpan-10k.ipv6.hex.gz` has "
        "every IPv6 packet, one line of hex each, in order of completion",
        "two Linux kernels' 6LoWPAN (user-mode-linux)",
    ),
}

TEXT = f"""
## The home

`tools/record-captures` makes `home.pcap` and `home.expected.json`. It boots Linux with seven simulated radios that all
hear each other. One is the gateway's (EUI-64 {home.GATEWAY_EUI64}, short address 0x{home.GATEWAY_SHORT:04x}, PAN 0x{home.PAN_ID:04x}); five devices and an
intruder each have a network name space with a kernel 6LoWPAN interface. The devices are aiocoap clients; they sign with
cryptography and seal with cwt, and their identities are those of `Config/demo`. Both directions are recorded; a
replay ignores what the gateway sent. Time stamps are those of the recording machine, and the envelopes' `iat` agree with them.

The gateway in the recording is a stand-in (`tools/lab/standin.py`), which speaks the node protocol and judges by its own
code. A replay therefore sees the same requests whatever Pangate answers. Things match because they are counted alike:

- the owner's `seq` starts at 1, first the lock's command, then the thermostat's; so their receipts answer seq 1 and 2;
- each node's queue numbers its messages from 1; so the lock's `GET /e?done=1` and the thermostat's `DELETE /e/1` name the
  command that a replay holds for it;
- the thermostat reads its command in blocks of 64 bytes; it asks for as many as the stand-in's envelope had (three: the
  parties are named by fp8 in it).

| device | class | MAC address | reports by | what it does |
|---|---|---|---|---|
| lock | auth-only | short 0x0b01 | link-local, global | signs; `GET /e`, obeys, `GET /e?done=1`, receipt |
| thermostat | auth-only | extended | global, link-local | signs; `GET /e` block-wise, obeys, `DELETE /e/1`, receipt (block-wise) |
| occupancy | confidential | short 0x0b03 | link-local, global | HPKE for one reader; once A128GCM for two, block-wise |
| rain | no-consequence | extended | global, link-local | SenML+JSON |
| temperature | no-consequence | short 0x0b05 | link-local, global | SenML+CBOR |
| intruder | none | extended | link-local | forges, replays, sends broken frames |

Linux forms a short address's interface identifier as RFC 4944 has it, with the PAN id (`a9cd:ff:fe00:b01`), not as RFC 6282.

Also in it: duplicate address detection, router solicitations and advertisements, neighbour solicitations with long and
short link-layer addresses, pings; a request that was answered only when sent again; a datagram whose later fragments were
lost; a frame that was received twice; the messages to refuse and the broken frames that `home.expected.json` lists.

`home.expected.json`, derived from what the devices noted and from tshark, never from Pangate:

- `messages`: every `POST /e` in order, with the frame that completed it, who sent it, its class and size, and whether
  it is `accepted`, or `refused` with the name of the `DropReason`. `radio` is whose radio it came from, `from` whom it claims to be.
  (An `envelopeReplay` is refused as a message and answered 2.04, because the same bytes are in custody already.)
- `duplicates`: requests that came again, as a MAC frame (`macDuplicate`) or a CoAP retransmission (`coapDuplicate`) of frame `of`.
- `polls` and `commands`: what the sleeping devices asked, and how each command was handed over, confirmed and answered.
- `brokenFrames`: frames to drop and why. `incompleteFragments`: fragments of datagrams that never become whole.
"""


def main():
    lines = [
        "# Recordings",
        "",
        "Written by `tools/lab/index.py`. Micro- or nanosecond pcap; link types: 230 is 802.15.4 without FCS, 195 with FCS,",
        "283 with TAP headers, 1 Ethernet.",
        "",
        "| file | link type | frames | what | how |",
        "|---|---|---|---|---|",
    ]
    for name, (what, how) in WHAT.items():
        link_type, found = capture.frames(CAPTURES / name)
        lines.append(f"| `{name}` | {link_type} | {len(found):,} | {what} | {how} |")
    (CAPTURES / "INDEX.md").write_text("\n".join(lines) + "\n" + TEXT)


if __name__ == "__main__":
    main()
