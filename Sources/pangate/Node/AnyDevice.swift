import BorderRouter
import CoAP
import Envelope
import Node
import Wire

/// What a reference device runs: a plain sensor, a node that signs for itself, or a camera.
struct AnyDevice: DeviceBehavior {
  private enum Base: Sendable {
    case plain(PlainSensor)
    /// A sensor that is a plain CoAP server too, for commands that its gateway makes of envelopes.
    case serving(PlainSensor, CoAPServerNode)
    case signing(EnvelopeNode)
    case camera(CameraNode)
  }

  let kind: NodeKind
  /// Bits a second of a stream.
  var streamRate = 20_000
  /// Bytes of a reading, for measurements.
  var payloadBytes: Int?
  private var base: Base
  private var number: UInt64 = 0
  /// What was said under which label.
  private(set) var said: [UInt64: String] = [:]

  init(
    _ kind: NodeKind, member: Member, directory: PeerDirectory, oracle: PublicIdentity, identity: Identity,
    memory: EnvelopeMemory,
    pollInterval: Duration
  ) {
    self.kind = kind
    if member.traits.contains(.vouched) {
      base =
        member.traits.contains(.coapServer)
        ? .serving(PlainSensor(), CoAPServerNode()) : .plain(PlainSensor())
    } else {
      var configuration = EnvelopeNodeConfiguration(
        identity: identity, class: member.class, readers: member.readers.compactMap(directory.member),
        commanders: member.commanders.compactMap(directory.member))
      configuration.hasClock = !member.traits.contains(.clockless)
      configuration.pollInterval = pollInterval
      configuration.oracle = oracle
      configuration.version = directory.record.version
      var node = EnvelopeNode(configuration: configuration, memory: memory)
      node.enableEndToEnd(random: SystemRandomNumberGenerator())
      base = kind == .camera ? .camera(CameraNode(node)) : .signing(node)
    }
  }

  /// The part that signs, if there is one.
  private var node: EnvelopeNode? {
    switch base {
    case .plain, .serving: nil
    case .signing(let node): node
    case .camera(let camera): camera.node
    }
  }

  /// For people.
  var protection: String {
    node.map { $0.configuration.class == .confidential ? "signs and seals" : "signs" }
      ?? "its gateway signs for it"
  }

  /// What must survive a reset.
  var memory: EnvelopeMemory? { node?.memory }

  private var values: [String: [UInt8]] {
    if case .serving(_, let server) = base {
      return Dictionary(
        server.resources.map { ("/" + $0.key.joined(separator: "/"), $0.value) },
        uniquingKeysWith: { first, _ in first })
    }
    return node?.values ?? [:]
  }

  private mutating func withBase<Result>(
    _ plain: (inout PlainSensor) -> Result, _ signing: (inout EnvelopeNode) -> Result,
    _ camera: (inout CameraNode) -> Result
  ) -> Result {
    switch base {
    case .plain(var sensor):
      defer { base = .plain(sensor) }
      return plain(&sensor)
    case .serving(var sensor, let server):
      defer { base = .serving(sensor, server) }
      return plain(&sensor)
    case .signing(var node):
      defer { base = .signing(node) }
      return signing(&node)
    case .camera(var node):
      defer { base = .camera(node) }
      return camera(&node)
    }
  }

  /// Reports how things are.
  mutating func report() {
    number += 1
    let record = payloadBytes.map(SenMLRecord.filler) ?? kind.reading(number, values: values)
    said[number] = record.description
    if let old = said.keys.min(), said.count > 64 { said[old] = nil }
    let content = SignedEnvelope.Content(format: UInt64(CoAPContentFormat.senMLCBOR.rawValue), bytes: record.encoded)
    let label = number
    withBase { sensor in
      sensor.report(record.encoded, label: label)
    } _: { node in
      node.report(content, label: label)
    } _: { camera in
      camera.perform { $0.report(content, label: label) }
    }
  }

  // MARK: A stream

  /// Bytes of a chunk: what fits four frames, signature and all.
  static let chunkLength = 192
  /// Chunks that are still to be sent.
  private var remaining: Int?

  /// Begins to stream for so many seconds, as it was told.
  private mutating func stream(seconds: Int, bitsPerSecond: Int) {
    guard case .camera(var camera) = base, seconds > 0 else { return }
    number += 1
    said[number] = "a stream of \(seconds) s"
    var random = SystemRandomNumberGenerator()
    camera.open(StreamKey(using: &random), label: number)
    base = .camera(camera)
    remaining = max(1, seconds * bitsPerSecond / 8 / Self.chunkLength)
  }

  /// The next piece of the picture, if it streams.
  mutating func tick() {
    guard case .camera(var camera) = base, camera.isStreaming, let left = remaining else { return }
    // What a picture is made of is not what this device is about.
    let picture = (0..<Self.chunkLength).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ left) }
    camera.send(left > 0 ? picture : [])
    remaining = left > 0 ? left - 1 : nil
    base = .camera(camera)
  }

  // MARK: DeviceBehavior

  var nextTimeout: Instant? {
    switch base {
    case .plain(let sensor), .serving(let sensor, _): sensor.nextTimeout
    case .signing(let node): node.nextTimeout
    case .camera(let camera): camera.nextTimeout
    }
  }

  mutating func timeout(at now: Instant, stack: inout NodeStack) {
    withBase {
      $0.timeout(at: now, stack: &stack)
    } _: {
      $0.timeout(at: now, stack: &stack)
    } _: {
      $0.timeout(at: now, stack: &stack)
    }
  }

  mutating func handle(_ event: NodeEvent, stack: inout NodeStack, now: Instant) {
    if case .serving(let sensor, var server) = base, case .request = event {
      server.handle(event, stack: &stack, now: now)
      base = .serving(sensor, server)
      return
    }
    withBase {
      $0.handle(event, stack: &stack, now: now)
    } _: {
      $0.handle(event, stack: &stack, now: now)
    } _: {
      $0.handle(event, stack: &stack, now: now)
    }
  }

  mutating func takeEvents() -> [DeviceEvent] {
    var events = withBase {
      $0.takeEvents()
    } _: {
      $0.takeEvents()
    } _: {
      $0.takeEvents()
    }
    if case .serving(let sensor, var server) = base {
      events += server.takeEvents()
      base = .serving(sensor, server)
    }
    for case .served(let request, let code) in events
    where code.isSuccess && request.code != .get && "/" + request.uriPath.joined(separator: "/") == kind.controlledPath
    {
      report()
    }
    for case .acted(_, _, let message) in events {
      // Whoever commands it wants to know how things are now.
      if message.path == kind.controlledPath { report() }
      if message.path == "/stream", let seconds = Int(String(decoding: message.payload, as: UTF8.self)) {
        stream(seconds: min(seconds, 3_600), bitsPerSecond: streamRate)
      }
    }
    return events
  }
}
