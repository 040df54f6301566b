import COSE
import Envelope
import Foundation
import Testing
import Wire

private let samplesFolder = ProcessInfo.processInfo.environment["PANGATE_SAMPLES"]

/// Samples of everything in Docs/envelope.cddl, for tools/check-cddl: RULE.WHAT.cbor in $PANGATE_SAMPLES/valid must fit
/// the rule, those in $PANGATE_SAMPLES/broken must not.
@Suite(.enabled(if: samplesFolder != nil, "PANGATE_SAMPLES is not set: tools/check-cddl sets it"))
struct SampleTests {
  let world = World()

  private func write(_ bytes: [UInt8], _ kind: String, _ rule: String, _ what: String) throws {
    let folder = URL(fileURLWithPath: try #require(samplesFolder)).appendingPathComponent(kind)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    try Data(bytes).write(to: folder.appendingPathComponent("\(rule).\(what).cbor"))
  }

  private static let extensions: [(String, EnvelopeExtensions)] = [
    ("no-extensions", EnvelopeExtensions()),
    ("in-reply-to", EnvelopeExtensions(inReplyTo: .max)),
    ("answer-hash", EnvelopeExtensions(answerHash: 1)),
    ("echo-challenge", EnvelopeExtensions(echoChallenge: [UInt8](repeating: 1, count: 8))),
    ("echo-response", EnvelopeExtensions(echoResponse: [UInt8](repeating: 1, count: 16))),
    ("on-behalf-of-short", EnvelopeExtensions(onBehalfOf: .short(Address.Short(1)))),
    ("on-behalf-of-full", EnvelopeExtensions(onBehalfOf: .full(World().other.address))),
    ("stream", EnvelopeExtensions(stream: StreamPosition(stream: 1, chunk: .max))),
    ("topic", EnvelopeExtensions(topic: 0)),
    (
      "all-extensions",
      EnvelopeExtensions(
        inReplyTo: 1, answerHash: 2, echoChallenge: [UInt8](repeating: 1, count: 8),
        echoResponse: [UInt8](repeating: 1, count: 8), onBehalfOf: .short(Address.Short(1)),
        stream: StreamPosition(stream: 1, chunk: 2), topic: 3)
    ),
  ]

  @Test func envelopes() throws {
    for envelopeClass in EnvelopeClass.allCases {
      for (count, recipients) in [
        ("one", [world.reader]), ("several", [world.reader, world.other, world.oracle]),
      ] {
        for (form, addressForm) in [("full", EnvelopeDraft.AddressForm.full), ("short", .short)] {
          let envelope = try world.make(world.draft(envelopeClass, to: recipients, form: addressForm))
          let what = "\(envelopeClass.name)-\(count)-\(form)"
          try write(envelope.bytes, "valid", "envelope", what)
          if envelope.sealed != nil { try write(Array(envelope.payload), "valid", "confidential", what) }
        }
      }
    }
    for (what, extensions) in Self.extensions {
      var draft = world.draft(.authOnly)
      draft.extensions = extensions
      try write(try world.make(draft).bytes, "valid", "envelope", what)
      if !extensions.isEmpty { try write(try extensions.encoded(), "valid", "sac-ext", what) }
    }
    var draft = world.draft(.authOnly)
    draft.issuedAt = nil
    draft.flags = .receiptWanted
    draft.sequence = .max
    try write(try world.make(draft).bytes, "valid", "envelope", "no-clock")
    draft.content.format = nil
    try write(try world.make(draft).bytes, "valid", "envelope", "no-content-format")
  }

  @Test func contents() throws {
    for outcome in Receipt.Outcome.allCases {
      try write(try Receipt(outcome).encoded(), "valid", "receipt", "\(outcome)")
      try write(
        try Receipt(outcome, reason: "envelopeExpired").encoded(), "valid", "receipt", "\(outcome)-why")
    }
    let lock = EncapsulatedMessage.Option(11, Array("lock".utf8))
    for (what, options) in [("without", []), ("one", [lock]), ("two", [lock, .init(12, [60])])] {
      let message = EncapsulatedMessage(code: 3, options: options, payload: Array("open".utf8))
      try write(try message.encoded(), "valid", "coap-message", "\(what)-options")
    }
    try write(try Group().record.encoded(), "valid", "peer-record", "group")
    try write(try PeerRecordTests.accessList().encoded(), "valid", "access-list", "group")
    for file in ["peer-record-gateway", "access-list"] {
      try write(try Demo.bytes("\(file).cose"), "valid", "envelope", "demo-\(file)")
    }
  }

  @Test func brokenOnes() throws {
    func header(_ changed: [Int64: CBORValue?] = [:]) throws -> [UInt8] {
      try world.header(changed: changed).encoded()
    }
    func block(_ changed: [Int: CBORValue], more: [CBORValue] = []) -> [Int64: CBORValue?] {
      [-65537: world.block(changed: changed, more: more)]
    }
    let to = CBORValue.bytes(world.reader.address.bytes)
    let headers: [(String, [Int64: CBORValue?])] = [
      ("class-4", block([0: 4])), ("no-recipients", block([1: []])),
      ("33-recipients", block([1: .array([CBORValue](repeating: to, count: 33))])),
      ("recipient-of-9-bytes", block([1: [.bytes([UInt8](repeating: 0, count: 9))]])),
      ("sequence-text", block([2: "7"])), ("flags-256", block([5: 256])),
      ("lifetime-nil", block([4: nil])),
      ("extension-unknown", block([:], more: [[8: 1]])),
      ("echo-of-7-bytes", block([:], more: [[3: .bytes([UInt8](repeating: 0, count: 7))]])),
      ("algorithm", [1: -8]), ("sender-missing", [34: nil]), ("header-unknown", [5: 1]),
      ("critical", [2: [3]]),
    ]
    for (what, changed) in headers {
      let bytes = try world.signed(protected: header(changed), [])
      #expect(throws: ParseError.self, "\(what)") { try SignedEnvelope(parsing: bytes) }
      try write(bytes, "broken", "envelope", what)
    }
    let zeros = [UInt8](repeating: 0, count: 64)
    for (what, bytes) in [
      (
        "unprotected",
        try World.envelope(protected: header(), unprotected: [4: 1], payload: [], signature: zeros)
      ),
      (
        "signature-of-63-bytes",
        try World.envelope(protected: header(), payload: [], signature: Array(zeros.dropLast()))
      ),
      ("untagged", Array(try World.envelope(protected: header(), payload: [], signature: zeros).dropFirst())),
    ] {
      #expect(throws: ParseError.self, "\(what)") { try SignedEnvelope(parsing: bytes) }
      try write(bytes, "broken", "envelope", what)
    }
    let contents: [(String, String, CBORValue)] = [
      ("receipt", "outcome-3", [1: 3]), ("receipt", "no-outcome", [2: "why"]),
      ("coap-message", "odd-options", [3, [11], .bytes([])]),
      ("coap-message", "payload-text", [3, [], "open"]),
      (
        "confidential", "algorithm",
        .tag(16, [.bytes([0xa1, 1, 1]), [-4: .bytes(zeros + [0])], .bytes([1])])
      ),
      ("confidential", "no-key", .tag(16, [.bytes([0xa1, 1, 0x18, 35]), [:], .bytes([1])])),
      ("peer-record", "empty", [:]), ("access-list", "group-of-1-byte", [1: .bytes([1]), 2: 1, 3: []]),
    ]
    for (rule, what, value) in contents { try write(try value.encoded(), "broken", rule, what) }
  }
}
