import CoAP
import Envelope
import Relay
import Synchronization
import Wire

/// What a client of a relay has said of it.
private final class Told: Sendable {
  struct State {
    var answered: Set<UInt64> = []
    var ups = 0
    var deliveries = 0
  }

  let state = Mutex(State())
}

/// A relay that means no good, and a client that connects to it.
func hostileRelay(_ input: inout Input, _ framing: CoAPStreamFraming, _ harness: Harness) {
  let home = harness.home
  let how = input.byte()
  var configuration = RelayClientConfiguration(
    relays: [
      .init(
        url: RelayURL(scheme: framing == .tcp ? .tcp : .webSocket, host: "127.0.0.1", port: harness.listener.port),
        address: home.relay.address)
    ], identity: home.identity(how & 1))
  // It connects once in each input, and waits for nothing.
  configuration.shortestWait = .seconds(3600)
  configuration.longestWait = .seconds(3600)
  configuration.connectTime = .seconds(20)
  configuration.answerTime = .seconds(20)
  configuration.messageSize = 128 << 10
  let told = Told()
  let reason = input.choice(DropReason.allCases)
  let client = RelayClient(configuration, group: harness.group, clock: harness.clock) { event in
    switch event {
    case .answered(let number, _):
      precondition(told.state.withLock { $0.answered.insert(number).inserted }, "answered twice")
    case .up: told.state.withLock { $0.ups += 1 }
    case .delivery(let delivery):
      let count = told.state.withLock { state in
        state.deliveries += 1
        return state.deliveries
      }
      switch (Int(how >> 1) + count) % 4 {
      case 0: delivery.answer(.refused(reason))
      case 1: delivery.answer(.later(reason))
      case 2: break
      default: delivery.answer(.taken)
      }
    case .down, .held: break
    }
  }
  client.start()
  let socket = harness.listener.accepted()
  serve(socket, client, how, &input, framing, harness)
  socket.finish()
  harness.wait { await client.stop() }
  harness.awaitLoop()
  precondition(told.state.withLock { $0.ups } <= 1)
}

private func serve(
  _ socket: Socket, _ client: RelayClient, _ how: UInt8, _ input: inout Input, _ framing: CoAPStreamFraming,
  _ harness: Harness
) {
  let peer = StreamPeer(socket, framing, masks: false)
  if framing == .webSocket {
    var response = WebSocketWire.response(to: WebSocketWire.head(socket))
    switch how >> 4 {
    case 15: return peer.send(raw: input.rest())
    case 14:
      response.mutate(&input)
      peer.send(raw: response)
    default: socket.send(response)
    }
  }
  guard how >> 4 != 13 else { return peer.send(raw: input.rest()) }
  let size: UInt32 = how >> 4 == 12 ? UInt32(input.byte()) * 4 : 65_536
  peer.send(CoAPSignal.capabilities(CoAPCapabilities(maximumMessageSize: size, supportsBlockwise: true)).message())
  greet(peer, how, &input, harness)
  var envelopes = Envelopes(harness.home)
  var count = 0
  while !input.isAtEnd, count < 64, !peer.isClosed {
    count += 1
    step(input.byte(), UInt64(count), peer, client, &envelopes, &input, harness)
  }
}

/// Hello and session, as a relay should have them or not.
private func greet(_ peer: StreamPeer, _ how: UInt8, _ input: inout Input, _ harness: Harness) {
  guard peer.isOrderly, let asked = nextRequest(peer) else { return }
  var hello = CoAPStreamMessage(code: .content, token: asked.token, payload: harness.hello)
  if how & 8 == 8 {
    hello.payload.mutate(&input)
    hello.code = CoAPCode(rawValue: input.byte())
  }
  peer.send(hello)
  guard how & 8 == 0, let asked = nextRequest(peer) else { return }
  peer.send(CoAPStreamMessage(code: how >> 4 == 11 ? CoAPCode(rawValue: input.byte()) : .created, token: asked.token))
}

private func nextRequest(_ peer: StreamPeer) -> CoAPStreamMessage? {
  while peer.requests.isEmpty { guard peer.receive() != nil else { return nil } }
  return peer.requests.removeFirst()
}

private func step(
  _ step: UInt8, _ number: UInt64, _ peer: StreamPeer, _ client: RelayClient, _ envelopes: inout Envelopes,
  _ input: inout Input, _ harness: Harness
) {
  switch step & 15 {
  case 0, 1: peer.send(peer.request(.post, "e", input.run()))
  case 2: peer.send(peer.request(.post, "e", envelopes.next(&input, now: harness.now)))
  case 3:
    var message = peer.request(CoAPCode(rawValue: input.byte() & 7), step & 0x10 == 0 ? "e" : "x", input.run())
    let option = input.choice(CoAPOptionNumber.known)
    message.options.append(CoAPOption(option, input.take(Int(step >> 5))))
    peer.send(message)
  case 4:
    client.submit(input.run(), number: number)
    harness.awaitLoop()
  case 5:
    client.send(chunk: input.run(), number: step & 0x10 == 0 ? nil : number)
    harness.awaitLoop()
  case 6:
    client.askHeld()
    harness.awaitLoop()
  case 7, 8, 9:
    peer.awaitPong()
    guard !peer.requests.isEmpty else { return }
    let request = peer.requests.remove(at: step & 0x10 == 0 ? 0 : peer.requests.count - 1)
    var message = CoAPStreamMessage(code: .changed, token: request.token)
    if step & 0x20 != 0 { message.code = CoAPCode(rawValue: input.byte()) }
    if step & 0x40 != 0 { message.payload = input.run() }
    if step & 0x80 != 0 {
      let option = input.choice(CoAPOptionNumber.known)
      message.options.append(CoAPOption(option, input.take(Int(input.byte() & 7))))
    }
    peer.send(message)
  case 10: peer.send(HostileMembers.signal(step, &input))
  case 11:
    let bytes = input.run()
    if peer.framing == .webSocket, step & 0x10 == 0 { peer.send(frame: bytes) } else { peer.send(raw: bytes) }
  case 12:
    peer.send(CoAPStreamMessage(code: CoAPCode(rawValue: input.byte()), token: CoAPToken(input.take(4)) ?? CoAPToken()))
  case 13: peer.send(peer.request(.post, "e", [UInt8](repeating: step, count: Int(input.byte()) * 512)))
  case 14:
    // A delivery in blocks.
    var message = peer.request(.post, "e", input.run())
    message.options[uint: .block1] = input.number()
    peer.send(message)
  default: peer.awaitPong()
  }
}
