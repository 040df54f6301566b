import COSE
import CoAP
import Envelope
import Relay
import Wire

/// Members of the home that have sessions and mean no good: up to three connections at a time.
struct HostileMembers {
  private let harness: Harness
  private let framing: CoAPStreamFraming
  private var peers: [StreamPeer] = []
  private var current = 0
  private var envelopes: Envelopes
  /// Later inputs need another relay.
  private(set) var hasChangedList = false

  init(_ harness: Harness, _ framing: CoAPStreamFraming) {
    self.harness = harness
    self.framing = framing
    envelopes = Envelopes(harness.home)
  }

  private var peer: StreamPeer { peers[current] }

  mutating func run(_ input: inout Input) {
    open(&input)
    var count = 0
    while !input.isAtEnd, count < 64, !peer.isClosed {
      count += 1
      step(input.byte(), &input)
    }
    for peer in peers { peer.socket.finish() }
  }

  // MARK: Sessions

  /// Opens one more connection, and a session on it, unless the input spoils the request for it.
  private mutating func open(_ input: inout Input) {
    let how = input.byte()
    if peers.count >= 3 {
      current = Int(how) % peers.count
      return
    }
    peers.append(StreamPeer.client(harness, framing))
    current = peers.count - 1
    let size: UInt32 = how & 0x80 == 0 ? 65_536 : 200
    peer.send(CoAPSignal.capabilities(CoAPCapabilities(maximumMessageSize: size, supportsBlockwise: true)).message())
    session(how, &input)
  }

  private func session(_ how: UInt8, _ input: inout Input) {
    guard let hello = peer.response(to: peer.request(.get, "hello")), var nonce = nonce(of: hello.payload) else {
      return
    }
    let home = harness.home
    let client = home.identity(how & 7)
    let serving = input.byte()
    var addresses = home.identities.indices.filter { $0 < 8 && serving >> UInt8($0) & 1 == 1 }.map {
      home.identities[$0].address
    }
    let isSpoilt = how & 0x78 == 0x78
    // Only a gateway has nodes.
    if !isSpoilt, how & 7 != 1 { addresses = [] }
    if isSpoilt { nonce.mutate(&input) }
    let request = SessionRequest(
      client: client.address, nonce: nonce, relay: isSpoilt ? home.identity(input.byte()).address : home.relay.address,
      serving: addresses)
    guard var body = try? request.signed(with: isSpoilt ? home.identity(input.byte()) : client) else { return }
    if isSpoilt { body.mutate(&input) }
    _ = peer.response(to: peer.request(.post, "session", body))
  }

  private func nonce(of hello: [UInt8]) -> [UInt8]? {
    guard let view = try? COSESign1View(hello.rawSpan) else { return nil }
    // {1: nonce, ...}
    return Array(view.payload.array().dropFirst(3).prefix(RelayHello.nonceLength))
  }

  // MARK: Steps

  private mutating func step(_ step: UInt8, _ input: inout Input) {
    switch step & 15 {
    case 0, 1: peer.send(request(step, &input))
    case 2, 3:
      var message = peer.request(.post, "e", envelopes.next(&input, now: harness.now))
      if step & 0x10 != 0 { message.options[uint: .contentFormat] = 18 }
      if step & 0x20 != 0 { message.options[uint: .noResponse] = UInt64(input.byte() & 31) }
      peer.send(message)
    case 4:
      var bytes = envelopes.next(&input, now: harness.now)
      bytes.mutate(&input)
      peer.send(peer.request(.post, "e", bytes))
    case 5: blocks(step, &input)
    case 6, 7: answer(step, &input)
    case 8: signal(step, &input)
    case 9:
      let bytes = input.run()
      // A message of WebSockets stays one, whatever is in it.
      if framing == .webSocket, step & 0x10 == 0 { peer.send(frame: bytes) } else { peer.send(raw: bytes) }
    case 10: list(step, &input)
    case 11:
      if step & 0x10 == 0 {
        harness.advance(Int64(input.byte()))
      } else {
        CheckingStore.failures.store(Int(input.byte() & 7), ordering: .relaxed)
      }
    case 12: open(&input)
    case 13: session(input.byte(), &input)
    case 14: peer.send(response(input.byte(), CoAPToken(input.take(Int(step >> 4 & 7))) ?? CoAPToken(), &input))
    default: peer.awaitRelay()
    }
  }

  /// Any request to any path, with any options.
  private mutating func request(_ step: UInt8, _ input: inout Input) -> CoAPStreamMessage {
    let code = input.byte()
    let codes: [CoAPCode] = [.get, .post, .put, .delete, .fetch, .patch, .iPatch, CoAPCode(rawValue: code >> 3)]
    var message = CoAPStreamMessage(
      code: codes[Int(code & 7)], token: CoAPToken(value: UInt64(code), count: Int(step >> 4 & 3)))
    message.options[strings: .uriPath] = input.choice([
      ["e"], ["session"], ["hello"], [".well-known", "core"], ["e", "e"], [], [""], ["x"],
    ])
    var count = 0
    while step & 0x40 != 0, !input.isAtEnd, count < 8 {
      count += 1
      let number = input.choice(CoAPOptionNumber.known + [CoAPOptionNumber(rawValue: 65_000)])
      let length = input.byte()
      message.options.append(CoAPOption(number, input.take(Int(length & 15))))
      if length & 0x80 != 0 { break }
    }
    switch step >> 6 {
    case 0: message.payload = input.run()
    case 1: message.payload = envelopes.next(&input, now: harness.now)
    case 2: message.payload = [UInt8](repeating: step, count: Int(input.byte()) * 256)
    default: break
    }
    return message
  }

  /// An envelope in blocks (RFC 7959), some of them left out or said twice.
  private mutating func blocks(_ step: UInt8, _ input: inout Input) {
    let bytes = envelopes.next(&input, now: harness.now)
    let exponent = Int(input.byte() & 7)
    let size = exponent == 7 ? 1024 : 16 << exponent
    var number = 0
    while number * size < bytes.count, number < 64, !peer.isClosed {
      var message = peer.request(.post, "e", Array(bytes[(number * size)...].prefix(size)))
      let isLast = (number + 1) * size >= bytes.count
      message.options[uint: .block1] = UInt64(number << 4 | (isLast ? 0 : 8) | exponent)
      if step & 0x10 != 0 { message.options[uint: .size1] = input.number() }
      if step & 0x20 != 0 { message.options[value: .requestTag] = [step] }
      if step & 0x40 != 0, input.byte() & 7 == 7 { number += Int(input.byte() & 3) }
      peer.send(message)
      number += 1
    }
  }

  /// Answers to what the relay has delivered.
  private func answer(_ step: UInt8, _ input: inout Input) {
    peer.awaitRelay()
    let count = step & 0x10 == 0 ? peer.requests.count : Int(input.byte() & 3)
    for _ in 0..<count where !peer.requests.isEmpty {
      let request = peer.requests.remove(at: step & 0x20 == 0 ? 0 : peer.requests.count - 1)
      peer.send(response(step & 0x40 == 0 ? 0x44 : input.byte(), request.token, &input))
    }
  }

  private func response(_ code: UInt8, _ token: CoAPToken, _ input: inout Input) -> CoAPStreamMessage {
    var message = CoAPStreamMessage(code: CoAPCode(rawValue: code), token: token)
    guard code != 0x44 else { return message }
    let how = input.byte()
    switch how & 3 {
    case 0: break
    case 1: message.payload = input.run()
    case 2:
      message.options[uint: .contentFormat] = UInt64(CoAPContentFormat.problemDetails.rawValue)
      message.payload = ProblemDetails(title: input.choice(DropReason.allCases).name).encoded
    default:
      message.options[uint: .contentFormat] = UInt64(CoAPContentFormat.problemDetails.rawValue)
      message.payload = input.run()
    }
    if how & 4 == 4 { message.options[uint: .maxAge] = input.number() }
    if how & 8 == 8 { message.options[uint: .block2] = input.number() }
    if how & 16 == 16 { message.options[uint: .block1] = input.number() }
    if how & 32 == 32 {
      message.options.append(CoAPOption(CoAPOptionNumber(rawValue: UInt16(input.byte())), input.run()))
    }
    return message
  }

  private func signal(_ step: UInt8, _ input: inout Input) { peer.send(Self.signal(step, &input)) }

  static func signal(_ step: UInt8, _ input: inout Input) -> CoAPStreamMessage {
    let token = CoAPToken(value: UInt64(step), count: Int(step >> 7))
    switch step >> 4 & 7 {
    case 0: return CoAPSignal.ping(custody: true).message(token: token)
    case 1: return CoAPSignal.pong(custody: false).message(token: token)
    case 2, 3:
      let capabilities = CoAPCapabilities(
        maximumMessageSize: UInt32(truncatingIfNeeded: input.number()), supportsBlockwise: step & 16 == 0)
      return CoAPSignal.capabilities(capabilities).message(token: token)
    case 4: return CoAPSignal.release(alternatives: ["x"], holdOff: UInt32(input.byte())).message(token: token)
    case 5:
      let text = String(decoding: input.run(), as: UTF8.self)
      return CoAPSignal.abort(badOption: nil, diagnostic: text).message(token: token)
    default:
      var message = CoAPStreamMessage(code: CoAPCode(rawValue: 0xe0 | input.byte()), token: token)
      message.options = [CoAPOption(CoAPOptionNumber(rawValue: UInt16(input.byte())), input.run())]
      message.payload = input.run()
      return message
    }
  }

  /// An access list, of the oracle or of somebody else.
  private mutating func list(_ step: UInt8, _ input: inout Input) {
    let home = harness.home
    let without = input.byte()
    let removed = home.identities.indices.filter { $0 < 8 && without >> UInt8($0) & 1 == 1 }.map {
      home.identities[$0].address
    }
    var bytes = home.accessList(
      epoch: UInt64(step >> 4 & 3), without: Set(removed), signer: step & 0x40 == 0 ? nil : home.identity(input.byte()))
    if step & 0x80 != 0 { bytes.mutate(&input) }
    peer.send(peer.request(.post, "e", bytes))
    hasChangedList = true
  }
}
