import CoAP
import Wire

/// One end of a CoAP connection that says what it likes, and knows what it was told.
final class StreamPeer {
  let socket: Socket
  let framing: CoAPStreamFraming
  /// A WebSocket client masks what it sends.
  private let masks: Bool
  /// Whether the other side still has to answer: not when it may wait for the rest of a frame, or may not say anything.
  private(set) var isOrderly = true
  private(set) var isClosed = false
  /// Requests that came and were not answered.
  var requests: [CoAPStreamMessage] = []
  /// Responses that nobody waited for.
  private(set) var responses = 0
  private var syncs: UInt64 = 0

  init(_ socket: Socket, _ framing: CoAPStreamFraming, masks: Bool) {
    self.socket = socket
    self.framing = framing
    self.masks = masks
  }

  /// A client whose connection is open, upgraded if it must be.
  static func client(_ harness: Harness, _ framing: CoAPStreamFraming) -> StreamPeer {
    let socket = Socket.connected(to: harness.port(framing))
    if framing == .webSocket {
      socket.send(WebSocketWire.request)
      _ = WebSocketWire.head(socket)
    }
    return StreamPeer(socket, framing, masks: true)
  }

  // MARK: Out

  func send(_ message: CoAPStreamMessage) {
    guard let frame = try? message.encoded(framing) else { return }
    send(frame: frame)
  }

  /// One frame, whatever is in it.
  func send(frame: [UInt8]) {
    if let message = try? CoAPStreamMessage(parsing: frame, framing: framing) {
      // Who takes nothing is told nothing.
      if message.code == .csm, case .capabilities(let new)? = try? CoAPSignal(parsing: message),
        new.maximumMessageSize < 64, message.options.contains(CoAPOptionNumber(rawValue: 2))
      {
        isOrderly = false
      }
    }
    socket.send(framing == .tcp ? frame : WebSocketWire.frame(0x82, frame, masked: masks))
  }

  /// Bytes as they are: what comes behind them may be taken for anything.
  func send(raw bytes: [UInt8]) {
    guard !bytes.isEmpty else { return }
    isOrderly = false
    socket.send(bytes)
  }

  // MARK: In

  /// The next message; `nil` when the other side has closed. What it sends is well-formed.
  func receive() -> CoAPStreamMessage? {
    while !isClosed {
      if let frame = nextFrame() {
        guard let message = try? CoAPStreamMessage(parsing: frame, framing: framing) else {
          finding("sent what is no message")
        }
        if message.code.isRequest { requests.append(message) }
        return message
      }
      if !isClosed, !socket.fill() { isClosed = true }
    }
    return nil
  }

  private func nextFrame() -> [UInt8]? {
    switch framing {
    case .tcp:
      let pending = Array(socket.pending)
      // Five bytes always tell how long a frame is.
      guard let length = try? CoAPStreamFrame.length(of: pending.rawSpan, maximum: .max) else {
        if pending.count >= 5 { finding("sent what is no frame") }
        return nil
      }
      guard length <= pending.count else { return nil }
      socket.drop(length)
      return Array(pending[..<length])
    case .webSocket:
      while let (first, data, length) = WebSocketWire.parse(socket.pending) {
        socket.drop(length)
        switch first & 15 {
        case 2: return data
        case 8: isClosed = true
        default: break
        }
        if isClosed { return nil }
      }
      return nil
    }
  }

  /// The response to a request; `nil` if the connection ends, or the other side need not answer.
  func response(to request: CoAPStreamMessage) -> CoAPStreamMessage? {
    send(request)
    guard isOrderly else { return nil }
    while let message = receive() {
      if message.token == request.token, message.code.isResponse { return message }
      if message.code.isResponse { responses += 1 }
    }
    return nil
  }

  private func token() -> CoAPToken {
    syncs += 1
    // The fuzzer's own have fewer bytes.
    return CoAPToken(value: 0xface_0000_0000_0000 | syncs, count: 8)
  }

  /// Waits until a relay has done all that was said before, and has handed out what it holds.
  func awaitRelay() {
    var request = CoAPStreamMessage(code: .get, token: token())
    request.options[strings: .uriPath] = ["session"]
    _ = response(to: request)
  }

  /// Waits until the other side has taken all that was said before.
  func awaitPong() {
    let token = token()
    send(CoAPSignal.ping(custody: false).message(token: token))
    guard isOrderly else { return }
    while let message = receive() { if message.code == .pong, message.token == token { return } }
  }

  func request(_ code: CoAPCode, _ path: String, _ payload: [UInt8] = []) -> CoAPStreamMessage {
    var message = CoAPStreamMessage(code: code, token: token(), payload: payload)
    message.options[strings: .uriPath] = [path]
    return message
  }
}
