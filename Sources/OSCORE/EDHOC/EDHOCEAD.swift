import COSE
import Wire

/// An item of external authorization data (RFC 9528, 3.8), opaque to EDHOC.
public struct EDHOCEADItem: Hashable, Sendable {
  /// The label of padding.
  public static let paddingLabel: UInt64 = 0

  /// The registered label, without its sign.
  public var label: UInt64
  /// Whether a receiver that does not know the label must abort. Padding cannot be critical.
  public var isCritical: Bool
  /// The content, if there is any.
  public var value: [UInt8]?

  public init(label: UInt64, isCritical: Bool = false, value: [UInt8]? = nil) {
    self.label = label
    self.isCritical = isCritical
    self.value = value
  }

  /// Whether the item only makes the message longer.
  public var isPadding: Bool { label == Self.paddingLabel }
}

extension [EDHOCEADItem] {
  /// Reads the items that end a message or a plaintext.
  @_lifetime(reader: copy reader)
  init(readingRest reader: inout CBORReader) throws(ParseError) {
    self = []
    while !reader.isAtEnd {
      let signed = try reader.integer()
      var item = EDHOCEADItem(label: signed.magnitude, isCritical: signed < 0)
      if !reader.isAtEnd, try reader.peekKind() == .bytes { item.value = try reader.bytes().array() }
      append(item)
    }
  }

  /// Writes the items. Throws ``EmitError/notRepresentable`` for critical padding and labels over 63 bits.
  func write(to writer: inout CBORWriter) throws(EmitError) {
    for item in self {
      guard item.label <= UInt64(Int64.max), !item.isCritical || item.label > 0 else { throw .notRepresentable }
      writer.integer(item.isCritical ? -Int64(item.label) : Int64(item.label))
      if let value = item.value { writer.bytes(value) }
    }
  }

  /// The encoded items.
  func sequence() throws(EmitError) -> [UInt8] {
    var writer = CBORWriter()
    try write(to: &writer)
    return writer.bytes
  }

  /// What the application sees: no padding. Throws ``DropReason/edhocCriticalUnknown`` for a critical item whose label
  /// is not in `understood`.
  func checked(understood: Set<UInt64>) throws(ParseError) -> [EDHOCEADItem] {
    for item in self where item.isCritical && !understood.contains(item.label) {
      throw ParseError(.edhocCriticalUnknown)
    }
    return filter { !$0.isPadding }
  }
}
