/// The kind of a frame (IEEE 802.15.4-2020, 7.2.2.2).
@frozen
public enum FrameType: UInt8, CaseIterable, Sendable, Hashable {
  case beacon = 0
  case data = 1
  case acknowledgment = 2
  case command = 3
  case reserved = 4
  case multipurpose = 5
  case fragment = 6
  case extended = 7
}

/// Which edition of the standard a frame follows (7.2.2.10).
@frozen
public enum FrameVersion: UInt8, CaseIterable, Sendable, Hashable {
  case v2003 = 0
  case v2006 = 1
  case v2015 = 2
}

/// How a frame carries an address (7.2.2.9).
@frozen
public enum AddressingMode: UInt8, Sendable, Hashable {
  case absent = 0
  case reserved = 1
  case short = 2
  case extended = 3
}

/// The Frame Control field of beacon, data, acknowledgment and command frames (IEEE 802.15.4-2020, 7.2.2).
///
/// Kept as the 16 bits of the air, so that reserved bits survive parsing and emitting.
@frozen
public struct FrameControl: RawRepresentable, Hashable, Sendable {
  /// The field as a number; on the air its low octet comes first.
  public var rawValue: UInt16

  @inlinable public init(rawValue: UInt16) { self.rawValue = rawValue }

  /// A field with these values and no flag set.
  @inlinable
  public init(type: FrameType, version: FrameVersion, destination: AddressingMode, source: AddressingMode) {
    rawValue =
      UInt16(type.rawValue) | UInt16(version.rawValue) << 12 | UInt16(destination.rawValue) << 10
      | UInt16(source.rawValue) << 14
  }

  @inlinable
  func flag(_ bit: UInt16) -> Bool { rawValue >> bit & 1 == 1 }

  @inlinable
  mutating func set(_ bit: UInt16, _ value: Bool) {
    rawValue = rawValue & ~(1 << bit) | (value ? 1 << bit : 0)
  }

  @inlinable public var type: FrameType {
    FrameType(rawValue: UInt8(truncatingIfNeeded: rawValue & 7)) ?? .reserved
  }

  /// `nil` for the reserved version.
  @inlinable public var version: FrameVersion? {
    FrameVersion(rawValue: UInt8(truncatingIfNeeded: rawValue >> 12 & 3))
  }

  /// An auxiliary security header follows the addresses.
  @inlinable public var isSecured: Bool {
    get { flag(3) }
    set { set(3, newValue) }
  }
  /// The sender has more for the recipient.
  @inlinable public var isFramePending: Bool {
    get { flag(4) }
    set { set(4, newValue) }
  }
  /// The sender wants an acknowledgment.
  @inlinable public var isAcknowledgmentRequested: Bool {
    get { flag(5) }
    set { set(5, newValue) }
  }
  /// How the PAN identifiers are compressed: see ``PANIdentifierPresence``.
  @inlinable public var isPANIdentifierCompressed: Bool {
    get { flag(6) }
    set { set(6, newValue) }
  }
  /// There is no sequence number. A reserved bit before 2015.
  @inlinable public var isSequenceNumberSuppressed: Bool {
    get { flag(8) && isVersion2015 }
    set { set(8, newValue) }
  }
  /// Information elements follow. A reserved bit before 2015.
  @inlinable public var hasInformationElements: Bool {
    get { flag(9) && isVersion2015 }
    set { set(9, newValue) }
  }

  @inlinable var isVersion2015: Bool { rawValue & 0x3000 == 0x2000 }

  @inlinable public var destinationMode: AddressingMode {
    AddressingMode(rawValue: UInt8(truncatingIfNeeded: rawValue >> 10 & 3)) ?? .reserved
  }
  @inlinable public var sourceMode: AddressingMode {
    AddressingMode(rawValue: UInt8(truncatingIfNeeded: rawValue >> 14)) ?? .reserved
  }
}

/// Which PAN identifiers a frame carries (IEEE 802.15.4-2020, table 7-2; 802.15.4-2006, 7.2.1.1.5).
@frozen
public struct PANIdentifierPresence: Hashable, Sendable {
  public var destination: Bool
  public var source: Bool

  /// What `control` announces; `nil` for a combination that its version does not have.
  @inlinable
  public init?(_ control: FrameControl) {
    let hasDestination = control.destinationMode != .absent
    let hasSource = control.sourceMode != .absent
    let compressed = control.isPANIdentifierCompressed
    guard control.isVersion2015 else {
      // Compression says that both are the same, so there must be two. Without any (an acknowledgment) the bit is ignored.
      if compressed, hasDestination != hasSource { return nil }
      destination = hasDestination
      source = hasSource && !compressed
      return
    }
    switch (hasDestination, hasSource) {
    case (false, false): (destination, source) = (compressed, false)
    case (true, false): (destination, source) = (!compressed, false)
    case (false, true): (destination, source) = (false, !compressed)
    case (true, true):
      if control.destinationMode == .extended, control.sourceMode == .extended {
        (destination, source) = (!compressed, false)
      } else {
        (destination, source) = (true, !compressed)
      }
    }
  }
}
