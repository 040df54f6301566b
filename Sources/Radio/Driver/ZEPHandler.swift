import IEEE802154
import NIOCore
import Synchronization
import Wire

/// The channel of an open driver.
final class ZEPLink: Sendable {
  private let current = Mutex<(any Channel)?>(nil)

  var channel: (any Channel)? {
    get { current.withLock { $0 } }
    set { current.withLock { $0 = newValue } }
  }

  func take() -> (any Channel)? {
    current.withLock { channel in
      defer { channel = nil }
      return channel
    }
  }
}

/// ZEP datagrams to and from a ``SoftwareRadio``, on one event loop.
final class ZEPHandler: ChannelInboundHandler {
  typealias InboundIn = AddressedEnvelope<ByteBuffer>
  typealias OutboundOut = AddressedEnvelope<ByteBuffer>

  static let name = "zep"
  /// Peers on the air; the one heard longest ago gives way.
  static let maximumPeers = 1024

  private struct Peer {
    var address: SocketAddress
    var lastHeard: Instant
  }

  var radio: SoftwareRadio
  private let settings: RadioSettings
  private let stream: RadioEventStream
  private let url: RadioURL
  private var peers: [SocketAddress: Peer] = [:]
  /// Which peer a device was heard from.
  private var homes: [MACAddress: SocketAddress] = [:]
  private var context: ChannelHandlerContext?
  private var promise: EventLoopPromise<TransmitOutcome>?
  private var timer: Scheduled<Void>?
  private var sequence: UInt32 = 0
  private var countedRetransmissions: UInt64 = 0

  /// With `peer`, this is one radio among others, which all are heard there.
  private let peer: SocketAddress?

  init(settings: RadioSettings, stream: RadioEventStream, url: RadioURL, peer: SocketAddress? = nil) {
    self.settings = settings
    self.stream = stream
    self.url = url
    self.peer = peer
    var configuration = SoftwareRadioConfiguration.zep
    configuration.isPANCoordinator = peer == nil
    radio = SoftwareRadio(settings: settings, configuration: configuration)
    if let peer { peers[peer] = Peer(address: peer, lastHeard: .now) }
  }

  func handlerAdded(context: ChannelHandlerContext) { self.context = context }

  func handlerRemoved(context: ChannelHandlerContext) {
    self.context = nil
    timer?.cancel()
    promise?.succeed(.failed)
    promise = nil
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    // A peer that has gone answers with port unreachable; the socket lives on.
    stream.count { $0.malformed &+= 1 }
  }

  func channelInactive(context: ChannelHandlerContext) {
    stream.fail(RadioError(.gone, radio: url.description, detail: "the socket was closed"))
    context.fireChannelInactive()
  }

  // MARK: In

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let datagram = unwrapInboundIn(data)
    let bytes = Array(datagram.data.readableBytesView)
    let now = Instant.now
    do throws(ParseError) {
      try receive(bytes, from: datagram.remoteAddress, now: now)
    } catch {
      stream.count { $0.malformed &+= 1 }
    }
  }

  private func receive(_ bytes: [UInt8], from address: SocketAddress, now: Instant) throws(ParseError) {
    guard peer.map({ $0 == address }) ?? true else { throw ParseError(.zepMalformed) }
    var reader = ByteReader(bytes.rawSpan)
    let header = try ZEPHeader(parsing: &reader)
    switch header {
    case .acknowledgment: return
    case .hello:
      admit(address, now: now)
    case .frame, .frameV1:
      guard let reception = header.reception, reader.rest.byteCount == Int(reception.length) else {
        throw ParseError(.zepMalformed)
      }
      admit(address, now: now)
      guard reception.channel == settings.channel else { return }
      let psdu = reader.takeRest()
      if let view = try? MACFrameView(psdu, fcsPresent: true, alreadyDecrypted: false) {
        learn(view.header.source, at: address)
      }
      let metadata = FrameMetadata(
        timestamp: now, fcsPresent: reception.trailer == .fcs, lqi: reception.lqi, channel: reception.channel)
      if reception.trailer == .fcs {
        radio.receive(psdu, metadata: metadata)
      } else {
        radio.receive(psdu.extracting(first: psdu.byteCount - min(psdu.byteCount, FCS.length)), metadata: metadata)
      }
      act(now: now, answering: address)
    }
  }

  private func admit(_ address: SocketAddress, now: Instant) {
    if peers[address] == nil, peers.count >= Self.maximumPeers,
      let oldest = peers.min(by: { $0.value.lastHeard < $1.value.lastHeard })?.key
    {
      peers[oldest] = nil
      homes = homes.filter { $0.value != oldest }
    }
    peers[address] = Peer(address: address, lastHeard: now)
  }

  private func learn(_ device: MACAddress, at address: SocketAddress) {
    guard device != .absent, !device.isBroadcast else { return }
    if homes[device] == nil, homes.count >= 4 * Self.maximumPeers { homes.removeAll() }
    homes[device] = address
  }

  // MARK: Out

  func transmit(_ frame: [UInt8], promise: EventLoopPromise<TransmitOutcome>) {
    guard self.promise == nil, radio.transmit(frame, now: .now) else {
      promise.succeed(.failed)
      return
    }
    self.promise = promise
    act(now: .now, answering: nil)
  }

  /// Does what the radio wants done. Acknowledgments go to `peer`, whose frame they answer.
  private func act(now: Instant, answering peer: SocketAddress?) {
    for action in radio.takeActions() {
      switch action {
      case .send(let psdu): send(psdu, answering: peer, now: now)
      case .deliver(let frame): stream.yield(frame)
      case .dropped: break
      case .finished(let outcome):
        let finished = promise
        promise = nil
        finished?.succeed(outcome)
      }
    }
    let retransmissions = radio.counters.retransmissions
    if retransmissions > countedRetransmissions {
      let more = retransmissions - countedRetransmissions
      countedRetransmissions = retransmissions
      stream.count { $0.retransmissions &+= more }
    }
    schedule(now: now)
  }

  private func schedule(now: Instant) {
    timer?.cancel()
    timer = nil
    guard let due = radio.nextTimeout, let context else { return }
    let wait = max(0, now.duration(to: due).wholeMicroseconds)
    let handler = NIOLoopBound(self, eventLoop: context.eventLoop)
    timer = context.eventLoop.scheduleTask(in: .microseconds(wait)) {
      let now = Instant.now
      handler.value.radio.timeout(at: now)
      handler.value.act(now: now, answering: nil)
    }
  }

  private func send(_ psdu: [UInt8], answering peer: SocketAddress?, now: Instant) {
    guard let context, let datagram = encapsulate(psdu, now: now) else { return }
    let destinations: [SocketAddress]
    if let peer {
      destinations = [peer]
    } else if let view = try? MACFrameView(psdu.rawSpan, fcsPresent: true, alreadyDecrypted: false),
      let home = homes[view.header.destination]
    {
      destinations = [home]
    } else {
      destinations = Array(peers.keys)
    }
    let buffer = context.channel.allocator.buffer(bytes: datagram)
    for destination in destinations {
      context.write(wrapOutboundOut(AddressedEnvelope(remoteAddress: destination, data: buffer)), promise: nil)
    }
    context.flush()
  }

  private func encapsulate(_ psdu: [UInt8], now: Instant) -> [UInt8]? {
    sequence &+= 1
    let reception = ZEPReception(
      channel: settings.channel, device: 0, lqi: 255, length: UInt8(truncatingIfNeeded: psdu.count))
    // NTP counts from 1900.
    let seconds = UInt64(bitPattern: now.seconds &+ 2_208_988_800) << 32
    let fraction = UInt64((Double(now.microseconds % 1_000_000) / 1_000_000) * 4_294_967_296)
    let header = ZEPHeader.frame(reception, time: seconds | fraction & 0xffff_ffff, sequence: sequence)
    return (try? header.encoded()).map { $0 + psdu }
  }
}

extension SoftwareRadioConfiguration {
  /// As many retries as RIOT's simulated radios make, at the pace of a busy machine.
  static var zep: SoftwareRadioConfiguration {
    var configuration = SoftwareRadioConfiguration()
    configuration.maximumRetries = 5
    configuration.isPANCoordinator = true
    return configuration
  }
}
