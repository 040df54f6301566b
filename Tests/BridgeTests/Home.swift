import Bridge
import COSE
import CoAP
import Crypto
import Envelope
import Foundation
import Queue
import Testing
import Wire

/// The demo home: its identities, its peer record, and what its members say.
struct Home {
  static let names = [
    "oracle", "gateway", "relay", "owner", "phone2", "lock", "thermostat", "occupancy", "rain", "temperature",
  ]
  /// A second after the peer record was issued.
  static let start = Instant(seconds: 1_767_225_601)

  private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .appendingPathComponent("../../Config/demo")

  private var identities: [String: Identity] = [:]

  init() throws {
    for name in Home.names {
      let text = try String(contentsOf: Home.folder.appendingPathComponent("\(name).pem"), encoding: .utf8)
      identities[name] = try IdentityFile.identity(text, file: name)
    }
    var generator = SystemRandomNumberGenerator()
    identities["stranger"] = try Identity.new(name: "stranger", validFrom: Home.start, using: &generator)
  }

  subscript(name: String) -> Identity {
    get throws { try #require(identities[name]) }
  }

  func address(_ name: String) throws -> Address { try self[name].address }

  static func file(_ name: String) throws -> [UInt8] {
    try [UInt8](Data(contentsOf: folder.appendingPathComponent(name)))
  }

  static func later(_ seconds: Int64) -> Instant { Instant(seconds: start.seconds + seconds) }

  /// The recorded peer record as `name` reads it.
  func directory(_ name: String) throws -> PeerDirectory {
    try PeerDirectory.accept(
      SignedEnvelope(parsing: Home.file("peer-record-\(name).cose")), for: try self[name],
      oracle: try self["oracle"].public, current: nil)
  }

  /// Epoch 1 as it was recorded, changed by `change`.
  func record(_ epoch: UInt64, _ change: (inout PeerRecord) throws -> Void) throws -> PeerRecord {
    var record = try directory("gateway").record
    record.version.epoch = epoch
    try change(&record)
    return record
  }

  /// A peer record sealed for the gateway.
  func sealed(
    _ record: PeerRecord, from signer: String = "oracle", as sender: String? = nil
  ) throws -> [UInt8] {
    let envelope = try self.envelope(
      signer, to: ["gateway"], 1000 + record.version.epoch, class: .confidential, lifetime: 86_400,
      content: .init(format: ContentFormats.peerRecord, bytes: try record.cbor()))
    guard let sender else { return envelope.bytes }
    var header = envelope.header
    header.sender = .full(try address(sender))
    return try sign(header, Array(envelope.payload), with: try self[signer])
  }

  func gateway<Store: MailboxStore>(
    _ store: Store, queues: QueueLimits = QueueLimits(), record: PeerRecord? = nil
  ) throws -> Gateway<Store> {
    let directory = try record.map { try PeerDirectory($0) } ?? directory("gateway")
    return Gateway(
      identity: try self["gateway"], oracle: try self["oracle"].public, directory: directory,
      relay: try address("relay"), store: store, queues: queues)
  }

  func endpoint<Store: MailboxStore>(_ name: String, _ store: Store) throws -> Endpoint<Store> {
    Endpoint(
      identity: try self[name], directory: try directory(name), relay: try address("relay"), store: store)
  }

  func envelope(
    _ sender: String, to recipients: [String], _ sequence: UInt64, class: EnvelopeClass = .authOnly,
    at issued: Instant? = Home.start, lifetime: UInt64 = 60, flags: EnvelopeFlags = [],
    extensions: EnvelopeExtensions = EnvelopeExtensions(), form: EnvelopeDraft.AddressForm = .full,
    content: SignedEnvelope.Content = .init(format: 0, bytes: Array("on".utf8))
  ) throws -> SignedEnvelope {
    var generator = SystemRandomNumberGenerator()
    let draft = EnvelopeDraft(
      class: `class`,
      recipients: try recipients.map {
        EnvelopeDraft.Recipient(try address($0), agreementKey: try self[$0].agreementKey.publicKey)
      }, sequence: sequence, issuedAt: issued.map { UInt64($0.seconds) }, lifetime: lifetime, flags: flags,
      extensions: extensions, content: content, addressForm: form)
    return try SignedEnvelope.make(draft, from: try self[sender], using: &generator)
  }

  /// What `sender` says became of the envelope `answered`.
  func receipt(
    _ receipt: Receipt, from sender: String, to recipient: String, _ sequence: UInt64, for answered: SignedEnvelope,
    class: EnvelopeClass = .authOnly
  ) throws -> SignedEnvelope {
    try envelope(
      sender, to: [recipient], sequence, class: `class`,
      extensions: EnvelopeExtensions(inReplyTo: answered.header.sequence, answerHash: answered.answerHash),
      content: .init(format: ContentFormats.receipt, bytes: try receipt.cbor()))
  }

  /// An envelope by hand, whatever it says.
  func sign(_ header: EnvelopeHeader, _ payload: [UInt8], with identity: Identity) throws -> [UInt8] {
    let protected = try header.cbor()
    let digest = COSESign1.digest(protected: protected.rawSpan, payload: payload.rawSpan)
    let signature = try identity.signingKey.signature(for: digest)
    var writer = CBORWriter()
    writer.tag(18)
    writer.array(4)
    writer.bytes(protected)
    writer.map(0)
    writer.bytes(payload)
    writer.bytes([UInt8](signature.rawRepresentation))
    return writer.bytes
  }

  /// The radio of a node.
  func radio(_ name: String) throws -> UInt64 {
    try #require(try directory("gateway").member(named: name)?.eui64)
  }

  func post(_ envelope: [UInt8]) -> NodeRequest {
    let format = CoAPContentFormat(rawValue: UInt16(ContentFormats.envelope))
    return NodeRequest(
      request: CoAPRequest(.post, path: ["e"], contentFormat: format, payload: envelope), eui64: nil,
      fingerprint: [])
  }

  func post(plain text: String, from node: String, _ fingerprint: UInt8 = 0) throws -> NodeRequest {
    let request = CoAPRequest(
      .post, path: ["e"], contentFormat: CoAPContentFormat(rawValue: 0), payload: Array(text.utf8))
    return NodeRequest(request: request, eui64: try radio(node), fingerprint: [fingerprint])
  }

  func get(_ node: String, _ query: String...) throws -> NodeRequest {
    NodeRequest(
      request: CoAPRequest(.get, path: ["e"], query: query), eui64: try radio(node), fingerprint: [])
  }

  func delete(_ node: String, _ number: String) throws -> NodeRequest {
    NodeRequest(
      request: CoAPRequest(.delete, path: ["e", number]), eui64: try radio(node), fingerprint: [])
  }
}

/// The same envelope with the other signature that is as valid: (r, n - s).
func malleated(_ bytes: [UInt8]) throws -> [UInt8] {
  let order = try #require(
    [UInt8](hex: "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"))
  var bytes = bytes
  let start = bytes.count - 32
  var borrow = 0
  for index in (0..<32).reversed() {
    let difference = Int(order[index]) - Int(bytes[start + index]) - borrow
    borrow = difference < 0 ? 1 : 0
    bytes[start + index] = UInt8(difference & 0xff)
  }
  return bytes
}

/// The reason of the first refusal.
func reason(_ events: [GatewayEvent]) -> DropReason? {
  for event in events {
    switch event {
    case .refused(let refusal), .downlinkRefused(let refusal): return refusal.reason
    default: continue
    }
  }
  return nil
}
