import IEEE802154
import IPv6
import SixLoWPAN
import Wire

let limits = ReassemblyLimits(maximumDatagrams: 4, bytesPerSource: 2_048, timeout: .seconds(3))

let contexts: ContextTable = {
  var table = ContextTable()
  let address = IPv6Address(high: 0xfd00_0001_0000_0000, low: 0)
  table.set(1, prefix: IPv6Prefix(address, length: 64), compress: true, expires: nil)
  return table
}()

func link(_ selector: UInt8) -> LowpanLink {
  let number = UInt16(selector & 7)
  let source: MACAddress =
    selector & 8 == 0 ? .short(ShortAddress(number)) : .extended(ExtendedAddress(UInt64(number)))
  return LowpanLink(source: source, destination: .short(ShortAddress(0x0b00)))
}

/// Payloads from several senders: the bounds hold, a packet has the length that was said, and time empties everything.
///
/// The input is a row of steps: a byte for the sender, one for the time that passes, and one for how many bytes of what
/// follows are the payload.
func receive(_ input: [UInt8]) {
  var receiver = LowpanReceiver(limits: limits)
  var now = Instant(seconds: 1_000)
  var position = 0
  while position + 2 < input.count {
    let (sender, pause, length) = (input[position], input[position + 1], Int(input[position + 2]))
    let payload = Array(input[(position + 3)...].prefix(length))
    position += 3 + payload.count
    now = now.advanced(by: .milliseconds(Int(pause) * 4))
    let before = receiver.reassembler.count
    let reception = try? receiver.receive(payload.rawSpan, link: link(sender), contexts: contexts, now: now)
    precondition(receiver.reassembler.count <= limits.maximumDatagrams)
    precondition(receiver.reassembler.count <= before + 1)
    if case .datagram(let count)? = reception {
      precondition(receiver.datagram.byteCount == count)
    } else {
      precondition(receiver.datagram.byteCount == 0)
    }
    if pause & 1 != 0 { _ = receiver.reassembler.expire(now: now) }
    if let deadline = receiver.reassembler.nextDeadline {
      precondition(deadline <= now.advanced(by: limits.timeout))
    } else {
      precondition(receiver.reassembler.count == 0)
    }
  }
  _ = receiver.reassembler.expire(now: now.advanced(by: limits.timeout))
  precondition(receiver.reassembler.count == 0 && receiver.reassembler.nextDeadline == nil)
}

/// A packet of these bytes comes through fragments in the order that `order` says, copies among them.
func fragment(_ bytes: [UInt8], room: Int, order: [UInt8]) {
  var packet = [0x60, 0, 0, 0, UInt8(bytes.count >> 8), UInt8(bytes.count & 0xff), 59, 64] + bytes.prefix(32)
  packet += [UInt8](repeating: 0, count: 40 - packet.count)
  packet += bytes
  let fragmenter = Fragmenter(room: room, link: link(1), options: CompressionOptions(contexts: 0xffff))
  guard
    let payloads = try? fragmenter.payloads(of: packet.rawSpan, contexts: contexts, now: Instant(seconds: 1), tag: 9)
  else { return }
  var receiver = LowpanReceiver(limits: limits)
  var waiting = payloads
  var (turn, completed) = (0, false)
  while !waiting.isEmpty {
    precondition(waiting.allSatisfy { $0.count <= room } && !completed)
    let choice = turn < order.count ? Int(order[turn]) : 0
    turn += 1
    let next = waiting.remove(at: choice % waiting.count)
    guard
      let reception = try? receiver.receive(next.rawSpan, link: link(1), contexts: contexts, now: Instant(seconds: 1))
    else { preconditionFailure("\(next.hex) is refused") }
    if case .datagram = reception {
      completed = true
      precondition(receiver.datagram.array() == packet)
    } else if choice & 0x80 != 0 {
      // A copy on the way changes nothing.
      let copy = try? receiver.receive(next.rawSpan, link: link(1), contexts: contexts, now: Instant(seconds: 1))
      precondition(copy == nil && receiver.reassembler.count == 1)
    }
  }
  precondition(completed && receiver.reassembler.count == 0)
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  guard let data, count > 2 else { return 0 }
  let bytes = [UInt8](UnsafeBufferPointer(start: data, count: count))
  switch bytes[0] & 3 {
  case 0, 1: receive(Array(bytes.dropFirst()))
  case 2:
    let body = bytes.dropFirst(2)
    let order = Array(body.prefix(32))
    // Up to the 2,047 bytes that fragments can carry.
    fragment(Array(body.dropFirst(32).prefix(2_000)), room: 13 + Int(bytes[1] & 0x7f), order: order)
  default:
    if let header = try? MeshHeader(parsing: Array(bytes.dropFirst())) {
      precondition((try? header.encoded()).flatMap { try? MeshHeader(parsing: $0) } == header)
    }
    if let header = try? FirstFragmentHeader(parsing: Array(bytes[1...].prefix(4))) {
      precondition((try? header.encoded()) == Array(bytes[1...].prefix(4)))
    }
    if let header = try? NextFragmentHeader(parsing: Array(bytes[1...].prefix(5))) {
      precondition((try? header.encoded()) == Array(bytes[1...].prefix(5)))
    }
    if let header = try? BroadcastHeader(parsing: Array(bytes[1...].prefix(2))) {
      precondition((try? header.encoded()) == Array(bytes[1...].prefix(2)))
    }
  }
  return 0
}
