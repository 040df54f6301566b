import Wire

/// The first octet of a spinel frame: `10`, the interface (0 to 3) and the transaction (0 to 15).
public struct SpinelHeader: Hashable, Sendable {
  /// Which of several networks on one co-processor; 0 unless there are several.
  public var interface: UInt8
  /// Joins an answer to its request; 0 if there is no request or no answer is wanted.
  public var transaction: UInt8

  /// Only the low two bits of `interface` and the low four of `transaction` count.
  public init(interface: UInt8 = 0, transaction: UInt8) {
    self.interface = interface & 3
    self.transaction = transaction & 15
  }

  /// `nil` if the octet does not begin with the bits `10`.
  init?(octet: UInt8) {
    guard octet & 0xc0 == 0x80 else { return nil }
    self.init(interface: octet >> 4, transaction: octet)
  }

  var octet: UInt8 { 0x80 | interface << 4 | transaction }
}

/// What a spinel frame is for. Other numbers exist and are kept.
public struct SpinelCommand: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  // Host to co-processor.
  public static let reset = SpinelCommand(rawValue: 1)
  public static let get = SpinelCommand(rawValue: 2)
  public static let set = SpinelCommand(rawValue: 3)
  public static let insert = SpinelCommand(rawValue: 4)
  public static let remove = SpinelCommand(rawValue: 5)
  // Co-processor to host.
  public static let valueIs = SpinelCommand(rawValue: 6)
  public static let inserted = SpinelCommand(rawValue: 7)
  public static let removed = SpinelCommand(rawValue: 8)

  /// The frame begins with a property after the command.
  var hasProperty: Bool { rawValue >= Self.get.rawValue && rawValue <= Self.removed.rawValue }
  /// A co-processor says it. (What only hosts say and comes back is an echo.)
  var isAnswer: Bool { self == .valueIs || self == .inserted || self == .removed }
}

/// A spinel frame without its HDLC framing.
public struct SpinelFrame: Hashable, Sendable, WireValue {
  public var header: SpinelHeader
  public var command: SpinelCommand
  /// Of the commands about properties; `nil` of all others.
  public var property: SpinelProperty?
  /// What follows: the value of the property, or the command's own arguments.
  public var value: [UInt8]

  /// The property of a command that has none is not sent, so do not give one.
  public init(
    _ command: SpinelCommand, _ property: SpinelProperty?, _ value: [UInt8] = [], transaction: UInt8,
    interface: UInt8 = 0
  ) {
    header = SpinelHeader(interface: interface, transaction: transaction)
    self.command = command
    self.property = property
    self.value = value
  }

  /// CMD_RESET. Its answer is a ``SpinelStatus`` of a reset with transaction 0.
  public static func reset(_ kind: SpinelReset) -> SpinelFrame {
    SpinelFrame(.reset, nil, [kind.rawValue], transaction: 0)
  }

  /// Reads a frame to the end of `reader`. ``DropReason/spinelMalformed`` for a first octet that is none of spinel's.
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    let start = reader.error(.spinelMalformed)
    guard let header = SpinelHeader(octet: try reader.u8()) else { throw start }
    self.header = header
    command = SpinelCommand(rawValue: try reader.spinelPacked())
    property = command.hasProperty ? SpinelProperty(rawValue: try reader.spinelPacked()) : nil
    value = reader.takeRest().array()
  }

  public var encodedLength: Int {
    1 + spinelPackedLength(command.rawValue) + (property.map { spinelPackedLength($0.rawValue) } ?? 0) + value.count
  }

  /// ``EmitError/notRepresentable`` for a property where the command has none, or none where it has one.
  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    guard command.hasProperty == (property != nil) else { throw .notRepresentable }
    try writer.u8(header.octet)
    try writer.spinelPacked(command.rawValue)
    if let property { try writer.spinelPacked(property.rawValue) }
    try writer.bytes(value)
  }
}

/// The argument of CMD_RESET.
public enum SpinelReset: UInt8, Sendable, Hashable, CaseIterable {
  /// The whole device; one with USB of its own may disappear for a moment.
  case platform = 1
  /// The protocol stack only.
  case stack = 2
}
