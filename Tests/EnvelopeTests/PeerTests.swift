import Crypto
import Envelope
import Foundation
import TestSupport
import Testing
import Wire

/// tools/peers/envelope.py: cwt, pycose and cbor2, which had no part in this code.
private enum Peer {
  /// The interpreter with the libraries, which tools/test names.
  static let python = ProcessInfo.processInfo.environment["PANGATE_PYTHON"]

  /// A number, or a byte string in hexadecimal behind "h:".
  enum Item: Codable, Equatable {
    case number(UInt64)
    case numbers([UInt64])
    case bytes([UInt8])

    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      if let number = try? container.decode(UInt64.self) {
        self = .number(number)
      } else if let numbers = try? container.decode([UInt64].self) {
        self = .numbers(numbers)
      } else {
        self = .bytes([UInt8](hex: try container.decode(String.self).dropFirst(2)) ?? [])
      }
    }

    func encode(to encoder: any Encoder) throws {
      var container = encoder.singleValueContainer()
      switch self {
      case .number(let value): try container.encode(value)
      case .numbers(let values): try container.encode(values)
      case .bytes(let bytes): try container.encode("h:" + bytes.hex)
      }
    }
  }

  struct Job: Encodable {
    var `do`: String
    var sender: String?
    var cls: UInt8?
    var to: [String]?
    var seq: UInt64?
    var format: UInt64?
    var payload: String?
    var iat: UInt64?
    var ttl: UInt64?
    var flags: UInt8?
    var ext: [String: Item]?
    var full: Bool?
    var message: String?
    var recipient: String?
    var pem: String?
  }

  struct Outcome: Decodable {
    var bytes: String?
    var error: String?
    var format: UInt64?
    var sender: String?
    var to: [String]?
    var cls: UInt8?
    var seq: UInt64?
    var iat: UInt64?
    var ttl: UInt64?
    var flags: UInt8?
    var ext: [String: Item]?
    var name: String?
    var agreement: String?
  }

  /// The outcomes of all `jobs`, done by one process.
  static func run(_ jobs: [Job]) throws -> [Outcome] {
    let root = Demo.folder.deletingLastPathComponent().deletingLastPathComponent()
    let process = Process()
    process.executableURL = URL(fileURLWithPath: try #require(python))
    process.arguments = ["-B", root.appendingPathComponent("tools/peers/envelope.py").path]
    let (input, output) = (Pipe(), Pipe())
    process.standardInput = input
    process.standardOutput = output
    try process.run()
    try input.fileHandleForWriting.write(contentsOf: JSONEncoder().encode(jobs))
    try input.fileHandleForWriting.close()
    let answer = try output.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
    let outcomes = try JSONDecoder().decode([Outcome].self, from: answer)
    #expect(outcomes.count == jobs.count)
    return outcomes
  }
}

@Suite(
  "Envelopes against cwt and pycose",
  .enabled(if: Peer.python != nil, "PANGATE_PYTHON is not set: tools/test sets it"))
struct PeerTests {
  private static let payload = Array("ten bytes.".utf8)
  private static let full = EnvelopeExtensions(
    inReplyTo: 70_000, answerHash: 0x0102_0304_0506_0708, echoChallenge: [UInt8](repeating: 1, count: 8),
    echoResponse: [UInt8](repeating: 2, count: 16), onBehalfOf: .short(Address.Short(5)),
    stream: StreamPosition(stream: 6, chunk: 300), topic: 7)
  private static let fullItems: [String: Peer.Item] = [
    "1": .number(70_000), "2": .bytes([1, 2, 3, 4, 5, 6, 7, 8]), "3": .bytes([UInt8](repeating: 1, count: 8)),
    "4": .bytes([UInt8](repeating: 2, count: 16)), "5": .bytes([0, 0, 0, 0, 0, 0, 0, 5]),
    "6": .numbers([6, 300]),
    "7": .number(7),
  ]

  /// Class, recipients, whole addresses, all extensions.
  private static let cases: [(UInt8, [String], Bool, Bool)] = (0...2).flatMap { envelopeClass in
    [
      (envelopeClass, ["owner"], true, false), (envelopeClass, ["owner"], false, true),
      (envelopeClass, ["owner", "phone2"], true, true),
      (envelopeClass, ["gateway", "owner", "phone2"], false, false),
    ]
  }

  @Test("What we make, they verify, open and read alike")
  func ours() throws {
    var jobs: [Peer.Job] = []
    var envelopes: [SignedEnvelope] = []
    var random = SystemRandomNumberGenerator()
    for (rawClass, names, full, extended) in Self.cases {
      let recipients = try names.map { World.recipient(try Demo.identity($0)) }
      let draft = EnvelopeDraft(
        class: try #require(EnvelopeClass(rawValue: rawClass)), recipients: recipients, sequence: 1 << 40,
        issuedAt: World.now, lifetime: 60, flags: .receiptWanted,
        extensions: extended ? Self.full : EnvelopeExtensions(),
        content: SignedEnvelope.Content(format: 112, bytes: Self.payload), addressForm: full ? .full : .short)
      let envelope = try SignedEnvelope.make(draft, from: try Demo.identity("lock"), using: &random)
      for name in names {
        envelopes.append(envelope)
        jobs.append(Peer.Job(do: "open", sender: "lock", message: envelope.bytes.hex, recipient: name))
      }
    }
    for (envelope, outcome) in zip(envelopes, try Peer.run(jobs)) {
      #expect(outcome.error == nil)
      #expect(outcome.bytes == Self.payload.hex)
      #expect(outcome.format == 112)
      #expect(outcome.sender == envelope.header.sender.description)
      #expect(outcome.to == envelope.header.recipients.map(\.description))
      #expect(outcome.cls == envelope.header.class.rawValue)
      #expect(outcome.seq == 1 << 40)
      #expect(outcome.iat == World.now)
      #expect(outcome.ttl == 60)
      #expect(outcome.flags == 1)
      #expect(outcome.ext == (envelope.header.extensions.isEmpty ? [:] : Self.fullItems))
    }
  }

  @Test("What they make, we verify, open and read alike")
  func theirs() throws {
    let jobs = Self.cases.map { rawClass, names, full, extended in
      Peer.Job(
        do: "make", sender: "lock", cls: rawClass, to: names, seq: 1 << 40, format: 112,
        payload: Self.payload.hex,
        iat: World.now, ttl: 60, flags: 1, ext: extended ? Self.fullItems : [:], full: full)
    }
    let lock = try Demo.identity("lock")
    for ((rawClass, names, full, extended), outcome) in zip(Self.cases, try Peer.run(jobs)) {
      #expect(outcome.error == nil)
      let envelope = try SignedEnvelope(parsing: try #require([UInt8](hex: outcome.bytes ?? "")))
      try envelope.verify(with: lock.signingKey.publicKey)
      let identities = try names.map(Demo.identity)
      func reference(_ address: Address) -> AddressReference { full ? .full(address) : .short(address.short) }
      #expect(
        envelope.header
          == EnvelopeHeader(
            contentFormat: rawClass == 2 ? nil : 112, sender: reference(lock.address),
            class: try #require(EnvelopeClass(rawValue: rawClass)),
            recipients: identities.map { reference($0.address) },
            sequence: 1 << 40, issuedAt: World.now, lifetime: 60, flags: .receiptWanted,
            extensions: extended ? Self.full : EnvelopeExtensions()))
      for identity in identities {
        #expect(
          try envelope.open(with: identity) == SignedEnvelope.Content(format: 112, bytes: Self.payload))
      }
      // Headers that both write the same way: ours are the same bytes.
      #expect(try envelope.header.encoded() == Array(envelope.protectedHeader))
    }
  }

  @Test("What was changed on the way, both refuse")
  func changed() throws {
    var random = SeededGenerator(seed: 1)
    let envelope = try World().make(
      EnvelopeDraft(
        class: .authOnly, recipients: [World.recipient(try Demo.identity("owner"))], sequence: 1,
        issuedAt: World.now,
        lifetime: 60, content: SignedEnvelope.Content(format: 112, bytes: Self.payload)),
      from: try Demo.identity("lock"))
    let jobs = (0..<50).map { _ in
      var bytes = envelope.bytes
      bytes[Int.random(in: bytes.indices, using: &random)] ^= 1 << UInt8.random(in: 0..<8, using: &random)
      return Peer.Job(do: "open", sender: "lock", message: bytes.hex, recipient: "owner")
    }
    for outcome in try Peer.run(jobs) { #expect(outcome.error != nil) }
  }

  @Test("New identities are read by cryptography, which verifies their certificates")
  func identities() throws {
    let identity = World.identity("Haustür", seed: 77)
    let outcome = try #require(
      try Peer.run([Peer.Job(do: "load", pem: IdentityFile.text(of: identity))]).first)
    #expect(outcome.error == nil)
    #expect(outcome.bytes == identity.address.description)
    #expect(outcome.name == "Haustür")
    #expect(outcome.agreement == identity.agreementPoint.hex)
  }
}
