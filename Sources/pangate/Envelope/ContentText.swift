import COSE
import Envelope
import Foundation
import Wire

/// The contents that Pangate knows, as lines for people.
enum ContentText {
  static func lines(_ content: SignedEnvelope.Content, _ known: KnownParties) -> [String] {
    switch content.format {
    case ContentFormats.peerRecord: parsed(content) { (record: PeerRecord) in lines(record) }
    case ContentFormats.accessList: parsed(content) { (list: AccessList) in lines(list, known) }
    case ContentFormats.receipt:
      parsed(content) { (receipt: Receipt) in
        ["\(receipt.outcome)" + (receipt.reason.map { ": " + Printable.line($0) } ?? "")]
      }
    case ContentFormats.coapMessage: parsed(content) { (message: EncapsulatedMessage) in lines(message) }
    case ContentFormats.senmlCBOR: SenMLText.lines(cbor: content.bytes) ?? fallback(content.bytes)
    case ContentFormats.senmlJSON: SenMLText.lines(json: content.bytes) ?? fallback(content.bytes)
    case ContentFormats.configuration, 60: fallbackCBOR(content.bytes)
    default: fallback(content.bytes)
    }
  }

  private static func parsed<T: WireValue>(_ content: SignedEnvelope.Content, _ lines: (T) -> [String])
    -> [String]
  {
    do throws(ParseError) { return lines(try T(parsing: content.bytes)) } catch {
      return ["not of the form that its content format says: \(error)"] + fallbackCBOR(content.bytes)
    }
  }

  private static func fallbackCBOR(_ bytes: [UInt8]) -> [String] {
    (try? CBORValue(parsing: bytes)).map { [$0.description] } ?? fallback(bytes)
  }

  private static func fallback(_ bytes: [UInt8]) -> [String] { [Printable.bytes(bytes)] }

  private static func lines(_ record: PeerRecord) -> [String] {
    var names: [Address: String] = [:]
    for member in record.members { names[member.address] = Printable.line(member.name) }
    func list(_ addresses: [Address]) -> String {
      addresses.map { names[$0] ?? "?\($0.short)" }.joined(separator: ",")
    }
    var table = TextTable([
      "name", "address", "class", "roles", "EUI-64", "gateway", "readers", "commanders", "traits",
    ])
    for member in record.members {
      table.add([
        Printable.line(member.name), member.address.short.description, member.class.name,
        member.roles.names.joined(separator: ","), member.eui64.map { Address.Short($0).description } ?? "-",
        member.gateway.map { list([$0]) } ?? "-", member.readers.isEmpty ? "-" : list(member.readers),
        member.commanders.isEmpty ? "-" : list(member.commanders),
        member.traits.isEmpty ? "-" : member.traits.names.joined(separator: ", "),
      ])
    }
    let relays = record.relays.map {
      "relay \(Printable.line($0.url)) is \(names[$0.address] ?? $0.address.description)"
    }
    return [
      "group \(record.version.group.hex), epoch \(record.version.epoch), issued \(Printable.time(record.issuedAt))"
    ] + table.text.components(separatedBy: "\n") + relays
  }

  private static func lines(_ list: AccessList, _ known: KnownParties) -> [String] {
    var table = TextTable(["entry", "address", "name", "class", "host", "may send to"], rightAligned: [0])
    for (index, entry) in list.entries.enumerated() {
      table.add([
        String(index), entry.address.short.description, known.name(.full(entry.address)) ?? "-",
        entry.class.name,
        entry.host.map(String.init) ?? "-",
        entry.recipients.isEmpty ? "-" : entry.recipients.map(String.init).joined(separator: ","),
      ])
    }
    return ["group \(list.version.group.hex), epoch \(list.version.epoch)"]
      + table.text.components(separatedBy: "\n")
  }

  static func lines(_ message: EncapsulatedMessage) -> [String] {
    let methods: [UInt8: String] = [
      1: "GET", 2: "POST", 3: "PUT", 4: "DELETE", 5: "FETCH", 6: "PATCH", 7: "iPATCH",
    ]
    var lines = ["\(methods[message.code] ?? message.codeText) \(Printable.line(message.path))"]
    for option in message.options where option.number != 11 {
      lines.append("option \(option.number): \(Printable.bytes(option.value))")
    }
    if !message.payload.isEmpty { lines.append("payload: \(Printable.bytes(message.payload))") }
    return lines
  }
}
