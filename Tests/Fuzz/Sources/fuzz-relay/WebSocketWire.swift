import Crypto
import Foundation

/// As much of RFC 6455 as both sides of a test need.
enum WebSocketWire {
  static let request = Array(
    """
    GET /.well-known/coap HTTP/1.1\r
    Host: 127.0.0.1\r
    Upgrade: websocket\r
    Connection: Upgrade\r
    Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r
    Sec-WebSocket-Version: 13\r
    Sec-WebSocket-Protocol: coap\r
    \r

    """.utf8)

  /// The answer to an upgrade.
  static func response(to head: [UInt8]) -> [UInt8] {
    let lines = String(decoding: head, as: UTF8.self).split(whereSeparator: \.isNewline)
    let key = lines.first { $0.lowercased().hasPrefix("sec-websocket-key:") }?.split(separator: ":").last ?? ""
    let text = key.trimmingCharacters(in: .whitespaces) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    let accept = Data(Insecure.SHA1.hash(data: Data(text.utf8))).base64EncodedString()
    return Array(
      """
      HTTP/1.1 101 Switching Protocols\r
      Upgrade: websocket\r
      Connection: Upgrade\r
      Sec-WebSocket-Accept: \(accept)\r
      Sec-WebSocket-Protocol: coap\r
      \r

      """.utf8)
  }

  /// Takes the head of an HTTP message.
  static func head(_ socket: Socket) -> [UInt8] {
    while true {
      let pending = Array(socket.pending)
      if let end = pending.indices.dropLast(3).first(where: { Array(pending[$0..<$0 + 4]) == [13, 10, 13, 10] }) {
        socket.drop(end + 4)
        return Array(pending[..<(end + 4)])
      }
      guard socket.fill() else { return [] }
    }
  }

  /// A frame with a mask of zeros, or none.
  static func frame(_ first: UInt8, _ data: [UInt8], masked: Bool) -> [UInt8] {
    let bit: UInt8 = masked ? 0x80 : 0
    var bytes = [first]
    switch data.count {
    case ..<126: bytes.append(bit | UInt8(data.count))
    case ..<65_536: bytes += [bit | 126, UInt8(data.count >> 8), UInt8(data.count & 255)]
    default: bytes += [bit | 127] + (0..<8).reversed().map { UInt8(truncatingIfNeeded: data.count >> ($0 * 8)) }
    }
    if masked { bytes += [0, 0, 0, 0] }
    return bytes + data
  }

  /// The first frame, with a mask of zeros or none: its first byte, its data, and how long it is.
  static func parse(_ bytes: ArraySlice<UInt8>) -> (UInt8, [UInt8], Int)? {
    let bytes = Array(bytes)
    guard bytes.count >= 2 else { return nil }
    var at = 2
    var length = Int(bytes[1] & 127)
    if length >= 126 {
      let count = length == 126 ? 2 : 8
      guard bytes.count >= 2 + count else { return nil }
      length = bytes[2..<2 + count].reduce(0) { $0 << 8 | Int($1) }
      at += count
    }
    var mask: [UInt8] = [0, 0, 0, 0]
    if bytes[1] & 128 != 0 {
      guard bytes.count >= at + 4 else { return nil }
      mask = Array(bytes[at..<at + 4])
      at += 4
    }
    guard bytes.count >= at + length else { return nil }
    let data = bytes[at..<at + length].enumerated().map { $1 ^ mask[$0 & 3] }
    return (bytes[0], data, at + length)
  }
}
