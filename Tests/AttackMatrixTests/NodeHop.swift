import AttackMatrix
import BorderRouter
import CoAP
import Envelope
import IEEE802154
import IPv6
import Node
import Oracle
import SixLoWPAN
import TestSupport
import Testing
import Wire

/// A node with its whole stack, and a border router that gives it what a test says.
final class NodeHop<Behavior: DeviceBehavior>: Judge {
  private static var pan: PANIdentifier { PANIdentifier(0xabcd) }
  private static var radio: ExtendedAddress { ExtendedAddress(0x0212_4b00_0000_0003) }

  private var device: Device<Behavior>
  private var stack: PANStack
  private var now = MatrixGroup.now
  private let behavior: (EnvelopeMemory) -> Behavior
  private var held: (number: UInt64, bytes: [UInt8])?
  private var lastNumber: UInt64 = 0
  private var events: [DeviceEvent] = []
  /// The envelopes that the node has posted.
  private(set) var posted: [[UInt8]] = []

  /// `behavior` makes what the node does anew, of what it remembers.
  init(_ behavior: @escaping (EnvelopeMemory) -> Behavior) {
    self.behavior = behavior
    let border = ExtendedAddress(0x0270_616e_6700_0001)
    let prefix = IPv6Prefix(IPv6Address(high: 0xfd00_0001_0000_0000, low: 0), length: 64)
    var configuration = PANConfiguration(
      panID: Self.pan, extendedAddress: border, shortAddress: ShortAddress(0),
      prefix: prefix)
    configuration.contexts.set(1, prefix: prefix, compress: true, expires: nil)
    stack = PANStack(configuration: configuration, random: SeededGenerator(seed: 1))
    device = Self.make(behavior(EnvelopeMemory()), seed: 2)
    device.start(now: now)
    run(.seconds(5))
  }

  private static func make(_ behavior: Behavior, seed: UInt64) -> Device<Behavior> {
    let configuration = NodeConfiguration(extendedAddress: radio, panID: pan, channel: 15)
    return Device(
      stack: NodeStack(configuration: configuration, random: SeededGenerator(seed: seed)), behavior: behavior)
  }

  func judge(_ message: Message) throws -> AttackMatrix.Verdict {
    events.removeAll()
    switch message {
    case .restart:
      let memory = (device.behavior as? EnvelopeNode)?.memory ?? EnvelopeMemory()
      device = Self.make(behavior(memory), seed: 3)
      device.start(now: now)
      run(.seconds(5))
      return .accepts
    case .record: return .unreached
    case .plain(let bytes, _):
      _ = stack.request(CoAPRequest(.put, path: ["v"], payload: bytes), to: Self.radio, now: now)
      run(.seconds(2))
    case .envelope(let bytes):
      lastNumber += 1
      held = (lastNumber, bytes)
      run(.seconds(3))
    }
    for event in events {
      switch event {
      case .acted, .served: return .accepts
      case .refused(.envelopeReplay): return .repeats
      case .refused(let reason): return .refuses(reason)
      default: continue
      }
    }
    return .unreached
  }

  private func answer(_ request: CoAPRequest) -> CoAPResponse {
    guard request.code == .get else {
      posted.append(request.payload)
      return CoAPResponse(.changed)
    }
    if let held, request.uriQuery.contains("done=\(held.number)") { self.held = nil }
    guard let held else { return CoAPResponse(.content) }
    return CoAPResponse(
      .content, contentFormat: .coseSign1, eTag: CoAPOption(.eTag, uint: held.number).value, payload: held.bytes)
  }

  private func run(_ span: Duration) {
    let end = now.advanced(by: span)
    settle()
    while let due = [stack.nextTimeout, device.nextTimeout].compactMap({ $0 }).min(), due <= end {
      now = max(now, due)
      stack.timeout(at: now)
      device.timeout(at: now)
      settle()
    }
    now = end
  }

  private func settle() {
    let metadata = FrameMetadata(timestamp: now, fcsPresent: false)
    while true {
      let (frames, others, happened) = (device.takeTransmissions(), stack.takeTransmissions(), stack.takeEvents())
      if frames.isEmpty, others.isEmpty, happened.isEmpty { break }
      for frame in frames {
        stack.receive(frame.rawSpan, metadata: metadata)
        device.transmitted(.acknowledged(framePending: false), now: now)
      }
      for frame in others { device.receive(frame.rawSpan, metadata: metadata) }
      for case .request(let exchange, let request) in happened {
        stack.respond(to: exchange, with: answer(request.request), now: now)
      }
    }
    events += device.takeEvents()
  }
}

extension MatrixGroup {
  /// The node that is commanded by the owner and the phone, as far as `oracle` still knows them, and asks every second.
  func node(
    _ name: String, _ oracle: Oracle? = nil, isEndToEnd: Bool = false
  ) throws -> NodeHop<EnvelopeNode> {
    let oracle = oracle ?? self.oracle
    let member = try member(name)
    let commanders = ["owner", "phone"].compactMap { oracle.member(named: $0) }
    var configuration = EnvelopeNodeConfiguration(
      identity: try self[name], class: member.class, readers: Array(commanders.prefix(1)), commanders: commanders)
    configuration.pollInterval = .seconds(1)
    return NodeHop { [configuration] in
      var node = EnvelopeNode(configuration: configuration, memory: $0)
      if isEndToEnd { node.enableEndToEnd(random: SeededGenerator(seed: 31)) }
      return node
    }
  }

  /// A plain CoAP server.
  func server() -> NodeHop<CoAPServerNode> { NodeHop { _ in CoAPServerNode() } }
}
