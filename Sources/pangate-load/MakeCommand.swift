import ArgumentParser
import Envelope
import Foundation
import Relay
import Wire

/// Makes the identities of an oracle, a relay, senders and receivers, and the relay's access list and configuration.
struct MakeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "make", abstract: "Write identities, access list and configuration of a relay.")

  @Argument(help: "The directory to write.") var directory: String
  @Option(help: "Senders.") var senders = 64
  @Option(help: "The relay's port; TLS has the next one.") var port = 27_683

  func run() throws {
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    var generator = SystemRandomNumberGenerator()
    let now = Instant(seconds: Int64(Date().timeIntervalSince1970))
    func make(_ name: String) throws -> Identity {
      let identity = try Identity.new(name: name, validFrom: now, using: &generator)
      try write(IdentityFile.text(of: identity), to: name + ".pem")
      return identity
    }
    let (oracle, relay) = (try make("oracle"), try make("relay"))
    let members = try (0..<senders).map { try make("sender\($0)") } + (0..<senders).map { try make("receiver\($0)") }
    let entries = members.enumerated().map { index, member in
      AccessList.Entry(
        address: member.address, key: member.public.signingPoint, class: .authOnly, host: nil,
        recipients: index < senders ? [index + senders] : [])
    }
    let list = AccessList(
      version: GroupEpoch(group: [UInt8](repeating: 7, count: GroupEpoch.groupLength), epoch: 1), entries: entries)
    let draft = EnvelopeDraft(
      class: .authOnly, recipients: [.init(relay.address)], sequence: 1, issuedAt: UInt64(now.seconds),
      lifetime: 365 * 86_400, content: .init(format: ContentFormats.accessList, bytes: try list.cbor()))
    let envelope = try SignedEnvelope.make(draft, from: oracle, maximumSize: .max, using: &generator)
    _ = FileManager.default.createFile(
      atPath: directory + "/access-list.cose", contents: Data(envelope.bytes), attributes: nil)
    try write(
      """
      identity: relay.pem
      listen: ["coap+tcp://127.0.0.1:\(port)", "coaps+tcp://127.0.0.1:\(port + 1)"]
      groups: [{oracle: oracle.pem, access-list: access-list.cose}]
      store: {state: state}
      queue: {messages-per-mailbox: 10000000, bytes-per-mailbox: 100000000000, messages: 1000000000, bytes: 1000000000000}
      limits: {envelopes-per-second: 10000000, envelopes-in-burst: 10000000, envelopes-per-commit: 4096, connections: 100000, connections-per-address: 100000}
      control: control
      metrics-port: \(port + 2)

      """, to: "relay.yaml")
  }

  private func write(_ text: String, to file: String) throws {
    let path = directory + "/" + file
    guard
      FileManager.default.createFile(
        atPath: path, contents: Data(text.utf8), attributes: [.posixPermissions: 0o600])
    else { throw LoadError(description: "\(path): cannot be written") }
  }
}

extension LoadOptions {
  /// The relay, and the envelopes of each sender, signed before the clock starts, under numbers that no earlier run used.
  func prepare() throws -> (relay: RelayClientConfiguration.Relay, envelopes: [[SignedEnvelope]]) {
    guard let url = RelayURL(url) else { throw ValidationError("--url is no URL of a relay") }
    let first = UInt64(Date().timeIntervalSince1970 * 1000) << 16
    return (
      .init(url: url, address: try identity("relay").address),
      try sign(max(1, envelopes / senders), firstSequence: first)
    )
  }

  func identity(_ name: String) throws -> Identity {
    let path = directory + "/\(name).pem"
    return try IdentityFile.identity(try String(contentsOfFile: path, encoding: .utf8), file: path)
  }

  /// `count` of each sender, to its receiver.
  private func sign(_ count: Int, firstSequence: UInt64) throws -> [[SignedEnvelope]] {
    let now = UInt64(Date().timeIntervalSince1970)
    let content = SignedEnvelope.Content(format: 42, bytes: [UInt8](repeating: 0x55, count: size))
    var generator = SystemRandomNumberGenerator()
    return try (0..<senders).map { index in
      let (sender, receiver) = (try identity("sender\(index)"), try identity("receiver\(index)").address)
      return try (0..<count).map { number in
        try SignedEnvelope.make(
          EnvelopeDraft(
            class: .authOnly, recipients: [.init(receiver)], sequence: firstSequence + UInt64(number), issuedAt: now,
            lifetime: 86_400, content: content, addressForm: .short), from: sender, using: &generator)
      }
    }
  }
}
