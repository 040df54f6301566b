import AttackMatrix
import Bridge
import CoAP
import Envelope
import MemberSecurity
import Node
import Oracle
import Queue
import Relay
import Testing
import Wire

/// What comes to a hop.
enum Message {
  case envelope([UInt8])
  /// A plain representation by radio, or a plain request to a node: what it says, and the message ID that tells it from others.
  case plain([UInt8], id: UInt8)
  /// A peer record, or the access list, of an oracle; the number is the oracle's.
  case record(Oracle, sequence: UInt64)
  /// The process ends and begins again.
  case restart
}

/// A hop of the real code with its store.
protocol Judge {
  mutating func judge(_ message: Message) throws -> AttackMatrix.Verdict
}

struct GatewayHop: Judge {
  let group: MatrixGroup
  let direction: AttackMatrix.Direction
  /// Whose radio plain messages come from.
  let node: String
  private let store = MemoryStore()
  private var gateway: Gateway<MemoryStore>
  private var lastID: UInt8 = 100

  init(_ group: MatrixGroup, _ direction: AttackMatrix.Direction, node: String) throws {
    self.group = group
    self.direction = direction
    self.node = node
    gateway = try Self.make(group, store)
  }

  private static func make(_ group: MatrixGroup, _ store: MemoryStore) throws -> Gateway<MemoryStore> {
    Gateway(
      identity: try group["gateway"], oracle: try group["oracle"].public, directory: try group.directory("gateway"),
      relay: try group.address("relay"), store: store)
  }

  /// What waits for the relay.
  func outbound() throws -> [SignedEnvelope] {
    try gateway.outbound(limit: .max).map { try SignedEnvelope(parsing: $0.bytes) }
  }

  mutating func judge(_ message: Message) throws -> AttackMatrix.Verdict {
    switch message {
    case .restart:
      gateway = try Self.make(group, store)
      return .accepts
    case .record(let oracle, let sequence):
      return try verdict(
        gateway.deliver(try group.record(oracle, for: "gateway", sequence: sequence), now: MatrixGroup.now))
    case .envelope(let bytes) where direction == .down:
      return try verdict(gateway.deliver(bytes, now: MatrixGroup.now))
    case .envelope(let bytes):
      return post(CoAPRequest(.post, path: ["e"], contentFormat: .coseSign1, payload: bytes), radio: nil, id: 0)
    case .plain(let bytes, let id):
      let request = CoAPRequest(.post, path: ["e"], contentFormat: .senMLCBOR, payload: bytes)
      return post(request, radio: try group.member(node).eui64, id: id)
    }
  }

  private mutating func post(_ request: CoAPRequest, radio: UInt64?, id: UInt8) -> AttackMatrix.Verdict {
    Self.verdict(
      gateway.receive(NodeRequest(request: request, eui64: radio, fingerprint: [id]), now: MatrixGroup.now))
  }

  /// Takes a request from the node's radio, each as a message of its own.
  mutating func receive(_ request: CoAPRequest) -> NodeAnswer {
    lastID &+= 1
    let radio = (try? group.member(node))?.eui64
    return gateway.receive(NodeRequest(request: request, eui64: radio, fingerprint: [lastID]), now: MatrixGroup.now)
  }

  static func verdict(_ answer: NodeAnswer) -> AttackMatrix.Verdict {
    if answer.chunk != nil { return answer.response.code.isSuccess ? .accepts : .unreached }
    return switch answer.events.first {
    case .accepted: answer.response.code.isSuccess ? .accepts : .unreached
    case .refused(let refusal): refusal.reason.responseCode.isSuccess ? .repeats : .refuses(refusal.reason)
    default: .unreached
    }
  }

  private mutating func verdict(
    _ result: (custody: Custody, events: [GatewayEvent])
  ) throws -> AttackMatrix.Verdict {
    switch result.custody {
    case .refused(let reason), .later(let reason): return .refuses(reason)
    case .taken:
      if case .downlinkRefused = result.events.first { return .repeats }
      guard case .commandHeld = result.events.first, let member = gateway.directory.member(named: node),
        gateway.exchanges(with: member)
      else { return .accepts }
      // A server is asked by the gateway, as far as it may be.
      guard let exchange = try gateway.nextExchange(with: member, now: MatrixGroup.now).exchange else { return .holds }
      let isProtected = exchange.request.options.contains(.oscore)
      return isProtected == gateway.security.hasContext(with: member.address) ? .accepts : .unreached
    }
  }
}

struct RelayHop: Judge {
  let group: MatrixGroup
  /// Who hands in.
  let client: String
  /// Whether chunks are passed on as the server does, which stores none.
  let passesChunks: Bool
  private let store = MemoryStore()
  private var relay: RelayCore<LocalRelayStore<MemoryStore>>

  init(_ group: MatrixGroup, client: String, passesChunks: Bool = false) throws {
    self.passesChunks = passesChunks
    self.group = group
    self.client = client
    relay = try Self.make(group, store)
    #expect(try relay.accept(accessList: group.accessList(group.oracle, sequence: 1), now: MatrixGroup.now).code == 68)
  }

  private static func make(_ group: MatrixGroup, _ store: MemoryStore) throws -> RelayCore<LocalRelayStore<MemoryStore>>
  {
    try RelayCore(
      try #require(RelayIdentity(try group["relay"])), oracle: try group["oracle"].public, store: store)
  }

  mutating func judge(_ message: Message) throws -> AttackMatrix.Verdict {
    switch message {
    case .restart:
      relay = try Self.make(group, store)
      return .accepts
    case .record(let oracle, let sequence):
      return verdict(relay.accept(accessList: try group.accessList(oracle, sequence: sequence), now: MatrixGroup.now))
    case .plain: return .unreached
    case .envelope(let bytes):
      do throws(ParseError) {
        let session = try relay.openSession(client: try address())
        if passesChunks, (try? SignedEnvelope(parsing: bytes))?.header.class == .stream {
          _ = try relay.members.admit(bytes, session: session)
          return .accepts
        }
        return verdict(relay.submit(bytes, session: session, now: MatrixGroup.now))
      } catch { return .refuses(error.reason) }
    }
  }

  private func address() throws(ParseError) -> Address {
    do { return try group.address(client) } catch { throw ParseError(.envelopeSenderUnknown) }
  }

  private func verdict(_ outcome: SubmitOutcome) -> AttackMatrix.Verdict {
    switch outcome {
    case .accepted: .accepts
    case .alreadyInCustody: .repeats
    case .refused(let reason, _): .refuses(reason)
    }
  }
}

struct ReaderHop: Judge {
  let group: MatrixGroup
  let name: String
  private let store = MemoryStore()
  private var endpoint: Endpoint<MemoryStore>
  private var stream = StreamInbox()

  init(_ group: MatrixGroup, _ name: String) throws {
    self.group = group
    self.name = name
    endpoint = try Self.make(group, name, store)
  }

  /// One that is under way; its store goes with it.
  init(_ group: MatrixGroup, _ name: String, _ endpoint: Endpoint<MemoryStore>) {
    self.group = group
    self.name = name
    self.endpoint = endpoint
  }

  private static func make(_ group: MatrixGroup, _ name: String, _ store: MemoryStore) throws -> Endpoint<MemoryStore> {
    Endpoint(
      identity: try group[name], directory: try group.directory(name), oracle: try group["oracle"].public,
      relay: try group.address("relay"), store: store)
  }

  mutating func judge(_ message: Message) throws -> AttackMatrix.Verdict {
    switch message {
    case .restart:
      endpoint = try Self.make(group, name, store)
      return .accepts
    case .record(let oracle, let sequence):
      return deliver(try group.record(oracle, for: name, sequence: sequence))
    case .plain: return .unreached
    case .envelope(let bytes):
      guard let envelope = try? SignedEnvelope(parsing: bytes), envelope.header.class == .stream else {
        return deliver(bytes)
      }
      do throws(ParseError) {
        _ = try stream.take(envelope, endpoint.directory, now: MatrixGroup.now)
        return .accepts
      } catch { return error.reason == .envelopeReplay ? .repeats : .refuses(error.reason) }
    }
  }

  private mutating func deliver(_ bytes: [UInt8]) -> AttackMatrix.Verdict {
    let (custody, delivery) = endpoint.deliver(bytes, now: MatrixGroup.now)
    if let delivery { _ = try? stream.open(delivery, endpoint.directory) }
    return switch custody {
    case .taken: delivery == nil ? .repeats : .accepts
    case .refused(let reason), .later(let reason): .refuses(reason)
    }
  }
}
