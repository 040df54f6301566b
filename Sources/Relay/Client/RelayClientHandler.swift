import COSE
import CoAP
import Envelope
import NIOCore
import Wire

/// A client's end of a connection to one relay: opens the session, sends envelopes, takes deliveries.
final class RelayClientHandler: StreamChannelHandler {
  /// What the link is told, on the event loop.
  enum Report {
    case up
    case down(String)
    case answered(UInt64, CoAPResponse)
    /// No answer came.
    case failed(UInt64)
    case delivery(RelayDelivery)
    case held(Int)
    /// The relay wants no more new envelopes.
    case released
  }

  private enum Phase {
    case connecting
    case greeting(CoAPStreamConnection.RequestID)
    case opening(CoAPStreamConnection.RequestID)
    case open
    case over
  }

  private let relay: Address
  private let identity: Identity
  private let serving: [Address]
  private let report: (Report) -> Void
  private var phase = Phase.connecting
  private var submitted: [CoAPStreamConnection.RequestID: UInt64] = [:]
  private var lastError: String?
  private var asked: Set<CoAPStreamConnection.RequestID> = []
  private var timeout: Scheduled<Void>?
  private let connectTime: Duration

  init(
    _ configuration: RelayClientConfiguration, relay: RelayClientConfiguration.Relay,
    clock: @escaping @Sendable () -> Instant, report: @escaping (Report) -> Void
  ) {
    self.relay = relay.address
    identity = configuration.identity
    serving = configuration.serving
    connectTime = configuration.connectTime
    self.report = report
    var stream = CoAPStreamConfiguration(framing: relay.url.scheme.isWebSocket ? .webSocket : .tcp)
    stream.maximumMessageSize = configuration.messageSize
    stream.blockwise.maximumRequestBody = configuration.messageSize
    stream.blockwise.assemblyBytes = configuration.messageSize
    stream.requestsInFlight = 8192
    stream.requestTimeout = configuration.answerTime
    stream.pingInterval = configuration.pingInterval
    stream.pongTimeout = configuration.pongTimeout
    super.init(CoAPStreamSettings(stream), messageTime: .seconds(30), silentTime: .seconds(30), clock: clock)
  }

  override func started(_ context: ChannelHandlerContext) {
    let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
    timeout = context.eventLoop.scheduleTask(in: .nanoseconds(connectTime.nanoseconds)) {
      let handler = bound.value
      if case .open = handler.phase { return }
      handler.fail("no session within \(handler.connectTime)")
    }
  }

  override func ready() {
    guard case .connecting = phase else { return }
    phase = .greeting(connection.request(CoAPRequest(.get, path: ["hello"]), at: now))
  }

  override func ended(_ reason: DropReason?) {
    timeout?.cancel()
    let said = connection.diagnostic
    over(lastError ?? (said.isEmpty ? "the relay closed the connection" : "the relay closed: \(said)"))
  }

  override func failed(_ text: String) { lastError = lastError ?? text }

  override func released() { report(.released) }

  /// The connection ended, perhaps before this handler was part of it.
  func over(_ text: String) {
    if case .over = phase { return }
    phase = .over
    report(.down(text))
  }

  private func fail(_ text: String) {
    lastError = text
    context?.close(promise: nil)
  }

  // MARK: Out

  /// Sends an envelope; its answer, or that there is none, is reported under `number`. With `noResponse`, nothing is.
  func submit(_ bytes: [UInt8], number: UInt64, noResponse: Bool = false) {
    var request = CoAPRequest(.post, path: ["e"], contentFormat: .coseSign1, payload: bytes)
    if noResponse { request.noResponse = 26 }
    let id = connection.request(request, at: now)
    if !noResponse { submitted[id] = number }
    act()
    context?.flush()
  }

  /// Asks what is still held.
  func askHeld() {
    asked.insert(connection.request(CoAPRequest(.get, path: ["session"]), at: now))
    act()
    context?.flush()
  }

  /// Whether more can be written without waiting.
  var isWritable: Bool { context?.channel.isWritable ?? false }

  // MARK: In

  override func handle(_ response: CoAPResponse, to id: CoAPStreamConnection.RequestID) {
    switch phase {
    case .greeting(id): greeted(response)
    case .opening(id):
      guard response.code.isSuccess else { return fail("the relay refuses the session: \(Self.text(response))") }
      phase = .open
      report(.up)
    default:
      if let number = submitted.removeValue(forKey: id) { report(.answered(number, response)) }
      guard asked.remove(id) != nil, let held = try? SessionState(parsing: response.payload) else { return }
      report(.held(Int(clamping: held.held)))
    }
  }

  private func greeted(_ response: CoAPResponse) {
    guard response.code.isSuccess else { return fail("the relay does not say hello: \(Self.text(response))") }
    do {
      let hello = try RelayHello(verifying: response.payload, from: relay)
      let request = SessionRequest(client: identity.address, nonce: hello.nonce, relay: relay, serving: serving)
      let body = try request.signed(with: identity)
      phase = .opening(
        connection.request(
          CoAPRequest(.post, path: ["session"], contentFormat: .coseSign1, payload: body), at: now))
    } catch { fail("this is not the relay of the peer record: \(error)") }
  }

  override func handle(_ failure: RequestFailure, of id: CoAPStreamConnection.RequestID) {
    switch phase {
    case .greeting(id), .opening(id): fail("the relay does not answer")
    default: if let number = submitted.removeValue(forKey: id) { report(.failed(number)) }
    }
  }

  override func handle(_ request: CoAPRequest, _ exchange: CoAPStreamConnection.ExchangeID) {
    guard case .open = phase, request.code == .post, request.uriPath == ["e"] else {
      return respond(exchange, CoAPResponse(request.uriPath == ["e"] ? .methodNotAllowed : .notFound))
    }
    guard let context else { return }
    let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
    let eventLoop = context.eventLoop
    report(
      .delivery(
        RelayDelivery(bytes: request.payload, wantsAnswer: exchange.wantsResponse) { answer in
          eventLoop.execute {
            let handler = bound.value
            handler.respond(exchange, Self.response(answer))
            handler.context?.flush()
          }
        }))
  }

  private static func response(_ answer: RelayDelivery.Answer) -> CoAPResponse {
    switch answer {
    case .taken: CoAPResponse(.changed)
    case .refused(let reason):
      // What it will never take must not be sent again, so the code is never one that asks for that.
      RelayChannelHandler.problem(reason, code: RelayCode.forbidden)
    case .later(let reason): RelayChannelHandler.problem(reason, code: RelayCode.serviceUnavailable)
    }
  }

  /// The code and the reason in the body.
  static func text(_ response: CoAPResponse) -> String {
    "\(response.code)" + (reason(response).map { ": \($0)" } ?? "")
  }

  /// The title of problem details (RFC 9290).
  static func reason(_ response: CoAPResponse) -> String? {
    response.contentFormat == .problemDetails ? ProblemDetails(parsing: response.payload)?.title : nil
  }
}
