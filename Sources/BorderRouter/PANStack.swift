import CoAP
import IEEE802154
import IPv6
import SixLoWPAN
import Wire

/// The border router's side of its PAN, without I/O: frames in, CoAP requests and frames out.
///
/// Nothing is forwarded: a packet for an address that is not the border router's is refused, from the PAN as from
/// anywhere (principle 2).
public struct PANStack: ~Copyable {
  public let configuration: PANConfiguration
  public internal(set) var neighbors: NeighborCache
  /// Dropped input by reason, of all layers.
  public internal(set) var counters = DropCounters()
  var decoder: FrameDecoder
  var duplicates = DuplicateFilter()
  var coap: CoAPEndpoint<PANPeer>
  var sender: FrameSender
  var errors: RateLimit
  let responder: NeighborDiscoveryResponder
  let ownAddresses: Set<IPv6Address>
  var frames: [MACFrame] = []
  var events: [PANEvent] = []
  /// When the next unsolicited router advertisement goes out, and how many have.
  var advertisement: (due: Instant?, sent: Int) = (nil, 0)
  /// Packets of radios whose EUI-64 is being asked for.
  var unidentified = UnidentifiedPackets()
  /// Who sent the datagram that is being looked at.
  var origin: (extended: ExtendedAddress?, fingerprint: [UInt8]) = (nil, [])

  /// `random` draws sequence numbers, tags, tokens and message IDs.
  public init(
    configuration: PANConfiguration, keys: KeyStore = KeyStore(), reassembly: ReassemblyLimits = ReassemblyLimits(),
    exchange: ExchangeConfiguration = ExchangeConfiguration(),
    blockwise: BlockwiseConfiguration = BlockwiseConfiguration(), random: some RandomNumberGenerator & Sendable
  ) {
    var random = random
    self.configuration = configuration
    neighbors = NeighborCache(
      maximum: configuration.maximumNeighbors, maximumPerRadio: configuration.maximumAddressesPerRadio)
    // Contexts are the border router's own to give, and malformed messages the endpoint's to answer.
    decoder = FrameDecoder(
      configuration: FrameDecoderConfiguration(coapPorts: [], learnsContexts: false, reassembly: reassembly))
    decoder.contexts = configuration.contexts
    decoder.keys = keys
    decoder.replays = ReplayGuard()
    sender = FrameSender(
      configuration: configuration, sequenceNumber: UInt8.random(in: 0...255, using: &random),
      tag: UInt16.random(in: 0...(.max), using: &random))
    errors = RateLimit(perSecond: configuration.errorsPerSecond)
    responder = NeighborDiscoveryResponder(configuration: configuration)
    ownAddresses = Set(configuration.addresses)
    // What is protected is for whoever takes the requests to open.
    var exchange = exchange
    exchange.recognizedOptions.formUnion([.oscore, .edhoc])
    coap = CoAPEndpoint(configuration: exchange, blockwise: blockwise, random: random)
  }

  /// Datagrams of which fragments came and others are still to come, and how many there may be.
  public var reassembly: (underWay: Int, maximum: Int) {
    (decoder.datagramsUnderWay, decoder.configuration.reassembly.maximumDatagrams)
  }

  // MARK: Out

  /// Frames to send, in order. Their sequence numbers rise, and they are not secured: a MAC engine may change both.
  public mutating func takeFrames() -> [MACFrame] {
    defer { frames.removeAll() }
    return frames
  }

  /// The same, encoded without FCS.
  public mutating func takeTransmissions() -> [[UInt8]] {
    takeFrames().compactMap { try? $0.encoded(withFCS: false) }
  }

  /// What happened since the last call, in order.
  public mutating func takeEvents() -> [PANEvent] {
    defer { events.removeAll() }
    return events
  }

  /// When to call ``timeout(at:)``; `nil` for never.
  public var nextTimeout: Instant? {
    [coap.nextTimeout, decoder.nextDeadline, advertisement.due, unidentified.nextDeadline].compactMap { $0 }.min()
  }

  /// Retransmits what is due, gives up what is over, and advertises.
  public mutating func timeout(at now: Instant) {
    coap.timeout(at: now)
    for _ in 0..<decoder.expire(now: now) { drop(.fragmentTimeout) }
    for packet in unidentified.expire(now: now) { acceptHeld(packet, now: now) }
    advertiseIfDue(now: now)
    settle(now: now)
  }

  /// Answers a request. False if it was answered before or is forgotten.
  @discardableResult
  public mutating func respond(
    to exchange: ExchangeID<PANPeer>, with response: CoAPResponse, now: Instant
  ) -> Bool {
    defer { settle(now: now) }
    return coap.respond(to: exchange, with: response, at: now)
  }
}
