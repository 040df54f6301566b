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

/// An endpoint among peers that send anything: it never traps, every request ends once, and all bounds hold.
///
/// The input is a row of steps: a byte says what happens, the next how many bytes of what follows belong to it.
func live(_ input: [UInt8]) {
  var configuration = ExchangeConfiguration()
  configuration.limits.peers = 4
  configuration.limits.receivedPerPeer = 4
  configuration.limits.requestsPerPeer = 4
  configuration.limits.replyBytes = 256
  var blockwise = BlockwiseConfiguration()
  blockwise.preferredSZX = 0
  blockwise.maximumRequestBody = 100
  blockwise.maximumResponseBody = 100
  blockwise.assemblies = 3
  blockwise.responses = 3
  var endpoint = CoAPEndpoint<UInt8>(
    configuration: configuration, blockwise: blockwise, random: Generator(state: 1))
  var now = Instant(seconds: 1_000_000)
  var open: Set<RequestID<UInt8>> = []
  var asked: Set<RequestID<UInt8>> = []
  var waiting: [ExchangeID<UInt8>] = []

  func take() {
    for output in endpoint.takeOutputs() {
      switch output {
      case .transmit(let datagram, let peer):
        precondition((try? CoAPMessage(parsing: datagram)) != nil)
        // Some come back, as from a peer that mirrors.
        if datagram.count % 7 == 0 { endpoint.receive(datagram.rawSpan, from: peer, at: now) }
      case .request(let id, let request):
        precondition(request.payload.count <= blockwise.maximumRequestBody)
        waiting.append(id)
      case .response(let id, _), .pong(let id), .failed(let id, _):
        precondition(asked.insert(id).inserted || open.contains(id), "ended twice")
        open.remove(id)
      case .responseFailed, .dropped: break
      }
    }
    precondition(endpoint.openState.peers <= 4)
  }

  var position = 0
  while position + 1 < input.count {
    let (step, length) = (input[position], Int(input[position + 1]))
    let bytes = Array(input[(position + 2)...].prefix(length))
    position += 2 + bytes.count
    let peer = step >> 4 & 7
    switch step & 7 {
    case 0...3: endpoint.receive(bytes.rawSpan, from: peer, at: now, multicast: step & 0x80 != 0)
    case 4:
      let id = endpoint.request(
        CoAPRequest(.post, path: ["e"], payload: bytes), to: peer, confirmable: step & 0x80 == 0, at: now)
      precondition(asked.insert(id).inserted)
      open.insert(id)
    case 5:
      guard !waiting.isEmpty else { break }
      let id = waiting.removeFirst()
      endpoint.respond(to: id, with: CoAPResponse(CoAPCode(rawValue: step), payload: bytes), at: now)
    case 6:
      now = now.advanced(by: .milliseconds(length * length * 10))
      endpoint.timeout(at: now)
    default:
      if let id = open.first { endpoint.cancel(id, at: now) }
    }
    take()
  }
  // In the end all is over and nothing is left.
  var steps = 0
  while let next = endpoint.nextTimeout {
    now = max(now, next)
    endpoint.timeout(at: now)
    take()
    steps += 1
    precondition(steps < 10_000)
  }
  precondition(open.isEmpty && endpoint.openState == (0, 0))
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  guard let data, count > 0 else { return 0 }
  live([UInt8](UnsafeBufferPointer(start: data, count: count)))
  return 0
}
