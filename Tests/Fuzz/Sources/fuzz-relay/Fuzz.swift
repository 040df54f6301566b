import CoAP

/// A relay with its ports, and its client, against peers that say what the input wants.
///
/// Each input runs until all its connections have closed and the relay's engine has done what they left, so that whatever
/// stops the process stops it while that input runs.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  guard let data, count > 0 else { return 0 }
  let harness = Harness.shared
  var input = Input([UInt8](UnsafeBufferPointer(start: data + 1, count: count - 1)))
  let framing: CoAPStreamFraming = data.pointee & 4 == 0 ? .tcp : .webSocket
  var restarting = false
  switch data.pointee & 3 {
  case 0: stranger(&input, framing, harness)
  case 1: webSocket(&input, harness)
  case 2:
    var members = HostileMembers(harness, framing)
    members.run(&input)
    restarting = members.hasChangedList
  default: hostileRelay(&input, framing, harness)
  }
  harness.settle(restarting: restarting)
  return 0
}

/// Bytes before there is a session, behind a proper beginning or not.
func stranger(_ input: inout Input, _ framing: CoAPStreamFraming, _ harness: Harness) {
  let peer = StreamPeer.client(harness, framing)
  let how = input.byte()
  if how & 1 == 1 { peer.send(CoAPSignal.capabilities(CoAPCapabilities()).message()) }
  if how & 2 == 2 { peer.send(peer.request(.get, "hello")) }
  // In several pieces, as a network may have it.
  for _ in 0..<Int(how >> 4) {
    let piece = input.run()
    if framing == .webSocket { peer.send(frame: piece) } else { peer.send(raw: piece) }
  }
  peer.send(raw: input.rest())
  peer.socket.finish()
}

/// Frames of WebSockets, or what is no upgrade to them.
func webSocket(_ input: inout Input, _ harness: Harness) {
  let how = input.byte()
  let socket = Socket.connected(to: harness.port(.webSocket))
  switch how & 3 {
  case 0: socket.send(input.rest())
  case 1:
    var request = WebSocketWire.request
    request.mutate(&input)
    socket.send(request + input.rest())
  default:
    socket.send(WebSocketWire.request)
    // With the request, or after its answer.
    if how & 4 == 0 { _ = WebSocketWire.head(socket) }
  }
  if how & 8 == 0, let csm = try? CoAPSignal.capabilities(CoAPCapabilities()).message().encoded(.webSocket) {
    socket.send(WebSocketWire.frame(0x82, csm, masked: true))
  }
  var count = 0
  while !input.isAtEnd, count < 256 {
    count += 1
    let first = input.byte()
    var data = input.run()
    if first & 0x30 == 0x30 { data = [UInt8](repeating: first, count: data.count * 1000) }
    let frame = WebSocketWire.frame(first & 0xcf, data, masked: first & 0x20 == 0 || how & 16 == 0)
    socket.send(frame)
  }
  socket.finish()
}
