import BorderRouter
import CoAP
import IEEE802154
import IPv6
import SixLoWPAN
import Wire

/// A generator with a seed.
struct Generator: RandomNumberGenerator, Sendable {
  var state: UInt64
  mutating func next() -> UInt64 {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return state ^ state >> 29
  }
}

let configuration: PANConfiguration = {
  let prefix = IPv6Prefix(IPv6Address(high: 0xfd00_0001_0000_0000, low: 0), length: 64)
  var configuration = PANConfiguration(
    panID: PANIdentifier(0xabcd), extendedAddress: ExtendedAddress(0x0270_616e_6700_0001),
    shortAddress: ShortAddress(1), prefix: prefix)
  configuration.contexts.set(1, prefix: prefix, compress: true, expires: nil)
  configuration.maximumNeighbors = 8
  configuration.maximumAddressesPerRadio = 3
  return configuration
}()

/// Frames out of `input`, each behind two bytes: what is known of it, and its length.
func forEachFrame(_ input: [UInt8], _ body: ([UInt8], FrameMetadata) -> Void) {
  var now = Instant(seconds: 1_000_000)
  var position = 0
  while position + 1 < input.count {
    let (flags, length) = (input[position], Int(input[position + 1]))
    let frame = Array(input[(position + 2)...].prefix(length))
    position += 2 + frame.count
    now = now.advanced(by: .milliseconds(Int(flags >> 2) * 50))
    body(frame, FrameMetadata(timestamp: now, fcsPresent: flags & 1 != 0, alreadyDecrypted: flags & 2 != 0))
  }
}

/// Every frame comes to one end: what is delivered is a packet with right lengths, and what fails is counted.
func decode(_ input: [UInt8]) {
  var decoder = FrameDecoder()
  decoder.contexts = configuration.contexts
  var failures: UInt64 = 0
  forEachFrame(input) { frame, metadata in
    let decoded = decoder.decode(frame.rawSpan, metadata)
    if decoded.failure != nil { failures += 1 }
    if case .packet = decoded.outcome {
      precondition(decoded.header != nil && decoded.ip != nil)
      precondition((try? IPv6Packet(decoded.packet).payload.byteCount) == decoded.packet.byteCount - IPv6Header.length)
      precondition(decoded.payloadOffset >= IPv6Header.length && decoded.payloadOffset <= decoded.packet.byteCount)
    }
  }
  precondition(decoder.drops.total == failures)
  let expired = decoder.expire(now: Instant(seconds: 2_000_000))
  precondition(decoder.drops.total == failures + UInt64(expired) && decoder.datagramsUnderWay == 0)
}

/// A border router among nodes that send anything: it sends only from its own addresses, and all bounds hold.
func live(_ input: [UInt8]) {
  var stack = PANStack(configuration: configuration, random: Generator(state: 1))
  let own = Set(configuration.addresses)
  var observer = FrameDecoder(configuration: FrameDecoderConfiguration(coapPorts: [], learnsContexts: false))
  observer.contexts = configuration.contexts
  var last = Instant(seconds: 1_000_000)

  func take() {
    for event in stack.takeEvents() {
      guard case .request(let id, let request) = event else { continue }
      let response = CoAPResponse(.changed, payload: request.request.payload)
      precondition(stack.respond(to: id, with: response, now: last))
      precondition(!stack.respond(to: id, with: response, now: last))
    }
    for frame in stack.takeTransmissions() {
      precondition(frame.count + FCS.length <= configuration.maximumFrameLength)
      let decoded = observer.decode(frame.rawSpan, FrameMetadata(timestamp: last, fcsPresent: false))
      precondition(decoded.failure == nil && decoded.header?.source == .extended(configuration.extendedAddress))
      // Nothing is forwarded.
      if let ip = decoded.ip { precondition(own.contains(ip.source)) }
    }
    precondition(stack.neighbors.entries.count <= configuration.maximumNeighbors)
    let shares = Dictionary(grouping: stack.neighbors.entries.values, by: \.radio)
    precondition(shares.values.allSatisfy { $0.count <= configuration.maximumAddressesPerRadio })
  }

  forEachFrame(input) { frame, metadata in
    last = metadata.timestamp
    stack.receive(frame.rawSpan, metadata: metadata)
    take()
  }
  var steps = 0
  while let next = stack.nextTimeout {
    last = max(last, next)
    stack.timeout(at: last)
    take()
    steps += 1
    precondition(steps < 10_000)
  }
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  guard let data, count > 1 else { return 0 }
  let bytes = [UInt8](UnsafeBufferPointer(start: data + 1, count: count - 1))
  if data[0] & 1 == 0 { decode(bytes) } else { live(bytes) }
  return 0
}
