import COSE
import Crypto
import Envelope
import Foundation
import Queue
import Relay
import Testing
import Wire

/// The identities of Config/demo and what they say.
struct DemoHome {
  static let names = [
    "oracle", "gateway", "relay", "owner", "phone2", "lock", "thermostat", "occupancy", "rain", "temperature",
  ]
  /// A second after the access list was issued.
  static let start = Instant(seconds: 1_767_225_601)

  let identities: [String: Identity]
  /// The access list as it was recorded: epoch 1, signed by the oracle.
  let accessList: [UInt8]

  init() throws {
    let directory = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("../../Config/demo")
    var identities: [String: Identity] = [:]
    for name in DemoHome.names {
      let text = try String(contentsOf: directory.appendingPathComponent("\(name).pem"), encoding: .utf8)
      identities[name] = try IdentityFile.identity(text, file: name)
    }
    self.identities = identities
    accessList = try [UInt8](Data(contentsOf: directory.appendingPathComponent("access-list.cose")))
  }

  subscript(name: String) -> Identity {
    get throws { try #require(identities[name]) }
  }

  func address(_ name: String) throws -> Address { try self[name].address }

  /// A relay that obeys the recorded list.
  func relay<Store: MailboxStore>(
    _ store: Store, limits: QueueLimits = QueueLimits()
  ) throws -> RelayCore<LocalRelayStore<Store>> {
    let identity = try #require(RelayIdentity(try self["relay"]))
    var relay = try RelayCore(identity, oracle: try self["oracle"].public, store: store, queueLimits: limits)
    if relay.directory == nil {
      #expect(try relay.accept(accessList: accessList, now: DemoHome.start) == .accepted([address("relay")]))
    }
    return relay
  }

  /// A session of `name`, which collects for `nodes` as well.
  func session<Store>(
    _ relay: RelayCore<Store>, _ name: String, _ nodes: String...
  ) throws -> RelaySession {
    try relay.openSession(client: address(name), serving: nodes.map { try address($0) })
  }

  /// An envelope of `text`.
  func envelope(
    _ sender: String, to recipients: [String], _ seq: UInt64, class: EnvelopeClass = .authOnly,
    at issued: Instant? = DemoHome.start, lifetime: UInt64 = 60, receipt: Bool = false,
    extensions: EnvelopeExtensions = EnvelopeExtensions(), form: EnvelopeDraft.AddressForm = .full,
    text: String = "on"
  ) throws -> SignedEnvelope {
    var generator = SystemRandomNumberGenerator()
    let draft = EnvelopeDraft(
      class: `class`,
      recipients: try recipients.map {
        EnvelopeDraft.Recipient(try address($0), agreementKey: try self[$0].agreementKey.publicKey)
      }, sequence: seq, issuedAt: issued.map { UInt64($0.seconds) }, lifetime: lifetime,
      flags: receipt ? .receiptWanted : [], extensions: extensions,
      content: SignedEnvelope.Content(format: 0, bytes: Array(text.utf8)), addressForm: form)
    return try SignedEnvelope.make(draft, from: try self[sender], using: &generator)
  }

  /// The access list of `epoch`, changed by `change`, signed by `signer`.
  func accessList(
    epoch: UInt64, signer: String = "oracle", _ change: (inout AccessList) throws -> Void = { _ in }
  ) throws -> [UInt8] {
    let old = try SignedEnvelope(parsing: accessList)
    var list = try AccessList(parsing: try #require(old.readableContent).bytes)
    list.version.epoch = epoch
    try change(&list)
    var header = old.header
    header.sequence = 1000 + epoch
    header.sender = .full(try address(signer))
    return try sign(header, try list.encoded(), with: try self[signer])
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

  /// A list without `name`.
  func remove(_ name: String, from list: inout AccessList) throws {
    let gone = try #require(try list.entries.firstIndex { try $0.address == address(name) })
    list.entries.remove(at: gone)
    for index in list.entries.indices {
      list.entries[index].recipients = list.entries[index].recipients.filter { $0 != gone }
        .map { $0 > gone ? $0 - 1 : $0 }
      list.entries[index].host = list.entries[index].host.map { $0 > gone ? $0 - 1 : $0 }
    }
  }

  /// What a relay's report says; checks that the relay signed it.
  func report(_ message: HeldMessage) throws -> (receipt: Receipt, header: EnvelopeHeader) {
    let envelope = try SignedEnvelope(parsing: message.bytes)
    try envelope.verify(with: try self["relay"].public.signingKey)
    let content = try #require(envelope.readableContent)
    #expect(content.format == ContentFormats.receipt)
    return (try Receipt(parsing: content.bytes), envelope.header)
  }
}
