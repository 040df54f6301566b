import Wire

/// One connection over a reliable transport (RFC 8323): signalling, requests and responses in both directions at once, and
/// block-wise transfers.
///
/// Frames and the time come in; what is to be done comes out of ``takeOutputs()``. A request sent ends once, in a response
/// or a failure, unless it wants no response. A request received is to be answered once, with ``respond(to:with:at:)``. After
/// ``Output/close(_:)``, or after ``close(at:)``, frames are ignored, and requests fail at once.
public struct CoAPStreamConnection: Sendable {
  /// A request sent, which completes or fails under this name once.
  public struct RequestID: Hashable, Sendable {
    let number: UInt64
  }

  /// A request received, to be answered with it.
  public struct ExchangeID: Hashable, Sendable {
    let number: UInt64
    /// False if the request wants no response of any class (RFC 7967): then it need not be answered.
    public let wantsResponse: Bool
  }

  /// What the connection wants done, in order.
  public enum Output: Sendable {
    /// Send these bytes, exactly one frame.
    case transmit([UInt8])
    /// The peer's first CSM has come: what it can take.
    case ready(CoAPCapabilities)
    /// A request, with its whole body and the options that this end understands.
    case request(ExchangeID, CoAPRequest)
    /// The response to a request sent, with its whole body. Its request is over.
    case response(RequestID, CoAPResponse)
    /// A request without a response. It is over.
    case failed(RequestID, RequestFailure)
    /// The peer wants the connection closed, which follows when nothing is outstanding: new requests fail. `alternatives`
    /// are authorities to connect to instead; `holdOff` seconds should pass before the next connection.
    case released(alternatives: [String], holdOff: UInt32?)
    /// A message that was not processed.
    case dropped(DropReason)
    /// Send what there is to send and close the transport. Nothing follows. The reason is of what went wrong, if anything.
    case close(DropReason?)
  }

  enum Phase: Sendable, Equatable {
    /// Nothing was sent.
    case new
    /// This end's CSM was sent, the peer's has not come.
    case waiting(until: Instant)
    case open
    case closed
  }

  /// A request of this end.
  struct Operation: Sendable {
    let number: UInt64
    var transfer: BlockwiseTransfer
    /// When the response must have come.
    var due: Instant
    /// Its end is not told: it wants no response.
    let isSilent: Bool
  }

  /// A request of this end that waits for the peer's CSM.
  struct Queued: Sendable {
    let number: UInt64
    let request: CoAPRequest
    let due: Instant
  }

  /// A request of the peer.
  struct Received: Sendable {
    let token: CoAPToken
    /// Without its payload.
    let request: CoAPRequest
    /// Whether it has no option of block-wise transfer.
    let isPlain: Bool
  }

  /// A pong that waits until all requests before its ping are answered.
  struct DelayedPong: Sendable {
    let token: CoAPToken
    /// The last exchange before the ping.
    let last: UInt64
    /// How many exchanges are still to be answered before it.
    var outstanding: Int
  }

  /// The one peer of a connection.
  struct Peer: Hashable, Sendable {}

  private let settings: CoAPStreamSettings
  public var configuration: CoAPStreamConfiguration { settings.configuration }
  /// What the peer can take, as far as its CSMs have come.
  public internal(set) var capabilities = CoAPCapabilities()
  /// What the peer's Abort said, cut to 200 characters; empty if there was none. For people: it may be anything.
  public internal(set) var diagnostic = ""
  var phase = Phase.new
  var server: BlockwiseServer<Peer>
  /// By token.
  var operations: [CoAPToken: Operation] = [:]
  /// In order.
  var queued: [Queued] = []
  /// By number.
  var exchanges: [UInt64: Received] = [:]
  var delayedPongs: [DelayedPong] = []
  var outputs: [Output] = []
  var lastNumber: UInt64 = 0
  /// The token of the request with number 0.
  let firstToken: UInt32
  /// When a request must be answered: none is due before.
  var earliest: Instant?
  var lastReceived = Instant(microseconds: 0)
  /// Set while a ping is unanswered: when something must have come.
  var pongDue: Instant?
  /// Set after this end's Release: when the peer must have closed.
  var releaseDue: Instant?
  /// Requests were left that the peer may still work on.
  var hasAbandoned = false
  /// The peer wants the connection closed.
  var isReleased = false

  /// `random` draws where tokens begin.
  public init(
    configuration: CoAPStreamConfiguration = CoAPStreamConfiguration(),
    random: any RandomNumberGenerator & Sendable
  ) {
    self.init(CoAPStreamSettings(configuration), random: random)
  }

  /// The same with what other connections use as well.
  public init(_ settings: CoAPStreamSettings, random: any RandomNumberGenerator & Sendable) {
    var random = random
    self.settings = settings
    server = BlockwiseServer(settings.blockwise)
    firstToken = UInt32.random(in: 0 ... .max, using: &random)
  }

  /// Whether the peer's CSM has come and the connection is not closed.
  public var isReady: Bool { phase == .open }
  /// Whether ``Output/close(_:)`` has come out or ``close(at:)`` was called.
  public var isClosed: Bool { phase == .closed }
  /// Requests of this end that are not over, and requests of the peer that are not answered.
  public var openState: (operations: Int, exchanges: Int) {
    (operations.count + queued.count, exchanges.count)
  }

  /// What is to be done since the last call, in order.
  public mutating func takeOutputs() -> [Output] {
    let taken = outputs
    outputs.removeAll()
    return taken
  }

  /// Begins, on either end: sends this end's CSM. Whatever is done first does this, too.
  public mutating func start(at now: Instant) {
    guard phase == .new else { return }
    phase = .waiting(until: now.advanced(by: configuration.capabilitiesTimeout))
    lastReceived = now
    updateCarrier()
    transmit(.capabilities(configuration.capabilities))
  }

  /// Notes that something came from the peer which is not handed in as a frame of its own, such as a part of one.
  public mutating func noteTraffic(at now: Instant) {
    lastReceived = max(lastReceived, now)
    pongDue = nil
  }

  /// Pings the peer. If nothing comes from it within ``CoAPStreamConfiguration/pongTimeout``, the connection is closed.
  public mutating func ping(at now: Instant) {
    guard phase == .open else { return }
    transmit(.ping(custody: false))
    if pongDue == nil { pongDue = now.advanced(by: configuration.pongTimeout) }
  }

  /// Asks the peer to close the connection (RFC 8323, 5.5). New requests fail; those under way go on until the peer has
  /// closed, or ``CoAPStreamConfiguration/releaseTimeout`` is over.
  public mutating func release(alternatives: [String] = [], holdOff: UInt32? = nil, at now: Instant) {
    guard phase != .closed, releaseDue == nil else { return }
    start(at: now)
    releaseDue = now.advanced(by: configuration.releaseTimeout)
    transmit(.release(alternatives: alternatives, holdOff: holdOff))
  }

  /// Ends the connection at once (RFC 8323, 5.6), for `reason` if something went wrong; `diagnostic` tells the peer.
  public mutating func abort(_ reason: DropReason?, diagnostic: String? = nil, at now: Instant) {
    guard phase != .closed else { return }
    start(at: now)
    abort(reason, badOption: nil, diagnostic: diagnostic)
  }

  mutating func abort(_ reason: DropReason?, badOption: CoAPOptionNumber?, diagnostic: String? = nil) {
    let text = diagnostic ?? reason?.name ?? ""
    transmit(.abort(badOption: badOption?.rawValue, diagnostic: text))
    finish()
    outputs.append(.close(reason))
  }

  /// The transport is gone: what is outstanding fails as ``RequestFailure/closed``.
  public mutating func close(at now: Instant) {
    guard phase != .closed else { return }
    finish()
  }

  /// Ends everything, without a word to the peer.
  mutating func finish() {
    phase = .closed
    // A dictionary has no order that is the same every time.
    let open = operations.values.filter { !$0.isSilent }.map(\.number) + queued.map(\.number)
    for number in open.sorted() { outputs.append(.failed(RequestID(number: number), .closed)) }
    operations = [:]
    queued = []
    exchanges = [:]
    delayedPongs = []
    server = BlockwiseServer(settings.blockwise)
    earliest = nil
    pongDue = nil
    releaseDue = nil
  }

  /// Closes once the peer wants that and nothing is outstanding (RFC 8323, 5.5).
  mutating func closeIfSettled() {
    guard isReleased, phase == .open, operations.isEmpty, exchanges.isEmpty else { return }
    finish()
    outputs.append(.close(nil))
  }

  mutating func updateCarrier() {
    server.carrier = .stream(own: configuration.capabilities, peer: capabilities)
  }

  mutating func nextNumber() -> UInt64 {
    lastNumber += 1
    return lastNumber
  }

  mutating func drop(_ reason: DropReason) { outputs.append(.dropped(reason)) }

  /// Sends a signal; what is larger than the peer takes goes without its details.
  mutating func transmit(_ signal: CoAPSignal, token: CoAPToken = CoAPToken()) {
    var message = signal.message(token: token)
    if message.encodedLength(configuration.framing) > Int(capabilities.maximumMessageSize) {
      message.payload = []
      if case .release = signal { message.options = [] }
    }
    // The options of a signal are few and short, but for alternatives, of which there may be too many.
    guard let frame = try? message.encoded(configuration.framing) else { return }
    outputs.append(.transmit(frame))
  }
}
