import IEEE802154
import IPv6
import Wire

/// How one address is written in an IPHC (RFC 6282, 3.1.1).
struct AddressForm {
  /// SAC and SAM, or M, DAC and DAM.
  var mode: UInt16
  /// The context, zero if none is used.
  var context: UInt8 = 0
  /// Bytes in-line: the last `length` bytes of `inline`, except for 16, which is the whole address.
  var length: Int
  var inline: UInt64 = 0

  /// Writes the in-line part.
  @_lifetime(writer: copy writer)
  func emit(_ address: IPv6Address, into writer: inout ByteWriter) throws(EmitError) {
    switch length {
    case 0: break
    case 1: try writer.u8(UInt8(truncatingIfNeeded: inline))
    case 2: try writer.u16(UInt16(truncatingIfNeeded: inline))
    case 4: try writer.u32(UInt32(truncatingIfNeeded: inline))
    case 6:
      try writer.u16(UInt16(truncatingIfNeeded: inline >> 32))
      try writer.u32(UInt32(truncatingIfNeeded: inline))
    case 8: try writer.u64(inline)
    default: try address.emit(into: &writer)
    }
  }
}

/// The forms of the two addresses of a header that are shortest together.
///
/// A context other than 0 costs one byte, once for both addresses.
struct AddressForms {
  var source: AddressForm
  var destination: AddressForm

  /// Whether the context identifier extension is needed.
  var needsIdentifiers: Bool { source.context != 0 || destination.context != 0 }

  init(
    source: IPv6Address, destination: IPv6Address, link: LowpanLink, contexts: borrowing ContextTable,
    now: Instant, usable: UInt16
  ) {
    self.source = Self.stateless(source, link.source)
    self.destination =
      destination.isMulticast
      ? Self.multicast(destination) : Self.stateless(destination, link.destination)
    if source.isUnspecified { self.source = AddressForm(mode: 4, length: 0) }

    // First with context 0 alone, which costs nothing; then with the others, if that saves more than the byte.
    var withOthers = self
    for identifier in UInt8(0)..<16 where usable >> UInt16(identifier) & 1 == 1 {
      guard let prefix = contexts.compressionPrefix(identifier, now: now) else { continue }
      let forms = (
        source: Self.stateful(source, link.source, identifier, prefix),
        destination: destination.isMulticast
          ? Self.multicast(destination, identifier, prefix)
          : Self.stateful(destination, link.destination, identifier, prefix)
      )
      if let form = forms.source, form.length < withOthers.source.length {
        withOthers.source = form
        if identifier == 0 { self.source = form }
      }
      if let form = forms.destination, form.length < withOthers.destination.length {
        withOthers.destination = form
        if identifier == 0 { self.destination = form }
      }
    }
    if withOthers.length < length { self = withOthers }
  }

  private var length: Int { source.length + destination.length + (needsIdentifiers ? 1 : 0) }

  private static func stateless(_ address: IPv6Address, _ link: MACAddress) -> AddressForm {
    guard address.high == 0xfe80 << 48 else { return AddressForm(mode: 0, length: 16) }
    if address.low == link.interfaceIdentifier { return AddressForm(mode: 3, length: 0) }
    if let short = address.shortAddress { return AddressForm(mode: 2, length: 2, inline: UInt64(short)) }
    return AddressForm(mode: 1, length: 8, inline: address.low)
  }

  private static func stateful(
    _ address: IPv6Address, _ link: MACAddress, _ context: UInt8, _ prefix: IPv6Prefix
  ) -> AddressForm? {
    // What the receiver will make of each form says whether it may be used: prefixes may be longer than 64 bits.
    if let identifier = link.interfaceIdentifier, prefix.address(interfaceIdentifier: identifier) == address {
      return AddressForm(mode: 7, context: context, length: 0)
    }
    let short = UInt16(truncatingIfNeeded: address.low)
    if prefix.address(interfaceIdentifier: IPv6Address.interfaceIdentifier(shortAddress: short)) == address {
      return AddressForm(mode: 6, context: context, length: 2, inline: UInt64(short))
    }
    if prefix.address(interfaceIdentifier: address.low) == address {
      return AddressForm(mode: 5, context: context, length: 8, inline: address.low)
    }
    return nil
  }

  private static func multicast(_ address: IPv6Address) -> AddressForm {
    let flagsAndScope = address.high >> 48 & 0xff
    if address.high << 16 == 0 {
      if flagsAndScope == 2, address.low < 1 << 8 {
        return AddressForm(mode: 11, length: 1, inline: address.low)
      }
      if address.low < 1 << 24 {
        return AddressForm(mode: 10, length: 4, inline: flagsAndScope << 24 | address.low)
      }
      if address.low < 1 << 40 {
        return AddressForm(mode: 9, length: 6, inline: flagsAndScope << 40 | address.low)
      }
    }
    return AddressForm(mode: 8, length: 16)
  }

  /// The unicast-prefix-based form (RFC 6282, 3.2.4).
  private static func multicast(_ address: IPv6Address, _ context: UInt8, _ prefix: IPv6Prefix)
    -> AddressForm?
  {
    guard prefix.length <= 64, address.high >> 32 & 0xff == UInt64(prefix.length),
      address.high << 32 | address.low >> 32 == prefix.address.high
    else { return nil }
    let inline = (address.high >> 40 & 0xffff) << 32 | address.low & 0xffff_ffff
    return AddressForm(mode: 12, context: context, length: 6, inline: inline)
  }
}
