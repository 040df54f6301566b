import BorderRouter
import CoAP
import Crypto
import Envelope
import IEEE802154
import Node
import TestSupport
import Testing
import Wire

/// A device and a border router that hand each other their frames.
final class Desk<Behavior: DeviceBehavior> {
  private var device: Device<Behavior>
  private var stack: PANStack
  var now = Instant(seconds: 1_767_225_601)
  private(set) var requests: [CoAPRequest] = []
  private(set) var responses: [CoAPResponse] = []
  /// What the border router answers; `nil` for nothing.
  var answers: (CoAPRequest) -> CoAPResponse?
  private var events: [DeviceEvent] = []

  init(
    _ behavior: Behavior, security: NodeSecurity? = nil, seed: UInt64 = 1,
    answers: @escaping (CoAPRequest) -> CoAPResponse? = { _ in CoAPResponse(.changed) }
  ) {
    self.answers = answers
    stack = PANStack(configuration: Cell.configuration(), random: SeededGenerator(seed: seed))
    device = Self.make(behavior, security, seed: seed)
    start()
  }

  private static func make(
    _ behavior: Behavior, _ security: NodeSecurity? = nil, seed: UInt64
  ) -> Device<Behavior> {
    let configuration = NodeConfiguration(extendedAddress: Cell.device, panID: Cell.pan, channel: 15)
    return Device(
      stack: NodeStack(configuration: configuration, security: security, random: SeededGenerator(seed: seed &+ 1_000)),
      behavior: behavior)
  }

  private func start() {
    device.start(now: now)
    settle()
  }

  /// The device loses its power and begins anew.
  func reset(to behavior: Behavior, seed: UInt64) {
    device = Self.make(behavior, seed: seed)
    start()
  }

  var behavior: Behavior { device.behavior }

  func takeEvents() -> [DeviceEvent] {
    defer { events.removeAll() }
    return events
  }

  func takeRequests() -> [CoAPRequest] {
    defer { requests.removeAll() }
    return requests
  }

  func perform(_ body: (inout Behavior) -> Void) {
    device.perform(now: now, body)
    settle()
  }

  func ask(_ request: CoAPRequest) {
    _ = stack.request(request, to: Cell.device, now: now)
    settle()
  }

  func run(for span: Duration) {
    let end = now.advanced(by: span)
    while let due = [stack.nextTimeout, device.nextTimeout].compactMap({ $0 }).min(), due <= end {
      now = max(now, due)
      stack.timeout(at: now)
      device.timeout(at: now)
      settle()
    }
    now = end
  }

  private func settle() {
    while true {
      let frames = device.takeTransmissions()
      let others = stack.takeTransmissions()
      let happened = stack.takeEvents()
      if frames.isEmpty, others.isEmpty, happened.isEmpty { break }
      for frame in frames {
        stack.receive(frame.rawSpan, metadata: FrameMetadata(timestamp: now, fcsPresent: false))
        device.transmitted(.acknowledged(framePending: false), now: now)
      }
      for frame in others {
        device.receive(frame.rawSpan, metadata: FrameMetadata(timestamp: now, fcsPresent: false))
      }
      for event in happened {
        switch event {
        case .request(let exchange, let request):
          requests.append(request.request)
          if let answer = answers(request.request) { stack.respond(to: exchange, with: answer, now: now) }
        case .response(_, let response): responses.append(response)
        case .failed, .command, .heard, .registration, .dropped: break
        }
      }
    }
    events += device.takeEvents()
  }
}

/// Members of a group: a node, its owner, and somebody else.
struct Household {
  let node: Identity
  let owner: Identity
  let stranger: Identity

  init() throws {
    var generator = SeededGenerator(seed: 7)
    func identity(_ name: String) throws -> Identity {
      try Identity.new(name: name, validFrom: Instant(seconds: 1_767_225_600), using: &generator)
    }
    node = try identity("node")
    owner = try identity("owner")
    stranger = try identity("stranger")
  }

  static func member(_ identity: Identity, _ roles: Roles) -> Member {
    Member(
      identity: identity.public, agreementKey: identity.agreementKey.publicKey, class: .noConsequence, roles: roles,
      name: identity.name)
  }

  func configuration(_ class: EnvelopeClass) -> EnvelopeNodeConfiguration {
    let owner = Self.member(owner, .endpoint)
    return EnvelopeNodeConfiguration(identity: node, class: `class`, readers: [owner], commanders: [owner])
  }

  /// A command to the node.
  func command(
    _ sequence: UInt64, _ text: String, from sender: Identity? = nil, to recipient: Identity? = nil,
    class: EnvelopeClass = .authOnly, at issued: Int64? = 1_767_225_601, lifetime: UInt64 = 60,
    extensions: EnvelopeExtensions = EnvelopeExtensions()
  ) throws -> SignedEnvelope {
    let message = EncapsulatedMessage(
      code: CoAPCode.put.rawValue, options: [.init(CoAPOptionNumber.uriPath.rawValue, Array("v".utf8))],
      payload: Array(text.utf8))
    let recipient = recipient ?? node
    let draft = EnvelopeDraft(
      class: `class`, recipients: [.init(recipient.address, agreementKey: recipient.agreementKey.publicKey)],
      sequence: sequence, issuedAt: issued.map { UInt64($0) }, lifetime: lifetime, flags: .receiptWanted,
      extensions: extensions,
      content: .init(format: ContentFormats.coapMessage, bytes: try message.cbor()), addressForm: .short)
    var generator = SystemRandomNumberGenerator()
    return try SignedEnvelope.make(draft, from: sender ?? owner, using: &generator)
  }
}

/// A gateway's queue for one node.
final class Held {
  var messages: [(number: UInt64, bytes: [UInt8])] = []
  var posted: [SignedEnvelope] = []

  func answer(_ request: CoAPRequest) -> CoAPResponse {
    if request.code == .post {
      if let envelope = try? SignedEnvelope(parsing: request.payload) { posted.append(envelope) }
      return CoAPResponse(.changed)
    }
    for argument in request.uriQuery { messages.removeAll { argument == "done=\($0.number)" } }
    guard let first = messages.first else { return CoAPResponse(.content) }
    return CoAPResponse(
      .content, contentFormat: .coseSign1, eTag: CoAPOption(.eTag, uint: first.number).value, payload: first.bytes)
  }

  func receipts(for owner: Identity) throws -> [(sequence: UInt64?, receipt: Receipt)] {
    try posted.compactMap { envelope in
      let content = try envelope.open(with: owner)
      guard content.format == ContentFormats.receipt else { return nil }
      return (envelope.header.extensions.inReplyTo, try Receipt(parsing: content.bytes))
    }
  }
}
