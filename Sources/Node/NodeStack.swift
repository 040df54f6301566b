import BorderRouter
import CoAP
import IEEE802154
import IPv6
import SixLoWPAN
import Wire

/// A constrained node without I/O and without an identity: frames in, CoAP messages and frames out.
///
/// It stands above a transceiver such as ``SoftwareRadio``, which filters, acknowledges and repeats. It joins (by
/// association, if it is told to), finds its router, takes prefix and contexts from it, forms addresses and registers
/// them (RFC 6775), and is CoAP client and server. It may sleep; then it fetches its frames by data requests.
public struct NodeStack: ~Copyable {
  public let configuration: NodeConfiguration
  /// Dropped input by reason, of all layers.
  public internal(set) var counters = DropCounters()
  /// The short address, once there is one.
  public internal(set) var shortAddress: ShortAddress?
  /// The router, once one has advertised itself.
  public internal(set) var router: NodeRouter?
  /// The global addresses, registered or not.
  public internal(set) var addresses: [NodeAddress] = []
  var decoder: FrameDecoder
  var duplicates = DuplicateFilter(capacity: 64)
  var coap: CoAPEndpoint<PANPeer>
  var mac: NodeMAC
  var join: NodeJoining
  /// What protects requests and responses; `nil` for a node that speaks plain CoAP.
  public internal(set) var security: NodeSecurity?
  var solicitation = NodeSolicitation()
  var polling = NodePolling()
  var tag: UInt16
  var random: any RandomNumberGenerator & Sendable
  var transmissions: [[UInt8]] = []
  var events: [NodeEvent] = []

  /// `random` draws sequence numbers, tags, tokens, message IDs and the spread of timers.
  public init(
    configuration: NodeConfiguration, security: NodeSecurity? = nil, random: some RandomNumberGenerator & Sendable
  ) {
    var random = random
    self.configuration = configuration
    self.security = security
    shortAddress = configuration.shortAddress
    // Contexts are the router's to give; malformed messages are the endpoint's to answer.
    decoder = FrameDecoder(
      configuration: FrameDecoderConfiguration(
        coapPorts: [], learnsContexts: true, learnsAddresses: false, reassembly: configuration.reassembly))
    mac = NodeMAC(
      maximum: configuration.maximumQueuedFrames, sequenceNumber: UInt8.random(in: 0...255, using: &random))
    tag = UInt16.random(in: 0...(.max), using: &random)
    join = NodeJoining(configuration)
    var exchange = configuration.exchange
    if security != nil { exchange.recognizedOptions.formUnion([.oscore, .edhoc]) }
    coap = CoAPEndpoint(
      configuration: exchange, blockwise: configuration.blockwise,
      random: NodeGenerator(seed: random.next()))
    self.random = random
  }

  // MARK: What the node is

  /// Whom its radio has to be.
  public var radioSettings: RadioSettings {
    RadioSettings(
      channel: configuration.channel, panID: configuration.panID, extendedAddress: configuration.extendedAddress,
      shortAddress: shortAddress)
  }

  /// `fe80::` with the interface identifier of the EUI-64.
  public var linkLocal: IPv6Address { .linkLocal(configuration.extendedAddress.interfaceIdentifier) }

  /// Whether the radio has to hear what comes, beyond the acknowledgments of its own frames.
  public func isListening(at now: Instant) -> Bool {
    guard configuration.sleep != nil, !join.isScanning, router != nil else { return true }
    return polling.listenUntil.map { $0 > now } ?? false
  }

  /// A global address that is registered.
  public func globalAddress(at now: Instant) -> IPv6Address? { addresses.first { $0.isUsable(at: now) }?.address }

  /// Frames that wait for the radio, and datagrams under way to the node.
  public var openState: (queuedFrames: Int, datagrams: Int, operations: Int) {
    (mac.count, decoder.datagramsUnderWay, coap.openState.operations)
  }

  // MARK: Out

  /// The frame that is to be sent, if there is one: a PSDU without FCS. What becomes of it is for
  /// ``transmitted(_:now:)``; the next one comes after that.
  public mutating func takeTransmissions() -> [[UInt8]] {
    defer { transmissions.removeAll() }
    return transmissions
  }

  /// What happened since the last call, in order.
  public mutating func takeEvents() -> [NodeEvent] {
    defer { events.removeAll() }
    return events
  }

  /// When to call ``timeout(at:)``; `nil` for never.
  public var nextTimeout: Instant? {
    var first = coap.nextTimeout
    func consider(_ due: Instant?) {
      if let due, first.map({ due < $0 }) ?? true { first = due }
    }
    consider(decoder.nextDeadline)
    consider(join.due)
    consider(solicitation.due)
    consider(polling.due)
    if router != nil { consider(security?.due) }
    if router != nil { for address in addresses { consider(address.due) } }
    return first
  }

  // MARK: In

  /// Begins to join.
  public mutating func start(now: Instant) {
    join.begin(now: now)
    if !join.isWanted { solicit(now: now) }
    settle(now: now)
  }

  /// Does what is due.
  public mutating func timeout(at now: Instant) {
    coap.timeout(at: now)
    for _ in 0..<decoder.expire(now: now) { drop(.fragmentTimeout) }
    if let due = join.due, due <= now { continueJoining(now: now) }
    if let due = solicitation.due, due <= now { solicit(now: now) }
    register(now: now)
    settle(now: now)
  }

  /// What became of the last of ``takeTransmissions()``.
  public mutating func transmitted(_ outcome: TransmitOutcome, now: Instant) {
    let wasPolling = mac.isPolling
    let conclusion = mac.concluded(outcome)
    if conclusion == .failed {
      if wasPolling { polling.failures += 1 } else { drop(.nodeUnreachable) }
    }
    if case .sent(let framePending) = conclusion {
      noteAcknowledgment(framePending: framePending, ofDataRequest: wasPolling, now: now)
    }
    settle(now: now)
  }

  // MARK: CoAP

  /// The router's address to which a request goes.
  public enum Destination: Sendable, Hashable, CaseIterable {
    /// From the link-local address.
    case linkLocal
    /// From a registered address, or link-local while there is none.
    case global
  }

  /// Sends a request to the router. What comes of it is an event with the returned name; `nil` while there is no router.
  public mutating func request(
    _ request: CoAPRequest, to destination: Destination, now: Instant
  ) -> RequestID<PANPeer>? {
    guard let peer = peer(for: destination, now: now) else { return nil }
    defer { settle(now: now) }
    guard security == nil else { return requestProtected(request, to: destination, peer: peer, now: now) }
    return coap.request(request, to: peer, at: now)
  }

  /// The router as the peer of an exchange; `nil` while there is none.
  func peer(for destination: Destination, now: Instant) -> PANPeer? {
    guard let router else { return nil }
    if destination == .global, let global = router.global, let local = globalAddress(at: now) {
      return PANPeer(address: global, port: configuration.coapPort, local: local)
    }
    return PANPeer(address: router.address, port: configuration.coapPort, local: linkLocal)
  }

  /// Answers a request. False if it was answered before or is forgotten.
  @discardableResult
  public mutating func respond(
    to exchange: ExchangeID<PANPeer>, with response: CoAPResponse, now: Instant
  ) -> Bool {
    defer { settle(now: now) }
    return coap.respond(to: exchange, with: secured(response, to: exchange), at: now)
  }
}

/// SplitMix64: what the CoAP endpoint draws from, seeded by what the node draws from.
struct NodeGenerator: RandomNumberGenerator, Sendable {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }
}
