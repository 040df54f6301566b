import CoAP
import IEEE802154
import IPv6
import SixLoWPAN
import Wire

/// From the bytes of a frame to the message in it: FCS, MAC header, link security, 6LoWPAN, IPv6, UDP or ICMPv6, CoAP.
///
/// The same pipeline serves `pangate decode`, the gateway and the benchmark. Unsecured frames cost no allocation. Copies
/// are for the caller to judge, see ``DuplicateFilter``, and replays if ``replays`` is set.
public struct FrameDecoder: ~Copyable, Sendable {
  public let configuration: FrameDecoderConfiguration
  public var contexts = ContextTable()
  public var addresses = AddressTable()
  public var keys = KeyStore()
  /// Frame counters, if replays of secured frames are to be refused (IEEE 802.15.4-2020, 9.2.6). `nil`, the default, is for
  /// watchers, who may see a recording twice.
  public var replays: ReplayGuard?
  /// Frames that failed, and datagrams whose time was over, by reason.
  public private(set) var drops = DropCounters()
  private var lowpan: LowpanReceiver
  /// The MAC payload of the last secured frame.
  private var cleartext: [UInt8] = []

  public init(configuration: FrameDecoderConfiguration = FrameDecoderConfiguration()) {
    self.configuration = configuration
    lowpan = LowpanReceiver(limits: configuration.reassembly)
  }

  /// Datagrams under way.
  public var datagramsUnderWay: Int { lowpan.reassembler.count }

  /// When to call ``expire(now:)`` next; `nil` if no datagram is under way.
  public var nextDeadline: Instant? { lowpan.reassembler.nextDeadline }

  /// Gives up datagrams whose time is over by `now`, counts each as ``DropReason/fragmentTimeout``, and returns how many.
  @discardableResult
  public mutating func expire(now: Instant) -> Int {
    let expired = lowpan.reassembler.expire(now: now)
    for _ in 0..<expired { drops.count(.fragmentTimeout) }
    return expired
  }

  /// Forgets the datagrams under way. Everything else stays, and so do the buffers.
  public mutating func reset() { lowpan.reassembler.reset() }

  /// Decodes one frame: its PSDU, with what is known of it. A failure is counted in ``drops``.
  @_lifetime(&self)
  public mutating func decode(_ frame: RawSpan, _ metadata: FrameMetadata) -> DecodedFrame {
    var progress = FrameProgress()
    do throws(FrameFailure) {
      try decode(frame, metadata, &progress)
    } catch {
      progress.outcome = .failure(error)
      drops.count(error.reason)
    }
    let datagram = lowpan.datagram
    var decoded = DecodedFrame(packet: datagram.extracting(first: min(progress.length, datagram.byteCount)))
    decoded.header = progress.header
    decoded.outcome = progress.outcome
    decoded.link = progress.link
    decoded.ip = progress.ip
    decoded.payloadOffset = progress.payloadOffset
    return decoded
  }

  private mutating func decode(
    _ bytes: RawSpan, _ metadata: FrameMetadata, _ progress: inout FrameProgress
  ) throws(FrameFailure) {
    let frame: MACFrameView
    do throws(ParseError) {
      if metadata.fcsPresent, bytes.byteCount >= FCS.length, !FCS.isValid(bytes) {
        throw ParseError(.macFCSMismatch, at: bytes.byteCount - FCS.length)
      }
      frame = try MACFrameView(
        bytes, fcsPresent: metadata.fcsPresent, alreadyDecrypted: metadata.alreadyDecrypted)
    } catch { throw FrameFailure(.mac, error) }
    progress.header = frame.header
    progress.link = LowpanLink(source: frame.header.source, destination: frame.header.destination)
    if frame.isPayloadClear {
      try decode(frame.payload, frame, metadata.timestamp, &progress)
    } else {
      try unsecure(frame, bytes)
      let clear = cleartext
      try decode(clear.rawSpan, frame, metadata.timestamp, &progress)
    }
  }

  /// Decrypts into ``cleartext``.
  private mutating func unsecure(_ frame: borrowing MACFrameView, _ bytes: RawSpan) throws(FrameFailure) {
    do throws(ParseError) {
      guard let security = frame.header.security else { return }
      let key = try keys.key(for: security.keyIdentifier)
      var source: ExtendedAddress?
      switch frame.header.source {
      case .extended(let address): source = address
      case .short(let address):
        if let pan = frame.header.effectiveSourcePAN {
          source = addresses.extendedAddress(of: address, in: pan)
        }
      case .absent: break
      }
      guard let source else { throw ParseError(.macExtendedAddressUnknown) }
      cleartext = try FrameSecurity.unsecure(frame, bytes: bytes, key: key, source: source)
      // Without an integrity code anybody could use up the counters of others.
      if security.level.micLength > 0, let counter = security.frameCounter {
        try replays?.accept(counter, from: source, key: security.keyIdentifier)
      }
    } catch { throw FrameFailure(.mac, error) }
  }

  /// Decodes a clear MAC payload.
  private mutating func decode(
    _ payload: RawSpan, _ frame: borrowing MACFrameView, _ now: Instant, _ progress: inout FrameProgress
  ) throws(FrameFailure) {
    var payload = payload
    var offset = frame.headerLength
    do throws(ParseError) {
      if frame.hasPayloadIEs {
        let length = try PayloadIE.length(in: payload)
        payload = payload.extracting(droppingFirst: length)
        offset &+= length
      }
      switch frame.header.control.type {
      case .data: break
      case .command:
        var reader = ByteReader(payload, offset: offset)
        let command = try MACCommand(parsing: &reader)
        if configuration.learnsAddresses { addresses.learn(command, frame.header) }
        progress.outcome = .command(command)
        return
      default: return
      }
    } catch { throw FrameFailure(.mac, error) }
    // An empty data frame answers a poll, or says that its sender is there.
    guard !payload.isEmpty else { return }
    do throws(ParseError) {
      let reception = try lowpan.receive(
        payload, link: progress.link, contexts: contexts, now: now, offset: offset)
      if let mesh = lowpan.mesh { progress.link = mesh.link }
      guard case .datagram(let count) = reception else {
        progress.outcome = .fragment
        return
      }
      progress.length = count
    } catch { throw FrameFailure(.lowpan, error) }
    try progress.readPacket(lowpan.datagram, coapPorts: configuration.coapPorts)
    guard case .packet(.icmpv6(let message)) = progress.outcome, message.type.isNeighborDiscovery else { return }
    do throws(ParseError) {
      try learn(progress, now: now)
    } catch {
      throw FrameFailure(.icmpv6, ParseError(error.reason, at: Int(error.offset) &+ progress.payloadOffset))
    }
  }

  /// Checks the neighbour discovery message that just came, and takes note of what it tells.
  private mutating func learn(_ progress: FrameProgress, now: Instant) throws(ParseError) {
    guard let ip = progress.ip else { return }
    // The tables are taken out for as long as the packet is looked at, which is inside this value too.
    var addresses = AddressTable(capacity: 0)
    swap(&addresses, &self.addresses)
    defer { swap(&addresses, &self.addresses) }
    var contexts: ContextTable?
    do {
      let packet = lowpan.datagram.extracting(first: progress.length)
      let message = try ICMPv6Message(
        packet.extracting(droppingFirst: progress.payloadOffset), source: ip.source,
        destination: ip.destination)
      let discovery = try NeighborDiscoveryPacket(message, ip: ip)
      if configuration.learnsContexts, case .routerAdvertisement = discovery.message {
        var changed = self.contexts
        try changed.learn(discovery, now: now)
        contexts = changed
      }
      if configuration.learnsAddresses, let header = progress.header,
        let pan = header.destinationPAN ?? header.sourcePAN
      {
        try addresses.learn(discovery, link: progress.link, in: pan)
      }
    }
    if let contexts { self.contexts = contexts }
  }
}
