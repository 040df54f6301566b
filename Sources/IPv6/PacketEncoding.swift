import Wire

extension IPv6Header {
  /// A whole packet: this header with its payload length set, and `payload`.
  ///
  /// ``EmitError/notRepresentable`` for payloads over 65,535 bytes.
  public func packet(_ payload: [UInt8]) throws(EmitError) -> [UInt8] {
    guard let length = UInt16(exactly: payload.count) else { throw .notRepresentable }
    var header = self
    header.payloadLength = length
    return try withWriter(capacity: Self.length + payload.count) { (writer) throws(EmitError) in
      try header.emit(into: &writer)
      try writer.bytes(payload)
    }
  }
}

extension UDPHeader {
  /// A whole datagram with its length and checksum.
  ///
  /// ``EmitError/notRepresentable`` for payloads over 65,527 bytes.
  public static func datagram(
    source: IPv6Address, sourcePort: UInt16, destination: IPv6Address, destinationPort: UInt16,
    payload: [UInt8]
  ) throws(EmitError) -> [UInt8] {
    guard let length = UInt16(exactly: Self.length + payload.count) else { throw .notRepresentable }
    var header = UDPHeader(sourcePort: sourcePort, destinationPort: destinationPort, length: length)
    header.checksum = header.computedChecksum(
      source: source, destination: destination, payload: payload.rawSpan)
    return try withWriter(capacity: Int(length)) { (writer) throws(EmitError) in
      try header.emit(into: &writer)
      try writer.bytes(payload)
    }
  }
}
