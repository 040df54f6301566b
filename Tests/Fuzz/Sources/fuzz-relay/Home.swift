import COSE
import Crypto
import Envelope
import Foundation
import Relay
import Wire

/// The identities of Config/demo and what they may say.
struct Home {
  static let start: Int64 = 1_767_225_601
  static let names = [
    "owner", "gateway", "lock", "phone2", "occupancy", "rain", "thermostat", "temperature", "oracle", "relay",
  ]

  let identities: [Identity]
  /// The list that a relay has from the beginning: the recorded one, but that some may send to all, themselves included.
  let access: AccessDirectory

  init() throws {
    let directory = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("../../../../Config/demo")
    identities = try Home.names.map { name in
      let text = try String(contentsOf: directory.appendingPathComponent("\(name).pem"), encoding: .utf8)
      return try IdentityFile.identity(text, file: name)
    }
    let recorded = try SignedEnvelope(
      parsing: [UInt8](Data(contentsOf: directory.appendingPathComponent("access-list.cose"))))
    guard let content = recorded.readableContent else { finding("the recorded access list is none") }
    var list = try AccessList(parsing: content.bytes)
    let free = Set(identities.prefix(3).map(\.address))
    for index in list.entries.indices where free.contains(list.entries[index].address) {
      list.entries[index].recipients = Array(list.entries.indices)
    }
    access = try AccessDirectory(list)
  }

  func identity(_ index: UInt8) -> Identity { identities[Int(index) % identities.count] }
  var relay: Identity { identities[Home.names.count - 1] }
  var oracle: Identity { identities[Home.names.count - 2] }

  /// The access list of some epoch, without some members.
  func accessList(epoch: UInt64, without removed: Set<Address> = [], signer: Identity? = nil) -> [UInt8] {
    var list = access.list
    list.version.epoch = epoch
    for address in removed {
      guard let gone = list.entries.firstIndex(where: { $0.address == address }) else { continue }
      list.entries.remove(at: gone)
      for index in list.entries.indices {
        list.entries[index].recipients = list.entries[index].recipients.filter { $0 != gone }
          .map { $0 > gone ? $0 - 1 : $0 }
        if let host = list.entries[index].host {
          list.entries[index].host = host == gone ? nil : host > gone ? host - 1 : host
        }
      }
    }
    let signer = signer ?? oracle
    let header = EnvelopeHeader(
      contentFormat: ContentFormats.accessList, sender: .full(signer.address), class: .authOnly,
      recipients: [.full(relay.address)], sequence: 1000 &+ epoch, issuedAt: UInt64(Home.start), lifetime: 1 << 32)
    guard let header = try? header.cbor(), let list = try? list.cbor() else { finding("a list that cannot be written") }
    return Home.sign(header, list, with: signer)
  }

  /// An envelope by hand, whatever it says.
  static func sign(_ header: [UInt8], _ payload: [UInt8], with identity: Identity) -> [UInt8] {
    let digest = COSESign1.digest(protected: header.rawSpan, payload: payload.rawSpan)
    guard let signature = try? identity.signingKey.signature(for: digest) else { finding("no signature") }
    var writer = CBORWriter()
    writer.tag(18)
    writer.array(4)
    writer.bytes(header)
    writer.map(0)
    writer.bytes(payload)
    writer.bytes([UInt8](signature.rawRepresentation))
    return writer.bytes
  }
}

/// Envelopes as the input wants them.
struct Envelopes {
  let home: Home
  private static let maximumCount = 24
  /// Numbers of senders rise over all inputs.
  private nonisolated(unsafe) static var sequence: UInt64 = 0
  private var recent: [[UInt8]] = []
  private var made = 0

  init(_ home: Home) { self.home = home }

  /// A valid one, or nearly; one of those that were made before, when there have been many.
  mutating func next(_ input: inout Input, now: Int64) -> [UInt8] {
    let kind = input.byte()
    if made >= Self.maximumCount || kind & 7 == 7, let last = recent.last {
      return kind & 8 == 0 ? last : recent[Int(kind >> 4) % recent.count]
    }
    made += 1
    let bytes = kind & 7 == 6 ? chunk(&input, now: now) : make(kind, &input, now: now)
    recent.append(bytes)
    return bytes
  }

  private func make(_ kind: UInt8, _ input: inout Input, now: Int64) -> [UInt8] {
    let sender = home.identity(input.byte())
    let to = input.byte()
    let recipients = home.identities.indices.filter { $0 < 8 && to >> UInt8($0) & 1 == 1 }
    Self.sequence += 1
    var header = EnvelopeHeader(
      contentFormat: 0, sender: .full(sender.address), class: .authOnly,
      recipients: recipients.map { .full(home.identities[$0].address) }, sequence: Self.sequence,
      issuedAt: UInt64(now), lifetime: 60)
    let form = input.byte()
    if form & 1 == 1 { header.flags = .receiptWanted }
    if form & 2 == 2 {
      header.recipients = header.recipients.map { .short($0.short) }
      header.sender = .short(sender.address.short)
    }
    if form & 4 == 4 { header.extensions.topic = input.number() & 3 }
    if form & 8 == 8 { header.extensions.onBehalfOf = .full(home.identity(input.byte()).address) }
    if form & 16 == 16 { header.issuedAt = input.byte() & 1 == 0 ? nil : input.number() }
    if form & 32 == 32 { header.lifetime = input.number() }
    if form & 64 == 64 {
      header.contentFormat = input.choice([nil, 18, 65_001, 65_003, 65_004, 65_005, 65_006, 65_535])
    }
    if form & 128 == 128 {
      header.class = EnvelopeClass(rawValue: input.byte() & 3) ?? .stream
      header.sequence = input.number()
    }
    var content = input.run()
    if kind & 32 == 32 { content = [UInt8](repeating: kind, count: content.count * 500) }
    if kind & 7 == 5 {
      var generator = SystemRandomNumberGenerator()
      let draft = EnvelopeDraft(
        class: .confidential,
        recipients: recipients.map {
          .init(home.identities[$0].address, agreementKey: home.identities[$0].agreementKey.publicKey)
        }, sequence: header.sequence, issuedAt: header.issuedAt, lifetime: header.lifetime, flags: header.flags,
        extensions: header.extensions, content: .init(format: header.contentFormat, bytes: content))
      if let sealed = try? SignedEnvelope.make(draft, from: sender, using: &generator) { return sealed.bytes }
    }
    guard var protected = try? header.cbor() else { return content }
    // What is signed may be no header.
    if kind & 16 == 16 { protected.mutate(&input) }
    return Home.sign(protected, content, with: sender)
  }

  private func chunk(_ input: inout Input, now: Int64) -> [UInt8] {
    let key = StreamKey(
      stream: input.number(), key: Array(repeating: 1, count: 16), nonce: Array(repeating: 2, count: 12))
    let recipients = (0...input.byte() & 3).map { home.identity(UInt8($0)).address }
    let chunk = try? key.chunk(
      input.number(), input.run(), to: recipients, from: home.identity(input.byte() & 1), sequence: input.number(),
      issuedAt: UInt64(now))
    return chunk?.bytes ?? []
  }
}
