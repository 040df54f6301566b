import BorderRouter
import CoAP
import Envelope
import Node
import Wire

/// What a reference device runs: a plain sensor, or a node that signs for itself.
struct AnyDevice: DeviceBehavior {
  private enum Base: Sendable {
    case plain(PlainSensor)
    case signing(EnvelopeNode)
  }

  let kind: NodeKind
  private var base: Base
  private var number: UInt64 = 0
  /// What was said under which label.
  private(set) var said: [UInt64: String] = [:]

  init(
    _ kind: NodeKind, member: Member, directory: PeerDirectory, identity: Identity, memory: EnvelopeMemory,
    pollInterval: Duration
  ) {
    self.kind = kind
    if member.traits.contains(.vouched) {
      base = .plain(PlainSensor())
    } else {
      var configuration = EnvelopeNodeConfiguration(
        identity: identity, class: member.class, readers: member.readers.compactMap(directory.member),
        commanders: member.commanders.compactMap(directory.member))
      configuration.hasClock = !member.traits.contains(.clockless)
      configuration.pollInterval = pollInterval
      base = .signing(EnvelopeNode(configuration: configuration, memory: memory))
    }
  }

  /// For people.
  var protection: String {
    switch base {
    case .plain: "plain, its gateway signs for it"
    case .signing(let node): node.configuration.class == .confidential ? "signs and seals" : "signs"
    }
  }

  /// What must survive a reset.
  var memory: EnvelopeMemory? {
    switch base {
    case .plain: nil
    case .signing(let node): node.memory
    }
  }

  private var values: [String: [UInt8]] {
    switch base {
    case .plain: [:]
    case .signing(let node): node.values
    }
  }

  /// Reports how things are.
  mutating func report() {
    number += 1
    let record = kind.reading(number, values: values)
    said[number] = record.description
    if let old = said.keys.min(), said.count > 64 { said[old] = nil }
    switch base {
    case .plain(var sensor):
      sensor.report(record.encoded, label: number)
      base = .plain(sensor)
    case .signing(var node):
      node.report(
        .init(format: UInt64(CoAPContentFormat.senMLCBOR.rawValue), bytes: record.encoded), label: number)
      base = .signing(node)
    }
  }

  // MARK: DeviceBehavior

  var nextTimeout: Instant? {
    switch base {
    case .plain(let sensor): sensor.nextTimeout
    case .signing(let node): node.nextTimeout
    }
  }

  mutating func timeout(at now: Instant, stack: inout NodeStack) {
    switch base {
    case .plain(var sensor):
      sensor.timeout(at: now, stack: &stack)
      base = .plain(sensor)
    case .signing(var node):
      node.timeout(at: now, stack: &stack)
      base = .signing(node)
    }
  }

  mutating func handle(_ event: NodeEvent, stack: inout NodeStack, now: Instant) {
    switch base {
    case .plain(var sensor):
      sensor.handle(event, stack: &stack, now: now)
      base = .plain(sensor)
    case .signing(var node):
      node.handle(event, stack: &stack, now: now)
      base = .signing(node)
    }
  }

  mutating func takeEvents() -> [DeviceEvent] {
    let events: [DeviceEvent]
    switch base {
    case .plain(var sensor):
      events = sensor.takeEvents()
      base = .plain(sensor)
    case .signing(var node):
      events = node.takeEvents()
      base = .signing(node)
    }
    // Whoever commands it wants to know how things are now.
    for case .acted(_, _, let message) in events where message.path == kind.controlledPath { report() }
    return events
  }
}
