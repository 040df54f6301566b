import CoAP
import Wire

/// A generator with a seed.
struct Generator: RandomNumberGenerator, Sendable {
  var state: UInt64
  mutating func next() -> UInt64 {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return state ^ state >> 29
  }
}

/// What parses is emitted and parsed again: the two values are equal, a message has one form only, and the view agrees.
func roundTrip(_ bytes: [UInt8], _ framing: CoAPStreamFraming) {
  guard let message = try? CoAPStreamMessage(parsing: bytes, framing: framing) else {
    precondition((try? CoAPStreamMessageView(bytes.rawSpan, framing: framing)) == nil)
    return
  }
  guard let emitted = try? message.encoded(framing) else { preconditionFailure("\(message) has no encoding") }
  precondition(emitted.count == message.encodedLength(framing) && emitted == bytes)
  if framing == .tcp {
    precondition((try? CoAPStreamFrame.length(of: bytes.rawSpan, maximum: bytes.count)) == bytes.count)
  }
  _ = message.description
  guard let view = try? CoAPStreamMessageView(bytes.rawSpan, framing: framing) else {
    preconditionFailure("a value and no view")
  }
  precondition(view.code == message.code && view.token == message.token)
  precondition(view.payload.array() == message.payload)
  guard message.code.isSignal, let signal = try? CoAPSignal(parsing: message) else { return }
  // What is elective and unknown is gone; the rest stays.
  guard let again = try? CoAPSignal(parsing: signal.message(token: message.token)) else {
    preconditionFailure("\(signal) does not parse again")
  }
  precondition(again == signal)
}

/// A stream is cut into frames and never into something else.
func cut(_ bytes: [UInt8]) {
  var rest = bytes
  while let length = try? CoAPStreamFrame.length(of: rest.rawSpan, maximum: 1000) {
    precondition(length >= 2 && length <= 1000)
    guard length <= rest.count else { return }
    let frame = Array(rest.prefix(length))
    if let message = try? CoAPStreamMessage(parsing: frame, framing: .tcp) {
      precondition(message.encodedLength(.tcp) == length)
    }
    rest.removeFirst(length)
  }
}

/// A connection whose peer sends anything: it never traps, every request ends once, and all bounds hold.
///
/// The input is a row of steps: a byte says what happens, the next how many bytes of what follows belong to it.
func live(_ input: [UInt8], _ framing: CoAPStreamFraming) {
  var configuration = CoAPStreamConfiguration(framing: framing)
  configuration.maximumMessageSize = input.count % 2 == 0 ? 1200 : 150
  configuration.requestsInFlight = 4
  configuration.receivedInFlight = 4
  configuration.blockwise.maximumRequestBody = 3000
  configuration.blockwise.maximumResponseBody = 3000
  configuration.blockwise.assembliesPerPeer = 2
  configuration.blockwise.responsesPerPeer = 2
  var connection = CoAPStreamConnection(configuration: configuration, random: Generator(state: 1))
  var now = Instant(seconds: 1_000_000)
  var open: Set<CoAPStreamConnection.RequestID> = []
  /// Those that want no response: nothing is told of them but that they could not be sent.
  var quiet: Set<CoAPStreamConnection.RequestID> = []
  var waiting: [CoAPStreamConnection.ExchangeID] = []
  var isClosed = false
  /// Of requests that were sent, for answers to them.
  var tokens: [CoAPToken] = []

  func take() {
    while true {
      let outputs = connection.takeOutputs()
      guard !outputs.isEmpty else { break }
      for output in outputs {
        switch output {
        case .transmit(let frame):
          precondition(!isClosed, "sent after the end")
          guard let message = try? CoAPStreamMessage(parsing: frame, framing: framing) else {
            preconditionFailure("sent what is no message")
          }
          if message.code.isRequest { tokens.append(message.token) }
          if !message.code.isSignal { precondition(frame.count <= Int(connection.capabilities.maximumMessageSize)) }
          // Some come back, as from a peer that mirrors.
          if frame.count % 7 == 0 { connection.receive(frame.rawSpan, at: now) }
        case .request(let id, let request):
          precondition(request.payload.count <= 3000)
          waiting.append(id)
        case .response(let id, let response):
          precondition(open.remove(id) != nil, "ended twice, or never begun")
          precondition(response.payload.count <= 3000)
        case .failed(let id, _):
          precondition(open.remove(id) != nil || quiet.remove(id) != nil, "ended twice, or never begun")
        case .close:
          precondition(!isClosed, "closed twice")
          isClosed = true
        case .ready, .released, .dropped: break
        }
      }
    }
    precondition(connection.openState.operations <= 4 && connection.openState.exchanges <= 4)
    precondition(connection.openState.operations >= open.count)
  }

  var position = 0
  while position + 1 < input.count {
    let (step, length) = (input[position], Int(input[position + 1]))
    let bytes = Array(input[(position + 2)...].prefix(length))
    position += 2 + bytes.count
    switch step & 15 {
    case 0...3: connection.receive(bytes.rawSpan, at: now)
    case 4...6:
      // Bytes that need no framing, so that more of them are messages. The token may be that of a request that was sent.
      let code = CoAPCode(rawValue: bytes.first ?? step)
      let token = tokens.dropLast(Int(step >> 6)).last ?? CoAPToken(value: UInt64(step >> 4), count: 1)
      var message = CoAPStreamMessage(code: code, token: token)
      let content = Array(bytes.dropFirst())
      if let view = try? CoAPContentView(content.rawSpan) {
        message.options = CoAPOptions(view)
        message.payload = view.payload.array()
      }
      if step & 1 == 1 { message.payload = [UInt8](repeating: step, count: 128 * length) }
      if let frame = try? message.encoded(framing) { connection.receive(frame.rawSpan, at: now) }
    case 7, 8:
      var request = CoAPRequest(.post, path: ["e"], payload: bytes)
      if step & 0x10 != 0 { request.payload = [UInt8](repeating: step, count: length * 16) }
      if step & 0x20 != 0 { request.noResponse = UInt8(length) }
      if step & 0x40 != 0 { request.code = .get }
      let id = connection.request(request, at: now)
      let wantsResponse = request.noResponse.map { $0 & 26 != 26 } ?? true
      precondition(wantsResponse ? open.insert(id).inserted : quiet.insert(id).inserted)
    case 9, 10:
      guard !waiting.isEmpty else { break }
      let payload = step & 0x10 != 0 ? [UInt8](repeating: step, count: length * 16) : bytes
      let code = CoAPCode(rawValue: step & 0x20 != 0 ? 0x45 : bytes.first ?? 0)
      connection.respond(to: waiting.removeFirst(), with: CoAPResponse(code: code, payload: payload), at: now)
    case 11:
      now = now.advanced(by: .milliseconds(length * length))
      connection.timeout(at: now)
    case 12: if let id = open.first { connection.cancel(id, at: now) }
    case 13: connection.ping(at: now)
    case 14: connection.receive(capabilities(bytes, framing).rawSpan, at: now)
    default:
      switch step >> 4 {
      case 0: connection.release(alternatives: [String(decoding: bytes, as: UTF8.self)], holdOff: 1, at: now)
      case 1: connection.abort(nil, diagnostic: String(decoding: bytes, as: UTF8.self), at: now)
      case 2: connection.close(at: now)
      default: connection.start(at: now)
      }
    }
    take()
  }
  // In the end all is over.
  connection.close(at: now)
  take()
  precondition(open.isEmpty && connection.openState == (0, 0) && connection.nextTimeout == nil)
}

/// A CSM of some size.
func capabilities(_ bytes: [UInt8], _ framing: CoAPStreamFraming) -> [UInt8] {
  let size = bytes.prefix(2).reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
  let capabilities = CoAPCapabilities(maximumMessageSize: size, supportsBlockwise: bytes.count != 1)
  return (try? CoAPSignal.capabilities(capabilities).message().encoded(framing)) ?? []
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  guard let data, count > 0 else { return 0 }
  let bytes = [UInt8](UnsafeBufferPointer(start: data + 1, count: count - 1))
  switch data.pointee % 5 {
  case 0: roundTrip(bytes, .tcp)
  case 1: roundTrip(bytes, .webSocket)
  case 2: cut(bytes)
  case 3: live(bytes, .tcp)
  default: live(bytes, .webSocket)
  }
  return 0
}
