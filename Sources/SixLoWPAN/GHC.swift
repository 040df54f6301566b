import IPv6
import Wire

/// Generic header compression (RFC 7400): an LZ77 bytecode whose dictionary begins with the addresses of the packet.
enum GHC {
  /// The end of a compressed extension header (RFC 7400, 3.2).
  static let stopCode: UInt8 = 0x90

  /// The predefined dictionary: both addresses, and the 16 bytes of RFC 7400, figure 1.
  static func dictionary(source: IPv6Address, destination: IPv6Address) -> [UInt8] {
    source.bytes + destination.bytes + [
      0x16, 0xfe, 0xfd, 0x17, 0xfe, 0xfd, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00,
    ]
  }

  /// Decompresses up to the stop code or, without one, the end of `reader`.
  ///
  /// Throws ``DropReason/lowpanGHCMalformed`` for reserved codes, references to before the dictionary and arguments
  /// cut short, and ``DropReason/lowpanDatagramTooLong`` if the output is longer than `limit` bytes.
  @_lifetime(reader: copy reader)
  static func decompress(
    from reader: inout ByteReader, source: IPv6Address, destination: IPv6Address, limit: Int
  ) throws(ParseError) -> (bytes: [UInt8], stopped: Bool) {
    var output = dictionary(source: source, destination: destination)
    let prefix = output.count
    var extraDistance = 0
    var extraCount = 0
    while !reader.isAtEnd {
      let malformed = reader.error(.lowpanGHCMalformed)
      let tooLong = reader.error(.lowpanDatagramTooLong)
      let room = limit - (output.count - prefix)
      let code = try reader.u8()
      switch code {
      case 0x00..<0x60:
        guard Int(code) <= reader.remaining else { throw malformed }
        guard Int(code) <= room else { throw tooLong }
        let literal = try reader.bytes(Int(code))
        for index in 0..<literal.byteCount { output.append(literal[byteAt: index]) }
      case 0x80..<0x90:
        let count = Int(code & 15) + 2
        guard count <= room else { throw tooLong }
        for _ in 0..<count { output.append(0) }
      case stopCode:
        return (Array(output.dropFirst(prefix)), true)
      case 0xa0..<0xc0:
        extraDistance += Int(code & 15) << 3
        extraCount += Int(code & 16) >> 1
      case 0xc0...0xff:
        let count = extraCount + Int(code >> 3 & 7) + 2
        let distance = Int(code & 7) + extraDistance + count
        guard distance <= output.count else { throw malformed }
        guard count <= room else { throw tooLong }
        let start = output.count - distance
        for index in start..<start + count { output.append(output[index]) }
        extraDistance = 0
        extraCount = 0
      default: throw malformed
      }
    }
    return (Array(output.dropFirst(prefix)), false)
  }
}
