import BorderRouter
import CoAP
import Envelope
import MemberSecurity
import OSCORE
import Wire

/// With whom a node shares keys, and how it goes about it.
public struct NodeSecurityConfiguration: Sendable {
  public var identity: Identity
  /// The gateway, as the peer record has it: nothing else is believed to be it.
  public var gateway: Member
  /// Others who may ask the node end to end, through the gateway: its commanders.
  public var peers: [Member]
  /// How both authenticate.
  public var method = EDHOCMethod.staticDH
  /// What may be asked without proof: by default `/e`, where envelopes prove themselves, and `/.well-known/core`.
  public var openPaths: Set<[String]> = [["e"], [".well-known", "core"]]
  /// How often a request is begun again, with new keys, before it is given up.
  public var attempts = 5
  /// The first wait before that; it doubles from there. A gateway that has lost the keys is the usual reason, and a
  /// forger the other.
  public var firstRetry: Duration = .seconds(2)
  /// The longest such wait.
  public var longestRetry: Duration = .seconds(300)
  /// Requests that wait at most.
  public var maximumRequests = 4
  public var limits = MemberSecurityLimits()

  public init(identity: Identity, gateway: Member, peers: [Member] = []) {
    self.identity = identity
    self.gateway = gateway
    self.peers = peers
    limits.contexts = 8
    limits.halfOpen = 2
  }
}

/// What must survive a reset, and is as secret as the keys in it. It is to be written before what was said leaves the node.
public struct NodeSecurityMemory: Sendable, Equatable {
  /// The contexts, by member.
  public var states: [Address: OSCOREDurableState] = [:]
  /// The key of the radio network that the gateway gave last.
  public var linkKey: LinkKey?

  public init() {}
}

/// The security of a ``NodeStack``: it protects every request to the gateway, agrees on keys when there are none, and
/// serves protected requests. Behaviors above it know nothing of it.
public struct NodeSecurity: Sendable {
  /// A request on its way, whatever messages it takes.
  struct Job: Sendable {
    /// What the behavior knows it by; `nil` for one of our own.
    var name: RequestID<PANPeer>?
    /// The CoAP request that is under way for it.
    var current: RequestID<PANPeer>?
    var request: ProtectedRequest
    var destination: NodeStack.Destination
    var due: Instant
    var failures = 0
    var isAnew = false
  }

  public let configuration: NodeSecurityConfiguration
  /// To be kept over a reset.
  public internal(set) var memory: NodeSecurityMemory
  var contexts: MemberContexts
  let roster: MemberRoster
  /// In the order in which they were asked; the first is under way.
  var jobs: [Job] = []
  /// Requests that are being answered, oldest first.
  var serving: [(id: ExchangeID<PANPeer>, member: Address, exchange: OSCOREExchange)] = []
  private var lastName: UInt32 = 0

  /// `memory` is what was kept before a reset. `random` draws keys: it must be fit for that.
  public init(
    _ configuration: NodeSecurityConfiguration, memory: NodeSecurityMemory = NodeSecurityMemory(),
    random: some RandomNumberGenerator & Sendable
  ) {
    self.configuration = configuration
    self.memory = memory
    roster = MemberRoster([configuration.gateway] + configuration.peers)
    let known = roster
    contexts = MemberContexts(
      identity: configuration.identity, limits: configuration.limits,
      restoring: memory.states.filter { known[$0.key] != nil }.map { ($0.key, $0.value) }, random: random)
  }

  /// Whether there are keys with a member.
  public func hasContext(with member: Address) -> Bool { contexts.hasContext(with: member) }

  /// When something is due that waits.
  var due: Instant? { jobs.first.flatMap { $0.current == nil ? $0.due : nil } }

  /// Runs `body` with the contexts and with what keeps their states in ``memory``.
  mutating func keeping<Result, Failure: Error>(
    _ body: (inout MemberContexts, MemberContexts.Keep) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    var states = memory.states
    defer { memory.states = states }
    return try body(&contexts) { member, state in
      states[member] = state
      return true
    }
  }

  /// Takes a request of the behavior, or one of our own, in. `nil` if too many wait.
  mutating func add(
    _ request: CoAPRequest, to destination: NodeStack.Destination, peer: PANPeer, isOwn: Bool = false, tag: [UInt8],
    now: Instant
  ) -> RequestID<PANPeer>? {
    guard jobs.count < configuration.maximumRequests else { return nil }
    lastName &+= 1
    let name = RequestID(layered: lastName, peer: peer)
    var request = request
    // So that the gateway knows it again, in whatever message it comes (RFC 9175, 3).
    if request.code == .post, request.requestTag == nil { request.requestTag = tag }
    jobs.append(
      Job(
        name: isOwn ? nil : name,
        request: ProtectedRequest(
          request, to: configuration.gateway, method: configuration.method), destination: destination, due: now))
    return name
  }

  /// A job has proven nothing: it is begun again after a while, with new keys. False if it was given up.
  mutating func postpone(at index: Int, now: Instant) -> Bool {
    jobs[index].current = nil
    jobs[index].failures += 1
    jobs[index].isAnew = true
    guard jobs[index].failures <= configuration.attempts else { return false }
    let factor = 1 << min(jobs[index].failures - 1, 16)
    jobs[index].due = now.advanced(by: min(configuration.longestRetry, configuration.firstRetry * factor))
    return true
  }
}
