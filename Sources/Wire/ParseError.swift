/// A malformed or refused input: what was wrong and where.
///
/// Small and trivially copyable, so that a typed `throws(ParseError)` costs no allocation.
@frozen
public struct ParseError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What was wrong.
  public var reason: DropReason
  /// Bytes from the start of the parsed input to the place where it went wrong.
  public var offset: UInt32

  @inlinable
  public init(_ reason: DropReason, at offset: Int = 0) {
    self.reason = reason
    self.offset = UInt32(truncatingIfNeeded: offset)
  }

  public var description: String { "\(reason.name) at byte \(offset)" }
}

/// A value that cannot be written: no room, or no such form on the wire.
@frozen
public enum EmitError: Error, Hashable, Sendable {
  /// The destination has fewer bytes than `encodedLength`.
  case noRoom
  /// The value has no encoding, for example a length over its field's maximum.
  case notRepresentable
}
