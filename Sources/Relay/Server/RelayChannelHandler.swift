import CoAP
import Envelope
import Logging
import NIOCore
import Queue
import Wire

/// One connection of a relay, with the session's rules.
final class RelayChannelHandler: StreamChannelHandler {
  let shared: RelayShared
  var peer: RelayPeer?
  /// What the client has to sign; gone once it did.
  var nonce: [UInt8]?
  /// How often it has asked for one.
  var hellos = 0
  var session: RelaySession?
  /// The session is with the engine, which has to say yes.
  var opening: CoAPStreamConnection.ExchangeID?
  /// Envelopes on their way to the client.
  var deliveries: [CoAPStreamConnection.RequestID: HeldMessage] = [:]
  /// Chunks on their way that the client has to answer.
  var chunks: [CoAPStreamConnection.RequestID: RelayChunkCredit] = [:]
  /// Chunks since the last answer to one.
  var chunksInFlight = 0
  /// Bytes of envelopes that are with the engine.
  var waitingBytes = 0
  var rate: RateLimit
  var senderRates: [Address: RateLimit] = [:]
  private var silence: Scheduled<Void>?
  private var isReading = true

  init(_ shared: RelayShared, framing: CoAPStreamFraming) {
    self.shared = shared
    let limits = shared.limits
    rate = RateLimit(perSecond: limits.envelopesPerSecond, burst: limits.envelopesInBurst, now: shared.clock())
    super.init(
      framing == .tcp ? shared.tcp : shared.webSocket, messageTime: limits.messageTime, silentTime: limits.silentTime,
      clock: shared.clock)
  }

  override func started(_ context: ChannelHandlerContext) {
    let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
    peer = RelayPeer(
      id: UInt64.random(in: 1...UInt64.max), eventLoop: context.eventLoop
    ) { replies in bound.value.take(replies) }
    silence = context.eventLoop.scheduleTask(in: .nanoseconds(shared.limits.handshakeTime.nanoseconds)) {
      // Whoever has no session by then does not want one.
      let handler = bound.value
      if handler.session == nil { handler.end(.sessionRequired) }
    }
  }

  /// The client has its session: from now on it may be silent.
  func opened() {
    silence?.cancel()
    silence = nil
    connection.giveBackMemory()
  }

  override func ended(_ reason: DropReason?) {
    guard let peer else { return }
    self.peer = nil
    silence?.cancel()
    for credit in chunks.values { credit.failed() }
    chunks.removeAll()
    deliveries.removeAll()
    if session != nil || opening != nil { shared.inbox.put(.closed(peer)) }
    session = nil
  }

  override func failed(_ text: String) { shared.logger.debug("connection: \(text)") }

  override func count(_ reason: DropReason) { shared.metrics.count(reason) }

  override func intercept(_ frame: RawSpan) -> Bool {
    session != nil && opening == nil && connection.isReady && receiveEnvelope(frame)
  }

  override func handle(_ request: CoAPRequest, _ exchange: CoAPStreamConnection.ExchangeID) { take(request, exchange) }
  override func handle(_ response: CoAPResponse, to id: CoAPStreamConnection.RequestID) { take(response, to: id) }
  override func handle(_ failure: RequestFailure, of id: CoAPStreamConnection.RequestID) { take(failure, of: id) }

  /// Before it has a session, a client has little to say.
  override var maximumFrame: Int {
    session != nil
      ? shared.limits.messageSize
      : min(shared.limits.messageSize, 16_384 + shared.limits.servedAddresses * (Address.length + 2))
  }

  override func settled() { regulate() }

  /// Reads no further while too much waits to be stored.
  func regulate() {
    guard let context, !isClosing else { return }
    let limit = shared.limits.waitingBytes
    if isReading, waitingBytes > limit {
      isReading = false
      context.channel.setOption(.autoRead, value: false).whenFailure { _ in }
    } else if !isReading, waitingBytes <= limit / 2 {
      isReading = true
      context.channel.setOption(.autoRead, value: true).whenFailure { _ in }
    }
  }
}
