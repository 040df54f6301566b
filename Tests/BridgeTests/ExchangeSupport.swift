import Bridge
import CoAP
import Envelope
import Queue
import Testing
import Wire

/// The demo home whose thermostat is a plain CoAP server that never sleeps.
struct ServedHome {
  let home: Home
  let record: PeerRecord
  var owner: Endpoint<MemoryStore>

  init(_ change: (inout Member) -> Void = { _ in }) throws {
    home = try Home()
    record = try home.record(2) { record in
      let index = try #require(record.members.firstIndex { $0.name == "thermostat" })
      record.members[index].traits = [.coapServer, .vouched]
      // What is of consequence is asked under OSCORE only: see GatewayHopTests.
      record.members[index].class = .noConsequence
      change(&record.members[index])
    }
    owner = Endpoint(
      identity: try home["owner"], directory: try PeerDirectory(record), relay: try home.address("relay"),
      store: MemoryStore())
  }

  func gateway(_ store: MemoryStore, queues: QueueLimits = QueueLimits()) throws -> Gateway<MemoryStore> {
    try home.gateway(store, queues: queues, record: record)
  }

  /// A command of the owner as it types it, signed.
  mutating func command(_ text: String) throws -> SignedEnvelope {
    let number = try owner.command(try #require(CommandText(text)), label: text, lifetime: 60, now: Home.start)
    let held = try #require(try owner.outbound(limit: .max).first { $0.seq == number })
    return try SignedEnvelope(parsing: held.bytes)
  }

  func command(_ message: EncapsulatedMessage, _ sequence: UInt64) throws -> SignedEnvelope {
    try home.envelope(
      "owner", to: ["thermostat"], sequence,
      content: .init(format: ContentFormats.coapMessage, bytes: try message.cbor()))
  }
}

/// A node of the gateway.
func node(_ name: String, _ gateway: Gateway<MemoryStore>) throws -> Member {
  try #require(gateway.nodes.first { $0.name == name })
}

/// What waits for the relay.
func outbox(_ gateway: Gateway<MemoryStore>) throws -> [SignedEnvelope] {
  try gateway.outbound(limit: .max).map { try SignedEnvelope(parsing: $0.bytes) }
}

/// The receipt that is all the outbox holds.
func onlyReceipt(
  _ gateway: Gateway<MemoryStore>, for command: SignedEnvelope,
  at line: SourceLocation = #_sourceLocation
) throws -> Receipt? {
  let sent = try outbox(gateway)
  #expect(sent.count == 1, sourceLocation: line)
  let envelope = try #require(sent.first, sourceLocation: line)
  #expect(envelope.header.extensions.inReplyTo == command.header.sequence, sourceLocation: line)
  #expect(envelope.header.extensions.answerHash == command.answerHash, sourceLocation: line)
  // It is the gateway that says so, not the node.
  #expect(envelope.header.extensions.onBehalfOf == nil, sourceLocation: line)
  let content = try #require(envelope.readableContent, sourceLocation: line)
  #expect(content.format == ContentFormats.receipt, sourceLocation: line)
  return try Receipt(parsing: content.bytes)
}
