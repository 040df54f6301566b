"""What a gateway must make of the recording: expect.py HOME.PCAP LOG.JSONL OUT.JSON

Derived from what the devices noted that they sent, with frame numbers found by tshark, and compared with what the
stand-in made of it; nothing of Pangate takes part.
"""

import json
import re
import sys
from pathlib import Path

from aiocoap import DELETE, GET, POST

import addresses
import capture
import home

ROOT = Path(__file__).resolve().parents[2]
GATEWAY = {addresses.link_local(home.GATEWAY_EUI64), addresses.global_address(home.GATEWAY_EUI64)}


def check(condition, text):
    if not condition:
        raise SystemExit(f"expect: {text}")


class Expectation:
    def __init__(self, pcap, log):
        self.link_type, self.frames = capture.frames(pcap)
        self.rows = capture.rows(pcap)
        check(len(self.rows) == len(self.frames), "tshark sees another number of frames")
        self.events = [json.loads(line) for line in Path(log).read_text().splitlines()]
        self.sent = [event["sent"] for event in self.events if "sent" in event]
        self.names = set(
            re.findall(r"^\s*case (\w+)$", (ROOT / "Sources/Wire/DropReason.swift").read_text(), re.M)
        ) | {"accepted"}
        self.messages, self.polls, self.duplicates = [], [], []
        self.bodies = {}  # (source, port) to the blocks so far
        self.seen = {}  # (source, port, message id) to the frame that first completed it

    def requests(self):
        unmatched = list(self.sent)
        for row in self.rows:
            message = capture.coap(row)
            if message is None or row["udp.dstport"] != "5683" or message.code not in (GET, POST, DELETE):
                continue
            number = int(row["frame.number"])
            source = (row["ipv6.src"], row["udp.srcport"])
            first = self.seen.setdefault((*source, message.mid), number)
            if first != number:
                doubled = self.frames[first - 1][1] == self.frames[number - 1][1]
                self.duplicates.append(
                    {"frame": number, "of": first, "expect": "macDuplicate" if doubled else "coapDuplicate"}
                )
                continue
            if message.code is POST:
                self.post(number, source, message, unmatched)
            else:
                self.poll(number, source, message)
        check(not unmatched, f"sent but not in the recording: {[sent['label'] for sent in unmatched]}")

    def post(self, number, source, message, unmatched):
        block = message.opt.block1
        blocks = 1
        payload = message.payload
        if block is not None:
            parts = self.bodies.setdefault(source, [])
            check(block.block_number == len(parts), f"frame {number}: block out of order")
            parts.append(payload)
            if block.more:
                return
            payload, blocks = b"".join(self.bodies.pop(source)), block.block_number + 1
        for sent in unmatched:
            if sent["payload"] == payload.hex():
                break
        else:
            return  # one of the broken frames
        unmatched.remove(sent)
        check(sent["expect"] in self.names, f"no such drop reason: {sent['expect']}")
        entry = {
            "frame": number,
            "radio": sent["radio"],
            "from": sent.get("from"),
            "kind": sent["kind"],
            "class": sent["class"],
            "size": sent["size"],
            "contentFormat": sent["contentFormat"],
        }
        for key in ("seq", "to", "inReplyTo"):
            if key in sent:
                entry[key] = sent[key]
        if blocks > 1:
            entry["blocks"] = blocks
        accepted = sent["expect"] == "accepted"
        entry["expect"] = "accepted" if accepted else "refused"
        if not accepted:
            entry["reason"] = sent["expect"]
        self.messages.append(entry | {"label": sent["label"]})

    def poll(self, number, source, message):
        request = f"{message.code} /" + "/".join(message.opt.uri_path)
        if message.opt.uri_query:
            request += "?" + "&".join(message.opt.uri_query)
        node = addresses.node_of(source[0])
        if node not in home.NODES:
            return
        entry = {"frame": number, "from": node, "request": request}
        if message.opt.block2 is not None:
            entry["block"] = message.opt.block2.block_number
        for row in self.rows[number:]:
            answer = capture.coap(row)
            if answer is not None and answer.mid == message.mid and row["udp.srcport"] == "5683":
                entry["answer"] = answer.code.dotted
                if answer.opt.etag:
                    entry["queueNumber"] = int.from_bytes(answer.opt.etag, "big")
                break
        self.polls.append(entry)

    def compare_polls(self):
        """Every poll that a device made is in the recording, and no other."""
        asked = [(event["program"], event["asked"]) for event in self.events if "asked" in event]
        found = [(poll["from"], poll["request"]) for poll in self.polls if not poll.get("block")]
        check(sorted(asked) == sorted(found), f"polls made {asked}, recorded {found}")

    def commands(self):
        for event in self.events:
            if "command" not in event:
                continue
            command = event["command"]
            mine = [poll for poll in self.polls if poll["from"] == command["to"]]
            handed = [poll for poll in mine if "queueNumber" in poll]
            confirmed = [poll for poll in mine if re.search(r"done=|DELETE", poll["request"])]
            receipts = [m for m in self.messages if m["from"] == command["to"] and m["kind"] == "receipt"]
            check(
                len(confirmed) == 1 and len(receipts) == 1,
                f"the command to {command['to']} was not served once",
            )
            acted = [e for e in self.events if e["program"] == command["to"] and "acted" in e]
            check(len(acted) == 1 and acted[0]["seq"] == command["seq"], f"{command['to']} did not act once")
            yield {
                "to": command["to"],
                "from": acted[0]["by"],
                "seq": command["seq"],
                "command": acted[0]["acted"],
                "queueNumber": handed[0]["queueNumber"],
                "handedFrame": handed[0]["frame"],
                "confirmedFrame": confirmed[0]["frame"],
                "receiptFrame": receipts[0]["frame"],
            }

    def broken_frames(self):
        for event in self.events:
            if "frame" not in event:
                continue
            sent = event["frame"]
            numbers = [n for n, (_, data) in enumerate(self.frames, start=1) if data.hex() == sent["bytes"]]
            check(len(numbers) == 1, f"not once in the recording: {sent['label']}")
            if sent["expect"] is not None:
                check(sent["expect"] in self.names, f"no such drop reason: {sent['expect']}")
                yield {"frame": numbers[0], "reason": sent["expect"], "label": sent["label"]}

    def incomplete(self):
        """Fragments of datagrams that never became whole (their time runs out)."""
        whole = {row["6lowpan.reassembled.in"] for row in self.rows} - {""}
        for row in self.rows:
            if (
                row["6lowpan.frag.tag"]
                and not row["6lowpan.reassembled.in"]
                and row["frame.number"] not in whole
            ):
                yield int(row["frame.number"])

    def compare_with_standin(self):
        """The stand-in judges by its own code: it must agree with what the devices meant."""
        verdicts = {}
        for event in self.events:
            if "verdict" in event:
                verdicts.setdefault(event["payload"], []).append(event["verdict"])
        for sent in self.sent:
            given = verdicts.get(sent["payload"], [])
            check(given, f"the stand-in never had: {sent['label']}")
            check(
                given[0] == sent["expect"], f"{sent['label']}: meant as {sent['expect']}, judged {given[0]}"
            )
            given.pop(0)

    def document(self):
        self.requests()
        self.compare_with_standin()
        self.compare_polls()
        incomplete = list(self.incomplete())
        check(len(incomplete) >= 3, "no lost fragment in the recording")
        own = sum(1 for row in self.rows if self.is_gateway(row))
        first, last = self.frames[0][0], self.frames[-1][0]
        return {
            "capture": "home.pcap",
            "linkType": self.link_type,
            "frames": len(self.frames),
            "framesFromGateway": own,
            "firstTime": first / 1e6,
            "lastTime": last / 1e6,
            "gateway": {"eui64": home.GATEWAY_EUI64, "short": home.GATEWAY_SHORT, "panId": home.PAN_ID},
            "messages": self.messages,
            "duplicates": self.duplicates,
            "polls": self.polls,
            "commands": list(self.commands()),
            "brokenFrames": list(self.broken_frames()),
            "incompleteFragments": incomplete,
        }

    @staticmethod
    def is_gateway(row):
        extended = row["wpan.src64"].replace(":", "")
        return extended == home.GATEWAY_EUI64 or (
            row["wpan.src16"] != "" and int(row["wpan.src16"], 0) == home.GATEWAY_SHORT
        )


def layout(document):
    """JSON with one entry of a list a line: it can be read, and differences are small."""
    lines = []
    for key, value in document.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            items = ",\n".join("    " + json.dumps(item) for item in value)
            lines.append(f"  {json.dumps(key)}: [\n{items}\n  ]")
        else:
            lines.append(f"  {json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def main(pcap, log, out):
    document = Expectation(pcap, log).document()
    Path(out).write_text(layout(document))
    refused = sum(1 for message in document["messages"] if message["expect"] == "refused")
    print(
        f"{document['frames']} frames in {document['lastTime'] - document['firstTime']:.0f} s; "
        f"{len(document['messages'])} messages, {refused} of them to be refused; "
        f"{len(document['commands'])} commands served; {len(document['brokenFrames'])} broken frames"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
