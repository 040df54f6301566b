import IEEE802154
import IPv6
import SixLoWPAN
import Wire

let now = Instant(seconds: 1_000)
let room = 8_192

/// Prefixes shorter than, as long as and longer than 64 bits; one that is expired and one that is receive-only.
let contexts: ContextTable = {
  var table = ContextTable()
  let address = IPv6Address(high: 0xfd00_0001_0002_0003, low: 0x0405_0607_0809_0a0b)
  for (identifier, length) in [(0, 64), (1, 0), (2, 48), (3, 72), (5, 112), (9, 128)] as [(UInt8, UInt8)] {
    table.set(identifier, prefix: IPv6Prefix(address, length: length), compress: true, expires: nil)
  }
  table.set(12, prefix: IPv6Prefix(address, length: 64), compress: true, expires: Instant(seconds: -9_999))
  table.set(13, prefix: IPv6Prefix(address, length: 64), compress: false, expires: nil)
  return table
}()

func address(_ selector: UInt8) -> MACAddress {
  switch selector & 3 {
  case 0: .absent
  case 1: .short(ShortAddress(0x0b02))
  case 2: .short(.broadcast)
  default: .extended(ExtendedAddress(0x0607_0607_0809_0a0b))
  }
}

func decompress(_ frame: [UInt8], _ link: LowpanLink, datagramSize: Int?) throws(ParseError) -> (
  packet: [UInt8], elided: ElidedChecksum?
) {
  var packet = [UInt8](repeating: 0, count: room)
  var reader = ByteReader(frame.rawSpan)
  var writer = ByteWriter(packet.mutableRawSpan)
  let elided = try decompressDatagram(
    from: &reader, into: &writer, link: link, contexts: contexts, now: now, datagramSize: datagramSize)
  precondition(reader.isAtEnd)
  let count = writer.count
  return (Array(packet.prefix(count)), elided)
}

/// Whatever a packet is, its compressed form gives it back and is no longer.
func roundTrip(_ packet: [UInt8], _ link: LowpanLink, _ options: CompressionOptions) {
  var covered = 0
  guard
    let headers = try? withWriter(
      capacity: room,
      { (writer) throws(EmitError) in
        covered = try compressHeaders(
          of: packet.rawSpan, into: &writer, link: link, contexts: contexts, now: now, options: options)
      })
  else {
    // Only for want of a header, of a right length or of a right checksum.
    precondition(
      options.elideUDPChecksum || (try? IPv6Header(parsing: Array(packet.prefix(40)))) == nil
        || Int(packet[4]) << 8 | Int(packet[5]) != packet.count - 40)
    return
  }
  let frame = headers + packet.dropFirst(covered)
  precondition(frame.count <= packet.count + 1)
  guard let back = try? decompress(frame, link, datagramSize: nil) else {
    preconditionFailure("\(frame.hex) does not decompress")
  }
  precondition(back.packet == packet && back.elided == nil)
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  guard let data, count > 2 else { return 0 }
  let selector = data[0]
  let link = LowpanLink(source: address(selector), destination: address(selector >> 2))
  let options = CompressionOptions(
    genericHeaderCompression: data[1] & 1 != 0, elideUDPChecksum: data[1] & 2 != 0,
    contexts: data[1] & 4 != 0 ? 0xffff : UInt16(data[1]))
  let bytes = [UInt8](UnsafeBufferPointer(start: data + 2, count: count - 2))
  switch selector >> 4 & 3 {
  case 0, 1:
    guard let result = try? decompress(bytes, link, datagramSize: nil), bytes[0] & 0xe0 == 0x60 else { break }
    // Lengths were inferred, so it is a whole packet, and its checksum is in place.
    precondition(result.elided == nil)
    precondition((try? IPv6Packet(result.packet.rawSpan).payload.byteCount) == result.packet.count - 40)
    roundTrip(result.packet, link, options)
  case 2:
    let size = Int(data[1]) << 3
    guard let result = try? decompress(bytes, link, datagramSize: size) else { break }
    precondition(result.packet.count <= size)
    guard let elided = result.elided else { break }
    var whole = result.packet + [UInt8](repeating: 0x5a, count: size - result.packet.count)
    elided.restore(in: &whole, count: size)
    precondition(whole[elided.offset] | whole[elided.offset + 1] != 0)
  default:
    // A whole packet of these bytes.
    guard bytes.count >= 40 else { break }
    var packet = bytes
    packet[0] = 0x60 | packet[0] & 15
    packet[4] = UInt8((packet.count - 40) >> 8)
    packet[5] = UInt8((packet.count - 40) & 0xff)
    roundTrip(packet, link, options)
  }
  return 0
}
