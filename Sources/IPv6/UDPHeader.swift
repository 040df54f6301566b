import Wire

/// The UDP header (RFC 768): 8 bytes.
@frozen
public struct UDPHeader: Hashable, Sendable, WireValue {
  /// Bytes of the header on the wire.
  @inlinable public static var length: Int { 8 }

  public var sourcePort: UInt16
  public var destinationPort: UInt16
  /// Bytes of header and data, 8 or more.
  public var length: UInt16
  /// As on the wire; never zero over IPv6 (RFC 8200, 8.1).
  public var checksum: UInt16

  @inlinable
  public init(sourcePort: UInt16, destinationPort: UInt16, length: UInt16, checksum: UInt16 = 0) {
    self.sourcePort = sourcePort
    self.destinationPort = destinationPort
    self.length = length
    self.checksum = checksum
  }

  /// Reads the 8 bytes. A length under 8 is ``DropReason/udpLengthMismatch``.
  @inlinable
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    let tooShort = ParseError(.udpLengthMismatch, at: reader.offset &+ 4)
    let word = try reader.u64()
    sourcePort = UInt16(truncatingIfNeeded: word >> 48)
    destinationPort = UInt16(truncatingIfNeeded: word >> 32)
    length = UInt16(truncatingIfNeeded: word >> 16)
    checksum = UInt16(truncatingIfNeeded: word)
    guard length >= 8 else { throw tooShort }
  }

  @inlinable public var encodedLength: Int { Self.length }

  /// Writes the 8 bytes. A length under 8 is ``EmitError/notRepresentable``.
  @inlinable
  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    guard length >= 8 else { throw .notRepresentable }
    let ports = UInt64(sourcePort) << 48 | UInt64(destinationPort) << 32
    try writer.u64(ports | UInt64(length) << 16 | UInt64(checksum))
  }

  /// The checksum for this header over `payload`, never zero: a sum of zero is sent as `0xffff` (RFC 8200, 8.1).
  /// The ``checksum`` field itself is not looked at.
  @inlinable
  public func computedChecksum(source: IPv6Address, destination: IPv6Address, payload: RawSpan) -> UInt16 {
    var sum = InternetChecksum()
    sum.addPseudoHeader(
      source: source, destination: destination, upperLayerLength: UInt32(length), nextHeader: .udp)
    sum.add(sourcePort)
    sum.add(destinationPort)
    sum.add(length)
    sum.add(payload)
    let value = sum.value
    return value == 0 ? 0xffff : value
  }
}

/// A UDP datagram as a view.
@frozen
public struct UDPDatagram: ~Escapable {
  public let header: UDPHeader
  @usableFromInline let _payload: RawSpan

  @inlinable public var payload: RawSpan {
    @_lifetime(copy self) get { _payload }
  }

  /// Parses a datagram that fills `bytes` and verifies its checksum over the pseudo header.
  ///
  /// Throws ``DropReason/udpLengthMismatch`` if the length field is not the number of bytes,
  /// ``DropReason/udpChecksumZero`` for a zero checksum, which IPv6 forbids, and
  /// ``DropReason/udpChecksumMismatch`` for a wrong one. Offsets count from the start of `bytes`.
  @inlinable
  @_lifetime(copy bytes)
  public init(_ bytes: RawSpan, source: IPv6Address, destination: IPv6Address) throws(ParseError) {
    var reader = ByteReader(bytes)
    let header = try UDPHeader(parsing: &reader)
    guard Int(header.length) == bytes.byteCount else { throw ParseError(.udpLengthMismatch, at: 4) }
    guard header.checksum != 0 else { throw ParseError(.udpChecksumZero, at: 6) }
    guard InternetChecksum.isValid(bytes, source: source, destination: destination, nextHeader: .udp) else {
      throw ParseError(.udpChecksumMismatch, at: 6)
    }
    self.header = header
    self._payload = reader.takeRest()
  }
}
