import Wire

/// A link-layer address of IEEE 802.15.4 as a neighbour discovery option carries it (RFC 4944, 8).
@frozen
public enum LinkLayerAddress: Hashable, Sendable {
  /// A 16-bit short address: an option of 8 bytes.
  case short(UInt16)
  /// An EUI-64, first octet most significant: an option of 16 bytes.
  case extended(UInt64)

  /// The interface identifier made of it.
  @inlinable public var interfaceIdentifier: UInt64 {
    switch self {
    case .short(let address): IPv6Address.interfaceIdentifier(shortAddress: address)
    case .extended(let address): IPv6Address.interfaceIdentifier(eui64: address)
    }
  }

  @inlinable var optionLength: Int {
    switch self {
    case .short: 8
    case .extended: 16
    }
  }

  /// Reads the address and its padding; `optionLength` tells which it is.
  @inlinable
  @_lifetime(reader: copy reader)
  init(option reader: inout ByteReader, optionLength: Int) throws(ParseError) {
    switch optionLength {
    case 8:
      self = .short(try reader.u16())
      try reader.skip(4)
    case 16:
      self = .extended(try reader.u64())
      try reader.skip(6)
    default: throw reader.error(.ndOptionMalformed)
    }
  }

  @inlinable
  @_lifetime(writer: copy writer)
  func emitPadded(into writer: inout ByteWriter) throws(EmitError) {
    switch self {
    case .short(let address):
      try writer.u16(address)
      try writer.zeros(4)
    case .extended(let address):
      try writer.u64(address)
      try writer.zeros(6)
    }
  }
}
